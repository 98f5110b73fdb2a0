/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plan_texts.h"
#include "raft/base/err.h"

static const char *next(const char *region, const char *nodes,
                        struct plan_goal goal)
{
    struct plan_case c = plan_case(region, nodes);
    struct plan plan;

    plan_next(&c.report, c.leader, &c.nodes, &goal, &plan);
    return plan_text(&plan);
}

static struct plan_goal move(uint64_t from, uint64_t to)
{
    return (struct plan_goal){.from = from, .to = to};
}

/* All steps from here to the end, as their texts with commas between. */
static const char *all_steps(struct plan_case *c, struct plan_goal goal)
{
    static char text[512];
    size_t used = 0;

    for (int i = 0; i < 12; i++) {
        struct plan plan;

        plan_next(&c->report, c->leader, &c->nodes, &goal, &plan);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                 i > 0 ? ", " : "", plan_text(&plan));
        if (plan.step.kind < STEP_REPORT)
            break;
        plan_do(c, &plan);
    }
    return text;
}

static const char *run(const char *region, const char *nodes,
                       struct plan_goal goal)
{
    struct plan_case c = plan_case(region, nodes);

    return all_steps(&c, goal);
}

/* ---- moves ---- */

static void test_a_move_goes_by_learner_joint_change_and_removal(void **state)
{
    (void)state;
    assert_string_equal(run("1v* 2v 3v", "1 2 3 4", move(2, 4)),
                        "add 4, voters -2 +4, leave, remove 2, none");
}

static void test_a_leader_that_is_moved_hands_over_first(void **state)
{
    (void)state;
    assert_string_equal(
        run("1v 2v* 3v", "1 2 3 4", move(2, 4)),
        "add 4, transfer 1, voters -2 +4, leave, remove 2, none");
}

static void test_a_new_replica_is_a_learner_where_three_vote(void **state)
{
    (void)state;
    assert_string_equal(run("1v* 2v 3v", "1 2 3 4", move(0, 4)), "add 4, none");
}

static void test_two_replicas_are_a_voter_and_a_learner(void **state)
{
    (void)state;
    assert_string_equal(run("1v*", "1 2", move(0, 2)), "add 2, none");
    assert_string_equal(run("1v* 2v 3v", "1 2 3", move(2, 0)),
                        "voters -2 -3, leave, remove 2, none");
}

static void test_one_voter_becomes_three_in_one_change(void **state)
{
    (void)state;
    assert_string_equal(run("1v* 2l", "1 2 3", move(0, 3)),
                        "add 3, voters +2 +3, leave, none");
}

static void test_four_replicas_become_five_voters_if_five_are_set(void **state)
{
    struct plan_case c = plan_case("1v* 2v 3v 4l", "1 2 3 4 5");

    (void)state;
    c.nodes.replicas = 5;
    assert_string_equal(all_steps(&c, move(0, 5)),
                        "add 5, voters +4 +5, leave, none");
}

/* Nobody who stays could lead: the new voter does before the old one is out of
 * office. */
static void test_a_lone_voter_hands_over_inside_the_joint_state(void **state)
{
    (void)state;
    assert_string_equal(
        run("1v*", "1 2", move(1, 2)),
        "add 2, voters -1 +2, transfer 2, leave, remove 1, none");
}

static void test_a_moved_learner_stays_one(void **state)
{
    (void)state;
    assert_string_equal(run("1v* 2l", "1 2 3", move(2, 3)),
                        "add 3, remove 2, none");
}

static void test_who_takes_a_voters_place_votes(void **state)
{
    (void)state;
    assert_string_equal(run("1v* 2v 3v 5l", "1 2 3 4 5", move(2, 4)),
                        "add 4, voters -2 +4, leave, remove 2, none");
}

/* Rule 1, wherever the region has come from. */
static void test_even_numbers_of_voters_are_mended(void **state)
{
    (void)state;
    assert_string_equal(run("1v* 2v", "1 2", move(0, 0)), "voters -2, none");
    assert_string_equal(run("1v* 2v 3v 4v", "1 2 3 4", move(0, 0)),
                        "voters -4, none");
    assert_string_equal(run("1v* 2l 3l", "1 2 3", move(0, 0)),
                        "voters +2 +3, leave, none");
}

