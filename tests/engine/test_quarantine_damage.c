/* SPDX-License-Identifier: Apache-2.0 */

/* What is kept of a directory when a crash comes, or some of it cannot be
 * read. */

#include "quarantine_fixture.h"

/* ---- crashes ---- */

/* Rule 1. */
static void test_a_crash_leaves_each_change_here_or_there(void **state)
{
    struct kv *kv = *state;

    put_change(kv, "a", TAKEN + 1, "a");
    leave_out(kv, LIFE, NODE);
    assert_int_equal(kv_flush(kv, true, NULL), 0);
    assert_int_equal(keep(kv, LIFE), 0);
    kv_mem_crash(kv, 0);
    assert_true(is_there(kv, "a"));
    expect_head(kv, 0, 0);
    assert_int_equal(keep(kv, LIFE), 0);
    kv_mem_crash(kv, 1);
    assert_false(is_there(kv, "a"));
    expect_head(kv, 1, 1);
}

static void count_step(void *context, bool done)
{
    *(unsigned *)context += done ? 1 : 0;
}

/* Large changes go in several batches; one that a crash leaves is not moved
 * once more. */
static void test_what_a_crash_leaves_is_not_moved_twice(void **state)
{
    enum { COUNT = 5 };
    struct kv *kv = *state;
    unsigned step_count = 0;
    const struct kv_mem_watcher watcher = {count_step, &step_count};
    uint64_t number;

    for (unsigned i = 0; i < COUNT; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        struct eventual_record record = change(name, TAKEN + 1 + i, "");

        record.content = letters(EVENTUAL_VALUE_SIZE_MAX / 2);
        record.attr.size = record.content.size;
        put(kv, &record);
    }
    leave_out(kv, LIFE, NODE);
    assert_int_equal(kv_flush(kv, true, NULL), 0);
    kv_mem_watch(kv, &watcher);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_true(step_count >= 3);
    kv_mem_watch(kv, &(struct kv_mem_watcher){NULL, NULL});
    kv_mem_crash(kv, 1);
    assert_true(!is_there(kv, "a") && is_there(kv, "e"));
    assert_int_equal(keep(kv, LIFE), 0);
    expect_head(kv, COUNT, COUNT);
    assert_int_equal(quarantine_next(kv, COUNT, &number), 0);
}

/* ---- what cannot be read ---- */

static void damage(struct kv *kv, struct key key)
{
    put_record(kv, key, slice_of("\001damage"));
}

static void test_entries_that_cannot_be_read_stay(void **state)
{
    struct kv *kv = *state;
    struct eventual_record large = change("large", TAKEN + 3, "");
    struct key content = key_user('w', DIR, large.name);

    put_change(kv, "a", TAKEN + 1, "a");
    put_change(kv, "b", TAKEN + 2, "b");
    large.content = letters(EVENTUAL_INLINE_MAX + 1);
    large.attr.size = large.content.size;
    put(kv, &large);
    damage(kv, key_user('v', DIR, slice_of("a")));
    put_record(kv, content, slice_of("less than that"));
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 2);
    assert_true(is_there(kv, "a") && is_there(kv, "large"));
    expect_head(kv, 1, 1);
    expect_item(kv, 1, "/d\\040e/b", "b");
}

static void test_a_bad_block_ends_nothing(void **state)
{
    struct kv *kv = *state;

    put_change(kv, "a", TAKEN + 1, "a");
    leave_out(kv, LIFE, NODE);
    kv_mem_spoil(kv, 'v');
    assert_int_equal(keep(kv, LIFE), 1);
    kv_mem_spoil(kv, '\0');
    assert_true(is_there(kv, "a"));
}

/* Nobody knows whether this node was left out: then nothing is lost. */
static void test_of_a_damaged_catalog_all_own_changes_are_kept(void **state)
{
    struct kv *kv = *state;
    struct eventual_record other = change("b", TAKEN + 1, "b");

    other.origin = OTHER;
    put_change(kv, "a", 1, "a");
    put(kv, &other);
    damage(kv, key_left_out(DIR, LIFE));
    assert_int_equal(keep(kv, LIFE), 0);
    expect_head(kv, 1, 1);
    expect_item(kv, 1, "/d\\040e/a", "a");
    assert_true(is_there(kv, "b"));
}

static void test_a_head_that_cannot_be_read_is_counted_anew(void **state)
{
    struct kv *kv = *state;

    put_change(kv, "a", TAKEN + 1, "a");
    put_change(kv, "b", TAKEN + 2, "b");
    put_change(kv, "c", TAKEN + 3, "c");
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_int_equal(quarantine_drop(kv, 2), 0);
    damage(kv, key_quarantine_head());
    expect_head(kv, 3, 2);
    put_change(kv, "d", TAKEN + 4, "d");
    assert_int_equal(keep(kv, LIFE), 0);
    expect_head(kv, 4, 3);
    expect_item(kv, 4, "/d\\040e/d", "d");
}

static void test_an_item_that_cannot_be_read_can_be_dropped(void **state)
{
    struct kv *kv = *state;
    struct quarantined item = {0};

    put_change(kv, "a", TAKEN + 1, "a");
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    damage(kv, key_quarantined(1));
    assert_int_equal(quarantine_get(kv, 1, &item), ERR_CORRUPT);
    assert_int_equal(quarantine_drop(kv, 1), 0);
    expect_head(kv, 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_crash_leaves_each_change_here_or_there),
        TEST(test_what_a_crash_leaves_is_not_moved_twice),
        TEST(test_entries_that_cannot_be_read_stay),
        TEST(test_a_bad_block_ends_nothing),
        TEST(test_of_a_damaged_catalog_all_own_changes_are_kept),
        TEST(test_a_head_that_cannot_be_read_is_counted_anew),
        TEST(test_an_item_that_cannot_be_read_can_be_dropped),
    };

    return cmocka_run_group_tests_name("quarantine_damage", tests, NULL, NULL);
}
