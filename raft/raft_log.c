/* SPDX-License-Identifier: Apache-2.0 */

/* Storage and unstable entries as one log. The half that deals with what is
 * handed out for application is in raft_log_apply.c. */

#include "raft/raft_log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "raft/base/err.h"

void raft_log_init(struct raft_log *log, const struct raft_config *config,
                   const struct trace *trace)
{
    uint64_t size_max = config->committed_size_per_ready_max;

    *log = (struct raft_log){
        .ops = config->storage_ops,
        .storage = config->storage,
        .trace = trace,
        .unstable.trace = trace,
        .apply_unstable = config->apply_unstable,
        .applying_size_max = size_max > 0 ? size_max : config->message_size_max,
    };
    if (log->applying_size_max == 0)
        log->applying_size_max = 1; /* One entry at a time. */
    log->unstable.offset = log->ops->last_index(log->storage) + 1;
    log->unstable.offset_in_progress = log->unstable.offset;
    log->committed = log->ops->first_index(log->storage) - 1;
    log->applying = log->committed;
    log->applied = log->committed;
}

void raft_log_close(struct raft_log *log)
{
    unstable_close(&log->unstable);
    free(log->batches);
}

uint64_t raft_log_first_index(const struct raft_log *log)
{
    uint64_t index;

    if (unstable_first_index(&log->unstable, &index))
        return index;
    return log->ops->first_index(log->storage);
}

/* Without unstable entries everything before their offset is stable. (The
 * storage itself may still show a tail that was cut off meanwhile.) */
uint64_t raft_log_last_index(const struct raft_log *log)
{
    uint64_t index;

    if (unstable_last_index(&log->unstable, &index))
        return index;
    return log->unstable.offset - 1;
}

struct log_position raft_log_last(const struct raft_log *log)
{
    uint64_t index = raft_log_last_index(log);

    return (struct log_position){raft_log_term_or_zero(log, index), index};
}

int raft_log_term(const struct raft_log *log, uint64_t index, uint64_t *ret)
{
    if (unstable_term(&log->unstable, index, ret))
        return 0;
    if (index + 1 < raft_log_first_index(log))
        return ERR_COMPACTED;
    if (index > raft_log_last_index(log))
        return ERR_UNAVAILABLE;
    return log->ops->term(log->storage, index, ret);
}

uint64_t raft_log_term_or_zero(const struct raft_log *log, uint64_t index)
{
    uint64_t term;

    return raft_log_term(log, index, &term) == 0 ? term : 0;
}

bool raft_log_matches(const struct raft_log *log, struct log_position at)
{
    uint64_t term;

    return raft_log_term(log, at.index, &term) == 0 && term == at.term;
}

bool raft_log_is_up_to_date(const struct raft_log *log,
                            struct log_position last)
{
    struct log_position own = raft_log_last(log);

    return last.term > own.term ||
           (last.term == own.term && last.index >= own.index);
}

/* Adds unstable entries [first, end) while they fit; the very first of the
 * whole slice always does. */
static void slice_unstable(const struct raft_log *log, uint64_t first,
                           uint64_t end, uint64_t size_max,
                           struct raft_entries *ret)
{
    uint64_t size = raft_entries_size(ret);

    for (uint64_t i = first; i < end; i++) {
        const struct raft_entry *entry =
            &log->unstable.entries.item[i - log->unstable.offset];
        uint64_t entry_size = raft_entry_size(entry);

        if (ret->count > 0 && (size > size_max || entry_size > size_max - size))
            return;
        size += entry_size;
        raft_entries_append(ret, entry);
    }
}

