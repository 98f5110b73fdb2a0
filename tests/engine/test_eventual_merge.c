/* SPDX-License-Identifier: Apache-2.0 */

/* What a node makes of changes that another one sends: which one stays, what
 * waits or is dropped, and how far it is taken. */

#include "eventual_fixture.h"

#include <stdlib.h>
#include <string.h>

enum { LATER = 20, FIRST = 10, SECOND = 11, THIRD_NODE = 5 };

static struct eventual_peer peer_of(struct eventual_fixture *f, uint64_t node)
{
    struct eventual_peer peer;

    assert_int_equal(eventual_peer_get(f->state, node, &peer), 0);
    return peer;
}

/* ---- which one stays ---- */

static void test_a_change_of_another_node_becomes_one_here(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "other");
    uint64_t shown = eventual_shown(f->eventual);

    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_string_equal(text_of(f, "a"), "other");
    assert_int_equal(local_of(f, "a"), shown + 1);
    assert_int_equal(eventual_shown(f->eventual), shown + 1);
    assert_int_equal(entry_count(f), 1);
    assert_int_equal(counts_of(f).pulled, 1);
    assert_int_equal(f->fake.write_count, 0);
}

static void test_the_last_writer_wins_whichever_comes_first(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record first = record_of(f, "a", 1, "first");
    struct eventual_record last = record_of(f, "a", 2, "last");

    assert_int_equal(merge_one(f, &first, FIRST), 0);
    assert_int_equal(merge_one(f, &last, SECOND), 0);
    assert_string_equal(text_of(f, "a"), "last");
    first.name = last.name = slice_of("b");
    assert_int_equal(merge_one(f, &last, SECOND + 1), 0);
    assert_int_equal(merge_one(f, &first, SECOND + 2), 0);
    assert_string_equal(text_of(f, "b"), "last");
    assert_int_equal(counts_of(f).pulled, 3);
    assert_int_equal(counts_of(f).outlived, 1);
}

static void test_a_change_that_comes_twice_is_taken_once(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "other");
    uint64_t local;

    assert_int_equal(merge_one(f, &record, FIRST), 0);
    local = local_of(f, "a");
    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_int_equal(local_of(f, "a"), local);
    assert_int_equal(counts_of(f).pulled, 1);
    assert_int_equal(counts_of(f).outlived, 1);
}

static void test_of_one_time_the_greater_node_wins(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record less = record_of(f, "a", 1, "less");
    struct eventual_record more = record_of(f, "a", 1, "more");

    more.origin = THIRD_NODE;
    assert_int_equal(merge_one(f, &more, FIRST), 0);
    assert_int_equal(merge_one(f, &less, SECOND), 0);
    assert_string_equal(text_of(f, "a"), "more");
}

static void test_a_change_here_is_newer_than_all_that_was_seen(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record;

    assert_int_equal(create(f, "b"), 0);
    f->fake.now_ns += (uint64_t)(MAX_DRIFT_MS - 1) * 1000000;
    record = record_of(f, "a", 1, "other");
    f->fake.now_ns -= (uint64_t)(MAX_DRIFT_MS - 1) * 1000000;
    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    assert_int_equal(merge_one(f, &record, SECOND), 0);
    assert_null(text_of(f, "a"));
    crash(f);
    assert_int_equal(merge_one(f, &record, SECOND), 0);
    assert_null(text_of(f, "a"));
}

static void test_a_handle_means_what_another_node_has_put_there(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 100, "other");

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_int_equal(write_text(f, "a", "mine"), 0);
    assert_string_equal(text_of(f, "a"), "miner");
    assert_int_equal(known_of(f, "a").attr.ino, 77);
}

static void test_a_full_disk_takes_no_changes_until_it_has_room(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "other");

    assert_int_equal(create(f, "b"), 0);
    f->disk_is_full = true;
    assert_int_equal(merge_one(f, &record, FIRST), ERR_UNAVAILABLE);
    assert_int_equal(peer_of(f, OTHER).cursor, 0);
    assert_int_equal(create(f, "c"), ERR_NO_SPACE);
    assert_int_equal(unlink_name(f, "b"), 0);
    f->disk_is_full = false;
    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_string_equal(text_of(f, "a"), "other");
}

static void test_a_tombstone_keeps_older_changes_away(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record first = record_of(f, "a", 1, "first");
    struct eventual_record gone = record_of(f, "a", 2, NULL);

    assert_int_equal(merge_one(f, &gone, FIRST), 0);
    assert_int_equal(merge_one(f, &first, SECOND), 0);
    assert_null(text_of(f, "a"));
    assert_true(is_known(f, "a"));
    assert_int_equal(entry_count(f), 0);
    assert_true(has_record(f->state, key_eventual_namespace(DIR)));
}

static void test_a_tombstone_removes_what_is_here(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record gone;

    assert_int_equal(create(f, "a"), 0);
    f->fake.now_ns += 1000000;
    gone = record_of(f, "a", 1, NULL);
    assert_int_equal(merge_one(f, &gone, FIRST), 0);
    assert_null(text_of(f, "a"));
    assert_int_equal(entry_count(f), 0);
    f->fake.now_ns += 1000000;
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(entry_count(f), 1);
}

