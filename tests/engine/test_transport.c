/* SPDX-License-Identifier: Apache-2.0 */

/* Packets and connections between nodes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/transport_impl.h"
#include "net_fixture.h"

enum { PACKETS = 100, MIB = 1024 * 1024 };

/* ---- What is waited for ---- */

static bool two_has_one(struct net *net)
{
    return net_node(net, 2)->packet_count == 1;
}

static bool two_has_all(struct net *net)
{
    return net_node(net, 2)->packet_count == PACKETS;
}

static bool one_has_one(struct net *net)
{
    return net_node(net, 1)->packet_count == 1;
}

static bool linked(struct net *net)
{
    return net_node(net, 1)->ups == 1 && net_node(net, 2)->ups == 1;
}

static bool linked_with_one_conn(struct net *net)
{
    return net_node(net, 1)->ups > 0 && net_node(net, 2)->ups > 0 &&
           net_node(net, 1)->transport->conn_count == 1 &&
           net_node(net, 2)->transport->conn_count == 1;
}

static bool one_is_down(struct net *net)
{
    return net_node(net, 1)->downs == 1;
}

static bool one_is_up_again(struct net *net)
{
    return net_node(net, 1)->ups == 2;
}

static bool two_has_no_conns(struct net *net)
{
    return net_node(net, 2)->transport->conn_count == 0;
}

/* ---- Packets ---- */

/* Small and large ones share a connection and keep their order. */
static void test_packets_arrive_in_order_and_whole(void **state)
{
    struct net *net = *state;
    struct net_node *two = net_node(net, 2);

    net_start_pair(net);
    for (uint16_t i = 1; i <= PACKETS; i++)
        net_send(net, 1, 2, ENV_CHANNEL_RAFT, i, i % 5 == 0 ? MIB / 2 : i);
    net_wait(net, two_has_all);

    for (uint16_t i = 0; i < PACKETS; i++)
        assert_int_equal(two->types[i], i + 1);
    assert_int_equal(two->payload->size, MIB / 2);
    for (size_t i = 0; i < two->payload->size; i++)
        assert_int_equal(two->payload->data[i], (uint8_t)PACKETS);
    assert_int_equal(net_stats(net, 1).packets_out, PACKETS);
    assert_int_equal(net_stats(net, 2).packets_in, PACKETS);
    assert_int_equal(two->from, 1);
}

/* A payload of a whole write(2) goes through in one piece. */
static void test_a_packet_of_one_mib_arrives(void **state)
{
    struct net *net = *state;

    net_start_pair(net);
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 3, MIB);
    net_wait(net, two_has_one);

    assert_int_equal(net_node(net, 2)->payload->size, MIB);
    assert_int_equal(net_node(net, 2)->payload->data[MIB - 1], 3);
}

/* Sending goes both ways over the connection that only one side dialled. */
static void test_the_accepting_side_can_send(void **state)
{
    struct net *net = *state;

    net_start_pair(net);
    net_send(net, 2, 1, ENV_CHANNEL_RAFT, 9, 10);
    net_wait(net, one_has_one);

    assert_int_equal(net_node(net, 1)->types[0], 9);
}

/* The bulk channel has a connection of its own, from its first packet on. */
static void test_bulk_dials_with_its_first_packet(void **state)
{
    struct net *net = *state;

    net_start_pair(net);
    assert_int_equal(net_stats(net, 1).connects, 1);
    net_send(net, 1, 2, ENV_CHANNEL_BULK, 1, MIB);
    net_wait(net, two_has_one);

    assert_int_equal(net_node(net, 2)->channel, ENV_CHANNEL_BULK);
    assert_int_equal(net_stats(net, 1).connects, 2);
    assert_int_equal(net_node(net, 1)->ups, 1); /* Links are Raft's. */
}

