/* SPDX-License-Identifier: Apache-2.0 */

/* Directories that become eventual with what is in them: the life that begins
 * for it in region 0, and their parts in the regions. */

#include "exec_fixture.h"
#include "exec_regions.h"

#define ROOT NSID_ROOT

enum { E = 101, CHUNKED = 70000, CUTS = 4 /* of cut_through() */ };

/* E is "e" in the root, with a small file and one in chunks. */
static int setup_full(void **state)
{
    struct exec_fixture *f;

    (void)setup_exec(state);
    f = *state;
    assert_int_equal(make_dir(f, ROOT, "e"), E);
    assert_int_equal(create_sized(f, E, "a", 10), 0);
    assert_int_equal(create_sized(f, E, "h", CHUNKED), 0);
    return 0;
}

static struct test_txn txn_fill(struct exec_fixture *f, uint64_t epoch)
{
    struct test_txn txn = txn_to_eventual(f, ROOT, "e", E);

    txn.command.offset = epoch;
    return txn;
}

/* E is being filled, and this makes it eventual. */
static struct test_txn txn_filled(struct exec_fixture *f)
{
    return txn_fill(f, begin_filling(f, E));
}

/* ---- the life that is to begin ---- */

static void test_a_life_is_about_to_begin(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch = begin_filling(f, E);
    struct mode mode = mode_of(f, E);

    assert_int_equal(epoch, f->version);
    assert_true(mode_is_filling(mode));
    assert_int_equal(mode.domain, E);
    assert_int_equal(mode.since, epoch);
    assert_int_equal(mode.epoch, epoch);
    assert_int_equal(create(f, E, "b"), 0);
    assert_int_equal(unlink_file(f, E, "b"), 0);
    check_settled(f);
}

static void test_only_one_life_is_about_to_begin(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch = begin_filling(f, E);
    uint64_t g;

    assert_int_equal(try_fill(f, E), ERR_ABORTED);
    assert_int_equal(mode_of(f, E).epoch, epoch);
    assert_int_equal(try_fill(f, ROOT), ERR_ABORTED);
    assert_int_equal(try_fill(f, 999), ERR_STALE);
    g = make_eventual(f, ROOT, "g");
    assert_int_equal(try_fill(f, g), ERR_ABORTED);
    (void)set_mode(f, g, MODE_FENCED, mode_of(f, g).epoch);
    assert_int_equal(try_fill(f, g), ERR_ABORTED);
}

static void test_a_life_ends_before_it_begins(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch = begin_filling(f, E);
    struct mode mode;

    assert_int_equal(try_mode(f, E, MODE_STRONG, epoch), 0);
    assert_int_equal(f->result.first_id, f->version);
    mode = mode_of(f, E);
    assert_false(mode_is_filling(mode));
    assert_int_equal(mode.state, MODE_STRONG);
    assert_int_equal(mode.domain, 0);
    assert_int_equal(mode.epoch, f->version);
    assert_int_equal(try_mode(f, E, MODE_STRONG, mode.epoch), ERR_ABORTED);
    assert_int_equal(try_mode(f, E, MODE_STRONG, epoch), ERR_ABORTED);
    assert_true(begin_filling(f, E) > epoch);
}

static void test_it_ends_only_as_what_it_is(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch = begin_filling(f, E);

    assert_int_equal(try_mode(f, E, MODE_STRONG, epoch - 1), ERR_ABORTED);
    assert_int_equal(try_mode(f, E, MODE_EVENTUAL, epoch), ERR_ABORTED);
    assert_int_equal(try_mode(f, E, MODE_FENCED, epoch), ERR_ABORTED);
    assert_int_equal(try_mode(f, E, 3, epoch), ERR_INVALID);
    assert_int_equal(mode_of(f, E).since, epoch);
    assert_int_equal(mode_of(f, E).epoch, epoch);
}

/* Its parts are not closed yet. */
static void test_what_is_strong_is_done_meanwhile(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch = begin_filling(f, E);

    commit(f, txn_rename(f, ROOT, "e", ROOT, "m", 0));
    assert_int_equal(mode_of(f, E).since, epoch);
    assert_int_equal(unlink_file(f, E, "a"), 0);
    assert_int_equal(create(f, E, "b"), 0);
    assert_string_equal(tree(f), "m/=101 m/b=104 m/h=103");
    check_settled(f);
}

/* ---- closing ---- */

static void test_it_is_closed_with_what_is_in_it(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch = begin_filling(f, E);
    struct test_txn txn = txn_fill(f, epoch);

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(count_names(f, E), 2);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(mode_of(f, E).state, MODE_EVENTUAL);
    assert_int_equal(mode_of(f, E).domain, E);
    assert_int_equal(mode_of(f, E).since, epoch);
    assert_int_equal(mode_of(f, E).epoch, f->version);
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_int_equal(forget(f, &txn), 0);
    assert_false(has_namespace(f, E));
    assert_int_equal(count_class(f->state, "d"), 1);
    assert_string_equal(tree(f), "e/=101");
    check_settled(f);
}

