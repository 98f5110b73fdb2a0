/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/fs/fake_engine.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const kind_names[REQUEST_KINDS] = {
    [REQUEST_LOOKUP] = "LOOKUP",     [REQUEST_GETATTR] = "GETATTR",
    [REQUEST_READ] = "READ",         [REQUEST_READDIR] = "READDIR",
    [REQUEST_GETXATTR] = "GETXATTR", [REQUEST_LISTXATTR] = "LISTXATTR",
    [REQUEST_RENDER] = "RENDER",     [REQUEST_CREATE] = "CREATE",
    [REQUEST_WRITE] = "WRITE",       [REQUEST_SETATTR] = "SETATTR",
    [REQUEST_UNLINK] = "UNLINK",     [REQUEST_MKDIR] = "MKDIR",
    [REQUEST_RMDIR] = "RMDIR",       [REQUEST_RENAME] = "RENAME",
    [REQUEST_SETXATTR] = "SETXATTR", [REQUEST_REMOVEXATTR] = "REMOVEXATTR",
    [REQUEST_CONTROL] = "CONTROL",   [REQUEST_EVENTS] = "EVENTS",
};

const char *fake_kind_name(enum request_kind kind)
{
    return kind_names[kind];
}

static uint64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- requests ---- */

static struct fault *fault_of(struct engine *engine,
                              const struct request *request)
{
    const char *name = request->name == NULL ? "" : request->name;

    for (unsigned i = 0; i < engine->fault_count; i++) {
        struct fault *fault = &engine->faults[i];

        if ((strcmp(fault->kind, "*") == 0 ||
             strcmp(fault->kind, kind_names[request->kind]) == 0) &&
            (strcmp(fault->name, "*") == 0 || strcmp(fault->name, name) == 0)) {
            if (fault->count_left == 1) {
                static struct fault used;

                used = *fault;
                *fault = engine->faults[--engine->fault_count];
                return &used;
            }
            if (fault->count_left > 1)
                fault->count_left--;
            return fault;
        }
    }
    return NULL;
}

static void trace(struct engine *engine, const struct request *request)
{
    fprintf(engine->trace_out, "%s %s", kind_names[request->kind],
            request->name == NULL ? "-" : request->name);
    if (request->kind == REQUEST_WRITE)
        fprintf(engine->trace_out, " offset=%" PRIu64 " size=%zu%s%s%s",
                request->offset,
                request->data == NULL ? 0 : request->data->size,
                (request->flags & REQUEST_TRUNCATE) != 0 ? " truncate" : "",
                (request->flags & REQUEST_APPEND) != 0 ? " append" : "",
                (request->flags & REQUEST_KILL_PRIV) != 0 ? " kill" : "");
    if (request->since_ns != 0)
        fprintf(engine->trace_out, " walk");
    if (request->kind == REQUEST_EVENTS)
        fprintf(engine->trace_out, " %s",
                request->offset == EVENTS_FROM_NOW ? "begin" : "more");
    if (request->kind == REQUEST_CONTROL)
        fprintf(engine->trace_out, " size=%zu", request->data->size);
    fprintf(engine->trace_out, "\n");
}

static bool is_write(const struct request *request)
{
    return request->kind >= REQUEST_CREATE;
}

static bool waits_for_event(const struct engine *engine,
                            const struct request *request)
{
    return request->kind == REQUEST_EVENTS &&
           (request->flags & REQUEST_NO_WAIT) == 0 &&
           request->offset == engine->event_count;
}

static void queue(struct engine *engine, struct request *request,
                  const struct fault *fault)
{
    struct pending *pending = mem_zalloc(sizeof *pending);
    const uint64_t timeout_ms = request->timeout_ms != 0
                                    ? request->timeout_ms
                                    : engine->config.op_timeout_ms;

    pending->request = request;
    pending->due_ms = now_ms();
    if (fault != NULL) {
        pending->due_ms += fault->hang ? timeout_ms : fault->delay_ms;
        if (fault->hang)
            pending->status =
                fault->status != 0 ? fault->status : ERR_NO_QUORUM;
        else
            pending->status = fault->status;
        if (fault->late) {
            pending->status = tree_apply(engine, request);
            pending->applied = true;
        }
    }
    request->private = pending;
    TAILQ_INSERT_TAIL(&engine->pending, pending, link);
    pthread_cond_signal(&engine->wake);
}

bool engine_submit(struct engine *engine, struct request *request)
{
    const struct fault *fault;
    bool now;

    assert(request->kind < REQUEST_KINDS);
    assert(request->done != NULL);
    assert(request->name == NULL || strlen(request->name) <= NAME_SIZE_MAX);
    pthread_mutex_lock(&engine->lock);
    trace(engine, request);
    fault = fault_of(engine, request);
    now = fault == NULL && !engine->answer_later && !is_write(request) &&
          !waits_for_event(engine, request);
    request->ret_data = NULL;
    if (engine->stopping) {
        request->status = ERR_CANCELED;
        now = true;
    } else if (now) {
        request->status = tree_apply(engine, request);
    } else {
        queue(engine, request, fault);
    }
    pthread_mutex_unlock(&engine->lock);
    return now;
}

void engine_cancel(struct engine *engine, struct request *request)
{
    struct pending *pending;

    pthread_mutex_lock(&engine->lock);
    TAILQ_FOREACH (pending, &engine->pending, link)
        if (pending->request == request)
            pending->canceled = true;
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
}

/* The next to be answered, or NULL and how long to wait for it. */
static struct pending *next_due(struct engine *engine, uint64_t *ret_wait_ms)
{
    const uint64_t now = now_ms();
    struct pending *pending;

