/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_faults.h"

#include <stdlib.h>

#include "engine/peer.h"
#include "tests/sim/sim_drain.h"
#include "tests/sim/sim_goals.h"
#include "tests/sim/sim_members.h"
#include "tests/sim/sim_merge.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_split.h"

enum { LOOK_MS = 20, WAIT_MS = 500, DOOM_PER_MILLION = 200000 };

/* A crash just when a region splits. */
struct doom {
    struct sim_event event; /* first member */
    struct sim_faults *faults;
    struct sim_node *node; /* NULL: none is near */
};

struct sim_faults {
    struct sim_event event; /* first member */
    struct sim_cluster *cluster;
    struct sim_clients *clients;
    struct doom doom;
    bool stopped;
};

static struct sim_node *pick_node(struct sim_faults *f)
{
    struct sim_cluster *cluster = f->cluster;

    return &cluster->nodes[sim_pick(cluster->loop, cluster->plan->nodes)];
}

static uint64_t lasting(struct sim_faults *f)
{
    return sim_spread(f->cluster->loop, f->cluster->plan->lasting_ns) + sim_ms;
}

static void crash(struct sim_faults *f, struct sim_node *node,
                  bool with_machine)
{
    if (node->state == SIM_DOWN)
        return;
    sim_node_crash(node, with_machine, lasting(f));
    sim_clients_on_crash(f->clients, node);
}

static void crash_all(struct sim_faults *f)
{
    sim_seen(SEEN_CRASH_ALL);
    for (size_t i = 0; i < f->cluster->plan->nodes; i++)
        crash(f, &f->cluster->nodes[i], true);
}

static void cut(struct sim_faults *f, size_t from, size_t to, uint64_t span_ns)
{
    if (from == to)
        return;
    sim_seen(SEEN_CUT);
    sim_note(f->cluster->loop, "net: cut %zu -> %zu", from + 1, to + 1);
    sim_net_cut(f->cluster->net, from, to, f->cluster->loop->now_ns + span_ns);
}

static void cut_pair(struct sim_faults *f, bool both)
{
    size_t a = pick_node(f)->number;
    size_t b = pick_node(f)->number;
    uint64_t span_ns = 2 * lasting(f);

    cut(f, a, b, span_ns);
    if (both)
        cut(f, b, a, span_ns);
}

static void isolate(struct sim_faults *f)
{
    size_t node = pick_node(f)->number;
    uint64_t span_ns = 2 * lasting(f);

    for (size_t i = 0; i < f->cluster->plan->nodes; i++) {
        cut(f, node, i, span_ns);
        cut(f, i, node, span_ns);
    }
}

/* Ahead, or back again. */
static void step_clock(struct sim_faults *f)
{
    struct sim_machine *machine = &pick_node(f)->machine;
    uint64_t step_ns = f->cluster->plan->step_ns;

    if (sim_pick(f->cluster->loop, 3) == 0)
        machine->wall_offset_ns = sim_clock_offset(f->cluster->loop);
    else
        machine->wall_offset_ns = (int64_t)sim_pick(f->cluster->loop, step_ns);
    sim_note(f->cluster->loop, "node %u: clock step",
             (unsigned)machine->node_id);
}

static void transfer(struct sim_faults *f)
{
    struct sim_node *node = pick_node(f);
    uint64_t to = pick_node(f)->number + 1;
    uint64_t region;

    if (!sim_node_serves(node))
        return;
    region = sim_cluster_pick_region(f->cluster, REGION_PLACEMENT);
    if (node_peer(node->node, region) == NULL)
        return;
    sim_env_enter(node->env, ENV_WORKER);
    (void)peer_transfer(node_peer(node->node, region), to);
    sim_env_leave(node->env);
}

static void break_one(struct sim_faults *f)
{
    size_t a = pick_node(f)->number;
    size_t b = pick_node(f)->number;

    if (a != b)
        sim_net_break(f->cluster->net, a < b ? a : b, a < b ? b : a);
}

static void slow_link(struct sim_faults *f)
{
    size_t from = pick_node(f)->number;
    size_t to = pick_node(f)->number;

    if (from == to)
        return;
    sim_seen(SEEN_SLOW_LINK);
    sim_net_slow(f->cluster->net, from, to,
                 f->cluster->loop->now_ns + 2 * lasting(f));
}

static void fail_disk(struct sim_faults *f)
{
    struct sim_node *node = pick_node(f);
    enum sim_disk_error error = (enum sim_disk_error)sim_between(
        f->cluster->loop, SIM_ERROR_LOG, SIM_ERRORS - 1);

    if (node->state != SIM_DOWN)
        sim_env_fail_next(node->env, error);
}

/* A node has ended itself, because its disk has failed. */
static void on_died(void *context, struct sim_node *node)
{
    struct sim_faults *f = context;

    crash(f, node, false);
}

static void on_doom(struct sim_event *event)
{
    struct doom *doom = (struct doom *)event;
    struct sim_faults *f = doom->faults;

    if (!f->stopped)
        crash(f, doom->node, sim_pick(f->cluster->loop, 2) == 0);
    doom->node = NULL;
}

