/* SPDX-License-Identifier: Apache-2.0 */

/* The timers of an env (env.h), ordered by when they are due; those due at
 * the same time in the order in which they were started. Knows no clock: both
 * production and the simulator drive it. One thread. */

#ifndef GROVEFS_ENGINE_TIMERS_H
#define GROVEFS_ENGINE_TIMERS_H

#include "engine/env.h"

TAILQ_HEAD(timer_queue, env_timer);

struct timers {
    struct timer_queue queue; /* next one first */
    uint64_t sequence;        /* of the timer started last */
};

void timers_init(struct timers *timers);

/* (Re)starts a timer. Quick when it belongs near either end of the queue. */
void timers_start(struct timers *timers, struct env_timer *timer,
                  uint64_t due_ns);

/* Takes a timer that does not run, too. */
void timers_stop(struct timers *timers, struct env_timer *timer);

/* When the next one is due. False when there is none. */
bool timers_next_due(const struct timers *timers, uint64_t *ret_due_ns);

/* Fires those that are due at `now_ns`, but none that was started by one of
 * them. A timer that is stopped by an earlier one does not fire. */
void timers_fire(struct timers *timers, uint64_t now_ns);

/* Asserts the order. */
void timers_check(const struct timers *timers);

#endif