/* What is sent before the link is up waits for it. */
static void test_packets_wait_while_dialling(void **state)
{
    struct net *net = *state;

    net_start(net, 1);
    net_start(net, 2);
    net_introduce(net, 1, 2);
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 4, 100);
    assert_true(transport_pending_bytes(net_node(net, 1)->transport, 2,
                                        ENV_CHANNEL_RAFT) > 100);
    net_wait(net, two_has_one);

    assert_int_equal(net_stats(net, 1).dropped, 0);
    assert_int_equal(transport_pending_bytes(net_node(net, 1)->transport, 2,
                                             ENV_CHANNEL_RAFT),
                     0);
}

/* Nobody waits for a node that cannot be dialled. */
static void test_a_node_without_address_gets_nothing(void **state)
{
    struct net *net = *state;

    net_start(net, 1);
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 1, 10);

    assert_int_equal(net_stats(net, 1).dropped, 1);
}

/* The other end takes the connection, but not a byte. */
static void test_a_full_queue_drops_and_counts(void **state)
{
    struct net *net = *state;
    const struct address address = {.host = "127.0.0.1"};
    int fd;

    assert_int_equal(transport_bind(&address, &fd, NULL), 0);
    net_node(net, 2)->port = address_port_of(fd);
    net_node(net, 1)->config.queue_size_bytes[ENV_CHANNEL_RAFT] = MIB;
    net_start(net, 1);
    net_introduce(net, 1, 2);
    for (uint16_t i = 0; i < 20; i++)
        net_send(net, 1, 2, ENV_CHANNEL_RAFT, 1, MIB / 10);

    assert_int_equal(net_stats(net, 1).dropped, 11);
    assert_true(transport_pending_bytes(net_node(net, 1)->transport, 2,
                                        ENV_CHANNEL_RAFT) <= MIB);
    close(fd);
}

/* The sender must not be able to make what no receiver takes. */
static void test_a_packet_over_the_limit_is_dropped(void **state)
{
    struct net *net = *state;

    net_start_pair(net);
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 1, 2 * MIB + 1);
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 2, 1);
    net_wait(net, two_has_one);

    assert_int_equal(net_node(net, 2)->types[0], 2);
    assert_int_equal(net_stats(net, 1).dropped, 1);
}

/* ---- Connections ---- */

static void test_one_connection_stays_when_both_dial(void **state)
{
    struct net *net = *state;

    net_start(net, 1);
    net_start(net, 2);
    net_introduce(net, 1, 2);
    net_introduce(net, 2, 1);
    net_wait(net, linked_with_one_conn);
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 5, 1);
    net_send(net, 2, 1, ENV_CHANNEL_RAFT, 6, 1);
    net_wait(net, two_has_one);
    net_wait(net, one_has_one);
}

static void test_a_name_is_resolved(void **state)
{
    struct net *net = *state;

    net_start(net, 1);
    net_start(net, 2);
    transport_set_peer(net_node(net, 1)->transport, 2, "localhost",
                       net_node(net, 2)->port);
    net_wait(net, linked);
}

static void test_a_restarted_node_is_dialled_again(void **state)
{
    struct net *net = *state;

    net_start_pair(net);
    net_stop(net, 2);
    net_wait(net, one_is_down);
    net_start(net, 2);
    net_wait(net, one_is_up_again);
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 8, 1);
    net_wait(net, two_has_one);
}

/* A node that is not there costs time, not memory. */
static void test_what_waits_is_dropped_when_dialling_fails(void **state)
{
    struct net *net = *state;

    net_start_pair(net);
    net_stop(net, 2);
    net_wait(net, one_is_down);
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 1, 100);
    while (transport_pending_bytes(net_node(net, 1)->transport, 2,
                                   ENV_CHANNEL_RAFT) > 0)
        uv_run(&net->loop, UV_RUN_ONCE);

    assert_int_equal(net_stats(net, 1).dropped, 1);
}

static void test_a_removed_peer_loses_its_connection(void **state)
{
    struct net *net = *state;

    net_start_pair(net);
    transport_remove_peer(net_node(net, 1)->transport, 2);
    net_wait(net, two_has_no_conns);

    assert_int_equal(net_node(net, 2)->downs, 1);
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 1, 1);
    assert_int_equal(net_stats(net, 1).dropped, 1);
}

