/* SPDX-License-Identifier: Apache-2.0 */

/* The steps of a transaction's coordinator, and of who settles an abandoned
 * one: how much time they have, and what a failed one says. */

#include "txn_fixture.h"

/* The name's end is prepared; the parts of the namespace are left. */
static void prepare_rmdir(struct fixture *f)
{
    struct result result = {
        .left = TXN_LEFT_PARTS,
        .changes = {{.kind = CATALOG_REMOVE, .nsid = CLOSED_NSID}},
        .change_count = 1,
    };

    start(f, TXN_RMDIR);
    answer(f, COMMAND_TXN_PREPARE, 0, &result);
}

static void assert_has_timeout(const struct fixture *f)
{
    assert_non_null(f->router.call);
    assert_int_equal(f->router.call->deadline_ns, f->node.now_ns + timeout_ns);
}

/* RESOLVE to the end, where every answer comes in the last moment. */
static void resolve_slowly(struct fixture *f)
{
    struct result parts = {.left = TXN_LEFT_PARTS,
                           .holder = {.closes_nsid = CLOSED_NSID}};

    assert_has_timeout(f);
    f->node.now_ns += timeout_ns - 1;
    answer(f, COMMAND_TXN_RESOLVE, 0, &parts);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(f->router.command.txn_step, TXN_STEP_PART);
        assert_has_timeout(f);
        f->node.now_ns += timeout_ns - 1;
        pass_part(f, COMMAND_TXN_RESOLVE, i);
    }
    assert_int_equal(f->router.command.txn_step, TXN_STEP_ENDS);
    assert_has_timeout(f);
    succeed(f, COMMAND_TXN_RESOLVE);
}

/* ---- outcomes ---- */

/* Whatever becomes of it: without a decision nothing has changed. */
static void test_a_lost_prepare_has_surely_not_happened(void **state)
{
    struct fixture *f = *state;

    start(f, TXN_RMDIR);
    lose(f, COMMAND_TXN_PREPARE);
    assert_failed(f, ERR_NO_QUORUM);
}

/* Of two files in one region it was all there is to do. */
static void test_a_lost_rename_may_have_happened(void **state)
{
    struct fixture *f = *state;

    start(f, TXN_RENAME);
    lose(f, COMMAND_TXN_PREPARE);
    assert_failed(f, ERR_UNKNOWN_OUTCOME);
}

static void test_a_rename_that_goes_on_elsewhere_was_not_all(void **state)
{
    struct fixture *f = *state;

    start(f, TXN_RENAME);
    answer(f, COMMAND_TXN_PREPARE, 0,
           &(struct result){.left = TXN_LEFT_TARGET});
    lose(f, COMMAND_TXN_PREPARE);
    assert_failed(f, ERR_NO_QUORUM);
}

static void test_a_lost_decision_may_have_been_made(void **state)
{
    struct fixture *f = *state;

    start(f, TXN_RMDIR);
    answer(f, COMMAND_TXN_PREPARE, 0, &(struct result){.change_count = 1});
    lose(f, COMMAND_TXN_DECIDE);
    assert_failed(f, ERR_UNKNOWN_OUTCOME);
}

static void test_a_lost_resolve_of_an_abort_changes_nothing(void **state)
{
    struct fixture *f = *state;

    prepare_rmdir(f);
    answer(f, COMMAND_TXN_PREPARE, ERR_ABORTED,
           &(struct result){.status = ERR_ABORTED});
    lose(f, COMMAND_TXN_RESOLVE);
    assert_failed(f, ERR_NO_QUORUM);
}

static const struct txn_ref other = {
    .id = {1, 1, 1}, .dir = DIR_NSID, .name = {"a", 1}};

