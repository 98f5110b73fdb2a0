/* SPDX-License-Identifier: Apache-2.0 */

/* Directories below eventual ones: what region 0 makes of their names. */

#include <sys/stat.h>

#include "exec_below.h"

#define ROOT NSID_ROOT

static void test_a_new_one_inherits(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t a = add_below(f, e, "a");
    struct directory directory = catalog_of(f, a);

    assert_true(a >= 1024);
    assert_int_equal(f->result.attr.mode, S_IFDIR | 0750);
    assert_int_equal(f->result.attr.uid, 5);
    assert_int_equal(directory.parent, e);
    assert_int_equal(directory.mode.state, MODE_EVENTUAL);
    assert_int_equal(directory.mode.domain, e);
    assert_true(directory.mode.since > mode_of(f, e).since);
    assert_int_equal(mode_of(f, add_below(f, a, "b")).domain, e);
    assert_int_equal(add_below(f, e, "c"), a + 2);
    check_settled(f);
}

static void test_its_parent_s_times_follow(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    struct directory before = catalog_of(f, e);
    struct directory after;

    (void)add_below(f, e, "a");
    after = catalog_of(f, e);
    assert_true(after.attr.mtime_ns > before.attr.mtime_ns);
    assert_true(after.attr.ctime_ns > before.attr.ctime_ns);
    assert_int_equal(after.attr.version, f->version);
    assert_int_equal(after.mtime_version, f->version);
    assert_int_equal(after.mode.epoch, before.mode.epoch);
}

static void test_a_new_one_needs_an_eventual_parent(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t d = make_dir(f, ROOT, "d");
    uint64_t e = make_eventual(f, ROOT, "e");

    assert_int_equal(try_add_below(f, d, "a"), ERR_ABORTED);
    assert_int_equal(try_add_below(f, 999, "a"), ERR_NOT_FOUND);
    assert_int_equal(try_add_below(f, e, "a"), 0);
    assert_int_equal(try_add_below(f, e, "a"), ERR_EXISTS);
    (void)put_fence(f, e);
    assert_int_equal(try_add_below(f, e, "b"), ERR_BUSY);
    check_settled(f);
}

static void test_a_fenced_one_is_removed(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t a = add_below(f, e, "a");
    uint64_t epoch = mode_of(f, a).epoch;

    assert_int_equal(remove_below(f, e, "a", a, epoch), ERR_ABORTED);
    epoch = put_fence(f, a);
    assert_int_equal(remove_below(f, e, "a", a, epoch - 1), ERR_ABORTED);
    assert_int_equal(remove_below(f, e, "a", a + 1, epoch), ERR_STALE);
    assert_int_equal(remove_below(f, e, "b", a, epoch), ERR_NOT_FOUND);
    assert_int_equal(remove_below(f, e, "a", a, epoch), 0);
    assert_int_equal(catalog_of(f, e).mtime_version, f->version);
    assert_int_equal(count_class(f->state, "cp"), 1);
    assert_int_equal(try_add_below(f, e, "a"), 0);
    check_settled(f);
}

static void test_one_with_directories_below_is_not_removed(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t a = add_below(f, e, "a");
    uint64_t epoch;

    (void)add_below(f, a, "b");
    epoch = put_fence(f, a);
    assert_int_equal(remove_below(f, e, "a", a, epoch), ERR_NOT_EMPTY);
    (void)put_fence(f, e);
    assert_int_equal(remove_below(f, e, "a", a, epoch), ERR_BUSY);
    assert_int_equal(remove_below(f, ROOT, "e", e, epoch), ERR_ABORTED);
    check_settled(f);
}

static void test_one_moves_within_its_domain(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t a = add_below(f, e, "a");
    uint64_t b = add_below(f, e, "b");

    assert_int_equal(move_below(f, e, "a", b, "c", 0), 0);
    assert_int_equal(catalog_of(f, a).parent, b);
    assert_int_equal(catalog_of(f, b).mtime_version, f->version);
    assert_int_equal(catalog_of(f, e).mtime_version, f->version);
    assert_int_equal(move_below(f, b, "c", b, "d", REQUEST_NOREPLACE), 0);
    assert_int_equal(move_below(f, b, "c", b, "e", 0), ERR_NOT_FOUND);
    assert_int_equal(move_below(f, b, "d", b, "d", 0), 0);
    assert_int_equal(move_below(f, b, "d", b, "d", REQUEST_NOREPLACE),
                     ERR_EXISTS);
    check_settled(f);
}

