/* SPDX-License-Identifier: Apache-2.0 */

/* What a node keeps of a directory that was made strong without it, in a
 * state/ in memory. */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "codec_helpers.h"
#include "kv_helpers.h"

#include "engine/left_out.h"
#include "engine/quarantine.h"
#include "tests/sim/kv_mem.h"

enum {
    NODE = 3,
    OTHER = 4,
    DIR = 7,
    LIFE = 5,
    NEXT_LIFE = 20,
    TAKEN = 100 /* of NODE's own changes */
};

static int setup(void **state)
{
    struct directory directory = {.nsid = DIR, .parent = NSID_ROOT};
    struct kv *kv = kv_mem_new();
    struct buf *bytes;

    directory.name = slice_of("d e");
    directory.attr.ino = ino_of_nsid(DIR);
    bytes = directory_encode(&directory);
    put_record(kv, key_directory(DIR), buf_slice(bytes));
    buf_unref(bytes);
    *state = kv;
    return 0;
}

static int teardown(void **state)
{
    kv_mem_check(*state);
    kv_close(*state);
    return 0;
}

/* The life has ended without `node`, of which so much was taken along. */
static void leave_out(struct kv *kv, uint64_t since, uint64_t node)
{
    struct left_out left_out = {.count = 0};
    struct kv_batch *batch = kv_batch_new(kv);

    left_out_add(&left_out, node, TAKEN);
    left_out_put(batch, DIR, since, &left_out);
    assert_int_equal(kv_write(kv, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
}

/* NULL: a removal. */
static struct eventual_record change(const char *name, uint64_t sequence,
                                     const char *text)
{
    struct eventual_record record = {.dir = DIR,
                                     .name = slice_of(name),
                                     .hlc = 1000 + sequence,
                                     .origin = NODE,
                                     .sequence = sequence,
                                     .local = sequence,
                                     .since = LIFE,
                                     .removed = text == NULL,
                                     .content = slice_of(text)};

    if (text != NULL)
        record.attr = (struct attr){.ino = INO_FILE_MIN,
                                    .mode = S_IFREG | 0640,
                                    .size = record.content.size};
    return record;
}

static void put(struct kv *kv, const struct eventual_record *record)
{
    struct kv_batch *batch = kv_batch_new(kv);

    eventual_put(batch, record, NULL);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static void put_change(struct kv *kv, const char *name, uint64_t sequence,
                       const char *text)
{
    struct eventual_record record = change(name, sequence, text);

    put(kv, &record);
}

/* Returns how many entries could not be read. */
static uint64_t keep(struct kv *kv, uint64_t since)
{
    struct quarantine_kept kept = {.unread_count = 99};

    assert_int_equal(quarantine_keep(kv, NODE, DIR, since, &kept), 0);
    return kept.unread_count;
}

static bool is_there(struct kv *kv, const char *name)
{
    return has_record(kv, key_user('v', DIR, slice_of(name)));
}

static void expect_head(struct kv *kv, uint64_t last, uint64_t count)
{
    struct quarantine_head head;

    assert_int_equal(quarantine_head_get(kv, &head), 0);
    assert_int_equal(head.last, last);
    assert_int_equal(head.count, count);
}

static void expect_item(struct kv *kv, uint64_t number, const char *path,
                        const char *text)
{
    struct quarantined item = {0};

    assert_int_equal(quarantine_get(kv, number, &item), 0);
    assert_int_equal(item.number, number);
    assert_true(slice_equal(item.path, slice_of(path)));
    assert_int_equal(item.record.removed, text == NULL);
    assert_true(slice_equal(item.record.content, slice_of(text)));
    quarantined_release(&item);
}

/* ---- what is kept ---- */

static void test_nothing_is_in_it_at_first(void **state)
{
    struct quarantined item = {0};
    uint64_t number;

    expect_head(*state, 0, 0);
    assert_int_equal(quarantine_next(*state, 0, &number), ERR_NOT_FOUND);
    assert_int_equal(quarantine_get(*state, 1, &item), ERR_NOT_FOUND);
    assert_int_equal(quarantine_drop(*state, 1), ERR_NOT_FOUND);
}

static void test_what_was_not_taken_along_is_moved(void **state)
{
    struct kv *kv = *state;

    put_change(kv, "taken", TAKEN, "a");
    put_change(kv, "new", TAKEN + 1, "text");
    put_change(kv, "removed", TAKEN + 2, NULL);
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_true(is_there(kv, "taken"));
    assert_false(is_there(kv, "new") || is_there(kv, "removed"));
    expect_head(kv, 2, 2);
    expect_item(kv, 1, "/d\\040e/new", "text");
    expect_item(kv, 2, "/d\\040e/removed", NULL);
}

static void test_an_item_is_the_record_in_whole(void **state)
{
    struct kv *kv = *state;
    struct eventual_record record = change("a", TAKEN + 1, "text");
    struct quarantined item = {0};

    record.xattrs = (struct slice){"\0\1\0\1ab", 6};
    record.known = 7;
    record.attr.mtime_ns = 8;
    record.attr.uid = 9;
    put(kv, &record);
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_int_equal(quarantine_get(kv, 1, &item), 0);
    assert_int_equal(item.record.hlc, record.hlc);
    assert_int_equal(item.record.origin, NODE);
    assert_int_equal(item.record.sequence, TAKEN + 1);
    assert_int_equal(item.record.since, LIFE);
    assert_int_equal(item.record.known, 7);
    assert_int_equal(item.record.attr.mtime_ns, 8);
    assert_int_equal(item.record.attr.uid, 9);
    assert_true(slice_equal(item.record.xattrs, record.xattrs));
    quarantined_release(&item);
}

static void test_a_tombstone_that_is_moved_is_not_listed(void **state)
{
    struct kv *kv = *state;
    struct eventual_record record = change("a", TAKEN + 1, NULL);

    put(kv, &record);
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_false(
        has_record(kv, key_eventual_removed(record.hlc, DIR, record.name)));
}

/* Which lies beside the entry. */
static void test_large_content_is_moved(void **state)
{
    struct kv *kv = *state;
    struct eventual_record record = change("a", TAKEN + 1, "");
    struct quarantined item = {0};

    record.content = letters(EVENTUAL_INLINE_MAX + 1);
    record.attr.size = record.content.size;
    put(kv, &record);
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_false(has_record(kv, key_user('w', DIR, record.name)));
    assert_int_equal(quarantine_get(kv, 1, &item), 0);
    assert_true(slice_equal(item.record.content, record.content));
    quarantined_release(&item);
}

/* Rule 3. */
static void test_who_was_not_left_out_keeps_nothing(void **state)
{
    struct kv *kv = *state;

    put_change(kv, "a", TAKEN + 1, "a");
    assert_int_equal(keep(kv, LIFE), 0);
    leave_out(kv, LIFE, OTHER);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_true(is_there(kv, "a"));
    expect_head(kv, 0, 0);
}

static void test_changes_of_others_that_were_left_out_are_kept(void **state)
{
    struct kv *kv = *state;
    struct left_out left_out = {.count = 0};
    struct eventual_record of_other = change("a", 11, "a");
    struct eventual_record of_third = change("b", TAKEN + 1, "b");
    struct kv_batch *batch = kv_batch_new(kv);

    of_other.origin = OTHER;
    of_third.origin = OTHER + 1;
    put(kv, &of_other);
    put(kv, &of_third);
    left_out_add(&left_out, NODE, TAKEN);
    left_out_add(&left_out, OTHER, 10);
    left_out_put(batch, DIR, LIFE, &left_out);
    assert_int_equal(kv_write(kv, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    assert_int_equal(keep(kv, LIFE), 0);
    expect_head(kv, 1, 1);
    expect_item(kv, 1, "/d\\040e/a", "a");
    assert_true(is_there(kv, "b"));
}

/* Only one of them left this node out. */
static void test_each_life_has_those_whom_it_left_out(void **state)
{
    struct kv *kv = *state;
    struct eventual_record first = change("first", TAKEN + 1, "1");
    struct eventual_record second = change("second", TAKEN + 2, "2");
    struct eventual_record third = change("third", TAKEN + 3, "3");

    second.since = LIFE + 1;
    third.since = NEXT_LIFE;
    put(kv, &first);
    put(kv, &second);
    put(kv, &third);
    leave_out(kv, LIFE + 1, NODE);
    leave_out(kv, NEXT_LIFE, NODE);
    assert_int_equal(keep(kv, NEXT_LIFE - 1), 0);
    expect_head(kv, 1, 1);
    expect_item(kv, 1, "/d\\040e/second", "2");
    assert_true(is_there(kv, "first") && is_there(kv, "third"));
}

static void test_the_last_life_without_this_node_is_found(void **state)
{
    struct kv *kv = *state;
    uint64_t since = 99;

    leave_out(kv, LIFE, NODE);
    leave_out(kv, LIFE + 1, OTHER);
    leave_out(kv, NEXT_LIFE, NODE);
    assert_int_equal(quarantine_last_life(kv, NODE, DIR, LIFE + 2, &since), 0);
    assert_int_equal(since, LIFE);
    assert_int_equal(quarantine_last_life(kv, NODE, DIR, UINT64_MAX, &since),
                     0);
    assert_int_equal(since, NEXT_LIFE);
    assert_int_equal(quarantine_last_life(kv, NODE, DIR, LIFE - 1, &since), 0);
    assert_int_equal(since, 0);
    assert_int_equal(
        quarantine_last_life(kv, NODE, DIR - 1, UINT64_MAX, &since), 0);
    assert_int_equal(since, 0);
}

static void test_a_directory_that_is_gone_has_no_path(void **state)
{
    struct kv *kv = *state;
    struct eventual_record record = change("a", TAKEN + 1, "a");
    struct key key = key_directory(DIR);
    struct kv_batch *batch = kv_batch_new(kv);

    kv_batch_delete(batch, key_slice(&key));
    assert_int_equal(kv_write(kv, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    put(kv, &record);
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    expect_item(kv, 1, "#7/a", "a");
}

static void test_one_record_is_taken_if_it_is_to_be_kept(void **state)
{
    struct kv *kv = *state;
    struct kv_batch *batch = kv_batch_new(kv);
    struct eventual_record taken = change("a", TAKEN, "a");
    struct eventual_record record = change("b", TAKEN + 1, "b");
    bool takes = true;

    leave_out(kv, LIFE, NODE);
    assert_int_equal(quarantine_take(kv, batch, NODE, &taken, &takes), 0);
    assert_false(takes);
    assert_int_equal(kv_batch_count(batch), 0);
    assert_int_equal(quarantine_take(kv, batch, NODE, &record, &takes), 0);
    assert_true(takes);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    expect_head(kv, 1, 1);
    expect_item(kv, 1, "/d\\040e/b", "b");
}

/* ---- crashes ---- */

/* Rule 1. */
static void test_a_crash_leaves_each_change_here_or_there(void **state)
{
    struct kv *kv = *state;

    put_change(kv, "a", TAKEN + 1, "a");
    leave_out(kv, LIFE, NODE);
    assert_int_equal(kv_flush(kv, true, NULL), 0);
    assert_int_equal(keep(kv, LIFE), 0);
    kv_mem_crash(kv, 0);
    assert_true(is_there(kv, "a"));
    expect_head(kv, 0, 0);
    assert_int_equal(keep(kv, LIFE), 0);
    kv_mem_crash(kv, 1);
    assert_false(is_there(kv, "a"));
    expect_head(kv, 1, 1);
}

static void count_step(void *context, bool done)
{
    *(unsigned *)context += done ? 1 : 0;
}

/* Large changes go in several batches; one that a crash leaves is not moved
 * once more. */
static void test_what_a_crash_leaves_is_not_moved_twice(void **state)
{
    enum { COUNT = 5 };
    struct kv *kv = *state;
    unsigned step_count = 0;
    const struct kv_mem_watcher watcher = {count_step, &step_count};
    uint64_t number;

    for (unsigned i = 0; i < COUNT; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        struct eventual_record record = change(name, TAKEN + 1 + i, "");

        record.content = letters(EVENTUAL_VALUE_SIZE_MAX / 2);
        record.attr.size = record.content.size;
        put(kv, &record);
    }
    leave_out(kv, LIFE, NODE);
    assert_int_equal(kv_flush(kv, true, NULL), 0);
    kv_mem_watch(kv, &watcher);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_true(step_count >= 3);
    kv_mem_watch(kv, &(struct kv_mem_watcher){NULL, NULL});
    kv_mem_crash(kv, 1);
    assert_true(!is_there(kv, "a") && is_there(kv, "e"));
    assert_int_equal(keep(kv, LIFE), 0);
    expect_head(kv, COUNT, COUNT);
    assert_int_equal(quarantine_next(kv, COUNT, &number), 0);
}

/* ---- what cannot be read ---- */

static void damage(struct kv *kv, struct key key)
{
    put_record(kv, key, slice_of("\001damage"));
}

static void test_entries_that_cannot_be_read_stay(void **state)
{
    struct kv *kv = *state;
    struct eventual_record large = change("large", TAKEN + 3, "");
    struct key content = key_user('w', DIR, large.name);

    put_change(kv, "a", TAKEN + 1, "a");
    put_change(kv, "b", TAKEN + 2, "b");
    large.content = letters(EVENTUAL_INLINE_MAX + 1);
    large.attr.size = large.content.size;
    put(kv, &large);
    damage(kv, key_user('v', DIR, slice_of("a")));
    put_record(kv, content, slice_of("less than that"));
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 2);
    assert_true(is_there(kv, "a") && is_there(kv, "large"));
    expect_head(kv, 1, 1);
    expect_item(kv, 1, "/d\\040e/b", "b");
}

static void test_a_bad_block_ends_nothing(void **state)
{
    struct kv *kv = *state;

    put_change(kv, "a", TAKEN + 1, "a");
    leave_out(kv, LIFE, NODE);
    kv_mem_spoil(kv, 'v');
    assert_int_equal(keep(kv, LIFE), 1);
    kv_mem_spoil(kv, '\0');
    assert_true(is_there(kv, "a"));
}

/* Nobody knows whether this node was left out: then nothing is lost. */
static void test_of_a_damaged_catalog_all_own_changes_are_kept(void **state)
{
    struct kv *kv = *state;
    struct eventual_record other = change("b", TAKEN + 1, "b");

    other.origin = OTHER;
    put_change(kv, "a", 1, "a");
    put(kv, &other);
    damage(kv, key_left_out(DIR, LIFE));
    assert_int_equal(keep(kv, LIFE), 0);
    expect_head(kv, 1, 1);
    expect_item(kv, 1, "/d\\040e/a", "a");
    assert_true(is_there(kv, "b"));
}

static void test_a_head_that_cannot_be_read_is_counted_anew(void **state)
{
    struct kv *kv = *state;

    put_change(kv, "a", TAKEN + 1, "a");
    put_change(kv, "b", TAKEN + 2, "b");
    put_change(kv, "c", TAKEN + 3, "c");
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_int_equal(quarantine_drop(kv, 2), 0);
    damage(kv, key_quarantine_head());
    expect_head(kv, 3, 2);
    put_change(kv, "d", TAKEN + 4, "d");
    assert_int_equal(keep(kv, LIFE), 0);
    expect_head(kv, 4, 3);
    expect_item(kv, 4, "/d\\040e/d", "d");
}

static void test_an_item_that_cannot_be_read_can_be_dropped(void **state)
{
    struct kv *kv = *state;
    struct quarantined item = {0};

    put_change(kv, "a", TAKEN + 1, "a");
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    damage(kv, key_quarantined(1));
    assert_int_equal(quarantine_get(kv, 1, &item), ERR_CORRUPT);
    assert_int_equal(quarantine_drop(kv, 1), 0);
    expect_head(kv, 1, 0);
}

/* ---- dropping ---- */

static void test_what_is_dropped_is_gone_and_its_number_too(void **state)
{
    struct kv *kv = *state;
    uint64_t number = 0;

    put_change(kv, "a", TAKEN + 1, "a");
    put_change(kv, "b", TAKEN + 2, "b");
    leave_out(kv, LIFE, NODE);
    assert_int_equal(keep(kv, LIFE), 0);
    assert_int_equal(quarantine_drop(kv, 2), 0);
    assert_int_equal(quarantine_drop(kv, 2), ERR_NOT_FOUND);
    expect_head(kv, 2, 1);
    put_change(kv, "c", TAKEN + 3, "c");
    assert_int_equal(keep(kv, LIFE), 0);
    expect_head(kv, 3, 2);
    assert_int_equal(quarantine_next(kv, 0, &number), 0);
    assert_int_equal(number, 1);
    assert_int_equal(quarantine_next(kv, 2, &number), 0);
    assert_int_equal(number, 3);
    assert_int_equal(quarantine_next(kv, 4, &number), ERR_NOT_FOUND);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_in_it_at_first),
        TEST(test_what_was_not_taken_along_is_moved),
        TEST(test_an_item_is_the_record_in_whole),
        TEST(test_a_tombstone_that_is_moved_is_not_listed),
        TEST(test_large_content_is_moved),
        TEST(test_who_was_not_left_out_keeps_nothing),
        TEST(test_changes_of_others_that_were_left_out_are_kept),
        TEST(test_each_life_has_those_whom_it_left_out),
        TEST(test_the_last_life_without_this_node_is_found),
        TEST(test_a_directory_that_is_gone_has_no_path),
        TEST(test_one_record_is_taken_if_it_is_to_be_kept),
        TEST(test_a_crash_leaves_each_change_here_or_there),
        TEST(test_what_a_crash_leaves_is_not_moved_twice),
        TEST(test_entries_that_cannot_be_read_stay),
        TEST(test_a_bad_block_ends_nothing),
        TEST(test_of_a_damaged_catalog_all_own_changes_are_kept),
        TEST(test_a_head_that_cannot_be_read_is_counted_anew),
        TEST(test_an_item_that_cannot_be_read_can_be_dropped),
        TEST(test_what_is_dropped_is_gone_and_its_number_too),
    };

    return cmocka_run_group_tests_name("quarantine", tests, NULL, NULL);
}
