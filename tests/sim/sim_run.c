/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/status.h"
#include "tests/sim/sim_check.h"
#include "tests/sim/sim_damage.h"
#include "tests/sim/sim_drain.h"
#include "tests/sim/sim_end.h"
#include "tests/sim/sim_faults.h"
#include "tests/sim/sim_goals.h"
#include "tests/sim/sim_lincheck.h"
#include "tests/sim/sim_members.h"
#include "tests/sim/sim_operator.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_sleep.h"
#include "tests/sim/sim_tree.h"
#include "tests/sim/sim_watch.h"
#include "tests/sim/sim_zone.h"
#include "tests/sim/sim_zone_audit.h"

enum {
    START_SECONDS = 30,  /* for all nodes to come up, and to join */
    SERVE_SECONDS = 20,  /* for a write after the calm has begun */
    ZONE_SECONDS = 500,  /* ... in an eventual directory, by each node: that one
                          * becomes eventual may take many attempts */
    PULL_SECONDS = 150,  /* until all nodes have the same in these */
    FORGET_MS = 6000,    /* until nobody knows what clocks showed before */
    CLOCK_SECONDS = 30,  /* for clocks to be found wrong, or right again */
    WORK_MS = 2000,      /* that clients go on in the calm */
    SHOWN_MS = 2000,     /* /.cluster is at most so old */
    REST_SECONDS = 30,   /* for requests to end */
    AUDIT_SECONDS = 60,  /* for all to be read, over a slow network */
    QUIET_SECONDS = 240, /* for replicas to be where they belong, and the
                          * same */
    STAY_MS = 5000,      /* that a leader made by hand is watched */
    MEND_SECONDS = 120,  /* for damage to be found and mended */
    SLEEP_SECONDS = 60,  /* for all regions to fall asleep */
    SILENT_SECONDS = 5,  /* without a Raft message */
    CALM_SECONDS = 60,   /* until there are some of these */
    LEAD_SECONDS = 30,   /* for a leader's node that is gone to be noticed */
    STOP_SECONDS = 20
};

uint64_t sim_seen_counts[SIM_SEEN_COUNT];

static const uint64_t second_ns = 1000000000;
static const int64_t hour_ns = 3600000000000;

struct run {
    struct sim_loop *loop;
    struct sim_plan plan;
    struct sim_cluster *cluster;
    struct sim_clients *clients;
    struct sim_faults *faults;
    struct sim_damage *damage;
    struct sim_operator *operator;
    struct sim_zones *zones;
    struct sim_zone_audit *zone_audit;
    struct sim_node *wrong_clock;
    uint64_t written; /* when the calm began */
};

static void go_on(struct run *run, uint64_t span_ns)
{
    uint64_t until_ns = run->loop->now_ns + span_ns;

    while (sim_step(run->loop, until_ns))
        ;
}

static void wait_until(struct run *run, bool (*done)(struct run *run),
                       uint64_t seconds, const char *what)
{
    uint64_t until_ns = run->loop->now_ns + seconds * second_ns;

    while (!done(run)) {
        if (run->loop->now_ns >= until_ns)
            sim_fail(run->loop, "no progress: %s", what);
        go_on(run, 50 * sim_ms);
    }
}

static bool all_up(struct run *run)
{
    return sim_cluster_is_up(run->cluster);
}

static bool has_written(struct run *run)
{
    return sim_clients_written(run->clients) > run->written;
}

static bool clients_idle(struct run *run)
{
    return sim_clients_are_idle(run->clients) && sim_zones_are_idle(run->zones);
}

static bool zones_worked(struct run *run)
{
    return sim_zones_have_worked(run->zones);
}

static bool zones_settled(struct run *run)
{
    return sim_zones_are_settled(run->zones);
}

static bool zones_forgotten(struct run *run)
{
    return sim_zones_are_forgotten(run->zones);
}

static bool zones_ended(struct run *run)
{
    return sim_zones_have_ended(run->zones);
}

static bool zones_read(struct run *run)
{
    return sim_zone_audit_is_done(run->zone_audit);
}

static bool is_quiet(struct run *run)
{
    if (!sim_goals_settled(run->cluster) || !sim_members_settled(run->cluster))
        return false;
    sim_end_hold_checks(run->cluster);
    return sim_end_is_quiet(run->cluster);
}

static bool all_down(struct run *run)
{
    for (size_t i = 0; i < run->plan.nodes; i++)
        if (run->cluster->nodes[i].state != SIM_DOWN)
            return false;
    return true;
}