/* ---- waiting ---- */

static void test_a_learner_that_lags_is_waited_for(void **state)
{
    (void)state;
    assert_string_equal(next("1v* 2v 3v 4l?", "1 2 3 4", move(2, 4)), "wait");
    assert_string_equal(next("1v* 2v 3v 4l!", "1 2 3 4", move(2, 4)), "wait");
    assert_string_equal(next("1v* 2v 3v 4ld", "1 2 3 4", move(2, 4)), "wait");
    assert_string_equal(next("1v* 2v 3v 4l?", "1 2 3 4", move(0, 4)), "wait");
    assert_string_equal(next("1v* 2l 4l?", "1 2 4", move(2, 4)), "wait");
}

static void test_a_node_that_is_away_is_waited_for(void **state)
{
    (void)state;
    assert_string_equal(next("1v* 2v 3v", "1 2 3 4-", move(2, 4)), "wait");
    assert_string_equal(next("1v* 2v 3v 4l", "1 2 3 4-", move(2, 4)), "wait");
}

static void test_a_node_that_is_lost_or_going_is_no_target(void **state)
{
    (void)state;
    assert_string_equal(next("1v* 2v 3v", "1 2 3 4x", move(2, 4)), "fail");
    assert_string_equal(next("1v* 2v 3v", "1 2 3 4g", move(2, 4)), "fail");
    assert_string_equal(next("1v* 2v 3v", "1 2 3 4r", move(2, 4)), "fail");
    assert_string_equal(next("1v* 2v 3v", "1 2 3", move(2, 4)), "fail");
    assert_string_equal(next("1v* 2v 3v 4l", "1 2 3 4x", move(2, 4)), "fail");
}

/* ---- quorums ---- */

static void test_no_step_leaves_too_few_voters_that_can_be_reached(void **state)
{
    (void)state;
    /* With 2 gone, 3 silent and 4 new, 1 and 4 are enough. */
    assert_string_equal(next("1v* 2v 3v! 4l", "1 2 3- 4", move(2, 4)),
                        "voters -2 +4");
    /* Of 1, 3 and 4 only the leader is left. */
    assert_string_equal(next("1v* 2v 3v! 4l", "1 2 3- 4-", move(2, 4)), "wait");
    /* One voter would be left, and it cannot be reached. */
    assert_string_equal(next("2v* 3v!", "2 3-", move(2, 0)), "wait");
}

static void test_a_lost_voter_is_replaced_without_it(void **state)
{
    (void)state;
    assert_string_equal(run("1v* 2v 3v!", "1 2 3x 4", move(3, 4)),
                        "add 4, voters -3 +4, leave, remove 3, none");
}

static void test_the_last_replica_is_not_removed(void **state)
{
    (void)state;
    assert_string_equal(next("1v*", "1 2", move(1, 0)), "fail");
}

static void test_leadership_goes_only_to_who_is_ready(void **state)
{
    (void)state;
    assert_string_equal(next("1v? 2v* 3v 4l", "1 2 3 4", move(2, 4)),
                        "transfer 3");
    assert_string_equal(next("1v! 2v* 3v 4l", "1- 2 3 4", move(2, 4)),
                        "transfer 3");
    /* Nobody is: then in the joint state. */
    assert_string_equal(next("1v? 2v* 3vd 4l", "1 2 3 4", move(2, 4)),
                        "voters -2 +4");
}

/* ---- joint states ---- */

static void test_a_joint_state_is_left_whatever_is_wanted(void **state)
{
    const char *region = "1b* 2o 3b 4n";

    (void)state;
    assert_string_equal(next(region, "1 2 3 4", move(0, 0)), "leave");
    assert_string_equal(next(region, "1 2 3 4", move(2, 4)), "leave");
    assert_string_equal(next(region, "1 2 3 4", move(4, 2)), "leave");
    assert_string_equal(next(region, "1- 2- 3x 4r", move(9, 8)), "leave");
}

static void test_an_outgoing_leader_hands_over_before_it_leaves(void **state)
{
    (void)state;
    assert_string_equal(next("1n 2o*", "1 2", move(0, 0)), "transfer 1");
    assert_string_equal(next("1n? 2o*", "1 2", move(0, 0)), "leave");
}

