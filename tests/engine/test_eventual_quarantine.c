/* SPDX-License-Identifier: Apache-2.0 */

/* What becomes of a node's eventual entries when it learns from region 0's
 * entries that their directory was made strong without it. */

#include "eventual_quarantine_fixture.h"

/* ---- the end of a life ---- */

static void test_what_was_left_out_goes_into_quarantine(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record other = record_of(f, "c", 1, "other");

    make(f, "a", "text");
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(unlink_name(f, "b"), 0);
    assert_int_equal(merge_one(f, &other, 1), 0);
    end_life(f, 0);
    assert_int_equal(count_of(f), 2);
    expect_item(f, 1, "a", "text");
    expect_item(f, 2, "b", NULL);
    assert_false(is_known(f, "a") || is_known(f, "b") || is_known(f, "c"));
    assert_false(has_record(f->state, key_eventual_namespace(DIR)));
    assert_int_equal(eventual_removed_count(f->state, 9), 0);
}

static void test_what_was_taken_along_is_deleted(void **state)
{
    struct eventual_fixture *f = *state;

    make(f, "a", "text");
    make(f, "b", "text");
    end_life(f, known_of(f, "a").sequence);
    assert_int_equal(count_of(f), 1);
    expect_item(f, 1, "b", "text");
    assert_false(is_known(f, "a") || is_known(f, "b"));
}

static void test_who_was_not_left_out_keeps_nothing(void **state)
{
    struct eventual_fixture *f = *state;

    make(f, "a", "text");
    leave_out(f, SINCE, OTHER, 0);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    assert_int_equal(count_of(f), 0);
    assert_false(is_known(f, "a"));
}

static void test_the_next_life_does_not_have_what_was_left_out(void **state)
{
    struct eventual_fixture *f = *state;

    make(f, "a", "text");
    leave_out(f, SINCE, NODE, 0);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER, LATER);
    assert_int_equal(count_of(f), 1);
    assert_false(is_known(f, "a"));
    make(f, "a", "new");
    expect_item(f, 1, "a", "text");
    assert_string_equal(text_of(f, "a"), "new");
}

/* ---- crashes ---- */

/* "a" and "t" are durable, which are taken along up to "t"; "b" was removed and
 * "c" made behind that. Returns how much is taken along. */
static uint64_t make_some(struct eventual_fixture *f)
{
    make(f, "t", "taken");
    make(f, "b", "text");
    make(f, "a", "text");
    flush_all(f);
    assert_int_equal(unlink_name(f, "b"), 0);
    make(f, "c", "text");
    return known_of(f, "t").sequence;
}

static void expect_some(struct eventual_fixture *f)
{
    assert_int_equal(count_of(f), 3);
    expect_item(f, 1, "a", "text");
    expect_item(f, 2, "b", NULL);
    expect_item(f, 3, "c", "text");
    assert_false(is_known(f, "t") || is_known(f, "a") || is_known(f, "b") ||
                 is_known(f, "c"));
    assert_false(has_record(f->state, key_eventual_namespace(DIR)));
}

/* Each number of writes that a power cut may leave of those that lead to the
 * end of a life and follow from it. */
static void test_no_crash_loses_what_was_left_out(void **state)
{
    enum { WRITES_MAX = 9 };

    for (size_t kept_count = 0; kept_count < WRITES_MAX; kept_count++) {
        struct eventual_fixture *f = *state;
        uint64_t taken = make_some(f);

        end_life(f, taken);
        f->kept_count = kept_count < kv_mem_unsynced_count(f->state)
                            ? kept_count
                            : kv_mem_unsynced_count(f->state);
        crash(f);
        if (modes_version(f->modes) < LATER)
            end_life(f, taken); /* Region 0 is applied again. */
        expect_some(f);
        assert_int_equal(teardown_eventual(state), 0);
        assert_int_equal(setup_eventual(state), 0);
    }
}

/* Rule 2 of quarantine.h: else the journal would put the new "a" in the place
 * of the old one before region 0 ends the life of that once more. */
static void test_a_later_life_does_not_replace_it_behind_a_crash(void **state)
{
    struct eventual_fixture *f = *state;

    make(f, "a", "old");
    flush_all(f);
    end_life(f, 0);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER + 1, LATER + 1);
    make(f, "a", "new");
    crash(f);
    if (modes_version(f->modes) < LATER)
        end_life(f, 0);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER + 1, LATER + 1);
    assert_string_equal(text_of(f, "a"), "new");
    assert_int_equal(count_of(f), 1);
    expect_item(f, 1, "a", "old");
}

