/* SPDX-License-Identifier: Apache-2.0 */

/* Tells region 0 which regions are no more.
 *
 * The descriptor of a target names the last region that it has taken over.
 * Whoever leads it has region 0 write that down, and until it has, the target
 * begins no other merge and is no other one's source: so none gets lost.
 * Region 0 has a replica on every node. A replica of the source that comes back
 * after all who were in the merge have left the cluster learns it from there
 * (replicas_removed.c). */

#include "engine/merge_impl.h"
#include "engine/region_state.h"

enum { RECORD_MS = 1000 /* then it is tried anew */ };

bool merge_is_recorded(const struct merges *merges, const struct region *region)
{
    return region->absorbed == 0 ||
           region_state_is_gone(node_env(merges->node)->state,
                                region->absorbed);
}

/* Of those that are led here the next one by its id, or NULL. */
static const struct peer *next_unrecorded(const struct merges *merges,
                                          uint64_t behind)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_peer(merges->node, peer)) != NULL)
        if (peer_region_id(peer) > behind && peer_is_serving(peer) &&
            !merge_is_recorded(merges, peer_region(peer)))
            return peer;
    return NULL;
}

static void record_next(struct merges *merges, uint64_t behind);

/* What was not done is done with the next second. */
static void on_recorded(struct router_call *call, int status,
                        const struct result *result, uint64_t index)
{
    struct merges *merges = container_of(call, struct merges, record);

    (void)result;
    (void)index;
    if (status == 0)
        record_next(merges, merges->recorded);
}

static void record_next(struct merges *merges, uint64_t behind)
{
    struct node *node = merges->node;
    const struct peer *peer = next_unrecorded(merges, behind);
    struct command command = {.op = COMMAND_REGION_GONE};

    if (peer == NULL)
        return;
    merges->recorded = peer_region_id(peer);
    command.new_region = merges->recorded;
    command.merge.other = peer_region(peer)->absorbed;
    merges->record.kind = CALL_PROPOSE;
    router_to_region(&merges->record, REGION_PLACEMENT);
    merges->record.deadline_ns =
        env_mono_ns(node_env(node)) + (uint64_t)RECORD_MS * 1000000;
    merges->record.done = on_recorded;
    router_call(node_router(node), &merges->record, &command);
}

void merges_record(struct merges *merges)
{
    if (!merges->record.active)
        record_next(merges, 0);
}
