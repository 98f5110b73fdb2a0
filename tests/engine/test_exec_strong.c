/* SPDX-License-Identifier: Apache-2.0 */

/* Strong directories below eventual ones: their names are in the catalog alone,
 * so what removes one, or changes its mode, holds parts of namespaces only. */

#include <string.h>

#include "exec_below.h"
#include "exec_regions.h"

#define ROOT NSID_ROOT

/* The directory e/, which is eventual, and in it s/, and in that t/. */
struct tree {
    uint64_t e;
    uint64_t s;
    uint64_t t;
};

/* All of it eventual. */
static struct tree make_tree(struct exec_fixture *f)
{
    struct tree tree = {.e = make_eventual(f, ROOT, "e")};

    tree.s = add_below(f, tree.e, "s");
    tree.t = add_below(f, tree.s, "t");
    return tree;
}

static struct test_txn to_strong(struct exec_fixture *f, const struct tree *t)
{
    return without_place(txn_to_strong(f, t->e, "s", t->s, put_fence(f, t->s)),
                         CATALOG_STRONG, t->s);
}

/* Filled, so that it may have something in it. */
static struct test_txn to_eventual(struct exec_fixture *f, const struct tree *t)
{
    struct test_txn txn = txn_to_eventual(f, t->e, "s", t->s);

    txn.command.offset = begin_filling(f, t->s);
    return without_place(txn, CATALOG_EVENTUAL, t->s);
}

static struct test_txn rmdir_of(struct exec_fixture *f, const struct tree *t)
{
    return without_place(txn_rmdir(f, t->e, "s"), CATALOG_REMOVE, t->s);
}

static void commit_all(struct exec_fixture *f, const struct test_txn *txn)
{
    assert_true(commit_until(f, txn, 1000));
    check_settled(f);
}

/* Prepares it, and has region 0 refuse it. */
static void expect_refused(struct exec_fixture *f, const struct test_txn *txn,
                           int status)
{
    struct test_prepare p = prepare_begin(txn);

    assert_int_equal(prepare_all(f, &p), 0);
    assert_int_equal(decide_prepared(f, &p), status);
    settle_txn(f, &p.ref);
    prepare_end(&p);
    settle_orphans(f);
    check_settled(f);
}

/* s/ is strong. */
static struct tree make_strong(struct exec_fixture *f)
{
    struct tree t = make_tree(f);
    struct test_txn txn = to_strong(f, &t);

    commit_all(f, &txn);
    return t;
}

static void expect_own_strong(struct exec_fixture *f, const struct tree *t)
{
    assert_int_equal(mode_of(f, t->s).state, MODE_STRONG);
    assert_int_equal(mode_of(f, t->s).domain, t->s);
    assert_int_equal(mode_of(f, t->s).since, 0);
    assert_int_equal(mode_of(f, t->t).state, MODE_STRONG);
    assert_int_equal(mode_of(f, t->t).domain, 0);
}

/* ---- to strong ---- */

static void test_one_that_inherits_becomes_strong(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);

    expect_own_strong(f, &t);
    assert_int_equal(mode_of(f, t.e).state, MODE_EVENTUAL);
    assert_int_equal(catalog_of(f, t.s).parent, t.e);
    assert_int_equal(count_names(f, t.e), 0);
    assert_int_equal(create(f, t.s, "f"), 0);
    assert_int_equal(create(f, t.t, "f"), 0);
    assert_int_equal(mode_of(f, make_dir(f, t.s, "d")).domain, 0);
    check_settled(f);
}

/* With a mode of its own before, and in no more than its own fence. */
static void test_it_becomes_strong_behind_its_own_fence_alone(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_tree(f);
    struct test_txn txn = to_strong(f, &t);

    assert_int_equal(mode_of(f, t.e).state, MODE_EVENTUAL);
    assert_int_equal(mode_of(f, t.t).state, MODE_FENCED);
    (void)put_fence(f, t.e);
    expect_refused(f, &txn, ERR_BUSY);
    assert_int_equal(mode_of(f, t.s).state, MODE_FENCED);
}

static void test_a_name_that_a_region_has_is_held(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = {.e = make_dir(f, ROOT, "d")};
    struct test_txn txn;

    t.s = make_eventual(f, t.e, "s");
    t.t = t.s;
    txn = to_strong(f, &t);
    expect_refused(f, &txn, ERR_BUSY);
    assert_int_equal(mode_of(f, t.s).state, MODE_FENCED);
}

