/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <sys/stat.h>

#include "exec_fixture.h"

#define ROOT NSID_ROOT

static struct command on_file(struct exec_fixture *f, enum command_op op,
                              const char *name)
{
    return (struct command){
        .op = op, .dir = ROOT, .name = slice_of(name), .ino = f->ino};
}

/* ---- create ---- */

static void test_create_gives_what_exists_unless_exclusive(void **state)
{
    struct exec_fixture *f = *state;
    struct command c;

    assert_int_equal(create(f, ROOT, "a"), 0);
    assert_true(f->result.created);
    c = on_file(f, COMMAND_CREATE, "a");
    c.ino++;
    assert_int_equal(run(f, &c), 0);
    assert_false(f->result.created);
    assert_int_equal(f->result.attr.ino, f->ino);
    c.flags = REQUEST_EXCLUSIVE;
    assert_int_equal(run(f, &c), ERR_EXISTS);
}

static void test_create_takes_type_owner_and_content(void **state)
{
    struct exec_fixture *f = *state;
    struct command c = on_file(f, COMMAND_CREATE, "link");

    c.set = (struct attr){.mode = S_IFLNK | 0777, .uid = 3, .gid = 4};
    c.data = slice_of("target");
    assert_int_equal(run(f, &c), 0);
    c.op = COMMAND_READ;
    c.size = 100;
    assert_int_equal(run_read(f, &c), 0);
    assert_true(slice_equal(f->result.data, slice_of("target")));
    assert_int_equal(f->result.attr.mode, S_IFLNK | 0777);
    assert_int_equal(f->result.attr.uid, 3);
    assert_int_equal(f->result.attr.gid, 4);
    assert_int_equal(f->result.attr.size, 6);
}

static void test_nothing_is_made_in_a_directory_that_never_was(void **state)
{
    struct exec_fixture *f = *state;

    assert_int_equal(create(f, 99, "a"), ERR_NOT_FOUND);
    assert_int_equal(unlink_file(f, 99, "a"), ERR_NOT_FOUND);
    assert_int_equal(create(f, ROOT, "a"), 0);
    assert_int_equal(rename_file(f, ROOT, "a", 99, "a", 0), ERR_NOT_FOUND);
    assert_string_equal(tree(f), "a=102");
}

/* ---- write and setattr ---- */

static void test_only_regular_files_are_written(void **state)
{
    struct exec_fixture *f = *state;
    struct command c = on_file(f, COMMAND_CREATE, "fifo");

    c.set.mode = S_IFIFO | 0600;
    assert_int_equal(run(f, &c), 0);
    c.op = COMMAND_WRITE;
    c.data = slice_of("x");
    assert_int_equal(run(f, &c), ERR_INVALID);
    c.op = COMMAND_SETATTR;
    c.set_mask = SET_SIZE;
    assert_int_equal(run(f, &c), ERR_INVALID);
}

static void test_a_write_moves_times_and_version_on(void **state)
{
    struct exec_fixture *f = *state;
    struct command c;
    struct attr before;

    assert_int_equal(create(f, ROOT, "a"), 0);
    before = f->result.attr;
    c = on_file(f, COMMAND_WRITE, "a");
    c.data = slice_of("x");
    assert_int_equal(run(f, &c), 0);
    assert_true(f->result.attr.mtime_ns > before.mtime_ns);
    assert_true(f->result.attr.ctime_ns > before.ctime_ns);
    assert_true(f->result.attr.version > before.version);
    assert_int_equal(f->result.attr.atime_ns, before.atime_ns);
}

static void test_a_write_kills_set_uid_when_it_is_to(void **state)
{
    struct exec_fixture *f = *state;
    struct command c;

    assert_int_equal(create(f, ROOT, "a"), 0);
    c = on_file(f, COMMAND_SETATTR, "a");
    c.set_mask = SET_MODE;
    c.set.mode = 06755;
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(f->result.attr.mode, S_IFREG | 06755);
    c = on_file(f, COMMAND_WRITE, "a");
    c.data = slice_of("x");
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(f->result.attr.mode, S_IFREG | 06755);
    c.flags = REQUEST_KILL_PRIV;
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(f->result.attr.mode, S_IFREG | 0755);
}

static void test_setattr_changes_what_its_mask_says(void **state)
{
    struct exec_fixture *f = *state;
    struct command c;

    assert_int_equal(create(f, ROOT, "a"), 0);
    c = on_file(f, COMMAND_SETATTR, "a");
    c.set_mask = SET_UID | SET_MTIME;
    c.set = (struct attr){.mode = 0, .uid = 7, .gid = 8, .mtime_ns = 9};
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(f->result.attr.mode, S_IFREG | 0644);
    assert_int_equal(f->result.attr.uid, 7);
    assert_int_equal(f->result.attr.gid, 0);
    assert_int_equal(f->result.attr.mtime_ns, 9);
}

static void
test_an_explicit_time_counts_more_than_a_change_of_size(void **state)
{
    struct exec_fixture *f = *state;
    struct command c;

    assert_int_equal(create(f, ROOT, "a"), 0);
    c = on_file(f, COMMAND_SETATTR, "a");
    c.set_mask = SET_SIZE | SET_MTIME;
    c.set.size = 100000;
    c.set.mtime_ns = 9;
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(f->result.attr.mtime_ns, 9);
    assert_int_equal(f->result.attr.size, 100000);
}

