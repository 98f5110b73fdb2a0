/* SPDX-License-Identifier: Apache-2.0 */

/* The steps of a transaction's coordinator, and of who settles an abandoned
 * one: how much time they have, and what a failed one says. Router, reader and
 * the search for the abandoned are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/modes.h"
#include "engine/orphans.h"
#include "engine/reader.h"
#include "engine/router.h"
#include "engine/settle.h"
#include "engine/txn.h"
#include "engine/txn_export.h"
#include "tests/sim/kv_mem.h"

enum {
    OWN_NODE = 3,
    DIR_NSID = 5,
    CLOSED_NSID = 7,
    TIMEOUT_MS = 1000,
    PARTS = 20 /* regions that have some of the namespace */
};

static const uint64_t timeout_ns = (uint64_t)TIMEOUT_MS * 1000000;

struct router {
    struct router_call *call; /* NULL: none is under way */
    struct command command;   /* of the last one */
    uint64_t sequence;
};

struct reader {
    struct read_op *op; /* NULL: none is under way */
};

struct node {
    struct env env;
    struct node_config config;
    uint64_t now_ns;
    struct router *router;
    struct reader *reader;
    struct modes *modes;
    struct txn_export *export; /* NULL: none is under way */
};

struct fixture {
    struct node node;
    struct router router;
    struct reader reader;
    struct txns *txns;
    struct txn_op op;
    struct settle settle;
    unsigned done;
    int status;
};

/* ---- env.h, node.h ---- */

static uint64_t fake_clock(struct env *env)
{
    return container_of(env, struct node, env)->now_ns;
}

static void fake_timer_stop(struct env *env, struct env_timer *timer)
{
    (void)env;
    (void)timer;
}

static const struct env_ops fake_ops = {.mono_ns = fake_clock,
                                        .timer_stop = fake_timer_stop};

struct env *node_env(struct node *node)
{
    return &node->env;
}

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

struct router *node_router(const struct node *node)
{
    return node->router;
}

struct reader *node_reader(const struct node *node)
{
    return node->reader;
}

struct modes *node_modes(const struct node *node)
{
    return node->modes;
}

/* ---- txn_export.h, router.h, reader.h, orphans.h ---- */

void txn_export_start(struct txn_export *export, struct node *node)
{
    export->node = node;
    node->export = export;
}

void txn_export_cancel(struct txn_export *export)
{
    if (export->node != NULL)
        export->node->export = NULL;
    export->node = NULL;
}

void router_to_region(struct router_call *call, uint64_t region)
{
    call->region = region;
}

void router_to_place(struct router_call *call, uint64_t dir, struct slice name)
{
    call->place = key_user('d', dir, name);
}

void router_to_key(struct router_call *call, const struct key *user_key)
{
    call->place = *user_key;
}

void router_call(struct router *router, struct router_call *call,
                 struct command *command)
{
    assert_null(router->call);
    call->active = true;
    router->call = call;
    router->command = *command;
}

void router_cancel(struct router *router, struct router_call *call)
{
    if (!call->active)
        return;
    assert_ptr_equal(call, router->call);
    call->active = false;
    router->call = NULL;
}

void router_hold(struct router *router, struct router_hold *hold)
{
    hold->sequence = ++router->sequence;
}

void router_release(struct router *router, struct router_hold *hold)
{
    (void)router;
    hold->sequence = 0;
}

bool router_has_room(const struct router *router)
{
    (void)router;
    return true;
}

void reader_start(struct reader *reader, struct read_op *op)
{
    assert_null(reader->op);
    op->active = true;
    reader->op = op;
}

void reader_cancel(struct reader *reader, struct read_op *op)
{
    if (op->active)
        reader->op = NULL;
    op->active = false;
}

struct orphans *orphans_new(struct node *node)
{
    (void)node;
    return NULL;
}

void orphans_stop(struct orphans *orphans)
{
    assert_null(orphans);
}

void orphans_free(struct orphans *orphans)
{
    assert_null(orphans);
}

