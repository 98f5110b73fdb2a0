/* SPDX-License-Identifier: Apache-2.0 */

/* What comes from node to node. test_pull_known.c has what that lets a node
 * know. */

#include "pull_fixture.h"

#include "engine/stamps.h"
#include "engine/wire.h"

enum { A = 1, B = 2, C = 3 };

/* ---- changes ---- */

static void test_two_nodes_come_to_have_the_same(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    cut(c, A, B);
    put_text_file(node_of(c, A), "a", "of A");
    put_text_file(node_of(c, B), "b", "of B");
    put_text_file(node_of(c, A), "both", "old");
    pass(c, 100);
    put_text_file(node_of(c, B), "both", "new");
    connect_again(c, A, B);
    for (uint64_t id = A; id <= B; id++) {
        expect_file(node_of(c, id), "a", "of A");
        expect_file(node_of(c, id), "b", "of B");
        expect_file(node_of(c, id), "both", "new");
    }
    cluster_free(c);
}

/* No time passes: a question is there already. */
static void test_a_change_is_sent_as_soon_as_it_is_made(void **state)
{
    struct cluster *c = cluster_new(2);
    unsigned answers = node_of(c, A)->answers;

    (void)state;
    settle(c);
    assert_int_equal(node_of(c, A)->answers, answers);
    put_text_file(node_of(c, A), "a", "now");
    assert_int_equal(node_of(c, A)->answers, answers + 1);
    expect_file(node_of(c, B), "a", "now");
    cluster_free(c);
}

/* An answer to each would cost more than the change. */
static void test_changes_one_after_the_other_are_told_together(void **state)
{
    struct cluster *c = cluster_new(2);
    unsigned answers = node_of(c, A)->answers;

    (void)state;
    put_many(node_of(c, A), "a");
    assert_int_equal(node_of(c, A)->answers, answers + 1);
    pass(c, 100);
    assert_int_equal(node_of(c, A)->answers, answers + 2);
    assert_int_equal(counts_of(node_of(c, B)).pulled, MANY);
    cluster_free(c);
}

static void test_a_node_far_behind_gets_each_change_once(void **state)
{
    struct cluster *c = cluster_new(3);

    (void)state;
    cut(c, A, C);
    cut(c, B, C);
    put_many(node_of(c, A), "a");
    put_many(node_of(c, B), "b");
    connect_again(c, B, C);
    pass(c, 100);
    expect_file(node_of(c, C), "a0", "many");
    expect_file(node_of(c, C), "b19", "many");
    connect_again(c, A, C);
    pass(c, 3000);
    for (uint64_t id = A; id <= C; id++)
        assert_int_equal(counts_of(node_of(c, id)).outlived, 0);
    assert_int_equal(counts_of(node_of(c, A)).pulled, MANY);
    assert_int_equal(counts_of(node_of(c, C)).pulled, 2 * MANY);
    cluster_free(c);
}

/* Though each could have it from two. */
static void test_a_change_comes_to_each_node_once(void **state)
{
    struct cluster *c = cluster_new(3);

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        put_text_file(node_of(c, 1 + i % 3), "a", "text");
        pass(c, 100);
    }
    pass(c, 3000);
    for (uint64_t id = A; id <= C; id++)
        assert_int_equal(counts_of(node_of(c, id)).outlived, 0);
    cluster_free(c);
}

static void test_much_comes_in_several_answers(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    cut(c, A, B);
    put_file(node_of(c, A), "a", large());
    put_file(node_of(c, A), "b", large());
    put_text_file(node_of(c, A), "c", "last");
    connect_again(c, A, B);
    pass(c, 100);
    expect_file(node_of(c, B), "c", "last");
    assert_int_equal(counts_of(node_of(c, B)).pulled, 3);
    cluster_free(c);
}

/* ---- questions and answers ---- */

static bool keep_answer(struct cluster *c, const struct sent *sent)
{
    if (sent->packet.type != WIRE_EVENTUAL_ANSWER || sent->payload == NULL ||
        c->kept.packet.header != NULL)
        return true;
    keep(c, sent);
    return true;
}

static void test_a_late_answer_is_ignored(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    c->filter = keep_answer;
    put_text_file(node_of(c, A), "a", "old");
    pass(c, 100);
    put_text_file(node_of(c, A), "a", "new");
    assert_int_equal(c->kept.to, B);
    deliver_kept(c);
    assert_int_equal(counts_of(node_of(c, B)).outlived, 0);
    expect_file(node_of(c, B), "a", "new");
    cluster_free(c);
}