static void test_raft_leaves_by_itself_where_it_was_told_to(void **state)
{
    struct plan_case c = plan_case("1b* 2o 3b 4n", "1 2 3 4");
    struct plan plan;

    (void)state;
    c.report.region.auto_leave = true;
    plan_next(&c.report, c.leader, &c.nodes, &(struct plan_goal){0}, &plan);
    assert_string_equal(plan_text(&plan), "wait");
}

/* ---- epochs and repetition ---- */

/* Rule 4, and planning twice gives the same. */
static void test_a_step_names_the_epoch_it_is_for(void **state)
{
    struct plan_case c = plan_case("1v* 2v 3v", "1 2 3 4");
    struct plan_goal goal = move(2, 4);
    struct plan plan;
    struct plan again;

    (void)state;
    plan_next(&c.report, c.leader, &c.nodes, &goal, &plan);
    assert_int_equal(plan.step.region, 1);
    assert_int_equal(plan.step.conf_ver, 7);
    assert_int_equal(plan.step.version, 3);
    plan_next(&c.report, c.leader, &c.nodes, &goal, &again);
    assert_memory_equal(&plan, &again, sizeof plan);
}

/* A goal that is reached has no step, also when it was reached by others. */
static void test_a_goal_that_is_reached_stays_so(void **state)
{
    (void)state;
    assert_string_equal(next("1v* 3v 4v", "1 2 3 4", move(2, 4)), "none");
    assert_string_equal(next("1v* 3v 4v", "1 2 3 4", move(2, 0)), "none");
    assert_string_equal(next("1v* 3v 4v", "1 2 3 4", move(0, 4)), "none");
}

/* From any roles of four replicas, whoever leads, and with any goal, planning
 * comes to its end with rule 1 kept and rule 2 never broken. */
static void check_voters(const struct plan_case *c)
{
    size_t voters = c->report.region.voter_count;

    assert_true(voters == 1 || voters == 3);
    assert_int_equal(c->report.region.voter_outgoing_count, 0);
}

static void make_region(unsigned roles, unsigned leader, char text[32])
{
    size_t used = 0;

    for (unsigned node = 1; node <= 4; node++) {
        unsigned role = roles >> 2 * (node - 1) & 3;

        if (role == 0)
            continue;
        used += (size_t)snprintf(
            text + used, 32 - used, "%s%u%s%s", used > 0 ? " " : "", node,
            role == 1 ? "l" : "v", node == leader ? "*" : "");
    }
}

static bool can_lead(unsigned roles, unsigned leader)
{
    return (roles >> 2 * (leader - 1) & 3) == 2;
}

static bool has_no_third_role(unsigned roles)
{
    return (roles & roles >> 1 & 0x55) == 0;
}

static void try_goal(const char *region, uint64_t from, uint64_t to)
{
    struct plan_case c = plan_case(region, "1 2 3 4 5");
    const char *steps = all_steps(&c, move(from, to));

    if (strstr(steps, "none") == NULL) {
        assert_non_null(strstr(steps, "fail"));
        return;
    }
    check_voters(&c);
    if (to != 0)
        assert_non_null(plan_find_peer(&c.report, to));
    if (from != 0)
        assert_null(plan_find_peer(&c.report, from));
}

static void try_all_goals(const char *region)
{
    for (uint64_t from = 0; from <= 4; from++)
        for (uint64_t to = 0; to <= 5; to++)
            if (from != to || from == 0)
                try_goal(region, from, to);
}

static void test_every_goal_is_reached_from_everywhere(void **state)
{
    (void)state;
    for (unsigned roles = 1; roles < 256; roles++)
        for (unsigned leader = 1; leader <= 4; leader++) {
            char region[32];

            if (!has_no_third_role(roles) || !can_lead(roles, leader))
                continue;
            make_region(roles, leader, region);
            try_all_goals(region);
        }
}

/* ---- leaders ---- */

