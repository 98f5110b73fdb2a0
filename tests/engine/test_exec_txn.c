/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <sys/stat.h>

#include "exec_fixture.h"
#include "tests/sim/kv_mem.h"

#define ROOT NSID_ROOT

/* What the tests of outcomes begin with. */
#define TREE "c=106 d/=101 d/f=104 e/=102 i=105 o/=103 o/c=107"

enum { D = 101, E = 102, O = 103, CHUNKED = 70000 };

static int setup_tree(void **state)
{
    struct exec_fixture *f;

    (void)setup_exec(state);
    f = *state;
    (void)make_dir(f, ROOT, "d");
    (void)make_dir(f, ROOT, "e");
    (void)make_dir(f, ROOT, "o");
    assert_int_equal(create(f, D, "f"), 0);
    assert_int_equal(create_sized(f, ROOT, "i", 10), 0);
    assert_int_equal(create_sized(f, ROOT, "c", CHUNKED), 0);
    assert_int_equal(create_sized(f, O, "c", CHUNKED), 0);
    assert_string_equal(tree(f), TREE);
    return 0;
}

/* Each one by itself on TREE. */
struct outcome {
    enum txn_kind kind;
    uint64_t dir;
    const char *name;
    uint64_t to_dir;
    const char *to_name;
    unsigned flags;
    const char *committed; /* the tree after it */
};

/* clang-format off */
static const struct outcome outcomes[] = {
    {TXN_MKDIR, ROOT, "n", 0, NULL, 0,
     "c=106 d/=101 d/f=104 e/=102 i=105 n/=108 o/=103 o/c=107"},
    {TXN_MKDIR, E, "n", 0, NULL, 0,
     "c=106 d/=101 d/f=104 e/=102 e/n/=108 i=105 o/=103 o/c=107"},
    {TXN_RMDIR, ROOT, "e", 0, NULL, 0,
     "c=106 d/=101 d/f=104 i=105 o/=103 o/c=107"},
    {TXN_RENAME, ROOT, "d", ROOT, "n", 0,
     "c=106 e/=102 i=105 n/=101 n/f=104 o/=103 o/c=107"},
    {TXN_RENAME, ROOT, "d", ROOT, "n", REQUEST_NOREPLACE,
     "c=106 e/=102 i=105 n/=101 n/f=104 o/=103 o/c=107"},
    {TXN_RENAME, ROOT, "d", ROOT, "e", 0,
     "c=106 e/=101 e/f=104 i=105 o/=103 o/c=107"},
    {TXN_RENAME, ROOT, "d", O, "n", 0,
     "c=106 e/=102 i=105 o/=103 o/c=107 o/n/=101 o/n/f=104"},
    {TXN_RENAME, ROOT, "e", D, "e", 0,
     "c=106 d/=101 d/e/=102 d/f=104 i=105 o/=103 o/c=107"},
    {TXN_RENAME, ROOT, "d", ROOT, "e", REQUEST_EXCHANGE,
     "c=106 d/=102 e/=101 e/f=104 i=105 o/=103 o/c=107"},
    {TXN_RENAME, ROOT, "d", ROOT, "o", REQUEST_EXCHANGE,
     "c=106 d/=103 d/c=107 e/=102 i=105 o/=101 o/f=104"},
    {TXN_RENAME, ROOT, "d", ROOT, "i", REQUEST_EXCHANGE,
     "c=106 d=105 e/=102 i/=101 i/f=104 o/=103 o/c=107"},
    {TXN_RENAME, ROOT, "d", ROOT, "c", REQUEST_EXCHANGE,
     "c/=101 c/f=104 d=106 e/=102 i=105 o/=103 o/c=107"},
    {TXN_RENAME, ROOT, "c", ROOT, "d", REQUEST_EXCHANGE,
     "c/=101 c/f=104 d=106 e/=102 i=105 o/=103 o/c=107"},
    {TXN_RENAME, ROOT, "d", O, "c", REQUEST_EXCHANGE,
     "c=106 d=107 e/=102 i=105 o/=103 o/c/=101 o/c/f=104"},
    {TXN_RENAME, O, "c", ROOT, "e", REQUEST_EXCHANGE,
     "c=106 d/=101 d/f=104 e=107 i=105 o/=103 o/c/=102"},
};
/* clang-format on */

static struct test_txn txn_of(struct exec_fixture *f, const struct outcome *o)
{
    if (o->kind == TXN_MKDIR)
        return txn_mkdir(f, o->dir, o->name);
    if (o->kind == TXN_RMDIR)
        return txn_rmdir(f, o->dir, o->name);
    return txn_rename(f, o->dir, o->name, o->to_dir, o->to_name, o->flags);
}

