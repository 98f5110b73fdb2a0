/* SPDX-License-Identifier: Apache-2.0 */

/* The parts of many namespaces in one command: how many of them a region does,
 * and what becomes of those that it does not. */

#include "exec_levels.h"
#include "exec_regions.h"

enum { C = 104, LAST = 105 };

#define TREE "t/=101 t/a/=102 t/a/b/=103 t/c/=104 t/d/=105"

static int setup(void **state)
{
    struct exec_fixture *f;

    (void)setup_levels(state);
    f = *state;
    assert_int_equal(make_dir(f, T, "c"), C);
    assert_int_equal(make_dir(f, T, "d"), LAST);
    return 0;
}

/* All of them are prepared, with so many commands. */
static void expect_steps(struct exec_fixture *f, struct test_prepare *p,
                         unsigned steps)
{
    assert_int_equal(prepare_all(f, p), 0);
    assert_int_equal(p->steps, steps);
}

/* ---- how far a command goes ---- */

static void test_all_in_one_region_take_one_command(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct test_prepare p = prepare_begin(&txn);
    struct test_resolve r;
    unsigned commands = 0;

    expect_steps(f, &p, 2);
    assert_int_equal(decide_prepared(f, &p), 0);
    r = resolve_below(&p.ref, true, &p.below);
    for (; !r.done; commands++)
        resolve_step(f, &r);
    assert_int_equal(commands, 3); /* Those below, the rest, FORGET. */
    assert_string_equal(tree(f), "t/=101");
    prepare_end(&p);
    check_settled(f);
}

static void test_a_region_does_what_begins_in_it(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct test_prepare p = prepare_begin(&txn);

    cut_region(f, C, "");
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(f->result.offset, 1); /* Not only A, but B. */
    assert_int_equal(create(f, C, "x"), 0);
    expect_steps(f, &p, 3);
    assert_int_equal(f->result.offset, 1);
    assert_int_equal(decide_prepared(f, &p), 0);
    settle_txn(f, &p.ref);
    prepare_end(&p);
    check_settled(f);
}

/* What is behind it in the list begins in yet another region. */
static void test_one_that_goes_on_elsewhere_is_the_last_one(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct test_prepare p = prepare_begin(&txn);

    cut_region(f, B, "f");
    cut_region(f, B, "m");
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(f->result.offset, 1);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(f->result.offset, 0); /* All of it is a part of B. */
    expect_steps(f, &p, 4);
    assert_int_equal(f->result.offset, 2);
    assert_int_equal(decide_prepared(f, &p), 0);
    settle_txn(f, &p.ref);
    assert_string_equal(tree(f), "t/=101");
    prepare_end(&p);
    check_settled(f);
}

/* Also where what is behind it in the list lies before it: the namespace that
 * the transaction itself names may have any number. */
static void test_the_rest_of_a_part_is_not_forgotten(void **state)
{
    static const uint8_t further[] = {0, 0, 0, 0, 0, 0, 0, B};
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct test_prepare p = prepare_begin(&txn);
    const struct key at = key_user('d', C, slice_of(""));
    struct command c = txn.command;

    cut_region(f, C, "m");
    assert_int_equal(prepare_step(f, &p), 0);
    c.op = COMMAND_TXN_PREPARE;
    c.txn.closes_nsid = C;
    c.txn_step = TXN_STEP_PART;
    c.further = (struct slice){further, sizeof further};
    assert_int_equal(run_at(f, &c, &at), 0);
    assert_int_equal(f->result.offset, 0);
    assert_int_equal(create(f, B, "x"), 0);
    settle_txn(f, &p.ref);
    prepare_end(&p);
    settle_orphans(f);
    check_settled(f);
}

/* Where they are opened, too. */
static void test_each_part_is_opened_in_its_region(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct test_prepare p;

    assert_true(commit_until(f, &txn, UINT32_MAX));
    cut_region(f, B, "f");
    txn = txn_fenced(f);
    p = prepare_begin(&txn);
    expect_steps(f, &p, 3);
    assert_int_equal(decide_prepared(f, &p), 0);
    settle_txn(f, &p.ref);
    assert_string_equal(tree(f), TREE);
    prepare_end(&p);
    check_settled(f);
}

static void expect_times(struct exec_fixture *f, uint64_t nsid,
                         int64_t mtime_ns, int64_t ctime_ns)
{
    struct key key = key_namespace(nsid, (struct slice){NULL, 0});
    struct namespace_record part = {0};
    struct kv_value value = {0};

    assert_int_equal(kv_get(f->state, NULL, key_slice(&key), &value), 0);
    assert_int_equal(
        namespace_decode(&part, (struct slice){value.data, value.size}), 0);
    assert_int_equal(part.nsid, nsid);
    assert_int_equal(part.mtime_ns, mtime_ns);
    assert_int_equal(part.ctime_ns, ctime_ns);
    kv_value_release(&value);
    namespace_release(&part);
}

