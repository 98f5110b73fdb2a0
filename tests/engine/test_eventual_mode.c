/* SPDX-License-Identifier: Apache-2.0 */

/* What a node's eventual entries make of modes: fences, of directories and of
 * nodes that are drained, and lives of a namespace. */

#include "eventual_fixture.h"

enum { LATER = 20 };

/* ---- fences ---- */

/* Rule 4: the fence that was met is told of behind the change before it. */
static void expect_told_behind(struct eventual_fixture *f,
                               const struct test_op *op)
{
    fake_env_run(&f->fake);
    assert_int_equal(f->fake.write_count, 2);
    fake_env_sync(&f->fake, 1);
    assert_true(op->over);
    assert_int_equal(eventual_fence(f->eventual), 0);
    fake_env_sync(&f->fake, 1);
    assert_int_equal(eventual_fence(f->eventual), LATER);
}

/* Rule 4: the catalog in state/ may be behind what this node has told. */
static void crash_behind_fence(struct eventual_fixture *f)
{
    settle(f);
    crash(f);
    assert_int_equal(modes_version(f->modes), VERSION);
    assert_int_equal(eventual_fence(f->eventual), LATER);
    assert_int_equal(create(f, "a"), ERR_UNAVAILABLE);
}

static void test_a_fence_is_told_of_behind_the_journal(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_CREATE, "a");
    struct test_op op;

    begin(f, &op, &command);
    apply_mode(f, DIR, MODE_FENCED, SINCE, LATER);
    expect_told_behind(f, &op);
}

static void test_nothing_is_accepted_before_the_last_fence(void **state)
{
    struct eventual_fixture *f = *state;

    apply_mode(f, DIR, MODE_FENCED, SINCE, LATER);
    crash_behind_fence(f);
    apply_mode(f, DIR, MODE_FENCED, SINCE, LATER);
    assert_int_equal(create(f, "a"), ERR_EPOCH);
    apply_mode(f, DIR, MODE_EVENTUAL, SINCE, LATER + 1);
    assert_int_equal(create(f, "a"), 0);
}

static void test_a_fence_that_a_crash_has_hidden_is_told_of(void **state)
{
    struct eventual_fixture *f = *state;

    apply_mode(f, DIR, MODE_FENCED, SINCE, LATER);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    crash(f);
    assert_int_equal(eventual_fence(f->eventual), 0);
    eventual_tick(f->eventual);
    settle(f);
    assert_int_equal(eventual_fence(f->eventual), LATER);
    eventual_tick(f->eventual);
    fake_env_run(&f->fake);
    assert_int_equal(f->fake.write_count, 0);
}

/* Between tasks of different threads there is no order. */
static void test_a_fence_that_is_met_waits_for_what_was_accepted(void **state)
{
    struct eventual_fixture *f = *state;
    struct env *env = &f->fake.env;
    struct fake_tasks *worker = &f->fake.tasks[ENV_WORKER];
    struct fake_tasks *owner =
        &f->fake.tasks[env_apply_owner(env, REGION_PLACEMENT)];
    struct fake_tasks late = STAILQ_HEAD_INITIALIZER(late);
    struct command command = command_on(COMMAND_CREATE, "a");
    struct env_task *execute;
    struct test_op op;

    post_op(f, &op, &command);
    execute = STAILQ_FIRST(owner);
    STAILQ_REMOVE_HEAD(owner, link);
    execute->run(execute);
    apply_mode(f, DIR, MODE_FENCED, SINCE, LATER);
    STAILQ_CONCAT(&late, worker);
    eventual_tick(f->eventual);
    STAILQ_CONCAT(worker, &late);
    fake_env_run(&f->fake);
    fake_env_sync(&f->fake, 1);
    assert_int_equal(eventual_fence(f->eventual), 0);
    fake_env_sync(&f->fake, 1);
    fake_env_run(&f->fake);
    assert_true(op.over);
    assert_int_equal(eventual_fence(f->eventual), LATER);
}

