/* SPDX-License-Identifier: Apache-2.0 */

/* What a node accepts in eventual directories, and when it answers: its journal
 * and the numbers of its changes. */

#include "eventual_fixture.h"

enum { LATER = 20, LONG_JOURNAL = 1001 };

/* ---- accepting ---- */

static void test_a_change_is_answered_when_it_is_in_the_journal(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_CREATE, "a");
    struct test_op op;

    begin(f, &op, &command);
    assert_string_equal(text_of(f, "a"), "");
    assert_false(op.over);
    sync_all(f);
    assert_true(op.over);
    assert_int_equal(op.status, 0);
    assert_true(op.attr.version > 0);
    assert_int_equal(op.attr.mtime_ns, f->fake.now_ns);
    assert_int_equal(counts_of(f).accepted, 1);
    assert_int_equal(f->save_count, 1);
    assert_int_equal(entry_count(f), 1);
}

static void test_changes_that_wait_for_the_journal_see_each_other(void **state)
{
    struct eventual_fixture *f = *state;
    struct command created = command_on(COMMAND_CREATE, "a");
    struct command written = command_on(COMMAND_WRITE, "a");
    struct test_op ops[2];

    written.data = slice_of("one");
    begin(f, &ops[0], &created);
    begin(f, &ops[1], &written);
    sync_all(f);
    assert_int_equal(ops[0].status, 0);
    assert_int_equal(ops[1].status, 0);
    assert_true(ops[0].attr.version < ops[1].attr.version);
    assert_string_equal(text_of(f, "a"), "one");
}

static void test_what_changes_nothing_is_answered_at_once(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_CREATE, "a");
    struct test_op op;

    assert_int_equal(create(f, "a"), 0);
    begin(f, &op, &command);
    assert_true(op.over);
    assert_int_equal(op.status, 0);
    assert_int_equal(f->fake.write_count, 0);
    assert_int_equal(write_text(f, "none", "x"), ERR_STALE);
}

static void test_a_rename_is_two_changes_and_one_entry(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_RENAME, "a");

    command.to_dir = DIR;
    command.to_name = slice_of("b");
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(write_text(f, "a", "one"), 0);
    assert_int_equal(carry_out(f, &command), 0);
    assert_null(text_of(f, "a"));
    assert_string_equal(text_of(f, "b"), "one");
    assert_int_equal(entry_count(f), 1);
    assert_int_equal(counts_of(f).journal_entries, 4);
}

static void test_versions_grow_whatever_the_clock_does(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_WRITE, "a");
    struct test_op ops[3];

    assert_int_equal(create(f, "a"), 0);
    for (size_t i = 0; i < 3; i++) {
        begin(f, &ops[i], &command);
        sync_all(f);
        f->fake.now_ns -= 5000000;
    }
    assert_true(ops[0].attr.version < ops[1].attr.version);
    assert_true(ops[1].attr.version < ops[2].attr.version);
}

static void test_versions_grow_over_a_crash(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_WRITE, "a");
    struct test_op ops[2];

    assert_int_equal(create(f, "a"), 0);
    for (size_t i = 0; i < 2; i++) {
        begin(f, &ops[i], &command);
        sync_all(f);
        crash(f);
        f->fake.now_ns -= 5000000;
    }
    assert_true(ops[0].attr.version < ops[1].attr.version);
}

static void test_only_eventual_namespaces_are_changed(void **state)
{
    struct eventual_fixture *f = *state;
    struct command rename = command_on(COMMAND_RENAME, "a");

    assert_int_equal(create(f, "a"), 0);
    rename.to_dir = DIR + 1;
    rename.to_name = slice_of("b");
    assert_int_equal(carry_out(f, &rename), ERR_EPOCH);
    apply_mode(f, DIR + 1, MODE_FENCED, SINCE, LATER);
    assert_int_equal(carry_out(f, &rename), ERR_EPOCH);
    apply_mode(f, DIR, MODE_FENCED, SINCE, LATER + 1);
    assert_int_equal(create(f, "b"), ERR_EPOCH);
    assert_int_equal(unlink_name(f, "a"), ERR_EPOCH);
}

