/* SPDX-License-Identifier: Apache-2.0 */

/* The floor of tombstones on a node: what it drops below it, and what it
 * promises and consents to so that the floor may rise. Rules are those of
 * floor.h. */

#include "engine/floor.h"
#include "eventual_fixture.h"

enum { FIRST = 10 };

static const uint64_t second_ns = 1000000000;

static void put_marker(struct eventual_fixture *f, uint64_t version)
{
    const struct marker marker = {.index = 4, .term = 1, .version = version};
    uint8_t bytes[MARKER_SIZE_MAX];

    put_relaxed(f->state, key_marker(REGION_PLACEMENT),
                (struct slice){bytes, marker_encode(&marker, bytes)});
}

/* look(), up to where only log/ is to be synced. */
static void look_unsynced(struct eventual_fixture *f)
{
    for (unsigned i = 0; i < LOOK_TICKS; i++) {
        eventual_tick(f->eventual);
        fake_env_run(&f->fake);
    }
}

static struct eventual_floor_view view_of(struct eventual_fixture *f)
{
    struct eventual_floor_view view;

    eventual_floor_look(f->eventual, &view);
    return view;
}

/* An answer of OTHER's without changes. */
static int take_promise(struct eventual_fixture *f, uint64_t promise,
                        uint64_t roll)
{
    struct test_merge merge = {
        .merge = {.last = FIRST, .promise = promise, .roll = roll}};

    return merge_items(f, &merge, NULL);
}

static void flush_all(struct eventual_fixture *f)
{
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
}

static void flush_and_look(struct eventual_fixture *f)
{
    flush_all(f);
    look(f);
}

/* OTHER, which is a member, sends `gone` and then this promise. */
static void take_removal(struct eventual_fixture *f,
                         const struct eventual_record *gone, uint64_t promise)
{
    put_members(f, false);
    assert_int_equal(merge_one(f, gone, FIRST), 0);
    assert_int_equal(take_promise(f, promise, CONF_VER), 0);
}

/* ---- dropping ---- */

