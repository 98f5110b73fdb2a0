/* SPDX-License-Identifier: Apache-2.0 */

/* How a directory is made strong without nodes that are not heard of. */

#include "mode_change_fixture.h"

/* MISSING is away, with 30 of its changes here. */
static int setup_force(void **state)
{
    struct fixture *f;

    (void)setup_mode_change(state);
    f = *state;
    f->force = true;
    f->node.hears_all = false;
    left_out_add(&f->node.absent, MISSING, 30);
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    return 0;
}

/* Up to the transaction, when the others have told. */
static void start_deciding(struct fixture *f)
{
    f->node.knows_who_is_there = true;
    start_fenced(f, MODE_TO_STRONG);
    apply(f, MODE_FENCED, DIR, FENCE);
    f->node.told_fence = FENCE;
    pass(f, 20);
    assert_non_null(f->node.txn);
    assert_int_equal(f->node.transaction.txn_kind, TXN_TO_STRONG);
    assert_int_equal(f->node.transaction.offset, FENCE);
}

static void test_nodes_that_are_away_are_left_out(void **state)
{
    struct fixture *f = *state;

    start_deciding(f);
    assert_int_equal(f->node.left_out.count, 1);
    assert_int_equal(f->node.left_out.of[0].node, MISSING);
    assert_int_equal(f->node.left_out.of[0].sequence, 30);
    assert_int_equal(f->node.event_count, 0);
    end_txn(f, 0);
    expect_end(f, 0);
    assert_int_equal(f->node.event_count, 2); /* One of each of them. */
}

static void test_where_all_are_there_nobody_is_left_out(void **state)
{
    struct fixture *f = *state;

    f->node.absent = (struct left_out){.count = 0};
    start_deciding(f);
    assert_int_equal(f->node.left_out.count, 0);
    end_txn(f, 0);
    expect_end(f, 0);
    assert_int_equal(f->node.event_count, 1);
}

/* Changes wait behind a fence. */
static void test_who_is_there_is_found_out_before_the_fence(void **state)
{
    struct fixture *f = *state;

    start(f, MODE_TO_STRONG);
    pass(f, 5000);
    assert_null(f->node.call);
    assert_false(f->over);
    f->node.knows_who_is_there = true;
    pass(f, 20);
    expect_asked(f, MODE_FENCED, EPOCH);
}

static void test_who_is_there_is_not_looked_for_for_ever(void **state)
{
    struct fixture *f = *state;

    start(f, MODE_TO_STRONG);
    f->change.deadline_ns =
        env_mono_ns(&f->node.fake.env) + UINT64_C(1000000000);
    pass(f, 900);
    assert_false(f->over);
    pass(f, 200);
    expect_end(f, ERR_NO_QUORUM);
}

/* Also one that has fallen silent behind the fence. */
static void test_the_others_have_to_tell(void **state)
{
    struct fixture *f = *state;

    f->node.knows_who_is_there = true;
    start_fenced(f, MODE_TO_STRONG);
    apply(f, MODE_FENCED, DIR, FENCE);
    pass(f, FENCE_MS - 100);
    assert_null(f->node.call);
    assert_null(f->node.txn);
    pass(f, 200);
    expect_asked(f, MODE_EVENTUAL, FENCE);
    answer(f, 0);
    expect_end(f, ERR_NO_QUORUM);
}

/* Their answers may wait here. */
static void test_a_node_that_was_away_itself_looks_anew(void **state)
{
    struct fixture *f = *state;
    uint64_t begin_ns;

    start(f, MODE_TO_STRONG);
    begin_ns = f->node.since_ns;
    pass(f, 2000);
    assert_true(f->node.since_ns == begin_ns);
    fake_env_pass(&f->node.fake, 5000);
    assert_true(f->node.since_ns == env_mono_ns(&f->node.fake.env));
    pass(f, 2000);
    assert_true(f->node.since_ns < env_mono_ns(&f->node.fake.env));
}

static void test_a_strong_one_takes_no_force(void **state)
{
    static const uint64_t domains[] = {0, DIR};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(domains); i++) {
        apply(f, MODE_STRONG, domains[i], EPOCH);
        start(f, MODE_TO_STRONG);
        if (domains[i] == 0) {
            assert_int_equal(f->node.asked.op, COMMAND_DIR_OWN);
            answer(f, 0);
        }
        expect_end(f, 0);
        f->over = false;
    }
}

static void
test_below_an_eventual_one_others_are_left_out_likewise(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_EVENTUAL, PARENT, EPOCH);
    f->node.knows_who_is_there = true;
    start_told(f, MODE_TO_STRONG, PARENT);
    expect_txn(f, TXN_TO_STRONG, FENCE);
    assert_true(f->node.txn->has_no_place);
    end_txn(f, 0);
    expect_end(f, 0);
}

static void test_nothing_is_forced_without_a_majority(void **state)
{
    struct fixture *f = *state;

    f->node.knows_who_is_there = true;
    f->node.read_status = ERR_NO_QUORUM;
    start(f, MODE_TO_STRONG);
    expect_end(f, ERR_NO_QUORUM);
}

/* Whom the first attempt has left out, the second may have heard of. */
static void test_each_attempt_looks_for_itself(void **state)
{
    struct fixture *f = *state;

    start_deciding(f);
    end_txn(f, ERR_ABORTED);
    answer(f, 0);
    expect_end(f, ERR_BUSY);
    assert_int_equal(f->node.event_count, 1); /* Not of who was left out. */
    f->over = false;
    f->node.absent = (struct left_out){.count = 0};
    apply(f, MODE_EVENTUAL, DIR, EPOCH);
    start_deciding(f);
    assert_int_equal(f->node.left_out.count, 0);
}

#define FORCE_TEST(test)                                                       \
    cmocka_unit_test_setup_teardown(test, setup_force, teardown_mode_change)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FORCE_TEST(test_nodes_that_are_away_are_left_out),
        FORCE_TEST(test_where_all_are_there_nobody_is_left_out),
        FORCE_TEST(test_who_is_there_is_found_out_before_the_fence),
        FORCE_TEST(test_who_is_there_is_not_looked_for_for_ever),
        FORCE_TEST(test_the_others_have_to_tell),
        FORCE_TEST(test_a_node_that_was_away_itself_looks_anew),
        FORCE_TEST(test_a_strong_one_takes_no_force),
        FORCE_TEST(test_below_an_eventual_one_others_are_left_out_likewise),
        FORCE_TEST(test_nothing_is_forced_without_a_majority),
        FORCE_TEST(test_each_attempt_looks_for_itself),
    };

    return cmocka_run_group_tests_name("mode_force", tests, NULL, NULL);
}