/* ---- phases ---- */

static void chaos(struct run *run)
{
    run->faults = sim_faults_new(run->cluster, run->clients);
    run->operator= sim_operator_new(run->cluster);
    sim_clients_work(run->clients);
    sim_zones_work(run->zones);
    go_on(run, run->plan.chaos_ns);
    sim_faults_stop(run->faults);
}

static void play(struct run *run, struct sim_play *play)
{
    run->faults = sim_faults_new(run->cluster, run->clients);
    run->operator= sim_operator_new(run->cluster);
    sim_operator_rest(run->operator);
    play->act(play, run->cluster, run->clients);
    sim_faults_stop(run->faults);
    sim_clients_work(run->clients);
}

/* That they were found, in the chaos. */
static void look_at_clocks(const struct run *run)
{
    for (size_t i = 0; i < run->plan.nodes; i++) {
        const struct node *node = run->cluster->nodes[i].node;

        if (node != NULL && node_clock_is_wrong(node, i + 1))
            sim_seen(SEEN_CLOCK_WRONG);
    }
}

/* In the words of /.cluster/health. */
static bool clocks_agree(struct run *run)
{
    for (size_t i = 0; i < run->plan.nodes; i++) {
        const struct sim_node *node = &run->cluster->nodes[i];
        struct buf *health = NULL;
        bool agree;

        if (node->removed || node->node == NULL)
            continue;
        if (status_render(node->node, TABLE_HEALTH, 0, &health) != 0)
            return false;
        agree = memmem(health->data, health->size, "clock", 5) == NULL;
        buf_unref(health);
        if (!agree)
            return false;
    }
    return true;
}

static void calm(struct run *run)
{
    sim_note(run->loop, "calm");
    sim_operator_rest(run->operator);
    look_at_clocks(run);
    sim_cluster_calm(run->cluster);
    wait_until(run, all_up, START_SECONDS, "nodes do not come up");
    run->written = sim_clients_written(run->clients);
    wait_until(run, has_written, SERVE_SECONDS, "no write succeeds");
    sim_zones_work(run->zones);
    wait_until(run, zones_worked, ZONE_SECONDS,
               "a node accepts no eventual change");
    go_on(run, WORK_MS * sim_ms);
}

/* The first one may have been merged into another one. */
static uint64_t first_region(const struct run *run)
{
    uint64_t region = REGION_FIRST_DATA;

    (void)sim_cluster_find_region(run->cluster, &region);
    return region;
}

/* Every page of /.cluster can be had, of a region and of node 1 where it has an
 * object; of the quarantine if there is anything in it. */
static void render(struct run *run, const struct sim_node *node)
{
    uint64_t region = first_region(run);

    for (int table = 0; table < TABLES; table++) {
        bool is_of_region =
            table >= TABLE_REGION_RANGE && table < TABLE_NODE_ADDRESS;
        bool is_quarantine =
            table >= TABLE_QUARANTINE_PATH && table <= TABLE_QUARANTINE_DROP;
        struct buf *text = NULL;
        int rc = status_render(node->node, (enum engine_table)table,
                               is_of_region ? region : 1, &text);

        if (rc != 0 && (!is_quarantine || rc != ERR_NOT_FOUND))
            sim_fail(run->loop, "table %d cannot be rendered: %s", table,
                     err_text(rc));
        buf_unref(text);
    }
}

/* A node that was started just now, without a replica of the region, hears of
 * it within a second. */
static bool region_is_known(struct run *run)
{
    for (size_t i = 0; i < run->plan.nodes; i++) {
        const struct sim_node *node = &run->cluster->nodes[i];

        if (!node->removed &&
            (node->node == NULL ||
             status_region_leader(node->node, first_region(run), NULL) != 0))
            return false;
    }
    return true;
}

static void render_all(struct run *run)
{
    wait_until(run, region_is_known, QUIET_SECONDS,
               "a node does not hear of a region");
    for (size_t i = 0; i < run->plan.nodes; i++)
        if (!run->cluster->nodes[i].removed)
            render(run, &run->cluster->nodes[i]);
}

/* One that was set right may be found wrong after that, by what it showed some
 * seconds before. */
static void believe_clocks(struct run *run)
{
    go_on(run, FORGET_MS * sim_ms);
    wait_until(run, clocks_agree, CLOCK_SECONDS, "a clock counts as wrong");
}

static bool operator_is_idle(struct run *run)
{
    return sim_operator_is_idle(run->operator);
}

