/* SPDX-License-Identifier: Apache-2.0 */

/* The recent events behind /.cluster/log, the newest EVENTS_KEPT of them. Any
 * thread. */

#ifndef GROVEFS_ENGINE_EVENT_LOG_H
#define GROVEFS_ENGINE_EVENT_LOG_H

#include <stdint.h>
#include <stdio.h>

#include "raft/base/log.h"

enum { EVENTS_KEPT = 1000, EVENT_TEXT_SIZE = 256 };

#define EVENT_COLUMNS "# time level text\n"

struct buf;
struct event_log;

struct event_log *event_log_new(void);
void event_log_free(struct event_log *log); /* Takes NULL. */

void event_log_add(struct event_log *log, int64_t wall_ns, enum log_level level,
                   const char *text);
/* For what may come a thousand times a second: at most once a second; how
 * many were left out is said with the next one. Also goes to the log sink. */
void event_log_add_rare(struct event_log *log, int64_t wall_ns,
                        const char *what, const char *why);

/* One line per event, the oldest first: time level text. */
void event_log_render(struct event_log *log, FILE *out);
/* Those that name the region. */
void event_log_render_region(struct event_log *log, uint64_t region, FILE *out);

/* ---- one event after the other ---- */

/* How many there have been; the next one has this number. */
uint64_t event_log_count(struct event_log *log);
/* How many bytes their lines have. */
uint64_t event_log_size_bytes(struct event_log *log);
/* The lines of the events from `*number` on, which moves behind them; not too
 * many at once. When some of those have been dropped already, a line says how
 * many. The caller owns the text. */
struct buf *event_log_read(struct event_log *log, uint64_t *number);
/* `on_event` is called behind each event, on its thread. To be set before the
 * first one. */
void event_log_on_event(struct event_log *log, void (*on_event)(void *context),
                        void *context);

#endif
