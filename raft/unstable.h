/* SPDX-License-Identifier: Apache-2.0 */

/* The part of the log that is not known to be durable: entries and perhaps a
 * snapshot before them. It covers the storage: where both have an index, this
 * one counts.
 *
 *     storage ...]                     <- offset
 *        [ in progress | not yet handed out ]
 *          offset        offset_in_progress
 *
 * Invariants: (1) entries are contiguous from `offset` on. (2) offset <=
 * offset_in_progress <= offset + count. (3) a snapshot lies directly before
 * `offset`, until entries after it become stable. */

#ifndef GROVEFS_RAFT_UNSTABLE_H
#define GROVEFS_RAFT_UNSTABLE_H

#include "raft/trace.h"

struct unstable {
    struct raft_snapshot *snapshot; /* NULL: none */
    struct raft_entries entries;
    uint64_t offset;             /* index of the first entry */
    uint64_t offset_in_progress; /* index of the first not handed out */
    bool snapshot_in_progress;   /* handed out */
    const struct trace *trace;
};

void unstable_close(struct unstable *u);

/* Each false when that is not known here. */
bool unstable_first_index(const struct unstable *u, uint64_t *ret);
bool unstable_last_index(const struct unstable *u, uint64_t *ret);
bool unstable_term(const struct unstable *u, uint64_t index, uint64_t *ret);

/* What is to be handed out next. */
size_t unstable_next_count(const struct unstable *u);
const struct raft_entry *unstable_next(const struct unstable *u);
const struct raft_snapshot *unstable_next_snapshot(const struct unstable *u);

/* All that was to be handed out now is. */
void unstable_accept(struct unstable *u);

/* The storage has the entry (term, index) and all before it. Ignored when
 * another entry is here at that index. */
void unstable_stable_to(struct unstable *u, uint64_t term, uint64_t index);
void unstable_stable_snapshot(struct unstable *u, uint64_t index);

/* Everything is replaced by the snapshot, of which a copy is kept. */
void unstable_restore(struct unstable *u, const struct raft_snapshot *snapshot);

/* Adds entries at the end, or in place of those that they contradict. */
void unstable_append(struct unstable *u, const struct raft_entry *entries,
                     size_t count);

void unstable_check(const struct unstable *u);

#endif