static void test_what_is_removed_is_forgotten_below_the_floor(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(create(f, "c"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    assert_int_equal(unlink_name(f, "b"), 0);
    put_floor(f, hlc_of(f, "a"));
    look(f);
    assert_false(is_known(f, "a"));
    assert_true(is_known(f, "b"));
    assert_true(is_known(f, "c"));
    assert_int_equal(view_of(f).oldest, hlc_of(f, "b"));
    assert_int_equal(counts_of(f).dropped, 1);
    put_floor(f, hlc_of(f, "b"));
    look(f);
    assert_false(is_known(f, "b"));
    assert_int_equal(view_of(f).oldest, 0);
    assert_int_equal(counts_of(f).dropped, 2);
    assert_int_equal(entry_count(f), 1);
}

/* A crash may leave some, and nobody else has them. */
static void test_what_is_left_of_an_ended_life_asks_for_no_floor(void **state)
{
    struct eventual_fixture *f = *state;

    put_relaxed(f->state, key_eventual_removed(1, DIR + 1, slice_of("x")),
                slice_of(""));
    look(f);
    assert_int_equal(view_of(f).oldest, 0);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    look(f);
    assert_int_equal(view_of(f).oldest, hlc_of(f, "a"));
    assert_int_equal(eventual_removed_count(f->state, 9), 2);
    put_floor(f, hlc_of(f, "a"));
    look(f);
    assert_int_equal(eventual_removed_count(f->state, 9), 0);
}

static void test_a_name_that_is_back_stays(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    assert_int_equal(create(f, "a"), 0);
    put_floor(f, hlc_of(f, "a"));
    look(f);
    assert_string_equal(text_of(f, "a"), "");
    assert_int_equal(counts_of(f).dropped, 0);
}

static void test_the_end_of_a_life_takes_its_tombstones_along(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    apply_mode(f, DIR, MODE_STRONG, 0, VERSION + 1);
    look(f);
    assert_int_equal(view_of(f).oldest, 0);
    assert_int_equal(counts_of(f).dropped, 0);
}

/* ---- rule 5 ---- */

static void test_what_is_forgotten_does_not_come_back(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record old = record_of(f, "a", 1, "old");
    struct eventual_record gone = record_of(f, "a", 2, NULL);
    struct eventual_record later = record_of(f, "a", 3, "later");

    assert_int_equal(merge_one(f, &old, FIRST), 0);
    assert_int_equal(merge_one(f, &gone, FIRST + 1), 0);
    put_floor(f, gone.hlc);
    look(f);
    assert_false(is_known(f, "a"));
    assert_int_equal(merge_one(f, &old, FIRST + 2), 0);
    assert_int_equal(merge_one(f, &gone, FIRST + 3), 0);
    assert_false(is_known(f, "a"));
    flush_all(f);
    crash(f);
    assert_int_equal(merge_one(f, &old, FIRST + 4), 0);
    assert_false(is_known(f, "a"));
    assert_int_equal(merge_one(f, &later, FIRST + 5), 0);
    assert_string_equal(text_of(f, "a"), "later");
}

/* It keeps them until it has applied the floor itself. */
static void test_what_is_known_below_the_floor_is_replaced(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record old = record_of(f, "a", 1, "old");
    struct eventual_record gone = record_of(f, "a", 2, NULL);

    assert_int_equal(merge_one(f, &old, FIRST), 0);
    put_floor(f, gone.hlc);
    look(f);
    assert_int_equal(merge_one(f, &gone, FIRST + 1), 0);
    assert_null(text_of(f, "a"));
}

/* Rule 6. */
static void test_a_node_with_nothing_takes_all_and_begins_above(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record old = record_of(f, "a", 1, "old");
    struct test_merge merge = {.merge = {.last = FIRST, .whole = true}};

    lose_state(f);
    f->fake.now_ns -= second_ns;
    merge.merge.floor = old.hlc + 5;
    put_floor(f, merge.merge.floor);
    look(f);
    assert_false(eventual_is_whole(f->eventual));
    assert_int_equal(merge_items(f, &merge, add_item(NULL, &old, FIRST)),
                     ERR_UNAVAILABLE); /* ahead of the clock */
    f->fake.now_ns += second_ns;
    assert_int_equal(merge_items(f, &merge, add_item(NULL, &old, FIRST)), 0);
    assert_string_equal(text_of(f, "a"), "old");
    f->fake.now_ns -= second_ns;
    assert_int_equal(create(f, "b"), 0);
    assert_true(hlc_of(f, "b") > merge.merge.floor);
}

/* Rule 6: before region 0 tells of it, too. */
static void test_a_floor_that_an_answer_tells_of_counts(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record old = record_of(f, "a", 1, "old");
    struct test_merge merge = {.merge = {.last = FIRST, .floor = old.hlc}};

    assert_int_equal(merge_items(f, &merge, NULL), 0);
    assert_int_equal(merge_one(f, &old, FIRST + 1), 0);
    assert_false(is_known(f, "a"));
    f->fake.now_ns -= second_ns;
    assert_int_equal(create(f, "b"), 0);
    assert_true(hlc_of(f, "b") > old.hlc);
}

/* Until then this node may not know that it was left out of the end of that
 * life: others have dropped the removal, as of a life that is over, and consent
 * to its being forgotten, and here it is to go into quarantine. */
static void
test_nothing_is_dropped_before_region_0_tells_of_a_floor(void **state)
{
    struct eventual_fixture *f = *state;
    struct test_merge merge = {.merge = {.last = FIRST}};

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    merge.merge.floor = hlc_of(f, "a");
    assert_int_equal(merge_items(f, &merge, NULL), 0);
    look(f);
    assert_true(is_known(f, "a"));
    put_floor(f, hlc_of(f, "a"));
    look(f);
    assert_false(is_known(f, "a"));
}

/* The catalog of a snapshot is there before its modes are looked at. */
static void test_nothing_is_dropped_before_modes_are_known(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    put_floor(f, hlc_of(f, "a"));
    put_marker(f, VERSION + 1);
    look(f);
    assert_true(is_known(f, "a"));
    assert_int_equal(modes_load(f->modes, f->state), 0);
    look(f);
    assert_false(is_known(f, "a"));
}

/* ---- promises ---- */

/* Rule 1. */
static void test_a_promise_holds_after_a_crash(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record gone = record_of(f, "a", 1, NULL);

    put_members(f, true);
    flush_all(f);
    assert_int_equal(merge_one(f, &gone, FIRST), ERR_UNAVAILABLE);
    put_members(f, false);
    assert_int_equal(merge_one(f, &gone, FIRST), 0);
    look_unsynced(f);
    assert_int_equal(eventual_promise(f->eventual), 0);
    sync_all(f);
    assert_int_equal(eventual_promise(f->eventual), gone.hlc);
    crash(f);
    assert_false(is_known(f, "a"));
    assert_int_equal(eventual_promise(f->eventual), gone.hlc);
    f->fake.now_ns -= second_ns;
    assert_int_equal(create(f, "b"), 0);
    assert_true(hlc_of(f, "b") > gone.hlc);
}

static void test_who_has_not_heard_all_members_tells_no_promise(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_told told;

    put_members(f, false);
    assert_int_equal(eventual_tell(f->state, NODE, &told), 0);
    assert_int_equal(told.roll, CONF_VER);
    assert_false(told.may_promise);
    assert_int_equal(take_promise(f, 0, CONF_VER), 0);
    assert_int_equal(eventual_tell(f->state, NODE, &told), 0);
    assert_true(told.may_promise);
    put_floor(f, 5);
    assert_int_equal(eventual_tell(f->state, NODE, &told), 0);
    assert_int_equal(told.floor, 5);
}

/* ---- consent ---- */

/* Rule 3. */
static void test_consent_is_what_a_power_cut_would_leave(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record gone = record_of(f, "a", 1, NULL);

    put_members(f, false);
    flush_all(f);
    assert_int_equal(merge_one(f, &gone, FIRST), 0);
    assert_int_equal(take_promise(f, gone.hlc + 1, CONF_VER), 0);
    look(f);
    look(f);
    assert_int_equal(view_of(f).consent, 0);
    for (unsigned i = 0; i < 10; i++)
        look(f);
    assert_true(f->flush_count > 0);
    flush_all(f);
    look_unsynced(f);
    assert_int_equal(view_of(f).consent, 0);
    sync_all(f);
    assert_int_equal(view_of(f).consent, gone.hlc);
    assert_int_equal(view_of(f).roll, CONF_VER);
    crash(f);
    assert_int_equal(view_of(f).consent, gone.hlc);
}

static void test_consent_is_what_the_least_promise_allows(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record gone = record_of(f, "a", 5, NULL);

    take_removal(f, &gone, gone.hlc - 3);
    look(f);
    flush_and_look(f);
    assert_int_equal(view_of(f).consent, gone.hlc - 3);
    assert_int_equal(take_promise(f, gone.hlc - 1, CONF_VER), 0);
    assert_int_equal(take_promise(f, 0, CONF_VER), 0);
    flush_and_look(f);
    assert_int_equal(view_of(f).consent, gone.hlc - 1);
}

static void test_nothing_is_flushed_while_a_promise_is_missing(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record gone = record_of(f, "a", 5, NULL);

    take_removal(f, &gone, gone.hlc - 3);
    for (unsigned i = 0; i < 20; i++)
        look(f);
    assert_int_equal(f->flush_count, 0);
    assert_int_equal(take_promise(f, gone.hlc, CONF_VER), 0);
    look(f);
    look(f);
    assert_int_equal(f->flush_count, 1);
}

/* Rule 4. */
static void test_promises_of_another_roll_do_not_count(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record gone = record_of(f, "a", 5, NULL);

    put_members(f, false);
    assert_int_equal(merge_one(f, &gone, FIRST), 0);
    assert_int_equal(take_promise(f, gone.hlc, CONF_VER - 1), 0);
    look(f);
    flush_and_look(f);
    assert_int_equal(view_of(f).consent, 0);
    assert_int_equal(take_promise(f, 0, CONF_VER), 0);
    flush_and_look(f);
    assert_int_equal(view_of(f).consent, 0);
    assert_int_equal(take_promise(f, gone.hlc, CONF_VER), 0);
    flush_and_look(f);
    assert_int_equal(view_of(f).consent, gone.hlc);
}

static void test_nobody_consents_before_the_journal_is_cut(void **state)
{
    struct eventual_fixture *f = *state;

    put_members(f, true);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    look(f);
    assert_int_equal(view_of(f).consent, 0);
    flush_all(f);
    look_unsynced(f);
    assert_int_equal(f->fake.write_count, 1); /* The cut. */
    sync_all(f);
    assert_int_equal(view_of(f).consent, 0);
    look(f);
    assert_int_equal(view_of(f).consent, hlc_of(f, "a"));
}

static void test_nobody_consents_to_what_may_yet_be_in_the_journal(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_CREATE, "b");
    struct eventual_record gone = record_of(f, "a", 1, NULL);
    struct test_op op;

    take_removal(f, &gone, gone.hlc);
    look(f);
    begin(f, &op, &command);
    assert_int_equal(f->fake.write_count, 1);
    flush_all(f);
    look_unsynced(f);
    sync_all(f);
    assert_int_equal(view_of(f).consent, 0);
    look(f);
    look(f);
    assert_int_equal(view_of(f).consent, gone.hlc);
}

/* What there was before may have been more. */
static void test_nobody_consents_before_it_is_whole(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record gone = record_of(f, "a", 1, NULL);

    lose_state(f);
    take_removal(f, &gone, gone.hlc);
    look(f);
    flush_and_look(f);
    assert_int_equal(eventual_promise(f->eventual), gone.hlc);
    assert_int_equal(view_of(f).consent, 0);
    eventual_set_whole(f->eventual);
    fake_env_run(&f->fake);
    look(f);
    assert_int_equal(view_of(f).consent, 0);
    flush_and_look(f);
    assert_int_equal(view_of(f).consent, gone.hlc);
}

/* ---- rule 7 ---- */

static void test_a_lost_state_withdraws_what_was_consented_to(void **state)
{
    struct eventual_fixture *f = *state;

    put_members(f, true);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    look(f);
    flush_and_look(f);
    assert_true(view_of(f).consent > 0);
    assert_false(eventual_must_withdraw(f->eventual, CONF_VER));
    assert_true(eventual_may_take(f->eventual, CONF_VER));
    lose_state(f);
    assert_false(eventual_must_withdraw(f->eventual, 0));
    assert_true(eventual_must_withdraw(f->eventual, CONF_VER));
    assert_false(eventual_may_take(f->eventual, CONF_VER));
    assert_false(eventual_must_withdraw(f->eventual, CONF_VER + 1));
    assert_true(eventual_may_take(f->eventual, CONF_VER + 1));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup_eventual, teardown_eventual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_removed_is_forgotten_below_the_floor),
        TEST(test_what_is_left_of_an_ended_life_asks_for_no_floor),
        TEST(test_a_name_that_is_back_stays),
        TEST(test_the_end_of_a_life_takes_its_tombstones_along),
        TEST(test_what_is_forgotten_does_not_come_back),
        TEST(test_what_is_known_below_the_floor_is_replaced),
        TEST(test_a_node_with_nothing_takes_all_and_begins_above),
        TEST(test_a_floor_that_an_answer_tells_of_counts),
        TEST(test_nothing_is_dropped_before_region_0_tells_of_a_floor),
        TEST(test_nothing_is_dropped_before_modes_are_known),
        TEST(test_a_promise_holds_after_a_crash),
        TEST(test_who_has_not_heard_all_members_tells_no_promise),
        TEST(test_consent_is_what_a_power_cut_would_leave),
        TEST(test_consent_is_what_the_least_promise_allows),
        TEST(test_nothing_is_flushed_while_a_promise_is_missing),
        TEST(test_promises_of_another_roll_do_not_count),
        TEST(test_nobody_consents_before_the_journal_is_cut),
        TEST(test_nobody_consents_to_what_may_yet_be_in_the_journal),
        TEST(test_nobody_consents_before_it_is_whole),
        TEST(test_a_lost_state_withdraws_what_was_consented_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
