/* SPDX-License-Identifier: Apache-2.0 */

/* Entries that cannot be read, and nodes that have them: eventual_damage.h. */

#include "pull_fixture.h"

#include <string.h>

#include "engine/eventual_damage.h"
#include "engine/keys.h"
#include "tests/engine/kv_helpers.h"

enum { A = 1, B = 2, C = 3, MEND_MS = 4000 };

/* ---- damage ---- */

static void spoil(struct node *node, char class, const char *name)
{
    put_record(node->state, key_user(class, DIR, slice_of(name)),
               slice_of("\001damage"));
}

/* As a read of that name does it. */
static void find(struct node *node, const char *name)
{
    eventual_find_damage(node->eventual, DIR, slice_of(name));
}

static bool can_read(struct node *node, const char *name)
{
    struct eventual_record record = {0};
    int rc =
        eventual_get(node->state, NULL, DIR, slice_of(name), true, &record);

    eventual_release(&record);
    return rc != ERR_CORRUPT;
}

static void pass_seconds(struct cluster *c, unsigned ms)
{
    for (unsigned at = 0; at < ms; at += 1000) {
        pass(c, 1000);
        for (size_t i = 0; i < c->count; i++)
            eventual_tick(c->nodes[i].eventual);
        settle(c);
    }
}

static struct cluster *cluster_with(size_t count, const char *name)
{
    struct cluster *c = cluster_new(count);

    put_text_file(node_of(c, A), name, "of A");
    pass(c, 1000);
    return c;
}

static void expect_mended(struct cluster *c, uint64_t id, const char *name)
{
    struct node *node = node_of(c, id);
    struct eventual_namespace count;

    expect_file(node, name, "of A");
    assert_true(eventual_has_all(node->eventual));
    assert_false(
        has_record(node->state, key_eventual_damage(DIR, slice_of(name))));
    assert_int_equal(eventual_namespace_get(node->state, NULL, DIR, &count), 0);
    assert_int_equal(count.entry_count, 1);
}

/* ---- one node ---- */

static void test_an_entry_comes_again_from_a_node_that_has_it(void **state)
{
    struct cluster *c = cluster_with(2, "a");

    (void)state;
    spoil(node_of(c, B), 'v', "a");
    find(node_of(c, B), "a");
    pass_seconds(c, MEND_MS);
    expect_mended(c, B, "a");
    assert_int_equal(counts_of(node_of(c, B)).damages, 1);
    assert_int_equal(counts_of(node_of(c, B)).healed, 1);
    cluster_free(c);
}

/* Though mostly nobody sends it that. */
static void test_a_change_of_its_own_comes_again_too(void **state)
{
    struct cluster *c = cluster_with(3, "a");

    (void)state;
    spoil(node_of(c, A), 'v', "a");
    find(node_of(c, A), "a");
    pass_seconds(c, MEND_MS);
    expect_mended(c, A, "a");
    cluster_free(c);
}

static void test_content_alone_comes_again(void **state)
{
    struct cluster *c = cluster_new(2);
    struct node *b = node_of(c, B);

    (void)state;
    put_file(node_of(c, A), "a", large());
    pass(c, 1000);
    spoil(b, 'w', "a");
    assert_false(can_read(b, "a"));
    find(b, "");
    pass_seconds(c, MEND_MS);
    assert_true(can_read(b, "a"));
    assert_true(eventual_has_all(b->eventual));
    cluster_free(c);
}

static void test_all_else_can_be_used_meanwhile(void **state)
{
    struct cluster *c = cluster_with(2, "a");
    struct node *b = node_of(c, B);

    (void)state;
    cut(c, A, B);
    spoil(b, 'v', "a");
    find(b, "a");
    pass_seconds(c, MEND_MS);
    assert_false(can_read(b, "a"));
    assert_true(eventual_is_whole(b->eventual));
    put_text_file(b, "b", "of B");
    expect_file(b, "b", "of B");
    connect_again(c, A, B);
    pass_seconds(c, MEND_MS);
    expect_file(b, "a", "of A");
    expect_file(node_of(c, A), "b", "of B");
    assert_true(eventual_has_all(b->eventual));
    cluster_free(c);
}

