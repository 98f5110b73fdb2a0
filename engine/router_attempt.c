/* SPDX-License-Identifier: Apache-2.0 */

/* Attempts at a call: when they begin, and to which region and node they go.
 * One is under way at a time. It is given up when it was not answered for
 * RESEND_MS, or before when its link breaks or another node comes to lead. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/router_impl.h"

enum {
    RETRY_MS = 10,    /* after a refusal */
    RESEND_MS = 1000, /* without any answer */
    ASK_MS = 100,     /* between questions for a place's region */
    TURNS_TO_ASK = 16 /* in vain, until its region is looked for anew */
};

static bool is_late(const struct router_call *call)
{
    return call->deadline_ns != 0 &&
           env_mono_ns(node_env(call->node)) >= call->deadline_ns;
}

/* And may be carried out by this node itself; the others read. */
static bool has_effect(const struct router_call *call)
{
    return call->kind == CALL_PROPOSE || call->kind == CALL_CONTROL;
}

static void end_late(struct router_call *call)
{
    bool maybe = call->maybe_applied || call->target != 0;

    router_end_call(
        call, has_effect(call) && maybe ? ERR_UNKNOWN_OUTCOME : ERR_NO_QUORUM,
        NULL, 0);
}

/* Arms the one timer: for the next attempt, but not beyond the deadline. */
static void arm(struct router_call *call, uint64_t delay_ms)
{
    struct env *env = node_env(call->node);
    uint64_t now_ns = env_mono_ns(env);
    uint64_t delay_ns = delay_ms * 1000000;

    if (call->deadline_ns != 0 && now_ns + delay_ns > call->deadline_ns)
        delay_ns = call->deadline_ns > now_ns ? call->deadline_ns - now_ns : 0;
    env_timer_start(env, &call->timer, delay_ns);
}

/* ---- where it goes ---- */

static uint64_t known_leader(const struct router_call *call)
{
    const struct peer *peer = node_peer(call->node, call->region);

    if (peer != NULL && peer_leader_node(peer) != 0)
        return peer_leader_node(peer);
    return call->hint;
}

/* The nodes that may have a replica: those that are said to, and when all of
 * them were asked in vain, any. */
static size_t find_nodes(const struct router_call *call,
                         uint64_t nodes[NODES_MAX])
{
    struct route route;

    if (!routes_find_region(node_router(call->node)->routes, call->region,
                            &route) ||
        call->turn >= route.node_count)
        return node_region_nodes(call->node, call->region, nodes);
    memcpy(nodes, route.nodes, route.node_count * sizeof *nodes);
    return route.node_count;
}

/* Without a known leader all nodes are asked in turn. */
static uint64_t choose_target(struct router_call *call)
{
    uint64_t nodes[NODES_MAX];
    uint64_t leader = known_leader(call);
    size_t count;

    if (leader != 0)
        return leader;
    if (node_peer(call->node, call->region) != NULL) {
        call->turn++; /* It will know when there is one; or others do. */
        return 0;
    }
    count = find_nodes(call, nodes);
    return count == 0 ? 0 : nodes[call->turn++ % count];
}

/* Many calls may want to know, and each tries again more often than that. */
static void ask_for_region(struct router_call *call, struct slice user_key)
{
    uint64_t now_ns = env_mono_ns(node_env(call->node));

    if (call->asked_ns != 0 &&
        now_ns - call->asked_ns < (uint64_t)ASK_MS * 1000000)
        return;
    call->asked_ns = now_ns;
    routes_ask(node_router(call->node)->routes, user_key);
}

/* Which region it goes to this time. False: that is not known yet. */
static bool find_region(struct router_call *call)
{
    struct router *router = node_router(call->node);
    struct slice user_key = key_user_part(&call->place);
    struct route route;
    struct buf *command;
    bool found = routes_find(router->routes, user_key, &route);

    if (!found || call->turn % TURNS_TO_ASK == TURNS_TO_ASK - 1)
        ask_for_region(call, user_key); /* Perhaps it has moved. */
    if (!found)
        return false;
    if (route.region != call->region) {
        call->turn = 0;
        if (call->hint == 0)
            call->hint = route.leader_node;
    }
    call->region = route.region;
    if (call->kind != CALL_PROPOSE)
        return true;
    command = command_for_version(call->command, route.version);
    if (command == NULL)
        return false; /* Perhaps there is memory later. */
    buf_unref(call->command);
    call->command = command;
    return true;
}

