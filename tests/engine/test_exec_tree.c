/* SPDX-License-Identifier: Apache-2.0 */

/* Directories that change their mode with all that is below them: what region
 * 0 makes of it, and what it decides about those in such a tree meanwhile. */

#include <sys/stat.h>

#include "exec_levels.h"
#include "exec_regions.h"

enum { OWN = B + 1, OTHER };

#define TREE "o/=105 t/=101 t/a/=102 t/a/b/=103 t/a/e/=104"

/* With a directory of a mode of its own beside b; o is no part of it. */
static int setup_tree(void **state)
{
    struct exec_fixture *f;

    (void)setup_levels(state);
    f = *state;
    assert_int_equal(make_eventual(f, A, "e"), OWN);
    assert_int_equal(make_dir(f, ROOT, "o"), OTHER);
    assert_string_equal(tree(f), TREE);
    return 0;
}

/* To its end, over all parts. */
static void commit_tree(struct exec_fixture *f, struct test_txn txn)
{
    assert_true(commit_until(f, &txn, UINT32_MAX));
}

static void become_eventual(struct exec_fixture *f)
{
    commit_tree(f, txn_filled(f));
}

/* Those that have their mode from T. */
static void expect_members(struct exec_fixture *f, enum mode_state state,
                           uint64_t domain)
{
    static const uint64_t members[] = {T, A, B};
    uint64_t epoch = mode_of(f, T).epoch;

    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        struct mode mode = mode_of(f, members[i]);

        assert_int_equal(mode.state, state);
        assert_int_equal(mode.domain, domain);
        assert_int_equal(mode.epoch, epoch);
    }
}

static void expect_others(struct exec_fixture *f, struct mode own)
{
    struct mode mode = mode_of(f, OWN);

    assert_int_equal(mode.state, own.state);
    assert_int_equal(mode.domain, own.domain);
    assert_int_equal(mode.since, own.since);
    assert_int_equal(mode.epoch, own.epoch);
    assert_int_equal(mode_of(f, OTHER).state, MODE_STRONG);
    assert_int_equal(mode_of(f, OTHER).domain, 0);
    assert_int_equal(mode_of(f, ROOT).domain, 0);
}

/* ---- all of it ---- */

static void test_all_below_it_are_filled(void **state)
{
    struct exec_fixture *f = *state;
    struct mode own = mode_of(f, OWN);
    uint64_t epoch = begin_filling(f, T);

    expect_members(f, MODE_STRONG, T);
    assert_int_equal(mode_of(f, B).since, epoch);
    assert_true(mode_is_filling(mode_of(f, A)));
    expect_others(f, own);
    (void)set_mode(f, T, MODE_STRONG, epoch);
    expect_members(f, MODE_STRONG, 0);
    assert_int_equal(mode_of(f, B).since, 0);
    expect_others(f, own);
    check_settled(f);
}

static void test_all_below_it_become_eventual(void **state)
{
    struct exec_fixture *f = *state;
    struct mode own = mode_of(f, OWN);
    struct test_txn txn = txn_filled(f);

    commit_tree(f, txn);
    expect_members(f, MODE_EVENTUAL, T);
    assert_int_equal(mode_of(f, B).since, txn.command.offset);
    assert_true(mode_of(f, B).epoch > txn.command.offset);
    expect_others(f, own);
    assert_false(has_namespace(f, A));
    assert_false(has_namespace(f, B));
    assert_string_equal(tree(f), "o/=105 t/=101");
    check_settled(f);
}

/* Of what came to it later, too. */
static void test_each_life_stays_behind_a_fence(void **state)
{
    struct exec_fixture *f = *state;
    struct mode own = mode_of(f, OWN);
    uint64_t since;
    uint64_t late;
    uint64_t epoch;

    become_eventual(f);
    since = mode_of(f, B).since;
    assert_int_equal(run(f, &(struct command){.op = COMMAND_DIR_ADD,
                                              .dir = B,
                                              .name = slice_of("late"),
                                              .set.mode = S_IFDIR | 0700}),
                     0);
    late = f->version;
    epoch = set_mode(f, T, MODE_FENCED, mode_of(f, T).epoch);
    expect_members(f, MODE_FENCED, T);
    assert_int_equal(mode_of(f, B).since, since);
    assert_int_equal(mode_of(f, 1024).state, MODE_FENCED);
    assert_int_equal(mode_of(f, 1024).since, late);
    (void)set_mode(f, T, MODE_EVENTUAL, epoch);
    expect_members(f, MODE_EVENTUAL, T);
    assert_int_equal(mode_of(f, B).since, since);
    assert_int_equal(mode_of(f, 1024).since, late);
    expect_others(f, own);
}

static void test_all_below_it_become_strong(void **state)
{
    struct exec_fixture *f = *state;
    struct mode own = mode_of(f, OWN);

    become_eventual(f);
    commit_tree(f, txn_fenced(f));
    expect_members(f, MODE_STRONG, 0);
    assert_int_equal(mode_of(f, B).since, 0);
    expect_others(f, own);
    assert_string_equal(tree(f), TREE);
    check_settled(f);
}

