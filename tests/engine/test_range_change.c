/* SPDX-License-Identifier: Apache-2.0 */

#include "codec_helpers.h"

#include "engine/node.h"
#include "engine/range_change.h"

enum { DIR_NSID = 7 };

static struct key start_key;
static struct key end_key;

/* (7, "b") to (7, "m"), with a gap in its peers' ids: one was removed. */
static struct region region_to_split(void)
{
    start_key = key_user('d', DIR_NSID, slice_of("b"));
    end_key = key_user('d', DIR_NSID, slice_of("m"));
    return (struct region){
        .id = 3,
        .conf_ver = 5,
        .version = 4,
        .start = {start_key.data + 1, start_key.size - 1},
        .end = {end_key.data + 1, end_key.size - 1},
        .peers = {{2, 1, PEER_VOTER}, {4, 3, PEER_VOTER}, {9, 2, PEER_LEARNER}},
        .peer_count = 3,
        .voters = {2, 4},
        .voter_count = 2,
        .learners = {9},
        .learner_count = 1,
        .peer_max = 9,
    };
}

static struct command split_at(uint64_t dir, const char *name)
{
    return (struct command){.op = COMMAND_SPLIT,
                            .region_version = 4,
                            .region_conf_ver = 5,
                            .dir = dir,
                            .name = slice_of(name),
                            .new_region = 11};
}

static int check(struct command split)
{
    struct region region = region_to_split();

    return region_split_check(&region, &split);
}

static void test_a_region_is_split_inside(void **state)
{
    (void)state;
    assert_int_equal(check(split_at(DIR_NSID, "c")), 0);
    assert_int_equal(check(split_at(DIR_NSID, "b\1")), 0);
    assert_int_equal(check(split_at(DIR_NSID, "l\xff")), 0);
}

static void test_a_region_is_not_split_at_its_ends_or_outside(void **state)
{
    (void)state;
    assert_int_equal(check(split_at(DIR_NSID, "b")), ERR_INVALID);
    assert_int_equal(check(split_at(DIR_NSID, "m")), ERR_INVALID);
    assert_int_equal(check(split_at(DIR_NSID, "z")), ERR_INVALID);
    assert_int_equal(check(split_at(DIR_NSID, "")), ERR_INVALID);
    assert_int_equal(check(split_at(DIR_NSID - 1, "c")), ERR_INVALID);
    assert_int_equal(check(split_at(DIR_NSID + 1, "c")), ERR_INVALID);
}

/* Also where a namespace begins; the region that begins there cannot. */
static void test_a_split_key_needs_no_name(void **state)
{
    struct region region = region_to_split();
    struct command split = split_at(DIR_NSID, "");

    (void)state;
    region.start = (struct slice){NULL, 0};
    assert_int_equal(region_split_check(&region, &split), 0);
    start_key = key_user('d', DIR_NSID, slice_of(""));
    region.start = (struct slice){start_key.data + 1, start_key.size - 1};
    assert_int_equal(region_split_check(&region, &split), ERR_INVALID);
}

static void test_a_split_is_for_one_epoch(void **state)
{
    struct command split = split_at(DIR_NSID, "c");

    (void)state;
    split.region_version = 3;
    assert_int_equal(check(split), ERR_EPOCH);
    split.region_version = 5;
    assert_int_equal(check(split), ERR_EPOCH);
    split = split_at(DIR_NSID, "c");
    split.region_conf_ver = 6;
    assert_int_equal(check(split), ERR_EPOCH);
    split = split_at(DIR_NSID, "z");
    split.region_version = 3;
    assert_int_equal(check(split), ERR_EPOCH);
}

/* Ids ascend; one that is used already belongs to an older region. */
static void test_the_new_regions_id_is_new(void **state)
{
    struct command split = split_at(DIR_NSID, "c");

    (void)state;
    split.new_region = 3;
    assert_int_equal(check(split), ERR_INVALID);
    split.new_region = 0;
    assert_int_equal(check(split), ERR_INVALID);
}

static void test_the_placement_group_is_not_split(void **state)
{
    struct region region = region_to_split();
    struct command split = split_at(DIR_NSID, "c");

    (void)state;
    region.id = REGION_PLACEMENT;
    assert_int_equal(region_split_check(&region, &split), ERR_INVALID);
}

static void test_a_joint_region_is_not_split(void **state)
{
    struct region region = region_to_split();
    struct command split = split_at(DIR_NSID, "c");

    (void)state;
    region.voters_outgoing[0] = 2;
    region.voter_outgoing_count = 1;
    assert_int_equal(region_split_check(&region, &split), ERR_BUSY);
}

