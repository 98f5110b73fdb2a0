/* SPDX-License-Identifier: Apache-2.0 */

/* Raft messages leave in one packet for each node and turn. Tasks run when the
 * test lets them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/node.h"
#include "engine/outbox.h"

struct fixture {
    struct env env;
    struct env_task *task; /* that was posted */
    struct outbox *outbox;
    uint64_t sent_to; /* the last packet */
    unsigned packets;
    unsigned messages;
};

static struct fixture *fixture_of(struct env *env)
{
    return container_of(env, struct fixture, env);
}

static void post(struct env *env, enum env_owner owner, struct env_task *task)
{
    assert_int_equal(owner, ENV_WORKER);
    assert_null(fixture_of(env)->task);
    fixture_of(env)->task = task;
}

static void count_message(void *context, const struct raft_envelope *envelope)
{
    struct fixture *f = context;

    assert_int_equal(envelope->region, 1);
    f->messages++;
}

static void on_send(struct env *env, uint64_t node_id, enum env_channel channel,
                    const struct env_packet *packet)
{
    struct fixture *f = fixture_of(env);

    assert_int_equal(channel, ENV_CHANNEL_RAFT);
    assert_int_equal(raft_batch_decode(packet, count_message, f), 0);
    f->packets++;
    f->sent_to = node_id;
}

static const struct env_ops ops = {.post = post, .send = on_send};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->env.ops = &ops;
    f->outbox = outbox_new(&f->env);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    outbox_free(f->outbox);
    free(f);
    return 0;
}

static void add(struct fixture *f, uint64_t to_node)
{
    struct raft_message message = {
        .type = RAFT_MSG_HEARTBEAT, .from = 1, .to = 2};

    outbox_add(f->outbox, to_node, 1, &message);
}

static void end_turn(struct fixture *f)
{
    struct env_task *task = f->task;

    assert_non_null(task);
    f->task = NULL;
    task->run(task);
}

static void test_a_turn_makes_one_packet_for_each_node(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++) {
        add(f, 2);
        add(f, 3);
    }
    assert_int_equal(f->packets, 0);
    end_turn(f);
    assert_int_equal(f->packets, 2);
    assert_int_equal(f->messages, 6);
}

/* Nodes are removed and others join: ids are never used again. */
static void test_any_number_of_nodes_may_come_and_go(void **state)
{
    struct fixture *f = *state;

    for (uint64_t id = 2; id < 10 * NODES_MAX; id++) {
        add(f, id);
        end_turn(f);
        assert_int_equal(f->sent_to, id);
        assert_int_equal(f->packets, id - 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_turn_makes_one_packet_for_each_node),
        TEST(test_any_number_of_nodes_may_come_and_go),
    };

    return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
