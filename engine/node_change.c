/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/node_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/command.h"
#include "engine/leave.h"
#include "engine/members.h"
#include "engine/node.h"
#include "engine/placement.h"
#include "engine/status.h"

enum { WHY_SIZE = 128 };

/* It lives until the peer answers, which may be after the change was
 * cancelled. */
struct node_proposal {
    struct proposal proposal;
    struct node_change *change; /* NULL: cancelled */
    struct node *node;
    uint64_t id;
    enum leave_state loss; /* what was in the way of a removal by force */
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
    case ERR_ABORTED:
        return "was drained anew just now: try again";
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
    int rc = status == 0 ? result_status(buf_slice(result)) : ERR_NOT_LEADER;

    (void)in_log;
    if (rc == 0)
        leave_log_loss(made->node, made->id, made->loss);
    if (change != NULL)
        end(change, rc == ERR_ABORTED ? ERR_BUSY : rc, words_of(change, rc));
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
 * nobody else leads, so all regions have to be known. */
static const char *what_is_left(struct node *node, uint64_t id)
{
    if (says_it_holds_data(node, id))
        return holds_replicas;
    switch (placement_has_replicas(node_placement(node), id)) {
    case PLACEMENT_YES:
        return holds_replicas;
    case PLACEMENT_NO:
        return NULL;
    default:
        return "may still hold replicas: it is not known yet where all "
               "regions are";
    }
}

/* ---- start ---- */

static void propose(struct node_change *change, const struct command *command,
                    enum leave_state loss)
{
    struct node_proposal *made = mem_zalloc(sizeof *made);

    made->change = change;
    made->node = change->node;
    made->id = change->id;
    made->loss = loss;
    made->proposal.command = command_encode(command);
    made->proposal.done = proposed;
    change->proposal = made;
    peer_propose(node_peer(change->node, REGION_PLACEMENT), &made->proposal);
}

static bool is_draining(struct node *node, uint64_t id,
                        struct node_record *record)
{
    return members_find(node, id, record) == 0 &&
           record->state == NODE_DRAINING;
}

/* Of one that is not being drained the command itself says so. */
static void remove_node(struct node_change *change, struct command *command)
{
    enum leave_state leaving = LEAVE_FREE;
    const char *left = NULL;
    struct node_record record;

    if (is_draining(change->node, change->id, &record)) {
        left = what_is_left(change->node, change->id);
        leaving = leave_look(change->node, &record);
        command->offset = record.epoch;
    }
    if (left == NULL && leaving != LEAVE_FREE && !change->force)
        left = leave_words(leaving);
    if (left == NULL)
        propose(change, command, leaving);
    else
        end(change, ERR_BUSY, left);
}

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

    change->node = node;
    change->id = id;
    change->proposal = NULL;
    if (state == NODE_REMOVED)
        remove_node(change, &command);
    else
        propose(change, &command, LEAVE_FREE);
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
