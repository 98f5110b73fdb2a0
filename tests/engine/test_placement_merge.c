/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plan_texts.h"
#include "engine/keys.h"
#include "engine/placement_merge.h"

enum { REGIONS_MAX = 26, MIB = 1024 * 1024, STEPS_MAX = 40 };

static const char *const all_nodes = "1 2 3 4 5 6";

/* Regions 1, 2 ... side by side: the first one has the root, each next one
 * begins with the next letter. */
struct table {
    struct plan_case cases[REGIONS_MAX];
    struct choose_region regions[REGIONS_MAX];
    struct plan_nodes nodes;
    struct settings settings;
    struct choose choose;
};

static struct slice bound(size_t i)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

    return i == 0 ? (struct slice){NULL, 0} : (struct slice){&letters[i], 1};
}

static void table_init(struct table *t, const char *nodes,
                       const char *const *regions, size_t count)
{
    *t = (struct table){.nodes = plan_case("1v*", nodes).nodes};
    t->settings.value[SETTING_REPLICAS] = 3;
    t->settings.value[SETTING_REGION_SIZE] = 96 * MIB;
    t->settings.value[SETTING_AUTO_MERGE] = 1;
    t->settings.value[SETTING_BALANCE] = 1;
    for (size_t i = 0; i < count; i++) {
        struct region_report *report = &t->cases[i].report;

        t->cases[i] = plan_case(regions[i], nodes);
        report->region.id = i + 1;
        report->region.start = bound(i);
        report->region.end = bound(i + 1 == count ? 0 : i + 1);
        report->measured = true;
        t->regions[i].report = report;
        t->regions[i].leader_node = t->cases[i].leader;
    }
    t->choose = (struct choose){
        .regions = t->regions,
        .region_count = count,
        .nodes = &t->nodes,
        .settings = &t->settings,
    };
}

/* "2 into 1", or "-". */
static const char *chosen(const struct table *t)
{
    static char text[32];
    struct choice choice;

    if (!choose_merge(&t->choose, &choice))
        return "-";
    (void)snprintf(text, sizeof text, "%u into %u",
                   (unsigned)t->regions[choice.region].report->region.id,
                   (unsigned)choice.goal.into);
    return text;
}

static const char *const three_alike[] = {"1v* 2v 3v", "1v 2v* 3v",
                                          "1v* 2v 3v"};

static struct table two(void)
{
    struct table t;

    table_init(&t, all_nodes, three_alike, 2);
    t.choose.regions = NULL; /* See at(). */
    return t;
}

/* A table that was copied. */
static struct table *at(struct table *t)
{
    t->choose = (struct choose){t->regions, 2, &t->nodes, &t->settings};
    for (size_t i = 0; i < 2; i++)
        t->regions[i].report = &t->cases[i].report;
    return t;
}

/* ---- which ---- */

static void test_small_neighbours_are_merged_if_that_is_set(void **state)
{
    struct table t = two();

    (void)state;
    assert_string_equal(chosen(at(&t)), "2 into 1");
    t.settings.value[SETTING_AUTO_MERGE] = 0;
    assert_string_equal(chosen(&t), "-");
}

/* Far from what would be split again. */
static void test_together_they_are_small(void **state)
{
    struct table t = two();

    (void)state;
    t.cases[0].report.size_bytes = 20 * MIB;
    t.cases[1].report.size_bytes = 4 * MIB;
    assert_string_equal(chosen(at(&t)), "2 into 1");
    t.cases[1].report.size_bytes++;
    assert_string_equal(chosen(&t), "-");
}

static void test_only_what_is_at_rest_is_merged(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct table t;

        t = two();
        t.cases[i].report.measured = false;
        assert_string_equal(chosen(at(&t)), "-");
        t = two();
        t.regions[i].fresh = true;
        assert_string_equal(chosen(at(&t)), "-");
        t = two();
        t.regions[i].left_alone = true;
        assert_string_equal(chosen(at(&t)), "-");
        t = two();
        t.regions[i].leader_node = 0;
        assert_string_equal(chosen(at(&t)), "-");
        t = two();
        t.cases[i].report.region.merge.state = MERGE_TAKING;
        assert_string_equal(chosen(at(&t)), "-");
        t = two();
        t.cases[i].report.peers[1].flags = 0;
        assert_string_equal(chosen(at(&t)), "-");
        t = two();
        t.cases[i].report.region.voter_outgoing_count = 1;
        assert_string_equal(chosen(at(&t)), "-");
        t = two();
        t.cases[i].report.region.id = REGION_PLACEMENT;
        assert_string_equal(chosen(at(&t)), "-");
    }
}

static void test_only_neighbours_are_merged(void **state)
{
    struct table t;

    (void)state;
    table_init(&t, all_nodes, three_alike, 3);
    t.cases[1].report.size_bytes = 90 * MIB;
    assert_string_equal(chosen(&t), "-");
    t.cases[1].report.size_bytes = 0;
    t.cases[1].report.region.start = bound(25);
    assert_string_equal(chosen(&t), "-");
}

