/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/router.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/flow.h"
#include "engine/keys.h"
#include "engine/routes.h"
#include "engine/serve.h"

enum {
    RETRY_MS = 10,    /* after a refusal */
    RESEND_MS = 1000, /* without any answer */
    ATTEMPTS = 256,   /* told apart in a ticket */
    TURNS_TO_ASK = 16 /* in vain, until its region is looked for anew */
};

TAILQ_HEAD(holds, router_hold);

struct router {
    struct node *node;
    struct env *env;
    struct router_call *calls; /* by ticket */
    struct holds holds;        /* by ascending sequence */
    uint64_t sequence_last;
    uint64_t ticket_last;
    struct serve *serve;
    struct routes *routes;
};

struct router *router_new(struct node *node)
{
    struct router *router = mem_zalloc(sizeof *router);

    router->node = node;
    router->env = node_env(node);
    router->serve = serve_new(node);
    router->routes = routes_new(node);
    /* An answer to a call of an earlier boot must not fit one of this boot. */
    router->ticket_last = node_config(node)->identity.boot << 32;
    TAILQ_INIT(&router->holds);
    return router;
}

void router_free(struct router *router)
{
    if (router == NULL)
        return;
    assert(router->calls == NULL);
    serve_free(router->serve);
    routes_free(router->routes);
    free(router);
}

size_t router_waiting(const struct router *router)
{
    return HASH_CNT(by_ticket, router->calls);
}

struct routes *router_routes(struct router *router)
{
    return router->routes;
}

bool router_same_call(uint64_t a, uint64_t b)
{
    return a / ATTEMPTS == b / ATTEMPTS;
}

/* ---- holds ---- */

void router_hold(struct router *router, struct router_hold *hold)
{
    hold->sequence = ++router->sequence_last;
    TAILQ_INSERT_TAIL(&router->holds, hold, link);
}

void router_release(struct router *router, struct router_hold *hold)
{
    TAILQ_REMOVE(&router->holds, hold, link);
    hold->sequence = 0;
    flows_on_release(node_flows(router->node));
}

bool router_has_room(const struct router *router)
{
    return router_held_span(router) <
           node_config(router->node)->results_held_max;
}

uint64_t router_held_span(const struct router *router)
{
    const struct router_hold *lowest = TAILQ_FIRST(&router->holds);

    return lowest == NULL ? 0 : router->sequence_last - lowest->sequence + 1;
}

/* ---- the end of a call ---- */

static void forget_call(struct router *router, struct router_call *call)
{
    env_timer_stop(router->env, &call->timer);
    control_cancel_wait(&call->control);
    HASH_DELETE(by_ticket, router->calls, call);
    if (call->hold.sequence != 0)
        router_release(router, &call->hold);
    buf_unref(call->command);
    call->command = NULL;
    call->active = false;
}

static void end_call(struct router_call *call, int status,
                     const struct result *result, uint64_t index)
{
    struct router *router = node_router(call->node);

    forget_call(router, call);
    call->done(call, status, result, index);
}

static void retry(struct router_call *call, bool in_log, uint64_t hint);

/* A copy that was applied to a region of another version has done nothing, and
 * neither did or will an earlier one: its result would be remembered. */
static bool has_missed(const struct router_call *call, int status)
{
    return status == ERR_EPOCH && call->kind == CALL_PROPOSE &&
           !call->names_more;
}

static void end_with_bytes(struct router_call *call, const struct buf *bytes)
{
    struct result result = {0};
    int rc = result_decode(&result, buf_slice(bytes));

    if (rc != 0)
        end_call(call, ERR_UNKNOWN_OUTCOME, NULL, 0);
    else if (has_missed(call, result.status))
        retry(call, false, 0);
    else
        end_call(call, result.status, &result, 0);
    result_release(&result);
}

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

    end_call(call,
             has_effect(call) && maybe ? ERR_UNKNOWN_OUTCOME : ERR_NO_QUORUM,
             NULL, 0);
}

/* ---- attempts ---- */

static void attempt(struct router_call *call);

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

/* Nothing is known of the attempt under way, and it is given up. */
static void abandon(struct router_call *call)
{
    if (call->target != 0)
        call->maybe_applied = true;
    call->target = 0;
}

