/* SPDX-License-Identifier: Apache-2.0 */

/* What commands change in an eventual directory, and what they answer. */

#include <string.h>
#include <sys/stat.h>

#include "codec_helpers.h"
#include "eventual_files.h"
#include "kv_helpers.h"

static const struct slice nothing = {NULL, 0};

static int write_at(struct eventual_files *f, const char *name, uint64_t offset,
                    const char *text, unsigned flags)
{
    struct command c = on(f, COMMAND_WRITE, name);

    c.offset = offset;
    c.data = slice_of(text);
    c.flags = flags;
    return execute(f, &c);
}

static int unlink_name(struct eventual_files *f, const char *name)
{
    struct command c = on(f, COMMAND_UNLINK, name);

    return execute(f, &c);
}

/* ---- create, unlink ---- */

static void test_create_gives_what_exists_unless_exclusive(void **state)
{
    struct eventual_files *f = *state;
    struct command c = on(f, COMMAND_CREATE, "a");

    assert_int_equal(make(f, "a", slice_of("x")), 0);
    assert_true(f->result.created);
    assert_int_equal(f->result.attr.ino, f->ino);
    assert_int_equal(execute(f, &c), 0);
    assert_false(f->result.created);
    assert_int_equal(f->change_count, 0);
    assert_int_equal(f->result.attr.ino, f->ino);
    c.flags = REQUEST_EXCLUSIVE;
    assert_int_equal(execute(f, &c), ERR_EXISTS);
    expect_content(f, "a", slice_of("x"));
}

static void test_a_directory_of_the_catalog_is_what_exists(void **state)
{
    struct eventual_files *f = *state;

    add_directory(f, DIR, slice_of("d"), 20, MODE_EVENTUAL);
    assert_int_equal(make(f, "d", nothing), 0);
    assert_false(f->result.created);
    assert_int_equal(f->result.attr.ino, ino_of_nsid(20));
    assert_int_equal(unlink_name(f, "d"), ERR_IS_DIR);
}

