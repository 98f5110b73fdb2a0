/* SPDX-License-Identifier: Apache-2.0 */

/* What reads find in an eventual directory. */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "codec_helpers.h"
#include "eventual_files.h"
#include "kv_helpers.h"

enum { PAGE = 64 * 1024, DIRENT_SIZE = 8 + 4 + 1 + 1 };

static const struct slice start = {NULL, 0};

static int lookup(struct eventual_files *f, const char *name)
{
    struct command c = on(f, COMMAND_LOOKUP, name);

    return look(f, &c);
}

static int get_directory(struct eventual_files *f, uint64_t nsid)
{
    struct command c = on(f, COMMAND_GETATTR, "");

    c.ino = ino_of_nsid(nsid);
    return look(f, &c);
}

static void put_namespace(struct eventual_files *f, uint64_t nsid,
                          struct eventual_namespace record)
{
    struct buf *bytes = eventual_namespace_encode(&record);

    put_record(f->state, key_eventual_namespace(nsid), buf_slice(bytes));
    buf_unref(bytes);
}

/* ---- lookup, getattr, read ---- */

static void test_a_name_is_a_directory_first_and_then_a_file(void **state)
{
    struct eventual_files *f = *state;

    assert_int_equal(lookup(f, "a"), ERR_NOT_FOUND);
    assert_int_equal(make(f, "a", start), 0);
    assert_int_equal(lookup(f, "a"), 0);
    assert_int_equal(f->result.attr.ino, f->ino);
    assert_int_equal(f->result.attr.version, f->hlc);
    add_directory(f, DIR, slice_of("a"), 20, MODE_EVENTUAL);
    assert_int_equal(lookup(f, "a"), 0);
    assert_int_equal(f->result.attr.ino, ino_of_nsid(20));
    assert_int_equal(lookup(f, shown_name(f, slice_of("a")).data), 0);
    assert_int_equal(f->result.attr.ino, f->ino);
}

static void test_a_shown_name_takes_a_directory_and_the_version(void **state)
{
    struct eventual_files *f = *state;
    struct eventual_shown_name shown;

    assert_int_equal(make(f, "a", start), 0);
    shown = shown_name(f, slice_of("a"));
    assert_int_equal(lookup(f, shown.data), ERR_NOT_FOUND);
    add_directory(f, DIR, slice_of("a"), 20, MODE_EVENTUAL);
    assert_int_equal(lookup(f, shown.data), 0);
    shown.data[shown.size - 1] ^= 1;
    assert_int_equal(lookup(f, shown.data), ERR_NOT_FOUND);
    shown.data[shown.size - 1] = 'x';
    assert_int_equal(lookup(f, shown.data), ERR_NOT_FOUND);
}

static void test_what_really_has_a_shown_name_has_it(void **state)
{
    struct eventual_files *f = *state;
    struct eventual_shown_name shown;
    char text[NAME_SIZE_MAX + 8];

    assert_int_equal(make(f, "a", start), 0);
    shown = shown_name(f, slice_of("a"));
    assert_int_equal(make(f, shown.data, start), 0);
    add_directory(f, DIR, slice_of("a"), 20, MODE_EVENTUAL);
    assert_int_equal(lookup(f, shown.data), 0);
    assert_int_equal(f->result.attr.ino, f->ino);
    (void)snprintf(text, sizeof text, "a/ %s", shown.data);
    assert_string_equal(page(f, start, false, PAGE), text);
}

static void test_handles_mean_one_file(void **state)
{
    struct eventual_files *f = *state;
    struct command c;

    assert_int_equal(make(f, "a", slice_of("x")), 0);
    c = on(f, COMMAND_GETATTR, "a");
    assert_int_equal(look(f, &c), 0);
    assert_int_equal(f->result.attr.size, 1);
    c.ino++;
    assert_int_equal(look(f, &c), ERR_STALE);
    c.op = COMMAND_READ;
    assert_int_equal(look(f, &c), ERR_STALE);
    assert_int_equal(get_directory(f, 99), ERR_STALE);
}

