/* SPDX-License-Identifier: Apache-2.0 */

/* Whether a node that is being drained can be removed without the loss of an
 * eventual change: of those that it has accepted nobody else may know.
 *
 * Its record in the catalog is a fence (eventual.h, rule 4): behind the entry
 * that drains it, it accepts nothing. So there is a last change, and region 0's
 * leader waits until
 *
 * 1. the node has told of that fence, and all that it had then, of its own and
 *    of others, is here;
 * 2. all other nodes that stay and are heard of have the node's own changes;
 * 3. what is here is durable: what is only in the memory of a node that crashes
 *    is asked for again, and there would be nobody to ask.
 *
 * One that a directory was made strong without (left_out.h) has to have told
 * that it has learnt of it and
 *
 * 4. has nothing in quarantine (quarantine.h): somebody has to drop it there.
 *
 * The removal names the epoch of the record, so nothing of this has changed
 * when it is applied. All other nodes have it from region 0's leader at the
 * latest: it has every change that is kept under a number of its own (pull.h).
 *
 * What cannot have been accepted need not be waited for: a directory that
 * became eventual behind the fence, and one that is strong again, which took
 * the word of all nodes that it was not made strong without. Without an
 * eventual directory a node is removed whether it is dead or alive.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_LEAVE_H
#define GROVEFS_ENGINE_LEAVE_H

#include <stdint.h>

#include "engine/record.h"

struct node;

enum leave_state {
    LEAVE_FREE,    /* nothing is in the way, or it is not being drained */
    LEAVE_UNTOLD,  /* 1 is missing */
    LEAVE_SPREADS, /* 2 */
    LEAVE_UNSAFE,  /* 3 */
    LEAVE_KEEPS,   /* 4 */
    LEAVE_STATES
};

/* As this node sees it, of another one. Reads state/. */
enum leave_state leave_look(struct node *node,
                            const struct node_record *record);
/* What it is or does that keeps it: goes on behind `node 4 `. */
const char *leave_words(enum leave_state state);

/* Asks for a flush of state/ where only 3 is missing: on region 0's leader, of
 * each node, once a second. */
void leave_prepare(struct node *node, const struct node_record *record);

/* Into the log: it was removed all the same, and what only it had is lost. Not
 * where 2 was all that was missing. */
void leave_log_loss(struct node *node, uint64_t id, enum leave_state state);

#endif
