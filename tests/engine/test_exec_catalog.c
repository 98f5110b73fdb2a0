/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <sys/stat.h>

#include "exec_fixture.h"

#define ROOT NSID_ROOT

/* ---- decisions ---- */

static void test_deciding_twice_gives_the_first_decision(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_mkdir(f, ROOT, "d");

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(decide(f, &txn), 0);
    assert_true(f->result.decided && f->result.committed);
    assert_int_equal(abort_txn(f, &txn), 0);
    assert_true(f->result.decided && f->result.committed);
    assert_int_equal(resolve(f, &txn, true), 0);
    check_settled(f);
}

static void test_an_aborted_transaction_cannot_commit(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_mkdir(f, ROOT, "d");

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(abort_txn(f, &txn), 0);
    assert_false(f->result.committed);
    assert_int_equal(decide(f, &txn), ERR_ABORTED);
    assert_false(f->result.committed);
    assert_int_equal(resolve(f, &txn, false), 0);
    assert_int_equal(decide(f, &txn), ERR_ABORTED);
    check_settled(f);
}

static void test_forgetting_drops_a_commit_and_keeps_an_abort(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn one = txn_mkdir(f, ROOT, "d");
    struct test_txn two = txn_mkdir(f, ROOT, "e");

    commit(f, one);
    assert_int_equal(count_class(f->state, "ct"), 0);
    assert_int_equal(abort_txn(f, &two), 0);
    assert_int_equal(forget(f, &two), 0);
    assert_int_equal(count_class(f->state, "ct"), 1);
    assert_int_equal(forget(f, &one), 0);
}

/* What the catalog refuses is decided, too: nobody can commit it later. */
static void expect_catalog_refuses(struct exec_fixture *f, struct test_txn txn)
{
    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(decide(f, &txn), ERR_INVALID);
    assert_true(f->result.decided);
    assert_false(f->result.committed);
    assert_int_equal(decide(f, &txn), ERR_ABORTED);
    assert_int_equal(resolve(f, &txn, false), 0);
    check_settled(f);
}

static void test_a_directory_does_not_move_below_itself(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t a = make_dir(f, ROOT, "a");
    uint64_t b = make_dir(f, a, "b");
    uint64_t c = make_dir(f, b, "c");
    const unsigned exchange = REQUEST_EXCHANGE;

    assert_int_equal(create(f, b, "f"), 0);
    expect_catalog_refuses(f, txn_rename(f, ROOT, "a", a, "x", 0));
    expect_catalog_refuses(f, txn_rename(f, ROOT, "a", c, "x", 0));
    expect_catalog_refuses(f, txn_rename(f, ROOT, "a", a, "b", exchange));
    expect_catalog_refuses(f, txn_rename(f, a, "b", ROOT, "a", exchange));
    expect_catalog_refuses(f, txn_rename(f, ROOT, "a", b, "f", exchange));
    expect_catalog_refuses(f, txn_rename(f, b, "f", ROOT, "a", exchange));
    commit(f, txn_rename(f, b, "c", ROOT, "c", 0));
    commit(f, txn_rename(f, ROOT, "a", c, "a", 0));
}

/* Whatever stands in the way of a DECIDE, the answer is a decision. */
static void test_a_move_of_what_is_gone_is_decided_against(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_mkdir(f, ROOT, "d");

    txn.change_count = 1;
    txn.changes[0] =
        (struct catalog_change){.kind = CATALOG_MOVE, .nsid = 99, .parent = 1};
    strcpy(txn.names[0], "d");
    assert_int_equal(decide(f, &txn), ERR_NOT_FOUND);
    assert_true(f->result.decided);
    assert_false(f->result.committed);
    assert_int_equal(decide(f, &txn), ERR_ABORTED);
}

static void test_the_root_is_not_removed(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rmdir(f, ROOT, "d");

    txn.change_count = 1;
    txn.changes[0] =
        (struct catalog_change){.kind = CATALOG_REMOVE, .nsid = ROOT};
    assert_int_equal(decide(f, &txn), ERR_BUSY);
    check_settled(f);
}

/* ---- the index of names ---- */

/* 0: there is none. */
static uint64_t child(struct exec_fixture *f, uint64_t parent, const char *name)
{
    struct key key = key_directory_name(parent, slice_of(name));
    struct kv_value value = {0};
    uint64_t nsid = 0;

    if (kv_get(f->state, NULL, key_slice(&key), &value) == 0)
        nsid = be64_get(value.data);
    kv_value_release(&value);
    return nsid;
}

