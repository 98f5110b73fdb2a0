/* SPDX-License-Identifier: Apache-2.0 */

/* Who is not there when a directory is made strong without waiting for all, and
 * what of each of them is known to be here. */

#include "pull_fixture.h"

#include "engine/status.h"

enum { A = 1, B = 2, C = 3 };

static struct absence from_now_on(struct node *node)
{
    return (struct absence){.since_ns = env_mono_ns(&node->fake.env)};
}

/* Node C is away, and A knows that. */
static struct absence lose_c(struct cluster *c)
{
    struct absence absence;

    cut(c, A, C);
    cut(c, B, C);
    pass(c, 100);
    absence = from_now_on(node_of(c, A));
    pass(c, STATUS_SILENT_MS + 200);
    assert_true(pulls_know_who_is_there(node_of(c, A)->pulls, &absence));
    assert_int_equal(absence.nodes.count, 1);
    assert_int_equal(absence.nodes.of[0].node, C);
    return absence;
}

/* The last number that it has given to a change, as far as these are shown. */
static uint64_t last_of(struct cluster *c, uint64_t id)
{
    return eventual_shown(node_of(c, id)->eventual);
}

static void fence(struct cluster *c)
{
    apply_fence(node_of(c, A));
    apply_fence(node_of(c, B));
    pass(c, 600);
}

static void expect_missing(struct cluster *c, const struct absence *absence,
                           uint64_t expected)
{
    struct left_out left_out = {.count = 0};
    uint64_t missing = 0;

    assert_false(pulls_are_drained_without(node_of(c, A)->pulls, FENCE, absence,
                                           &left_out, &missing));
    assert_int_equal(missing, expected);
    assert_int_equal(left_out.count, 0);
}

/* C is left out, with so many of its own changes here. */
static void expect_c_left_out(struct cluster *c, const struct absence *absence,
                              uint64_t sequence)
{
    struct left_out left_out = {.count = 0};
    uint64_t missing;

    assert_true(pulls_are_drained_without(node_of(c, A)->pulls, FENCE, absence,
                                          &left_out, &missing));
    assert_int_equal(left_out.count, 1);
    assert_int_equal(left_out.of[0].node, C);
    assert_int_equal(left_out.of[0].sequence, sequence);
}

/* ---- who is there ---- */

static void test_where_all_answer_it_is_soon_known(void **state)
{
    struct cluster *c = cluster_new(3);
    struct absence absence;

    (void)state;
    pass(c, 5000);
    absence = from_now_on(node_of(c, A));
    assert_false(pulls_know_who_is_there(node_of(c, A)->pulls, &absence));
    pass(c, 1000);
    assert_true(pulls_know_who_is_there(node_of(c, A)->pulls, &absence));
    assert_int_equal(absence.nodes.count, 0);
    cluster_free(c);
}

/* However long it has been silent before: this node may have been away. */
static void test_a_silent_node_is_given_time_to_answer(void **state)
{
    struct cluster *c = cluster_new(3);
    struct absence absence;

    (void)state;
    cut(c, A, C);
    pass(c, 60000);
    absence = from_now_on(node_of(c, A));
    pass(c, STATUS_SILENT_MS);
    assert_false(pulls_know_who_is_there(node_of(c, A)->pulls, &absence));
    pass(c, 200);
    assert_true(pulls_know_who_is_there(node_of(c, A)->pulls, &absence));
    assert_int_equal(absence.nodes.count, 1);
    assert_int_equal(absence.nodes.of[0].node, C);
    cluster_free(c);
}

static void test_who_was_never_heard_of_is_away_too(void **state)
{
    struct cluster *c = cluster_new(3);
    struct absence absence;

    (void)state;
    put_text_file(node_of(c, C), "c", "text");
    pass(c, 3000);
    start_again(node_of(c, A), false);
    absence = lose_c(c);
    fence(c);
    expect_c_left_out(c, &absence, last_of(c, C));
    cluster_free(c);
}

/* ---- what it had ---- */

static void test_what_came_before_it_went_is_taken_along(void **state)
{
    struct cluster *c = cluster_new(3);
    struct absence absence;
    uint64_t last;

    (void)state;
    put_many(node_of(c, C), "c");
    pass(c, 3000);
    absence = lose_c(c);
    last = last_of(c, C);
    put_text_file(node_of(c, C), "late", "text");
    assert_true(last_of(c, C) > last);
    fence(c);
    expect_c_left_out(c, &absence, last);
    cluster_free(c);
}

