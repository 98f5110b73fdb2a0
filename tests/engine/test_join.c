/* SPDX-License-Identifier: Apache-2.0 */

/* A store without an id asks members that are real transports. */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/join.h"
#include "engine/wire.h"
#include "net_fixture.h"
#include "raft/base/mem.h"

static const uint64_t token = 12345;

/* What the members say, in turn; the last one for ever. */
static int answers[2];
static size_t answer_count;
static size_t asked;
static struct join_request request; /* the last one */

/* One who asks, on a thread of its own. */
struct asker {
    pthread_t thread;
    char list[64];
    const char *advertise;
    struct identity identity;
    uint64_t wait_ms;
    int rc;
    struct err e;
    atomic_bool done;
};

static struct asker asker;

static void *ask(void *context)
{
    struct join_list list;
    struct address advertise;

    (void)context;
    asker.rc = join_parse(&list, asker.list, &asker.e);
    if (asker.rc == 0)
        asker.rc = address_parse(&advertise, asker.advertise, &asker.e);
    if (asker.rc == 0)
        asker.rc = join_ask(&list, &advertise, asker.wait_ms, &asker.identity,
                            &asker.e);
    asker.done = true;
    return NULL;
}

static bool has_asked(struct net *net)
{
    (void)net;
    return asker.done;
}

/* Asks nodes 1 and 2, and waits for the end. */
static void ask_both(struct net *net)
{
    (void)snprintf(asker.list, sizeof asker.list, "127.0.0.1:%u+127.0.0.1:%u",
                   (unsigned)net_node(net, 1)->port,
                   (unsigned)net_node(net, 2)->port);
    assert_int_equal(pthread_create(&asker.thread, NULL, ask, NULL), 0);
    net_wait(net, has_asked);
    assert_int_equal(pthread_join(asker.thread, NULL), 0);
}

static void answer(struct net_node *node, uint64_t from)
{
    size_t turn = asked < answer_count ? asked : answer_count - 1;
    struct join_answer joined = {.status = answers[turn], .token = token};
    struct env_packet packet = {.type = WIRE_JOINED};

    asked++;
    assert_int_equal(node->types[node->packet_count - 1], WIRE_JOIN);
    assert_true(from == join_guest_id(token));
    assert_int_equal(join_request_decode(&request, buf_slice(node->header)), 0);
    assert_true(request.token == token);
    if (joined.status == 0) {
        joined.cluster_id = 7;
        joined.node = 4;
    }
    packet.header = join_answer_encode(&joined);
    transport_send(node->transport, from, ENV_CHANNEL_RAFT, &packet);
    buf_unref(packet.header);
}

static int setup(void **state)
{
    int rc = net_setup(state);
    struct net *net = *state;

    asker = (struct asker){.advertise = "127.0.0.1:7420", .wait_ms = 10000};
    asker.identity.token = token;
    answers[0] = answers[1] = 0;
    answer_count = 1;
    asked = 0;
    for (uint64_t id = 1; id <= 2; id++) {
        net_node(net, id)->react = answer;
        net_start(net, id);
    }
    return rc;
}

static void test_a_member_gives_an_id(void **state)
{
    asker.identity.node_id = 1; /* What a cluster of its own would give it. */
    ask_both(*state);
    assert_int_equal(request.node, 0);
    assert_int_equal(asker.rc, 0);
    assert_int_equal(asker.identity.cluster_id, 7);
    assert_int_equal(asker.identity.node_id, 4);
    assert_int_equal(asked, 1);
}

/* It comes and goes, and nobody is linked to it. */
static void test_a_guest_is_no_node(void **state)
{
    struct net *net = *state;

    ask_both(net);
    assert_int_equal(net_node(net, 1)->ups, 0);
    assert_int_equal(net_node(net, 1)->downs, 0);
}

static void test_the_next_member_is_asked(void **state)
{
    struct net *net = *state;

    net_node(net, 1)->refuse_text = "not yet";
    ask_both(net);
    assert_int_equal(asker.rc, 0);
    assert_int_equal(net_node(net, 1)->packet_count, 0);
    assert_int_equal(net_node(net, 2)->packet_count, 1);
}

static void test_members_without_a_majority_are_asked_again(void **state)
{
    answers[0] = ERR_NO_QUORUM;
    answer_count = 2;
    ask_both(*state);
    assert_int_equal(asker.rc, 0);
    assert_int_equal(asked, 2);
}

