/* SPDX-License-Identifier: Apache-2.0 */

/* Entries that cannot be read, and who meets them on their node:
 * eventual_damage.h. test_pull_damage.c has how they come again. */

#include <string.h>

#include "engine/eventual_damage.h"
#include "eventual_fixture.h"

/* ---- damage ---- */

static void spoil(struct eventual_fixture *f, const char *name)
{
    put_record(f->state, key_user('v', DIR, slice_of(name)),
               slice_of("\001damage"));
}

static bool is_noted(struct eventual_fixture *f, const char *name)
{
    return has_record(f->state, key_eventual_damage(DIR, slice_of(name)));
}

static bool can_read(struct eventual_fixture *f, const char *name)
{
    struct eventual_record record = {0};
    int rc = eventual_get(f->state, NULL, DIR, slice_of(name), true, &record);

    eventual_release(&record);
    return rc != ERR_CORRUPT;
}

static uint64_t cursor(struct eventual_fixture *f)
{
    struct eventual_peer peer;

    assert_int_equal(eventual_peer_get(f->state, OTHER, &peer), 0);
    return peer.cursor;
}

static void find(struct eventual_fixture *f, const char *name)
{
    eventual_find_damage(f->eventual, DIR, slice_of(name));
    fake_env_run(&f->fake);
}

/* As if all others had told all that they have. */
static void mend(struct eventual_fixture *f)
{
    eventual_has_had_all(f->eventual);
    eventual_tick(f->eventual);
    settle(f);
}

/* It has "a" of OTHER, and has pulled up to 7 from there. */
static void pull_one(struct eventual_fixture *f)
{
    struct eventual_record record = record_of(f, "a", 1, "text");

    assert_int_equal(merge_one(f, &record, 7), 0);
    assert_int_equal(cursor(f), 7);
}

static int pull_again(struct eventual_fixture *f, uint64_t counter)
{
    struct eventual_record record = record_of(f, "a", counter, "text");

    return merge_one(f, &record, 7);
}

/* ---- who meets it ---- */

static void assert_asks_again(struct eventual_fixture *f, const char *name)
{
    assert_true(is_noted(f, name));
    assert_int_equal(cursor(f), 0);
    assert_true(eventual_is_damaged(f->eventual));
    assert_true(eventual_is_whole(f->eventual));
    assert_false(eventual_has_all(f->eventual));
}

static void test_who_reads_a_name_notes_that(void **state)
{
    struct eventual_fixture *f = *state;

    pull_one(f);
    assert_int_equal(create(f, "b"), 0);
    find(f, "a");
    assert_false(eventual_is_damaged(f->eventual));
    spoil(f, "a");
    find(f, "b");
    assert_false(eventual_is_damaged(f->eventual));
    find(f, "a");
    assert_asks_again(f, "a");
    assert_int_equal(pull_again(f, 1), 0);
    assert_int_equal(cursor(f), 7);
    assert_string_equal(text_of(f, "a"), "text");
    assert_int_equal(f->flush_count, 0);
    mend(f);
    assert_int_equal(f->flush_count, 1);
    assert_true(eventual_has_all(f->eventual));
    assert_false(is_noted(f, "a"));
    assert_int_equal(entry_count(f), 2);
}

static void test_who_lists_a_directory_finds_all_of_them(void **state)
{
    struct eventual_fixture *f = *state;

    pull_one(f);
    assert_int_equal(create(f, "b"), 0);
    spoil(f, "a");
    spoil(f, "b");
    find(f, "");
    assert_asks_again(f, "a");
    assert_asks_again(f, "b");
    assert_int_equal(counts_of(f).damages, 2);
}

/* Where the store does not get through the entries, the index has them. */
static void test_a_listing_that_breaks_off_goes_by_the_index(void **state)
{
    struct eventual_fixture *f = *state;

    pull_one(f);
    spoil(f, "a");
    kv_mem_spoil(f->state, 'v');
    find(f, "");
    kv_mem_spoil(f->state, '\0');
    assert_asks_again(f, "a");
}

