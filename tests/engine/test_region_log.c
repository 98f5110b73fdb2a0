/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>
#include <string.h>

#include "exec_fixture.h"
#include "engine/region_log.h"
#include "fake_env.h"
#include "tests/sim/kv_mem.h"

enum {
    REGION = 1,
    ENTRIES_MAX = 1024,
    CHANGES_MAX = 48,
    SEEDS = 30,
    STEPS = 300,
    BIG = 1024 * 1024
};

/* A log as a plain array: term and data of each index. */
struct model {
    uint64_t start; /* the position before the first entry */
    uint64_t start_term;
    uint64_t last;
    uint64_t commit; /* of the hard state */
    struct {
        uint64_t term;
        uint64_t number; /* what its data says */
        size_t size;
    } entry[ENTRIES_MAX];
};

struct fixture {
    struct fake_env fake;
    struct kv *store;
    struct region_log *log;
    struct exec_fixture random; /* for pick() */
    struct model now;
    struct model durable;
    struct model queued[CHANGES_MAX]; /* after each change that waits */
    size_t done_count;
    bool dead;        /* the process is; its memory is being freed */
    size_t data_size; /* of entries */
    uint64_t number;
    uint64_t term;
};

static void reopen(struct fixture *f)
{
    region_log_free(f->log);
    f->log = NULL;
    assert_int_equal(region_log_open(&f->log, &f->fake.env, REGION), 0);
}

static int setup(void **state)
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

static void sync_all(struct fixture *f);

static int teardown(void **state)
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

static void sync_some(struct fixture *f, size_t count)
{
    size_t left;

    fake_env_sync(&f->fake, count);
    left = f->fake.write_count;
    memmove(f->queued, f->queued + f->done_count, left * sizeof *f->queued);
    f->done_count = 0;
}

static void sync_all(struct fixture *f)
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

/* Entries that take the place of all from `first` on. */
static void append(struct fixture *f, uint64_t first, size_t count)
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

static void compact(struct fixture *f, uint64_t index)
{
    struct log_change *change = log_change_new(f->log);

    f->now.start = index;
    f->now.start_term = f->now.entry[index].term;
    log_change_compact(change, index);
    submit(f, change);
}

static void reset(struct fixture *f, uint64_t index, uint64_t term)
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

static void check(struct fixture *f)
{
    uint64_t first = f->now.start + 1;

    check_terms(f);
    check_entries(f, first, f->now.last + 1, UINT64_MAX);
    if (first <= f->now.last)
        check_entries(f, first + pick(&f->random, f->now.last - first + 1),
                      f->now.last + 1, pick(&f->random, 2000));
}

/* A power cut: what waits is lost, the rest is there. */
static void crash(struct fixture *f)
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

/* ---- random order ---- */

static void step_append(struct fixture *f)
{
    uint64_t first = f->now.last + 1;

    if (pick(&f->random, 4) == 0 && first > f->now.start + 1) {
        first -= 1 + pick(&f->random, f->now.last - f->now.start);
        f->term++;
    }
    append(f, first, pick(&f->random, 5));
}

static void random_step(struct fixture *f)
{
    uint64_t what = pick(&f->random, 44);
    bool waits = f->fake.write_count > 0;
    uint64_t count = f->now.last - f->now.start;

    if (what < 20)
        step_append(f);
    else if (what < 34)
        sync_some(f, pick(&f->random, 4));
    else if (what < 37 && count > 0 && !waits)
        compact(f, f->now.last - pick(&f->random, count));
    else if (what == 37)
        reset(f, f->now.start + 1 + pick(&f->random, count + 6), ++f->term);
    else if (what == 38)
        crash(f);
    else if (what == 39 && !waits)
        reopen(f);
    else if (what >= 40)
        region_log_rest(f->log);
    check(f);
}

static void test_a_log_is_what_an_array_would_be(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fixture *f;

        (void)setup((void **)&f);
        f->random.random = seed;
        for (int step = 0; step < STEPS; step++)
            random_step(f);
        crash(f);
        check(f);
        (void)teardown((void **)&f);
    }
}

/* ---- entries that have left the memory ---- */

static void fill_beyond_memory(struct fixture *f, size_t count)
{
    f->data_size = BIG;
    for (size_t i = 0; i < count; i++) {
        append(f, f->now.last + 1, 1);
        sync_all(f);
    }
}

static void test_entries_that_left_the_memory_are_read_back(void **state)
{
    struct fixture *f = *state;

    fill_beyond_memory(f, 40);
    check(f);
    reopen(f);
    check(f);
    compact(f, 10);
    check(f);
    sync_all(f);
    compact(f, 35);
    sync_all(f);
    check(f);
}

static void test_a_cut_may_go_below_what_is_in_memory(void **state)
{
    struct fixture *f = *state;

    fill_beyond_memory(f, 40);
    f->term++;
    append(f, 5, 3);
    check(f);
    append(f, 8, 20);
    check(f);
    sync_all(f);
    check(f);
    append(f, 20, 0);
    reset(f, 100, 9);
    append(f, 101, 2);
    check(f);
}

