/* SPDX-License-Identifier: Apache-2.0 */

/* The log of one peer: storage and unstable part seen as one, with the marks
 *
 *     first - 1 <= applied <= applying <= committed <= last
 *
 * `applying` is what was handed out for application. A log starts with a
 * virtual entry (index 0, term 0), and the entry before the first one always
 * stays known by its term: it is what the first one is appended after. */

#ifndef GROVEFS_RAFT_RAFT_LOG_H
#define GROVEFS_RAFT_RAFT_LOG_H

#include "raft/unstable.h"

/* One batch that was handed out and not yet reported as applied. */
struct applying {
    uint64_t index; /* last */
    uint64_t size;
    uint64_t data_size;
};

struct raft_log {
    const struct raft_storage_ops *ops;
    void *storage;
    const struct trace *trace;
    struct unstable unstable;
    uint64_t committed;
    uint64_t applying;
    uint64_t applied;

    /* Handing out pauses while so much is outstanding. */
    uint64_t applying_size;
    uint64_t applying_size_max;
    bool applying_paused;
    bool apply_unstable;
    struct applying *batches; /* oldest first */
    size_t batch_count;
    size_t batch_count_max;
};

struct log_position {
    uint64_t term;
    uint64_t index;
};

/* Starts right after the storage's compacted part. */
void raft_log_init(struct raft_log *log, const struct raft_config *config,
                   const struct trace *trace);
void raft_log_close(struct raft_log *log);

uint64_t raft_log_first_index(const struct raft_log *log);
uint64_t raft_log_last_index(const struct raft_log *log);
struct log_position raft_log_last(const struct raft_log *log);

/* ERR_COMPACTED, ERR_UNAVAILABLE (after the end), or the storage's. */
int raft_log_term(const struct raft_log *log, uint64_t index, uint64_t *ret);
uint64_t raft_log_term_or_zero(const struct raft_log *log, uint64_t index);

bool raft_log_matches(const struct raft_log *log, struct log_position at);

/* Whether a candidate with this last entry knows at least as much (Raft
 * §5.4.1: the later term wins, then the longer log). */
bool raft_log_is_up_to_date(const struct raft_log *log,
                            struct log_position last);

/* Copies entries [first, end), as many as fit, at least one. */
int raft_log_slice(const struct raft_log *log, uint64_t first, uint64_t end,
                   uint64_t size_max, struct raft_entries *ret);

/* The last position at or before `index` whose term is not above `term`. Its
 * term is 0 when it is not known. */
struct log_position raft_log_find_conflict(const struct raft_log *log,
                                           struct log_position from);

/* For a leader: adds entries with their index and term already set. */
void raft_log_append(struct raft_log *log, const struct raft_entry *entries,
                     size_t count);

/* For a follower: takes the entries after `prev`, of which only those that
 * are missing or in conflict are written. ERR_NOT_FOUND when `prev` is not in
 * the log; ERR_CORRUPT when a committed entry would be replaced. */
int raft_log_maybe_append(struct raft_log *log, struct log_position prev,
                          const struct raft_entries *entries);

/* Never goes back. ERR_CORRUPT beyond the last entry: one that this peer has
 * acknowledged is gone. */
int raft_log_commit_to(struct raft_log *log, uint64_t index);

void raft_log_restore(struct raft_log *log,
                      const struct raft_snapshot *snapshot);

/* ---- Application ------------------------------------------------------ */

bool raft_log_has_next_committed(const struct raft_log *log);

/* The next committed entries to hand out; none while a snapshot is on its way
 * or too much is outstanding. */
int raft_log_next_committed(const struct raft_log *log,
                            struct raft_entries *ret);

/* The storage could not read them now: nothing more until raft_log_retry(). */
void raft_log_postpone(struct raft_log *log);
void raft_log_retry(struct raft_log *log);
void raft_log_accept_applying(struct raft_log *log,
                              const struct raft_entries *entries);

/* Returns the data size of the batches that are complete by this. */
uint64_t raft_log_applied_to(struct raft_log *log, uint64_t index);

void raft_log_check(const struct raft_log *log);

#endif
