/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plan_texts.h"
#include "engine/placement_choose.h"

enum { REGIONS_MAX = 64 };

struct table {
    struct plan_case cases[REGIONS_MAX];
    struct choose_region regions[REGIONS_MAX];
    struct plan_nodes nodes;
    struct settings settings;
    struct choose choose;
};

/* Where region i + 1 begins; the first one has the root. */
static struct slice start_of(size_t i)
{
    static uint8_t bytes[REGIONS_MAX];

    bytes[i] = (uint8_t)(i + 1);
    return i == 0 ? (struct slice){NULL, 0} : (struct slice){&bytes[i], 1};
}

/* Regions 1, 2 ... by their texts; three replicas, everything at its usual. */
static void table_init(struct table *t, const char *nodes,
                       const char *const *regions, size_t count)
{
    *t = (struct table){.nodes = plan_case("1v*", nodes).nodes};
    t->settings.value[SETTING_REPLICAS] = 3;
    t->settings.value[SETTING_BALANCE] = 1;
    for (size_t i = 0; i < count; i++) {
        t->cases[i] = plan_case(regions[i], nodes);
        t->cases[i].report.region.id = i + 1;
        t->cases[i].report.region.start = start_of(i);
        if (i + 1 < count)
            t->cases[i].report.region.end = start_of(i + 1);
        t->regions[i].report = &t->cases[i].report;
        t->regions[i].leader_node = t->cases[i].leader;
    }
    t->choose = (struct choose){
        .regions = t->regions,
        .region_count = count,
        .nodes = &t->nodes,
        .settings = &t->settings,
    };
}

/* "1: 2 4", "3: +5", "2: -1", "1: leader 3", "1: roles" or "-". */
static const char *choice_text(bool found, const struct choice *choice)
{
    static char text[64];
    const struct plan_goal *goal = &choice->goal;
    unsigned region = (unsigned)choice->region + 1;

    if (!found)
        return "-";
    if (goal->leader != 0)
        (void)snprintf(text, sizeof text, "%u: leader %u", region,
                       (unsigned)goal->leader);
    else if (goal->from != 0 && goal->to != 0)
        (void)snprintf(text, sizeof text, "%u: %u %u", region,
                       (unsigned)goal->from, (unsigned)goal->to);
    else if (goal->from != 0)
        (void)snprintf(text, sizeof text, "%u: -%u", region,
                       (unsigned)goal->from);
    else if (goal->to != 0)
        (void)snprintf(text, sizeof text, "%u: +%u", region,
                       (unsigned)goal->to);
    else
        (void)snprintf(text, sizeof text, "%u: roles", region);
    return text;
}

static const char *next(const struct table *t)
{
    struct choice choice = {0};
    bool found = choose_next(&t->choose, &choice);

    return choice_text(found, &choice);
}

static const char *next_of_one(const char *nodes, const char *region)
{
    struct table t;

    table_init(&t, nodes, &region, 1);
    return next(&t);
}

/* ---- checkers ---- */

static void test_a_healthy_region_is_left_as_it_is(void **state)
{
    (void)state;
    assert_string_equal(next_of_one("1 2 3 4", "1v* 2v 3v"), "-");
    assert_string_equal(next_of_one("1 2-", "1v* 2l"), "-");
    assert_string_equal(next_of_one("1 2", "1v* 2l"), "-");
    assert_string_equal(next_of_one("1", "1v*"), "-");
}

static void test_a_missing_replica_is_added(void **state)
{
    (void)state;
    assert_string_equal(next_of_one("1 2 3", "1v* 2l"), "1: +3");
    assert_string_equal(next_of_one("1 2 3-", "1v* 2l"), "-");
    assert_string_equal(next_of_one("1 2 3g", "1v* 2l"), "-");
    assert_string_equal(next_of_one("1 2 3r", "1v* 2l"), "-");
}

static void test_a_replica_on_a_lost_node_is_replaced(void **state)
{
    (void)state;
    assert_string_equal(next_of_one("1 2 3x 4", "1v* 2v 3v!"), "1: 3 4");
    assert_string_equal(next_of_one("1 2 3r 4", "1v* 2v 3v"), "1: 3 4");
    assert_string_equal(next_of_one("1 2 4", "1v* 2v 3v"), "1: 3 4");
    /* It may come back. */
    assert_string_equal(next_of_one("1 2 3- 4", "1v* 2v 3v!"), "-");
    /* There is no other place. */
    assert_string_equal(next_of_one("1 2 3x", "1v* 2v 3v!"), "-");
    assert_string_equal(next_of_one("1 2 3x 4x", "1v* 2v 3v!"), "-");
}

