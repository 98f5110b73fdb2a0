/* SPDX-License-Identifier: Apache-2.0 */

/* What is done to one region's keys does nothing to those of its neighbours,
 * wherever the bounds are: restoring a snapshot, erasing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/erase.h"
#include "engine/keys.h"
#include "engine/region_log.h"
#include "engine/snapshot_data.h"
#include "raft/base/buf.h"
#include "raft/base/mem.h"
#include "tests/engine/fake_env.h"
#include "tests/engine/kv_fixture.h"
#include "tests/sim/kv_mem.h"

enum {
    PLACES = 12, /* user keys, ascending; a bound lies before one, or nowhere */
    REGIONS_HERE = 4,
    SELF = 2, /* the region that something is done to */
    KEYS_MAX = 5,
    ROUNDS = 40
};

/* ---- keys ---- */

/* In one namespace but for the first and the last. */
static struct slice place_name(size_t place)
{
    static const char *const names[PLACES] = {
        "z", "a", "aa", "ab", "b", "c", "c!", "c1", "cz", "dzz", "e", "a"};

    return slice_of(names[place]);
}

static uint64_t place_nsid(size_t place)
{
    return place == 0 ? 1 : place == PLACES - 1 ? 9 : 5;
}

static void place_keys(size_t place, struct key keys[KEYS_MAX])
{
    uint64_t nsid = place_nsid(place);
    struct slice name = place_name(place);

    keys[0] = key_user('d', nsid, name);
    keys[1] = key_chunk(nsid, name, 0);
    keys[2] = key_chunk(nsid, name, UINT32_MAX);
    keys[3] = key_user('n', nsid, name);
    keys[4] = key_user('x', nsid, name);
}

/* Those that bear the region's number. */
static size_t own_keys(uint64_t region, struct key keys[KEYS_MAX])
{
    keys[0] = key_sender(region, 3);
    keys[1] = key_result(region, 3, UINT64_MAX);
    keys[2] = key_region(region);
    keys[3] = key_marker(region);
    return 4;
}

