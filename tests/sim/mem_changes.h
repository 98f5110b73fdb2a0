/* SPDX-License-Identifier: Apache-2.0 */

/* What a batch or an ingest of kv_mem.c is going to do, in order. */

#ifndef GROVEFS_TESTS_SIM_MEM_CHANGES_H
#define GROVEFS_TESTS_SIM_MEM_CHANGES_H

#include "tests/sim/mem_map.h"

struct mem_change;

/* Zeroed = empty. */
struct mem_changes {
    struct mem_change *items;
    size_t count;
    size_t count_max;
    size_t size_bytes;
};

/* Keys and values are copied in. */
void mem_changes_put(struct mem_changes *changes, struct slice key,
                     const struct slice *parts, size_t part_count);
void mem_changes_delete(struct mem_changes *changes, struct slice key);
void mem_changes_delete_range(struct mem_changes *changes, struct slice begin,
                              struct slice end);
void mem_changes_clear(struct mem_changes *changes);
void mem_changes_close(struct mem_changes *changes);

/* Does them, as one write. */
void mem_changes_apply(const struct mem_changes *changes, struct mem_map *map,
                       uint64_t sequence, bool ingested);

#endif