/* Region 0 is applied once more from where it is durable. */
static void test_a_fence_that_is_applied_again_is_told_of_no_more(void **state)
{
    struct eventual_fixture *f = *state;

    apply_mode(f, DIR, MODE_FENCED, SINCE, LATER);
    apply_mode(f, DIR, MODE_EVENTUAL, SINCE, LATER + 1);
    apply_mode(f, DIR, MODE_FENCED, SINCE, LATER + 2);
    settle(f);
    crash(f);
    apply_mode(f, DIR, MODE_FENCED, SINCE, LATER);
    settle(f);
    assert_int_equal(eventual_fence(f->eventual), LATER + 2);
}

static void test_a_node_that_is_drained_accepts_nothing(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    apply_state(f, NODE_DRAINING, LATER);
    assert_int_equal(eventual_readiness(f->eventual), ERR_READ_ONLY);
    assert_int_equal(create(f, "b"), ERR_READ_ONLY);
    assert_int_equal(unlink_name(f, "a"), ERR_READ_ONLY);
    assert_true(is_known(f, "a"));
    apply_state(f, NODE_UP, LATER + 1);
    assert_int_equal(eventual_readiness(f->eventual), 0);
    assert_int_equal(create(f, "b"), 0);
}

/* Rule 4, for all directories. */
static void test_a_node_that_is_drained_tells_behind_the_journal(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_CREATE, "a");
    struct test_op op;

    begin(f, &op, &command);
    apply_state(f, NODE_DRAINING, LATER);
    eventual_tick(f->eventual);
    expect_told_behind(f, &op);
}

static void test_nothing_is_accepted_before_this_node_s_fence(void **state)
{
    struct eventual_fixture *f = *state;

    apply_state(f, NODE_DRAINING, LATER);
    eventual_tick(f->eventual);
    crash_behind_fence(f);
    apply_state(f, NODE_DRAINING, LATER);
    assert_int_equal(create(f, "a"), ERR_READ_ONLY);
    apply_state(f, NODE_UP, LATER + 1);
    assert_int_equal(create(f, "a"), 0);
}

/* ---- lives of a namespace ---- */

static void test_the_end_of_a_life_deletes_what_was_in_it(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    apply_mode(f, DIR, MODE_FENCED, SINCE, LATER);
    assert_true(is_known(f, "a"));
    apply_mode(f, DIR, MODE_STRONG, 0, LATER + 1);
    assert_false(is_known(f, "a"));
    assert_false(has_record(f->state, key_eventual_namespace(DIR)));
}

static void test_a_replay_does_not_bring_an_ended_life_back(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    crash(f);
    assert_false(is_known(f, "a"));
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    eventual_tick(f->eventual);
    assert_int_equal(counts_of(f).journal_entries, 0);
}

/* The deletion is a batch of its own, behind the one with the mode. What looks
 * like a crash in between may be a catalog that has come to harm: only a new
 * one is believed. */
static void
test_a_crash_before_the_deletion_leaves_it_to_a_snapshot(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    kv_mem_sync(f->state, 1);
    crash(f);
    assert_int_equal(modes_version(f->modes), LATER);
    assert_true(is_known(f, "a"));
    assert_int_equal(eventual_sweep(f->eventual), 0);
    assert_false(is_known(f, "a"));
    apply_mode(f, DIR, MODE_EVENTUAL, LATER + 1, LATER + 1);
    assert_int_equal(create(f, "a"), 0);
}

/* As it is when the catalog was replaced by a snapshot. */
static void test_a_crash_leaves_nothing_of_an_earlier_life(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    assert_int_equal(unlink_name(f, "b"), 0);
    assert_int_equal(create(f, "c"), 0); /* Only in the journal. */
    cut_power(f);
    assert_int_equal(open_again(f), 0);
    assert_true(is_known(f, "a") && is_known(f, "c"));
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER, LATER);
    assert_int_equal(create(f, "d"), 0);
    kv_mem_sync(f->state, 1);
    crash(f);
    assert_int_equal(modes_find(f->modes, DIR).since, LATER);
    assert_false(is_known(f, "a") || is_known(f, "b") || is_known(f, "c"));
    assert_true(is_known(f, "d"));
    assert_int_equal(entry_count(f), 1);
}

