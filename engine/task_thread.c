/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/task_thread.h"

#include <assert.h>

#include "engine/thread.h"

static void lock(struct task_queue *queue)
{
    int rc = pthread_mutex_lock(&queue->lock);

    assert(rc == 0);
}

static void unlock(struct task_queue *queue)
{
    int rc = pthread_mutex_unlock(&queue->lock);

    assert(rc == 0);
}

void task_queue_init(struct task_queue *queue)
{
    int rc = pthread_mutex_init(&queue->lock, NULL);

    assert(rc == 0);
    STAILQ_INIT(&queue->tasks);
    queue->awake = false;
}

void task_queue_close(struct task_queue *queue)
{
    int rc = pthread_mutex_destroy(&queue->lock);

    assert(rc == 0);
}

bool task_queue_push(struct task_queue *queue, struct env_task *task)
{
    bool was_awake;

    assert(task->run != NULL);
    lock(queue);
    STAILQ_INSERT_TAIL(&queue->tasks, task, link);
    was_awake = queue->awake;
    queue->awake = true;
    unlock(queue);
    return !was_awake;
}

bool task_queue_push_list(struct task_queue *queue, struct task_list *tasks)
{
    bool was_awake;

    lock(queue);
    STAILQ_CONCAT(&queue->tasks, tasks);
    was_awake = queue->awake;
    queue->awake = true;
    unlock(queue);
    return !was_awake;
}

bool task_queue_take(struct task_queue *queue, struct task_list *tasks)
{
    bool some;

    lock(queue);
    some = !STAILQ_EMPTY(&queue->tasks);
    STAILQ_CONCAT(tasks, &queue->tasks);
    queue->awake = some;
    unlock(queue);
    return some;
}

void task_thread_init(struct task_thread *thread,
                      void (*consume)(void *context, struct task_list *tasks),
                      void *context)
{
    int rc = pthread_cond_init(&thread->wake, NULL);

    assert(rc == 0);
    task_queue_init(&thread->queue);
    thread->stopping = false;
    atomic_init(&thread->wakeup_count, 0);
    thread->consume = consume;
    thread->context = context;
}

void task_thread_close(struct task_thread *thread)
{
    int rc = pthread_cond_destroy(&thread->wake);

    assert(rc == 0);
    task_queue_close(&thread->queue);
}

static void wake(struct task_thread *thread)
{
    int rc = pthread_cond_signal(&thread->wake);

    assert(rc == 0);
}

void task_thread_push(struct task_thread *thread, struct env_task *task)
{
    if (task_queue_push(&thread->queue, task))
        wake(thread);
}

/* False when there is nothing and never will be. */
static bool wait_for_tasks(struct task_thread *thread, struct task_list *tasks)
{
    struct task_queue *queue = &thread->queue;
    bool some;

    lock(queue);
    while (STAILQ_EMPTY(&queue->tasks) && !thread->stopping) {
        int rc;

        queue->awake = false;
        rc = pthread_cond_wait(&thread->wake, &queue->lock);
        assert(rc == 0);
        atomic_fetch_add_explicit(&thread->wakeup_count, 1,
                                  memory_order_relaxed);
    }
    queue->awake = true;
    some = !STAILQ_EMPTY(&queue->tasks);
    STAILQ_CONCAT(tasks, &queue->tasks);
    unlock(queue);
    return some;
}

static void *run(void *context)
{
    struct task_thread *thread = context;
    struct task_list tasks = STAILQ_HEAD_INITIALIZER(tasks);

    while (wait_for_tasks(thread, &tasks)) {
        thread->consume(thread->context, &tasks);
        assert(STAILQ_EMPTY(&tasks));
    }
    return NULL;
}

void task_thread_start(struct task_thread *thread, const char *name)
{
    thread_start(&thread->thread, name, run, thread);
}

void task_thread_stop(struct task_thread *thread)
{
    int rc;

    lock(&thread->queue);
    thread->stopping = true;
    unlock(&thread->queue);
    wake(thread);
    rc = pthread_join(thread->thread, NULL);
    assert(rc == 0);
}
