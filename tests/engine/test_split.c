/* SPDX-License-Identifier: Apache-2.0 */

/* The steps of a split before its entry is in the log: what they end with, and
 * that they can be given up at any of them. Router and peer are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/split.h"

enum { REGION = 3, NEW = 11 };

struct peer {
    struct region region;
};

struct node {
    struct peer *peer; /* of REGION; NULL: none */
    struct peer own;
    struct router_call *call; /* for an id; NULL: none is under way */
    struct proposal *proposal;
    struct buf *bytes;      /* of the last command proposed */
    struct command command; /* borrows from them */
    int refusal;
    struct split split;
    unsigned done;
    int status;
};

/* ---- node.h, router.h, peer.h ---- */

struct router *node_router(const struct node *node)
{
    return (struct router *)node->split.node; /* Itself. */
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    assert_int_equal(region, REGION);
    return node->peer;
}

const struct region *peer_region(const struct peer *peer)
{
    return &peer->region;
}

void router_to_region(struct router_call *call, uint64_t region)
{
    call->region = region;
}

void router_call(struct router *router, struct router_call *call,
                 struct command *command)
{
    struct node *node = (struct node *)router;

    assert_int_equal(call->kind, CALL_PROPOSE);
    assert_int_equal(call->region, REGION_PLACEMENT);
    assert_int_equal(call->deadline_ns, 77);
    assert_int_equal(command->op, COMMAND_LEASE_REGION_IDS);
    assert_int_equal(command->size, 1);
    node->call = call;
}

void router_cancel(struct router *router, struct router_call *call)
{
    struct node *node = (struct node *)router;

    assert_ptr_equal(call, &node->split.call);
    node->call = NULL;
}

static void forget_command(struct node *node)
{
    command_release(&node->command);
    buf_unref(node->bytes);
    node->bytes = NULL;
}

int peer_propose_split(struct peer *peer, struct proposal *proposal)
{
    struct node *node = container_of(peer, struct node, own);

    forget_command(node);
    node->bytes = buf_ref(proposal->command);
    assert_int_equal(
        command_decode(&node->command,
                       (struct slice){node->bytes->data, node->bytes->size}),
        0);
    if (node->refusal == 0)
        node->proposal = proposal;
    return node->refusal;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->own.region =
        (struct region){.id = REGION, .conf_ver = 5, .version = 4};
    node->peer = &node->own;
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    assert_null(node->proposal);
    forget_command(node);
    free(node);
    return 0;
}

static void on_done(struct split *split, int status)
{
    struct node *node = container_of(split, struct node, split);

    assert_false(split->active);
    node->done++;
    node->status = status;
}

static void start(struct node *node)
{
    char name[] = "m";

    node->split.deadline_ns = 77;
    node->split.done = on_done;
    split_start(&node->split, node, REGION, 5, slice_of(name));
    name[0] = 'x'; /* It has a copy. */
}

static void give_id(struct node *node, int status)
{
    struct router_call *call = node->call;

    node->call = NULL;
    call->done(call, status, &(struct result){.first_id = NEW}, 0);
}

static void answer(struct node *node, int status, int result_status)
{
    struct proposal *proposal = node->proposal;
    struct buf *result =
        result_encode(&(struct result){.status = result_status});

    node->proposal = NULL;
    proposal->done(proposal, status, false, status == 0 ? result : NULL);
    buf_unref(result);
}

static void assert_ended(const struct node *node, int status)
{
    assert_int_equal(node->done, 1);
    assert_int_equal(node->status, status);
}

/* ---- tests ---- */

static void test_a_split_is_done_when_it_is_applied(void **state)
{
    struct node *node = *state;

    start(node);
    assert_null(node->proposal);
    give_id(node, 0);
    assert_int_equal(node->done, 0);
    answer(node, 0, 0);
    assert_ended(node, 0);
}

static void test_it_is_proposed_for_the_epoch_that_counts_then(void **state)
{
    struct node *node = *state;

    start(node);
    node->own.region.version = 6;
    give_id(node, 0);
    assert_int_equal(node->command.op, COMMAND_SPLIT);
    assert_int_equal(node->command.region_version, 6);
    assert_int_equal(node->command.region_conf_ver, 5);
    assert_int_equal(node->command.new_region, NEW);
    assert_int_equal(node->command.dir, 5);
    assert_true(slice_equal(node->command.name, slice_of("m")));
    assert_int_equal(node->command.node, 0);
    answer(node, 0, 0);
}

static void test_what_it_met_when_it_was_applied_is_told(void **state)
{
    struct node *node = *state;

    start(node);
    give_id(node, 0);
    answer(node, 0, ERR_EPOCH);
    assert_ended(node, ERR_EPOCH);
}

static void test_what_became_of_the_proposal_is_told(void **state)
{
    struct node *node = *state;

    start(node);
    give_id(node, 0);
    answer(node, ERR_DROPPED, 0);
    assert_ended(node, ERR_DROPPED);
}

static void test_without_an_id_nothing_is_begun(void **state)
{
    struct node *node = *state;

    start(node);
    give_id(node, ERR_UNKNOWN_OUTCOME);
    assert_ended(node, ERR_NO_QUORUM);
}

static void test_a_refusal_ends_it(void **state)
{
    struct node *node = *state;

    node->refusal = ERR_BUSY;
    start(node);
    give_id(node, 0);
    assert_ended(node, ERR_BUSY);
}

static void test_a_replica_that_has_gone_does_not_lead(void **state)
{
    struct node *node = *state;

    start(node);
    node->peer = NULL;
    give_id(node, 0);
    assert_ended(node, ERR_NOT_LEADER);
}

static void test_it_can_be_given_up_while_it_waits_for_an_id(void **state)
{
    struct node *node = *state;

    start(node);
    split_cancel(&node->split);
    assert_null(node->call);
    assert_int_equal(node->done, 0);
}

/* The peer answers nevertheless. */
static void test_it_can_be_given_up_when_it_is_proposed(void **state)
{
    struct node *node = *state;

    start(node);
    give_id(node, 0);
    split_cancel(&node->split);
    answer(node, 0, 0);
    assert_int_equal(node->done, 0);
}

static void
test_the_answer_to_an_earlier_split_does_not_end_the_next(void **state)
{
    struct node *node = *state;
    struct proposal *earlier;

    start(node);
    give_id(node, 0);
    earlier = node->proposal;
    split_cancel(&node->split);
    start(node);
    earlier->done(earlier, ERR_NOT_LEADER, true, NULL);
    assert_int_equal(node->done, 0);
    give_id(node, 0);
    answer(node, 0, 0);
    assert_ended(node, 0);
}

static void test_giving_up_what_is_done_changes_nothing(void **state)
{
    struct node *node = *state;

    start(node);
    give_id(node, 0);
    answer(node, 0, 0);
    split_cancel(&node->split);
    assert_ended(node, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_split_is_done_when_it_is_applied),
        TEST(test_it_is_proposed_for_the_epoch_that_counts_then),
        TEST(test_what_it_met_when_it_was_applied_is_told),
        TEST(test_what_became_of_the_proposal_is_told),
        TEST(test_without_an_id_nothing_is_begun),
        TEST(test_a_refusal_ends_it),
        TEST(test_a_replica_that_has_gone_does_not_lead),
        TEST(test_it_can_be_given_up_while_it_waits_for_an_id),
        TEST(test_it_can_be_given_up_when_it_is_proposed),
        TEST(test_the_answer_to_an_earlier_split_does_not_end_the_next),
        TEST(test_giving_up_what_is_done_changes_nothing),
    };

    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
