/* SPDX-License-Identifier: Apache-2.0 */

/* The life of a leader of region 0: what it waits for before anything begins,
 * and what it forgets. The store and all packets are real; time, leadership and
 * which nodes are heard of are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "tests/engine/placement_fixture.h"

enum { OWN = 1, OTHER = 2, THIRD = 3 };

static int setup(void **state)
{
    struct node *node = placement_fixture_new();

    put_nodes(node, OWN, THIRD);
    put_setting(node, SETTING_BALANCE, 0);
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    placement_fixture_free(*state);
    return 0;
}

static void pass(struct node *node, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        node->now_ns += UINT64_C(1000000000);
        placement_each_second(node->placement);
    }
}

/* A region with replicas on the first `count` nodes, which OWN leads. */
static struct region_report report_of(uint64_t id, const char *start,
                                      const char *end, size_t count)
{
    struct region_report report = {
        .region = {.id = id,
                   .conf_ver = 1,
                   .version = 1,
                   .start = slice_of(start),
                   .end = slice_of(end),
                   .peer_count = count,
                   .voter_count = count == 2 ? 1 : count},
        .term = 3,
        .digest = id,
        .measured = true,
    };

    for (size_t i = 0; i < count; i++) {
        bool votes = i < report.region.voter_count;

        report.region.peers[i] = (struct region_peer){
            i + 1, i + 1, votes ? PEER_VOTER : PEER_LEARNER};
        report.region.voters[i] = i + 1;
        report.peers[i].flags = PEER_FLAG_CAUGHT_UP;
    }
    return report;
}

static void tell_report(struct node *node, struct region_report report)
{
    struct buf *bytes;

    report.sequence = ++node->sequence;
    bytes = region_report_encode(&report);
    placement_on_report(node->placement, OWN, buf_slice(bytes));
    buf_unref(bytes);
}

/* What `from` leads: so many regions, and their digests. */
static void sum_up(struct node *node, uint64_t from, uint64_t count,
                   uint64_t digest)
{
    struct reported sum = {
        .sequence = ++node->sequence, .led_count = count, .led_digest = digest};
    struct buf *bytes = reported_encode(&sum);

    placement_on_reported(node->placement, from, buf_slice(bytes));
    buf_unref(bytes);
}

/* One region, of which THIRD lacks a replica. All have told. */
static void tell_all(struct node *node)
{
    tell_report(node, report_of(1, "", "", 2));
    sum_up(node, OWN, 1, 1);
    sum_up(node, OTHER, 0, 0);
    sum_up(node, THIRD, 0, 0);
}

static size_t count_running(const struct node *node)
{
    const struct operators_view *view = placement_operators(node->placement);
    size_t count = 0;

    for (size_t i = 0; i < view->count; i++)
        count += view->operators[i].end_ns == 0;
    return count;
}

/* ---- the tests ---- */

static void test_what_is_missing_is_added_when_all_have_told(void **state)
{
    struct node *node = *state;

    pass(node, 1);
    tell_all(node);
    pass(node, 1);
    assert_int_equal(node->step_to, OWN);
    assert_int_equal(node->step.kind, STEP_ADD);
    assert_int_equal(node->step.changes[0].node, THIRD);
    assert_int_equal(count_running(node), 1);
}

static void test_nothing_begins_while_a_live_node_has_not_told(void **state)
{
    struct node *node = *state;

    pass(node, 1);
    tell_report(node, report_of(1, "", "", 2));
    sum_up(node, OWN, 1, 1);
    sum_up(node, THIRD, 0, 0);
    pass(node, 100);
    assert_int_equal(node->step_to, 0);
    node->silent[OTHER] = true;
    pass(node, 1);
    assert_int_equal(node->step.kind, STEP_ADD);
}

