/* SPDX-License-Identifier: Apache-2.0 */

/* What region 0's leader looks at before a node is drained or removed. Commands
 * and results are real; what is known of replicas and what is proposed is set
 * and seen here. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/command.h"
#include "engine/leave.h"
#include "engine/members.h"
#include "engine/node_change.h"
#include "engine/peer.h"
#include "engine/placement.h"
#include "engine/status.h"

enum { OWN_NODE = 3, OTHER_NODE = 4, NOW_NS = 1234, STAMP = 77, EPOCH = 9 };

struct status_board {
    struct region_status told[2]; /* by OTHER_NODE */
    size_t told_count;
};

struct peer {
    struct proposal *proposal;
};

struct node {
    struct env env;
    struct status_board *board;
    struct peer *placement;
    enum node_state state; /* in OTHER_NODE's record */
    enum placement_answer has_replicas;
    enum leave_state leaving;
    unsigned losses; /* that are in the log */
};

struct fixture {
    struct node node;
    struct status_board board;
    struct peer placement;
    struct node_change change;
    unsigned done_count;
    int status;
    char why[128];
};

/* ---- node.h, members.h, router.h ---- */

static uint64_t fake_clock(struct env *env)
{
    (void)env;
    return NOW_NS;
}

static const struct env_ops fake_ops = {.mono_ns = fake_clock,
                                        .wall_ns = fake_clock};

struct env *node_env(struct node *node)
{
    return &node->env;
}

uint64_t node_id(const struct node *node)
{
    (void)node;
    return OWN_NODE;
}

uint64_t node_stamp(struct node *node)
{
    (void)node;
    return STAMP;
}

struct placement *node_placement(const struct node *node)
{
    return (struct placement *)(uintptr_t)node;
}

enum placement_answer placement_has_replicas(struct placement *placement,
                                             uint64_t node_id)
{
    const struct node *node = (struct node *)placement;

    assert_int_equal(node_id, OTHER_NODE);
    return node->has_replicas;
}

struct status_board *node_status_board(const struct node *node)
{
    return node->board;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    return region == REGION_PLACEMENT ? node->placement : NULL;
}

int members_find(struct node *node, uint64_t id, struct node_record *ret)
{
    if (id != OTHER_NODE)
        return ERR_NOT_FOUND;
    *ret = (struct node_record){.id = id, .state = node->state, .epoch = EPOCH};
    return 0;
}

/* ---- leave.h ---- */

enum leave_state leave_look(struct node *node, const struct node_record *record)
{
    assert_int_equal(record->epoch, EPOCH);
    return node->leaving;
}

const char *leave_words(enum leave_state state)
{
    return state == LEAVE_UNTOLD ? "has not told" : "has told";
}

void leave_log_loss(struct node *node, uint64_t id, enum leave_state state)
{
    assert_int_equal(id, OTHER_NODE);
    node->losses += state == LEAVE_UNTOLD;
}

/* ---- status.h, peer.h ---- */

const struct region_status *
status_board_next_region(const struct status_board *board, uint64_t node_id,
                         const struct region_status *region)
{
    size_t next = region == NULL ? 0 : (size_t)(region - board->told) + 1;

    assert_int_equal(node_id, OTHER_NODE);
    return next < board->told_count ? &board->told[next] : NULL;
}

void peer_propose(struct peer *peer, struct proposal *proposal)
{
    assert_null(peer->proposal);
    peer->proposal = proposal;
}

/* ---- the fixture ---- */

static void done(struct node_change *change, int status, const char *why)
{
    struct fixture *f = container_of(change, struct fixture, change);

    f->done_count++;
    f->status = status;
    (void)strcpy(f->why, why);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->node.env.ops = &fake_ops;
    f->node.board = &f->board;
    f->node.placement = &f->placement;
    f->node.state = NODE_DRAINING;
    f->change.done = done;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_null(f->placement.proposal);
    free(f);
    return 0;
}