/* Region 0 would have one of them otherwise than its top is. */
static void test_a_fence_goes_only_with_its_top(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch;

    become_eventual(f);
    epoch = set_mode(f, T, MODE_FENCED, mode_of(f, T).epoch);
    assert_int_equal(try_mode(f, A, MODE_EVENTUAL, epoch), ERR_ABORTED);
    assert_int_equal(try_mode(f, B, MODE_EVENTUAL, epoch), ERR_ABORTED);
    expect_members(f, MODE_FENCED, T);
    (void)set_mode(f, T, MODE_EVENTUAL, epoch);
    expect_members(f, MODE_EVENTUAL, T);
}

static void test_a_fence_below_goes_only_with_its_top(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch;

    become_eventual(f);
    epoch = set_mode(f, A, MODE_FENCED, mode_of(f, A).epoch);
    assert_int_equal(mode_of(f, B).state, MODE_FENCED);
    assert_int_equal(try_mode(f, B, MODE_EVENTUAL, epoch), ERR_ABORTED);
    assert_int_equal(mode_of(f, T).state, MODE_EVENTUAL);
    (void)set_mode(f, A, MODE_EVENTUAL, epoch);
    assert_int_equal(mode_of(f, B).state, MODE_EVENTUAL);
}

static void test_filling_ends_only_with_its_top(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch = begin_filling(f, T);

    assert_int_equal(try_mode(f, A, MODE_STRONG, epoch), ERR_ABORTED);
    assert_int_equal(try_mode(f, B, MODE_STRONG, epoch), ERR_ABORTED);
    expect_members(f, MODE_STRONG, T);
    (void)set_mode(f, T, MODE_STRONG, epoch);
    expect_members(f, MODE_STRONG, 0);
}

/* Each has its own way. */
static void test_two_are_not_filled_one_in_the_other(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch = begin_filling(f, A);

    assert_int_equal(try_fill(f, T), ERR_BUSY);
    assert_int_equal(mode_of(f, T).domain, 0);
    assert_int_equal(mode_of(f, B).domain, A);
    (void)set_mode(f, A, MODE_STRONG, epoch);
    assert_int_equal(try_fill(f, T), 0);
    assert_int_equal(try_fill(f, A), ERR_ABORTED);
    expect_members(f, MODE_STRONG, T);
}

static void put_times(uint8_t *bytes, const int64_t *times, size_t count)
{
    for (size_t i = 0; i < count; i++)
        be64_put(bytes + 8 * i, (uint64_t)times[i]);
}

/* The regions had them. */
static void test_each_keeps_its_mtime(void **state)
{
    const int64_t times[] = {11, 22, 33};
    uint8_t bytes[8 * ARRAY_SIZE(times)];
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct test_prepare p = prepare_begin(&txn);

    put_times(bytes, times, ARRAY_SIZE(times));
    assert_int_equal(prepare_all(f, &p), 0);
    p.txn.command.data = (struct slice){bytes, sizeof bytes - 8};
    assert_int_equal(decide_prepared(f, &p), ERR_INVALID);
    assert_false(f->result.decided);
    p.txn.command.data = (struct slice){bytes, sizeof bytes};
    assert_int_equal(decide_prepared(f, &p), 0);
    assert_int_equal(catalog_of(f, T).attr.mtime_ns, 11);
    assert_int_equal(catalog_of(f, A).attr.mtime_ns, 22);
    assert_int_equal(catalog_of(f, B).attr.mtime_ns, 33);
    assert_int_equal(catalog_of(f, B).mtime_version, f->version);
    settle_txn(f, &p.ref);
    prepare_end(&p);
    check_settled(f);
}

/* ---- what comes and goes meanwhile ---- */

/* It is prepared before the tree is filled, and decided behind that. */
static void expect_aborted(struct exec_fixture *f, struct test_txn txn)
{
    assert_int_equal(prepare(f, &txn), 0);
    (void)begin_filling(f, T);
    assert_int_equal(decide(f, &txn), ERR_ABORTED);
    assert_true(f->result.decided && !f->result.committed);
    (void)set_mode(f, T, MODE_STRONG, mode_of(f, T).epoch);
    assert_int_equal(decide(f, &txn), ERR_ABORTED);
    assert_int_equal(resolve(f, &txn, false), 0);
    assert_string_equal(tree(f), TREE);
    check_settled(f);
}

static void test_no_directory_comes_to_what_is_filled(void **state)
{
    struct exec_fixture *f = *state;

    expect_aborted(f, txn_mkdir(f, T, "n"));
    expect_aborted(f, txn_mkdir(f, B, "n"));
    expect_aborted(f, txn_rename(f, ROOT, "o", B, "n", 0));
}

static void test_no_directory_goes_from_what_is_filled(void **state)
{
    struct exec_fixture *f = *state;

    expect_aborted(f, txn_rmdir(f, A, "b"));
    expect_aborted(f, txn_rename(f, A, "b", ROOT, "n", 0));
    expect_aborted(f, txn_rename(f, A, "b", ROOT, "o", 0));
    expect_aborted(f, txn_rename(f, A, "e", OTHER, "n", 0));
    expect_aborted(f, txn_rename(f, ROOT, "o", A, "b", REQUEST_EXCHANGE));
}

