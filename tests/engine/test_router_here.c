/* SPDX-License-Identifier: Apache-2.0 */

/* Calls for regions that have a replica on this node: when it is the one to
 * go to, and when not. What they go to is the test's; the routes are real. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/flow.h"
#include "engine/keys.h"
#include "engine/router.h"
#include "engine/routes.h"
#include "engine/serve.h"
#include "engine/timers.h"

enum {
    OWN_NODE = 9,
    OTHER_NODE = 2,
    OWN_REGION = 7,
    NEW_REGION = 8,
    DEADLINE_MS = 1000,
    RETRY_MS = 10
};

struct peer {
    struct region region;
    uint64_t leader_node;
};

struct node {
    struct env env;
    struct node_config config;
    struct router *router;
    struct timers timers;
    uint64_t now_ns;
    struct peer *peer; /* of OWN_REGION */
    uint64_t sent_to;  /* the last call */
    uint64_t sent_region;
    unsigned asked_count; /* for the region of a key */
};

struct fixture {
    struct node node;
    struct peer peer;
    struct key start; /* of both regions */
    struct router_call call;
    unsigned done_count;
    int status;
};

/* ---- env.h ---- */

static struct node *node_of(struct env *env)
{
    return container_of(env, struct node, env);
}

static uint64_t fake_clock(struct env *env)
{
    return node_of(env)->now_ns;
}

static void fake_timer_start(struct env *env, struct env_timer *timer,
                             uint64_t delay_ns)
{
    struct node *node = node_of(env);

    timers_start(&node->timers, timer, node->now_ns + delay_ns);
}

static void fake_timer_stop(struct env *env, struct env_timer *timer)
{
    timers_stop(&node_of(env)->timers, timer);
}

static const struct env_ops fake_ops = {
    .mono_ns = fake_clock,
    .wall_ns = fake_clock,
    .timer_start = fake_timer_start,
    .timer_stop = fake_timer_stop,
};

/* ---- node.h, peer.h ---- */

struct env *node_env(struct node *node)
{
    return &node->env;
}

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

uint64_t node_id(const struct node *node)
{
    (void)node;
    return OWN_NODE;
}

struct router *node_router(const struct node *node)
{
    return node->router;
}

struct flows *node_flows(const struct node *node)
{
    (void)node;
    return NULL;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    return region == OWN_REGION ? node->peer : NULL;
}

struct peer *node_peer_at(const struct node *node, struct slice user_key)
{
    (void)user_key;
    return node_peer(node, OWN_REGION);
}

size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    (void)node;
    nodes[0] = OWN_NODE;
    nodes[1] = OTHER_NODE;
    return 2;
}

size_t node_region_nodes(const struct node *node, uint64_t region,
                         uint64_t nodes[NODES_MAX])
{
    (void)region;
    return node_all_nodes(node, nodes);
}

bool node_link_up(const struct node *node, uint64_t node_id)
{
    (void)node;
    (void)node_id;
    return true;
}

bool node_disk_full(const struct node *node, uint64_t region)
{
    (void)node;
    (void)region;
    return false;
}

uint64_t node_stamp(struct node *node)
{
    return node->now_ns;
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    struct call call;

    (void)channel;
    (void)payload;
    if (type == WIRE_LOCATE) {
        node->asked_count++;
        return;
    }
    assert_int_equal(type, WIRE_CALL);
    assert_int_equal(
        call_decode(&call, (struct slice){header->data, header->size}), 0);
    node->sent_to = to;
    node->sent_region = call.region;
}

const struct region *peer_region(const struct peer *peer)
{
    return &peer->region;
}

uint64_t peer_leader_node(const struct peer *peer)
{
    return peer->leader_node;
}

void peer_rouse(struct peer *peer)
{
    assert_non_null(peer);
}

void peer_propose(struct peer *peer, struct proposal *proposal)
{
    (void)peer;
    (void)proposal;
    fail(); /* Only reads are asked for here. */
}

/* ---- flow.h, serve.h, control.h: not needed ---- */

void flows_on_release(struct flows *flows)
{
    assert_null(flows);
}

struct serve *serve_new(struct node *node)
{
    (void)node;
    return NULL;
}

void serve_stop(struct serve *serve)
{
    assert_null(serve);
}

void serve_free(struct serve *serve)
{
    assert_null(serve);
}

void serve_call(struct serve *serve, uint64_t from,
                const struct env_packet *packet)
{
    (void)serve;
    (void)from;
    (void)packet;
}