static void test_a_node_whose_clock_is_wrong_accepts_nothing(void **state)
{
    struct eventual_fixture *f = *state;

    f->clock_is_wrong = true;
    assert_int_equal(eventual_readiness(f->eventual), ERR_READ_ONLY);
    assert_int_equal(create(f, "a"), ERR_READ_ONLY);
    assert_false(is_known(f, "a"));
    f->clock_is_wrong = false;
    assert_int_equal(eventual_readiness(f->eventual), 0);
    assert_int_equal(create(f, "a"), 0);
}

/* Not even if the clock has jumped since it was last judged. */
static void
test_nothing_is_stamped_by_a_clock_that_is_not_believed(void **state)
{
    struct eventual_fixture *f = *state;

    f->clock_status = ERR_UNAVAILABLE;
    assert_int_equal(eventual_readiness(f->eventual), ERR_UNAVAILABLE);
    assert_int_equal(create(f, "a"), ERR_UNAVAILABLE);
    assert_false(is_known(f, "a"));
    f->clock_status = 0;
    assert_int_equal(create(f, "a"), 0);
}

static void test_a_node_accepts_nothing_before_it_is_whole(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_head head = {.sequence = 1};
    struct buf *bytes = eventual_head_encode(&head);

    put_record(f->state, key_eventual_head(), buf_slice(bytes));
    buf_unref(bytes);
    crash(f);
    assert_false(eventual_is_whole(f->eventual));
    assert_int_equal(eventual_readiness(f->eventual), ERR_UNAVAILABLE);
    assert_int_equal(create(f, "a"), ERR_UNAVAILABLE);
    eventual_set_whole(f->eventual);
    fake_env_run(&f->fake);
    assert_int_equal(eventual_readiness(f->eventual), 0);
    assert_int_equal(create(f, "a"), 0);
}

/* ---- the end ---- */

static void test_what_was_cancelled_is_not_answered(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_CREATE, "a");
    struct test_op op;

    begin(f, &op, &command);
    eventual_cancel(&op.op);
    eventual_cancel(&op.op);
    sync_all(f);
    assert_false(op.over);
    assert_string_equal(text_of(f, "a"), "");
}

static void test_a_stop_cancels_wherever_a_change_is(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_CREATE, "a");
    struct test_op ops[2];

    begin(f, &ops[0], &command);
    ops[1] = (struct test_op){.op = ops[0].op};
    eventual_start(f->eventual, &ops[1].op);
    eventual_stop(f->eventual);
    assert_int_equal(ops[0].status, ERR_CANCELED);
    assert_int_equal(ops[1].status, ERR_CANCELED);
    fake_env_run(&f->fake);
    sync_all(f);
    assert_int_equal(create(f, "b"), ERR_CANCELED);
}

/* ---- the journal ---- */

static void test_what_was_answered_survives_a_crash(void **state)
{
    struct eventual_fixture *f = *state;
    uint64_t local;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(write_text(f, "a", "one"), 0);
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(unlink_name(f, "b"), 0);
    local = local_of(f, "a");
    crash(f);
    assert_string_equal(text_of(f, "a"), "one");
    assert_null(text_of(f, "b"));
    assert_true(is_known(f, "b"));
    assert_int_equal(local_of(f, "a"), local);
    assert_int_equal(entry_count(f), 1);
    crash(f);
    assert_string_equal(text_of(f, "a"), "one");
}

static void test_what_was_not_answered_may_be_gone(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_CREATE, "a");
    struct test_op op;

    begin(f, &op, &command);
    crash(f);
    assert_false(is_known(f, "a"));
    assert_int_equal(entry_count(f), 0);
}

static void test_a_replay_leaves_what_is_newer(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record;

    assert_int_equal(create(f, "a"), 0);
    f->fake.now_ns += 1000000;
    record = record_of(f, "a", 1, "other");
    assert_int_equal(merge_one(f, &record, 1), 0);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    crash(f);
    assert_string_equal(text_of(f, "a"), "other");
    assert_int_equal(entry_count(f), 1);
}

static void test_the_journal_is_cut_where_state_is_durable(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    eventual_tick(f->eventual);
    assert_int_equal(f->fake.write_count, 0);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    assert_int_equal(create(f, "b"), 0);
    eventual_tick(f->eventual);
    sync_all(f);
    assert_int_equal(counts_of(f).journal_entries, 1);
    assert_false(has_record(f->log, key_journal(local_of(f, "a"))));
    assert_true(has_record(f->log, key_journal(local_of(f, "b"))));
    crash(f);
    assert_true(is_known(f, "a") && is_known(f, "b"));
}

