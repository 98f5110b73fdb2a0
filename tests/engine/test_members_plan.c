/* SPDX-License-Identifier: Apache-2.0 */

/* Which step region 0's leader takes next, one by one; random clusters are
 * in test_members_plan_random.c. */

#include "members_plan_fixture.h"

static void lose(struct cluster *c, uint64_t id)
{
    node_at(c, id)->up = false;
    node_at(c, id)->lost = true;
    node_at(c, id)->caught_up = false;
}

static void expect(struct cluster c, const char *step)
{
    assert_string_equal(plan(&c), step);
}

static void test_nothing_is_done_when_all_is_well(void **state)
{
    (void)state;
    expect(make("v"), "");
    expect(make("vl"), "");
    expect(make("vvv"), "");
    expect(make("vvvl"), "");
    expect(make("vvvvv"), "");
    expect(make("vvvvvl"), "");
}

static void test_a_new_node_gets_a_learner(void **state)
{
    struct cluster c = make("v-");

    (void)state;
    assert_string_equal(plan(&c), "+l12");
    assert_int_equal(c.step.change.steps[0].node, 2);
    expect(make("v--"), "+l12");
    c = make("v--");
    node_at(&c, 2)->up = false;
    assert_string_equal(plan(&c), "+l12");
    assert_int_equal(c.step.change.steps[0].node, 3);
    node_at(&c, 3)->up = false;
    assert_string_equal(plan(&c), "");
}

static void test_a_peer_id_is_greater_than_all_before(void **state)
{
    struct cluster c = make("v-");

    (void)state;
    c.region.peer_max = 99;
    assert_string_equal(plan(&c), "+l100");
}

static void test_votes_are_odd(void **state)
{
    (void)state;
    expect(make("vll"), "+v12 +v13");
    expect(make("vvl"), "+v13");
    expect(make("vvvll"), "+v14 +v15");
    expect(make("vvvvv"), "");
    expect(make("vv"), "+l12");
    expect(make("vvvv"), "+l14");
    expect(make("vvvvvv"), "+l16");
}

static void test_who_lags_does_not_vote(void **state)
{
    struct cluster c = make("vll");

    (void)state;
    node_at(&c, 3)->caught_up = false;
    assert_string_equal(plan(&c), "");
    c = make("vll");
    node_at(&c, 2)->up = false;
    assert_string_equal(plan(&c), "");
}

static void test_who_is_away_for_a_while_goes_on_voting(void **state)
{
    struct cluster c = make("vvvl");

    (void)state;
    node_at(&c, 3)->up = node_at(&c, 3)->caught_up = false;
    assert_string_equal(plan(&c), "");
}

static void test_who_is_lost_is_replaced(void **state)
{
    struct cluster c = make("vvvl");

    (void)state;
    lose(&c, 3);
    assert_string_equal(plan(&c), "+l13 +v14");
    c = make("vvv");
    lose(&c, 3);
    assert_string_equal(plan(&c), "");
    c = make("vvvvv");
    lose(&c, 3);
    lose(&c, 4);
    assert_string_equal(plan(&c), "");
}

static void test_who_comes_back_does_not_push_others_out(void **state)
{
    struct cluster c = make("vvlv");

    (void)state;
    assert_string_equal(plan(&c), "");
}

static void test_who_is_drained_does_not_vote(void **state)
{
    struct cluster c = make("vvvl");

    (void)state;
    node_at(&c, 3)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l13 +v14");
    c = make("vvv");
    node_at(&c, 3)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l12 +l13");
    c = make("vvvvv");
    node_at(&c, 5)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l14 +l15");
    c = make("vvl");
    node_at(&c, 3)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l12");
}

static void test_the_last_one_goes_on_voting(void **state)
{
    struct cluster c = make("vl");

    (void)state;
    node_at(&c, 1)->state = node_at(&c, 2)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "");
    c = make("vl");
    node_at(&c, 1)->state = NODE_DRAINING;
    node_at(&c, 2)->caught_up = false;
    assert_string_equal(plan(&c), "");
}

