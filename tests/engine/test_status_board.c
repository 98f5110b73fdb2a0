/* SPDX-License-Identifier: Apache-2.0 */

/* Which nodes the board knows something of, as nodes come and go for good. */

#include "status_fixture.h"

#include "engine/clocks.h"
#include "engine/router.h"
#include "engine/routes.h"
#include "engine/splitter.h"
#include "tests/sim/kv_mem.h"

enum { FIRST = 1 /* this node */, REGION = 5 };

/* ---- env.h, node.h and others ---- */

static uint64_t fake_random(struct env *env)
{
    (void)env;
    return 77;
}

static const struct env_ops fake_ops = {
    .mono_ns = fake_clock, .wall_ns = fake_clock, .random = fake_random};

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    size_t count = 0;

    for (uint64_t id = 0; id < IDS_MAX; id++)
        if (node->member[id])
            nodes[count++] = id;
    assert_in_range(count, 0, NODES_MAX);
    return count;
}

bool node_link_up(const struct node *node, uint64_t node_id)
{
    return node->linked[node_id];
}

struct peer *node_next_awake(const struct node *node, const struct peer *peer)
{
    (void)node;
    (void)peer;
    return NULL;
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    (void)node;
    (void)to;
    (void)channel;
    (void)type;
    (void)header;
    (void)payload;
}

/* None of the others leads a region. */
struct router *node_router(const struct node *node)
{
    (void)node;
    return NULL;
}

struct routes *router_routes(struct router *router)
{
    (void)router;
    return NULL;
}

void routes_follow(struct routes *routes, uint64_t to, uint64_t region,
                   uint64_t version, uint64_t conf_ver)
{
    (void)routes;
    (void)to;
    (void)region;
    (void)version;
    (void)conf_ver;
    fail();
}

/* Nothing is said of clocks. */
struct clocks *node_clocks(const struct node *node)
{
    (void)node;
    return NULL;
}

void clocks_hear(struct clocks *clocks, uint64_t node_id, int64_t wall_ns)
{
    (void)clocks;
    (void)node_id;
    assert_int_equal(wall_ns, 0);
}

bool status_count_quarantine(struct node *node, uint64_t *ret_count)
{
    *ret_count = node->quarantine;
    return node->quarantine != 13;
}

/* No replica is here. */
struct splitter *node_splitter(const struct node *node)
{
    (void)node;
    return NULL;
}

void splitter_find_size(const struct splitter *splitter, uint64_t region,
                        struct region_size *ret)
{
    (void)splitter;
    (void)region;
    (void)ret;
}

void peer_status(const struct peer *peer, struct peer_status *ret)
{
    (void)peer;
    (void)ret;
}

const struct region *peer_region(const struct peer *peer)
{
    (void)peer;
    return NULL;
}

bool peer_is_initialised(const struct peer *peer)
{
    (void)peer;
    return false;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct node *node;

    (void)setup_status(state);
    node = *state;
    node->env.ops = &fake_ops;
    node->env.log = kv_mem_new();
    node->id = FIRST;
    node->member[FIRST] = true;
    node->board = status_board_new(node);
    status_board_tick(node->board);
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    status_board_free(node->board);
    kv_close(node->env.log);
    return teardown_status(state);
}

/* A node says that it is there, and what has changed behind `base`: one replica
 * of its own region. */
static void hear_behind(struct node *node, uint64_t id, uint64_t base)
{
    struct region_status region = {
        .region = REGION + id, .state = PEER_RUNNING, .role = PEER_VOTER};
    struct node_status status = {
        .node = id,
        .catalog = 1000 + id,
        .quarantine = id,
        .changes = {.list = 100 + id,
                    .base = base,
                    .change = base + 1,
                    .regions = &region,
                    .region_count = 1},
    };
    struct env_packet packet = {.type = WIRE_STATUS,
                                .header = node_status_encode(&status)};

    node->now_ns += 1000000;
    status_board_on_packet(node->board, &packet);
    buf_unref(packet.header);
}

static void hear(struct node *node, uint64_t id)
{
    hear_behind(node, id, 0);
}

