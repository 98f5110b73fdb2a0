/* SPDX-License-Identifier: Apache-2.0 */

/* What a region's leader does for control files: it sees to the command that
 * was made of a text, and answers when it is done. Read control.h first.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_CONTROL_LEADER_H
#define GROVEFS_ENGINE_CONTROL_LEADER_H

#include "engine/check.h"
#include "engine/merge.h"
#include "engine/node_change.h"
#include "engine/split.h"
#include "engine/transfer.h"

/* Who waits for a command that a leader sees to; embedded. */
struct control_wait {
    /* ERR_NOT_LEADER: try elsewhere. `why`, borrowed, has an error in words
     * where there is more to say than the error does; else "". */
    void (*done)(struct control_wait *wait, int status, const char *why);
    struct check_wait check; /* private from here on */
    struct transfer transfer;
    struct node_change node_change;
    struct split_wait split;
    struct merge_wait merge;
};

/* `done` may be called before this returns. `bytes` is the command. */
void control_carry_out(struct node *node, struct peer *peer,
                       const struct buf *bytes, struct control_wait *wait);
bool control_is_waiting(const struct control_wait *wait);
/* Does not call `done`; one that does not wait is ignored. */
void control_cancel_wait(struct control_wait *wait);

#endif
