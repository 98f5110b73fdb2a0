/* SPDX-License-Identifier: Apache-2.0 */

/* What region 0's leader makes of nodes that are lost, and of regions that
 * nobody leads: what it begins and gives up as time goes by. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/engine/placement_fixture.h"

static int setup(void **state)
{
    *state = placement_fixture_new();
    return 0;
}

static int teardown(void **state)
{
    placement_fixture_free(*state);
    return 0;
}

/* ---- nodes ---- */

/* Records of nodes stay for ever; who has a high id is a member nonetheless. */
static void test_removed_nodes_take_no_room_from_members(void **state)
{
    struct node *node = *state;
    struct goal goal = {.region = 1, .from = 16, .to = 14};
    char why[GOAL_WHY_SIZE];

    node->id = 14;
    for (uint64_t id = 1; id < 14; id++)
        put_node(node, id, NODE_REMOVED);
    put_nodes(node, 14, 17);
    tell(node, 1, "15v* 16v 17v");
    seconds(node, 10);
    assert_null(operator_of_region(node, 1));
    assert_int_equal(placement_check_goal(node->placement, &goal, why), 0);
    goal = (struct goal){.region = 1, .from = 17, .to = 14};
    assert_int_equal(placement_check_goal(node->placement, &goal, why), 0);
    goal = (struct goal){.region = 1, .from = 17, .to = 13};
    assert_int_equal(placement_check_goal(node->placement, &goal, why),
                     ERR_NOT_FOUND);
}

/* Its node is not gone: what is known of it is damaged. */
static void test_nothing_is_decided_from_a_damaged_record(void **state)
{
    struct node *node = *state;
    struct goal goal = {.region = 1, .from = 1, .to = 4};
    char why[GOAL_WHY_SIZE];

    put_nodes(node, 1, 4);
    tell(node, 1, "1v* 2v 3v");
    seconds(node, 10);
    put_damaged_node(node, 2);
    seconds(node, 10);
    assert_null(operator_of_region(node, 1));
    assert_int_equal(placement_check_goal(node->placement, &goal, why),
                     ERR_NOT_LEADER);
    put_node(node, 2, NODE_DRAINING);
    seconds(node, 10);
    assert_int_equal(operator_of_region(node, 1)->from, 2);
}

/* Not by a clock of placement's own. */
static void test_who_is_lost_is_what_region_0s_members_go_by(void **state)
{
    struct node *node = *state;

    put_nodes(node, 1, 4);
    tell(node, 1, "1v* 2v 3v");
    node->silent[3] = true;
    seconds(node, 1000);
    assert_null(operator_of_region(node, 1));
    node->lost[3] = true;
    seconds(node, 10);
    assert_int_equal(operator_of_region(node, 1)->from, 3);
    assert_int_equal(operator_of_region(node, 1)->to, 4);
}

/* What this leader has noticed of the one does not keep out the other. */
static void test_a_node_that_takes_anothers_place_is_listened_to(void **state)
{
    struct node *node = *state;

    put_nodes(node, 1, NODES_MAX);
    tell(node, 1, "1v* 2v 3v");
    seconds(node, 5);
    put_node(node, 9, NODE_REMOVED);
    put_node(node, NODES_MAX + 1, NODE_UP);
    seconds(node, 5);
    assert_int_equal(node->asked[NODES_MAX + 1], 0);
    node->leaders[1] = NODES_MAX + 1; /* Its report got lost. */
    seconds(node, 5);
    assert_true(node->asked[NODES_MAX + 1] > 0);
}

/* ---- operators that nobody has asked for ---- */

/* Whoever writes into `transfer` meanwhile is right. */
static void test_a_leader_made_by_hand_is_left_in_office(void **state)
{
    struct node *node = *state;

    node->each_ns = 1;
    node->regions = 3;
    put_nodes(node, 1, 3);
    tell(node, 1, "1v* 2v 3v");
    tell(node, 2, "1v* 2v 3v");
    tell(node, 3, "1v* 2v 3v");
    seconds(node, 70);
    assert_int_equal(operator_of_region(node, 2)->leader, 2);
    assert_int_equal(node->step.kind, STEP_TRANSFER);
    assert_int_equal(node->step_to, 1);
    tell(node, 2, "1v 2v 3v*");
    seconds(node, 10);
    assert_int_equal(operator_of_region(node, 2)->status, ERR_CANCELED);
    assert_int_equal(node->step_to, 1);
}

/* Its own doing is none of that. */
static void test_a_leader_that_was_chosen_ends_its_operator(void **state)
{
    struct node *node = *state;

    node->each_ns = 1;
    node->regions = 3;
    put_nodes(node, 1, 3);
    tell(node, 1, "1v* 2v 3v");
    tell(node, 2, "1v* 2v 3v");
    tell(node, 3, "1v* 2v 3v");
    seconds(node, 70);
    tell(node, 2, "1v 2v* 3v");
    second(node);
    assert_true(operator_of_region(node, 2)->end_ns != 0);
    assert_int_equal(operator_of_region(node, 2)->status, 0);
}

/* ---- regions that nobody leads ---- */

