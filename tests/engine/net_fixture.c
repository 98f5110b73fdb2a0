/* SPDX-License-Identifier: Apache-2.0 */

#include "net_fixture.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "raft/base/mem.h"

enum { HEARTBEAT_MS = 20, DEADLINE_MS = 20000 };

static struct net_node *node_of(struct env_receiver *receiver)
{
    return container_of(receiver, struct net_node, receiver);
}

static void on_packet(struct env_receiver *receiver, uint64_t node_id,
                      enum env_channel channel, const struct env_packet *packet)
{
    struct net_node *node = node_of(receiver);

    assert_true(node->packet_count < NET_PACKETS_MAX);
    node->types[node->packet_count++] = packet->type;
    node->from = node_id;
    node->channel = channel;
    buf_unref(node->header);
    node->header = buf_ref(packet->header);
    if (packet->payload_count > 0) {
        buf_unref(node->payload);
        node->payload = buf_ref(packet->payloads[0]);
    }
    if (node->react != NULL)
        node->react(node, node_id);
}

static void on_link(struct env_receiver *receiver, uint64_t node_id, bool up)
{
    struct net_node *node = node_of(receiver);

    (void)node_id;
    if (up)
        node->ups++;
    else
        node->downs++;
}

static int accept_other(void *context, const struct transport_hello *hello,
                        struct err *e)
{
    const struct net_node *node = context;

    (void)hello;
    if (node->refuse_text == NULL)
        return 0;
    return err_set(e, ERR_UNAVAILABLE, "%s", node->refuse_text);
}

static void on_refused(void *context, uint64_t node_id, int code,
                       const char *text)
{
    struct net_node *node = context;

    (void)node_id;
    node->refused_code = code;
    (void)snprintf(node->refused_text, sizeof node->refused_text, "%s", text);
}

static void on_stopped(void *context)
{
    struct net_node *node = context;

    node->stopped = true;
}

static void on_heartbeat(uv_timer_t *timer)
{
    (void)timer;
}

struct net_node *net_node(struct net *net, uint64_t id)
{
    assert_in_range(id, 1, NET_NODES);
    return &net->nodes[id - 1];
}

int net_setup(void **state)
{
    struct net *net = mem_zalloc(sizeof *net);

    net->raw = -1;
    assert_int_equal(uv_loop_init(&net->loop), 0);
    assert_int_equal(uv_timer_init(&net->loop, &net->heartbeat), 0);
    assert_int_equal(uv_timer_start(&net->heartbeat, on_heartbeat, HEARTBEAT_MS,
                                    HEARTBEAT_MS),
                     0);
    for (uint64_t id = 1; id <= NET_NODES; id++) {
        struct net_node *node = net_node(net, id);

        node->net = net;
        node->receiver =
            (struct env_receiver){.on_packet = on_packet, .on_link = on_link};
        node->config = (struct transport_config){
            .node_id = id,
            .cluster_id = 7,
            .receiver = &node->receiver,
            .context = node,
            .accept = accept_other,
            .on_refused = on_refused,
            .on_stopped = on_stopped,
        };
    }
    *state = net;
    return 0;
}

int net_teardown(void **state)
{
    struct net *net = *state;

    for (uint64_t id = 1; id <= NET_NODES; id++) {
        if (net_node(net, id)->transport != NULL)
            net_stop(net, id);
        buf_unref(net_node(net, id)->header);
        buf_unref(net_node(net, id)->payload);
    }
    if (net->raw >= 0)
        close(net->raw);
    uv_close((uv_handle_t *)&net->heartbeat, NULL);
    uv_run(&net->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&net->loop), 0);
    free(net);
    return 0;
}

void net_start(struct net *net, uint64_t id)
{
    struct net_node *node = net_node(net, id);
    const struct address address = {.host = "127.0.0.1", .port = node->port};
    struct err e = ERR_INIT;
    int fd;

    assert_int_equal(transport_bind(&address, &fd, &e), 0);
    node->port = address_port_of(fd);
    node->stopped = false;
    node->transport = transport_new(&node->config);
    assert_int_equal(transport_start(node->transport, &net->loop, fd, &e), 0);
}

static void run_once(struct net *net)
{
    uv_run(&net->loop, UV_RUN_ONCE);
    for (uint64_t id = 1; id <= NET_NODES; id++)
        if (net_node(net, id)->transport != NULL)
            transport_check(net_node(net, id)->transport);
}

void net_stop(struct net *net, uint64_t id)
{
    struct net_node *node = net_node(net, id);

    transport_stop(node->transport);
    while (!node->stopped)
        run_once(net);
    transport_free(node->transport);
    node->transport = NULL;
}

static bool pair_is_linked(struct net *net)
{
    return net_node(net, 1)->ups == 1 && net_node(net, 2)->ups == 1;
}

void net_start_pair(struct net *net)
{
    net_start(net, 1);
    net_start(net, 2);
    net_introduce(net, 1, 2);
    net_wait(net, pair_is_linked);
}

void net_introduce(struct net *net, uint64_t id, uint64_t other)
{
    transport_set_peer(net_node(net, id)->transport, other, "127.0.0.1",
                       net_node(net, other)->port);
}

void net_send(struct net *net, uint64_t from, uint64_t to,
              enum env_channel channel, uint16_t type, size_t size)
{
    struct buf *header = buf_copy("header", 6);
    struct buf *payload = buf_new(size);
    const struct env_packet packet = {.type = type,
                                      .header = header,
                                      .payloads = &payload,
                                      .payload_count = 1};

    memset(payload->data, (uint8_t)type, size);
    transport_send(net_node(net, from)->transport, to, channel, &packet);
    buf_unref(header);
    buf_unref(payload);
}

void net_wait(struct net *net, bool (*done)(struct net *net))
{
    uint64_t deadline_ms;

    uv_update_time(&net->loop);
    deadline_ms = uv_now(&net->loop) + DEADLINE_MS;
    while (!done(net)) {
        run_once(net);
        assert_true(uv_now(&net->loop) < deadline_ms);
    }
}

void net_raw_send(struct net *net, uint64_t to, const void *data, size_t size)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(net_node(net, to)->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    net->raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(net->raw >= 0);
    assert_int_equal(connect(net->raw,
                             (const struct sockaddr *)(const void *)&address,
                             sizeof address),
                     0);
    assert_int_equal(send(net->raw, data, size, MSG_NOSIGNAL), size);
}

struct transport_stats net_stats(struct net *net, uint64_t id)
{
    struct transport_stats stats;

    transport_stats(net_node(net, id)->transport, &stats);
    return stats;
}
