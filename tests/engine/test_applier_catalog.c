/* SPDX-License-Identifier: Apache-2.0 */

/* What an applier tells of the entries that may have changed the catalog. */

#include <string.h>

#include "entries_fixture.h"

struct followed {
    struct fixture *f;
    uint64_t nsids[4];
    size_t count;
};

static void on_catalog(void *context, uint64_t nsid, uint64_t version)
{
    struct followed *followed = context;

    assert_int_equal(applier_marker(followed->f->applier)->version, version);
    assert_true(followed->count < ARRAY_SIZE(followed->nsids));
    followed->nsids[followed->count++] = nsid;
}

/* Expects these, and that nothing else was told since the last time. */
static void expect_followed(struct followed *followed, size_t count,
                            uint64_t first)
{
    assert_int_equal(followed->count, count);
    assert_int_equal(followed->nsids[0], first);
    followed->count = 0;
}

static struct command deciding(const struct catalog_change *changes,
                               size_t count)
{
    static uint64_t sequence = 1000;
    struct command c = {.op = COMMAND_TXN_DECIDE,
                        .txn = {.id = {NODE, 1, ++sequence}, .dir = 1},
                        .change_count = count};

    memcpy(c.changes, changes, count * sizeof *changes);
    return c;
}

static void test_each_directory_that_a_decision_names_is_told(void **state)
{
    const struct catalog_change changes[] = {
        {.kind = CATALOG_ADD, .nsid = 7, .parent = 1, .name = slice_of("a")},
        {.kind = CATALOG_ADD, .nsid = 8, .parent = 1, .name = slice_of("b")}};
    struct fixture *f = *state;
    struct followed followed = {.f = f};
    struct command c = deciding(changes, 2);

    applier_watch_catalog(f->applier, on_catalog, &followed);
    assert_int_equal(apply(f, &c), 0);
    assert_int_equal(followed.nsids[1], 8);
    expect_followed(&followed, 2, 7);
    c = deciding(changes, 0);
    assert_int_equal(apply(f, &c), 0);
    expect_followed(&followed, 1, 0);
}

static void test_directories_of_commands_are_told(void **state)
{
    const struct catalog_change add = {
        .kind = CATALOG_ADD, .nsid = 7, .parent = 1, .name = slice_of("a")};
    const struct catalog_change change = {.kind = CATALOG_EVENTUAL, .nsid = 7};
    struct fixture *f = *state;
    struct followed followed = {.f = f};
    struct command c = deciding(&add, 1);

    assert_int_equal(apply(f, &c), 0);
    applier_watch_catalog(f->applier, on_catalog, &followed);
    c = deciding(&change, 1);
    assert_int_equal(apply(f, &c), 0);
    expect_followed(&followed, 1, 7);
    c = (struct command){
        .op = COMMAND_DIR_ADD, .dir = 7, .name = slice_of("b")};
    assert_int_equal(apply(f, &c), 0);
    expect_followed(&followed, 1, nsid_of_ino(f->result.attr.ino));
    assert_int_equal(apply(f, &c), ERR_EXISTS);
    expect_followed(&followed, 1, 0);
    c = (struct command){.op = COMMAND_DIR_MODE, .ino = ino_of_nsid(7)};
    assert_int_equal(apply(f, &c), ERR_ABORTED);
    expect_followed(&followed, 1, 7);
    c.op = COMMAND_DIR_OWN;
    assert_int_equal(apply(f, &c), ERR_ABORTED);
    expect_followed(&followed, 1, 7);
}

static void test_a_directory_that_is_about_to_be_filled_is_told(void **state)
{
    const struct catalog_change add = {
        .kind = CATALOG_ADD, .nsid = 7, .parent = 1, .name = slice_of("a")};
    struct fixture *f = *state;
    struct followed followed = {.f = f};
    struct command c = deciding(&add, 1);

    assert_int_equal(apply(f, &c), 0);
    applier_watch_catalog(f->applier, on_catalog, &followed);
    c = (struct command){.op = COMMAND_DIR_FILL, .ino = ino_of_nsid(7)};
    assert_int_equal(apply(f, &c), 0);
    expect_followed(&followed, 1, 7);
    c = (struct command){.op = COMMAND_DIR_MODE,
                         .ino = ino_of_nsid(7),
                         .size = MODE_STRONG,
                         .offset = f->result.first_id};
    assert_int_equal(apply(f, &c), 0);
    expect_followed(&followed, 1, 7);
}

static void test_all_other_entries_are_told_once(void **state)
{
    struct raft_entry entry = {.term = 5};
    struct fixture *f = *state;
    struct followed followed = {.f = f};
    struct buf *bytes = NULL;

    applier_watch_catalog(f->applier, on_catalog, &followed);
    assert_int_equal(create_file(f, 1, "a"), 0);
    expect_followed(&followed, 1, 0);
    entry.index = ++f->index;
    assert_int_equal(applier_apply(f->applier, &entry, &bytes), 0);
    expect_followed(&followed, 1, 0);
    entry.index = ++f->index;
    assert_int_equal(applier_apply_region(f->applier, &entry, NULL), 0);
    expect_followed(&followed, 1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_directory_that_a_decision_names_is_told),
        TEST(test_directories_of_commands_are_told),
        TEST(test_a_directory_that_is_about_to_be_filled_is_told),
        TEST(test_all_other_entries_are_told_once),
    };

    return cmocka_run_group_tests_name("applier_catalog", tests, NULL, NULL);
}
