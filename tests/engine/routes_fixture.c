/* SPDX-License-Identifier: Apache-2.0 */

#include "routes_fixture.h"

#include <stdlib.h>

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

int routes_setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->routes = routes_new(node);
    *state = node;
    return 0;
}

int routes_teardown(void **state)
{
    struct node *node = *state;

    routes_free(node->routes);
    buf_unref(node->sent);
    free(node);
    return 0;
}

struct region region(uint64_t id, uint64_t version, const char *start,
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

bool learn(struct node *node, uint64_t id, uint64_t version, const char *start,
           const char *end)
{
    struct region r = region(id, version, start, end);

    return routes_learn(node->routes, &r, 1);
}

uint64_t at(struct node *node, const char *user_key)
{
    struct route route;

    if (!routes_find(node->routes, slice_of(user_key), &route))
        return 0;
    assert_true(range_has(route.range, slice_of(user_key)));
    return route.region * 100 + route.version;
}

void host(struct node *node, uint64_t id, uint64_t version, const char *start,
          const char *end)
{
    node->own.region = region(id, version, start, end);
    node->own.leader_node = OWN_NODE;
    node->peer = &node->own;
}
