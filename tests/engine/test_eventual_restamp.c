/* SPDX-License-Identifier: Apache-2.0 */

/* New versions for changes of a node that are ahead of its clock: what
 * restamp.h asks of the entries. */

#include <string.h>

#include "eventual_fixture.h"

static const uint64_t hour_ns = UINT64_C(3600) * 1000 * 1000 * 1000;

struct test_restamp {
    struct eventual_restamp restamp;
    bool over;
    int status;
};

static void restamp_done(struct eventual_restamp *restamp, int status)
{
    struct test_restamp *test = (struct test_restamp *)(void *)restamp;

    assert_false(test->over);
    test->over = true;
    test->status = status;
}

/* Up to where it is only to become durable. */
static void begin_restamp(struct eventual_fixture *f, struct test_restamp *test,
                          uint64_t seen)
{
    *test = (struct test_restamp){
        .restamp = {.seen = seen, .writes = true, .done = restamp_done}};
    eventual_restamp_start(f->eventual, &test->restamp);
    fake_env_run(&f->fake);
}

static void flush_and_cut(struct eventual_fixture *f)
{
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    for (int i = 0; i < 2; i++) {
        eventual_restamp_tick(f->eventual);
        settle(f);
    }
    eventual_restamp_tick(f->eventual);
}

/* Returns the status. */
static int restamp(struct eventual_fixture *f, uint64_t seen)
{
    struct test_restamp test;

    begin_restamp(f, &test, seen);
    flush_and_cut(f);
    assert_true(test.over);
    return test.status;
}

/* Whether it could be done. */
static int only_look(struct eventual_fixture *f, uint64_t *ret_count)
{
    struct test_restamp test = {.restamp = {.done = restamp_done}};

    eventual_restamp_start(f->eventual, &test.restamp);
    fake_env_run(&f->fake);
    assert_true(test.over);
    *ret_count = test.restamp.count;
    return test.status;
}

static uint64_t stamp_now(struct eventual_fixture *f)
{
    return f->fake.now_ns / 1000000 << STAMP_COUNTER_BITS;
}

static bool is_ahead(struct eventual_fixture *f, uint64_t hlc)
{
    return hlc >
           stamp_now(f) + ((uint64_t)3 * MAX_DRIFT_MS << STAMP_COUNTER_BITS);
}

/* Two files, and one that was there and is removed; before that, one with the
 * right time. */
static void write_ahead(struct eventual_fixture *f)
{
    assert_int_equal(create(f, "right"), 0);
    assert_int_equal(create(f, "gone"), 0);
    f->fake.now_ns += hour_ns;
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(write_text(f, "b", "of b"), 0);
    assert_int_equal(unlink_name(f, "gone"), 0);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(write_text(f, "a", "of a"), 0);
    f->fake.now_ns -= hour_ns;
}

static void check_contents(struct eventual_fixture *f)
{
    assert_string_equal(text_of(f, "a"), "of a");
    assert_string_equal(text_of(f, "b"), "of b");
    assert_string_equal(text_of(f, "right"), "");
    assert_null(text_of(f, "gone"));
    assert_true(is_known(f, "gone"));
    assert_int_equal(entry_count(f), 3);
}

/* ---- what becomes of them ---- */

static void test_they_get_the_versions_of_now_in_their_order(void **state)
{
    struct eventual_fixture *f = *state;
    uint64_t right;

    write_ahead(f);
    right = hlc_of(f, "right");
    assert_true(is_ahead(f, hlc_of(f, "gone")));
    assert_int_equal(restamp(f, 0), 0);
    check_contents(f);
    assert_int_equal(hlc_of(f, "right"), right);
    assert_true(hlc_of(f, "b") > right);
    assert_true(hlc_of(f, "gone") > hlc_of(f, "b"));
    assert_true(hlc_of(f, "a") > hlc_of(f, "gone"));
    assert_false(is_ahead(f, hlc_of(f, "a")));
    assert_int_equal(known_of(f, "a").attr.version, hlc_of(f, "a"));
    assert_int_equal(known_of(f, "a").sequence, local_of(f, "a"));
    assert_int_equal(counts_of(f).restamped, 3);
}