static void test_a_read_gives_the_bytes_that_are_there(void **state)
{
    struct eventual_files *f = *state;
    struct command c;

    assert_int_equal(make(f, "a", letters(EVENTUAL_INLINE_MAX + 2)), 0);
    c = on(f, COMMAND_READ, "a");
    c.offset = EVENTUAL_INLINE_MAX;
    assert_int_equal(look(f, &c), 0);
    assert_slice_equal(f->result.data, slice_of("xx"));
    assert_int_equal(f->result.attr.size, EVENTUAL_INLINE_MAX + 2);
    c.offset = UINT64_MAX;
    assert_int_equal(look(f, &c), 0);
    assert_int_equal(f->result.data.size, 0);
    c.size = WRITE_SIZE_MAX + 1;
    assert_int_equal(look(f, &c), ERR_INVALID);
}

/* ---- directories ---- */

/* Its directories would have to be gone through, at each lookup. */
static void test_a_directory_counts_its_files(void **state)
{
    struct eventual_files *f = *state;

    assert_int_equal(get_directory(f, DIR), 0);
    assert_int_equal(f->result.attr.entry_count, 0);
    add_directory(f, DIR, slice_of("d"), 20, MODE_EVENTUAL);
    add_directory(f, DIR, slice_of("e"), 21, MODE_STRONG);
    put_namespace(f, DIR,
                  (struct eventual_namespace){3, 900, 1001, 5, 5, 0, true});
    assert_int_equal(get_directory(f, DIR), 0);
    assert_int_equal(f->result.attr.entry_count, 3);
    assert_int_equal(f->result.attr.mtime_ns, 900);
    assert_int_equal(f->result.attr.ctime_ns, 900);
    assert_int_equal(f->result.attr.version, 1001);
}

static void test_a_strong_one_below_is_as_the_catalog_says(void **state)
{
    struct eventual_files *f = *state;

    add_directory(f, DIR, slice_of("d"), 20, MODE_STRONG);
    put_namespace(f, 20,
                  (struct eventual_namespace){3, 900, 1001, 5, 5, 0, true});
    assert_int_equal(lookup(f, "d"), 0);
    assert_int_equal(f->result.attr.ino, ino_of_nsid(20));
    assert_int_equal(f->result.attr.entry_count, 0);
    assert_int_equal(f->result.attr.mtime_ns, 0);
}

static void test_an_mtime_set_by_hand_holds_until_a_change_inside(void **state)
{
    struct eventual_files *f = *state;
    const struct directory directory = {
        .nsid = DIR,
        .name = slice_of("dir"),
        .attr = {.ino = ino_of_nsid(DIR), .mtime_ns = 5, .version = 1000},
        .mtime_version = 1000,
        .mode = {.state = MODE_EVENTUAL},
    };
    struct buf *bytes = directory_encode(&directory);

    put_record(f->state, key_directory(DIR), buf_slice(bytes));
    buf_unref(bytes);
    put_namespace(f, DIR,
                  (struct eventual_namespace){3, 900, 999, 5, 5, 0, true});
    assert_int_equal(get_directory(f, DIR), 0);
    assert_int_equal(f->result.attr.mtime_ns, 5);
    assert_int_equal(f->result.attr.version, 1000);
    put_namespace(f, DIR,
                  (struct eventual_namespace){3, 900, 1001, 5, 5, 0, true});
    assert_int_equal(get_directory(f, DIR), 0);
    assert_int_equal(f->result.attr.mtime_ns, 900);
}

/* ---- listing ---- */

static void test_files_and_directories_are_listed_in_one_order(void **state)
{
    struct eventual_files *f = *state;
    struct command c = on(f, COMMAND_UNLINK, "b");

    assert_string_equal(page(f, start, false, PAGE), "");
    assert_true(f->result.at_end);
    assert_int_equal(make(f, "a", start), 0);
    assert_int_equal(make(f, "b", start), 0);
    assert_int_equal(make(f, "d", start), 0);
    add_directory(f, DIR, slice_of("c"), 20, MODE_EVENTUAL);
    add_directory(f, DIR, slice_of("e"), 21, MODE_STRONG);
    add_directory(f, OTHER_DIR, slice_of("x"), 22, MODE_EVENTUAL);
    assert_int_equal(execute(f, &c), 0);
    assert_string_equal(page(f, start, false, PAGE), "a c/ d e/");
    assert_string_equal(page(f, slice_of("c"), false, PAGE), "d e/");
    assert_string_equal(page(f, slice_of("c"), true, PAGE), "c/ d e/");
    assert_string_equal(page(f, slice_of("e"), false, PAGE), "");
}

