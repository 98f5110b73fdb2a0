/* SPDX-License-Identifier: Apache-2.0 */

/* Which replicas on this node may be read, and of which keys: what ENV_WORKER
 * shows to the threads that read at once (reader_try()).
 *
 * Ranges change only between hosted_enter() and hosted_leave() of others, and
 * what is taken out is seen by nobody afterwards. A range shrinks here before
 * the entry that splits it is applied, and a new one comes after it. What a
 * snapshot has restored is put again before anybody learns that it may be
 * read. */

#ifndef GROVEFS_ENGINE_HOSTED_H
#define GROVEFS_ENGINE_HOSTED_H

#include "engine/peer.h"
#include "engine/range.h"

struct hosted;

struct hosted *hosted_new(void);
void hosted_free(struct hosted *hosted); /* Takes NULL. */

/* ENV_WORKER: adds the replica, or has its range follow its descriptor. */
void hosted_put(struct hosted *hosted, struct peer *peer);
void hosted_remove(struct hosted *hosted, const struct peer *peer);

/* Any thread but ENV_WORKER, which needs neither. Between them nothing changes;
 * ENV_WORKER waits meanwhile, so nothing slower than a read of state/ belongs
 * there. */
void hosted_enter(struct hosted *hosted);
void hosted_leave(struct hosted *hosted);

/* Region 0's. NULL: none. */
struct peer *hosted_placement(const struct hosted *hosted);
/* The data region's that has the user key; borrows from `hosted`. NULL: none.
 */
struct peer *hosted_find(const struct hosted *hosted, struct slice user_key,
                         struct range *ret_range);

#endif
