/* SPDX-License-Identifier: Apache-2.0 */

/* The entries of a merge (merge_change.h), as one replica of a region sees
 * them. For the source there are two, and they only change its descriptor:
 * from FREEZE on it takes no commands, and reads of it are no business of its
 * leader's any more but of the target's (node_read_barrier()). For the target
 * it is the last one that matters:
 *
 *     peer_start_merge     TAKE is handed out: from here on this node has no
 *          |               replica of the source, and not yet one of the whole
 *     applier_merge        ENV_APPLY, behind all that the source has applied:
 *          |               descriptor, marker and memory of the whole, and the
 *          |               source's tombstone, in one batch
 *     peer_finish_merge    the whole can be read; what log/ has of the source
 *                          is erased, as soon as that batch is durable
 *
 * No read of what was the source's can be stale meanwhile: TAKE is proposed
 * only when no replica of it holds a lease of its own, or answers from it, any
 * more.
 *
 * The source was frozen here, durably, before TAKE was proposed (merge.h); so
 * it is there after a crash, too. It may have been damaged since, or have gone
 * with a snapshot that did not come to its end: then this replica cannot apply
 * the entry, and is rebuilt from a snapshot, which has it all. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/merge_change.h"
#include "engine/node.h"
#include "engine/peer_impl.h"

struct peer_merge {
    struct command command; /* borrows from the entry */
    int status;             /* 0: it has an effect */
    bool lacks_source;
    struct range_merge merge;
};

static bool takes_over(const struct command *command)
{
    return command->op == COMMAND_MERGE &&
           command->merge_step == MERGE_STEP_TAKE;
}

static void start_taking(struct peer *peer, struct peer_merge *merge)
{
    const struct region_merge *plan = &peer->region.merge;

    merge->merge.source_is_left =
        slice_compare(plan->start, peer->region.start) < 0;
    merge->merge.source = plan->other;
    merge->lacks_source =
        !node_on_merge(peer->node, peer, plan->other, plan->attempt);
}

struct peer_merge *peer_start_merge(struct peer *peer,
                                    const struct raft_entry *entry)
{
    struct peer_merge *merge = mem_zalloc(sizeof *merge);
    const struct command *command = &merge->command;

    merge->status = command_decode(
        &merge->command, (struct slice){entry->data->data, entry->data->size});
    if (merge->status == 0)
        merge->status = region_merge_check(&peer->region, command);
    if (merge->status != 0)
        return merge;
    if (takes_over(command))
        start_taking(peer, merge);
    if (merge->lacks_source)
        return merge;
    merge->merge.only_replica = !peer_has_other_voter(peer);
    merge->merge.region = region_merge(&peer->region, command, entry->index);
    region_release(&peer->region);
    peer->region = region_copy(&merge->merge.region);
    if (command->op != COMMAND_MERGE)
        node_on_freeze(peer->node);
    return merge;
}

int peer_apply_merge(struct peer *peer, const struct peer_merge *merge,
                     const struct raft_entry *entry, struct buf **ret_result)
{
    if (merge->lacks_source)
        return applier_lacks_source(peer->applier);
    return applier_merge(peer->applier, entry,
                         merge->status == 0 ? &merge->merge : NULL,
                         merge->status, ret_result);
}

static void log_taken(const struct peer *peer, const struct peer_merge *merge)
{
    node_log_event(peer->node, LOG_INFO,
                   "region %" PRIu64 ": has taken over region %" PRIu64,
                   peer->region_id, merge->merge.source);
}

void peer_finish_merge(struct peer *peer, struct peer_merge *merge,
                       bool applied)
{
    uint64_t source = merge->merge.source;

    if (source != 0 && !merge->lacks_source)
        node_on_merge_applied(peer->node, peer->closed ? NULL : peer, source,
                              applied);
    if (source != 0 && applied)
        log_taken(peer, merge);
    command_release(&merge->command);
    region_release(&merge->merge.region);
    free(merge);
}

int peer_propose_merge(struct peer *peer, struct proposal *proposal)
{
    return peer_propose_checked(peer, proposal, region_merge_check);
}
