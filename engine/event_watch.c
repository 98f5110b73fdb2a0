/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/event_watch.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "engine/event_log.h"
#include "raft/base/buf.h"
#include "raft/base/mem.h"

/*   IDLE ──somebody waits──> WATCHED ──event──> POSTED
 *    ^                        │   ^                │
 *    └──── nobody waits ──────┘   └── the task ────┘
 *
 * Who waits looks at the log after it is WATCHED, so that no event is missed.
 */
enum { IDLE, WATCHED, POSTED };

struct event_watch {
    struct env *env;
    struct event_log *log;
    TAILQ_HEAD(, event_wait) waits;
    struct env_task task;
    atomic_int state;
};

/* Any thread. */
static void on_event(void *context)
{
    struct event_watch *watch = context;
    int watched = WATCHED;

    if (atomic_compare_exchange_strong(&watch->state, &watched, POSTED))
        env_post(watch->env, ENV_WORKER, &watch->task);
}

static bool is_due(const struct event_wait *wait)
{
    return event_log_count(wait->watch->log) > wait->number;
}

static void answer(struct event_wait *wait)
{
    uint64_t next = wait->number;
    struct buf *text = event_log_read(wait->watch->log, &next);

    event_watch_cancel(wait);
    wait->done(wait, text, next);
    buf_unref(text);
}

static struct event_wait *find_due(const struct event_watch *watch)
{
    struct event_wait *wait;

    TAILQ_FOREACH (wait, &watch->waits, link)
        if (is_due(wait))
            return wait;
    return NULL;
}

static void look(struct env_task *task)
{
    struct event_watch *watch = container_of(task, struct event_watch, task);
    struct event_wait *wait;
    int watched = WATCHED;

    atomic_store(&watch->state, WATCHED);
    while ((wait = find_due(watch)) != NULL)
        answer(wait);
    if (TAILQ_EMPTY(&watch->waits))
        (void)atomic_compare_exchange_strong(&watch->state, &watched, IDLE);
}

struct event_watch *event_watch_new(struct env *env, struct event_log *log)
{
    struct event_watch *watch = mem_zalloc(sizeof *watch);

    watch->env = env;
    watch->log = log;
    watch->task.run = look;
    TAILQ_INIT(&watch->waits);
    event_log_on_event(log, on_event, watch);
    return watch;
}

void event_watch_free(struct event_watch *watch)
{
    assert(watch == NULL || TAILQ_EMPTY(&watch->waits));
    free(watch);
}

void event_watch_start(struct event_watch *watch, struct event_wait *wait)
{
    int idle = IDLE;

    wait->watch = watch;
    TAILQ_INSERT_TAIL(&watch->waits, wait, link);
    (void)atomic_compare_exchange_strong(&watch->state, &idle, WATCHED);
    if (is_due(wait))
        answer(wait);
}

void event_watch_cancel(struct event_wait *wait)
{
    if (wait->watch == NULL)
        return;
    TAILQ_REMOVE(&wait->watch->waits, wait, link);
    wait->watch = NULL;
}
