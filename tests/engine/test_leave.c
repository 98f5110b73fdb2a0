/* SPDX-License-Identifier: Apache-2.0 */

/* When a node can be removed, as another one sees it. Nodes, what they have and
 * what they tell each other are real; node C is to go, and A looks. */

#include "pull_fixture.h"

#include <string.h>

#include "engine/keys.h"
#include "engine/leave.h"
#include "engine/left_out.h"
#include "engine/members.h"
#include "engine/splitter.h"
#include "engine/status.h"
#include "engine/wire.h"
#include "tests/engine/kv_helpers.h"

enum { A = 1, B = 2, C = 3, DRAINED = 30 };

/* ---- node.h, members.h ---- */

struct pulls *node_pulls(const struct node *node)
{
    return node->pulls;
}

int members_find(struct node *node, uint64_t id, struct node_record *ret)
{
    struct key key = key_node(id);
    struct kv_value value = {0};
    int rc = kv_get(node->state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = node_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

/* ---- status.h ---- */

/* What C has told last of itself; `node` 0: nothing. */
static struct node_status told;

struct status_board *node_status_board(const struct node *node)
{
    (void)node;
    return NULL;
}

const struct node_status *status_board_find(const struct status_board *board,
                                            uint64_t node_id)
{
    (void)board;
    return told.node == node_id ? &told : NULL;
}

/* ---- what happens ---- */

static int setup(void **state)
{
    struct cluster *c = cluster_new(3);

    told = (struct node_status){.node = 0};

    for (uint64_t id = A; id <= C; id++)
        for (uint64_t other = A; other <= C; other++)
            apply_state(node_of(c, id), other, NODE_UP, 10);
    pass(c, 1000);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    cluster_free(*state);
    return 0;
}

/* All learn that C has this state. */
static void set_state(struct cluster *c, enum node_state state,
                      uint64_t version)
{
    for (uint64_t id = A; id <= C; id++) {
        struct node *node = node_of(c, id);

        apply_state(node, C, state, version);
        eventual_tick(node->eventual);
        settle(c);
    }
}

static void drain(struct cluster *c)
{
    set_state(c, NODE_DRAINING, DRAINED);
}

/* While B reaches nobody, C accepts a file and is drained: A takes it. */
static void drain_past_b(struct cluster *c)
{
    cut(c, B, C);
    cut(c, A, B);
    put_text_file(node_of(c, C), "c", "mine");
    drain(c);
}

static enum leave_state look(struct cluster *c)
{
    struct node_record record;

    assert_int_equal(members_find(node_of(c, A), C, &record), 0);
    return leave_look(node_of(c, A), &record);
}

/* Makes durable what A has. */
static void flush(struct cluster *c)
{
    assert_int_equal(kv_flush(node_of(c, A)->state, true, NULL), 0);
}

static enum leave_state flush_and_look(struct cluster *c)
{
    flush(c);
    return look(c);
}

/* ---- tests ---- */

static void test_who_is_not_drained_is_not_looked_at(void **state)
{
    struct cluster *c = *state;

    cut(c, A, C);
    put_text_file(node_of(c, C), "c", "mine");
    assert_int_equal(look(c), LEAVE_FREE);
}

static void test_who_has_told_all_may_go(void **state)
{
    struct cluster *c = *state;

    put_text_file(node_of(c, C), "c", "mine");
    drain(c);
    pass(c, 1000);
    assert_int_equal(flush_and_look(c), LEAVE_FREE);
    expect_file(node_of(c, A), "c", "mine");
    expect_file(node_of(c, B), "c", "mine");
}

static void test_who_has_not_told_may_have_something(void **state)
{
    struct cluster *c = *state;

    cut(c, A, C);
    drain(c);
    assert_int_equal(look(c), LEAVE_UNTOLD);
    connect_again(c, A, C);
    pass(c, 1000);
    assert_int_equal(flush_and_look(c), LEAVE_FREE);
}

/* What it has told of was another fence. */
static void test_a_node_that_was_up_again_has_to_tell_anew(void **state)
{
    struct cluster *c = *state;

    drain(c);
    pass(c, 1000);
    cut(c, A, C);
    set_state(c, NODE_UP, DRAINED + 1);
    put_text_file(node_of(c, C), "c", "mine");
    set_state(c, NODE_DRAINING, DRAINED + 2);
    assert_int_equal(look(c), LEAVE_UNTOLD);
}

static void test_a_third_node_gets_it_too(void **state)
{
    struct cluster *c = *state;

    drain_past_b(c);
    assert_int_equal(flush_and_look(c), LEAVE_SPREADS);
    connect_again(c, A, B);
    pass(c, 2000);
    expect_file(node_of(c, B), "c", "mine");
    assert_int_equal(flush_and_look(c), LEAVE_FREE);
}

/* It gets it from this node when it is back. */
static void test_a_third_node_that_is_silent_is_not_waited_for(void **state)
{
    struct cluster *c = *state;

    drain_past_b(c);
    pass(c, 10000);
    assert_int_equal(flush_and_look(c), LEAVE_FREE);
    c->cut[A - 1][C - 1] = c->cut[C - 1][A - 1] = true;
    connect_again(c, A, B);
    pass(c, 2000);
    expect_file(node_of(c, B), "c", "mine");
}

static void test_a_third_node_that_leaves_itself_is_not_waited_for(void **state)
{
    struct cluster *c = *state;

    drain_past_b(c);
    apply_state(node_of(c, A), B, NODE_DRAINING, DRAINED + 1);
    assert_int_equal(flush_and_look(c), LEAVE_FREE);
}

static void test_what_was_taken_has_to_be_durable(void **state)
{
    struct cluster *c = *state;
    struct node_record record;

    flush(c);
    put_text_file(node_of(c, C), "c", "mine");
    drain(c);
    pass(c, 1000);
    assert_int_equal(look(c), LEAVE_UNSAFE);
    node_of(c, A)->flushes = 0;
    assert_int_equal(members_find(node_of(c, A), C, &record), 0);
    leave_prepare(node_of(c, A), &record);
    leave_prepare(node_of(c, A), &record);
    assert_int_equal(node_of(c, A)->flushes, 1);
    assert_int_equal(look(c), LEAVE_FREE);
}

/* Whoever looks knows only what it was told since its start. */
static void test_a_node_that_was_started_again_asks_again(void **state)
{
    struct cluster *c = *state;

    drain(c);
    pass(c, 1000);
    flush(c);
    start_again(node_of(c, A), false);
    assert_int_equal(look(c), LEAVE_UNTOLD);
    pass(c, 2000);
    assert_int_equal(flush_and_look(c), LEAVE_FREE);
}

static void test_without_an_eventual_directory_a_dead_node_may_go(void **state)
{
    struct cluster *c = *state;

    cut(c, A, C);
    apply_strong(node_of(c, A), DRAINED - 1);
    apply_state(node_of(c, A), C, NODE_DRAINING, DRAINED);
    assert_int_equal(look(c), LEAVE_FREE);
}

/* ---- quarantine ---- */

enum { STRONG = DRAINED - 1 }; /* the version with which DIR became so */

/* DIR was made strong without `left`, and then C was drained. */
static void drain_behind_force(struct cluster *c, uint64_t left)
{
    struct node *a = node_of(c, A);
    struct left_out left_out = {.count = 0};
    struct kv_batch *batch = kv_batch_new(a->state);

    cut(c, A, C);
    left_out_add(&left_out, left, 0);
    left_out_put(batch, DIR, SINCE, &left_out);
    assert_int_equal(kv_write(a->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    apply_strong(a, STRONG);
    apply_state(a, C, NODE_DRAINING, DRAINED);
}

static void tell(uint64_t catalog, uint64_t quarantine)
{
    told = (struct node_status){
        .node = C, .catalog = catalog, .quarantine = quarantine};
}

/* Nor while nobody can tell what it has. */
static void test_who_keeps_something_in_quarantine_does_not_go(void **state)
{
    struct cluster *c = *state;

    drain_behind_force(c, C);
    assert_int_equal(look(c), LEAVE_KEEPS);
    tell(STRONG, 1);
    assert_int_equal(look(c), LEAVE_KEEPS);
    tell(STRONG, SIZE_UNKNOWN);
    assert_int_equal(look(c), LEAVE_KEEPS);
    tell(STRONG, 0);
    assert_int_equal(look(c), LEAVE_FREE);
}

/* What it has then is in no quarantine yet. */
static void test_who_has_not_learnt_that_it_was_left_out_stays(void **state)
{
    struct cluster *c = *state;

    drain_behind_force(c, C);
    tell(STRONG - 1, 0);
    assert_int_equal(look(c), LEAVE_KEEPS);
}

static void test_who_was_not_left_out_may_go(void **state)
{
    struct cluster *c = *state;

    drain_behind_force(c, B);
    assert_int_equal(look(c), LEAVE_FREE);
}

static void test_a_damaged_record_of_who_was_left_out_counts(void **state)
{
    struct cluster *c = *state;

    drain_behind_force(c, B);
    put_record(node_of(c, A)->state, key_left_out(DIR, SINCE),
               slice_of("\001damage"));
    assert_int_equal(look(c), LEAVE_KEEPS);
}

/* Its record said when it became strong. */
static void test_of_a_directory_that_is_gone_all_has_to_be_known(void **state)
{
    struct cluster *c = *state;
    struct node *a = node_of(c, A);
    struct key key = key_directory(DIR);
    struct kv_batch *batch = kv_batch_new(a->state);

    drain_behind_force(c, C);
    kv_batch_delete(batch, key_slice(&key));
    assert_int_equal(kv_write(a->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    tell(DRAINED - 1, 0);
    assert_int_equal(look(c), LEAVE_KEEPS);
    tell(DRAINED, 0);
    assert_int_equal(look(c), LEAVE_FREE);
}

static void test_what_is_lost_is_told(void **state)
{
    struct cluster *c = *state;
    struct node *a = node_of(c, A);

    a->warnings = 0;
    leave_log_loss(a, C, LEAVE_FREE);
    leave_log_loss(a, C, LEAVE_SPREADS);
    assert_int_equal(a->warnings, 0);
    cut(c, A, C);
    pass(c, 7000);
    leave_log_loss(a, C, LEAVE_UNTOLD);
    assert_int_equal(a->warnings, 1);
    leave_log_loss(a, C, LEAVE_KEEPS);
    assert_int_equal(a->warnings, 2);
    leave_log_loss(a, C, LEAVE_UNTOLD);
    assert_non_null(strstr(a->warning, "node 3 was removed by force and has "
                                       "not told what it accepted"));
    assert_non_null(strstr(a->warning, "it has told nothing for 7 s"));
    leave_log_loss(a, C + 1, LEAVE_UNTOLD);
    assert_non_null(strstr(a->warning, "since this node's start"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_who_is_not_drained_is_not_looked_at),
        TEST(test_who_has_told_all_may_go),
        TEST(test_who_has_not_told_may_have_something),
        TEST(test_a_node_that_was_up_again_has_to_tell_anew),
        TEST(test_a_third_node_gets_it_too),
        TEST(test_a_third_node_that_is_silent_is_not_waited_for),
        TEST(test_a_third_node_that_leaves_itself_is_not_waited_for),
        TEST(test_what_was_taken_has_to_be_durable),
        TEST(test_a_node_that_was_started_again_asks_again),
        TEST(test_without_an_eventual_directory_a_dead_node_may_go),
        TEST(test_who_keeps_something_in_quarantine_does_not_go),
        TEST(test_who_has_not_learnt_that_it_was_left_out_stays),
        TEST(test_who_was_not_left_out_may_go),
        TEST(test_a_damaged_record_of_who_was_left_out_counts),
        TEST(test_of_a_directory_that_is_gone_all_has_to_be_known),
        TEST(test_what_is_lost_is_told),
    };

    return cmocka_run_group_tests_name("leave", tests, NULL, NULL);
}