static void test_one_answer_may_have_a_name_twice(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record last = record_of(f, "a", 2, "last");
    struct eventual_record first = record_of(f, "a", 1, "first");
    struct test_merge merge = {.merge = {.last = SECOND}};
    struct buf *items = add_item(NULL, &last, FIRST);

    assert_int_equal(merge_items(f, &merge, add_item(items, &first, SECOND)),
                     0);
    assert_string_equal(text_of(f, "a"), "last");
    assert_int_equal(entry_count(f), 1);
}

/* ---- what waits, and what is dropped ---- */

static void test_a_change_of_a_life_that_is_not_known_waits(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record here = record_of(f, "a", 1, "here");
    struct eventual_record ahead = record_of(f, "b", 2, "ahead");
    struct test_merge merge = {.merge = {.last = SECOND}};
    struct buf *items = add_item(NULL, &here, FIRST);

    ahead.since = LATER;
    assert_int_equal(merge_items(f, &merge, add_item(items, &ahead, SECOND)),
                     ERR_UNAVAILABLE);
    assert_true(merge.merge.behind);
    assert_int_equal(merge.merge.taken_last, FIRST);
    assert_int_equal(peer_of(f, OTHER).cursor, FIRST);
    assert_int_equal(peer_of(f, OTHER).received, 0);
    assert_true(is_known(f, "a") && !is_known(f, "b"));
    apply_mode(f, DIR, MODE_STRONG, 0, LATER - 1);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER, LATER);
    assert_int_equal(merge_one(f, &ahead, SECOND), 0);
    assert_true(is_known(f, "b"));
}

static void test_a_change_of_an_ended_life_is_dropped(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "old");
    struct test_merge merge = {.merge = {.last = FIRST}};

    record.since = SINCE - 1;
    assert_int_equal(merge_items(f, &merge, add_item(NULL, &record, FIRST)), 0);
    assert_int_equal(merge.merge.taken_last, FIRST);
    assert_false(is_known(f, "a"));
    record.since = SINCE;
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    assert_int_equal(merge_one(f, &record, SECOND), 0);
    assert_false(is_known(f, "a"));
    assert_int_equal(counts_of(f).outlived, 2);
}

static void test_behind_a_fence_changes_are_still_taken(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "other");

    apply_mode(f, DIR, MODE_FENCED, SINCE, LATER);
    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_string_equal(text_of(f, "a"), "other");
}

static void test_a_change_that_is_ahead_of_the_clock_waits(void **state)
{
    struct eventual_fixture *f = *state;
    uint64_t ahead_ns = (uint64_t)(MAX_DRIFT_MS + 1) * 1000000;
    struct test_merge merge = {.merge = {.last = FIRST}};
    struct eventual_record record;

    f->fake.now_ns += ahead_ns;
    record = record_of(f, "a", 1, "other");
    f->fake.now_ns -= ahead_ns;
    assert_int_equal(merge_items(f, &merge, add_item(NULL, &record, FIRST)),
                     ERR_UNAVAILABLE);
    assert_false(merge.merge.behind);
    assert_int_equal(counts_of(f).held, 1);
    f->fake.now_ns += 1000000;
    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_string_equal(text_of(f, "a"), "other");
}

static void test_malformed_items_are_none(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "other");
    struct test_merge merge = {.merge = {.last = FIRST}};
    struct buf *whole = add_item(NULL, &record, FIRST);

    for (size_t size = 1; size < whole->size; size++) {
        struct buf *part = buf_copy(whole->data, size);

        assert_int_equal(merge_items(f, &merge, part), ERR_PROTOCOL);
    }
    memset(whole->data + 12, 0xff, whole->size - 12);
    assert_int_equal(merge_items(f, &merge, whole), ERR_PROTOCOL);
    assert_false(is_known(f, "a"));
    assert_int_equal(peer_of(f, OTHER).cursor, 0);
}

/* ---- how far it is taken ---- */

static void test_an_answer_tells_what_of_each_origin_is_here(void **state)
{
    struct eventual_fixture *f = *state;
    struct test_merge merge = {.merge = {.last = SECOND,
                                         .origins = {NODE, THIRD_NODE, OTHER},
                                         .received = {100, 200, FIRST},
                                         .origin_count = 3}};

    assert_int_equal(merge_items(f, &merge, NULL), 0);
    assert_int_equal(merge.merge.taken_last, SECOND);
    assert_int_equal(peer_of(f, OTHER).cursor, SECOND);
    assert_int_equal(peer_of(f, OTHER).received, FIRST);
    assert_int_equal(peer_of(f, THIRD_NODE).cursor, 0);
    assert_int_equal(peer_of(f, THIRD_NODE).received, 200);
    assert_int_equal(peer_of(f, NODE).received, 0);
    merge.merge.received[1] = 150;
    assert_int_equal(merge_items(f, &merge, NULL), 0);
    assert_int_equal(peer_of(f, THIRD_NODE).received, 200);
}

