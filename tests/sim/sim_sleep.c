/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_sleep.h"

#include <inttypes.h>

#include "engine/peer_impl.h"

static size_t live_voters(const struct sim_node *node, const struct peer *peer)
{
    const struct region *region = &peer->region;
    size_t count = 0;

    for (size_t i = 0; i < region->voter_count; i++)
        count +=
            node_is_alive(node->node, peer_node_of(peer, region->voters[i]));
    return count;
}

/* NULL, or what is wrong. */
static const char *fault_of(const struct sim_node *node,
                            const struct peer *peer)
{
    uint64_t leader = peer_leader_node(peer);

    if (peer->damaged || peer->install != NULL)
        return "its state is not whole";
    if (!TAILQ_EMPTY(&peer->queued) || !TAILQ_EMPTY(&peer->pending) ||
        !TAILQ_EMPTY(&peer->index_requests) ||
        !TAILQ_EMPTY(&peer->applied_waiters))
        return "somebody waits";
    if (peer_is_leader(peer) &&
        live_voters(node, peer) <= peer->region.voter_count / 2)
        return "it leads without a quorum";
    if (!node_is_alive(node->node, leader))
        return "its leader's node is lost";
    return NULL;
}

void sim_sleep_check(struct sim_cluster *cluster, const struct sim_node *node,
                     const struct peer *peer)
{
    const char *fault;

    if (!raft_is_asleep(peer->raft) || peer->process_posted)
        return;
    fault = fault_of(node, peer);
    if (fault != NULL || !peer->asleep)
        sim_fail(cluster->loop, "region %" PRIu64 ": node %zu sleeps: %s",
                 peer->region_id, node->number + 1,
                 fault != NULL ? fault : "and does not know it");
}

bool sim_sleep_is_deep(const struct sim_cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct sim_node *node = &cluster->nodes[i];
        const struct peer *peer = NULL;

        if (node->removed)
            continue;
        if (node->state != SIM_UP)
            return false;
        while ((peer = node_next_peer(node->node, peer)) != NULL)
            if (!peer->asleep)
                return false;
    }
    return true;
}

struct sim_node *sim_sleep_leader(struct sim_cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        struct sim_node *node = &cluster->nodes[i];
        const struct peer *peer = NULL;

        while (!node->removed &&
               (peer = node_next_peer(node->node, peer)) != NULL)
            if (peer_is_leader(peer) && peer->region.voter_count >= 3 &&
                peer->region_id != REGION_PLACEMENT)
                return node;
    }
    return NULL;
}

static bool is_led(const struct sim_cluster *cluster, const struct peer *peer)
{
    uint64_t leader = peer_leader_node(peer);

    return peer->region.voter_count < 3 ||
           (leader != 0 && cluster->nodes[leader - 1].state == SIM_UP);
}

bool sim_sleep_is_led(const struct sim_cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct sim_node *node = &cluster->nodes[i];
        const struct peer *peer = NULL;

        while (node->state == SIM_UP &&
               (peer = node_next_peer(node->node, peer)) != NULL)
            if (!is_led(cluster, peer))
                return false;
    }
    return true;
}