static void test_a_refusal_is_final(void **state)
{
    answers[0] = ERR_QUOTA;
    ask_both(*state);
    assert_int_equal(asker.rc, ERR_QUOTA);
    assert_non_null(strstr(asker.e.text, "as many nodes"));
    assert_int_equal(asked, 1);
    assert_int_equal(asker.identity.node_id, 0);
}

static void test_a_removed_node_s_store_is_refused(void **state)
{
    answers[0] = ERR_NOT_PERMITTED;
    ask_both(*state);
    assert_int_equal(asker.rc, ERR_NOT_PERMITTED);
    assert_non_null(strstr(asker.e.text, "was removed"));
}

/* It tells the id that it has, so that nobody gives it another one. */
static void test_a_store_of_another_cluster_is_refused(void **state)
{
    asker.identity.cluster_id = 6;
    asker.identity.node_id = 4;
    answers[0] = ERR_FOREIGN;
    ask_both(*state);
    assert_int_equal(asker.rc, ERR_FOREIGN);
    assert_non_null(strstr(asker.e.text, "is a node of another cluster"));
    assert_int_equal(asked, 1);
    assert_int_equal(request.node, 4);
}

static void test_a_copied_store_is_refused(void **state)
{
    answers[0] = ERR_EXISTS;
    ask_both(*state);
    assert_int_equal(asker.rc, ERR_EXISTS);
    assert_non_null(strstr(asker.e.text, "is a copy"));
    assert_int_equal(asked, 1);
    assert_int_equal(request.node, 0);
}

static void test_when_nobody_answers_it_ends(void **state)
{
    struct net *net = *state;

    net_stop(net, 1);
    net_stop(net, 2);
    asker.wait_ms = 300;
    ask_both(net);
    assert_int_equal(asker.rc, ERR_NO_QUORUM);
    assert_non_null(strstr(asker.e.text, "no member has let this node in"));
    assert_non_null(strstr(asker.e.text, "nobody listens there"));
}

/* 127.0.0.1 from the machine itself is right; 0.0.0.0 is nowhere. */
static void test_where_nobody_finds_it_is_refused(void **state)
{
    asker.advertise = "0.0.0.0:7420";
    ask_both(*state);
    assert_int_equal(asker.rc, ERR_INVALID);
    assert_non_null(strstr(asker.e.text, "advertise="));
    asker.done = false;
    asker.advertise = "127.0.0.1:0";
    ask_both(*state);
    assert_int_equal(asker.rc, ERR_INVALID);
    assert_int_equal(asked, 0);
}

static void test_lists_are_parsed(void **state)
{
    static const char *const bad[] = {"",      "a",       "a:0",   "a:1+",
                                      "+a:1",  "a:1,b:1", "::1:5", "a:99999",
                                      "1@a:x", ":5"};
    struct join_list list;

    (void)state;
    assert_int_equal(join_parse(&list, "a:1+[::1]:2", NULL), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.member[1].host, "::1");
    assert_int_equal(list.member[1].port, 2);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err e = ERR_INIT;

        if (join_parse(&list, bad[i], &e) != ERR_INVALID)
            fail_msg("'%s' is accepted", bad[i]);
        assert_true(e.text[0] != '\0');
    }
}

static void test_a_list_has_an_end(void **state)
{
    char text[NODES_MAX * 4 + 8] = "a:1";
    struct join_list list;

    (void)state;
    for (int i = 1; i < NODES_MAX; i++)
        (void)strcat(text, "+a:1");
    assert_int_equal(join_parse(&list, text, NULL), 0);
    (void)strcat(text, "+a:1");
    assert_int_equal(join_parse(&list, text, NULL), ERR_INVALID);
}

#define WITH_MEMBERS(test)                                                     \
    cmocka_unit_test_setup_teardown(test, setup, net_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MEMBERS(test_a_member_gives_an_id),
        WITH_MEMBERS(test_a_guest_is_no_node),
        WITH_MEMBERS(test_the_next_member_is_asked),
        WITH_MEMBERS(test_members_without_a_majority_are_asked_again),
        WITH_MEMBERS(test_a_refusal_is_final),
        WITH_MEMBERS(test_a_removed_node_s_store_is_refused),
        WITH_MEMBERS(test_a_store_of_another_cluster_is_refused),
        WITH_MEMBERS(test_a_copied_store_is_refused),
        WITH_MEMBERS(test_when_nobody_answers_it_ends),
        WITH_MEMBERS(test_where_nobody_finds_it_is_refused),
        cmocka_unit_test(test_lists_are_parsed),
        cmocka_unit_test(test_a_list_has_an_end),
    };

    return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