/* Region 0 is applied once more behind the replay, lives and all. */
static void test_what_is_ahead_of_the_catalog_survives_a_crash(void **state)
{
    struct eventual_fixture *f = *state;

    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER + 1, LATER + 1);
    assert_int_equal(create(f, "a"), 0);
    crash(f);
    assert_int_equal(modes_find(f->modes, DIR).since, SINCE);
    assert_true(is_known(f, "a"));
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER + 1, LATER + 1);
    assert_true(is_known(f, "a"));
    assert_int_equal(entry_count(f), 1);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER + 2);
    assert_false(is_known(f, "a"));
}

/* ---- what cannot be read ---- */

static void damage(struct eventual_fixture *f, struct key key)
{
    put_record(f->state, key, slice_of("\001damage"));
}

static void damage_entry(struct eventual_fixture *f, const char *name)
{
    damage(f, key_user('v', DIR, slice_of(name)));
}

static void assert_lives(struct eventual_fixture *f, uint64_t first,
                         uint64_t last)
{
    struct eventual_namespace record;

    assert_int_equal(eventual_namespace_get(f->state, NULL, DIR, &record), 0);
    assert_int_equal(record.since_first, first);
    assert_int_equal(record.since_last, last);
}

/* Region 0 goes on to the life LATER and the crash takes what followed from
 * that: "c" is of that life, what was there is of the one before. */
static void crash_between_lives(struct eventual_fixture *f)
{
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER, LATER);
    assert_int_equal(create(f, "c"), 0);
    kv_mem_sync(f->state, 1);
    crash(f);
    assert_int_equal(modes_find(f->modes, DIR).since, LATER);
}

static void test_a_node_starts_with_an_entry_that_cannot_be_read(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    damage_entry(f, "a");
    crash_between_lives(f);
    assert_true(is_known(f, "a") && is_known(f, "c"));
    assert_false(is_known(f, "b"));
    assert_int_equal(entry_count(f), 2);
    crash(f);
    assert_int_equal(create(f, "a"), ERR_CORRUPT);
    assert_int_equal(create(f, "d"), 0);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER + 1);
    assert_false(is_known(f, "a") || is_known(f, "c") || is_known(f, "d"));
}

/* So a start reads no entries but after such a crash. */
static void test_a_namespace_says_of_which_lives_it_has_entries(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    assert_lives(f, SINCE, SINCE);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    damage_entry(f, "b");
    crash(f);
    assert_true(is_known(f, "a") && is_known(f, "b"));
    crash_between_lives(f);
    assert_lives(f, LATER, LATER);
}

/* As one that an earlier program has written. */
static void test_a_namespace_that_does_not_say_so_is_read(void **state)
{
    struct eventual_fixture *f = *state;
    const struct eventual_namespace record = {.entry_count = 1};
    struct buf *bytes = eventual_namespace_encode(&record);

    assert_int_equal(create(f, "a"), 0);
    put_record(f->state, key_eventual_namespace(DIR), buf_slice(bytes));
    buf_unref(bytes);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    crash(f);
    assert_true(is_known(f, "a"));
    assert_lives(f, SINCE, SINCE);
}

/* The end of a life is applied on all nodes: none may end on it. */
static void test_the_end_of_a_life_deletes_what_cannot_be_read(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record large = record_of(f, "large", 1, "");
    static const char text[EVENTUAL_INLINE_MAX + 1];

    large.content = (struct slice){text, sizeof text};
    large.attr.size = sizeof text;
    assert_int_equal(merge_one(f, &large, 1), 0);
    assert_int_equal(create(f, "a"), 0);
    damage_entry(f, "large");
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    assert_false(is_known(f, "a") || is_known(f, "large"));
    assert_false(has_record(f->state, key_user('w', DIR, large.name)));
    assert_false(has_record(f->state, key_eventual_namespace(DIR)));
}

