/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/event_log.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "raft/base/buf.h"
#include "raft/base/mem.h"

enum { EVENTS_AT_ONCE = 200, TIME_SIZE = 24 };

struct event {
    int64_t wall_ns;
    enum log_level level;
    char text[EVENT_TEXT_SIZE];
};

/* All below `mutex`. */
struct event_log {
    pthread_mutex_t mutex;
    struct event events[EVENTS_KEPT];
    uint64_t count;      /* ever added */
    uint64_t size_bytes; /* of their lines */
    int64_t rare_wall_ns;
    uint64_t rare_left_out;
    void (*on_event)(void *context); /* these two: constant */
    void *context;
};

struct event_log *event_log_new(void)
{
    struct event_log *log = mem_zalloc(sizeof *log);

    (void)pthread_mutex_init(&log->mutex, NULL); /* Cannot fail. */
    return log;
}

void event_log_free(struct event_log *log)
{
    if (log == NULL)
        return;
    (void)pthread_mutex_destroy(&log->mutex);
    free(log);
}

static void add_locked(struct event_log *log, int64_t wall_ns,
                       enum log_level level, const char *text)
{
    struct event *event = &log->events[log->count++ % EVENTS_KEPT];

    event->wall_ns = wall_ns;
    event->level = level;
    (void)snprintf(event->text, sizeof event->text, "%s", text);
    log->size_bytes += TIME_SIZE + strlen(log_level_name(level)) +
                       strlen(event->text) + 3; /* two blanks, newline */
}

static void tell(struct event_log *log)
{
    if (log->on_event != NULL)
        log->on_event(log->context);
}

void event_log_add(struct event_log *log, int64_t wall_ns, enum log_level level,
                   const char *text)
{
    (void)pthread_mutex_lock(&log->mutex);
    add_locked(log, wall_ns, level, text);
    (void)pthread_mutex_unlock(&log->mutex);
    tell(log);
}

void event_log_add_rare(struct event_log *log, int64_t wall_ns,
                        const char *what, const char *why)
{
    char text[EVENT_TEXT_SIZE];
    bool due;

    (void)pthread_mutex_lock(&log->mutex);
    due = wall_ns - log->rare_wall_ns >= 1000000000 ||
          wall_ns < log->rare_wall_ns;
    if (due) {
        (void)snprintf(text, sizeof text,
                       "%s: %s (and %" PRIu64 " like it since the last line)",
                       what, why, log->rare_left_out);
        add_locked(log, wall_ns, LOG_WARN, text);
        log->rare_wall_ns = wall_ns;
        log->rare_left_out = 0;
    } else {
        log->rare_left_out++;
    }
    (void)pthread_mutex_unlock(&log->mutex);
    if (!due)
        return;
    log_line(LOG_WARN, "node", "%s", text);
    tell(log);
}

/* "region 1" is not in "region 12". */
static bool has_words(const char *text, const char *words)
{
    const size_t size = strlen(words);

    for (; (text = strstr(text, words)) != NULL; text += size)
        if (isdigit((unsigned char)text[size]) == 0)
            return true;
    return false;
}

static void render_one(const struct event *event, FILE *out)
{
    time_t seconds = (time_t)(event->wall_ns / 1000000000);
    struct tm parts;
    char text[32];

    (void)gmtime_r(&seconds, &parts);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)fprintf(out, "%s.%03dZ %s %s\n", text,
                  (int)(event->wall_ns / 1000000 % 1000),
                  log_level_name(event->level), event->text);
}

static uint64_t first_kept(const struct event_log *log)
{
    return log->count > EVENTS_KEPT ? log->count - EVENTS_KEPT : 0;
}

static void render_those(struct event_log *log, const char *words, FILE *out)
{
    (void)pthread_mutex_lock(&log->mutex);
    for (uint64_t i = first_kept(log); i < log->count; i++) {
        const struct event *event = &log->events[i % EVENTS_KEPT];

        if (words == NULL || has_words(event->text, words))
            render_one(event, out);
    }
    (void)pthread_mutex_unlock(&log->mutex);
}

void event_log_render(struct event_log *log, FILE *out)
{
    render_those(log, NULL, out);
}

void event_log_render_region(struct event_log *log, uint64_t region, FILE *out)
{
    char words[32];

    (void)snprintf(words, sizeof words, "region %" PRIu64, region);
    render_those(log, words, out);
}

/* ---- one after the other ---- */

void event_log_on_event(struct event_log *log, void (*on_event)(void *context),
                        void *context)
{
    log->on_event = on_event;
    log->context = context;
}

uint64_t event_log_count(struct event_log *log)
{
    uint64_t count;

    (void)pthread_mutex_lock(&log->mutex);
    count = log->count;
    (void)pthread_mutex_unlock(&log->mutex);
    return count;
}

uint64_t event_log_size_bytes(struct event_log *log)
{
    uint64_t size_bytes;

    (void)pthread_mutex_lock(&log->mutex);
    size_bytes = log->size_bytes;
    (void)pthread_mutex_unlock(&log->mutex);
    return size_bytes;
}

static void read_locked(const struct event_log *log, uint64_t *number,
                        FILE *out)
{
    const uint64_t first = first_kept(log);
    const uint64_t last = *number > first ? *number : first;

    if (*number < first)
        (void)fprintf(out, "# %" PRIu64 " events left out\n", first - *number);
    for (*number = last;
         *number < log->count && *number - last < EVENTS_AT_ONCE; ++*number)
        render_one(&log->events[*number % EVENTS_KEPT], out);
}

struct buf *event_log_read(struct event_log *log, uint64_t *number)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct buf *bytes;

    if (out == NULL)
        abort(); /* As wherever memory for something small is out. */
    (void)pthread_mutex_lock(&log->mutex);
    read_locked(log, number, out);
    (void)pthread_mutex_unlock(&log->mutex);
    (void)fclose(out);
    bytes = buf_copy(text, size);
    free(text);
    return bytes;
}
