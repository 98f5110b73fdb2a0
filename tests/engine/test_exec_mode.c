/* SPDX-License-Identifier: Apache-2.0 */

/* Directories that become eventual and strong again. */

#include <string.h>
#include <sys/stat.h>

#include "exec_below.h"
#include "exec_regions.h"

#define ROOT NSID_ROOT

/* ---- to eventual ---- */

static void test_a_directory_becomes_eventual(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_dir(f, ROOT, "e");
    struct test_txn txn = txn_to_eventual(f, ROOT, "e", e);
    struct mode mode;

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(decide(f, &txn), 0);
    mode = mode_of(f, e);
    assert_int_equal(mode.state, MODE_EVENTUAL);
    assert_int_equal(mode.domain, e);
    assert_int_equal(mode.since, f->version);
    assert_int_equal(mode.epoch, f->version);
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_int_equal(forget(f, &txn), 0);
    assert_false(has_namespace(f, e));
    check_settled(f);
}

static void test_its_name_and_attributes_stay(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");

    assert_string_equal(tree(f), "e/=101");
    assert_int_equal(count_names(f, ROOT), 1);
    assert_int_equal(run_read(f, &(struct command){.op = COMMAND_GETATTR,
                                                   .ino = ino_of_nsid(e)}),
                     0);
    assert_int_equal(f->result.attr.mode, S_IFDIR | 0700);
    assert_int_equal(f->result.attr.ino, ino_of_nsid(e));
}

/* Who asks goes by an older catalog. */
static void test_its_part_is_told_to_be_empty(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    struct command part = {.op = COMMAND_PART, .dir = e};

    assert_int_equal(run_read(f, &part), 0);
    assert_int_equal(f->result.attr.entry_count, 0);
    assert_int_equal(f->result.attr.version, 0);
    assert_int_equal(f->result.attr.mtime_ns, catalog_of(f, e).attr.mtime_ns);
    part.dir = 999;
    assert_int_equal(run_read(f, &part), ERR_STALE);
}

static void test_only_an_empty_one_becomes_eventual(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_dir(f, ROOT, "e");
    struct test_txn txn = txn_to_eventual(f, ROOT, "e", e);

    assert_int_equal(create(f, e, "f"), 0);
    assert_int_equal(prepare(f, &txn), ERR_NOT_EMPTY);
    assert_int_equal(unlink_file(f, e, "f"), 0);
    commit(f, txn);
    txn = txn_to_eventual(f, ROOT, "e", e);
    assert_int_equal(prepare(f, &txn), ERR_BUSY);
    check_settled(f);
}

static void test_it_must_be_the_directory_of_that_name(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_dir(f, ROOT, "e");
    struct test_txn txn = txn_to_eventual(f, ROOT, "e", e + 1);

    assert_int_equal(prepare(f, &txn), ERR_STALE);
    txn = txn_to_eventual(f, ROOT, "n", e);
    assert_int_equal(prepare(f, &txn), ERR_STALE);
    assert_int_equal(create(f, ROOT, "f"), 0);
    txn = txn_to_eventual(f, ROOT, "f", e);
    assert_int_equal(prepare(f, &txn), ERR_STALE);
    check_settled(f);
}

static void test_an_abort_leaves_it_strong(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_dir(f, ROOT, "e");
    struct test_txn txn = txn_to_eventual(f, ROOT, "e", e);

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(create(f, e, "f"), ERR_LOCKED);
    roll_back(f, &txn);
    assert_int_equal(mode_of(f, e).state, MODE_STRONG);
    assert_int_equal(create(f, e, "f"), 0);
    check_settled(f);
}

static void test_nothing_strong_happens_in_an_eventual_one(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    struct test_txn mkdir = txn_mkdir(f, e, "d");
    struct test_txn rmdir = txn_rmdir(f, ROOT, "e");
    struct test_txn replace;

    (void)make_dir(f, ROOT, "d");
    replace = txn_rename(f, ROOT, "d", ROOT, "e", 0);
    assert_int_equal(create(f, e, "f"), ERR_NOT_FOUND);
    assert_int_equal(prepare(f, &mkdir), ERR_NOT_FOUND);
    assert_int_equal(prepare(f, &rmdir), ERR_BUSY);
    assert_int_equal(prepare(f, &replace), ERR_BUSY);
    check_settled(f);
}