/* ---- to eventual ---- */

static void test_it_becomes_eventual_by_itself(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);
    struct test_txn txn = to_eventual(f, &t);

    commit_all(f, &txn);
    assert_int_equal(mode_of(f, t.s).state, MODE_EVENTUAL);
    assert_int_equal(mode_of(f, t.s).domain, t.s);
    assert_int_equal(mode_of(f, t.t).domain, t.s);
    assert_false(has_namespace(f, t.s));
}

static void test_it_becomes_eventual_with_the_one_above(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);
    struct test_txn txn = to_eventual(f, &t);

    txn.changes[0].parent = t.e;
    commit_all(f, &txn);
    assert_int_equal(mode_of(f, t.s).domain, t.e);
    assert_int_equal(mode_of(f, t.t).domain, t.e);
    assert_int_equal(mode_of(f, t.s).since, txn.command.offset);
    (void)put_fence(f, t.e);
    assert_int_equal(mode_of(f, t.t).state, MODE_FENCED);
}

static void test_a_fence_above_keeps_its_mode(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);
    struct test_txn txn = to_eventual(f, &t);

    (void)put_fence(f, t.e);
    expect_refused(f, &txn, ERR_BUSY);
    txn.changes[0].parent = t.e;
    txn.command.txn.id.sequence = ++f->sequence;
    expect_refused(f, &txn, ERR_BUSY);
    assert_true(mode_is_filling(mode_of(f, t.s)));
}

/* Only of the one that it is in. */
static void test_it_inherits_from_nobody_else(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);
    struct test_txn txn = to_eventual(f, &t);

    txn.changes[0].parent = make_eventual(f, ROOT, "g");
    expect_refused(f, &txn, ERR_BUSY);
}

static void test_what_is_filled_in_vain_has_the_mode_of_before(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);

    assert_int_equal(try_mode(f, t.s, MODE_STRONG, begin_filling(f, t.s)), 0);
    expect_own_strong(f, &t);
    assert_int_equal(try_mode(f, t.t, MODE_STRONG, begin_filling(f, t.t)), 0);
    expect_own_strong(f, &t);
}

static void test_it_is_not_filled_while_the_one_above_changes(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);
    uint64_t epoch = put_fence(f, t.e);
    struct test_txn txn = txn_to_strong(f, ROOT, "e", t.e, epoch);

    assert_int_equal(try_fill(f, t.s), ERR_ABORTED);
    commit_all(f, &txn);
    (void)begin_filling(f, t.e);
    assert_int_equal(try_fill(f, t.s), ERR_ABORTED);
    expect_own_strong(f, &t);
}

/* ---- what it is in changes ---- */

static void change_above(struct exec_fixture *f, const struct tree *t,
                         bool to_eventual)
{
    struct test_txn txn = txn_to_eventual(f, ROOT, "e", t->e);

    if (to_eventual)
        txn.command.offset = begin_filling(f, t->e);
    else
        txn = txn_to_strong(f, ROOT, "e", t->e, put_fence(f, t->e));
    commit_all(f, &txn);
}

static void test_it_stays_strong_when_the_one_above_changes(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);

    assert_int_equal(create(f, t.s, "f"), 0);
    for (int i = 0; i < 2; i++) {
        change_above(f, &t, false);
        expect_own_strong(f, &t);
        assert_int_equal(count_names(f, t.e), 1);
        assert_int_equal(create(f, t.t, i == 0 ? "a" : "b"), 0);
        change_above(f, &t, true);
        expect_own_strong(f, &t);
        assert_int_equal(mode_of(f, t.e).state, MODE_EVENTUAL);
        assert_int_equal(count_names(f, t.e), 0);
        assert_int_equal(count_names(f, t.s), 2);
    }
}

static void test_below_a_strong_one_it_inherits_by_one_entry(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);

    assert_int_equal(inherit(f, t.s), ERR_ABORTED);
    change_above(f, &t, false);
    (void)begin_filling(f, t.e);
    assert_int_equal(inherit(f, t.s), ERR_BUSY);
    assert_int_equal(try_mode(f, t.e, MODE_STRONG, mode_of(f, t.e).epoch), 0);
    assert_int_equal(inherit(f, t.s), 0);
    assert_int_equal(mode_of(f, t.s).domain, 0);
    assert_int_equal(mode_of(f, t.s).epoch, f->version);
    assert_int_equal(inherit(f, t.s), ERR_ABORTED);
    change_above(f, &t, true);
    assert_int_equal(mode_of(f, t.t).domain, t.e);
}

