/* SPDX-License-Identifier: Apache-2.0 */

/* Changes of modes below an eventual directory. */

#include "mode_change_fixture.h"

static void expect_own(const struct fixture *f, uint64_t size)
{
    assert_non_null(f->node.call);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_OWN);
    assert_int_equal(f->node.asked.ino, ino_of_nsid(DIR));
    assert_int_equal(f->node.asked.size, size);
    assert_int_equal(f->node.asked.offset, EPOCH);
    assert_false(f->over);
}

/* No other node is asked for anything. */
static void test_one_entry_gives_a_mode_of_its_own(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    put_entries(f, 1);
    f->node.hears_all = false;
    f->node.readiness = ERR_UNAVAILABLE;
    start(f, MODE_TO_EVENTUAL);
    expect_own(f, 1);
    answer(f, 0);
    expect_end(f, 0);
}

static void test_one_entry_takes_it_back(void **state)
{
    struct fixture *f = *state;

    apply_parent(f, MODE_EVENTUAL);
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    f->node.hears_all = false;
    start(f, MODE_INHERIT);
    expect_own(f, 0);
    answer(f, 0);
    expect_end(f, 0);
}

static void test_who_comes_second_does_not_change_it(void **state)
{
    static const struct {
        int status;
        int expected;
    } ends[] = {{ERR_ABORTED, ERR_BUSY},
                {ERR_BUSY, ERR_BUSY},
                {ERR_STALE, ERR_STALE},
                {ERR_NO_QUORUM, ERR_NO_QUORUM}};
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        start(f, MODE_TO_EVENTUAL);
        expect_own(f, 1);
        answer(f, ends[i].status);
        expect_end(f, ends[i].expected);
        f->over = false;
    }
}

static void test_below_an_eventual_one_nothing_becomes_strong(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_NOT_PERMITTED);
    assert_int_equal(f->node.event_count, 1);
    f->over = false;
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_NOT_PERMITTED);
    assert_int_equal(f->node.event_count, 2);
    f->over = false;
    apply_parent(f, MODE_FENCED);
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_BUSY);
    assert_int_equal(f->node.event_count, 2);
}

static void test_to_inherit_below_a_strong_one_is_to_become_strong(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_fenced(f, MODE_INHERIT);
    apply(f, MODE_FENCED, DIR, FENCE);
    f->node.told_fence = FENCE;
    pass(f, 20);
    assert_non_null(f->node.txn);
    assert_int_equal(f->node.transaction.txn_kind, TXN_TO_STRONG);
    end_txn(f, ERR_NO_QUORUM);
    assert_int_equal(f->node.event_count, 1);
    expect_asked(f, MODE_EVENTUAL, FENCE);
    answer(f, 0);
    expect_end(f, ERR_BUSY);
}

static void test_what_inherits_has_nothing_to_be_taken_back(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    start(f, MODE_INHERIT);
    expect_end(f, ERR_NO_DATA);
    f->over = false;
    apply(f, MODE_STRONG, 0, EPOCH);
    start(f, MODE_INHERIT);
    expect_end(f, ERR_NO_DATA);
}

static void
test_one_with_a_mode_of_its_own_is_removed_by_one_entry(void **state)
{
    struct fixture *f = *state;

    apply_parent(f, MODE_EVENTUAL);
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_fenced(f, MODE_REMOVE);
    apply(f, MODE_FENCED, DIR, FENCE);
    f->node.told_fence = FENCE;
    pass(f, 20);
    assert_non_null(f->node.call);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_REMOVE);
    assert_int_equal(f->node.asked.dir, PARENT);
    answer(f, 0);
    expect_end(f, 0);
}

#define TEST_OWN(test)                                                         \
    cmocka_unit_test_setup_teardown(test, setup_mode_change,                   \
                                    teardown_mode_change)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OWN(test_one_entry_gives_a_mode_of_its_own),
        TEST_OWN(test_one_entry_takes_it_back),
        TEST_OWN(test_who_comes_second_does_not_change_it),
        TEST_OWN(test_below_an_eventual_one_nothing_becomes_strong),
        TEST_OWN(test_to_inherit_below_a_strong_one_is_to_become_strong),
        TEST_OWN(test_what_inherits_has_nothing_to_be_taken_back),
        TEST_OWN(test_one_with_a_mode_of_its_own_is_removed_by_one_entry),
    };

    return cmocka_run_group_tests_name("mode_own", tests, NULL, NULL);
}