static void test_a_drained_node_keeps_and_gets_a_learner(void **state)
{
    struct cluster c = make("vvvl-");

    (void)state;
    node_at(&c, 4)->state = node_at(&c, 5)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l15");
    c = make("vvvl");
    node_at(&c, 4)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "");
}

static void test_a_removed_node_loses_its_replica(void **state)
{
    struct cluster c = make("vvvl-");

    (void)state;
    node_at(&c, 4)->state = NODE_REMOVED;
    node_at(&c, 5)->state = NODE_REMOVED;
    assert_string_equal(plan(&c), "-14");
    lose(&c, 4);
    assert_string_equal(plan(&c), "-14");
    c = make("vvv-");
    node_at(&c, 4)->state = NODE_REMOVED;
    assert_string_equal(plan(&c), "");
}

static void test_a_leader_that_is_drained_hands_over(void **state)
{
    struct cluster c = make("vvvl");

    (void)state;
    node_at(&c, 1)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "to 2");
    node_at(&c, 2)->caught_up = false;
    assert_string_equal(plan(&c), "to 3");
    /* Nobody to hand over to: the change itself makes it step down. */
    c = make("vl");
    node_at(&c, 1)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "+l11 +v12");
}

static void test_no_majority_is_given_away(void **state)
{
    struct cluster c = make("vvvvv");

    (void)state;
    node_at(&c, 4)->up = node_at(&c, 5)->up = false;
    node_at(&c, 3)->state = NODE_DRAINING;
    /* Of 1, 2 and one that is away a majority is there. */
    assert_string_equal(plan(&c), "+l13 +l15");
    node_at(&c, 2)->state = NODE_DRAINING;
    assert_string_equal(plan(&c), "");
}

static void test_a_joint_configuration_is_left_first(void **state)
{
    struct cluster c = make("vvv-");

    (void)state;
    c.region.voters_outgoing[0] = 11;
    c.region.voter_outgoing_count = 1;
    c.region.auto_leave = true;
    assert_string_equal(plan(&c), "leave");
    c.region.auto_leave = false;
    assert_string_equal(plan(&c), "leave");
}

static void test_there_is_room_for_so_many_replicas_only(void **state)
{
    struct cluster c = make("vvvvvlllllllllll-");

    (void)state;
    assert_int_equal(c.region.peer_count, REGION_PEERS_MAX);
    assert_string_equal(plan(&c), "");
    node_at(&c, 16)->state = NODE_REMOVED;
    assert_string_equal(plan(&c), "-26");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_done_when_all_is_well),
        cmocka_unit_test(test_a_new_node_gets_a_learner),
        cmocka_unit_test(test_a_peer_id_is_greater_than_all_before),
        cmocka_unit_test(test_votes_are_odd),
        cmocka_unit_test(test_who_lags_does_not_vote),
        cmocka_unit_test(test_who_is_away_for_a_while_goes_on_voting),
        cmocka_unit_test(test_who_is_lost_is_replaced),
        cmocka_unit_test(test_who_comes_back_does_not_push_others_out),
        cmocka_unit_test(test_who_is_drained_does_not_vote),
        cmocka_unit_test(test_the_last_one_goes_on_voting),
        cmocka_unit_test(test_a_drained_node_keeps_and_gets_a_learner),
        cmocka_unit_test(test_a_removed_node_loses_its_replica),
        cmocka_unit_test(test_a_leader_that_is_drained_hands_over),
        cmocka_unit_test(test_no_majority_is_given_away),
        cmocka_unit_test(test_a_joint_configuration_is_left_first),
        cmocka_unit_test(test_there_is_room_for_so_many_replicas_only),
    };

    return cmocka_run_group_tests_name("members_plan", tests, NULL, NULL);
}
