/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/flow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/control.h"
#include "engine/event_log.h"
#include "engine/event_watch.h"
#include "engine/keys.h"
#include "engine/reader.h"
#include "engine/router.h"
#include "engine/settle.h"
#include "engine/status.h"
#include "engine/txn.h"

enum {
    ALONE_MS = 500,    /* a read waits that may do without a majority */
    HOPELESS_MS = 200, /* any request, long after the leader was lost */
};

struct flow {
    struct flows *flows;
    struct request *request;
    uint64_t id;
    uint64_t deadline_ns;
    struct command command; /* borrows from the request */
    struct read_op read;
    struct router_call call;
    struct settle settle;
    struct txn_op txn;
    struct control_op control;
    struct event_wait events;
    bool waiting; /* for room in the regions' memory of results */
    struct env_timer wait_deadline;
    TAILQ_ENTRY(flow) link;
    UT_hash_handle by_id;
};

struct flows {
    struct node *node;
    struct flow *running;          /* by id */
    TAILQ_HEAD(, flow) waiting;    /* in the order in which they came */
    struct env_task admit_waiting; /* once for many releases */
    bool admit_posted;
    bool stopped;
};

static void admit_waiting(struct env_task *task);

struct flows *flows_new(struct node *node)
{
    struct flows *flows = mem_zalloc(sizeof *flows);

    flows->node = node;
    flows->admit_waiting.run = admit_waiting;
    TAILQ_INIT(&flows->waiting);
    return flows;
}

void flows_free(struct flows *flows)
{
    assert(flows == NULL || flows->running == NULL);
    free(flows);
}

/* ---- from request to command ---- */

/* clang-format off */
static const enum command_op ops_on_files[REQUEST_KINDS] = {
    [REQUEST_LOOKUP]      = COMMAND_LOOKUP,
    [REQUEST_GETATTR]     = COMMAND_GETATTR,
    [REQUEST_READ]        = COMMAND_READ,
    [REQUEST_READDIR]     = COMMAND_READDIR,
    [REQUEST_GETXATTR]    = COMMAND_GETXATTR,
    [REQUEST_LISTXATTR]   = COMMAND_LISTXATTR,
    [REQUEST_CREATE]      = COMMAND_CREATE,
    [REQUEST_WRITE]       = COMMAND_WRITE,
    [REQUEST_SETATTR]     = COMMAND_SETATTR,
    [REQUEST_UNLINK]      = COMMAND_UNLINK,
    [REQUEST_RENAME]      = COMMAND_RENAME,
    [REQUEST_SETXATTR]    = COMMAND_SETXATTR,
    [REQUEST_REMOVEXATTR] = COMMAND_REMOVEXATTR,
};

static const enum command_op ops_on_directories[REQUEST_KINDS] = {
    [REQUEST_SETATTR]     = COMMAND_DIR_SETATTR,
    [REQUEST_SETXATTR]    = COMMAND_DIR_SETXATTR,
    [REQUEST_REMOVEXATTR] = COMMAND_DIR_REMOVEXATTR,
};
/* clang-format on */

static bool is_on_directory(const struct request *request)
{
    return (request->ino & INO_DIR_BIT) != 0 &&
           ops_on_directories[request->kind] != COMMAND_NOOP;
}

static struct command command_of(const struct node *node,
                                 const struct request *request)
{
    struct command command = {
        .op = is_on_directory(request) ? ops_on_directories[request->kind]
                                       : ops_on_files[request->kind],
        .flags = request->flags,
        .set_mask = request->set_mask,
        .dir = request->dir,
        .to_dir = request->to_dir,
        .ino = request->ino,
        .name = slice_of(request->name),
        .to_name = slice_of(request->to_name),
        .xattr = slice_of(request->xattr),
        .offset = request->offset,
        .size = request->size,
        .set = request->set,
        .value_size_max = node_config(node)->value_size_max,
    };

    if (request->data != NULL)
        command.data = (struct slice){request->data->data, request->data->size};
    return command;
}

/* The limits that a user can exceed. */
static int check_limits(const struct request *request)
{
    if (slice_of(request->name).size > NAME_SIZE_MAX ||
        slice_of(request->to_name).size > NAME_SIZE_MAX)
        return ERR_NAME_TOO_LONG;
    if (slice_of(request->xattr).size > XATTR_NAME_SIZE_MAX)
        return ERR_RANGE;
    if (request->kind == REQUEST_SETXATTR && request->data != NULL &&
        request->data->size > XATTRS_SIZE_MAX)
        return ERR_NO_SPACE;
    if (request->data != NULL && request->data->size > WRITE_SIZE_MAX)
        return ERR_TOO_LARGE;
    if (request->kind == REQUEST_CREATE && request->data != NULL &&
        request->data->size > SYMLINK_SIZE_MAX &&
        (request->set.mode & 0170000) == 0120000)
        return ERR_NAME_TOO_LONG;
    return 0;
}

