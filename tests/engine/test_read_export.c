/* SPDX-License-Identifier: Apache-2.0 */

/* What of a directory that a transaction has closed is read to make it
 * eventual, page by page and region by region. */

#include "read_fixture.h"

#include <string.h>
#include <sys/stat.h>

#include "engine/eventual_items.h"
#include "engine/xattr.h"

enum { HEADER_SIZE = 4, MTIME_SIZE = 8 };

/* ---- the fixture ---- */

static void forget_page(struct fixture *f)
{
    while (f->count > 0)
        eventual_release(&f->files[--f->count]);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    forget_page(f);
    return teardown_read(state);
}

static void put_file(struct fixture *f, const char *name, size_t size)
{
    assert_int_equal(create_sized(f->exec, f->dir, name, size), 0);
}

/* As a transaction does it whose directory is being filled. */
static void close_it(struct fixture *f)
{
    struct exec_fixture *exec = f->exec;
    struct test_txn txn = txn_to_eventual(exec, NSID_ROOT, "d", f->dir);

    txn.command.offset = begin_filling(exec, f->dir);
    assert_int_equal(prepare(exec, &txn), 0);
    f->txn = txn.command.txn.id;
}

/* A second part begins at `name`, which `txn` has closed. */
static void cut_at(struct fixture *f, const char *name, struct txn_id txn)
{
    cut(f, 1, RIGHT, name);
    f->part_count = 2;
    put_part(f, name, (struct namespace_record){.closing = {.id = txn}});
}

/* Behind `at`, where there are times. */
static void take_apart(struct fixture *f, size_t at)
{
    struct slice data = f->exec->result.data;

    while (at < data.size) {
        const uint8_t *item = (const uint8_t *)data.data + at;
        struct slice bytes = {item + HEADER_SIZE, be32_get(item)};

        assert_true(f->count < FILES_MAX);
        assert_int_equal(eventual_decode(&f->files[f->count++], bytes), 0);
        at += HEADER_SIZE + bytes.size;
    }
    assert_int_equal(at, data.size);
}

/* What is read from `name` on; `offset`: that name, too. */
static int read_page(struct fixture *f, const char *name, uint64_t offset)
{
    const struct command command = {.op = COMMAND_TXN_EXPORT,
                                    .dir = f->dir,
                                    .name = slice_of(name),
                                    .offset = offset,
                                    .txn = {.id = f->txn}};
    bool begins = command.name.size == 0 && offset == 0;
    int rc;

    forget_page(f);
    rc = read_it(f, &command);
    if (rc == 0)
        take_apart(f, begins ? MTIME_SIZE : 0);
    return rc;
}

static int read_first(struct fixture *f)
{
    return read_page(f, "", 0);
}

/* The names of the page, of one letter each. */
static const char *names(const struct fixture *f)
{
    static char letters[FILES_MAX + 1];

    for (size_t i = 0; i < f->count; i++) {
        assert_int_equal(f->files[i].name.size, 1);
        letters[i] = *(const char *)f->files[i].name.data;
    }
    letters[f->count] = '\0';
    return letters;
}

/* ---- what is in it ---- */

static void test_an_empty_directory_is_one_empty_page(void **state)
{
    struct fixture *f = *state;

    close_it(f);
    assert_int_equal(read_first(f), 0);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->exec->result.offset, 0);
    assert_true(f->exec->result.at_end);
}

static void test_files_come_in_the_order_of_their_names(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(create(f->exec, NSID_ROOT, "other"), 0);
    put_file(f, "b", 0);
    put_file(f, "a", 3);
    put_file(f, "c", 10);
    close_it(f);
    assert_int_equal(read_first(f), 0);
    assert_string_equal(names(f), "abc");
    assert_true(f->exec->result.at_end);
    assert_int_equal(strlen(f->exec->result.next), 0);
}

static void test_a_file_comes_with_all_that_it_has(void **state)
{
    struct fixture *f = *state;
    struct command c;
    struct slice value;

    put_file(f, "a", 3);
    c = (struct command){.op = COMMAND_SETXATTR,
                         .dir = f->dir,
                         .name = slice_of("a"),
                         .ino = f->exec->ino,
                         .xattr = slice_of("user.x"),
                         .data = slice_of("1")};
    assert_int_equal(run(f->exec, &c), 0);
    assert_int_equal(lookup(f->exec, f->dir, "a"), 0);
    close_it(f);
    assert_int_equal(read_first(f), 0);
    assert_int_equal(f->files[0].dir, f->dir);
    assert_false(f->files[0].removed);
    assert_int_equal(f->files[0].attr.ino, c.ino);
    assert_int_equal(f->files[0].attr.mode, S_IFREG | 0644);
    assert_true(f->files[0].attr.mtime_ns != 0);
    assert_int_equal(f->files[0].attr.size, 3);
    assert_int_equal(f->files[0].content.size, 3);
    assert_int_equal(xattr_get(f->files[0].xattrs, c.xattr, &value), 0);
    assert_true(slice_equal(value, c.data));
}

