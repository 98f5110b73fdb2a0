/* SPDX-License-Identifier: Apache-2.0 */

#include "split_fixture.h"

#include <stdlib.h>

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

int split_setup(void **state)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->env.ops = &fake_ops;
    node->config.op_timeout_ms = TIMEOUT_MS;
    node->router = mem_zalloc(sizeof *node->router);
    node->router->node = node;
    node->own.region =
        (struct region){.id = REGION, .conf_ver = 5, .version = VERSION};
    node->own.serving = true;
    node->peer = &node->own;
    *state = node;
    return 0;
}

int split_teardown(void **state)
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

void start_for(struct node *node, uint64_t version, struct key at)
{
    node->wait.done = on_done;
    split_start(&node->wait, node, REGION, version, &at);
}

void start_at(struct node *node, struct key at)
{
    start_for(node, 0, at);
}

void start(struct node *node)
{
    start_at(node, key_user('d', DIR_NSID, slice_of("m")));
}

void start_anywhere(struct node *node)
{
    start_at(node, (struct key){.size = 0});
}

void measured(struct node *node, int status, const char *middle)
{
    struct measured measured = {.status = status};

    if (middle != NULL)
        measured.middle = key_user('d', DIR_NSID, slice_of(middle));
    node->measured(node->measured_context, &measured);
}

void give_id(struct node *node, int status)
{
    struct router_call *call = node->call;

    node->call = NULL;
    call->active = false;
    call->done(call, status, &(struct result){.first_id = NEW}, 0);
}

void answer(struct node *node, int status, int result_status)
{
    struct proposal *proposal = node->proposal;
    struct buf *result =
        result_encode(&(struct result){.status = result_status});

    node->proposal = NULL;
    proposal->done(proposal, status, false, status == 0 ? result : NULL);
    buf_unref(result);
}

void assert_ended(const struct node *node, int status)
{
    assert_int_equal(node->done, 1);
    assert_int_equal(node->status, status);
}
