/* SPDX-License-Identifier: Apache-2.0 */

/* Removes a region's replica from a node's stores, so that it never comes
 * back: state/ first, where a tombstone takes the place of all that was
 * there, durably, and then log/.
 *
 * A crash before state/ is durable leaves the replica as it was, to be told
 * again that it was removed; one before log/ is durable leaves a log that no
 * replica has, which the next start erases (erase_leftovers). */

#ifndef GROVEFS_ENGINE_ERASE_H
#define GROVEFS_ENGINE_ERASE_H

#include "engine/env.h"
#include "engine/record.h"

/* One removal; embedded, or on the heap. */
struct erase {
    struct env *env;             /* public: in */
    const struct region *region; /* kept until done; without a range if the
                                  * replica never had state */
    struct tombstone tombstone;
    void (*done)(struct erase *erase);
    unsigned owners_passed; /* private from here on */
    struct env_task task;
    struct env_task back;
    struct env_log_write write;
};

/* Nobody may use the replica's state or log any more, but for tasks that were
 * posted before to those who apply, and read. On ENV_WORKER, as is `done`. A
 * failing store ends the node. */
void erase_start(struct erase *erase);

/* At the start of a node, before the worker runs; may block. Erases what is
 * in log/ of a region that has no replica here any more. ERR_CORRUPT,
 * ERR_IO. */
int erase_leftovers(struct env *env, uint64_t region);

/* ERR_NOT_FOUND: the region never had a replica here that was removed. May
 * read the disk. */
int tombstone_read(struct env *env, uint64_t region, struct tombstone *ret);

#endif
