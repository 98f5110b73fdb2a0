/* SPDX-License-Identifier: Apache-2.0 */

/* A strong directory that is being filled: its files are accepted as changes of
 * the life that is about to begin, and nothing else is. */

#include "eventual_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/eventual_read.h"
#include "engine/xattr.h"

enum { FILLED = 30, OVER = 31 };

static int setup_filling(void **state)
{
    (void)setup_eventual(state);
    apply_mode(*state, DIR, MODE_STRONG, FILLED, FILLED);
    return 0;
}

/* The directory is as strong as before. */
static void end_filling(struct eventual_fixture *f, uint64_t version)
{
    apply_mode(f, DIR, MODE_STRONG, 0, version);
}

static struct eventual_record file(const char *name, const char *text)
{
    return (struct eventual_record){.dir = DIR,
                                    .name = slice_of(name),
                                    .attr = {.ino = 88,
                                             .mode = S_IFREG | 0640,
                                             .size = strlen(text),
                                             .mtime_ns = 5},
                                    .content = slice_of(text)};
}

/* Takes `bytes`. */
static int bring_bytes(struct eventual_fixture *f, struct test_op *op,
                       const char *name, uint64_t since, struct buf *bytes)
{
    const struct command command = {.op = COMMAND_BRING,
                                    .dir = DIR,
                                    .name = slice_of(name),
                                    .offset = since,
                                    .data = buf_slice(bytes)};

    begin(f, op, &command);
    sync_all(f);
    buf_unref(bytes);
    assert_true(op->over);
    return op->status;
}

static int bring_record(struct eventual_fixture *f,
                        const struct eventual_record *record)
{
    struct test_op op;

    return bring_bytes(f, &op, "a", FILLED, eventual_encode(record));
}

static int bring(struct eventual_fixture *f, const char *name, const char *text)
{
    const struct eventual_record record = file(name, text);
    struct test_op op;

    return bring_bytes(f, &op, name, FILLED, eventual_encode(&record));
}

/* To be released. */
static struct eventual_record get(struct eventual_fixture *f, const char *name)
{
    struct eventual_record record = {0};

    assert_int_equal(
        eventual_get(f->state, NULL, DIR, slice_of(name), true, &record), 0);
    return record;
}

/* ---- what is accepted ---- */

static void test_a_file_is_a_change_of_the_life_to_come(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = file("a", "text");
    struct test_op op;

    assert_int_equal(bring_bytes(f, &op, "a", FILLED, eventual_encode(&record)),
                     0);
    record = get(f, "a");
    assert_int_equal(record.since, FILLED);
    assert_int_equal(record.origin, NODE);
    assert_true(record.hlc > 0);
    assert_int_equal(record.attr.version, record.hlc);
    assert_int_equal(op.attr.version, record.hlc);
    assert_true(record.sequence > 0);
    assert_int_equal(record.sequence, record.local);
    assert_int_equal(record.sequence, eventual_shown(f->eventual));
    assert_int_equal(record.known, 0);
    eventual_release(&record);
    assert_int_equal(entry_count(f), 1);
    assert_int_equal(counts_of(f).accepted, 1);
}

static void test_a_file_keeps_all_that_it_has(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = file("a", "text");
    struct buf *xattrs = NULL;
    struct slice value;

    assert_int_equal(xattr_set((struct slice){NULL, 0}, slice_of("user.x"),
                               slice_of("1"), 0, &xattrs),
                     0);
    record.xattrs = buf_slice(xattrs);
    assert_int_equal(bring_record(f, &record), 0);
    buf_unref(xattrs);
    record = get(f, "a");
    assert_int_equal(record.attr.ino, 88);
    assert_int_equal(record.attr.mode, S_IFREG | 0640);
    assert_int_equal(record.attr.mtime_ns, 5);
    assert_true(slice_equal(record.content, slice_of("text")));
    assert_int_equal(xattr_get(record.xattrs, slice_of("user.x"), &value), 0);
    assert_true(slice_equal(value, slice_of("1")));
    eventual_release(&record);
}

static void test_the_largest_file_is_accepted(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = file("a", "");
    uint8_t *content = mem_zalloc(EVENTUAL_VALUE_SIZE_MAX);

    record.content = (struct slice){content, EVENTUAL_VALUE_SIZE_MAX};
    record.attr.size = EVENTUAL_VALUE_SIZE_MAX;
    assert_int_equal(bring_record(f, &record), 0);
    free(content);
    record = get(f, "a");
    assert_int_equal(record.content.size, EVENTUAL_VALUE_SIZE_MAX);
    eventual_release(&record);
}

