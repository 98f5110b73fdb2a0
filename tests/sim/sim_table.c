/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_table.h"

#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"

/* How many have a smaller region id. */
static size_t count_below(const struct sim_table *table, uint64_t region)
{
    size_t low = 0;
    size_t high = table->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (table->rows[middle].region < region)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void *sim_table_find(const struct sim_table *table, uint64_t region)
{
    size_t at = count_below(table, region);

    return at < table->count && table->rows[at].region == region
               ? table->rows[at].item
               : NULL;
}

void *sim_table_at(struct sim_table *table, uint64_t region)
{
    size_t at = count_below(table, region);

    if (at < table->count && table->rows[at].region == region)
        return table->rows[at].item;
    table->rows = mem_grow(table->rows, sizeof *table->rows, &table->count_max,
                           table->count + 1);
    memmove(&table->rows[at + 1], &table->rows[at],
            (table->count - at) * sizeof *table->rows);
    table->count++;
    table->rows[at] = (struct sim_row){region, mem_zalloc(table->item_size)};
    return table->rows[at].item;
}

void sim_table_clear(struct sim_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->rows[i].item);
    free(table->rows);
    *table = (struct sim_table){.item_size = table->item_size};
}
