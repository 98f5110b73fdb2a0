/* SPDX-License-Identifier: Apache-2.0 */

/* Merges as pure functions on the descriptors of both regions: what leaders
 * may propose, what an entry of a log does. All replicas decide alike, because
 * they look at nothing else.
 *
 *      target's log                 source's log
 *      BEGIN       (1)
 *                                   FREEZE      (2)
 *      (all replicas have both, on disk)
 *      TAKE        (3)              is no more
 *  or
 *      GIVE_UP     (4)
 *                                   UNFREEZE    (5)
 *      END
 *
 * 1. The attempt is named by this entry's index. Until it has ended, neither
 *    region splits, changes its members or begins another merge.
 * 2. Nothing but UNFREEZE has an effect any more, so its data stays as it is.
 * 3. One entry decides, and it needs no other replica's help: what it takes
 *    over lies beside it on every node, and is complete there. See merge.h.
 * 4. From here on a TAKE that comes late does nothing.
 * 5. A FREEZE that comes late does nothing, because the version has changed.
 *
 * Versions: FREEZE and UNFREEZE count the source's up; TAKE makes the target's
 * greater than both. A region remembers the last one that it has taken over:
 * whoever sees that knows for ever that this one is no more. Any thread. */

#ifndef GROVEFS_ENGINE_MERGE_CHANGE_H
#define GROVEFS_ENGINE_MERGE_CHANGE_H

#include "engine/command.h"

static inline bool region_is_merging(const struct region *region)
{
    return region->merge.state != MERGE_NONE;
}

static inline bool region_is_frozen(const struct region *region)
{
    return region->merge.state == MERGE_FROZEN;
}

/* Whether it is the source of this attempt of the target's. */
bool region_is_frozen_for(const struct region *region, uint64_t target,
                          uint64_t attempt);

/* Whether two regions could be merged, as they are. ERR_INVALID: they are no
 * neighbours; ERR_NOT_PERMITTED: their replicas are not on the same nodes, or
 * the target's only voter is not beside the source's only one, so that it could
 * lose the source, to be rebuilt by others, when it has to take it over;
 * ERR_BUSY: one of them is just being changed. */
int regions_can_merge(const struct region *target, const struct region *source);

/* Whether a region at this point of its log does the COMMAND_MERGE, FREEZE or
 * UNFREEZE; one that has been done already is done, too. ERR_EPOCH: it was
 * planned for another one, or another attempt; ERR_INVALID: the ranges do not
 * lie side by side; ERR_BUSY: it is just being changed (joint, or by another
 * merge). */
int region_merge_check(const struct region *region,
                       const struct command *command);

/* What a command that was checked makes of it, at `index` of its log; to be
 * released. */
struct region region_merge(const struct region *region,
                           const struct command *command, uint64_t index);

/* A merge as it was decided when its entry was handed out. */
struct range_merge {
    struct region region; /* the new descriptor */
    uint64_t source;      /* that is taken over; 0: none */
    bool source_is_left;
    /* Nobody else could supply what is damaged: see struct range_split. */
    bool only_replica;
};

#endif
