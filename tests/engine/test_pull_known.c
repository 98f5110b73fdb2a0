/* SPDX-License-Identifier: Apache-2.0 */

/* What nodes know of each other by what they ask and answer: fences, lag,
 * conflicts, and what the floor of tombstones takes. */

#include "pull_fixture.h"

#include <string.h>

#include "engine/keys.h"
#include "engine/wire.h"

enum { A = 1, B = 2, C = 3, ROLL = 7 };

/* ---- what nodes know of each other ---- */

static void test_a_fence_counts_with_all_that_was_accepted_before(void **state)
{
    struct cluster *c = cluster_new(2);
    struct node *b = node_of(c, B);
    uint64_t missing = 0;

    (void)state;
    cut(c, A, B);
    put_file(node_of(c, A), "a", large());
    put_file(node_of(c, A), "b", large());
    apply_fence(node_of(c, A));
    c->filter = keep_one_answer;
    connect_again(c, A, B);
    assert_int_equal(counts_of(b).pulled, 1);
    assert_false(pulls_are_drained(b->pulls, FENCE, &missing));
    assert_int_equal(missing, A);
    c->filter = NULL;
    pass(c, 2500);
    assert_int_equal(counts_of(b).pulled, 2);
    assert_true(pulls_are_drained(b->pulls, FENCE, &missing));
    assert_false(pulls_are_drained(b->pulls, FENCE + 1, &missing));
    cluster_free(c);
}

static void test_a_fence_is_told_at_once(void **state)
{
    struct cluster *c = cluster_new(3);
    uint64_t missing = 0;

    (void)state;
    apply_fence(node_of(c, A));
    settle(c);
    assert_int_equal(pulls_told(node_of(c, B)->pulls, A).fence, FENCE);
    assert_false(pulls_are_drained(node_of(c, B)->pulls, FENCE, &missing));
    assert_int_equal(missing, C);
    cluster_free(c);
}

static void test_the_lag_of_a_node_is_what_it_has_not_asked_for(void **state)
{
    struct cluster *c = cluster_new(2);
    struct node *a = node_of(c, A);

    (void)state;
    assert_true(lag_of(a, B).is_known);
    assert_int_equal(lag_of(a, B).pending_entries, 0);
    cut(c, A, B);
    put_many(a, "a");
    assert_int_equal(lag_of(a, B).pending_entries, MANY);
    assert_int_equal(lag_of(a, B).pending_bytes, MANY * strlen("many"));
    connect_again(c, A, B);
    pass(c, 100);
    assert_int_equal(lag_of(a, B).pending_entries, 0);
    c->count = 1;
    pass(c, 100);
    assert_int_equal(lag_of(a, B).node, 0);
    cluster_free(c);
}

/* Seconds; -1: not known. */
static int behind_s(struct cluster *c, uint64_t id)
{
    uint64_t behind_ns;

    if (!pulls_behind(node_of(c, id)->pulls, &behind_ns))
        return -1;
    return (int)(behind_ns / 1000000000);
}

/* The question was asked half a second before it is answered. */
static void test_a_node_is_as_far_behind_as_its_oldest_question(void **state)
{
    struct cluster *c = cluster_new(3);

    (void)state;
    pass(c, 2000);
    assert_int_equal(behind_s(c, A), 0);
    cut(c, A, C);
    pass(c, 10000);
    assert_in_range(behind_s(c, A), 9, 11);
    assert_in_range(behind_s(c, C), 9, 11);
    assert_int_equal(behind_s(c, B), 0);
    start_again(node_of(c, A), false);
    pass(c, 1000);
    assert_int_equal(behind_s(c, A), -1);
    connect_again(c, A, C);
    pass(c, 1000);
    assert_int_equal(behind_s(c, A), 0);
    cluster_free(c);
}

/* An answer need not have more than there was when it was asked for. */
static void test_a_node_is_never_less_behind_than_that(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    pass(c, 2000);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t behind_ns = 0;

        pass(c, 100);
        assert_true(pulls_behind(node_of(c, A)->pulls, &behind_ns));
        assert_true(behind_ns >= 400000000);
    }
    cluster_free(c);
}

