/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "engine/node.h"
#include "exec_fixture.h"
#include "tests/engine/kv_helpers.h"

static struct node_record node_at(struct exec_fixture *f, uint64_t id)
{
    struct key key = key_node(id);
    struct kv_value value = {0};
    struct node_record node = {0};

    if (kv_get(f->state, NULL, key_slice(&key), &value) != 0)
        return node;
    assert_int_equal(node_decode(&node, (struct slice){value.data, value.size}),
                     0);
    kv_value_release(&value);
    return node;
}

/* A founder. */
static void put_node(struct exec_fixture *f, uint64_t id)
{
    struct node_record node = {.id = id, .state = NODE_UP, .address = "a:1"};
    struct buf *bytes = node_encode(&node);

    put_relaxed(f->state, key_node(id), buf_slice(bytes));
    buf_unref(bytes);
}

static void put_placement_of(struct exec_fixture *f, size_t learners)
{
    struct region region = {
        .conf_ver = 1,
        .version = 1,
        .peers = {{1, 1, PEER_VOTER}, {2, 2, PEER_LEARNER}},
        .peer_count = 1 + learners,
        .voters = {1},
        .voter_count = 1,
        .learners = {2},
        .learner_count = learners,
        .peer_max = 2,
    };
    struct buf *bytes = region_encode(&region);

    put_relaxed(f->state, key_region(REGION_PLACEMENT), buf_slice(bytes));
    buf_unref(bytes);
}

/* Node 1 votes, node 2 learns. */
static void put_placement(struct exec_fixture *f)
{
    put_placement_of(f, 1);
}

static int update(struct exec_fixture *f, uint64_t id, const char *address)
{
    struct command c = {
        .op = COMMAND_NODE_UPDATE, .node = id, .address = slice_of(address)};

    return run(f, &c);
}

/* A store that has the id `node` already, or 0. */
static int join_as(struct exec_fixture *f, uint64_t token, uint64_t node,
                   const char *address)
{
    struct command c = {.op = COMMAND_NODE_JOIN,
                        .token = token,
                        .target_node = node,
                        .address = slice_of(address)};

    return run(f, &c);
}

static int join(struct exec_fixture *f, uint64_t token, const char *address)
{
    return join_as(f, token, 0, address);
}

/* As somebody wants it who has seen the node's record. */
static int set_state(struct exec_fixture *f, uint64_t id, enum node_state to)
{
    struct command c = {.op = COMMAND_NODE_STATE,
                        .target_node = id,
                        .node_state = to,
                        .offset = node_at(f, id).epoch};

    return run(f, &c);
}

static void test_a_node_s_address_is_stored(void **state)
{
    struct exec_fixture *f = *state;
    char long_address[200];
    struct command c = {.op = COMMAND_NODE_UPDATE, .node = 3};

    assert_int_equal(update(f, 3, "[::1]:7420"), 0);
    assert_string_equal(node_at(f, 3).address, "[::1]:7420");
    assert_int_equal(update(f, 3, "b:2"), 0);
    assert_string_equal(node_at(f, 3).address, "b:2");
    memset(long_address, 'x', sizeof long_address);
    c.address = (struct slice){long_address, sizeof long_address};
    assert_int_equal(run(f, &c), ERR_INVALID);
}

static void test_an_address_changes_nothing_else(void **state)
{
    struct exec_fixture *f = *state;

    assert_int_equal(join(f, 5, "a:1"), 0);
    assert_int_equal(set_state(f, 1, NODE_DRAINING), 0);
    assert_int_equal(update(f, 1, "b:2"), 0);
    assert_int_equal(node_at(f, 1).state, NODE_DRAINING);
    assert_int_equal(node_at(f, 1).token, 5);
    put_placement(f);
    put_node(f, 2);
    assert_int_equal(set_state(f, 2, NODE_DRAINING), 0);
    assert_int_equal(set_state(f, 2, NODE_REMOVED), 0);
    assert_int_equal(update(f, 2, "b:2"), ERR_NOT_PERMITTED);
    assert_int_equal(node_at(f, 2).state, NODE_REMOVED);
}

static void test_who_joins_gets_the_next_id(void **state)
{
    struct exec_fixture *f = *state;

    put_node(f, 1);
    put_node(f, 7);
    assert_int_equal(join(f, 100, "[::1]:7420"), 0);
    assert_int_equal(f->result.first_id, 8);
    assert_int_equal(node_at(f, 8).id, 8);
    assert_int_equal(node_at(f, 8).state, NODE_UP);
    assert_true(node_at(f, 8).since_ns > 0);
    assert_string_equal(node_at(f, 8).address, "[::1]:7420");
    assert_int_equal(join(f, 101, "c:1"), 0);
    assert_int_equal(f->result.first_id, 9);
}