/* All bytes of both chunked files are still there, under whatever names. */
static void check_content(struct exec_fixture *f, uint64_t dir,
                          const char *name, char byte)
{
    struct command c = {.op = COMMAND_READ,
                        .dir = dir,
                        .name = slice_of(name),
                        .size = WRITE_SIZE_MAX};

    assert_int_equal(lookup(f, dir, name), 0);
    c.ino = f->result.attr.ino;
    assert_int_equal(run_read_again(f, &c), 0);
    assert_int_equal(f->result.data.size, CHUNKED);
    for (size_t i = 0; i < CHUNKED; i++)
        assert_int_equal(((const char *)f->result.data.data)[i], byte);
}

static void run_outcome(const struct outcome *o, bool committed)
{
    struct exec_fixture *f;
    struct test_txn txn;

    (void)setup_tree((void **)&f);
    txn = txn_of(f, o);
    assert_int_equal(prepare(f, &txn), 0);
    check_state(f);
    assert_string_equal(tree(f), TREE);
    if (committed)
        assert_int_equal(decide(f, &txn), 0);
    else
        assert_int_equal(abort_txn(f, &txn), 0);
    assert_string_equal(tree(f), committed ? o->committed : TREE);
    check_state(f);
    assert_int_equal(resolve(f, &txn, committed), 0);
    check_settled(f);
    assert_string_equal(tree(f), committed ? o->committed : TREE);
    (void)teardown_exec((void **)&f);
}

/* Nothing is seen of a transaction before its DECIDE, all of it behind. */
static void test_a_commit_does_what_was_asked(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
        run_outcome(&outcomes[i], true);
}

static void test_an_abort_leaves_what_was_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
        run_outcome(&outcomes[i], false);
}

static void resolve_twice(const struct outcome *o, bool committed)
{
    struct exec_fixture *f;
    struct test_txn txn;
    struct kv *copy;

    (void)setup_tree((void **)&f);
    txn = txn_of(f, o);
    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(committed ? decide(f, &txn) : abort_txn(f, &txn), 0);
    assert_int_equal(resolve(f, &txn, committed), 0);
    copy = copy_store(f->state);
    assert_int_equal(resolve(f, &txn, committed), 0);
    assert_same_stores(f->state, copy);
    kv_close(copy);
    (void)teardown_exec((void **)&f);
}

static void test_resolving_twice_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
        resolve_twice(&outcomes[i], true);
        resolve_twice(&outcomes[i], false);
    }
}

static void test_a_chunked_file_keeps_its_content_when_exchanged(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rename(f, ROOT, "d", O, "c", REQUEST_EXCHANGE);

    assert_int_equal(prepare(f, &txn), 0);
    check_content(f, O, "c", 'a' + 106 % 26);
    assert_int_equal(decide(f, &txn), 0);
    check_content(f, ROOT, "d", 'a' + 106 % 26);
    assert_int_equal(resolve(f, &txn, true), 0);
    check_content(f, ROOT, "d", 'a' + 106 % 26);
    check_content(f, ROOT, "c", 'a' + 105 % 26);
    check_settled(f);
}

static void test_an_exchanged_file_gets_a_new_version(void **state)
{
    struct exec_fixture *f = *state;
    struct attr before;

    assert_int_equal(lookup(f, ROOT, "i"), 0);
    before = f->result.attr;
    commit(f, txn_rename(f, ROOT, "d", ROOT, "i", REQUEST_EXCHANGE));
    assert_int_equal(lookup(f, ROOT, "d"), 0);
    assert_int_equal(f->result.attr.ino, before.ino);
    assert_true(f->result.attr.version > before.version);
    assert_true(f->result.attr.ctime_ns > before.ctime_ns);
    assert_int_equal(f->result.attr.mtime_ns, before.mtime_ns);
}

/* ---- while an intent is there ---- */

static void test_a_held_name_refuses_every_change(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rename(f, ROOT, "d", O, "n", 0);
    struct test_txn other = txn_mkdir(f, O, "n");

    assert_int_equal(prepare(f, &txn), 0);
    assert_locked_by(f, create(f, O, "n"), &txn);
    assert_locked_by(f, create(f, ROOT, "d"), &txn);
    assert_locked_by(f, unlink_file(f, ROOT, "d"), &txn);
    assert_locked_by(f, rename_file(f, ROOT, "i", O, "n", 0), &txn);
    assert_locked_by(f, rename_file(f, ROOT, "d", O, "x", 0), &txn);
    assert_locked_by(f, prepare(f, &other), &txn);
    other = txn_rmdir(f, ROOT, "d");
    assert_locked_by(f, prepare(f, &other), &txn);
    other = txn_rename(f, ROOT, "e", ROOT, "d", 0);
    assert_locked_by(f, prepare(f, &other), &txn);
}

