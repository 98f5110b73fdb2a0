/* SPDX-License-Identifier: Apache-2.0 */

/* The storage that tests give to raft. */

#include "tests/raft/memory_storage.h"

#include <assert.h>
#include <stddef.h>

#include "raft/base/err.h"

static uint64_t dummy_index(const struct memory_storage *s)
{
    return s->entries.item[0].index;
}

void memory_storage_init(struct memory_storage *s)
{
    *s = (struct memory_storage){.snapshot = NULL};
    raft_entries_append(&s->entries, &(struct raft_entry){.index = 0});
}

void memory_storage_close(struct memory_storage *s)
{
    raft_entries_release(&s->entries);
    raft_snapshot_free(s->snapshot);
    s->snapshot = NULL;
}

uint64_t memory_storage_first_index(const struct memory_storage *s)
{
    return dummy_index(s) + 1;
}

uint64_t memory_storage_last_index(const struct memory_storage *s)
{
    return dummy_index(s) + s->entries.count - 1;
}

/* Replaces the array by a dummy and the entries from `i` on. */
static void rebase(struct memory_storage *s, uint64_t index, uint64_t term,
                   size_t i)
{
    struct raft_entries rest = {.count = 0};

    raft_entries_append(&rest,
                        &(struct raft_entry){.index = index, .term = term});
    for (; i < s->entries.count; i++)
        raft_entries_append(&rest, &s->entries.item[i]);
    raft_entries_release(&s->entries);
    s->entries = rest;
}

const char *memory_storage_apply_snapshot(struct memory_storage *s,
                                          const struct raft_snapshot *snapshot)
{
    uint64_t own = s->snapshot == NULL ? 0 : s->snapshot->index;

    if (own != 0 && own >= snapshot->index)
        return "requested index is older than the existing snapshot";

    raft_snapshot_free(s->snapshot);
    s->snapshot = raft_snapshot_copy(snapshot);
    rebase(s, snapshot->index, snapshot->term, s->entries.count);
    return NULL;
}

const char *memory_storage_compact(struct memory_storage *s, uint64_t index)
{
    size_t i;

    if (index <= dummy_index(s))
        return "requested index is unavailable due to compaction";

    assert(index <= memory_storage_last_index(s));
    i = (size_t)(index - dummy_index(s));
    rebase(s, index, s->entries.item[i].term, i + 1);
    return NULL;
}

void memory_storage_append(struct memory_storage *s,
                           const struct raft_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct raft_entry *entry = &entries->item[i];

        if (entry->index <= dummy_index(s))
            continue;
        assert(entry->index <= memory_storage_last_index(s) + 1);
        while (memory_storage_last_index(s) >= entry->index)
            buf_unref(s->entries.item[--s->entries.count].data);
        raft_entries_append(&s->entries, entry);
    }
}

/* ---- What raft calls -------------------------------------------------- */

static int initial_state(void *storage, struct raft_hard_state *ret_hard_state,
                         struct raft_conf_state *ret_conf_state)
{
    const struct memory_storage *s = storage;

    *ret_hard_state = s->hard_state;
    if (s->applied_conf != NULL)
        *ret_conf_state = *s->applied_conf;
    else if (s->snapshot != NULL)
        *ret_conf_state = s->snapshot->conf_state;
    return 0;
}

static int entries(void *storage, uint64_t first, uint64_t end,
                   uint64_t size_max, struct raft_entries *ret)
{
    const struct memory_storage *s = storage;
    uint64_t size = 0;

    if (s->entries_unavailable)
        return ERR_UNAVAILABLE;
    if (first <= dummy_index(s))
        return ERR_COMPACTED;
    assert(end <= memory_storage_last_index(s) + 1);

    for (uint64_t i = first; i < end; i++) {
        const struct raft_entry *entry = &s->entries.item[i - dummy_index(s)];

        size += raft_entry_size(entry);
        if (i > first && size > size_max)
            break;
        raft_entries_append(ret, entry);
    }
    return 0;
}

static int term(void *storage, uint64_t index, uint64_t *ret_term)
{
    const struct memory_storage *s = storage;

    if (index < dummy_index(s))
        return ERR_COMPACTED;
    if (index > memory_storage_last_index(s))
        return ERR_UNAVAILABLE;
    *ret_term = s->entries.item[index - dummy_index(s)].term;
    return 0;
}

static uint64_t first_index(void *storage)
{
    return memory_storage_first_index(storage);
}

static uint64_t last_index(void *storage)
{
    return memory_storage_last_index(storage);
}

static int snapshot(void *storage, uint64_t peer, uint64_t index_min,
                    struct raft_snapshot *ret)
{
    const struct memory_storage *s = storage;
    const struct raft_snapshot *offered =
        s->offered != NULL ? s->offered : s->snapshot;

    (void)peer;
    if (s->snapshot_unavailable || offered == NULL ||
        offered->index < index_min)
        return ERR_UNAVAILABLE;
    *ret = *offered;
    ret->data = buf_ref(offered->data);
    return 0;
}

const struct raft_storage_ops memory_storage_ops = {
    .initial_state = initial_state,
    .entries = entries,
    .term = term,
    .first_index = first_index,
    .last_index = last_index,
    .snapshot = snapshot,
};
