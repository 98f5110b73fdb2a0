/* SPDX-License-Identifier: Apache-2.0 */

/* Something for each region, by region id: it grows as regions appear, and
 * what it holds stays where it is. */

#ifndef GROVEFS_TESTS_SIM_SIM_TABLE_H
#define GROVEFS_TESTS_SIM_SIM_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct sim_row {
    uint64_t region;
    void *item;
};

struct sim_table {
    size_t item_size;     /* set by the owner */
    struct sim_row *rows; /* by ascending region id */
    size_t count;
    size_t count_max; /* private */
};

/* The region's item; a zeroed one when there was none. */
void *sim_table_at(struct sim_table *table, uint64_t region);
/* NULL when there is none. */
void *sim_table_find(const struct sim_table *table, uint64_t region);
/* Drops the items, but not what they own. */
void sim_table_clear(struct sim_table *table);

#endif