static void on_timer(struct env_timer *timer)
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
    attempt(call);
}

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
    if (node_peer(call->node, call->region) != NULL)
        return 0; /* It will know when there is one. */
    count = find_nodes(call, nodes);
    return count == 0 ? 0 : nodes[call->turn++ % count];
}

/* A proposal to this node's own peer. It lives until the peer answers, which
 * may be after its call has ended. */
struct local_attempt {
    struct proposal proposal;
    struct router *router;
    uint64_t ticket;
};

static void on_proposed(struct proposal *proposal, int status, bool in_log,
                        struct buf *result);

static void propose_here(struct router_call *call)
{
    struct local_attempt *local = mem_zalloc(sizeof *local);

    local->router = node_router(call->node);
    local->ticket = call->ticket;
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
        retry(call, false, 0);
    else
        end_call(call, status, &result, 0);
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

/* Which region it goes to this time. False: that is not known yet. */
static bool find_region(struct router_call *call)
{
    struct router *router = node_router(call->node);
    struct slice user_key = key_user_part(&call->place);
    struct route route;
    struct buf *command;
    bool found = routes_find(router->routes, user_key, &route);

    if (!found || call->turn % TURNS_TO_ASK == TURNS_TO_ASK - 1)
        routes_ask(router->routes, user_key); /* Perhaps it has moved. */
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

static void attempt(struct router_call *call)
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
    if (target == node_id(call->node) && (!has_effect(call) || peer == NULL))
        target = 0;
    if (target == 0 ||
        (target != node_id(call->node) && !node_link_up(call->node, target))) {
        arm(call, RETRY_MS);
        return;
    }
    if (target == node_id(call->node) && call->grows && !call->maybe_applied &&
        node_disk_full(call->node, call->region)) {
        end_call(call, ERR_NO_SPACE, NULL, 0);
        return;
    }
    call->target = target;
    arm(call, RESEND_MS);
    if (target == node_id(call->node))
        attempt_here(call);
    else
        attempt_there(call);
}

static void retry(struct router_call *call, bool in_log, uint64_t hint)
{
    call->maybe_applied = call->maybe_applied || in_log;
    call->target = 0;
    if (is_late(call)) {
        end_late(call);
        return;
    }
    call->hint = hint;
    if (hint != 0 && hint != node_id(call->node))
        attempt(call);
    else
        arm(call, RETRY_MS);
}

static struct router_call *find_call(struct router *router, uint64_t ticket)
{
    struct router_call *call;

    HASH_FIND(by_ticket, router->calls, &ticket, sizeof ticket, call);
    return call;
}

static void on_proposed(struct proposal *proposal, int status, bool in_log,
                        struct buf *result)
{
    struct local_attempt *local =
        container_of(proposal, struct local_attempt, proposal);
    struct router_call *call = find_call(local->router, local->ticket);

    if (call != NULL && status == 0)
        end_with_bytes(call, result);
    else if (call != NULL)
        retry(call, in_log, 0);
    buf_unref(proposal->command);
    free(local);
}

/* ---- calls ---- */

static void identify(struct router *router, struct router_call *call,
                     struct command *command)
{
    const struct identity *identity = &node_config(router->node)->identity;

    router_hold(router, &call->hold);
    command->node = identity->node_id;
    command->boot = identity->boot;
    command->sequence = call->hold.sequence;
    command->lowest = TAILQ_FIRST(&router->holds)->sequence;
    command->stamp = node_stamp(router->node);
    command->now_ns = (int64_t)env_wall_ns(router->env);
    /* Which one is seen at each attempt: command_for_version(). */
    command->region_version = call->place.size > 0 ? 1 : 0;
}

void router_to_region(struct router_call *call, uint64_t region)
{
    call->region = region;
    call->place.size = 0;
    call->names_more = false;
}

void router_to_key(struct router_call *call, const struct key *user_key)
{
    call->region = UINT64_MAX;
    call->place = *user_key;
    call->names_more = false;
}

void router_to_place(struct router_call *call, uint64_t dir, struct slice name)
{
    struct key key = key_user('d', dir, name);

    router_to_key(call, &key);
}

void router_call(struct router *router, struct router_call *call,
                 struct command *command)
{
    call->node = router->node;
    call->ticket = ++router->ticket_last * ATTEMPTS;
    call->attempt = 0;
    call->target = call->hint = 0;
    call->maybe_applied = false;
    call->turn = 0;
    call->grows = command != NULL && command_grows(command);
    call->hold.sequence = 0;
    call->active = true;
    call->timer = (struct env_timer){.fire = on_timer};
    call->control = (struct control_wait){0};
    call->command = NULL;
    HASH_ADD(by_ticket, router->calls, ticket, sizeof call->ticket, call);
    if (call->kind == CALL_PROPOSE)
        identify(router, call, command);
    if (command != NULL) {
        call->command = command_encode(command);
        if (call->command == NULL) {
            end_call(call, ERR_NO_MEMORY, NULL, 0);
            return;
        }
    }
    attempt(call);
}

void router_cancel(struct router *router, struct router_call *call)
{
    if (call->active)
        forget_call(router, call);
}

void router_stop(struct router *router)
{
    struct router_call *call;
    struct router_call *next;

    HASH_ITER (by_ticket, router->calls, call, next)
        end_call(call, ERR_CANCELED, NULL, 0);
    serve_stop(router->serve);
}

/* ---- what comes in ---- */

void router_on_locate(struct router *router, uint64_t from,
                      const struct env_packet *packet)
{
    routes_on_locate(router->routes, from, packet);
}

void router_on_located(struct router *router, const struct env_packet *packet)
{
    struct router_call *call;
    struct router_call *next;

    if (!routes_on_located(router->routes, packet))
        return;
    HASH_ITER (by_ticket, router->calls, call, next)
        if (call->place.size > 0 && call->target == 0)
            arm(call, 0);
}

void router_on_call(struct router *router, uint64_t from,
                    const struct env_packet *packet)
{
    serve_call(router->serve, from, packet);
}

/* The region is not what it was thought to be. True: that was news. */
static bool learn(struct router *router, const struct env_packet *packet)
{
    struct located located;
    bool news;

    if (packet->payload_count != 1 ||
        located_decode(&located, (struct slice){packet->payloads[0]->data,
                                                packet->payloads[0]->size}) !=
            0)
        return false;
    news = routes_learn(router->routes, &located.region, located.leader_node);
    located_release(&located);
    return news;
}

static void on_refusal(struct router_call *call,
                       const struct call_return *answer)
{
    if (answer->status == ERR_NOT_LEADER || answer->status == ERR_DROPPED ||
        answer->status == ERR_EPOCH)
        retry(call, answer->proposed, answer->leader_node);
    else
        /* Refused now says nothing about an earlier attempt. */
        end_call(call,
                 call->maybe_applied ? ERR_UNKNOWN_OUTCOME : answer->status,
                 NULL, 0);
}

void router_on_return(struct router *router, const struct env_packet *packet)
{
    struct slice header = buf_slice(packet->header);
    struct call_return answer = {0};
    struct router_call *call;

    if (call_return_decode(&answer, header) != 0)
        return;
    call = find_call(router, answer.ticket - answer.ticket % ATTEMPTS);
    if (call == NULL)
        return; /* Answered before, or given up. */
    if (answer.status != 0 &&
        answer.ticket % ATTEMPTS != call->attempt % ATTEMPTS)
        return; /* An earlier one: nothing is known of the one under way. */
    /* Without news it would only be refused again at once. */
    if (answer.status == ERR_EPOCH && !learn(router, packet))
        answer.leader_node = 0;
    if (answer.status != 0)
        on_refusal(call, &answer);
    else if (call->kind == CALL_READ_INDEX)
        end_call(call, 0, NULL, answer.index);
    else if (packet->payload_count == 1)
        end_with_bytes(call, packet->payloads[0]);
}

/* The calls whose attempts have become pointless try again at once. */
static void try_again(struct router *router, uint64_t region, uint64_t target,
                      bool only_others)
{
    struct router_call *call;
    struct router_call *next;

    HASH_ITER (by_ticket, router->calls, call, next) {
        bool concerned = only_others
                             ? call->region == region && call->target != target
                             : call->target == target;

        /* This node's own peer answers in any case. */
        if (!concerned || call->target == node_id(router->node))
            continue;
        abandon(call);
        arm(call, 0);
    }
}

void router_on_link_down(struct router *router, uint64_t lost_node)
{
    try_again(router, 0, lost_node, false);
}

void router_on_leader_change(struct router *router, uint64_t region,
                             uint64_t leader_node)
{
    if (leader_node != 0)
        try_again(router, region, leader_node, true);
}
