/* SPDX-License-Identifier: Apache-2.0 */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/applier.h"
#include "exec_fixture.h"
#include "fake_env.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

enum { REGION = 1, NODE = 3, VALUE_SIZE_MAX = 1024 * 1024, STEPS = 1500 };

struct fixture {
    struct fake_env fake;
    struct applier *applier;
    uint64_t index;
    struct result result;
    struct buf *bytes; /* that `result` was decoded from */
};

static struct applier *open_applier(struct fixture *f)
{
    struct applier *applier = NULL;

    assert_int_equal(applier_open(&applier, &f->fake.env, REGION), 0);
    return applier;
}

static void put_marker(struct kv *state)
{
    struct kv_batch *batch = kv_batch_new(state);
    struct marker marker = {.index = 5, .term = 5};
    struct key key = key_marker(REGION);
    uint8_t bytes[MARKER_SIZE_MAX];

    struct region region = {.id = REGION, .conf_ver = 1, .version = 1};
    struct key region_key = key_region(REGION);
    struct buf *record = region_encode(&region);

    kv_batch_put(batch, key_slice(&key),
                 (struct slice){bytes, marker_encode(&marker, bytes)});
    kv_batch_put(batch, key_slice(&region_key), buf_slice(record));
    buf_unref(record);
    assert_int_equal(kv_write(state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    kv_mem_sync(state, kv_mem_unsynced_count(state));
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    struct kv *kv = exec_state_new();

    put_marker(kv);
    fake_env_init(&f->fake, NULL, kv);
    f->index = 5;
    f->applier = open_applier(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->fake.fatal_count, 0);
    result_release(&f->result);
    buf_unref(f->bytes);
    applier_free(f->applier);
    kv_close(f->fake.env.state);
    free(f);
    return 0;
}

/* Applies the command as the log's next entry; returns its status. */
static int apply(struct fixture *f, const struct command *command)
{
    struct raft_entry entry = {
        .term = 5, .index = ++f->index, .data = command_encode(command)};
    struct buf *bytes = NULL;

    assert_int_equal(applier_apply(f->applier, &entry, &bytes), 0);
    assert_int_equal(applier_marker(f->applier)->index, f->index);
    buf_unref(entry.data);
    result_release(&f->result);
    buf_unref(f->bytes);
    f->bytes = bytes;
    assert_int_equal(result_decode(&f->result, buf_slice(bytes)), 0);
    return f->result.status;
}

static struct command command(enum command_op op, uint64_t sequence,
                              const char *name)
{
    return (struct command){.op = op,
                            .node = NODE,
                            .boot = 1,
                            .sequence = sequence,
                            .lowest = 1,
                            .stamp = 1,
                            .now_ns = 1000,
                            .dir = NSID_ROOT,
                            .name = slice_of(name),
                            .ino = 100,
                            .set = {.mode = S_IFREG | 0644},
                            .value_size_max = VALUE_SIZE_MAX};
}

static int create_file(struct fixture *f, uint64_t sequence, const char *name)
{
    struct command c = command(COMMAND_CREATE, sequence, name);

    c.flags = REQUEST_EXCLUSIVE;
    return apply(f, &c);
}

static int unlink_it(struct fixture *f, uint64_t sequence, const char *name)
{
    struct command c = command(COMMAND_UNLINK, sequence, name);

    return apply(f, &c);
}

static void reload(struct fixture *f)
{
    applier_free(f->applier);
    f->applier = open_applier(f);
}

/* ---- once ---- */

static void test_an_exclusive_create_is_answered_as_at_first(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(create_file(f, 1, "a"), 0);
    assert_int_equal(create_file(f, 1, "a"), 0);
    assert_true(f->result.created);
    reload(f);
    assert_int_equal(create_file(f, 1, "a"), 0);
    assert_int_equal(create_file(f, 2, "a"), ERR_EXISTS);
}

static void test_an_append_that_comes_twice_appends_once(void **state)
{
    struct fixture *f = *state;
    struct command c = command(COMMAND_WRITE, 2, "a");

    c.flags = REQUEST_APPEND;
    c.data = slice_of("text");
    assert_int_equal(create_file(f, 1, "a"), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(apply(f, &c), 0);
        assert_int_equal(f->result.offset, 0);
        assert_int_equal(f->result.attr.size, 4);
        reload(f);
    }
    c.sequence = 3;
    assert_int_equal(apply(f, &c), 0);
    assert_int_equal(f->result.offset, 4);
}

static void test_a_rename_that_comes_twice_is_found_once(void **state)
{
    struct fixture *f = *state;
    struct command c = command(COMMAND_RENAME, 2, "a");

    c.to_dir = NSID_ROOT;
    c.to_name = slice_of("b");
    assert_int_equal(create_file(f, 1, "a"), 0);
    assert_int_equal(apply(f, &c), 0);
    assert_int_equal(apply(f, &c), 0);
    c.sequence = 3;
    assert_int_equal(apply(f, &c), ERR_NOT_FOUND);
}

static void test_a_prepared_mkdir_answers_its_changes_again(void **state)
{
    struct fixture *f = *state;
    struct command c = command(COMMAND_TXN_PREPARE, 2, "d");

    c.txn_kind = TXN_MKDIR;
    c.ino = ino_of_nsid(2000);
    c.txn =
        (struct txn_ref){.id = {NODE, 1, 1}, .dir = NSID_ROOT, .name = c.name};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(apply(f, &c), 0);
        assert_int_equal(f->result.change_count, 1);
        assert_int_equal(f->result.changes[0].nsid, 2000);
        reload(f);
    }
    c.sequence = 3;
    assert_int_equal(apply(f, &c), ERR_LOCKED);
    assert_int_equal(f->result.holder.id.sequence, 1);
}

/* Somebody was told that it failed: a second copy must not succeed. */
static void test_a_failed_command_fails_the_second_time_too(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(create_file(f, 1, "a"), 0);
    assert_int_equal(create_file(f, 2, "a"), ERR_EXISTS);
    assert_int_equal(unlink_it(f, 3, "b"), ERR_NOT_FOUND);
    assert_int_equal(unlink_it(f, 4, "a"), 0);
    assert_int_equal(create_file(f, 2, "a"), ERR_EXISTS);
    assert_int_equal(create_file(f, 5, "b"), 0);
    reload(f);
    assert_int_equal(unlink_it(f, 3, "b"), ERR_NOT_FOUND);
    assert_int_equal(create_file(f, 6, "b"), ERR_EXISTS);
}

static void test_what_nobody_waits_for_is_not_executed(void **state)
{
    struct fixture *f = *state;
    struct command c = command(COMMAND_CREATE, 9, "a");

    c.lowest = 5;
    assert_int_equal(apply(f, &c), 0);
    assert_int_equal(create_file(f, 4, "b"), ERR_CANCELED);
    assert_int_equal(unlink_it(f, 5, "b"), ERR_NOT_FOUND);
    c = command(COMMAND_CREATE, 1, "c");
    c.boot = 2;
    assert_int_equal(apply(f, &c), 0);
    assert_int_equal(create_file(f, 10, "d"), ERR_CANCELED);
}

/* ---- marker ---- */

static void test_versions_grow_with_each_change(void **state)
{
    struct fixture *f = *state;
    struct command c = command(COMMAND_CREATE, 1, "a");

    c.stamp = 1000;
    assert_int_equal(apply(f, &c), 0);
    assert_int_equal(f->result.attr.version, 1000);
    c = command(COMMAND_CREATE, 2, "b");
    c.stamp = 7;
    assert_int_equal(apply(f, &c), 0);
    assert_int_equal(f->result.attr.version, 1001);
    reload(f);
    assert_int_equal(create_file(f, 3, "c"), 0);
    assert_int_equal(f->result.attr.version, 1002);
}

static void test_an_empty_entry_moves_the_marker(void **state)
{
    struct fixture *f = *state;
    struct raft_entry entry = {.term = 6, .index = 6};
    struct buf *result = NULL;

    assert_int_equal(applier_apply(f->applier, &entry, &result), 0);
    assert_null(result);
    reload(f);
    assert_int_equal(applier_marker(f->applier)->index, 6);
    assert_int_equal(applier_marker(f->applier)->term, 6);
}

static bool has_entry(struct fixture *f, const char *name)
{
    return has_record(f->fake.env.state,
                      key_user('d', NSID_ROOT, slice_of(name)));
}

/* After a crash there is an entry's data if and only if the marker says so. */
static void test_marker_and_data_survive_together(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct fixture *f = *state;
    uint64_t index;

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(create_file(f, i + 1, names[i]), 0);
    kv_mem_crash(f->fake.env.state, 2);
    reload(f);
    index = applier_marker(f->applier)->index;
    assert_int_equal(index, 7);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(has_entry(f, names[i]), i < index - 5);
    f->index = index;
    assert_int_equal(create_file(f, 2, "b"), 0);
    assert_int_equal(create_file(f, 3, "c"), 0);
}

static void test_an_entry_that_cannot_be_read_ends_the_node(void **state)
{
    struct fixture *f = *state;
    struct raft_entry entry = {
        .term = 5, .index = 6, .data = buf_copy("rubbish", 7)};
    struct buf *result = NULL;

    assert_int_not_equal(applier_apply(f->applier, &entry, &result), 0);
    assert_int_equal(f->fake.fatal_count, 1);
    assert_int_equal(applier_marker(f->applier)->index, 5);
    f->fake.fatal_count = 0;
    buf_unref(entry.data);
}

/* ---- damaged records ---- */

static void damage(struct fixture *f, const char *name)
{
    put_record(f->fake.env.state, key_user('d', NSID_ROOT, slice_of(name)),
               slice_of("rubbish"));
}

/* An unlink of a damaged file, as the next entry. */
static int apply_to_damaged(struct fixture *f, struct raft_entry *entry,
                            struct buf **ret_result)
{
    struct command c = command(COMMAND_UNLINK, 2, "a");

    assert_int_equal(create_file(f, 1, "a"), 0);
    damage(f, "a");
    *entry = (struct raft_entry){
        .term = 5, .index = f->index + 1, .data = command_encode(&c)};
    return applier_apply(f->applier, entry, ret_result);
}

static void test_nothing_is_applied_behind_a_damaged_record(void **state)
{
    struct fixture *f = *state;
    struct raft_entry entry;
    struct buf *result = NULL;

    assert_int_equal(apply_to_damaged(f, &entry, &result), ERR_CORRUPT);
    assert_int_equal(applier_marker(f->applier)->index, f->index);
    buf_unref(entry.data);
    entry.data = NULL;
    assert_int_equal(applier_apply(f->applier, &entry, &result), ERR_CORRUPT);
    assert_int_equal(applier_reload(f->applier), 0);
    assert_int_equal(applier_apply(f->applier, &entry, &result), 0);
}

/* It has no effect, and what comes behind it has. */
static void test_the_only_replica_goes_on_behind_a_damaged_record(void **state)
{
    struct fixture *f = *state;
    struct raft_entry entry;
    struct result result = {0};
    struct buf *bytes = NULL;

    assert_int_equal(apply_to_damaged(f, &entry, &bytes), ERR_CORRUPT);
    assert_int_equal(applier_skip(f->applier, &entry, &bytes), 0);
    assert_int_equal(result_decode(&result, buf_slice(bytes)), 0);
    assert_int_equal(result.status, ERR_CORRUPT);
    assert_int_equal(applier_marker(f->applier)->index, ++f->index);
    assert_int_equal(create_file(f, 3, "b"), 0);
    result_release(&result);
    buf_unref(bytes);
    buf_unref(entry.data);
}

/* ---- the consistency check ---- */

struct watched {
    struct fixture *f;
    uint64_t index;
    uint64_t marker;
    enum command_op op;
};

static void on_check(void *context, uint64_t index,
                     const struct command *command)
{
    struct watched *watched = context;

    watched->index = index;
    watched->marker = applier_marker(watched->f->applier)->index;
    watched->op = command->op;
}

/* So a view that is taken there has the entry, and nothing behind it. */
static void test_a_check_is_told_right_behind_its_entry(void **state)
{
    struct fixture *f = *state;
    struct watched watched = {.f = f};

    applier_watch(f->applier, on_check, &watched);
    assert_int_equal(apply(f, &(struct command){.op = COMMAND_CHECK}), 0);
    assert_int_equal(watched.op, COMMAND_CHECK);
    assert_int_equal(watched.index, f->index);
    assert_int_equal(watched.marker, f->index);
    assert_int_equal(
        apply(f, &(struct command){.op = COMMAND_VERIFY, .verdict.index = 7}),
        0);
    assert_int_equal(watched.op, COMMAND_VERIFY);
    assert_int_equal(create_file(f, 1, "a"), 0);
    assert_int_equal(watched.index, f->index - 1);
}

/* ---- the catalog ---- */

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
                        .txn.id = {NODE, 1, ++sequence},
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

/* ---- replicas ---- */

static struct command random_command(struct exec_fixture *random)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    static const enum command_op ops[] = {
        COMMAND_CREATE,    COMMAND_WRITE,       COMMAND_UNLINK,
        COMMAND_RENAME,    COMMAND_TXN_PREPARE, COMMAND_TXN_DECIDE,
        COMMAND_TXN_ABORT, COMMAND_TXN_RESOLVE, COMMAND_SETATTR};
    static uint64_t newest = 10;
    static const uint8_t zeros[70000];
    struct command c = command(ops[pick(random, ARRAY_SIZE(ops))], 0,
                               names[pick(random, ARRAY_SIZE(names))]);

    newest += pick(random, 2);
    c.node = NODE + pick(random, 2);
    c.sequence = newest - pick(random, 5);
    c.lowest = c.sequence - pick(random, 6);
    c.boot = newest / 200;
    c.to_dir = NSID_ROOT;
    c.to_name = slice_of(names[pick(random, ARRAY_SIZE(names))]);
    c.ino = 100 + pick(random, 3);
    c.txn_kind = 1 + (enum txn_kind)pick(random, 3);
    c.txn = (struct txn_ref){.id = {NODE, c.boot, c.sequence},
                             .dir = NSID_ROOT,
                             .name = c.name,
                             .to_dir = NSID_ROOT,
                             .to_name = c.to_name};
    c.flags = REQUEST_APPEND;
    c.set_mask = SET_SIZE;
    c.set.size = pick(random, 100000);
    c.data = (struct slice){zeros, pick(random, sizeof zeros)};
    return c;
}