void orphans_tick(struct orphans *orphans)
{
    assert_null(orphans);
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->node.env.ops = &fake_ops;
    f->node.env.state = kv_mem_new();
    f->node.now_ns = 1000;
    f->node.config.op_timeout_ms = TIMEOUT_MS;
    f->node.config.identity = (struct identity){.node_id = OWN_NODE, .boot = 1};
    f->node.router = &f->router;
    f->node.reader = &f->reader;
    f->node.modes = modes_new(OWN_NODE);
    f->txns = txns_new(&f->node);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    settle_cancel(&f->settle);
    txns_stop(f->txns);
    txns_free(f->txns);
    assert_null(f->router.call);
    assert_null(f->reader.op);
    assert_null(f->node.export);
    modes_free(f->node.modes);
    kv_close(f->node.env.state);
    free(f);
    return 0;
}

static void on_done(struct txn_op *op, int status, const struct attr *attr)
{
    struct fixture *f = container_of(op, struct fixture, op);

    (void)attr;
    f->done++;
    f->status = status;
}

static void start(struct fixture *f, enum txn_kind kind)
{
    struct command command = {
        .txn_kind = kind, .dir = DIR_NSID, .name = slice_of("a")};

    if (kind == TXN_RENAME) {
        command.to_dir = DIR_NSID;
        command.to_name = slice_of("z");
    }
    f->op = (struct txn_op){.deadline_ns = f->node.now_ns + timeout_ns,
                            .done = on_done};
    txns_start(f->txns, &f->op, &command);
}

/* The call under way, whose command is of this kind, comes back. */
static void answer(struct fixture *f, enum command_op op, int status,
                   const struct result *result)
{
    struct router *router = &f->router;
    struct router_call *call = router->call;

    assert_non_null(call);
    assert_int_equal(router->command.op, op);
    router->call = NULL;
    call->active = false;
    call->done(call, status, result, 0);
}

static void succeed(struct fixture *f, enum command_op op)
{
    answer(f, op, 0, &(struct result){.status = 0});
}

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

/* The end of the `i`th part, as its region tells it. */
static void pass_part(struct fixture *f, enum command_op op, int i)
{
    char name[] = {(char)('b' + i), '\0'};
    struct key end = key_user('d', CLOSED_NSID, slice_of(name));
    struct result result = {.data = key_user_part(&end)};

    if (i == PARTS - 1)
        result.data.size = 0;
    answer(f, op, 0, &result);
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

/* Somebody may have it in its log. */
static void lose(struct fixture *f, enum command_op op)
{
    answer(f, op, ERR_UNKNOWN_OUTCOME, NULL);
}

static void assert_failed(const struct fixture *f, int status)
{
    assert_int_equal(f->done, 1);
    assert_int_equal(f->status, status);
}

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

static void tell_decision(struct fixture *f, struct result *result)
{
    struct read_op *op = f->reader.op;

    assert_non_null(op);
    f->reader.op = NULL;
    op->active = false;
    op->done(op, 0, result);
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

static void on_settled(struct settle *settle, int status)
{
    struct fixture *f = container_of(settle, struct fixture, settle);

    f->done++;
    f->status = status;
}

/* It would begin at the first region again, and never come to the last. */
static void test_each_step_of_what_was_abandoned_has_its_own_time(void **state)
{
    struct fixture *f = *state;

    f->settle.deadline_ns = f->node.now_ns + timeout_ns;
    f->settle.done = on_settled;
    settle_force(&f->settle, &f->node, &other);
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

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* ---- modes ---- */

static void start_mode(struct fixture *f, enum txn_kind kind)
{
    struct command command = {.txn_kind = kind,
                              .dir = DIR_NSID,
                              .name = slice_of("a"),
                              .ino = ino_of_nsid(CLOSED_NSID)};

    f->op = (struct txn_op){.deadline_ns = f->node.now_ns + timeout_ns,
                            .done = on_done};
    txns_start(f->txns, &f->op, &command);
}

/* Its first step is done; its namespace is left. */
static void prepare_mode(struct fixture *f, enum txn_kind kind,
                         enum catalog_change_kind change)
{
    struct result result = {
        .left = TXN_LEFT_PARTS,
        .changes = {{.kind = change, .nsid = CLOSED_NSID}},
        .change_count = 1,
    };

    start_mode(f, kind);
    answer(f, COMMAND_TXN_PREPARE, 0, &result);
    for (int i = 0; i < PARTS; i++)
        pass_part(f, COMMAND_TXN_PREPARE, i);
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
        TEST(test_what_becomes_eventual_closes_all_parts),
        TEST(test_what_becomes_strong_opens_all_parts),
    };

    return cmocka_run_group_tests_name("txn", tests, NULL, NULL);
}