/* ---- to strong ---- */

static void test_a_fenced_directory_becomes_strong(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    struct test_txn txn = txn_to_strong(f, ROOT, "e", e, put_fence(f, e));

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(mode_of(f, e).state, MODE_STRONG);
    assert_int_equal(mode_of(f, e).domain, 0);
    assert_int_equal(mode_of(f, e).epoch, f->version);
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_int_equal(forget(f, &txn), 0);
    assert_int_equal(create(f, e, "f"), 0);
    assert_string_equal(tree(f), "e/=101 e/f=102");
    check_settled(f);
}

/* What were put there before it is decided would go with an abort. */
static void test_it_is_not_open_before_it_is_decided(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    struct test_txn txn = txn_to_strong(f, ROOT, "e", e, put_fence(f, e));

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(create(f, e, "f"), ERR_LOCKED);
    assert_int_equal(f->result.holder.opens_nsid, e);
    roll_back(f, &txn);
    assert_false(has_namespace(f, e));
    assert_int_equal(mode_of(f, e).state, MODE_FENCED);
    check_settled(f);
}

static void test_a_fence_that_was_lifted_makes_nothing_strong(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t epoch = put_fence(f, e);
    struct test_txn txn = txn_to_strong(f, ROOT, "e", e, epoch);

    assert_int_equal(prepare(f, &txn), 0);
    (void)set_mode(f, e, MODE_EVENTUAL, epoch);
    (void)put_fence(f, e);
    assert_int_equal(decide(f, &txn), ERR_BUSY);
    assert_true(f->result.decided && !f->result.committed);
    assert_int_equal(resolve(f, &txn, false), 0);
    check_settled(f);
}

static void test_what_is_open_is_not_opened_again(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t epoch = put_fence(f, e);
    struct test_txn late = txn_to_strong(f, ROOT, "e", e, epoch);

    commit(f, txn_to_strong(f, ROOT, "e", e, epoch));
    assert_int_equal(create(f, e, "f"), 0);
    assert_int_equal(prepare(f, &late), ERR_BUSY);
    assert_string_equal(tree(f), "e/=101 e/f=102");
    check_settled(f);
}

/* ---- over several regions ---- */

static bool to_eventual_until(unsigned commands)
{
    struct exec_fixture *f;
    uint64_t e;
    struct test_txn txn;
    bool ended;

    (void)setup_exec((void **)&f);
    e = make_dir(f, ROOT, "e");
    cut_through(f, e);
    txn = txn_to_eventual(f, ROOT, "e", e);
    ended = commit_until(f, &txn, commands);
    settle_orphans(f);
    check_settled(f);
    assert_string_equal(tree(f), "e/=101");
    (void)teardown_exec((void **)&f);
    return ended;
}

static void test_it_becomes_eventual_in_all_regions_or_none(void **state)
{
    unsigned commands = 0;

    (void)state;
    while (!to_eventual_until(commands))
        commands++;
    assert_in_range(commands, 8, 20);
}

static bool to_strong_until(unsigned commands)
{
    struct exec_fixture *f;
    uint64_t e;
    struct test_txn txn;
    bool ended;

    (void)setup_exec((void **)&f);
    e = make_eventual(f, ROOT, "e");
    cut_through(f, e);
    txn = txn_to_strong(f, ROOT, "e", e, put_fence(f, e));
    ended = commit_until(f, &txn, commands);
    settle_orphans(f);
    check_settled(f);
    if (mode_of(f, e).state == MODE_STRONG)
        assert_int_equal(create(f, e, "x"), 0);
    (void)teardown_exec((void **)&f);
    return ended;
}

