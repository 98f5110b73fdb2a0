/* SPDX-License-Identifier: Apache-2.0 */

/* A region's log beside a plain array: in random order, and one by one. */

#include "region_log_fixture.h"

enum { SEEDS = 30, STEPS = 300, BIG = 1024 * 1024 };

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

        (void)setup_region_log((void **)&f);
        f->random.random = seed;
        for (int step = 0; step < STEPS; step++)
            random_step(f);
        crash(f);
        check(f);
        (void)teardown_region_log((void **)&f);
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