    *ret_wait_ms = 1000;
    TAILQ_FOREACH (pending, &engine->pending, link) {
        if (pending->canceled || engine->stopping)
            return pending;
        if (waits_for_event(engine, pending->request))
            continue;
        if (pending->due_ms <= now)
            return pending;
        if (pending->due_ms - now < *ret_wait_ms)
            *ret_wait_ms = pending->due_ms - now;
    }
    return NULL;
}

static void answer(struct engine *engine, struct pending *pending)
{
    struct request *request = pending->request;

    TAILQ_REMOVE(&engine->pending, pending, link);
    if (pending->canceled)
        request->status = ERR_INTERRUPTED;
    else if (engine->stopping)
        request->status = ERR_CANCELED;
    else if (pending->applied || pending->status != 0)
        request->status = pending->status;
    else
        request->status = tree_apply(engine, request);
    free(pending);
    pthread_mutex_unlock(&engine->lock);
    request->done(request); /* With no lock held, as engine.h promises. */
    pthread_mutex_lock(&engine->lock);
}

static void wait_ms(struct engine *engine, uint64_t ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&engine->wake, &engine->lock, &until);
}

static void *work(void *context)
{
    struct engine *engine = context;
    struct pending *pending;
    uint64_t ms;

    pthread_mutex_lock(&engine->lock);
    while (!engine->stopping || !TAILQ_EMPTY(&engine->pending)) {
        pending = next_due(engine, &ms);
        if (pending != NULL)
            answer(engine, pending);
        else
            wait_ms(engine, ms);
    }
    pthread_mutex_unlock(&engine->lock);
    return NULL;
}

/* ---- life ---- */

static int lock_store(const char *dir, struct err *e)
{
    char *path;
    int fd;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return err_set(e, ERR_IO, "store '%s': %s", dir, strerror(errno));
    if (asprintf(&path, "%s/LOCK", dir) < 0)
        return ERR_NO_MEMORY;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (fd < 0)
        return err_set(e, ERR_IO, "store '%s': %s", dir, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(e, ERR_BUSY, "store '%s' is in use", dir);
    return 0;
}

int engine_open(struct engine **ret, const struct engine_config *config,
                struct err *e)
{
    const char *dir =
        config->data_dir != NULL ? config->data_dir : "/tmp/fake-grovefs";
    pthread_condattr_t attr;
    struct engine *engine;
    int rc;

    if (config->listen != NULL && strcmp(config->listen, "used") == 0)
        return err_set(e, ERR_ADDRESS_IN_USE, "listen '%s': in use",
                       config->listen);
    rc = lock_store(dir, e);
    if (rc != 0)
        return rc;
    engine = mem_zalloc(sizeof *engine);
    engine->config = *config;
    if (engine->config.op_timeout_ms == 0)
        engine->config.op_timeout_ms = 10000;
    if (engine->config.value_size_max == 0)
        engine->config.value_size_max = 64 * 1024 * 1024;
    engine->data_dir = mem_strdup(dir);
    engine->tree = tree_new();
    engine->trace_out = open_memstream(&engine->trace, &engine->trace_size);
    engine->ready = config->peers == NULL;
    engine->object_count = 3;
    TAILQ_INIT(&engine->pending);
    (void)pthread_mutex_init(&engine->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&engine->wake, &attr);
    engine->control_fd = -1;
    *ret = engine;
    return 0;
}

int engine_start(struct engine *engine, struct err *e)
{
    if (control_start(engine) != 0)
        return err_set(e, ERR_IO, "control socket: %s", strerror(errno));
    engine->started = true;
    (void)pthread_create(&engine->worker, NULL, work, engine);
    return 0;
}

int engine_wait_ready(struct engine *engine, uint64_t timeout_ms, struct err *e)
{
    const uint64_t until = now_ms() + timeout_ms;
    bool ready;

    do {
        pthread_mutex_lock(&engine->lock);
        ready = engine->ready;
        pthread_mutex_unlock(&engine->lock);
        if (engine->config.peers != NULL &&
            strcmp(engine->config.peers, "foreign") == 0)
            return err_set(e, ERR_FOREIGN, "cluster exists, use join=");
        if (ready)
            return 0;
        (void)usleep(5000);
    } while (now_ms() < until);
    return err_set(e, ERR_NO_QUORUM, "waiting for peers");
}

void engine_space(struct engine *engine, struct engine_space *ret_space)
{
    (void)engine;
    *ret_space = (struct engine_space){UINT64_C(1) << 33, UINT64_C(1) << 32};
}

uint64_t engine_node_id(const struct engine *engine)
{
    (void)engine;
    return 1;
}

uint64_t engine_value_size_max(const struct engine *engine)
{
    return engine->config.value_size_max;
}

uint64_t engine_op_timeout_ms(const struct engine *engine)
{
    return engine->config.op_timeout_ms;
}

void engine_log_event(struct engine *engine, const char *format, ...)
{
    (void)engine;
    log_line(LOG_WARN, "fake", "%s", format);
}

void engine_stop(struct engine *engine)
{
    if (!engine->started)
        return;
    pthread_mutex_lock(&engine->lock);
    engine->stopping = true;
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
    (void)pthread_join(engine->worker, NULL);
    control_stop(engine);
}

void engine_close(struct engine *engine)
{
    if (engine == NULL)
        return;
    tree_free(engine->tree);
    (void)fclose(engine->trace_out);
    free(engine->trace);
    free(engine->data_dir);
    free(engine);
}
