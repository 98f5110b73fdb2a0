/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_env.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tests/sim/kv_mem.h"
#include "tests/sim/sim_env_impl.h"
#include "tests/sim/sim_seen.h"

void sim_env_enter(struct sim_env *e, unsigned poster)
{
    assert(!e->dead);
    e->poster = poster;
}

void sim_env_leave(struct sim_env *e)
{
    e->poster = SIM_FROM_USER;
    e->machine->after_step(e->machine);
}

/* ---- clocks ---- */

/* How this machine's clock measures a span. */
static uint64_t local_span(const struct sim_machine *machine, uint64_t span_ns)
{
    int64_t span = (int64_t)span_ns;

    return (uint64_t)(span + span / 1000000 * machine->drift_ppm +
                      span % 1000000 * machine->drift_ppm / 1000000);
}

static uint64_t mono_ns(struct env *env)
{
    struct sim_env *e = sim_env_of(env);

    return e->mono_base_ns +
           local_span(e->machine, sim_env_loop(e)->now_ns - e->start_ns);
}

static uint64_t wall_ns(struct env *env)
{
    struct sim_machine *machine = sim_env_of(env)->machine;
    const uint64_t epoch_ns = UINT64_C(1700000000) * 1000000000;

    if (machine->wall_is_right)
        return epoch_ns + machine->loop->now_ns;
    return epoch_ns + local_span(machine, machine->loop->now_ns) +
           (uint64_t)machine->wall_offset_ns;
}

static uint64_t random_bits(struct env *env)
{
    struct sim_env *e = sim_env_of(env);

    e->random_state = sim_mix(e->random_state, 1);
    return e->random_state;
}

/* ---- tasks ---- */

struct task_event {
    struct sim_event event;
    struct sim_env *e;
    struct env_task *task;
    enum env_owner owner;
};

static void task_run(struct sim_event *event)
{
    struct task_event *t = container_of(event, struct task_event, event);
    struct sim_env *e = t->e;

    if (e->dead) {
        free(t);
        return;
    }
    if (sim_env_is_paused(e)) {
        sim_post_at(sim_env_loop(e), event, e->machine->paused_until_ns);
        return;
    }
    sim_env_enter(e, t->owner);
    e->tasks_pending--;
    t->task->run(t->task);
    free(t);
    sim_env_leave(e);
}

static uint64_t task_delay(struct sim_env *e, enum env_owner owner)
{
    const struct sim_plan *plan = e->machine->plan;
    uint64_t delay_ns = sim_spread(sim_env_loop(e), plan->task_ns);

    if (owner >= ENV_APPLY &&
        e->machine->slow_apply_until_ns > sim_env_loop(e)->now_ns)
        delay_ns += sim_spread(sim_env_loop(e), 50 * sim_ms);
    if (owner == ENV_BULK)
        delay_ns += sim_spread(sim_env_loop(e), plan->sync_ns);
    return delay_ns;
}

static void post(struct env *env, enum env_owner owner, struct env_task *task)
{
    struct sim_env *e = sim_env_of(env);
    struct task_event *t = mem_zalloc(sizeof *t);
    uint64_t *last_ns = &e->last_ns[e->poster][owner];
    uint64_t at_ns = sim_env_loop(e)->now_ns + task_delay(e, owner);

    if (at_ns < *last_ns)
        at_ns = *last_ns;
    *last_ns = at_ns;
    t->event.run = task_run;
    t->e = e;
    t->task = task;
    t->owner = owner;
    e->tasks_pending++;
    sim_post_at(sim_env_loop(e), &t->event, at_ns);
}

/* ---- timers ---- */

struct wake_event {
    struct sim_event event;
    struct sim_env *e;
};

static void arm_wake(struct sim_env *e);

static void wake_run(struct sim_event *event)
{
    struct wake_event *w = container_of(event, struct wake_event, event);
    struct sim_env *e = w->e;

    if (e->dead || e->wake_ns != event->at_ns) {
        free(w);
        return;
    }
    if (sim_env_is_paused(e)) {
        e->wake_ns = e->machine->paused_until_ns;
        sim_post_at(sim_env_loop(e), event, e->wake_ns);
        return;
    }
    free(w);
    e->wake_ns = 0;
    sim_env_enter(e, ENV_WORKER);
    timers_fire(&e->timers, mono_ns(&e->env));
    sim_env_leave(e);
    arm_wake(e);
}