int raft_log_slice(const struct raft_log *log, uint64_t first, uint64_t end,
                   uint64_t size_max, struct raft_entries *ret)
{
    struct raft_entries entries = {.count = 0};
    uint64_t stable_end =
        end < log->unstable.offset ? end : log->unstable.offset;
    int rc;

    assert(first <= end);
    assert(end <= raft_log_last_index(log) + 1);
    *ret = entries;
    if (first == end)
        return 0;
    if (first < raft_log_first_index(log))
        return ERR_COMPACTED;

    if (first < stable_end) {
        rc = log->ops->entries(log->storage, first, stable_end, size_max,
                               &entries);
        if (rc != 0) {
            raft_entries_release(&entries);
            return rc;
        }
        assert(entries.count > 0);
    }
    if (first + entries.count >= stable_end)
        slice_unstable(log, first + entries.count, end, size_max, &entries);
    *ret = entries;
    return 0;
}

struct log_position raft_log_find_conflict(const struct raft_log *log,
                                           struct log_position from)
{
    uint64_t term;

    for (uint64_t index = from.index; index > 0; index--) {
        if (raft_log_term(log, index, &term) != 0)
            return (struct log_position){0, index};
        if (term <= from.term)
            return (struct log_position){term, index};
    }
    return (struct log_position){0, 0};
}

void raft_log_append(struct raft_log *log, const struct raft_entry *entries,
                     size_t count)
{
    if (count == 0)
        return;

    assert(entries[0].index > log->committed);
    assert(entries[0].index <= raft_log_last_index(log) + 1);
    unstable_append(&log->unstable, entries, count);
}

/* How many of the entries are already here: those before the first one that
 * is missing or has another term. */
static size_t count_known(const struct raft_log *log,
                          const struct raft_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        struct log_position at = {entries->item[i].term,
                                  entries->item[i].index};

        if (raft_log_matches(log, at))
            continue;
        if (at.index <= raft_log_last_index(log))
            trace_line(log->trace, LOG_INFO,
                       "found conflict at index %" PRIu64
                       " [existing term: %" PRIu64
                       ", conflicting term: %" PRIu64 "]",
                       at.index, raft_log_term_or_zero(log, at.index), at.term);
        return i;
    }
    return entries->count;
}

/* Only a real conflict cuts the log: a late message with a part of what is
 * already here must not take back what was acknowledged. */
int raft_log_maybe_append(struct raft_log *log, struct log_position prev,
                          const struct raft_entries *entries)
{
    size_t known;

    if (!raft_log_matches(log, prev))
        return ERR_NOT_FOUND;

    known = count_known(log, entries);
    if (known == entries->count)
        return 0;
    if (entries->item[known].index <= log->committed)
        return ERR_CORRUPT;
    raft_log_append(log, &entries->item[known], entries->count - known);
    return 0;
}

int raft_log_commit_to(struct raft_log *log, uint64_t index)
{
    if (index <= log->committed)
        return 0;
    if (index > raft_log_last_index(log))
        return ERR_CORRUPT;
    log->committed = index;
    return 0;
}

void raft_log_restore(struct raft_log *log,
                      const struct raft_snapshot *snapshot)
{
    trace_line(log->trace, LOG_INFO,
               "log [committed=%" PRIu64 ", applied=%" PRIu64
               ", applying=%" PRIu64 ", unstable.offset=%" PRIu64
               ", unstable.offsetInProgress=%" PRIu64
               ", len(unstable.Entries)=%zu] starts to restore snapshot "
               "[index: %" PRIu64 ", term: %" PRIu64 "]",
               log->committed, log->applied, log->applying,
               log->unstable.offset, log->unstable.offset_in_progress,
               log->unstable.entries.count, snapshot->index, snapshot->term);
    log->committed = snapshot->index;
    unstable_restore(&log->unstable, snapshot);
}

void raft_log_check(const struct raft_log *log)
{
    uint64_t applying_size = 0;

    unstable_check(&log->unstable);
    assert(log->applied <= log->applying);
    assert(log->applying <= log->committed);
    assert(log->committed <= raft_log_last_index(log));
    assert(raft_log_first_index(log) <= raft_log_last_index(log) + 1);
    assert(log->apply_unstable || log->applying < log->unstable.offset);

    for (size_t i = 0; i < log->batch_count; i++) {
        applying_size += log->batches[i].size;
        assert(log->batches[i].index <= log->applying);
    }
    assert(applying_size == log->applying_size);
}