static void test_a_symbolic_link_comes_with_its_target(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run(f->exec, &(struct command){.op = COMMAND_CREATE,
                                                    .dir = f->dir,
                                                    .name = slice_of("l"),
                                                    .ino = 99,
                                                    .set.mode = S_IFLNK | 0777,
                                                    .data = slice_of("to/it")}),
                     0);
    close_it(f);
    assert_int_equal(read_first(f), 0);
    assert_int_equal(f->files[0].attr.mode, S_IFLNK | 0777);
    assert_true(slice_equal(f->files[0].content, slice_of("to/it")));
}

/* Its chunks lie between its entry and the next one. */
static void test_the_content_of_a_large_file_is_put_together(void **state)
{
    struct fixture *f = *state;
    const size_t size = 3 * CHUNK_SIZE + 5;
    const struct eventual_record *file = &f->files[0];

    put_file(f, "a", size);
    put_file(f, "b", 1);
    close_it(f);
    assert_int_equal(read_first(f), 0);
    assert_string_equal(names(f), "ab");
    assert_int_equal(file->content.size, size);
    for (size_t i = 0; i < size; i += 1000)
        assert_int_equal(((const char *)file->content.data)[i],
                         *(const char *)file->content.data);
    assert_true(*(const char *)file->content.data != '\0');
}

static void test_a_hole_is_read_as_zeroes(void **state)
{
    struct fixture *f = *state;
    const struct eventual_record *file = &f->files[0];

    put_file(f, "a", 1);
    assert_int_equal(run(f->exec, &(struct command){.op = COMMAND_SETATTR,
                                                    .dir = f->dir,
                                                    .name = slice_of("a"),
                                                    .ino = f->exec->ino,
                                                    .set_mask = SET_SIZE,
                                                    .set.size = 200000}),
                     0);
    close_it(f);
    assert_int_equal(read_first(f), 0);
    assert_int_equal(file->content.size, 200000);
    assert_int_not_equal(((const char *)file->content.data)[0], 0);
    assert_int_equal(((const char *)file->content.data)[1], 0);
    assert_int_equal(((const char *)file->content.data)[199999], 0);
}

/* ---- pages ---- */

static void test_a_page_goes_on_behind_the_last_name(void **state)
{
    struct fixture *f = *state;
    char name[2] = "a";
    unsigned pages = 0;
    size_t count = 0;

    for (*name = 'a'; *name <= 't'; (*name)++)
        put_file(f, name, 50000);
    close_it(f);
    *name = '\0';
    do {
        assert_int_equal(read_page(f, name, 0), 0);
        assert_in_range(f->exec->result.data.size, 200000,
                        MTIME_SIZE + EVENTUAL_ITEMS_SIZE);
        assert_int_equal(names(f)[0], 'a' + (int)count);
        assert_int_equal(strlen(f->exec->result.next), 0);
        count += f->count;
        pages++;
        *name = names(f)[f->count - 1];
    } while (!f->exec->result.at_end);
    assert_int_equal(count, 20);
    assert_int_equal(pages, 4);
}

static void test_the_largest_file_is_a_page_of_its_own(void **state)
{
    struct fixture *f = *state;

    put_file(f, "a", 1);
    put_file(f, "b", EVENTUAL_VALUE_SIZE_MAX);
    put_file(f, "c", 1);
    close_it(f);
    assert_int_equal(read_first(f), 0);
    assert_string_equal(names(f), "a");
    assert_false(f->exec->result.at_end);
    assert_int_equal(read_page(f, "a", 0), 0);
    assert_string_equal(names(f), "b");
    assert_int_equal(f->files[0].content.size, EVENTUAL_VALUE_SIZE_MAX);
    assert_false(f->exec->result.at_end);
    assert_int_equal(read_page(f, "b", 0), 0);
    assert_string_equal(names(f), "c");
    assert_true(f->exec->result.at_end);
}

/* ---- regions ---- */

static void test_a_page_ends_with_its_region(void **state)
{
    struct fixture *f = *state;

    put_file(f, "a", 1);
    put_file(f, "c", 1);
    put_file(f, "e", 1);
    close_it(f);
    cut_at(f, "d", f->txn);
    assert_int_equal(read_first(f), 0);
    assert_string_equal(names(f), "ac");
    assert_false(f->exec->result.at_end);
    assert_string_equal(f->exec->result.next, "d");
    assert_int_equal(read_page(f, "d", 1), 0);
    assert_string_equal(names(f), "e");
    assert_true(f->exec->result.at_end);
}

