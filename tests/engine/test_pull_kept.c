/* SPDX-License-Identifier: Apache-2.0 */

/* What nodes tell each other of what they have safely, while a directory is
 * being filled. */

#include "pull_fixture.h"

#include <stdlib.h>

#include "engine/keys.h"
#include "engine/wire.h"

enum { A = 1, B = 2, C = 3, FILLED = 30 };

/* What C has told A last. */
static uint64_t told;

static bool note_kept(struct cluster *c, const struct sent *sent)
{
    struct eventual_ask ask;

    (void)c;
    if (sent->packet.type == WIRE_EVENTUAL_ASK && sent->from == C &&
        sent->to == A) {
        assert_int_equal(
            eventual_ask_decode(&ask, buf_slice(sent->packet.header)), 0);
        told = ask.kept;
    }
    return true;
}

static void fill_on_all(struct cluster *c)
{
    for (uint64_t id = A; id <= C; id++)
        apply_filling(node_of(c, id), FILLED);
    pass(c, 1000);
}

static int setup(void **state)
{
    struct cluster *c = cluster_new(3);

    told = 0;
    c->filter = note_kept;
    *state = c;
    return 0;
}

/* DIR is being filled. */
static int setup_filling(void **state)
{
    (void)setup(state);
    fill_on_all(*state);
    return 0;
}

static int teardown(void **state)
{
    cluster_free(*state);
    return 0;
}

struct bring {
    struct eventual_op op;
    struct command command;
};

static void brought(struct eventual_op *op, int status,
                    const struct result *result)
{
    (void)result;
    assert_int_equal(status, 0);
    free(container_of(op, struct bring, op));
}

/* Returns the number of what A has accepted last. */
static uint64_t bring(struct cluster *c, const char *name)
{
    struct node *a = node_of(c, A);
    struct bring *bring = mem_zalloc(sizeof *bring);

    bring->command = (struct command){.op = COMMAND_BRING,
                                      .dir = DIR,
                                      .ino = 77,
                                      .name = slice_of(name),
                                      .offset = FILLED,
                                      .data = slice_of("text")};
    bring->op =
        (struct eventual_op){.command = &bring->command, .done = brought};
    eventual_start(a->eventual, &bring->op);
    settle(c);
    return eventual_shown(a->eventual);
}

static bool all_keep(struct cluster *c, uint64_t sequence)
{
    uint64_t missing;

    return pulls_all_keep(node_of(c, A)->pulls, sequence, &missing);
}

/* The first node that has not got it safely. */
static uint64_t find_missing(struct cluster *c, uint64_t sequence)
{
    uint64_t missing = 0;

    assert_false(pulls_all_keep(node_of(c, A)->pulls, sequence, &missing));
    return missing;
}

/* ---- what is told ---- */

static void test_it_is_told_only_while_a_directory_is_being_filled(void **state)
{
    struct cluster *c = *state;
    uint64_t sequence;

    put_text_file(node_of(c, A), "a", "text");
    pass(c, 3000);
    assert_int_equal(told, 0);
    assert_int_equal(node_of(c, C)->flushes, 0);
    fill_on_all(c);
    assert_true(told > 0);
    sequence = bring(c, "b");
    pass(c, 1000);
    assert_int_equal(told, sequence);
    for (uint64_t id = A; id <= C; id++)
        apply_strong(node_of(c, id), FILLED + 1);
    pass(c, 3000);
    assert_int_equal(told, 0);
}

static void test_a_flush_is_asked_for_only_of_what_is_not_safe(void **state)
{
    struct cluster *c = *state;
    unsigned before;

    (void)bring(c, "a");
    before = node_of(c, C)->flushes;
    pass(c, 3000);
    assert_true(node_of(c, C)->flushes > before);
    before = node_of(c, C)->flushes;
    pass(c, 3000);
    assert_int_equal(node_of(c, C)->flushes, before);
}

/* A node that gets nothing new asks seldom. */
static void test_what_has_become_safe_is_told_at_once(void **state)
{
    struct cluster *c = *state;
    uint64_t sequence;

    node_of(c, C)->holds_state = true;
    sequence = bring(c, "a");
    pass(c, 3000);
    assert_true(told < sequence);
    node_of(c, C)->holds_state = false;
    pass(c, 200);
    assert_int_equal(told, sequence);
}

/* ---- whether all have it ---- */

