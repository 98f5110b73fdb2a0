/* SPDX-License-Identifier: Apache-2.0 */

/* Queues of tasks that any thread may post to and one thread empties, and
 * threads that do nothing else.
 *
 * A consumer is woken once per time that it has fallen asleep, not once per
 * task: while it is `awake` it is going to look into the queue again before
 * it sleeps. */

#ifndef GROVEFS_ENGINE_TASK_THREAD_H
#define GROVEFS_ENGINE_TASK_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/env.h"

STAILQ_HEAD(task_list, env_task);

struct task_queue {
    pthread_mutex_t lock; /* guards the rest */
    struct task_list tasks;
    bool awake;
};

void task_queue_init(struct task_queue *queue);
void task_queue_close(struct task_queue *queue);

/* Appends. True when the consumer sleeps and has to be woken. Any thread. */
bool task_queue_push(struct task_queue *queue, struct env_task *task);

/* Appends all of `tasks`, which is empty then. */
bool task_queue_push_list(struct task_queue *queue, struct task_list *tasks);

/* Moves everything to the end of `tasks`. False when there was nothing: from
 * now on the consumer counts as asleep. The consumer's thread. */
bool task_queue_take(struct task_queue *queue, struct task_list *tasks);

struct task_thread {
    struct task_queue queue;
    pthread_cond_t wake;
    bool stopping; /* guarded by queue.lock */
    atomic_ullong wakeup_count;
    pthread_t thread;
    /* Is given all that was posted since the last time, never nothing. */
    void (*consume)(void *context, struct task_list *tasks);
    void *context;
};

void task_thread_init(struct task_thread *thread,
                      void (*consume)(void *context, struct task_list *tasks),
                      void *context);
void task_thread_close(struct task_thread *thread);

/* Any thread, also before the start. */
void task_thread_push(struct task_thread *thread, struct env_task *task);

void task_thread_start(struct task_thread *thread, const char *name);

/* Lets it consume what was posted, and waits until it has ended. */
void task_thread_stop(struct task_thread *thread);

#endif
