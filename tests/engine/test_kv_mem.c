/* SPDX-License-Identifier: Apache-2.0 */

/* What a crash leaves of the store in memory, and its failures. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

static int setup(void **state)
{
    *state = kv_mem_new();
    return 0;
}

static int teardown(void **state)
{
    kv_mem_check(*state);
    kv_close(*state);
    return 0;
}

static void test_a_crash_keeps_a_prefix_of_the_unsynced_writes(void **state)
{
    struct kv *kv = *state;

    put_text(kv, "a", "1", KV_SYNCED);
    put_letters(kv, "bcd");
    assert_int_equal(kv_mem_unsynced_count(kv), 3);
    kv_mem_crash(kv, 2);

    assert_string_equal(dump_all(kv), "a=1 b=1 c=1");
    assert_int_equal(kv_mem_unsynced_count(kv), 0);
}

static void test_a_crash_brings_back_what_was_overwritten(void **state)
{
    struct kv *kv = *state;

    put_letters(kv, "ab");
    assert_int_equal(kv_flush(kv, true, NULL), 0);
    put_text(kv, "a", "2", KV_RELAXED);
    put_text(kv, "a", "3", KV_RELAXED);
    delete_text(kv, "b");
    kv_mem_crash(kv, 0);

    assert_string_equal(dump_all(kv), "a=1 b=1");
}

/* However many versions were written and dropped in between. */
static void test_no_crash_needs_a_version_that_was_dropped(void **state)
{
    struct kv *kv = *state;
    char value[16];

    put_text(kv, "a", "synced", KV_SYNCED);
    put_text(kv, "b", "synced", KV_SYNCED);
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(value, sizeof value, "%d", i);
        put_text(kv, "a", value, KV_RELAXED);
        delete_text(kv, "b");
    }
    expect_durable(kv, "a", "synced");
    kv_mem_crash(kv, 1001);

    assert_string_equal(dump_all(kv), "a=500");
}

static void test_a_relaxed_write_is_not_durable(void **state)
{
    struct kv *kv = *state;

    put_text(kv, "a", "1", KV_SYNCED);
    put_text(kv, "a", "2", KV_RELAXED);
    delete_text(kv, "a");
    put_letters(kv, "b");

    expect_durable(kv, "a", "1");
    expect_durable(kv, "b", NULL);
}

static void test_a_background_sync_makes_the_oldest_writes_durable(void **state)
{
    struct kv *kv = *state;

    put_letters(kv, "abc");
    kv_mem_sync(kv, 2);
    expect_durable(kv, "b", "1");
    expect_durable(kv, "c", NULL);
    kv_mem_crash(kv, 0);

    assert_string_equal(dump_all(kv), "a=1 b=1");
}

static void test_an_ingest_survives_a_crash_alone(void **state)
{
    struct kv *kv = *state;
    struct kv_ingest *ingest = NULL;

    put_letters(kv, "abx");
    assert_int_equal(kv_ingest_new(kv, &ingest, NULL), 0);
    assert_int_equal(
        kv_ingest_replace_range(ingest, text_slice("a"), text_slice("c"), NULL),
        0);
    assert_int_equal(
        kv_ingest_put(ingest, text_slice("aa"), text_slice("2"), NULL), 0);
    assert_int_equal(kv_ingest_finish(ingest, NULL), 0);
    kv_ingest_free(ingest);
    assert_int_equal(kv_mem_unsynced_count(kv), 3);
    kv_mem_crash(kv, 0);

    assert_string_equal(dump_all(kv), "aa=2");
}

static void test_snapshots_of_before_a_crash_can_be_freed(void **state)
{
    struct kv *kv = *state;
    struct kv_snapshot *snapshot;
    struct kv_iter *iter;

    put_letters(kv, "a");
    snapshot = kv_snapshot_new(kv);
    iter = kv_iter_new(kv, snapshot, text_slice(""), text_slice(""));
    kv_iter_seek(iter, text_slice(""));
    kv_mem_crash(kv, 0);
    kv_iter_free(iter);
    kv_snapshot_free(snapshot);

    assert_string_equal(dump_all(kv), "");
}

/* ---- watching ---- */

struct watched {
    struct kv *kv;
    size_t before[8]; /* unsynced writes at each call */
    size_t after[8];
    size_t calls;
};

static void on_step(void *context, bool done)
{
    struct watched *w = context;

    (done ? w->after : w->before)[w->calls] = kv_mem_unsynced_count(w->kv);
    w->calls += done;
}

static void
test_a_watcher_sees_the_store_before_and_after_each_call(void **state)
{
    struct watched w = {.kv = *state};
    const struct kv_mem_watcher watcher = {on_step, &w};

    kv_mem_watch(w.kv, &watcher);
    put_letters(w.kv, "ab");
    assert_int_equal(kv_flush(w.kv, true, NULL), 0);

    assert_int_equal(w.calls, 3);
    assert_int_equal(w.before[1], 1);
    assert_int_equal(w.after[1], 2);
    assert_int_equal(w.before[2], 2);
    assert_int_equal(w.after[2], 0);
}

/* clang-format off */
/* ---- failing calls ---- */

static void count_fatal(void *context, const char *reason)
{
    (void)reason;
    ++*(int *)context;
}

static int put_or_fail(struct kv *kv, const char *key)
{
    struct kv_batch *batch = kv_batch_new(kv);
    int rc;

    kv_batch_put(batch, slice_of(key), slice_of("1"));
    rc = kv_write(kv, batch, KV_RELAXED, NULL);
    kv_batch_free(batch);
    return rc;
}

static void test_one_call_fails_and_says_so_once(void **state)
{
    struct kv *kv = *state;
    int fatal_count = 0;
    struct kv_mem_failure failure = {
        .call = KV_MEM_WRITE, .on_fatal = count_fatal, .context = &fatal_count};

    kv_mem_fail_next(kv, &failure);
    assert_int_equal(kv_flush(kv, true, NULL), 0);
    assert_int_equal(put_or_fail(kv, "a"), ERR_IO);
    assert_int_equal(fatal_count, 1);
    assert_int_equal(put_or_fail(kv, "b"), 0);

    assert_string_equal(dump_all(kv), "b=1");
    assert_int_equal(fatal_count, 1);
}

static void test_a_late_failure_has_taken_effect(void **state)
{
    struct kv *kv = *state;
    int fatal_count = 0;
    struct kv_mem_failure failure = {.call = KV_MEM_FLUSH,
                                     .late = true,
                                     .on_fatal = count_fatal,
                                     .context = &fatal_count};

    kv_mem_fail_next(kv, &failure);
    assert_int_equal(put_or_fail(kv, "a"), 0);
    assert_int_equal(kv_flush(kv, true, NULL), ERR_IO);
    kv_mem_crash(kv, 0);

    assert_string_equal(dump_all(kv), "a=1");
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_crash_keeps_a_prefix_of_the_unsynced_writes),
        T(test_a_crash_brings_back_what_was_overwritten),
        T(test_no_crash_needs_a_version_that_was_dropped),
        T(test_a_relaxed_write_is_not_durable),
        T(test_a_background_sync_makes_the_oldest_writes_durable),
        T(test_an_ingest_survives_a_crash_alone),
        T(test_a_watcher_sees_the_store_before_and_after_each_call),
        T(test_snapshots_of_before_a_crash_can_be_freed),
        T(test_one_call_fails_and_says_so_once),
        T(test_a_late_failure_has_taken_effect),
    };

    return cmocka_run_group_tests_name("kv_mem", tests, NULL, NULL);
}
