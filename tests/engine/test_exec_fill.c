/* SPDX-License-Identifier: Apache-2.0 */

/* Directories that become eventual with what is in them: the life that begins
 * for it in region 0, and their parts in the regions. */

#include <string.h>
#include <sys/stat.h>

#include "exec_fixture.h"
#include "exec_regions.h"
#include "tests/engine/kv_helpers.h"

#define ROOT NSID_ROOT

enum { CHUNKED = 70000, CUTS = 4 };

static struct mode mode_of(struct exec_fixture *f, uint64_t nsid)
{
    return catalog_of(f, nsid).mode;
}

static int fill(struct exec_fixture *f, uint64_t nsid)
{
    return run(
        f, &(struct command){.op = COMMAND_DIR_FILL, .ino = ino_of_nsid(nsid)});
}

/* Returns its epoch. */
static uint64_t filled(struct exec_fixture *f, uint64_t nsid)
{
    assert_int_equal(fill(f, nsid), 0);
    return f->result.first_id;
}

static int change_mode(struct exec_fixture *f, uint64_t nsid, uint64_t mode,
                       uint64_t epoch)
{
    return run(f, &(struct command){.op = COMMAND_DIR_MODE,
                                    .ino = ino_of_nsid(nsid),
                                    .size = mode,
                                    .offset = epoch});
}

static struct test_txn txn_fill(struct exec_fixture *f, const char *name,
                                uint64_t nsid, uint64_t epoch)
{
    struct test_txn txn = txn_to_eventual(f, ROOT, name, nsid);

    txn.command.offset = epoch;
    return txn;
}

/* "e" in the root, with a small file and one in chunks. */
static uint64_t make_full(struct exec_fixture *f)
{
    uint64_t e = make_dir(f, ROOT, "e");

    assert_int_equal(create_sized(f, e, "a", 10), 0);
    assert_int_equal(create_sized(f, e, "h", CHUNKED), 0);
    return e;
}

/* ---- the life that is to begin ---- */

static void test_a_life_is_about_to_begin(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    uint64_t epoch = filled(f, e);
    struct mode mode = mode_of(f, e);

    assert_int_equal(epoch, f->version);
    assert_true(mode_is_filling(mode));
    assert_int_equal(mode.domain, e);
    assert_int_equal(mode.since, epoch);
    assert_int_equal(mode.epoch, epoch);
    assert_int_equal(create(f, e, "b"), 0);
    assert_int_equal(unlink_file(f, e, "b"), 0);
    check_settled(f);
}

static void test_only_one_life_is_about_to_begin(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    uint64_t epoch = filled(f, e);

    assert_int_equal(fill(f, e), ERR_ABORTED);
    assert_int_equal(mode_of(f, e).epoch, epoch);
    assert_int_equal(fill(f, ROOT), ERR_ABORTED);
    assert_int_equal(fill(f, 999), ERR_STALE);
    e = make_eventual(f, ROOT, "g");
    assert_int_equal(fill(f, e), ERR_ABORTED);
    (void)set_mode(f, e, MODE_FENCED, mode_of(f, e).epoch);
    assert_int_equal(fill(f, e), ERR_ABORTED);
}

static void test_a_life_ends_before_it_begins(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    uint64_t epoch = filled(f, e);
    struct mode mode;

    assert_int_equal(change_mode(f, e, MODE_STRONG, epoch), 0);
    assert_int_equal(f->result.first_id, f->version);
    mode = mode_of(f, e);
    assert_false(mode_is_filling(mode));
    assert_int_equal(mode.state, MODE_STRONG);
    assert_int_equal(mode.domain, 0);
    assert_int_equal(mode.epoch, f->version);
    assert_int_equal(change_mode(f, e, MODE_STRONG, mode.epoch), ERR_ABORTED);
    assert_int_equal(change_mode(f, e, MODE_STRONG, epoch), ERR_ABORTED);
    assert_true(filled(f, e) > epoch);
}

static void test_it_ends_only_as_what_it_is(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    uint64_t epoch = filled(f, e);

    assert_int_equal(change_mode(f, e, MODE_STRONG, epoch - 1), ERR_ABORTED);
    assert_int_equal(change_mode(f, e, MODE_EVENTUAL, epoch), ERR_ABORTED);
    assert_int_equal(change_mode(f, e, MODE_FENCED, epoch), ERR_ABORTED);
    assert_int_equal(change_mode(f, e, 3, epoch), ERR_INVALID);
    assert_int_equal(mode_of(f, e).since, epoch);
    assert_int_equal(mode_of(f, e).epoch, epoch);
}

