/* SPDX-License-Identifier: Apache-2.0 */

/* How the worker's loop runs its tasks: a uv_prepare handle empties the queue
 * right before the loop would sleep. So whatever a callback of the loop posts
 * to the worker needs no wake-up, and another thread's post needs one
 * uv_async only when the worker is asleep or just falling asleep.
 *
 * How the end is found: `pending_count` counts the tasks and log writes that
 * have been posted and not yet finished. A task is counted down after it has
 * run, hence after what it posts was counted up: at 0 nothing is under way
 * and nothing can come but from outside. */

#include "engine/env_uv.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/clock.h"
#include "engine/log_writer.h"
#include "engine/task_thread.h"
#include "engine/thread.h"
#include "engine/timers.h"
#include "raft/base/log.h"
#include "raft/base/mem.h"

/* Rounds of tasks that post tasks, before sockets get their turn. */
enum { WORKER_ROUNDS_MAX = 8 };

#define NS_PER_MS UINT64_C(1000000)

/* More threads than this would rather wait for RocksDB than apply. */
enum { WORKERS_USUAL_MAX = 4 };

struct env_uv {
    struct env env;
    struct env_uv_config config;
    bool started;

    /* Any thread. */
    struct random_source random;
    atomic_size_t pending_count;
    atomic_bool stopping;
    atomic_bool fatal_said;
    pthread_mutex_t stop_lock;
    pthread_cond_t all_done;
    atomic_ullong worker_wakeup_count;
    struct task_queue queue; /* the worker's */
    /* All but the worker; those that apply up to thread_end(). */
    struct task_thread threads[ENV_UV_THREADS];
    struct log_writer log_writer;

    /* The worker's. */
    pthread_t worker;
    uv_loop_t loop;
    uv_async_t wake;
    uv_prepare_t before_sleep;
    uv_timer_t alarm; /* for the first of `timers` */
    struct timers timers;
    bool closing;
    env_uv_send *send;
    env_uv_pending *pending;
    void *transport;

    struct env_task on_stopping; /* of env_uv_stop() */
    struct env_task close;
};

/* Set on the thread that is an env's worker. */
static _Thread_local const struct env_uv *worker_of;

static struct env_uv *uv_of(struct env *env)
{
    return container_of(env, struct env_uv, env);
}

/* ---- threads ---- */

/* Two handoffs cost more (45 us of a put of 700) than applying a small entry,
 * which is mostly in memory. They are worth it only where several threads apply
 * at the same time, and cores are left for all that a node does besides. */
unsigned env_uv_workers_for(unsigned cores)
{
    if (cores / 2 > WORKERS_USUAL_MAX)
        return WORKERS_USUAL_MAX;
    return cores < 2 ? 1 : cores / 2;
}

static enum env_uv_thread thread_of(const struct env_uv *uv,
                                    enum env_owner owner)
{
    if (owner == ENV_BULK)
        return ENV_UV_BULK;
    if (owner == ENV_WORKER || uv->env.apply_owners == 1)
        return ENV_UV_WORKER;
    assert(owner < ENV_APPLY + uv->env.apply_owners);
    return (enum env_uv_thread)(ENV_UV_APPLY + (owner - ENV_APPLY));
}

/* Behind the last one that is needed. */
static int thread_end(const struct env_uv *uv)
{
    unsigned workers = uv->env.apply_owners;

    return ENV_UV_APPLY + (workers == 1 ? 0 : (int)workers);
}

static const char *thread_name(int thread)
{
    static const char *const names[] = {
        [ENV_UV_WORKER] = "grove-worker",
        [ENV_UV_BULK] = "grove-bulk",
        [ENV_UV_LOG] = "grove-log",
        [ENV_UV_APPLY] = "grove-apply",
    };

    return names[thread < ENV_UV_APPLY ? thread : ENV_UV_APPLY];
}

/* ---- tasks ---- */

static void pending_done(struct env_uv *uv, size_t count)
{
    size_t before = atomic_fetch_sub(&uv->pending_count, count);

    assert(before >= count);
    if (before != count || !atomic_load(&uv->stopping))
        return;
    (void)pthread_mutex_lock(&uv->stop_lock);
    (void)pthread_cond_signal(&uv->all_done);
    (void)pthread_mutex_unlock(&uv->stop_lock);
}

