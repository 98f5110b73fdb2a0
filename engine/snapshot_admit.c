/* SPDX-License-Identifier: Apache-2.0 */

/* Which streams a node takes.
 *
 * Regions on a node never overlap. Where they would, because another replica
 * here has not heard yet of a split, a merge or its own removal, the stream is
 * refused and comes again later. */

#include "engine/snapshot_impl.h"

static bool has_peer(const struct region *region, uint64_t peer, uint64_t node)
{
    for (size_t i = 0; i < region->peer_count; i++)
        if (region->peers[i].id == peer && region->peers[i].node == node)
            return true;
    return false;
}

/* A range that this replica does not have might reach into a neighbour's
 * keys; as long as regions keep their ranges there is none. */
static bool same_bounds(const struct region *a, const struct region *b)
{
    return slice_equal(a->start, b->start) && slice_equal(a->end, b->end);
}

int snapshot_admit(const struct snapshots *snapshots, uint64_t from_node,
                   const struct snapshot_begin *begin)
{
    const struct region *region = &begin->region;
    struct peer *peer = node_any_peer(snapshots->node, region->id);
    uint64_t here = node_id(snapshots->node);

    if (peer == NULL)
        return ERR_NOT_FOUND;
    if (peer_id(peer) != begin->to_peer ||
        !has_peer(region, begin->to_peer, here) ||
        !has_peer(region, begin->from_peer, from_node))
        return ERR_FOREIGN;
    if (begin->index == 0 || begin->term == 0 ||
        begin->raft_term < begin->term || !snapshot_bounds_valid(region))
        return ERR_PROTOCOL;
    if (peer_is_initialised(peer) && !same_bounds(region, peer_region(peer)))
        return ERR_EPOCH;
    if (node_overlaps(snapshots->node, region) ||
        receivings_overlap(snapshots, region))
        return ERR_EPOCH;
    return 0;
}
