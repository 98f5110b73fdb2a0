/* SPDX-License-Identifier: Apache-2.0 */

/* What kv.h promises of ingests, kept by each of its implementations; and that
 * these agree. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "raft/base/mem.h"
#include "tests/engine/kv_fixture.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

enum { RANDOM_ROUNDS = 300 };

/* ---- ingests ---- */

static struct kv_ingest *begin_ingest(struct kv *kv)
{
    struct kv_ingest *ingest = NULL;

    assert_int_equal(kv_ingest_new(kv, &ingest, NULL), 0);
    return ingest;
}

static void ingest_range(struct kv_ingest *ingest, const char *begin,
                         const char *end)
{
    assert_int_equal(kv_ingest_replace_range(ingest, text_slice(begin),
                                             text_slice(end), NULL),
                     0);
}

static void ingest_text(struct kv_ingest *ingest, const char *key,
                        const char *value)
{
    assert_int_equal(
        kv_ingest_put(ingest, text_slice(key), text_slice(value), NULL), 0);
}

static void end_ingest(struct kv_ingest *ingest)
{
    assert_int_equal(kv_ingest_finish(ingest, NULL), 0);
    kv_ingest_free(ingest);
}

static void test_an_ingest_replaces_exactly_its_ranges(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_ingest *ingest = begin_ingest(kv);

    put_letters(kv, "abcdefghi");
    ingest_range(ingest, "b", "d");
    ingest_text(ingest, "b", "2");
    ingest_text(ingest, "bb", "2");
    ingest_range(ingest, "f", "h");
    ingest_text(ingest, "g", "2");
    end_ingest(ingest);

    assert_string_equal(dump_all(kv), "a=1 b=2 bb=2 d=1 e=1 g=2 h=1 i=1");
}

static void test_an_ingest_clears_a_range_without_keys(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_ingest *ingest = begin_ingest(kv);

    put_letters(kv, "abcdefgh");
    ingest_range(ingest, "b", "d");
    ingest_range(ingest, "d", "e");
    ingest_range(ingest, "f", "g");
    end_ingest(ingest);

    assert_string_equal(dump_all(kv), "a=1 e=1 g=1 h=1");
}

/* Data of before is in memory, or on disk, or both. */
static void test_an_ingest_replaces_flushed_and_unflushed_data(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_ingest *ingest = begin_ingest(kv);

    put_letters(kv, "abc");
    assert_int_equal(kv_flush(kv, true, NULL), 0);
    put_letters(kv, "bd");
    ingest_range(ingest, "b", "d");
    ingest_text(ingest, "c", "2");
    end_ingest(ingest);
    assert_string_equal(dump_all(kv), "a=1 c=2 d=1");
    put_letters(kv, "b");

    assert_string_equal(dump_all(kv), "a=1 b=1 c=2 d=1");
}

static void test_an_ingest_of_many_files_has_no_gaps(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_ingest *ingest = begin_ingest(kv);
    char key[8];
    size_t count = 0;

    for (int i = 0; i < 100; i++) { /* Old keys lie between the new ones. */
        (void)snprintf(key, sizeof key, "k%03dx", i);
        put_text(kv, key, "old", KV_RELAXED);
    }
    ingest_range(ingest, "k", "l");
    for (int i = 10; i < 90; i++) {
        (void)snprintf(key, sizeof key, "k%03d", i);
        ingest_text(ingest, key, "new");
    }
    end_ingest(ingest);

    for (const char *at = dump_all(kv); (at = strchr(at, '=')) != NULL; at++)
        count++;
    assert_int_equal(count, 80);
    assert_null(strstr(dump_all(kv), "old"));
}

static void test_an_ingest_is_durable_when_it_returns(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_ingest *ingest = begin_ingest(kv);

    put_text(kv, "b", "1", KV_SYNCED);
    ingest_range(ingest, "a", "c");
    ingest_text(ingest, "a", "2");
    end_ingest(ingest);

    expect_durable(kv, "a", "2");
    expect_durable(kv, "b", NULL);
}

