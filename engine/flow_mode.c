/* SPDX-License-Identifier: Apache-2.0 */

/* user.grove.consistency and the xattrs beside it: what mode a directory has,
 * and changes of that. What those take is said in mode_change.h. */

#include "engine/flow_impl.h"
#include "engine/keys.h"
#include "engine/modes.h"
#include "engine/status.h"

static bool has_name(const struct command *command, const char *xattr)
{
    return slice_equal(command->xattr, slice_of(xattr));
}

bool flow_is_about_mode(const struct command *command)
{
    switch (command->op) {
    case COMMAND_GETXATTR:
        return has_name(command, XATTR_CONSISTENCY) ||
               has_name(command, XATTR_LAG) || has_name(command, XATTR_DIGEST);
    case COMMAND_SETXATTR:
    case COMMAND_REMOVEXATTR:
    case COMMAND_DIR_SETXATTR:
    case COMMAND_DIR_REMOVEXATTR:
        return has_name(command, XATTR_CONSISTENCY);
    default:
        return false;
    }
}

/* RENAME where the new name is that of an empty directory. */
static bool removes(const struct flow *flow)
{
    return flow->request->kind == REQUEST_RMDIR ||
           flow->request->kind == REQUEST_RENAME;
}

static void mode_changed(struct mode_change *change, int status)
{
    struct flow *flow = container_of(change, struct flow, mode_change);
    bool goes_on = flow->request->kind == REQUEST_RENAME ||
                   (flow->request->kind == REQUEST_RMDIR &&
                    change->goal == MODE_TO_STRONG);
    const struct result nothing = {0};

    if (status == 0 && goes_on)
        flow_start(flow);
    else if (status == ERR_BUSY && removes(flow))
        /* Of another change, of one above it, too. */
        flow_wait_for_fence(flow);
    else
        flow_end(flow, status, &nothing);
}

void flow_change_mode(struct flow *flow, uint64_t nsid, enum mode_goal goal,
                      bool force)
{
    flow->mode_change.force = force;
    flow->mode_change.nsid = nsid;
    flow->mode_change.goal = goal;
    flow->mode_change.only_empty = removes(flow);
    flow->mode_change.deadline_ns = flow->deadline_ns;
    flow->mode_change.done = mode_changed;
    mode_change_start(&flow->mode_change, flow->flows->node);
}

static void set_mode(struct flow *flow)
{
    uint64_t nsid = nsid_of_ino(flow->command.ino);
    struct slice text = flow->command.data;

    if (slice_equal(text, slice_of(XATTR_EVENTUAL)))
        flow_change_mode(flow, nsid, MODE_TO_EVENTUAL, false);
    else if (slice_equal(text, slice_of(XATTR_STRONG)))
        flow_change_mode(flow, nsid, MODE_TO_STRONG, false);
    else if (slice_equal(text, slice_of(XATTR_STRONG_FORCE)))
        flow_change_mode(flow, nsid, MODE_TO_STRONG, true);
    else
        flow_end(flow, ERR_INVALID, NULL);
}

static void show_mode(struct flow *flow, enum mode_state state)
{
    struct slice mode =
        slice_of(state == MODE_STRONG ? XATTR_STRONG : XATTR_EVENTUAL);
    const struct command *command = &flow->command;
    struct node *node = flow->flows->node;
    struct result result = {.status = 0};

    if (has_name(command, XATTR_LAG))
        result.data_buf = status_lag(node, state);
    else if (has_name(command, XATTR_DIGEST))
        result.data_buf = status_digest(node, command, state);
    else
        result.data_buf = buf_copy(mode.data, mode.size);
    flow_end(flow, 0, &result);
    result_release(&result);
}

/* That it is strong a majority has to say. */
static void get_mode(struct flow *flow)
{
    uint64_t nsid = flow_nsid_of(&flow->command);
    enum mode_state state =
        modes_find(node_modes(flow->flows->node), nsid).state;

    if (state == MODE_EVENTUAL || flow->has_caught_up)
        show_mode(flow, state);
    else
        flow_catch_up(flow, flow_caught_up);
}

void flow_start_mode(struct flow *flow)
{
    switch (flow->command.op) {
    case COMMAND_GETXATTR:
        get_mode(flow);
        return;
    case COMMAND_DIR_SETXATTR:
        set_mode(flow);
        return;
    case COMMAND_DIR_REMOVEXATTR:
        flow_change_mode(flow, nsid_of_ino(flow->command.ino), MODE_INHERIT,
                         false);
        return;
    default:
        flow_end(flow, ERR_NOT_PERMITTED, NULL);
    }
}
