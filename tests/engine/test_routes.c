/* SPDX-License-Identifier: Apache-2.0 */

/* Routes as a node learns them; its own replica is one descriptor, the network
 * is a list of what was sent. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/routes.h"
#include "engine/wire.h"

enum { OWN_NODE = 3, DOWN_NODE = 4, NODE_COUNT = 5, REGIONS_MAX = 16 * 1024 };

struct peer {
    struct region region;
    uint64_t leader_node;
};

struct node {
    struct routes *routes;
    struct peer own;
    struct peer *peer; /* NULL: none */
    unsigned sent_to[NODE_COUNT + 1];
    unsigned sent_count;
    uint16_t sent_type;
    struct buf *sent; /* the last one */
};

/* ---- node.h, peer.h ---- */

uint64_t node_id(const struct node *node)
{
    (void)node;
    return OWN_NODE;
}

struct peer *node_peer_at(const struct node *node, struct slice user_key)
{
    const struct region *own = &node->own.region;

    return range_has((struct range){own->start, own->end}, user_key)
               ? node->peer
               : NULL;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    return node->own.region.id == region ? node->peer : NULL;
}

const struct region *peer_region(const struct peer *peer)
{
    return &peer->region;
}

uint64_t peer_leader_node(const struct peer *peer)
{
    return peer->leader_node;
}

size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    (void)node;
    for (size_t i = 0; i < NODE_COUNT; i++)
        nodes[i] = i + 1;
    return NODE_COUNT;
}

bool node_link_up(const struct node *node, uint64_t node_id)
{
    (void)node;
    return node_id != DOWN_NODE;
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    assert_int_equal(channel, ENV_CHANNEL_RAFT);
    assert_null(payload);
    node->sent_to[to]++;
    node->sent_count++;
    node->sent_type = type;
    buf_unref(node->sent);
    node->sent = buf_ref(header);
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->routes = routes_new(node);
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    routes_free(node->routes);
    buf_unref(node->sent);
    free(node);
    return 0;
}

static struct region region(uint64_t id, uint64_t version, const char *start,
                            const char *end)
{
    return (struct region){.id = id,
                           .conf_ver = 1,
                           .version = version,
                           .start = slice_of(start),
                           .end = slice_of(end),
                           .peers = {{1, 1, PEER_VOTER}, {2, 2, PEER_VOTER}},
                           .peer_count = 2};
}

static bool learn(struct node *node, uint64_t id, uint64_t version,
                  const char *start, const char *end)
{
    struct region r = region(id, version, start, end);

    return routes_learn(node->routes, &r, 1);
}

/* The region that has a key, as "id * 100 + version"; 0: not known. */
static uint64_t at(struct node *node, const char *user_key)
{
    struct route route;

    if (!routes_find(node->routes, slice_of(user_key), &route))
        return 0;
    assert_true(range_has(route.range, slice_of(user_key)));
    return route.region * 100 + route.version;
}

static struct env_packet packet_of(uint16_t type, struct buf *header)
{
    return (struct env_packet){.type = type, .header = header};
}

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

static void host(struct node *node, uint64_t id, uint64_t version,
                 const char *start, const char *end)
{
    node->own.region = region(id, version, start, end);
    node->own.leader_node = OWN_NODE;
    node->peer = &node->own;
}

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

/* ---- asking ---- */

static void test_all_others_that_can_be_reached_are_asked(void **state)
{
    struct node *node = *state;
    struct locate locate = {.held = NULL};

    routes_ask(node->routes, slice_of("key"));
    assert_int_equal(node->sent_type, WIRE_LOCATE);
    for (unsigned i = 1; i <= NODE_COUNT; i++)
        assert_int_equal(node->sent_to[i], i != OWN_NODE && i != DOWN_NODE);
    assert_int_equal(locate_decode(&locate, buf_slice(node->sent)), 0);
    assert_true(slice_equal(locate.user_key, slice_of("key")));
    locate_release(&locate);
}