static void run_tasks(void *context, struct task_list *tasks)
{
    struct env_uv *uv = context;
    struct env_task *task;
    size_t count = 0;

    while ((task = STAILQ_FIRST(tasks)) != NULL) {
        STAILQ_REMOVE_HEAD(tasks, link);
        task->run(task);
        count++;
    }
    pending_done(uv, count);
}

static void wake_worker(struct env_uv *uv)
{
    if (worker_of == uv)
        return; /* It will look by itself. */
    atomic_fetch_add_explicit(&uv->worker_wakeup_count, 1,
                              memory_order_relaxed);
    (void)uv_async_send(&uv->wake); /* Fails only when it is closed. */
}

static void post(struct env *env, enum env_owner owner, struct env_task *task)
{
    struct env_uv *uv = uv_of(env);
    enum env_uv_thread thread = thread_of(uv, owner);

    atomic_fetch_add(&uv->pending_count, 1);
    if (thread != ENV_UV_WORKER)
        task_thread_push(&uv->threads[thread], task);
    else if (task_queue_push(&uv->queue, task))
        wake_worker(uv);
}

/* ---- log writes ---- */

static void log_write(struct env *env, struct env_log_write *write)
{
    struct env_uv *uv = uv_of(env);

    atomic_fetch_add(&uv->pending_count, 1);
    task_thread_push(&uv->threads[ENV_UV_LOG], log_writer_task(write));
}

/* The writes stay pending until their `done` has run. */
static void log_committed(void *context, struct task_list *group)
{
    struct env_uv *uv = context;

    if (task_queue_push_list(&uv->queue, group))
        wake_worker(uv);
}

static void log_dropped(void *context, size_t count)
{
    pending_done(context, count);
}

static void fatal(struct env *env, const char *reason)
{
    struct env_uv *uv = uv_of(env);

    if (atomic_exchange(&uv->fatal_said, true))
        return;
    log_line(LOG_ERROR, "env", "fatal=\"%s\"", reason);
    if (uv->config.on_fatal != NULL)
        uv->config.on_fatal(uv->config.context, reason);
}

static void log_failed(void *context, const char *reason)
{
    struct env_uv *uv = context;

    fatal(&uv->env, reason);
}

/* ---- clocks and randomness ---- */

static uint64_t mono_ns(struct env *env)
{
    (void)env;
    return clock_mono_ns();
}

static uint64_t wall_ns(struct env *env)
{
    (void)env;
    return clock_wall_ns();
}

static uint64_t next_random(struct env *env)
{
    return random_source_next(&uv_of(env)->random);
}

/* ---- timers ---- */

static void on_alarm(uv_timer_t *alarm);

/* Lets the loop wake up for the first timer. libuv counts milliseconds and
 * may lag behind the clock, never run ahead of it. */
