/* SPDX-License-Identifier: Apache-2.0 */

/* Splitting a region, on its leader: finds its middle if no key is given, gets
 * an id for the new region from region 0, and proposes the split. An id that is
 * not used in the end is lost.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_SPLIT_H
#define GROVEFS_ENGINE_SPLIT_H

#include "engine/keys.h"

struct node;
struct split;

/* Who waits for it; embedded. */
struct split_wait {
    /* `status` 0: it is split, as far as this node has applied it.
     * ERR_NOT_LEADER: ask the one that leads, it may be split; ERR_EPOCH: the
     * region has changed meanwhile; ERR_NOT_FOUND: it has too few entries for a
     * middle; ERR_INVALID, ERR_BUSY: see region_split_check() and below;
     * ERR_NO_QUORUM: of region 0; ERR_CORRUPT, ERR_IO. `why`, borrowed, has it
     * in words, or
     * "". */
    void (*done)(struct split_wait *wait, int status, const char *why);
    struct split *split; /* private; NULL: does not run */
};

/* Splits `region` at a user key, with a class; one of size 0: in its middle.
 * `version` is the region's when that was wished, and 0 when it does not
 * matter: one that is newer has been split there already, which is as good, or
 * else has nothing in common with that middle or key (ERR_BUSY). `done` may be
 * called before this returns. */
void split_start(struct split_wait *wait, struct node *node, uint64_t region,
                 uint64_t version, const struct key *at);
bool split_is_running(const struct split_wait *wait);
/* Does not call `done`; it may be done nevertheless. One that does not run is
 * ignored. */
void split_cancel(struct split_wait *wait);

#endif
