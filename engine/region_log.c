/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/region_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"
#include "engine/region_log_impl.h"

struct region_log {
    struct env *env;
    uint64_t region;
    struct hard_state hard_state;
    struct log_start start; /* the position before the first entry */
    uint64_t last_index;    /* start.index when empty */
    uint64_t durable_index; /* entries up to here may leave memory */
    uint64_t size_bytes;
    /* Entries [cache_first, last_index], from items[cache_skip] on. */
    uint64_t cache_first;
    size_t cache_skip;
    uint64_t cache_bytes;
    struct raft_entries cache;
    struct log_start tail; /* an entry whose term stays known; index 0: none */
};

struct log_change {
    struct env_log_write write;
    struct region_log *log;
    struct raft_entries entries;
    uint64_t delete_first; /* log entries [delete_first, delete_end) go */
    uint64_t delete_end;
    bool has_hard_state;
    bool has_start;
    uint64_t peer_id; /* 0: not to be noted */
    struct hard_state hard_state;
    struct log_start start;
    void (*done)(void *context);
    void *context;
};

/* ---- the entries in memory ---- */

static struct raft_entry *cached(struct region_log *log, uint64_t index)
{
    assert(index >= log->cache_first && index <= log->last_index);
    return &log->cache.item[log->cache_skip + (index - log->cache_first)];
}

static void cache_clear(struct region_log *log, uint64_t next_index)
{
    for (size_t i = log->cache_skip; i < log->cache.count; i++)
        buf_unref(log->cache.item[i].data);
    log->cache.count = 0;
    log->cache_skip = 0;
    log->cache_bytes = 0;
    log->cache_first = next_index;
}

static void cache_append(struct region_log *log, const struct raft_entry *entry)
{
    raft_entries_append(&log->cache, entry);
    log->cache_bytes += raft_entry_size(entry);
}

static void cache_pop_front(struct region_log *log)
{
    struct raft_entry *entry = &log->cache.item[log->cache_skip];

    log->cache_bytes -= raft_entry_size(entry);
    buf_unref(entry->data);
    entry->data = NULL;
    log->cache_skip++;
    log->cache_first++;
}

/* Gives the room of popped entries back once it is half of the array. */
static void cache_shift(struct region_log *log)
{
    size_t kept = log->cache.count - log->cache_skip;

    if (log->cache_skip < 64 || log->cache_skip < kept)
        return;
    memmove(log->cache.item, log->cache.item + log->cache_skip,
            kept * sizeof *log->cache.item);
    log->cache.count = kept;
    log->cache_skip = 0;
}

static void cache_trim(struct region_log *log)
{
    while (log->cache_bytes > REGION_LOG_CACHE_BYTES &&
           log->cache_first <= log->durable_index &&
           log->cache_first < log->last_index)
        cache_pop_front(log);
    cache_shift(log);
}

/* Drops entries from `index` on from memory. */
static void cache_cut(struct region_log *log, uint64_t index)
{
    if (index <= log->cache_first) {
        cache_clear(log, index);
        return;
    }
    while (log->cache_first + (log->cache.count - log->cache_skip) > index) {
        struct raft_entry *entry = &log->cache.item[--log->cache.count];

        log->cache_bytes -= raft_entry_size(entry);
        buf_unref(entry->data);
    }
}

/* ---- reading ---- */

static int load_entry(struct region_log *log, const struct kv_iter *iter)
{
    struct slice key = kv_iter_key(iter);
    struct raft_entry entry = {0};
    uint64_t index = be64_get((const uint8_t *)key.data + key.size - 8);
    int rc;

    if (index != log->last_index + 1)
        return ERR_CORRUPT;
    rc = region_log_decode_entry(kv_iter_value(iter), index, &entry);
    if (rc != 0)
        return rc;
    cache_append(log, &entry);
    buf_unref(entry.data);
    log->last_index = log->durable_index = index;
    log->size_bytes += raft_entry_size(&entry);
    cache_trim(log);
    return 0;
}