static void take_result(struct request *request, int status,
                        const struct result *result)
{
    request->status = status;
    if (status != 0)
        return;
    request->attr = result->attr;
    request->ret_offset = result->offset;
    request->created = result->created;
    request->at_end = result->at_end;
    memcpy(request->ret_next, result->next, sizeof request->ret_next);
    request->ret_data = buf_ref(result->data_buf);
}

/* ---- the end ---- */

static void stop_waiting(struct flow *flow)
{
    if (!flow->waiting)
        return;
    flow->waiting = false;
    TAILQ_REMOVE(&flow->flows->waiting, flow, link);
    env_timer_stop(node_env(flow->flows->node), &flow->wait_deadline);
}

static void forget_flow(struct flow *flow)
{
    struct node *node = flow->flows->node;

    stop_waiting(flow);
    reader_cancel(node_reader(node), &flow->read);
    router_cancel(node_router(node), &flow->call);
    settle_cancel(&flow->settle);
    txns_detach(&flow->txn);
    control_cancel(&flow->control);
    event_watch_cancel(&flow->events);
    HASH_DELETE(by_id, flow->flows->running, flow);
    free(flow);
}

static void end(struct flow *flow, int status, const struct result *result)
{
    struct request *request = flow->request;

    assert(status != ERR_LOCKED);
    node_note_outcome(flow->flows->node, request, status);
    take_result(request, status, result);
    forget_flow(flow);
    request->done(request);
}

void flows_cancel(struct flows *flows, uint64_t id)
{
    struct flow *flow;

    HASH_FIND(by_id, flows->running, &id, sizeof id, flow);
    if (flow != NULL)
        end(flow, ERR_INTERRUPTED, NULL);
}

void flows_stop(struct flows *flows)
{
    struct flow *flow;
    struct flow *next;

    flows->stopped = true;
    HASH_ITER (by_id, flows->running, flow, next)
        end(flow, ERR_CANCELED, NULL);
}

/* ---- reads ---- */

/* Whether a majority may be reachable, as far as this node can see. */
static bool leaders_are_known(const struct node *node)
{
    const struct peer *placement = node_peer(node, REGION_PLACEMENT);
    const struct peer *data = node_root_peer(node);

    return placement != NULL && peer_leader_node(placement) != 0 &&
           (data == NULL || peer_leader_node(data) != 0);
}

/* REQUEST_LOCAL_IF_ALONE: this node's own state, however old it is. */
static void read_locally(struct flow *flow)
{
    struct read_unknown unknown = {.count = 0};
    struct result result = {0};

    (void)read_execute(node_env(flow->flows->node)->state, NULL, &flow->command,
                       &unknown, &result);
    if (result.status != 0) /* No replica of the data region: half of it. */
        result.status =
            read_catalog(node_env(flow->flows->node)->state,
                         nsid_of_ino(flow->command.ino), &result.attr);
    if (node_peer(flow->flows->node, REGION_PLACEMENT) == NULL) {
        /* It has joined just now. */
        result.attr =
            (struct attr){.ino = flow->command.ino, .mode = S_IFDIR | 0755};
        result.status = 0;
    }
    end(flow, result.status == 0 ? 0 : ERR_NO_QUORUM, &result);
    result_release(&result);
}

static bool is_local_if_alone(const struct flow *flow)
{
    return (flow->command.flags & REQUEST_LOCAL_IF_ALONE) != 0;
}

/* A SETATTR of a directory has taken effect already when its attributes are
 * read: that they cannot be had does not mean that nothing has changed. */
static bool has_changed_something(const struct flow *flow)
{
    return flow->request->kind >= REQUEST_CREATE;
}

static void read_done(struct read_op *read, int status, struct result *result)
{
    struct flow *flow = container_of(read, struct flow, read);

    if (status == ERR_NO_QUORUM && is_local_if_alone(flow))
        read_locally(flow);
    else if (status == ERR_NO_QUORUM && has_changed_something(flow))
        end(flow, ERR_UNKNOWN_OUTCOME, NULL);
    else
        end(flow, status, result);
}

