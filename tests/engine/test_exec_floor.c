/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/floor.h"
#include "engine/node.h"
#include "exec_fixture.h"
#include "tests/engine/kv_helpers.h"

enum { CONF_VER = 7 };

static void put_node(struct exec_fixture *f, uint64_t id, enum node_state state)
{
    struct node_record node = {.id = id, .state = state, .address = "a:1"};
    struct buf *bytes = node_encode(&node);

    put_relaxed(f->state, key_node(id), buf_slice(bytes));
    buf_unref(bytes);
}

/* Nodes 1 and 2 are members. */
static void put_members(struct exec_fixture *f)
{
    struct region region = {
        .conf_ver = CONF_VER,
        .version = 1,
        .peers = {{1, 1, PEER_VOTER}, {2, 2, PEER_LEARNER}},
        .peer_count = 2,
        .voters = {1},
        .voter_count = 1,
        .learners = {2},
        .learner_count = 1,
        .peer_max = 2,
    };
    struct buf *bytes = region_encode(&region);

    put_relaxed(f->state, key_region(REGION_PLACEMENT), buf_slice(bytes));
    buf_unref(bytes);
    put_node(f, 1, NODE_UP);
    put_node(f, 2, NODE_UP);
}

static int raise_to(struct exec_fixture *f, uint64_t hlc, uint64_t roll)
{
    return run(
        f, &(struct command){.op = COMMAND_FLOOR, .size = hlc, .offset = roll});
}

static uint64_t floor_of(struct exec_fixture *f)
{
    struct floor floor;

    assert_int_equal(floor_get(f->state, NULL, &floor), 0);
    return floor.hlc;
}

static void test_members_are_those_of_region_0(void **state)
{
    struct exec_fixture *f = *state;
    struct floor_members members;

    assert_int_equal(floor_members_get(f->state, &members), 0);
    assert_int_equal(members.count, 0);
    assert_int_equal(members.roll, 0);
    put_members(f);
    assert_int_equal(floor_members_get(f->state, &members), 0);
    assert_int_equal(members.count, 2);
    assert_int_equal(members.roll, CONF_VER);
    assert_true(floor_has_member(&members, 2));
    assert_false(floor_has_member(&members, 3));
}

static void test_a_floor_only_rises(void **state)
{
    struct exec_fixture *f = *state;

    put_members(f);
    assert_int_equal(floor_of(f), 0);
    assert_int_equal(raise_to(f, 20, CONF_VER), 0);
    assert_int_equal(floor_of(f), 20);
    assert_int_equal(raise_to(f, 10, CONF_VER), 0);
    assert_int_equal(floor_of(f), 20);
}

static void test_a_floor_of_another_roll_is_none(void **state)
{
    struct exec_fixture *f = *state;

    put_members(f);
    assert_int_equal(raise_to(f, 20, CONF_VER - 1), ERR_ABORTED);
    assert_int_equal(raise_to(f, 20, CONF_VER + 1), ERR_ABORTED);
    assert_int_equal(floor_of(f), 0);
}

static void test_there_is_no_floor_without_a_node_that_belongs(void **state)
{
    struct exec_fixture *f = *state;

    put_members(f);
    put_node(f, 3, NODE_UP);
    assert_int_equal(raise_to(f, 20, CONF_VER), ERR_ABORTED);
    put_node(f, 3, NODE_DRAINING);
    assert_int_equal(raise_to(f, 20, CONF_VER), ERR_ABORTED);
    put_node(f, 3, NODE_REMOVED);
    assert_int_equal(raise_to(f, 20, CONF_VER), 0);
}

static void test_what_is_withdrawn_is_another_roll(void **state)
{
    struct exec_fixture *f = *state;
    struct floor_members members;

    put_members(f);
    put_node(f, 3, NODE_UP);
    assert_int_equal(raise_to(f, 0, CONF_VER), 0);
    assert_int_equal(raise_to(f, 0, CONF_VER), ERR_ABORTED);
    assert_int_equal(floor_members_get(f->state, &members), 0);
    assert_int_equal(members.roll, CONF_VER + 1);
    put_node(f, 3, NODE_REMOVED);
    assert_int_equal(raise_to(f, 20, CONF_VER), ERR_ABORTED);
    assert_int_equal(raise_to(f, 20, CONF_VER + 1), 0);
    assert_int_equal(floor_of(f), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_members_are_those_of_region_0,
                                        setup_exec, teardown_exec),
        cmocka_unit_test_setup_teardown(test_a_floor_only_rises, setup_exec,
                                        teardown_exec),
        cmocka_unit_test_setup_teardown(test_a_floor_of_another_roll_is_none,
                                        setup_exec, teardown_exec),
        cmocka_unit_test_setup_teardown(
            test_there_is_no_floor_without_a_node_that_belongs, setup_exec,
            teardown_exec),
        cmocka_unit_test_setup_teardown(test_what_is_withdrawn_is_another_roll,
                                        setup_exec, teardown_exec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