/* Nobody is to find it at a directory that was made, moved or removed. */
static void test_what_is_strong_is_done_meanwhile(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    uint64_t epoch = filled(f, e);
    uint64_t d = make_dir(f, e, "d");

    assert_false(mode_is_filling(mode_of(f, d)));
    commit(f, txn_rename(f, ROOT, "e", ROOT, "m", 0));
    assert_int_equal(mode_of(f, e).since, epoch);
    commit(f, txn_rmdir(f, e, "d"));
    assert_int_equal(unlink_file(f, e, "a"), 0);
    assert_int_equal(unlink_file(f, e, "h"), 0);
    commit(f, txn_rmdir(f, ROOT, "m"));
    assert_string_equal(tree(f), "");
    check_settled(f);
}

/* ---- closing ---- */

static void test_it_is_closed_with_what_is_in_it(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    uint64_t epoch = filled(f, e);
    struct test_txn txn = txn_fill(f, "e", e, epoch);

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(count_names(f, e), 2);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(mode_of(f, e).state, MODE_EVENTUAL);
    assert_int_equal(mode_of(f, e).domain, e);
    assert_int_equal(mode_of(f, e).since, epoch);
    assert_int_equal(mode_of(f, e).epoch, f->version);
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_int_equal(forget(f, &txn), 0);
    assert_false(has_namespace(f, e));
    assert_int_equal(count_class(f->state, "d"), 1);
    assert_string_equal(tree(f), "e/=101");
    check_settled(f);
}

static void test_it_is_not_closed_with_it_unless_it_was_filled(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    uint64_t epoch = filled(f, e);
    struct test_txn txn = txn_fill(f, "e", e, 0);
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
    uint64_t e = make_full(f);
    struct test_txn txn = txn_fill(f, "e", e, filled(f, e));
    struct kv *before;

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(abort_txn(f, &txn), 0);
    assert_int_equal(resolve(f, &txn, false), 0);
    before = copy_store(f->state);
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_same_stores(before, f->state);
    kv_close(before);
    assert_string_equal(tree(f), "e/=101 e/a=102 e/h=103");
    assert_int_equal(create(f, e, "b"), 0);
    check_settled(f);
}

static void test_it_is_decided_only_in_front_of_that_life(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    uint64_t epoch = filled(f, e);
    struct test_txn txn = txn_fill(f, "e", e, epoch);

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(change_mode(f, e, MODE_STRONG, epoch), 0);
    (void)filled(f, e);
    assert_int_equal(decide(f, &txn), ERR_BUSY);
    assert_true(f->result.decided && !f->result.committed);
    assert_int_equal(resolve(f, &txn, false), 0);
    assert_true(mode_is_filling(mode_of(f, e)));
    assert_int_equal(count_names(f, e), 2);
    check_settled(f);
}

/* It is empty, but others may have brought something by then. */
static void test_one_that_is_filled_is_not_taken_as_empty(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_dir(f, ROOT, "e");
    struct test_txn txn = txn_to_eventual(f, ROOT, "e", e);

    assert_int_equal(prepare(f, &txn), 0);
    (void)filled(f, e);
    assert_int_equal(decide(f, &txn), ERR_BUSY);
    assert_int_equal(resolve(f, &txn, false), 0);
    check_settled(f);
}

/* Whoever brings its files finds it; region 0 does so again. */
static void test_a_directory_in_it_keeps_it_strong(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    struct test_txn txn = txn_fill(f, "e", e, filled(f, e));

    (void)make_dir(f, e, "d");
    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(decide(f, &txn), ERR_NOT_EMPTY);
    assert_int_equal(resolve(f, &txn, false), 0);
    assert_string_equal(tree(f), "e/=101 e/a=102 e/d/=104 e/h=103");
    check_settled(f);
}

/* What is in a name that is not decided is not known yet. */
static void test_undecided_names_in_it_are_waited_for(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    uint64_t epoch = filled(f, e);
    struct test_txn inner = txn_mkdir(f, e, "c");
    struct test_txn txn = txn_fill(f, "e", e, epoch);

    assert_int_equal(prepare(f, &inner), 0);
    assert_int_equal(prepare(f, &txn), ERR_LOCKED);
    assert_true(txn_id_equal(f->result.holder.id, inner.command.txn.id));
    assert_int_equal(abort_txn(f, &inner), 0);
    assert_int_equal(resolve(f, &inner, false), 0);
    commit(f, txn);
    check_settled(f);
}

/* ---- what is in it meanwhile ---- */

