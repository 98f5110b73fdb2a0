/* SPDX-License-Identifier: Apache-2.0 */

/* Requests that come before there is a node: some are answered without one, the
 * others wait for it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/engine_impl.h"

struct early {
    struct engine *engine;
    struct request *request;
    struct env_timer timer;
    TAILQ_ENTRY(early) link;
};

static struct request *take_early(struct early *early)
{
    struct request *request = early->request;

    env_timer_stop(early->engine->env, &early->timer);
    TAILQ_REMOVE(&early->engine->early, early, link);
    free(early);
    return request;
}

static void end_early(struct early *early, int status)
{
    struct request *request = take_early(early);

    request->status = status;
    request->done(request);
}

static void early_late(struct env_timer *timer)
{
    end_early(container_of(timer, struct early, timer), ERR_NO_QUORUM);
}

static void add_early(struct engine *engine, struct request *request)
{
    struct early *early = mem_zalloc(sizeof *early);
    uint64_t timeout_ms =
        request->timeout_ms != 0 ? request->timeout_ms : engine->op_timeout_ms;

    early->engine = engine;
    early->request = request;
    early->timer.fire = early_late;
    TAILQ_INSERT_TAIL(&engine->early, early, link);
    if (request->kind != REQUEST_EVENTS)
        env_timer_start(engine->env, &early->timer, timeout_ms * 1000000);
}

/* Without a node there is only one thing to tell. */
static void print_early(const struct engine *engine, enum engine_table table,
                        FILE *out)
{
    if (table == TABLE_HEALTH && engine->failed != 0)
        (void)fprintf(out, "%s\n", engine->why);
    else if (table == TABLE_HEALTH && engine->bootstrap != NULL)
        bootstrap_render(engine->bootstrap, out);
    else if (table == TABLE_VERSION)
        (void)fprintf(out, "version %s\n", GROVEFS_VERSION);
    else if (table == TABLE_EVENTS)
        (void)fputs(EVENT_COLUMNS, out);
}

static void render_early(const struct engine *engine, struct request *request)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    request->status = ERR_NO_MEMORY;
    if (out != NULL) {
        print_early(engine, request->table, out);
        if (fclose(out) == 0) {
            request->ret_data = buf_copy(text, size);
            request->status = 0;
        }
        free(text);
    }
    request->done(request);
}

static bool has_object(const struct request *request)
{
    return request->table > TABLE_QUARANTINE_IDS;
}

void engine_early_submit(struct engine *engine, struct request *request)
{
    if (request->kind == REQUEST_RENDER && has_object(request)) {
        request->status = ERR_NOT_FOUND;
        request->done(request);
    } else if (request->kind == REQUEST_RENDER) {
        render_early(engine, request);
    } else if (request->kind == REQUEST_EVENTS &&
               request->offset == EVENTS_FROM_NOW) {
        request->ret_offset = 0; /* The node's first event. */
        request->attr = (struct attr){.size = strlen(EVENT_COLUMNS)};
        render_early(engine, request);
    } else if ((request->flags & REQUEST_LOCAL_IF_ALONE) != 0) {
        request->attr =
            (struct attr){.ino = request->ino, .mode = S_IFDIR | 0755};
        request->status = 0;
        request->done(request);
    } else {
        add_early(engine, request);
    }
}

bool engine_early_cancel(struct engine *engine, uint64_t id)
{
    struct early *early;

    TAILQ_FOREACH (early, &engine->early, link) {
        if ((uint64_t)(uintptr_t)early->request->private == id) {
            end_early(early, ERR_INTERRUPTED);
            return true;
        }
    }
    return false;
}

struct request *engine_early_take(struct engine *engine)
{
    struct early *early = TAILQ_FIRST(&engine->early);

    return early == NULL ? NULL : take_early(early);
}

void engine_early_stop(struct engine *engine)
{
    struct early *early;

    while ((early = TAILQ_FIRST(&engine->early)) != NULL)
        end_early(early, ERR_CANCELED);
}
