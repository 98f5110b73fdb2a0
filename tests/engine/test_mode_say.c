/* SPDX-License-Identifier: Apache-2.0 */

/* What the log says of changes of modes. */

#include "mode_change_fixture.h"

/* Up to the transaction that brings what is in it. */
static void start_filled(struct fixture *f)
{
    apply(f, MODE_STRONG, 0, EPOCH);
    start(f, MODE_TO_EVENTUAL);
    end_txn(f, ERR_NOT_EMPTY);
    answer(f, 0);
    apply_filling(f, FENCE);
    pass(f, 20);
}

static void end_late(struct fixture *f)
{
    end_txn(f, ERR_NO_QUORUM);
    answer(f, 0);
    assert_int_equal(f->status, ERR_BUSY);
}

static void test_a_new_mode_is_said(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_STRONG, 0, EPOCH);
    start(f, MODE_TO_EVENTUAL);
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    end_txn(f, 0);
    expect_said(f, "directory /d/d is eventual now");
    start_told(f, MODE_TO_STRONG, DIR);
    apply(f, MODE_STRONG, 0, FENCE + 1);
    end_txn(f, 0);
    expect_said(f, "directory /d/d is strong now");
}

static void test_one_that_inherits_is_said_to(void **state)
{
    struct fixture *f = *state;

    apply_parent(f, MODE_EVENTUAL);
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start(f, MODE_INHERIT);
    answer(f, 0);
    expect_said(f, "directory /d/d is eventual now, as the one that it is in");
}

/* It is what it was to be, but this node cannot say since when. */
static void test_what_this_node_does_not_know_yet_is_not_said(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_STRONG, 0, EPOCH);
    start(f, MODE_TO_EVENTUAL);
    f->node.read_status = ERR_NO_QUORUM;
    end_txn(f, 0);
    expect_end(f, 0);
    assert_int_equal(f->node.event_count, 0);
}

static void test_a_removal_is_no_change_of_a_mode(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    start_told(f, MODE_REMOVE, PARENT);
    end_removal(f);
    f->only_empty = true;
    f->over = false;
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    put_entries(f, 1);
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_NOT_EMPTY);
    assert_int_equal(f->node.event_count, 0);
}

static void test_each_failure_has_its_reason(void **state)
{
    static const struct {
        int status;
        const char *said;
    } ends[] = {
        {ERR_ABORTED,
         "directory /d/d keeps its mode: another change is under way there"},
        {ERR_EXISTS,
         "directory /d/d keeps its mode: two files would have one name"},
        {ERR_READ_ONLY, "directory /d/d keeps its mode: this node accepts no "
                        "changes in eventual directories now, see its health"},
        {ERR_NO_SPACE, "directory /d/d keeps its mode: no space left"},
        {ERR_UNKNOWN_OUTCOME, "directory /d/d: the change of its mode was not "
                              "confirmed in time, may be applied"},
    };
    struct fixture *f = *state;

    apply(f, MODE_STRONG, 0, EPOCH);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        start(f, MODE_TO_EVENTUAL);
        end_txn(f, ends[i].status);
        expect_said(f, ends[i].said);
    }
}

static void test_what_has_nothing_to_do_is_not_said(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_STRONG, 0, EPOCH);
    start(f, MODE_INHERIT);
    expect_end(f, ERR_NO_DATA);
    f->over = false;
    start(f, MODE_TO_EVENTUAL);
    end_txn(f, ERR_STALE);
    expect_end(f, ERR_STALE);
    f->over = false;
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start(f, MODE_TO_EVENTUAL);
    expect_end(f, 0);
    assert_int_equal(f->node.event_count, 0);
}

static void test_what_is_not_brought_in_time_is_said(void **state)
{
    struct fixture *f = *state;

    start_filled(f);
    end_late(f);
    expect_said(f, "directory /d/d stays strong: what is in it could not be "
                   "brought to all nodes in time");
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_told(f, MODE_TO_STRONG, DIR);
    end_late(f);
    expect_said(f, "directory /d/d stays eventual: what is in it could not be "
                   "brought into the regions in time");
}

/* By who has brought it. */
static void test_a_reason_that_was_said_is_not_said_again(void **state)
{
    struct fixture *f = *state;

    start_filled(f);
    f->node.txn->has_said = true;
    end_late(f);
    assert_int_equal(f->node.event_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_new_mode_is_said),
        TEST(test_one_that_inherits_is_said_to),
        TEST(test_what_this_node_does_not_know_yet_is_not_said),
        TEST(test_a_removal_is_no_change_of_a_mode),
        TEST(test_each_failure_has_its_reason),
        TEST(test_what_has_nothing_to_do_is_not_said),
        TEST(test_what_is_not_brought_in_time_is_said),
        TEST(test_a_reason_that_was_said_is_not_said_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
