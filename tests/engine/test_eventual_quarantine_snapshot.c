/* SPDX-License-Identifier: Apache-2.0 */

/* What becomes of a node's eventual entries when a snapshot of region 0 tells
 * it that their directory was made strong without it. */

#include "eventual_quarantine_fixture.h"

#include <string.h>

#include "engine/left_out.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_snapshot_that_ends_a_life_keeps_it),
        TEST(test_a_replay_behind_the_end_of_its_life_is_kept),
        TEST(test_a_replay_goes_into_no_later_life),
        TEST(test_a_replay_is_kept_beside_a_later_life),
        TEST(test_a_start_deletes_only_lives_that_are_said_to_be_over),
        TEST(test_a_start_with_a_damaged_catalog_leaves_it_to_a_snapshot),
    };

    return cmocka_run_group_tests_name("eventual quarantine snapshot", tests,
                                       NULL, NULL);
}
