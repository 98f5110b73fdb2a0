/* SPDX-License-Identifier: Apache-2.0 */

#include "region_log_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/kv_mem.h"

void reopen(struct fixture *f)
{
    region_log_free(f->log);
    f->log = NULL;
    assert_int_equal(region_log_open(&f->log, &f->fake.env, REGION), 0);
}

int setup_region_log(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->store = kv_mem_new();
    fake_env_init(&f->fake, f->store, NULL);
    f->term = 1;
    f->data_size = 100;
    f->random.random = 1;
    reopen(f);
    *state = f;
    return 0;
}

int teardown_region_log(void **state)
{
    struct fixture *f = *state;

    sync_all(f);
    assert_int_equal(f->fake.fatal_count, 0);
    region_log_free(f->log);
    kv_close(f->store);
    free(f);
    return 0;
}

/* ---- changes ---- */

static void on_done(void *context)
{
    struct fixture *f = context;

    if (f->dead)
        return;
    f->durable = f->queued[f->done_count++];
}

void sync_some(struct fixture *f, size_t count)
{
    size_t left;

    fake_env_sync(&f->fake, count);
    left = f->fake.write_count;
    memmove(f->queued, f->queued + f->done_count, left * sizeof *f->queued);
    f->done_count = 0;
}

void sync_all(struct fixture *f)
{
    sync_some(f, f->fake.write_count);
}

static void submit(struct fixture *f, struct log_change *change)
{
    if (f->fake.write_count == CHANGES_MAX)
        sync_some(f, CHANGES_MAX / 2);
    f->queued[f->fake.write_count] = f->now;
    log_change_submit(change, on_done, f);
}

static struct buf *data_of(uint64_t number, size_t size)
{
    struct buf *data = buf_new(size);

    memset(data->data, (int)(number % 256), size);
    be64_put(data->data, number);
    return data;
}

void append(struct fixture *f, uint64_t first, size_t count)
{
    struct log_change *change = log_change_new(f->log);
    struct raft_entries entries = {0};

    for (uint64_t index = first; index < first + count; index++) {
        struct raft_entry entry = {.term = f->term, .index = index};

        assert_true(index < ENTRIES_MAX);
        f->now.entry[index].term = f->term;
        f->now.entry[index].number = ++f->number;
        f->now.entry[index].size = f->data_size;
        entry.data = data_of(f->number, f->data_size);
        raft_entries_append(&entries, &entry);
        buf_unref(entry.data);
    }
    if (count > 0)
        f->now.last = first + count - 1;
    log_change_append(change, &entries);
    log_change_hard_state(change, &(struct hard_state){.commit = ++f->number});
    f->now.commit = f->number;
    raft_entries_release(&entries);
    submit(f, change);
}

void compact(struct fixture *f, uint64_t index)
{
    struct log_change *change = log_change_new(f->log);

    f->now.start = index;
    f->now.start_term = f->now.entry[index].term;
    log_change_compact(change, index);
    submit(f, change);
}

void reset(struct fixture *f, uint64_t index, uint64_t term)
{
    struct log_change *change = log_change_new(f->log);

    f->now.start = f->now.last = index;
    f->now.start_term = term;
    log_change_reset(change, index, term);
    submit(f, change);
}

/* ---- comparing ---- */

static void check_terms(struct fixture *f)
{
    const struct model *m = &f->now;
    uint64_t term = 0;

    assert_int_equal(region_log_first_index(f->log), m->start + 1);
    assert_int_equal(region_log_last_index(f->log), m->last);
    assert_int_equal(region_log_hard_state(f->log)->commit, m->commit);
    if (m->start > 0)
        assert_int_equal(region_log_term(f->log, m->start - 1, &term),
                         ERR_COMPACTED);
    assert_int_equal(region_log_term(f->log, m->last + 1, &term),
                     ERR_UNAVAILABLE);
    assert_int_equal(region_log_term(f->log, m->start, &term), 0);
    assert_int_equal(term, m->start_term);
    for (uint64_t index = m->start + 1; index <= m->last; index++) {
        assert_int_equal(region_log_term(f->log, index, &term), 0);
        assert_int_equal(term, m->entry[index].term);
    }
}

static void check_entry(const struct fixture *f, const struct raft_entry *entry,
                        uint64_t index)
{
    assert_int_equal(entry->index, index);
    assert_int_equal(entry->term, f->now.entry[index].term);
    assert_int_equal(entry->data->size, f->now.entry[index].size);
    assert_int_equal(be64_get(entry->data->data), f->now.entry[index].number);
}

static void check_entries(struct fixture *f, uint64_t first, uint64_t end,
                          uint64_t size_max)
{
    struct raft_entries entries = {0};
    uint64_t size = 0;

    assert_int_equal(region_log_entries(f->log, first, end, size_max, &entries),
                     0);
    for (size_t i = 0; i < entries.count; i++) {
        check_entry(f, &entries.item[i], first + i);
        size += raft_entry_size(&entries.item[i]);
        assert_true(i == 0 || size <= size_max);
    }
    if (first < end)
        assert_true(entries.count > 0);
    if (size_max == UINT64_MAX)
        assert_int_equal(entries.count, end - first);
    raft_entries_release(&entries);
}

void check(struct fixture *f)
{
    uint64_t first = f->now.start + 1;

    check_terms(f);
    check_entries(f, first, f->now.last + 1, UINT64_MAX);
    if (first <= f->now.last)
        check_entries(f, first + pick(&f->random, f->now.last - first + 1),
                      f->now.last + 1, pick(&f->random, 2000));
}

void crash(struct fixture *f)
{
    sync_some(f, pick(&f->random, f->fake.write_count + 1));
    f->now = f->durable;
    f->dead = true;
    fake_env_forget(&f->fake);
    f->dead = false;
    kv_mem_crash(f->store, 0);
    reopen(f);
    f->term++;
}