static bool hold_answers(struct cluster *c, const struct sent *sent)
{
    if (sent->packet.type != WIRE_EVENTUAL_ANSWER || sent->to != A)
        return true;
    if (c->kept.packet.header == NULL)
        keep(c, sent);
    return false;
}

static void
test_a_question_that_is_asked_again_is_as_old_as_before(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    pass(c, 1000);
    c->filter = hold_answers;
    pass(c, 5000);
    deliver_kept(c);
    assert_in_range(behind_s(c, A), 4, 6);
    cluster_free(c);
}

static void test_a_node_that_is_alone_is_not_behind(void **state)
{
    struct cluster *c = cluster_new(1);

    (void)state;
    pass(c, 100);
    assert_int_equal(behind_s(c, A), 0);
    cluster_free(c);
}

static void test_the_oldest_change_says_how_long_a_node_lags(void **state)
{
    struct cluster *c = cluster_new(2);
    struct node *a = node_of(c, A);
    uint64_t oldest;

    (void)state;
    pass(c, 1000);
    assert_int_equal(lag_of(a, B).oldest_hlc, 0);
    cut(c, A, B);
    put_text_file(a, "a", "first");
    oldest = lag_of(a, B).oldest_hlc;
    assert_true(oldest != 0);
    pass(c, 1000);
    put_text_file(a, "b", "second");
    assert_true(lag_of(a, B).oldest_hlc == oldest);
    put_text_file(a, "a", "third");
    assert_true(lag_of(a, B).oldest_hlc > oldest);
    cluster_free(c);
}

/* ---- conflicts ---- */

static void test_a_conflict_is_counted_where_it_is_met(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    put_text_file(node_of(c, A), "a", "before");
    pass(c, 1000);
    put_text_file(node_of(c, B), "a", "behind");
    pass(c, 1000);
    assert_int_equal(lag_of(node_of(c, A), B).conflicts, 0);
    assert_int_equal(lag_of(node_of(c, B), A).conflicts, 0);
    cut(c, A, B);
    put_text_file(node_of(c, A), "a", "of A");
    put_text_file(node_of(c, B), "a", "of B");
    put_text_file(node_of(c, A), "own", "of A");
    connect_again(c, A, B);
    pass(c, 1000);
    assert_int_equal(lag_of(node_of(c, A), B).conflicts, 1);
    assert_int_equal(lag_of(node_of(c, B), A).conflicts, 1);
    put_text_file(node_of(c, A), "a", "knows both");
    pass(c, 1000);
    assert_int_equal(lag_of(node_of(c, B), A).conflicts, 1);
    cluster_free(c);
}

/* The newest of several says nothing of those before it; each has known
 * nothing of the other node. */
static void test_a_conflict_is_one_also_behind_own_changes(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    cut(c, A, B);
    put_text_file(node_of(c, B), "a", "of B");
    pass(c, 10);
    put_text_file(node_of(c, A), "a", "first of A");
    pass(c, 10);
    put_text_file(node_of(c, A), "a", "second of A");
    connect_again(c, A, B);
    pass(c, 1000);
    assert_int_equal(lag_of(node_of(c, A), B).conflicts, 1);
    assert_int_equal(lag_of(node_of(c, B), A).conflicts, 1);
    expect_file(node_of(c, B), "a", "second of A");
    cluster_free(c);
}

/* ---- tombstones: floor.h ---- */

static void put(struct kv *kv, struct key key, struct slice value,
                enum kv_durability durability)
{
    struct kv_batch *batch = kv_batch_new(kv);

    kv_batch_put(batch, key_slice(&key), value);
    assert_int_equal(kv_write(kv, batch, durability, NULL), 0);
    kv_batch_free(batch);
}

/* As if the node had done so, and was started again since. */
static void consent(struct node *node, uint64_t hlc, uint64_t roll)
{
    uint8_t bytes[24];

    be64_put(bytes, hlc);
    be64_put(bytes + 8, hlc);
    be64_put(bytes + 16, roll);
    put(node->log, key_promise(), (struct slice){bytes, sizeof bytes},
        KV_SYNCED);
    start_again(node, false);
}

