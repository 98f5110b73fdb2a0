/* SPDX-License-Identifier: Apache-2.0 */

/* Which directories are eventual, and which nodes know that, as people see it.
 */

#include "status_fixture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- env.h, node.h and others ---- */

size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    for (size_t i = 0; i < node->count; i++)
        nodes[i] = i + 1;
    return node->count;
}

const struct node_status *status_board_find(const struct status_board *board,
                                            uint64_t id)
{
    const struct node *node = (const struct node *)(const void *)board;

    assert_int_not_equal(id, OWN_NODE);
    return node->is_silent[id] ? NULL : &node->status[id];
}

struct pull_told pulls_told(const struct pulls *pulls, uint64_t id)
{
    assert_int_not_equal(id, OWN_NODE);
    return (struct pull_told){
        .fence = ((const struct node *)(const void *)pulls)->fence[id]};
}

uint64_t eventual_fence(const struct eventual *eventual)
{
    return ((const struct node *)(const void *)eventual)->fence[OWN_NODE];
}

void status_print_known(FILE *out, uint64_t number)
{
    fprintf(out, number == 0 ? "-" : "%" PRIu64, number);
}

/* ---- fixture: three nodes that know the same ---- */

static void set_catalogs(struct node *node, uint64_t version)
{
    for (size_t id = 1; id <= NODES; id++)
        node->status[id].catalog = version;
}

static int setup(void **state)
{
    struct node *node;

    assert_int_equal(setup_status(state), 0);
    node = *state;
    node->count = NODES;
    set_catalogs(node, version_of(900));
    return 0;
}

static void render_health(struct node *node, FILE *out)
{
    int count = status_report_modes(node, out);

    fprintf(out, "%d\n", count);
}

/* What stands in the last column, for one directory. */
static void render_mismatch(struct node *node, FILE *out)
{
    char *text = NULL;
    size_t size = 0;
    FILE *table = open_memstream(&text, &size);

    status_render_modes(node, table);
    (void)fclose(table);
    fputs(strrchr(text, ' ') + 1, out);
    free(text);
}

/* ---- the table ---- */

#define MODES "# namespace mode epoch state nodes mismatch\n"

static void test_directories_that_were_set_by_hand_are_listed(void **state)
{
    struct node *node = *state;

    assert_prints(node, status_render_modes, MODES);
    set_mode(node, CARTS, MODE_EVENTUAL, 70);
    set_mode(node, BELOW, MODE_EVENTUAL, 70);
    node->modes[BELOW].domain = CARTS;
    assert_prints(node, status_render_modes,
                  MODES
                  "/app/the\\040carts eventual 70 ok 1:70:-,2:70:-,3:70:- -\n");
}

static void test_strong_ones_are_listed_where_that_is_their_own(void **state)
{
    struct node *node = *state;

    set_mode(node, APP, MODE_EVENTUAL, 70);
    node->modes[CARTS] = (struct mode){MODE_STRONG, CARTS, 0, 80};
    assert_prints(node, status_render_modes,
                  MODES
                  "/app eventual 70 ok 1:70:-,2:70:-,3:70:- -\n"
                  "/app/the\\040carts strong 80 ok 1:80:-,2:80:-,3:80:- -\n");
    node->modes[CARTS].since = 80;
    assert_prints(node, status_render_modes,
                  MODES "/app eventual 70 ok 1:70:-,2:70:-,3:70:- -\n"
                        "/app/the\\040carts strong 80 filling "
                        "1:80:-,2:80:-,3:80:- -\n");
    node->modes[CARTS].domain = APP;
    node->status[3].catalog = version_of(1);
    node->modes[APP] = (struct mode){MODE_STRONG, APP, 0, version_of(2)};
    assert_prints(node, render_mismatch, "MISMATCH:3:behind\n");
}

static void test_what_nodes_know_and_have_told_is_shown(void **state)
{
    struct node *node = *state;

    set_mode(node, APP, MODE_FENCED, 80);
    set_catalogs(node, 80);
    node->status[1].catalog = 79;
    node->is_silent[3] = true;
    node->fence[2] = 80;
    node->fence[3] = 60;
    node->now_ns = SECOND;
    assert_prints(node, status_render_modes,
                  MODES "/app eventual 80 fenced 1:79:-,2:80:80,3:-:60 -\n");
}

static void test_a_lone_node_is_listed(void **state)
{
    struct node *node = *state;

    set_mode(node, APP, MODE_EVENTUAL, 80);
    node->count = OWN_NODE;
    node->is_silent[1] = true;
    assert_prints(node, status_render_modes,
                  MODES "/app eventual 80 ok 1:-:-,2:80:- -\n");
    node->count = 0;
    assert_prints(node, status_render_modes, MODES "/app eventual 80 ok  -\n");
}

/* ---- mismatches ---- */

