/* SPDX-License-Identifier: Apache-2.0 */

/* Fences, and filling, that nobody takes away any more: see mode_change.h. */

#include <inttypes.h>
#include <stdlib.h>

#include "engine/catalog.h"
#include "engine/key_path.h"
#include "engine/mode_change.h"
#include "engine/modes.h"

/* One that was given up on this node. */
struct left_fence {
    struct mode_changes *changes;
    struct router_call call;
    TAILQ_ENTRY(left_fence) link;
};

TAILQ_HEAD(left_fences, left_fence);

/* The one that is looked at: they are taken one after the other. */
struct mode_changes {
    struct node *node;
    uint64_t nsid;
    uint64_t epoch;         /* 0: none */
    enum mode_state before; /* that it goes back to */
    uint64_t since_ns;
    struct router_call call;
    struct left_fences left;
};

struct mode_changes *mode_changes_new(struct node *node)
{
    struct mode_changes *changes = mem_zalloc(sizeof *changes);

    changes->node = node;
    TAILQ_INIT(&changes->left);
    return changes;
}

static void forget(struct left_fence *fence)
{
    TAILQ_REMOVE(&fence->changes->left, fence, link);
    free(fence);
}

void mode_changes_stop(struct mode_changes *changes)
{
    struct left_fence *fence;

    router_cancel(node_router(changes->node), &changes->call);
    while ((fence = TAILQ_FIRST(&changes->left)) != NULL) {
        router_cancel(node_router(changes->node), &fence->call);
        forget(fence);
    }
}

void mode_changes_free(struct mode_changes *changes)
{
    free(changes);
}

static void taken_away(struct router_call *call, int status,
                       const struct result *result, uint64_t index)
{
    struct mode_changes *changes =
        container_of(call, struct mode_changes, call);

    (void)result;
    (void)index;
    if (status == 0)
        node_log_event(
            changes->node, LOG_WARN,
            "directory %s stays %s: whoever changed its mode is gone",
            key_path_show(node_env(changes->node)->state, changes->nsid).text,
            changes->before == MODE_STRONG ? "strong" : "eventual");
}

static void take_away(struct mode_changes *changes, struct router_call *call,
                      uint64_t nsid, uint64_t epoch, enum mode_state before)
{
    struct command command = {
        .op = COMMAND_DIR_MODE,
        .ino = ino_of_nsid(nsid),
        .size = before,
        .offset = epoch,
    };

    call->kind = CALL_PROPOSE;
    router_to_region(call, REGION_PLACEMENT);
    call->deadline_ns = env_mono_ns(node_env(changes->node)) +
                        node_config(changes->node)->op_timeout_ms * 1000000;
    router_call(node_router(changes->node), call, &command);
}

/* When that has failed, region 0's leader does it. */
static void left_is_away(struct router_call *call, int status,
                         const struct result *result, uint64_t index)
{
    (void)status;
    (void)result;
    (void)index;
    forget(container_of(call, struct left_fence, call));
}

void mode_changes_take_away(struct mode_changes *changes, uint64_t nsid,
                            uint64_t epoch, enum mode_state before)
{
    struct left_fence *fence = mem_zalloc(sizeof *fence);

    fence->changes = changes;
    fence->call.done = left_is_away;
    TAILQ_INSERT_TAIL(&changes->left, fence, link);
    take_away(changes, &fence->call, nsid, epoch, before);
}

/* What one entry has fenced, or begun to fill, has one epoch, and goes back
 * with the topmost of it, which need not be where they have their mode from:
 * one that is to be removed is fenced by itself. */
static bool is_top(struct node *node, uint64_t nsid, const struct mode *mode)
{
    struct directory directory = {0};
    bool has_other_epoch;

    if (mode->domain == nsid)
        return true;
    has_other_epoch =
        catalog_get(node_env(node)->state, NULL, nsid, &directory) == 0 &&
        modes_find(node_modes(node), directory.parent).epoch != mode->epoch;
    directory_release(&directory);
    return has_other_epoch;
}

/* The fence that is looked at, unless that is away; else the next one. */
static bool find_fence(struct mode_changes *changes, uint64_t now_ns)
{
    struct modes *modes = node_modes(changes->node);
    uint64_t nsid = 0;
    struct mode mode;

    if (changes->epoch != 0 &&
        modes_find(modes, changes->nsid).epoch == changes->epoch)
        return true;
    changes->epoch = 0;
    while (modes_next(modes, nsid, &nsid, &mode)) {
        if ((mode.state == MODE_FENCED || mode_is_filling(mode)) &&
            is_top(changes->node, nsid, &mode)) {
            changes->nsid = nsid;
            changes->before =
                mode.state == MODE_FENCED ? MODE_EVENTUAL : MODE_STRONG;
            changes->epoch = mode.epoch;
            changes->since_ns = now_ns;
            return true;
        }
        nsid++;
    }
    return false;
}

void mode_changes_each_second(struct mode_changes *changes)
{
    const struct peer *placement = node_peer(changes->node, REGION_PLACEMENT);
    uint64_t now_ns = env_mono_ns(node_env(changes->node));

    if (placement == NULL || !peer_is_leader(placement) ||
        changes->call.active || !find_fence(changes, now_ns))
        return;
    if (now_ns - changes->since_ns < (uint64_t)FENCE_LEFT_MS * 1000000)
        return;
    changes->call.done = taken_away;
    take_away(changes, &changes->call, changes->nsid, changes->epoch,
              changes->before);
}