static void test_the_first_name_of_a_region_is_not_left_out(void **state)
{
    struct fixture *f = *state;

    put_file(f, "a", 1);
    put_file(f, "d", 1);
    close_it(f);
    cut_at(f, "d", f->txn);
    assert_int_equal(read_page(f, "d", 1), 0);
    assert_string_equal(names(f), "d");
    assert_int_equal(read_page(f, "d", 0), 0);
    assert_string_equal(names(f), "");
}

/* There may be more in the same region. */
static void test_a_full_page_does_not_name_the_next_region(void **state)
{
    struct fixture *f = *state;

    put_file(f, "a", 1);
    put_file(f, "b", EVENTUAL_ITEMS_SIZE);
    put_file(f, "e", 1);
    close_it(f);
    cut_at(f, "d", f->txn);
    assert_int_equal(read_first(f), 0);
    assert_string_equal(names(f), "a");
    assert_false(f->exec->result.at_end);
    assert_int_equal(strlen(f->exec->result.next), 0);
}

static void test_a_region_that_is_missing_is_asked_for(void **state)
{
    struct fixture *f = *state;

    close_it(f);
    cut_at(f, "d", f->txn);
    f->part_count = 1;
    assert_int_equal(read_page(f, "d", 1), ERR_UNAVAILABLE);
    assert_needed(f, f->dir, "d");
}

/* ---- what cannot be taken along ---- */

/* All nodes have their names. */
static void test_directories_in_it_are_left_out(void **state)
{
    struct fixture *f = *state;

    put_file(f, "b", 1);
    put_file(f, "d", 1);
    (void)make_dir(f->exec, f->dir, "a");
    (void)make_dir(f->exec, f->dir, "c");
    (void)make_dir(f->exec, f->dir, "e");
    close_it(f);
    assert_int_equal(read_first(f), 0);
    assert_string_equal(names(f), "bd");
    assert_true(f->exec->result.at_end);
    assert_int_equal(read_page(f, "d", 0), 0);
    assert_string_equal(names(f), "");
    assert_true(f->exec->result.at_end);
}

static void test_a_file_that_is_too_large_is_refused(void **state)
{
    struct fixture *f = *state;

    put_file(f, "a", EVENTUAL_VALUE_SIZE_MAX + 1);
    close_it(f);
    assert_int_equal(read_first(f), ERR_TOO_LARGE);
}

/* What is in a part that is not closed may change. */
static void test_only_what_is_held_is_read(void **state)
{
    struct fixture *f = *state;
    struct txn_id other;

    put_file(f, "a", 1);
    put_file(f, "e", 1);
    f->txn = (struct txn_id){1, 2, 3};
    assert_int_equal(read_first(f), ERR_ABORTED);
    close_it(f);
    other = f->txn;
    other.sequence++;
    cut_at(f, "d", other);
    assert_int_equal(read_first(f), 0);
    assert_int_equal(read_page(f, "d", 1), ERR_ABORTED);
    f->txn = other;
    assert_int_equal(read_first(f), ERR_ABORTED);
}

static void test_a_part_that_is_gone_is_not_held(void **state)
{
    struct fixture *f = *state;

    f->dir = f->dir + 1000; /* Whatever the catalog says. */
    f->txn = (struct txn_id){1, 2, 3};
    assert_int_equal(read_first(f), ERR_ABORTED);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup_read, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_directory_is_one_empty_page),
        TEST(test_files_come_in_the_order_of_their_names),
        TEST(test_a_file_comes_with_all_that_it_has),
        TEST(test_a_symbolic_link_comes_with_its_target),
        TEST(test_the_content_of_a_large_file_is_put_together),
        TEST(test_a_hole_is_read_as_zeroes),
        TEST(test_a_page_goes_on_behind_the_last_name),
        TEST(test_the_largest_file_is_a_page_of_its_own),
        TEST(test_a_page_ends_with_its_region),
        TEST(test_the_first_name_of_a_region_is_not_left_out),
        TEST(test_a_full_page_does_not_name_the_next_region),
        TEST(test_a_region_that_is_missing_is_asked_for),
        TEST(test_directories_in_it_are_left_out),
        TEST(test_a_file_that_is_too_large_is_refused),
        TEST(test_only_what_is_held_is_read),
        TEST(test_a_part_that_is_gone_is_not_held),
    };

    return cmocka_run_group_tests_name("read_export", tests, NULL, NULL);
}
