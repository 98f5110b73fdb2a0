/* SPDX-License-Identifier: Apache-2.0 */

/* Fences that nobody takes away any more: see mode_change.h. */

#include <inttypes.h>
#include <stdlib.h>

#include "engine/mode_change.h"
#include "engine/modes.h"

/* The one that is looked at: they are taken one after the other. */
struct mode_changes {
    struct node *node;
    uint64_t nsid;
    uint64_t epoch; /* 0: none */
    uint64_t since_ns;
    struct router_call call;
};

struct mode_changes *mode_changes_new(struct node *node)
{
    struct mode_changes *changes = mem_zalloc(sizeof *changes);

    changes->node = node;
    return changes;
}

void mode_changes_stop(struct mode_changes *changes)
{
    router_cancel(node_router(changes->node), &changes->call);
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
        node_log_event(changes->node, LOG_WARN,
                       "directory %" PRIu64
                       " stays eventual: whoever changed its mode is gone",
                       changes->nsid);
}

static void take_away(struct mode_changes *changes, uint64_t now_ns)
{
    struct command command = {
        .op = COMMAND_DIR_MODE,
        .ino = ino_of_nsid(changes->nsid),
        .size = MODE_EVENTUAL,
        .offset = changes->epoch,
    };

    changes->call.kind = CALL_PROPOSE;
    router_to_region(&changes->call, REGION_PLACEMENT);
    changes->call.deadline_ns =
        now_ns + node_config(changes->node)->op_timeout_ms * 1000000;
    changes->call.done = taken_away;
    router_call(node_router(changes->node), &changes->call, &command);
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
        if (mode.state == MODE_FENCED) {
            changes->nsid = nsid;
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
    if (now_ns - changes->since_ns >= (uint64_t)FENCE_LEFT_MS * 1000000)
        take_away(changes, now_ns);
}
