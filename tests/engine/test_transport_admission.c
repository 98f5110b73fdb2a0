/* SPDX-License-Identifier: Apache-2.0 */

/* Which nodes are let in, and what happens to those that talk nonsense. */

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <xxhash.h>

#include <cmocka.h>

#include "engine/transport_impl.h"
#include "net_fixture.h"

static bool two_has_one(struct net *net)
{
    return net_node(net, 2)->packet_count == 1;
}

static bool two_has_no_conns(struct net *net)
{
    return net_node(net, 2)->transport->conn_count == 0;
}

static bool one_is_refused(struct net *net)
{
    return net_node(net, 1)->refused_text[0] != '\0';
}

static bool two_is_refused(struct net *net)
{
    return net_node(net, 2)->refused_text[0] != '\0';
}

static bool two_saw_garbage(struct net *net)
{
    return net_stats(net, 2).malformed == 1;
}

static bool two_refused_somebody(struct net *net)
{
    return net_stats(net, 2).refusals > 0;
}

/* ---- Who is let in ---- */

static void test_another_cluster_is_refused_in_words(void **state)
{
    struct net *net = *state;

    net_node(net, 2)->config.cluster_id = 8;
    net_start(net, 1);
    net_start(net, 2);
    net_introduce(net, 1, 2);
    net_wait(net, one_is_refused);
    net_wait(net, two_is_refused);

    assert_int_equal(net_node(net, 1)->refused_code, ERR_FOREIGN);
    assert_non_null(strstr(net_node(net, 1)->refused_text, "cluster"));
    assert_non_null(strstr(net_node(net, 2)->refused_text, "cluster"));
    assert_int_equal(net_node(net, 1)->ups, 0);
    assert_int_equal(net_node(net, 2)->ups, 0);
}

/* Founding a cluster: nodes meet before there is one. */
static void test_a_node_without_cluster_is_let_in(void **state)
{
    struct net *net = *state;

    net_node(net, 2)->config.cluster_id = 0;
    net_start_pair(net);
    transport_set_identity(net_node(net, 2)->transport, 7);
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 1, 1);
    net_wait(net, two_has_one);
}

static void test_the_owner_can_refuse(void **state)
{
    struct net *net = *state;

    net_node(net, 2)->refuse_text = "cluster exists, use join=";
    net_start(net, 1);
    net_start(net, 2);
    net_introduce(net, 1, 2);
    net_wait(net, one_is_refused);

    assert_string_equal(net_node(net, 1)->refused_text,
                        "cluster exists, use join=");
    assert_int_equal(net_node(net, 1)->refused_code, ERR_UNAVAILABLE);
    assert_true(net_node(net, 1)->downs > 0);
}

/* At the address of 3 answers 2. */
static void test_an_unexpected_node_is_refused(void **state)
{
    struct net *net = *state;

    net_start(net, 1);
    net_start(net, 2);
    transport_set_peer(net_node(net, 1)->transport, 3, "127.0.0.1",
                       net_node(net, 2)->port);
    net_wait(net, two_is_refused);

    assert_non_null(
        strstr(net_node(net, 2)->refused_text, "node 3 was expected"));
    assert_int_equal(net_node(net, 1)->ups, 0);
}

static size_t put_hello(uint8_t *to, uint64_t node_id)
{
    const struct hello_message hello = {
        .kind = HELLO_HELLO,
        .hello = {.cluster_id = 7, .node_id = node_id, .incarnation = 1},
    };

    return hello_encode(&hello, to);
}

static void test_an_unknown_version_is_refused_in_words(void **state)
{
    struct net *net = *state;
    uint8_t bytes[HELLO_SIZE_MAX];
    const size_t size = put_hello(bytes, 9);
    uint64_t sum;
    char reply[HELLO_SIZE_MAX] = "";

    bytes[8] = 99;
    sum = htole64(XXH3_64bits(bytes, size - sizeof sum));
    memcpy(bytes + size - sizeof sum, &sum, sizeof sum);
    net_start(net, 2);
    net_raw_send(net, 2, bytes, size);
    while (memmem(reply, sizeof reply, "version 99", 10) == NULL) {
        uv_run(&net->loop, UV_RUN_ONCE);
        (void)recv(net->raw, reply, sizeof reply, MSG_DONTWAIT | MSG_PEEK);
    }
}

/* ---- Bad bytes ---- */

static void test_garbage_closes_only_its_connection(void **state)
{
    struct net *net = *state;

    net_start_pair(net);
    net_raw_send(net, 2, "GET / HTTP/1.1\r\n\r\n", 18);
    net_wait(net, two_saw_garbage);
    net_send(net, 1, 2, ENV_CHANNEL_RAFT, 1, 1);
    net_wait(net, two_has_one);

    assert_int_equal(net_node(net, 2)->downs, 0);
}

/* Also after a proper greeting. */
static void test_a_bad_frame_ends_the_link(void **state)
{
    struct net *net = *state;
    const struct hello_message accepted = {.kind = HELLO_ACCEPTED};
    uint8_t bytes[3 * HELLO_SIZE_MAX] = {0};
    size_t size = put_hello(bytes, 9);

    net_start(net, 2);
    size += hello_encode(&accepted, bytes + size);
    net_raw_send(net, 2, bytes, size + FRAME_PREFIX_SIZE);
    net_wait(net, two_has_no_conns);
    net_wait(net, two_saw_garbage);

    assert_int_equal(net_node(net, 2)->ups, 1);
    assert_int_equal(net_node(net, 2)->downs, 1);
}

/* A node with this one's id is a copied store or an address of our own. */
static void test_the_own_node_id_is_refused(void **state)
{
    struct net *net = *state;
    uint8_t bytes[HELLO_SIZE_MAX];
    const size_t size = put_hello(bytes, 2);

    net_start(net, 2);
    net_raw_send(net, 2, bytes, size);
    net_wait(net, two_refused_somebody);

    assert_int_equal(net_node(net, 2)->ups, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, net_setup, net_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_another_cluster_is_refused_in_words),
        TEST(test_a_node_without_cluster_is_let_in),
        TEST(test_the_owner_can_refuse),
        TEST(test_an_unexpected_node_is_refused),
        TEST(test_an_unknown_version_is_refused_in_words),
        TEST(test_garbage_closes_only_its_connection),
        TEST(test_a_bad_frame_ends_the_link),
        TEST(test_the_own_node_id_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
