/* SPDX-License-Identifier: Apache-2.0 */

/* The steps of transactions that change the mode of a directory, and how long
 * who is held up by one waits for its coordinator. What is below it:
 * test_txn_below.c. */

#include "txn_fixture.h"

/* ---- steps ---- */

/* Its first step is done; its namespace is left. */
static void prepare_parts(struct fixture *f, enum txn_kind kind,
                          uint64_t offset, enum catalog_change_kind change)
{
    struct result result = {
        .left = TXN_LEFT_PARTS,
        .changes = {{.kind = change, .nsid = CLOSED_NSID}},
        .change_count = 1,
    };

    if (offset != 0 || kind == TXN_TO_STRONG)
        apply_mode(f, kind == TXN_TO_STRONG ? fenced : filling, SINCE);
    start_mode(f, kind, offset);
    answer(f, COMMAND_TXN_PREPARE, 0, &result);
    for (int i = 0; i < PARTS; i++) {
        assert_null(f->node.export);
        pass_part(f, COMMAND_TXN_PREPARE, i);
    }
}

static void prepare_mode(struct fixture *f, enum txn_kind kind,
                         enum catalog_change_kind change)
{
    prepare_parts(f, kind, 0, change);
    assert_int_equal(f->router.command.op, COMMAND_TXN_DECIDE);
    assert_int_equal(f->router.command.changes[0].kind, change);
}

static void test_what_becomes_eventual_closes_all_parts(void **state)
{
    struct fixture *f = *state;

    prepare_mode(f, TXN_TO_EVENTUAL, CATALOG_EVENTUAL);
    assert_int_equal(f->router.command.txn.closes_nsid, CLOSED_NSID);
    assert_int_equal(f->router.command.txn.opens_nsid, 0);
    succeed(f, COMMAND_TXN_DECIDE);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->status, 0);
}

static void test_what_becomes_strong_opens_all_parts(void **state)
{
    struct fixture *f = *state;

    prepare_mode(f, TXN_TO_STRONG, CATALOG_STRONG);
    assert_int_equal(f->router.command.txn.opens_nsid, CLOSED_NSID);
    assert_int_equal(f->router.command.txn.closes_nsid, 0);
    answer(f, COMMAND_TXN_DECIDE, ERR_BUSY,
           &(struct result){.status = ERR_BUSY, .decided = true});
    assert_failed(f, ERR_BUSY);
    assert_int_equal(f->router.command.op, COMMAND_TXN_RESOLVE);
    assert_false(f->router.command.commit);
}

/* Also with a second attempt; nothing else than the decision has it. */
static void test_a_decision_says_without_whom_it_is_made(void **state)
{
    struct fixture *f = *state;

    f->left_out = buf_copy("left out", 8);
    apply_mode(f, fenced, SINCE);
    start_mode(f, TXN_TO_STRONG, 0);
    buf_unref(f->left_out);
    for (int attempt = 0; attempt < 2; attempt++) {
        const struct result aborted = {.status = ERR_ABORTED, .decided = true};
        struct result result = {
            .left = TXN_LEFT_PARTS,
            .changes = {{.kind = CATALOG_STRONG, .nsid = CLOSED_NSID}},
            .change_count = 1,
        };

        assert_int_equal(f->router.command.data.size, 0);
        answer(f, COMMAND_TXN_PREPARE, 0, &result);
        for (int i = 0; i < PARTS; i++)
            pass_part(f, COMMAND_TXN_PREPARE, i);
        assert_int_equal(f->router.command.op, COMMAND_TXN_DECIDE);
        assert_true(slice_equal(f->router.command.data, slice_of("left out")));
        if (attempt == 0) {
            answer(f, COMMAND_TXN_DECIDE, ERR_ABORTED, &aborted);
            assert_int_equal(f->router.command.data.size, 0);
            succeed(f, COMMAND_TXN_RESOLVE);
        }
    }
    succeed(f, COMMAND_TXN_DECIDE);
    assert_int_equal(f->status, 0);
}

/* ---- with what is in it ---- */

static void prepare_filling(struct fixture *f)
{
    prepare_parts(f, TXN_TO_EVENTUAL, SINCE, CATALOG_EVENTUAL);
    assert_non_null(f->node.export);
    assert_null(f->router.call);
}

static void test_what_is_filled_is_decided_behind_its_files(void **state)
{
    struct fixture *f = *state;
    const struct txn_export *export;

    prepare_filling(f);
    export = f->node.export;
    assert_true(txn_id_equal(export->txn, f->router.command.txn.id));
    assert_int_equal(export->nsid, CLOSED_NSID);
    assert_int_equal(export->below->count, 0);
    assert_int_equal(export->since, SINCE);
    assert_int_equal(export->deadline_ns, f->op.deadline_ns);
    assert_int_equal(f->done, 0);
    end_export(f, 0);
    succeed(f, COMMAND_TXN_DECIDE);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->status, 0);
    assert_int_equal(f->router.command.op, COMMAND_TXN_RESOLVE);
    assert_true(f->router.command.commit);
}

