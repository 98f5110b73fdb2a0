/* SPDX-License-Identifier: Apache-2.0 */

/* How the end is found: `pending_count` counts the tasks and log writes that
 * have been posted and not yet finished. A task is counted down after it has
 * run, hence after what it posts was counted up: at 0 nothing is under way
 * and nothing can come but from outside. */

#include "engine/env_uv.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/clock.h"
#include "engine/env_uv_impl.h"
#include "engine/log_writer.h"
#include "engine/task_thread.h"
#include "engine/thread.h"
#include "engine/timers.h"
#include "raft/base/log.h"
#include "raft/base/mem.h"

/* More threads than this would rather wait for RocksDB than apply. */
enum { WORKERS_USUAL_MAX = 4 };

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

void env_uv_run_tasks(void *context, struct task_list *tasks)
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

static void post(struct env *env, enum env_owner owner, struct env_task *task)
{
    struct env_uv *uv = env_uv_of(env);
    enum env_uv_thread thread = thread_of(uv, owner);

    atomic_fetch_add(&uv->pending_count, 1);
    if (thread != ENV_UV_WORKER)
        task_thread_push(&uv->threads[thread], task);
    else if (task_queue_push(&uv->queue, task))
        env_uv_wake_worker(uv);
}

/* ---- log writes ---- */

static void log_write(struct env *env, struct env_log_write *write)
{
    struct env_uv *uv = env_uv_of(env);

    atomic_fetch_add(&uv->pending_count, 1);
    task_thread_push(&uv->threads[ENV_UV_LOG], log_writer_task(write));
}

/* The writes stay pending until their `done` has run. */
static void log_committed(void *context, struct task_list *group)
{
    struct env_uv *uv = context;

    if (task_queue_push_list(&uv->queue, group))
        env_uv_wake_worker(uv);
}

static void log_dropped(void *context, size_t count)
{
    pending_done(context, count);
}

static void fatal(struct env *env, const char *reason)
{
    struct env_uv *uv = env_uv_of(env);

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
    return random_source_next(&env_uv_of(env)->random);
}

/* ---- network ---- */

static void send_packet(struct env *env, uint64_t node_id,
                        enum env_channel channel,
                        const struct env_packet *packet)
{
    struct env_uv *uv = env_uv_of(env);

    if (uv->send != NULL)
        uv->send(uv->transport, node_id, channel, packet);
}

static size_t send_pending_bytes(struct env *env, uint64_t node_id,
                                 enum env_channel channel)
{
    struct env_uv *uv = env_uv_of(env);

    if (uv->pending == NULL)
        return 0;
    return uv->pending(uv->transport, node_id, channel);
}

static const struct env_ops uv_ops = {
    .mono_ns = mono_ns,
    .wall_ns = wall_ns,
    .random = next_random,
    .post = post,
    .timer_start = env_uv_timer_start,
    .timer_stop = env_uv_timer_stop,
    .log_write = log_write,
    .send = send_packet,
    .send_pending_bytes = send_pending_bytes,
    .fatal = fatal,
};

/* ---- life ---- */

static void init_threads(struct env_uv *uv)
{
    (void)pthread_mutex_init(&uv->stop_lock, NULL); /* Cannot fail in glibc. */
    (void)pthread_cond_init(&uv->all_done, NULL);
    task_queue_init(&uv->queue);
    for (int i = ENV_UV_APPLY; i < thread_end(uv); i++)
        task_thread_init(&uv->threads[i], env_uv_run_tasks, uv);
    task_thread_init(&uv->threads[ENV_UV_BULK], env_uv_run_tasks, uv);
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
    int rc = env_uv_init_worker(uv, e);

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
    thread_start(&uv->worker, thread_name(ENV_UV_WORKER), env_uv_run_worker,
                 uv);
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
    assert(!env_uv_is_worker(uv));

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
        env_uv_close_handles(uv);
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
