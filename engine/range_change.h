/* SPDX-License-Identifier: Apache-2.0 */

/* Changes of a region's range, as pure functions on its descriptor: what a
 * leader may propose, what an entry of the log does to it. All replicas decide
 * alike, because they look at nothing else. See peer_change.h for those of its
 * membership.
 *
 * A split names the epoch that it was planned for and does nothing at any
 * other. The region keeps what is left of the split key, and its id; the new
 * region gets the rest, and a peer for each of its peers, with ids from 1 on.
 * Both have a version greater than that of the region before, so that whoever
 * compares them with it knows which is older. Any thread. */

#ifndef GROVEFS_ENGINE_RANGE_CHANGE_H
#define GROVEFS_ENGINE_RANGE_CHANGE_H

#include "engine/command.h"

/* Whether a region at this point of its log does the COMMAND_SPLIT. ERR_EPOCH:
 * it was planned for another one; ERR_INVALID: the key does not lie inside the
 * range; ERR_BUSY: the membership is just being changed (joint), or it is just
 * being merged. */
int region_split_check(const struct region *region,
                       const struct command *split);

/* What a split that was checked makes of it; both are to be released. */
void region_split(const struct region *region, const struct command *split,
                  struct region *ret_left, struct region *ret_right);

/* What a node does with the new region. */
enum split_side {
    SPLIT_KEEP, /* it gets a replica */
    SPLIT_DROP, /* it does not, and the data goes */
    SPLIT_LEAVE /* it has a newer replica already */
};

/* A split as it was decided when its entry was handed out. */
struct range_split {
    struct region left; /* the region's new descriptor */
    struct region right;
    uint64_t dir; /* the split key */
    struct slice name;
    enum split_side right_here;
    /* Nobody else could supply what is damaged: it stays so in both parts. A
     * split that was handed out cannot be skipped any more. */
    bool only_replica;
};

#endif