static void test_below_a_strong_one_it_gets_a_mode_by_one_entry(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);

    assert_int_equal(own(f, t.s), ERR_ABORTED);
    change_above(f, &t, false);
    assert_int_equal(inherit(f, t.s), 0);
    (void)begin_filling(f, t.e);
    assert_int_equal(own(f, t.s), ERR_ABORTED);
    assert_int_equal(try_mode(f, t.e, MODE_STRONG, mode_of(f, t.e).epoch), 0);
    assert_int_equal(own(f, t.s), 0);
    assert_int_equal(mode_of(f, t.s).state, MODE_STRONG);
    assert_int_equal(mode_of(f, t.s).domain, t.s);
    assert_int_equal(mode_of(f, t.s).epoch, f->version);
    assert_int_equal(own(f, t.s), ERR_ABORTED);
    change_above(f, &t, true);
    assert_int_equal(mode_of(f, t.s).state, MODE_STRONG);
    assert_int_equal(mode_of(f, t.t).state, MODE_STRONG);
}

/* ---- removal ---- */

static void test_it_is_removed(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);
    struct test_txn txn = rmdir_of(f, &t);
    struct attr before = catalog_of(f, t.e).attr;
    uint64_t nsid;

    commit(f, txn_rmdir(f, t.s, "t"));
    commit_all(f, &txn);
    assert_false(has_namespace(f, t.s));
    assert_int_equal(catalog_find(f->state, NULL, t.e, slice_of("s"), &nsid),
                     ERR_NOT_FOUND);
    assert_true(catalog_of(f, t.e).attr.mtime_ns > before.mtime_ns);
}

static void test_it_is_removed_only_when_it_is_empty(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);
    struct test_txn txn = rmdir_of(f, &t);
    struct test_prepare p = prepare_begin(&txn);

    assert_int_equal(prepare_all(f, &p), ERR_NOT_EMPTY);
    prepare_end(&p);
    assert_int_equal(remove_below(f, t.e, "s", t.s, mode_of(f, t.s).epoch),
                     ERR_ABORTED);
    check_settled(f);
}

static void test_it_is_removed_only_from_where_it_is(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);
    struct test_txn txn = rmdir_of(f, &t);
    uint64_t g = make_eventual(f, ROOT, "g");

    commit(f, txn_rmdir(f, t.s, "t"));
    assert_int_equal(move_below(f, t.e, "s", t.e, "r", 0), 0);
    expect_refused(f, &txn, ERR_NOT_FOUND);
    assert_int_equal(move_below(f, t.e, "r", g, "s", 0), 0);
    txn = rmdir_of(f, &t);
    expect_refused(f, &txn, ERR_NOT_FOUND);
    assert_int_equal(create(f, t.s, "f"), 0);
    check_settled(f);
}

/* Its name goes to the regions, or is there. */
static void test_it_is_not_removed_while_the_one_above_changes(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);
    struct test_txn txn = rmdir_of(f, &t);
    uint64_t epoch;

    commit(f, txn_rmdir(f, t.s, "t"));
    epoch = put_fence(f, t.e);
    expect_refused(f, &txn, ERR_BUSY);
    assert_int_equal(try_mode(f, t.e, MODE_EVENTUAL, epoch), 0);
    change_above(f, &t, false);
    txn = rmdir_of(f, &t);
    expect_refused(f, &txn, ERR_BUSY);
    commit(f, txn_rmdir(f, t.e, "s"));
    check_settled(f);
}

/* ---- its name ---- */

static void test_it_moves_between_eventual_ones(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);
    uint64_t g = make_eventual(f, ROOT, "g");
    uint64_t d = make_dir(f, ROOT, "d");

    assert_int_equal(move_below(f, t.e, "s", g, "r", 0), 0);
    assert_int_equal(catalog_of(f, t.s).parent, g);
    expect_own_strong(f, &t);
    assert_int_equal(move_below(f, g, "r", d, "r", 0), ERR_CROSS_DEVICE);
    assert_int_equal(move_below(f, ROOT, "d", g, "d", 0), ERR_CROSS_DEVICE);
    assert_int_equal(create(f, t.s, "f"), 0);
    check_settled(f);
}