static void put(struct kv *kv, const struct key *keys, size_t count,
                const char *text)
{
    struct kv_batch *batch = kv_batch_new(kv);

    for (size_t i = 0; i < count; i++)
        kv_batch_put(batch, key_slice(&keys[i]), slice_of(text));
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static void put_all(struct kv *kv)
{
    struct key keys[KEYS_MAX];

    for (size_t place = 0; place < PLACES; place++) {
        place_keys(place, keys);
        put(kv, keys, KEYS_MAX, "old");
    }
    for (uint64_t region = 0; region < REGIONS_HERE; region++)
        put(kv, keys, own_keys(region, keys), "old");
    keys[0] = key_directory(5);
    put(kv, keys, 1, "old");
}

/* NULL: nothing. */
static void assert_values(struct kv *kv, const struct key *keys, size_t count,
                          const char *text)
{
    for (size_t i = 0; i < count; i++) {
        struct kv_value value = {0};
        int rc = kv_get(kv, NULL, key_slice(&keys[i]), &value);

        assert_int_equal(rc, text != NULL ? 0 : ERR_NOT_FOUND);
        if (text != NULL)
            assert_true(slice_equal((struct slice){value.data, value.size},
                                    slice_of(text)));
        kv_value_release(&value);
    }
}

/* ---- ranges ---- */

/* Places; 0 and PLACES are open ends. */
struct span {
    size_t start;
    size_t end;
};

static bool is_in(struct span span, size_t place)
{
    return span.start <= place && place < span.end;
}

struct bounds {
    struct key start;
    struct key end;
};

/* Of the class 'd', without it. */
static struct slice user_key(struct key *key, size_t place)
{
    if (place == 0 || place == PLACES)
        return (struct slice){NULL, 0};
    *key = key_user('d', place_nsid(place), place_name(place));
    return (struct slice){key->data + 1, key->size - 1};
}

static struct region region_of(struct span span, struct bounds *bounds)
{
    return (struct region){
        .id = SELF,
        .start = user_key(&bounds->start, span.start),
        .end = user_key(&bounds->end, span.end),
        .peers = {{11, 1, PEER_VOTER}},
        .peer_count = 1,
    };
}

static size_t pick(uint64_t *random, size_t count)
{
    *random = *random * UINT64_C(6364136223846793005) + 1;
    return (size_t)(*random >> 33) % count;
}

static struct span random_span(uint64_t *random)
{
    size_t a = pick(random, PLACES + 1);
    size_t b = pick(random, PLACES);

    b += b >= a; /* Not the same. */
    return a < b ? (struct span){a, b} : (struct span){b, a};
}

/* ---- restoring ---- */

static bool is_in_range(const struct key_range *range, const struct key *key)
{
    return slice_compare(key_slice(&range->begin), key_slice(key)) <= 0 &&
           slice_compare(key_slice(key), key_slice(&range->end)) < 0;
}

static int compare_keys(const void *a, const void *b)
{
    return slice_compare(key_slice(a), key_slice(b));
}

/* All keys of the new range, in their order. */
static size_t new_keys(struct span span, struct key *keys)
{
    size_t count = own_keys(SELF, keys);

    for (size_t place = span.start; place < span.end; place++) {
        place_keys(place, keys + count);
        count += KEYS_MAX;
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    return count;
}

/* As snapshot_writer.c and peer_snapshot.c do it. */
static void restore(struct kv *kv, struct span old_span, struct span new_span)
{
    struct bounds bounds[2];
    struct region old = region_of(old_span, &bounds[0]);
    struct region fresh = region_of(new_span, &bounds[1]);
    struct key_range ranges[SNAPSHOT_RANGES_MAX];
    struct key_range leftovers[SNAPSHOT_LEFTOVERS_MAX];
    size_t range_count = snapshot_ranges(&fresh, ranges);
    size_t leftover_count = snapshot_leftovers(&old, &fresh, leftovers);
    struct key keys[(PLACES + 1) * KEYS_MAX];
    size_t key_count = new_keys(new_span, keys);
    struct kv_ingest *ingest = NULL;
    size_t put_count = 0;

    assert_int_equal(kv_ingest_new(kv, &ingest, NULL), 0);
    for (size_t i = 0; i < range_count; i++) {
        assert_int_equal(
            kv_ingest_replace_range(ingest, key_slice(&ranges[i].begin),
                                    key_slice(&ranges[i].end), NULL),
            0);
        for (;
             put_count < key_count && is_in_range(&ranges[i], &keys[put_count]);
             put_count++)
            assert_int_equal(kv_ingest_put(ingest, key_slice(&keys[put_count]),
                                           slice_of("new"), NULL),
                             0);
    }
    assert_int_equal(put_count, key_count);
    for (size_t i = 0; i < leftover_count; i++)
        assert_int_equal(
            kv_ingest_replace_range(ingest, key_slice(&leftovers[i].begin),
                                    key_slice(&leftovers[i].end), NULL),
            0);
    assert_int_equal(kv_ingest_finish(ingest, NULL), 0);
    kv_ingest_free(ingest);
}

static void assert_restored(struct kv *kv, struct span old, struct span fresh)
{
    struct key keys[KEYS_MAX];

    for (size_t place = 0; place < PLACES; place++) {
        place_keys(place, keys);
        assert_values(kv, keys, KEYS_MAX,
                      is_in(fresh, place) ? "new"
                      : is_in(old, place) ? NULL
                                          : "old");
    }
    for (uint64_t region = 0; region < REGIONS_HERE; region++)
        assert_values(kv, keys, own_keys(region, keys),
                      region == SELF ? "new" : "old");
    keys[0] = key_directory(5);
    assert_values(kv, keys, 1, "old");
}

static void test_a_snapshot_replaces_the_old_range_and_the_new_one(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 1;

    for (int i = 0; i < ROUNDS; i++) {
        struct span old = random_span(&random);
        struct span fresh = random_span(&random);

        put_all(f->kv);
        restore(f->kv, old, fresh);
        assert_restored(f->kv, old, fresh);
    }
}

/* ---- erasing ---- */

static void log_keys(uint64_t region, struct key keys[KEYS_MAX])
{
    keys[0] = key_log_entry(region, 1);
    keys[1] = key_log_entry(region, UINT64_MAX - 1);
    keys[2] = key_hard_state(region);
    keys[3] = key_log_start(region);
    keys[4] = key_damage(region);
}

static void put_logs(struct kv *log)
{
    struct key keys[KEYS_MAX];

    for (uint64_t region = 0; region < REGIONS_HERE; region++) {
        log_keys(region, keys);
        put(log, keys, KEYS_MAX, "old");
    }
}

static void assert_logs(struct kv *log)
{
    struct key keys[KEYS_MAX];

    for (uint64_t region = 0; region < REGIONS_HERE; region++) {
        log_keys(region, keys);
        assert_values(log, keys, KEYS_MAX, region == SELF ? NULL : "old");
    }
}

static unsigned done_count;

static void on_erased(struct erase *erase)
{
    (void)erase;
    done_count++;
}

static void erase(struct fake_env *fake, struct span span)
{
    struct bounds bounds;
    struct region region = region_of(span, &bounds);
    struct erase erase = {
        .env = &fake->env,
        .region = &region,
        .tombstone = {.peer = 11, .index = 7, .term = 3},
        .done = on_erased,
    };
    unsigned before = done_count;

    erase_start(&erase);
    fake_env_run(fake);
    assert_int_equal(done_count, before);
    fake_env_sync(fake, SIZE_MAX);
    assert_int_equal(done_count, before + 1);
}

static void assert_erased(struct fake_env *fake, struct span span)
{
    struct kv *state = fake->env.state;
    struct tombstone tombstone = {0};
    struct key keys[KEYS_MAX];

    for (size_t place = 0; place < PLACES; place++) {
        place_keys(place, keys);
        assert_values(state, keys, KEYS_MAX, is_in(span, place) ? NULL : "old");
    }
    for (uint64_t region = 0; region < REGIONS_HERE; region++)
        assert_values(state, keys, own_keys(region, keys),
                      region == SELF ? NULL : "old");
    keys[0] = key_directory(5);
    assert_values(state, keys, 1, "old");
    assert_int_equal(tombstone_read(&fake->env, SELF, &tombstone), 0);
    assert_int_equal(tombstone.peer, 11);
    assert_int_equal(tombstone_read(&fake->env, SELF + 1, &tombstone),
                     ERR_NOT_FOUND);
}

static void test_a_replica_that_is_erased_takes_nothing_else_along(void **state)
{
    struct fixture *f = *state;
    struct kv *log = kv_mem_new();
    struct fake_env fake;
    uint64_t random = 2;

    fake_env_init(&fake, log, f->kv);
    for (int i = 0; i < ROUNDS; i++) {
        struct span span = random_span(&random);

        put_all(f->kv);
        put_logs(log);
        erase(&fake, span);
        assert_erased(&fake, span);
        assert_logs(log);
    }
    kv_close(log);
}

/* The crash came between state/ and log/. */
static void test_leftovers_are_those_of_one_region(void **state)
{
    struct fixture *f = *state;
    struct kv *log = kv_mem_new();
    struct span span = {4, 8};
    struct fake_env fake;

    fake_env_init(&fake, log, f->kv);
    put_all(f->kv);
    erase(&fake, span);
    put_logs(log);
    for (uint64_t region = 0; region < REGIONS_HERE; region++)
        assert_int_equal(erase_leftovers(&fake.env, region), 0);
    assert_erased(&fake, span);
    assert_logs(log);
    kv_close(log);
}

/* Reads may be under way at each of those who apply. */
static void test_nothing_is_erased_before_all_reads_are_over(void **state)
{
    struct fixture *f = *state;
    struct kv *log = kv_mem_new();
    struct bounds bounds;
    struct region region = region_of((struct span){4, 8}, &bounds);
    struct erase erase = {.region = &region, .done = on_erased};
    struct key keys[KEYS_MAX];
    struct fake_env fake;

    fake_env_init(&fake, log, f->kv);
    fake.env.apply_owners = 3;
    erase.env = &fake.env;
    for (unsigned i = 0; i < fake.env.apply_owners; i++) {
        put_all(f->kv);
        fake.held = (enum env_owner)(ENV_APPLY + i);
        erase_start(&erase);
        fake_env_run(&fake);
        place_keys(5, keys);
        assert_values(f->kv, keys, KEYS_MAX, "old");
        fake.held = ENV_WORKER;
        fake_env_run(&fake);
        assert_values(f->kv, keys, KEYS_MAX, NULL);
        fake_env_sync(&fake, SIZE_MAX);
    }
    kv_close(log);
}

/* A replica that never had state has no range: not the whole one. */
static void test_a_replica_without_state_has_nothing_to_erase(void **state)
{
    struct fixture *f = *state;
    struct kv *log = kv_mem_new();
    struct region region = {.id = SELF};
    struct erase erase = {
        .region = &region, .tombstone = {.peer = 11}, .done = on_erased};
    struct key keys[KEYS_MAX];
    struct fake_env fake;

    fake_env_init(&fake, log, f->kv);
    erase.env = &fake.env;
    put_all(f->kv);
    erase_start(&erase);
    fake_env_run(&fake);
    fake_env_sync(&fake, SIZE_MAX);
    for (size_t place = 0; place < PLACES; place++) {
        place_keys(place, keys);
        assert_values(f->kv, keys, KEYS_MAX, "old");
    }
    kv_close(log);
}

/* clang-format off */
#define T(test)                                                                \
    {#test " (memory)", test, setup_mem, teardown, NULL},                      \
    {#test " (state)", test, setup_state, teardown, NULL}
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_snapshot_replaces_the_old_range_and_the_new_one),
        T(test_a_replica_that_is_erased_takes_nothing_else_along),
        T(test_leftovers_are_those_of_one_region),
        T(test_nothing_is_erased_before_all_reads_are_over),
        T(test_a_replica_without_state_has_nothing_to_erase),
    };

    return cmocka_run_group_tests_name("neighbours", tests, NULL, NULL);
}
