/* SPDX-License-Identifier: Apache-2.0 */

/* What a node says of its replicas of two regions that are to be merged. */

#include "engine/merge_change.h"
#include "engine/merge_impl.h"
#include "engine/node.h"

/* Entries applied and not saved: more than that is saved before the source is
 * frozen, so that it is not for long. */
enum { UNSAVED_MAX = 64 };

static bool is_sound(const struct peer *peer)
{
    return !peer_is_damaged(peer) && !peer_is_restoring(peer);
}

static bool is_of_epoch(const struct peer *peer, uint64_t version,
                        uint64_t conf_ver)
{
    const struct region *region = peer_region(peer);

    return region->version == version && region->conf_ver == conf_ver &&
           !region_is_merging(region);
}

static bool is_saved(const struct peer *peer)
{
    return peer_durable(peer) + UNSAVED_MAX >= peer_applied(peer);
}

static enum merge_report_state report_before(const struct merge_query *query,
                                             const struct peer *target,
                                             const struct peer *source)
{
    if (!is_of_epoch(target, query->target_version, query->target_conf_ver) ||
        !is_of_epoch(source, query->source_version, query->source_conf_ver))
        return MERGE_BEHIND;
    return is_saved(target) && is_saved(source) ? MERGE_READY : MERGE_UNSAVED;
}

static enum merge_report_state report_frozen(const struct merge_query *query,
                                             const struct peer *target,
                                             const struct peer *source)
{
    const struct region_merge *begun = &peer_region(target)->merge;

    if (begun->state != MERGE_TAKING || begun->attempt != query->attempt ||
        !region_is_frozen_for(peer_region(source), query->target,
                              query->attempt))
        return MERGE_BEHIND;
    return peer_durable(target) >= query->attempt &&
                   peer_durable(source) >= peer_region(source)->merge.index
               ? MERGE_READY
               : MERGE_UNSAVED;
}

enum merge_report_state merge_report(struct node *node,
                                     const struct merge_query *query)
{
    const struct peer *target = node_peer(node, query->target);
    const struct peer *source = node_peer(node, query->source);
    enum merge_report_state state;

    if (target == NULL || source == NULL)
        return MERGE_MISSING;
    if (!is_sound(target) || !is_sound(source))
        return MERGE_DAMAGED;
    state = query->attempt == 0 ? report_before(query, target, source)
                                : report_frozen(query, target, source);
    if (state == MERGE_UNSAVED)
        node_flush_state(node);
    return state;
}

void merges_on_query(struct merges *merges, uint64_t from_node,
                     const struct env_packet *packet)
{
    struct merge_query query;
    struct merge_report report;
    struct buf *header;

    if (merge_query_decode(&query, buf_slice(packet->header)) != 0)
        return;
    report = (struct merge_report){
        .target = query.target,
        .source = query.source,
        .attempt = query.attempt,
        .state = merge_report(merges->node, &query),
    };
    header = merge_report_encode(&report);
    node_send(merges->node, from_node, ENV_CHANNEL_RAFT, WIRE_MERGE_REPORT,
              header, NULL);
    buf_unref(header);
}
