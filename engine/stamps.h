/* SPDX-License-Identifier: Apache-2.0 */

/* What this node gives out: the stamps of its commands, and inode numbers that
 * no file ever had. Owns the identity record of log/ once the node is open,
 * and what is leased in it.
 *
 * A stamp is a hybrid logical clock: 48 bits of milliseconds since the epoch,
 * and a counter. It follows the wall clock, and is greater than the last one
 * where that stands still or goes back a little. Where it was set back further,
 * stamps go on from where it is now: one that is ahead of all clocks would be
 * replaced by each leader (stamps_bound()).
 *
 * Nothing of it is kept on disk. A stamp of a command is a wish: applying it
 * gives each change a greater version than the region had before, whatever the
 * stamp is. So a stamp that is used twice does no harm, and a clock that was
 * wrong for a moment leaves nothing behind.
 *
 * An inode number is {node id, counter}. Counters are leased on disk in blocks,
 * ahead of use, so that none is used twice after a crash.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_STAMPS_H
#define GROVEFS_ENGINE_STAMPS_H

#include "engine/env.h"
#include "engine/record.h"

enum {
    MAX_DRIFT_MS = 500, /* that clocks of nodes may be apart */
    STAMP_COUNTER_BITS = 16
};

struct stamps;

/* The time that a stamp, or a version, was given out at (wall clock). */
static inline int64_t stamp_time_ns(uint64_t stamp)
{
    return (int64_t)(stamp >> STAMP_COUNTER_BITS) * 1000000;
}

/* `identity->ino_bound` is the end of the block of inode counters that this
 * boot has leased, `ino_next` its first one. */
struct stamps *stamps_new(struct env *env, const struct identity *identity,
                          uint64_t ino_next);
/* Takes NULL; no lease may be under way. */
void stamps_free(struct stamps *stamps);

/* The stamp of a command that this node accepts now. */
uint64_t stamps_next(struct stamps *stamps);
/* The greatest stamp that is believed: MAX_DRIFT_MS ahead of this clock. A
 * leader replaces greater ones of other nodes by its own. */
uint64_t stamps_bound(const struct stamps *stamps);

/* The next inode number; leases another block long before this one is used
 * up. */
uint64_t stamps_new_ino(struct stamps *stamps);

#endif
