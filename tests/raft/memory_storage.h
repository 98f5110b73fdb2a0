/* SPDX-License-Identifier: Apache-2.0 */

/* A storage for tests: the log in an array, with the rules of FORMAT.md
 * section 3. Entry 0 of the array is a dummy at the compacted position. */

#ifndef GROVEFS_TESTS_RAFT_MEMORY_STORAGE_H
#define GROVEFS_TESTS_RAFT_MEMORY_STORAGE_H

#include "raft/raft.h"

struct memory_storage {
    struct raft_entries entries;
    struct raft_hard_state hard_state;
    struct raft_snapshot *snapshot; /* applied last; NULL: none */

    /* What raft is given when it asks for a snapshot: borrowed. NULL: the one
     * above. */
    const struct raft_snapshot *offered;
    /* The configuration as of the applied index; NULL: the snapshot's. */
    const struct raft_conf_state *applied_conf;
    bool snapshot_unavailable;
    bool entries_unavailable;
};

extern const struct raft_storage_ops memory_storage_ops;

void memory_storage_init(struct memory_storage *s);
void memory_storage_close(struct memory_storage *s);

uint64_t memory_storage_first_index(const struct memory_storage *s);
uint64_t memory_storage_last_index(const struct memory_storage *s);

/* NULL, or why not. */
const char *memory_storage_apply_snapshot(struct memory_storage *s,
                                          const struct raft_snapshot *snapshot);
const char *memory_storage_compact(struct memory_storage *s, uint64_t index);

/* Overwrites from the first entry's index on. */
void memory_storage_append(struct memory_storage *s,
                           const struct raft_entries *entries);

#endif
