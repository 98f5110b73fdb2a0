/* SPDX-License-Identifier: Apache-2.0 */

/* When a region is measured, and when it is split. Measuring and splitting are
 * the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/measure.h"
#include "engine/keys.h"
#include "engine/node.h"
#include "engine/settings.h"
#include "engine/split.h"
#include "engine/splitter.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

enum { REGION = 4, MIB = 1024 * 1024, WANTED = 96 * MIB, LIMIT = 144 * MIB };

struct peer {
    struct region region;
    uint64_t written_bytes;
    bool serving;
    bool asleep;
};

struct node {
    struct env env;
    struct peer own;
    struct peer *peer; /* that one */
    struct splitter *splitter;
    void (*measured)(void *context, const struct measured *measured);
    void *measured_context;
    struct split_wait *split;
    struct key split_at;
    unsigned measures;
    unsigned splits;
    unsigned warnings;
};

static uint64_t file_bytes; /* that the region takes */

/* ---- node.h, peer.h, measure.h, split.h ---- */

struct env *node_env(struct node *node)
{
    return &node->env;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    return region == REGION ? node->peer : NULL;
}

struct peer *node_next_awake(const struct node *node, const struct peer *peer)
{
    return peer == NULL && !node->own.asleep ? node->peer : NULL;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    (void)format;
    node->warnings += level == LOG_WARN;
}

bool peer_is_serving(const struct peer *peer)
{
    return peer->serving;
}

bool peer_is_asleep(const struct peer *peer)
{
    return peer->asleep;
}

uint64_t peer_region_id(const struct peer *peer)
{
    return peer->region.id;
}

const struct region *peer_region(const struct peer *peer)
{
    return &peer->region;
}

uint64_t peer_written_bytes(const struct peer *peer)
{
    return peer->written_bytes;
}

uint64_t measure_files(struct kv *state, const struct region *region)
{
    assert_non_null(state);
    assert_int_equal(region->id, REGION);
    return file_bytes;
}

void measure_start(struct env *env, const struct region *region,
                   void (*done)(void *context, const struct measured *measured),
                   void *context)
{
    struct node *node = container_of(env, struct node, env);

    assert_int_equal(region->id, REGION);
    assert_null(node->measured);
    node->measured = done;
    node->measured_context = context;
    node->measures++;
}

void split_start(struct split_wait *wait, struct node *node, uint64_t region,
                 uint64_t version, const struct key *at)
{
    assert_int_equal(region, REGION);
    assert_int_equal(version, 0); /* Nobody asks for it again. */
    node->split = wait;
    node->split_at = *at;
    node->splits++;
}

bool split_is_running(const struct split_wait *wait)
{
    return wait->split != NULL;
}

void split_cancel(struct split_wait *wait)
{
    (void)wait;
}

/* ---- the fixture ---- */

static void put_setting(struct node *node, enum setting setting,
                        struct slice bytes)
{
    put_record(node->env.state, key_setting(slice_of(setting_name(setting))),
               bytes);
}

static void set(struct node *node, enum setting setting, uint64_t value)
{
    struct buf *record = setting_encode(value);

    put_setting(node, setting, buf_slice(record));
    buf_unref(record);
}

static void want(struct node *node, uint64_t bytes)
{
    set(node, SETTING_REGION_SIZE, bytes);
}

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->env.state = kv_mem_new();
    node->own.region = (struct region){.id = REGION, .version = 1};
    node->own.serving = true;
    node->peer = &node->own;
    node->splitter = splitter_new(node);
    file_bytes = 0;
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    splitter_stop(node->splitter);
    if (node->measured != NULL)
        node->measured(node->measured_context, &(struct measured){0});
    splitter_free(node->splitter);
    kv_close(node->env.state);
    free(node);
    return 0;
}

static void found(struct node *node, uint64_t bytes, uint64_t keys)
{
    struct measured measured = {.bytes = bytes, .keys = keys};
    void (*done)(void *context, const struct measured *measured) =
        node->measured;

    if (keys > 1)
        measured.middle = key_user('d', 2, slice_of("m"));
    assert_non_null(done);
    node->measured = NULL;
    done(node->measured_context, &measured);
}

static void write_more(struct node *node, uint64_t bytes)
{
    node->own.written_bytes += bytes;
    splitter_each_second(node->splitter);
}

/* ---- the tests ---- */