/* One replica has read its memory back now and then, the other never. */
static void test_replicas_stay_equal_byte_by_byte(void **state)
{
    struct fixture *f = *state;
    struct fixture *other;
    struct exec_fixture random = {.random = 4};

    (void)setup((void **)&other);
    for (int i = 0; i < STEPS; i++) {
        struct command c = random_command(&random);

        assert_int_equal(apply(f, &c), apply(other, &c));
        if (pick(&random, 10) == 0)
            reload(other);
        if (i % 20 == 0)
            assert_same_stores(f->fake.env.state, other->fake.env.state);
        assert_int_equal(f->bytes->size, other->bytes->size);
        assert_memory_equal(f->bytes->data, other->bytes->data, f->bytes->size);
    }
    assert_same_stores(f->fake.env.state, other->fake.env.state);
    (void)teardown((void **)&other);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_exclusive_create_is_answered_as_at_first),
        TEST(test_an_append_that_comes_twice_appends_once),
        TEST(test_a_rename_that_comes_twice_is_found_once),
        TEST(test_a_prepared_mkdir_answers_its_changes_again),
        TEST(test_a_failed_command_fails_the_second_time_too),
        TEST(test_what_nobody_waits_for_is_not_executed),
        TEST(test_versions_grow_with_each_change),
        TEST(test_an_empty_entry_moves_the_marker),
        TEST(test_marker_and_data_survive_together),
        TEST(test_an_entry_that_cannot_be_read_ends_the_node),
        TEST(test_nothing_is_applied_behind_a_damaged_record),
        TEST(test_the_only_replica_goes_on_behind_a_damaged_record),
        TEST(test_a_check_is_told_right_behind_its_entry),
        TEST(test_each_directory_that_a_decision_names_is_told),
        TEST(test_directories_of_commands_are_told),
        TEST(test_a_directory_that_is_about_to_be_filled_is_told),
        TEST(test_all_other_entries_are_told_once),
        TEST(test_replicas_stay_equal_byte_by_byte),
    };

    return cmocka_run_group_tests_name("applier", tests, NULL, NULL);
}