static void test_a_removed_name_is_free_again(void **state)
{
    struct eventual_files *f = *state;

    assert_int_equal(make(f, "a", letters(EVENTUAL_INLINE_MAX + 1)), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    assert_true(has_record(f->state, key_user('v', DIR, slice_of("a"))));
    assert_false(has_record(f->state, key_user('w', DIR, slice_of("a"))));
    assert_int_equal(unlink_name(f, "a"), ERR_NOT_FOUND);
    assert_int_equal(write_at(f, "a", 0, "x", 0), ERR_STALE);
    assert_int_equal(make(f, "a", nothing), 0);
    assert_true(f->result.created);
    expect_content(f, "a", nothing);
}

static void test_a_link_has_its_target_as_content(void **state)
{
    struct eventual_files *f = *state;
    struct command c = on(f, COMMAND_CREATE, "l");

    c.set = (struct attr){.mode = S_IFLNK | 0777, .uid = 3, .gid = 4};
    c.data = slice_of("target");
    assert_int_equal(execute(f, &c), 0);
    assert_int_equal(f->result.attr.uid, 3);
    assert_int_equal(f->result.attr.mtime_ns, c.now_ns);
    expect_content(f, "l", slice_of("target"));
    assert_int_equal(write_at(f, "l", 0, "x", 0), ERR_INVALID);
}

/* ---- write, setattr ---- */

static void test_writes_replace_append_truncate_and_leave_holes(void **state)
{
    struct eventual_files *f = *state;

    assert_int_equal(make(f, "a", slice_of("abc")), 0);
    assert_int_equal(write_at(f, "a", 1, "X", 0), 0);
    expect_content(f, "a", slice_of("aXc"));
    assert_int_equal(write_at(f, "a", 0, "de", REQUEST_APPEND), 0);
    assert_int_equal(f->result.offset, 3);
    expect_content(f, "a", slice_of("aXcde"));
    assert_int_equal(write_at(f, "a", 2, "z", REQUEST_TRUNCATE), 0);
    expect_content(f, "a", (struct slice){"\0\0z", 3});
    assert_int_equal(write_at(f, "a", 0, "", REQUEST_TRUNCATE), 0);
    expect_content(f, "a", nothing);
}

/* Its content lies elsewhere, and is not even read. */
static void test_a_large_file_is_truncated_by_a_write(void **state)
{
    struct eventual_files *f = *state;
    const uint64_t far = EVENTUAL_INLINE_MAX + 1;

    assert_int_equal(make(f, "a", slice_of("abc")), 0);
    assert_int_equal(write_at(f, "a", far, "x", 0), 0);
    assert_int_equal(f->result.attr.size, far + 1);
    assert_int_equal(write_at(f, "a", 1, "z", REQUEST_TRUNCATE), 0);
    expect_content(f, "a", (struct slice){"\0z", 2});
    assert_int_equal(write_at(f, "a", far, "y", REQUEST_TRUNCATE), 0);
    assert_int_equal(write_at(f, "a", 0, "", REQUEST_TRUNCATE), 0);
    expect_content(f, "a", nothing);
}

static void test_a_write_moves_times_and_takes_privileges(void **state)
{
    struct eventual_files *f = *state;
    struct command c = on(f, COMMAND_SETATTR, "a");

    assert_int_equal(make(f, "a", nothing), 0);
    c.ino = f->ino;
    c.set.mode = S_ISUID | 0755;
    c.set_mask = SET_MODE;
    assert_int_equal(execute(f, &c), 0);
    assert_int_equal(f->result.attr.mode, S_IFREG | S_ISUID | 0755);
    assert_int_equal(write_at(f, "a", 0, "x", REQUEST_KILL_PRIV), 0);
    assert_int_equal(f->result.attr.mode, S_IFREG | 0755);
    assert_int_equal(f->result.attr.mtime_ns, c.now_ns + 1);
    assert_int_equal(f->result.attr.ctime_ns, c.now_ns + 2);
}

static void test_a_file_of_another_number_is_stale(void **state)
{
    struct eventual_files *f = *state;

    assert_int_equal(make(f, "a", nothing), 0);
    f->ino++;
    assert_int_equal(write_at(f, "a", 0, "x", 0), ERR_STALE);
    assert_int_equal(write_at(f, "b", 0, "x", 0), ERR_STALE);
}

static void test_values_are_bounded_by_both_limits(void **state)
{
    struct eventual_files *f = *state;
    struct command c;

    assert_int_equal(make(f, "a", letters(EVENTUAL_VALUE_SIZE_MAX)), 0);
    assert_int_equal(write_at(f, "a", 0, "x", REQUEST_APPEND), ERR_TOO_LARGE);
    assert_int_equal(write_at(f, "a", UINT64_MAX, "x", 0), ERR_TOO_LARGE);
    c = on(f, COMMAND_SETATTR, "a");
    c.set_mask = SET_SIZE;
    c.set.size = EVENTUAL_VALUE_SIZE_MAX + 1;
    assert_int_equal(execute(f, &c), ERR_TOO_LARGE);
    c.set.size = c.value_size_max = 10;
    assert_int_equal(execute(f, &c), 0);
    c.set.size = 11;
    assert_int_equal(execute(f, &c), ERR_TOO_LARGE);
    expect_content(f, "a", letters(10));
    assert_int_equal(make(f, "b", letters(EVENTUAL_VALUE_SIZE_MAX + 1)),
                     ERR_TOO_LARGE);
}

static void test_growing_and_cutting_go_past_what_is_inline(void **state)
{
    struct eventual_files *f = *state;
    struct command c;

    assert_int_equal(make(f, "a", slice_of("ab")), 0);
    c = on(f, COMMAND_SETATTR, "a");
    c.set_mask = SET_SIZE;
    c.set.size = EVENTUAL_INLINE_MAX + 1;
    assert_int_equal(execute(f, &c), 0);
    assert_true(has_record(f->state, key_user('w', DIR, c.name)));
    c.set.size = 4;
    assert_int_equal(execute(f, &c), 0);
    assert_false(has_record(f->state, key_user('w', DIR, c.name)));
    expect_content(f, "a", (struct slice){"ab\0\0", 4});
}

/* ---- rename ---- */

static void test_a_rename_takes_the_content_and_leaves_a_tombstone(void **state)
{
    struct eventual_files *f = *state;
    struct command c = on(f, COMMAND_LOOKUP, "a");

    assert_int_equal(make(f, "b", slice_of("old")), 0);
    assert_int_equal(make(f, "a", letters(EVENTUAL_INLINE_MAX + 1)), 0);
    assert_int_equal(move(f, "a", "b", REQUEST_NOREPLACE), ERR_EXISTS);
    assert_int_equal(move(f, "a", "b", 0), 0);
    assert_int_equal(f->change_count, 2);
    expect_content(f, "b", letters(EVENTUAL_INLINE_MAX + 1));
    assert_int_equal(f->result.attr.ino, f->ino);
    assert_int_equal(look(f, &c), ERR_NOT_FOUND);
    assert_int_equal(move(f, "b", "a", REQUEST_NOREPLACE), 0);
    assert_int_equal(move(f, "b", "c", 0), ERR_NOT_FOUND);
}

static void test_a_rename_onto_itself_changes_nothing(void **state)
{
    struct eventual_files *f = *state;

    assert_int_equal(make(f, "a", nothing), 0);
    assert_int_equal(move(f, "a", "a", 0), 0);
    assert_int_equal(f->change_count, 0);
}

static void test_a_file_moves_to_another_directory(void **state)
{
    struct eventual_files *f = *state;
    struct command c = on(f, COMMAND_RENAME, "a");

    assert_int_equal(make(f, "a", slice_of("x")), 0);
    c.to_dir = OTHER_DIR;
    c.to_name = slice_of("a");
    assert_int_equal(execute(f, &c), 0);
    c = on(f, COMMAND_READ, "a");
    assert_int_equal(look(f, &c), ERR_STALE);
    c.dir = OTHER_DIR;
    assert_int_equal(look(f, &c), 0);
    assert_slice_equal(f->result.data, slice_of("x"));
}

static void test_an_exchange_takes_two_files(void **state)
{
    struct eventual_files *f = *state;

    assert_int_equal(make(f, "a", slice_of("1")), 0);
    assert_int_equal(move(f, "a", "b", REQUEST_EXCHANGE), ERR_NOT_FOUND);
    assert_int_equal(make(f, "b", letters(EVENTUAL_INLINE_MAX + 1)), 0);
    assert_int_equal(move(f, "a", "b", REQUEST_EXCHANGE), 0);
    expect_content(f, "b", slice_of("1"));
    expect_content(f, "a", letters(EVENTUAL_INLINE_MAX + 1));
}

static void test_names_of_directories_are_not_for_files(void **state)
{
    struct eventual_files *f = *state;

    add_directory(f, DIR, slice_of("d"), 20, MODE_EVENTUAL);
    assert_int_equal(make(f, "a", nothing), 0);
    assert_int_equal(move(f, "a", "d", 0), ERR_IS_DIR);
    assert_int_equal(move(f, "d", "a", 0), ERR_IS_DIR);
    assert_int_equal(move(f, "a", "d", REQUEST_EXCHANGE), ERR_IS_DIR);
    assert_int_equal(move(f, "a", "d", REQUEST_NOREPLACE), ERR_EXISTS);
}

/* ---- beside a directory ---- */

static void test_a_file_beside_a_directory_is_changed_as_shown(void **state)
{
    struct eventual_files *f = *state;
    struct eventual_shown_name shown;

    assert_int_equal(make(f, "a", slice_of("x")), 0);
    add_directory(f, DIR, slice_of("a"), 20, MODE_EVENTUAL);
    shown = shown_name(f, slice_of("a"));
    assert_int_equal(unlink_name(f, "a"), ERR_IS_DIR);
    assert_int_equal(make(f, shown.data, nothing), 0);
    assert_false(f->result.created);
    assert_int_equal(move(f, shown.data, "b", 0), 0);
    expect_content(f, "b", slice_of("x"));
    assert_int_equal(unlink_name(f, shown.data), ERR_NOT_FOUND);
}

/* A write gives it another version, and so another name. */
static void test_a_handle_outlives_the_name_that_was_shown(void **state)
{
    struct eventual_files *f = *state;
    struct eventual_shown_name shown;

    assert_int_equal(make(f, "a", nothing), 0);
    add_directory(f, DIR, slice_of("a"), 20, MODE_EVENTUAL);
    shown = shown_name(f, slice_of("a"));
    assert_int_equal(write_at(f, shown.data, 0, "x", 0), 0);
    assert_int_equal(write_at(f, shown.data, 1, "y", 0), 0);
    assert_int_equal(write_at(f, "a", 2, "z", 0), 0);
    assert_int_equal(unlink_name(f, shown.data), ERR_NOT_FOUND);
    shown = shown_name(f, slice_of("a"));
    expect_content(f, shown.data, slice_of("xyz"));
    assert_int_equal(unlink_name(f, shown.data), 0);
}

/* ---- extended attributes ---- */

static void test_xattrs_are_set_and_removed(void **state)
{
    struct eventual_files *f = *state;
    struct command c;

    assert_int_equal(make(f, "a", slice_of("x")), 0);
    c = on(f, COMMAND_SETXATTR, "a");
    c.xattr = slice_of("user.k");
    c.data = slice_of("v");
    assert_int_equal(execute(f, &c), 0);
    c.flags = REQUEST_XATTR_CREATE;
    assert_int_equal(execute(f, &c), ERR_EXISTS);
    c.op = COMMAND_GETXATTR;
    assert_int_equal(look(f, &c), 0);
    assert_slice_equal(f->result.data, slice_of("v"));
    c.op = COMMAND_LISTXATTR;
    assert_int_equal(look(f, &c), 0);
    assert_slice_equal(f->result.data, (struct slice){"user.k", 7});
    c.op = COMMAND_REMOVEXATTR;
    assert_int_equal(execute(f, &c), 0);
    assert_int_equal(execute(f, &c), ERR_NO_DATA);
    expect_content(f, "a", slice_of("x"));
}

#define T(name)                                                                \
    cmocka_unit_test_setup_teardown(test_##name, setup_eventual_files,         \
                                    teardown_eventual_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(create_gives_what_exists_unless_exclusive),
        T(a_directory_of_the_catalog_is_what_exists),
        T(a_removed_name_is_free_again),
        T(a_link_has_its_target_as_content),
        T(writes_replace_append_truncate_and_leave_holes),
        T(a_large_file_is_truncated_by_a_write),
        T(a_write_moves_times_and_takes_privileges),
        T(a_file_of_another_number_is_stale),
        T(values_are_bounded_by_both_limits),
        T(growing_and_cutting_go_past_what_is_inline),
        T(a_rename_takes_the_content_and_leaves_a_tombstone),
        T(a_rename_onto_itself_changes_nothing),
        T(a_file_moves_to_another_directory),
        T(an_exchange_takes_two_files),
        T(names_of_directories_are_not_for_files),
        T(a_file_beside_a_directory_is_changed_as_shown),
        T(a_handle_outlives_the_name_that_was_shown),
        T(xattrs_are_set_and_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
