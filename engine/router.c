/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/router_impl.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/flow.h"
#include "engine/keys.h"
#include "engine/serve.h"

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

struct router_call *router_find_call(struct router *router, uint64_t ticket)
{
    struct router_call *call;

    HASH_FIND(by_ticket, router->calls, &ticket, sizeof ticket, call);
    return call;
}

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

void router_end_call(struct router_call *call, int status,
                     const struct result *result, uint64_t index)
{
    struct router *router = node_router(call->node);

    forget_call(router, call);
    call->done(call, status, result, index);
}

/* A copy that was applied to a region of another version has done nothing, and
 * neither did or will an earlier one: its result would be remembered. */
static bool has_missed(const struct router_call *call, int status)
{
    return status == ERR_EPOCH && call->kind == CALL_PROPOSE &&
           !call->names_more;
}

/* That of an earlier attempt: the one under way may still take effect. */
static bool is_outdated(const struct router_call *call, int status,
                        uint64_t attempt)
{
    return status == ERR_EPOCH && call->kind == CALL_PROPOSE &&
           attempt % ATTEMPTS != call->attempt % ATTEMPTS;
}

static void end_with_result(struct router_call *call,
                            const struct result *result)
{
    if (has_missed(call, result->status))
        router_retry(call, false, 0);
    else
        router_end_call(call, result->status, result, 0);
}

void router_on_result(struct router_call *call, uint64_t attempt,
                      const struct buf *bytes)
{
    struct result result = {0};
    int rc = result_decode(&result, buf_slice(bytes));

    if (rc != 0)
        router_end_call(call, ERR_UNKNOWN_OUTCOME, NULL, 0);
    else if (!is_outdated(call, result.status, attempt))
        end_with_result(call, &result);
    result_release(&result);
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
    call->asked_ns = 0;
    call->grows = command != NULL && command_grows(command);
    call->hold.sequence = 0;
    call->active = true;
    call->timer = (struct env_timer){.fire = router_on_timer};
    call->control = (struct control_wait){0};
    call->command = NULL;
    HASH_ADD(by_ticket, router->calls, ticket, sizeof call->ticket, call);
    if (call->kind == CALL_PROPOSE)
        identify(router, call, command);
    if (command != NULL) {
        call->command = command_encode(command);
        if (call->command == NULL) {
            router_end_call(call, ERR_NO_MEMORY, NULL, 0);
            return;
        }
    }
    router_attempt(call);
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
        router_end_call(call, ERR_CANCELED, NULL, 0);
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
            router_attempt_anew(call);
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
        router_retry(call, answer->proposed, answer->leader_node);
    else
        /* Refused now says nothing about an earlier attempt. */
        router_end_call(
            call, call->maybe_applied ? ERR_UNKNOWN_OUTCOME : answer->status,
            NULL, 0);
}

void router_on_return(struct router *router, const struct env_packet *packet)
{
    struct slice header = buf_slice(packet->header);
    struct call_return answer = {0};
    struct router_call *call;

    if (call_return_decode(&answer, header) != 0)
        return;
    call = router_find_call(router, answer.ticket - answer.ticket % ATTEMPTS);
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
        router_end_call(call, 0, NULL, answer.index);
    else if (packet->payload_count == 1)
        router_on_result(call, answer.ticket, packet->payloads[0]);
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
        router_attempt_anew(call);
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
