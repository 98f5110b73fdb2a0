/* SPDX-License-Identifier: Apache-2.0 */

/* What a node keeps of a directory that was made strong without it. */

#include "quarantine_fixture.h"

/* ---- what is kept ---- */

static void test_nothing_is_in_it_at_first(void **state)
{
    struct quarantined item = {0};
    uint64_t number;

    expect_head(*state, 0, 0);
    assert_int_equal(quarantine_next(*state, 0, &number), ERR_NOT_FOUND);
    assert_int_equal(quarantine_get(*state, 1, &item), ERR_NOT_FOUND);
    assert_int_equal(quarantine_drop(*state, 1), ERR_NOT_FOUND);
}

static void test_what_was_not_taken_along_is_moved(void **state)
{
    struct kv *kv = *state;

    put_change(kv, "taken", TAKEN, "a");
    put_change(kv, "new", TAKEN + 1, "text");
    put_change(kv, "removed", TAKEN + 2, NULL);
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_true(is_there(kv, "taken"));
    assert_false(is_there(kv, "new") || is_there(kv, "removed"));
    expect_head(kv, 2, 2);
    expect_item(kv, 1, "/d\\040e/new", "text");
    expect_item(kv, 2, "/d\\040e/removed", NULL);
}

static void test_an_item_is_the_record_in_whole(void **state)
{
    struct kv *kv = *state;
    struct eventual_record record = change("a", TAKEN + 1, "text");
    struct quarantined item = {0};

    record.xattrs = (struct slice){"\0\1\0\1ab", 6};
    record.known = 7;
    record.attr.mtime_ns = 8;
    record.attr.uid = 9;
    put(kv, &record);
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_int_equal(quarantine_get(kv, 1, &item), 0);
    assert_int_equal(item.record.hlc, record.hlc);
    assert_int_equal(item.record.origin, NODE);
    assert_int_equal(item.record.sequence, TAKEN + 1);
    assert_int_equal(item.record.since, LIFE);
    assert_int_equal(item.record.known, 7);
    assert_int_equal(item.record.attr.mtime_ns, 8);
    assert_int_equal(item.record.attr.uid, 9);
    assert_true(slice_equal(item.record.xattrs, record.xattrs));
    quarantined_release(&item);
}

static void test_a_tombstone_that_is_moved_is_not_listed(void **state)
{
    struct kv *kv = *state;
    struct eventual_record record = change("a", TAKEN + 1, NULL);

    put(kv, &record);
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_false(
        has_record(kv, key_eventual_removed(record.hlc, DIR, record.name)));
}

/* Which lies beside the entry. */
static void test_large_content_is_moved(void **state)
{
    struct kv *kv = *state;
    struct eventual_record record = change("a", TAKEN + 1, "");
    struct quarantined item = {0};

    record.content = letters(EVENTUAL_INLINE_MAX + 1);
    record.attr.size = record.content.size;
    put(kv, &record);
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_false(has_record(kv, key_user('w', DIR, record.name)));
    assert_int_equal(quarantine_get(kv, 1, &item), 0);
    assert_true(slice_equal(item.record.content, record.content));
    quarantined_release(&item);
}

/* Rule 3. */
static void test_who_was_not_left_out_keeps_nothing(void **state)
{
    struct kv *kv = *state;

    put_change(kv, "a", TAKEN + 1, "a");
    assert_int_equal(keep(kv, LIFE), 0);
    leave_out(kv, LIFE, OTHER);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_true(is_there(kv, "a"));
    expect_head(kv, 0, 0);
}

