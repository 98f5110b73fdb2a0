/* SPDX-License-Identifier: Apache-2.0 */

/* Routes as a node learns them. */

#include <stdio.h>

#include "routes_fixture.h"

enum { REGIONS_MAX = 16 * 1024 };

/* ---- learning ---- */

static void test_nothing_is_known_at_first(void **state)
{
    struct route route;
    struct node *node = *state;

    assert_int_equal(at(node, ""), 0);
    assert_int_equal(at(node, "a"), 0);
    assert_false(routes_find_region(node->routes, 1, &route));
}

static void test_what_was_learnt_is_found_by_key_and_by_region(void **state)
{
    struct node *node = *state;
    struct route route;

    assert_true(learn(node, 7, 3, "b", "d"));
    assert_int_equal(at(node, "a"), 0);
    assert_int_equal(at(node, "b"), 703);
    assert_int_equal(at(node, "d"), 0);
    assert_true(routes_find_region(node->routes, 7, &route));
    assert_int_equal(route.version, 3);
    assert_int_equal(route.node_count, 2);
    assert_int_equal(route.nodes[1], 2);
    assert_int_equal(route.leader_node, 1);
}

static void test_the_placement_group_has_no_route(void **state)
{
    struct node *node = *state;

    assert_false(learn(node, REGION_PLACEMENT, 1, "", ""));
    assert_int_equal(at(node, "a"), 0);
}

static void test_what_is_known_is_no_news(void **state)
{
    struct node *node = *state;

    assert_true(learn(node, 7, 3, "b", "d"));
    assert_false(learn(node, 7, 3, "b", "d"));
    assert_false(learn(node, 7, 2, "b", "f"));
    assert_int_equal(at(node, "e"), 0);
}

/* Its members have changed, not its range. */
static void test_a_newer_membership_replaces_the_older(void **state)
{
    struct node *node = *state;
    struct region newer = region(7, 3, "b", "d");
    struct route route;

    newer.conf_ver = 2;
    newer.peers[1].node = 5;
    assert_true(learn(node, 7, 3, "b", "d"));
    assert_true(routes_learn(node->routes, &newer, 5));
    assert_false(learn(node, 7, 3, "b", "d"));
    assert_true(routes_find(node->routes, slice_of("c"), &route));
    assert_int_equal(route.nodes[1], 5);
    assert_int_equal(route.leader_node, 5);
}

static void test_the_leader_of_the_same_region_is_noted(void **state)
{
    struct node *node = *state;
    struct region same = region(7, 3, "b", "d");
    struct route route;

    assert_true(learn(node, 7, 3, "b", "d"));
    assert_false(routes_learn(node->routes, &same, 2));
    assert_true(routes_find(node->routes, slice_of("c"), &route));
    assert_int_equal(route.leader_node, 2);
    assert_false(routes_learn(node->routes, &same, 0)); /* He does not know. */
    assert_true(routes_find(node->routes, slice_of("c"), &route));
    assert_int_equal(route.leader_node, 2);
}

/* ---- splits ---- */

struct told {
    uint64_t id;
    uint64_t version;
    const char *start;
    const char *end;
};

/* A region that was split twice: these are all that anybody may tell of it. */
static const struct told splits[] = {
    {1, 1, "", ""},  {1, 2, "", "m"},  {2, 2, "m", ""},
    {1, 3, "", "f"}, {3, 3, "f", "m"},
};

enum { SPLITS = ARRAY_SIZE(splits) };

static void tell(struct node *node, const struct told *told)
{
    (void)learn(node, told->id, told->version, told->start, told->end);
}

static void test_the_newest_count_in_any_order_of_arrival(void **state)
{
    struct node *node = *state;
    unsigned order[SPLITS];

    for (unsigned n = 0; n < 5 * 4 * 3 * 2; n++) {
        unsigned rest = n;

        routes_free(node->routes);
        node->routes = routes_new(node);
        for (unsigned i = 0; i < SPLITS; i++)
            order[i] = i;
        for (unsigned i = SPLITS; i > 0; i--) {
            unsigned chosen = rest % i;

            rest /= i;
            tell(node, &splits[order[chosen]]);
            order[chosen] = order[i - 1];
        }
        assert_int_equal(at(node, "a"), 103);
        assert_int_equal(at(node, "f"), 303);
        assert_int_equal(at(node, "m"), 202);
    }
}

static void test_a_part_alone_makes_the_rest_unknown(void **state)
{
    struct node *node = *state;

    assert_true(learn(node, 1, 1, "", ""));
    assert_true(learn(node, 1, 2, "", "m"));
    assert_int_equal(at(node, "a"), 102);
    assert_int_equal(at(node, "n"), 0);
}

/* A region that has moved, by a merge and a split, to where it was not. */
static void test_of_one_region_the_newer_counts_also_elsewhere(void **state)
{
    struct node *node = *state;

    assert_true(learn(node, 7, 5, "a", "c"));
    assert_false(learn(node, 7, 2, "m", "p"));
    assert_int_equal(at(node, "b"), 705);
    assert_int_equal(at(node, "n"), 0);
    assert_true(learn(node, 7, 6, "m", "p"));
    assert_int_equal(at(node, "b"), 0);
    assert_int_equal(at(node, "n"), 706);
}

