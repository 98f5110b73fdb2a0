/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/node.h"
#include "exec_fixture.h"

#define ROOT NSID_ROOT

enum { CHUNKED = 3 * 65536 + 5 };

/* ---- intents ---- */

static struct command lookup_of(uint64_t dir, const char *name)
{
    return (struct command){
        .op = COMMAND_LOOKUP, .dir = dir, .name = slice_of(name)};
}

/* Unknown at first; still there at the second look, so undecided until then. */
static void
test_an_undecided_intent_counts_as_before_at_the_third_look(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t nsid = make_dir(f, ROOT, "d");
    struct test_txn txn = txn_rename(f, ROOT, "d", ROOT, "e", 0);
    struct command from = lookup_of(ROOT, "d");
    struct command to = lookup_of(ROOT, "e");

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(run_read(f, &from), ERR_LOCKED);
    assert_int_equal(f->unknown.count, 1);
    assert_true(txn_id_equal(f->unknown.txn[0], txn.command.txn.id));
    assert_int_equal(run_read(f, &from), ERR_LOCKED);
    assert_int_equal(run_read(f, &from), 0);
    assert_int_equal(f->result.attr.ino, ino_of_nsid(nsid));
    assert_int_equal(run_read_again(f, &to), ERR_NOT_FOUND);
}

static void test_a_committed_intent_counts_at_the_second_look(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t nsid = make_dir(f, ROOT, "d");
    struct test_txn txn = txn_rename(f, ROOT, "d", ROOT, "e", 0);
    struct command from = lookup_of(ROOT, "d");
    struct command to = lookup_of(ROOT, "e");

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(run_read(f, &from), ERR_LOCKED);
    assert_int_equal(run_read(f, &from), ERR_NOT_FOUND);
    assert_int_equal(run_read_again(f, &to), 0);
    assert_int_equal(f->result.attr.ino, ino_of_nsid(nsid));
    assert_int_equal(f->unknown.count, 0);
}

static void test_an_aborted_intent_counts_as_before(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rmdir(f, ROOT, "d");
    struct command c = lookup_of(ROOT, "d");

    (void)make_dir(f, ROOT, "d");
    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(abort_txn(f, &txn), 0);
    assert_int_equal(run_read_again(f, &c), 0);
    assert_int_equal(f->unknown.count, 0);
}

/* This node may have applied more of the data region than of region 0: the
 * listing would show what was made after the directory, and not it. */
static void
test_a_listing_counts_when_nothing_has_changed_in_between(void **state)
{
    struct exec_fixture *f = *state;
    const struct command list = {
        .op = COMMAND_READDIR, .dir = ROOT, .size = READDIR_SIZE_MAX};
    struct test_txn txn = txn_mkdir(f, ROOT, "d");

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(run_read(f, &list), ERR_LOCKED);
    assert_int_equal(run_read(f, &list), ERR_LOCKED);
    assert_int_equal(create_sized(f, ROOT, "a", 1), 0);
    assert_int_equal(run_read(f, &list), ERR_LOCKED);
    assert_int_equal(run_read(f, &list), ERR_LOCKED);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(run_read(f, &list), ERR_LOCKED);
    assert_int_equal(run_read(f, &list), 0);
}

/* The decision arrives between the two looks: it counts, not the note. */
static void test_a_decision_counts_more_than_not_having_known_it(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_mkdir(f, ROOT, "d");
    struct command c = lookup_of(ROOT, "d");

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(run_read(f, &c), ERR_LOCKED);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(run_read(f, &c), ERR_LOCKED);
    assert_int_equal(run_read(f, &c), 0);
}