static void start(struct fixture *f, enum node_state to)
{
    node_change_start(&f->change, &f->node, OTHER_NODE, to);
}

static void start_removal(struct fixture *f)
{
    start(f, NODE_REMOVED);
}

/* The proposal ends; `result_status` is what the command came to. */
static void answer(struct fixture *f, int status, int result_status)
{
    struct proposal *proposal = f->placement.proposal;
    struct result result = {.status = result_status};
    struct buf *bytes = result_encode(&result);

    assert_non_null(proposal);
    f->placement.proposal = NULL;
    proposal->done(proposal, status, false, status == 0 ? bytes : NULL);
    buf_unref(bytes);
}

static void assert_ended(struct fixture *f, int status, const char *why)
{
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->status, status);
    assert_string_equal(f->why, why);
    assert_false(node_change_is_running(&f->change));
    assert_null(f->placement.proposal);
}

/* ---- what is left ---- */

static void test_who_holds_nothing_is_removed(void **state)
{
    struct fixture *f = *state;
    struct command command;

    start_removal(f);
    assert_true(node_change_is_running(&f->change));
    assert_int_equal(
        command_decode(&command, buf_slice(f->placement.proposal->command)), 0);
    assert_int_equal(command.op, COMMAND_NODE_STATE);
    assert_int_equal(command.target_node, OTHER_NODE);
    assert_int_equal(command.node_state, NODE_REMOVED);
    assert_int_equal(command.offset, EPOCH);
    assert_int_equal(command.now_ns, NOW_NS);
    assert_int_equal(command.stamp, STAMP);
    command_release(&command);
    answer(f, 0, 0);
    assert_ended(f, 0, "");
}

static void test_who_says_that_it_holds_a_replica_is_not_removed(void **state)
{
    struct fixture *f = *state;

    f->board.told[1].region = 2;
    f->board.told_count = 2;
    start_removal(f);
    assert_ended(f, ERR_BUSY,
                 "node 4 still holds replicas: they are moved away first");
}

/* That of region 0 goes with it. */
static void test_a_replica_of_the_placement_group_may_stay(void **state)
{
    struct fixture *f = *state;

    f->board.told_count = 1;
    start_removal(f);
    answer(f, 0, 0);
    assert_ended(f, 0, "");
}

/* It is down, so others have to know. */
static void test_who_has_replicas_by_the_table_is_not_removed(void **state)
{
    struct fixture *f = *state;

    f->node.has_replicas = PLACEMENT_YES;
    start_removal(f);
    assert_ended(f, ERR_BUSY,
                 "node 4 still holds replicas: they are moved away first");
}

/* The gap may be a region that this node has the only replica of. */
static void test_who_may_have_what_nobody_knows_of_is_not_removed(void **state)
{
    struct fixture *f = *state;

    f->node.has_replicas = PLACEMENT_UNKNOWN;
    start_removal(f);
    assert_ended(f, ERR_BUSY,
                 "node 4 may still hold replicas: it is not known yet where "
                 "all regions are");
}

static void test_replicas_do_not_keep_a_node_from_being_drained(void **state)
{
    struct fixture *f = *state;

    f->node.has_replicas = PLACEMENT_YES;
    start(f, NODE_DRAINING);
    answer(f, 0, 0);
    assert_ended(f, 0, "");
}

/* ---- eventual changes ---- */

static void test_who_has_what_nobody_else_has_is_not_removed(void **state)
{
    struct fixture *f = *state;

    f->node.leaving = LEAVE_UNTOLD;
    start_removal(f);
    assert_ended(f, ERR_BUSY, "node 4 has not told");
    assert_int_equal(f->node.losses, 0);
}

static void test_by_force_that_is_given_up_and_told(void **state)
{
    struct fixture *f = *state;

    f->node.leaving = LEAVE_UNTOLD;
    f->change.force = true;
    start_removal(f);
    assert_int_equal(f->node.losses, 0);
    answer(f, 0, 0);
    assert_ended(f, 0, "");
    assert_int_equal(f->node.losses, 1);
}