static void test_when_too_much_is_known_it_begins_anew(void **state)
{
    struct node *node = *state;
    char start[8];
    char end[8];

    for (unsigned i = 0; i <= REGIONS_MAX; i++) {
        struct region r = region(i + 1, 1, start, end);

        (void)snprintf(start, sizeof start, "%06u", i);
        (void)snprintf(end, sizeof end, "%06u", i + 1);
        r.start = slice_of(start);
        r.end = slice_of(end);
        assert_true(routes_learn(node->routes, &r, 1));
        assert_int_equal(at(node, start), (i + 1) * 100 + 1);
    }
    assert_int_equal(at(node, "000000"), 0);
}

/* ---- what is here ---- */

static void test_a_replica_here_says_where_it_is(void **state)
{
    struct node *node = *state;
    struct route route;

    host(node, 1, 2, "", "m");
    assert_true(routes_find(node->routes, slice_of("a"), &route));
    assert_int_equal(route.region, 1);
    assert_int_equal(route.leader_node, OWN_NODE);
    assert_int_equal(at(node, "m"), 0);
}

static void test_a_replica_here_counts_when_nothing_newer_is_known(void **state)
{
    struct node *node = *state;
    struct route route;

    assert_true(learn(node, 1, 1, "", ""));
    host(node, 1, 2, "", "m");
    assert_int_equal(at(node, "a"), 102);
    assert_true(learn(node, 1, 2, "", "m"));
    assert_true(routes_find(node->routes, slice_of("a"), &route));
    assert_int_equal(route.leader_node, OWN_NODE);
}

static void test_a_replica_here_that_is_behind_does_not_count(void **state)
{
    struct node *node = *state;

    host(node, 1, 1, "", "");
    assert_true(learn(node, 2, 2, "m", ""));
    assert_int_equal(at(node, "n"), 202);
}

/* Its leader has refused with the left part: where the rest is has to be
 * asked, it would be refused for ever. */
static void
test_a_replica_here_that_is_behind_says_nothing_of_the_rest(void **state)
{
    struct node *node = *state;

    host(node, 1, 1, "b", "z");
    assert_true(learn(node, 1, 2, "b", "m"));
    assert_int_equal(at(node, "c"), 102);
    assert_int_equal(at(node, "n"), 0);
    host(node, 1, 2, "b", "m");
    assert_int_equal(at(node, "c"), 102);
}

/* It knows of the split itself, and of nobody who has the rest: that has to be
 * asked as well. Its leader would try itself for ever. */
static void test_what_was_heard_of_a_replica_here_is_over(void **state)
{
    struct node *node = *state;

    assert_true(learn(node, 1, 1, "b", "z"));
    host(node, 1, 2, "b", "m");
    assert_int_equal(at(node, "n"), 0);
    assert_true(learn(node, 2, 2, "m", "z"));
    assert_int_equal(at(node, "n"), 202);
}

static void
test_a_region_that_one_here_has_taken_over_is_not_known(void **state)
{
    struct node *node = *state;
    struct route route;

    assert_true(learn(node, 2, 3, "m", ""));
    host(node, 1, 3, "", "m");
    assert_true(routes_find_region(node->routes, 2, &route));
    host(node, 1, 5, "", "");
    assert_false(routes_find_region(node->routes, 2, &route));
    host(node, 1, 1, "", ""); /* It is behind a split. */
    assert_true(routes_find_region(node->routes, 2, &route));
}

static void test_newer_neighbours_do_not_touch_a_replica_here(void **state)
{
    struct node *node = *state;

    host(node, 1, 1, "b", "d");
    assert_true(learn(node, 2, 9, "", "b"));
    assert_true(learn(node, 3, 9, "d", ""));
    assert_int_equal(at(node, "c"), 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_known_at_first),
        TEST(test_what_was_learnt_is_found_by_key_and_by_region),
        TEST(test_the_placement_group_has_no_route),
        TEST(test_what_is_known_is_no_news),
        TEST(test_a_newer_membership_replaces_the_older),
        TEST(test_the_leader_of_the_same_region_is_noted),
        TEST(test_the_newest_count_in_any_order_of_arrival),
        TEST(test_a_part_alone_makes_the_rest_unknown),
        TEST(test_of_one_region_the_newer_counts_also_elsewhere),
        TEST(test_when_too_much_is_known_it_begins_anew),
        TEST(test_a_replica_here_says_where_it_is),
        TEST(test_a_replica_here_counts_when_nothing_newer_is_known),
        TEST(test_a_replica_here_that_is_behind_does_not_count),
        TEST(test_a_replica_here_that_is_behind_says_nothing_of_the_rest),
        TEST(test_what_was_heard_of_a_replica_here_is_over),
        TEST(test_a_region_that_one_here_has_taken_over_is_not_known),
        TEST(test_newer_neighbours_do_not_touch_a_replica_here),
    };

    return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