static int load_entries(struct region_log *log)
{
    struct key lower = key_log_entry(log->region, log->start.index + 1);
    struct key upper = key_log_entry(log->region, UINT64_MAX);
    struct kv_iter *iter =
        kv_iter_new(log->env->log, NULL, key_slice(&lower), key_slice(&upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; rc == 0 && kv_iter_valid(iter); kv_iter_next(iter))
        rc = load_entry(log, iter);
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

int region_log_open(struct region_log **ret, struct env *env, uint64_t region)
{
    struct region_log *log = mem_zalloc(sizeof *log);
    int rc;

    log->env = env;
    log->region = region;
    rc = region_log_read_state(env, region, &log->start, &log->hard_state);
    if (rc == 0) {
        log->last_index = log->durable_index = log->start.index;
        log->cache_first = log->start.index + 1;
        rc = load_entries(log);
    }
    if (rc != 0) {
        region_log_free(log);
        return rc;
    }
    *ret = log;
    return 0;
}

void region_log_free(struct region_log *log)
{
    if (log == NULL)
        return;
    cache_clear(log, 0);
    raft_entries_release(&log->cache);
    free(log);
}

const struct hard_state *region_log_hard_state(const struct region_log *log)
{
    return &log->hard_state;
}

uint64_t region_log_first_index(const struct region_log *log)
{
    return log->start.index + 1;
}

uint64_t region_log_last_index(const struct region_log *log)
{
    return log->last_index;
}

uint64_t region_log_size_bytes(const struct region_log *log)
{
    return log->size_bytes;
}

int region_log_term(struct region_log *log, uint64_t index, uint64_t *ret_term)
{
    struct raft_entry entry = {0};
    int rc;

    if (index < log->start.index)
        return ERR_COMPACTED;
    if (index > log->last_index)
        return ERR_UNAVAILABLE;
    if (index == log->start.index) {
        *ret_term = log->start.term;
        return 0;
    }
    if (index >= log->cache_first) {
        *ret_term = cached(log, index)->term;
        return 0;
    }
    if (index == log->tail.index) {
        *ret_term = log->tail.term;
        return 0;
    }
    rc = region_log_read_entry(log->env, log->region, index, &entry);
    if (rc == 0)
        *ret_term = entry.term;
    buf_unref(entry.data);
    return rc;
}

static int one_entry(struct region_log *log, uint64_t index,
                     struct raft_entry *ret)
{
    if (index < log->cache_first)
        return region_log_read_entry(log->env, log->region, index, ret);
    *ret = *cached(log, index);
    (void)buf_ref(ret->data);
    return 0;
}

int region_log_entries(struct region_log *log, uint64_t first, uint64_t end,
                       uint64_t size_max, struct raft_entries *entries)
{
    uint64_t size = 0;

    if (first <= log->start.index)
        return ERR_COMPACTED;
    if (end > log->last_index + 1)
        return ERR_UNAVAILABLE;
    for (uint64_t index = first; index < end; index++) {
        struct raft_entry entry = {0};
        int rc = one_entry(log, index, &entry);

        if (rc != 0)
            return rc;
        size += raft_entry_size(&entry);
        if (index == first || size <= size_max)
            raft_entries_append(entries, &entry);
        buf_unref(entry.data);
        if (size > size_max)
            break;
    }
    return 0;
}

void region_log_rest(struct region_log *log)
{
    uint64_t term = 0;

    if (log->durable_index < log->last_index ||
        region_log_term(log, log->last_index, &term) != 0)
        return;
    log->tail = (struct log_start){log->last_index, term};
    cache_clear(log, log->last_index + 1);
    raft_entries_release(&log->cache);
}

/* ---- changing ---- */

struct log_change *log_change_new(struct region_log *log)
{
    struct log_change *change = mem_zalloc(sizeof *change);

    change->log = log;
    return change;
}

/* Counts `gone` of the log's entries off, as if all were of one size. */
static void forget_size(struct region_log *log, uint64_t gone)
{
    uint64_t count = log->last_index - log->start.index;

    log->size_bytes -= log->size_bytes / count * gone;
}

void log_change_append(struct log_change *change,
                       const struct raft_entries *entries)
{
    struct region_log *log = change->log;
    uint64_t first;

    assert(change->entries.count == 0);
    if (entries->count == 0)
        return;
    first = entries->item[0].index;
    assert(first > log->start.index && first <= log->last_index + 1);
    if (first <= log->last_index) {
        change->delete_first = first;
        change->delete_end = log->last_index + 1;
        forget_size(log, change->delete_end - first);
        cache_cut(log, first);
        if (log->durable_index >= first)
            log->durable_index = first - 1;
        if (log->tail.index >= first)
            log->tail = (struct log_start){0};
    }
    for (size_t i = 0; i < entries->count; i++) {
        assert(entries->item[i].index == first + i);
        cache_append(log, &entries->item[i]);
        log->size_bytes += raft_entry_size(&entries->item[i]);
    }
    log->last_index = first + entries->count - 1;
    raft_entries_copy(&change->entries, entries->item, entries->count);
}

void log_change_hard_state(struct log_change *change,
                           const struct hard_state *state)
{
    change->log->hard_state = *state;
    change->hard_state = *state;
    change->has_hard_state = true;
}

void log_change_compact(struct log_change *change, uint64_t index)
{
    struct region_log *log = change->log;
    uint64_t term = 0;

    assert(index > log->start.index && index <= log->durable_index);
    if (region_log_term(log, index, &term) != 0)
        env_fatal(log->env, "a Raft log entry cannot be read back");
    change->delete_first = log->start.index + 1;
    change->delete_end = index + 1;
    change->start = (struct log_start){index, term};
    change->has_start = true;
    forget_size(log, index - log->start.index);
    log->start = change->start;
    while (log->cache_first <= index)
        cache_pop_front(log);
    cache_shift(log);
}

void log_change_reset(struct log_change *change, uint64_t index, uint64_t term)
{
    struct region_log *log = change->log;

    change->delete_first = 0;
    change->delete_end = UINT64_MAX;
    change->start = (struct log_start){index, term};
    change->has_start = true;
    log->start = change->start;
    log->last_index = log->durable_index = index;
    log->size_bytes = 0;
    log->tail = (struct log_start){0};
    cache_clear(log, index + 1);
}

void log_change_peer(struct log_change *change, uint64_t peer_id)
{
    change->peer_id = peer_id;
}

/* On the log writer's thread. */
static void change_fill(struct env_log_write *write, struct kv_batch *batch)
{
    struct log_change *change = container_of(write, struct log_change, write);
    uint64_t region = change->log->region;

    if (change->delete_first < change->delete_end) {
        struct key begin = key_log_entry(region, change->delete_first);
        struct key end = key_log_entry(region, change->delete_end);

        kv_batch_delete_range(batch, key_slice(&begin), key_slice(&end));
    }
    if (change->peer_id != 0)
        region_log_put_peer(batch, region, change->peer_id);
    if (change->has_start)
        region_log_put_start(batch, region, &change->start);
    for (size_t i = 0; i < change->entries.count; i++)
        region_log_put_entry(batch, region, &change->entries.item[i]);
    if (change->has_hard_state)
        region_log_put_hard_state(batch, region, &change->hard_state);
}

static void change_done(struct env_log_write *write)
{
    struct log_change *change = container_of(write, struct log_change, write);
    struct region_log *log = change->log;
    size_t count = change->entries.count;

    if (count > 0) {
        uint64_t last = change->entries.item[count - 1].index;
        uint64_t term = change->entries.item[count - 1].term;
        uint64_t now = 0;

        /* Not if a later change has replaced them meanwhile. */
        if (last > log->durable_index && last <= log->last_index &&
            region_log_term(log, last, &now) == 0 && now == term)
            log->durable_index = last;
    }
    cache_trim(log);
    raft_entries_release(&change->entries);
    change->done(change->context);
    free(change);
}

void log_change_submit(struct log_change *change, void (*done)(void *context),
                       void *context)
{
    change->write.fill = change_fill;
    change->write.done = change_done;
    change->done = done;
    change->context = context;
    env_log_write(change->log->env, &change->write);
}
