/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/node_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/command.h"
#include "engine/members.h"
#include "engine/node.h"
#include "engine/router.h"
#include "engine/routes.h"
#include "engine/status.h"

enum { WHY_SIZE = 128 };

/* It lives until the peer answers, which may be after the change was
 * cancelled. */
struct node_proposal {
    struct proposal proposal;
    struct node_change *change; /* NULL: cancelled */
};

/* ---- the end ---- */

static bool was_removed(const struct node_change *change)
{
    struct node_record record;

    return members_find(change->node, change->id, &record) == 0 &&
           record.state == NODE_REMOVED;
}

static const char *words_of(const struct node_change *change, int status)
{
    switch (status) {
    case ERR_NOT_FOUND:
        return "is not in the cluster";
    case ERR_NOT_PERMITTED:
        return was_removed(change) ? "was removed for good"
                                   : "is to be drained first";
    case ERR_BUSY:
        return "still has a vote in region 0";
    default:
        return err_text(status);
    }
}

static void end(struct node_change *change, int status, const char *words)
{
    char why[WHY_SIZE] = "";

    if (status != 0)
        (void)snprintf(why, sizeof why, "node %" PRIu64 " %s", change->id,
                       words);
    node_change_cancel(change);
    change->done(change, status, why);
}

/* What may be in the log all the same is proposed again at the next leader:
 * once more is no harm. */
static void proposed(struct proposal *proposal, int status, bool in_log,
                     struct buf *result)
{
    struct node_proposal *made =
        container_of(proposal, struct node_proposal, proposal);
    struct node_change *change = made->change;

    (void)in_log;
    if (change != NULL) {
        int rc =
            status == 0 ? result_status(buf_slice(result)) : ERR_NOT_LEADER;

        end(change, rc, words_of(change, rc));
    }
    buf_unref(proposal->command);
    free(made);
}

/* ---- what is left on a node ---- */

static const char holds_replicas[] =
    "still holds replicas: they are moved away first";

static bool says_it_holds_data(struct node *node, uint64_t id)
{
    const struct status_board *board = node_status_board(node);
    const struct region_status *status = NULL;

    while ((status = status_board_next_region(board, id, status)) != NULL)
        if (status->region != REGION_PLACEMENT)
            return true;
    return false;
}

/* NULL: none. A node that is down may have the only replica of a region that
 * nobody else has heard of, so all keys are looked at. */
static const char *what_is_left(struct node *node, uint64_t id)
{
    struct routes *routes = router_routes(node_router(node));
    struct slice at = slice_of("");

    if (says_it_holds_data(node, id))
        return holds_replicas;
    do {
        struct route route;

        if (!routes_find(routes, at, &route)) {
            routes_ask(routes, at);
            return "may still hold replicas: it is not known yet where all "
                   "regions are";
        }
        for (size_t i = 0; i < route.node_count; i++)
            if (route.nodes[i] == id)
                return holds_replicas;
        at = route.range.end;
    } while (at.size > 0);
    return NULL;
}

/* ---- start ---- */

void node_change_start(struct node_change *change, struct node *node,
                       uint64_t id, enum node_state state)
{
    struct env *env = node_env(node);
    struct command command = {
        .op = COMMAND_NODE_STATE,
        .target_node = id,
        .node_state = state,
        .stamp = node_stamp(node),
        .now_ns = (int64_t)env_wall_ns(env),
    };
    const char *left = state == NODE_REMOVED ? what_is_left(node, id) : NULL;

    change->node = node;
    change->id = id;
    change->proposal = NULL;
    if (left != NULL) {
        end(change, ERR_BUSY, left);
        return;
    }
    change->proposal = mem_zalloc(sizeof *change->proposal);
    change->proposal->change = change;
    change->proposal->proposal.command = command_encode(&command);
    change->proposal->proposal.done = proposed;
    peer_propose(node_peer(node, REGION_PLACEMENT),
                 &change->proposal->proposal);
}

bool node_change_is_running(const struct node_change *change)
{
    return change->proposal != NULL;
}

void node_change_cancel(struct node_change *change)
{
    if (change->proposal != NULL)
        change->proposal->change = NULL;
    change->proposal = NULL;
}