/* All of it is open again then. */
static void test_without_its_files_it_is_aborted(void **state)
{
    const int statuses[] = {ERR_NOT_EMPTY, ERR_TOO_LARGE, ERR_NO_QUORUM,
                            ERR_NO_SPACE,  ERR_ABORTED,   ERR_UNAVAILABLE};

    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        void *fresh = NULL;
        struct fixture *f;

        (void)setup_txn(&fresh);
        f = fresh;
        prepare_filling(f);
        f->node.export->has_said = i > 0;
        end_export(f, statuses[i]);
        assert_int_equal(f->op.has_said, i > 0);
        assert_int_equal(f->router.command.op, COMMAND_TXN_RESOLVE);
        assert_false(f->router.command.commit);
        answer(f, COMMAND_TXN_RESOLVE, 0,
               &(struct result){.left = TXN_LEFT_PARTS,
                                .holder = {.closes_nsid = CLOSED_NSID}});
        for (int part = 0; part < PARTS; part++)
            pass_part(f, COMMAND_TXN_RESOLVE, part);
        succeed(f, COMMAND_TXN_RESOLVE);
        assert_failed(f, statuses[i]);
        assert_null(f->router.call);
        (void)teardown_txn(&fresh);
    }
    (void)state;
}

/* What was brought is of a life that is over. */
static void test_there_is_no_second_attempt_to_fill_it(void **state)
{
    struct fixture *f = *state;

    prepare_filling(f);
    end_export(f, 0);
    answer(f, COMMAND_TXN_DECIDE, ERR_ABORTED,
           &(struct result){.status = ERR_ABORTED, .decided = true});
    assert_failed(f, ERR_ABORTED);
    assert_int_equal(f->router.command.op, COMMAND_TXN_RESOLVE);
    assert_false(f->router.command.commit);
}

static void test_what_is_empty_is_tried_again(void **state)
{
    struct fixture *f = *state;

    prepare_mode(f, TXN_TO_EVENTUAL, CATALOG_EVENTUAL);
    answer(f, COMMAND_TXN_DECIDE, ERR_ABORTED,
           &(struct result){.status = ERR_ABORTED, .decided = true});
    assert_int_equal(f->done, 0);
    assert_int_equal(f->router.command.op, COMMAND_TXN_RESOLVE);
}

static void test_what_is_not_brought_at_a_stop_is_left_to_others(void **state)
{
    struct fixture *f = *state;

    prepare_filling(f);
    end_export(f, ERR_CANCELED);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->status, ERR_CANCELED);
    assert_null(f->router.call);
}

static void test_a_stop_ends_what_fills_a_directory(void **state)
{
    struct fixture *f = *state;

    prepare_filling(f);
    txns_stop(f->txns);
    assert_null(f->node.export);
    assert_failed(f, ERR_CANCELED);
}

/* ---- who is held up by it ---- */

/* It is not decided; whether it is waited for once more. */
static bool look_again(struct fixture *f, uint64_t after_ms)
{
    const struct txn_ref holder = {.id = {1, 1, 1},
                                   .dir = DIR_NSID,
                                   .name = slice_of("a"),
                                   .closes_nsid = CLOSED_NSID};
    struct env_timer *timer;

    f->settle.done = on_settled;
    f->node.now_ns += after_ms * 1000000;
    settle_start(&f->settle, &f->node, &holder);
    tell_decision(f, &(struct result){.decided = false});
    timer = f->node.timer;
    f->node.timer = NULL;
    if (timer == NULL)
        assert_int_equal(f->router.command.op, COMMAND_TXN_ABORT);
    else
        timer->fire(timer);
    return timer != NULL;
}

static void test_who_fills_a_directory_is_given_more_time(void **state)
{
    struct fixture *f = *state;

    apply_mode(f, filling, SINCE);
    assert_true(look_again(f, 0));
    assert_true(look_again(f, SETTLE_PATIENCE_MS));
    assert_true(look_again(f, SETTLE_FILLING_MS - SETTLE_PATIENCE_MS - 1));
    assert_false(look_again(f, 1));
}

/* Also one that it holds, but does not fill. */
static void test_who_does_not_is_given_none(void **state)
{
    struct fixture *f = *state;

    assert_true(look_again(f, 0));
    assert_true(look_again(f, SETTLE_PATIENCE_MS - 1));
    assert_false(look_again(f, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_becomes_eventual_closes_all_parts),
        TEST(test_what_becomes_strong_opens_all_parts),
        TEST(test_a_decision_says_without_whom_it_is_made),
        TEST(test_what_is_filled_is_decided_behind_its_files),
        TEST(test_without_its_files_it_is_aborted),
        TEST(test_there_is_no_second_attempt_to_fill_it),
        TEST(test_what_is_empty_is_tried_again),
        TEST(test_what_is_not_brought_at_a_stop_is_left_to_others),
        TEST(test_a_stop_ends_what_fills_a_directory),
        TEST(test_who_fills_a_directory_is_given_more_time),
        TEST(test_who_does_not_is_given_none),
    };

    return cmocka_run_group_tests_name("txn_mode", tests, NULL, NULL);
}