/* What is strong moves into it, and out of it. */
static void test_strong_ones_move_through_it(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_strong(f);
    uint64_t d = make_dir(f, ROOT, "d");

    commit(f, txn_rename(f, ROOT, "d", t.s, "d", 0));
    assert_int_equal(catalog_of(f, d).parent, t.s);
    commit(f, txn_rename(f, t.s, "t", ROOT, "t", 0));
    assert_int_equal(catalog_of(f, t.t).parent, ROOT);
    change_above(f, &t, false);
    check_settled(f);
}

/* ---- over several regions, by a coordinator that dies ---- */

static struct test_txn begin_strong(struct exec_fixture *f, struct tree *t)
{
    *t = make_tree(f);
    cut_through(f, t->s);
    return to_strong(f, t);
}

static struct test_txn begin_eventual(struct exec_fixture *f, struct tree *t)
{
    *t = make_strong(f);
    assert_int_equal(create(f, t->s, "x"), 0);
    cut_through(f, t->s);
    return to_eventual(f, t);
}

static struct test_txn begin_rmdir(struct exec_fixture *f, struct tree *t)
{
    *t = make_strong(f);
    commit(f, txn_rmdir(f, t->s, "t"));
    cut_through(f, t->s);
    return rmdir_of(f, t);
}

typedef struct test_txn begin(struct exec_fixture *f, struct tree *t);

static bool ends_behind(begin *begin_txn, unsigned commands)
{
    struct exec_fixture *f;
    struct test_txn txn;
    struct tree t;
    bool ended;

    (void)setup_exec((void **)&f);
    txn = begin_txn(f, &t);
    ended = commit_until(f, &txn, commands);
    settle_orphans(f);
    check_settled(f);
    (void)teardown_exec((void **)&f);
    return ended;
}

static void end_at_each_command(begin *begin_txn)
{
    unsigned commands = 0;

    while (!ends_behind(begin_txn, commands))
        commands++;
    assert_in_range(commands, 6, 30);
}

static void test_it_is_strong_in_all_regions_or_none(void **state)
{
    (void)state;
    end_at_each_command(begin_strong);
}

static void test_it_is_eventual_in_all_regions_or_none(void **state)
{
    (void)state;
    end_at_each_command(begin_eventual);
}

static void test_it_is_removed_from_all_regions_or_none(void **state)
{
    (void)state;
    end_at_each_command(begin_rmdir);
}

#define WITH_ROOT(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_exec, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_one_that_inherits_becomes_strong),
        WITH_ROOT(test_it_becomes_strong_behind_its_own_fence_alone),
        WITH_ROOT(test_a_name_that_a_region_has_is_held),
        WITH_ROOT(test_it_becomes_eventual_by_itself),
        WITH_ROOT(test_it_becomes_eventual_with_the_one_above),
        WITH_ROOT(test_a_fence_above_keeps_its_mode),
        WITH_ROOT(test_it_inherits_from_nobody_else),
        WITH_ROOT(test_what_is_filled_in_vain_has_the_mode_of_before),
        WITH_ROOT(test_it_is_not_filled_while_the_one_above_changes),
        WITH_ROOT(test_it_stays_strong_when_the_one_above_changes),
        WITH_ROOT(test_below_a_strong_one_it_inherits_by_one_entry),
        WITH_ROOT(test_below_a_strong_one_it_gets_a_mode_by_one_entry),
        WITH_ROOT(test_it_is_removed),
        WITH_ROOT(test_it_is_removed_only_when_it_is_empty),
        WITH_ROOT(test_it_is_removed_only_from_where_it_is),
        WITH_ROOT(test_it_is_not_removed_while_the_one_above_changes),
        WITH_ROOT(test_it_moves_between_eventual_ones),
        WITH_ROOT(test_strong_ones_move_through_it),
        cmocka_unit_test(test_it_is_strong_in_all_regions_or_none),
        cmocka_unit_test(test_it_is_eventual_in_all_regions_or_none),
        cmocka_unit_test(test_it_is_removed_from_all_regions_or_none),
    };

    return cmocka_run_group_tests_name("exec_strong", tests, NULL, NULL);
}