/* They may have no leader for ever. */
static void test_regions_that_nobody_leads_are_waited_for_a_minute(void **state)
{
    struct node *node = *state;

    pass(node, 1);
    tell_report(node, report_of(1, "", "m", 2));
    for (uint64_t id = OWN; id <= THIRD; id++)
        sum_up(node, id, id == OWN, id == OWN);
    pass(node, 59);
    assert_int_equal(node->step_to, 0);
    pass(node, 6);
    assert_int_equal(node->step.kind, STEP_ADD);
}

static void test_who_was_not_understood_is_asked_again(void **state)
{
    struct node *node = *state;

    pass(node, 1);
    sum_up(node, OTHER, 1, 9);
    assert_int_equal(node->asked[OTHER], 1);
    sum_up(node, OTHER, 1, 9);
    assert_int_equal(node->asked[OTHER], 1);
    pass(node, 2);
    sum_up(node, OTHER, 1, 9);
    assert_int_equal(node->asked[OTHER], 2);
    assert_int_equal(node->asked[OWN], 0);
}

static void test_a_new_leadership_begins_from_nothing(void **state)
{
    struct node *node = *state;

    pass(node, 1);
    tell_all(node);
    pass(node, 1);
    node->step_to = 0;
    node->peer->term++;
    pass(node, 100);
    assert_int_equal(node->step_to, 0);
    assert_int_equal(count_running(node), 0);
    assert_false(placement_is_settled(node->placement, false));
    tell_all(node);
    pass(node, 1);
    assert_int_equal(node->step.kind, STEP_ADD);
    assert_int_equal(node->step_to, OWN);
}

static void test_who_does_not_lead_does_and_answers_nothing(void **state)
{
    struct node *node = *state;
    struct goal goal = {.region = 1, .to = THIRD};
    char why[GOAL_WHY_SIZE];

    pass(node, 1);
    tell_all(node);
    pass(node, 1);
    node->step_to = 0;
    node->peer->serving = false;
    tell_all(node);
    pass(node, 100);
    assert_int_equal(node->step_to, 0);
    assert_int_equal(placement_check_goal(node->placement, &goal, why),
                     ERR_NOT_LEADER);
    assert_int_equal(placement_has_replicas(node->placement, THIRD),
                     PLACEMENT_UNKNOWN);
}

/* A region that was split off may be known elsewhere before its leader reports
 * it, while the last report of the other part still covers both. */
static void test_a_goal_waits_for_the_report_of_its_region(void **state)
{
    struct node *node = *state;
    struct goal goal = {.region = 3, .to = THIRD};
    char why[GOAL_WHY_SIZE];

    put_setting(node, SETTING_OPERATORS, 0);
    pass(node, 1);
    tell_all(node);
    pass(node, 1);
    assert_int_equal(placement_check_goal(node->placement, &goal, why),
                     ERR_NOT_LEADER);
    tell_report(node, report_of(1, "", "c", 2));
    tell_report(node, report_of(3, "c", "m", 2));
    assert_int_equal(placement_check_goal(node->placement, &goal, why), 0);
}

static void test_who_has_replicas_is_known_when_all_regions_are(void **state)
{
    struct node *node = *state;

    put_setting(node, SETTING_OPERATORS, 0);
    pass(node, 1);
    assert_int_equal(placement_has_replicas(node->placement, OTHER),
                     PLACEMENT_UNKNOWN);
    tell_report(node, report_of(1, "", "m", 2));
    assert_int_equal(placement_has_replicas(node->placement, OTHER),
                     PLACEMENT_YES);
    assert_int_equal(placement_has_replicas(node->placement, THIRD),
                     PLACEMENT_UNKNOWN);
    tell_report(node, report_of(2, "m", "", 2));
    assert_int_equal(placement_has_replicas(node->placement, THIRD),
                     PLACEMENT_NO);
    put_setting(node, SETTING_OPERATORS, 1);
    for (uint64_t id = OWN; id <= THIRD; id++)
        sum_up(node, id, id == OWN ? 2 : 0, id == OWN ? 1 ^ 2 : 0);
    pass(node, 5);
    assert_int_equal(placement_has_replicas(node->placement, THIRD),
                     PLACEMENT_YES); /* It is to get one. */
}

