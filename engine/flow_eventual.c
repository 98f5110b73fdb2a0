/* SPDX-License-Identifier: Apache-2.0 */

/* Requests about eventual namespaces, and those that change the mode of one.
 *
 *   reads of files            at once, from this node's state
 *   changes of files          on this node: eventual.h
 *   MKDIR, RENAME of          one command in region 0, then wait until this
 *     directories             node has applied it: a mount shows what it did
 *   RMDIR                     mode_change.h; of one in a strong directory: made
 *                             strong, then removed as such; of a strong one in
 *                             it: flow_strong.c, which has LOOKUP of that, too
 *   user.grove.consistency    likewise: flow_mode.c; .lag and .digest, too
 *
 * Of a fenced namespace it may be that a majority knows it as a strong one
 * already: its reads wait until this node has caught up, its changes until the
 * fence is gone. */

#include <string.h>

#include "engine/catalog.h"
#include "engine/eventual_damage.h"
#include "engine/eventual_read.h"
#include "engine/flow_impl.h"
#include "engine/keys.h"
#include "engine/modes.h"
#include "engine/read.h"

enum {
    PAUSE_MS = 20,
    FENCED_MS = 5000 /* that a change waits for a fence to go */
};

static struct modes *modes_of(const struct flow *flow)
{
    return node_modes(flow->flows->node);
}

static struct kv *state_of(const struct flow *flow)
{
    return node_env(flow->flows->node)->state;
}

uint64_t flow_nsid_of(const struct command *command)
{
    return command_is_read(command->op) && (command->ino & INO_DIR_BIT) != 0 &&
                   command->op != COMMAND_LOOKUP &&
                   command->op != COMMAND_READDIR
               ? nsid_of_ino(command->ino)
               : command->dir;
}

void flow_cancel_eventual(struct flow *flow)
{
    struct node *node = flow->flows->node;

    eventual_cancel(&flow->eventual);
    mode_change_cancel(&flow->mode_change);
    catch_up_cancel(&flow->catch_up, node);
    env_timer_stop(node_env(node), &flow->pause);
}

/* ---- again, later ---- */

static void pause_is_over(struct env_timer *timer)
{
    flow_start(container_of(timer, struct flow, pause));
}

static void try_later(struct flow *flow, uint64_t until_ns, int status)
{
    struct env *env = node_env(flow->flows->node);

    if (env_mono_ns(env) >= until_ns) {
        flow_end(flow, status, NULL);
        return;
    }
    flow->pause.fire = pause_is_over;
    env_timer_start(env, &flow->pause, (uint64_t)PAUSE_MS * 1000000);
}

void flow_wait_for_fence(struct flow *flow)
{
    uint64_t now_ns = env_mono_ns(node_env(flow->flows->node));

    if (flow->fenced_ns == 0)
        flow->fenced_ns = now_ns;
    try_later(flow, flow->fenced_ns + (uint64_t)FENCED_MS * 1000000, ERR_BUSY);
}

void flow_catch_up(struct flow *flow,
                   void (*done)(struct catch_up *catch_up, int status))
{
    flow->catch_up.deadline_ns = flow->deadline_ns;
    flow->catch_up.done = done;
    catch_up_start(&flow->catch_up, flow->flows->node);
}

void flow_caught_up(struct catch_up *catch_up, int status)
{
    struct flow *flow = container_of(catch_up, struct flow, catch_up);

    flow->has_caught_up = true;
    if (status != 0)
        flow_end(flow, status, NULL);
    else
        flow_start(flow);
}

/* ---- reads ---- */

/* What the catalog alone has of a directory. */
static void read_xattrs_of_directory(struct kv *state,
                                     const struct command *command,
                                     struct result *ret)
{
    struct read_unknown unknown = {.count = 0};

    (void)read_execute(state, NULL, command, &unknown, ret);
}

static void read_here(struct node *node, const struct command *command,
                      struct result *ret)
{
    struct kv *state = node_env(node)->state;
    struct command own = *command;

    own.node = node_id(node);
    if (command_is_of_catalog(command))
        read_xattrs_of_directory(state, command, ret);
    else
        (void)eventual_read(state, &own, ret);
}

static enum mode_state mode_of(struct node *node, const struct command *command)
{
    return modes_find(node_modes(node), flow_nsid_of(command)).state;
}

bool flow_is_eventual(struct node *node, const struct command *command)
{
    return flow_is_about_mode(command) || mode_of(node, command) != MODE_STRONG;
}

bool flow_try_eventual(struct node *node, const struct command *command,
                       struct result *ret)
{
    if (mode_of(node, command) != MODE_EVENTUAL ||
        flow_is_about_mode(command) || !eventual_is_whole(node_eventual(node)))
        return false;
    read_here(node, command, ret);
    if (ret->status != ERR_CORRUPT)
        return !flow_finds_strong(node, command, ret) ||
               flow_try_strong(node, ret);
    result_release(ret); /* It is read again where damage can be told of. */
    *ret = (struct result){0};
    return false;
}

