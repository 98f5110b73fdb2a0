/* SPDX-License-Identifier: Apache-2.0 */

/* What the log says of changes of modes: why one did not come about, and whom
 * one was made without. */

#include <inttypes.h>

#include "engine/domain.h"
#include "engine/key_path.h"
#include "engine/mode_change_impl.h"

static struct shown_path path_of(const struct mode_change *change)
{
    return key_path_show(node_env(change->node)->state, change->nsid);
}

void mode_change_say_not_ready(const struct mode_change *change)
{
    node_log_event(change->node, LOG_WARN,
                   "directory %s stays strong: this node does not know yet "
                   "whether its clock is right, or lacks changes of others",
                   path_of(change).text);
}

void mode_change_say_missing(const struct mode_change *change)
{
    if (change->goal == MODE_TO_EVENTUAL)
        node_log_event(change->node, LOG_WARN,
                       "directory %s stays strong: node %" PRIu64
                       " is not heard of, and what is in it goes to all",
                       path_of(change).text, change->missing);
    else
        node_log_event(change->node, LOG_WARN,
                       "directory %s stays eventual: node %" PRIu64
                       " has not told in time what it has accepted there",
                       path_of(change).text, change->missing);
}

void mode_change_say_not_brought(const struct mode_change *change)
{
    node_log_event(change->node, LOG_WARN,
                   "directory %s stays eventual: what is in it could not be "
                   "brought into the regions in time",
                   path_of(change).text);
}

void mode_change_say_too_large(const struct mode_change *change)
{
    node_log_event(change->node, LOG_WARN,
                   "directory %s keeps its mode: more than %d directories are "
                   "below it",
                   path_of(change).text, DOMAIN_DIRECTORIES_MAX);
}

void mode_change_say_left_out(const struct mode_change *change)
{
    const struct left_out *left_out = &change->left_out;

    for (size_t i = 0; i < left_out->count; i++)
        node_log_event(change->node, LOG_WARN,
                       "directory %s is made strong without node %" PRIu64
                       ": what that has accepted there, and nobody else has, "
                       "goes to quarantine on it (behind its change %" PRIu64
                       ")",
                       path_of(change).text, left_out->of[i].node,
                       left_out->of[i].sequence);
}
