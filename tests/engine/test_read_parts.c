/* SPDX-License-Identifier: Apache-2.0 */

/* Reads of namespaces that lie in several regions: see read.h. */

#include "read_fixture.h"

#include <string.h>

#include "tests/engine/kv_helpers.h"

enum { LATER_NS = 1000000 };

/* ---- the fixture ---- */

/* What a part says of the directory. */
static void put_counts(struct fixture *f, const char *name, uint64_t count,
                       int64_t time_ns, uint64_t version)
{
    put_part(f, name,
             (struct namespace_record){.entry_count = count,
                                       .mtime_ns = time_ns,
                                       .ctime_ns = time_ns + 1,
                                       .version = version});
}

/* The directory has the files a, c, e and g, and is cut at "d". */
static int setup(void **state)
{
    struct fixture *f;

    (void)setup_read(state);
    f = *state;
    for (const char *name = "a\0c\0e\0g\0"; *name != '\0'; name += 2)
        assert_int_equal(create(f->exec, f->dir, name), 0);
    cut(f, 1, RIGHT, "d");
    f->part_count = 2;
    put_counts(f, "", 5, 10, 1);
    put_counts(f, "d", UINT64_MAX, 20, 2);
    return 0;
}

static const struct attr *attr(const struct fixture *f)
{
    return &f->exec->result.attr;
}

static int stat_dir(struct fixture *f)
{
    return read_it(f, &(struct command){.op = COMMAND_GETATTR,
                                        .ino = ino_of_nsid(f->dir)});
}

static int look_up(struct fixture *f, uint64_t dir, const char *name)
{
    return read_it(f, &(struct command){.op = COMMAND_LOOKUP,
                                        .dir = dir,
                                        .name = slice_of(name)});
}

/* The names that come back, one letter each, are in f->names. */
static int list(struct fixture *f, const char *name, uint64_t offset,
                uint64_t size)
{
    struct dirent_view entry;
    size_t position = 0;
    size_t count = 0;
    int rc = read_it(f, &(struct command){.op = COMMAND_READDIR,
                                          .dir = f->dir,
                                          .name = slice_of(name),
                                          .offset = offset,
                                          .size = size});

    memset(f->names, 0, sizeof f->names);
    while (rc == 0 && dirent_next(f->exec->result.data_buf, &position, &entry))
        f->names[count++] = *entry.name;
    return rc;
}

static int list_all(struct fixture *f, const char *name, uint64_t offset)
{
    return list(f, name, offset, READDIR_SIZE_MAX);
}

static int ask_part(struct fixture *f, const char *name)
{
    return read_it(f, &(struct command){.op = COMMAND_PART,
                                        .dir = f->dir,
                                        .name = slice_of(name)});
}

/* ---- directories ---- */

/* One part alone may have a count below 0. */
static void test_the_counts_of_all_parts_are_added_up(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(stat_dir(f), 0);
    assert_int_equal(attr(f)->entry_count, 4);
}

static void test_the_latest_time_of_all_parts_counts(void **state)
{
    struct fixture *f = *state;

    put_counts(f, "", 5, LATER_NS + 5, 8);
    put_counts(f, "d", 0, LATER_NS, 9);
    assert_int_equal(stat_dir(f), 0);
    assert_int_equal(attr(f)->mtime_ns, LATER_NS + 5);
    assert_int_equal(attr(f)->ctime_ns, LATER_NS + 6);
    assert_int_equal(attr(f)->version, 9);
    put_counts(f, "d", 0, LATER_NS + 7, 9);
    assert_int_equal(stat_dir(f), 0);
    assert_int_equal(attr(f)->mtime_ns, LATER_NS + 7);
}

/* At version 50; it may be any time. */
static void set_mtime(struct fixture *f, int64_t mtime_ns)
{
    f->exec->version = 49;
    assert_int_equal(
        run(f->exec, &(struct command){.op = COMMAND_DIR_SETATTR,
                                       .ino = ino_of_nsid(f->dir),
                                       .set_mask = SET_MTIME,
                                       .set = {.mtime_ns = mtime_ns}}),
        0);
}

static void test_an_mtime_set_by_hand_counts_until_a_part_changes(void **state)
{
    struct fixture *f = *state;

    set_mtime(f, 3);
    put_counts(f, "", 5, 100, 40);
    put_counts(f, "d", 0, 200, 49);
    assert_int_equal(stat_dir(f), 0);
    assert_int_equal(attr(f)->mtime_ns, 3);
    put_counts(f, "", 5, 150, 51);
    assert_int_equal(stat_dir(f), 0);
    assert_int_equal(attr(f)->mtime_ns, 150);
}

static void test_a_part_that_is_missing_is_asked_for(void **state)
{
    struct fixture *f = *state;

    f->part_count = 1;
    assert_int_equal(stat_dir(f), ERR_UNAVAILABLE);
    assert_needed(f, f->dir, "d");
    f->part_count = 2;
    assert_int_equal(stat_dir(f), 0);
}

