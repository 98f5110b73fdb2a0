/* SPDX-License-Identifier: Apache-2.0 */

/* The steps of transactions on directories of which no region has the name:
 * those that change the mode of one below an eventual directory, or remove a
 * strong one there. */

#include "txn_fixture.h"

#include "engine/keys.h"

enum { EPOCH = 9, OTHER_NSID = 70 };

static void start_below(struct fixture *f, enum txn_kind kind, uint64_t offset)
{
    f->has_no_place = true;
    start_mode(f, kind, offset);
}

/* One part, and nothing at any name. */
static void expect_part(const struct fixture *f, enum command_op op)
{
    const struct command *c = &f->router.command;
    struct key place = key_user('d', CLOSED_NSID, slice_of(""));

    assert_non_null(f->router.call);
    assert_int_equal(c->op, op);
    assert_int_equal(c->txn_step, TXN_STEP_PART);
    assert_int_equal(c->txn.dir, 0);
    assert_int_equal(c->txn.to_dir, 0);
    assert_int_equal(c->txn.opens_nsid + c->txn.closes_nsid, CLOSED_NSID);
    assert_true(
        slice_equal(key_slice(&f->router.call->place), key_slice(&place)));
}

static void pass_parts(struct fixture *f, enum command_op op)
{
    expect_part(f, op);
    for (int i = 0; i < PARTS; i++)
        pass_part(f, op, i);
}

/* The decision is asked for. */
static const struct catalog_change *expect_change(const struct fixture *f,
                                                  enum catalog_change_kind kind)
{
    const struct command *c = &f->router.command;

    assert_int_equal(c->op, COMMAND_TXN_DECIDE);
    assert_int_equal(c->txn.dir, 0);
    assert_int_equal(c->change_count, 1);
    assert_int_equal(c->changes[0].kind, kind);
    assert_int_equal(c->changes[0].nsid, CLOSED_NSID);
    return &c->changes[0];
}

static void resolve_and_forget(struct fixture *f)
{
    assert_true(f->router.command.commit);
    pass_parts(f, COMMAND_TXN_RESOLVE);
    succeed(f, COMMAND_TXN_FORGET);
    assert_null(f->router.call);
}

static void test_what_is_removed_says_from_where(void **state)
{
    struct fixture *f = *state;
    const struct catalog_change *change;

    start_below(f, TXN_RMDIR, 0);
    assert_int_equal(f->router.command.txn.closes_nsid, CLOSED_NSID);
    pass_parts(f, COMMAND_TXN_PREPARE);
    change = expect_change(f, CATALOG_REMOVE);
    assert_int_equal(change->parent, DIR_NSID);
    assert_true(slice_equal(change->name, slice_of("a")));
    succeed(f, COMMAND_TXN_DECIDE);
    assert_failed(f, 0);
    resolve_and_forget(f);
}

static void test_what_becomes_eventual_says_whose_mode_it_has(void **state)
{
    struct fixture *f = *state;

    for (int inherits = 0; inherits < 2; inherits++) {
        f->inherits = inherits;
        f->done = 0;
        start_below(f, TXN_TO_EVENTUAL, 0);
        pass_parts(f, COMMAND_TXN_PREPARE);
        assert_int_equal(expect_change(f, CATALOG_EVENTUAL)->parent,
                         inherits ? DIR_NSID : 0);
        succeed(f, COMMAND_TXN_DECIDE);
        assert_failed(f, 0);
        resolve_and_forget(f);
    }
}

static void test_what_becomes_strong_has_new_parts(void **state)
{
    struct fixture *f = *state;
    struct namespace_record part = {0};

    put_directory(f, CLOSED_NSID, DIR_NSID, "a",
                  (struct mode){MODE_FENCED, DIR_NSID, 5, EPOCH}, 77);
    start_below(f, TXN_TO_STRONG, EPOCH);
    assert_int_equal(f->router.command.txn.opens_nsid, CLOSED_NSID);
    assert_int_equal(f->router.command.set.mtime_ns, 77);
    assert_int_equal(namespace_decode(&part, f->router.command.data), 0);
    assert_int_equal(part.nsid, CLOSED_NSID);
    assert_true(part.reopened);
    namespace_release(&part);
    pass_parts(f, COMMAND_TXN_PREPARE);
    assert_int_equal(expect_change(f, CATALOG_STRONG)->attr.version, EPOCH);
    assert_int_equal(f->router.command.data.size, 0);
    succeed(f, COMMAND_TXN_DECIDE);
    assert_failed(f, 0);
    resolve_and_forget(f);
}

static void test_what_is_not_empty_opens_its_parts_again(void **state)
{
    struct fixture *f = *state;

    start_below(f, TXN_RMDIR, 0);
    pass_part(f, COMMAND_TXN_PREPARE, 0);
    answer(f, COMMAND_TXN_PREPARE, ERR_NOT_EMPTY,
           &(struct result){.status = ERR_NOT_EMPTY});
    assert_failed(f, ERR_NOT_EMPTY);
    assert_false(f->router.command.commit);
    pass_parts(f, COMMAND_TXN_RESOLVE);
    assert_null(f->router.call);
}

/* ---- when its coordinator is dead ---- */

static void meet(struct fixture *f, uint64_t nsid, struct result *decision)
{
    const struct txn_ref holder = {.id = {1, 1, 1}, .closes_nsid = nsid};

    f->settle.done = on_settled;
    settle_force(&f->settle, &f->node, &holder, (struct domain){.count = 0});
    tell_decision(f, decision);
}

static void test_an_abort_undoes_what_was_met(void **state)
{
    struct fixture *f = *state;

    meet(f, CLOSED_NSID, &(struct result){.decided = true});
    assert_false(f->router.command.commit);
    pass_parts(f, COMMAND_TXN_RESOLVE);
    assert_failed(f, 0);
    assert_null(f->router.call);
}

/* Whatever of it was met. */
static void test_a_commit_names_all_of_it(void **state)
{
    struct fixture *f = *state;
    uint8_t nsid[8];
    struct result decision = {
        .decided = true, .committed = true, .data = {nsid, sizeof nsid}};

    be64_put(nsid, CLOSED_NSID);
    meet(f, OTHER_NSID, &decision);
    resolve_and_forget(f);
    assert_failed(f, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_removed_says_from_where),
        TEST(test_what_becomes_eventual_says_whose_mode_it_has),
        TEST(test_what_becomes_strong_has_new_parts),
        TEST(test_what_is_not_empty_opens_its_parts_again),
        TEST(test_an_abort_undoes_what_was_met),
        TEST(test_a_commit_names_all_of_it),
    };

    return cmocka_run_group_tests_name("txn_below", tests, NULL, NULL);
}
