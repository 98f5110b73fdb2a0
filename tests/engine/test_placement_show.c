/* SPDX-License-Identifier: Apache-2.0 */

/* Which operator /.cluster shows for a region: what was set by hand is in
 * region 0's state, of the others its leader tells. */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/placement_show.h"
#include "engine/status.h"
#include "tests/engine/placement_fixture.h"

enum { EARLY = 1000, LATE = 2000 /* by the clocks of different nodes */ };

void status_print_known(FILE *out, uint64_t number)
{
    (void)fprintf(out, "%" PRIu64, number);
}

static int setup(void **state)
{
    struct node *node = placement_fixture_new();

    node->peer->serving = false;
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    placement_fixture_free(*state);
    return 0;
}

/* Whether the operator that is shown is one by hand. */
static bool shows_manual(struct node *node)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool manual;

    placement_render_operator(node, 1, out);
    (void)fclose(out);
    manual = strstr(text, "\nby hand\n") != NULL;
    assert_true(manual || strstr(text, "\nby auto\n") != NULL);
    free(text);
    return manual;
}

static void put_goal_of(struct node *node, int64_t begin_ns, int64_t end_ns)
{
    put_goal(node, &(struct goal){.region = 1,
                                  .id = 7,
                                  .to = 4,
                                  .begin_ns = begin_ns,
                                  .end_ns = end_ns});
}

/* `marks`: `m` one by hand, `a` an automatic one, in the order in which they
 * began. */
static void hear(struct node *node, const char *marks, int64_t manual_ns,
                 int64_t automatic_ns)
{
    struct operators_view view = {.term = 1};
    struct buf *bytes;

    for (; *marks != '\0'; marks++)
        view.operators[view.count++] = (struct operator_view){
            .region = 1,
            .manual = *marks == 'm',
            .begin_ns = *marks == 'm' ? manual_ns : automatic_ns,
        };
    bytes = operators_encode(&view);
    placement_on_operators(node->placement, buf_slice(bytes));
    buf_unref(bytes);
}

/* Whoever waits for what he has set is not told of another one. */
static void test_a_running_goal_is_shown_whatever_the_clocks(void **state)
{
    struct node *node = *state;

    put_goal_of(node, EARLY, 0);
    hear(node, "a", EARLY, LATE);
    assert_true(shows_manual(node));
    hear(node, "am", EARLY, LATE);
    assert_true(shows_manual(node));
}

static void test_the_later_of_those_that_were_told_is_shown(void **state)
{
    struct node *node = *state;

    put_goal_of(node, EARLY, EARLY);
    hear(node, "am", EARLY, LATE);
    assert_true(shows_manual(node));
    put_goal_of(node, LATE, LATE);
    hear(node, "ma", LATE, EARLY);
    assert_false(shows_manual(node));
}

/* Of those that the leader does not know any more only the clock is left. */
static void test_what_was_not_told_goes_by_the_clock(void **state)
{
    struct node *node = *state;

    put_goal_of(node, EARLY, EARLY);
    hear(node, "a", EARLY, LATE);
    assert_false(shows_manual(node));
    put_goal_of(node, LATE, LATE);
    hear(node, "a", LATE, EARLY);
    assert_true(shows_manual(node));
    put_goal_of(node, LATE, LATE);
    hear(node, "ma", EARLY, EARLY);
    assert_true(shows_manual(node));
    hear(node, "", EARLY, EARLY);
    assert_true(shows_manual(node));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_running_goal_is_shown_whatever_the_clocks),
        TEST(test_the_later_of_those_that_were_told_is_shown),
        TEST(test_what_was_not_told_goes_by_the_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
