/* SPDX-License-Identifier: Apache-2.0 */

/* A node that tells others nothing for a while, and knows what has come to
 * them: rule 3 of restamp.h. */

#include "pull_fixture.h"

#include "engine/keys.h"
#include "engine/wire.h"

enum { A = 1, B = 2, C = 3 };

static bool is_quiet(struct cluster *c)
{
    return pulls_are_quiet(node_of(c, A)->pulls);
}

static uint64_t hlc_of(const struct node *node, const char *name)
{
    struct eventual_record record = {0};
    uint64_t hlc;

    assert_int_equal(
        eventual_get(node->state, NULL, DIR, slice_of(name), false, &record),
        0);
    hlc = record.hlc;
    eventual_release(&record);
    return hlc;
}

static void hold(struct cluster *c, bool held)
{
    pulls_hold(node_of(c, A)->pulls, held);
}

static void test_nothing_is_told_while_it_is_held(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    hold(c, true);
    put_text_file(node_of(c, A), "a", "of A");
    pass(c, 3000);
    expect_file(node_of(c, B), "a", NULL);
    put_text_file(node_of(c, B), "b", "of B");
    pass(c, 100);
    expect_file(node_of(c, A), "b", "of B");
    hold(c, false);
    pass(c, 100);
    expect_file(node_of(c, B), "a", "of A");
    cluster_free(c);
}

static void test_it_is_quiet_when_all_have_asked_again(void **state)
{
    struct cluster *c = cluster_new(3);

    (void)state;
    pass(c, 1000);
    assert_false(is_quiet(c));
    hold(c, true);
    assert_true(is_quiet(c));
    hold(c, false);
    assert_false(is_quiet(c));
    cluster_free(c);
}

static bool delay_answers(struct cluster *c, const struct sent *sent)
{
    if (sent->packet.type != WIRE_EVENTUAL_ANSWER || sent->to != B)
        return true;
    if (c->kept.packet.header == NULL)
        keep(c, sent);
    return false;
}

/* An answer that is on its way may still be taken, also when the same question
 * comes once more. */
static void test_it_is_not_quiet_while_an_answer_is_on_its_way(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    pass(c, 1000);
    c->filter = delay_answers;
    put_text_file(node_of(c, A), "a", "of A");
    hold(c, true);
    pass(c, 5000);
    assert_false(is_quiet(c));
    c->filter = NULL;
    deliver_kept(c);
    pass(c, 100);
    expect_file(node_of(c, B), "a", "of A");
    assert_true(is_quiet(c));
    cluster_free(c);
}

/* It may have been answered before. */
static void test_the_first_question_after_a_start_does_not_count(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    pass(c, 1000);
    start_again(node_of(c, A), false);
    hold(c, true);
    pass(c, 5000);
    assert_false(is_quiet(c));
    hold(c, false);
    pass(c, 1000);
    hold(c, true);
    pass(c, 1000);
    assert_true(is_quiet(c));
    cluster_free(c);
}

static void test_a_node_that_does_not_ask_is_waited_for(void **state)
{
    struct cluster *c = cluster_new(3);
    uint64_t seen;

    (void)state;
    cut(c, A, C);
    start_again(node_of(c, A), false);
    pass(c, 1000);
    hold(c, true);
    pass(c, 1000);
    assert_false(is_quiet(c));
    assert_false(pulls_seen(node_of(c, A)->pulls, &seen));
    cluster_free(c);
}

static uint64_t seen_by_others(struct cluster *c)
{
    uint64_t seen;

    assert_true(pulls_seen(node_of(c, A)->pulls, &seen));
    return seen;
}

static void test_others_tell_what_has_come_to_them(void **state)
{
    struct cluster *c = cluster_new(3);
    struct node *a = node_of(c, A);
    uint64_t before;

    (void)state;
    put_text_file(a, "a", "of A");
    pass(c, 1000);
    before = seen_by_others(c);
    assert_int_equal(before, hlc_of(a, "a"));
    hold(c, true);
    put_text_file(a, "a", "more");
    pass(c, 1000);
    assert_int_equal(seen_by_others(c), before);
    hold(c, false);
    cut(c, A, C);
    pass(c, 1000);
    assert_int_equal(seen_by_others(c), hlc_of(a, "a"));
    cluster_free(c);
}

static void test_they_tell_it_also_after_a_start(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    put_text_file(node_of(c, A), "a", "of A");
    pass(c, 1000);
    assert_int_equal(kv_flush(node_of(c, B)->state, true, NULL), 0);
    cut(c, A, B);
    start_again(node_of(c, B), false);
    start_again(node_of(c, A), false);
    hold(c, true); /* what B is told would have it look again */
    connect_again(c, A, B);
    pass(c, 3000);
    assert_int_equal(seen_by_others(c), hlc_of(node_of(c, A), "a"));
    cluster_free(c);
}

static void test_a_crash_takes_nothing_back_of_it(void **state)
{
    struct cluster *c = cluster_new(2);
    struct node *a = node_of(c, A);

    (void)state;
    put_text_file(a, "a", "of A");
    pass(c, 1000);
    hold(c, true);
    start_again(node_of(c, B), true);
    pass(c, 3000);
    assert_int_equal(seen_by_others(c), hlc_of(a, "a"));
    cluster_free(c);
}

static bool keep_one_question(struct cluster *c, const struct sent *sent)
{
    if (sent->packet.type == WIRE_EVENTUAL_ASK && sent->from == B &&
        c->kept.packet.header == NULL)
        keep(c, sent);
    return true;
}

static bool drop_answers(struct cluster *c, const struct sent *sent)
{
    (void)c;
    return sent->packet.type != WIRE_EVENTUAL_ANSWER;
}

/* The answer to the newest one may still be taken. */
static void test_a_question_that_comes_late_makes_nothing_quiet(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    c->filter = keep_one_question;
    pass(c, 1000);
    c->filter = drop_answers;
    pass(c, 1000);
    hold(c, true);
    deliver_kept(c);
    pass(c, 5000);
    assert_false(is_quiet(c));
    c->filter = NULL;
    hold(c, false);
    pass(c, 5000);
    hold(c, true);
    assert_true(is_quiet(c));
    cluster_free(c);
}

/* Its questions are newer than those that it asked before. */
static void test_a_node_that_starts_again_is_answered(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    pass(c, 5000);
    start_again(node_of(c, B), false);
    put_text_file(node_of(c, A), "a", "of A");
    pass(c, 3000);
    expect_file(node_of(c, B), "a", "of A");
    cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_told_while_it_is_held),
        cmocka_unit_test(test_it_is_quiet_when_all_have_asked_again),
        cmocka_unit_test(test_it_is_not_quiet_while_an_answer_is_on_its_way),
        cmocka_unit_test(test_the_first_question_after_a_start_does_not_count),
        cmocka_unit_test(test_a_node_that_does_not_ask_is_waited_for),
        cmocka_unit_test(test_others_tell_what_has_come_to_them),
        cmocka_unit_test(test_they_tell_it_also_after_a_start),
        cmocka_unit_test(test_a_crash_takes_nothing_back_of_it),
        cmocka_unit_test(test_a_question_that_comes_late_makes_nothing_quiet),
        cmocka_unit_test(test_a_node_that_starts_again_is_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