static void join(struct node *node, uint64_t id)
{
    node->member[id] = node->linked[id] = true;
    hear(node, id);
}

static void leave(struct node *node, uint64_t id)
{
    node->member[id] = node->linked[id] = false;
}

static void assert_known(struct node *node, uint64_t id)
{
    size_t regions;
    size_t leaders;

    assert_non_null(status_board_find(node->board, id));
    status_board_count_regions(node->board, id, &regions, &leaders);
    assert_int_equal(regions, 1);
    assert_non_null(status_board_region(node->board, id, REGION + id));
}

/* Ids are never used again, so there come more than there are nodes. */
static void test_nodes_that_are_gone_make_room(void **state)
{
    struct node *node = *state;

    join(node, 2);
    for (uint64_t id = 3; id < IDS_MAX; id++) {
        join(node, id);
        assert_known(node, id);
        leave(node, id);
    }
    assert_known(node, 2);
    assert_non_null(status_board_find(node->board, FIRST));
}

static void test_a_node_says_how_far_its_catalog_is(void **state)
{
    struct node *node = *state;

    node->status[FIRST].catalog = 50;
    status_board_tick(node->board);
    assert_int_equal(status_board_find(node->board, FIRST)->catalog, 50);
    join(node, 2);
    assert_int_equal(status_board_find(node->board, 2)->catalog, 1002);
}

static void test_a_node_says_what_it_has_in_quarantine(void **state)
{
    struct node *node = *state;

    assert_int_equal(status_board_find(node->board, FIRST)->quarantine, 0);
    node->quarantine = 12;
    status_board_tick(node->board);
    assert_int_equal(status_board_find(node->board, FIRST)->quarantine, 12);
    node->quarantine = 13;
    status_board_tick(node->board);
    assert_true(status_board_find(node->board, FIRST)->quarantine ==
                SIZE_UNKNOWN);
    join(node, 2);
    assert_int_equal(status_board_find(node->board, 2)->quarantine, 2);
}

/* What it said is shown, and when it was. */
static void test_a_member_that_is_away_is_remembered(void **state)
{
    struct node *node = *state;

    join(node, 2);
    node->linked[2] = false;
    for (uint64_t id = 3; id < IDS_MAX; id++) {
        join(node, id);
        leave(node, id);
    }
    assert_true(status_board_heard_ns(node->board, 2) != 0);
    assert_int_equal(status_board_heard_ns(node->board, 3), 0);
    node->linked[2] = true;
    hear(node, 2);
    assert_known(node, 2);
}

static void test_who_is_connected_comes_before_who_is_not(void **state)
{
    struct node *node = *state;

    for (uint64_t id = 2; id <= NODES_MAX; id++)
        join(node, id);
    node->linked[4] = node->linked[7] = false;
    node->linked[NODES_MAX + 1] = true;
    hear(node, NODES_MAX + 1);
    assert_known(node, NODES_MAX + 1);
    assert_int_equal(status_board_heard_ns(node->board, 4), 0);
    assert_true(status_board_heard_ns(node->board, 7) != 0);
    assert_known(node, 2);
}

/* It takes this node to know what it has said before. */
static void test_what_a_forgotten_node_had_is_not_that_of_the_next(void **state)
{
    struct node *node = *state;
    size_t regions;
    size_t leaders;

    for (uint64_t id = 2; id <= NODES_MAX; id++)
        join(node, id);
    leave(node, 4);
    node->member[NODES_MAX + 1] = node->linked[NODES_MAX + 1] = true;
    hear_behind(node, NODES_MAX + 1, 9);
    assert_non_null(status_board_find(node->board, NODES_MAX + 1));
    status_board_count_regions(node->board, NODES_MAX + 1, &regions, &leaders);
    assert_int_equal(regions, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nodes_that_are_gone_make_room),
        TEST(test_a_node_says_how_far_its_catalog_is),
        TEST(test_a_node_says_what_it_has_in_quarantine),
        TEST(test_a_member_that_is_away_is_remembered),
        TEST(test_who_is_connected_comes_before_who_is_not),
        TEST(test_what_a_forgotten_node_had_is_not_that_of_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
