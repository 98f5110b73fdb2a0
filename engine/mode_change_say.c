/* SPDX-License-Identifier: Apache-2.0 */

/* What the log says of changes of modes: that one has come about, or why not,
 * and whom it was made without. */

#include <inttypes.h>

#include "engine/domain.h"
#include "engine/key_path.h"
#include "engine/mode_change_impl.h"
#include "engine/modes.h"

static struct shown_path path_of(const struct mode_change *change)
{
    return key_path_show(node_env(change->node)->state, change->nsid);
}

void mode_change_say_not_ready(struct mode_change *change)
{
    node_log_event(change->node, LOG_WARN,
                   "directory %s stays strong: this node does not know yet "
                   "whether its clock is right, or lacks changes of others",
                   path_of(change).text);
    change->has_said = true;
}

void mode_change_say_missing(struct mode_change *change)
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
    change->has_said = true;
}

void mode_change_say_not_brought(struct mode_change *change)
{
    bool fills = change->goal == MODE_TO_EVENTUAL;

    if (change->has_said)
        return;
    node_log_event(change->node, LOG_WARN,
                   "directory %s stays %s: what is in it could not be brought "
                   "%s in time",
                   path_of(change).text, fills ? "strong" : "eventual",
                   fills ? "to all nodes" : "into the regions");
    change->has_said = true;
}

void mode_change_say_too_large(struct mode_change *change)
{
    node_log_event(change->node, LOG_WARN,
                   "directory %s keeps its mode: more than %d directories are "
                   "below it",
                   path_of(change).text, DOMAIN_DIRECTORIES_MAX);
    change->has_said = true;
}

/* ---- how it ends ---- */

static bool is_removal(const struct mode_change *change)
{
    return change->goal == MODE_REMOVE || change->only_empty;
}

static const char *reason(int status)
{
    switch (status) {
    case ERR_BUSY:
        return "another change is under way there";
    case ERR_EXISTS:
        return "two files would have one name";
    case ERR_READ_ONLY:
        return "this node accepts no changes in eventual directories now, see "
               "its health";
    default:
        return err_text(status);
    }
}

void mode_change_say_failed(const struct mode_change *change, int status)
{
    if (change->has_said || is_removal(change) || status == ERR_CANCELED ||
        status == ERR_NO_DATA || status == ERR_STALE)
        return;
    node_log_event(change->node, LOG_WARN,
                   status == ERR_UNKNOWN_OUTCOME
                       ? "directory %s: the change of its mode was %s"
                       : "directory %s keeps its mode: %s",
                   path_of(change).text, reason(status));
}

void mode_change_say_done(const struct mode_change *change)
{
    enum mode_state state =
        modes_find(node_modes(change->node), change->nsid).state;
    bool inherits = change->inherits || change->goal == MODE_INHERIT;

    if (is_removal(change))
        return;
    node_log_event(change->node, LOG_INFO, "directory %s is %s now%s",
                   path_of(change).text,
                   state == MODE_STRONG ? "strong" : "eventual",
                   inherits ? ", as the one that it is in" : "");
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
