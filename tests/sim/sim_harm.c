/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_harm.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/peer_impl.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_table.h"

struct sim_harms {
    struct sim_cluster *cluster;
    struct sim_table nodes[SIM_NODES_MAX]; /* sim_harm */
};

struct sim_harms *sim_harms_new(struct sim_cluster *cluster)
{
    struct sim_harms *harms = mem_zalloc(sizeof *harms);

    harms->cluster = cluster;
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        harms->nodes[i].item_size = sizeof(struct sim_harm);
    return harms;
}

void sim_harms_free(struct sim_harms *harms)
{
    sim_harms_forget(harms);
    free(harms);
}

struct sim_harm *sim_harms_of(struct sim_harms *harms, size_t node,
                              uint64_t region)
{
    return sim_table_at(&harms->nodes[node], region);
}

/* ---- what checks find ---- */

/* It was to take over a region whose replica here has come to harm. */
static bool lacks_source(struct sim_harms *harms, const struct sim_node *node,
                         const struct peer *peer)
{
    const struct region_merge *merge = &peer->region.merge;
    const struct peer *source = node_peer(node->node, merge->other);

    return merge->state == MERGE_TAKING &&
           (source == NULL || peer_is_restoring(source) ||
            sim_harms_of(harms, node->number, merge->other)->done);
}

void sim_harms_step(struct sim_harms *harms, const struct sim_node *node,
                    const struct peer *peer, bool *damaged)
{
    struct sim_harm *harm = sim_harms_of(harms, node->number, peer->region_id);

    if (peer->damaged && !harm->done && lacks_source(harms, node, peer)) {
        sim_seen(SEEN_MERGE_LACKING);
        harm->done = true;
    }
    if (peer->damaged && !harm->done)
        sim_fail(harms->cluster->loop,
                 "region %" PRIu64 ": node %zu was found damaged and is not",
                 peer->region_id, node->number + 1);
    if (peer->damaged && !*damaged) {
        sim_seen(SEEN_DAMAGE_FOUND);
        if (raft_role(peer->raft) == RAFT_LEADER)
            sim_seen(SEEN_DAMAGE_LED);
    }
    if (!peer->damaged && *damaged) {
        harm->mended = true;
        sim_seen(SEEN_REBUILT);
    }
    *damaged = peer->damaged;
}

/* ---- what became of it ---- */

void sim_harms_forget(struct sim_harms *harms)
{
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        sim_table_clear(&harms->nodes[i]);
}

/* The replica that came to harm is not there any more: it was moved away, or
 * its region was merged into another one. */
static bool has_left(const struct sim_harms *harms, size_t node,
                     uint64_t region)
{
    const struct node *runs = harms->cluster->nodes[node].node;

    return runs != NULL && node_any_peer(runs, region) == NULL;
}

bool sim_harms_are_mended(const struct sim_harms *harms, size_t node)
{
    const struct sim_table *harm = &harms->nodes[node];

    for (size_t i = 0; i < harm->count; i++) {
        const struct sim_harm *done = harm->rows[i].item;

        if (done->done && !done->mended &&
            !has_left(harms, node, harm->rows[i].region))
            return false;
    }
    return true;
}
