/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/hosted.h"
#include "engine/node.h"

/* All that is looked at of one. */
struct peer {
    struct region region;
    char start[4];
    char end[4];
};

const struct region *peer_region(const struct peer *peer)
{
    return &peer->region;
}

uint64_t peer_region_id(const struct peer *peer)
{
    return peer->region.id;
}

static void cut(struct peer *peer, const char *start, const char *end)
{
    strcpy(peer->start, start);
    strcpy(peer->end, end);
    peer->region.start = slice_of(peer->start);
    peer->region.end = slice_of(peer->end);
}

static int setup(void **state)
{
    *state = hosted_new();
    return 0;
}

static int teardown(void **state)
{
    hosted_free(*state);
    return 0;
}

static struct peer *peer_at(struct hosted *hosted, const char *user_key)
{
    struct range range;

    return hosted_find(hosted, slice_of(user_key), &range);
}

static void put(struct hosted *hosted, struct peer *peer, uint64_t region,
                const char *start, const char *end)
{
    peer->region.id = region;
    cut(peer, start, end);
    hosted_put(hosted, peer);
}

static void test_a_key_is_found_from_the_start_to_before_the_end(void **state)
{
    struct peer peer;

    put(*state, &peer, 1, "b", "d");
    assert_null(peer_at(*state, ""));
    assert_null(peer_at(*state, "a"));
    assert_ptr_equal(peer_at(*state, "b"), &peer);
    assert_ptr_equal(peer_at(*state, "czz"), &peer);
    assert_null(peer_at(*state, "d"));
    assert_null(peer_at(*state, "e"));
}

static void test_one_without_ends_has_all_keys(void **state)
{
    struct peer peer;

    assert_null(peer_at(*state, ""));
    put(*state, &peer, 1, "", "");
    assert_ptr_equal(peer_at(*state, ""), &peer);
    assert_ptr_equal(peer_at(*state, "\xff"), &peer);
}

static void
test_each_of_several_is_found_in_whatever_order_they_came(void **state)
{
    struct peer peers[3];

    put(*state, &peers[1], 9, "d", "f");
    put(*state, &peers[2], 1, "h", "");
    put(*state, &peers[0], 5, "", "b");
    assert_ptr_equal(peer_at(*state, ""), &peers[0]);
    assert_null(peer_at(*state, "b"));
    assert_ptr_equal(peer_at(*state, "d"), &peers[1]);
    assert_null(peer_at(*state, "f"));
    assert_ptr_equal(peer_at(*state, "z"), &peers[2]);
}

static void test_the_range_is_told_with_it(void **state)
{
    struct peer peer;
    struct range range;

    put(*state, &peer, 1, "b", "d");
    cut(&peer, "x", "y"); /* It has its own. */
    assert_ptr_equal(hosted_find(*state, slice_of("c"), &range), &peer);
    assert_true(slice_equal(range.start, slice_of("b")));
    assert_true(slice_equal(range.end, slice_of("d")));
}

static void test_one_that_shrinks_leaves_the_rest_to_nobody(void **state)
{
    struct peer left;
    struct peer right;

    put(*state, &left, 1, "b", "f");
    put(*state, &left, 1, "b", "d");
    assert_ptr_equal(peer_at(*state, "c"), &left);
    assert_null(peer_at(*state, "d"));
    put(*state, &right, 2, "d", "f");
    assert_ptr_equal(peer_at(*state, "d"), &right);
}

/* A snapshot may bring any other range. */
static void test_one_that_moves_is_found_where_it_is(void **state)
{
    struct peer one;
    struct peer two;

    put(*state, &one, 1, "a", "b");
    put(*state, &two, 2, "c", "d");
    put(*state, &one, 1, "e", "f");
    assert_null(peer_at(*state, "a"));
    assert_ptr_equal(peer_at(*state, "c"), &two);
    assert_ptr_equal(peer_at(*state, "e"), &one);
}

static void test_what_was_removed_is_found_no_more(void **state)
{
    struct peer peers[3];

    put(*state, &peers[0], 1, "", "b");
    put(*state, &peers[1], 2, "b", "c");
    put(*state, &peers[2], 3, "c", "");
    hosted_remove(*state, &peers[1]);
    assert_ptr_equal(peer_at(*state, "a"), &peers[0]);
    assert_null(peer_at(*state, "b"));
    assert_ptr_equal(peer_at(*state, "c"), &peers[2]);
}

/* One that never had state was never put in. */
static void test_removing_a_stranger_changes_nothing(void **state)
{
    struct peer peer;
    struct peer stranger = {.region = {.id = 2}};

    put(*state, &peer, 1, "", "");
    hosted_remove(*state, &stranger);
    assert_ptr_equal(peer_at(*state, "a"), &peer);
}

static void test_the_placement_group_has_no_keys(void **state)
{
    struct peer placement;

    assert_null(hosted_placement(*state));
    put(*state, &placement, REGION_PLACEMENT, "", "");
    assert_ptr_equal(hosted_placement(*state), &placement);
    assert_null(peer_at(*state, "a"));
    hosted_remove(*state, &placement);
    assert_null(hosted_placement(*state));
}

static void test_there_may_be_very_many(void **state)
{
    static struct peer peers[1000];
    char start[8];
    char end[8];

    for (unsigned i = 0; i < 1000; i++) {
        unsigned at = i * 7 % 1000;

        (void)snprintf(start, sizeof start, "%03u", at);
        (void)snprintf(end, sizeof end, "%03u", at + 1);
        put(*state, &peers[at], at + 1, start, at == 999 ? "" : end);
    }
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(start, sizeof start, "%03u", i);
        assert_ptr_equal(peer_at(*state, start), &peers[i]);
    }
}

static void test_readers_do_not_keep_each_other_out(void **state)
{
    struct peer peer;

    put(*state, &peer, 1, "", "");
    hosted_enter(*state);
    hosted_enter(*state);
    assert_ptr_equal(peer_at(*state, "a"), &peer);
    hosted_leave(*state);
    hosted_leave(*state);
    put(*state, &peer, 1, "", "b");
    assert_null(peer_at(*state, "b"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_key_is_found_from_the_start_to_before_the_end),
        TEST(test_one_without_ends_has_all_keys),
        TEST(test_each_of_several_is_found_in_whatever_order_they_came),
        TEST(test_the_range_is_told_with_it),
        TEST(test_one_that_shrinks_leaves_the_rest_to_nobody),
        TEST(test_one_that_moves_is_found_where_it_is),
        TEST(test_what_was_removed_is_found_no_more),
        TEST(test_removing_a_stranger_changes_nothing),
        TEST(test_the_placement_group_has_no_keys),
        TEST(test_there_may_be_very_many),
        TEST(test_readers_do_not_keep_each_other_out),
    };

    return cmocka_run_group_tests_name("hosted", tests, NULL, NULL);
}