static void test_who_asks_again_gets_the_same_id(void **state)
{
    struct exec_fixture *f = *state;

    put_placement(f);
    put_node(f, 1);
    put_node(f, 2);
    assert_int_equal(join(f, 100, "b:1"), 0);
    assert_int_equal(join(f, 101, "c:1"), 0);
    assert_int_equal(join(f, 100, "b:2"), 0);
    assert_int_equal(f->result.first_id, 3);
    assert_string_equal(node_at(f, 3).address, "b:2");
    assert_int_equal(node_at(f, 5).id, 0);
    /* Also when its answer was not lost. */
    assert_int_equal(join_as(f, 100, 3, "b:3"), 0);
    assert_int_equal(f->result.first_id, 3);
    assert_string_equal(node_at(f, 3).address, "b:3");
}

/* It has an id, and nobody here has given it that. */
static void test_a_store_of_another_cluster_gets_no_id(void **state)
{
    struct exec_fixture *f = *state;

    put_placement(f);
    put_node(f, 1);
    assert_int_equal(join_as(f, 100, 2, "b:1"), ERR_FOREIGN);
    assert_int_equal(node_at(f, 2).id, 0);
    assert_int_equal(join(f, 100, "b:1"), 0);
    assert_int_equal(join_as(f, 100, 3, "c:1"), ERR_FOREIGN);
    assert_string_equal(node_at(f, 2).address, "b:1");
}

/* Node 2 has a replica, so it knows its id: who does not is another store. */
static void test_a_copy_of_a_node_s_store_is_refused(void **state)
{
    struct exec_fixture *f = *state;

    put_node(f, 1);
    put_placement_of(f, 0);
    assert_int_equal(join(f, 100, "b:1"), 0);
    assert_int_equal(f->result.first_id, 2);
    assert_int_equal(join(f, 100, "b:2"), 0);
    put_placement(f);
    assert_int_equal(join(f, 100, "c:1"), ERR_EXISTS);
    assert_string_equal(node_at(f, 2).address, "b:2");
    assert_int_equal(join_as(f, 100, 2, "c:1"), 0);
    assert_string_equal(node_at(f, 2).address, "c:1");
}

static void test_a_request_to_join_is_whole(void **state)
{
    struct exec_fixture *f = *state;

    put_node(f, 1); /* A founder's record has no token. */
    assert_int_equal(join(f, 0, "b:1"), ERR_INVALID);
    assert_int_equal(join(f, 5, ""), ERR_INVALID);
    assert_int_equal(node_at(f, 2).id, 0);
}

static void test_a_cluster_has_so_many_nodes_only(void **state)
{
    struct exec_fixture *f = *state;

    put_placement(f);
    for (uint64_t i = 1; i <= NODES_MAX; i++)
        assert_int_equal(join(f, i, "b:1"), 0);
    assert_int_equal(join(f, 99, "b:1"), ERR_QUOTA);
    assert_int_equal(join(f, 3, "b:1"), 0);
    /* A removed one leaves room, not its id. */
    assert_int_equal(set_state(f, 16, NODE_DRAINING), 0);
    assert_int_equal(join(f, 99, "b:1"), ERR_QUOTA);
    assert_int_equal(set_state(f, 16, NODE_REMOVED), 0);
    assert_int_equal(join(f, 99, "b:1"), 0);
    assert_int_equal(f->result.first_id, 17);
}

static void test_ids_end_somewhere(void **state)
{
    struct exec_fixture *f = *state;

    put_node(f, 0xfffe);
    assert_int_equal(join(f, 1, "b:1"), 0);
    assert_int_equal(f->result.first_id, 0xffff);
    assert_int_equal(join(f, 2, "b:1"), ERR_QUOTA);
}

static void test_a_node_is_drained_and_drained_no_more(void **state)
{
    struct exec_fixture *f = *state;

    put_node(f, 2);
    assert_int_equal(set_state(f, 2, NODE_DRAINING), 0);
    assert_int_equal(node_at(f, 2).state, NODE_DRAINING);
    assert_int_equal(set_state(f, 2, NODE_DRAINING), 0);
    assert_int_equal(set_state(f, 2, NODE_UP), 0);
    assert_int_equal(node_at(f, 2).state, NODE_UP);
    assert_int_equal(set_state(f, 3, NODE_DRAINING), ERR_NOT_FOUND);
    assert_int_equal(set_state(f, 2, (enum node_state)0), ERR_INVALID);
}