static void test_setting_the_same_size_keeps_the_content(void **state)
{
    struct exec_fixture *f = *state;
    struct command c;

    assert_int_equal(create_sized(f, ROOT, "a", 100000), 0);
    c = on_file(f, COMMAND_SETATTR, "a");
    c.set_mask = SET_SIZE;
    c.set.size = 100000;
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(f->result.attr.size, 100000);
}

static void test_a_handle_to_a_replaced_file_is_stale(void **state)
{
    struct exec_fixture *f = *state;
    struct command c;

    assert_int_equal(create(f, ROOT, "a"), 0);
    c = on_file(f, COMMAND_WRITE, "a");
    c.data = slice_of("x");
    assert_int_equal(create(f, ROOT, "b"), 0);
    assert_int_equal(rename_file(f, ROOT, "b", ROOT, "a", 0), 0);
    assert_int_equal(run(f, &c), ERR_STALE);
    c.op = COMMAND_SETATTR;
    assert_int_equal(run(f, &c), ERR_STALE);
    c.op = COMMAND_SETXATTR;
    c.xattr = slice_of("user.x");
    assert_int_equal(run(f, &c), ERR_STALE);
}

/* ---- unlink and rename ---- */

static void test_directories_are_left_to_transactions(void **state)
{
    struct exec_fixture *f = *state;

    (void)make_dir(f, ROOT, "d");
    assert_int_equal(create(f, ROOT, "a"), 0);
    assert_int_equal(unlink_file(f, ROOT, "d"), ERR_IS_DIR);
    assert_int_equal(rename_file(f, ROOT, "d", ROOT, "e", 0), ERR_IS_DIR);
    assert_int_equal(rename_file(f, ROOT, "a", ROOT, "d", 0), ERR_IS_DIR);
    assert_int_equal(rename_file(f, ROOT, "d", ROOT, "d", REQUEST_NOREPLACE),
                     ERR_EXISTS);
}

static void test_a_rename_counts_in_both_directories(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t d = make_dir(f, ROOT, "d");

    assert_int_equal(create(f, ROOT, "a"), 0);
    assert_int_equal(create_sized(f, d, "b", 100000), 0);
    assert_int_equal(rename_file(f, ROOT, "a", d, "a", 0), 0);
    assert_int_equal(count_names(f, d), 2);
    assert_int_equal(rename_file(f, d, "b", ROOT, "b", REQUEST_NOREPLACE), 0);
    assert_int_equal(rename_file(f, d, "a", ROOT, "b", 0), 0);
    assert_string_equal(tree(f), "b=102 d/=101");
    check_settled(f);
}

static void test_noreplace_and_exchange_have_their_conditions(void **state)
{
    struct exec_fixture *f = *state;

    assert_int_equal(create(f, ROOT, "a"), 0);
    assert_int_equal(create(f, ROOT, "b"), 0);
    assert_int_equal(rename_file(f, ROOT, "a", ROOT, "b", REQUEST_NOREPLACE),
                     ERR_EXISTS);
    assert_int_equal(rename_file(f, ROOT, "a", ROOT, "c", REQUEST_EXCHANGE),
                     ERR_NOT_FOUND);
    assert_int_equal(rename_file(f, ROOT, "a", ROOT, "b", REQUEST_EXCHANGE), 0);
    assert_string_equal(tree(f), "a=102 b=101");
    assert_int_equal(rename_file(f, ROOT, "a", ROOT, "a", REQUEST_EXCHANGE), 0);
}

/* ---- xattrs ---- */

static void test_xattrs_move_with_the_file(void **state)
{
    struct exec_fixture *f = *state;
    struct command c;

    assert_int_equal(create_sized(f, ROOT, "a", 100000), 0);
    c = on_file(f, COMMAND_SETXATTR, "a");
    c.xattr = slice_of("user.x");
    c.data = slice_of("1");
    assert_int_equal(run(f, &c), 0);
    c.flags = REQUEST_XATTR_CREATE;
    assert_int_equal(run(f, &c), ERR_EXISTS);
    assert_int_equal(rename_file(f, ROOT, "a", ROOT, "b", 0), 0);
    c.name = slice_of("b");
    c.op = COMMAND_REMOVEXATTR;
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(run(f, &c), ERR_NO_DATA);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_exec, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create_gives_what_exists_unless_exclusive),
        TEST(test_create_takes_type_owner_and_content),
        TEST(test_nothing_is_made_in_a_directory_that_never_was),
        TEST(test_only_regular_files_are_written),
        TEST(test_a_write_moves_times_and_version_on),
        TEST(test_a_write_kills_set_uid_when_it_is_to),
        TEST(test_setattr_changes_what_its_mask_says),
        TEST(test_an_explicit_time_counts_more_than_a_change_of_size),
        TEST(test_setting_the_same_size_keeps_the_content),
        TEST(test_a_handle_to_a_replaced_file_is_stale),
        TEST(test_directories_are_left_to_transactions),
        TEST(test_a_rename_counts_in_both_directories),
        TEST(test_noreplace_and_exchange_have_their_conditions),
        TEST(test_xattrs_move_with_the_file),
    };

    return cmocka_run_group_tests_name("exec_file", tests, NULL, NULL);
}