static void test_a_wanted_leader_gets_leadership(void **state)
{
    (void)state;
    assert_string_equal(
        next("1v* 2v 3v", "1 2 3", (struct plan_goal){.leader = 3}),
        "transfer 3");
    assert_string_equal(
        next("1v* 2v 3v?", "1 2 3", (struct plan_goal){.leader = 3}), "fail");
    assert_string_equal(
        next("1v* 2v 3l", "1 2 3", (struct plan_goal){.leader = 1}),
        "voters +3");
    assert_string_equal(
        next("1v* 2v 3v", "1 2 3", (struct plan_goal){.leader = 1}), "none");
}

/* ---- checking before ---- */

static int check(const char *region, const char *nodes, struct plan_goal goal)
{
    struct plan_case c = plan_case(region, nodes);
    char why[GOAL_WHY_SIZE] = "";
    int rc = plan_check(&c.report, c.leader, &c.nodes, &goal, why);

    assert_int_equal(rc == 0, why[0] == '\0');
    return rc;
}

static void test_impossible_moves_are_refused_with_a_reason(void **state)
{
    const char *three = "1v* 2v 3v";

    (void)state;
    assert_int_equal(check(three, "1 2 3 4", move(2, 4)), 0);
    assert_int_equal(check(three, "1 2 3 4", move(2, 0)), 0);
    assert_int_equal(check(three, "1 2 3", move(2, 4)), ERR_NOT_FOUND);
    assert_int_equal(check(three, "1 2 3", move(4, 2)), ERR_NOT_FOUND);
    assert_int_equal(check(three, "1 2 3 4r", move(2, 4)), ERR_NOT_FOUND);
    assert_int_equal(check(three, "1 2 3", move(2, 3)), ERR_INVALID);
    assert_int_equal(check(three, "1 2 3 4 5", move(4, 5)), ERR_INVALID);
    assert_int_equal(check(three, "1 2 3 4-", move(2, 4)), ERR_NOT_PERMITTED);
    assert_int_equal(check(three, "1 2 3 4g", move(2, 4)), ERR_NOT_PERMITTED);
    assert_int_equal(check("1v*", "1", move(1, 0)), ERR_NOT_PERMITTED);
    assert_int_equal(check("1v* 2v 3v!", "1 2 3-", move(0, 4)), ERR_NOT_FOUND);
    assert_int_equal(check("1v* 2v! 3v!", "1 2- 3- 4", move(1, 4)),
                     ERR_NOT_PERMITTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_move_goes_by_learner_joint_change_and_removal),
        cmocka_unit_test(test_a_leader_that_is_moved_hands_over_first),
        cmocka_unit_test(test_a_new_replica_is_a_learner_where_three_vote),
        cmocka_unit_test(test_two_replicas_are_a_voter_and_a_learner),
        cmocka_unit_test(test_one_voter_becomes_three_in_one_change),
        cmocka_unit_test(test_four_replicas_become_five_voters_if_five_are_set),
        cmocka_unit_test(test_a_lone_voter_hands_over_inside_the_joint_state),
        cmocka_unit_test(test_a_moved_learner_stays_one),
        cmocka_unit_test(test_who_takes_a_voters_place_votes),
        cmocka_unit_test(test_even_numbers_of_voters_are_mended),
        cmocka_unit_test(test_a_learner_that_lags_is_waited_for),
        cmocka_unit_test(test_a_node_that_is_away_is_waited_for),
        cmocka_unit_test(test_a_node_that_is_lost_or_going_is_no_target),
        cmocka_unit_test(
            test_no_step_leaves_too_few_voters_that_can_be_reached),
        cmocka_unit_test(test_a_lost_voter_is_replaced_without_it),
        cmocka_unit_test(test_the_last_replica_is_not_removed),
        cmocka_unit_test(test_leadership_goes_only_to_who_is_ready),
        cmocka_unit_test(test_a_joint_state_is_left_whatever_is_wanted),
        cmocka_unit_test(test_an_outgoing_leader_hands_over_before_it_leaves),
        cmocka_unit_test(test_raft_leaves_by_itself_where_it_was_told_to),
        cmocka_unit_test(test_a_step_names_the_epoch_it_is_for),
        cmocka_unit_test(test_a_goal_that_is_reached_stays_so),
        cmocka_unit_test(test_every_goal_is_reached_from_everywhere),
        cmocka_unit_test(test_a_wanted_leader_gets_leadership),
        cmocka_unit_test(test_impossible_moves_are_refused_with_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