/* A dead node has replicas as well as one that lives. */
static void test_force_does_not_give_up_replicas(void **state)
{
    struct fixture *f = *state;

    f->node.has_replicas = PLACEMENT_YES;
    f->change.force = true;
    start_removal(f);
    assert_ended(f, ERR_BUSY,
                 "node 4 still holds replicas: they are moved away first");
}

static void test_force_that_was_not_needed_gives_up_nothing(void **state)
{
    struct fixture *f = *state;

    f->change.force = true;
    start_removal(f);
    answer(f, 0, 0);
    assert_ended(f, 0, "");
    assert_int_equal(f->node.losses, 0);
}

/* It has accepted changes meanwhile. */
static void test_who_was_up_again_is_looked_at_again(void **state)
{
    struct fixture *f = *state;

    start_removal(f);
    answer(f, 0, ERR_ABORTED);
    assert_ended(f, ERR_BUSY, "node 4 was drained anew just now: try again");
}

/* ---- what comes of it ---- */

static void test_a_refusal_has_its_reason_in_words(void **state)
{
    struct fixture *f = *state;

    start_removal(f);
    answer(f, 0, ERR_BUSY);
    assert_ended(f, ERR_BUSY, "node 4 still has a vote in region 0");
}

static void test_why_a_state_cannot_follow_depends_on_the_state(void **state)
{
    struct fixture *f = *state;

    f->node.state = NODE_UP;
    start_removal(f);
    answer(f, 0, ERR_NOT_PERMITTED);
    assert_ended(f, ERR_NOT_PERMITTED, "node 4 is to be drained first");
    f->node.state = NODE_REMOVED;
    f->done_count = 0;
    start(f, NODE_UP);
    answer(f, 0, ERR_NOT_PERMITTED);
    assert_ended(f, ERR_NOT_PERMITTED, "node 4 was removed for good");
}

/* Whoever wants it asks the next leader. */
static void test_what_was_dropped_is_asked_for_elsewhere(void **state)
{
    struct fixture *f = *state;

    start_removal(f);
    answer(f, ERR_DROPPED, 0);
    assert_int_equal(f->status, ERR_NOT_LEADER);
    assert_int_equal(f->done_count, 1);
}

static void test_who_has_cancelled_hears_nothing(void **state)
{
    struct fixture *f = *state;

    start_removal(f);
    node_change_cancel(&f->change);
    assert_false(node_change_is_running(&f->change));
    answer(f, 0, 0);
    assert_int_equal(f->done_count, 0);
}

#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NODE(test_who_holds_nothing_is_removed),
        WITH_NODE(test_who_says_that_it_holds_a_replica_is_not_removed),
        WITH_NODE(test_a_replica_of_the_placement_group_may_stay),
        WITH_NODE(test_who_has_replicas_by_the_table_is_not_removed),
        WITH_NODE(test_who_may_have_what_nobody_knows_of_is_not_removed),
        WITH_NODE(test_replicas_do_not_keep_a_node_from_being_drained),
        WITH_NODE(test_who_has_what_nobody_else_has_is_not_removed),
        WITH_NODE(test_by_force_that_is_given_up_and_told),
        WITH_NODE(test_force_does_not_give_up_replicas),
        WITH_NODE(test_force_that_was_not_needed_gives_up_nothing),
        WITH_NODE(test_who_was_up_again_is_looked_at_again),
        WITH_NODE(test_a_refusal_has_its_reason_in_words),
        WITH_NODE(test_why_a_state_cannot_follow_depends_on_the_state),
        WITH_NODE(test_what_was_dropped_is_asked_for_elsewhere),
        WITH_NODE(test_who_has_cancelled_hears_nothing),
    };

    return cmocka_run_group_tests_name("node_change", tests, NULL, NULL);
}