static void test_what_is_held_up_has_not_happened(void **state)
{
    struct fixture *f = *state;

    start(f, TXN_RENAME);
    answer(f, COMMAND_TXN_PREPARE, ERR_LOCKED,
           &(struct result){.status = ERR_LOCKED, .holder = other});
    tell_decision(f, &(struct result){.decided = true});
    lose(f, COMMAND_TXN_RESOLVE);
    assert_failed(f, ERR_NO_QUORUM);
}

static void test_what_is_held_up_halfway_has_not_happened(void **state)
{
    struct fixture *f = *state;
    struct result holder = {.status = ERR_LOCKED,
                            .holder = {.id = {OWN_NODE, 9, 9},
                                       .dir = DIR_NSID,
                                       .name = slice_of("a")}};

    prepare_rmdir(f);
    answer(f, COMMAND_TXN_PREPARE, ERR_LOCKED, &holder);
    tell_decision(f, &(struct result){.decided = true});
    lose(f, COMMAND_TXN_RESOLVE);
    assert_failed(f, ERR_NO_QUORUM);
}

/* ---- time ---- */

/* However many regions the namespace lies in. */
static void test_each_step_of_what_is_done_has_its_own_time(void **state)
{
    struct fixture *f = *state;

    prepare_rmdir(f);
    for (int i = 0; i < PARTS; i++)
        pass_part(f, COMMAND_TXN_PREPARE, i);
    succeed(f, COMMAND_TXN_DECIDE);
    assert_int_equal(f->done, 1);
    resolve_slowly(f);
    assert_has_timeout(f);
    succeed(f, COMMAND_TXN_FORGET);
    assert_null(f->router.call);
}

static void test_while_a_user_waits_all_steps_have_his_time(void **state)
{
    struct fixture *f = *state;
    uint64_t deadline_ns = f->node.now_ns + timeout_ns;

    prepare_rmdir(f);
    f->node.now_ns += timeout_ns / 2;
    answer(f, COMMAND_TXN_PREPARE, ERR_ABORTED,
           &(struct result){.status = ERR_ABORTED});
    assert_int_equal(f->router.command.op, COMMAND_TXN_RESOLVE);
    assert_int_equal(f->router.call->deadline_ns, deadline_ns);
}

/* It would begin at the first region again, and never come to the last. */
static void test_each_step_of_what_was_abandoned_has_its_own_time(void **state)
{
    struct fixture *f = *state;

    f->settle.deadline_ns = f->node.now_ns + timeout_ns;
    f->settle.done = on_settled;
    settle_force(&f->settle, &f->node, &other, (struct domain){.count = 0});
    tell_decision(f, &(struct result){.decided = false});
    succeed(f, COMMAND_TXN_ABORT);
    resolve_slowly(f);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->status, 0);
}

static void test_who_is_held_up_settles_in_his_own_time(void **state)
{
    struct fixture *f = *state;

    f->settle.deadline_ns = f->node.now_ns + 17;
    f->settle.done = on_settled;
    settle_start(&f->settle, &f->node, &other);
    tell_decision(f, &(struct result){.decided = true, .committed = true});
    assert_int_equal(f->router.command.op, COMMAND_TXN_RESOLVE);
    assert_int_equal(f->router.call->deadline_ns, f->node.now_ns + 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_lost_prepare_has_surely_not_happened),
        TEST(test_a_lost_rename_may_have_happened),
        TEST(test_a_rename_that_goes_on_elsewhere_was_not_all),
        TEST(test_a_lost_decision_may_have_been_made),
        TEST(test_a_lost_resolve_of_an_abort_changes_nothing),
        TEST(test_what_is_held_up_has_not_happened),
        TEST(test_what_is_held_up_halfway_has_not_happened),
        TEST(test_each_step_of_what_is_done_has_its_own_time),
        TEST(test_while_a_user_waits_all_steps_have_his_time),
        TEST(test_each_step_of_what_was_abandoned_has_its_own_time),
        TEST(test_who_is_held_up_settles_in_his_own_time),
    };

    return cmocka_run_group_tests_name("txn", tests, NULL, NULL);
}
