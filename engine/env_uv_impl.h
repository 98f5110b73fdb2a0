/* SPDX-License-Identifier: Apache-2.0 */

/* What the env_uv*.c files share; for them only. */

#ifndef GROVEFS_ENGINE_ENV_UV_IMPL_H
#define GROVEFS_ENGINE_ENV_UV_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/clock.h"
#include "engine/env_uv.h"
#include "engine/log_writer.h"
#include "engine/task_thread.h"
#include "engine/timers.h"
#include "raft/base/mem.h"

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

static inline struct env_uv *env_uv_of(struct env *env)
{
    return container_of(env, struct env_uv, env);
}

/* env_uv.c: runs them and counts them down. */
void env_uv_run_tasks(void *context, struct task_list *tasks);

/* env_uv_worker.c: the loop, and the tasks that end it. ERR_NO_MEMORY,
 * ERR_IO. */
int env_uv_init_worker(struct env_uv *uv, struct err *e);
/* The thread's function; `context` is the env_uv. */
void *env_uv_run_worker(void *context);
/* Whether this thread is it. */
bool env_uv_is_worker(const struct env_uv *uv);
/* Something is in the queue that was empty. Any thread. */
void env_uv_wake_worker(struct env_uv *uv);
/* At the end; also of one that was never started. */
void env_uv_close_handles(struct env_uv *uv);
void env_uv_timer_start(struct env *env, struct env_timer *timer,
                        uint64_t delay_ns);
void env_uv_timer_stop(struct env *env, struct env_timer *timer);

#endif
