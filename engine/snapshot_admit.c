/* SPDX-License-Identifier: Apache-2.0 */

/* Which streams a node takes.
 *
 * The region may have another range by now than its replica here has: what
 * that has besides is cleared by the install. But regions on a node never
 * overlap. Where they would, because another replica here has not heard yet of
 * a split, a merge or its own removal, the stream is refused and comes again
 * later. Of a merge the stream itself tells: the region that was merged into
 * this one goes then, but only when nothing else keeps the stream out, because
 * this one may still be about to take it over by its log. */

#include "engine/snapshot_impl.h"

static bool has_peer(const struct region *region, uint64_t peer, uint64_t node)
{
    for (size_t i = 0; i < region->peer_count; i++)
        if (region->peers[i].id == peer && region->peers[i].node == node)
            return true;
    return false;
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
    return 0;
}

int snapshot_fits(const struct snapshots *snapshots,
                  const struct region *region)
{
    return node_overlaps(snapshots->node, region) ||
                   receivings_overlap(snapshots, region)
               ? ERR_EPOCH
               : 0;
}

int snapshot_make_way(const struct snapshots *snapshots,
                      const struct region *region)
{
    if (receivings_overlap(snapshots, region))
        return ERR_EPOCH;
    node_drop_absorbed(snapshots->node, region);
    return snapshot_fits(snapshots, region);
}