static void test_an_ingest_without_finish_changes_nothing(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_ingest *ingest = begin_ingest(kv);

    put_letters(kv, "ab");
    ingest_range(ingest, "a", "c");
    for (char key[] = "a0"; key[1] <= '9'; key[1]++)
        ingest_text(ingest, key, "new value of some size");
    assert_string_equal(dump_all(kv), "a=1 b=1");
    kv_ingest_free(ingest);

    assert_string_equal(dump_all(kv), "a=1 b=1");
}

static void test_an_older_snapshot_does_not_see_an_ingest(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv_ingest *ingest = begin_ingest(kv);
    struct kv_snapshot *snapshot;

    put_letters(kv, "abc");
    snapshot = kv_snapshot_new(kv);
    ingest_range(ingest, "b", "d");
    ingest_text(ingest, "bb", "2");
    end_ingest(ingest);

    expect_range(kv, snapshot, "a", "z", "a=1 b=1 c=1");
    kv_snapshot_free(snapshot);
    assert_string_equal(dump_all(kv), "a=1 bb=2");
}

/* ---- both at once ---- */

static const char *random_key(unsigned *seed)
{
    static const char *const keys[] = {"a", "b", "bb", "c", "d", "e", "f"};

    return keys[(unsigned)rand_r(seed) % ARRAY_SIZE(keys)];
}

static void random_range(unsigned *seed, struct slice *begin, struct slice *end)
{
    do {
        *begin = text_slice(random_key(seed));
        *end = text_slice(random_key(seed));
    } while (slice_compare(*begin, *end) >= 0);
}

static void random_batch(struct kv *kv, unsigned *seed)
{
    struct kv_batch *batch = kv_batch_new(kv);
    struct slice begin;
    struct slice end;
    char value[16];

    for (int i = rand_r(seed) % 4; i >= 0; i--) {
        (void)snprintf(value, sizeof value, "%d", rand_r(seed) % 1000);
        random_range(seed, &begin, &end);
        switch (rand_r(seed) % 4) {
        case 0:
            kv_batch_delete(batch, begin);
            break;
        case 1:
            kv_batch_delete_range(batch, begin, end);
            break;
        default:
            kv_batch_put(batch, begin, text_slice(value));
        }
    }
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static void random_ingest(struct kv *kv, unsigned *seed)
{
    struct kv_ingest *ingest = begin_ingest(kv);
    struct slice begin;
    struct slice end;

    random_range(seed, &begin, &end);
    assert_int_equal(kv_ingest_replace_range(ingest, begin, end, NULL), 0);
    if (rand_r(seed) % 2 == 0)
        assert_int_equal(kv_ingest_put(ingest, begin, end, NULL), 0);
    end_ingest(ingest);
}

static void random_change(struct kv *kv, unsigned seed)
{
    switch (rand_r(&seed) % 16) {
    case 0:
        random_ingest(kv, &seed);
        break;
    case 1:
        assert_int_equal(kv_flush(kv, true, NULL), 0);
        break;
    default:
        random_batch(kv, &seed);
    }
}

/* The simulator's store stands for the real one. */
static void test_both_stores_agree_after_each_random_change(void **state)
{
    struct kv *kv = ((struct fixture *)*state)->kv;
    struct kv *model = kv_mem_new();
    char expected[DUMP_SIZE];

    for (unsigned seed = 0; seed < RANDOM_ROUNDS; seed++) {
        random_change(kv, seed);
        random_change(model, seed);
        kv_mem_check(model);
        (void)snprintf(expected, sizeof expected, "%s", dump_all(model));
        assert_string_equal(dump_all(kv), expected);
    }
    kv_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_an_ingest_replaces_exactly_its_ranges),
        ON_ALL(test_an_ingest_clears_a_range_without_keys),
        ON_ALL(test_an_ingest_replaces_flushed_and_unflushed_data),
        ON_ALL(test_an_ingest_of_many_files_has_no_gaps),
        ON_ALL(test_an_ingest_is_durable_when_it_returns),
        ON_ALL(test_an_ingest_without_finish_changes_nothing),
        ON_ALL(test_an_older_snapshot_does_not_see_an_ingest),
        ON_ALL(test_both_stores_agree_after_each_random_change),
    };

    return cmocka_run_group_tests_name("kv_ingest", tests, NULL, NULL);
}
