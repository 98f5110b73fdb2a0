/* SPDX-License-Identifier: Apache-2.0 */

/* Splitting a region, as one of its replicas sees it:
 *
 *     peer_start_split     the entry is handed out: from here on the region is
 *          |               the left part for all that this node does, so reads
 *          |               and proposals of the right part wait
 *     applier_split        on the owner of the left part: descriptors, markers
 *          |               and memory of both in one batch
 *     peer_finish_split    the new region's replica is opened, and belongs to
 *                          its own owner from here on; where the old region is
 *                          led it campaigns at once, with the votes of those
 *                          that have not come that far, too
 *
 * No read of the right part can be stale meanwhile. A new region is led only
 * after a majority knows that the split is committed, thus after its leader
 * has known that: from then on until the split is applied there, that leader
 * holds no lease for reads at once (peer_publish_reads()), and one that waits
 * for what is committed comes behind the split.
 *
 * After a crash the split may be applied again, while the new region's log is
 * in log/ already, with votes and acknowledgements in it: it is kept, and the
 * new replica goes on with it (repair_log() in peer.c). What it acknowledges
 * rests on what the split gives it, so the split has to be applied again by
 * all means: that it is committed is in log/ before the new log is, and no
 * snapshot takes its place (peer_install_snapshot()). */

#include <inttypes.h>
#include <stdlib.h>

#include "engine/node.h"
#include "engine/peer_impl.h"
#include "engine/range_change.h"

struct peer_split {
    struct command command; /* borrows from the entry */
    uint64_t index;         /* of the entry */
    int status;             /* 0: it has an effect */
    struct range_split split;
};

struct peer_split *peer_start_split(struct peer *peer,
                                    const struct raft_entry *entry)
{
    struct peer_split *split = mem_zalloc(sizeof *split);
    struct range_split *range = &split->split;

    split->index = entry->index;
    split->status = command_decode(
        &split->command, (struct slice){entry->data->data, entry->data->size});
    if (split->status == 0)
        split->status = region_split_check(&peer->region, &split->command);
    if (split->status != 0)
        return split;
    range->dir = split->command.dir;
    range->name = split->command.name;
    range->only_replica = !peer_has_other_voter(peer);
    region_split(&peer->region, &split->command, &range->left, &range->right);
    region_release(&peer->region);
    peer->region = region_copy(&range->left);
    range->right_here = node_on_split(peer->node, peer, &range->right);
    return split;
}

int peer_apply_split(struct peer *peer, const struct peer_split *split,
                     const struct raft_entry *entry, struct buf **ret_result)
{
    return applier_split(peer->applier, entry,
                         split->status == 0 ? &split->split : NULL,
                         split->status, ret_result);
}

void peer_finish_split(struct peer *peer, struct peer_split *split,
                       bool applied)
{
    const struct region *right = &split->split.right;

    if (split->status == 0 && applied && !peer->closed)
        peer_save_commit_of(peer, split->index);
    if (split->status == 0)
        node_on_split_applied(peer->node, right->id,
                              applied && split->split.right_here == SPLIT_KEEP,
                              !peer->closed && peer_is_leader(peer));
    if (split->status == 0 && applied)
        node_log_event(peer->node, LOG_INFO,
                       "region %" PRIu64 ": split; region %" PRIu64
                       " is what was behind",
                       peer->region_id, right->id);
    command_release(&split->command);
    region_release(&split->split.left);
    region_release(&split->split.right);
    free(split);
}

int peer_propose_split(struct peer *peer, struct proposal *proposal)
{
    return peer_propose_checked(peer, proposal, region_split_check);
}

void peer_campaign(struct peer *peer)
{
    if (peer_leader_node(peer) != 0)
        return;
    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    peer_check_raft(peer, raft_campaign(peer->raft));
    peer_wake(peer);
}