static void test_later_changes_go_by_the_clock(void **state)
{
    struct eventual_fixture *f = *state;
    uint64_t before;

    write_ahead(f);
    assert_int_equal(restamp(f, 0), 0);
    before = hlc_of(f, "a");
    assert_int_equal(write_text(f, "a", "more"), 0);
    assert_true(hlc_of(f, "a") > before);
    assert_false(is_ahead(f, hlc_of(f, "a")));
    crash(f);
    assert_string_equal(text_of(f, "a"), "more");
    assert_int_equal(create(f, "c"), 0);
    assert_false(is_ahead(f, hlc_of(f, "c")));
}

/* What was taken from others since is less than what comes now, too. */
static void test_what_was_taken_from_others_is_older_than_the_next(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "c", 1, "of OTHER");

    write_ahead(f);
    record.hlc += (uint64_t)MAX_DRIFT_MS
                  << STAMP_COUNTER_BITS; /* just believed */
    assert_int_equal(merge_one(f, &record, 1), 0);
    assert_int_equal(restamp(f, 0), 0);
    assert_true(hlc_of(f, "c") == record.hlc);
    assert_int_equal(write_text(f, "c", "of this node"), 0);
    assert_string_equal(text_of(f, "c"), "of this node");
    assert_true(hlc_of(f, "c") > record.hlc);
}

static void test_a_large_content_stays(void **state)
{
    static char large[3 * EVENTUAL_INLINE_MAX];
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_WRITE, "a");
    struct eventual_record record = {0};

    memset(large, 'x', sizeof large);
    f->fake.now_ns += hour_ns;
    assert_int_equal(create(f, "a"), 0);
    command.data = (struct slice){large, sizeof large};
    assert_int_equal(carry_out(f, &command), 0);
    f->fake.now_ns -= hour_ns;
    assert_int_equal(restamp(f, 0), 0);
    assert_int_equal(
        eventual_get(f->state, NULL, DIR, slice_of("a"), true, &record), 0);
    assert_false(is_ahead(f, record.hlc));
    assert_true(slice_equal(record.content, command.data));
    eventual_release(&record);
}

static void test_the_time_of_their_directory_goes_back(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_namespace count;

    write_ahead(f);
    assert_int_equal(restamp(f, 0), 0);
    assert_int_equal(eventual_namespace_get(f->state, NULL, DIR, &count), 0);
    assert_false(is_ahead(f, count.version));
    assert_true(count.changed_ns <= stamp_time_ns(count.version));
}

static void test_more_than_one_slice_is_gone_through(void **state)
{
    enum { COUNT = 70 };
    struct eventual_fixture *f = *state;
    char name[8];

    f->fake.now_ns += hour_ns;
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        assert_int_equal(create(f, name), 0);
    }
    f->fake.now_ns -= hour_ns;
    assert_int_equal(restamp(f, 0), 0);
    assert_int_equal(counts_of(f).restamped, COUNT);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        assert_false(is_ahead(f, hlc_of(f, name)));
    }
}

/* What was ahead may be gone, with its directory. */
static void test_the_clock_goes_back_where_nothing_is_ahead(void **state)
{
    struct eventual_fixture *f = *state;

    write_ahead(f);
    apply_mode(f, DIR, MODE_STRONG, 0, VERSION + 1);
    apply_mode(f, DIR, MODE_EVENTUAL, VERSION + 2, VERSION + 2);
    assert_int_equal(restamp(f, 0), 0);
    assert_int_equal(counts_of(f).restamped, 0);
    assert_int_equal(create(f, "c"), 0);
    assert_false(is_ahead(f, hlc_of(f, "c")));
}