static void test_the_end_of_a_life_leaves_its_neighbours(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record below = record_of(f, "x", 1, "text");
    struct eventual_record above = record_of(f, "x", 2, "text");
    struct eventual_record gone = record_of(f, "gone", 3, NULL);

    below.dir = DIR - 1;
    above.dir = DIR + 1;
    apply_mode(f, below.dir, MODE_EVENTUAL, SINCE, VERSION);
    apply_mode(f, above.dir, MODE_EVENTUAL, SINCE, VERSION);
    assert_int_equal(merge_one(f, &below, 1), 0);
    assert_int_equal(merge_one(f, &above, 2), 0);
    assert_int_equal(merge_one(f, &gone, 3), 0);
    assert_int_equal(eventual_removed_count(f->state, 9), 1);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    assert_false(is_known(f, "gone"));
    assert_int_equal(eventual_removed_count(f->state, 9), 0);
    assert_true(has_record(f->state, key_user('v', DIR - 1, below.name)));
    assert_true(has_record(f->state, key_user('v', DIR + 1, above.name)));
}

/* "b" lies in the journal and is brought back before its life begins; what
 * cannot be read may be of that one, too. */
static void test_what_may_be_of_a_later_life_stays(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "c"), 0);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER + 1, LATER + 1);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    crash(f);
    assert_lives(f, SINCE, LATER + 1);
    damage_entry(f, "a");
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    assert_true(is_known(f, "a") && is_known(f, "b"));
    assert_false(is_known(f, "c"));
    apply_mode(f, DIR, MODE_EVENTUAL, LATER + 1, LATER + 1);
    assert_true(is_known(f, "a") && is_known(f, "b"));
    apply_mode(f, DIR, MODE_STRONG, 0, LATER + 2);
    assert_false(is_known(f, "a") || is_known(f, "b"));
}

/* A change of a later life in the place of one of an earlier life. */
static void test_a_later_life_of_the_same_name_stays(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER + 1, LATER + 1);
    assert_int_equal(create(f, "a"), 0);
    crash(f);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    assert_true(is_known(f, "a"));
    assert_lives(f, LATER + 1, LATER + 1);
}

static void test_a_count_that_cannot_be_read_ends_no_node(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    damage(f, key_eventual_namespace(DIR));
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER, LATER);
    kv_mem_sync(f->state, 1);
    crash(f);
    assert_true(is_known(f, "a"));
    apply_mode(f, DIR, MODE_STRONG, 0, LATER + 1);
    assert_false(is_known(f, "a"));
    assert_false(has_record(f->state, key_eventual_namespace(DIR)));
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_eventual, teardown_eventual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_fence_is_told_of_behind_the_journal),
        TEST(test_nothing_is_accepted_before_the_last_fence),
        TEST(test_a_fence_that_a_crash_has_hidden_is_told_of),
        TEST(test_a_fence_that_is_met_waits_for_what_was_accepted),
        TEST(test_a_fence_that_is_applied_again_is_told_of_no_more),
        TEST(test_a_node_that_is_drained_accepts_nothing),
        TEST(test_a_node_that_is_drained_tells_behind_the_journal),
        TEST(test_nothing_is_accepted_before_this_node_s_fence),
        TEST(test_the_end_of_a_life_deletes_what_was_in_it),
        TEST(test_a_replay_does_not_bring_an_ended_life_back),
        TEST(test_a_crash_before_the_deletion_leaves_it_to_a_snapshot),
        TEST(test_a_crash_leaves_nothing_of_an_earlier_life),
        TEST(test_what_is_ahead_of_the_catalog_survives_a_crash),
        TEST(test_a_node_starts_with_an_entry_that_cannot_be_read),
        TEST(test_a_namespace_says_of_which_lives_it_has_entries),
        TEST(test_a_namespace_that_does_not_say_so_is_read),
        TEST(test_the_end_of_a_life_deletes_what_cannot_be_read),
        TEST(test_the_end_of_a_life_leaves_its_neighbours),
        TEST(test_what_may_be_of_a_later_life_stays),
        TEST(test_a_later_life_of_the_same_name_stays),
        TEST(test_a_count_that_cannot_be_read_ends_no_node),
    };

    return cmocka_run_group_tests_name("eventual mode", tests, NULL, NULL);
}
