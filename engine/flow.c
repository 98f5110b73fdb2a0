/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/flow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/event_log.h"
#include "engine/flow_impl.h"
#include "engine/modes.h"
#include "engine/status.h"

enum {
    ALONE_MS = 500,    /* a read waits that may do without a majority */
    HOPELESS_MS = 200, /* any request, long after the leader was lost */
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
    flow_cancel_eventual(flow);
    HASH_DELETE(by_id, flow->flows->running, flow);
    free(flow);
}

void flow_end(struct flow *flow, int status, const struct result *result)
{
    struct request *request = flow->request;
    struct node *node = flow->flows->node;

    assert(status != ERR_LOCKED);
    node_note_outcome(node, request, status);
    if (request->kind >= REQUEST_CREATE)
        reader_note_answer(node_reader(node));
    flow_take_result(request, status, result);
    if (status == 0 && result != NULL)
        flow_look_into_directory(node, request);
    forget_flow(flow);
    request->done(request);
}

void flows_cancel(struct flows *flows, uint64_t id)
{
    struct flow *flow;

    HASH_FIND(by_id, flows->running, &id, sizeof id, flow);
    if (flow != NULL)
        flow_end(flow, ERR_INTERRUPTED, NULL);
}

void flows_stop(struct flows *flows)
{
    struct flow *flow;
    struct flow *next;

    flows->stopped = true;
    HASH_ITER (by_id, flows->running, flow, next)
        flow_end(flow, ERR_CANCELED, NULL);
}

/* ---- reads ---- */

/* A SETATTR of a directory has taken effect already when its attributes are
 * read: that they cannot be had does not mean that nothing has changed. */
static bool has_changed_something(const struct flow *flow)
{
    return flow->request->kind >= REQUEST_CREATE;
}

static void read_failed(struct flow *flow)
{
    if (has_changed_something(flow))
        flow_end(flow, ERR_UNKNOWN_OUTCOME, NULL);
    else if (!flow_may_be_alone(flow) || !flow_read_alone(flow))
        flow_end(flow, ERR_NO_QUORUM, NULL);
}

static void read_done(struct read_op *read, int status, struct result *result)
{
    struct flow *flow = container_of(read, struct flow, read);

    env_timer_stop(node_env(flow->flows->node), &flow->pause);
    if (status == ERR_NO_QUORUM)
        read_failed(flow);
    else
        flow_end(flow, flow_status_of_read(flow->request, status), result);
}

/* Nobody has answered for a while: what can be read alone waits no longer. */
static void has_waited(struct env_timer *timer)
{
    (void)flow_read_alone(container_of(timer, struct flow, pause));
}

void flow_read(struct flow *flow)
{
    struct node *node = flow->flows->node;
    bool may_be_alone = !has_changed_something(flow) && flow_may_be_alone(flow);

    if (may_be_alone && !flow_leaders_are_known(node) && flow_read_alone(flow))
        return;
    if (may_be_alone) {
        flow->pause.fire = has_waited;
        env_timer_start(node_env(node), &flow->pause,
                        (uint64_t)ALONE_MS * 1000000);
    }
    flow->read.command = &flow->command;
    flow->read.deadline_ns = flow->deadline_ns;
    flow->read.since_ns = flow->request->since_ns;
    flow->read.done = read_done;
    reader_start(node_reader(node), &flow->read);
}

bool flows_try(struct node *node, struct request *request)
{
    struct command command;
    struct result result = {0};
    bool is_eventual;

    if (request->kind > REQUEST_LISTXATTR)
        return false;
    request->status = flow_check_limits(request);
    if (request->status != 0)
        return true;
    command = flow_command_of(node, request);
    is_eventual = flow_is_eventual(node, &command);
    if (is_eventual ? !flow_try_eventual(node, &command, &result)
                    : !reader_try(node, &command, request->since_ns, &result))
        return false;
    flow_take_result(request, flow_status_of_read(request, result.status),
                     &result);
    if (!is_eventual && result.status == 0)
        flow_look_into_directory(node, request);
    result_release(&result);
    return true;
}