static void test_what_was_accepted_survives_a_crash(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record before;
    struct eventual_record after;

    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    assert_int_equal(bring(f, "a", "text"), 0);
    before = get(f, "a");
    crash(f);
    assert_string_equal(text_of(f, "a"), "text");
    after = get(f, "a");
    assert_int_equal(eventual_compare(&before, &after), 0);
    assert_int_equal(after.since, FILLED);
    eventual_release(&before);
    eventual_release(&after);
    apply_mode(f, DIR, MODE_EVENTUAL, FILLED, OVER);
    assert_string_equal(text_of(f, "a"), "text");
    assert_int_equal(write_text(f, "a", "more"), ERR_STALE); /* Another one. */
    assert_int_equal(unlink_name(f, "a"), 0);
}

/* The life has begun: its files are as all others. */
static void test_what_was_brought_is_there_when_it_is_eventual(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(bring(f, "a", "text"), 0);
    apply_mode(f, DIR, MODE_EVENTUAL, FILLED, OVER);
    assert_string_equal(text_of(f, "a"), "text");
    assert_int_equal(entry_count(f), 1);
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(entry_count(f), 2);
    assert_int_equal(bring(f, "c", "late"), ERR_EPOCH);
}

/* ---- what is not ---- */

static void test_only_the_life_to_come_is_filled(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = file("a", "text");
    struct test_op op;

    assert_int_equal(
        bring_bytes(f, &op, "a", FILLED - 1, eventual_encode(&record)),
        ERR_EPOCH);
    assert_int_equal(
        bring_bytes(f, &op, "a", FILLED + 1, eventual_encode(&record)),
        ERR_EPOCH);
    end_filling(f, OVER);
    assert_int_equal(bring_bytes(f, &op, "a", FILLED, eventual_encode(&record)),
                     ERR_EPOCH);
    assert_int_equal(bring_bytes(f, &op, "a", 0, eventual_encode(&record)),
                     ERR_EPOCH);
    apply_mode(f, DIR, MODE_STRONG, OVER + 1, OVER + 1);
    assert_int_equal(bring_bytes(f, &op, "a", FILLED, eventual_encode(&record)),
                     ERR_EPOCH);
    apply_mode(f, DIR, MODE_EVENTUAL, OVER + 1, OVER + 2);
    assert_int_equal(
        bring_bytes(f, &op, "a", OVER + 1, eventual_encode(&record)),
        ERR_EPOCH);
    assert_false(is_known(f, "a"));
}

/* Users are served by the region until it is decided. */
static void test_users_change_nothing_of_it(void **state)
{
    struct eventual_fixture *f = *state;
    struct command rename = command_on(COMMAND_RENAME, "e");

    assert_int_equal(bring(f, "a", "text"), 0);
    assert_int_equal(create(f, "b"), ERR_EPOCH);
    assert_int_equal(write_text(f, "a", "x"), ERR_EPOCH);
    assert_int_equal(unlink_name(f, "a"), ERR_EPOCH);
    apply_mode(f, DIR + 1, MODE_EVENTUAL, SINCE, OVER);
    rename.dir = DIR + 1;
    rename.to_dir = DIR;
    rename.to_name = slice_of("f");
    assert_int_equal(carry_out(f, &rename), ERR_EPOCH);
    assert_string_equal(text_of(f, "a"), "text");
}

static void test_a_node_that_may_not_accept_brings_nothing(void **state)
{
    struct eventual_fixture *f = *state;

    f->disk_is_full = true;
    assert_int_equal(bring(f, "a", "text"), ERR_NO_SPACE);
    f->disk_is_full = false;
    f->clock_is_wrong = true;
    assert_int_equal(bring(f, "a", "text"), ERR_READ_ONLY);
    f->clock_is_wrong = false;
    apply_state(f, NODE_DRAINING, OVER);
    assert_int_equal(bring(f, "a", "text"), ERR_READ_ONLY);
    assert_false(is_known(f, "a"));
    apply_state(f, NODE_UP, OVER + 1);
    assert_int_equal(bring(f, "a", "text"), 0);
}

static void test_what_is_not_that_file_is_refused(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = file("b", "text");
    struct test_op op;

    assert_int_equal(bring_record(f, &record), ERR_INVALID);
    record = file("a", "text");
    record.dir = DIR + 1;
    assert_int_equal(bring_record(f, &record), ERR_INVALID);
    record = file("a", "");
    record.removed = true;
    assert_int_equal(bring_record(f, &record), ERR_INVALID);
    assert_int_not_equal(
        bring_bytes(f, &op, "a", FILLED, buf_copy("no record", 9)), 0);
    assert_false(is_known(f, "a"));
    assert_false(is_known(f, "b"));
}

/* ---- the end of the filling ---- */