static void remove_sender(struct net_node *node, uint64_t from)
{
    transport_remove_peer(node->transport, from);
}

/* Nothing more of a peer arrives once it is removed. */
static void test_a_callback_may_remove_the_peer(void **state)
{
    struct net *net = *state;

    net_start_pair(net);
    net_node(net, 2)->react = remove_sender;
    for (uint16_t i = 0; i < PACKETS; i++)
        net_send(net, 1, 2, ENV_CHANNEL_RAFT, i, 1);
    net_wait(net, one_is_down);

    assert_int_equal(net_node(net, 2)->packet_count, 1);
}

static void answer(struct net_node *node, uint64_t from)
{
    net_send(node->net, node->config.node_id, from, ENV_CHANNEL_RAFT, 77, 1);
}

static void test_a_callback_may_send(void **state)
{
    struct net *net = *state;

    net_start_pair(net);
    net_node(net, 2)->react = answer;
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 1, 1);
    net_wait(net, one_has_one);

    assert_int_equal(net_node(net, 1)->types[0], 77);
}

/* ---- Start and end ---- */

static void test_a_used_port_is_reported(void **state)
{
    struct net *net = *state;
    struct address address = {.host = "127.0.0.1"};
    struct err e = ERR_INIT;
    int fd;

    net_start(net, 1);
    address.port = net_node(net, 1)->port;

    assert_int_equal(transport_bind(&address, &fd, &e), ERR_ADDRESS_IN_USE);
    assert_non_null(strstr(e.text, "listen on 127.0.0.1:"));
    assert_non_null(strstr(e.text, "in use"));
}

/* Stopping does not wait for dialling or for a greeting. */
static void test_stopping_ends_what_is_under_way(void **state)
{
    struct net *net = *state;

    net_start(net, 1);
    net_start(net, 2);
    transport_set_peer(net_node(net, 1)->transport, 2, "localhost",
                       net_node(net, 2)->port);
    net_introduce(net, 2, 1);
    net_send(net, 2, 1, ENV_CHANNEL_BULK, 1, MIB);
    for (int turn = 0; turn < 2; turn++)
        uv_run(&net->loop, UV_RUN_NOWAIT);
    net_stop(net, 1);
    net_stop(net, 2);
}

static void stop_here(struct net_node *node, uint64_t from)
{
    (void)from;
    transport_stop(node->transport);
}

static bool two_has_stopped(struct net *net)
{
    return net_node(net, 2)->stopped;
}

static void test_a_callback_may_stop_the_transport(void **state)
{
    struct net *net = *state;

    net_start_pair(net);
    net_node(net, 2)->react = stop_here;
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 1, MIB);
    net_wait(net, two_has_stopped);
    transport_free(net_node(net, 2)->transport);
    net_node(net, 2)->transport = NULL;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, net_setup, net_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_packets_arrive_in_order_and_whole),
        TEST(test_a_packet_of_one_mib_arrives),
        TEST(test_the_accepting_side_can_send),
        TEST(test_bulk_dials_with_its_first_packet),
        TEST(test_packets_wait_while_dialling),
        TEST(test_a_node_without_address_gets_nothing),
        TEST(test_a_full_queue_drops_and_counts),
        TEST(test_a_packet_over_the_limit_is_dropped),
        TEST(test_one_connection_stays_when_both_dial),
        TEST(test_a_name_is_resolved),
        TEST(test_a_restarted_node_is_dialled_again),
        TEST(test_what_waits_is_dropped_when_dialling_fails),
        TEST(test_a_removed_peer_loses_its_connection),
        TEST(test_a_callback_may_remove_the_peer),
        TEST(test_a_callback_may_send),
        TEST(test_a_used_port_is_reported),
        TEST(test_stopping_ends_what_is_under_way),
        TEST(test_a_callback_may_stop_the_transport),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