static void test_another_transaction_is_not_the_noted_one(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn one = txn_mkdir(f, ROOT, "d");
    struct test_txn two = txn_mkdir(f, ROOT, "d");
    struct command c = lookup_of(ROOT, "d");

    assert_int_equal(prepare(f, &one), 0);
    assert_int_equal(run_read(f, &c), ERR_LOCKED);
    roll_back(f, &one);
    assert_int_equal(prepare(f, &two), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(run_read(f, &c), ERR_LOCKED);
    assert_int_equal(run_read(f, &c), ERR_NOT_FOUND);
}

/* What a dead coordinator has committed is served without anybody's help. */
static void
test_a_committed_move_is_read_before_its_chunks_are_brought(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_rename(f, ROOT, "d", ROOT, "c", REQUEST_EXCHANGE);
    struct command c = {.op = COMMAND_READ,
                        .dir = ROOT,
                        .name = slice_of("d"),
                        .offset = 65530,
                        .size = CHUNKED};

    (void)make_dir(f, ROOT, "d");
    assert_int_equal(create_sized(f, ROOT, "c", CHUNKED), 0);
    c.ino = f->ino;
    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(run_read_again(f, &c), 0);
    assert_int_equal(f->result.data.size, CHUNKED - 65530);
    assert_int_equal(*(const char *)f->result.data.data,
                     'a' + (f->ino - 1) % 26);
}

/* ---- attributes ---- */

static void test_a_directory_shows_the_later_of_its_times(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t nsid = make_dir(f, ROOT, "d");
    struct command c = {.op = COMMAND_GETATTR, .ino = ino_of_nsid(nsid)};
    int64_t mtime_ns;

    assert_int_equal(run_read(f, &c), 0);
    mtime_ns = f->result.attr.mtime_ns;
    assert_int_equal(create(f, nsid, "a"), 0);
    assert_int_equal(run_read(f, &c), 0);
    assert_true(f->result.attr.mtime_ns > mtime_ns);
    assert_int_equal(f->result.attr.entry_count, 1);
    assert_int_equal(f->result.attr.mode, S_IFDIR | 0700);
}

static void test_a_handle_does_not_mean_a_new_file_of_the_name(void **state)
{
    struct exec_fixture *f = *state;
    struct command c = {
        .op = COMMAND_GETATTR, .dir = ROOT, .name = slice_of("a")};

    assert_int_equal(create(f, ROOT, "a"), 0);
    c.ino = f->ino;
    assert_int_equal(run_read(f, &c), 0);
    assert_int_equal(unlink_file(f, ROOT, "a"), 0);
    assert_int_equal(run_read(f, &c), ERR_STALE);
    assert_int_equal(create(f, ROOT, "a"), 0);
    assert_int_equal(run_read(f, &c), ERR_STALE);
    c.op = COMMAND_READ;
    assert_int_equal(run_read(f, &c), ERR_STALE);
}

static void test_a_removed_directory_is_stale(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t nsid = make_dir(f, ROOT, "d");
    struct command c = {.op = COMMAND_GETATTR, .ino = ino_of_nsid(nsid)};

    commit(f, txn_rmdir(f, ROOT, "d"));
    assert_int_equal(run_read(f, &c), ERR_STALE);
    c.op = COMMAND_READDIR;
    c.dir = nsid;
    c.size = 1000;
    assert_int_equal(run_read(f, &c), ERR_STALE);
}

/* ---- readdir ---- */

/* Lists in pages of `size` bytes; names are joined in `ret`. */
static unsigned list_pages(struct exec_fixture *f, uint64_t dir, uint64_t size,
                           char *ret)
{
    char last[NAME_SIZE_MAX + 1] = "";
    unsigned pages = 0;

    for (ret[0] = '\0', f->result.at_end = false; !f->result.at_end; pages++) {
        struct dirent_view entry;
        size_t position = 0;

        assert_int_equal(run_read(f, &(struct command){.op = COMMAND_READDIR,
                                                       .dir = dir,
                                                       .name = slice_of(last),
                                                       .size = size}),
                         0);
        while (dirent_next(f->result.data_buf, &position, &entry))
            strcat(ret, strcpy(last, entry.name));
        assert_true(f->result.at_end || position > 0);
        assert_true(f->result.data.size <= size);
    }
    return pages;
}

static void test_pages_go_on_behind_a_name_and_its_chunks(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t dir = make_dir(f, ROOT, "d");
    static const char *const names[] = {"a", "a\x01", "aa", "b", "c", "\xff"};
    char all[64];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(create_sized(f, dir, names[i], i % 2 * CHUNKED), 0);
    assert_int_equal(create(f, ROOT, "z"), 0);
    for (uint64_t size = 17; size < 120; size++) {
        (void)list_pages(f, dir, size, all);
        assert_string_equal(all, "aa\x01"
                                 "aabc\xff");
    }
    assert_int_equal(list_pages(f, dir, READDIR_SIZE_MAX, all), 1);
}

static void test_an_empty_directory_is_listed_as_such(void **state)
{
    struct exec_fixture *f = *state;
    char all[64];

    assert_int_equal(list_pages(f, make_dir(f, ROOT, "d"), 100, all), 1);
    assert_string_equal(all, "");
}

/* The name behind which a page begins may be gone. */
static void test_a_page_begins_behind_a_name_that_is_gone(void **state)
{
    struct exec_fixture *f = *state;
    struct dirent_view entry;
    size_t position = 0;

    assert_int_equal(create(f, ROOT, "a"), 0);
    assert_int_equal(create(f, ROOT, "c"), 0);
    assert_int_equal(run_read(f, &(struct command){.op = COMMAND_READDIR,
                                                   .dir = ROOT,
                                                   .name = slice_of("b"),
                                                   .size = 100}),
                     0);
    assert_true(dirent_next(f->result.data_buf, &position, &entry));
    assert_string_equal(entry.name, "c");
    assert_true(f->result.at_end);
}

/* Each look notes one transaction more, up to as many as there is room for. */
static void test_a_listing_gets_past_many_undecided_names(void **state)
{
    struct exec_fixture *f = *state;
    const struct command list = {
        .op = COMMAND_READDIR, .dir = ROOT, .size = READDIR_SIZE_MAX};
    char name[16];
    int looks = 1;

    for (int i = 0; i < READ_UNKNOWN_MAX; i++) {
        struct test_txn txn;

        (void)snprintf(name, sizeof name, "%d", i);
        txn = txn_mkdir(f, ROOT, name);
        assert_int_equal(prepare(f, &txn), 0);
    }
    for (f->unknown.count = 0; run_read(f, &list) == ERR_LOCKED; looks++)
        assert_true(looks < 10);
    assert_int_equal(f->result.data.size, 0);
    assert_true(f->result.at_end);
}

/* ---- the rest ---- */

static void test_a_decision_is_told(void **state)
{
    struct exec_fixture *f = *state;
    struct test_txn txn = txn_mkdir(f, ROOT, "d");
    struct command c = {.op = COMMAND_DECISION, .txn = txn.command.txn};

    assert_int_equal(prepare(f, &txn), 0);
    assert_int_equal(run_read(f, &c), 0);
    assert_false(f->result.decided);
    assert_int_equal(decide(f, &txn), 0);
    assert_int_equal(run_read(f, &c), 0);
    assert_true(f->result.decided && f->result.committed);
}

static void say_as_sender(struct exec_fixture *f, struct sender sender)
{
    struct key key = key_sender(REGION_PLACEMENT, 1);
    struct kv_batch *batch = kv_batch_new(f->state);
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = sender_encode(&sender, bytes);

    kv_batch_put(batch, key_slice(&key), (struct slice){bytes, size});
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static void test_what_its_coordinator_has_given_up_is_aborted(void **state)
{
    struct exec_fixture *f = *state;
    struct command c = {.op = COMMAND_DECISION,
                        .txn = {.id = {.node = 1, .boot = 5, .sequence = 7}}};

    say_as_sender(f, (struct sender){.boot = 5, .lowest = 7});
    assert_int_equal(run_read(f, &c), 0);
    assert_false(f->result.decided);
    say_as_sender(f, (struct sender){.boot = 5, .lowest = 8});
    assert_int_equal(run_read(f, &c), 0);
    assert_true(f->result.decided && !f->result.committed);
    say_as_sender(f, (struct sender){.boot = 6, .lowest = 1});
    assert_int_equal(run_read(f, &c), 0);
    assert_true(f->result.decided && !f->result.committed);
    say_as_sender(f, (struct sender){.boot = 4, .lowest = 8});
    assert_int_equal(run_read(f, &c), 0);
    assert_false(f->result.decided);
}

static void test_xattrs_are_read_by_name_and_as_a_list(void **state)
{
    struct exec_fixture *f = *state;
    struct command c = {.op = COMMAND_SETXATTR,
                        .dir = ROOT,
                        .name = slice_of("a"),
                        .xattr = slice_of("user.x"),
                        .data = slice_of("1")};

    assert_int_equal(create(f, ROOT, "a"), 0);
    c.ino = f->ino;
    assert_int_equal(run(f, &c), 0);
    c.op = COMMAND_GETXATTR;
    assert_int_equal(run_read(f, &c), 0);
    assert_true(slice_equal(f->result.data, slice_of("1")));
    c.op = COMMAND_LISTXATTR;
    assert_int_equal(run_read(f, &c), 0);
    assert_true(slice_equal(f->result.data, (struct slice){"user.x\0", 7}));
    c.op = COMMAND_GETXATTR;
    c.xattr = slice_of("user.y");
    assert_int_equal(run_read(f, &c), ERR_NO_DATA);
    c.ino++;
    assert_int_equal(run_read(f, &c), ERR_STALE);
}

static void test_a_read_behind_the_end_gives_nothing(void **state)
{
    struct exec_fixture *f = *state;
    struct command c = {.op = COMMAND_READ,
                        .dir = ROOT,
                        .name = slice_of("a"),
                        .offset = UINT64_MAX,
                        .size = 10};

    assert_int_equal(create_sized(f, ROOT, "a", CHUNKED), 0);
    c.ino = f->ino;
    assert_int_equal(run_read(f, &c), 0);
    assert_int_equal(f->result.data.size, 0);
    c.offset = CHUNKED - 1;
    assert_int_equal(run_read(f, &c), 0);
    assert_int_equal(f->result.data.size, 1);
    c.size = WRITE_SIZE_MAX + 1;
    assert_int_equal(run_read(f, &c), ERR_INVALID);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_exec, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_undecided_intent_counts_as_before_at_the_third_look),
        TEST(test_a_committed_intent_counts_at_the_second_look),
        TEST(test_an_aborted_intent_counts_as_before),
        TEST(test_a_listing_counts_when_nothing_has_changed_in_between),
        TEST(test_a_decision_counts_more_than_not_having_known_it),
        TEST(test_another_transaction_is_not_the_noted_one),
        TEST(test_a_committed_move_is_read_before_its_chunks_are_brought),
        TEST(test_a_directory_shows_the_later_of_its_times),
        TEST(test_a_handle_does_not_mean_a_new_file_of_the_name),
        TEST(test_a_removed_directory_is_stale),
        TEST(test_pages_go_on_behind_a_name_and_its_chunks),
        TEST(test_an_empty_directory_is_listed_as_such),
        TEST(test_a_page_begins_behind_a_name_that_is_gone),
        TEST(test_a_listing_gets_past_many_undecided_names),
        TEST(test_a_decision_is_told),
        TEST(test_what_its_coordinator_has_given_up_is_aborted),
        TEST(test_xattrs_are_read_by_name_and_as_a_list),
        TEST(test_a_read_behind_the_end_gives_nothing),
    };

    return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
