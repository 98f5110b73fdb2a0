/* SPDX-License-Identifier: Apache-2.0 */

/* What kv.h promises of batches, reads and durability, kept by each of its
 * implementations. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "raft/base/mem.h"
#include "tests/engine/kv_fixture.h"
#include "tests/engine/kv_helpers.h"

/* ---- batches ---- */

/* A batch takes effect as one, in the order of its changes. */
static void test_the_last_change_of_a_key_in_a_batch_wins(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_batch *batch = kv_batch_new(kv);

    put_letters(kv, "b");
    kv_batch_put(batch, text_slice("a"), text_slice("1"));
    kv_batch_put(batch, text_slice("c"), text_slice("1"));
    kv_batch_delete_range(batch, text_slice("a"), text_slice("c"));
    kv_batch_put(batch, text_slice("b"), text_slice("2"));
    kv_batch_delete(batch, text_slice("c"));
    assert_int_equal(kv_batch_count(batch), 5);
    assert_string_equal(dump_all(kv), "b=1");
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);

    assert_string_equal(dump_all(kv), "b=2");
}

/* A batch is left as it is by a write, and empty after it was cleared. */
static void test_a_cleared_batch_does_nothing(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_batch *batch = kv_batch_new(kv);
    size_t empty_bytes = kv_batch_size_bytes(batch);

    kv_batch_put(batch, text_slice("a"), text_slice("1"));
    assert_true(kv_batch_size_bytes(batch) > empty_bytes);
    kv_batch_clear(batch);
    assert_int_equal(kv_batch_count(batch), 0);
    assert_int_equal(kv_batch_size_bytes(batch), empty_bytes);
    assert_int_equal(kv_write(kv, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);

    assert_string_equal(dump_all(kv), "");
}

/* A batch that has become large works on after it was cleared. */
static void test_a_large_batch_can_be_cleared_and_used_again(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_batch *batch = kv_batch_new(kv);
    size_t size = (size_t)3 << 20;
    char *large = mem_zalloc(size);

    kv_batch_put(batch, text_slice("a"), (struct slice){large, size});
    kv_batch_clear(batch);
    kv_batch_put(batch, text_slice("b"), text_slice("1"));
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    free(large);

    assert_string_equal(dump_all(kv), "b=1");
}

/* A value may be written in parts, also in none. */
static void test_a_value_is_its_parts_one_after_the_other(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_batch *batch = kv_batch_new(kv);
    const struct slice parts[] = {
        text_slice("he"), {NULL, 0}, text_slice("llo")};

    kv_batch_put_parts(batch, text_slice("a"), parts, ARRAY_SIZE(parts));
    kv_batch_put_parts(batch, text_slice("b"), NULL, 0);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);

    expect_text(kv, NULL, "a", "hello");
    expect_text(kv, NULL, "b", "");
}

static void test_a_deleted_key_is_not_found(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;

    put_letters(kv, "ab");
    delete_text(kv, "a");

    expect_text(kv, NULL, "a", NULL);
    expect_text(kv, NULL, "b", "1");
}

/* [begin, end): the end stays. */
static void test_delete_range_leaves_its_end_and_its_neighbours(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_batch *batch = kv_batch_new(kv);

    put_letters(kv, "abcde");
    kv_batch_delete_range(batch, text_slice("b"), text_slice("d"));
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);

    assert_string_equal(dump_all(kv), "a=1 d=1 e=1");
}

/* Few keys one by one, many as a range. */
static void test_delete_all_leaves_what_is_beside(void **state)
{
    static const int counts[] = {0, 1, 63, 64, 65, 500};
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_batch *batch = kv_batch_new(kv);
    char name[16];

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        put_letters(kv, "ac");
        for (int number = 0; number < counts[i]; number++) {
            (void)snprintf(name, sizeof name, "b%03d", number);
            kv_batch_put(batch, text_slice(name), text_slice("1"));
        }
        assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
        kv_batch_clear(batch);
        kv_batch_delete_all(batch, kv, text_slice("b"), text_slice("c"));
        if (counts[i] < 64)
            assert_int_equal(kv_batch_count(batch), counts[i]);
        else
            assert_in_range(kv_batch_count(batch), 1, 65);
        assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
        kv_batch_clear(batch);
        assert_string_equal(dump_all(kv), "a=1 c=1");
    }
    kv_batch_free(batch);
}

/* ---- reading ---- */

/* A pinned value stays what it was, whatever is written. */
static void test_a_pinned_value_outlives_its_key(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_value value = {.data = NULL};

    put_letters(kv, "a");
    assert_int_equal(kv_get(kv, NULL, text_slice("a"), &value), 0);
    delete_text(kv, "a");
    assert_int_equal(kv_flush(kv, true, NULL), 0);

    assert_memory_equal(value.data, "1", 1);
    kv_value_release(&value);
    kv_value_release(&value);
}