static void test_it_becomes_strong_in_all_regions_or_none(void **state)
{
    unsigned commands = 0;

    (void)state;
    while (!to_strong_until(commands))
        commands++;
    assert_in_range(commands, 8, 20);
}

/* Its coordinator does not know that it was aborted: what it has opened since
 * is nobody's directory, and goes before anybody else has to do with it. */
static void test_a_part_that_is_opened_too_late_is_not_closed(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    struct test_txn txn = txn_to_strong(f, ROOT, "e", e, put_fence(f, e));
    struct test_txn rmdir = txn_rmdir(f, ROOT, "e");
    struct test_prepare p = prepare_begin(&txn);
    struct test_prepare q = prepare_begin(&rmdir);

    cut_region(f, e, "");
    assert_int_equal(prepare_step(f, &p), 0);
    settle_txn(f, &p.ref);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_locked_by(f, prepare_all(f, &q), &txn);
    settle_txn(f, &p.ref);
    assert_false(has_namespace(f, e));
    assert_int_equal(prepare_all(f, &q), ERR_BUSY);
    prepare_end(&q);
    prepare_end(&p);
    settle_orphans(f);
    check_settled(f);
}

/* ---- fences ---- */

static void test_a_fence_comes_and_goes(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    struct mode before = mode_of(f, e);
    uint64_t epoch;

    epoch = set_mode(f, e, MODE_FENCED, before.epoch);
    assert_int_equal(epoch, f->version);
    assert_int_equal(mode_of(f, e).state, MODE_FENCED);
    assert_int_equal(mode_of(f, e).epoch, epoch);
    epoch = set_mode(f, e, MODE_EVENTUAL, epoch);
    assert_int_equal(mode_of(f, e).state, MODE_EVENTUAL);
    assert_int_equal(mode_of(f, e).epoch, epoch);
    assert_int_equal(mode_of(f, e).since, before.since);
    assert_int_equal(mode_of(f, e).domain, e);
}

static void test_a_mode_changes_only_from_what_is_known(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t d = make_dir(f, ROOT, "d");
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t epoch = mode_of(f, e).epoch;

    assert_int_equal(try_mode(f, e, MODE_FENCED, epoch + 1), ERR_ABORTED);
    assert_int_equal(try_mode(f, e, MODE_EVENTUAL, epoch), ERR_ABORTED);
    assert_int_equal(try_mode(f, e, MODE_STRONG, epoch), ERR_ABORTED);
    assert_int_equal(try_mode(f, e, 3, epoch), ERR_INVALID);
    assert_int_equal(try_mode(f, d, MODE_FENCED, 0), ERR_ABORTED);
    assert_int_equal(try_mode(f, 999, MODE_FENCED, 0), ERR_STALE);
    assert_int_equal(mode_of(f, e).epoch, epoch);
}

#define WITH_ROOT(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_exec, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_a_directory_becomes_eventual),
        WITH_ROOT(test_its_name_and_attributes_stay),
        WITH_ROOT(test_its_part_is_told_to_be_empty),
        WITH_ROOT(test_only_an_empty_one_becomes_eventual),
        WITH_ROOT(test_it_must_be_the_directory_of_that_name),
        WITH_ROOT(test_an_abort_leaves_it_strong),
        WITH_ROOT(test_nothing_strong_happens_in_an_eventual_one),
        WITH_ROOT(test_a_fenced_directory_becomes_strong),
        WITH_ROOT(test_it_is_not_open_before_it_is_decided),
        WITH_ROOT(test_a_fence_that_was_lifted_makes_nothing_strong),
        WITH_ROOT(test_what_is_open_is_not_opened_again),
        cmocka_unit_test(test_it_becomes_eventual_in_all_regions_or_none),
        cmocka_unit_test(test_it_becomes_strong_in_all_regions_or_none),
        WITH_ROOT(test_a_part_that_is_opened_too_late_is_not_closed),
        WITH_ROOT(test_a_fence_comes_and_goes),
        WITH_ROOT(test_a_mode_changes_only_from_what_is_known),
    };

    return cmocka_run_group_tests_name("exec_mode", tests, NULL, NULL);
}
