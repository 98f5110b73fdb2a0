/* SPDX-License-Identifier: Apache-2.0 */

/* Whom region 0's leader counts as lost, and that it reads nothing into what is
 * damaged. Its replica, the other nodes and time are the test's; what it
 * decides is in test_members_plan.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/leave.h"
#include "engine/members.h"
#include "engine/reporter.h"
#include "engine/router.h"
#include "engine/settings.h"
#include "engine/status.h"
#include "tests/engine/kv_helpers.h"
#include "tests/sim/kv_mem.h"

enum { OWN_NODE = 1, OTHER_NODE = 2, DOWN_AFTER_S = 20 };

struct peer {
    struct region region;
    bool serving;
    unsigned changes; /* that were proposed */
    unsigned damages; /* that were found */
};

struct node {
    struct env env;
    struct node_config config;
    uint64_t now_ns;
    struct peer *placement;
    bool silent;   /* OTHER_NODE */
    unsigned told; /* OTHER_NODE, that it was removed */
    struct members *members;
};

/* ---- env.h, node.h ---- */

static uint64_t fake_clock(struct env *env)
{
    return container_of(env, struct node, env)->now_ns;
}

static const struct env_ops fake_ops = {.mono_ns = fake_clock};

struct env *node_env(struct node *node)
{
    return &node->env;
}

uint64_t node_id(const struct node *node)
{
    (void)node;
    return OWN_NODE;
}

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    assert_int_equal(region, REGION_PLACEMENT);
    return node->placement;
}

bool node_link_up(const struct node *node, uint64_t node_id)
{
    return node_id != OTHER_NODE || !node->silent;
}

struct status_board *node_status_board(const struct node *node)
{
    (void)node;
    return NULL;
}

struct router *node_router(const struct node *node)
{
    (void)node;
    return NULL;
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    (void)channel;
    (void)header;
    (void)payload;
    node->told += to == OTHER_NODE && type == WIRE_JOINED;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    (void)node;
    (void)level;
    (void)format;
}

void node_on_removed(struct node *node)
{
    (void)node;
    fail();
}

/* ---- leave.h, status.h, reporter.h, router.h ---- */

void leave_prepare(struct node *node, const struct node_record *record)
{
    (void)node;
    (void)record;
}

static struct node *board_of; /* the node that asks */

const struct node_status *status_board_find(const struct status_board *board,
                                            uint64_t id)
{
    static const struct node_status status;

    (void)board;
    return id == OTHER_NODE && board_of->silent ? NULL : &status;
}

unsigned reporter_peer_flags(const struct node *node, const struct peer *peer,
                             const struct region_peer *replica)
{
    (void)node;
    (void)peer;
    (void)replica;
    return PEER_FLAG_CAUGHT_UP;
}

void router_call(struct router *router, struct router_call *call,
                 struct command *command)
{
    (void)router;
    (void)call;
    (void)command;
}

void router_cancel(struct router *router, struct router_call *call)
{
    (void)router;
    (void)call;
}

/* ---- peer.h ---- */

bool peer_is_serving(const struct peer *peer)
{
    return peer->serving;
}

const struct region *peer_region(const struct peer *peer)
{
    return &peer->region;
}

uint64_t peer_node_of(const struct peer *peer, uint64_t peer_id)
{
    (void)peer;
    return peer_id;
}

bool peer_transfer(struct peer *peer, uint64_t node_id)
{
    (void)peer;
    (void)node_id;
    return true;
}

int peer_propose_change(struct peer *peer, const struct peer_change *change)
{
    (void)change;
    peer->changes++;
    return 0;
}

bool peer_was_just_mended(const struct peer *peer)
{
    (void)peer;
    return false;
}

bool peer_found_damage(struct peer *peer, const char *what)
{
    (void)what;
    peer->damages++;
    return true;
}

/* ---- the fixture ---- */

static void put_node(struct node *node, uint64_t id, enum node_state state)
{
    struct node_record record = {
        .id = id, .state = state, .address = "localhost:1"};
    struct buf *bytes = node_encode(&record);

    put_record(node->env.state, key_node(id), buf_slice(bytes));
    buf_unref(bytes);
}