/* It begins behind the cursor that the node had before. */
static void test_an_answer_to_an_earlier_start_is_ignored(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    put_text_file(node_of(c, A), "a", "first");
    pass(c, 100);
    c->filter = keep_answer;
    put_text_file(node_of(c, A), "b", "second");
    pass(c, 100);
    cut(c, A, B);
    start_again(node_of(c, B), true);
    pass(c, 100);
    deliver_kept(c);
    expect_file(node_of(c, B), "b", NULL);
    connect_again(c, A, B);
    pass(c, 200);
    expect_file(node_of(c, B), "a", "first");
    expect_file(node_of(c, B), "b", "second");
    cluster_free(c);
}

static void test_a_lost_answer_is_asked_for_again(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    c->filter = drop_all;
    put_text_file(node_of(c, A), "a", "text");
    c->filter = NULL;
    expect_file(node_of(c, B), "a", NULL);
    pass(c, 2500);
    expect_file(node_of(c, B), "a", "text");
    cluster_free(c);
}

static bool keep_question(struct cluster *c, const struct sent *sent)
{
    if (sent->packet.type != WIRE_EVENTUAL_ASK || sent->from != B)
        return true;
    if (c->kept.packet.header == NULL)
        keep(c, sent);
    return false;
}

/* Before its first tick, too: it would be asked again only after a while. */
static void test_a_node_that_has_just_started_answers(void **state)
{
    struct cluster *c = cluster_new(2);
    unsigned answers;

    (void)state;
    c->filter = keep_question;
    pass(c, 1000);
    start_again(node_of(c, A), false);
    c->filter = NULL;
    answers = node_of(c, A)->answers;
    deliver_kept(c);
    pass(c, 100);
    assert_int_equal(node_of(c, A)->answers, answers + 1);
    cluster_free(c);
}

/* The empty answers tell that the others are there. */
static void test_nothing_is_said_twice_a_second(void **state)
{
    struct cluster *c = cluster_new(2);
    struct node *a = node_of(c, A);
    unsigned answers = a->answers;
    uint64_t contact_ns = lag_of(a, B).contact_ns;

    (void)state;
    pass(c, 5000);
    assert_in_range(a->answers - answers, 8, 10);
    assert_true(lag_of(a, B).contact_ns > contact_ns + 4000000000u);
    cut(c, A, B);
    contact_ns = lag_of(a, B).contact_ns;
    pass(c, 1000);
    assert_true(lag_of(a, B).contact_ns == contact_ns);
    cluster_free(c);
}

/* Else a power cut would bring back what is replaced here, and B would never
 * hear of it. */
static void
test_what_replaces_a_change_is_durable_before_it_is_left_out(void **state)
{
    struct cluster *c = cluster_new(2);
    struct node *a = node_of(c, A);
    uint64_t shown;

    (void)state;
    cut(c, A, B);
    put_text_file(a, "a", "old");
    shown = eventual_shown(a->eventual);
    a->holds_log = true;
    put_text_file(a, "a", "new");
    assert_int_equal(eventual_shown(a->eventual), shown);
    connect_again(c, A, B);
    pass(c, 100);
    expect_file(node_of(c, B), "a", NULL);
    assert_true(lag_of(a, B).pending_entries == 1);
    a->holds_log = false;
    pass(c, 100);
    expect_file(node_of(c, B), "a", "new");
    cluster_free(c);
}

/* What comes from a third node while an answer waits is not in it. */
static void test_an_answer_has_all_that_its_vector_says(void **state)
{
    struct cluster *c = cluster_new(3);
    struct node *a = node_of(c, A);

    (void)state;
    cut(c, B, C);
    a->holds_log = true;
    put_text_file(a, "a", "not durable");
    pass(c, 600);
    put_text_file(node_of(c, C), "c", "of C");
    expect_file(a, "c", "of C");
    a->holds_log = false;
    pass(c, 1000);
    expect_file(node_of(c, B), "a", "not durable");
    expect_file(node_of(c, B), "c", "of C");
    cluster_free(c);
}

static void test_who_is_ahead_of_the_clock_is_held_until_it_is_not(void **state)
{
    struct cluster *c = cluster_new(2);
    struct node *b = node_of(c, B);

    (void)state;
    node_of(c, A)->fake.now_ns += (uint64_t)(MAX_DRIFT_MS + 500) * 1000000;
    put_text_file(node_of(c, A), "a", "ahead");
    assert_true(lag_of(b, A).is_held);
    expect_file(b, "a", NULL);
    pass(c, 1000);
    expect_file(b, "a", "ahead");
    assert_false(lag_of(b, A).is_held);
    assert_int_equal(b->warnings, 0);
    cluster_free(c);
}

/* ---- being whole ---- */