/* Its leader is the last to have told of it, and lost. */
static void test_a_region_without_a_leader_takes_no_place(void **state)
{
    struct node *node = *state;

    node->regions = 2;
    put_setting(node, SETTING_OPERATORS, 1);
    put_nodes(node, 1, 6);
    tell(node, 1, "4v* 5v 2v");
    tell(node, 2, "1v* 5v 2v");
    second(node);
    node->silent[4] = node->silent[5] = true;
    node->lost[4] = node->lost[5] = true;
    seconds(node, 30);
    assert_null(operator_of_region(node, 1));
    assert_int_equal(operator_of_region(node, 2)->from, 5);
}

/* One that is running when the leader is lost. */
static void test_what_nobody_carries_out_lets_others_begin(void **state)
{
    struct node *node = *state;

    node->regions = 2;
    put_setting(node, SETTING_OPERATORS, 1);
    put_nodes(node, 1, 6);
    put_node(node, 5, NODE_DRAINING);
    tell(node, 1, "4v* 5v 6v");
    tell(node, 2, "1v* 5v 2v");
    seconds(node, 5);
    assert_int_equal(operator_of_region(node, 1)->from, 5);
    assert_null(operator_of_region(node, 2));
    node->silent[4] = true;
    seconds(node, 5);
    assert_int_equal(operator_of_region(node, 1)->end_ns, 0);
    assert_int_equal(operator_of_region(node, 2)->from, 5);
}

static void test_what_nobody_carries_out_is_given_up(void **state)
{
    struct node *node = *state;

    put_nodes(node, 1, 6);
    put_node(node, 5, NODE_DRAINING);
    tell(node, 1, "4v* 5v 6v");
    seconds(node, 5);
    resign(node, 4);
    seconds(node, 590);
    assert_int_equal(operator_of_region(node, 1)->end_ns, 0);
    seconds(node, 10);
    assert_int_equal(operator_of_region(node, 1)->status, ERR_UNAVAILABLE);
    assert_string_equal(operator_of_region(node, 1)->why,
                        "nobody leads the region");
}

/* A merge needs both leaders; the one that goes moves first. */
static void test_a_merge_without_a_leader_is_given_up(void **state)
{
    struct node *node = *state;

    node->regions = 2;
    put_setting(node, SETTING_AUTO_MERGE, 1);
    put_setting(node, SETTING_OPERATORS, 1);
    put_nodes(node, 1, 6);
    tell(node, 1, "5v* 2v 3v");
    tell(node, 2, "4v* 2v 3v");
    seconds(node, 5);
    assert_int_equal(operator_of_region(node, 2)->into, 1);
    resign(node, 5);
    seconds(node, 590);
    assert_int_equal(operator_of_region(node, 2)->end_ns, 0);
    seconds(node, 15);
    assert_int_equal(operator_of_region(node, 2)->status, ERR_UNAVAILABLE);
    assert_string_equal(operator_of_region(node, 2)->why,
                        "nobody leads the region");
}

/* ---- telling of them ---- */

/* The packet that says so may be the one that got lost. */
static void test_that_there_are_no_operators_is_told_again(void **state)
{
    struct node *node = *state;
    unsigned sent;

    put_nodes(node, 1, 3);
    tell(node, 1, "1v* 2v 3v");
    seconds(node, 5);
    sent = node->operators_sent;
    seconds(node, 30);
    assert_int_equal(node->operators_sent, sent + 3);
    assert_int_equal(node->operators.count, 0);
    assert_int_equal(node->operators.term, node->peer->term);
}

static void hear(struct node *node, uint64_t term, uint64_t region)
{
    struct operators_view view = {
        .term = term, .operators = {{.region = region}}, .count = 1};
    struct buf *bytes = operators_encode(&view);

    placement_on_operators(node->placement, buf_slice(bytes));
    buf_unref(bytes);
}

static void test_an_old_leader_is_not_listened_to(void **state)
{
    struct node *node = *state;

    node->peer->serving = false;
    hear(node, 6, 1);
    hear(node, 5, 2);
    assert_non_null(operator_of_region(node, 1));
    assert_null(operator_of_region(node, 2));
    hear(node, 6, 2);
    assert_non_null(operator_of_region(node, 2));
    hear(node, 7, 3);
    assert_non_null(operator_of_region(node, 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_removed_nodes_take_no_room_from_members),
        TEST(test_nothing_is_decided_from_a_damaged_record),
        TEST(test_who_is_lost_is_what_region_0s_members_go_by),
        TEST(test_a_node_that_takes_anothers_place_is_listened_to),
        TEST(test_a_leader_made_by_hand_is_left_in_office),
        TEST(test_a_leader_that_was_chosen_ends_its_operator),
        TEST(test_a_region_without_a_leader_takes_no_place),
        TEST(test_what_nobody_carries_out_lets_others_begin),
        TEST(test_what_nobody_carries_out_is_given_up),
        TEST(test_a_merge_without_a_leader_is_given_up),
        TEST(test_that_there_are_no_operators_is_told_again),
        TEST(test_an_old_leader_is_not_listened_to),
    };

    return cmocka_run_group_tests_name("placement_lost", tests, NULL, NULL);
}