static void test_the_index_has_all_directories(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t a = make_dir(f, ROOT, "a");
    uint64_t b = make_dir(f, a, "b");

    assert_int_equal(child(f, ROOT, "a"), a);
    assert_int_equal(child(f, a, "b"), b);
    commit(f, txn_rename(f, a, "b", ROOT, "c", 0));
    assert_int_equal(child(f, a, "b"), 0);
    assert_int_equal(child(f, ROOT, "c"), b);
    commit(f, txn_rmdir(f, ROOT, "c"));
    assert_int_equal(count_class(f->state, "cp"), 1);
    check_settled(f);
}

static void test_the_index_follows_an_exchange(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t a = make_dir(f, ROOT, "a");
    uint64_t b = make_dir(f, ROOT, "b");
    struct test_txn txn = txn_rename(f, ROOT, "a", ROOT, "b", REQUEST_EXCHANGE);
    struct catalog_change first;

    commit(f, txn_rename(f, ROOT, "a", ROOT, "b", REQUEST_EXCHANGE));
    assert_int_equal(child(f, ROOT, "a"), b);
    assert_int_equal(child(f, ROOT, "b"), a);
    assert_int_equal(prepare(f, &txn), 0);
    first = txn.changes[0];
    txn.changes[0] = txn.changes[1];
    txn.changes[1] = first;
    strcpy(txn.names[0], "a");
    strcpy(txn.names[1], "b");
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(child(f, ROOT, "a"), a);
    assert_int_equal(child(f, ROOT, "b"), b);
    assert_int_equal(resolve(f, &txn, true), 0);
    check_settled(f);
}

static void test_the_index_follows_a_replacement(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t a = make_dir(f, ROOT, "a");

    (void)make_dir(f, ROOT, "b");
    commit(f, txn_rename(f, ROOT, "a", ROOT, "b", 0));
    assert_int_equal(child(f, ROOT, "a"), 0);
    assert_int_equal(child(f, ROOT, "b"), a);
    assert_int_equal(count_class(f->state, "cp"), 1);
    check_settled(f);
}

/* ---- what is eventual ---- */

/* Decides about one change; all transactions are new ones. */
static int decide_one(struct exec_fixture *f, struct catalog_change change)
{
    struct test_txn txn = txn_mkdir(f, ROOT, "x");

    txn.change_count = 1;
    txn.changes[0] = change;
    strcpy(txn.names[0], "x");
    return decide(f, &txn);
}

static void test_no_transaction_goes_below_an_eventual_directory(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t d = make_dir(f, ROOT, "d");
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t epoch = mode_of(f, e).epoch;
    struct catalog_change add = {.kind = CATALOG_ADD, .nsid = 500, .parent = e};
    struct catalog_change move = {.kind = CATALOG_MOVE, .nsid = d, .parent = e};

    assert_int_equal(decide_one(f, add), ERR_BUSY);
    assert_int_equal(decide_one(f, move), ERR_CROSS_DEVICE);
    (void)set_mode(f, e, MODE_FENCED, epoch);
    assert_int_equal(decide_one(f, add), ERR_BUSY);
    assert_int_equal(decide_one(f, move), ERR_BUSY);
    check_settled(f);
}

static void test_an_eventual_directory_moves_with_all_below_it(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t d = make_dir(f, ROOT, "d");
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t inside;

    assert_int_equal(run(f, &(struct command){.op = COMMAND_DIR_ADD,
                                              .dir = e,
                                              .name = slice_of("i")}),
                     0);
    inside = nsid_of_ino(f->result.attr.ino);
    commit(f, txn_rename(f, ROOT, "e", d, "g", 0));
    assert_int_equal(catalog_of(f, e).parent, d);
    assert_int_equal(mode_of(f, e).domain, e);
    assert_int_equal(decide_one(f, (struct catalog_change){.kind = CATALOG_MOVE,
                                                           .nsid = inside,
                                                           .parent = d}),
                     ERR_CROSS_DEVICE);
    check_settled(f);
}

static void test_only_a_strong_directory_is_removed(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t d = make_dir(f, ROOT, "d");
    uint64_t e = make_eventual(f, d, "e");
    struct catalog_change remove = {.kind = CATALOG_REMOVE, .nsid = e};

    assert_int_equal(decide_one(f, remove), ERR_BUSY);
    (void)set_mode(f, e, MODE_FENCED, mode_of(f, e).epoch);
    assert_int_equal(decide_one(f, remove), ERR_BUSY);
    remove.nsid = d;
    assert_int_equal(decide_one(f, remove), ERR_NOT_EMPTY);
    check_settled(f);
}