/* It is asked for once, however often it is met. */
static void test_what_nobody_has_stays_and_is_no_more_trouble(void **state)
{
    struct cluster *c = cluster_with(1, "a");
    struct node *a = node_of(c, A);

    (void)state;
    put_text_file(a, "b", "more");
    spoil(a, 'v', "a");
    for (unsigned i = 0; i < 3; i++) {
        find(a, i == 0 ? "" : "a");
        pass_seconds(c, MEND_MS);
    }
    assert_true(has_record(a->state, key_user('v', DIR, slice_of("a"))));
    assert_int_equal(counts_of(a).damages, 1);
    assert_true(eventual_is_whole(a->eventual));
    assert_false(eventual_has_all(a->eventual));
    expect_file(a, "b", "more");
    start_again(a, false);
    find(a, "a");
    pass_seconds(c, MEND_MS);
    assert_int_equal(counts_of(a).damages, 0);
    assert_true(eventual_is_damaged(a->eventual));
    expect_file(a, "b", "more");
    cluster_free(c);
}

/* An item of the index that cannot be told hides its entry from those that ask
 * behind it. */
static void test_the_index_is_made_anew_when_an_answer_meets_it(void **state)
{
    struct cluster *c = cluster_with(2, "a");
    struct node *a = node_of(c, A);
    struct eventual_record record = {0};

    (void)state;
    assert_int_equal(
        eventual_get(a->state, NULL, DIR, slice_of("a"), false, &record), 0);
    put_record(a->state, key_eventual_change(record.local), slice_of("?"));
    eventual_release(&record);
    start_again(node_of(c, B), true);
    pass_seconds(c, MEND_MS);
    expect_file(node_of(c, B), "a", "of A");
    assert_true(eventual_is_whole(node_of(c, B)->eventual));
    assert_int_equal(counts_of(a).damages, 0);
    cluster_free(c);
}

static void test_what_was_pulled_from_a_node_is_pulled_again(void **state)
{
    struct cluster *c = cluster_with(2, "a");
    struct node *b = node_of(c, B);

    (void)state;
    put_record(b->state, key_eventual_peer(A), slice_of("?"));
    start_again(b, false);
    put_text_file(node_of(c, A), "b", "more");
    pass(c, 3000);
    expect_file(b, "b", "more");
    cluster_free(c);
}

/* ---- those that ask it ---- */

/* Its answers pass over the entry and make nobody whole. */
static void test_a_damaged_node_claims_nothing(void **state)
{
    struct cluster *c = cluster_with(3, "a");
    struct node *last = node_of(c, C);

    (void)state;
    put_text_file(node_of(c, A), "b", "more");
    pass(c, 1000);
    cut(c, A, B);
    cut(c, B, C);
    spoil(node_of(c, A), 'v', "a");
    start_again(last, true);
    pass_seconds(c, MEND_MS);
    expect_file(last, "b", "more");
    expect_file(last, "a", NULL);
    assert_false(eventual_is_whole(last->eventual));
    assert_true(eventual_is_damaged(node_of(c, A)->eventual));
    connect_again(c, B, C);
    pass_seconds(c, MEND_MS);
    expect_file(last, "a", "of A");
    assert_true(eventual_is_whole(last->eventual));
    assert_true(eventual_has_all(node_of(c, A)->eventual));
    expect_file(node_of(c, A), "a", "of A");
    cluster_free(c);
}

/* What nobody can read is waited for by nobody. */
static void test_who_has_the_rest_of_all_others_is_whole(void **state)
{
    struct cluster *c = cluster_with(2, "a");

    (void)state;
    put_text_file(node_of(c, A), "b", "more");
    pass(c, 1000);
    spoil(node_of(c, A), 'v', "a");
    start_again(node_of(c, B), true);
    pass_seconds(c, MEND_MS);
    expect_file(node_of(c, B), "b", "more");
    assert_true(eventual_is_whole(node_of(c, B)->eventual));
    assert_false(eventual_has_all(node_of(c, A)->eventual));
    put_text_file(node_of(c, B), "a", "anew");
    pass_seconds(c, MEND_MS);
    expect_file(node_of(c, A), "a", "anew");
    assert_true(eventual_has_all(node_of(c, A)->eventual));
    cluster_free(c);
}

/* Nor does it tell of a fence; and it is not asked all the time. */
static void test_a_damaged_node_tells_of_no_fence(void **state)
{
    struct cluster *c = cluster_with(2, "a");
    struct node *a = node_of(c, A);
    unsigned answers;

    (void)state;
    spoil(a, 'v', "a");
    spoil(node_of(c, B), 'v', "a");
    find(a, "a");
    find(node_of(c, B), "a");
    pass_seconds(c, MEND_MS);
    apply_fence(a);
    pass_seconds(c, MEND_MS);
    assert_int_equal(pulls_told(node_of(c, B)->pulls, A).fence, 0);
    answers = a->answers;
    pass_seconds(c, MEND_MS);
    assert_in_range(a->answers - answers, 1, 2 * MEND_MS / 500);
    cluster_free(c);
}

