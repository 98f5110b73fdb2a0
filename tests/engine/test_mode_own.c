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

/* One entry of region 0, for which no other node is asked for anything. */
static void own_by_one_entry(struct fixture *f, enum mode_goal goal,
                             uint64_t size)
{
    f->node.hears_all = false;
    f->node.readiness = ERR_UNAVAILABLE;
    start(f, goal);
    expect_own(f, size);
    answer(f, 0);
    expect_end(f, 0);
}

static void test_one_entry_gives_a_mode_of_its_own(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    put_entries(f, 1);
    own_by_one_entry(f, MODE_TO_EVENTUAL, 1);
}

static void test_one_entry_takes_it_back(void **state)
{
    struct fixture *f = *state;

    apply_parent(f, MODE_EVENTUAL);
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    own_by_one_entry(f, MODE_INHERIT, 0);
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

static void test_too_many_below_it_are_logged(void **state)
{
    static const enum mode_goal goals[] = {MODE_TO_EVENTUAL, MODE_INHERIT};
    const uint64_t domains[] = {PARENT, DIR};
    struct fixture *f = *state;

    apply_parent(f, MODE_EVENTUAL);
    for (unsigned i = 0; i < ARRAY_SIZE(goals); i++) {
        apply(f, MODE_EVENTUAL, domains[i], EPOCH);
        start(f, goals[i]);
        answer(f, ERR_TOO_LARGE);
        expect_end(f, ERR_TOO_LARGE);
        assert_int_equal(f->node.event_count, i + 1);
        f->over = false;
    }
}

/* ---- strong ones ---- */

/* The transaction holds no name, as no region has that. */
static void expect_below(const struct fixture *f, enum txn_kind kind,
                         uint64_t epoch, bool inherits)
{
    expect_txn(f, kind, epoch);
    assert_true(f->node.txn->has_no_place);
    assert_int_equal(f->node.txn->inherits, inherits);
}

static void test_below_an_eventual_one_it_becomes_strong(void **state)
{
    const uint64_t domains[] = {PARENT, DIR};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(domains); i++) {
        f->node.told_fence = 0;
        apply_parent(f, MODE_EVENTUAL);
        apply(f, MODE_EVENTUAL, domains[i], EPOCH);
        start_told(f, MODE_TO_STRONG, domains[i]);
        expect_below(f, TXN_TO_STRONG, FENCE, false);
        end_txn(f, 0);
        expect_end(f, 0);
        f->over = false;
    }
}

static void test_while_the_one_above_is_fenced_its_mode_stays(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    apply_parent(f, MODE_FENCED);
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_BUSY);
    f->over = false;
    apply(f, MODE_STRONG, DIR, EPOCH);
    apply_parent(f, MODE_FENCED);
    start(f, MODE_TO_EVENTUAL);
    expect_end(f, ERR_BUSY);
    f->over = false;
    start(f, MODE_INHERIT);
    expect_end(f, ERR_BUSY);
}

static void test_below_an_eventual_one_a_strong_one_is_closed(void **state)
{
    static const enum mode_goal goals[] = {MODE_TO_EVENTUAL, MODE_INHERIT};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(goals); i++) {
        apply_parent(f, MODE_EVENTUAL);
        apply(f, MODE_STRONG, DIR, EPOCH);
        start(f, goals[i]);
        expect_below(f, TXN_TO_EVENTUAL, 0, goals[i] == MODE_INHERIT);
        end_txn(f, ERR_NOT_EMPTY);
        assert_int_equal(f->node.asked.op, COMMAND_DIR_FILL);
        answer(f, 0);
        apply_filling(f, FENCE);
        pass(f, 20);
        expect_below(f, TXN_TO_EVENTUAL, FENCE, goals[i] == MODE_INHERIT);
        end_txn(f, ERR_NO_QUORUM);
        expect_asked(f, MODE_STRONG, FENCE);
        answer(f, 0);
        expect_end(f, ERR_BUSY);
        f->over = false;
    }
}

static void test_below_a_strong_one_one_entry_has_it_inherit(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_STRONG, DIR, EPOCH);
    own_by_one_entry(f, MODE_INHERIT, 0);
}

static void test_below_a_strong_one_one_entry_keeps_it_strong(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_STRONG, 0, EPOCH);
    own_by_one_entry(f, MODE_TO_STRONG, 1);
}

static void test_below_a_strong_one_the_name_is_held(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_STRONG, DIR, EPOCH);
    start(f, MODE_TO_EVENTUAL);
    expect_txn(f, TXN_TO_EVENTUAL, 0);
    assert_false(f->node.txn->has_no_place);
    assert_false(f->node.txn->inherits);
    end_txn(f, 0);
    expect_end(f, 0);
}

/* ---- to have none ---- */

static void test_to_inherit_below_a_strong_one_is_to_become_strong(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_told(f, MODE_INHERIT, DIR);
    expect_txn(f, TXN_TO_STRONG, FENCE);
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
    start_told(f, MODE_REMOVE, DIR);
    end_removal(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_entry_gives_a_mode_of_its_own),
        TEST(test_one_entry_takes_it_back),
        TEST(test_who_comes_second_does_not_change_it),
        TEST(test_too_many_below_it_are_logged),
        TEST(test_below_an_eventual_one_it_becomes_strong),
        TEST(test_while_the_one_above_is_fenced_its_mode_stays),
        TEST(test_below_an_eventual_one_a_strong_one_is_closed),
        TEST(test_below_a_strong_one_one_entry_has_it_inherit),
        TEST(test_below_a_strong_one_one_entry_keeps_it_strong),
        TEST(test_below_a_strong_one_the_name_is_held),
        TEST(test_to_inherit_below_a_strong_one_is_to_become_strong),
        TEST(test_what_inherits_has_nothing_to_be_taken_back),
        TEST(test_one_with_a_mode_of_its_own_is_removed_by_one_entry),
    };

    return cmocka_run_group_tests_name("mode_own", tests, NULL, NULL);
}