static void test_looking_changes_nothing(void **state)
{
    struct eventual_fixture *f = *state;
    uint64_t count;
    uint64_t before;

    write_ahead(f);
    before = hlc_of(f, "a");
    assert_int_equal(only_look(f, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(hlc_of(f, "a"), before);
    assert_int_equal(create(f, "c"), 0);
    assert_true(is_ahead(f, hlc_of(f, "c")));
}

/* ---- what is in the way ---- */

static void test_what_others_have_keeps_its_version(void **state)
{
    struct eventual_fixture *f = *state;
    uint64_t before;
    uint64_t count;

    write_ahead(f);
    before = hlc_of(f, "a");
    assert_int_equal(restamp(f, hlc_of(f, "b")), ERR_BUSY);
    assert_int_equal(hlc_of(f, "a"), before);
    assert_int_equal(only_look(f, &count), 0);
    assert_int_equal(create(f, "c"), 0);
    assert_true(is_ahead(f, hlc_of(f, "c")));
    assert_int_equal(restamp(f, hlc_of(f, "right")), 0);
}

/* It may have been replaced here by what is ahead as well, as elsewhere it will
 * be by nothing else. */
static void test_something_ahead_of_another_node_is_in_the_way(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record;

    f->fake.now_ns += hour_ns;
    record = record_of(f, "a", 1, "of OTHER");
    f->fake.now_ns += 1000000;
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(write_text(f, "a", "of NODE"), 0);
    assert_int_equal(merge_one(f, &record, 1), 0);
    assert_string_equal(text_of(f, "a"), "of NODE");
    f->fake.now_ns -= hour_ns;
    assert_int_equal(restamp(f, 0), ERR_BUSY);
    crash(f);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    f->fake.now_ns += hour_ns - 1;
    assert_int_equal(restamp(f, 0), 0);
}

static void test_a_floor_that_is_ahead_is_in_the_way(void **state)
{
    struct eventual_fixture *f = *state;

    write_ahead(f);
    put_floor(f, hlc_of(f, "a"));
    assert_int_equal(restamp(f, 0), ERR_BUSY);
}

static void test_a_clock_that_is_not_believed_is_in_the_way(void **state)
{
    struct eventual_fixture *f = *state;

    write_ahead(f);
    f->clock_status = ERR_UNAVAILABLE;
    assert_int_equal(restamp(f, 0), ERR_UNAVAILABLE);
    assert_true(is_ahead(f, hlc_of(f, "a")));
}

/* ---- meanwhile, and crashes ---- */

static void test_nothing_is_accepted_or_shown_meanwhile(void **state)
{
    struct eventual_fixture *f = *state;
    struct test_restamp test;
    uint64_t shown;

    write_ahead(f);
    shown = eventual_shown(f->eventual);
    begin_restamp(f, &test, 0);
    assert_false(test.over);
    assert_int_equal(eventual_readiness(f->eventual), ERR_UNAVAILABLE);
    assert_int_equal(create(f, "c"), ERR_UNAVAILABLE);
    eventual_restamp_tick(f->eventual);
    settle(f);
    assert_false(test.over);
    assert_int_equal(eventual_shown(f->eventual), shown);
    flush_and_cut(f);
    assert_true(test.over);
    assert_true(eventual_shown(f->eventual) >= local_of(f, "a"));
    assert_int_equal(create(f, "c"), 0);
}

static void test_it_takes_until_all_is_durable(void **state)
{
    struct eventual_fixture *f = *state;
    struct test_restamp test;

    write_ahead(f);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    eventual_tick(f->eventual);
    settle(f);
    assert_int_equal(counts_of(f).journal_entries, 0);
    begin_restamp(f, &test, 0);
    eventual_restamp_tick(f->eventual);
    assert_false(test.over);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    eventual_restamp_tick(f->eventual);
    assert_true(test.over);
}

static void test_it_takes_until_the_journal_is_cut(void **state)
{
    struct eventual_fixture *f = *state;
    struct test_restamp test;

    write_ahead(f);
    begin_restamp(f, &test, 0);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    eventual_restamp_tick(f->eventual);
    assert_false(test.over);
    settle(f);
    eventual_restamp_tick(f->eventual);
    assert_true(test.over);
}

static void test_what_is_taken_meanwhile_is_shown_behind_it(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "c", 1, "of OTHER");
    struct test_restamp test;

    write_ahead(f);
    begin_restamp(f, &test, 0);
    assert_int_equal(merge_one(f, &record, 1), 0);
    assert_true(eventual_shown(f->eventual) < local_of(f, "a"));
    flush_and_cut(f);
    assert_true(test.over);
    assert_int_equal(eventual_shown(f->eventual), local_of(f, "c"));
}

static void test_what_is_taken_meanwhile_is_older_than_the_next(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "c", 1, "of OTHER");
    struct test_restamp test;

    f->clock_behind_ns = UINT64_C(2000000000);
    write_ahead(f);
    begin_restamp(f, &test, 0);
    assert_int_equal(merge_one(f, &record, 1), 0);
    flush_and_cut(f);
    assert_true(test.over);
    assert_int_equal(write_text(f, "c", "of this node"), 0);
    assert_true(hlc_of(f, "c") > record.hlc);
}

