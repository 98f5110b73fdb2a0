/* SPDX-License-Identifier: Apache-2.0 */

/* The parts of a directory and of those below it, in several regions: opened
 * and closed in all of them, or in none. */

#include "exec_levels.h"
#include "exec_regions.h"

enum { CHUNKED = 70000 };

#define TREE "t/=101 t/a/=102 t/a/b/=103"

static void cut_tree(struct exec_fixture *f)
{
    cut_region(f, T, "");
    cut_region(f, A, "");
    cut_region(f, A, "g");
    cut_region(f, B, "");
    cut_region(f, B + 1, "");
}

static void expect_holder(struct exec_fixture *f, int rc,
                          const struct test_prepare *p, uint64_t opens,
                          uint64_t closes)
{
    assert_int_equal(rc, ERR_LOCKED);
    assert_true(txn_id_equal(f->result.holder.id, p->ref.id));
    assert_int_equal(f->result.holder.opens_nsid, opens);
    assert_int_equal(f->result.holder.closes_nsid, closes);
}

/* Whoever meets one has to find that it is this one. */
static void test_each_closed_part_names_its_own_directory(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn;
    struct test_prepare p;

    assert_int_equal(create(f, B, "x"), 0);
    cut_tree(f);
    txn = txn_filled(f);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), 0);
    expect_holder(f, create(f, T, "x"), &p, 0, T);
    expect_holder(f, create(f, A, "x"), &p, 0, A);
    expect_holder(f, unlink_file(f, B, "x"), &p, 0, B);
    prepare_end(&p);
    settle_txn(f, &p.ref);
    assert_int_equal(create(f, T, "x"), 0);
    expect_holder(f, create(f, A, "x"), &p, 0, A);
    settle_txn(f, &f->result.holder);
    assert_int_equal(create(f, A, "x"), 0);
    settle_orphans(f);
    check_settled(f);
}

static void test_each_opened_part_names_its_own_directory(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct test_prepare p;

    assert_true(commit_until(f, &txn, UINT32_MAX));
    cut_tree(f);
    txn = txn_fenced(f);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), 0);
    expect_holder(f, create(f, A, "x"), &p, A, 0);
    expect_holder(f, create(f, B, "x"), &p, B, 0);
    prepare_end(&p);
    settle_txn(f, &p.ref);
    assert_false(has_namespace(f, T));
    assert_true(has_namespace(f, B));
    settle_orphans(f);
    assert_int_equal(count_class(f->state, "n"), 1);
    assert_int_equal(count_class(f->state, "d"), 1);
    check_settled(f);
}

/* Whoever has met only the last one of them, too. */
static void test_a_commit_is_resolved_for_all_by_anybody(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn;
    struct test_prepare p;

    assert_int_equal(create_sized(f, B, "x", CHUNKED), 0);
    cut_tree(f);
    txn = txn_filled(f);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), 0);
    assert_int_equal(decide_prepared(f, &p), 0);
    expect_holder(f, create(f, B, "y"), &p, 0, B);
    settle_txn(f, &f->result.holder);
    assert_int_equal(count_class(f->state, "ct"), 0);
    assert_int_equal(count_class(f->state, "n"), 1);
    assert_int_equal(count_class(f->state, "d"), 1);
    prepare_end(&p);
    check_settled(f);
}

/* The closed part would go with the intent. */
static void test_nothing_begins_in_a_closed_part(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn inner = txn_to_eventual(f, T, "a", A);
    struct test_txn txn = txn_filled(f);
    struct test_prepare p = prepare_begin(&txn);

    cut_tree(f);
    assert_int_equal(prepare_all(f, &p), 0);
    inner.command.offset = txn.command.offset;
    expect_holder(f, prepare(f, &inner), &p, 0, T);
    assert_int_equal(decide_prepared(f, &p), 0);
    settle_txn(f, &p.ref);
    prepare_end(&p);
    check_settled(f);
}

/* ---- a coordinator that dies ---- */

/* After so many commands; what the last one has changed is found by others. */
static bool die_filling(unsigned commands)
{
    struct exec_fixture *f;
    struct test_txn txn;
    bool ended;

    (void)setup_levels((void **)&f);
    assert_int_equal(create_sized(f, B, "x", CHUNKED), 0);
    cut_tree(f);
    txn = txn_filled(f);
    ended = commit_until(f, &txn, commands);
    if (mode_of(f, B).state == MODE_STRONG)
        settle_txn(f, &txn.command.txn);
    settle_orphans(f);
    check_settled(f);
    assert_string_equal(tree(f), mode_of(f, B).state == MODE_STRONG ? TREE
                                     " t/a/b/x=104"
                                                                    : "t/=101");
    (void)teardown_exec((void **)&f);
    return ended;
}

static bool die_opening(unsigned commands)
{
    struct exec_fixture *f;
    struct test_txn txn;
    bool ended;

    (void)setup_levels((void **)&f);
    txn = txn_filled(f);
    assert_true(commit_until(f, &txn, UINT32_MAX));
    cut_tree(f);
    txn = txn_fenced(f);
    ended = commit_until(f, &txn, commands);
    settle_orphans(f);
    check_settled(f);
    assert_string_equal(tree(f),
                        mode_of(f, B).state == MODE_STRONG ? TREE : "t/=101");
    (void)teardown_exec((void **)&f);
    return ended;
}

static void test_all_parts_are_closed_or_none(void **state)
{
    unsigned commands = 0;

    (void)state;
    while (!die_filling(commands))
        commands++;
    assert_in_range(commands, 10, 25);
}

static void test_all_parts_are_opened_or_none(void **state)
{
    unsigned commands = 0;

    (void)state;
    while (!die_opening(commands))
        commands++;
    assert_in_range(commands, 12, 30);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_levels, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_closed_part_names_its_own_directory),
        TEST(test_each_opened_part_names_its_own_directory),
        TEST(test_a_commit_is_resolved_for_all_by_anybody),
        TEST(test_nothing_begins_in_a_closed_part),
        cmocka_unit_test(test_all_parts_are_closed_or_none),
        cmocka_unit_test(test_all_parts_are_opened_or_none),
    };

    return cmocka_run_group_tests_name("exec_tree_regions", tests, NULL, NULL);
}