static void test_it_is_not_closed_with_it_unless_it_was_filled(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch = begin_filling(f, E);
    struct test_txn txn = txn_fill(f, 0);
    struct test_txn rmdir = txn_rmdir(f, ROOT, "e");
    struct test_txn replace;

    (void)make_dir(f, ROOT, "d");
    replace = txn_rename(f, ROOT, "d", ROOT, "e", 0);
    rmdir.command.offset = replace.command.offset = epoch;
    assert_int_equal(prepare(f, &txn), ERR_NOT_EMPTY);
    assert_int_equal(prepare(f, &rmdir), ERR_NOT_EMPTY);
    assert_int_equal(prepare(f, &replace), ERR_NOT_EMPTY);
    check_settled(f);
}

static void test_its_content_stays_when_it_stays_strong(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct kv *before;

    assert_int_equal(prepare(f, &txn), 0);
    roll_back(f, &txn);
    before = copy_store(f->state);
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_same_stores(before, f->state);
    kv_close(before);
    assert_string_equal(tree(f), "e/=101 e/a=102 e/h=103");
    assert_int_equal(create(f, E, "b"), 0);
    check_settled(f);
}

static void test_it_is_decided_only_in_front_of_that_life(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch = begin_filling(f, E);
    struct test_txn txn = txn_fill(f, epoch);

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(try_mode(f, E, MODE_STRONG, epoch), 0);
    (void)begin_filling(f, E);
    assert_int_equal(decide(f, &txn), ERR_BUSY);
    assert_true(f->result.decided && !f->result.committed);
    assert_int_equal(resolve(f, &txn, false), 0);
    assert_true(mode_is_filling(mode_of(f, E)));
    assert_int_equal(count_names(f, E), 2);
    check_settled(f);
}

/* It is empty, but others may have brought something by then. */
static void test_one_that_is_filled_is_not_taken_as_empty(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_dir(f, ROOT, "e");
    struct test_txn txn = txn_to_eventual(f, ROOT, "e", e);

    assert_int_equal(prepare(f, &txn), 0);
    (void)begin_filling(f, e);
    assert_int_equal(decide(f, &txn), ERR_BUSY);
    assert_int_equal(resolve(f, &txn, false), 0);
    check_settled(f);
}

/* What is in a name that is not decided is not known yet. */
static void test_undecided_names_in_it_are_waited_for(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn inner = txn_mkdir(f, E, "c");
    struct test_txn txn = txn_filled(f);

    assert_int_equal(prepare(f, &inner), 0);
    assert_locked_by(f, prepare(f, &txn), &inner);
    roll_back(f, &inner);
    commit(f, txn);
    check_settled(f);
}

/* ---- what is in it meanwhile ---- */

static struct command on_name(enum command_op op, const char *name)
{
    return (struct command){.op = op,
                            .dir = E,
                            .name = slice_of(name),
                            .xattr = slice_of("user.x"),
                            .data = slice_of("x"),
                            .value_size_max = CHUNKED};
}

static void expect_locked(struct exec_fixture *f, int rc)
{
    assert_int_equal(rc, ERR_LOCKED);
    assert_int_equal(f->result.holder.closes_nsid, E);
}

/* They are on their way to all nodes. */
static void test_files_in_it_do_not_change(void **state)
{
    static const enum command_op ops[] = {COMMAND_WRITE, COMMAND_SETATTR,
                                          COMMAND_SETXATTR, COMMAND_REMOVEXATTR,
                                          COMMAND_UNLINK};
    struct exec_fixture *f = *state;
    struct command c = on_name(COMMAND_SETXATTR, "h");
    struct test_txn txn = txn_filled(f);
    struct kv *before;

    c.ino = f->ino;
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(prepare(f, &txn), 0);
    before = copy_store(f->state);
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        c.op = ops[i];
        expect_locked(f, run(f, &c));
    }
    expect_locked(f, create(f, E, "b"));
    assert_same_stores(before, f->state);
    kv_close(before);
    roll_back(f, &txn);
}

static void test_nothing_moves_in_or_out_of_it(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);
    struct test_txn mkdir = txn_mkdir(f, E, "m");
    struct test_txn in;

    assert_int_equal(create(f, ROOT, "f"), 0);
    (void)make_dir(f, ROOT, "d");
    in = txn_rename(f, ROOT, "d", E, "d", 0);
    assert_int_equal(prepare(f, &txn), 0);
    expect_locked(f, rename_file(f, E, "a", E, "b", 0));
    expect_locked(f, rename_file(f, E, "a", E, "h", 0));
    expect_locked(f, rename_file(f, E, "a", ROOT, "b", 0));
    expect_locked(f, rename_file(f, E, "a", ROOT, "f", REQUEST_EXCHANGE));
    expect_locked(f, rename_file(f, ROOT, "f", E, "b", 0));
    expect_locked(f, rename_file(f, ROOT, "f", E, "a", 0));
    expect_locked(f, prepare(f, &mkdir));
    expect_locked(f, prepare(f, &in));
    in = txn_rename(f, E, "a", ROOT, "d", REQUEST_EXCHANGE);
    expect_locked(f, prepare(f, &in));
    roll_back(f, &txn);
    assert_int_equal(count_names(f, E), 2);
    check_settled(f);
}