static void test_when_it_stays_strong_all_of_it_goes(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(bring(f, "a", "text"), 0);
    assert_int_equal(bring(f, "b", "more"), 0);
    end_filling(f, OVER);
    assert_false(is_known(f, "a"));
    assert_false(is_known(f, "b"));
    assert_int_equal(entry_count(f), 0);
}

/* It is filled once more. */
static void test_an_attempt_finds_nothing_of_the_one_before(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(bring(f, "a", "text"), 0);
    apply_mode(f, DIR, MODE_STRONG, OVER, OVER);
    assert_false(is_known(f, "a"));
    assert_int_equal(entry_count(f), 0);
}

/* The journal has it, region 0 is behind its end. */
static void test_what_a_crash_brings_back_is_deleted(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    assert_int_equal(bring(f, "a", "text"), 0);
    end_filling(f, OVER);
    crash(f);
    end_filling(f, OVER);
    assert_false(is_known(f, "a"));
    assert_int_equal(bring(f, "b", "late"), ERR_EPOCH);
}

static void
test_the_journal_brings_back_nothing_of_a_life_that_is_over(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(bring(f, "a", "text"), 0);
    end_filling(f, OVER);
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
    crash(f);
    assert_false(is_known(f, "a"));
}

/* Region 0 came as a snapshot. */
static void test_what_is_being_filled_is_not_swept_away(void **state)
{
    struct eventual_fixture *f = *state;

    assert_int_equal(bring(f, "a", "text"), 0);
    assert_int_equal(eventual_sweep(f->eventual), 0);
    assert_string_equal(text_of(f, "a"), "text");
}

/* ---- other nodes ---- */

static struct eventual_record record_of_life(struct eventual_fixture *f,
                                             const char *name, uint64_t since)
{
    struct eventual_record record = record_of(f, name, 1, "text");

    record.since = since;
    return record;
}

static void test_what_another_node_brings_is_taken(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of_life(f, "a", FILLED);

    assert_int_equal(merge_one(f, &record, 1), 0);
    assert_string_equal(text_of(f, "a"), "text");
    assert_int_equal(entry_count(f), 1);
    apply_mode(f, DIR, MODE_EVENTUAL, FILLED, OVER);
    assert_string_equal(text_of(f, "a"), "text");
}

static void test_what_comes_of_a_life_that_is_over_is_not_taken(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of_life(f, "a", FILLED);

    end_filling(f, OVER);
    assert_int_equal(merge_one(f, &record, 1), 0);
    assert_false(is_known(f, "a"));
    apply_mode(f, DIR, MODE_STRONG, OVER + 1, OVER + 1);
    assert_int_equal(merge_one(f, &record, 2), 0);
    assert_false(is_known(f, "a"));
}

/* Of the eventual life before the directory was strong. */
static void test_what_comes_of_an_earlier_life_is_not_taken(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of_life(f, "a", SINCE);

    assert_int_equal(merge_one(f, &record, 1), 0);
    assert_false(is_known(f, "a"));
}

/* Region 0 is applied there, and not yet here. */
static void test_what_comes_before_its_filling_is_not_lost(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record record = record_of_life(f, "a", OVER + 1);
    struct test_merge merge = {.merge = {.last = 1}};

    (void)merge_items(f, &merge, add_item(NULL, &record, 1));
    apply_mode(f, DIR, MODE_STRONG, OVER + 1, OVER + 1);
    merge.merge.last = 1;
    assert_int_equal(merge_items(f, &merge, add_item(NULL, &record, 1)), 0);
    assert_string_equal(text_of(f, "a"), "text");
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_filling, teardown_eventual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_file_is_a_change_of_the_life_to_come),
        TEST(test_a_file_keeps_all_that_it_has),
        TEST(test_the_largest_file_is_accepted),
        TEST(test_what_was_accepted_survives_a_crash),
        TEST(test_what_was_brought_is_there_when_it_is_eventual),
        TEST(test_only_the_life_to_come_is_filled),
        TEST(test_users_change_nothing_of_it),
        TEST(test_a_node_that_may_not_accept_brings_nothing),
        TEST(test_what_is_not_that_file_is_refused),
        TEST(test_when_it_stays_strong_all_of_it_goes),
        TEST(test_an_attempt_finds_nothing_of_the_one_before),
        TEST(test_what_a_crash_brings_back_is_deleted),
        TEST(test_the_journal_brings_back_nothing_of_a_life_that_is_over),
        TEST(test_what_is_being_filled_is_not_swept_away),
        TEST(test_what_another_node_brings_is_taken),
        TEST(test_what_comes_of_a_life_that_is_over_is_not_taken),
        TEST(test_what_comes_of_an_earlier_life_is_not_taken),
        TEST(test_what_comes_before_its_filling_is_not_lost),
    };

    return cmocka_run_group_tests_name("eventual_bring", tests, NULL, NULL);
}
