/* SPDX-License-Identifier: Apache-2.0 */

/* What nodes find when they compare what they have. */

#include "pull_fixture.h"

#include <string.h>

#include "engine/keys.h"

enum { A = 1, B = 2, C = 3 };

/* With moments, which are looked at each second. */
static void pass_seconds(struct cluster *c, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        for (size_t n = 0; n < c->count; n++)
            eventual_tick(c->nodes[n].eventual);
        settle(c);
        pass(c, 1000);
    }
}

static enum digest_verdict verdict(struct cluster *c, uint64_t a, uint64_t b)
{
    return lag_of(node_of(c, a), b).verdict;
}

static bool differs(struct cluster *c, uint64_t id)
{
    uint64_t node = 0;
    int64_t since_ns;

    return pulls_next_differing(node_of(c, id)->pulls, 0, &node, &since_ns);
}

/* As an error might make it: the entry has another content, and is counted. */
static void falsify(struct node *node, const char *name, const char *text)
{
    struct kv_batch *batch = kv_batch_new(node->state);
    struct eventual_record old = {0};
    struct eventual_record record;
    struct eventual_namespace count;

    assert_int_equal(
        eventual_get(node->state, NULL, DIR, slice_of(name), true, &old), 0);
    assert_int_equal(eventual_namespace_get(node->state, NULL, DIR, &count), 0);
    record = old;
    record.content = slice_of(text);
    record.attr.size = record.content.size;
    record.digest = digest_record(&record);
    count.digest += record.digest - old.digest;
    eventual_put(batch, &record, &old);
    eventual_namespace_put(batch, DIR, &count);
    assert_int_equal(kv_write(node->state, batch, KV_RELAXED, NULL), 0);
    assert_int_equal(kv_flush(node->state, true, NULL), 0);
    kv_batch_free(batch);
    eventual_release(&old);
    start_again(node, false);
}

static void test_nodes_that_have_the_same_find_that(void **state)
{
    struct cluster *c = cluster_new(3);

    (void)state;
    assert_int_equal(verdict(c, A, B), DIGEST_NONE);
    put_text_file(node_of(c, A), "a", "of a");
    put_text_file(node_of(c, B), "b", "of b");
    pass_seconds(c, 4);
    for (uint64_t a = A; a <= C; a++)
        for (uint64_t b = A; b <= C; b++)
            assert_true(a == b || verdict(c, a, b) == DIGEST_EQUAL);
    cluster_free(c);
}

static void test_what_has_changed_since_is_not_compared(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    pass_seconds(c, 4);
    assert_int_equal(verdict(c, A, B), DIGEST_EQUAL);
    put_text_file(node_of(c, A), "a", "text");
    assert_int_equal(verdict(c, A, B), DIGEST_BEHIND);
    pass_seconds(c, 4);
    assert_int_equal(verdict(c, A, B), DIGEST_EQUAL);
    cluster_free(c);
}

static void test_who_lacks_something_does_not_differ(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    pass_seconds(c, 4);
    cut(c, A, B);
    put_text_file(node_of(c, A), "a", "of a");
    put_text_file(node_of(c, B), "b", "of b");
    pass_seconds(c, 2);
    assert_int_equal(verdict(c, A, B), DIGEST_BEHIND);
    pass_seconds(c, 4);
    assert_int_equal(verdict(c, A, B), DIGEST_NONE);
    assert_false(differs(c, A) || differs(c, B));
    connect_again(c, A, B);
    pass_seconds(c, 4);
    assert_int_equal(verdict(c, A, B), DIGEST_EQUAL);
    cluster_free(c);
}

/* Node B's vector says nothing of what it has of the first answer. */
static void test_a_part_of_an_answer_is_not_compared(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    pass_seconds(c, 4);
    cut(c, A, B);
    put_file(node_of(c, A), "a", large());
    put_file(node_of(c, A), "b", large());
    c->filter = keep_one_answer;
    connect_again(c, A, B);
    pass_seconds(c, 2);
    assert_int_equal(counts_of(node_of(c, B)).pulled, 1);
    assert_int_equal(verdict(c, A, B), DIGEST_BEHIND);
    assert_int_equal(verdict(c, B, A), DIGEST_BEHIND);
    c->filter = NULL;
    pass_seconds(c, 5);
    assert_int_equal(verdict(c, A, B), DIGEST_EQUAL);
    cluster_free(c);
}

static void
test_where_a_life_goes_on_elsewhere_nothing_is_compared(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    put_text_file(node_of(c, A), "a", "text");
    pass_seconds(c, 4);
    apply_strong(node_of(c, A), FENCE);
    pass_seconds(c, 3);
    assert_int_equal(verdict(c, A, B), DIGEST_NONE);
    assert_int_equal(verdict(c, B, A), DIGEST_NONE);
    apply_filling(node_of(c, A), FENCE + 1);
    pass_seconds(c, 3);
    assert_int_equal(verdict(c, A, B), DIGEST_BEHIND);
    assert_int_equal(verdict(c, B, A), DIGEST_BEHIND);
    apply_strong(node_of(c, B), FENCE);
    apply_filling(node_of(c, B), FENCE + 1);
    pass_seconds(c, 3);
    assert_int_equal(verdict(c, A, B), DIGEST_EQUAL);
    cluster_free(c);
}

static void test_a_node_that_differs_is_told_of(void **state)
{
    struct cluster *c = cluster_new(3);

    (void)state;
    put_text_file(node_of(c, A), "a", "right");
    pass_seconds(c, 4);
    falsify(node_of(c, B), "a", "wrong");
    pass_seconds(c, 5);
    assert_int_equal(verdict(c, A, B), DIGEST_DIFFERS);
    assert_int_equal(verdict(c, B, A), DIGEST_DIFFERS);
    assert_int_equal(verdict(c, A, C), DIGEST_EQUAL);
    assert_true(differs(c, A) && differs(c, B) && differs(c, C));
    assert_int_equal(node_of(c, A)->warnings, 1);
    put_text_file(node_of(c, A), "b", "on the way");
    assert_int_equal(verdict(c, A, B), DIGEST_DIFFERS);
    put_text_file(node_of(c, A), "a", "new");
    pass_seconds(c, 4);
    assert_int_equal(verdict(c, A, B), DIGEST_EQUAL);
    assert_false(differs(c, A) || differs(c, B) || differs(c, C));
    cluster_free(c);
}

static void test_one_comparison_is_not_enough(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    put_text_file(node_of(c, A), "a", "right");
    pass_seconds(c, 4);
    falsify(node_of(c, B), "a", "wrong");
    pass(c, 3000);
    eventual_tick(node_of(c, B)->eventual);
    settle(c);
    pass(c, 100);
    assert_false(differs(c, B));
    eventual_tick(node_of(c, B)->eventual);
    settle(c);
    pass(c, 100);
    assert_true(differs(c, B));
    cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nodes_that_have_the_same_find_that),
        cmocka_unit_test(test_what_has_changed_since_is_not_compared),
        cmocka_unit_test(test_who_lacks_something_does_not_differ),
        cmocka_unit_test(test_a_part_of_an_answer_is_not_compared),
        cmocka_unit_test(
            test_where_a_life_goes_on_elsewhere_nothing_is_compared),
        cmocka_unit_test(test_a_node_that_differs_is_told_of),
        cmocka_unit_test(test_one_comparison_is_not_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