static void test_a_node_that_is_drained_is_emptied(void **state)
{
    (void)state;
    assert_string_equal(next_of_one("1 2 3g 4", "1v* 2v 3v"), "1: 3 4");
    assert_string_equal(next_of_one("1g 2 3 4", "1v* 2v 3v"), "1: 1 4");
    assert_string_equal(next_of_one("1 2 3 4g", "1v* 2v 3v 4l"), "1: -4");
    assert_string_equal(next_of_one("1 2 3g", "1v* 2v 3v"), "-");
}

static void test_a_lost_node_goes_before_one_that_is_drained(void **state)
{
    (void)state;
    assert_string_equal(next_of_one("1 2g 3x 4", "1v* 2v 3v!"), "1: 3 4");
}

static void test_surplus_goes_learners_first_and_leaders_never(void **state)
{
    (void)state;
    assert_string_equal(next_of_one("1 2 3 4", "1v* 2v 3l 4v"), "1: -3");
    assert_string_equal(next_of_one("1 2 3 4 5", "1v* 2v 3l 4v 5l?"), "1: -5");
    assert_string_equal(next_of_one("1 2 3 4", "1v* 2v 3v 4v"), "1: -2");
}

static void test_wrong_roles_are_mended(void **state)
{
    (void)state;
    assert_string_equal(next_of_one("1 2 3", "1v* 2v 3l"), "1: roles");
    assert_string_equal(next_of_one("1 2 3", "1v* 2l 3l"), "1: roles");
    assert_string_equal(next_of_one("1 2", "1v* 2v"), "1: roles");
    /* Who would have to vote is not ready. */
    assert_string_equal(next_of_one("1 2 3", "1v* 2v 3l?"), "-");
}

static void test_a_region_that_has_rest_is_left_alone(void **state)
{
    const char *region = "1v* 2l";
    struct table t;

    (void)state;
    table_init(&t, "1 2 3", &region, 1);
    t.regions[0].left_alone = true;
    assert_string_equal(next(&t), "-");
    t.regions[0].left_alone = false;
    t.regions[0].leader_node = 0;
    assert_string_equal(next(&t), "-");
    t.regions[0].leader_node = 1;
    t.cases[0].report.region.id = REGION_PLACEMENT;
    assert_string_equal(next(&t), "-");
    assert_string_equal(next_of_one("1 2 3", "1b* 2n 3o"), "-");
}

/* ---- nodes share the work ---- */

static void test_new_replicas_go_where_there_is_least(void **state)
{
    static const char *const regions[] = {"1v* 2v 3v", "1v* 2v 4v", "1v* 2v 4v",
                                          "1v* 2l"};
    struct table t;

    (void)state;
    table_init(&t, "1 2 3 4", regions, ARRAY_SIZE(regions));
    t.settings.value[SETTING_BALANCE] = 0;
    assert_string_equal(next(&t), "4: +3");
    t.cases[0].report.size_bytes = 90 << 20;
    assert_string_equal(next(&t), "4: +4");
}

/* Two at a time come to one node, and each that is under way counts. */
static void test_a_node_is_not_given_too_much_at_once(void **state)
{
    static const char *const regions[] = {"1v* 2v 3v!", "1v* 2v 3v!",
                                          "1v* 2v 3v!"};
    struct table t;

    (void)state;
    table_init(&t, "1 2 3x 4", regions, ARRAY_SIZE(regions));
    t.settings.value[SETTING_BALANCE] = 0;
    for (size_t i = 0; i < 2; i++) {
        assert_string_not_equal(next(&t), "-");
        t.regions[i].left_alone = t.regions[i].moving = true;
        t.regions[i].goal = (struct plan_goal){.from = 3, .to = 4};
    }
    assert_string_equal(next(&t), "-");
}

/* What is on its way to a node counts there already, and no more where it
 * comes from. */
