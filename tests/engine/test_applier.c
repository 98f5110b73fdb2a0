/* SPDX-License-Identifier: Apache-2.0 */

#include "entries_fixture.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

enum { STEPS = 1500 };

static int unlink_it(struct fixture *f, uint64_t sequence, const char *name)
{
    struct command c = command(COMMAND_UNLINK, sequence, name);

    return apply(f, &c);
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

    (void)setup_entries((void **)&other);
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
    (void)teardown_entries((void **)&other);
}

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
        TEST(test_replicas_stay_equal_byte_by_byte),
    };

    return cmocka_run_group_tests_name("applier", tests, NULL, NULL);
}
