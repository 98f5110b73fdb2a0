/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/floor_change.h"

#include <stdlib.h>

#include "engine/eventual.h"
#include "engine/floor.h"
#include "engine/peer.h"
#include "engine/pull.h"
#include "engine/router.h"

struct floor_changes {
    struct node *node;
    struct router_call call;
};

struct floor_changes *floor_changes_new(struct node *node)
{
    struct floor_changes *changes = mem_zalloc(sizeof *changes);

    changes->node = node;
    return changes;
}

void floor_changes_stop(struct floor_changes *changes)
{
    router_cancel(node_router(changes->node), &changes->call);
}

void floor_changes_free(struct floor_changes *changes)
{
    free(changes);
}

static void over(struct router_call *call, int status,
                 const struct result *result, uint64_t index)
{
    /* Whatever has come of it is seen in the catalog. */
    (void)call;
    (void)status;
    (void)result;
    (void)index;
}

static void propose(struct floor_changes *changes, uint64_t hlc, uint64_t roll)
{
    struct node *node = changes->node;
    struct command command = {.op = COMMAND_FLOOR, .size = hlc, .offset = roll};

    changes->call.kind = CALL_PROPOSE;
    router_to_region(&changes->call, REGION_PLACEMENT);
    changes->call.deadline_ns = env_mono_ns(node_env(node)) +
                                node_config(node)->op_timeout_ms * 1000000;
    changes->call.done = over;
    router_call(node_router(node), &changes->call, &command);
}

/* 0: there is nothing to raise it for. */
static uint64_t next_floor(const struct floor_changes *changes,
                           const struct floor_members *members)
{
    const struct eventual *eventual = node_eventual(changes->node);
    struct eventual_floor_view own;
    uint64_t others;

    eventual_floor_look(eventual, &own);
    if (own.oldest == 0 || own.roll != members->roll)
        return 0;
    others = pulls_consent(node_pulls(changes->node), members);
    if (others > own.consent)
        others = own.consent;
    return others >= own.oldest && others > own.floor ? others : 0;
}

void floor_changes_each_second(struct floor_changes *changes)
{
    struct node *node = changes->node;
    const struct peer *placement = node_peer(node, REGION_PLACEMENT);
    struct floor_members members;
    uint64_t hlc = 0;

    if (changes->call.active ||
        floor_members_get(node_env(node)->state, &members) != 0)
        return;
    if (eventual_must_withdraw(node_eventual(node), members.roll)) {
        propose(changes, 0, members.roll);
        return;
    }
    if (placement != NULL && peer_is_leader(placement))
        hlc = next_floor(changes, &members);
    if (hlc != 0)
        propose(changes, hlc, members.roll);
}