/* A listing may have met it at any name. */
static void find_damage(struct flow *flow)
{
    const struct command *c = &flow->command;

    eventual_find_damage(node_eventual(flow->flows->node), flow_nsid_of(c),
                         c->op == COMMAND_READDIR || flow_nsid_of(c) != c->dir
                             ? slice_of("")
                             : c->name);
}

static void read_now(struct flow *flow)
{
    struct result result = {0};

    if (!eventual_is_whole(node_eventual(flow->flows->node))) {
        try_later(flow, flow->deadline_ns, ERR_NO_QUORUM);
        return;
    }
    read_here(flow->flows->node, &flow->command, &result);
    if (result.status == ERR_CORRUPT)
        find_damage(flow);
    if (flow_finds_strong(flow->flows->node, &flow->command, &result))
        flow_read_strong(flow, &result);
    else
        flow_end(flow, result.status, &result);
    result_release(&result);
}

/* ---- what was done in region 0 is to be seen here ---- */

static void show(struct catch_up *catch_up, int status)
{
    struct flow *flow = container_of(catch_up, struct flow, catch_up);

    flow_end(flow, status == ERR_CANCELED ? status : 0, &flow->shown);
}

void flow_show(struct flow *flow, const struct attr *attr)
{
    flow->shown = (struct result){.attr = *attr};
    flow_catch_up(flow, show);
}

static bool may_replace(const struct flow *flow)
{
    const struct command *c = &flow->command;

    return c->op == COMMAND_RENAME && (c->flags & REQUEST_NOREPLACE) == 0;
}

/* First the empty directory at the new name goes, as with RMDIR, and then all
 * begins anew: for a moment nothing has the name. */
static void replace_directory(struct flow *flow)
{
    const struct command *c = &flow->command;
    uint64_t nsid = 0;
    int rc = catalog_find(state_of(flow), NULL, c->to_dir, c->to_name, &nsid);

    if (rc == 0 && modes_find(modes_of(flow), nsid).state != MODE_STRONG)
        flow_change_mode(flow, nsid, MODE_REMOVE, false);
    else if (rc == ERR_NOT_FOUND && !flow->has_caught_up)
        flow_catch_up(flow, flow_caught_up);
    else
        flow_end(flow, rc == 0 || rc == ERR_NOT_FOUND ? ERR_EXISTS : rc, NULL);
}

static void decided(struct router_call *call, int status,
                    const struct result *result, uint64_t index)
{
    struct flow *flow = container_of(call, struct flow, call);

    (void)index;
    if (status == ERR_BUSY) {
        flow_wait_for_fence(flow);
    } else if (status == ERR_ABORTED && !flow->has_caught_up) {
        flow_catch_up(flow, flow_caught_up);
    } else if (status == ERR_EXISTS && may_replace(flow)) {
        replace_directory(flow);
    } else if (status != 0) {
        flow_end(flow, status == ERR_ABORTED ? ERR_BUSY : status, NULL);
    } else {
        flow_show(flow, &result->attr);
    }
}

static void ask_region_0(struct flow *flow, enum command_op op)
{
    struct command command = flow->command;

    command.op = op;
    flow->call.kind = CALL_PROPOSE;
    router_to_region(&flow->call, REGION_PLACEMENT);
    flow->call.deadline_ns = flow->deadline_ns;
    flow->call.done = decided;
    router_call(node_router(flow->flows->node), &flow->call, &command);
}

/* ---- directories ---- */

/* Whether a file has this name, as far as this node knows. */
static bool has_file(const struct flow *flow, uint64_t dir, struct slice name)
{
    struct eventual_record record = {0};
    bool found =
        eventual_get(state_of(flow), NULL, dir, name, false, &record) == 0 &&
        !record.removed;

    eventual_release(&record);
    return found;
}

static void make_directory(struct flow *flow)
{
    if (has_file(flow, flow->command.dir, flow->command.name))
        flow_end(flow, ERR_EXISTS, NULL);
    else
        ask_region_0(flow, COMMAND_DIR_ADD);
}

static bool is_directory(const struct flow *flow, uint64_t dir,
                         struct slice name)
{
    uint64_t nsid;

    return catalog_find(state_of(flow), NULL, dir, name, &nsid) == 0;
}

/* A file is exchanged with a file only: its name is not in the catalog. */
static void exchange_directories(struct flow *flow)
{
    const struct command *c = &flow->command;

    if (is_directory(flow, c->dir, c->name) &&
        is_directory(flow, c->to_dir, c->to_name))
        ask_region_0(flow, COMMAND_DIR_MOVE);
    else
        flow_end(flow, ERR_INVALID, NULL);
}

