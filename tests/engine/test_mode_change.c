/* SPDX-License-Identifier: Apache-2.0 */

/* What changes of modes ask region 0 for, and when. What region 0, transactions
 * and other nodes say is the test's. */

#include "mode_change_fixture.h"

/* ---- changes ---- */

static void test_a_directory_becomes_strong_when_all_have_told(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_fenced(f, MODE_TO_STRONG);
    apply(f, MODE_FENCED, DIR, FENCE);
    pass(f, 100);
    assert_null(f->node.txn);
    f->node.told_fence = FENCE;
    pass(f, 20);
    expect_txn(f, TXN_TO_STRONG, FENCE);
    end_txn(f, 0);
    expect_end(f, 0);
}

static void test_the_fence_has_to_be_on_this_node_too(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    f->node.told_fence = FENCE;
    start_fenced(f, MODE_TO_STRONG);
    pass(f, 100);
    assert_null(f->node.txn);
    apply(f, MODE_FENCED, DIR, FENCE);
    pass(f, 20);
    assert_non_null(f->node.txn);
}

static void test_what_came_before_the_fence_keeps_it_from_removal(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    start_fenced(f, MODE_REMOVE);
    apply(f, MODE_FENCED, PARENT, FENCE);
    put_entries(f, 1);
    f->node.told_fence = FENCE;
    pass(f, 20);
    expect_asked(f, MODE_EVENTUAL, FENCE);
    assert_false(f->over);
    answer(f, 0);
    expect_end(f, ERR_NOT_EMPTY);
}

static void test_what_has_files_is_not_fenced_to_be_removed(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    put_entries(f, 1);
    f->only_empty = true;
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_NOT_EMPTY);
    f->over = false;
    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    f->only_empty = false;
    start(f, MODE_REMOVE);
    expect_end(f, ERR_NOT_EMPTY);
}

static void test_files_become_strong_with_their_directory(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    put_entries(f, 1);
    start_told(f, MODE_TO_STRONG, DIR);
    expect_txn(f, TXN_TO_STRONG, FENCE);
}

/* Others would wait for it until region 0's leader does. */
static void test_whoever_gives_up_takes_the_fence_away(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_fenced(f, MODE_TO_STRONG);
    mode_change_cancel(&f->change);
    expect_asked(f, MODE_EVENTUAL, FENCE);
    assert_false(f->over);
    answer(f, 0);
    start(f, MODE_TO_STRONG);
    assert_non_null(f->node.call);
    mode_change_cancel(&f->change);
    assert_null(f->node.call);
}

/* It waits for a node, but not for ever. */
static void expect_no_quorum(struct fixture *f)
{
    pass(f, 1000);
    assert_null(f->node.call);
    assert_false(f->over);
    pass(f, 10000);
    expect_end(f, ERR_NO_QUORUM);
}

static void test_there_is_no_fence_where_a_node_is_away(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    f->node.hears_all = false;
    start(f, MODE_TO_STRONG);
    expect_no_quorum(f);
}

static void test_a_node_that_does_not_tell_keeps_it_eventual(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_fenced(f, MODE_TO_STRONG);
    apply(f, MODE_FENCED, DIR, FENCE);
    pass(f, FENCE_MS - 100);
    assert_null(f->node.call);
    pass(f, 200);
    expect_asked(f, MODE_EVENTUAL, FENCE);
    answer(f, 0);
    expect_end(f, ERR_NO_QUORUM);
}

/* It may be done: by whom it was decided is not known. */
static void test_an_unknown_outcome_leaves_the_fence_alone(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_told(f, MODE_TO_STRONG, DIR);
    end_txn(f, ERR_UNKNOWN_OUTCOME);
    expect_end(f, ERR_UNKNOWN_OUTCOME);
}

/* The one above may have become strong meanwhile. */
static void test_one_entry_removes_nothing_below_a_strong_one(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start(f, MODE_REMOVE);
    expect_end(f, ERR_BUSY);
}