/* Its next leader may know of other replicas. */
static void test_a_region_that_nobody_leads_may_be_anywhere(void **state)
{
    struct node *node = *state;
    struct reported nothing = {.sequence = 1000, .first = 999};
    struct buf *bytes = reported_encode(&nothing);

    pass(node, 1);
    tell_report(node, report_of(1, "", "", 2));
    assert_int_equal(placement_has_replicas(node->placement, THIRD),
                     PLACEMENT_NO);
    placement_on_reported(node->placement, OWN, buf_slice(bytes));
    buf_unref(bytes);
    assert_int_equal(placement_has_replicas(node->placement, THIRD),
                     PLACEMENT_UNKNOWN);
}

/* That of region 0 goes with its node. */
static void test_region_0_is_not_counted(void **state)
{
    struct node *node = *state;

    put_setting(node, SETTING_OPERATORS, 0);
    pass(node, 1);
    tell_report(node, report_of(REGION_PLACEMENT, "", "", 3));
    tell_report(node, report_of(1, "", "", 2));
    sum_up(node, OWN, 2, 1);
    sum_up(node, OTHER, 0, 0);
    sum_up(node, THIRD, 0, 0);
    pass(node, 1);
    assert_int_equal(placement_has_replicas(node->placement, THIRD),
                     PLACEMENT_NO);
}

static void test_nodes_may_come_after_many_have_gone(void **state)
{
    struct node *node = *state;
    uint64_t last = 3 * NODES_MAX;

    for (uint64_t id = THIRD; id < last; id++)
        put_node(node, id, NODE_REMOVED);
    put_node(node, last, NODE_UP);
    pass(node, 1);
    tell_all(node);
    sum_up(node, last, 0, 0);
    pass(node, 1);
    assert_int_equal(node->step.kind, STEP_ADD);
    assert_int_equal(node->step.changes[0].node, last);
}

/* While this leader goes on leading. */
static void test_a_place_of_a_removed_node_is_free(void **state)
{
    struct node *node = *state;
    uint64_t last = 3 * NODES_MAX;

    for (uint64_t id = THIRD; id < last; id++) {
        put_node(node, id, NODE_UP);
        pass(node, 1);
        put_node(node, id, NODE_REMOVED);
    }
    put_node(node, last, NODE_UP);
    put_setting(node, SETTING_OPERATORS, 1);
    node->step_to = 0;
    pass(node, 1);
    assert_int_equal(node->step_to, 0);
    tell_all(node);
    sum_up(node, last, 0, 0);
    pass(node, 1);
    assert_int_equal(node->step.changes[0].node, last);
}

static void tell_two_small(struct node *node)
{
    tell_report(node, report_of(1, "", "m", 3));
    tell_report(node, report_of(2, "m", "", 3));
    sum_up(node, OWN, 2, 1 ^ 2);
    sum_up(node, OTHER, 0, 0);
    sum_up(node, THIRD, 0, 0);
}

/* Nothing else begins in the one that stays, either. */
static void test_a_merge_holds_both_regions(void **state)
{
    struct node *node = *state;

    put_setting(node, SETTING_AUTO_MERGE, 1);
    pass(node, 1);
    tell_two_small(node);
    pass(node, 1);
    assert_int_equal(node->step.kind, STEP_MERGE);
    assert_int_equal(node->step.region, 1);
    assert_int_equal(node->step.source, 2);
    put_node(node, THIRD + 1, NODE_UP);
    sum_up(node, THIRD + 1, 0, 0);
    put_setting(node, SETTING_REPLICAS, 5);
    pass(node, 20);
    assert_int_equal(count_running(node), 1);
    assert_int_equal(node->step.kind, STEP_MERGE);
}