/* Whether it was asked where region 7 is, of which it was told. */
static bool follows(struct node *node, uint64_t version, uint64_t conf_ver)
{
    struct locate locate = {.held = NULL};
    unsigned before = node->sent_count;

    routes_follow(node->routes, 3, 7, version, conf_ver);
    if (node->sent_count == before)
        return false;
    assert_int_equal(node->sent_type, WIRE_LOCATE);
    assert_int_equal(node->sent_to[3], node->sent_count);
    assert_int_equal(locate_decode(&locate, (struct slice){node->sent->data,
                                                           node->sent->size}),
                     0);
    assert_int_equal(locate.region, 7);
    locate_release(&locate);
    return true;
}

static void test_who_told_of_a_newer_region_is_asked_where_it_is(void **state)
{
    struct node *node = *state;

    assert_true(follows(node, 3, 1));
    assert_true(learn(node, 7, 3, "b", "d"));
    assert_false(follows(node, 3, 1));
    assert_false(follows(node, 2, 9));
    assert_true(follows(node, 3, 2));
    assert_true(follows(node, 4, 1));
    host(node, 7, 3, "b", "d");
    assert_false(follows(node, 4, 1)); /* It is here. */
}

static void on_locate(struct node *node, const struct locate *locate)
{
    struct buf *header = locate_encode(locate);
    struct env_packet packet = packet_of(WIRE_LOCATE, header);

    routes_on_locate(node->routes, 2, &packet);
    buf_unref(header);
}

static void ask(struct node *node, const char *user_key)
{
    on_locate(node, &(struct locate){.user_key = slice_of(user_key)});
}

static void test_who_has_it_answers(void **state)
{
    struct node *node = *state;
    struct located located = {.leader_node = 0};

    host(node, 7, 2, "b", "d");
    ask(node, "c");
    assert_int_equal(node->sent_count, 1);
    assert_int_equal(node->sent_to[2], 1);
    assert_int_equal(node->sent_type, WIRE_LOCATED);
    assert_int_equal(located_decode(&located, buf_slice(node->sent)), 0);
    assert_int_equal(located.region.id, 7);
    assert_int_equal(located.leader_node, OWN_NODE);
    located_release(&located);
    on_locate(node, &(struct locate){.region = 7});
    assert_int_equal(node->sent_count, 2);
    on_locate(node, &(struct locate){.region = 8});
    assert_int_equal(node->sent_count, 2);
}

/* Also when it knows who has: it tells nothing from hearsay. */
static void test_who_does_not_have_it_is_silent(void **state)
{
    struct node *node = *state;

    assert_true(learn(node, 7, 3, "b", "d"));
    ask(node, "c");
    assert_int_equal(node->sent_count, 0);
}

static bool on_located(struct node *node, struct buf *header)
{
    struct env_packet packet = packet_of(WIRE_LOCATED, header);
    bool news = routes_on_located(node->routes, &packet);

    buf_unref(header);
    return news;
}

static void test_an_answer_teaches(void **state)
{
    struct node *node = *state;
    struct located located = {.region = region(7, 3, "b", "d"),
                              .leader_node = 2};

    assert_true(on_located(node, located_encode(&located)));
    assert_int_equal(at(node, "c"), 703);
    assert_false(on_located(node, located_encode(&located)));
}

static void test_rubbish_teaches_nothing(void **state)
{
    struct node *node = *state;
    struct buf *header = buf_copy("\xff\xff", 2);
    struct env_packet packet = packet_of(WIRE_LOCATE, header);

    host(node, 7, 2, "", "");
    routes_on_locate(node->routes, 2, &packet);
    assert_int_equal(node->sent_count, 0);
    assert_false(on_located(node, header));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

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
        TEST(test_all_others_that_can_be_reached_are_asked),
        TEST(test_who_told_of_a_newer_region_is_asked_where_it_is),
        TEST(test_who_has_it_answers),
        TEST(test_who_does_not_have_it_is_silent),
        TEST(test_an_answer_teaches),
        TEST(test_rubbish_teaches_nothing),
    };

    return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