static void test_iteration_goes_through_the_range_in_byte_order(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;

    put_letters(kv, "edcba");
    put_text(kv, "bb", "2", KV_RELAXED);
    put_text(kv, "\xff", "3", KV_RELAXED);

    expect_range(kv, NULL, "b", "d", "b=1 bb=2 c=1");
    expect_range(kv, NULL, "", "b", "a=1");
    expect_range(kv, NULL, "d", "", "d=1 e=1 \xff=3");
    expect_range(kv, NULL, "c", "c", "");
}

static void test_a_seek_stays_inside_the_bounds(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_iter *iter;

    put_letters(kv, "abcde");
    iter = kv_iter_new(kv, NULL, text_slice("b"), text_slice("d"));
    kv_iter_seek(iter, text_slice("a"));
    expect_rest(iter, "b=1 c=1");
    kv_iter_seek(iter, text_slice("bx"));
    expect_rest(iter, "c=1");
    kv_iter_seek(iter, text_slice("d"));
    expect_rest(iter, "");
    kv_iter_free(iter);
}

static void test_seek_last_finds_the_last_key_of_the_range(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_iter *iter;

    put_letters(kv, "abcde");
    delete_text(kv, "c");
    iter = kv_iter_new(kv, NULL, text_slice("b"), text_slice("d"));
    kv_iter_seek_last(iter);
    expect_rest(iter, "b=1");
    kv_iter_free(iter);
    iter = kv_iter_new(kv, NULL, text_slice("c"), text_slice("d"));
    kv_iter_seek_last(iter);
    expect_rest(iter, "");
    kv_iter_free(iter);
    iter = kv_iter_new(kv, NULL, text_slice(""), text_slice(""));
    kv_iter_seek_last(iter);
    expect_rest(iter, "e=1");
    kv_iter_free(iter);
}

static void test_an_iterator_sees_the_moment_of_its_creation(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_iter *iter;

    put_letters(kv, "ac");
    iter = kv_iter_new(kv, NULL, text_slice("a"), text_slice("z"));
    put_letters(kv, "b");
    put_text(kv, "c", "2", KV_SYNCED);
    delete_text(kv, "a");
    kv_iter_seek(iter, text_slice("a"));
    expect_rest(iter, "a=1 c=1");
    kv_iter_free(iter);

    assert_string_equal(dump_all(kv), "b=1 c=2");
}

static void test_a_snapshot_sees_one_moment(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_snapshot *snapshot;

    put_letters(kv, "ab");
    snapshot = kv_snapshot_new(kv);
    put_letters(kv, "c");
    put_text(kv, "a", "2", KV_SYNCED);
    delete_text(kv, "b");
    expect_text(kv, snapshot, "a", "1");
    expect_text(kv, snapshot, "c", NULL);
    expect_range(kv, snapshot, "a", "z", "a=1 b=1");
    kv_snapshot_free(snapshot);

    assert_string_equal(dump_all(kv), "a=2 c=1");
}

/* ---- durability ---- */

static void test_a_synced_write_is_durable(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;

    put_text(kv, "a", "1", KV_RELAXED);
    put_text(kv, "b", "1", KV_SYNCED);

    expect_durable(kv, "a", "1");
    expect_durable(kv, "b", "1");
}

static void test_a_flush_makes_relaxed_writes_durable(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;

    put_letters(kv, "ab");
    assert_int_equal(kv_flush(kv, true, NULL), 0);
    delete_text(kv, "a");
    assert_int_equal(kv_flush(kv, true, NULL), 0);

    expect_durable(kv, "a", NULL);
    expect_durable(kv, "b", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_the_last_change_of_a_key_in_a_batch_wins),
        ON_ALL(test_a_cleared_batch_does_nothing),
        ON_ALL(test_a_large_batch_can_be_cleared_and_used_again),
        ON_ALL(test_a_value_is_its_parts_one_after_the_other),
        ON_ALL(test_a_deleted_key_is_not_found),
        ON_ALL(test_delete_range_leaves_its_end_and_its_neighbours),
        ON_ALL(test_delete_all_leaves_what_is_beside),
        ON_ALL(test_a_pinned_value_outlives_its_key),
        ON_ALL(test_iteration_goes_through_the_range_in_byte_order),
        ON_ALL(test_a_seek_stays_inside_the_bounds),
        ON_ALL(test_seek_last_finds_the_last_key_of_the_range),
        ON_ALL(test_an_iterator_sees_the_moment_of_its_creation),
        ON_ALL(test_a_snapshot_sees_one_moment),
        ON_ALL(test_a_synced_write_is_durable),
        ON_ALL(test_a_flush_makes_relaxed_writes_durable),
    };

    return cmocka_run_group_tests_name("kv", tests, NULL, NULL);
}
