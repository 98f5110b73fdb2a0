/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/timers.h"

#include <assert.h>

void timers_init(struct timers *timers)
{
    TAILQ_INIT(&timers->queue);
    timers->sequence = 0;
}

/* Most timers have one of two spans: short ticks, which belong near the
 * front, and request deadlines, which belong near the end. */
static bool nearer_to_end(const struct timer_queue *queue, uint64_t due_ns)
{
    const struct env_timer *first = TAILQ_FIRST(queue);
    const struct env_timer *last = TAILQ_LAST(queue, timer_queue);

    return first == NULL ||
           due_ns >= first->due_ns + (last->due_ns - first->due_ns) / 2;
}

static void insert_from_end(struct timer_queue *queue, struct env_timer *timer)
{
    struct env_timer *before = TAILQ_LAST(queue, timer_queue);

    while (before != NULL && before->due_ns > timer->due_ns)
        before = TAILQ_PREV(before, timer_queue, link);
    if (before != NULL)
        TAILQ_INSERT_AFTER(queue, before, timer, link);
    else
        TAILQ_INSERT_HEAD(queue, timer, link);
}

static void insert_from_front(struct timer_queue *queue,
                              struct env_timer *timer)
{
    struct env_timer *after = TAILQ_FIRST(queue);

    while (after != NULL && after->due_ns <= timer->due_ns)
        after = TAILQ_NEXT(after, link);
    if (after != NULL)
        TAILQ_INSERT_BEFORE(after, timer, link);
    else
        TAILQ_INSERT_TAIL(queue, timer, link);
}

void timers_start(struct timers *timers, struct env_timer *timer,
                  uint64_t due_ns)
{
    assert(timer->fire != NULL);

    timers_stop(timers, timer);
    timer->due_ns = due_ns;
    timer->sequence = ++timers->sequence;
    timer->active = true;
    if (nearer_to_end(&timers->queue, due_ns))
        insert_from_end(&timers->queue, timer);
    else
        insert_from_front(&timers->queue, timer);
}

void timers_stop(struct timers *timers, struct env_timer *timer)
{
    if (!timer->active)
        return;
    TAILQ_REMOVE(&timers->queue, timer, link);
    timer->active = false;
}

bool timers_next_due(const struct timers *timers, uint64_t *ret_due_ns)
{
    const struct env_timer *first = TAILQ_FIRST(&timers->queue);

    if (first == NULL)
        return false;
    *ret_due_ns = first->due_ns;
    return true;
}

void timers_fire(struct timers *timers, uint64_t now_ns)
{
    uint64_t sequence_last = timers->sequence;
    struct env_timer *timer = TAILQ_FIRST(&timers->queue);

    /* One by one from the front: a timer may stop or start any other. */
    while (timer != NULL && timer->due_ns <= now_ns) {
        if (timer->sequence > sequence_last) {
            timer = TAILQ_NEXT(timer, link);
            continue;
        }
        timers_stop(timers, timer);
        timer->fire(timer);
        timer = TAILQ_FIRST(&timers->queue);
    }
}

void timers_check(const struct timers *timers)
{
    const struct env_timer *timer;

    TAILQ_FOREACH (timer, &timers->queue, link) {
        const struct env_timer *next = TAILQ_NEXT(timer, link);

        assert(timer->active);
        assert(timer->sequence <= timers->sequence);
        assert(next == NULL || timer->due_ns < next->due_ns ||
               (timer->due_ns == next->due_ns &&
                timer->sequence < next->sequence));
    }
}
