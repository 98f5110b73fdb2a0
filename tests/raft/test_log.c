/* SPDX-License-Identifier: Apache-2.0 */

/* The log: what is in the storage and what is on its way, seen as one. */

#include "raft/raft_log.h"

#include "tests/raft/unit.h"

struct fixture {
    struct memory_storage storage;
    struct raft_config config;
    struct trace trace;
    struct raft_log log;
};

/* Stored 1 to 3, unstable 4 to 6, all of term 1. */
static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    struct raft_entry entries[6];
    struct raft_entries stored = {entries, 3, 0};

    for (uint64_t i = 0; i < 6; i++)
        entries[i] = (struct raft_entry){.term = 1, .index = i + 1};
    memory_storage_init(&f->storage);
    memory_storage_append(&f->storage, &stored);
    f->config.storage_ops = &memory_storage_ops;
    f->config.storage = &f->storage;
    f->config.message_size_max = RAFT_NO_LIMIT;
    raft_log_init(&f->log, &f->config, &f->trace);
    raft_log_append(&f->log, entries + 3, 3);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    raft_log_check(&f->log);
    raft_log_close(&f->log);
    memory_storage_close(&f->storage);
    free(f);
    return 0;
}

static size_t slice_count(struct fixture *f, uint64_t first, uint64_t end,
                          uint64_t size_max)
{
    struct raft_entries entries;
    size_t count;

    assert_int_equal(raft_log_slice(&f->log, first, end, size_max, &entries),
                     0);
    for (size_t i = 0; i < entries.count; i++)
        assert_int_equal(entries.item[i].index, first + i);
    count = entries.count;
    raft_entries_release(&entries);
    return count;
}

/* A slice may begin in the storage and end in the unstable part. */
static void test_slice_spans_both_parts(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(slice_count(f, 2, 7, RAFT_NO_LIMIT), 5);
    assert_int_equal(slice_count(f, 1, 4, RAFT_NO_LIMIT), 3);
    assert_int_equal(slice_count(f, 5, 7, RAFT_NO_LIMIT), 2);
    assert_int_equal(slice_count(f, 5, 5, RAFT_NO_LIMIT), 0);
}

/* It stops at its size, wherever that is, but has one entry at least. */
static void test_slice_is_limited(void **state)
{
    struct fixture *f = *state;
    uint64_t one = raft_entry_size(&(struct raft_entry){.term = 1});

    assert_int_equal(slice_count(f, 1, 7, 0), 1);
    assert_int_equal(slice_count(f, 1, 7, 2 * one), 2);
    assert_int_equal(slice_count(f, 1, 7, 4 * one), 4);
    assert_int_equal(slice_count(f, 4, 7, 2 * one + 1), 2);
    assert_int_equal(slice_count(f, 4, 7, 0), 1);
}

/* The term before the first entry stays known, those before it do not. */
static void test_terms_are_known_from_the_compacted_position_on(void **state)
{
    struct fixture *f = *state;
    uint64_t term;

    assert_null(memory_storage_compact(&f->storage, 2));
    assert_int_equal(raft_log_term(&f->log, 1, &term), ERR_COMPACTED);
    assert_int_equal(raft_log_term(&f->log, 2, &term), 0);
    assert_int_equal(raft_log_term(&f->log, 6, &term), 0);
    assert_int_equal(raft_log_term(&f->log, 7, &term), ERR_UNAVAILABLE);
}

/* New entries in the middle of the unstable part cut it there. */
static void test_append_truncates_the_unstable_part(void **state)
{
    struct fixture *f = *state;
    struct raft_entry entry = {.term = 2, .index = 5};

    unstable_accept(&f->log.unstable);
    raft_log_append(&f->log, &entry, 1);
    assert_int_equal(raft_log_last_index(&f->log), 5);
    assert_int_equal(raft_log_term_or_zero(&f->log, 5), 2);
    assert_int_equal(unstable_next_count(&f->log.unstable), 1);
}

/* Entries before the unstable part replace it, and cover the storage's. */
static void test_append_covers_the_storage(void **state)
{
    struct fixture *f = *state;
    struct raft_entry entry = {.term = 2, .index = 2};

    raft_log_append(&f->log, &entry, 1);
    assert_int_equal(raft_log_last_index(&f->log), 2);
    assert_int_equal(raft_log_term_or_zero(&f->log, 2), 2);
    assert_int_equal(slice_count(f, 1, 3, RAFT_NO_LIMIT), 2);
}

/* A completion that names another entry than the one that is here drops
 * nothing. */
static void test_stable_only_what_matches(void **state)
{
    struct fixture *f = *state;

    unstable_stable_to(&f->log.unstable, 2, 5);
    assert_int_equal(f->log.unstable.offset, 4);
    unstable_stable_to(&f->log.unstable, 1, 9);
    assert_int_equal(f->log.unstable.offset, 4);
    unstable_stable_to(&f->log.unstable, 1, 4);
    assert_int_equal(f->log.unstable.offset, 5);
    assert_int_equal(f->log.unstable.entries.count, 2);
}

/* The later last term is more up to date, then the longer log. */
static void test_up_to_date_compares_term_then_length(void **state)
{
    struct fixture *f = *state;

    assert_true(raft_log_is_up_to_date(&f->log, (struct log_position){2, 1}));
    assert_true(raft_log_is_up_to_date(&f->log, (struct log_position){1, 6}));
    assert_false(raft_log_is_up_to_date(&f->log, (struct log_position){1, 5}));
    assert_false(raft_log_is_up_to_date(&f->log, (struct log_position){0, 9}));
}

/* A committed entry is never replaced. */
static void test_committed_entries_are_never_replaced(void **state)
{
    struct fixture *f = *state;
    struct raft_entry entry = {.term = 2, .index = 5};
    struct raft_entries entries = {&entry, 1, 0};
    struct log_position prev = {1, 4};

    assert_int_equal(raft_log_commit_to(&f->log, 5), 0);
    assert_int_equal(raft_log_maybe_append(&f->log, prev, &entries),
                     ERR_CORRUPT);
    assert_int_equal(raft_log_last_index(&f->log), 6);
}

/* Commit never goes back, nor beyond the end. */
static void test_commit_is_monotone_and_inside_the_log(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(raft_log_commit_to(&f->log, 4), 0);
    assert_int_equal(raft_log_commit_to(&f->log, 2), 0);
    assert_int_equal(f->log.committed, 4);
    assert_int_equal(raft_log_commit_to(&f->log, 7), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_slice_spans_both_parts, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_slice_is_limited, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_terms_are_known_from_the_compacted_position_on, setup,
            teardown),
        cmocka_unit_test_setup_teardown(test_append_truncates_the_unstable_part,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_append_covers_the_storage, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_stable_only_what_matches, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_up_to_date_compares_term_then_length, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_committed_entries_are_never_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_commit_is_monotone_and_inside_the_log, setup, teardown),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