/* Up to a millisecond late, as env_uv.h has it. */
static void arm_wake(struct sim_env *e)
{
    uint64_t now_ns = mono_ns(&e->env);
    struct wake_event *w;
    uint64_t due_ns;
    uint64_t at_ns;

    if (!timers_next_due(&e->timers, &due_ns))
        return;
    at_ns = sim_env_loop(e)->now_ns + (due_ns > now_ns ? due_ns - now_ns : 0) +
            sim_pick(sim_env_loop(e), sim_ms);
    if (e->wake_ns != 0 && e->wake_ns <= at_ns)
        return;
    w = mem_zalloc(sizeof *w);
    w->event.run = wake_run;
    w->e = e;
    e->wake_ns = at_ns;
    sim_post_at(sim_env_loop(e), &w->event, at_ns);
}

static void timer_start(struct env *env, struct env_timer *timer,
                        uint64_t delay_ns)
{
    struct sim_env *e = sim_env_of(env);

    assert(e->poster == ENV_WORKER);
    timers_start(&e->timers, timer, mono_ns(env) + delay_ns);
    arm_wake(e);
}

static void timer_stop(struct env *env, struct env_timer *timer)
{
    timers_stop(&sim_env_of(env)->timers, timer);
}

/* ---- the network, and the end ---- */

static void send_packet(struct env *env, uint64_t node_id,
                        enum env_channel channel,
                        const struct env_packet *packet)
{
    struct sim_machine *machine = sim_env_of(env)->machine;

    machine->send(machine, node_id, channel, packet);
}

static size_t pending_bytes(struct env *env, uint64_t node_id,
                            enum env_channel channel)
{
    struct sim_machine *machine = sim_env_of(env)->machine;

    return machine->pending(machine, node_id, channel);
}

static void fatal(struct env *env, const char *reason)
{
    struct sim_env *e = sim_env_of(env);
    struct sim_loop *loop = sim_env_loop(e);

    if (!e->disk_failed)
        sim_fail(loop, "node %" PRIu64 ": fatal: %s", e->machine->node_id,
                 reason);
    sim_note(loop, "node %" PRIu64 ": fatal: %s", e->machine->node_id, reason);
    e->machine->died(e->machine);
    sim_abandon(loop);
}

/* ---- a disk that fails ---- */

static void on_disk_error(void *context, const char *reason)
{
    static const enum sim_seen seen[SIM_ERRORS] = {
        [SIM_ERROR_LOG] = SEEN_DISK_ERROR_LOG,
        [SIM_ERROR_WRITE] = SEEN_DISK_ERROR_WRITE,
        [SIM_ERROR_FLUSH] = SEEN_DISK_ERROR_FLUSH,
        [SIM_ERROR_INGEST] = SEEN_DISK_ERROR_INGEST,
    };
    struct sim_env *e = context;

    sim_seen(seen[e->error_next]);
    e->disk_failed = true;
    env_fatal(&e->env, reason);
}

void sim_env_fail_next(struct sim_env *e, enum sim_disk_error error)
{
    static const enum kv_mem_call calls[SIM_ERRORS] = {
        [SIM_ERROR_NONE] = KV_MEM_NONE,     [SIM_ERROR_LOG] = KV_MEM_WRITE,
        [SIM_ERROR_WRITE] = KV_MEM_WRITE,   [SIM_ERROR_FLUSH] = KV_MEM_FLUSH,
        [SIM_ERROR_INGEST] = KV_MEM_INGEST,
    };
    const struct kv_mem_failure none = {.call = KV_MEM_NONE};
    const struct kv_mem_failure failure = {
        .call = calls[error],
        .late = sim_pick(sim_env_loop(e), 2) == 0,
        .on_fatal = on_disk_error,
        .context = e,
    };
    bool in_log = error == SIM_ERROR_LOG;

    e->error_next = error;
    kv_mem_fail_next(e->env.log, in_log ? &failure : &none);
    kv_mem_fail_next(e->env.state, in_log ? &none : &failure);
}

static const struct env_ops ops = {
    .mono_ns = mono_ns,
    .wall_ns = wall_ns,
    .random = random_bits,
    .post = post,
    .timer_start = timer_start,
    .timer_stop = timer_stop,
    .log_write = sim_env_log_write,
    .send = send_packet,
    .send_pending_bytes = pending_bytes,
    .fatal = fatal,
};

/* ---- life ---- */