static void test_what_inherits_its_mode_is_removed_by_one_entry(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    start_told(f, MODE_REMOVE, PARENT);
    end_removal(f);
}

static void test_to_become_eventual_takes_no_fence(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_STRONG, 0, EPOCH);
    start(f, MODE_TO_EVENTUAL);
    assert_null(f->node.call);
    expect_txn(f, TXN_TO_EVENTUAL, 0);
    end_txn(f, ERR_ABORTED);
    expect_end(f, ERR_BUSY);
}

static void test_nothing_begins_without_a_majority(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    f->node.read_status = ERR_NO_QUORUM;
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_NO_QUORUM);
}

/* ---- filling ---- */

/* Up to where region 0 is asked to have it filled. */
static void start_full(struct fixture *f)
{
    apply(f, MODE_STRONG, 0, EPOCH);
    start(f, MODE_TO_EVENTUAL);
    end_txn(f, ERR_NOT_EMPTY);
}

/* Up to the transaction that brings what is in it. */
static void start_filled(struct fixture *f)
{
    start_full(f);
    assert_non_null(f->node.call);
    answer(f, 0);
    apply_filling(f, FENCE);
    pass(f, 20);
}

static void test_one_that_is_not_empty_is_filled(void **state)
{
    struct fixture *f = *state;

    start_full(f);
    assert_non_null(f->node.call);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_FILL);
    assert_int_equal(f->node.asked.ino, ino_of_nsid(DIR));
    answer(f, 0);
    apply_filling(f, FENCE);
    pass(f, 20);
    expect_txn(f, TXN_TO_EVENTUAL, FENCE);
    apply(f, MODE_EVENTUAL, DIR, FENCE + 1);
    end_txn(f, 0);
    expect_end(f, 0);
}

/* Files are brought only where this node knows of their life. */
static void test_the_life_has_to_be_on_this_node_too(void **state)
{
    struct fixture *f = *state;
    uint64_t begin_ns = env_mono_ns(&f->node.fake.env);

    start_full(f);
    answer(f, 0);
    pass(f, 100);
    assert_null(f->node.txn);
    apply_filling(f, FENCE);
    pass(f, 20);
    assert_non_null(f->node.txn);
    assert_int_equal(f->node.txn->deadline_ns,
                     begin_ns + (uint64_t)FENCE_MS * 1000000);
}

static void test_nothing_is_filled_where_a_node_is_away(void **state)
{
    struct fixture *f = *state;

    f->node.hears_all = false;
    start_full(f);
    expect_no_quorum(f);
}

/* Its clock, say, is not known to be right yet. */
static void test_nothing_is_filled_before_this_node_may_accept_it(void **state)
{
    struct fixture *f = *state;

    f->node.readiness = ERR_UNAVAILABLE;
    start_full(f);
    pass(f, 1000);
    assert_null(f->node.call);
    f->node.readiness = 0;
    pass(f, 20);
    assert_non_null(f->node.call);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_FILL);
}

static void test_a_node_that_may_not_accept_anything_fills_nothing(void **state)
{
    struct fixture *f = *state;

    f->node.readiness = ERR_UNAVAILABLE;
    start_full(f);
    pass(f, 10000);
    expect_end(f, ERR_BUSY);
    f->over = false;
    f->node.readiness = ERR_READ_ONLY;
    start_full(f);
    expect_end(f, ERR_READ_ONLY);
    assert_null(f->node.call);
}

static void test_one_with_directories_in_it_is_filled_with_them(void **state)
{
    struct fixture *f = *state;

    apply_child(f);
    start_full(f);
    assert_false(f->over);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_FILL);
}

/* Region 0 says so. */
static void test_too_many_directories_keep_their_mode(void **state)
{
    struct fixture *f = *state;

    start_full(f);
    answer(f, ERR_TOO_LARGE);
    expect_end(f, ERR_TOO_LARGE);
    assert_int_equal(f->node.event_count, 1);
}

static void test_one_that_is_to_be_empty_is_not_filled(void **state)
{
    struct fixture *f = *state;

    f->only_empty = true;
    start_full(f);
    expect_end(f, ERR_NOT_EMPTY);
}