static void test_a_page_ends_where_it_is_full(void **state)
{
    struct eventual_files *f = *state;

    assert_int_equal(make(f, "a", start), 0);
    add_directory(f, DIR, slice_of("b"), 20, MODE_EVENTUAL);
    assert_int_equal(make(f, "c", start), 0);
    assert_string_equal(page(f, start, false, 2 * DIRENT_SIZE + 2), "a b/");
    assert_false(f->result.at_end);
    assert_string_equal(f->result.next, "");
    assert_string_equal(page(f, slice_of("b"), false, DIRENT_SIZE + 1), "c");
    assert_true(f->result.at_end);
}

static void test_a_directory_that_is_gone_is_not_listed(void **state)
{
    struct eventual_files *f = *state;
    struct command c = on(f, COMMAND_READDIR, "");

    c.dir = 99;
    assert_int_equal(look(f, &c), ERR_STALE);
}

/* Goes through the listing name by name; each is found by itself, too. */
static size_t list_one_by_one(struct eventual_files *f, char *to)
{
    char last[NAME_SIZE_MAX + 2] = ""; /* with a slash */
    size_t count = 0;

    *to = '\0';
    for (;;) {
        const char *text;
        size_t size = DIRENT_SIZE;

        do
            text = page(f, slice_of(last), false, size++);
        while (text[0] == '\0' && !f->result.at_end);
        if (text[0] == '\0')
            return count;
        assert_true(memchr(text, '/', strlen(text) - 1) == NULL);
        strcat(to, *to != '\0' ? " " : "");
        strcat(to, text);
        memcpy(last, text, strlen(text) + 1);
        if (last[strlen(last) - 1] == '/')
            last[strlen(last) - 1] = '\0';
        assert_int_equal(lookup(f, last), 0);
        count++;
    }
}

static void make_both(struct eventual_files *f, const char *name)
{
    assert_int_equal(make(f, name, start), 0);
    add_directory(f, DIR, slice_of(name), 20 + f->ino, MODE_EVENTUAL);
}

/* Each once, and in order, wherever a page begins. */
static void test_files_beside_directories_keep_the_order(void **state)
{
    static const char all[] = "a/ a\x01 a!/ a!~file-00000000000003ea "
                              "a~fi/ a~file-00000000000003e9 a~fi~file-"
                              "00000000000003eb a~g b";
    struct eventual_files *f = *state;
    char one_by_one[4096];

    make_both(f, "a");
    make_both(f, "a!");
    make_both(f, "a~fi");
    assert_int_equal(make(f, "a\x01", start), 0);
    assert_int_equal(make(f, "a~g", start), 0);
    assert_int_equal(make(f, "b", start), 0);
    assert_string_equal(page(f, start, false, PAGE), all);
    assert_int_equal(list_one_by_one(f, one_by_one), 9);
    assert_string_equal(one_by_one, all);
}

/* 'x' is before '~', and a letter with its high bit set is behind it. */
static void
test_names_that_are_too_long_are_cut_where_they_are_shown(void **state)
{
    struct eventual_files *f = *state;
    char name[NAME_SIZE_MAX + 1];
    char one_by_one[8192];
    char whole[8192];

    memset(name, 'x', NAME_SIZE_MAX);
    name[NAME_SIZE_MAX] = '\0';
    make_both(f, name);
    assert_int_equal(shown_name(f, slice_of(name)).size, NAME_SIZE_MAX);
    name[EVENTUAL_STEM_MAX] = '\xc3';
    make_both(f, name);
    name[EVENTUAL_STEM_MAX] = '\0';
    make_both(f, name);
    strcpy(whole, page(f, start, false, PAGE));
    assert_int_equal(list_one_by_one(f, one_by_one), 6);
    assert_string_equal(one_by_one, whole);
}

#define T(name)                                                                \
    cmocka_unit_test_setup_teardown(test_##name, setup_eventual_files,         \
                                    teardown_eventual_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_name_is_a_directory_first_and_then_a_file),
        T(a_shown_name_takes_a_directory_and_the_version),
        T(what_really_has_a_shown_name_has_it),
        T(handles_mean_one_file),
        T(a_read_gives_the_bytes_that_are_there),
        T(a_directory_counts_its_files),
        T(a_strong_one_below_is_as_the_catalog_says),
        T(an_mtime_set_by_hand_holds_until_a_change_inside),
        T(files_and_directories_are_listed_in_one_order),
        T(a_page_ends_where_it_is_full),
        T(a_directory_that_is_gone_is_not_listed),
        T(files_beside_directories_keep_the_order),
        T(names_that_are_too_long_are_cut_where_they_are_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