static void test_a_change_that_is_accepted_notes_it(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_RENAME, "b");

    pull_one(f);
    assert_int_equal(create(f, "b"), 0);
    spoil(f, "a");
    command.to_dir = DIR;
    command.to_name = slice_of("a");
    assert_int_equal(carry_out(f, &command), ERR_CORRUPT);
    assert_asks_again(f, "a");
    assert_int_equal(create(f, "c"), 0);
}

/* The answer with it does not count, whatever it says of the rest. */
static void test_a_change_that_is_taken_notes_it(void **state)
{
    struct eventual_fixture *f = *state;

    pull_one(f);
    spoil(f, "a");
    assert_int_equal(pull_again(f, 2), ERR_CANCELED);
    assert_asks_again(f, "a");
    assert_false(can_read(f, "a"));
    assert_int_equal(pull_again(f, 2), 0);
    assert_string_equal(text_of(f, "a"), "text");
}

static void test_the_journal_is_replayed_over_it(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    assert_int_equal(write_text(f, "a", "newer"), 0);
    cut_power(f);
    spoil(f, "a");
    assert_int_equal(open_again(f), 0);
    assert_string_equal(text_of(f, "a"), "newer");
    assert_asks_again(f, "a");
    mend(f);
    assert_true(eventual_has_all(f->eventual));
    assert_int_equal(entry_count(f), 1);
}

static void test_a_look_at_tombstones_notes_it(void **state)
{
    struct eventual_fixture *f = *state;
    uint64_t hlc;

    put_members(f, true);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    hlc = hlc_of(f, "a");
    spoil(f, "a");
    put_floor(f, hlc);
    look(f);
    assert_asks_again(f, "a");
    assert_true(is_known(f, "a"));
}

static void tell(void *context, uint64_t nsid, struct slice name)
{
    struct eventual_fixture *f = context;

    assert_int_equal(eventual_note_damage(f->eventual, nsid, name), 0);
}

static void test_an_answer_passes_over_it(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_scan scan = {.shown = UINT64_MAX - 1,
                                 .bytes_max = 1000,
                                 .on_damage = tell,
                                 .context = f};

    pull_one(f);
    assert_int_equal(create(f, "b"), 0);
    spoil(f, "a");
    assert_int_equal(eventual_scan_run(f->state, &scan), 0);
    assert_int_equal(scan.item_count, 1);
    buf_unref(scan.items);
    fake_env_run(&f->fake);
    assert_asks_again(f, "a");
}

/* ---- what is made anew ---- */

static void test_a_count_that_cannot_be_read_is_counted_anew(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_namespace count;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(unlink_name(f, "b"), 0);
    put_record(f->state, key_eventual_namespace(DIR), slice_of("?"));
    assert_int_equal(create(f, "c"), 0);
    assert_int_equal(entry_count(f), 2);
    put_record(f->state, key_eventual_namespace(DIR), slice_of("?"));
    find(f, "");
    assert_int_equal(eventual_namespace_get(f->state, NULL, DIR, &count), 0);
    assert_int_equal(count.entry_count, 2);
    assert_int_equal(count.since_first, SINCE);
    assert_int_equal(count.version, hlc_of(f, "c"));
    assert_false(eventual_is_damaged(f->eventual));
}

static void test_the_index_is_made_anew(void **state)
{
    struct eventual_fixture *f = *state;
    uint64_t local;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    local = local_of(f, "a");
    put_record(f->state, key_eventual_change(local), slice_of("?"));
    put_record(f->state, key_eventual_change(local + 9), slice_of("?"));
    assert_int_equal(eventual_index_anew(f->eventual), 0);
    assert_true(has_record(f->state, key_eventual_change(local)));
    assert_false(has_record(f->state, key_eventual_change(local + 9)));
    assert_true(has_record(f->state, key_eventual_change(local_of(f, "b"))));
}

/* ---- what it may have been ---- */

/* A tombstone, for all that anybody knows: rule 4. */
static void test_a_consent_is_withdrawn(void **state)
{
    struct eventual_fixture *f = *state;

    put_members(f, true);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    look(f);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    look(f);
    look(f);
    assert_false(eventual_must_withdraw(f->eventual, CONF_VER));
    spoil(f, "a");
    find(f, "a");
    assert_true(eventual_must_withdraw(f->eventual, CONF_VER));
    assert_false(eventual_may_take(f->eventual, CONF_VER));
    assert_true(eventual_may_take(f->eventual, CONF_VER + 1));
}

