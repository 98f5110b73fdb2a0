/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/reader.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/hosted.h"
#include "engine/read_memo.h"

enum {
    ATTEMPTS_AT_ONCE = 8, /* then with a pause */
    PAUSE_MS = 5,
    TRY_ATTEMPTS = 3
};

struct reader {
    struct node *node;
    TAILQ_HEAD(, read_op) ops;
    struct read_memo *memo; /* reader_try()'s */
};

/* One execution on ENV_APPLY. It outlives its op when that is cancelled. */
struct read_run {
    struct env_task task;
    struct env_task done_task;
    struct read_op *op; /* NULL: cancelled */
    struct env *env;
    struct command command; /* borrows from the op's, or from `names` */
    struct buf *names;
    struct read_unknown unknown;
    struct result result;
};

struct reader *reader_new(struct node *node)
{
    struct reader *reader = mem_zalloc(sizeof *reader);

    reader->node = node;
    reader->memo = read_memo_new();
    TAILQ_INIT(&reader->ops);
    return reader;
}

void reader_free(struct reader *reader)
{
    if (reader == NULL)
        return;
    assert(TAILQ_EMPTY(&reader->ops));
    read_memo_free(reader->memo);
    free(reader);
}

/* ---- the end ---- */

/* Gives up reading here, in whatever way that is under way. */
static void leave_barriers(struct read_op *op)
{
    env_timer_stop(node_env(op->node), &op->pause);
    barrier_cancel(&op->placement_wait);
    barrier_cancel(&op->data_wait);
    if (op->run != NULL)
        op->run->op = NULL;
    op->run = NULL;
}

static void forget_op(struct read_op *op)
{
    struct reader *reader = node_reader(op->node);

    leave_barriers(op);
    env_timer_stop(node_env(op->node), &op->deadline);
    router_cancel(node_router(op->node), &op->call);
    op->active = false;
    TAILQ_REMOVE(&reader->ops, op, link);
}

static void end_op(struct read_op *op, int status, struct result *result)
{
    struct result none = {.status = status};

    forget_op(op);
    op->done(op, status, result == NULL ? &none : result);
}

void reader_cancel(struct reader *reader, struct read_op *op)
{
    (void)reader;
    if (op->active)
        forget_op(op);
}

void reader_stop(struct reader *reader)
{
    struct read_op *op;

    while ((op = TAILQ_FIRST(&reader->ops)) != NULL)
        end_op(op, ERR_CANCELED, NULL);
}

/* ---- executing ---- */

static void wait_at_barriers(struct read_op *op);
static void ask_leader(struct read_op *op);

static bool is_sound(const struct node *node, uint64_t region)
{
    const struct peer *peer = node_peer(node, region);

    return peer != NULL && !peer_is_damaged(peer);
}

static bool may_read_here(const struct node *node)
{
    return is_sound(node, REGION_PLACEMENT) &&
           is_sound(node, REGION_FIRST_DATA);
}

static void run_on_apply(struct env_task *task)
{
    struct read_run *run = container_of(task, struct read_run, task);

    (void)read_execute(run->env->state, &run->command, &run->unknown,
                       &run->result);
    env_post(run->env, ENV_WORKER, &run->done_task);
}

static bool leads_data(const struct node *node)
{
    const struct peer *peer = node_peer(node, REGION_FIRST_DATA);

    return peer != NULL && peer_is_leader(peer);
}

/* A key that a transaction holds: with what is known now, once more. The
 * leader's looks follow each other faster than those with barriers between
 * them, so less changes meanwhile. */
static void try_again(struct read_op *op)
{
    if (++op->attempts % ATTEMPTS_AT_ONCE != 0)
        wait_at_barriers(op);
    else if (!leads_data(op->node))
        ask_leader(op);
    else
        env_timer_start(node_env(op->node), &op->pause,
                        (uint64_t)PAUSE_MS * 1000000);
}

/* A bad record: it is not looked at again where others have a good one. */
static void report(const struct node *node, const struct read_unknown *unknown)
{
    struct peer *peer = node_peer(
        node, unknown->in_catalog ? REGION_PLACEMENT : REGION_FIRST_DATA);

    if (!peer_was_just_mended(peer))
        (void)peer_found_damage(peer, "a read met a bad record");
}

static void finish_run(struct read_op *op, struct read_run *run)
{
    if (run->result.status == ERR_CORRUPT)
        report(op->node, &run->unknown);
    if (run->op == NULL)
        return; /* Sent to the leader with all the others. */
    op->run = NULL;
    op->unknown = run->unknown;
    if (run->result.status == ERR_LOCKED)
        try_again(op);
    else
        end_op(op, run->result.status, &run->result);
}

static void run_done(struct env_task *task)
{
    struct read_run *run = container_of(task, struct read_run, done_task);

    if (run->op != NULL)
        finish_run(run->op, run);
    result_release(&run->result);
    command_release(&run->command);
    buf_unref(run->names);
    free(run);
}

/* The run gets a command of its own, since the op's may go away. */
static struct read_run *run_new(struct read_op *op)
{
    struct read_run *run = mem_zalloc(sizeof *run);
    int rc;

    run->op = op;
    run->env = node_env(op->node);
    run->task.run = run_on_apply;
    run->done_task.run = run_done;
    run->unknown = op->unknown;
    run->names = command_encode(op->command);
    assert(run->names != NULL);
    rc = command_decode(&run->command,
                        (struct slice){run->names->data, run->names->size});
    assert(rc == 0);
    return run;
}

static void barrier_passed(struct read_op *op)
{
    if (--op->barriers_left > 0)
        return;
    op->run = run_new(op);
    env_post(node_env(op->node), ENV_APPLY, &op->run->task);
}

