/* SPDX-License-Identifier: Apache-2.0 */

/* An ordered map of versions: the data structure of kv_mem.c, which says what
 * the versions mean. A skip list whose levels come from a fixed seed, so that
 * a run repeats exactly. */

#ifndef GROVEFS_TESTS_SIM_MEM_MAP_H
#define GROVEFS_TESTS_SIM_MEM_MAP_H

#include "engine/kv.h"
#include "raft/base/buf.h"

enum { MEM_MAP_HEIGHT_MAX = 16 };

struct mem_node;

struct mem_version {
    uint64_t sequence;
    bool ingested;     /* survives a crash whatever its sequence number */
    struct buf *value; /* NULL: deleted */
    struct mem_version *older;
};

/* Who writes a version, and what: the value is borrowed. */
struct mem_write {
    uint64_t sequence;
    bool ingested;
    struct buf *value;
};

struct mem_map {
    struct mem_node *head; /* has no key */
    size_t node_count;
    size_t stale_count; /* versions that are not the first of their key, or
                         * deletions, since the last sweep */
    uint64_t size_bytes;
    uint64_t random;
};

void mem_map_init(struct mem_map *map);
void mem_map_close(struct mem_map *map);

/* Adds a version; one of the same write is replaced. */
void mem_map_set(struct mem_map *map, struct slice key,
                 const struct mem_write *write);

/* Adds a deletion to every key in [begin, end). */
void mem_map_delete_range(struct mem_map *map, struct slice begin,
                          struct slice end, const struct mem_write *write);

/* Now and then drops what is older than the newest version at or below
 * `horizon` of each key. */
void mem_map_prune(struct mem_map *map, uint64_t horizon);

/* Drops the versions above `sequence` that were not ingested. */
void mem_map_forget(struct mem_map *map, uint64_t sequence);

/* The node of a key, of the first key at or after one, of the last key before
 * one, of the last key; NULL when there is none. Nodes without a value are
 * found too. */
const struct mem_node *mem_map_find(const struct mem_map *map,
                                    struct slice key);
const struct mem_node *mem_map_find_from(const struct mem_map *map,
                                         struct slice key);
const struct mem_node *mem_map_find_before(const struct mem_map *map,
                                           struct slice key);
const struct mem_node *mem_map_last(const struct mem_map *map);

const struct mem_node *mem_node_next(const struct mem_node *node);
struct slice mem_node_key(const struct mem_node *node);

/* The newest version at or below `sequence`, or NULL. */
const struct mem_version *mem_node_at(const struct mem_node *node,
                                      uint64_t sequence);
/* The same, or an ingested one if that is newer. */
const struct mem_version *mem_node_durable(const struct mem_node *node,
                                           uint64_t synced);

/* Asserts that keys ascend and versions descend. */
void mem_map_check(const struct mem_map *map);

#endif
