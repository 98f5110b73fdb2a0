/* SPDX-License-Identifier: Apache-2.0 */

/* Whose clock is wrong, by what nodes say of theirs. Time, and how long a
 * message takes, are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/clocks.h"
#include "engine/event_log.h"
#include "engine/status.h"

enum { OWN = 1, ALL_NODES = 5, SECOND_MS = 1000, SURE_MAX = 20 };

struct node {
    struct env env;
    int64_t time_ms;                 /* what a right clock shows */
    int64_t ahead_ms[ALL_NODES + 1]; /* clocks, by node */
    int64_t delay_ms;                /* of messages to this node */
    bool silent[ALL_NODES + 1];
    size_t count;
    unsigned events;
    char event[EVENT_TEXT_SIZE]; /* the last one */
    struct clocks *clocks;
};

/* ---- env.h, node.h, status.h ---- */

static uint64_t mono(struct env *env)
{
    const struct node *node = container_of(env, struct node, env);

    return (uint64_t)(node->time_ms - INT64_C(1700000000000)) * 1000000;
}

static uint64_t wall(struct env *env)
{
    const struct node *node = container_of(env, struct node, env);

    return (uint64_t)(node->time_ms + node->ahead_ms[OWN]) * 1000000;
}

static const struct env_ops ops = {.mono_ns = mono, .wall_ns = wall};

struct env *node_env(struct node *node)
{
    return &node->env;
}

uint64_t node_id(const struct node *node)
{
    (void)node;
    return OWN;
}

size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    for (size_t i = 0; i < node->count; i++)
        nodes[i] = i + 1;
    return node->count;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    va_list args;

    (void)level;
    va_start(args, format);
    (void)vsnprintf(node->event, sizeof node->event, format, args);
    va_end(args);
    node->events++;
}

struct status_board *node_status_board(const struct node *node)
{
    return (struct status_board *)(uintptr_t)node;
}

const struct node_status *status_board_find(const struct status_board *board,
                                            uint64_t id)
{
    static const struct node_status status;
    const struct node *node = (const struct node *)board;

    return id == 0 || id > node->count || node->silent[id] ? NULL : &status;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->env.ops = &ops;
    node->time_ms = INT64_C(1700000100000);
    node->count = 3;
    node->clocks = clocks_new(node);
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    clocks_free(node->clocks);
    free(node);
    return 0;
}

/* All say what their clocks show, and some time later that is judged. */
static void pass_seconds(struct node *node, unsigned seconds)
{
    while (seconds-- > 0) {
        int64_t sent_ms = node->time_ms;

        node->time_ms += node->delay_ms;
        for (uint64_t id = 2; id <= node->count; id++)
            if (!node->silent[id])
                clocks_hear(node->clocks, id,
                            (sent_ms + node->ahead_ms[id]) * 1000000);
        node->time_ms += SECOND_MS - node->delay_ms;
        clocks_each_second(node->clocks);
    }
}

static struct clock_view view_of(struct node *node, uint64_t id)
{
    struct clock_view view = {0};

    assert_true(clocks_find(node->clocks, id, &view));
    return view;
}

/* ---- tests ---- */

static void test_clocks_that_agree_are_right(void **state)
{
    struct node *node = *state;

    node->ahead_ms[2] = 300;
    node->delay_ms = 100;
    pass_seconds(node, SURE_MAX);
    assert_int_equal(node->events, 0);
    for (uint64_t id = 1; id <= node->count; id++)
        assert_false(clocks_is_wrong(node->clocks, id));
    assert_int_equal(view_of(node, 2).offset_ns, 200 * 1000000);
}