static void test_all_have_it_when_all_have_said_so(void **state)
{
    struct cluster *c = *state;
    uint64_t sequence = bring(c, "a");

    expect_file(node_of(c, B), "a", "text");
    expect_file(node_of(c, C), "a", "text");
    assert_int_equal(find_missing(c, sequence), B);
    pass(c, 300);
    assert_true(all_keep(c, sequence));
    assert_int_equal(find_missing(c, sequence + 1), B);
}

static void test_what_a_node_has_in_memory_alone_does_not_count(void **state)
{
    struct cluster *c = *state;
    uint64_t sequence;

    node_of(c, C)->holds_state = true;
    sequence = bring(c, "a");
    pass(c, 3000);
    expect_file(node_of(c, C), "a", "text");
    assert_int_equal(find_missing(c, sequence), C);
    node_of(c, C)->holds_state = false;
    pass(c, 300);
    assert_true(all_keep(c, sequence));
}

static void test_a_node_that_is_silent_does_not_have_it(void **state)
{
    struct cluster *c = *state;
    uint64_t sequence;

    cut(c, A, C);
    sequence = bring(c, "a");
    pass(c, 3000);
    expect_file(node_of(c, C), "a", "text"); /* From B. */
    assert_int_equal(find_missing(c, sequence), C);
    connect_again(c, A, C);
    pass(c, 1000);
    assert_true(all_keep(c, sequence));
    cut(c, A, C);
    pass(c, 10000);
    assert_int_equal(find_missing(c, sequence), C);
}

static void test_a_node_that_does_not_know_of_it_does_not_have_it(void **state)
{
    struct cluster *c = *state;
    uint64_t sequence;

    apply_filling(node_of(c, A), FILLED);
    apply_filling(node_of(c, B), FILLED);
    sequence = bring(c, "a");
    pass(c, 3000);
    assert_int_equal(find_missing(c, sequence), C);
    apply_filling(node_of(c, C), FILLED);
    pass(c, 3000);
    expect_file(node_of(c, C), "a", "text");
    assert_true(all_keep(c, sequence));
}

static void test_a_node_that_has_lost_it_says_so(void **state)
{
    struct cluster *c = *state;
    uint64_t sequence = bring(c, "a");

    pass(c, 1000);
    assert_true(all_keep(c, sequence));
    start_again(node_of(c, C), true);
    apply_filling(node_of(c, C), FILLED);
    node_of(c, C)->holds_state = true;
    pass(c, 3000);
    assert_int_equal(told, 0);
    assert_int_equal(find_missing(c, sequence), C);
    node_of(c, C)->holds_state = false;
    pass(c, 3000);
    expect_file(node_of(c, C), "a", "text");
    assert_true(all_keep(c, sequence));
}

/* ---- who counts ---- */

static void test_who_has_just_come_does_not_have_it(void **state)
{
    struct cluster *c = *state;
    uint64_t sequence;

    c->count = 2;
    pass(c, 300);
    sequence = bring(c, "a");
    pass(c, 300);
    assert_true(all_keep(c, sequence));
    c->count = 3;
    assert_int_equal(find_missing(c, sequence), C);
    pass(c, 3000);
    assert_true(all_keep(c, sequence));
}

static void test_while_nobody_is_known_nobody_has_it(void **state)
{
    struct cluster *c = *state;

    assert_true(all_keep(c, 1));
    c->count = 0;
    assert_false(all_keep(c, 1));
    c->count = 3;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define FILLING(test)                                                          \
    cmocka_unit_test_setup_teardown(test, setup_filling, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_it_is_told_only_while_a_directory_is_being_filled),
        FILLING(test_a_flush_is_asked_for_only_of_what_is_not_safe),
        FILLING(test_what_has_become_safe_is_told_at_once),
        FILLING(test_all_have_it_when_all_have_said_so),
        FILLING(test_what_a_node_has_in_memory_alone_does_not_count),
        FILLING(test_a_node_that_is_silent_does_not_have_it),
        TEST(test_a_node_that_does_not_know_of_it_does_not_have_it),
        FILLING(test_a_node_that_has_lost_it_says_so),
        FILLING(test_who_has_just_come_does_not_have_it),
        FILLING(test_while_nobody_is_known_nobody_has_it),
    };

    return cmocka_run_group_tests_name("pull_kept", tests, NULL, NULL);
}