static void test_only_a_drained_node_is_removed(void **state)
{
    struct exec_fixture *f = *state;

    put_placement(f);
    put_node(f, 1);
    put_node(f, 2);
    assert_int_equal(set_state(f, 2, NODE_REMOVED), ERR_NOT_PERMITTED);
    assert_int_equal(set_state(f, 2, NODE_DRAINING), 0);
    assert_int_equal(set_state(f, 2, NODE_REMOVED), 0);
    assert_int_equal(node_at(f, 2).state, NODE_REMOVED);
}

/* An epoch is that of a fence: it is new with each state. */
static void test_each_state_has_its_epoch(void **state)
{
    struct exec_fixture *f = *state;
    uint64_t epoch;

    put_node(f, 2);
    assert_int_equal(node_at(f, 2).epoch, 0);
    assert_int_equal(set_state(f, 2, NODE_DRAINING), 0);
    epoch = node_at(f, 2).epoch;
    assert_int_equal(epoch, f->version);
    assert_int_equal(set_state(f, 2, NODE_DRAINING), 0);
    assert_int_equal(update(f, 2, "b:2"), 0);
    assert_int_equal(node_at(f, 2).epoch, epoch);
    assert_int_equal(set_state(f, 2, NODE_UP), 0);
    assert_true(node_at(f, 2).epoch > epoch);
}

static void test_who_was_up_meanwhile_is_not_removed(void **state)
{
    struct exec_fixture *f = *state;
    struct command c = {
        .op = COMMAND_NODE_STATE, .target_node = 2, .node_state = NODE_REMOVED};

    put_placement(f);
    put_node(f, 1);
    put_node(f, 2);
    assert_int_equal(set_state(f, 2, NODE_DRAINING), 0);
    c.offset = node_at(f, 2).epoch;
    assert_int_equal(set_state(f, 2, NODE_UP), 0);
    assert_int_equal(run(f, &c), ERR_NOT_PERMITTED);
    assert_int_equal(set_state(f, 2, NODE_DRAINING), 0);
    assert_int_equal(run(f, &c), ERR_ABORTED);
    assert_int_equal(node_at(f, 2).state, NODE_DRAINING);
    assert_int_equal(set_state(f, 2, NODE_REMOVED), 0);
}

static void test_who_votes_is_not_removed(void **state)
{
    struct exec_fixture *f = *state;

    put_placement(f);
    put_node(f, 1);
    assert_int_equal(set_state(f, 1, NODE_DRAINING), 0);
    assert_int_equal(set_state(f, 1, NODE_REMOVED), ERR_BUSY);
    assert_int_equal(node_at(f, 1).state, NODE_DRAINING);
}

static void test_a_removed_node_never_comes_back(void **state)
{
    struct exec_fixture *f = *state;

    put_placement(f);
    put_node(f, 1);
    assert_int_equal(join(f, 5, "b:1"), 0);
    assert_int_equal(set_state(f, 2, NODE_DRAINING), 0);
    assert_int_equal(set_state(f, 2, NODE_REMOVED), 0);
    assert_int_equal(set_state(f, 2, NODE_REMOVED), 0);
    assert_int_equal(set_state(f, 2, NODE_UP), ERR_NOT_PERMITTED);
    assert_int_equal(set_state(f, 2, NODE_DRAINING), ERR_NOT_PERMITTED);
    assert_int_equal(join(f, 5, "b:1"), ERR_NOT_PERMITTED);
    assert_int_equal(join(f, 6, "b:1"), 0);
    assert_int_equal(f->result.first_id, 3);
}

#define WITH_ROOT(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_exec, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_a_node_s_address_is_stored),
        WITH_ROOT(test_an_address_changes_nothing_else),
        WITH_ROOT(test_who_joins_gets_the_next_id),
        WITH_ROOT(test_who_asks_again_gets_the_same_id),
        WITH_ROOT(test_a_store_of_another_cluster_gets_no_id),
        WITH_ROOT(test_a_copy_of_a_node_s_store_is_refused),
        WITH_ROOT(test_a_request_to_join_is_whole),
        WITH_ROOT(test_a_cluster_has_so_many_nodes_only),
        WITH_ROOT(test_ids_end_somewhere),
        WITH_ROOT(test_a_node_is_drained_and_drained_no_more),
        WITH_ROOT(test_only_a_drained_node_is_removed),
        WITH_ROOT(test_each_state_has_its_epoch),
        WITH_ROOT(test_who_was_up_meanwhile_is_not_removed),
        WITH_ROOT(test_who_votes_is_not_removed),
        WITH_ROOT(test_a_removed_node_never_comes_back),
    };

    return cmocka_run_group_tests_name("exec_node", tests, NULL, NULL);
}