static void test_a_move_replaces_nothing_and_makes_no_loop(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t a = add_below(f, e, "a");
    uint64_t b = add_below(f, a, "b");

    (void)add_below(f, e, "c");
    assert_int_equal(move_below(f, e, "a", e, "c", 0), ERR_EXISTS);
    assert_int_equal(move_below(f, e, "a", a, "x", 0), ERR_INVALID);
    assert_int_equal(move_below(f, e, "a", b, "x", 0), ERR_INVALID);
    check_settled(f);
}

static void expect_at(struct exec_fixture *f, uint64_t nsid, uint64_t parent,
                      const char *name)
{
    uint64_t found = 0;

    assert_int_equal(
        catalog_find(f->state, NULL, parent, slice_of(name), &found), 0);
    assert_int_equal(found, nsid);
    assert_int_equal(catalog_of(f, nsid).parent, parent);
    assert_int_equal(catalog_of(f, nsid).attr.version, f->version);
    assert_int_equal(catalog_of(f, parent).mtime_version, f->version);
}

static void test_two_exchange_their_places(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t a = add_below(f, e, "a");
    uint64_t b = add_below(f, e, "b");
    uint64_t c = add_below(f, b, "c");
    size_t names = count_class(f->state, "cp");

    assert_int_equal(move_below(f, e, "a", e, "b", REQUEST_EXCHANGE), 0);
    expect_at(f, a, e, "b");
    expect_at(f, b, e, "a");
    assert_int_equal(move_below(f, e, "b", b, "c", REQUEST_EXCHANGE), 0);
    expect_at(f, a, b, "c");
    expect_at(f, c, e, "b");
    assert_int_equal(move_below(f, e, "b", e, "b", REQUEST_EXCHANGE), 0);
    assert_int_equal(count_class(f->state, "cp"), names);
    check_settled(f);
}

static void test_an_exchange_needs_both_and_makes_no_loop(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t g = make_eventual(f, ROOT, "g");
    uint64_t a = add_below(f, e, "a");
    uint64_t b = add_below(f, a, "b");

    (void)add_below(f, b, "c");
    (void)add_below(f, g, "d");
    assert_int_equal(move_below(f, e, "a", e, "x", REQUEST_EXCHANGE),
                     ERR_NOT_FOUND);
    assert_int_equal(move_below(f, e, "x", e, "a", REQUEST_EXCHANGE),
                     ERR_NOT_FOUND);
    assert_int_equal(move_below(f, e, "a", a, "b", REQUEST_EXCHANGE),
                     ERR_INVALID);
    assert_int_equal(move_below(f, b, "c", e, "a", REQUEST_EXCHANGE),
                     ERR_INVALID);
    assert_int_equal(move_below(f, e, "a", g, "d", REQUEST_EXCHANGE),
                     ERR_CROSS_DEVICE);
    check_settled(f);
}

static void test_nothing_moves_to_another_domain(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t d = make_dir(f, ROOT, "d");
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t g = make_eventual(f, ROOT, "g");

    (void)add_below(f, e, "a");
    assert_int_equal(move_below(f, e, "a", g, "a", 0), ERR_CROSS_DEVICE);
    assert_int_equal(move_below(f, e, "a", d, "a", 0), ERR_CROSS_DEVICE);
    assert_int_equal(move_below(f, ROOT, "d", e, "d", 0), ERR_CROSS_DEVICE);
    assert_int_equal(move_below(f, ROOT, "d", ROOT, "x", 0), ERR_ABORTED);
    (void)put_fence(f, g);
    assert_int_equal(move_below(f, e, "a", g, "a", 0), ERR_BUSY);
    check_settled(f);
}

#define WITH_ROOT(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_exec, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_a_new_one_inherits),
        WITH_ROOT(test_its_parent_s_times_follow),
        WITH_ROOT(test_a_new_one_needs_an_eventual_parent),
        WITH_ROOT(test_a_fenced_one_is_removed),
        WITH_ROOT(test_one_with_directories_below_is_not_removed),
        WITH_ROOT(test_one_moves_within_its_domain),
        WITH_ROOT(test_a_move_replaces_nothing_and_makes_no_loop),
        WITH_ROOT(test_two_exchange_their_places),
        WITH_ROOT(test_an_exchange_needs_both_and_makes_no_loop),
        WITH_ROOT(test_nothing_moves_to_another_domain),
    };

    return cmocka_run_group_tests_name("exec_below", tests, NULL, NULL);
}