/* ---- what cannot be read ---- */

/* In the next life it would be in the way. */
static void test_what_cannot_be_read_stays_until_the_next_life(void **state)
{
    struct eventual_fixture *f = *state;

    make(f, "a", "text");
    make(f, "b", "text");
    put_record(f->state, key_user('v', DIR, slice_of("b")),
               slice_of("\001damage"));
    end_life(f, 0);
    assert_int_equal(count_of(f), 1);
    expect_item(f, 1, "a", "text");
    assert_true(is_known(f, "b"));
    flush_all(f);
    crash(f);
    assert_true(is_known(f, "b"));
    apply_mode(f, DIR, MODE_EVENTUAL, LATER + 1, LATER + 1);
    assert_false(is_known(f, "b"));
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(count_of(f), 1);
}

/* ---- dropping ---- */

struct test_drop {
    struct eventual_drop drop;
    bool over;
    int status;
};

static void drop_done(struct eventual_drop *drop, int status)
{
    struct test_drop *test = (struct test_drop *)(void *)drop;

    assert_false(test->over);
    test->over = true;
    test->status = status;
}

static void begin_drop(struct eventual_fixture *f, struct test_drop *drop)
{
    *drop = (struct test_drop){.drop = {.number = 1, .done = drop_done}};
    eventual_drop_start(f->eventual, &drop->drop);
    assert_false(drop->over);
}

static void test_what_is_dropped_is_gone(void **state)
{
    struct eventual_fixture *f = *state;
    struct test_drop drop;

    make(f, "a", "text");
    end_life(f, 0);
    begin_drop(f, &drop);
    assert_int_equal(count_of(f), 1);
    fake_env_run(&f->fake);
    assert_true(drop.over);
    assert_int_equal(drop.status, 0);
    assert_int_equal(count_of(f), 0);
    begin_drop(f, &drop);
    fake_env_run(&f->fake);
    assert_int_equal(drop.status, ERR_NOT_FOUND);
}

static void test_what_is_dropped_does_not_come_back_for_long(void **state)
{
    struct eventual_fixture *f = *state;
    struct test_drop drop;

    make(f, "a", "text");
    end_life(f, 0);
    eventual_tick(f->eventual);
    assert_int_equal(f->flush_count, 0);
    begin_drop(f, &drop);
    fake_env_run(&f->fake);
    eventual_tick(f->eventual);
    assert_int_equal(f->flush_count, 1);
    begin_drop(f, &drop);
    fake_env_run(&f->fake);
    assert_int_equal(drop.status, ERR_NOT_FOUND);
    eventual_tick(f->eventual);
    assert_int_equal(f->flush_count, 1);
}

static void test_a_drop_may_be_cancelled(void **state)
{
    struct eventual_fixture *f = *state;
    struct test_drop drop;

    begin_drop(f, &drop);
    eventual_drop_cancel(&drop.drop);
    fake_env_run(&f->fake);
    assert_false(drop.over);
    eventual_drop_cancel(&drop.drop);
}

static void test_a_drop_ends_with_the_node(void **state)
{
    struct eventual_fixture *f = *state;
    struct test_drop drop;
    struct test_drop late;

    begin_drop(f, &drop);
    eventual_stop(f->eventual);
    assert_true(drop.over);
    assert_int_equal(drop.status, ERR_CANCELED);
    begin_drop(f, &late);
    fake_env_run(&f->fake);
    assert_int_equal(late.status, ERR_CANCELED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_left_out_goes_into_quarantine),
        TEST(test_what_was_taken_along_is_deleted),
        TEST(test_who_was_not_left_out_keeps_nothing),
        TEST(test_the_next_life_does_not_have_what_was_left_out),
        TEST(test_no_crash_loses_what_was_left_out),
        TEST(test_a_later_life_does_not_replace_it_behind_a_crash),
        TEST(test_what_cannot_be_read_stays_until_the_next_life),
        TEST(test_what_is_dropped_is_gone),
        TEST(test_what_is_dropped_does_not_come_back_for_long),
        TEST(test_a_drop_may_be_cancelled),
        TEST(test_a_drop_ends_with_the_node),
    };

    return cmocka_run_group_tests_name("eventual quarantine", tests, NULL,
                                       NULL);
}