static void test_no_directory_moves_inside_what_is_filled(void **state)
{
    struct exec_fixture *f = *state;

    expect_aborted(f, txn_rename(f, A, "b", T, "n", 0));
    expect_aborted(f, txn_rename(f, A, "e", T, "n", 0));
    expect_aborted(f, txn_rename(f, A, "b", A, "n", 0));
}

/* ---- what is above ---- */

static int decide_eventual(struct exec_fixture *f, uint64_t nsid,
                           uint64_t since)
{
    struct test_txn txn = txn_to_eventual(f, ROOT, "x", nsid);

    txn.changes[0] = (struct catalog_change){
        .kind = CATALOG_EVENTUAL, .nsid = nsid, .attr = {.version = since}};
    txn.change_count = 1;
    return decide(f, &txn);
}

static void test_below_what_is_not_strong_none_becomes_eventual(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch = begin_filling(f, T);

    assert_int_equal(decide_eventual(f, B, epoch), ERR_BUSY);
    (void)set_mode(f, T, MODE_STRONG, epoch);
    assert_int_equal(decide_eventual(f, A, 0), ERR_NOT_EMPTY);
    assert_int_equal(decide_eventual(f, B, 0), 0);
    become_eventual(f);
    assert_int_equal(decide_eventual(f, A, mode_of(f, A).since), ERR_BUSY);
}

static void test_below_what_is_not_strong_none_becomes_strong(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t fence = set_mode(f, OWN, MODE_FENCED, mode_of(f, OWN).epoch);
    struct test_txn txn = txn_to_strong(f, A, "e", OWN, fence);
    uint64_t epoch;

    assert_int_equal(prepare(f, &txn), 0);
    epoch = begin_filling(f, T);
    assert_int_equal(decide(f, &txn), ERR_BUSY);
    assert_int_equal(resolve(f, &txn, false), 0);
    (void)set_mode(f, T, MODE_STRONG, epoch);
    commit(f, txn_to_strong(f, A, "e", OWN, fence));
    assert_int_equal(mode_of(f, OWN).state, MODE_STRONG);
    check_settled(f);
}

/* ---- the list ---- */

static void expect_list(const struct exec_fixture *f, size_t count)
{
    struct test_below below = below_of(f->result.data);

    assert_true(f->result.decided);
    assert_int_equal(below.count, count);
    if (count > 0) {
        assert_int_equal(below.nsids[0], A);
        assert_int_equal(below.nsids[1], B);
    }
}

static void test_a_decision_says_what_takes_part(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct test_prepare p = prepare_begin(&txn);
    struct command question = {.op = COMMAND_DECISION};

    assert_int_equal(prepare_all(f, &p), 0);
    question.txn.id = p.ref.id;
    assert_int_equal(run_read(f, &question), 0);
    assert_false(f->result.decided);
    assert_int_equal(f->result.data.size, 0);
    assert_int_equal(decide_prepared(f, &p), 0);
    assert_int_equal(decide_prepared(f, &p), 0);
    expect_list(f, 2);
    assert_int_equal(abort_txn(f, &p.txn), 0);
    assert_true(f->result.committed);
    expect_list(f, 2);
    assert_int_equal(run_read(f, &question), 0);
    assert_true(f->result.committed);
    expect_list(f, 2);
    settle_txn(f, &p.ref);
    prepare_end(&p);
    check_settled(f);
}

static void test_an_abort_says_nothing_of_it(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct test_prepare p = prepare_begin(&txn);

    assert_int_equal(prepare_all(f, &p), 0);
    assert_int_equal(abort_txn(f, &p.txn), 0);
    assert_int_equal(decide_prepared(f, &p), ERR_ABORTED);
    expect_list(f, 0);
    assert_int_equal(abort_txn(f, &p.txn), 0);
    expect_list(f, 0);
    prepare_end(&p);
    settle_orphans(f);
    assert_string_equal(tree(f), TREE);
    check_settled(f);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_tree, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_all_below_it_are_filled),
        TEST(test_all_below_it_become_eventual),
        TEST(test_each_life_stays_behind_a_fence),
        TEST(test_all_below_it_become_strong),
        TEST(test_a_fence_goes_only_with_its_top),
        TEST(test_a_fence_below_goes_only_with_its_top),
        TEST(test_filling_ends_only_with_its_top),
        TEST(test_two_are_not_filled_one_in_the_other),
        TEST(test_each_keeps_its_mtime),
        TEST(test_no_directory_comes_to_what_is_filled),
        TEST(test_no_directory_goes_from_what_is_filled),
        TEST(test_no_directory_moves_inside_what_is_filled),
        TEST(test_below_what_is_not_strong_none_becomes_eventual),
        TEST(test_below_what_is_not_strong_none_becomes_strong),
        TEST(test_a_decision_says_what_takes_part),
        TEST(test_an_abort_says_nothing_of_it),
    };

    return cmocka_run_group_tests_name("exec_tree", tests, NULL, NULL);
}