/* A region as it was, and what a split at "c" has made of it. */
struct parts {
    struct region whole;
    struct region left;
    struct region right;
};

static int setup(void **state)
{
    static struct parts parts;
    const struct command split = split_at(DIR_NSID, "c");

    parts.whole = region_to_split();
    region_split(&parts.whole, &split, &parts.left, &parts.right);
    *state = &parts;
    return 0;
}

static int teardown(void **state)
{
    struct parts *parts = *state;

    region_release(&parts->left);
    region_release(&parts->right);
    return 0;
}

static void test_the_region_keeps_what_is_left_of_the_key(void **state)
{
    const struct parts *parts = *state;
    struct key key = key_user('d', DIR_NSID, slice_of("c"));

    assert_int_equal(parts->left.id, 3);
    assert_int_equal(parts->left.version, 5);
    assert_int_equal(parts->left.conf_ver, 5);
    assert_int_equal(parts->left.peer_max, 9);
    assert_slice_equal(parts->left.start, parts->whole.start);
    assert_slice_equal(parts->left.end,
                       (struct slice){key.data + 1, key.size - 1});
    assert_int_equal(parts->left.peer_count, 3);
    assert_int_equal(parts->left.peers[2].id, 9);
}

static void test_the_new_region_gets_the_rest_and_peers_from_1_on(void **state)
{
    const struct parts *parts = *state;

    assert_int_equal(parts->right.id, 11);
    assert_int_equal(parts->right.version, 5);
    assert_int_equal(parts->right.conf_ver, 1);
    assert_slice_equal(parts->right.start, parts->left.end);
    assert_slice_equal(parts->right.end, parts->whole.end);
    assert_int_equal(parts->right.peer_count, 3);
    assert_int_equal(parts->right.peer_max, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(parts->right.peers[i].id, i + 1);
        assert_int_equal(parts->right.peers[i].node,
                         parts->whole.peers[i].node);
        assert_int_equal(parts->right.peers[i].role,
                         parts->whole.peers[i].role);
    }
}

static void test_voters_and_learners_stay_what_they_are(void **state)
{
    const struct parts *parts = *state;

    assert_int_equal(parts->right.voter_count, 2);
    assert_int_equal(parts->right.voters[0], 1);
    assert_int_equal(parts->right.voters[1], 2);
    assert_int_equal(parts->right.learner_count, 1);
    assert_int_equal(parts->right.learners[0], 3);
}

/* What is left over of an open end has an open end. */
static void test_the_last_region_is_split_too(void **state)
{
    struct region region = region_to_split();
    struct command split = split_at(UINT64_MAX, "");
    struct region left;
    struct region right;

    (void)state;
    region.start = region.end = (struct slice){NULL, 0};
    region_split(&region, &split, &left, &right);
    assert_int_equal(left.start.size, 0);
    assert_int_equal(left.end.size, KEY_NSID_SIZE);
    assert_int_equal(right.end.size, 0);
    region_release(&left);
    region_release(&right);
}

/* They are used when the region they came from is gone. */
static void test_both_parts_have_memory_of_their_own(void **state)
{
    struct region whole = region_to_split();
    struct region region = region_copy(&whole);
    struct command split = split_at(DIR_NSID, "c");
    struct region left;
    struct region right;

    (void)state;
    region_split(&region, &split, &left, &right);
    region_release(&region);
    assert_slice_equal(left.start, whole.start);
    region_release(&left);
    assert_slice_equal(right.end, whole.end);
    region_release(&right);
}

#define TEST_PARTS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_region_is_split_inside),
        cmocka_unit_test(test_a_region_is_not_split_at_its_ends_or_outside),
        cmocka_unit_test(test_a_split_key_needs_no_name),
        cmocka_unit_test(test_a_split_is_for_one_epoch),
        cmocka_unit_test(test_the_new_regions_id_is_new),
        cmocka_unit_test(test_the_placement_group_is_not_split),
        cmocka_unit_test(test_a_joint_region_is_not_split),
        TEST_PARTS(test_the_region_keeps_what_is_left_of_the_key),
        TEST_PARTS(test_the_new_region_gets_the_rest_and_peers_from_1_on),
        TEST_PARTS(test_voters_and_learners_stay_what_they_are),
        cmocka_unit_test(test_the_last_region_is_split_too),
        cmocka_unit_test(test_both_parts_have_memory_of_their_own),
    };

    return cmocka_run_group_tests_name("range change", tests, NULL, NULL);
}