static void test_who_differs_from_most_is_wrong(void **state)
{
    struct node *node = *state;

    node->ahead_ms[3] = 3600000;
    pass_seconds(node, SURE_MAX);
    assert_true(clocks_is_wrong(node->clocks, 3));
    assert_false(clocks_is_wrong(node->clocks, OWN));
    assert_false(clocks_is_wrong(node->clocks, 2));
    assert_int_equal(view_of(node, 3).deviation_ns, INT64_C(3600000000000));
    assert_int_equal(node->events, 1);
    assert_string_equal(node->event, "the clock of node 3 is 3600.000 s ahead "
                                     "of the median of 3 nodes");
}

static void test_a_node_finds_its_own_clock_wrong(void **state)
{
    struct node *node = *state;

    node->ahead_ms[OWN] = -2000;
    pass_seconds(node, SURE_MAX);
    assert_true(clocks_is_wrong(node->clocks, OWN));
    assert_false(clocks_is_wrong(node->clocks, 2));
    assert_false(clocks_is_wrong(node->clocks, 3));
    assert_string_equal(node->event,
                        "the clock of node 1 is 2.000 s behind the median of 3 "
                        "nodes: this node hands over what it leads");
}

/* A node says that of itself as soon as of another one: what it has heard
 * before its clock went wrong does not count against others. */
static void test_a_step_of_the_own_clock_is_seen_at_once(void **state)
{
    struct node *node = *state;

    pass_seconds(node, SURE_MAX);
    node->ahead_ms[OWN] = 3600000;
    pass_seconds(node, 3);
    assert_true(clocks_is_wrong(node->clocks, OWN));
    assert_int_equal(node->events, 1);
}

static void test_a_clock_that_was_set_right_is_believed_again(void **state)
{
    struct node *node = *state;

    node->ahead_ms[3] = 3600000;
    pass_seconds(node, SURE_MAX);
    node->ahead_ms[3] = 0;
    pass_seconds(node, SURE_MAX);
    assert_false(clocks_is_wrong(node->clocks, 3));
    assert_string_equal(node->event, "the clock of node 3 is right again");
    assert_int_equal(node->events, 2);
}

/* As after a pause of this node, or on a busy line. */
static void test_messages_that_come_late_prove_nothing(void **state)
{
    struct node *node = *state;

    pass_seconds(node, SURE_MAX);
    for (int i = 0; i < SURE_MAX; i++) {
        node->delay_ms = i % 4 == 3 ? 0 : 900;
        pass_seconds(node, 1);
    }
    assert_int_equal(node->events, 0);
}

static void test_one_at_the_limit_does_not_flap(void **state)
{
    struct node *node = *state;

    node->ahead_ms[2] = 510;
    pass_seconds(node, SURE_MAX);
    assert_true(clocks_is_wrong(node->clocks, 2));
    for (int i = 0; i < SURE_MAX; i++) {
        node->ahead_ms[2] = i % 2 == 0 ? 490 : 510;
        pass_seconds(node, 12);
    }
    assert_int_equal(node->events, 1);
}

static void test_a_moment_is_not_enough(void **state)
{
    struct node *node = *state;

    pass_seconds(node, SURE_MAX);
    node->ahead_ms[OWN] = 3600000;
    pass_seconds(node, 2);
    node->ahead_ms[OWN] = 0;
    pass_seconds(node, SURE_MAX);
    assert_int_equal(node->events, 0);
}

static void test_of_two_nodes_nobody_knows_who_is_wrong(void **state)
{
    struct node *node = *state;

    node->count = 2;
    node->ahead_ms[OWN] = 3600000;
    pass_seconds(node, SURE_MAX);
    assert_false(clocks_is_wrong(node->clocks, OWN));
    assert_false(clocks_is_wrong(node->clocks, 2));
    assert_int_not_equal(view_of(node, OWN).since_ns, 0);
    assert_false(view_of(node, OWN).by_majority);
    assert_int_equal(node->events, 1);
}

