/* SPDX-License-Identifier: Apache-2.0 */

/* Modes of directories in memory: of all but those that are strong without a
 * mode of their own, since most are. What modes.h keeps behind its lock.
 *
 * Any thread, one at a time; those that only read, several. */

#ifndef GROVEFS_ENGINE_MODE_TABLE_H
#define GROVEFS_ENGINE_MODE_TABLE_H

#include <stddef.h>

#include "engine/record.h"

struct mode_entry;

/* Zeroed: none. */
struct mode_table {
    struct mode_entry *entries; /* private */
    uint64_t *order;            /* private: all of their nsids, ascending */
    size_t order_count;         /* private */
    size_t order_max;           /* private */
    size_t strong_count;        /* by themselves, and not being filled */
    size_t filling_count;
};

/* Strong, and not about to become anything else. */
static inline bool mode_is_settled_strong(struct mode mode)
{
    return mode.state == MODE_STRONG && !mode_is_filling(mode);
}

void mode_table_release(struct mode_table *table);

void mode_table_set(struct mode_table *table, uint64_t nsid, struct mode mode);

/* All zeroes for one that is not there. */
struct mode mode_table_find(const struct mode_table *table, uint64_t nsid);

/* Whether there is any that is not strong, or is being filled. */
bool mode_table_any(const struct mode_table *table);

/* The first one of at least this nsid. False: none. */
bool mode_table_next(const struct mode_table *table, uint64_t nsid_min,
                     uint64_t *ret_nsid, struct mode *ret);

#endif
