/* SPDX-License-Identifier: Apache-2.0 */

/* Eventual directories below eventual ones that have modes of their own. */

#include "exec_below.h"

#define ROOT NSID_ROOT

/* The directory e/, and in it a/b/c/ and d/. */
struct tree {
    uint64_t e;
    uint64_t a;
    uint64_t b;
    uint64_t c;
    uint64_t d;
};

static struct tree make_tree(struct exec_fixture *f)
{
    struct tree t = {.e = make_eventual(f, ROOT, "e")};

    t.a = add_below(f, t.e, "a");
    t.b = add_below(f, t.a, "b");
    t.c = add_below(f, t.b, "c");
    t.d = add_below(f, t.e, "d");
    return t;
}

static int move(struct exec_fixture *f, uint64_t dir, const char *name,
                uint64_t to_dir, const char *to_name)
{
    return move_below(f, dir, name, to_dir, to_name, 0);
}

static void expect_domain(struct exec_fixture *f, uint64_t nsid,
                          uint64_t domain)
{
    assert_int_equal(mode_of(f, nsid).domain, domain);
    assert_int_equal(mode_of(f, nsid).state, MODE_EVENTUAL);
}

/* ---- whose mode it is ---- */

/* What is in it goes on: it is as eventual as it was. */
static void test_one_gets_a_mode_of_its_own(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_tree(f);
    struct directory before = catalog_of(f, t.a);
    struct mode below = mode_of(f, t.c);

    assert_int_equal(own(f, t.a), 0);
    assert_int_equal(f->result.first_id, f->version);
    expect_domain(f, t.a, t.a);
    assert_int_equal(mode_of(f, t.a).since, before.mode.since);
    assert_int_equal(mode_of(f, t.a).epoch, f->version);
    assert_true(catalog_of(f, t.a).attr.ctime_ns > before.attr.ctime_ns);
    assert_int_equal(catalog_of(f, t.a).attr.version, f->version);
    expect_domain(f, t.b, t.a);
    expect_domain(f, t.c, t.a);
    assert_int_equal(mode_of(f, t.c).since, below.since);
    assert_int_equal(mode_of(f, t.c).epoch, f->version);
    expect_domain(f, t.d, t.e);
    expect_domain(f, add_below(f, t.c, "x"), t.a);
    check_settled(f);
}

static void test_one_inherits_again(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_tree(f);
    struct mode before = mode_of(f, t.a);

    assert_int_equal(own(f, t.a), 0);
    assert_int_equal(own(f, t.b), 0);
    assert_int_equal(inherit(f, t.a), 0);
    expect_domain(f, t.a, t.e);
    assert_int_equal(mode_of(f, t.a).since, before.since);
    assert_int_equal(mode_of(f, t.a).epoch, f->version);
    expect_domain(f, t.b, t.b);
    expect_domain(f, t.c, t.b);
    assert_int_equal(own(f, t.a), 0);
    assert_int_equal(inherit(f, t.b), 0);
    expect_domain(f, t.b, t.a);
    expect_domain(f, t.c, t.a);
    check_settled(f);
}

static void test_it_changes_only_from_what_is_known(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_tree(f);
    uint64_t epoch = mode_of(f, t.a).epoch;

    assert_int_equal(try_own(f, t.a, 1, epoch + 1), ERR_ABORTED);
    assert_int_equal(inherit(f, t.a), ERR_ABORTED);
    assert_int_equal(own(f, t.e), ERR_ABORTED);
    assert_int_equal(own(f, ROOT), ERR_ABORTED);
    assert_int_equal(try_own(f, 999, 1, 0), ERR_STALE);
    assert_int_equal(mode_of(f, t.a).epoch, epoch);
    assert_int_equal(own(f, t.a), 0);
    assert_int_equal(try_own(f, t.a, 0, epoch), ERR_ABORTED);
    assert_int_equal(own(f, t.a), ERR_ABORTED);
    expect_domain(f, t.a, t.a);
}

static void test_nothing_that_is_fenced_or_filled_gets_one(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_tree(f);
    uint64_t s = make_dir(f, ROOT, "s");
    uint64_t in = make_dir(f, s, "in");

    (void)begin_filling(f, s);
    assert_int_equal(own(f, in), ERR_ABORTED);
    assert_int_equal(inherit(f, s), ERR_ABORTED);
    assert_int_equal(own(f, t.d), 0);
    (void)put_fence(f, t.e);
    assert_int_equal(own(f, t.a), ERR_ABORTED);
    assert_int_equal(inherit(f, t.d), ERR_BUSY);
    (void)put_fence(f, t.d);
    assert_int_equal(inherit(f, t.d), ERR_ABORTED);
    assert_int_equal(mode_of(f, t.d).domain, t.d);
}

/* It would be strong, and what is in it nowhere. */
static void test_nothing_inherits_from_a_strong_one(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t s = make_dir(f, ROOT, "s");
    uint64_t e = make_eventual(f, s, "e");

    assert_int_equal(inherit(f, e), ERR_ABORTED);
    (void)begin_filling(f, s);
    assert_int_equal(inherit(f, e), ERR_ABORTED);
    expect_domain(f, e, e);
}

/* ---- when the one above changes ---- */

static void test_a_fence_above_leaves_it_eventual(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_tree(f);

    assert_int_equal(own(f, t.b), 0);
    (void)put_fence(f, t.e);
    assert_int_equal(mode_of(f, t.a).state, MODE_FENCED);
    assert_int_equal(mode_of(f, t.d).state, MODE_FENCED);
    expect_domain(f, t.b, t.b);
    expect_domain(f, t.c, t.b);
    (void)add_below(f, t.b, "x");
    assert_int_equal(move(f, t.a, "b", t.a, "y"), ERR_BUSY);
    check_settled(f);
}