static void test_a_region_that_is_too_large_is_split_in_its_middle(void **state)
{
    struct node *node = *state;
    struct key middle = key_user('d', 2, slice_of("m"));

    write_more(node, LIMIT);
    assert_int_equal(node->measures, 0);
    write_more(node, 1);
    assert_int_equal(node->measures, 1);
    write_more(node, 1); /* One measurement is enough. */
    found(node, LIMIT + 1, 2);
    assert_int_equal(node->splits, 1);
    assert_true(slice_equal(key_slice(&node->split_at), key_slice(&middle)));
}

static void test_what_replaces_is_not_growth(void **state)
{
    struct node *node = *state;

    write_more(node, LIMIT + 1);
    found(node, LIMIT, 2);
    assert_int_equal(node->splits, 0);
    write_more(node, WANTED / 8 - 1);
    assert_int_equal(node->measures, 1);
    write_more(node, 1);
    assert_int_equal(node->measures, 2);
    found(node, LIMIT + 1, 2);
    assert_int_equal(node->splits, 1);
}

static void test_files_may_be_compressed(void **state)
{
    struct node *node = *state;

    file_bytes = LIMIT / 4;
    write_more(node, 0);
    assert_int_equal(node->measures, 0);
    node->own.region.version++; /* It is looked at anew. */
    file_bytes++;
    write_more(node, 0);
    assert_int_equal(node->measures, 1);
}

static void test_a_region_is_as_large_as_the_setting_wants(void **state)
{
    struct node *node = *state;

    want(node, 2 * WANTED);
    write_more(node, 2 * (uint64_t)LIMIT);
    assert_int_equal(node->measures, 0);
    write_more(node, 1);
    found(node, 2 * (uint64_t)LIMIT, 2);
    assert_int_equal(node->splits, 0);
    want(node, WANTED);
    write_more(node, 0); /* Though nothing was written since. */
    assert_int_equal(node->measures, 2);
    found(node, 2 * (uint64_t)LIMIT, 2);
    assert_int_equal(node->splits, 1);
    write_more(node, 0);
    assert_int_equal(node->measures, 2);
}

static void test_nothing_is_split_by_a_setting_that_is_damaged(void **state)
{
    struct node *node = *state;

    put_setting(node, SETTING_REGION_SIZE, slice_of("?"));
    write_more(node, 2 * (uint64_t)LIMIT);
    assert_int_equal(node->measures, 0);
    want(node, WANTED);
    write_more(node, 0);
    assert_int_equal(node->measures, 1);
}

static void test_only_a_leader_measures(void **state)
{
    struct node *node = *state;

    node->own.serving = false;
    write_more(node, 2 * (uint64_t)LIMIT);
    assert_int_equal(node->measures, 0);
    node->own.serving = true;
    node->own.asleep = true;
    write_more(node, 0);
    assert_int_equal(node->measures, 0);
    node->own.asleep = false;
    write_more(node, 0);
    assert_int_equal(node->measures, 1);
}

/* The last that was written was too much, or what is wanted has changed. */
static void test_a_region_that_sleeps_is_split(void **state)
{
    struct node *node = *state;

    write_more(node, LIMIT);
    node->own.asleep = true;
    write_more(node, 0);
    assert_int_equal(node->measures, 0);
    want(node, WANTED / 2);
    write_more(node, 0);
    assert_int_equal(node->measures, 1);
    found(node, LIMIT, 2);
    assert_int_equal(node->splits, 1);
}

static void test_a_split_that_has_failed_is_tried_again(void **state)
{
    struct node *node = *state;

    write_more(node, LIMIT + 1);
    found(node, LIMIT + 1, 2);
    node->own.asleep = true;
    node->split->done(node->split, ERR_BUSY, "");
    for (int i = 0; i < 9; i++)
        write_more(node, 0);
    assert_int_equal(node->measures, 1);
    write_more(node, 0);
    assert_int_equal(node->measures, 2);
    found(node, LIMIT + 1, 2);
    assert_int_equal(node->splits, 2);
    node->split->done(node->split, 0, "");
    for (int i = 0; i < 20; i++)
        write_more(node, 0);
    assert_int_equal(node->measures, 2);
}

static void test_a_region_that_has_changed_meanwhile_is_left_alone(void **state)
{
    struct node *node = *state;

    write_more(node, LIMIT + 1);
    node->own.region.version++;
    found(node, LIMIT + 1, 2);
    assert_int_equal(node->splits, 0);
    splitter_each_second(node->splitter);
    assert_int_equal(node->measures, 2);
    node->own.region.version++;
    splitter_each_second(node->splitter);
    found(node, LIMIT + 1, 2);
    assert_int_equal(node->splits, 0);
}

