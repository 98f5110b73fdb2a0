/* SPDX-License-Identifier: Apache-2.0 */

/* Who waits for the next events: what is behind /.cluster/events. Events come
 * from any thread, waits belong to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_EVENT_WATCH_H
#define GROVEFS_ENGINE_EVENT_WATCH_H

#include <stdint.h>
#include <sys/queue.h>

#include "engine/env.h"

struct buf;
struct event_log;
struct event_watch;

/* Embedded. */
struct event_wait {
    uint64_t number; /* public: in; of the first event that is wanted */
    /* `text`: one line or more, borrowed; `next`: the number behind them. */
    void (*done)(struct event_wait *wait, struct buf *text, uint64_t next);
    struct event_watch *watch; /* private from here on; NULL: does not wait */
    TAILQ_ENTRY(event_wait) link;
};

/* `log` is told whom to call. */
struct event_watch *event_watch_new(struct env *env, struct event_log *log);
/* Nobody waits any more, and no event comes. Takes NULL. */
void event_watch_free(struct event_watch *watch);

/* `done` may be called before this returns. */
void event_watch_start(struct event_watch *watch, struct event_wait *wait);
/* Ends it without calling `done`; one that does not wait is ignored. */
void event_watch_cancel(struct event_wait *wait);

#endif