static void move_directory(struct flow *flow)
{
    const struct command *c = &flow->command;

    if ((c->flags & REQUEST_EXCHANGE) != 0)
        exchange_directories(flow);
    else if (!is_directory(flow, c->dir, c->name))
        flow_end(flow, ERR_IS_DIR, NULL); /* The other end is one. */
    else if (has_file(flow, c->to_dir, c->to_name))
        flow_end(flow,
                 (c->flags & REQUEST_NOREPLACE) != 0 ? ERR_EXISTS : ERR_NOT_DIR,
                 NULL);
    else
        ask_region_0(flow, COMMAND_DIR_MOVE);
}

/* Also of a directory whose parent is strong. */
static void remove_directory(struct flow *flow, enum mode_goal goal)
{
    const struct command *c = &flow->command;
    uint64_t nsid;
    int rc = catalog_find(state_of(flow), NULL, c->dir, c->name, &nsid);

    if (rc == 0 && goal == MODE_REMOVE && flow_may_remove_strong(flow, nsid))
        flow_remove_strong(flow, nsid);
    else if (rc == 0)
        flow_change_mode(flow, nsid, goal, false);
    else if (rc == ERR_NOT_FOUND && has_file(flow, c->dir, c->name))
        flow_end(flow, ERR_NOT_DIR, NULL);
    else
        flow_end(flow, rc, NULL);
}

static bool removes_eventual(const struct flow *flow)
{
    const struct command *c = &flow->command;
    uint64_t nsid;

    return flow->request->kind == REQUEST_RMDIR &&
           catalog_find(state_of(flow), NULL, c->dir, c->name, &nsid) == 0 &&
           modes_find(modes_of(flow), nsid).state != MODE_STRONG;
}

/* ---- changes of files ---- */

static void changed(struct eventual_op *op, int status,
                    const struct result *result)
{
    struct flow *flow = container_of(op, struct flow, eventual);

    if (status == ERR_EPOCH)
        flow_start(flow);
    else if (status == ERR_UNAVAILABLE)
        try_later(flow, flow->deadline_ns, ERR_NO_QUORUM);
    else if (status == ERR_IS_DIR && flow->command.op == COMMAND_RENAME)
        move_directory(flow);
    else
        flow_end(flow, status, result);
}

static void change(struct flow *flow)
{
    if (flow->request->kind == REQUEST_CREATE && flow->command.ino == 0)
        flow->command.ino = node_new_ino(flow->flows->node);
    flow->eventual.command = &flow->command;
    flow->eventual.done = changed;
    eventual_start(node_eventual(flow->flows->node), &flow->eventual);
}

/* ---- all of them ---- */

static void start_change(struct flow *flow)
{
    switch (flow->request->kind) {
    case REQUEST_MKDIR:
        make_directory(flow);
        return;
    case REQUEST_RMDIR:
        remove_directory(flow, MODE_REMOVE);
        return;
    default:
        change(flow);
    }
}

static void start_fenced(struct flow *flow)
{
    if (!command_is_read(flow->command.op))
        flow_wait_for_fence(flow);
    else if (!flow->has_caught_up)
        flow_catch_up(flow, flow_caught_up);
    else
        read_now(flow);
}

/* EVENTUAL also where only one of a rename's two ends is. */
static enum mode_state state_of_mode(struct flow *flow, bool *ret_crosses)
{
    const struct command *c = &flow->command;
    enum mode_state state = modes_find(modes_of(flow), flow_nsid_of(c)).state;
    enum mode_state to = state;

    if (c->op == COMMAND_RENAME)
        to = modes_find(modes_of(flow), c->to_dir).state;
    *ret_crosses = (state == MODE_STRONG) != (to == MODE_STRONG);
    return to == MODE_FENCED ? to : state;
}

static bool may_be_eventual(const struct flow *flow)
{
    enum command_op op = flow->command.op;
    enum request_kind kind = flow->request->kind;

    return command_is_on_file(op) || command_is_read(op) ||
           kind == REQUEST_MKDIR || kind == REQUEST_RMDIR;
}

bool flow_start_eventual(struct flow *flow)
{
    bool crosses = false;
    enum mode_state state;

    if (flow_is_about_mode(&flow->command)) {
        flow_start_mode(flow);
        return true;
    }
    if (!may_be_eventual(flow))
        return false;
    state = state_of_mode(flow, &crosses);
    if (crosses)
        flow_end(flow, ERR_CROSS_DEVICE, NULL);
    else if (state == MODE_STRONG && removes_eventual(flow))
        remove_directory(flow, MODE_TO_STRONG);
    else if (state == MODE_STRONG)
        return false;
    else if (state == MODE_FENCED)
        start_fenced(flow);
    else if (command_is_read(flow->command.op))
        read_now(flow);
    else
        start_change(flow);
    return true;
}