/* As it was shown with, and not as the first one. */
static void test_each_opened_part_has_its_own_times(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct test_prepare p;
    uint8_t further[2 * 8];
    uint8_t times[2 * 16];
    struct command c;

    assert_true(commit_until(f, &txn, UINT32_MAX));
    txn = txn_fenced(f);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_step(f, &p), 0);
    be64_put(further, C);
    be64_put(further + 8, LAST);
    for (uint64_t i = 0; i < 4; i++)
        be64_put(times + 8 * i, 1000 * (i + 1));
    c = txn.command;
    c.op = COMMAND_TXN_PREPARE;
    c.txn.opens_nsid = B;
    c.txn_step = TXN_STEP_PART;
    c.data = buf_slice(p.data);
    c.set.mtime_ns = 8000;
    c.set.ctime_ns = 9000;
    c.further = (struct slice){further, sizeof further};
    assert_int_equal(run_at(f, &c, &p.part), ERR_INVALID);
    c.further_times = (struct slice){times, sizeof times};
    assert_int_equal(run_at(f, &c, &p.part), 0);
    assert_int_equal(f->result.offset, 2);
    expect_times(f, B, 8000, 9000);
    expect_times(f, C, 1000, 2000);
    expect_times(f, LAST, 3000, 4000);
    expect_steps(f, &p, 2);
    assert_int_equal(decide_prepared(f, &p), 0);
    settle_txn(f, &p.ref);
    prepare_end(&p);
    check_settled(f);
}

/* ---- one that is refused ---- */

/* Those before it are done, as far as the answer says; the next command says
 * why that one is not. */
static void test_a_locked_one_ends_a_command_and_fails_the_next(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn inner = txn_mkdir(f, C, "x");
    struct test_prepare q = prepare_begin(&inner);
    struct test_txn txn = txn_filled(f);
    struct test_prepare p = prepare_begin(&txn);

    assert_int_equal(prepare_all(f, &q), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(f->result.offset, 1);
    assert_int_equal(f->result.holder.id.node, 0);
    assert_int_equal(f->result.data.size, 0); /* The end of all keys. */
    assert_locked_by(f, create(f, B, "x"), &txn);
    assert_int_equal(create(f, LAST, "x"), 0);
    assert_locked_by(f, prepare_step(f, &p), &inner);
    assert_int_equal(create(f, LAST, "y"), 0);
    settle_txn(f, &q.ref);
    expect_steps(f, &p, 3);
    assert_locked_by(f, create(f, LAST, "z"), &txn);
    assert_int_equal(decide_prepared(f, &p), 0);
    settle_txn(f, &p.ref);
    prepare_end(&q);
    prepare_end(&p);
    check_settled(f);
}

/* Not in a directory that is being filled, but in one that is not. */
static void test_a_refused_first_one_changes_nothing(void **state)
{
    static const uint8_t further[] = {0, 0, 0, 0, 0, 0, 0, C};
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_to_eventual(f, A, "b", B);
    const struct key at = key_user('d', B, slice_of(""));
    struct command c = txn.command;

    assert_int_equal(create(f, B, "x"), 0);
    c.op = COMMAND_TXN_PREPARE;
    c.txn.closes_nsid = B;
    c.txn_step = TXN_STEP_PART;
    c.further = (struct slice){further, sizeof further};
    assert_int_equal(run_at(f, &c, &at), ERR_NOT_EMPTY);
    assert_int_equal(create(f, C, "x"), 0);
    check_settled(f);
}

/* ---- regions that change under way ---- */

/* Between PREPARE and RESOLVE. */
static void run_through(struct exec_fixture *f, bool commit, bool joins)
{
    struct test_txn txn;
    struct test_prepare p;
    struct test_resolve r;

    assert_int_equal(create(f, B, "b"), 0);
    assert_int_equal(create(f, C, "z"), 0);
    if (joins) {
        cut_region(f, B, "");
        cut_region(f, C, "m");
    }
    txn = txn_filled(f);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), 0);
    if (commit)
        assert_int_equal(decide_prepared(f, &p), 0);
    if (joins) {
        join_regions(f, 1);
        join_regions(f, 0);
    } else {
        cut_region(f, B, "");
        cut_region(f, C, "m");
    }
    r = resolve_below(&p.ref, commit, &p.below);
    while (!r.done)
        resolve_step(f, &r);
    prepare_end(&p);
    check_settled(f);
}

static void test_what_was_prepared_in_one_is_resolved_in_three(void **state)
{
    struct exec_fixture *f = *state;

    run_through(f, false, false);
    assert_int_equal(create(f, C, "x"), 0);
    assert_int_equal(create(f, LAST, "x"), 0);
    f->cut_count = 0;
}

static void test_what_was_prepared_in_three_is_resolved_in_one(void **state)
{
    struct exec_fixture *f = *state;

    run_through(f, true, true);
    assert_string_equal(tree(f), "t/=101");
    assert_int_equal(count_class(f->state, "d"), 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_in_one_region_take_one_command),
        TEST(test_a_region_does_what_begins_in_it),
        TEST(test_one_that_goes_on_elsewhere_is_the_last_one),
        TEST(test_the_rest_of_a_part_is_not_forgotten),
        TEST(test_each_part_is_opened_in_its_region),
        TEST(test_each_opened_part_has_its_own_times),
        TEST(test_a_locked_one_ends_a_command_and_fails_the_next),
        TEST(test_a_refused_first_one_changes_nothing),
        TEST(test_what_was_prepared_in_one_is_resolved_in_three),
        TEST(test_what_was_prepared_in_three_is_resolved_in_one),
    };

    return cmocka_run_group_tests_name("exec_part_lists", tests, NULL, NULL);
}