/* It tells once a second what it knows. */
static void test_a_node_is_behind_when_that_lasts(void **state)
{
    struct node *node = *state;

    set_mode(node, APP, MODE_EVENTUAL, version_of(997));
    set_catalogs(node, version_of(997));
    node->status[3].catalog--;
    assert_prints(node, render_mismatch, "-\n");
    node->now_ns++;
    assert_prints(node, render_mismatch, "MISMATCH:3:behind\n");
    node->status[1].catalog--;
    assert_prints(node, render_mismatch,
                  "MISMATCH:1:behind,MISMATCH:3:behind\n");
    set_catalogs(node, version_of(997));
    assert_prints(node, render_mismatch, "-\n");
}

static void test_of_a_node_that_says_nothing_nothing_is_known(void **state)
{
    struct node *node = *state;

    set_mode(node, APP, MODE_EVENTUAL, version_of(800));
    node->status[3].catalog = version_of(700);
    node->is_silent[3] = true;
    node->status[1].catalog = 0; /* It cannot read all of it. */
    assert_prints(node, render_mismatch, "-\n");
    node->is_silent[3] = false;
    assert_prints(node, render_mismatch, "MISMATCH:3:behind\n");
}

static void test_a_node_that_does_not_tell_of_a_fence_is_unfenced(void **state)
{
    struct node *node = *state;

    set_mode(node, APP, MODE_FENCED, version_of(800));
    for (size_t id = 1; id <= NODES; id++)
        node->fence[id] = version_of(800);
    assert_prints(node, render_mismatch, "-\n");
    node->fence[1]--;
    node->fence[OWN_NODE] = 0;
    assert_prints(node, render_mismatch,
                  "MISMATCH:1:unfenced,MISMATCH:2:unfenced\n");
    set_mode(node, APP, MODE_EVENTUAL, version_of(800));
    assert_prints(node, render_mismatch, "-\n");
}

/* All that it shows may be old, and it knows that. */
static void test_this_node_may_be_behind_others(void **state)
{
    struct node *node = *state;

    set_mode(node, APP, MODE_EVENTUAL, version_of(800));
    node->status[3].catalog = version_of(997);
    assert_prints(node, render_mismatch, "-\n");
    node->now_ns++;
    assert_prints(node, render_mismatch, "MISMATCH:2:behind\n");
    node->status[OWN_NODE].catalog = 0;
    assert_prints(node, render_mismatch, "-\n");
}

/* ---- health ---- */

static void test_health_says_who_is_behind(void **state)
{
    struct node *node = *state;

    set_mode(node, APP, MODE_EVENTUAL, version_of(800));
    assert_prints(node, render_health, "0\n");
    node->status[3].catalog = version_of(700);
    assert_prints(node, render_health,
                  "MISMATCH: node 3 knows an older mode of directory /app, "
                  "since second 800: look at the network between it and the "
                  "leader of region 0\n1\n");
    set_mode(node, CARTS, MODE_FENCED, version_of(850));
    node->fence[1] = node->fence[OWN_NODE] = version_of(850);
    assert_prints(node, render_health,
                  "MISMATCH: node 3 knows an older mode of directory /app and "
                  "of 1 more, since second 800: look at the network between "
                  "it and the leader of region 0\n1\n");
    node->status[3].catalog = version_of(850);
    assert_prints(node, render_health,
                  "MISMATCH: node 3 has not told that it is behind the fence "
                  "of directory /app/the\\040carts, since second 850: see "
                  "health there\n1\n");
}

/* Also where it knows of no such directory. */
static void test_health_says_that_this_node_is_behind(void **state)
{
    struct node *node = *state;

    node->status[1].catalog = version_of(950);
    assert_prints(node, render_health,
                  "MISMATCH: this node knows directories and their modes as of "
                  "second 900, and node 1 knows newer ones: look at the "
                  "network between this node and the leader of region 0\n1\n");
}

/* ---- metrics ---- */

static void test_metrics(void **state)
{
    struct node *node = *state;

    set_mode(node, APP, MODE_EVENTUAL, version_of(800));
    set_mode(node, CARTS, MODE_EVENTUAL, version_of(800));
    node->status[3].catalog = version_of(700);
    node->is_silent[1] = true;
    assert_prints(node, status_render_modes_metrics,
                  "grovefs_mode_mismatches{node=\"2\",kind=\"behind\"} 0\n"
                  "grovefs_mode_mismatches{node=\"2\",kind=\"unfenced\"} 0\n"
                  "grovefs_mode_mismatches{node=\"3\",kind=\"behind\"} 2\n"
                  "grovefs_mode_mismatches{node=\"3\",kind=\"unfenced\"} 0\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown_status)
    const struct CMUnitTest tests[] = {
        TEST(test_directories_that_were_set_by_hand_are_listed),
        TEST(test_strong_ones_are_listed_where_that_is_their_own),
        TEST(test_what_nodes_know_and_have_told_is_shown),
        TEST(test_a_lone_node_is_listed),
        TEST(test_a_node_is_behind_when_that_lasts),
        TEST(test_of_a_node_that_says_nothing_nothing_is_known),
        TEST(test_a_node_that_does_not_tell_of_a_fence_is_unfenced),
        TEST(test_this_node_may_be_behind_others),
        TEST(test_health_says_who_is_behind),
        TEST(test_health_says_that_this_node_is_behind),
        TEST(test_metrics),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
