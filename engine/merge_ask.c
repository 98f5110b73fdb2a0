/* SPDX-License-Identifier: Apache-2.0 */

/* Asking the nodes of both regions how far their replicas are. */

#include <inttypes.h>
#include <stdio.h>

#include "engine/merge_impl.h"
#include "engine/node.h"

enum { ASK_AGAIN_MS = 20 };

/* That of a node of the target. */
static struct report *report_of(struct merge *merge, uint64_t node_id)
{
    struct report *report;

    for (size_t i = 0; i < merge->report_count; i++)
        if (merge->reports[i].node == node_id)
            return &merge->reports[i];
    report = &merge->reports[merge->report_count++];
    *report = (struct report){.node = node_id};
    return report;
}

static void ask_node(struct merge *merge, struct report *report,
                     const struct merge_query *query)
{
    struct node *node = merge->merges->node;
    struct buf *header;

    if (report->node == node_id(node)) {
        report->state = merge_report(node, query);
        return;
    }
    header = merge_query_encode(query);
    node_send(node, report->node, ENV_CHANNEL_RAFT, WIRE_MERGE_QUERY, header,
              NULL);
    buf_unref(header);
}

bool merge_ask(struct merge *merge, const struct region *target,
               const struct merge_query *query)
{
    uint64_t now_ns = env_mono_ns(node_env(merge->merges->node));
    bool again = merge->asked_ns == 0 ||
                 now_ns - merge->asked_ns >= (uint64_t)ASK_AGAIN_MS * 1000000;
    bool ready = true;

    if (again)
        merge->asked_ns = now_ns;
    for (size_t i = 0; i < target->peer_count; i++) {
        struct report *report = report_of(merge, target->peers[i].node);

        if (report->state != MERGE_READY && again)
            ask_node(merge, report, query);
        ready = ready && report->state == MERGE_READY;
    }
    return ready;
}

static const char *words_for(enum merge_report_state state)
{
    switch (state) {
    case MERGE_MISSING:
        return "does not have a replica of both";
    case MERGE_BEHIND:
        return "is behind";
    case MERGE_DAMAGED:
        return "has a damaged replica";
    case MERGE_UNSAVED:
        return "could not save it in time";
    default:
        return "does not answer";
    }
}

void merge_note_late(struct merge *merge)
{
    char why[WHY_SIZE] = "it was not done in time";

    for (size_t i = merge->report_count; i-- > 0;)
        if (merge->reports[i].state != MERGE_READY)
            (void)snprintf(why, sizeof why, "node %" PRIu64 " %s",
                           merge->reports[i].node,
                           words_for(merge->reports[i].state));
    merge_note_failure(merge, ERR_NOT_PERMITTED, why);
}

void merges_on_report(struct merges *merges, uint64_t from_node,
                      const struct env_packet *packet)
{
    struct merge_report report;
    struct merge *merge;

    if (merge_report_decode(&report, buf_slice(packet->header)) != 0)
        return;
    merge = merges_find(merges, report.target);
    if (merge == NULL || merge->source != report.source ||
        merge->attempt != report.attempt)
        return;
    for (size_t i = 0; i < merge->report_count; i++)
        if (merge->reports[i].node == from_node)
            merge->reports[i].state = report.state;
}