/* Until it is decided it is as strong as it was. */
static void test_files_in_it_are_read_meanwhile(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_filled(f);

    assert_int_equal(prepare(f, &txn), 0);
    assert_string_equal(tree(f), "e/=101 e/a=102 e/h=103");
    assert_int_equal(lookup(f, E, "h"), 0);
    assert_int_equal(f->result.attr.size, CHUNKED);
    assert_int_equal(decide(f, &txn), 0);
    assert_string_equal(tree(f), "e/=101");
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_int_equal(lookup(f, E, "h"), ERR_NOT_FOUND);
}

static void test_a_handle_to_what_is_eventual_is_stale(void **state)
{
    struct exec_fixture *f = *state;
    struct command c = on_name(COMMAND_WRITE, "h");

    c.ino = f->ino;
    commit(f, txn_filled(f));
    assert_int_equal(run(f, &c), ERR_STALE);
    c.op = COMMAND_SETATTR;
    assert_int_equal(run(f, &c), ERR_STALE);
    assert_int_equal(unlink_file(f, E, "h"), ERR_NOT_FOUND);
}

/* ---- over several regions ---- */

/* A coordinator that dies after so many commands; then the regions on both
 * sides of the cut `joined` become one, and others settle what it has left:
 * either all of its files are in the regions, or none is. Returns whether it
 * got to its end. */
static bool fill_until(unsigned commands, size_t joined)
{
    struct exec_fixture *f;
    struct test_txn txn;
    bool ended;

    (void)setup_full((void **)&f);
    assert_int_equal(create_sized(f, E, "x", CHUNKED), 0);
    cut_through(f, E);
    txn = txn_filled(f);
    ended = commit_until(f, &txn, commands);
    if (joined < f->cut_count)
        join_regions(f, joined);
    check_state(f);
    settle_orphans(f);
    check_settled(f);
    if (mode_of(f, E).state == MODE_STRONG)
        assert_string_equal(tree(f), "e/=101 e/a=102 e/h=103 e/x=104");
    else
        assert_int_equal(count_class(f->state, "d"), 1);
    (void)teardown_exec((void **)&f);
    return ended;
}

static void test_its_parts_stay_or_go_in_all_regions(void **state)
{
    (void)state;
    for (size_t joined = 0; joined <= CUTS; joined++) {
        unsigned commands = 0;

        while (!fill_until(commands, joined))
            commands++;
        assert_in_range(commands, 8, 20);
    }
}

static void test_undecided_names_in_any_part_are_waited_for(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn inner = txn_mkdir(f, E, "x");
    struct test_txn txn = txn_filled(f);
    struct test_prepare q = prepare_begin(&inner);
    struct test_prepare p = prepare_begin(&txn);

    cut_through(f, E);
    assert_int_equal(prepare_all(f, &q), 0);
    assert_locked_by(f, prepare_all(f, &p), &inner);
    prepare_behind(f, &p, &q);
}

/* A part that was closed takes in one that was not. */
static void test_a_joined_part_is_closed_when_no_name_is_undecided(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn inner = txn_mkdir(f, E, "x");
    struct test_txn txn = txn_filled(f);
    struct test_prepare q = prepare_begin(&inner);
    struct test_prepare p = prepare_begin(&txn);

    cut_region(f, E, "");
    cut_region(f, E, "g");
    assert_int_equal(prepare_all(f, &q), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    join_regions(f, 1);
    assert_locked_by(f, prepare_step(f, &p), &inner);
    prepare_behind(f, &p, &q);
    assert_int_equal(count_names(f, E), 2);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_full, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_life_is_about_to_begin),
        TEST(test_only_one_life_is_about_to_begin),
        TEST(test_a_life_ends_before_it_begins),
        TEST(test_it_ends_only_as_what_it_is),
        TEST(test_what_is_strong_is_done_meanwhile),
        TEST(test_it_is_closed_with_what_is_in_it),
        TEST(test_it_is_not_closed_with_it_unless_it_was_filled),
        TEST(test_its_content_stays_when_it_stays_strong),
        TEST(test_it_is_decided_only_in_front_of_that_life),
        cmocka_unit_test_setup_teardown(
            test_one_that_is_filled_is_not_taken_as_empty, setup_exec,
            teardown_exec),
        TEST(test_undecided_names_in_it_are_waited_for),
        TEST(test_files_in_it_do_not_change),
        TEST(test_nothing_moves_in_or_out_of_it),
        TEST(test_files_in_it_are_read_meanwhile),
        TEST(test_a_handle_to_what_is_eventual_is_stale),
        cmocka_unit_test(test_its_parts_stay_or_go_in_all_regions),
        TEST(test_undecided_names_in_any_part_are_waited_for),
        TEST(test_a_joined_part_is_closed_when_no_name_is_undecided),
    };

    return cmocka_run_group_tests_name("exec_fill", tests, NULL, NULL);
}