static void test_the_first_part_is_asked_for_too(void **state)
{
    struct fixture *f = *state;

    f->part_count = 0;
    assert_int_equal(stat_dir(f), ERR_UNAVAILABLE);
    assert_needed(f, f->dir, "");
}

static void test_each_of_three_parts_is_asked_for_in_turn(void **state)
{
    struct fixture *f = *state;

    cut(f, 2, RIGHT + 1, "f");
    put_counts(f, "f", 3, 1, 1);
    f->part_count = 1;
    assert_int_equal(stat_dir(f), ERR_UNAVAILABLE);
    assert_needed(f, f->dir, "d");
    f->part_count = 2;
    assert_int_equal(stat_dir(f), ERR_UNAVAILABLE);
    assert_needed(f, f->dir, "f");
    f->part_count = 3;
    assert_int_equal(stat_dir(f), 0);
    assert_int_equal(attr(f)->entry_count, 7);
}

/* There is nothing of it in this node's state. */
static void test_of_a_part_elsewhere_counts_what_its_leader_said(void **state)
{
    struct fixture *f = *state;

    f->parts[1].is_elsewhere = true;
    f->parts[1].attr = (struct attr){.entry_count = 12,
                                     .mtime_ns = LATER_NS,
                                     .ctime_ns = LATER_NS + 1,
                                     .version = 99};
    assert_int_equal(stat_dir(f), 0);
    assert_int_equal(attr(f)->entry_count, 17);
    assert_int_equal(attr(f)->mtime_ns, LATER_NS);
    assert_int_equal(attr(f)->version, 99);
}

