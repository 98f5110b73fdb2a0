/* SPDX-License-Identifier: Apache-2.0 */

/* A few transports on one loop, talking over the loopback device. */

#ifndef GROVEFS_TESTS_ENGINE_NET_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_NET_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "engine/transport.h"

enum { NET_NODES = 3, NET_PACKETS_MAX = 256 };

struct net;

/* Node ids count from 1; a node is at nodes[id - 1]. */
struct net_node {
    struct net *net;
    struct transport *transport; /* NULL while it is down */
    struct transport_config config;
    struct env_receiver receiver;
    uint16_t port; /* stays the same when it is started again */
    bool stopped;

    uint16_t types[NET_PACKETS_MAX]; /* of what came in */
    size_t packet_count;
    struct buf *header;  /* the last one */
    struct buf *payload; /* the last one */
    uint64_t from;
    enum env_channel channel;
    unsigned ups;
    unsigned downs;
    char refused_text[ERR_TEXT_SIZE];
    int refused_code;
    const char *refuse_text; /* what it says to others, if not NULL */
    void (*react)(struct net_node *node, uint64_t from);
};

struct net {
    uv_loop_t loop;
    uv_timer_t heartbeat; /* so that waiting can end */
    struct net_node nodes[NET_NODES];
    int raw; /* a client that is no transport */
};

/* cmocka's setup and teardown; no node is started yet. */
int net_setup(void **state);
int net_teardown(void **state);

/* Starts with what is in the node's config. */
void net_start(struct net *net, uint64_t id);
void net_stop(struct net *net, uint64_t id);

/* Starts 1 and 2; 1 knows the address of 2. Waits until they are linked. */
void net_start_pair(struct net *net);

/* Tells one node the other's address. */
void net_introduce(struct net *net, uint64_t id, uint64_t other);

/* Sends a packet with one payload of that size, filled with its type. */
void net_send(struct net *net, uint64_t from, uint64_t to,
              enum env_channel channel, uint16_t type, size_t size);

/* Runs the loop until `done` says so; fails after a generous while. */
void net_wait(struct net *net, bool (*done)(struct net *net));

/* Connects to a node and sends bytes, from outside. */
void net_raw_send(struct net *net, uint64_t to, const void *data, size_t size);

struct net_node *net_node(struct net *net, uint64_t id);
struct transport_stats net_stats(struct net *net, uint64_t id);

#endif