static void test_only_a_strong_one_below_strong_ones_gets_eventual(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    struct catalog_change change = {.kind = CATALOG_EVENTUAL, .nsid = e};

    assert_int_equal(decide_one(f, change), ERR_BUSY);
    change.nsid = ROOT;
    assert_int_equal(decide_one(f, change), ERR_BUSY);
    change.nsid = 999;
    assert_int_equal(decide_one(f, change), ERR_NOT_FOUND);
    check_settled(f);
}

static void test_only_a_fence_of_this_epoch_makes_strong(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t e = make_eventual(f, ROOT, "e");
    uint64_t epoch = mode_of(f, e).epoch;
    struct catalog_change change = {
        .kind = CATALOG_STRONG, .nsid = e, .attr = {.version = epoch}};

    assert_int_equal(decide_one(f, change), ERR_BUSY);
    epoch = set_mode(f, e, MODE_FENCED, epoch);
    assert_int_equal(decide_one(f, change), ERR_BUSY);
    change.attr.version = set_mode(f, e, MODE_EVENTUAL, epoch);
    assert_int_equal(decide_one(f, change), ERR_BUSY);
    check_settled(f);
}

/* ---- directories ---- */

static struct command on_dir(enum command_op op, uint64_t nsid)
{
    return (struct command){.op = op, .ino = ino_of_nsid(nsid)};
}

static void test_a_directory_s_attributes_are_changed(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t nsid = make_dir(f, ROOT, "d");
    struct command c = on_dir(COMMAND_DIR_SETATTR, nsid);

    c.set_mask = SET_MODE | SET_UID | SET_MTIME;
    c.set = (struct attr){.mode = 01777, .uid = 5, .mtime_ns = 7};
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(lookup(f, ROOT, "d"), 0);
    assert_int_equal(f->result.attr.mode, S_IFDIR | 01777);
    assert_int_equal(f->result.attr.uid, 5);
    assert_int_equal(f->result.attr.entry_count, 0);
    c.set_mask = SET_SIZE;
    assert_int_equal(run(f, &c), ERR_IS_DIR);
    c.ino = ino_of_nsid(99);
    assert_int_equal(run(f, &c), ERR_STALE);
}

static void test_a_directory_s_xattrs_survive_its_rename(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t nsid = make_dir(f, ROOT, "d");
    struct command c = on_dir(COMMAND_DIR_SETXATTR, nsid);

    c.xattr = slice_of("user.a");
    c.data = slice_of("1");
    assert_int_equal(run(f, &c), 0);
    commit(f, txn_rename(f, ROOT, "d", ROOT, "e", 0));
    c.op = COMMAND_GETXATTR;
    assert_int_equal(run_read(f, &c), 0);
    assert_true(slice_equal(f->result.data, slice_of("1")));
    c.op = COMMAND_DIR_REMOVEXATTR;
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(run(f, &c), ERR_NO_DATA);
}

/* ---- ids ---- */

static void test_leased_ids_never_overlap(void **state)
{
    struct exec_fixture *f = *state;
    const struct command lease = {.op = COMMAND_LEASE_IDS, .size = 100};

    assert_int_equal(run(f, &lease), 0);
    assert_int_equal(f->result.first_id, 1024);
    assert_int_equal(run(f, &lease), 0);
    assert_int_equal(f->result.first_id, 1124);
}

#define WITH_ROOT(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_exec, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_deciding_twice_gives_the_first_decision),
        WITH_ROOT(test_an_aborted_transaction_cannot_commit),
        WITH_ROOT(test_forgetting_drops_a_commit_and_keeps_an_abort),
        WITH_ROOT(test_a_directory_does_not_move_below_itself),
        WITH_ROOT(test_a_move_of_what_is_gone_is_decided_against),
        WITH_ROOT(test_the_root_is_not_removed),
        WITH_ROOT(test_the_index_has_all_directories),
        WITH_ROOT(test_the_index_follows_an_exchange),
        WITH_ROOT(test_the_index_follows_a_replacement),
        WITH_ROOT(test_no_transaction_goes_below_an_eventual_directory),
        WITH_ROOT(test_an_eventual_directory_moves_with_all_below_it),
        WITH_ROOT(test_only_a_strong_directory_is_removed),
        WITH_ROOT(test_only_a_strong_one_below_strong_ones_gets_eventual),
        WITH_ROOT(test_only_a_fence_of_this_epoch_makes_strong),
        WITH_ROOT(test_a_directory_s_attributes_are_changed),
        WITH_ROOT(test_a_directory_s_xattrs_survive_its_rename),
        WITH_ROOT(test_leased_ids_never_overlap),
    };

    return cmocka_run_group_tests_name("exec_catalog", tests, NULL, NULL);
}
