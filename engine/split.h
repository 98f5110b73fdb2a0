/* SPDX-License-Identifier: Apache-2.0 */

/* Splitting a region, on its leader: gets an id for the new region from region
 * 0, and proposes the split. An id that is not used in the end is lost.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_SPLIT_H
#define GROVEFS_ENGINE_SPLIT_H

#include "engine/node.h"
#include "engine/router.h"

struct split_attempt;

struct split {
    uint64_t deadline_ns; /* public: in; monotonic */
    /* 0: it is split, as far as this node has applied it. ERR_NOT_LEADER: ask
     * the one that leads, it may be split; ERR_EPOCH: the region has changed
     * meanwhile; ERR_INVALID, ERR_BUSY: region_split_check(); ERR_NO_QUORUM:
     * of region 0. */
    void (*done)(struct split *split, int status);

    struct node *node; /* private from here on */
    bool active;
    uint64_t region;
    uint64_t dir;
    struct slice name;
    char name_bytes[NAME_SIZE_MAX];
    struct router_call call;
    struct split_attempt *attempt;
};

/* Splits `region` at (dir, name), which is copied. `done` may be called before
 * this returns. */
void split_start(struct split *split, struct node *node, uint64_t region,
                 uint64_t dir, struct slice name);
/* Ends it without calling `done`; it may be done nevertheless. */
void split_cancel(struct split *split);

#endif