static void test_a_node_that_is_alone_is_whole(void **state)
{
    struct cluster *c = cluster_founded(1);
    uint64_t missing;

    (void)state;
    assert_false(eventual_is_whole(node_of(c, A)->eventual));
    pass(c, 100);
    assert_true(eventual_is_whole(node_of(c, A)->eventual));
    assert_true(pulls_are_drained(node_of(c, A)->pulls, FENCE, &missing));
    cluster_free(c);
}

static void test_the_first_nodes_are_whole_when_all_have_told(void **state)
{
    struct cluster *c = cluster_founded(3);

    (void)state;
    cut(c, A, C);
    pass(c, 1000);
    assert_true(eventual_is_whole(node_of(c, B)->eventual));
    cluster_free(c);
}

static void test_a_node_that_has_a_part_of_another_s_is_not_whole(void **state)
{
    struct cluster *c = cluster_founded(2);
    struct node *b = node_of(c, B);

    (void)state;
    cut(c, A, B);
    eventual_set_whole(node_of(c, A)->eventual);
    settle(c);
    put_file(node_of(c, A), "a", large());
    put_file(node_of(c, A), "b", large());
    pass(c, 100);
    c->filter = keep_one_answer;
    connect_again(c, A, B);
    pass(c, 100);
    assert_int_equal(counts_of(b).pulled, 1);
    assert_false(eventual_is_whole(b->eventual));
    c->filter = NULL;
    pass(c, 2500);
    assert_int_equal(counts_of(b).pulled, 2);
    assert_true(eventual_is_whole(b->eventual));
    cluster_free(c);
}

/* As long as it has not applied enough of region 0 to find itself there. */
static void test_a_node_that_knows_no_members_is_not_whole(void **state)
{
    struct cluster *c = cluster_founded(1);
    struct node *a = node_of(c, A);

    (void)state;
    c->count = 0;
    pulls_tick(a->pulls);
    fake_env_run(&a->fake);
    assert_false(eventual_is_whole(a->eventual));
    cluster_free(c);
}

/* By its own account it has all that it ever accepted, were it not for the
 * loss. */
static void
test_a_node_that_has_lost_its_state_gets_its_changes_back(void **state)
{
    struct cluster *c = cluster_new(3);

    (void)state;
    cut(c, A, C);
    put_text_file(node_of(c, A), "a", "mine");
    pass(c, 1000);
    expect_file(node_of(c, C), "a", "mine");
    cut(c, A, B);
    start_again(node_of(c, A), true);
    connect_again(c, A, C);
    pass(c, 200);
    expect_file(node_of(c, A), "a", "mine");
    assert_true(eventual_is_whole(node_of(c, A)->eventual));
    cluster_free(c);
}

static void test_a_node_goes_on_where_it_was(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    put_text_file(node_of(c, A), "a", "before");
    start_again(node_of(c, A), false);
    start_again(node_of(c, B), false);
    put_text_file(node_of(c, A), "b", "behind");
    pass(c, 100);
    expect_file(node_of(c, B), "b", "behind");
    assert_int_equal(counts_of(node_of(c, B)).pulled, 1);
    assert_int_equal(counts_of(node_of(c, B)).outlived, 0);
    cluster_free(c);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_nodes_come_to_have_the_same),
        cmocka_unit_test(test_a_change_is_sent_as_soon_as_it_is_made),
        cmocka_unit_test(test_changes_one_after_the_other_are_told_together),
        cmocka_unit_test(test_a_node_far_behind_gets_each_change_once),
        cmocka_unit_test(test_a_change_comes_to_each_node_once),
        cmocka_unit_test(test_much_comes_in_several_answers),
        cmocka_unit_test(test_a_node_that_has_just_started_answers),
        cmocka_unit_test(test_a_late_answer_is_ignored),
        cmocka_unit_test(test_an_answer_to_an_earlier_start_is_ignored),
        cmocka_unit_test(test_a_lost_answer_is_asked_for_again),
        cmocka_unit_test(test_nothing_is_said_twice_a_second),
        cmocka_unit_test(
            test_what_replaces_a_change_is_durable_before_it_is_left_out),
        cmocka_unit_test(test_an_answer_has_all_that_its_vector_says),
        cmocka_unit_test(
            test_who_is_ahead_of_the_clock_is_held_until_it_is_not),
        cmocka_unit_test(test_a_node_that_is_alone_is_whole),
        cmocka_unit_test(test_the_first_nodes_are_whole_when_all_have_told),
        cmocka_unit_test(test_a_node_that_has_a_part_of_another_s_is_not_whole),
        cmocka_unit_test(test_a_node_that_knows_no_members_is_not_whole),
        cmocka_unit_test(
            test_a_node_that_has_lost_its_state_gets_its_changes_back),
        cmocka_unit_test(test_a_node_goes_on_where_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