/* What rests keeps the last term at hand: a heartbeat asks for it. */
static void test_a_log_that_rests_keeps_its_last_term(void **state)
{
    struct fixture *f = *state;
    uint64_t term = 0;

    append(f, 1, 5);
    sync_all(f);
    region_log_rest(f->log);
    check(f);
    assert_int_equal(region_log_term(f->log, 5, &term), 0);
    append(f, 5, 1);
    f->term++;
    check(f);
}

/* The entry that rested last was replaced, and its successor left the memory.
 */
static void test_a_replaced_last_term_is_forgotten(void **state)
{
    struct fixture *f = *state;

    append(f, 1, 5);
    sync_all(f);
    region_log_rest(f->log);
    f->term++;
    append(f, 5, 1);
    sync_all(f);
    fill_beyond_memory(f, 40);
    check(f);
}

static void test_what_is_not_durable_stays_in_memory(void **state)
{
    struct fixture *f = *state;

    f->data_size = BIG;
    for (int i = 0; i < 40; i++)
        append(f, f->now.last + 1, 1);
    check(f);
    sync_some(f, 20);
    check(f);
    crash(f);
    check(f);
}

/* Two changes wait; the first one's end must not pass for the second's. */
static void test_a_replaced_entry_is_durable_only_in_its_new_form(void **state)
{
    struct fixture *f = *state;

    f->data_size = BIG;
    append(f, 1, 30);
    f->term++;
    append(f, 5, 30);
    sync_some(f, 1);
    check(f);
    sync_all(f);
    check(f);
}

/* Memory is trimmed when an earlier change is done. */
static void test_a_replaced_entry_is_not_read_back_in_its_old_form(void **state)
{
    struct fixture *f = *state;

    f->data_size = BIG;
    append(f, 1, 30);
    sync_all(f);
    append(f, 31, 0);
    f->term++;
    append(f, 5, 30);
    sync_some(f, 1);
    check(f);
}

/* ---- size, founding, damage ---- */

static void test_the_size_follows_the_entries(void **state)
{
    struct fixture *f = *state;
    uint64_t full;

    append(f, 1, 100);
    sync_all(f);
    full = region_log_size_bytes(f->log);
    assert_true(full >= 100 * 100);
    for (int i = 0; i < 10; i++) {
        f->term++;
        append(f, 51, 50);
        sync_all(f);
    }
    assert_true(region_log_size_bytes(f->log) <= full + full / 10);
    compact(f, 90);
    assert_true(region_log_size_bytes(f->log) <= full / 5);
}

static void test_a_founded_log_starts_where_it_says(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch = kv_batch_new(f->store);

    region_log_found(batch, REGION, &(struct log_start){5, 6},
                     &(struct hard_state){.term = 6, .commit = 5});
    assert_int_equal(kv_write(f->store, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    reopen(f);
    assert_int_equal(region_log_hard_state(f->log)->term, 6);
    f->now.start = f->now.last = f->now.commit = 5;
    f->now.start_term = 6;
    check(f);
}

static void test_a_hole_in_the_log_is_found_when_it_is_opened(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch = kv_batch_new(f->store);
    struct key key = key_log_entry(REGION, 3);
    struct region_log *log = NULL;

    append(f, 1, 5);
    sync_all(f);
    kv_batch_delete(batch, key_slice(&key));
    assert_int_equal(kv_write(f->store, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    assert_int_equal(region_log_open(&log, &f->fake.env, REGION), ERR_CORRUPT);
}

static void test_regions_do_not_see_each_other_s_entries(void **state)
{
    struct fixture *f = *state;
    struct region_log *other = NULL;

    append(f, 1, 5);
    sync_all(f);
    assert_int_equal(region_log_open(&other, &f->fake.env, REGION + 1), 0);
    assert_int_equal(region_log_last_index(other), 0);
    region_log_free(other);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_log_is_what_an_array_would_be),
        TEST(test_entries_that_left_the_memory_are_read_back),
        TEST(test_a_cut_may_go_below_what_is_in_memory),
        TEST(test_a_log_that_rests_keeps_its_last_term),
        TEST(test_a_replaced_last_term_is_forgotten),
        TEST(test_what_is_not_durable_stays_in_memory),
        TEST(test_a_replaced_entry_is_durable_only_in_its_new_form),
        TEST(test_a_replaced_entry_is_not_read_back_in_its_old_form),
        TEST(test_the_size_follows_the_entries),
        TEST(test_a_founded_log_starts_where_it_says),
        TEST(test_a_hole_in_the_log_is_found_when_it_is_opened),
        TEST(test_regions_do_not_see_each_other_s_entries),
    };

    return cmocka_run_group_tests_name("region_log", tests, NULL, NULL);
}