static struct command on_name(enum command_op op, uint64_t dir,
                              const char *name)
{
    return (struct command){.op = op,
                            .dir = dir,
                            .name = slice_of(name),
                            .xattr = slice_of("user.x"),
                            .data = slice_of("x"),
                            .value_size_max = CHUNKED};
}

static void expect_locked(struct exec_fixture *f, int rc, uint64_t nsid)
{
    assert_int_equal(rc, ERR_LOCKED);
    assert_int_equal(f->result.holder.closes_nsid, nsid);
}

/* They are on their way to all nodes. */
static void test_files_in_it_do_not_change(void **state)
{
    static const enum command_op ops[] = {COMMAND_WRITE, COMMAND_SETATTR,
                                          COMMAND_SETXATTR, COMMAND_REMOVEXATTR,
                                          COMMAND_UNLINK};
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    struct command c = on_name(COMMAND_SETXATTR, e, "h");
    struct test_txn txn = txn_fill(f, "e", e, filled(f, e));
    struct kv *before;

    c.ino = f->ino;
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(prepare(f, &txn), 0);
    before = copy_store(f->state);
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        c.op = ops[i];
        expect_locked(f, run(f, &c), e);
    }
    expect_locked(f, create(f, e, "b"), e);
    assert_same_stores(before, f->state);
    kv_close(before);
    assert_int_equal(abort_txn(f, &txn), 0);
    assert_int_equal(resolve(f, &txn, false), 0);
}

static void test_nothing_moves_in_or_out_of_it(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    struct test_txn txn = txn_fill(f, "e", e, filled(f, e));
    struct test_txn mkdir = txn_mkdir(f, e, "m");
    struct test_txn in;

    assert_int_equal(create(f, ROOT, "f"), 0);
    (void)make_dir(f, ROOT, "d");
    in = txn_rename(f, ROOT, "d", e, "d", 0);
    assert_int_equal(prepare(f, &txn), 0);
    expect_locked(f, rename_file(f, e, "a", e, "b", 0), e);
    expect_locked(f, rename_file(f, e, "a", e, "h", 0), e);
    expect_locked(f, rename_file(f, e, "a", ROOT, "b", 0), e);
    expect_locked(f, rename_file(f, e, "a", ROOT, "f", REQUEST_EXCHANGE), e);
    expect_locked(f, rename_file(f, ROOT, "f", e, "b", 0), e);
    expect_locked(f, rename_file(f, ROOT, "f", e, "a", 0), e);
    expect_locked(f, prepare(f, &mkdir), e);
    expect_locked(f, prepare(f, &in), e);
    in = txn_rename(f, e, "a", ROOT, "d", REQUEST_EXCHANGE);
    expect_locked(f, prepare(f, &in), e);
    assert_int_equal(abort_txn(f, &txn), 0);
    assert_int_equal(resolve(f, &txn, false), 0);
    assert_int_equal(count_names(f, e), 2);
    check_settled(f);
}

/* Until it is decided it is as strong as it was. */
static void test_files_in_it_are_read_meanwhile(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    struct test_txn txn = txn_fill(f, "e", e, filled(f, e));

    assert_int_equal(prepare(f, &txn), 0);
    assert_string_equal(tree(f), "e/=101 e/a=102 e/h=103");
    assert_int_equal(lookup(f, e, "h"), 0);
    assert_int_equal(f->result.attr.size, CHUNKED);
    assert_int_equal(decide(f, &txn), 0);
    assert_string_equal(tree(f), "e/=101");
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_int_equal(lookup(f, e, "h"), ERR_NOT_FOUND);
}

static void test_a_handle_to_what_is_eventual_is_stale(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    struct command c = on_name(COMMAND_WRITE, e, "h");

    c.ino = f->ino;
    commit(f, txn_fill(f, "e", e, filled(f, e)));
    assert_int_equal(run(f, &c), ERR_STALE);
    c.op = COMMAND_SETATTR;
    assert_int_equal(run(f, &c), ERR_STALE);
    assert_int_equal(unlink_file(f, e, "h"), ERR_NOT_FOUND);
}

/* ---- over several regions ---- */

static void cut_through(struct exec_fixture *f, uint64_t nsid)
{
    cut_region(f, ROOT, "m");
    cut_region(f, nsid, "");
    cut_region(f, nsid, "g");
    cut_region(f, nsid, "t");
}

/* A coordinator that dies after so many commands; then the regions on both
 * sides of the cut `joined` become one, and others settle what it has left.
 * Returns whether it got to its end. */
