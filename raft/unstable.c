/* SPDX-License-Identifier: Apache-2.0 */

/* Entries on their way to the storage. */

#include "raft/unstable.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

void unstable_close(struct unstable *u)
{
    raft_snapshot_free(u->snapshot);
    raft_entries_release(&u->entries);
    u->snapshot = NULL;
}

bool unstable_first_index(const struct unstable *u, uint64_t *ret)
{
    if (u->snapshot == NULL)
        return false;
    *ret = u->snapshot->index + 1;
    return true;
}

bool unstable_last_index(const struct unstable *u, uint64_t *ret)
{
    if (u->entries.count > 0)
        *ret = u->offset + u->entries.count - 1;
    else if (u->snapshot != NULL)
        *ret = u->snapshot->index;
    else
        return false;
    return true;
}

bool unstable_term(const struct unstable *u, uint64_t index, uint64_t *ret)
{
    if (index < u->offset) {
        if (u->snapshot == NULL || u->snapshot->index != index)
            return false;
        *ret = u->snapshot->term;
        return true;
    }
    if (index - u->offset >= u->entries.count)
        return false;
    *ret = u->entries.item[index - u->offset].term;
    return true;
}

size_t unstable_next_count(const struct unstable *u)
{
    return u->entries.count - (size_t)(u->offset_in_progress - u->offset);
}

const struct raft_entry *unstable_next(const struct unstable *u)
{
    if (unstable_next_count(u) == 0)
        return NULL;
    return &u->entries.item[u->offset_in_progress - u->offset];
}

const struct raft_snapshot *unstable_next_snapshot(const struct unstable *u)
{
    return u->snapshot_in_progress ? NULL : u->snapshot;
}

void unstable_accept(struct unstable *u)
{
    u->offset_in_progress = u->offset + u->entries.count;
    u->snapshot_in_progress = u->snapshot != NULL;
}

/* Drops the first `count` entries. */
static void drop(struct unstable *u, size_t count)
{
    struct raft_entries *entries = &u->entries;

    for (size_t i = 0; i < count; i++)
        buf_unref(entries->item[i].data);
    entries->count -= count;
    if (entries->count == 0)
        raft_entries_release(entries); /* An idle group holds nothing. */
    else
        memmove(entries->item, entries->item + count,
                entries->count * sizeof *entries->item);

    u->offset += count;
    if (u->offset_in_progress < u->offset)
        u->offset_in_progress = u->offset;
}

void unstable_stable_to(struct unstable *u, uint64_t term, uint64_t index)
{
    uint64_t own_term;

    if (!unstable_term(u, index, &own_term)) {
        trace_line(u->trace, LOG_INFO,
                   "entry at index %" PRIu64
                   " missing from unstable log; ignoring",
                   index);
    } else if (index < u->offset) {
        trace_line(u->trace, LOG_INFO,
                   "entry at index %" PRIu64
                   " matched unstable snapshot; ignoring",
                   index);
    } else if (own_term != term) {
        trace_line(u->trace, LOG_INFO,
                   "entry at (index,term)=(%" PRIu64 ",%" PRIu64
                   ") mismatched with entry at (%" PRIu64 ",%" PRIu64
                   ") in unstable log; ignoring",
                   index, term, index, own_term);
    } else {
        drop(u, (size_t)(index + 1 - u->offset));
    }
}

void unstable_stable_snapshot(struct unstable *u, uint64_t index)
{
    if (u->snapshot == NULL || u->snapshot->index != index)
        return;

    raft_snapshot_free(u->snapshot);
    u->snapshot = NULL;
    u->snapshot_in_progress = false;
}

void unstable_restore(struct unstable *u, const struct raft_snapshot *snapshot)
{
    unstable_close(u);
    u->snapshot = raft_snapshot_copy(snapshot);
    u->snapshot_in_progress = false;
    u->offset = snapshot->index + 1;
    u->offset_in_progress = u->offset;
}

/* Forgets all entries from `index` on. */
static void truncate(struct unstable *u, uint64_t index)
{
    size_t kept = (size_t)(index - u->offset);

    for (size_t i = kept; i < u->entries.count; i++)
        buf_unref(u->entries.item[i].data);
    u->entries.count = kept;
    if (u->offset_in_progress > index)
        u->offset_in_progress = index;
}

void unstable_append(struct unstable *u, const struct raft_entry *entries,
                     size_t count)
{
    uint64_t first = entries[0].index;

    if (first == u->offset + u->entries.count) {
        /* Nothing to replace. */
    } else if (first <= u->offset) {
        trace_line(u->trace, LOG_INFO,
                   "replace the unstable entries from index %" PRIu64, first);
        raft_entries_release(&u->entries);
        u->offset = first;
        u->offset_in_progress = first;
    } else {
        trace_line(u->trace, LOG_INFO,
                   "truncate the unstable entries before index %" PRIu64,
                   first);
        truncate(u, first);
    }
    for (size_t i = 0; i < count; i++)
        raft_entries_append(&u->entries, &entries[i]);
}

void unstable_check(const struct unstable *u)
{
    assert(u->offset <= u->offset_in_progress);
    assert(u->offset_in_progress <= u->offset + u->entries.count);
    for (size_t i = 0; i < u->entries.count; i++) {
        assert(u->entries.item[i].index == u->offset + i);
        assert(i == 0 ||
               u->entries.item[i - 1].term <= u->entries.item[i].term);
    }
    assert(u->snapshot != NULL || !u->snapshot_in_progress);
    assert(u->snapshot == NULL || u->snapshot->index < u->offset);
}