/* ---- at this node ---- */

/* A proposal to this node's own peer. It lives until the peer answers, which
 * may be after its call has ended. */
struct local_attempt {
    struct proposal proposal;
    struct router *router;
    uint64_t ticket;
    uint64_t attempt;
};

static void on_proposed(struct proposal *proposal, int status, bool in_log,
                        struct buf *result)
{
    struct local_attempt *local =
        container_of(proposal, struct local_attempt, proposal);
    struct router_call *call = router_find_call(local->router, local->ticket);

    if (call != NULL && status == 0)
        router_on_result(call, local->attempt, result);
    else if (call != NULL)
        router_retry(call, in_log, 0);
    buf_unref(proposal->command);
    free(local);
}

static void propose_here(struct router_call *call)
{
    struct local_attempt *local = mem_zalloc(sizeof *local);

    local->router = node_router(call->node);
    local->ticket = call->ticket;
    local->attempt = ++call->attempt;
    local->proposal.command = buf_ref(call->command);
    local->proposal.done = on_proposed;
    peer_propose(node_peer(call->node, call->region), &local->proposal);
}

static void on_controlled(struct control_wait *wait, int status,
                          const char *why)
{
    struct router_call *call = container_of(wait, struct router_call, control);
    struct result result = {.status = status, .data = slice_of(why)};

    if (status == ERR_NOT_LEADER)
        router_retry(call, false, 0);
    else
        router_end_call(call, status, &result, 0);
}

static void attempt_here(struct router_call *call)
{
    struct peer *peer = node_peer(call->node, call->region);

    if (call->kind == CALL_PROPOSE) {
        propose_here(call);
        return;
    }
    assert(call->kind == CALL_CONTROL);
    control_cancel_wait(&call->control);
    call->control.done = on_controlled;
    control_carry_out(call->node, peer, call->command, &call->control);
}

/* ---- attempts ---- */

static void attempt_there(struct router_call *call)
{
    struct call header = {.ticket = call->ticket + ++call->attempt % ATTEMPTS,
                          .region = call->region,
                          .kind = call->kind};
    struct buf *bytes = call_encode(&header);

    node_send(call->node, call->target, ENV_CHANNEL_RAFT, WIRE_CALL, bytes,
              call->command);
    buf_unref(bytes);
}

void router_attempt(struct router_call *call)
{
    struct peer *peer;
    uint64_t target;

    if (call->place.size > 0 && !find_region(call)) {
        arm(call, RETRY_MS);
        return;
    }
    peer = node_peer(call->node, call->region);
    target = choose_target(call);
    call->hint = 0;
    if (peer != NULL)
        peer_rouse(peer);
    if (target == node_id(call->node) && peer == NULL)
        target = 0;
    if (target == node_id(call->node) && !has_effect(call)) {
        router_end_call(call, ERR_EPOCH, NULL, 0);
        return;
    }
    if (target == 0 ||
        (target != node_id(call->node) && !node_link_up(call->node, target))) {
        arm(call, RETRY_MS);
        return;
    }
    if (target == node_id(call->node) && call->grows && !call->maybe_applied &&
        node_disk_full(call->node, call->region)) {
        router_end_call(call, ERR_NO_SPACE, NULL, 0);
        return;
    }
    call->target = target;
    arm(call, RESEND_MS);
    if (target == node_id(call->node))
        attempt_here(call);
    else
        attempt_there(call);
}

void router_retry(struct router_call *call, bool in_log, uint64_t hint)
{
    call->maybe_applied = call->maybe_applied || in_log;
    call->target = 0;
    if (is_late(call)) {
        end_late(call);
        return;
    }
    call->hint = hint;
    if (hint != 0 && hint != node_id(call->node))
        router_attempt(call);
    else
        arm(call, RETRY_MS);
}

/* Nothing is known of the attempt under way, and it is given up. */
static void abandon(struct router_call *call)
{
    if (call->target != 0)
        call->maybe_applied = true;
    call->target = 0;
}

void router_attempt_anew(struct router_call *call)
{
    abandon(call);
    arm(call, 0);
}

void router_on_timer(struct env_timer *timer)
{
    struct router_call *call = container_of(timer, struct router_call, timer);

    if (is_late(call)) {
        end_late(call);
        return;
    }
    if (control_is_waiting(&call->control)) {
        arm(call, RESEND_MS); /* It is being seen to right here. */
        return;
    }
    abandon(call);
    router_attempt(call);
}
