/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_run_impl.h"

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
    SERVE_SECONDS = 40, /* for a write after the calm has begun: a snapshot that
                         * was lost on its way is given up after 15 */
    ZONE_SECONDS = 500, /* ... in an eventual directory, by each node: that one
                         * becomes eventual may take many attempts */
    PULL_SECONDS = 150, /* until all nodes have the same in these */
    WORK_MS = 2000,     /* that clients go on in the calm */
    SHOWN_MS = 2000,    /* /.cluster is at most so old */
    AUDIT_SECONDS = 60, /* for all to be read, over a slow network */
    STAY_MS = 5000,     /* that a leader made by hand is watched */
    MEND_SECONDS = 120, /* for damage to be found and mended */
    SLEEP_SECONDS = 60, /* for all regions to fall asleep */
    SILENT_SECONDS = 5, /* without a Raft message */
    CALM_SECONDS = 180, /* until there are some of these */
    LEAD_SECONDS = 30,  /* for a leader's node that is gone to be noticed */
    STOP_SECONDS = 20
};

uint64_t sim_seen_counts[SIM_SEEN_COUNT];

static const uint64_t second_ns = 1000000000;

void run_go_on(struct run *run, uint64_t span_ns)
{
    uint64_t until_ns = run->loop->now_ns + span_ns;

    while (sim_step(run->loop, until_ns))
        ;
}

void run_wait(struct run *run, bool (*done)(struct run *run), uint64_t seconds,
              const char *what)
{
    uint64_t until_ns = run->loop->now_ns + seconds * second_ns;

    while (!done(run)) {
        if (run->loop->now_ns >= until_ns)
            sim_fail(run->loop, "no progress: %s", what);
        run_go_on(run, 50 * sim_ms);
    }
}

bool run_is_up(struct run *run)
{
    return sim_cluster_is_up(run->cluster);
}

static bool has_written(struct run *run)
{
    return sim_clients_written(run->clients) > run->written;
}

bool run_is_idle(struct run *run)
{
    return sim_clients_are_idle(run->clients) && sim_zones_are_idle(run->zones);
}

static bool have_worked(struct run *run)
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

bool run_is_quiet(struct run *run)
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
    run_go_on(run, run->plan.chaos_ns);
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

static void calm(struct run *run)
{
    sim_note(run->loop, "calm");
    sim_operator_rest(run->operator);
    run_look_at_clocks(run);
    sim_cluster_calm(run->cluster);
    run_wait(run, run_is_up, START_SECONDS, "nodes do not come up");
    run->written = sim_clients_written(run->clients);
    run_wait(run, has_written, SERVE_SECONDS, "no write succeeds");
    sim_zones_work(run->zones);
    run_wait(run, have_worked, ZONE_SECONDS,
             "a node accepts no eventual change");
    run_go_on(run, WORK_MS * sim_ms);
}

/* The first one may have been merged into another one. */
uint64_t run_first_region(const struct run *run)
{
    uint64_t region = REGION_FIRST_DATA;

    (void)sim_cluster_find_region(run->cluster, &region);
    return region;
}

/* Every page of /.cluster can be had, of a region and of node 1 where it has an
 * object; of the quarantine if there is anything in it. */
static void render(struct run *run, const struct sim_node *node)
{
    uint64_t region = run_first_region(run);

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
             status_region_leader(node->node, run_first_region(run), NULL) !=
                 0))
            return false;
    }
    return true;
}

static void render_all(struct run *run)
{
    run_wait(run, region_is_known, QUIET_SECONDS,
             "a node does not hear of a region");
    for (size_t i = 0; i < run->plan.nodes; i++)
        if (!run->cluster->nodes[i].removed)
            render(run, &run->cluster->nodes[i]);
}

static bool operator_is_idle(struct run *run)
{
    return sim_operator_is_idle(run->operator);
}

static void hand_over(struct run *run)
{
    run_wait(run, operator_is_idle, REST_SECONDS, "a transfer does not end");
    if (!sim_operator_hand_over(run->operator))
        return;
    run_wait(run, operator_is_idle, REST_SECONDS, "a transfer does not end");
    run_go_on(run, STAY_MS * sim_ms);
    sim_operator_check(run->operator);
    run_wait(run, run_is_quiet, QUIET_SECONDS, "not quiet after a transfer");
}