static void placement_passed(struct barrier_wait *wait)
{
    barrier_passed(container_of(wait, struct read_op, placement_wait));
}

static void data_passed(struct barrier_wait *wait)
{
    barrier_passed(container_of(wait, struct read_op, data_wait));
}

static void wait_at_barriers(struct read_op *op)
{
    op->barriers_left = 2;
    op->placement_wait.done = placement_passed;
    op->data_wait.done = data_passed;
    barrier_wait(node_barrier(op->node, REGION_PLACEMENT), &op->placement_wait);
    barrier_wait(node_barrier(op->node, REGION_FIRST_DATA), &op->data_wait);
}

/* ---- at the leader ---- */

static void answered(struct router_call *call, int status,
                     const struct result *result, uint64_t index)
{
    struct read_op *op = container_of(call, struct read_op, call);
    struct result copy = {.status = status};

    (void)index;
    if (result != NULL)
        copy = *result;
    copy.held = NULL; /* The router's. */
    copy.data_buf = NULL;
    if (copy.data.size > 0)
        copy.data_buf = buf_copy(copy.data.data, copy.data.size);
    end_op(op, status, &copy);
    buf_unref(copy.data_buf);
}

static void ask_leader(struct read_op *op)
{
    struct command command = *op->command;

    op->call.kind = CALL_READ;
    op->call.region = REGION_FIRST_DATA;
    op->call.deadline_ns = op->deadline_ns;
    op->call.done = answered;
    router_call(node_router(op->node), &op->call, &command);
}

/* What has begun here is forgotten, and done there. */
static void leave_for_leader(struct reader *reader)
{
    struct read_op *op;
    struct read_op *next;

    for (op = TAILQ_FIRST(&reader->ops); op != NULL; op = next) {
        next = TAILQ_NEXT(op, link);
        if (op->call.active)
            continue;
        leave_barriers(op);
        ask_leader(op);
    }
}

void reader_on_replica_gone(struct reader *reader, uint64_t region)
{
    if (region == REGION_FIRST_DATA)
        leave_for_leader(reader);
}

void reader_on_damage(struct reader *reader)
{
    leave_for_leader(reader);
}

/* ---- start ---- */

static void pause_over(struct env_timer *timer)
{
    wait_at_barriers(container_of(timer, struct read_op, pause));
}

static void deadline_passed(struct env_timer *timer)
{
    end_op(container_of(timer, struct read_op, deadline), ERR_NO_QUORUM, NULL);
}

static void arm_deadline(struct read_op *op)
{
    struct env *env = node_env(op->node);
    uint64_t now_ns = env_mono_ns(env);

    op->deadline = (struct env_timer){.fire = deadline_passed};
    env_timer_start(env, &op->deadline,
                    op->deadline_ns > now_ns ? op->deadline_ns - now_ns : 0);
}

void reader_start(struct reader *reader, struct read_op *op)
{
    op->node = reader->node;
    op->active = true;
    op->attempts = 0;
    op->run = NULL;
    op->unknown = (struct read_unknown){.count = 0};
    op->pause = (struct env_timer){.fire = pause_over};
    op->call.active = false;
    op->placement_wait = op->data_wait = (struct barrier_wait){0};
    TAILQ_INSERT_TAIL(&reader->ops, op, link);
    arm_deadline(op);
    if (may_read_here(op->node))
        wait_at_barriers(op);
    else
        ask_leader(op);
}

/* ---- at once ---- */

/* The replicas whose state a read at once is about. */
struct here {
    const struct peer *placement;
    const struct peer *data;
    uint64_t now_ns;
};

static bool leases_hold(const struct here *here)
{
    return peer_lease_holds(here->placement, here->now_ns) &&
           peer_lease_holds(here->data, here->now_ns);
}

static struct read_moment moment_of(const struct here *here)
{
    return (struct read_moment){peer_moment(here->placement),
                                peer_moment(here->data)};
}

/* Reads, or remembers. The leases are checked before this and after it. */
static int read_now(struct node *node, const struct here *here,
                    const struct command *command, struct read_unknown *unknown,
                    struct result *ret)
{
    struct read_memo *memo = node_reader(node)->memo;
    struct read_moment moment = moment_of(here);
    int status;

    if (read_memo_find(memo, command, moment, ret))
        return ret->status;
    status = read_execute(node_env(node)->state, command, unknown, ret);
    if ((status == 0 || status == ERR_NOT_FOUND) && leases_hold(here) &&
        read_moment_equal(moment, moment_of(here)))
        read_memo_keep(memo, command, moment, ret);
    return status;
}

static bool try_here(struct node *node, const struct command *command,
                     struct result *ret)
{
    struct range range;
    struct here here = {
        .placement = hosted_placement(node_hosted(node)),
        .data = hosted_find(node_hosted(node), (struct slice){NULL, 0}, &range),
    };
    struct read_unknown unknown = {.count = 0};

    if (here.placement == NULL || here.data == NULL)
        return false;
    for (int i = 0; i < TRY_ATTEMPTS; i++) {
        struct result result = {0};
        int status;

        here.now_ns = env_mono_ns(node_env(node));
        if (!leases_hold(&here))
            return false;
        status = read_now(node, &here, command, &unknown, &result);
        if (status != ERR_LOCKED && status != ERR_CORRUPT &&
            leases_hold(&here)) {
            *ret = result;
            return true;
        }
        result_release(&result);
        if (status == ERR_CORRUPT)
            return false; /* The worker deals with it. */
    }
    return false;
}

bool reader_try(struct node *node, const struct command *command,
                struct result *ret)
{
    bool done;

    hosted_enter(node_hosted(node));
    done = try_here(node, command, ret);
    hosted_leave(node_hosted(node));
    return done;
}
