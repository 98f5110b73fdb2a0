/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/merge.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/merge_change.h"
#include "engine/merge_impl.h"
#include "engine/routes.h"

enum {
    LOOK_MS = 5,
    CALL_MS = 1000 /* then it is tried anew */
};

/* On its way through the target's log; lives until it is answered. */
struct merge_proposal {
    struct proposal proposal;
    struct merge *merge; /* NULL: ended */
};

struct merges *merges_new(struct node *node)
{
    struct merges *merges = mem_zalloc(sizeof *merges);

    merges->node = node;
    TAILQ_INIT(&merges->items);
    return merges;
}

void merges_free(struct merges *merges)
{
    assert(merges == NULL || TAILQ_EMPTY(&merges->items));
    free(merges);
}

/* ---- the end ---- */

static void end(struct merge *merge, int status)
{
    struct node *node = merge->merges->node;
    struct merge_wait *wait;

    TAILQ_REMOVE(&merge->merges->items, merge, link);
    env_timer_stop(node_env(node), &merge->timer);
    router_cancel(node_router(node), &merge->call);
    if (merge->proposed != NULL)
        merge->proposed->merge = NULL;
    while ((wait = TAILQ_FIRST(&merge->waits)) != NULL) {
        TAILQ_REMOVE(&merge->waits, wait, link);
        wait->merge = NULL;
        wait->done(wait, status, merge->why);
    }
    free(merge);
}

void merges_stop(struct merges *merges)
{
    struct merge *merge;

    while ((merge = TAILQ_FIRST(&merges->items)) != NULL)
        end(merge, ERR_CANCELED);
}

bool merge_is_running(const struct merge_wait *wait)
{
    return wait->merge != NULL;
}

void merge_cancel(struct merge_wait *wait)
{
    if (wait->merge == NULL)
        return;
    TAILQ_REMOVE(&wait->merge->waits, wait, link);
    wait->merge = NULL;
}

void merge_note_failure(struct merge *merge, int status, const char *why)
{
    if (merge->status != 0)
        return;
    merge->status = status;
    (void)snprintf(merge->why, sizeof merge->why, "%s", why);
}

/* Nothing was begun. */
static void refuse(struct merge *merge, int status, const char *why)
{
    merge_note_failure(merge, status, why);
    end(merge, merge->status);
}

struct merge *merges_find(const struct merges *merges, uint64_t target)
{
    struct merge *merge;

    TAILQ_FOREACH (merge, &merges->items, link)
        if (merge->target == target)
            return merge;
    return NULL;
}

/* ---- its time ---- */

static bool is_late(const struct merge *merge)
{
    return env_mono_ns(node_env(merge->merges->node)) >= merge->until_ns;
}

/* A quarter of what whoever asked has for asking, and half of it for freezing:
 * then he can still be told why it was not done. */
static void begin_phase(struct merge *merge, uint64_t quarters)
{
    struct node *node = merge->merges->node;

    merge->report_count = 0;
    merge->asked_ns = 0;
    merge->until_ns = env_mono_ns(node_env(node)) +
                      node_config(node)->op_timeout_ms * 1000000 / 4 * quarters;
}

/* ---- the target's log ---- */

static void on_proposed(struct proposal *proposal, int status, bool in_log,
                        struct buf *result)
{
    struct merge_proposal *p =
        container_of(proposal, struct merge_proposal, proposal);

    (void)status; /* The descriptor says what has come of it. */
    (void)in_log;
    (void)result;
    if (p->merge != NULL)
        p->merge->proposed = NULL;
    buf_unref(proposal->command);
    free(p);
}

static void propose(struct merge *merge, struct peer *target,
                    enum merge_step step, const struct region_merge *plan)
{
    const struct command command = {
        .op = COMMAND_MERGE,
        .merge_step = step,
        .merge = *plan,
        .region_version = peer_region(target)->version,
        .region_conf_ver = peer_region(target)->conf_ver,
    };
    struct merge_proposal *p;

    if (merge->proposed != NULL)
        return;
    p = mem_zalloc(sizeof *p);
    p->merge = merge;
    p->proposal.done = on_proposed;
    p->proposal.command = command_encode(&command);
    assert(p->proposal.command != NULL);
    if (peer_propose_merge(target, &p->proposal) == 0) {
        merge->proposed = p;
        return;
    }
    buf_unref(p->proposal.command);
    free(p);
}

/* ---- asking ---- */