/* ---- writes ---- */

static void admit(struct flow *flow);

static void settled(struct settle *settle, int status)
{
    struct flow *flow = container_of(settle, struct flow, settle);
    uint64_t now_ns = env_mono_ns(node_env(flow->flows->node));

    if (status != 0)
        flow_end(flow, status == ERR_CANCELED ? status : ERR_NO_QUORUM, NULL);
    else if (now_ns >= flow->deadline_ns)
        flow_end(flow, ERR_BUSY, NULL);
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
        flow_txn(flow, TXN_RENAME); /* A directory's, or of two regions. */
    } else if (status == 0 && flow->command.op == COMMAND_DIR_SETATTR) {
        flow->command.op = COMMAND_GETATTR;
        flow_read(flow);
    } else if (!flow_failed_strong(flow, status)) {
        flow_end(flow, status, result);
    }
}

void flow_write(struct flow *flow)
{
    flow->call.kind = CALL_PROPOSE;
    if (flow_is_on_directory(flow->request))
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
    bool has_no_place = txn->has_no_place;

    txn->has_no_place = false;
    if (attr != NULL)
        result.attr = *attr;
    if (status == 0 && has_no_place)
        flow_show(flow, &result.attr);
    else if (!flow_failed_strong(flow, status))
        flow_end(flow, status, &result);
}

void flow_txn(struct flow *flow, enum txn_kind kind)
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

    flow_end(flow, rc, &result);
    buf_unref(result.data_buf);
}

static void begin_events(struct flow *flow)
{
    struct event_log *log = node_events(flow->flows->node);
    struct result result = {.offset = event_log_count(log)};

    result.data_buf = buf_copy(EVENT_COLUMNS, strlen(EVENT_COLUMNS));
    result.attr.size = strlen(EVENT_COLUMNS) + event_log_size_bytes(log);
    flow_end(flow, 0, &result);
    buf_unref(result.data_buf);
}

static void events_came(struct event_wait *wait, struct buf *text,
                        uint64_t next)
{
    flow_end(container_of(wait, struct flow, events), 0,
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
        flow_end(flow, 0, &(struct result){.offset = request->offset});
    else
        event_watch_start(node_event_watch(node), &flow->events);
}

static void controlled(struct control_op *control, int status)
{
    flow_end(container_of(control, struct flow, control), status,
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

void flow_start(struct flow *flow)
{
    if (flow_start_eventual(flow))
        return;
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
        flow_txn(flow, TXN_MKDIR);
        return;
    case REQUEST_RMDIR:
        flow_txn(flow, TXN_RMDIR);
        return;
    case REQUEST_CREATE:
        flow->command.ino = node_new_ino(flow->flows->node);
        flow_write(flow);
        return;
    default:
        if (command_is_read(flow->command.op))
            flow_read(flow);
        else
            flow_write(flow);
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
    struct modes *modes = node_modes(flow->flows->node);

    return flow->request->kind >= REQUEST_CREATE &&
           modes_find(modes, flow->command.dir).state == MODE_STRONG;
}

static void waited_too_long(struct env_timer *timer)
{
    flow_end(container_of(timer, struct flow, wait_deadline), ERR_NO_QUORUM,
             NULL);
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
        flow_start(flow);
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
        flow_start(flow);
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
    flow->command = flow_command_of(flows->node, request);
    HASH_ADD(by_id, flows->running, id, sizeof flow->id, flow);
    return flow;
}

void flows_submit(struct flows *flows, struct request *request)
{
    struct flow *flow;

    request->status =
        flows->stopped ? ERR_CANCELED : flow_check_limits(request);
    if (request->status != 0) {
        request->done(request);
        return;
    }
    flow = flow_new(flows, request);
    admit(flow);
}
