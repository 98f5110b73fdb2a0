/* SPDX-License-Identifier: Apache-2.0 */

/* What a read waits for before each look at this node's state/. The replicas,
 * their barriers and what a look finds are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/reader_impl.h"
#include "tests/engine/fake_env.h"

enum { SINCE_NS = 500 };

struct peer {
    struct region region;
};

struct node {
    struct fake_env fake;
    struct peer placement;
    struct peer data;
    struct reader *reader;
    struct read_run run; /* the last look */
    unsigned looks;
    unsigned waits;
    uint64_t since_ns; /* of the last one */
};

/* ---- node.h, peer.h ---- */

struct env *node_env(struct node *node)
{
    return &node->fake.env;
}

struct reader *node_reader(const struct node *node)
{
    return node->reader;
}

struct router *node_router(const struct node *node)
{
    (void)node;
    return NULL;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    return (struct peer *)(uintptr_t)(region == REGION_PLACEMENT
                                          ? &node->placement
                                          : &node->data);
}

struct peer *node_peer_at(const struct node *node, struct slice user_key)
{
    (void)user_key;
    return node_peer(node, REGION_FIRST_DATA);
}

struct barrier *node_read_barrier(const struct node *node, uint64_t region)
{
    (void)region;
    return (struct barrier *)(uintptr_t)node;
}

const struct region *peer_region(const struct peer *peer)
{
    return &peer->region;
}

uint64_t peer_region_id(const struct peer *peer)
{
    return peer->region.id;
}

bool peer_is_damaged(const struct peer *peer)
{
    (void)peer;
    return false;
}

bool peer_is_leader(const struct peer *peer)
{
    (void)peer;
    return false;
}

bool peer_was_just_mended(const struct peer *peer)
{
    (void)peer;
    return false;
}

bool peer_found_damage(struct peer *peer, const char *what)
{
    (void)peer;
    (void)what;
    return true;
}

/* ---- barrier.h ---- */

void barrier_wait(struct barrier *barrier, struct barrier_wait *wait)
{
    struct node *node = (struct node *)barrier;

    node->waits++;
    node->since_ns = wait->since_ns;
    wait->done(wait);
}

void barrier_cancel(struct barrier_wait *wait)
{
    (void)wait;
}

/* ---- router.h: nobody else is asked ---- */

void router_to_region(struct router_call *call, uint64_t region)
{
    (void)call;
    (void)region;
    fail();
}

void router_to_key(struct router_call *call, const struct key *user_key)
{
    (void)call;
    (void)user_key;
    fail();
}

void router_to_place(struct router_call *call, uint64_t dir, struct slice name)
{
    (void)call;
    (void)dir;
    (void)name;
    fail();
}

void router_call(struct router *router, struct router_call *call,
                 struct command *command)
{
    (void)router;
    (void)call;
    (void)command;
    fail();
}

void router_cancel(struct router *router, struct router_call *call)
{
    (void)router;
    (void)call;
}

/* ---- reader_run.c, read.h ---- */

void reader_run(struct read_op *op)
{
    struct node *node = op->node;

    node->looks++;
    op->run = &node->run;
    node->run = (struct read_run){.op = op};
}

struct key read_first_key(const struct command *command)
{
    return key_user('d', command->dir, command->name);
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    fake_env_init(&node->fake, NULL, NULL);
    node->placement.region.id = REGION_PLACEMENT;
    node->data.region.id = REGION_FIRST_DATA;
    node->reader = reader_new(node);
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    reader_free(node->reader);
    free(node);
    return 0;
}

static int answered;

static void on_answer(struct read_op *op, int status, struct result *result)
{
    (void)op;
    (void)result;
    answered = status;
}

static void look_up(struct node *node, struct read_op *op, uint64_t since_ns)
{
    static const struct command command = {
        .op = COMMAND_LOOKUP, .dir = NSID_ROOT, .name = {"a", 1}};

    answered = 1;
    *op = (struct read_op){.command = &command,
                           .deadline_ns = UINT64_MAX / 2,
                           .since_ns = since_ns,
                           .done = on_answer};
    reader_start(node->reader, op);
}

static void find(struct node *node, int status)
{
    node->run.result.status = status;
    reader_finish_run(node->run.op, &node->run);
}

/* ---- tests ---- */

static void test_a_read_waits_for_the_catalog_and_for_its_region(void **state)
{
    struct node *node = *state;
    struct read_op op;

    look_up(node, &op, 0);
    assert_int_equal(node->waits, 2);
    assert_int_equal(node->since_ns, 0);
    find(node, ERR_NOT_FOUND);
    assert_int_equal(answered, ERR_NOT_FOUND);
    assert_int_equal(node->looks, 1);
}

/* What it has met has to be found again by one that comes behind barriers. */
static void test_only_the_first_look_may_be_of_an_earlier_moment(void **state)
{
    struct node *node = *state;
    struct read_op op;

    look_up(node, &op, SINCE_NS);
    assert_int_equal(node->since_ns, SINCE_NS);
    find(node, ERR_LOCKED);
    assert_int_equal(node->looks, 2);
    assert_int_equal(node->waits, 4);
    assert_int_equal(node->since_ns, 0);
    find(node, 0);
    assert_int_equal(answered, 0);
}

/* By the leader, that a change was made: it may not be applied here. */
static void test_nobody_sees_less_than_was_answered_here(void **state)
{
    struct node *node = *state;
    struct read_op op;

    fake_env_pass(&node->fake, 1);
    reader_note_answer(node->reader);
    look_up(node, &op, env_mono_ns(&node->fake.env));
    assert_int_equal(node->since_ns, 0);
    find(node, 0);
    fake_env_pass(&node->fake, 1);
    look_up(node, &op, env_mono_ns(&node->fake.env));
    assert_int_equal(node->since_ns, env_mono_ns(&node->fake.env));
    find(node, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* clang-format off */
        cmocka_unit_test_setup_teardown(test_a_read_waits_for_the_catalog_and_for_its_region, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_the_first_look_may_be_of_an_earlier_moment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_sees_less_than_was_answered_here, setup, teardown),
        /* clang-format on */
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