static void test_who_lacks_something_consents_to_nothing(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_floor_view view;

    put_members(f, true);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    spoil(f, "b");
    find(f, "b");
    assert_int_equal(unlink_name(f, "a"), 0);
    look(f);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    look(f);
    look(f);
    eventual_floor_look(f->eventual, &view);
    assert_int_equal(view.consent, 0);
}

/* The other tombstone, too, whatever the floor. */
static void test_who_lacks_something_forgets_nothing(void **state)
{
    struct eventual_fixture *f = *state;

    put_members(f, true);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    spoil(f, "b");
    find(f, "b");
    put_floor(f, hlc_of(f, "a"));
    look(f);
    assert_true(is_known(f, "a"));
}

/* What is below the floor comes again, too. */
static void test_what_is_below_the_floor_is_taken_again(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of(f, "a", 1, "text");
    struct test_merge merge = {.merge = {.last = 7, .floor = record.hlc}};

    assert_int_equal(merge_items(f, &merge, add_item(NULL, &record, 7)), 0);
    spoil(f, "a");
    find(f, "a");
    assert_int_equal(merge_one(f, &record, 7), 0);
    assert_string_equal(text_of(f, "a"), "text");
}

/* Nobody has it any more. */
static void test_a_tombstone_below_the_floor_is_forgotten(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record removed = record_of(f, "a", 2, NULL);
    struct test_merge merge = {.merge = {.last = 7}};

    assert_int_equal(merge_items(f, &merge, add_item(NULL, &removed, 7)), 0);
    spoil(f, "a");
    find(f, "a");
    mend(f);
    assert_true(is_noted(f, "a"));
    merge = (struct test_merge){.merge = {.last = 8, .floor = removed.hlc}};
    assert_int_equal(merge_items(f, &merge, NULL), 0);
    mend(f);
    assert_false(is_noted(f, "a"));
    assert_false(is_known(f, "a"));
    assert_true(eventual_has_all(f->eventual));
    assert_int_equal(entry_count(f), 0);
}

/* ---- crashes ---- */

/* Note and cursors are of one batch. */
static void test_a_crash_takes_all_of_a_note_or_nothing(void **state)
{
    struct eventual_fixture *f = *state;

    pull_one(f);
    spoil(f, "a");
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    find(f, "a");
    crash(f);
    assert_false(is_noted(f, "a"));
    assert_int_equal(cursor(f), 7);
    find(f, "a");
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    crash(f);
    assert_asks_again(f, "a");
}

/* That would be once more with each read. */
static void test_what_is_noted_is_not_noted_again(void **state)
{
    struct eventual_fixture *f = *state;

    pull_one(f);
    spoil(f, "a");
    find(f, "a");
    assert_int_equal(pull_again(f, 1), 0);
    spoil(f, "a");
    find(f, "a");
    find(f, "");
    assert_int_equal(cursor(f), 7);
    assert_int_equal(counts_of(f).damages, 1);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup_eventual, teardown_eventual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_reads_a_name_notes_that),
        TEST(test_who_lists_a_directory_finds_all_of_them),
        TEST(test_a_listing_that_breaks_off_goes_by_the_index),
        TEST(test_a_change_that_is_accepted_notes_it),
        TEST(test_a_change_that_is_taken_notes_it),
        TEST(test_the_journal_is_replayed_over_it),
        TEST(test_a_look_at_tombstones_notes_it),
        TEST(test_an_answer_passes_over_it),
        TEST(test_a_count_that_cannot_be_read_is_counted_anew),
        TEST(test_the_index_is_made_anew),
        TEST(test_a_consent_is_withdrawn),
        TEST(test_who_lacks_something_consents_to_nothing),
        TEST(test_who_lacks_something_forgets_nothing),
        TEST(test_what_is_below_the_floor_is_taken_again),
        TEST(test_a_tombstone_below_the_floor_is_forgotten),
        TEST(test_a_crash_takes_all_of_a_note_or_nothing),
        TEST(test_what_is_noted_is_not_noted_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