static bool run_until(struct exec_fixture *f, const struct test_txn *txn,
                      unsigned commands, size_t joined)
{
    struct test_prepare p = prepare_begin(txn);
    struct test_resolve r;
    bool ended = false;

    for (; !p.complete && commands > 0; commands--)
        assert_int_equal(prepare_step(f, &p), 0);
    if (p.complete && commands > 0) {
        commands--;
        assert_int_equal(decide_prepared(f, &p), 0);
        r = resolve_begin(&p.ref, true);
        for (; !r.done && commands > 0; commands--)
            resolve_step(f, &r);
        ended = r.done;
    }
    check_state(f);
    if (joined < f->cut_count)
        join_regions(f, joined);
    check_state(f);
    settle_orphans(f);
    check_settled(f);
    prepare_end(&p);
    return ended;
}

/* Either all of its files are in the regions, or none is. */
static bool fill_until(unsigned commands, size_t joined)
{
    struct exec_fixture *f;
    uint64_t e;
    struct test_txn txn;
    bool ended;

    (void)setup_exec((void **)&f);
    e = make_full(f);
    assert_int_equal(create_sized(f, e, "x", CHUNKED), 0);
    cut_through(f, e);
    txn = txn_fill(f, "e", e, filled(f, e));
    ended = run_until(f, &txn, commands, joined);
    if (mode_of(f, e).state == MODE_STRONG)
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
    uint64_t e = make_full(f);
    uint64_t epoch = filled(f, e);
    struct test_txn inner = txn_mkdir(f, e, "x");
    struct test_txn txn = txn_fill(f, "e", e, epoch);
    struct test_prepare q = prepare_begin(&inner);
    struct test_prepare p = prepare_begin(&txn);

    cut_through(f, e);
    assert_int_equal(prepare_all(f, &q), 0);
    assert_int_equal(prepare_all(f, &p), ERR_LOCKED);
    assert_true(txn_id_equal(f->result.holder.id, inner.command.txn.id));
    settle_txn(f, &q.ref);
    assert_int_equal(prepare_all(f, &p), 0);
    prepare_end(&q);
    prepare_end(&p);
    settle_orphans(f);
    check_settled(f);
}

/* A part that was closed takes in one that was not. */
static void test_a_joined_part_is_closed_when_no_name_is_undecided(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_full(f);
    uint64_t epoch = filled(f, e);
    struct test_txn inner = txn_mkdir(f, e, "x");
    struct test_txn txn = txn_fill(f, "e", e, epoch);
    struct test_prepare q = prepare_begin(&inner);
    struct test_prepare p = prepare_begin(&txn);

    cut_region(f, e, "");
    cut_region(f, e, "g");
    assert_int_equal(prepare_all(f, &q), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    assert_int_equal(prepare_step(f, &p), 0);
    join_regions(f, 1);
    assert_int_equal(prepare_step(f, &p), ERR_LOCKED);
    assert_true(txn_id_equal(f->result.holder.id, inner.command.txn.id));
    settle_txn(f, &q.ref);
    assert_int_equal(prepare_all(f, &p), 0);
    prepare_end(&q);
    prepare_end(&p);
    settle_orphans(f);
    check_settled(f);
    assert_int_equal(count_names(f, e), 2);
}

#define WITH_ROOT(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_exec, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_a_life_is_about_to_begin),
        WITH_ROOT(test_only_one_life_is_about_to_begin),
        WITH_ROOT(test_a_life_ends_before_it_begins),
        WITH_ROOT(test_it_ends_only_as_what_it_is),
        WITH_ROOT(test_what_is_strong_is_done_meanwhile),
        WITH_ROOT(test_it_is_closed_with_what_is_in_it),
        WITH_ROOT(test_it_is_not_closed_with_it_unless_it_was_filled),
        WITH_ROOT(test_its_content_stays_when_it_stays_strong),
        WITH_ROOT(test_it_is_decided_only_in_front_of_that_life),
        WITH_ROOT(test_one_that_is_filled_is_not_taken_as_empty),
        WITH_ROOT(test_a_directory_in_it_keeps_it_strong),
        WITH_ROOT(test_undecided_names_in_it_are_waited_for),
        WITH_ROOT(test_files_in_it_do_not_change),
        WITH_ROOT(test_nothing_moves_in_or_out_of_it),
        WITH_ROOT(test_files_in_it_are_read_meanwhile),
        WITH_ROOT(test_a_handle_to_what_is_eventual_is_stale),
        cmocka_unit_test(test_its_parts_stay_or_go_in_all_regions),
        WITH_ROOT(test_undecided_names_in_any_part_are_waited_for),
        WITH_ROOT(test_a_joined_part_is_closed_when_no_name_is_undecided),
    };

    return cmocka_run_group_tests_name("exec_fill", tests, NULL, NULL);
}
