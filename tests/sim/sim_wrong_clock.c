/* SPDX-License-Identifier: Apache-2.0 */

/* Phases of a run in which a clock is wrong, and is set right again. */

#include <string.h>

#include "engine/eventual_impl.h"
#include "engine/floor.h"
#include "engine/status.h"
#include "tests/sim/sim_drain.h"
#include "tests/sim/sim_run_impl.h"
#include "tests/sim/sim_seen.h"

enum {
    FORGET_MS = 6000,    /* until nobody knows what clocks showed before */
    CLOCK_SECONDS = 30,  /* for clocks to be found wrong, or right again */
    STOP_SECONDS = 20,   /* for a node to stop in good order */
    ACCEPT_SECONDS = 20, /* for it to accept something alone */
    ACCEPT_MS = 4000,    /* that it goes on, then */
    BACK_MS = 8000,      /* that it is back before its clock is right */
    WATCH_SECONDS = 40,  /* for a time to disturb it */
    DISTURB_MAX = 3,
    DOWN_MS_MAX = 3000
};

static const uint64_t second_ns = 1000000000;
static const int64_t hour_ns = 3600000000000;

/* ---- believing them ---- */

void run_look_at_clocks(const struct run *run)
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

void run_believe_clocks(struct run *run)
{
    run_go_on(run, FORGET_MS * sim_ms);
    run_wait(run, clocks_agree, CLOCK_SECONDS, "a clock counts as wrong");
}

static void set_ahead(struct sim_node *node, int64_t ahead_ns)
{
    node->machine.wall_is_right = false;
    node->machine.wall_offset_ns = ahead_ns;
}

/* ---- one of a leader ---- */

static size_t count_members(const struct run *run)
{
    size_t count = 0;

    for (size_t i = 0; i < run->plan.nodes; i++)
        count += !run->cluster->nodes[i].removed;
    return count;
}

static bool leads_nothing(struct run *run)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_peer(run->wrong_clock->node, peer)) != NULL)
        if (peer_is_leader(peer) && peer_region(peer)->voter_count > 1)
            return false;
    return true;
}

void run_spoil_clock(struct run *run)
{
    if (count_members(run) < 3 || sim_pick(run->loop, 3) != 0 ||
        sim_cluster_leader(run->cluster, run_first_region(run),
                           &run->wrong_clock) == NULL)
        return;
    sim_note(run->loop, "spoil clock");
    sim_seen(SEEN_CLOCK_SPOILT);
    set_ahead(run->wrong_clock, hour_ns);
    run_wait(run, leads_nothing, CLOCK_SECONDS,
             "a node with a wrong clock leads");
    run_audit(run);
    run->wrong_clock->machine.wall_is_right = true;
    run_believe_clocks(run);
    run_wait(run, run_is_quiet, QUIET_SECONDS, "not quiet after that");
}

/* ---- those of nodes that are cut off ---- */

static struct sim_node *pick_stranded(struct run *run)
{
    struct sim_node *node =
        &run->cluster->nodes[sim_pick(run->loop, run->plan.nodes)];

    if (count_members(run) < 2 || !sim_node_serves(node) ||
        sim_drain_state(node, node) != NODE_UP)
        return NULL;
    return node;
}

/* Two of three or more may be wrong alike: these believe each other. */
static struct sim_node *pick_companion(struct run *run)
{
    struct sim_node *node = pick_stranded(run);

    return node == run->wrong_clock || count_members(run) < 3 ? NULL : node;
}

static bool is_stranded(const struct run *run, const struct sim_node *node)
{
    return node == run->wrong_clock || node == run->companion;
}

static void for_both(struct run *run,
                     void (*act)(struct run *run, struct sim_node *node))
{
    act(run, run->wrong_clock);
    if (run->companion != NULL)
        act(run, run->companion);
}

static bool are_down(struct run *run)
{
    return run->wrong_clock->state == SIM_DOWN &&
           (run->companion == NULL || run->companion->state == SIM_DOWN);
}

/* It starts again when it is told to. */
static void stop_or_crash(struct run *run, struct sim_node *node)
{
    if (sim_pick(run->loop, 2) == 0)
        sim_node_stop(node, UINT64_MAX);
    else
        sim_node_crash(node, sim_pick(run->loop, 2) == 0, UINT64_MAX);
}

static void take_down(struct run *run)
{
    for_both(run, stop_or_crash);
    run_wait(run, are_down, STOP_SECONDS, "a node does not stop");
}

static void start(struct run *run, struct sim_node *node)
{
    node->start_at_ns = run->loop->now_ns;
}

static void cut(struct run *run, size_t a, size_t b)
{
    sim_net_cut(run->cluster->net, a, b, UINT64_MAX);
    sim_net_cut(run->cluster->net, b, a, UINT64_MAX);
}

static void cut_off(struct run *run, struct sim_node *node)
{
    for (size_t i = 0; i < run->plan.nodes; i++)
        if (!is_stranded(run, &run->cluster->nodes[i]))
            cut(run, node->number, i);
}

static void set_right(struct run *run, struct sim_node *node)
{
    (void)run;
    node->machine.wall_is_right = true;
}

/* Perhaps nothing: no directory need be eventual. */
static bool accept(struct run *run)
{
    size_t number = run->wrong_clock->number;
    uint64_t until_ns = run->loop->now_ns + ACCEPT_SECONDS * second_ns;

    sim_zones_work(run->zones);
    while (!sim_zones_has_worked(run->zones, number)) {
        if (run->loop->now_ns >= until_ns)
            return false;
        run_go_on(run, 50 * sim_ms);
    }
    run_go_on(run, sim_pick(run->loop, ACCEPT_MS * sim_ms));
    return true;
}