/* Clocks ahead of others do the harm. */
static void test_of_two_halves_the_one_ahead_is_wrong(void **state)
{
    struct node *node = *state;

    node->count = 4;
    node->ahead_ms[2] = node->ahead_ms[4] = 3600000;
    pass_seconds(node, SURE_MAX);
    assert_true(clocks_is_wrong(node->clocks, 2));
    assert_true(clocks_is_wrong(node->clocks, 4));
    assert_false(clocks_is_wrong(node->clocks, OWN));
    assert_false(clocks_is_wrong(node->clocks, 3));
}

/* It may have been set right meanwhile, or the node may be gone for good. */
static void test_nothing_is_known_of_who_cannot_be_reached(void **state)
{
    struct node *node = *state;
    struct clock_view view;

    node->ahead_ms[3] = 3600000;
    pass_seconds(node, SURE_MAX);
    node->silent[3] = true;
    pass_seconds(node, 1);
    assert_false(clocks_find(node->clocks, 3, &view));
    assert_false(clocks_is_wrong(node->clocks, 3));
}

/* What the network brings is no reason to fall over. */
static void test_nonsense_is_a_wrong_clock(void **state)
{
    struct node *node = *state;

    for (int i = 0; i < SURE_MAX; i++) {
        clocks_hear(node->clocks, 3, INT64_MAX);
        clocks_hear(node->clocks, 3, INT64_MIN);
        clocks_hear(node->clocks, OWN, INT64_MAX);
        pass_seconds(node, 1);
    }
    assert_true(clocks_is_wrong(node->clocks, 3));
    assert_false(clocks_is_wrong(node->clocks, OWN));
}

/* ---- believing this node's own clock ---- */

static int read_status(struct node *node)
{
    uint64_t wall_ns = 0;
    int rc = clocks_read(node->clocks, &wall_ns);

    if (rc == 0)
        assert_int_equal(wall_ns,
                         (node->time_ms + node->ahead_ms[OWN]) * 1000000);
    return rc;
}

static void silence_others(struct node *node, bool silent)
{
    for (uint64_t id = 2; id <= node->count; id++)
        node->silent[id] = silent;
}

static void test_a_clock_is_believed_once_it_agrees_with_another(void **state)
{
    struct node *node = *state;

    node->silent[2] = true;
    assert_int_equal(read_status(node), ERR_UNAVAILABLE);
    assert_false(clocks_is_doubted(node->clocks));
    pass_seconds(node, 1);
    assert_int_equal(read_status(node), 0);
}

static void
test_a_clock_that_is_ahead_at_the_start_is_not_believed(void **state)
{
    struct node *node = *state;

    node->ahead_ms[OWN] = 3600000;
    pass_seconds(node, 1);
    assert_int_equal(read_status(node), ERR_READ_ONLY);
    node->ahead_ms[OWN] = 0;
    pass_seconds(node, 1);
    assert_int_equal(read_status(node), 0);
}

/* It has to go on alone. */
static void
test_a_node_that_hears_nobody_after_its_start_believes_its_clock(void **state)
{
    struct node *node = *state;

    silence_others(node, true);
    pass_seconds(node, 1);
    assert_int_equal(read_status(node), ERR_UNAVAILABLE);
    pass_seconds(node, SURE_MAX);
    assert_int_equal(read_status(node), 0);
    node->ahead_ms[OWN] = 3600000;
    pass_seconds(node, SURE_MAX);
    assert_int_equal(read_status(node), ERR_UNAVAILABLE);
    assert_true(clocks_is_doubted(node->clocks));
}

static void test_a_lone_node_believes_its_clock(void **state)
{
    struct node *node = *state;

    node->count = 1;
    clocks_tick(node->clocks);
    assert_int_equal(read_status(node), 0);
    node->ahead_ms[OWN] = 3600000;
    pass_seconds(node, 1);
    assert_int_equal(read_status(node), 0);
}

