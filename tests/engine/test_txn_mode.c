/* SPDX-License-Identifier: Apache-2.0 */

/* The steps of transactions that change the mode of a directory, and how long
 * who is held up by one waits for its coordinator. */

#include "txn_fixture.h"

#include "engine/keys.h"
#include "engine/record.h"
#include "tests/engine/kv_helpers.h"

enum {
    SINCE = 9, /* when the directory began to be filled */
    BELOW_NSID = 70,
    LAST_NSID = 60
};

/* ---- the catalog ---- */

static void put_directory(struct fixture *f, uint64_t nsid, uint64_t parent,
                          struct mode mode)
{
    struct directory directory = {.nsid = nsid,
                                  .parent = parent,
                                  .name = slice_of("a"),
                                  .attr = {.ino = ino_of_nsid(nsid)},
                                  .mode = mode};
    struct buf *record = directory_encode(&directory);
    uint8_t number[8];

    be64_put(number, nsid);
    put_record(f->node.env.state, key_directory(nsid), buf_slice(record));
    put_record(f->node.env.state, key_directory_name(parent, directory.name),
               (struct slice){number, sizeof number});
    buf_unref(record);
}

static void apply_mode(struct fixture *f, struct mode mode, uint64_t version)
{
    put_directory(f, CLOSED_NSID, DIR_NSID, mode);
    assert_int_equal(
        modes_follow(f->node.modes, f->node.env.state, CLOSED_NSID, version),
        0);
}

/* One lies below the other, and both below what changes its mode. */
static void put_below(struct fixture *f, struct mode mode)
{
    apply_mode(f, mode, SINCE);
    put_directory(f, BELOW_NSID, CLOSED_NSID, mode);
    put_directory(f, LAST_NSID, BELOW_NSID, mode);
}

static const struct mode filling = {MODE_STRONG, CLOSED_NSID, SINCE, SINCE};
static const struct mode fenced = {MODE_FENCED, CLOSED_NSID, SINCE, SINCE};

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