static struct merge_query query_of(const struct merge *merge,
                                   const struct region *target,
                                   const struct region *source)
{
    return (struct merge_query){
        .target = merge->target,
        .target_version = target->version,
        .target_conf_ver = target->conf_ver,
        .source = merge->source,
        .source_version = source->version,
        .source_conf_ver = source->conf_ver,
    };
}

static const char *why_not(int status)
{
    switch (status) {
    case ERR_INVALID:
        return "they are no neighbours";
    case ERR_BUSY:
        return "one of them is just being changed";
    default:
        return "their replicas are not on the same nodes";
    }
}

static void probe(struct merge *merge, struct peer *target)
{
    const struct region *whole = peer_region(target);
    const struct peer *peer = node_peer(merge->merges->node, merge->source);
    const struct region *source = peer == NULL ? NULL : peer_region(peer);
    int rc =
        source == NULL ? ERR_NOT_PERMITTED : regions_can_merge(whole, source);
    struct merge_query query;

    if (rc != 0) {
        refuse(merge, rc, why_not(rc));
        return;
    }
    query = query_of(merge, whole, source);
    if (merge_ask(merge, whole, &query)) {
        propose(merge, target, MERGE_STEP_BEGIN,
                &(struct region_merge){
                    .other = source->id,
                    .version = source->version,
                    .conf_ver = source->conf_ver,
                    .start = source->start,
                    .end = source->end,
                });
    } else if (is_late(merge)) {
        merge_note_late(merge);
        end(merge, merge->status);
    }
}

/* ---- freezing ---- */

/* To the source's log, wherever its leader is. */
static void call_source(struct merge *merge, enum command_op op,
                        const struct region_merge *plan,
                        void (*done)(struct router_call *call, int status,
                                     const struct result *result,
                                     uint64_t index))
{
    struct node *node = merge->merges->node;
    struct command command = {
        .op = op,
        .merge = {.other = merge->target,
                  .attempt = plan->attempt,
                  .version = plan->version,
                  .conf_ver = plan->conf_ver},
    };

    if (merge->call.active)
        return;
    merge->call.kind = CALL_PROPOSE;
    router_to_region(&merge->call, merge->source);
    merge->call.names_more = true; /* It is for one epoch only. */
    merge->call.deadline_ns =
        env_mono_ns(node_env(node)) + (uint64_t)CALL_MS * 1000000;
    merge->call.done = done;
    router_call(node_router(node), &merge->call, &command);
}

/* Without an answer it may still be done; a refusal is for good. */
static void on_frozen(struct router_call *call, int status,
                      const struct result *result, uint64_t index)
{
    struct merge *merge = container_of(call, struct merge, call);

    (void)result;
    (void)index;
    if (status == ERR_EPOCH || status == ERR_BUSY || status == ERR_INVALID)
        merge->refused = true;
}

static bool is_frozen_here(const struct merge *merge)
{
    const struct peer *peer = node_peer(merge->merges->node, merge->source);

    return peer != NULL && region_is_frozen_for(peer_region(peer),
                                                merge->target, merge->attempt);
}

static void take(struct merge *merge, struct peer *target)
{
    const struct region *region = peer_region(target);
    const struct region_merge *plan = &region->merge;
    struct merge_query query = {.target = merge->target,
                                .source = merge->source,
                                .attempt = plan->attempt};

    if (merge->refused) {
        merge_note_failure(merge, ERR_BUSY, why_not(ERR_BUSY));
        propose(merge, target, MERGE_STEP_GIVE_UP, plan);
        return;
    }
    if (!is_frozen_here(merge))
        call_source(merge, COMMAND_FREEZE, plan, on_frozen);
    if (merge_ask(merge, region, &query)) {
        propose(merge, target, MERGE_STEP_TAKE, plan);
    } else if (is_late(merge)) {
        merge_note_late(merge);
        propose(merge, target, MERGE_STEP_GIVE_UP, plan);
    }
}

/* ---- unfreezing ---- */

/* The source may be no more, merged into another region after it was refused to
 * this one: then somebody else has its keys, or it has them in a version that
 * is not the frozen one. */
static bool has_gone_on(const struct merge *merge,
                        const struct region_merge *plan)
{
    struct routes *routes = router_routes(node_router(merge->merges->node));
    struct route route;

    routes_ask(routes, plan->start);
    if (!routes_find(routes, plan->start, &route))
        return false;
    return route.version > plan->version + (route.region == merge->source);
}