static void hand_over(struct run *run)
{
    wait_until(run, operator_is_idle, REST_SECONDS, "a transfer does not end");
    if (!sim_operator_hand_over(run->operator))
        return;
    wait_until(run, operator_is_idle, REST_SECONDS, "a transfer does not end");
    go_on(run, STAY_MS * sim_ms);
    sim_operator_check(run->operator);
    wait_until(run, is_quiet, QUIET_SECONDS, "not quiet after a transfer");
}

/* Clocks that were wrong have to be waited for, and the last node to know of a
 * floor. */
static void check_zones(struct run *run)
{
    uint64_t until_ns = run->loop->now_ns + PULL_SECONDS * second_ns;

    while (!zones_settled(run) && run->loop->now_ns < until_ns)
        go_on(run, 50 * sim_ms);
    sim_zones_check(run->zones);
}

static void audit_zones(struct run *run)
{
    check_zones(run);
    run->zone_audit = sim_zone_audit_new(run->cluster);
    wait_until(run, zones_read, AUDIT_SECONDS, "zones cannot be read");
    sim_zone_audit_end(run->zone_audit);
    wait_until(run, zones_forgotten, PULL_SECONDS,
               "what was removed is not forgotten");
    check_zones(run);
}

static void audit(struct run *run)
{
    sim_note(run->loop, "audit");
    audit_zones(run);
    sim_clients_audit(run->clients);
    wait_until(run, clients_idle, AUDIT_SECONDS, "the audit does not end");
    wait_until(run, is_quiet, QUIET_SECONDS, "not quiet after the audit");
}

static void remove_drained(struct run *run)
{
    if (sim_drain_remove(run->cluster))
        wait_until(run, is_quiet, QUIET_SECONDS,
                   "not quiet after a node was to be removed");
}

static void become_quiet(struct run *run)
{
    sim_note(run->loop, "rest");
    sim_clients_rest(run->clients);
    sim_zones_rest(run->zones);
    wait_until(run, clients_idle, REST_SECONDS, "requests do not end");
    wait_until(run, is_quiet, QUIET_SECONDS,
               "replicas or transactions do not settle");
    remove_drained(run);
    believe_clocks(run);
    hand_over(run);
    go_on(run, SHOWN_MS * sim_ms);
    render_all(run);
    audit(run);
}

static bool is_mended(struct run *run)
{
    return sim_damage_is_mended(run->damage);
}

static void damage(struct run *run)
{
    if (!run->plan.damage)
        return;
    sim_note(run->loop, "damage");
    run->damage = sim_damage_new(run->cluster, run->clients);
    wait_until(run, is_mended, MEND_SECONDS, "damage is not found and mended");
    sim_damage_stop(run->damage);
    wait_until(run, all_up, START_SECONDS, "nodes do not come up");
    wait_until(run, is_quiet, QUIET_SECONDS, "not quiet after the damage");
    audit(run);
}

static size_t count_members(const struct run *run)
{
    size_t count = 0;

    for (size_t i = 0; i < run->plan.nodes; i++)
        count += !run->cluster->nodes[i].removed;
    return count;
}

static bool wrong_clock_leads_nothing(struct run *run)
{
    const struct node *node = run->wrong_clock->node;
    const struct peer *peer = NULL;

    while ((peer = node_next_peer(node, peer)) != NULL)
        if (peer_is_leader(peer) && peer_region(peer)->voter_count > 1)
            return false;
    return true;
}

/* Three nodes can tell whose clock is wrong: that one has to go, and comes back
 * into favour. */
static void spoil_clock(struct run *run)
{
    if (count_members(run) < 3 || sim_pick(run->loop, 3) != 0 ||
        sim_cluster_leader(run->cluster, first_region(run),
                           &run->wrong_clock) == NULL)
        return;
    sim_note(run->loop, "spoil clock");
    sim_seen(SEEN_CLOCK_SPOILT);
    run->wrong_clock->machine.wall_is_right = false;
    run->wrong_clock->machine.wall_offset_ns = hour_ns;
    wait_until(run, wrong_clock_leads_nothing, CLOCK_SECONDS,
               "a node with a wrong clock leads");
    audit(run);
    run->wrong_clock->machine.wall_is_right = true;
    believe_clocks(run);
    wait_until(run, is_quiet, QUIET_SECONDS, "not quiet after that");
}

static bool sleeps(struct run *run)
{
    return sim_sleep_is_deep(run->cluster);
}

static bool is_led(struct run *run)
{
    return sim_sleep_is_led(run->cluster);
}