static void test_one_name_cannot_be_split(void **state)
{
    struct node *node = *state;

    write_more(node, LIMIT + 1);
    found(node, LIMIT + 1, 1);
    assert_int_equal(node->splits, 0);
    assert_int_equal(node->warnings, 0);
}

static void test_a_split_that_fails_for_good_is_told(void **state)
{
    struct node *node = *state;

    write_more(node, LIMIT + 1);
    found(node, LIMIT + 1, 2);
    node->split->done(node->split, ERR_EPOCH, "");
    node->split->done(node->split, ERR_NOT_LEADER, "");
    assert_int_equal(node->warnings, 0);
    node->split->done(node->split, ERR_NO_QUORUM, "");
    assert_int_equal(node->warnings, 1);
}

static void test_sizes_are_known_of_regions_that_are_led(void **state)
{
    struct node *node = *state;
    struct region_size size;

    file_bytes = 10;
    splitter_find_size(node->splitter, REGION, &size);
    assert_int_equal(size.bytes, SIZE_UNKNOWN);
    write_more(node, 5);
    splitter_find_size(node->splitter, REGION, &size);
    assert_int_equal(size.bytes, 15);
    assert_int_equal(size.keys, SIZE_UNKNOWN);
    write_more(node, LIMIT + 1);
    found(node, 1000, 7);
    node->own.written_bytes += 3;
    splitter_find_size(node->splitter, REGION, &size);
    assert_int_equal(size.bytes, 1003);
    assert_int_equal(size.keys, 7);
    node->own.serving = false;
    write_more(node, 0);
    splitter_find_size(node->splitter, REGION, &size);
    assert_int_equal(size.bytes, SIZE_UNKNOWN);
}

static void test_another_range_counts_as_not_measured(void **state)
{
    struct node *node = *state;
    struct region_size size;

    write_more(node, LIMIT + 1);
    found(node, 1000, 7);
    node->own.region.version++;
    splitter_find_size(node->splitter, REGION, &size);
    assert_int_equal(size.keys, SIZE_UNKNOWN);
}

/* What was written may have removed something. */
static void test_what_may_be_merged_is_measured(void **state)
{
    struct node *node = *state;
    struct region_size size;

    file_bytes = 10 * MIB;
    write_more(node, 1);
    assert_int_equal(node->measures, 0);
    set(node, SETTING_AUTO_MERGE, 1);
    write_more(node, 0);
    assert_int_equal(node->measures, 1);
    found(node, MIB, 9);
    node->own.asleep = true;
    for (int i = 0; i < 20; i++)
        write_more(node, 0);
    assert_int_equal(node->measures, 1);
    write_more(node, 1);
    assert_int_equal(node->measures, 2);
    found(node, 1000, 1);
    splitter_find_size(node->splitter, REGION, &size);
    assert_int_equal(size.bytes, 1000);
}

/* Of a region that is written to all the time. */
static void test_only_so_much_is_read_to_find_what_is_small(void **state)
{
    struct node *node = *state;

    set(node, SETTING_AUTO_MERGE, 1);
    write_more(node, 1);
    found(node, 60 * MIB, 9);
    for (int i = 0; i < 60; i++)
        write_more(node, 1);
    assert_int_equal(node->measures, 1);
    write_more(node, 1);
    assert_int_equal(node->measures, 2);
    found(node, 60 * MIB, 9);
    write_more(node, LIMIT); /* That does not wait. */
    assert_int_equal(node->measures, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_region_that_is_too_large_is_split_in_its_middle),
        TEST(test_what_replaces_is_not_growth),
        TEST(test_files_may_be_compressed),
        TEST(test_a_region_is_as_large_as_the_setting_wants),
        TEST(test_nothing_is_split_by_a_setting_that_is_damaged),
        TEST(test_only_a_leader_measures),
        TEST(test_a_region_that_sleeps_is_split),
        TEST(test_a_split_that_has_failed_is_tried_again),
        TEST(test_a_region_that_has_changed_meanwhile_is_left_alone),
        TEST(test_one_name_cannot_be_split),
        TEST(test_a_split_that_fails_for_good_is_told),
        TEST(test_sizes_are_known_of_regions_that_are_led),
        TEST(test_another_range_counts_as_not_measured),
        TEST(test_what_may_be_merged_is_measured),
        TEST(test_only_so_much_is_read_to_find_what_is_small),
    };

    return cmocka_run_group_tests_name("splitter", tests, NULL, NULL);
}
