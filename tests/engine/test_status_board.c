/* SPDX-License-Identifier: Apache-2.0 */

/* Who has been heard of. Packets are real; time and links are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/node.h"
#include "engine/routes.h"
#include "engine/router.h"
#include "engine/splitter.h"
#include "engine/status.h"

enum { OWN = 1 };

struct node {
    struct env env;
    struct status_board *board;
    uint64_t now_ns;
};

/* ---- node.h, peer.h and others ---- */

static uint64_t now(struct env *env)
{
    return container_of(env, struct node, env)->now_ns;
}

static const struct env_ops ops = {
    .mono_ns = now, .wall_ns = now, .random = now};

struct env *node_env(struct node *node)
{
    return &node->env;
}

uint64_t node_id(const struct node *node)
{
    (void)node;
    return OWN;
}

const struct node_config *node_config(const struct node *node)
{
    static const struct node_config config;

    (void)node;
    return &config;
}

bool node_link_up(const struct node *node, uint64_t node_id)
{
    (void)node;
    (void)node_id;
    return true;
}

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

/* Nothing of this is come to: no node has a region here. */

size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    (void)node;
    (void)nodes;
    fail();
    return 0;
}

struct peer *node_next_awake(const struct node *node, const struct peer *peer)
{
    (void)node;
    (void)peer;
    fail();
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
    fail();
}

struct splitter *node_splitter(const struct node *node)
{
    (void)node;
    fail();
    return NULL;
}

void splitter_find_size(const struct splitter *splitter, uint64_t region,
                        struct region_size *ret)
{
    (void)splitter;
    (void)region;
    (void)ret;
    fail();
}

void routes_follow(struct routes *routes, uint64_t leader_node, uint64_t region,
                   uint64_t version, uint64_t conf_ver)
{
    (void)routes;
    (void)leader_node;
    (void)region;
    (void)version;
    (void)conf_ver;
    fail();
}

void peer_status(const struct peer *peer, struct peer_status *ret)
{
    (void)peer;
    (void)ret;
    fail();
}

const struct region *peer_region(const struct peer *peer)
{
    (void)peer;
    fail();
    return NULL;
}

bool peer_is_initialised(const struct peer *peer)
{
    (void)peer;
    fail();
    return false;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->env.ops = &ops;
    node->board = status_board_new(node);
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    status_board_free(node->board);
    free(node);
    return 0;
}

static void hear(struct node *node, uint64_t id)
{
    struct node_status status = {.node = id, .version = "0"};
    struct buf *bytes = node_status_encode(&status);
    struct env_packet packet = {.type = WIRE_STATUS, .header = bytes};

    status_board_on_packet(node->board, &packet);
    buf_unref(bytes);
}

/* ---- the tests ---- */

static void test_who_is_silent_is_not_found(void **state)
{
    struct node *node = *state;

    assert_null(status_board_find(node->board, 2));
    hear(node, 2);
    assert_non_null(status_board_find(node->board, 2));
    node->now_ns += UINT64_C(60000000000);
    assert_null(status_board_find(node->board, 2));
}

/* Nodes are removed and others join: ids are never used again. */
static void test_any_number_of_nodes_may_come_and_go(void **state)
{
    struct node *node = *state;

    for (uint64_t id = 3; id < 10 * NODES_MAX; id++) {
        node->now_ns++;
        hear(node, 2); /* It stays. */
        hear(node, id);
        assert_non_null(status_board_find(node->board, 2));
        assert_non_null(status_board_find(node->board, id));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_is_silent_is_not_found),
        TEST(test_any_number_of_nodes_may_come_and_go),
    };

    return cmocka_run_group_tests_name("status_board", tests, NULL, NULL);
}