/* Before it is applied or durable, or soon after that. */
static void on_split(void *context, struct sim_node *node)
{
    struct sim_faults *f = context;
    const struct sim_plan *plan = f->cluster->plan;
    struct sim_loop *loop = f->cluster->loop;

    if (f->stopped || f->doom.node != NULL ||
        (plan->every_ns[SIM_KILL] == 0 && plan->every_ns[SIM_POWER_CUT] == 0) ||
        !sim_chance(loop, DOOM_PER_MILLION))
        return;
    f->doom = (struct doom){{.run = on_doom}, f, node};
    sim_post_in(loop, &f->doom.event,
                sim_spread(loop, sim_pick(loop, 2) == 0 ? plan->task_ns
                                                        : 2 * plan->sync_ns));
}

static void strike(struct sim_faults *f, enum sim_fault fault)
{
    uint64_t now_ns = f->cluster->loop->now_ns;
    uint64_t lasting_ns;
    uint64_t until_ns;

    switch (fault) {
    case SIM_KILL:
        crash(f, pick_node(f), false);
        break;
    case SIM_POWER_CUT:
        crash(f, pick_node(f), true);
        break;
    case SIM_KILL_ALL:
        crash_all(f);
        break;
    case SIM_RESTART:
        lasting_ns = lasting(f);
        sim_node_stop(pick_node(f), lasting_ns);
        break;
    case SIM_PAUSE:
        lasting_ns = lasting(f);
        sim_node_pause(pick_node(f), lasting_ns);
        break;
    case SIM_CUT:
        cut_pair(f, true);
        break;
    case SIM_CUT_ONE_WAY:
        cut_pair(f, false);
        break;
    case SIM_ISOLATE:
        isolate(f);
        break;
    case SIM_RECONNECT:
        break_one(f);
        break;
    case SIM_CLOCK_STEP:
        step_clock(f);
        break;
    case SIM_SLOW_LINK:
        slow_link(f);
        break;
    case SIM_SLOW_DISK:
        until_ns = now_ns + 2 * lasting(f);
        pick_node(f)->machine.slow_disk_until_ns = until_ns;
        break;
    case SIM_SLOW_APPLY:
        until_ns = now_ns + 2 * lasting(f);
        pick_node(f)->machine.slow_apply_until_ns = until_ns;
        break;
    case SIM_DISK_FULL:
        until_ns = now_ns + 2 * lasting(f);
        pick_node(f)->machine.disk_full_until_ns = until_ns;
        break;
    case SIM_DISK_ERROR:
        fail_disk(f);
        break;
    case SIM_TRANSFER:
        transfer(f);
        break;
    case SIM_MEMBERS:
        sim_members_change(f->cluster);
        break;
    case SIM_SPLIT:
        sim_split_one(f->cluster);
        break;
    case SIM_MERGE:
        sim_merge_one(f->cluster);
        break;
    case SIM_GOALS:
        sim_goals_strike(f->cluster);
        break;
    case SIM_DRAIN:
        sim_drain_ask(f->cluster);
        break;
    case SIM_FAULTS:
        break;
    }
}

/* RocksDB's flushes in the background. */
static void flush_some(struct sim_faults *f)
{
    const struct sim_plan *plan = f->cluster->plan;
    struct sim_loop *loop = f->cluster->loop;
    struct sim_node *node = pick_node(f);

    if (node->env == NULL || plan->flush_every_ns == 0 ||
        sim_pick(loop, plan->flush_every_ns / sim_ms) > LOOK_MS)
        return;
    sim_env_flush_some(node->env);
}

static void look(struct sim_event *event)
{
    struct sim_faults *f = (struct sim_faults *)event;
    const struct sim_plan *plan = f->cluster->plan;
    struct sim_loop *loop = f->cluster->loop;

    if (f->stopped)
        return;
    for (int i = 0; i < SIM_FAULTS; i++)
        if (plan->every_ns[i] != 0 &&
            sim_pick(loop, plan->every_ns[i] / sim_ms) < LOOK_MS)
            strike(f, (enum sim_fault)i);
    flush_some(f);
    sim_post_in(loop, event, LOOK_MS * sim_ms);
}

struct sim_faults *sim_faults_new(struct sim_cluster *cluster,
                                  struct sim_clients *clients)
{
    struct sim_faults *f = mem_zalloc(sizeof *f);

    f->event.run = look;
    f->cluster = cluster;
    f->clients = clients;
    cluster->on_died = on_died;
    cluster->on_died_context = f;
    cluster->on_split = on_split;
    cluster->on_split_context = f;
    /* The founding is to be disturbed, too. */
    sim_post_in(cluster->loop, &f->event,
                cluster->plan->empty ? 0 : WAIT_MS * sim_ms);
    return f;
}

void sim_faults_stop(struct sim_faults *faults)
{
    faults->stopped = true;
}

void sim_faults_free(struct sim_faults *faults)
{
    free(faults);
}