/* Which it may have told of before it went away. */
static void test_changes_that_came_by_another_node_count(void **state)
{
    struct cluster *c = cluster_new(3);
    struct absence absence;

    (void)state;
    cut(c, A, C);
    put_many(node_of(c, C), "c");
    pass(c, 3000);
    expect_file(node_of(c, A), "c0", "many");
    absence = lose_c(c);
    fence(c);
    expect_c_left_out(c, &absence, last_of(c, C));
    cluster_free(c);
}

/* It had more to send: of what it has accepted nothing is known to be all. */
static void test_what_came_of_an_answer_counts(void **state)
{
    struct cluster *c = cluster_new(2);
    struct node *b = node_of(c, B);
    struct left_out left_out = {.count = 0};
    struct absence absence;
    uint64_t missing;

    (void)state;
    cut(c, A, B);
    put_file(node_of(c, A), "a", large());
    put_file(node_of(c, A), "b", large());
    c->filter = keep_one_answer;
    connect_again(c, A, B);
    pass(c, 100);
    assert_int_equal(counts_of(b).pulled, 1);
    cut(c, A, B);
    c->filter = NULL;
    absence = from_now_on(b);
    pass(c, STATUS_SILENT_MS + 200);
    assert_true(pulls_know_who_is_there(b->pulls, &absence));
    assert_true(pulls_are_drained_without(b->pulls, FENCE, &absence, &left_out,
                                          &missing));
    assert_int_equal(left_out.count, 1);
    assert_int_equal(left_out.of[0].node, A);
    assert_int_equal(left_out.of[0].sequence, last_of(c, A) - 1);
    cluster_free(c);
}

/* ---- who has to tell ---- */

static void test_a_node_that_is_there_has_to_tell(void **state)
{
    struct cluster *c = cluster_new(3);
    struct absence absence = lose_c(c);

    (void)state;
    apply_fence(node_of(c, A));
    pass(c, 600);
    expect_missing(c, &absence, B);
    cut(c, A, B);
    pass(c, 60000);
    expect_missing(c, &absence, B);
    connect_again(c, A, B);
    apply_fence(node_of(c, B));
    pass(c, 600);
    expect_c_left_out(c, &absence, last_of(c, C));
    cluster_free(c);
}

static void test_a_node_that_is_back_has_to_tell(void **state)
{
    struct cluster *c = cluster_new(3);
    struct absence absence = lose_c(c);
    struct left_out left_out = {.count = 0};
    uint64_t missing;

    (void)state;
    fence(c);
    connect_again(c, A, C);
    pass(c, 600);
    expect_missing(c, &absence, C);
    apply_fence(node_of(c, C));
    pass(c, 600);
    assert_true(pulls_are_drained_without(node_of(c, A)->pulls, FENCE, &absence,
                                          &left_out, &missing));
    assert_int_equal(left_out.count, 0);
    cluster_free(c);
}

/* A node may join meanwhile. */
static void test_a_node_that_came_later_has_to_tell(void **state)
{
    struct cluster *c = cluster_new(3);
    struct absence absence;

    (void)state;
    c->count = 2;
    pass(c, 100);
    absence = from_now_on(node_of(c, A));
    pass(c, STATUS_SILENT_MS + 200);
    assert_true(pulls_know_who_is_there(node_of(c, A)->pulls, &absence));
    assert_int_equal(absence.nodes.count, 0);
    cut(c, A, C);
    cut(c, B, C);
    c->count = 3;
    fence(c);
    expect_missing(c, &absence, C);
    cluster_free(c);
}

/* It tells before it goes away for good. */
static void test_who_has_told_is_not_left_out(void **state)
{
    struct cluster *c = cluster_new(3);
    struct absence absence;
    struct left_out left_out = {.count = 0};
    uint64_t missing;

    (void)state;
    apply_fence(node_of(c, C));
    pass(c, 600);
    absence = lose_c(c);
    fence(c);
    assert_true(pulls_are_drained_without(node_of(c, A)->pulls, FENCE, &absence,
                                          &left_out, &missing));
    assert_int_equal(left_out.count, 0);
    cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_all_answer_it_is_soon_known),
        cmocka_unit_test(test_a_silent_node_is_given_time_to_answer),
        cmocka_unit_test(test_who_was_never_heard_of_is_away_too),
        cmocka_unit_test(test_what_came_before_it_went_is_taken_along),
        cmocka_unit_test(test_changes_that_came_by_another_node_count),
        cmocka_unit_test(test_what_came_of_an_answer_counts),
        cmocka_unit_test(test_a_node_that_is_there_has_to_tell),
        cmocka_unit_test(test_a_node_that_is_back_has_to_tell),
        cmocka_unit_test(test_a_node_that_came_later_has_to_tell),
        cmocka_unit_test(test_who_has_told_is_not_left_out),
    };

    return cmocka_run_group_tests_name("pull_without", tests, NULL, NULL);
}
