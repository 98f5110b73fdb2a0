/* SPDX-License-Identifier: Apache-2.0 */

/* Which nodes count as alive, by what comes in and by time, which is the
 * test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/liveness.h"
#include "engine/wire.h"

enum { OWN = 1, OTHER = 2 };

struct node {
    struct env env;
    struct node_config config;
    uint64_t now_ns;
    struct liveness *liveness;
    unsigned said; /* that this node is there */
    unsigned lost; /* nodes */
    unsigned found;
};

static uint64_t now(struct env *env)
{
    return container_of(env, struct node, env)->now_ns;
}

static const struct env_ops ops = {.mono_ns = now};

/* ---- node.h ---- */

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
    return &node->config;
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    (void)to;
    (void)channel;
    (void)header;
    (void)payload;
    assert_int_equal(type, WIRE_ALIVE);
    node->said++;
}

void node_on_liveness(struct node *node, uint64_t node_id, bool alive)
{
    assert_true(liveness_is_alive(node->liveness, node_id) == alive);
    node->found += alive;
    node->lost += !alive;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->env.ops = &ops;
    node->now_ns = 1;
    node->liveness = liveness_new(node);
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    liveness_free(node->liveness);
    free(node);
    return 0;
}

static void pass_ms(struct node *node, unsigned ms)
{
    for (unsigned i = 0; i < ms; i += TICK_MS) {
        node->now_ns += (uint64_t)TICK_MS * 1000000;
        liveness_tick(node->liveness);
    }
}

static void hear(struct node *node, uint64_t id, uint64_t boot)
{
    struct buf *bytes = alive_encode(&(struct alive){.boot = boot});
    struct env_packet packet = {.type = WIRE_ALIVE, .header = bytes};

    liveness_on_packet(node->liveness, id);
    liveness_on_alive(node->liveness, id, &packet);
    buf_unref(bytes);
}

/* ---- the tests ---- */

static void test_who_is_connected_is_alive_until_it_is_silent(void **state)
{
    struct node *node = *state;

    assert_true(liveness_is_alive(node->liveness, OWN));
    assert_false(liveness_is_alive(node->liveness, OTHER));
    liveness_on_link(node->liveness, OTHER, true);
    assert_true(liveness_is_alive(node->liveness, OTHER));
    pass_ms(node, NODE_SILENT_MS);
    assert_true(liveness_is_alive(node->liveness, OTHER));
    pass_ms(node, TICK_MS);
    assert_false(liveness_is_alive(node->liveness, OTHER));
    hear(node, OTHER, 7);
    assert_true(liveness_is_alive(node->liveness, OTHER));
    liveness_on_link(node->liveness, OTHER, false);
    assert_false(liveness_is_alive(node->liveness, OTHER));
    assert_int_equal(node->lost, 2);
    assert_int_equal(node->found, 2);
}

static void test_a_new_start_is_noticed_on_an_old_connection(void **state)
{
    struct node *node = *state;

    liveness_on_link(node->liveness, OTHER, true);
    hear(node, OTHER, 7);
    hear(node, OTHER, 7);
    assert_int_equal(node->lost, 0);
    hear(node, OTHER, 8);
    assert_int_equal(node->lost, 1);
    assert_true(liveness_is_alive(node->liveness, OTHER));
}

/* A late packet of a connection that is gone. */
static void test_who_is_not_connected_is_not_alive(void **state)
{
    struct node *node = *state;

    hear(node, OTHER, 7);
    assert_false(liveness_is_alive(node->liveness, OTHER));
    liveness_on_link(node->liveness, OTHER, true);
    liveness_on_link(node->liveness, OTHER, false);
    hear(node, OTHER, 7);
    assert_false(liveness_is_alive(node->liveness, OTHER));
    pass_ms(node, 1000);
    assert_int_equal(node->said, 0);
}

/* Nodes are removed and others join: ids are never used again. */
static void test_any_number_of_nodes_may_come_and_go(void **state)
{
    struct node *node = *state;

    for (uint64_t id = OTHER; id < 10 * NODES_MAX; id++) {
        liveness_on_link(node->liveness, id, true);
        hear(node, id, 1);
        assert_true(liveness_is_alive(node->liveness, id));
        liveness_on_link(node->liveness, id, false);
        hear(node, id, 1);
    }
}

/* What the others have said meanwhile waits to be read. */
static void test_who_was_away_himself_finds_nobody_silent(void **state)
{
    struct node *node = *state;

    liveness_on_link(node->liveness, OTHER, true);
    node->now_ns += UINT64_C(60000000000);
    liveness_tick(node->liveness);
    assert_true(liveness_is_alive(node->liveness, OTHER));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_is_connected_is_alive_until_it_is_silent),
        TEST(test_a_new_start_is_noticed_on_an_old_connection),
        TEST(test_who_is_not_connected_is_not_alive),
        TEST(test_any_number_of_nodes_may_come_and_go),
        TEST(test_who_was_away_himself_finds_nobody_silent),
    };

    return cmocka_run_group_tests_name("liveness", tests, NULL, NULL);
}