/* What somebody else has taken keeps its version: its time has to come before
 * the run ends. */
static int64_t pick_ahead(const struct run *run)
{
    static const int64_t aheads_ms[] = {3600000, 3600000, 3600000, 60000, 4000};
    static const int64_t short_aheads_ms[] = {20000, 8000, 2000};

    return run->companion == NULL
               ? aheads_ms[sim_pick(run->loop, ARRAY_SIZE(aheads_ms))]
               : short_aheads_ms[sim_pick(run->loop,
                                          ARRAY_SIZE(short_aheads_ms))];
}

static void accept_ahead(struct run *run)
{
    int64_t ahead_ns;

    take_down(run);
    for_both(run, cut_off);
    ahead_ns = pick_ahead(run) * (int64_t)sim_ms;
    set_ahead(run->wrong_clock, ahead_ns);
    if (run->companion != NULL)
        set_ahead(run->companion, ahead_ns);
    for_both(run, start);
    if (accept(run))
        sim_seen(SEEN_ZONE_SET_AHEAD);
    if (run->companion != NULL && sim_pick(run->loop, 2) == 0) {
        cut(run, run->wrong_clock->number, run->companion->number);
        (void)accept(run);
    }
}

/* In whatever order. */
static void come_back(struct run *run)
{
    switch (sim_pick(run->loop, 4)) {
    case 0: /* Found wrong by the others. */
        sim_net_heal(run->cluster->net);
        run_go_on(run, sim_pick(run->loop, BACK_MS * sim_ms));
        break;
    case 1: /* It goes on from the versions that it has given out. */
        take_down(run);
        for_both(run, set_right);
        for_both(run, start);
        (void)accept(run);
        break;
    case 2:
        take_down(run);
        for_both(run, start);
        break;
    default:
        break;
    }
    for_both(run, set_right);
    sim_net_heal(run->cluster->net);
}

/* ---- crashes, while it gets over it ---- */

/* How far a node is in giving its changes new versions. */
struct progress {
    bool is_up;
    uint64_t withdrawn;
    bool writes;
    uint64_t restamped;
};

static struct progress look(const struct sim_node *node)
{
    struct progress progress = {0};
    struct eventual_counts counts;
    struct floor floor = {0};

    if (node->node == NULL)
        return progress;
    (void)floor_get(node->env->env.state, NULL, &floor); /* 0 is fine. */
    eventual_count(node_eventual(node->node), &counts);
    progress.is_up = true;
    progress.withdrawn = floor.withdrawn;
    progress.writes = node_eventual(node->node)->is_restamping;
    progress.restamped = counts.restamped;
    return progress;
}

/* One thing of it is waited for. */
static bool has_come(unsigned what, struct progress before,
                     struct progress after)
{
    if (!before.is_up)
        return false;
    switch (what) {
    case 0:
        return after.withdrawn > before.withdrawn;
    case 1:
        return after.restamped > before.restamped;
    default:
        return after.writes && !before.writes;
    }
}

/* False: it does not come. */
static bool wait_for_progress(struct run *run, uint64_t until_ns)
{
    unsigned what = (unsigned)sim_pick(run->loop, 4);
    struct progress before = look(run->wrong_clock);

    while (run->loop->now_ns < until_ns) {
        struct progress after;

        run_go_on(run, sim_ms);
        after = look(run->wrong_clock);
        if (has_come(what, before, after))
            return true;
        before = after;
    }
    return false;
}

/* The last changes may come while it writes, too. */
static void disturb(struct run *run)
{
    if (sim_pick(run->loop, 3) == 0) {
        sim_zones_rest(run->zones);
        return;
    }
    run_go_on(run, sim_pick(run->loop, 4) == 0
                       ? sim_pick(run->loop, second_ns)
                       : sim_spread(run->loop, run->plan.sync_ns));
    sim_node_crash(run->wrong_clock, sim_pick(run->loop, 2) == 0,
                   sim_pick(run->loop, DOWN_MS_MAX * sim_ms));
}

static void disturb_often(struct run *run)
{
    const uint64_t until_ns = run->loop->now_ns + WATCH_SECONDS * second_ns;
    uint64_t count = sim_pick(run->loop, DISTURB_MAX + 1);

    while (count-- > 0 && wait_for_progress(run, until_ns))
        disturb(run);
}

/* ---- all of it ---- */

/* Others may go on, or be made strong without it. */
void run_strand_node(struct run *run)
{
    if (run->plan.zones == 0 || sim_pick(run->loop, 4) != 0)
        return;
    run->wrong_clock = pick_stranded(run);
    if (run->wrong_clock == NULL)
        return;
    run->companion = sim_pick(run->loop, 3) == 0 ? pick_companion(run) : NULL;
    sim_note(run->loop, "strand node %zu%s", run->wrong_clock->number + 1,
             run->companion == NULL ? "" : " and another one");
    if (accept(run)) {
        run->cluster->calm = false;
        accept_ahead(run);
        come_back(run);
        disturb_often(run);
        sim_cluster_calm(run->cluster);
    }
    sim_zones_rest(run->zones);
    run_wait(run, run_is_up, START_SECONDS, "nodes do not come up");
    run_believe_clocks(run);
    run_wait(run, run_is_idle, REST_SECONDS, "requests do not end");
    run_wait(run, run_is_quiet, QUIET_SECONDS, "not quiet after that");
    run_audit(run);
}
