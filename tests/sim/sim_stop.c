/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_stop.h"

#include "engine/keys.h"
#include "engine/peer_impl.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_start.h"
#include "tests/sim/sim_watch.h"
#include "tests/sim/sim_zone.h"

void sim_stop_start_later(struct sim_node *node, uint64_t down_ns)
{
    uint64_t now_ns = node->machine.loop->now_ns;

    if (node->refused && node->cluster->calm)
        down_ns = UINT64_MAX; /* It has seen that it is in vain. */
    node->start_at_ns = down_ns == UINT64_MAX ? down_ns : now_ns + down_ns;
}

static bool is_installing(const struct sim_node *node)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_peer(node->node, peer)) != NULL)
        if (peer->install != NULL)
            return true;
    return false;
}

static bool is_damaged(const struct sim_node *node)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_peer(node->node, peer)) != NULL)
        if (peer->damaged)
            return true;
    return false;
}

/* A new region's state is durable only with what its parent has applied. */
static bool has_loose_region(const struct sim_node *node)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_peer(node->node, peer)) != NULL) {
        struct key key = key_region(peer->region_id);
        struct kv_value value = {0};

        if (kv_get_durable(node->env->env.state, key_slice(&key), &value) != 0)
            return true;
        kv_value_release(&value);
    }
    return false;
}

/* What was in danger. */
static void note_crash(const struct sim_node *node)
{
    sim_seen(SEEN_CRASH);
    if (node->node != NULL && is_installing(node))
        sim_seen(SEEN_SNAPSHOT_CRASH);
    if (node->node != NULL && is_damaged(node))
        sim_seen(SEEN_DAMAGE_CRASH);
    if (node->node != NULL && has_loose_region(node))
        sim_seen(SEEN_SPLIT_CRASH);
    if (node->state == SIM_FOUNDING)
        sim_seen(SEEN_FOUNDING_CRASH);
    if (node->state == SIM_JOINING)
        sim_seen(SEEN_JOINING_CRASH);
    if (node->node != NULL && node_peer(node->node, REGION_PLACEMENT) == NULL)
        sim_seen(SEEN_JOINED_CRASH);
}

static void crash(struct sim_node *node, bool with_machine, enum sim_tail tail,
                  uint64_t down_ns)
{
    if (node->state == SIM_DOWN)
        return;
    note_crash(node);
    sim_note(node->machine.loop, "node %zu: %s", node->number + 1,
             with_machine ? "power cut" : "killed");
    sim_env_crash(node->env, tail, &node->log, &node->state_kv);
    sim_net_drop(node->cluster->net, node->number, with_machine);
    node->node = NULL; /* Left lying. */
    node->bootstrap = NULL;
    node->joiner = NULL;
    node->env = NULL;
    node->state = SIM_DOWN;
    node->machine.paused_until_ns = 0;
    sim_stop_start_later(node, down_ns);
    sim_watch_crash(node->cluster->watch);
    sim_zones_on_crash(node->cluster->zones, node);
}

void sim_node_crash(struct sim_node *node, bool with_machine, uint64_t down_ns)
{
    crash(node, with_machine, SIM_TAIL_ANY, down_ns);
}

void sim_node_cut_power(struct sim_node *node, enum sim_tail tail,
                        uint64_t down_ns)
{
    crash(node, true, tail, down_ns);
}

static void retired(void *context)
{
    struct sim_node *node = context;

    node->retired = true; /* The next look goes on. */
}

void sim_node_stop(struct sim_node *node, uint64_t down_ns)
{
    if (node->state != SIM_UP)
        return;
    sim_seen(SEEN_RESTART);
    sim_note(node->machine.loop, "node %zu: stop", node->number + 1);
    node->state = SIM_RETIRING;
    node->down_ns = down_ns;
    node->retired = false;
    sim_env_enter(node->env, ENV_WORKER);
    node_retire(node->node, retired, node);
    sim_env_leave(node->env);
}

void sim_stop_now(struct sim_node *node)
{
    node->state = SIM_STOPPING;
    sim_env_enter(node->env, ENV_WORKER);
    node_stop(node->node);
    sim_env_leave(node->env);
    sim_net_drop(node->cluster->net, node->number, false);
}

void sim_stop_close(struct sim_node *node)
{
    sim_note(node->machine.loop, "node %zu: closed", node->number + 1);
    sim_env_enter(node->env, ENV_WORKER);
    node_close(node->node);
    node->node = NULL;
    bootstrap_free(node->bootstrap);
    node->bootstrap = NULL;
    sim_start_free_joiner(node);
    sim_env_leave(node->env);
    sim_env_end(node->env, &node->log, &node->state_kv);
    node->env = NULL;
    node->state = SIM_DOWN;
    sim_stop_start_later(node, node->down_ns);
}