static void test_what_is_under_way_counts_as_done(void **state)
{
    static const char *const regions[] = {"1v* 2v 3v", "1v 2v* 3v", "1v 2v 3v*",
                                          "1v* 2l"};
    struct table t;

    (void)state;
    table_init(&t, "1 2 3 4 5", regions, ARRAY_SIZE(regions));
    assert_string_equal(next(&t), "4: +4");
    t.cases[0].report.size_bytes = 90 << 20;
    t.regions[0].left_alone = t.regions[0].moving = true;
    t.regions[0].goal = (struct plan_goal){.from = 3, .to = 4};
    assert_string_equal(next(&t), "4: +5");
}

static void test_leaders_are_spread(void **state)
{
    static const char *const regions[] = {"1v* 2v 3v", "1v* 2v 3v",
                                          "1v* 2v? 3v"};
    struct table t;

    (void)state;
    table_init(&t, "1 2 3", regions, 1);
    assert_string_equal(next(&t), "-");
    table_init(&t, "1 2 3", regions, 2);
    assert_string_equal(next(&t), "2: leader 2");
    t.settings.value[SETTING_BALANCE] = 0;
    assert_string_equal(next(&t), "-");
    table_init(&t, "1 2 3", regions, 3);
    t.regions[0].left_alone = t.regions[0].moving = true;
    t.regions[0].goal = (struct plan_goal){.leader = 2};
    assert_string_equal(next(&t), "2: leader 3");
}

/* It would hand it on at once. */
static void test_who_has_a_wrong_clock_gets_no_leadership(void **state)
{
    static const char *const regions[] = {"1v* 2v 3v", "1v* 2v 3v"};
    struct table t;

    (void)state;
    table_init(&t, "1 2 3", regions, 2);
    t.nodes.node[1].wrong_clock = true;
    assert_string_equal(next(&t), "2: leader 3");
    t.nodes.node[2].wrong_clock = true;
    assert_string_equal(next(&t), "-");
}

static void test_regions_are_spread(void **state)
{
    static const char *const regions[] = {"1v* 2v 3v", "1v 2v* 3v", "1v 2v 3v*",
                                          "1v* 2v 3v?"};
    struct table t;

    (void)state;
    table_init(&t, "1 2 3 4", regions, 1);
    assert_string_equal(next(&t), "-");
    table_init(&t, "1 2 3 4", regions, 3);
    assert_string_equal(next(&t), "1: 2 4");
    /* One whose replicas have not caught up waits. */
    table_init(&t, "1 2 3 4", &regions[3], 1);
    t.cases[0].report.size_bytes = 1 << 30;
    assert_string_equal(next(&t), "-");
}

/* Perhaps somebody has just wished that it leads. Mending does not wait. */
static void test_a_region_with_a_new_leader_is_not_balanced(void **state)
{
    static const char *const regions[] = {"1v* 2v 3v", "1v* 2v 3v",
                                          "1v* 2v 3v"};
    struct table t;

    (void)state;
    table_init(&t, "1 2 3", regions, 3);
    t.regions[1].newly_led = true;
    assert_string_equal(next(&t), "3: leader 2");
    t.regions[2].newly_led = true;
    assert_string_equal(next(&t), "-");
    table_init(&t, "1 2 3 4", regions, 3);
    t.regions[0].newly_led = true;
    assert_string_equal(next(&t), "2: 1 4");
    table_init(&t, "1 2 3g 4", regions, 1);
    t.regions[0].newly_led = true;
    assert_string_equal(next(&t), "1: 3 4");
}

/* Region 0's leader follows the root's, and then begins anew. */
static void
test_the_root_gets_another_leader_where_no_other_one_helps(void **state)
{
    static const char *const regions[] = {"1v* 2v 3v", "1v* 2v? 3v?",
                                          "1v* 2v 3v"};
    struct table t;

    (void)state;
    table_init(&t, "1 2 3", regions, 2);
    assert_string_equal(next(&t), "1: leader 2");
    table_init(&t, "1 2 3", regions, 3);
    assert_string_equal(next(&t), "3: leader 2");
    t.regions[2].newly_led = true; /* It will do so soon. */
    assert_string_equal(next(&t), "-");
    t.regions[2].newly_led = false;
    t.regions[2].left_alone = true;
    assert_string_equal(next(&t), "-");
}