static void test_a_part_without_a_record_means_that_it_is_gone(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch = kv_batch_new(f->exec->state);
    struct key key = key_user('n', f->dir, slice_of("d"));

    kv_batch_delete(batch, key_slice(&key));
    assert_int_equal(kv_write(f->exec->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    assert_int_equal(stat_dir(f), ERR_STALE);
}

static void test_a_damaged_part_is_its_regions(void **state)
{
    struct fixture *f = *state;

    put_record(f->exec->state, key_user('n', f->dir, slice_of("d")),
               slice_of("\xff\xff"));
    assert_int_equal(stat_dir(f), ERR_CORRUPT);
    assert_int_equal(f->exec->unknown.region, RIGHT);
}

/* The name lies in one region, what it names begins in another. */
static void test_a_lookup_of_a_directory_needs_all_its_parts(void **state)
{
    struct fixture *f = *state;
    struct key begin = key_user('d', f->dir, slice_of(""));

    f->parts[2] = f->parts[0];
    f->parts[0].range.end = f->parts[2].range.start = key_user_part(&begin);
    f->part_count = 1;
    assert_int_equal(look_up(f, NSID_ROOT, "d"), ERR_UNAVAILABLE);
    assert_needed(f, f->dir, "");
    f->part_count = 3;
    assert_int_equal(look_up(f, NSID_ROOT, "d"), 0);
    assert_int_equal(attr(f)->entry_count, 4);
}

/* ---- files ---- */

static void test_a_file_is_read_in_the_region_that_has_it(void **state)
{
    struct fixture *f = *state;

    f->part_count = 1;
    assert_int_equal(look_up(f, f->dir, "c"), 0);
    assert_int_equal(look_up(f, f->dir, "c2"), ERR_NOT_FOUND);
    assert_int_equal(look_up(f, f->dir, "e"), ERR_UNAVAILABLE);
    assert_needed(f, f->dir, "e");
    f->part_count = 2;
    assert_int_equal(look_up(f, f->dir, "e"), 0);
    assert_int_equal(f->exec->unknown.region, RIGHT);
}

/* ---- listing ---- */

/* And says where the next one begins. */
static void test_a_listing_ends_with_its_region(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(list_all(f, "", 0), 0);
    assert_string_equal(f->names, "ac");
    assert_false(f->exec->result.at_end);
    assert_string_equal(f->exec->result.next, "d");
}

static void test_a_listing_goes_on_in_the_next_region(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(list_all(f, "d", 1), 0);
    assert_string_equal(f->names, "eg");
    assert_true(f->exec->result.at_end);
    assert_string_equal(f->exec->result.next, "");
}

static void test_a_region_that_is_missing_is_asked_for(void **state)
{
    struct fixture *f = *state;

    f->part_count = 1;
    assert_int_equal(list_all(f, "d", 1), ERR_UNAVAILABLE);
    assert_needed(f, f->dir, "d");
}

static void test_a_list_may_begin_with_the_name_itself(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(list_all(f, "e", 1), 0);
    assert_string_equal(f->names, "eg");
    assert_int_equal(list_all(f, "e", 0), 0);
    assert_string_equal(f->names, "g");
}

static void test_a_page_that_is_full_is_not_the_end(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(list(f, "", 0, 20), 0);
    assert_string_equal(f->names, "a");
    assert_false(f->exec->result.at_end);
    assert_string_equal(f->exec->result.next, "");
    assert_int_equal(list(f, "d", 1, 20), 0);
    assert_string_equal(f->names, "e");
    assert_false(f->exec->result.at_end);
}

static void test_a_region_without_names_is_passed_over(void **state)
{
    struct fixture *f = *state;

    cut(f, 2, RIGHT + 1, "d2"); /* Nothing lies from d to d2. */
    f->part_count = 3;
    assert_int_equal(list_all(f, "d", 1), 0);
    assert_string_equal(f->names, "");
    assert_false(f->exec->result.at_end);
    assert_string_equal(f->exec->result.next, "d2");
    assert_int_equal(list_all(f, "d2", 1), 0);
    assert_string_equal(f->names, "eg");
}

/* The region that begins behind it is another namespace's. */
static void
test_a_namespace_that_ends_with_its_region_is_at_its_end(void **state)
{
    struct fixture *f = *state;
    struct key behind = key_behind_namespace('d', f->dir);

    f->parts[1].range.end = key_user_part(&behind);
    assert_int_equal(list_all(f, "d", 1), 0);
    assert_true(f->exec->result.at_end);
    assert_int_equal(stat_dir(f), 0);
    assert_int_equal(attr(f)->entry_count, 4);
}

/* ---- one part ---- */

static void test_a_part_is_told_with_where_its_region_ends(void **state)
{
    struct fixture *f = *state;
    struct slice end = f->parts[0].range.end;

    assert_int_equal(ask_part(f, "a"), 0);
    assert_int_equal(attr(f)->entry_count, 5);
    assert_int_equal(attr(f)->mtime_ns, 10);
    assert_int_equal(attr(f)->ctime_ns, 11);
    assert_int_equal(attr(f)->version, 1);
    assert_true(slice_equal(f->exec->result.data, end));
    assert_int_equal(ask_part(f, "d"), 0);
    assert_int_equal(attr(f)->entry_count, UINT32_MAX);
    assert_int_equal(f->exec->result.data.size, 0);
}

static void test_a_part_is_told_only_by_the_region_that_has_it(void **state)
{
    struct fixture *f = *state;

    f->part_count = 1;
    assert_int_equal(ask_part(f, "d"), ERR_UNAVAILABLE);
}

static void test_a_namespace_that_is_gone_has_no_part(void **state)
{
    struct fixture *f = *state;

    f->dir++;
    assert_int_equal(ask_part(f, ""), ERR_STALE);
}

/* ---- where a read begins ---- */

static void assert_first(struct command command, struct key key)
{
    struct key first = read_first_key(&command);

    assert_true(slice_equal(key_slice(&first), key_slice(&key)));
}

static void test_a_read_begins_where_its_name_lies(void **state)
{
    struct slice name = slice_of("n");
    struct slice none = {NULL, 0};

    (void)state;
    assert_first((struct command){COMMAND_LOOKUP, .dir = 7, .name = name},
                 key_user('d', 7, name));
    assert_first((struct command){COMMAND_GETATTR, .dir = 7, .name = name},
                 key_user('d', 7, name));
    assert_first(
        (struct command){COMMAND_GETATTR, .dir = 7, .ino = ino_of_nsid(9)},
        key_user('d', 9, none));
    assert_first((struct command){COMMAND_READDIR, .dir = 7},
                 key_user('d', 7, none));
    assert_first((struct command){COMMAND_READDIR, .dir = 7, .name = name},
                 key_behind_entry(7, name));
    assert_first(
        (struct command){COMMAND_READDIR, .dir = 7, .name = name, .offset = 1},
        key_user('d', 7, name));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown_read)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_counts_of_all_parts_are_added_up),
        TEST(test_the_latest_time_of_all_parts_counts),
        TEST(test_an_mtime_set_by_hand_counts_until_a_part_changes),
        TEST(test_a_part_that_is_missing_is_asked_for),
        TEST(test_the_first_part_is_asked_for_too),
        TEST(test_each_of_three_parts_is_asked_for_in_turn),
        TEST(test_of_a_part_elsewhere_counts_what_its_leader_said),
        TEST(test_a_part_without_a_record_means_that_it_is_gone),
        TEST(test_a_damaged_part_is_its_regions),
        TEST(test_a_lookup_of_a_directory_needs_all_its_parts),
        TEST(test_a_file_is_read_in_the_region_that_has_it),
        TEST(test_a_listing_ends_with_its_region),
        TEST(test_a_listing_goes_on_in_the_next_region),
        TEST(test_a_region_that_is_missing_is_asked_for),
        TEST(test_a_list_may_begin_with_the_name_itself),
        TEST(test_a_page_that_is_full_is_not_the_end),
        TEST(test_a_region_without_names_is_passed_over),
        TEST(test_a_namespace_that_ends_with_its_region_is_at_its_end),
        TEST(test_a_part_is_told_with_where_its_region_ends),
        TEST(test_a_part_is_told_only_by_the_region_that_has_it),
        TEST(test_a_namespace_that_is_gone_has_no_part),
        TEST(test_a_read_begins_where_its_name_lies),
    };

    return cmocka_run_group_tests_name("read parts", tests, NULL, NULL);
}
