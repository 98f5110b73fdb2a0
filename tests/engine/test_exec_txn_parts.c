/* SPDX-License-Identifier: Apache-2.0 */

/* Transactions on namespaces, and between names, that lie in several regions:
 * when they are refused, and what becomes of who waits. */

#include "exec_regions.h"
#include "exec_regions_tree.h"

/* ---- removing a directory ---- */

/* E lies in three regions; `name` is in the last one. */
static void test_a_directory_is_empty_when_all_its_parts_are(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rmdir(f, ROOT, "e");
    struct test_prepare p;

    cut_everything(f);
    assert_int_equal(create(f, E, "x"), 0);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), ERR_NOT_EMPTY);
    assert_int_equal(p.steps, 3);
    assert_true(p.begun);
    /* Nobody else can have it committed. */
    resolve_all(f, &p.ref, false);
    check_settled(f);
    assert_int_equal(unlink_file(f, E, "x"), 0);
    txn = txn_rmdir(f, ROOT, "e");
    prepare_end(&p);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), 0);
    prepare_end(&p);
    settle_orphans(f);
}

static void test_a_closed_part_takes_no_name_and_an_open_one_does(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rmdir(f, ROOT, "e");
    struct test_prepare p = prepare_begin(&txn);

    cut_everything(f);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_locked_by(f, create(f, E, "a"), &txn);
    assert_int_equal(f->result.holder.closes_nsid, E);
    assert_int_equal(create(f, E, "x"), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(prepare_step(f, &p), ERR_NOT_EMPTY);
    settle_txn(f, &p.ref);
    prepare_end(&p);
    settle_orphans(f);
    check_settled(f);
    assert_int_equal(create(f, E, "a"), 0);
}

/* Counts of parts may be anything. */
static void test_a_count_of_one_part_decides_nothing(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rmdir(f, ROOT, "e");
    struct test_prepare p = prepare_begin(&txn);

    assert_int_equal(create(f, E, "x"), 0);
    cut_region(f, E, "c");
    cut_region(f, E, "k");
    assert_int_equal(unlink_file(f, E, "x"), 0); /* 1 here and -1 there. */
    check_settled(f);
    assert_int_equal(prepare_all(f, &p), 0);
    assert_int_equal(decide_prepared(f, &p), 0);
    resolve_all(f, &p.ref, true);
    check_settled(f);
    prepare_end(&p);
}

static void test_an_undecided_name_in_any_part_is_waited_for(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn inner = txn_mkdir(f, E, "x");
    struct test_txn txn = txn_rmdir(f, ROOT, "e");
    struct test_prepare q = prepare_begin(&inner);
    struct test_prepare p = prepare_begin(&txn);

    cut_everything(f);
    assert_int_equal(prepare_all(f, &q), 0);
    assert_locked_by(f, prepare_all(f, &p), &inner);
    prepare_behind(f, &p, &q);
}

/* The source itself lies in the directory that is to be replaced. */
static void test_a_parent_is_not_replaced_by_what_is_in_it(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn;
    struct test_prepare p;

    (void)make_dir(f, E, "x");
    cut_region(f, E, "");
    cut_region(f, E, "k");
    txn = txn_rename(f, E, "x", ROOT, "e", 0);
    p = prepare_begin(&txn);
    assert_int_equal(prepare_all(f, &p), ERR_NOT_EMPTY);
    prepare_end(&p);
    settle_orphans(f);
    check_settled(f);
}

/* ---- renames ---- */

static void test_a_refused_target_lets_the_source_go(void **state)
{
    static const struct {
        const char *name;
        const char *to_name;
        unsigned flags;
        int rc;
    } refused[] = {
        {"i", "j", REQUEST_NOREPLACE, ERR_EXISTS},
        {"i", "n", REQUEST_EXCHANGE, ERR_NOT_FOUND},
        {"i", "o", 0, ERR_IS_DIR},
        {"d", "j", 0, ERR_NOT_DIR},
        {"d", "o", 0, ERR_NOT_EMPTY},
    };
    struct exec_fixture *f = *state;

    cut_everything(f);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct test_txn txn = txn_rename(f, ROOT, refused[i].name, ROOT,
                                         refused[i].to_name, refused[i].flags);
        struct test_prepare p = prepare_begin(&txn);

        assert_int_equal(prepare_all(f, &p), refused[i].rc);
        resolve_all(f, &p.ref, false);
        prepare_end(&p);
        check_settled(f);
        assert_string_equal(tree(f), TREE);
    }
}

/* Whatever the versions are in the region where it comes to. */
static void test_a_version_grows_over_regions(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rename(f, ROOT, "i", O, "n", 0);
    struct test_prepare p = prepare_begin(&txn);
    uint64_t before;

    cut_everything(f);
    assert_int_equal(lookup(f, ROOT, "i"), 0);
    before = f->result.attr.version;
    assert_int_equal(prepare_step(f, &p), 0);
    f->version = 3;
    assert_int_equal(prepare_step(f, &p), 0);
    assert_true(f->version > before);
    assert_int_equal(decide_prepared(f, &p), 0);
    resolve_all(f, &p.ref, true);
    prepare_end(&p);
    assert_int_equal(lookup(f, O, "n"), 0);
    assert_true(f->result.attr.version > before);
    assert_int_equal(f->result.attr.size, 10);
    check_settled(f);
}

#define ON_TREE(test)                                                          \
    cmocka_unit_test_setup_teardown(test, setup_tree, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_TREE(test_a_directory_is_empty_when_all_its_parts_are),
        ON_TREE(test_a_closed_part_takes_no_name_and_an_open_one_does),
        ON_TREE(test_a_count_of_one_part_decides_nothing),
        ON_TREE(test_an_undecided_name_in_any_part_is_waited_for),
        ON_TREE(test_a_parent_is_not_replaced_by_what_is_in_it),
        ON_TREE(test_a_refused_target_lets_the_source_go),
        ON_TREE(test_a_version_grows_over_regions),
    };

    return cmocka_run_group_tests_name("exec_txn_parts", tests, NULL, NULL);
}