static void test_a_merge_is_done_when_the_target_says_so(void **state)
{
    struct node *node = *state;
    struct region_report whole = report_of(1, "", "", 3);

    put_setting(node, SETTING_AUTO_MERGE, 1);
    pass(node, 1);
    tell_two_small(node);
    pass(node, 1);
    whole.region.version = 9;
    whole.region.absorbed = 2;
    tell_report(node, whole);
    pass(node, 1);
    assert_int_equal(count_running(node), 0);
    assert_int_equal(placement_operators(node->placement)->operators[0].status,
                     0);
}

/* The source is not frozen any more, and still there. */
static void test_a_merge_that_was_undone_has_failed(void **state)
{
    struct node *node = *state;
    struct region_report source = report_of(2, "m", "", 3);

    put_setting(node, SETTING_AUTO_MERGE, 1);
    pass(node, 1);
    tell_two_small(node);
    pass(node, 1);
    source.region.version = 2;
    source.region.merge =
        (struct region_merge){.state = MERGE_FROZEN, .other = 1, .attempt = 7};
    tell_report(node, source);
    pass(node, 40); /* That is decided by others. */
    assert_int_equal(count_running(node), 1);
    source = report_of(2, "m", "", 3);
    source.region.version = 3;
    tell_report(node, source);
    pass(node, 1);
    assert_int_equal(count_running(node), 0);
    assert_string_equal(placement_operators(node->placement)->operators[0].why,
                        "the region has changed meanwhile");
    pass(node, 58); /* It has rest then. */
    assert_int_equal(count_running(node), 0);
    pass(node, 5);
    assert_int_equal(count_running(node), 1);
}

static void test_a_merge_that_is_not_begun_is_given_up(void **state)
{
    struct node *node = *state;

    put_setting(node, SETTING_AUTO_MERGE, 1);
    pass(node, 1);
    tell_two_small(node);
    pass(node, 29);
    assert_int_equal(count_running(node), 1);
    pass(node, 5);
    assert_int_equal(count_running(node), 0);
}

static void test_a_merge_ends_with_its_setting(void **state)
{
    struct node *node = *state;

    put_setting(node, SETTING_AUTO_MERGE, 1);
    pass(node, 1);
    tell_two_small(node);
    pass(node, 1);
    put_setting(node, SETTING_AUTO_MERGE, 0);
    pass(node, 1);
    assert_int_equal(count_running(node), 0);
    assert_int_equal(placement_operators(node->placement)->operators[0].status,
                     ERR_CANCELED);
}

static void test_nothing_is_merged_a_moment_after_a_split(void **state)
{
    struct node *node = *state;

    node->config.merge_after_ms = 30000;
    put_setting(node, SETTING_AUTO_MERGE, 1);
    pass(node, 1);
    tell_two_small(node);
    pass(node, 29);
    assert_int_equal(node->step_to, 0);
    pass(node, 6);
    assert_int_equal(node->step.kind, STEP_MERGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_missing_is_added_when_all_have_told),
        TEST(test_nothing_begins_while_a_live_node_has_not_told),
        TEST(test_regions_that_nobody_leads_are_waited_for_a_minute),
        TEST(test_who_was_not_understood_is_asked_again),
        TEST(test_a_new_leadership_begins_from_nothing),
        TEST(test_who_does_not_lead_does_and_answers_nothing),
        TEST(test_a_goal_waits_for_the_report_of_its_region),
        TEST(test_who_has_replicas_is_known_when_all_regions_are),
        TEST(test_a_region_that_nobody_leads_may_be_anywhere),
        TEST(test_region_0_is_not_counted),
        TEST(test_nodes_may_come_after_many_have_gone),
        TEST(test_a_place_of_a_removed_node_is_free),
        TEST(test_a_merge_holds_both_regions),
        TEST(test_a_merge_is_done_when_the_target_says_so),
        TEST(test_a_merge_that_was_undone_has_failed),
        TEST(test_a_merge_that_is_not_begun_is_given_up),
        TEST(test_a_merge_ends_with_its_setting),
        TEST(test_nothing_is_merged_a_moment_after_a_split),
    };

    return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