static void put_roll(struct node *node, uint64_t roll)
{
    struct region region = {
        .conf_ver = roll,
        .version = 1,
        .peers = {{1, A, PEER_VOTER}, {2, B, PEER_VOTER}},
        .peer_count = 2,
        .voters = {1, 2},
        .voter_count = 2,
        .peer_max = 2,
    };
    struct buf *bytes = region_encode(&region);

    put(node->state, key_region(REGION_PLACEMENT), buf_slice(bytes),
        KV_RELAXED);
    buf_unref(bytes);
}

static void test_all_members_have_to_consent(void **state)
{
    const struct floor_members members = {{A, B, C}, 3, ROLL};
    struct cluster *c = cluster_new(3);

    (void)state;
    assert_int_equal(pulls_consent(node_of(c, A)->pulls, &members), 0);
    consent(node_of(c, B), 20, ROLL);
    pass(c, 1000);
    assert_int_equal(pulls_consent(node_of(c, A)->pulls, &members), 0);
    consent(node_of(c, C), 30, ROLL);
    pass(c, 1000);
    assert_int_equal(pulls_consent(node_of(c, A)->pulls, &members), 20);
    consent(node_of(c, B), 40, ROLL + 1);
    pass(c, 1000);
    assert_int_equal(pulls_consent(node_of(c, A)->pulls, &members), 0);
    cluster_free(c);
}

/* Rule 7. */
static void test_who_has_lost_a_consent_takes_what_was_read_later(void **state)
{
    struct cluster *c = cluster_new(2);

    (void)state;
    put_text_file(node_of(c, A), "a", "old");
    put_roll(node_of(c, A), ROLL);
    c->filter = drop_all;
    start_again(node_of(c, B), true);
    consent(node_of(c, B), 20, ROLL);
    c->filter = NULL;
    pass(c, 3000);
    expect_file(node_of(c, B), "a", NULL);
    assert_false(eventual_is_whole(node_of(c, B)->eventual));
    put_roll(node_of(c, A), ROLL + 1);
    pass(c, 3000);
    expect_file(node_of(c, B), "a", "old");
    assert_true(eventual_is_whole(node_of(c, B)->eventual));
    cluster_free(c);
}

static void test_an_answer_tells_what_was_promised_and_forgotten(void **state)
{
    struct cluster *c = cluster_new(2);
    struct eventual_peer peer;
    struct eventual_head head;
    uint8_t floor[16] = {0};

    (void)state;
    put_roll(node_of(c, A), ROLL);
    put_roll(node_of(c, B), ROLL);
    consent(node_of(c, A), 20, ROLL);
    be64_put(floor, 10);
    put(node_of(c, A)->state, key_floor(), (struct slice){floor, sizeof floor},
        KV_RELAXED);
    pass(c, 3000);
    assert_int_equal(eventual_peer_get(node_of(c, B)->state, A, &peer), 0);
    assert_int_equal(peer.promise, 20);
    assert_int_equal(peer.roll, ROLL);
    assert_int_equal(eventual_head_get(node_of(c, B)->state, &head), 0);
    assert_int_equal(head.floor, 10);
    cluster_free(c);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fence_counts_with_all_that_was_accepted_before),
        cmocka_unit_test(test_a_fence_is_told_at_once),
        cmocka_unit_test(test_the_lag_of_a_node_is_what_it_has_not_asked_for),
        cmocka_unit_test(test_a_node_is_as_far_behind_as_its_oldest_question),
        cmocka_unit_test(test_a_node_is_never_less_behind_than_that),
        cmocka_unit_test(
            test_a_question_that_is_asked_again_is_as_old_as_before),
        cmocka_unit_test(test_a_node_that_is_alone_is_not_behind),
        cmocka_unit_test(test_the_oldest_change_says_how_long_a_node_lags),
        cmocka_unit_test(test_a_conflict_is_counted_where_it_is_met),
        cmocka_unit_test(test_a_conflict_is_one_also_behind_own_changes),
        cmocka_unit_test(test_all_members_have_to_consent),
        cmocka_unit_test(test_who_has_lost_a_consent_takes_what_was_read_later),
        cmocka_unit_test(test_an_answer_tells_what_was_promised_and_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