void control_carry_out(struct node *node, struct peer *peer,
                       const struct buf *bytes, struct control_wait *wait)
{
    (void)node;
    (void)peer;
    (void)bytes;
    (void)wait;
}

bool control_is_waiting(const struct control_wait *wait)
{
    (void)wait;
    return false;
}

void control_cancel_wait(struct control_wait *wait)
{
    (void)wait;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->node.env.ops = &fake_ops;
    f->node.peer = &f->peer;
    f->node.now_ns = 1000;
    f->start = key_user('d', NSID_ROOT, slice_of("a"));
    f->peer.region = (struct region){.id = OWN_REGION,
                                     .conf_ver = 1,
                                     .version = 3,
                                     .start = key_user_part(&f->start)};
    timers_init(&f->node.timers);
    f->node.router = router_new(&f->node);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    router_stop(f->node.router);
    router_free(f->node.router);
    free(f);
    return 0;
}

static void on_done(struct router_call *call, int status,
                    const struct result *result, uint64_t index)
{
    struct fixture *f = container_of(call, struct fixture, call);

    assert_null(result);
    (void)index;
    f->done_count++;
    f->status = status;
}

static void read_name(struct fixture *f)
{
    struct command command = {
        .op = COMMAND_LOOKUP, .dir = NSID_ROOT, .name = slice_of("b")};

    f->call = (struct router_call){
        .kind = CALL_READ,
        .deadline_ns = f->node.now_ns + DEADLINE_MS * UINT64_C(1000000),
        .done = on_done};
    router_to_place(&f->call, command.dir, command.name);
    router_call(f->node.router, &f->call, &command);
}

static void pass(struct fixture *f, uint64_t ms)
{
    f->node.now_ns += ms * 1000000;
    timers_fire(&f->node.timers, f->node.now_ns);
}

static void lead(struct fixture *f, uint64_t node)
{
    f->peer.leader_node = node;
    router_on_leader_change(f->node.router, OWN_REGION, node);
    pass(f, 0);
}

/* ---- tests ---- */

static void test_a_read_goes_to_the_leader_that_the_replica_knows(void **state)
{
    struct fixture *f = *state;

    f->peer.leader_node = OTHER_NODE;
    read_name(f);
    assert_int_equal(f->node.sent_to, OTHER_NODE);
    assert_int_equal(f->done_count, 0);
}

/* It would ask itself until its time is up. */
static void test_a_read_comes_back_when_this_node_leads(void **state)
{
    struct fixture *f = *state;

    f->peer.leader_node = OTHER_NODE;
    read_name(f);
    lead(f, OWN_NODE);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, ERR_EPOCH);
}

static void test_a_read_waits_for_a_leader(void **state)
{
    struct fixture *f = *state;

    read_name(f);
    assert_int_equal(f->node.sent_to, 0);
    lead(f, OTHER_NODE);
    assert_int_equal(f->node.sent_to, OTHER_NODE);
    assert_int_equal(f->done_count, 0);
}

/* Another region may have taken the place over, and this node has not heard of
 * it: its replica is cut off from the others. */
static void test_without_a_leader_others_are_asked_in_the_end(void **state)
{
    struct fixture *f = *state;
    struct region next = {.id = NEW_REGION,
                          .conf_ver = 1,
                          .version = 4,
                          .start = key_user_part(&f->start),
                          .peers = {{1, OTHER_NODE, PEER_VOTER}},
                          .peer_count = 1};
    struct buf *header;
    struct env_packet packet = {.type = WIRE_LOCATED};

    read_name(f);
    for (unsigned i = 0; i < DEADLINE_MS / 2 / RETRY_MS; i++)
        pass(f, RETRY_MS);
    assert_in_range(f->node.asked_count, 1, 5);
    header = located_encode(
        &(struct located){.region = next, .leader_node = OTHER_NODE});
    packet.header = header;
    router_on_located(f->node.router, &packet);
    buf_unref(header);
    pass(f, 0);
    assert_int_equal(f->node.sent_to, OTHER_NODE);
    assert_int_equal(f->node.sent_region, NEW_REGION);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_read_goes_to_the_leader_that_the_replica_knows),
        TEST(test_a_read_comes_back_when_this_node_leads),
        TEST(test_a_read_waits_for_a_leader),
        TEST(test_without_a_leader_others_are_asked_in_the_end),
    };

    return cmocka_run_group_tests_name("router here", tests, NULL, NULL);
}
