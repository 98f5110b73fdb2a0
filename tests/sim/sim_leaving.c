/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_leaving.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/peer_impl.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_watch.h"

enum { STRIKE_PER_MILLION = 200000, CRASH_PER_MILLION = 600000 };

/* What is to come, in the incarnation that it was meant for. */
struct strike {
    struct sim_event event; /* first member */
    struct sim_node *node;
    uint64_t starts;
    uint64_t region;
};

static struct sim_loop *loop_of(const struct sim_node *node)
{
    return node->machine.loop;
}

static void post(struct sim_node *node, uint64_t region,
                 void (*run)(struct sim_event *event), uint64_t delay_ns)
{
    struct strike *s = mem_zalloc(sizeof *s);

    *s = (struct strike){{.run = run}, node, node->starts, region};
    sim_post_in(loop_of(node), &s->event, delay_ns);
}

static bool is_running(const struct strike *s)
{
    return s->node->starts == s->starts && sim_node_serves(s->node);
}

static struct peer *leaving_peer(const struct sim_node *node, uint64_t region)
{
    struct peer *peer = node_peer(node->node, region);

    return peer != NULL && !peer->damaged &&
                   region_find_peer(&peer->region, peer->id) == NULL
               ? peer
               : NULL;
}

static void crash(struct sim_event *event)
{
    struct strike *s = (struct strike *)event;

    if (is_running(s))
        s->node->cluster->on_died(s->node->cluster->on_died_context, s->node);
    free(s);
}

static void find_damage(struct sim_node *node, struct peer *peer)
{
    struct sim_harm *harm = sim_harms_of(sim_watch_harms(node->cluster->watch),
                                         node->number, peer->region_id);

    sim_seen(SEEN_DAMAGE_LEAVING);
    harm->done = true;
    sim_env_enter(node->env, ENV_WORKER);
    (void)peer_found_damage(peer, "as the simulation says");
    sim_env_leave(node->env);
}

static void strike(struct sim_event *event)
{
    struct strike *s = (struct strike *)event;
    struct peer *peer = NULL;

    if (is_running(s))
        peer = leaving_peer(s->node, s->region);
    if (peer != NULL) {
        find_damage(s->node, peer);
        if (sim_chance(loop_of(s->node), CRASH_PER_MILLION))
            post(s->node, s->region, crash,
                 sim_spread(loop_of(s->node),
                            2 * s->node->cluster->plan->sync_ns));
    }
    free(s);
}

void sim_leaving_step(struct sim_node *node)
{
    const struct peer *peer = NULL;

    if (!node->cluster->plan->damage_leaving)
        return;
    while ((peer = node_next_peer(node->node, peer)) != NULL)
        if (leaving_peer(node, peer->region_id) != NULL &&
            sim_chance(loop_of(node), STRIKE_PER_MILLION))
            post(node, peer->region_id, strike, 0);
}
