/* SPDX-License-Identifier: Apache-2.0 */

/* The worker: its thread, its loop and what fires there.
 *
 * How the loop runs its tasks: a uv_prepare handle empties the queue right
 * before the loop would sleep. So whatever a callback of the loop posts to the
 * worker needs no wake-up, and another thread's post needs one uv_async only
 * when the worker is asleep or just falling asleep. */

#include "engine/env_uv_impl.h"

/* Rounds of tasks that post tasks, before sockets get their turn. */
enum { WORKER_ROUNDS_MAX = 8 };

#define NS_PER_MS UINT64_C(1000000)

/* Set on the thread that is an env's worker. */
static _Thread_local const struct env_uv *worker_of;

bool env_uv_is_worker(const struct env_uv *uv)
{
    return worker_of == uv;
}

void env_uv_wake_worker(struct env_uv *uv)
{
    if (env_uv_is_worker(uv))
        return; /* It will look by itself. */
    atomic_fetch_add_explicit(&uv->worker_wakeup_count, 1,
                              memory_order_relaxed);
    (void)uv_async_send(&uv->wake); /* Fails only when it is closed. */
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

    timers_fire(&uv->timers, env_mono_ns(&uv->env));
    alarm_set(uv);
}

void env_uv_timer_start(struct env *env, struct env_timer *timer,
                        uint64_t delay_ns)
{
    struct env_uv *uv = env_uv_of(env);

    timers_start(&uv->timers, timer, env_mono_ns(env) + delay_ns);
    if (TAILQ_FIRST(&uv->timers.queue) == timer)
        alarm_set(uv);
}

/* An alarm that comes for nothing finds the next timer. */
void env_uv_timer_stop(struct env *env, struct env_timer *timer)
{
    timers_stop(&env_uv_of(env)->timers, timer);
}

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
        env_uv_run_tasks(uv, &tasks);
    }
    (void)uv_async_send(&uv->wake); /* There may be more: do not sleep. */
}

void env_uv_close_handles(struct env_uv *uv)
{
    uv->closing = true;
    uv_close((uv_handle_t *)&uv->wake, NULL);
    uv_close((uv_handle_t *)&uv->before_sleep, NULL);
    uv_close((uv_handle_t *)&uv->alarm, NULL);
    (void)uv_run(&uv->loop, UV_RUN_DEFAULT); /* Returns when they are closed. */
}

void *env_uv_run_worker(void *context)
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
        env_uv_run_tasks(uv, &tasks);
    env_uv_close_handles(uv);
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

/* ---- its life ---- */

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

int env_uv_init_worker(struct env_uv *uv, struct err *e)
{
    int rc = init_loop(uv, e);

    if (rc != 0)
        return rc;
    uv->on_stopping.run = run_on_stopping;
    uv->close.run = run_close;
    return 0;
}