static void read_start(struct flow *flow)
{
    uint64_t soon_ns =
        env_mono_ns(node_env(flow->flows->node)) + (uint64_t)ALONE_MS * 1000000;

    if (is_local_if_alone(flow)) {
        if (!leaders_are_known(flow->flows->node)) {
            read_locally(flow);
            return;
        }
        if (flow->deadline_ns > soon_ns)
            flow->deadline_ns = soon_ns;
    }
    flow->read.command = &flow->command;
    flow->read.deadline_ns = flow->deadline_ns;
    flow->read.done = read_done;
    reader_start(node_reader(flow->flows->node), &flow->read);
}

bool flows_try(struct node *node, struct request *request)
{
    struct command command;
    struct result result = {0};

    if (request->kind > REQUEST_LISTXATTR)
        return false;
    request->status = check_limits(request);
    if (request->status != 0)
        return true;
    command = command_of(node, request);
    if (!reader_try(node, &command, &result))
        return false;
    take_result(request, result.status, &result);
    result_release(&result);
    return true;
}

/* ---- writes ---- */

static void txn_start(struct flow *flow, enum txn_kind kind);
static void admit(struct flow *flow);

static void settled(struct settle *settle, int status)
{
    struct flow *flow = container_of(settle, struct flow, settle);
    uint64_t now_ns = env_mono_ns(node_env(flow->flows->node));

    if (status != 0)
        end(flow, status == ERR_CANCELED ? status : ERR_NO_QUORUM, NULL);
    else if (now_ns >= flow->deadline_ns)
        end(flow, ERR_BUSY, NULL);
    else
        admit(flow);
}

static void written(struct router_call *call, int status,
                    const struct result *result, uint64_t index)
{
    struct flow *flow = container_of(call, struct flow, call);

    (void)index;
    if (status == ERR_LOCKED) {
        flow->settle.deadline_ns = flow->deadline_ns;
        flow->settle.done = settled;
        settle_start(&flow->settle, flow->flows->node, &result->holder);
    } else if ((status == ERR_IS_DIR || status == ERR_EPOCH) &&
               flow->command.op == COMMAND_RENAME) {
        txn_start(flow, TXN_RENAME); /* A directory's, or of two regions. */
    } else if (status == 0 && flow->command.op == COMMAND_DIR_SETATTR) {
        flow->command.op = COMMAND_GETATTR;
        read_start(flow);
    } else {
        end(flow, status, result);
    }
}

static void write_start(struct flow *flow)
{
    flow->call.kind = CALL_PROPOSE;
    if (is_on_directory(flow->request))
        router_to_region(&flow->call, REGION_PLACEMENT);
    else
        router_to_place(&flow->call, flow->command.dir, flow->command.name);
    flow->call.names_more = flow->command.op == COMMAND_RENAME;
    flow->call.deadline_ns = flow->deadline_ns;
    flow->call.done = written;
    router_call(node_router(flow->flows->node), &flow->call, &flow->command);
}

static void txn_done(struct txn_op *txn, int status, const struct attr *attr)
{
    struct flow *flow = container_of(txn, struct flow, txn);
    struct result result = {.status = status};

    if (attr != NULL)
        result.attr = *attr;
    end(flow, status, &result);
}

static void txn_start(struct flow *flow, enum txn_kind kind)
{
    flow->command.txn_kind = kind;
    flow->txn.deadline_ns = flow->deadline_ns;
    flow->txn.done = txn_done;
    txns_start(node_txns(flow->flows->node), &flow->txn, &flow->command);
}

/* ---- start ---- */

static void render(struct flow *flow)
{
    const struct request *request = flow->request;
    struct result result = {0};
    int rc = status_render(flow->flows->node, request->table, request->object,
                           &result.data_buf);

    end(flow, rc, &result);
    buf_unref(result.data_buf);
}

static void begin_events(struct flow *flow)
{
    struct event_log *log = node_events(flow->flows->node);
    struct result result = {.offset = event_log_count(log)};

    result.data_buf = buf_copy(EVENT_COLUMNS, strlen(EVENT_COLUMNS));
    result.attr.size = strlen(EVENT_COLUMNS) + event_log_size_bytes(log);
    end(flow, 0, &result);
    buf_unref(result.data_buf);
}

static void events_came(struct event_wait *wait, struct buf *text,
                        uint64_t next)
{
    end(container_of(wait, struct flow, events), 0,
        &(struct result){.offset = next, .data_buf = text});
}

static void events(struct flow *flow)
{
    struct node *node = flow->flows->node;
    const struct request *request = flow->request;
    uint64_t count = event_log_count(node_events(node));

    flow->events.number = request->offset;
    flow->events.done = events_came;
    if (request->offset == EVENTS_FROM_NOW)
        begin_events(flow);
    else if (count <= request->offset &&
             (request->flags & REQUEST_NO_WAIT) != 0)
        end(flow, 0, &(struct result){.offset = request->offset});
    else
        event_watch_start(node_event_watch(node), &flow->events);
}

