/* SPDX-License-Identifier: Apache-2.0 */

/* What becomes of a node's eventual entries when it learns that their directory
 * was made strong without it. */

#include "eventual_fixture.h"

#include <string.h>

#include "engine/left_out.h"
#include "engine/quarantine.h"

enum { LATER = 20 };

/* Region 0 applies whom a life ended without. `taken`: so many of its own
 * changes were taken along. Durable only if all before is made so. */
static void leave_out(struct eventual_fixture *f, uint64_t since, uint64_t node,
                      uint64_t taken)
{
    struct left_out left_out = {.count = 0};
    struct kv_batch *batch = kv_batch_new(f->state);

    left_out_add(&left_out, node, taken);
    left_out_put(batch, DIR, since, &left_out);
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

/* ... and makes the directory strong. */
static void end_life(struct eventual_fixture *f, uint64_t taken)
{
    leave_out(f, SINCE, NODE, taken);
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
}

static void flush_all(struct eventual_fixture *f)
{
    assert_int_equal(kv_flush(f->state, true, NULL), 0);
}

static uint64_t count_of(struct eventual_fixture *f)
{
    struct quarantine_head head;

    assert_int_equal(quarantine_head_get(f->state, &head), 0);
    return head.count;
}

/* What is in quarantine with this number is a file of DIR with this content;
 * NULL: a removal. */
static void expect_item(struct eventual_fixture *f, uint64_t number,
                        const char *name, const char *text)
{
    struct quarantined item = {0};

    assert_int_equal(quarantine_get(f->state, number, &item), 0);
    assert_true(slice_equal(item.record.name, slice_of(name)));
    assert_int_equal(item.record.dir, DIR);
    assert_int_equal(item.record.removed, text == NULL);
    assert_true(slice_equal(item.record.content, slice_of(text)));
    quarantined_release(&item);
}

/* A file, with two changes of its own. */
static void make(struct eventual_fixture *f, const char *name, const char *text)
{
    assert_int_equal(create(f, name), 0);
    assert_int_equal(write_text(f, name, text), 0);
}

/* ---- the catalog from a snapshot ---- */

static void put(struct kv_ingest *ingest, struct key key, struct buf *record)
{
    assert_int_equal(
        kv_ingest_put(ingest, key_slice(&key), buf_slice(record), NULL), 0);
    buf_unref(record);
}

static struct buf *encoded_directory(enum mode_state state, uint64_t since)
{
    struct directory directory = {.nsid = DIR, .parent = 1};

    directory.name = slice_of("d");
    directory.attr.ino = ino_of_nsid(DIR);
    directory.mode = (struct mode){state, DIR, since, LATER};
    return directory_encode(&directory);
}

static struct buf *encoded_left_out(void)
{
    struct left_out left_out = {.count = 0};

    left_out_add(&left_out, NODE, 0);
    return left_out_encode(&left_out);
}

static struct buf *encoded_marker(void)
{
    const struct marker marker = {.index = 3, .term = 1, .version = LATER};
    uint8_t bytes[MARKER_SIZE_MAX];
    struct buf *b = buf_new(marker_encode(&marker, bytes));

    memcpy(b->data, bytes, b->size);
    return b;
}

/* A snapshot of region 0, which is durable at once, and nothing else with it:
 * the directory has this mode (`has_directory` false: it is not there), and its
 * life SINCE ended without the node. In memory nothing has followed yet. */
static void install(struct eventual_fixture *f, bool has_directory,
                    enum mode_state state, uint64_t since)
{
    struct key marker = key_marker(REGION_PLACEMENT);
    struct kv_ingest *ingest;

    assert_int_equal(kv_ingest_new(f->state, &ingest, NULL), 0);
    assert_int_equal(
        kv_ingest_replace_range(ingest, text_slice("c"), text_slice("d"), NULL),
        0);
    if (has_directory)
        put(ingest, key_directory(DIR), encoded_directory(state, since));
    put(ingest, key_left_out(DIR, SINCE), encoded_left_out());
    assert_int_equal(kv_ingest_replace_range(ingest, key_slice(&marker),
                                             text_slice("t"), NULL),
                     0);
    put(ingest, marker, encoded_marker());
    assert_int_equal(kv_ingest_finish(ingest, NULL), 0);
    kv_ingest_free(ingest);
}

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

/* ---- with the catalog from a snapshot ---- */

static void test_a_snapshot_that_ends_a_life_keeps_it(void **state)
{
    struct eventual_fixture *f = *state;

    make(f, "a", "text");
    install(f, true, MODE_STRONG, 0);
    assert_int_equal(modes_load(f->modes, f->state), 0);
    assert_int_equal(eventual_sweep(f->eventual), 0);
    assert_int_equal(count_of(f), 1);
    expect_item(f, 1, "a", "text");
    assert_false(is_known(f, "a"));
}

/* Only the journal has "c", and the catalog knows more than that. */
static void test_a_replay_behind_the_end_of_its_life_is_kept(void **state)
{
    struct eventual_fixture *f = *state;

    make(f, "a", "text");
    flush_all(f);
    make(f, "c", "text");
    install(f, true, MODE_STRONG, 0);
    crash(f);
    assert_int_equal(modes_version(f->modes), LATER);
    assert_int_equal(count_of(f), 2);
    expect_item(f, 1, "a", "text");
    expect_item(f, 2, "c", "text");
    assert_false(is_known(f, "a") || is_known(f, "c"));
}

static void test_a_replay_goes_into_no_later_life(void **state)
{
    struct eventual_fixture *f = *state;

    make(f, "a", "text");
    install(f, true, MODE_EVENTUAL, LATER);
    crash(f);
    assert_int_equal(count_of(f), 1);
    expect_item(f, 1, "a", "text");
    assert_false(is_known(f, "a"));
    make(f, "a", "new");
    assert_string_equal(text_of(f, "a"), "new");
}

/* A record that is as new as it can be, of the life LATER. */
static void put_later(struct eventual_fixture *f, const char *name)
{
    struct eventual_record record = record_of(f, name, 1, "later");
    struct eventual_namespace count = {
        .entry_count = 1, .since_first = LATER, .since_last = LATER};
    struct kv_batch *batch = kv_batch_new(f->state);

    record.since = LATER;
    record.local = 1;
    eventual_put(batch, &record, NULL);
    eventual_namespace_put(batch, DIR, &count);
    assert_int_equal(kv_write(f->state, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
}

/* Not even as the newer one of the two. And not twice, whatever a crash leaves
 * of the replay. */
static void test_a_replay_is_kept_beside_a_later_life(void **state)
{
    struct eventual_fixture *f = *state;

    f->fake.now_ns += 1000000000;
    assert_int_equal(create(f, "a"), 0);
    f->fake.now_ns -= 1000000000;
    cut_power(f);
    install(f, true, MODE_EVENTUAL, LATER);
    put_later(f, "a");
    assert_int_equal(open_again(f), 0);
    assert_int_equal(count_of(f), 1);
    assert_string_equal(text_of(f, "a"), "later");
    f->kept_count = 1;
    crash(f);
    assert_int_equal(count_of(f), 1);
    expect_item(f, 1, "a", "");
    assert_string_equal(text_of(f, "a"), "later");
}

/* "c" is of a later life: a catalog that has come to harm may lack the
 * directory. */
static void
test_a_start_deletes_only_lives_that_are_said_to_be_over(void **state)
{
    struct eventual_fixture *f = *state;

    make(f, "a", "text");
    flush_all(f);
    apply_mode(f, DIR, MODE_EVENTUAL, LATER, LATER);
    make(f, "c", "text");
    cut_power(f);
    install(f, false, MODE_STRONG, 0);
    assert_int_equal(open_again(f), 0);
    assert_int_equal(count_of(f), 1);
    expect_item(f, 1, "a", "text");
    assert_true(is_known(f, "c"));
    assert_int_equal(entry_count(f), 1);
}

/* It could not tell then what of an earlier life is left. */
static void
test_a_start_with_a_damaged_catalog_leaves_it_to_a_snapshot(void **state)
{
    struct eventual_fixture *f = *state;

    make(f, "a", "text");
    flush_all(f);
    install(f, true, MODE_EVENTUAL, LATER);
    f->catalog_is_damaged = true;
    crash(f);
    assert_true(is_known(f, "a"));
    assert_int_equal(modes_load(f->modes, f->state), 0);
    assert_int_equal(eventual_sweep(f->eventual), 0);
    assert_false(is_known(f, "a"));
    assert_int_equal(count_of(f), 1);
    expect_item(f, 1, "a", "text");
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

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_eventual, teardown_eventual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_was_left_out_goes_into_quarantine),
        TEST(test_what_was_taken_along_is_deleted),
        TEST(test_who_was_not_left_out_keeps_nothing),
        TEST(test_the_next_life_does_not_have_what_was_left_out),
        TEST(test_no_crash_loses_what_was_left_out),
        TEST(test_a_later_life_does_not_replace_it_behind_a_crash),
        TEST(test_a_snapshot_that_ends_a_life_keeps_it),
        TEST(test_a_replay_behind_the_end_of_its_life_is_kept),
        TEST(test_a_replay_goes_into_no_later_life),
        TEST(test_a_replay_is_kept_beside_a_later_life),
        TEST(test_a_start_deletes_only_lives_that_are_said_to_be_over),
        TEST(test_a_start_with_a_damaged_catalog_leaves_it_to_a_snapshot),
        TEST(test_what_cannot_be_read_stays_until_the_next_life),
        TEST(test_what_is_dropped_is_gone),
        TEST(test_what_is_dropped_does_not_come_back_for_long),
        TEST(test_a_drop_may_be_cancelled),
        TEST(test_a_drop_ends_with_the_node),
    };

    return cmocka_run_group_tests_name("eventual quarantine", tests, NULL,
                                       NULL);
}