/* A newer change of the name, from wherever. */
static void test_a_newer_change_takes_the_place_of_what_nobody_has(void **state)
{
    struct cluster *c = cluster_with(2, "a");
    struct node *b = node_of(c, B);

    (void)state;
    cut(c, A, B);
    put_text_file(b, "own", "lost");
    spoil(b, 'v', "own");
    find(b, "own");
    connect_again(c, A, B);
    pass_seconds(c, MEND_MS);
    assert_false(can_read(b, "own"));
    put_text_file(node_of(c, A), "own", "new");
    pass_seconds(c, MEND_MS);
    expect_file(b, "own", "new");
    assert_true(eventual_has_all(b->eventual));
    cluster_free(c);
}

static void test_two_damaged_nodes_mend_each_other(void **state)
{
    struct cluster *c = cluster_with(2, "a");

    (void)state;
    put_text_file(node_of(c, B), "b", "of B");
    pass(c, 1000);
    cut(c, A, B);
    spoil(node_of(c, A), 'v', "a");
    spoil(node_of(c, B), 'v', "b");
    find(node_of(c, A), "a");
    find(node_of(c, B), "b");
    pass_seconds(c, MEND_MS);
    connect_again(c, A, B);
    pass_seconds(c, 2 * MEND_MS);
    for (uint64_t id = A; id <= B; id++) {
        expect_file(node_of(c, id), "a", "of A");
        expect_file(node_of(c, id), "b", "of B");
        assert_true(eventual_has_all(node_of(c, id)->eventual));
    }
    cluster_free(c);
}

/* ---- of before ---- */

static bool keep_next_answer(struct cluster *c, const struct sent *sent)
{
    if (sent->to != B || sent->payload == NULL)
        return true;
    if (c->kept.packet.header == NULL)
        keep(c, sent);
    return false;
}

/* It would set the cursor behind what is to come again. */
static void test_an_answer_of_before_the_damage_counts_for_nothing(void **state)
{
    struct cluster *c = cluster_with(2, "a");
    struct node *b = node_of(c, B);
    struct eventual_peer peer = {0};

    (void)state;
    c->filter = keep_next_answer;
    put_text_file(node_of(c, A), "b", "more");
    settle(c);
    assert_non_null(c->kept.packet.header);
    spoil(b, 'v', "a");
    find(b, "a");
    settle(c);
    deliver_kept(c);
    assert_int_equal(eventual_peer_get(b->state, A, &peer), 0);
    assert_int_equal(peer.cursor, 0);
    c->filter = NULL;
    pass_seconds(c, 2 * MEND_MS);
    expect_file(b, "a", "of A");
    expect_file(b, "b", "more");
    cluster_free(c);
}

static void test_mending_goes_on_behind_a_start(void **state)
{
    struct cluster *c = cluster_with(2, "a");
    struct node *b = node_of(c, B);

    (void)state;
    cut(c, A, B);
    spoil(b, 'v', "a");
    find(b, "a");
    settle(c);
    start_again(b, false);
    assert_true(eventual_is_damaged(b->eventual));
    connect_again(c, A, B);
    pass_seconds(c, MEND_MS);
    expect_mended(c, B, "a");
    assert_int_equal(strncmp(b->warning, "all files", 9), 0);
    cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_comes_again_from_a_node_that_has_it),
        cmocka_unit_test(test_a_change_of_its_own_comes_again_too),
        cmocka_unit_test(test_content_alone_comes_again),
        cmocka_unit_test(test_all_else_can_be_used_meanwhile),
        cmocka_unit_test(test_what_nobody_has_stays_and_is_no_more_trouble),
        cmocka_unit_test(test_the_index_is_made_anew_when_an_answer_meets_it),
        cmocka_unit_test(test_what_was_pulled_from_a_node_is_pulled_again),
        cmocka_unit_test(test_a_damaged_node_claims_nothing),
        cmocka_unit_test(test_who_has_the_rest_of_all_others_is_whole),
        cmocka_unit_test(test_a_damaged_node_tells_of_no_fence),
        cmocka_unit_test(
            test_a_newer_change_takes_the_place_of_what_nobody_has),
        cmocka_unit_test(test_two_damaged_nodes_mend_each_other),
        cmocka_unit_test(
            test_an_answer_of_before_the_damage_counts_for_nothing),
        cmocka_unit_test(test_mending_goes_on_behind_a_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