static void test_one_that_is_being_filled_is_left_alone(void **state)
{
    struct fixture *f = *state;

    apply_filling(f, FENCE);
    start(f, MODE_TO_EVENTUAL);
    expect_end(f, ERR_BUSY);
    f->over = false;
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_BUSY);
}

static void test_who_comes_second_does_not_fill_it(void **state)
{
    struct fixture *f = *state;

    start_full(f);
    answer(f, ERR_ABORTED);
    expect_end(f, ERR_BUSY);
}

/* It has a status of its own, which comes when the mode is what it was. */
static void test_what_cannot_be_filled_is_strong_again(void **state)
{
    static const struct {
        int status;
        int expected;
    } ends[] = {{ERR_NO_QUORUM, ERR_BUSY},      {ERR_ABORTED, ERR_BUSY},
                {ERR_TOO_LARGE, ERR_TOO_LARGE}, {ERR_NOT_EMPTY, ERR_NOT_EMPTY},
                {ERR_NO_SPACE, ERR_NO_SPACE},   {ERR_STALE, ERR_STALE}};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        start_filled(f);
        end_txn(f, ends[i].status);
        expect_asked(f, MODE_STRONG, FENCE);
        assert_false(f->over);
        answer(f, 0);
        expect_end(f, ends[i].expected);
        f->over = false;
    }
}

static void test_an_unknown_outcome_leaves_the_life_alone(void **state)
{
    struct fixture *f = *state;

    start_filled(f);
    end_txn(f, ERR_UNKNOWN_OUTCOME);
    expect_end(f, ERR_UNKNOWN_OUTCOME);
}

static void test_whoever_gives_up_ends_the_life(void **state)
{
    struct fixture *f = *state;

    start_full(f);
    answer(f, 0);
    mode_change_cancel(&f->change);
    expect_asked(f, MODE_STRONG, FENCE);
    assert_false(f->over);
    answer(f, 0);
    start_full(f);
    assert_non_null(f->node.call);
    mode_change_cancel(&f->change);
    assert_null(f->node.call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_directory_becomes_strong_when_all_have_told),
        TEST(test_the_fence_has_to_be_on_this_node_too),
        TEST(test_what_came_before_the_fence_keeps_it_from_removal),
        TEST(test_what_has_files_is_not_fenced_to_be_removed),
        TEST(test_files_become_strong_with_their_directory),
        TEST(test_whoever_gives_up_takes_the_fence_away),
        TEST(test_there_is_no_fence_where_a_node_is_away),
        TEST(test_a_node_that_does_not_tell_keeps_it_eventual),
        TEST(test_an_unknown_outcome_leaves_the_fence_alone),
        TEST(test_one_entry_removes_nothing_below_a_strong_one),
        TEST(test_what_inherits_its_mode_is_removed_by_one_entry),
        TEST(test_to_become_eventual_takes_no_fence),
        TEST(test_nothing_begins_without_a_majority),
        TEST(test_one_that_is_not_empty_is_filled),
        TEST(test_the_life_has_to_be_on_this_node_too),
        TEST(test_nothing_is_filled_where_a_node_is_away),
        TEST(test_nothing_is_filled_before_this_node_may_accept_it),
        TEST(test_a_node_that_may_not_accept_anything_fills_nothing),
        TEST(test_one_with_directories_in_it_is_filled_with_them),
        TEST(test_too_many_directories_keep_their_mode),
        TEST(test_one_that_is_to_be_empty_is_not_filled),
        TEST(test_one_that_is_being_filled_is_left_alone),
        TEST(test_who_comes_second_does_not_fill_it),
        TEST(test_what_cannot_be_filled_is_strong_again),
        TEST(test_an_unknown_outcome_leaves_the_life_alone),
        TEST(test_whoever_gives_up_ends_the_life),
    };

    return cmocka_run_group_tests_name("mode_change", tests, NULL, NULL);
}