static void test_it_stays_when_the_one_above_becomes_strong(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t a = add_below(f, e, "a");
    uint64_t b = add_below(f, a, "b");
    struct test_txn txn;
    struct mode before;

    assert_int_equal(own(f, a), 0);
    before = mode_of(f, b);
    (void)put_fence(f, e);
    txn = txn_to_strong(f, ROOT, "e", e, mode_of(f, e).epoch);
    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(mode_of(f, e).state, MODE_STRONG);
    expect_domain(f, a, a);
    expect_domain(f, b, a);
    assert_int_equal(mode_of(f, b).since, before.since);
    assert_int_equal(mode_of(f, b).epoch, before.epoch);
    assert_int_equal(resolve(f, &txn, true), 0);
}

static void test_what_holds_a_name_makes_nothing_strong_below(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_tree(f);
    struct test_txn txn;

    assert_int_equal(own(f, t.d), 0);
    (void)put_fence(f, t.d);
    txn = txn_to_strong(f, t.e, "d", t.d, mode_of(f, t.d).epoch);
    txn.changes[0] = (struct catalog_change){
        .kind = CATALOG_STRONG,
        .nsid = t.d,
        .attr.version = txn.command.offset,
    };
    txn.change_count = 1;
    assert_int_equal(decide(f, &txn), ERR_BUSY);
    assert_int_equal(mode_of(f, t.d).state, MODE_FENCED);
}

/* ---- its name ---- */

static void test_it_moves_between_eventual_directories(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_tree(f);
    uint64_t g = make_eventual(f, ROOT, "g");
    uint64_t epoch;

    assert_int_equal(own(f, t.a), 0);
    epoch = mode_of(f, t.a).epoch;
    assert_int_equal(move(f, t.e, "a", t.e, "x"), 0);
    assert_int_equal(move(f, t.e, "x", t.d, "a"), 0);
    assert_int_equal(move(f, t.d, "a", g, "a"), 0);
    assert_int_equal(catalog_of(f, t.a).parent, g);
    expect_domain(f, t.a, t.a);
    assert_int_equal(mode_of(f, t.a).epoch, epoch);
    expect_domain(f, t.c, t.a);
    assert_int_equal(inherit(f, t.a), 0);
    expect_domain(f, t.a, g);
    expect_domain(f, t.c, g);
    assert_int_equal(move(f, g, "a", t.e, "a"), ERR_CROSS_DEVICE);
    check_settled(f);
}

/* What moves along is its own. */
static void test_what_inherits_does_not_leave_it(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_tree(f);

    assert_int_equal(own(f, t.a), 0);
    assert_int_equal(move(f, t.a, "b", t.e, "b"), ERR_CROSS_DEVICE);
    assert_int_equal(move(f, t.e, "d", t.a, "d"), ERR_CROSS_DEVICE);
    assert_int_equal(move(f, t.b, "c", t.a, "c"), 0);
    assert_int_equal(own(f, t.b), 0);
    assert_int_equal(move(f, t.a, "b", t.e, "b"), 0);
    assert_int_equal(catalog_of(f, t.b).parent, t.e);
    check_settled(f);
}

static void test_it_moves_neither_to_a_strong_one_nor_below_itself(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_tree(f);
    uint64_t s = make_dir(f, ROOT, "s");

    assert_int_equal(own(f, t.a), 0);
    assert_int_equal(move(f, t.e, "a", s, "a"), ERR_CROSS_DEVICE);
    assert_int_equal(move(f, t.e, "a", t.c, "a"), ERR_INVALID);
    assert_int_equal(move(f, t.e, "a", t.e, "d"), ERR_EXISTS);
    check_settled(f);
}

static void test_it_is_removed_behind_a_fence_of_its_own(void **state)
{
    struct exec_fixture *f = *state;
    struct tree t = make_tree(f);

    assert_int_equal(own(f, t.d), 0);
    (void)put_fence(f, t.d);
    assert_int_equal(mode_of(f, t.e).state, MODE_EVENTUAL);
    assert_int_equal(remove_below(f, t.e, "d", t.d, mode_of(f, t.d).epoch), 0);
    expect_domain(f, add_below(f, t.e, "d"), t.e);
    check_settled(f);
}

#define WITH_ROOT(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_exec, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_one_gets_a_mode_of_its_own),
        WITH_ROOT(test_one_inherits_again),
        WITH_ROOT(test_it_changes_only_from_what_is_known),
        WITH_ROOT(test_nothing_that_is_fenced_or_filled_gets_one),
        WITH_ROOT(test_nothing_inherits_from_a_strong_one),
        WITH_ROOT(test_a_fence_above_leaves_it_eventual),
        WITH_ROOT(test_it_stays_when_the_one_above_becomes_strong),
        WITH_ROOT(test_what_holds_a_name_makes_nothing_strong_below),
        WITH_ROOT(test_it_moves_between_eventual_directories),
        WITH_ROOT(test_what_inherits_does_not_leave_it),
        WITH_ROOT(test_it_moves_neither_to_a_strong_one_nor_below_itself),
        WITH_ROOT(test_it_is_removed_behind_a_fence_of_its_own),
    };

    return cmocka_run_group_tests_name("exec_own", tests, NULL, NULL);
}