static void test_nothing_is_made_in_a_directory_that_is_removed(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rmdir(f, ROOT, "e");
    struct test_txn other = txn_mkdir(f, E, "n");

    assert_int_equal(prepare(f, &txn), 0);
    assert_locked_by(f, create(f, E, "x"), &txn);
    assert_locked_by(f, rename_file(f, ROOT, "i", E, "i", 0), &txn);
    assert_locked_by(f, prepare(f, &other), &txn);
    other = txn_rename(f, ROOT, "d", E, "d", 0);
    assert_locked_by(f, prepare(f, &other), &txn);
    roll_back(f, &txn);
    assert_int_equal(create(f, E, "x"), 0);
}

static void test_a_directory_that_is_gone_is_not_found(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_mkdir(f, E, "n");

    commit(f, txn_rmdir(f, ROOT, "e"));
    assert_int_equal(create(f, E, "x"), ERR_NOT_FOUND);
    assert_int_equal(prepare(f, &txn), ERR_NOT_FOUND);
    assert_int_equal(rename_file(f, ROOT, "i", E, "i", 0), ERR_NOT_FOUND);
    check_settled(f);
}

/* Whether the directory is empty depends on the pending mkdir. */
static void test_rmdir_waits_for_a_pending_mkdir_inside(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn inner = txn_mkdir(f, E, "n");
    struct test_txn txn = txn_rmdir(f, ROOT, "e");

    assert_int_equal(prepare(f, &inner), 0);
    assert_locked_by(f, prepare(f, &txn), &inner);
    roll_back(f, &inner);
    commit(f, txn);
    check_settled(f);
}

static void test_a_listing_shows_what_was_before_an_undecided_one(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_mkdir(f, ROOT, "n");
    const struct command list = {
        .op = COMMAND_READDIR, .dir = ROOT, .size = READDIR_SIZE_MAX};

    assert_int_equal(prepare(f, &txn), 0);
    f->unknown.count = 0;
    assert_int_equal(run_read(f, &list), ERR_LOCKED);
    assert_int_equal(f->unknown.count, 1);
    assert_string_equal(tree(f), TREE);
}

/* A directory can be used from its DECIDE on. */
static void test_a_new_directory_is_used_before_it_is_resolved(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_mkdir(f, ROOT, "n");

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(create(f, txn.nsid, "x"), 0);
    assert_int_equal(resolve(f, &txn, true), 0);
    assert_int_equal(lookup(f, txn.nsid, "x"), 0);
    check_settled(f);
}

/* ---- refusals of PREPARE ---- */

static void expect_refused(struct exec_fixture *f, struct test_txn txn, int rc)
{
    assert_int_equal(prepare(f, &txn), rc);
    assert_string_equal(tree(f), TREE);
    check_settled(f);
}

/* Replicas with a good block say by whom it is locked, and this one must not
 * say something else that it would remember. */
static void test_a_bad_block_is_no_answer(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn inside = txn_mkdir(f, E, "s");
    struct test_txn txn = txn_rmdir(f, ROOT, "e");

    assert_int_equal(prepare(f, &inside), 0);
    kv_mem_spoil(f->state, 'x');
    assert_int_equal(prepare(f, &txn), ERR_CORRUPT);
    kv_mem_spoil(f->state, '\0');
    assert_int_equal(prepare(f, &txn), ERR_LOCKED);
}

static void test_what_the_names_forbid_is_refused(void **state)
{
    struct exec_fixture *f = *state;
    const unsigned exchange = REQUEST_EXCHANGE;

    expect_refused(f, txn_mkdir(f, ROOT, "d"), ERR_EXISTS);
    expect_refused(f, txn_mkdir(f, ROOT, "i"), ERR_EXISTS);
    expect_refused(f, txn_rmdir(f, ROOT, "n"), ERR_NOT_FOUND);
    expect_refused(f, txn_rmdir(f, ROOT, "i"), ERR_NOT_DIR);
    expect_refused(f, txn_rmdir(f, ROOT, "d"), ERR_NOT_EMPTY);
    expect_refused(f, txn_rename(f, ROOT, "n", O, "n", 0), ERR_NOT_FOUND);
    expect_refused(f, txn_rename(f, ROOT, "e", ROOT, "d", 0), ERR_NOT_EMPTY);
    expect_refused(f, txn_rename(f, ROOT, "e", ROOT, "i", 0), ERR_NOT_DIR);
    expect_refused(f, txn_rename(f, ROOT, "i", ROOT, "e", 0), ERR_IS_DIR);
    expect_refused(f, txn_rename(f, ROOT, "d", ROOT, "e", REQUEST_NOREPLACE),
                   ERR_EXISTS);
    expect_refused(f, txn_rename(f, ROOT, "d", ROOT, "d", REQUEST_NOREPLACE),
                   ERR_EXISTS);
    expect_refused(f, txn_rename(f, ROOT, "d", ROOT, "n", exchange),
                   ERR_NOT_FOUND);
    expect_refused(f, txn_rename(f, O, "c", ROOT, "o", 0), ERR_IS_DIR);
}