static void test_the_root_stays_and_else_the_larger_one(void **state)
{
    struct table t;

    (void)state;
    table_init(&t, all_nodes, three_alike, 3);
    t.cases[2].report.size_bytes = 23 * MIB;
    t.cases[1].report.size_bytes = MIB;
    t.regions[0].left_alone = true;
    assert_string_equal(chosen(&t), "2 into 3");
    t.regions[0].left_alone = false;
    assert_string_equal(chosen(&t), "2 into 1");
}

static void test_those_on_the_same_nodes_go_first(void **state)
{
    static const char *const regions[] = {"1v* 2v 3v", "2v* 3v 4v",
                                          "2v 3v* 4v"};
    struct table t;

    (void)state;
    table_init(&t, all_nodes, regions, 3);
    t.cases[2].report.size_bytes = 9 * MIB;
    assert_string_equal(chosen(&t), "2 into 3");
    t.regions[2].fresh = true;
    assert_string_equal(chosen(&t), "2 into 1");
}

/* Though there may be no other place for what is there. */
static void test_nothing_is_merged_on_a_node_that_is_drained(void **state)
{
    static const char *const regions[] = {"1v* 2v 3v", "2v* 3v 4v"};
    struct table t;

    (void)state;
    table_init(&t, "1g 2 3 4", regions, 2);
    assert_string_equal(chosen(&t), "-");
    table_init(&t, "1 2 3 4g", regions, 2);
    assert_string_equal(chosen(&t), "-");
}

/* ---- how ---- */

struct merging {
    struct plan_case source;
    struct plan_case target;
};

static struct merging merging(const char *nodes, const char *source,
                              const char *target)
{
    struct merging m = {plan_case(source, nodes), plan_case(target, nodes)};

    m.source.report.region.id = 2;
    m.source.report.region.start = bound(1);
    m.target.report.region.id = 1;
    m.target.report.region.end = bound(1);
    return m;
}

static struct plan next(const struct merging *m)
{
    struct plan plan;

    plan_merge(&(struct reported_region){&m->source.report, m->source.leader},
               &(struct reported_region){&m->target.report, m->target.leader},
               &m->source.nodes, &plan);
    return plan;
}

/* Until the target's leader is asked. Returns how many steps that took. */
static size_t go_on(struct merging *m, struct plan *plan)
{
    size_t had = m->source.report.region.peer_count;
    size_t will_have = m->target.report.region.peer_count;

    for (size_t i = 0; i < STEPS_MAX; i++) {
        *plan = next(m);
        assert_true(m->source.report.region.peer_count <=
                    (had > will_have ? had : will_have + 1));
        if (plan->step.kind == STEP_MERGE)
            return i;
        assert_true(plan->step.kind >= STEP_REPORT);
        assert_int_equal(plan->step.region, m->source.report.region.id);
        plan_do(&m->source, plan);
    }
    fail_msg("it does not end");
    return STEPS_MAX;
}

static void test_the_leader_of_the_target_is_asked_at_its_epoch(void **state)
{
    struct merging m = merging(all_nodes, "1v* 2v 3v", "1v 2v 3v*");
    struct plan plan;

    (void)state;
    m.target.report.region.conf_ver = 11;
    m.target.report.region.version = 12;
    m.source.report.region.version = 13;
    plan = next(&m);
    assert_int_equal(plan.step.kind, STEP_MERGE);
    assert_int_equal(plan.step.region, 1);
    assert_int_equal(plan.step.conf_ver, 11);
    assert_int_equal(plan.step.version, 12);
    assert_int_equal(plan.step.source, 2);
    assert_int_equal(plan.step.source_version, 13);
}

static void test_the_source_comes_to_the_nodes_of_the_target(void **state)
{
    static const char *const places[] = {"1v* 2v 3v", "4v* 5v 6v", "2v 3v* 4v",
                                         "1v*",       "2v*",       "1v* 2l",
                                         "5v* 6l"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        for (size_t j = 0; j < ARRAY_SIZE(places); j++) {
            struct merging m = merging(all_nodes, places[i], places[j]);
            struct plan plan;
            size_t steps = go_on(&m, &plan);
            const struct region *s = &m.source.report.region;
            const struct region *t = &m.target.report.region;

            assert_true(i != j || steps == 0);
            assert_int_equal(s->peer_count, t->peer_count);
            for (size_t k = 0; k < t->peer_count; k++)
                assert_non_null(region_find_node(s, t->peers[k].node));
        }
}

static const char *kind_and_why(const struct merging *m)
{
    static char text[GOAL_WHY_SIZE + 16];
    struct plan plan = next(m);

    (void)snprintf(text, sizeof text, "%s: %s", plan_text(&plan), plan.why);
    return text;
}

static void test_it_is_given_up_where_mending_is_due(void **state)
{
    struct merging m = merging("1 2 3x 4", "1v* 2v 4v", "1v* 2v 3v");

    (void)state;
    assert_string_equal(kind_and_why(&m),
                        "fail: node 3 is lost or is being drained");
    m = merging("1 2g 3", "1v* 2v 3v", "1v* 2v 3v");
    assert_string_equal(kind_and_why(&m),
                        "fail: node 2 is lost or is being drained");
    m = merging("1 2 3", "1v* 2v 3v", "1v* 2v 3v");
    m.source.report.region.start = bound(3);
    assert_string_equal(kind_and_why(&m),
                        "fail: they are no neighbours any more");
}

static void test_what_is_under_way_is_waited_for(void **state)
{
    struct merging m = merging("1 2 3", "1v* 2v 3v", "1v* 2v 3v?");

    (void)state;
    assert_string_equal(kind_and_why(&m),
                        "wait: not all replicas have caught up");
    m = merging("1 2 3", "1v* 2v 3v", "1v* 2v 3v");
    m.target.report.region.merge.state = MERGE_GIVING_UP;
    assert_string_equal(kind_and_why(&m),
                        "wait: region 1 is just being changed");
    m.source.report.region.merge.state = MERGE_FROZEN;
    assert_string_equal(kind_and_why(&m), "wait: it is being merged");
}

/* ---- no ping-pong ---- */

static uint64_t pick(uint64_t *random, uint64_t limit)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (*random >> 33) % limit;
}