static void on_unfrozen(struct router_call *call, int status,
                        const struct result *result, uint64_t index)
{
    struct merge *merge = container_of(call, struct merge, call);
    const struct peer *target = node_peer(merge->merges->node, merge->target);

    (void)result;
    (void)index;
    merge->thawed =
        status == 0 ||
        (target != NULL && has_gone_on(merge, &peer_region(target)->merge));
}

static void undo(struct merge *merge, struct peer *target)
{
    const struct region_merge *plan = &peer_region(target)->merge;

    if (merge->thawed)
        propose(merge, target, MERGE_STEP_END, plan);
    else
        call_source(merge, COMMAND_UNFREEZE, plan, on_unfrozen);
}

/* ---- the steps ---- */

/* It is decided, and the descriptor says how. */
static void finish(struct merge *merge, const struct peer *target)
{
    if (merge->proposed != NULL)
        return; /* It is applied when that is answered. */
    if (peer_region(target)->absorbed == merge->source) {
        merge->why[0] = '\0';
        end(merge, 0);
        return;
    }
    node_log_event(merge->merges->node, LOG_WARN,
                   "region %" PRIu64 ": does not take over region %" PRIu64
                   ": %s",
                   merge->target, merge->source, merge->why);
    end(merge, merge->status);
}

/* Something has been begun, here or by an earlier leader. */
static void go_on(struct merge *merge, struct peer *target)
{
    const struct region_merge *plan = &peer_region(target)->merge;

    if (merge->attempt != plan->attempt) {
        merge->attempt = plan->attempt;
        begin_phase(merge, 2);
    }
    if (plan->state == MERGE_TAKING) {
        take(merge, target);
        return;
    }
    merge_note_failure(merge, ERR_NOT_PERMITTED, "it was given up");
    undo(merge, target);
}

static void step(struct merge *merge)
{
    struct node *node = merge->merges->node;
    struct peer *target = node_peer(node, merge->target);
    const struct region *region;

    if (target == NULL || !peer_is_serving(target)) {
        end(merge, ERR_NOT_LEADER);
        return;
    }
    env_timer_start(node_env(node), &merge->timer, (uint64_t)LOOK_MS * 1000000);
    region = peer_region(target);
    if (region_is_merging(region) && region->merge.other != merge->source)
        refuse(merge, ERR_BUSY, why_not(ERR_BUSY));
    else if (region_is_frozen(region))
        refuse(merge, ERR_BUSY, why_not(ERR_BUSY));
    else if (region_is_merging(region))
        go_on(merge, target);
    else if (merge->attempt != 0)
        finish(merge, target);
    else
        probe(merge, target);
}

static void on_timer(struct env_timer *timer)
{
    step(container_of(timer, struct merge, timer));
}

/* ---- the beginning ---- */

static struct merge *merge_new(struct merges *merges, uint64_t target,
                               uint64_t source)
{
    struct merge *merge = mem_zalloc(sizeof *merge);

    merge->merges = merges;
    merge->target = target;
    merge->source = source;
    merge->timer.fire = on_timer;
    TAILQ_INIT(&merge->waits);
    TAILQ_INSERT_TAIL(&merges->items, merge, link);
    begin_phase(merge, 1);
    env_timer_start(node_env(merges->node), &merge->timer, 0);
    return merge;
}

void merge_start(struct merge_wait *wait, struct node *node, uint64_t target,
                 uint64_t source)
{
    struct merges *merges = node_merges(node);
    const struct peer *peer = node_peer(node, target);
    struct merge *merge = merges_find(merges, target);

    if (peer == NULL || !peer_is_serving(peer)) {
        wait->done(wait, ERR_NOT_LEADER, "");
    } else if (peer_region(peer)->absorbed == source) {
        wait->done(wait, 0, ""); /* Asked again. */
    } else if (merge != NULL && merge->source != source) {
        wait->done(wait, ERR_BUSY, why_not(ERR_BUSY));
    } else {
        if (merge == NULL)
            merge = merge_new(merges, target, source);
        wait->merge = merge;
        TAILQ_INSERT_TAIL(&merge->waits, wait, link);
    }
}

/* An earlier leader has begun it, and nobody sees to it. */
static bool is_orphan(const struct merges *merges, const struct peer *peer)
{
    const struct region *region = peer_region(peer);

    return region_is_merging(region) && !region_is_frozen(region) &&
           peer_is_serving(peer) && merges_find(merges, region->id) == NULL;
}

void merges_tick(struct merges *merges)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_awake(merges->node, peer)) != NULL)
        if (is_orphan(merges, peer))
            (void)merge_new(merges, peer_region_id(peer),
                            peer_region(peer)->merge.other);
}