static void test_a_long_journal_asks_for_a_flush(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    for (size_t i = 1; i < LONG_JOURNAL; i++) {
        eventual_tick(f->eventual);
        assert_int_equal(f->flush_count, 0);
        assert_int_equal(write_text(f, "a", "one"), 0);
    }
    eventual_tick(f->eventual);
    assert_int_equal(f->flush_count, 1);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    eventual_tick(f->eventual);
    assert_int_equal(f->flush_count, 1);
    assert_int_equal(counts_of(f).journal_entries, 0);
}

static void test_a_damaged_journal_is_told_of(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    put_record(f->log, key_journal(local_of(f, "a")), slice_of("\001damage"));
    cut_power(f);
    assert_int_equal(open_again(f), ERR_CORRUPT);
}

/* ---- numbers ---- */

static void test_numbers_of_a_new_boot_are_above_all_earlier_ones(void **state)
{
    struct eventual_fixture *f = *state;
    uint64_t local;

    assert_int_equal(create(f, "a"), 0);
    local = local_of(f, "a");
    assert_int_equal(local >> EVENTUAL_BOOT_SHIFT, f->boot);
    crash(f);
    assert_true(eventual_shown(f->eventual) > local);
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(local_of(f, "b") >> EVENTUAL_BOOT_SHIFT, f->boot);
}

static void test_nothing_is_shown_before_it_is_in_the_journal(void **state)
{
    struct eventual_fixture *f = *state;
    struct command commands[2] = {command_on(COMMAND_CREATE, "a"),
                                  command_on(COMMAND_CREATE, "b")};
    uint64_t before = eventual_shown(f->eventual);
    unsigned notices = f->notice_count;
    struct test_op ops[2];

    begin(f, &ops[0], &commands[0]);
    begin(f, &ops[1], &commands[1]);
    assert_int_equal(eventual_shown(f->eventual), before);
    assert_int_equal(f->notice_count, notices);
    fake_env_sync(&f->fake, 1);
    assert_int_equal(eventual_shown(f->eventual), before + 1);
    assert_true(f->notice_count > notices);
    fake_env_sync(&f->fake, 1);
    assert_int_equal(eventual_shown(f->eventual), before + 2);
}

static void test_what_was_pulled_is_shown_in_the_order_of_numbers(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_CREATE, "a");
    uint64_t before = eventual_shown(f->eventual);
    struct eventual_record record = record_of(f, "b", 1, "other");
    struct test_op op;

    begin(f, &op, &command);
    assert_int_equal(merge_one(f, &record, 1), 0);
    assert_int_equal(eventual_shown(f->eventual), before);
    sync_all(f);
    assert_int_equal(eventual_shown(f->eventual), local_of(f, "b"));
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_eventual, teardown_eventual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_change_is_answered_when_it_is_in_the_journal),
        TEST(test_changes_that_wait_for_the_journal_see_each_other),
        TEST(test_what_changes_nothing_is_answered_at_once),
        TEST(test_a_rename_is_two_changes_and_one_entry),
        TEST(test_versions_grow_whatever_the_clock_does),
        TEST(test_versions_grow_over_a_crash),
        TEST(test_only_eventual_namespaces_are_changed),
        TEST(test_a_node_whose_clock_is_wrong_accepts_nothing),
        TEST(test_nothing_is_stamped_by_a_clock_that_is_not_believed),
        TEST(test_a_node_accepts_nothing_before_it_is_whole),
        TEST(test_what_was_cancelled_is_not_answered),
        TEST(test_a_stop_cancels_wherever_a_change_is),
        TEST(test_what_was_answered_survives_a_crash),
        TEST(test_what_was_not_answered_may_be_gone),
        TEST(test_a_replay_leaves_what_is_newer),
        TEST(test_the_journal_is_cut_where_state_is_durable),
        TEST(test_a_long_journal_asks_for_a_flush),
        TEST(test_a_damaged_journal_is_told_of),
        TEST(test_numbers_of_a_new_boot_are_above_all_earlier_ones),
        TEST(test_nothing_is_shown_before_it_is_in_the_journal),
        TEST(test_what_was_pulled_is_shown_in_the_order_of_numbers),
    };

    return cmocka_run_group_tests_name("eventual", tests, NULL, NULL);
}