static void draw_region(uint64_t *random, char text[64])
{
    uint64_t first = pick(random, 5);

    (void)snprintf(text, 64, "%uv* %uv %uv", (unsigned)first % 5 + 1,
                   (unsigned)(first + 1) % 5 + 1,
                   (unsigned)(first + 2) % 5 + 1);
}

static void drop(struct table *t, size_t place)
{
    t->choose.region_count--;
    memmove(&t->regions[place], &t->regions[place + 1],
            (t->choose.region_count - place) * sizeof *t->regions);
}

static struct plan_case *case_of(struct table *t, uint64_t region)
{
    for (size_t i = 0; i < REGIONS_MAX; i++)
        if (t->cases[i].report.region.id == region)
            return &t->cases[i];
    return NULL;
}

static void do_merge(struct table *t, const struct choice *choice)
{
    struct plan_case *source =
        case_of(t, t->regions[choice->region].report->region.id);
    struct plan_case *target = case_of(t, choice->goal.into);
    struct merging m = {*source, *target};
    struct region *whole = &target->report.region;
    struct plan plan;

    m.source.nodes = t->nodes;
    (void)go_on(&m, &plan);
    target->report.size_bytes += source->report.size_bytes;
    if (slice_equal(whole->end, source->report.region.start))
        whole->end = source->report.region.end;
    else
        whole->start = source->report.region.start;
    drop(t, choice->region);
}

static void do_move(struct table *t, const struct choice *choice)
{
    struct choose_region *region = &t->regions[choice->region];
    struct plan_case *c = case_of(t, region->report->region.id);

    for (int i = 0; i < STEPS_MAX; i++) {
        struct plan plan;

        plan_next(&c->report, c->leader, &t->nodes, &choice->goal, &plan);
        if (plan.step.kind < STEP_REPORT)
            break;
        plan_do(c, &plan);
    }
    region->leader_node = c->leader;
}

/* Merging and balancing together come to rest, where nothing small is left. */
static void test_all_comes_to_rest(void **state)
{
    uint64_t random = 7;

    (void)state;
    for (int round = 0; round < 200; round++) {
        static char texts[REGIONS_MAX][64];
        const char *regions[REGIONS_MAX];
        size_t count = 2 + pick(&random, REGIONS_MAX - 2);
        struct choice choice;
        struct table t;

        for (size_t i = 0; i < count; i++) {
            draw_region(&random, texts[i]);
            regions[i] = texts[i];
        }
        table_init(&t, "1 2 3 4 5", regions, count);
        for (size_t i = 0; i < count; i++)
            t.cases[i].report.size_bytes =
                pick(&random, pick(&random, 2) == 0 ? 144 * MIB : 8 * MIB);
        for (int i = 0; choose_next(&t.choose, &choice); i++) {
            assert_true(i < 300);
            if (choice.goal.into != 0)
                do_merge(&t, &choice);
            else
                do_move(&t, &choice);
        }
        assert_string_equal(chosen(&t), "-");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_neighbours_are_merged_if_that_is_set),
        cmocka_unit_test(test_together_they_are_small),
        cmocka_unit_test(test_only_what_is_at_rest_is_merged),
        cmocka_unit_test(test_only_neighbours_are_merged),
        cmocka_unit_test(test_the_root_stays_and_else_the_larger_one),
        cmocka_unit_test(test_those_on_the_same_nodes_go_first),
        cmocka_unit_test(test_nothing_is_merged_on_a_node_that_is_drained),
        cmocka_unit_test(test_the_leader_of_the_target_is_asked_at_its_epoch),
        cmocka_unit_test(test_the_source_comes_to_the_nodes_of_the_target),
        cmocka_unit_test(test_it_is_given_up_where_mending_is_due),
        cmocka_unit_test(test_what_is_under_way_is_waited_for),
        cmocka_unit_test(test_all_comes_to_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