/* Before anybody has judged. */
static void test_a_clock_that_jumps_is_not_believed_from_then_on(void **state)
{
    struct node *node = *state;

    pass_seconds(node, 2);
    for (int64_t ahead_ms = -3600000; ahead_ms <= 3600000;
         ahead_ms += 7200000) {
        node->ahead_ms[OWN] = ahead_ms;
        assert_int_equal(read_status(node), ERR_UNAVAILABLE);
        node->ahead_ms[OWN] = 0;
        assert_int_equal(read_status(node), 0);
    }
    node->ahead_ms[OWN] = 3600000;
    pass_seconds(node, 1);
    assert_int_equal(read_status(node), ERR_READ_ONLY);
    assert_false(clocks_is_doubted(node->clocks));
    silence_others(node, true);
    pass_seconds(node, 1);
    assert_int_equal(read_status(node), ERR_UNAVAILABLE);
    assert_true(clocks_is_doubted(node->clocks));
}

static void test_a_clock_that_jumps_with_all_others_is_believed(void **state)
{
    struct node *node = *state;

    pass_seconds(node, 2);
    for (uint64_t id = OWN; id <= node->count; id++)
        node->ahead_ms[id] = 3600000;
    assert_int_equal(read_status(node), ERR_UNAVAILABLE);
    pass_seconds(node, 1);
    assert_int_equal(read_status(node), 0);
}

static void
test_a_clock_that_drifts_is_believed_where_nobody_is_heard(void **state)
{
    struct node *node = *state;

    pass_seconds(node, 2);
    silence_others(node, true);
    for (int i = 0; i < SURE_MAX; i++) {
        node->ahead_ms[OWN] += 100;
        assert_int_equal(read_status(node), 0);
        pass_seconds(node, 1);
    }
}

/* It is still as wrong when there is nobody left to say so. */
static void
test_a_clock_that_was_found_wrong_needs_another_one_that_agrees(void **state)
{
    struct node *node = *state;

    node->count = 5;
    pass_seconds(node, 2);
    for (int i = 0; i < SURE_MAX; i++) {
        node->ahead_ms[OWN] += 100;
        pass_seconds(node, 1);
    }
    assert_true(clocks_is_wrong(node->clocks, OWN));
    silence_others(node, true);
    pass_seconds(node, SURE_MAX);
    assert_int_equal(read_status(node), ERR_UNAVAILABLE);
    assert_true(clocks_is_doubted(node->clocks));
    node->ahead_ms[OWN] = 0;
    node->silent[4] = false;
    pass_seconds(node, 1);
    assert_int_equal(read_status(node), 0);
    assert_false(clocks_is_doubted(node->clocks));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_clock_is_believed_once_it_agrees_with_another),
        TEST(test_a_clock_that_is_ahead_at_the_start_is_not_believed),
        TEST(test_a_node_that_hears_nobody_after_its_start_believes_its_clock),
        TEST(test_a_lone_node_believes_its_clock),
        TEST(test_a_clock_that_jumps_is_not_believed_from_then_on),
        TEST(test_a_clock_that_jumps_with_all_others_is_believed),
        TEST(test_a_clock_that_drifts_is_believed_where_nobody_is_heard),
        TEST(test_a_clock_that_was_found_wrong_needs_another_one_that_agrees),
        TEST(test_clocks_that_agree_are_right),
        TEST(test_who_differs_from_most_is_wrong),
        TEST(test_a_node_finds_its_own_clock_wrong),
        TEST(test_a_step_of_the_own_clock_is_seen_at_once),
        TEST(test_a_clock_that_was_set_right_is_believed_again),
        TEST(test_messages_that_come_late_prove_nothing),
        TEST(test_one_at_the_limit_does_not_flap),
        TEST(test_a_moment_is_not_enough),
        TEST(test_of_two_nodes_nobody_knows_who_is_wrong),
        TEST(test_of_two_halves_the_one_ahead_is_wrong),
        TEST(test_nothing_is_known_of_who_cannot_be_reached),
        TEST(test_nonsense_is_a_wrong_clock),
    };

    return cmocka_run_group_tests_name("clocks", tests, NULL, NULL);
}