static void alarm_set(struct env_uv *uv)
{
    uint64_t due_ns;
    uint64_t due_ms;
    uint64_t now_ms = uv_now(&uv->loop);

    if (uv->closing || !timers_next_due(&uv->timers, &due_ns)) {
        (void)uv_timer_stop(&uv->alarm); /* Cannot fail. */
        return;
    }
    due_ms = due_ns / NS_PER_MS + (due_ns % NS_PER_MS != 0);
    (void)uv_timer_start(&uv->alarm, on_alarm,
                         due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void on_alarm(uv_timer_t *alarm)
{
    struct env_uv *uv = container_of(alarm, struct env_uv, alarm);

    timers_fire(&uv->timers, mono_ns(&uv->env));
    alarm_set(uv);
}

static void timer_start(struct env *env, struct env_timer *timer,
                        uint64_t delay_ns)
{
    struct env_uv *uv = uv_of(env);

    timers_start(&uv->timers, timer, mono_ns(env) + delay_ns);
    if (TAILQ_FIRST(&uv->timers.queue) == timer)
        alarm_set(uv);
}

/* An alarm that comes for nothing finds the next timer. */
static void timer_stop(struct env *env, struct env_timer *timer)
{
    timers_stop(&uv_of(env)->timers, timer);
}

/* ---- network ---- */

static void send_packet(struct env *env, uint64_t node_id,
                        enum env_channel channel,
                        const struct env_packet *packet)
{
    struct env_uv *uv = uv_of(env);

    if (uv->send != NULL)
        uv->send(uv->transport, node_id, channel, packet);
}

static size_t send_pending_bytes(struct env *env, uint64_t node_id,
                                 enum env_channel channel)
{
    struct env_uv *uv = uv_of(env);

    if (uv->pending == NULL)
        return 0;
    return uv->pending(uv->transport, node_id, channel);
}

static const struct env_ops uv_ops = {
    .mono_ns = mono_ns,
    .wall_ns = wall_ns,
    .random = next_random,
    .post = post,
    .timer_start = timer_start,
    .timer_stop = timer_stop,
    .log_write = log_write,
    .send = send_packet,
    .send_pending_bytes = send_pending_bytes,
    .fatal = fatal,
};

/* ---- the worker ---- */

static void on_wake(uv_async_t *wake)
{
    (void)wake; /* The loop turns, which is all that is wanted. */
}

static void run_worker_tasks(uv_prepare_t *before_sleep)
{
    struct env_uv *uv = container_of(before_sleep, struct env_uv, before_sleep);
    struct task_list tasks = STAILQ_HEAD_INITIALIZER(tasks);

    for (unsigned i = 0; i < WORKER_ROUNDS_MAX; i++) {
        if (!task_queue_take(&uv->queue, &tasks))
            return;
        run_tasks(uv, &tasks);
    }
    (void)uv_async_send(&uv->wake); /* There may be more: do not sleep. */
}

static void close_handles(struct env_uv *uv)
{
    uv->closing = true;
    uv_close((uv_handle_t *)&uv->wake, NULL);
    uv_close((uv_handle_t *)&uv->before_sleep, NULL);
    uv_close((uv_handle_t *)&uv->alarm, NULL);
    (void)uv_run(&uv->loop, UV_RUN_DEFAULT); /* Returns when they are closed. */
}

static void *worker_run(void *context)
{
    struct env_uv *uv = context;
    struct task_list tasks = STAILQ_HEAD_INITIALIZER(tasks);

    worker_of = uv;
    if (uv->config.on_started != NULL)
        uv->config.on_started(uv, uv->config.context);
    /* libuv calls the prepare handle that was started last first: what the
     * tasks send is to leave before the loop sleeps, so they run before the
     * transport's handle flushes. */
    (void)uv_prepare_stop(&uv->before_sleep);
    (void)uv_prepare_start(&uv->before_sleep, run_worker_tasks);
    (void)uv_run(&uv->loop, UV_RUN_DEFAULT); /* Returns after run_close(). */
    while (task_queue_take(&uv->queue, &tasks))
        run_tasks(uv, &tasks);
    close_handles(uv);
    return NULL;
}

static void run_on_stopping(struct env_task *task)
{
    struct env_uv *uv = container_of(task, struct env_uv, on_stopping);

    if (uv->config.on_stopping != NULL)
        uv->config.on_stopping(uv, uv->config.context);
}

/* From now on the loop ends when the transport's handles are closed; until
 * then their callbacks may still post tasks. */
static void run_close(struct env_task *task)
{
    struct env_uv *uv = container_of(task, struct env_uv, close);

    uv_unref((uv_handle_t *)&uv->wake);
    uv_unref((uv_handle_t *)&uv->before_sleep);
    uv_unref((uv_handle_t *)&uv->alarm);
}

/* ---- life ---- */

static int init_loop(struct env_uv *uv, struct err *e)
{
    int rc = uv_loop_init(&uv->loop);

    if (rc != 0)
        return err_set(e, err_from_errno(-rc), "create event loop: %s",
                       uv_strerror(rc));
    rc = uv_async_init(&uv->loop, &uv->wake, on_wake);
    if (rc != 0) {
        (void)uv_loop_close(&uv->loop); /* Has no handles. */
        return err_set(e, err_from_errno(-rc), "create event loop: %s",
                       uv_strerror(rc));
    }
    (void)uv_prepare_init(&uv->loop, &uv->before_sleep); /* Cannot fail. */
    (void)uv_prepare_start(&uv->before_sleep, run_worker_tasks);
    (void)uv_timer_init(&uv->loop, &uv->alarm);
    return 0;
}

static void init_threads(struct env_uv *uv)
{
    (void)pthread_mutex_init(&uv->stop_lock, NULL); /* Cannot fail in glibc. */
    (void)pthread_cond_init(&uv->all_done, NULL);
    task_queue_init(&uv->queue);
    for (int i = ENV_UV_APPLY; i < thread_end(uv); i++)
        task_thread_init(&uv->threads[i], run_tasks, uv);
    task_thread_init(&uv->threads[ENV_UV_BULK], run_tasks, uv);
    task_thread_init(&uv->threads[ENV_UV_LOG], log_writer_consume,
                     &uv->log_writer);
    uv->log_writer.log = uv->env.log;
    uv->log_writer.committed = log_committed;
    uv->log_writer.dropped = log_dropped;
    uv->log_writer.failed = log_failed;
    uv->log_writer.context = uv;
}

int env_uv_new(struct env_uv **ret, const struct env_uv_config *config,
               struct err *e)
{
    struct env_uv *uv = mem_zalloc(sizeof *uv);
    int rc = init_loop(uv, e);

    if (rc != 0) {
        free(uv);
        return rc;
    }
    uv->env = (struct env){
        &uv_ops, config->log, config->state,
        config->workers != 0 ? config->workers
                             : env_uv_workers_for(uv_available_parallelism())};
    assert(uv->env.apply_owners <= ENV_APPLY_MAX);
    uv->config = *config;
    timers_init(&uv->timers);
    random_source_init(&uv->random);
    init_threads(uv);
    uv->on_stopping.run = run_on_stopping;
    uv->close.run = run_close;
    *ret = uv;
    return 0;
}

struct env *env_uv_env(struct env_uv *uv)
{
    return &uv->env;
}

uv_loop_t *env_uv_loop(struct env_uv *uv)
{
    return &uv->loop;
}

void env_uv_set_transport(struct env_uv *uv, env_uv_send *send,
                          env_uv_pending *pending, void *context)
{
    uv->send = send;
    uv->pending = pending;
    uv->transport = context;
}

void env_uv_start(struct env_uv *uv)
{
    assert(!uv->started);

    uv->started = true;
    thread_start(&uv->worker, thread_name(ENV_UV_WORKER), worker_run, uv);
    for (int i = ENV_UV_WORKER + 1; i < thread_end(uv); i++)
        task_thread_start(&uv->threads[i], thread_name(i));
}

static void wait_until_all_done(struct env_uv *uv)
{
    (void)pthread_mutex_lock(&uv->stop_lock);
    atomic_store(&uv->stopping, true);
    while (atomic_load(&uv->pending_count) > 0)
        (void)pthread_cond_wait(&uv->all_done, &uv->stop_lock);
    (void)pthread_mutex_unlock(&uv->stop_lock);
}

void env_uv_stop(struct env_uv *uv)
{
    int rc;

    assert(uv->started);
    assert(worker_of != uv);

    post(&uv->env, ENV_WORKER, &uv->on_stopping);
    wait_until_all_done(uv);
    post(&uv->env, ENV_WORKER, &uv->close);
    rc = pthread_join(uv->worker, NULL);
    assert(rc == 0);
    for (int i = ENV_UV_WORKER + 1; i < thread_end(uv); i++)
        task_thread_stop(&uv->threads[i]);
    assert(atomic_load(&uv->pending_count) == 0);
}

void env_uv_free(struct env_uv *uv)
{
    int rc;

    if (uv == NULL)
        return;
    if (!uv->started) {
        (void)uv_prepare_stop(&uv->before_sleep); /* What was posted is lost. */
        close_handles(uv);
    }
    rc = uv_loop_close(&uv->loop);
    assert(rc == 0);
    for (int i = ENV_UV_WORKER + 1; i < thread_end(uv); i++)
        task_thread_close(&uv->threads[i]);
    task_queue_close(&uv->queue);
    log_writer_close(&uv->log_writer);
    (void)pthread_cond_destroy(&uv->all_done);
    (void)pthread_mutex_destroy(&uv->stop_lock);
    free(uv);
}

void env_uv_stats(struct env_uv *uv, struct env_uv_stats *ret_stats)
{
    struct log_writer *w = &uv->log_writer;

    *ret_stats = (struct env_uv_stats){
        .log_writes = atomic_load(&w->write_count),
        .log_groups = atomic_load(&w->group_count),
        .log_syncs = atomic_load(&w->sync_count),
        .log_bytes = atomic_load(&w->byte_count),
    };
    ret_stats->wakeups[ENV_UV_WORKER] = atomic_load(&uv->worker_wakeup_count);
    for (int i = ENV_UV_WORKER + 1; i < thread_end(uv); i++)
        ret_stats->wakeups[i] = atomic_load(&uv->threads[i].wakeup_count);
}