/* Clocks that were wrong have to be waited for, and the last node to know of a
 * floor. */
static void check_zones(struct run *run)
{
    uint64_t until_ns = run->loop->now_ns + PULL_SECONDS * second_ns;

    while (!zones_settled(run) && run->loop->now_ns < until_ns)
        run_go_on(run, 50 * sim_ms);
    sim_zones_check(run->zones);
}

static void audit_zones(struct run *run)
{
    check_zones(run);
    run->zone_audit = sim_zone_audit_new(run->cluster);
    run_wait(run, zones_read, AUDIT_SECONDS, "zones cannot be read");
    sim_zone_audit_end(run->zone_audit);
    run_wait(run, zones_forgotten, PULL_SECONDS,
             "what was removed is not forgotten");
    check_zones(run);
}

void run_audit(struct run *run)
{
    sim_note(run->loop, "audit");
    audit_zones(run);
    sim_clients_audit(run->clients);
    run_wait(run, run_is_idle, AUDIT_SECONDS, "the audit does not end");
    run_wait(run, run_is_quiet, QUIET_SECONDS, "not quiet after the audit");
}

static void remove_drained(struct run *run)
{
    if (sim_drain_remove(run->cluster))
        run_wait(run, run_is_quiet, QUIET_SECONDS,
                 "not quiet after a node was to be removed");
}

static void become_quiet(struct run *run)
{
    sim_note(run->loop, "rest");
    sim_clients_rest(run->clients);
    sim_zones_rest(run->zones);
    run_wait(run, run_is_idle, REST_SECONDS, "requests do not end");
    run_wait(run, run_is_quiet, QUIET_SECONDS,
             "replicas or transactions do not settle");
    remove_drained(run);
    run_believe_clocks(run);
    hand_over(run);
    run_go_on(run, SHOWN_MS * sim_ms);
    render_all(run);
    run_audit(run);
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
    run_wait(run, is_mended, MEND_SECONDS, "damage is not found and mended");
    sim_damage_stop(run->damage);
    run_wait(run, run_is_up, START_SECONDS, "nodes do not come up");
    run_wait(run, run_is_quiet, QUIET_SECONDS, "not quiet after the damage");
    run_audit(run);
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

    run_go_on(run, SILENT_SECONDS * second_ns);
    return sim_net_raft_sent(run->cluster->net) == sent && sleeps(run);
}

/* Idle regions cost no message, once a late one and the last abandoned
 * transaction have been dealt with, and as long as the network is not so slow
 * that nodes lose each other. */
static void be_silent(struct run *run)
{
    run_wait(run, sleeps, SLEEP_SECONDS, "regions do not fall asleep");
    if (run->plan.alarm_ms > CALM_SECONDS * 1000)
        run_wait(run, was_silent, CALM_SECONDS, "idle regions are not silent");
}

/* Nobody asks for anything, and yet it is noticed. */
static void lose_leader(struct run *run)
{
    struct sim_node *node = sim_sleep_leader(run->cluster);

    if (node == NULL)
        return;
    sim_node_crash(node, sim_pick(run->loop, 2) == 0, UINT64_MAX);
    run_wait(run, is_led, LEAD_SECONDS, "a lost leader is not replaced");
    sim_cluster_calm(run->cluster);
    run_wait(run, run_is_up, START_SECONDS, "nodes do not come up");
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
    run_audit(run);
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
    run_wait(run, zones_ended, ZONE_SECONDS, "a zone does not become strong");
    sim_zones_rest(run->zones);
    run_wait(run, run_is_idle, REST_SECONDS, "requests do not end");
    /* What was not confirmed may still be on its way. */
    run_go_on(run, SHOWN_MS * sim_ms);
    run_wait(run, run_is_quiet, QUIET_SECONDS, "not quiet after that");
    run_audit(run);
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
    run_wait(run, all_down, STOP_SECONDS, "nodes do not stop");
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
    run_spoil_entry(&run);
    if (given == NULL)
        run_strand_node(&run);
    run_spoil_clock(&run);
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
    free(run.spoil);
    sim_operator_free(run.operator);
    sim_cluster_free(run.cluster);
    return result;
}
