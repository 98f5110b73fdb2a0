/* SPDX-License-Identifier: Apache-2.0 */

/* What region 0's leader knows of all regions: what their leaders have told,
 * in its memory only. A cache that may be behind, but never goes back:
 *
 * 1. Of two reports of a region the one with the newer epoch counts; of one
 *    epoch that of the newer term; of one term the later one.
 * 2. Ranges do not overlap: of two regions that do, the one with the older
 *    version of its range goes. */

#ifndef GROVEFS_ENGINE_REGION_TABLE_H
#define GROVEFS_ENGINE_REGION_TABLE_H

#include "engine/wire_placement.h"

struct region_table;

struct table_entry {
    struct region_report report;
    uint64_t leader_node;   /* who reported it; 0: leads it no more */
    uint64_t progress_ns;   /* monotonic: when epoch, term or a learner's match
                             * was last seen to grow */
    uint64_t led_ns;        /* monotonic: when this leader was first seen */
    uint64_t ranged_ns;     /* monotonic: when its range was first seen so */
    uint64_t left_alone_ns; /* monotonic: no automatic operator before */
};

struct region_table *region_table_new(void);
void region_table_free(struct region_table *table); /* Takes NULL. */

/* Takes over the report. NULL: it was out of date. */
struct table_entry *region_table_take(struct region_table *table,
                                      uint64_t from_node,
                                      struct region_report *report,
                                      uint64_t now_ns);
/* A node has told all that it leads: in reports not older than `first`. */
void region_table_keep(struct region_table *table, uint64_t node,
                       uint64_t first);
/* Whether what a node leads by this table is what it says. */
bool region_table_agrees(const struct region_table *table, uint64_t node,
                         const struct reported *reported);

/* By ascending region id. NULL: no such region; none behind it. */
struct table_entry *region_table_find(const struct region_table *table,
                                      uint64_t region);
struct table_entry *region_table_first(const struct region_table *table);
struct table_entry *region_table_next(const struct region_table *table,
                                      const struct table_entry *entry);
size_t region_table_count(const struct region_table *table);

/* Whether the regions cover all keys. */
bool region_table_is_whole(const struct region_table *table);

/* Asserts rule 2. For tests. */
void region_table_check(const struct region_table *table);

#endif