/* Done at once: no transaction is left to be decided. */
static void test_a_rename_to_itself_changes_nothing(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rename(f, ROOT, "d", ROOT, "d", 0);

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(txn.change_count, 0);
    assert_string_equal(tree(f), TREE);
    check_settled(f);
}

/* A rename of files becomes a transaction when a directory is met; that may
 * have gone by the time of the PREPARE, and there is nothing to decide. */
static void test_a_transaction_that_meets_files_renames_them(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rename(f, ROOT, "c", O, "c", REQUEST_EXCHANGE);

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(txn.change_count, 0);
    check_settled(f);
    check_content(f, ROOT, "c", 'a' + 106 % 26);
    check_content(f, O, "c", 'a' + 105 % 26);
    txn = txn_rename(f, ROOT, "c", O, "n", REQUEST_NOREPLACE);
    assert_int_equal(prepare(f, &txn), 0);
    check_settled(f);
    check_content(f, O, "n", 'a' + 106 % 26);
}

/* ---- several at once ---- */

/* Each alone would be fine; together they would make a circle. */
static void test_two_moves_into_each_other_have_one_winner(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn one = txn_rename(f, ROOT, "d", E, "d", 0);
    struct test_txn two = txn_rename(f, ROOT, "e", D, "e", 0);

    assert_int_equal(prepare(f, &one), 0);
    assert_int_equal(prepare(f, &two), 0);
    assert_int_equal(decide(f, &two), 0);
    assert_int_equal(decide(f, &one), ERR_INVALID);
    assert_int_equal(resolve(f, &one, false), 0);
    assert_int_equal(resolve(f, &two, true), 0);
    check_settled(f);
}

static void test_names_made_at_once_in_one_directory_count_once(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn one = txn_mkdir(f, E, "a");
    struct test_txn two = txn_mkdir(f, E, "b");

    assert_int_equal(prepare(f, &one), 0);
    assert_int_equal(prepare(f, &two), 0);
    assert_int_equal(create(f, E, "c"), 0);
    assert_int_equal(decide(f, &one), 0);
    roll_back(f, &two);
    assert_int_equal(unlink_file(f, E, "c"), 0);
    assert_int_equal(resolve(f, &one, true), 0);
    assert_int_equal(count_names(f, E), 1);
    check_settled(f);
}

#define ON_TREE(test)                                                          \
    cmocka_unit_test_setup_teardown(test, setup_tree, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_commit_does_what_was_asked),
        cmocka_unit_test(test_an_abort_leaves_what_was_there),
        cmocka_unit_test(test_resolving_twice_changes_nothing),
        ON_TREE(test_a_chunked_file_keeps_its_content_when_exchanged),
        ON_TREE(test_an_exchanged_file_gets_a_new_version),
        ON_TREE(test_a_held_name_refuses_every_change),
        ON_TREE(test_nothing_is_made_in_a_directory_that_is_removed),
        ON_TREE(test_a_directory_that_is_gone_is_not_found),
        ON_TREE(test_rmdir_waits_for_a_pending_mkdir_inside),
        ON_TREE(test_a_listing_shows_what_was_before_an_undecided_one),
        ON_TREE(test_a_new_directory_is_used_before_it_is_resolved),
        ON_TREE(test_a_bad_block_is_no_answer),
        ON_TREE(test_what_the_names_forbid_is_refused),
        ON_TREE(test_a_rename_to_itself_changes_nothing),
        ON_TREE(test_a_transaction_that_meets_files_renames_them),
        ON_TREE(test_two_moves_into_each_other_have_one_winner),
        ON_TREE(test_names_made_at_once_in_one_directory_count_once),
    };

    return cmocka_run_group_tests_name("exec_txn", tests, NULL, NULL);
}
