/* SPDX-License-Identifier: Apache-2.0 */

/* The steps of a split before its entry is in the log: what they end with, and
 * that they can be given up at any of them. Router, peer and the measuring of
 * the region are the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/measure.h"
#include "engine/router.h"
#include "engine/split.h"

enum { REGION = 3, NEW = 11, DIR_NSID = 5, NOW_NS = 70, TIMEOUT_MS = 1 };

struct peer {
    struct region region;
    bool serving;
};

struct node {
    struct env env;
    struct node_config config;
    struct peer *peer; /* of REGION; NULL: none */
    struct peer own;
    void (*measured)(void *context, const struct measured *measured);
    void *measured_context;
    struct router *router;
    struct router_call *call; /* for an id; NULL: none is under way */
    struct proposal *proposal;
    struct buf *bytes;      /* of the last command proposed */
    struct command command; /* borrows from them */
    int refusal;
    struct split_wait wait;
    unsigned done;
    int status;
    bool has_reason;
};

struct router {
    struct node *node;
};

/* ---- env.h, node.h, router.h, peer.h, measure.h ---- */

static uint64_t fake_clock(struct env *env)
{
    (void)env;
    return NOW_NS;
}

static const struct env_ops fake_ops = {.mono_ns = fake_clock};

struct env *node_env(struct node *node)
{
    return &node->env;
}

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

struct router *node_router(const struct node *node)
{
    return node->router;
}

bool peer_is_serving(const struct peer *peer)
{
    return peer->serving;
}

void measure_start(struct env *env, const struct region *region,
                   void (*done)(void *context, const struct measured *measured),
                   void *context)
{
    struct node *node = container_of(env, struct node, env);

    assert_int_equal(region->id, REGION);
    node->measured = done;
    node->measured_context = context;
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
    assert_int_equal(call->kind, CALL_PROPOSE);
    assert_int_equal(call->region, REGION_PLACEMENT);
    assert_int_equal(call->deadline_ns, NOW_NS + TIMEOUT_MS * 1000000);
    assert_int_equal(command->op, COMMAND_LEASE_REGION_IDS);
    assert_int_equal(command->size, 1);
    call->active = true;
    router->node->call = call;
}

void router_cancel(struct router *router, struct router_call *call)
{
    assert_ptr_equal(call, router->node->call);
    call->active = false;
    router->node->call = NULL;
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
    assert_int_equal(command_decode(&node->command, buf_slice(node->bytes)), 0);
    if (node->refusal == 0)
        node->proposal = proposal;
    return node->refusal;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->env.ops = &fake_ops;
    node->config.op_timeout_ms = TIMEOUT_MS;
    node->router = mem_zalloc(sizeof *node->router);
    node->router->node = node;
    node->own.region =
        (struct region){.id = REGION, .conf_ver = 5, .version = 4};
    node->own.serving = true;
    node->peer = &node->own;
    *state = node;
    return 0;
}

static int teardown(void **state)
{
    struct node *node = *state;

    assert_null(node->call);
    assert_null(node->proposal);
    assert_false(split_is_running(&node->wait));
    forget_command(node);
    free(node->router);
    free(node);
    return 0;
}

static void on_done(struct split_wait *wait, int status, const char *why)
{
    struct node *node = container_of(wait, struct node, wait);

    assert_false(split_is_running(wait));
    node->done++;
    node->status = status;
    node->has_reason = why[0] != '\0';
}

static void start_at(struct node *node, struct key at)
{
    node->wait.done = on_done;
    split_start(&node->wait, node, REGION, &at);
}

static void start(struct node *node)
{
    start_at(node, key_user('d', DIR_NSID, slice_of("m")));
}

static void start_anywhere(struct node *node)
{
    start_at(node, (struct key){.size = 0});
}

static void measured(struct node *node, int status, const char *middle)
{
    struct measured measured = {.status = status};

    if (middle != NULL)
        measured.middle = key_user('d', DIR_NSID, slice_of(middle));
    node->measured(node->measured_context, &measured);
}

static void give_id(struct node *node, int status)
{
    struct router_call *call = node->call;

    node->call = NULL;
    call->active = false;
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
    assert_int_equal(node->command.dir, DIR_NSID);
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

static void test_what_would_be_refused_uses_up_no_id(void **state)
{
    struct node *node = *state;
    struct key end = key_user('d', DIR_NSID, slice_of("c"));

    node->own.region.end = (struct slice){end.data + 1, end.size - 1};
    start(node);
    assert_null(node->call);
    assert_ended(node, ERR_INVALID);
    assert_true(node->has_reason);
}

static void test_only_who_leads_splits(void **state)
{
    struct node *node = *state;

    node->own.serving = false;
    start(node);
    assert_null(node->call);
    assert_ended(node, ERR_NOT_LEADER);
}

/* ---- in the middle ---- */

static void test_without_a_key_it_is_split_in_its_middle(void **state)
{
    struct node *node = *state;

    start_anywhere(node);
    assert_null(node->call);
    measured(node, 0, "k");
    give_id(node, 0);
    assert_true(slice_equal(node->command.name, slice_of("k")));
    answer(node, 0, 0);
    assert_ended(node, 0);
}

static void test_too_few_entries_have_no_middle(void **state)
{
    struct node *node = *state;

    start_anywhere(node);
    measured(node, 0, NULL);
    assert_ended(node, ERR_NOT_FOUND);
    assert_true(node->has_reason);
}

static void test_what_measuring_has_met_is_told(void **state)
{
    struct node *node = *state;

    start_anywhere(node);
    measured(node, ERR_CORRUPT, NULL);
    assert_ended(node, ERR_CORRUPT);
}

static void test_what_is_not_here_has_no_middle(void **state)
{
    struct node *node = *state;

    node->peer = NULL;
    start_anywhere(node);
    assert_ended(node, ERR_NOT_LEADER);
}

static void test_it_can_be_given_up_while_it_is_measured(void **state)
{
    struct node *node = *state;

    start_anywhere(node);
    split_cancel(&node->wait);
    measured(node, 0, "k");
    assert_null(node->call);
    assert_int_equal(node->done, 0);
}

/* ---- giving up ---- */

static void test_it_can_be_given_up_while_it_waits_for_an_id(void **state)
{
    struct node *node = *state;

    start(node);
    split_cancel(&node->wait);
    assert_null(node->call);
    assert_int_equal(node->done, 0);
}

/* The peer answers nevertheless. */
static void test_it_can_be_given_up_when_it_is_proposed(void **state)
{
    struct node *node = *state;

    start(node);
    give_id(node, 0);
    split_cancel(&node->wait);
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
    split_cancel(&node->wait);
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
    split_cancel(&node->wait);
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
        TEST(test_what_would_be_refused_uses_up_no_id),
        TEST(test_only_who_leads_splits),
        TEST(test_without_a_key_it_is_split_in_its_middle),
        TEST(test_too_few_entries_have_no_middle),
        TEST(test_what_measuring_has_met_is_told),
        TEST(test_what_is_not_here_has_no_middle),
        TEST(test_it_can_be_given_up_while_it_is_measured),
        TEST(test_it_can_be_given_up_while_it_waits_for_an_id),
        TEST(test_it_can_be_given_up_when_it_is_proposed),
        TEST(test_the_answer_to_an_earlier_split_does_not_end_the_next),
        TEST(test_giving_up_what_is_done_changes_nothing),
    };

    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