static bool was_silent(struct run *run)
{
    uint64_t sent = sim_net_raft_sent(run->cluster->net);

    go_on(run, SILENT_SECONDS * second_ns);
    return sim_net_raft_sent(run->cluster->net) == sent && sleeps(run);
}

/* Idle regions cost no message, once a late one and the last abandoned
 * transaction have been dealt with, and as long as the network is not so slow
 * that nodes lose each other. */
static void be_silent(struct run *run)
{
    wait_until(run, sleeps, SLEEP_SECONDS, "regions do not fall asleep");
    if (run->plan.alarm_ms > CALM_SECONDS * 1000)
        wait_until(run, was_silent, CALM_SECONDS,
                   "idle regions are not silent");
}

/* Nobody asks for anything, and yet it is noticed. */
static void lose_leader(struct run *run)
{
    struct sim_node *node = sim_sleep_leader(run->cluster);

    if (node == NULL)
        return;
    sim_node_crash(node, sim_pick(run->loop, 2) == 0, UINT64_MAX);
    wait_until(run, is_led, LEAD_SECONDS, "a lost leader is not replaced");
    sim_cluster_calm(run->cluster);
    wait_until(run, all_up, START_SECONDS, "nodes do not come up");
    be_silent(run);
}

/* Consistency checks of a short interval would not let regions sleep. */
static void doze(struct run *run)
{
    if (run->plan.sleep_after_ms == 0 || run->plan.check_interval_ms != 0)
        return;
    sim_note(run->loop, "doze");
    be_silent(run);
    lose_leader(run);
    audit(run);
}

/* What nodes are all there for, and have the same of, can be emptied and made
 * strong. */
static void end_zones(struct run *run)
{
    if (!run->plan.zones_end || run->plan.zones == 0)
        return;
    sim_note(run->loop, "end zones");
    sim_drain_take_back(run->cluster); /* Somebody has to empty them. */
    sim_zones_end(run->zones);
    wait_until(run, zones_ended, ZONE_SECONDS, "a zone does not become strong");
    sim_zones_rest(run->zones);
    wait_until(run, clients_idle, REST_SECONDS, "requests do not end");
    wait_until(run, is_quiet, QUIET_SECONDS, "not quiet after that");
    audit(run);
}

static void check(struct run *run)
{
    sim_watch_end(run->cluster->watch);
    sim_end_compare(run->cluster);
    sim_tree_check(run->cluster);
    switch (sim_check(sim_clients_history(run->clients), run->cluster->watch)) {
    case SIM_LINEARIZABLE:
        break;
    case SIM_NOT_LINEARIZABLE:
        sim_fail(run->loop, "the history is not linearizable");
    case SIM_TOO_HARD:
        sim_seen(SEEN_UNDECIDED);
    }
}

static void stop(struct run *run)
{
    for (size_t i = 0; i < run->plan.nodes; i++)
        sim_node_stop(&run->cluster->nodes[i], UINT64_MAX);
    wait_until(run, all_down, STOP_SECONDS, "nodes do not stop");
}

struct sim_result sim_run(struct sim_loop *loop, struct sim_play *given,
                          FILE *history)
{
    struct run run = {.loop = loop};
    struct sim_result result;

    memset(sim_seen_counts, 0, sizeof sim_seen_counts);
    if (given != NULL)
        run.plan = given->plan;
    else
        sim_plan_draw(&run.plan, loop);
    sim_plan_note(&run.plan, loop);
    run.cluster = sim_cluster_new(loop, &run.plan);
    run.clients = sim_clients_new(run.cluster);
    run.zones = sim_zones_new(run.cluster);
    if (given != NULL)
        play(&run, given);
    else
        chaos(&run);
    calm(&run);
    become_quiet(&run);
    damage(&run);
    spoil_clock(&run);
    doze(&run);
    end_zones(&run);
    if (history != NULL)
        sim_lincheck_write(sim_clients_history(run.clients), run.cluster->watch,
                           history);
    check(&run);
    stop(&run);
    result = (struct sim_result){
        .hash = loop->hash,
        .steps = loop->steps,
        .ops = sim_clients_history(run.clients)->count,
        .virtual_ns = loop->now_ns,
    };
    sim_clients_free(run.clients);
    sim_zones_free(run.zones);
    sim_faults_free(run.faults);
    sim_damage_free(run.damage);
    sim_operator_free(run.operator);
    sim_cluster_free(run.cluster);
    return result;
}