static void test_changes_of_others_that_were_left_out_are_kept(void **state)
{
    struct kv *kv = *state;
    struct left_out left_out = {.count = 0};
    struct eventual_record of_other = change("a", 11, "a");
    struct eventual_record of_third = change("b", TAKEN + 1, "b");
    struct kv_batch *batch = kv_batch_new(kv);

    of_other.origin = OTHER;
    of_third.origin = OTHER + 1;
    put(kv, &of_other);
    put(kv, &of_third);
    left_out_add(&left_out, NODE, TAKEN);
    left_out_add(&left_out, OTHER, 10);
    left_out_put(batch, DIR, LIFE, &left_out);
    assert_int_equal(kv_write(kv, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    assert_int_equal(keep(kv, LIFE), 0);
    expect_head(kv, 1, 1);
    expect_item(kv, 1, "/d\\040e/a", "a");
    assert_true(is_there(kv, "b"));
}

/* Only one of them left this node out. */
static void test_each_life_has_those_whom_it_left_out(void **state)
{
    struct kv *kv = *state;
    struct eventual_record first = change("first", TAKEN + 1, "1");
    struct eventual_record second = change("second", TAKEN + 2, "2");
    struct eventual_record third = change("third", TAKEN + 3, "3");

    second.since = LIFE + 1;
    third.since = NEXT_LIFE;
    put(kv, &first);
    put(kv, &second);
    put(kv, &third);
    leave_out(kv, LIFE + 1, NODE);
    leave_out(kv, NEXT_LIFE, NODE);
    assert_int_equal(keep(kv, NEXT_LIFE - 1), 0);
    expect_head(kv, 1, 1);
    expect_item(kv, 1, "/d\\040e/second", "2");
    assert_true(is_there(kv, "first") && is_there(kv, "third"));
}

static void test_the_last_life_without_this_node_is_found(void **state)
{
    struct kv *kv = *state;
    uint64_t since = 99;

    leave_out(kv, LIFE, NODE);
    leave_out(kv, LIFE + 1, OTHER);
    leave_out(kv, NEXT_LIFE, NODE);
    assert_int_equal(quarantine_last_life(kv, NODE, DIR, LIFE + 2, &since), 0);
    assert_int_equal(since, LIFE);
    assert_int_equal(quarantine_last_life(kv, NODE, DIR, UINT64_MAX, &since),
                     0);
    assert_int_equal(since, NEXT_LIFE);
    assert_int_equal(quarantine_last_life(kv, NODE, DIR, LIFE - 1, &since), 0);
    assert_int_equal(since, 0);
    assert_int_equal(
        quarantine_last_life(kv, NODE, DIR - 1, UINT64_MAX, &since), 0);
    assert_int_equal(since, 0);
}

static void test_a_directory_that_is_gone_has_no_path(void **state)
{
    struct kv *kv = *state;
    struct eventual_record record = change("a", TAKEN + 1, "a");
    struct key key = key_directory(DIR);
    struct kv_batch *batch = kv_batch_new(kv);

    kv_batch_delete(batch, key_slice(&key));
    assert_int_equal(kv_write(kv, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    put(kv, &record);
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    expect_item(kv, 1, "#7/a", "a");
}

static void test_one_record_is_taken_if_it_is_to_be_kept(void **state)
{
    struct kv *kv = *state;
    struct kv_batch *batch = kv_batch_new(kv);
    struct eventual_record taken = change("a", TAKEN, "a");
    struct eventual_record record = change("b", TAKEN + 1, "b");
    bool takes = true;

    leave_out(kv, LIFE, NODE);
    assert_int_equal(quarantine_take(kv, batch, NODE, &taken, &takes), 0);
    assert_false(takes);
    assert_int_equal(kv_batch_count(batch), 0);
    assert_int_equal(quarantine_take(kv, batch, NODE, &record, &takes), 0);
    assert_true(takes);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    expect_head(kv, 1, 1);
    expect_item(kv, 1, "/d\\040e/b", "b");
}

/* ---- dropping ---- */

static void test_what_is_dropped_is_gone_and_its_number_too(void **state)
{
    struct kv *kv = *state;
    uint64_t number = 0;

    put_change(kv, "a", TAKEN + 1, "a");
    put_change(kv, "b", TAKEN + 2, "b");
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_int_equal(quarantine_drop(kv, 2), 0);
    assert_int_equal(quarantine_drop(kv, 2), ERR_NOT_FOUND);
    expect_head(kv, 2, 1);
    put_change(kv, "c", TAKEN + 3, "c");
    assert_int_equal(keep(kv, LIFE), 0);
    expect_head(kv, 3, 2);
    assert_int_equal(quarantine_next(kv, 0, &number), 0);
    assert_int_equal(number, 1);
    assert_int_equal(quarantine_next(kv, 2, &number), 0);
    assert_int_equal(number, 3);
    assert_int_equal(quarantine_next(kv, 4, &number), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_in_it_at_first),
        TEST(test_what_was_not_taken_along_is_moved),
        TEST(test_an_item_is_the_record_in_whole),
        TEST(test_a_tombstone_that_is_moved_is_not_listed),
        TEST(test_large_content_is_moved),
        TEST(test_who_was_not_left_out_keeps_nothing),
        TEST(test_changes_of_others_that_were_left_out_are_kept),
        TEST(test_each_life_has_those_whom_it_left_out),
        TEST(test_the_last_life_without_this_node_is_found),
        TEST(test_a_directory_that_is_gone_has_no_path),
        TEST(test_one_record_is_taken_if_it_is_to_be_kept),
        TEST(test_what_is_dropped_is_gone_and_its_number_too),
    };

    return cmocka_run_group_tests_name("quarantine", tests, NULL, NULL);
}
