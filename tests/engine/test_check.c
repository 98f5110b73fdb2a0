/* SPDX-License-Identifier: Apache-2.0 */

/* What a consistency check compares, and who wins. */

#include <stdlib.h>
#include <string.h>

#include "engine/check.h"
#include "engine/hashing.h"
#include "engine/node.h"
#include "exec_fixture.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

enum { REGION_COUNT = 2 };

static const struct region regions[REGION_COUNT] = {
    {.id = REGION_PLACEMENT,
     .peers = {{1, 1, PEER_VOTER}},
     .peer_count = 1,
     .voters = {1},
     .voter_count = 1},
    {.id = REGION_FIRST_DATA,
     .peers = {{2, 1, PEER_VOTER}},
     .peer_count = 1,
     .voters = {2},
     .voter_count = 1},
};

static void put_region(struct kv *state, const struct region *region)
{
    struct marker marker = {.index = 7, .term = 2, .version = 9};
    struct buf *bytes = region_encode(region);
    uint8_t small[MARKER_SIZE_MAX];

    put_relaxed(state, key_region(region->id), buf_slice(bytes));
    put_relaxed(state, key_marker(region->id),
                (struct slice){small, marker_encode(&marker, small)});
    buf_unref(bytes);
}

static int setup(void **state)
{
    struct exec_fixture *f;
    int rc = setup_exec(state);

    f = *state;
    for (size_t i = 0; i < REGION_COUNT; i++)
        put_region(f->state, &regions[i]);
    (void)make_dir(f, NSID_ROOT, "d");
    assert_int_equal(create(f, NSID_ROOT, "a"), 0);
    assert_int_equal(create_sized(f, NSID_ROOT, "b", 200000), 0);
    return rc;
}

static int teardown(void **state)
{
    return teardown_exec(state);
}

static uint64_t hash_of(struct kv *state, uint64_t region)
{
    uint64_t hash = 0;

    assert_int_equal(hashing_run(state, region, &hash), 0);
    return hash;
}

/* ---- the hash ---- */

/* However the stores came to it: the copy was written in one go. */
static void test_equal_states_have_equal_hashes(void **state)
{
    struct exec_fixture *f = *state;
    struct kv *other = copy_store(f->state);

    for (uint64_t region = 0; region < REGION_COUNT; region++)
        assert_true(hash_of(f->state, region) == hash_of(other, region));
    assert_false(hash_of(other, 0) == hash_of(other, 1));
    kv_close(other);
}

static struct key sender_key(void)
{
    return key_sender(1, 3);
}

static struct key result_key(void)
{
    return key_result(1, 3, 4);
}

static struct key placement_result_key(void)
{
    return key_result(0, 3, 4);
}

static struct key entry_key(void)
{
    return key_user('d', 77, slice_of("x"));
}

static struct key chunk_key(void)
{
    return key_chunk(77, slice_of("x"), 3);
}

static struct key namespace_key(void)
{
    return key_user('n', 77, slice_of(""));
}

static struct key intent_key(void)
{
    return key_user('x', 77, slice_of("x"));
}

static struct key directory_key(void)
{
    return key_directory(77);
}

static struct key node_key(void)
{
    return key_node(77);
}

static struct key decision_key(void)
{
    return key_decision(3, 4, 5);
}

/* One key of each class, and which region's hash it must count in. */
static const struct {
    const char *what;
    struct key (*key)(void);
    uint64_t region;
} classes[] = {
    {"entry", entry_key, 1},
    {"chunk", chunk_key, 1},
    {"namespace", namespace_key, 1},
    {"intent", intent_key, 1},
    {"sender", sender_key, 1},
    {"result", result_key, 1},
    {"result of region 0", placement_result_key, 0},
    {"directory", directory_key, 0},
    {"allocator", key_id_allocator, 0},
    {"node", node_key, 0},
    {"decision", decision_key, 0},
};

static void test_each_class_of_key_counts_in_its_region(void **state)
{
    struct exec_fixture *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        struct kv *other = copy_store(f->state);
        struct key key = classes[i].key();
        uint64_t region = classes[i].region;

        put_relaxed(other, key, slice_of("1"));
        if (hash_of(other, region) == hash_of(f->state, region))
            fail_msg("%s does not count", classes[i].what);
        if (hash_of(other, 1 - region) != hash_of(f->state, 1 - region))
            fail_msg("%s counts in the other region", classes[i].what);
        kv_close(other);
    }
}

static void test_descriptor_and_marker_count(void **state)
{
    struct exec_fixture *f = *state;
    struct kv *other = copy_store(f->state);
    struct region region = regions[REGION_FIRST_DATA];
    struct marker marker = {.index = 7, .term = 2, .version = 10};
    struct key key = key_marker(region.id);
    uint8_t small[MARKER_SIZE_MAX];
    uint64_t before = hash_of(other, region.id);

    put_relaxed(other, key,
                (struct slice){small, marker_encode(&marker, small)});
    assert_false(hash_of(other, region.id) == before);
    put_region(other, &region);
    assert_true(hash_of(other, region.id) == before);
    region.conf_ver++;
    put_region(other, &region);
    assert_false(hash_of(other, region.id) == before);
    kv_close(other);
}

/* {"ab", "c"} is not {"a", "bc"}. */
static void test_where_a_key_ends_counts(void **state)
{
    struct exec_fixture *f = *state;
    struct kv *other = copy_store(f->state);
    struct key left = key_user('d', 77, slice_of("ab"));
    struct key right = key_user('d', 77, slice_of("a"));

    put_relaxed(other, left, slice_of("c"));
    put_relaxed(f->state, right, slice_of("bc"));
    assert_false(hash_of(f->state, 1) == hash_of(other, 1));
    kv_close(other);
    kv_close(f->state);
    f->state = exec_state_new();
}

static void test_a_state_without_descriptor_cannot_be_hashed(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t hash;

    assert_int_equal(hashing_run(f->state, 5, &hash), ERR_NOT_FOUND);
}

/* ---- the verdict ---- */

static void test_a_majority_of_the_voters_is_right(void **state)
{
    const struct check_hash hashes[] = {
        {1, 10, true}, {2, 20, true}, {3, 20, true}};
    uint64_t hash = 0;

    (void)state;
    assert_true(check_majority(hashes, 3, 3, &hash));
    assert_int_equal(hash, 20);
    assert_true(check_majority(hashes + 1, 2, 3, &hash));
    assert_false(check_majority(hashes, 2, 3, &hash));
    assert_false(check_majority(hashes + 1, 2, 5, &hash));
    assert_false(check_majority(hashes, 0, 1, &hash));
}

static void test_learners_do_not_count_for_the_majority(void **state)
{
    const struct check_hash hashes[] = {
        {1, 10, true}, {2, 20, false}, {3, 20, false}};
    uint64_t hash = 0;

    (void)state;
    assert_true(check_majority(hashes, 3, 1, &hash));
    assert_int_equal(hash, 10);
    assert_false(check_majority(hashes, 3, 3, &hash));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_equal_states_have_equal_hashes),
        TEST(test_each_class_of_key_counts_in_its_region),
        TEST(test_descriptor_and_marker_count),
        TEST(test_where_a_key_ends_counts),
        TEST(test_a_state_without_descriptor_cannot_be_hashed),
        cmocka_unit_test(test_a_majority_of_the_voters_is_right),
        cmocka_unit_test(test_learners_do_not_count_for_the_majority),
    };

    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
