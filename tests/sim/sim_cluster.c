/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_cluster.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/peer_impl.h"
#include "tests/sim/sim_drain.h"
#include "tests/sim/sim_leaving.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_merge.h"
#include "tests/sim/sim_point.h"
#include "tests/sim/sim_split.h"
#include "tests/sim/sim_start.h"
#include "tests/sim/sim_stop.h"
#include "tests/sim/sim_watch.h"
#include "tests/sim/sim_zone.h"

enum {
    LOOK_MS = 20,
    PAUSE_MS_MAX = 5000,
    CLOCK_OFFSET_MS = 200 /* that clocks are apart that are right */
};

static struct sim_node *node_of(struct sim_machine *machine)
{
    return container_of(machine, struct sim_node, machine);
}

/* ---- what the machine and the network ask for ---- */

static void send_packet(struct sim_machine *machine, uint64_t to,
                        enum env_channel channel,
                        const struct env_packet *packet)
{
    struct sim_node *node = node_of(machine);

    if (to == 0 || to > node->cluster->plan->nodes || to == machine->node_id)
        sim_fail(machine->loop, "node %" PRIu64 " sends to node %" PRIu64,
                 machine->node_id, to);
    if (node->state != SIM_STOPPING)
        sim_net_send(node->cluster->net, node->number, (size_t)to - 1, channel,
                     packet);
}

static size_t pending_bytes(struct sim_machine *machine, uint64_t to,
                            enum env_channel channel)
{
    struct sim_node *node = node_of(machine);

    return sim_net_pending(node->cluster->net, node->number, (size_t)to - 1,
                           channel);
}

static void after_step(struct sim_machine *machine)
{
    struct sim_node *node = node_of(machine);

    if (node->node == NULL)
        return;
    sim_watch_step(node->cluster->watch, node);
    sim_zones_step(node->cluster->zones, node);
    sim_leaving_step(node);
}

static void died(struct sim_machine *machine)
{
    struct sim_node *node = node_of(machine);

    node->cluster->on_died(node->cluster->on_died_context, node);
}

static void on_persist(struct sim_machine *machine, bool in_log, bool done)
{
    struct sim_node *node = node_of(machine);

    if (node->cluster->point != NULL)
        sim_point_pass(node->cluster->point, node, in_log, done);
}

static bool is_up(void *context, size_t number)
{
    const struct sim_cluster *cluster = context;
    const struct sim_node *node = &cluster->nodes[number];

    return node->state == SIM_FOUNDING || node->state == SIM_JOINING ||
           node->state == SIM_UP || node->state == SIM_RETIRING;
}

static uint64_t paused_until(void *context, size_t number)
{
    const struct sim_cluster *cluster = context;

    return cluster->nodes[number].machine.paused_until_ns;
}

static void on_packet(void *context, size_t number, size_t from,
                      enum env_channel channel, const struct env_packet *packet)
{
    struct sim_cluster *cluster = context;
    struct sim_node *node = &cluster->nodes[number];

    (void)channel;
    if (!sim_drain_admits(node, &cluster->nodes[from]))
        return;
    sim_env_enter(node->env, ENV_WORKER);
    sim_start_on_packet(node, from + 1, packet);
    sim_env_leave(node->env);
}

static void on_link(void *context, size_t number, size_t other, bool up)
{
    struct sim_cluster *cluster = context;
    struct sim_node *node = &cluster->nodes[number];

    if (node->state == SIM_JOINING ||
        cluster->nodes[other].state == SIM_JOINING)
        return; /* A guest has a connection, but no link. */
    if (up && !sim_drain_admits(node, &cluster->nodes[other]))
        return;
    node->linked[other] = up;
    if (node->node == NULL)
        return;
    sim_env_enter(node->env, ENV_WORKER);
    node_on_link(node->node, other + 1, up);
    sim_env_leave(node->env);
}

/* ---- regions ---- */

bool sim_cluster_find_region(const struct sim_cluster *cluster,
                             uint64_t *region)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct node *node = cluster->nodes[i].node;
        const struct peer *peer = NULL;

        while (node != NULL && (peer = node_next_peer(node, peer)) != NULL)
            if (peer->region_id >= *region && peer->region_id < least)
                least = peer->region_id;
    }
    if (least == UINT64_MAX)
        return false;
    *region = least;
    return true;
}

const struct sim_node *sim_cluster_holder(const struct sim_cluster *cluster,
                                          uint64_t region)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct sim_node *node = &cluster->nodes[i];

        if (node->node != NULL && node_peer(node->node, region) != NULL)
            return node;
    }
    return NULL;
}

struct peer *sim_cluster_leader(struct sim_cluster *cluster, uint64_t region,
                                struct sim_node **ret_node)
{
    size_t first = sim_pick(cluster->loop, cluster->plan->nodes);

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        struct sim_node *node =
            &cluster->nodes[(first + i) % cluster->plan->nodes];
        struct peer *peer =
            sim_node_serves(node) ? node_peer(node->node, region) : NULL;

        if (peer == NULL || !peer_is_leader(peer))
            continue;
        *ret_node = node;
        return peer;
    }
    return NULL;
}

uint64_t sim_cluster_pick_region(struct sim_cluster *cluster, uint64_t first)
{
    uint64_t picked = first;
    uint64_t seen = 0;
    uint64_t region;

    for (region = first; sim_cluster_find_region(cluster, &region); region++)
        if (sim_pick(cluster->loop, ++seen) == 0)
            picked = region;
    return picked;
}

/* ---- the beginning and the end ---- */

bool sim_node_is_member(const struct sim_node *node)
{
    return node->number < node->cluster->plan->founders ||
           node->identity.cluster_id != 0;
}