static void
test_the_root_leaves_its_leader_where_no_other_one_helps(void **state)
{
    static const char *const regions[] = {"1v*", "1v*", "1v*"};
    struct table t;

    (void)state;
    table_init(&t, "1 2", regions, 3);
    t.nodes.replicas = t.settings.value[SETTING_REPLICAS] = 1;
    t.cases[0].report.size_bytes = 30 << 20;
    t.cases[1].report.size_bytes = t.cases[2].report.size_bytes = 40 << 20;
    assert_string_equal(next(&t), "2: 1 2");
    t.regions[1].newly_led = t.regions[2].newly_led = true;
    assert_string_equal(next(&t), "-");
    t.choose.region_count = 2;
    t.cases[1].report.size_bytes = 85 << 20; /* Too much for the other node. */
    assert_string_equal(next(&t), "1: 1 2");
}

/* ---- no ping-pong ---- */

static uint64_t pick(uint64_t *random, uint64_t bound)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (*random >> 33) % bound;
}

static void draw_region(uint64_t *random, size_t nodes, char text[64])
{
    size_t first = pick(random, nodes);
    size_t leader = pick(random, 3);
    size_t used = 0;

    for (size_t i = 0; i < 3; i++)
        used += (size_t)snprintf(text + used, 64 - used, "%s%zuv%s",
                                 i > 0 ? " " : "", (first + i) % nodes + 1,
                                 i == leader ? "*" : "");
}

/* The operator runs to its end. */
static void do_choice(struct table *t, const struct choice *choice)
{
    struct plan_case *c = &t->cases[choice->region];

    for (int i = 0; i < 10; i++) {
        struct plan plan;

        plan_next(&c->report, c->leader, &t->nodes, &choice->goal, &plan);
        assert_int_not_equal(plan.step.kind, STEP_FAIL);
        if (plan.step.kind < STEP_REPORT)
            break;
        plan_do(c, &plan);
    }
    t->regions[choice->region].leader_node = c->leader;
}

static bool is_back(const struct choice *a, const struct choice *b)
{
    return a->region == b->region && a->goal.from == b->goal.to &&
           a->goal.to == b->goal.from && a->goal.from != 0;
}

/* From any table everything comes to rest, and no move is ever taken back. */
static void test_balancing_comes_to_rest(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (int round = 0; round < 200; round++) {
        static char texts[REGIONS_MAX][64];
        const char *regions[REGIONS_MAX];
        struct choice done[200];
        size_t done_count = 0;
        size_t count = 1 + pick(&random, REGIONS_MAX);
        size_t used_nodes = 3 + pick(&random, 3);
        struct table t;

        for (size_t i = 0; i < count; i++) {
            draw_region(&random, used_nodes, texts[i]);
            regions[i] = texts[i];
        }
        table_init(&t, "1 2 3 4 5", regions, count);
        for (size_t i = 0; i < count; i++)
            t.cases[i].report.size_bytes = pick(&random, 144 << 20);
        while (choose_next(&t.choose, &done[done_count])) {
            for (size_t i = 0; i < done_count; i++)
                assert_false(is_back(&done[i], &done[done_count]));
            do_choice(&t, &done[done_count]);
            done_count++;
            assert_true(done_count < ARRAY_SIZE(done));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_healthy_region_is_left_as_it_is),
        cmocka_unit_test(test_a_missing_replica_is_added),
        cmocka_unit_test(test_a_replica_on_a_lost_node_is_replaced),
        cmocka_unit_test(test_a_node_that_is_drained_is_emptied),
        cmocka_unit_test(test_a_lost_node_goes_before_one_that_is_drained),
        cmocka_unit_test(test_surplus_goes_learners_first_and_leaders_never),
        cmocka_unit_test(test_wrong_roles_are_mended),
        cmocka_unit_test(test_a_region_that_has_rest_is_left_alone),
        cmocka_unit_test(test_new_replicas_go_where_there_is_least),
        cmocka_unit_test(test_a_node_is_not_given_too_much_at_once),
        cmocka_unit_test(test_what_is_under_way_counts_as_done),
        cmocka_unit_test(test_leaders_are_spread),
        cmocka_unit_test(test_who_has_a_wrong_clock_gets_no_leadership),
        cmocka_unit_test(test_regions_are_spread),
        cmocka_unit_test(test_a_region_with_a_new_leader_is_not_balanced),
        cmocka_unit_test(
            test_the_root_gets_another_leader_where_no_other_one_helps),
        cmocka_unit_test(
            test_the_root_leaves_its_leader_where_no_other_one_helps),
        cmocka_unit_test(test_balancing_comes_to_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
