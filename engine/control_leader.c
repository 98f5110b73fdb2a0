/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/control_leader.h"

#include "engine/command.h"
#include "engine/keys.h"
#include "engine/node.h"
#include "engine/placement.h"

static void checked(struct check_wait *check, int status)
{
    struct control_wait *wait = container_of(check, struct control_wait, check);

    wait->done(wait, status, "");
}

static void transferred(struct transfer *transfer, int status, const char *why)
{
    struct control_wait *wait =
        container_of(transfer, struct control_wait, transfer);

    wait->done(wait, status, why);
}

static void check_goal(struct node *node, const struct goal *goal,
                       struct control_wait *wait)
{
    char why[GOAL_WHY_SIZE] = "";
    int rc = placement_check_goal(node_placement(node), goal, why);

    wait->done(wait, rc, why);
}

static void changed(struct node_change *change, int status, const char *why)
{
    struct control_wait *wait =
        container_of(change, struct control_wait, node_change);

    wait->done(wait, status, why);
}

static void split_done(struct split_wait *split, int status, const char *why)
{
    struct control_wait *wait = container_of(split, struct control_wait, split);

    wait->done(wait, status, why);
}

static void merge_done(struct merge_wait *merge, int status, const char *why)
{
    struct control_wait *wait = container_of(merge, struct control_wait, merge);

    wait->done(wait, status, why);
}

static void carry_out_split(struct node *node, const struct peer *peer,
                            const struct command *command,
                            struct control_wait *wait)
{
    struct key at = {.size = 0};

    if (command->dir != 0)
        at = key_user('d', command->dir, command->name);
    wait->split.done = split_done;
    split_start(&wait->split, node, peer_region_id(peer),
                command->region_version, &at);
}

static void carry_out(struct node *node, struct peer *peer,
                      const struct command *command, struct control_wait *wait)
{
    switch (command->op) {
    case COMMAND_START_CHECK:
        wait->check.done = checked;
        check_start(peer_check(peer), &wait->check);
        return;
    case COMMAND_TRANSFER:
        wait->transfer.done = transferred;
        transfer_start(&wait->transfer, node, peer_region_id(peer),
                       command->target_node);
        return;
    case COMMAND_CHECK_GOAL:
        check_goal(node, &command->goal, wait);
        return;
    case COMMAND_CHANGE_NODE:
        wait->node_change.force = command->size != 0;
        wait->node_change.done = changed;
        node_change_start(&wait->node_change, node, command->target_node,
                          command->node_state);
        return;
    case COMMAND_START_SPLIT:
        carry_out_split(node, peer, command, wait);
        return;
    case COMMAND_START_MERGE:
        wait->merge.done = merge_done;
        merge_start(&wait->merge, node, peer_region_id(peer),
                    command->merge.other);
        return;
    default:
        wait->done(wait, ERR_INVALID, "");
    }
}

void control_carry_out(struct node *node, struct peer *peer,
                       const struct buf *bytes, struct control_wait *wait)
{
    struct command command = {0};
    int rc = command_decode(&command, buf_slice(bytes));

    if (rc == 0)
        carry_out(node, peer, &command, wait);
    else
        wait->done(wait, rc, "");
    command_release(&command);
}

bool control_is_waiting(const struct control_wait *wait)
{
    return wait->check.check != NULL || transfer_is_running(&wait->transfer) ||
           node_change_is_running(&wait->node_change) ||
           split_is_running(&wait->split) || merge_is_running(&wait->merge);
}

void control_cancel_wait(struct control_wait *wait)
{
    check_cancel(&wait->check);
    transfer_cancel(&wait->transfer);
    node_change_cancel(&wait->node_change);
    split_cancel(&wait->split);
    merge_cancel(&wait->merge);
}