static void test_a_part_of_an_answer_tells_nothing_of_origins(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "other");
    struct test_merge merge = {.merge = {.node = OTHER,
                                         .last = SECOND,
                                         .whole = true,
                                         .origins = {THIRD_NODE},
                                         .received = {200},
                                         .origin_count = 1}};

    record.since = LATER;
    assert_int_equal(merge_items(f, &merge, add_item(NULL, &record, FIRST)),
                     ERR_UNAVAILABLE);
    assert_int_equal(merge.merge.taken_last, 0);
    assert_int_equal(peer_of(f, OTHER).received, 0);
    assert_int_equal(peer_of(f, THIRD_NODE).received, 0);
}

static void test_all_of_a_whole_node_makes_whole(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_head head = {.sequence = 1};
    struct buf *bytes = eventual_head_encode(&head);
    struct eventual_record record = record_of(f, "a", 1, "other");
    struct test_merge merge = {.merge = {.last = FIRST}};

    put_record(f->state, key_eventual_head(), buf_slice(bytes));
    buf_unref(bytes);
    crash(f);
    assert_int_equal(merge_items(f, &merge, NULL), 0);
    assert_false(eventual_is_whole(f->eventual));
    merge.merge.whole = true;
    record.since = LATER;
    assert_int_equal(merge_items(f, &merge, add_item(NULL, &record, FIRST)),
                     ERR_UNAVAILABLE);
    assert_false(eventual_is_whole(f->eventual));
    assert_int_equal(merge_items(f, &merge, NULL), 0);
    assert_true(eventual_is_whole(f->eventual));
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    crash(f);
    assert_true(eventual_is_whole(f->eventual));
}

static void test_a_crash_forgets_the_cursor_with_the_changes(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "other");
    uint64_t local;

    assert_int_equal(merge_one(f, &record, FIRST), 0);
    local = local_of(f, "a");
    crash(f);
    assert_false(is_known(f, "a"));
    assert_int_equal(peer_of(f, OTHER).cursor, 0);
    assert_int_equal(merge_one(f, &record, FIRST), 0);
    assert_true(local_of(f, "a") > local);
}

static void test_the_cursor_is_never_ahead_of_the_changes(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record a = record_of(f, "a", 1, "other");
    struct eventual_record b = record_of(f, "b", 2, "other");
    struct test_merge merge = {.merge = {.last = SECOND}};
    struct buf *items = add_item(add_item(NULL, &a, FIRST), &b, SECOND);

    assert_int_equal(merge_items(f, &merge, items), 0);
    assert_int_equal(peer_of(f, OTHER).cursor, SECOND);
    f->kept_count = 1;
    crash(f);
    assert_true(is_known(f, "a"));
    assert_true(is_known(f, "b"));
    assert_int_equal(peer_of(f, OTHER).cursor, 0);
}

static void merge_ended(struct eventual_merge *merge, int status)
{
    struct test_merge *test = (struct test_merge *)(void *)merge;

    test->over = true;
    test->status = status;
}

static void test_a_stop_cancels_a_merge_that_is_under_way(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "other");
    struct buf *items = add_item(NULL, &record, FIRST);
    struct test_merge *merge = mem_zalloc(sizeof *merge);

    merge->merge = (struct eventual_merge){.node = OTHER, .items = items};
    merge->merge.done = merge_ended;
    eventual_merge_start(f->eventual, &merge->merge);
    eventual_stop(f->eventual);
    assert_true(merge->over);
    assert_int_equal(merge->status, ERR_CANCELED);
    free(merge);
    buf_unref(items);
    fake_env_run(&f->fake);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_eventual, teardown_eventual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_change_of_another_node_becomes_one_here),
        TEST(test_the_last_writer_wins_whichever_comes_first),
        TEST(test_a_change_that_comes_twice_is_taken_once),
        TEST(test_of_one_time_the_greater_node_wins),
        TEST(test_a_change_here_is_newer_than_all_that_was_seen),
        TEST(test_a_handle_means_what_another_node_has_put_there),
        TEST(test_a_full_disk_takes_no_changes_until_it_has_room),
        TEST(test_a_tombstone_keeps_older_changes_away),
        TEST(test_a_tombstone_removes_what_is_here),
        TEST(test_one_answer_may_have_a_name_twice),
        TEST(test_a_change_of_a_life_that_is_not_known_waits),
        TEST(test_a_change_of_an_ended_life_is_dropped),
        TEST(test_behind_a_fence_changes_are_still_taken),
        TEST(test_a_change_that_is_ahead_of_the_clock_waits),
        TEST(test_malformed_items_are_none),
        TEST(test_an_answer_tells_what_of_each_origin_is_here),
        TEST(test_a_part_of_an_answer_tells_nothing_of_origins),
        TEST(test_all_of_a_whole_node_makes_whole),
        TEST(test_a_crash_forgets_the_cursor_with_the_changes),
        TEST(test_the_cursor_is_never_ahead_of_the_changes),
        TEST(test_a_stop_cancels_a_merge_that_is_under_way),
    };

    return cmocka_run_group_tests_name("eventual merge", tests, NULL, NULL);
}