/* What is in the directory was brought to all nodes, or was not. */
static void end_export(struct fixture *f, int status)
{
    struct txn_export *export = f->node.export;

    assert_non_null(export);
    export->mtimes = buf_copy("mtimes", 6);
    f->node.export = NULL;
    export->node = NULL;
    export->done(export, status);
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
        end_export(f, statuses[i]);
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

/* ---- with those below it ---- */

static void expect_part(struct fixture *f, enum command_op op, uint64_t nsid,
                        const char *name)
{
    const struct txn_ref *txn = &f->router.command.txn;
    struct key place = key_user('d', nsid, slice_of(name));

    assert_non_null(f->router.call);
    assert_int_equal(f->router.command.op, op);
    assert_int_equal(f->router.command.txn_step, TXN_STEP_PART);
    assert_true(txn->opens_nsid == nsid || txn->closes_nsid == nsid);
    assert_int_equal(txn->opens_nsid + txn->closes_nsid, nsid);
    assert_true(
        slice_equal(key_slice(&f->router.call->place), key_slice(&place)));
}

/* The part ends where one begins at (nsid, name). */
static void end_part(struct fixture *f, enum command_op op, uint64_t nsid,
                     const char *name)
{
    struct key end = key_user('d', nsid, slice_of(name));

    answer(f, op, 0, &(struct result){.data = key_user_part(&end)});
}

/* The first one below it in two parts, and the second one. */
static void pass_below(struct fixture *f, enum command_op op)
{
    expect_part(f, op, BELOW_NSID, "");
    end_part(f, op, BELOW_NSID, "m");
    expect_part(f, op, BELOW_NSID, "m");
    end_part(f, op, BELOW_NSID + 1, "");
    expect_part(f, op, LAST_NSID, "");
    end_part(f, op, LAST_NSID + 1, "");
}

/* Its own namespace lies where its name does. */
static void prepare_tree(struct fixture *f, enum txn_kind kind,
                         enum catalog_change_kind change)
{
    put_below(f, kind == TXN_TO_STRONG ? fenced : filling);
    start_mode(f, kind, SINCE);
    answer(f, COMMAND_TXN_PREPARE, 0,
           &(struct result){.changes = {{.kind = change, .nsid = CLOSED_NSID}},
                            .change_count = 1});
    pass_below(f, COMMAND_TXN_PREPARE);
}

/* What is below comes before it. */
static void resolve_tree(struct fixture *f, bool commit)
{
    assert_int_equal(f->router.command.commit, commit);
    pass_below(f, COMMAND_TXN_RESOLVE);
    assert_int_equal(f->router.command.txn_step, TXN_STEP_FIRST);
    succeed(f, COMMAND_TXN_RESOLVE);
}

static void test_all_below_it_are_closed_and_brought(void **state)
{
    struct fixture *f = *state;

    prepare_tree(f, TXN_TO_EVENTUAL, CATALOG_EVENTUAL);
    assert_non_null(f->node.export);
    assert_int_equal(f->node.export->below->count, 2);
    assert_int_equal(f->node.export->below->nsids[0], BELOW_NSID);
    assert_int_equal(f->node.export->below->nsids[1], LAST_NSID);
    end_export(f, 0);
    assert_int_equal(f->router.command.txn.closes_nsid, CLOSED_NSID);
    assert_true(slice_equal(f->router.command.data, slice_of("mtimes")));
    succeed(f, COMMAND_TXN_DECIDE);
    resolve_tree(f, true);
    succeed(f, COMMAND_TXN_FORGET);
    assert_null(f->router.call);
}

static void test_all_below_it_are_open_again_without_their_files(void **state)
{
    struct fixture *f = *state;

    prepare_tree(f, TXN_TO_EVENTUAL, CATALOG_EVENTUAL);
    end_export(f, ERR_NO_QUORUM);
    resolve_tree(f, false);
    assert_failed(f, ERR_NO_QUORUM);
    assert_null(f->router.call);
}

static void take_import(struct fixture *f)
{
    assert_int_equal(f->router.command.op, COMMAND_TXN_IMPORT);
    assert_int_equal(f->router.command.dir, CLOSED_NSID);
    answer(f, COMMAND_TXN_IMPORT, 0,
           &(struct result){.offset = f->router.command.data.size});
}

static void test_all_below_it_are_opened_and_get_their_names(void **state)
{
    struct fixture *f = *state;

    prepare_tree(f, TXN_TO_STRONG, CATALOG_STRONG);
    take_import(f);
    assert_int_equal(f->router.command.op, COMMAND_TXN_DECIDE);
    assert_int_equal(f->router.command.txn.opens_nsid, CLOSED_NSID);
    assert_int_equal(f->router.command.data.size, 0);
    succeed(f, COMMAND_TXN_DECIDE);
    pass_below(f, COMMAND_TXN_RESOLVE);
}

/* Whoever has met the last one of them. */
static void meet_last(struct fixture *f,
                      void (*settle)(struct settle *settle, struct node *node,
                                     const struct txn_ref *holder),
                      struct result *decision)
{
    const struct txn_ref holder = {.id = {1, 1, 1},
                                   .dir = DIR_NSID,
                                   .name = slice_of("a"),
                                   .closes_nsid = LAST_NSID};

    f->settle.done = on_settled;
    settle(&f->settle, &f->node, &holder);
    tell_decision(f, decision);
}

/* And nothing else of it. */
static void resolve_last(struct fixture *f, bool commit)
{
    expect_part(f, COMMAND_TXN_RESOLVE, LAST_NSID, "");
    assert_int_equal(f->router.command.commit, commit);
    end_part(f, COMMAND_TXN_RESOLVE, LAST_NSID + 1, "");
    assert_int_equal(f->router.command.txn_step, TXN_STEP_FIRST);
    succeed(f, COMMAND_TXN_RESOLVE);
    assert_failed(f, 0);
    assert_null(f->router.call); /* No FORGET. */
}

static struct result committed_with(struct slice below)
{
    return (struct result){.decided = true, .committed = true, .data = below};
}

static void test_who_meets_an_abort_opens_what_he_has_met(void **state)
{
    struct fixture *f = *state;

    meet_last(f, settle_start, &(struct result){.decided = true});
    resolve_last(f, false);
}

/* There may be thousands of them, and the coordinator is at work. */
static void test_who_waits_for_one_of_many_resolves_that_one(void **state)
{
    struct fixture *f = *state;
    uint8_t below[16] = {0};
    struct result decision =
        committed_with((struct slice){below, sizeof below});

    meet_last(f, settle_start, &decision);
    resolve_last(f, true);
}

/* Behind FORGET nobody would know what is to become of them. */
static void
test_who_finds_a_commit_resolves_all_before_it_is_forgotten(void **s)
{
    struct fixture *f = *s;
    uint8_t below[16];
    struct result decision =
        committed_with((struct slice){below, sizeof below});

    be64_put(below, BELOW_NSID);
    be64_put(below + 8, LAST_NSID);
    meet_last(f, settle_force, &decision);
    assert_true(f->router.command.commit);
    pass_below(f, COMMAND_TXN_RESOLVE);
    assert_int_equal(f->router.command.txn_step, TXN_STEP_FIRST);
    answer(f, COMMAND_TXN_RESOLVE, 0,
           &(struct result){.left = TXN_LEFT_PARTS,
                            .holder = {.closes_nsid = CLOSED_NSID}});
    expect_part(f, COMMAND_TXN_RESOLVE, CLOSED_NSID, "");
    end_part(f, COMMAND_TXN_RESOLVE, CLOSED_NSID + 1, "");
    assert_int_equal(f->router.command.txn_step, TXN_STEP_ENDS);
    succeed(f, COMMAND_TXN_RESOLVE);
    assert_int_equal(f->done, 0);
    succeed(f, COMMAND_TXN_FORGET);
    assert_failed(f, 0);
}

static void test_a_list_that_makes_no_sense_resolves_nothing(void **state)
{
    struct fixture *f = *state;

    struct result decision = committed_with(slice_of("abc"));

    meet_last(f, settle_force, &decision);
    assert_failed(f, ERR_CORRUPT);
    assert_null(f->router.call);
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
        TEST(test_all_below_it_are_closed_and_brought),
        TEST(test_all_below_it_are_open_again_without_their_files),
        TEST(test_all_below_it_are_opened_and_get_their_names),
        TEST(test_who_meets_an_abort_opens_what_he_has_met),
        TEST(test_who_waits_for_one_of_many_resolves_that_one),
        TEST(test_who_finds_a_commit_resolves_all_before_it_is_forgotten),
        TEST(test_a_list_that_makes_no_sense_resolves_nothing),
        TEST(test_who_fills_a_directory_is_given_more_time),
        TEST(test_who_does_not_is_given_none),
    };

    return cmocka_run_group_tests_name("txn_mode", tests, NULL, NULL);
}