static void controlled(struct control_op *control, int status)
{
    end(container_of(control, struct flow, control), status,
        &(struct result){.status = status});
}

static void control(struct flow *flow)
{
    const struct request *request = flow->request;

    flow->control.deadline_ns = flow->deadline_ns;
    flow->control.done = controlled;
    control_start(&flow->control, flow->flows->node, request->table,
                  request->object,
                  (struct slice){request->data->data, request->data->size});
}

static void start(struct flow *flow)
{
    switch (flow->request->kind) {
    case REQUEST_RENDER:
        render(flow);
        return;
    case REQUEST_EVENTS:
        events(flow);
        return;
    case REQUEST_CONTROL:
        control(flow);
        return;
    case REQUEST_MKDIR:
        txn_start(flow, TXN_MKDIR);
        return;
    case REQUEST_RMDIR:
        txn_start(flow, TXN_RMDIR);
        return;
    case REQUEST_CREATE:
        flow->command.ino = node_new_ino(flow->flows->node);
        write_start(flow);
        return;
    default:
        if (command_is_read(flow->command.op))
            read_start(flow);
        else
            write_start(flow);
    }
}

/* ---- waiting for room ----
 *
 * Regions remember the results of all sequences from the lowest that this
 * node still waits for. One request that hangs must not make them remember
 * without bound what goes on beside it: new changes wait then. What belongs
 * to a change under way does not, or it might wait for itself. */

static bool needs_room(const struct flow *flow)
{
    return flow->request->kind >= REQUEST_CREATE;
}

static void waited_too_long(struct env_timer *timer)
{
    end(container_of(timer, struct flow, wait_deadline), ERR_NO_QUORUM, NULL);
}

static void wait_for_room(struct flow *flow)
{
    struct env *env = node_env(flow->flows->node);

    flow->waiting = true;
    TAILQ_INSERT_TAIL(&flow->flows->waiting, flow, link);
    flow->wait_deadline.fire = waited_too_long;
    env_timer_start(env, &flow->wait_deadline,
                    flow->deadline_ns - env_mono_ns(env));
}

/* Starts it, or starts it again, in its turn. */
static void admit(struct flow *flow)
{
    struct flows *flows = flow->flows;

    if (!needs_room(flow) || (TAILQ_EMPTY(&flows->waiting) &&
                              router_has_room(node_router(flows->node))))
        start(flow);
    else
        wait_for_room(flow);
}

static void admit_waiting(struct env_task *task)
{
    struct flows *flows = container_of(task, struct flows, admit_waiting);
    struct flow *flow;

    flows->admit_posted = false;
    while (!flows->stopped && router_has_room(node_router(flows->node)) &&
           (flow = TAILQ_FIRST(&flows->waiting)) != NULL) {
        stop_waiting(flow);
        start(flow);
    }
}

void flows_on_release(struct flows *flows)
{
    if (flows->stopped || flows->admit_posted || TAILQ_EMPTY(&flows->waiting))
        return;
    flows->admit_posted = true;
    env_post(node_env(flows->node), ENV_WORKER, &flows->admit_waiting);
}

/* ---- requests ---- */

/* Once a leader has been missing for a whole timeout, others need not wait as
 * long to learn it: who waits in the kernel holds up who comes after him. */
static uint64_t timeout_of(const struct flows *flows,
                           const struct request *request)
{
    const struct peer *placement = node_peer(flows->node, REGION_PLACEMENT);
    uint64_t op_timeout_ms = node_config(flows->node)->op_timeout_ms;

    if (placement != NULL &&
        peer_leaderless_ns(placement) > op_timeout_ms * 1000000)
        return HOPELESS_MS;
    return request->timeout_ms != 0 ? request->timeout_ms : op_timeout_ms;
}

static struct flow *flow_new(struct flows *flows, struct request *request)
{
    struct flow *flow = mem_zalloc(sizeof *flow);
    uint64_t timeout_ms = timeout_of(flows, request);

    flow->flows = flows;
    flow->request = request;
    flow->id = (uint64_t)(uintptr_t)request->private;
    flow->deadline_ns =
        env_mono_ns(node_env(flows->node)) + timeout_ms * 1000000;
    flow->command = command_of(flows->node, request);
    HASH_ADD(by_id, flows->running, id, sizeof flow->id, flow);
    return flow;
}

void flows_submit(struct flows *flows, struct request *request)
{
    struct flow *flow;

    request->status = flows->stopped ? ERR_CANCELED : check_limits(request);
    if (request->status != 0) {
        request->done(request);
        return;
    }
    flow = flow_new(flows, request);
    admit(flow);
}