bool sim_node_serves(const struct sim_node *node)
{
    return (node->state == SIM_UP || node->state == SIM_RETIRING) &&
           node->machine.paused_until_ns <= node->machine.loop->now_ns;
}

void sim_node_pause(struct sim_node *node, uint64_t span_ns)
{
    uint64_t now_ns = node->machine.loop->now_ns;

    /* One at a time: what one has put off would come out of order when its end
     * was put off in turn. */
    if (node->state == SIM_DOWN || node->machine.paused_until_ns > now_ns)
        return;
    if (span_ns > PAUSE_MS_MAX * sim_ms)
        span_ns = PAUSE_MS_MAX * sim_ms;
    sim_seen(SEEN_PAUSE);
    sim_note(node->machine.loop, "node %zu: paused for %" PRIu64 " ms",
             node->number + 1, span_ns / sim_ms);
    node->machine.paused_until_ns = now_ns + span_ns;
}

/* Ids are given in the order of asking, and the network goes by numbers. */
static bool may_start(const struct sim_node *node)
{
    return sim_node_is_member(node) || sim_node_is_member(node - 1);
}

static void look(struct sim_event *event)
{
    struct sim_node *node = container_of(event, struct sim_node, event);
    uint64_t now_ns = node->machine.loop->now_ns;

    sim_post_in(node->machine.loop, event, LOOK_MS * sim_ms);
    if (node->machine.paused_until_ns > now_ns)
        return;
    if (node->state == SIM_DOWN && node->start_at_ns <= now_ns &&
        may_start(node))
        sim_node_start(node);
    else if (node->state == SIM_RETIRING && node->retired)
        sim_stop_now(node);
    else if (node->state == SIM_STOPPING && sim_env_is_idle(node->env))
        sim_stop_close(node);
}

/* ---- the cluster ---- */

int64_t sim_clock_offset(struct sim_loop *loop)
{
    return (int64_t)sim_pick(loop, CLOCK_OFFSET_MS * sim_ms);
}

/* Some are wrong from the beginning. */
static int64_t first_clock_offset(const struct sim_cluster *cluster)
{
    if (sim_pick(cluster->loop, 8) == 0)
        return (int64_t)sim_pick(cluster->loop, cluster->plan->step_ns);
    return sim_clock_offset(cluster->loop);
}

static void node_init(struct sim_cluster *cluster, size_t number)
{
    struct sim_node *node = &cluster->nodes[number];
    int64_t drift = (int64_t)cluster->plan->drift_ppm;
    uint64_t drawn = sim_between(cluster->loop, 0, 2 * (uint64_t)drift);

    node->cluster = cluster;
    node->number = number;
    node->machine = (struct sim_machine){
        .loop = cluster->loop,
        .plan = cluster->plan,
        .node_id = number + 1,
        .drift_ppm = (int64_t)drawn - drift,
        .wall_offset_ns = first_clock_offset(cluster),
        .context = node,
        .send = send_packet,
        .pending = pending_bytes,
        .after_step = after_step,
        .died = died,
        .on_persist = on_persist,
    };
    node->event.run = look;
    sim_post_in(cluster->loop, &node->event,
                sim_pick(cluster->loop, 500 * sim_ms));
    if (number >= cluster->plan->founders) {
        node->start_at_ns =
            sim_between(cluster->loop, 1000 * sim_ms, cluster->plan->chaos_ns);
        return;
    }
    cluster->founders.founder[number].id = number + 1;
    (void)snprintf(cluster->founders.founder[number].address,
                   sizeof cluster->founders.founder[number].address,
                   "10.0.0.%zu:7420", number + 1);
}

struct sim_cluster *sim_cluster_new(struct sim_loop *loop,
                                    const struct sim_plan *plan)
{
    struct sim_cluster *cluster = mem_zalloc(sizeof *cluster);
    struct sim_net_host host = {
        .context = cluster,
        .is_up = is_up,
        .paused_until_ns = paused_until,
        .on_packet = on_packet,
        .on_link = on_link,
    };

    cluster->loop = loop;
    cluster->plan = plan;
    cluster->founders.count = plan->founders;
    for (size_t i = 0; i < plan->nodes; i++)
        node_init(cluster, i);
    sim_start_make_stores(cluster);
    cluster->net = sim_net_new(loop, plan, &host);
    cluster->watch = sim_watch_new(cluster);
    return cluster;
}

void sim_cluster_free(struct sim_cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        assert(cluster->nodes[i].state == SIM_DOWN);
        kv_close(cluster->nodes[i].log);
        kv_close(cluster->nodes[i].state_kv);
    }
    sim_merges_free(cluster->merges);
    sim_splits_free(cluster->splits);
    sim_watch_free(cluster->watch);
    sim_net_free(cluster->net);
    free(cluster);
}

void sim_cluster_calm(struct sim_cluster *cluster)
{
    sim_net_calm(cluster->net);
    cluster->calm = true;
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        struct sim_node *node = &cluster->nodes[i];

        node->machine.wall_is_right = true;
        node->machine.slow_disk_until_ns = 0;
        node->machine.disk_full_until_ns = 0;
        node->machine.slow_apply_until_ns = 0;
        node->down_ns = 0;
        if (node->env != NULL)
            sim_env_fail_next(node->env, SIM_ERROR_NONE);
        if (node->state == SIM_DOWN)
            sim_stop_start_later(node, 0);
    }
}

bool sim_cluster_is_up(const struct sim_cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++)
        if (cluster->nodes[i].state != SIM_UP && !cluster->nodes[i].removed)
            return false;
    return true;
}
