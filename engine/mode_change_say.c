/* SPDX-License-Identifier: Apache-2.0 */

/* What the log says of changes of modes: why one did not come about, and whom
 * one was made without. */

#include <inttypes.h>

#include "engine/domain.h"
#include "engine/mode_change_impl.h"

void mode_change_say_not_ready(const struct mode_change *change)
{
    node_log_event(change->node, LOG_WARN,
                   "directory %" PRIu64
                   " stays strong: this node does not know yet whether its "
                   "clock is right, or lacks changes of others",
                   change->nsid);
}

void mode_change_say_missing(const struct mode_change *change)
{
    if (change->goal == MODE_TO_EVENTUAL)
        node_log_event(change->node, LOG_WARN,
                       "directory %" PRIu64 " stays strong: node %" PRIu64
                       " is not heard of, and what is in it goes to all",
                       change->nsid, change->missing);
    else
        node_log_event(change->node, LOG_WARN,
                       "directory %" PRIu64 " stays eventual: node %" PRIu64
                       " has not told in time what it has accepted there",
                       change->nsid, change->missing);
}

void mode_change_say_too_large(const struct mode_change *change)
{
    node_log_event(change->node, LOG_WARN,
                   "directory %" PRIu64 " stays %s: more than %d directories "
                   "are below it",
                   change->nsid,
                   change->goal == MODE_TO_EVENTUAL ? "strong" : "eventual",
                   DOMAIN_DIRECTORIES_MAX);
}

void mode_change_say_below(const struct mode_change *change)
{
    node_log_event(change->node, LOG_WARN,
                   "directory %" PRIu64
                   " stays eventual: the one that it is in is eventual, "
                   "and has to become strong first",
                   change->nsid);
}

void mode_change_say_left_out(const struct mode_change *change)
{
    const struct left_out *left_out = &change->left_out;

    for (size_t i = 0; i < left_out->count; i++)
        node_log_event(
            change->node, LOG_WARN,
            "directory %" PRIu64 " is made strong without node %" PRIu64
            ": what that has accepted there, and nobody else has, "
            "goes to quarantine on it (behind its change %" PRIu64 ")",
            change->nsid, left_out->of[i].node, left_out->of[i].sequence);
}