static void put_down_after(struct node *node)
{
    struct buf *bytes = setting_encode(DOWN_AFTER_S);

    put_record(node->env.state,
               key_setting(slice_of(setting_name(SETTING_DOWN_AFTER))),
               buf_slice(bytes));
    buf_unref(bytes);
}

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->env = (struct env){.ops = &fake_ops, .state = kv_mem_new()};
    node->now_ns = 1000;
    node->placement = mem_zalloc(sizeof *node->placement);
    *node->placement = (struct peer){
        .serving = true,
        .region = {.peers = {{1, OWN_NODE, PEER_VOTER},
                             {2, OTHER_NODE, PEER_LEARNER}},
                   .peer_count = 2,
                   .voters = {1},
                   .voter_count = 1,
                   .learners = {2},
                   .learner_count = 1},
    };
    put_node(node, OWN_NODE, NODE_UP);
    put_node(node, OTHER_NODE, NODE_UP);
    put_down_after(node);
    node->members = members_new(node);
    board_of = node;
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    members_stop(node->members);
    members_free(node->members);
    kv_close(node->env.state);
    free(node->placement);
    free(node);
    return 0;
}

static void seconds(struct node *node, unsigned count)
{
    while (count-- > 0) {
        node->now_ns += 1000000000;
        members_tick(node->members);
    }
}

static bool is_lost(const struct node *node)
{
    assert_false(members_is_lost(node->members, OWN_NODE));
    return members_is_lost(node->members, OTHER_NODE);
}

/* ---- the tests ---- */

static void test_who_is_silent_for_long_is_lost(void **state)
{
    struct node *node = *state;

    seconds(node, 2 * DOWN_AFTER_S);
    assert_false(is_lost(node));
    node->silent = true;
    seconds(node, DOWN_AFTER_S);
    assert_false(is_lost(node));
    seconds(node, 1);
    assert_true(is_lost(node));
}

static void test_one_word_is_enough_not_to_be_lost(void **state)
{
    struct node *node = *state;

    node->silent = true;
    seconds(node, DOWN_AFTER_S);
    node->silent = false;
    seconds(node, 1);
    node->silent = true;
    seconds(node, DOWN_AFTER_S);
    assert_false(is_lost(node));
    seconds(node, 1);
    assert_true(is_lost(node));
}

/* However long its predecessor has missed it: links may be other ones. */
static void test_a_new_leader_begins_to_count_anew(void **state)
{
    struct node *node = *state;

    node->silent = true;
    seconds(node, DOWN_AFTER_S + 1);
    assert_true(is_lost(node));
    node->placement->serving = false;
    seconds(node, 1);
    assert_false(is_lost(node));
    node->placement->serving = true;
    seconds(node, DOWN_AFTER_S);
    assert_false(is_lost(node));
}

/* Its place is for others. */
static void test_nobody_waits_for_a_removed_node(void **state)
{
    struct node *node = *state;

    node->silent = true;
    seconds(node, DOWN_AFTER_S + 1);
    assert_true(is_lost(node));
    put_node(node, OTHER_NODE, NODE_REMOVED);
    node->placement->region.peer_count = 1;
    seconds(node, 1);
    assert_false(is_lost(node));
}

/* What it missed when it was removed. */
static void test_who_is_still_connected_hears_that_it_was_removed(void **state)
{
    struct node *node = *state;

    seconds(node, 5);
    assert_int_equal(node->told, 0);
    put_node(node, OTHER_NODE, NODE_REMOVED);
    node->placement->region.peer_count = 1;
    node->silent = true;
    seconds(node, 5);
    assert_int_equal(node->told, 0);
    node->silent = false;
    seconds(node, 5);
    assert_true(node->told > 0);
}

/* A record that cannot be read is not one of a removed node. */
static void test_nothing_is_decided_from_a_damaged_record(void **state)
{
    struct node *node = *state;

    put_record(node->env.state, key_node(OTHER_NODE), slice_of("?"));
    seconds(node, 5);
    assert_int_equal(node->placement->changes, 0);
    assert_true(node->placement->damages > 0);
    put_node(node, OTHER_NODE, NODE_REMOVED);
    seconds(node, 5);
    assert_true(node->placement->changes > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_is_silent_for_long_is_lost),
        TEST(test_one_word_is_enough_not_to_be_lost),
        TEST(test_a_new_leader_begins_to_count_anew),
        TEST(test_nobody_waits_for_a_removed_node),
        TEST(test_who_is_still_connected_hears_that_it_was_removed),
        TEST(test_nothing_is_decided_from_a_damaged_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