static void on_log_step(void *context, bool done)
{
    struct sim_env *e = context;

    if (!e->dead)
        e->machine->on_persist(e->machine, true, done);
}

static void on_state_step(void *context, bool done)
{
    struct sim_env *e = context;

    if (!e->dead)
        e->machine->on_persist(e->machine, false, done);
}

static void watch(struct sim_env *e)
{
    kv_mem_watch(e->env.log, &(struct kv_mem_watcher){on_log_step, e});
    kv_mem_watch(e->env.state, &(struct kv_mem_watcher){on_state_step, e});
}

struct sim_env *sim_env_new(struct sim_machine *machine, struct kv *log,
                            struct kv *state)
{
    struct sim_env *e = mem_zalloc(sizeof *e);

    e->env = (struct env){.ops = &ops,
                          .log = log,
                          .state = state,
                          .apply_owners = machine->plan->apply_owners};
    e->machine = machine;
    e->start_ns = machine->loop->now_ns;
    /* Each boot has a monotonic clock of its own. */
    e->mono_base_ns = sim_between(machine->loop, 1, 1000000) * sim_ms;
    e->random_state = sim_random(machine->loop);
    e->poster = SIM_FROM_USER;
    timers_init(&e->timers);
    STAILQ_INIT(&e->log_queue);
    STAILQ_INIT(&e->log_group);
    watch(e);
    return e;
}

bool sim_env_is_idle(const struct sim_env *e)
{
    return e->tasks_pending == 0 && e->log_batch == NULL &&
           STAILQ_EMPTY(&e->log_queue);
}

void sim_env_flush_some(struct sim_env *e)
{
    size_t unsynced = kv_mem_unsynced_count(e->env.state);

    kv_mem_sync(e->env.state, (size_t)sim_pick(sim_env_loop(e), unsynced + 1));
}

/* The dead incarnation may have snapshots and iterators open in the old
 * store, so the disk's content moves into a new one. */
static struct kv *survivors(struct kv *old)
{
    struct slice all = {NULL, 0};
    struct kv *kv = kv_mem_new();
    struct kv_batch *batch = kv_batch_new(kv);
    struct kv_iter *iter = kv_iter_new(old, NULL, all, all);

    kv_iter_seek(iter, all);
    for (; kv_iter_valid(iter); kv_iter_next(iter))
        kv_batch_put(batch, kv_iter_key(iter), kv_iter_value(iter));
    kv_iter_free(iter);
    (void)kv_write(kv, batch, KV_SYNCED, NULL);
    kv_batch_free(batch);
    return kv;
}

static size_t kept_count(struct sim_env *e, enum sim_tail tail, size_t unsynced)
{
    switch (tail) {
    case SIM_TAIL_LOST:
        return 0;
    case SIM_TAIL_KEPT:
        return unsynced;
    case SIM_TAIL_ANY:
        break;
    }
    return (size_t)sim_pick(sim_env_loop(e), unsynced + 1);
}

void sim_env_crash(struct sim_env *e, enum sim_tail tail, struct kv **ret_log,
                   struct kv **ret_state)
{
    size_t unsynced = kv_mem_unsynced_count(e->env.state);
    size_t kept = kept_count(e, tail, unsynced);

    e->dead = true;
    sim_env_fail_next(e, SIM_ERROR_NONE);
    if (kept < unsynced)
        sim_seen(SEEN_STATE_LOST);
    if (e->log_batch != NULL) {
        bool there = tail == SIM_TAIL_ANY && sim_pick(sim_env_loop(e), 2) == 0;

        sim_seen(there ? SEEN_LOG_KEPT : SEEN_LOG_LOST);
        if (there)
            (void)kv_write(e->env.log, e->log_batch, KV_SYNCED, NULL);
    }
    kv_mem_crash(e->env.log, kv_mem_unsynced_count(e->env.log));
    kv_mem_crash(e->env.state, kept);
    *ret_log = survivors(e->env.log);
    *ret_state = survivors(e->env.state);
}

void sim_env_end(struct sim_env *e, struct kv **ret_log, struct kv **ret_state)
{
    assert(sim_env_is_idle(e));
    e->dead = true;
    (void)kv_flush(e->env.state, true, NULL);
    kv_mem_watch(e->env.log, &(struct kv_mem_watcher){NULL, NULL});
    kv_mem_watch(e->env.state, &(struct kv_mem_watcher){NULL, NULL});
    *ret_log = e->env.log;
    *ret_state = e->env.state;
}