/* Whatever part of the writes is left. */
static void test_a_crash_leaves_all_contents(void **state)
{
    struct eventual_fixture *f = *state;

    /* Each of three changes, and the end. */
    for (f->kept_count = 0; f->kept_count <= 4; f->kept_count++) {
        struct test_restamp test;

        write_ahead(f);
        assert_int_equal(kv_flush(f->state, true, NULL), 0);
        begin_restamp(f, &test, 0);
        crash(f);
        assert_true(test.over);
        assert_int_equal(test.status, ERR_CANCELED);
        check_contents(f);
    }
    f->kept_count = 0;
    assert_int_equal(restamp(f, 0), 0);
    check_contents(f);
    assert_false(is_ahead(f, hlc_of(f, "a")));
}

/* The journal would have the old versions, greater than all that came later. */
static void test_a_lost_state_does_not_bring_old_versions_back(void **state)
{
    struct eventual_fixture *f = *state;

    write_ahead(f);
    assert_int_equal(restamp(f, 0), 0);
    assert_int_equal(write_text(f, "a", "later"), 0);
    lose_state(f);
    assert_string_equal(text_of(f, "a"), "later");
    assert_false(is_known(f, "b"));
}

static void test_the_end_of_a_node_ends_it(void **state)
{
    struct eventual_fixture *f = *state;
    static struct test_restamp test;

    write_ahead(f);
    test = (struct test_restamp){
        .restamp = {.writes = true, .done = restamp_done}};
    eventual_restamp_start(f->eventual, &test.restamp);
    eventual_stop(f->eventual);
    assert_true(test.over);
    assert_int_equal(test.status, ERR_CANCELED);
    fake_env_run(&f->fake);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup_eventual, teardown_eventual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_they_get_the_versions_of_now_in_their_order),
        TEST(test_later_changes_go_by_the_clock),
        TEST(test_what_was_taken_from_others_is_older_than_the_next),
        TEST(test_a_large_content_stays),
        TEST(test_the_time_of_their_directory_goes_back),
        TEST(test_more_than_one_slice_is_gone_through),
        TEST(test_the_clock_goes_back_where_nothing_is_ahead),
        TEST(test_looking_changes_nothing),
        TEST(test_what_others_have_keeps_its_version),
        TEST(test_something_ahead_of_another_node_is_in_the_way),
        TEST(test_a_floor_that_is_ahead_is_in_the_way),
        TEST(test_a_clock_that_is_not_believed_is_in_the_way),
        TEST(test_nothing_is_accepted_or_shown_meanwhile),
        TEST(test_it_takes_until_all_is_durable),
        TEST(test_it_takes_until_the_journal_is_cut),
        TEST(test_what_is_taken_meanwhile_is_shown_behind_it),
        TEST(test_what_is_taken_meanwhile_is_older_than_the_next),
        TEST(test_a_crash_leaves_all_contents),
        TEST(test_a_lost_state_does_not_bring_old_versions_back),
        TEST(test_the_end_of_a_node_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
