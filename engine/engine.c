/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/engine.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine_impl.h"
#include "engine/flow.h"
#include "engine/keys.h"
#include "engine/reader.h"

enum { STOP_SECONDS_MAX = 5, JOIN_WAIT_MS = 10000 };

/* ---- open ---- */

static void on_fatal(void *context, const char *reason)
{
    struct engine *engine = context;

    if (engine->on_fatal != NULL)
        engine->on_fatal(engine->on_fatal_context, reason);
}

/* An empty store without peers becomes a cluster of one node. */
static int found_alone(struct engine *engine, const char *listen, struct err *e)
{
    struct identity *identity = &engine->store.identity;
    struct founders alone = {.count = 1};
    char text[ADDRESS_TEXT_SIZE];

    alone.founder[0].id = identity->node_id;
    if (listen != NULL)
        (void)snprintf(alone.founder[0].address,
                       sizeof alone.founder[0].address, "%s",
                       address_format(&engine->advertise, text));
    identity->tokens[0] = identity->token;
    identity->token_count = 1;
    identity->cluster_id = founding_cluster_id(&alone, identity->tokens);
    return founding_write(engine->store.log, engine->store.state, identity,
                          &alone, e);
}

/* Whether the catalog knows any other node. */
static bool has_company(const struct engine *engine)
{
    struct key lower = key_node(0);
    struct key upper = key_node(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(engine->store.state, NULL,
                                       key_slice(&lower), key_slice(&upper));
    size_t count = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter) && count < 2; kv_iter_next(iter))
        count++;
    kv_iter_free(iter);
    return count > 1;
}

static bool is_single(const struct engine *engine)
{
    const struct identity *identity = &engine->store.identity;

    if (identity->cluster_id != 0) /* Who has joined has no founders. */
        return identity->token_count == 1 && !has_company(engine);
    return engine->founders.count <= 1 && engine->members.count == 0;
}

static int join(struct engine *engine, struct err *e)
{
    struct identity identity = engine->store.identity;
    int rc = join_ask(&engine->members, &engine->advertise, JOIN_WAIT_MS,
                      &identity, e);

    if (rc == ERR_NO_QUORUM && engine->store.identity.cluster_id != 0) {
        log_line(LOG_WARN, "engine", "join=: %s", e->text);
        return 0; /* It goes on waiting. */
    }
    if (rc != 0)
        return err_prefix(e, rc, "join=");
    rc = store_set_identity(&engine->store, &identity, e);
    if (rc == 0)
        log_line(LOG_INFO, "engine",
                 "joined cluster=%016" PRIx64 " as node=%" PRIu64,
                 identity.cluster_id, identity.node_id);
    return rc;
}

/* Who has joined has got its first replica. */
static bool has_catalog(const struct engine *engine)
{
    struct key key = key_directory(NSID_ROOT);
    struct kv_value value = {0};
    int rc = kv_get(engine->store.state, NULL, key_slice(&key), &value);

    kv_value_release(&value);
    return rc != ERR_NOT_FOUND;
}

/* Until then it may ask again: with another address, or to hear that it was
 * removed. */
static bool may_join(const struct engine *engine)
{
    const struct identity *identity = &engine->store.identity;

    return engine->members.count > 0 &&
           (identity->cluster_id == 0 ||
            (identity->token_count == 0 && !has_catalog(engine)));
}

/* An empty store becomes part of a cluster at once, unless it has to wait for
 * the other founders of one. */
static int settle(struct engine *engine, const struct engine_config *config,
                  struct err *e)
{
    const struct identity *identity = &engine->store.identity;

    if (may_join(engine))
        return join(engine, e);
    if (identity->cluster_id == 0 && engine->founders.count == 0)
        return found_alone(engine, config->listen, e);
    if (engine->members.count > 0)
        log_line(LOG_INFO, "engine",
                 "node=%" PRIu64 " is part of cluster=%016" PRIx64
                 " already: join= is ignored",
                 identity->node_id, identity->cluster_id);
    return 0;
}

static int open_port(struct engine *engine, const struct engine_config *config,
                     const struct address *listen, struct err *e)
{
    if (config->listen == NULL && is_single(engine))
        return 0; /* A one-node store opens no port unless asked to. */
    return transport_bind(listen, &engine->listen_fd, e);
}

static int open_all(struct engine *engine, const struct engine_config *config,
                    struct err *e)
{
    struct store_config store = {
        .dir = engine->data_dir,
        .node_id = config->node_id,
        .on_fatal = on_fatal,
        .on_fatal_context = engine,
    };
    struct address listen;
    int rc;

    rc = engine_set_addresses(engine, config, &listen, e);
    if (rc == 0 && (config->listen != NULL || !is_single(engine)))
        rc = transport_bind(&listen, &engine->listen_fd, e);
    if (rc == 0)
        rc = store_open(&engine->store, &store, e);
    if (rc == 0 && engine->listen_fd < 0)
        rc = open_port(engine, config, &listen, e);
    engine->listens = engine->listen_fd >= 0;
    return rc == 0 ? settle(engine, config, e) : rc;
}

static int open_env(struct engine *engine, struct err *e)
{
    struct env_uv_config config = {
        .log = engine->store.log,
        .state = engine->store.state,
        .workers = engine->workers,
        .on_started = engine_on_started,
        .on_stopping = engine_on_stopping,
        .on_fatal = on_fatal,
        .context = engine,
    };
    int rc = env_uv_new(&engine->uv, &config, e);

    if (rc == 0)
        engine->env = env_uv_env(engine->uv);
    return rc;
}

int engine_open(struct engine **ret, const struct engine_config *config,
                struct err *e)
{
    struct engine *engine = mem_zalloc(sizeof *engine);
    pthread_condattr_t attr;
    int rc;

    engine->listen_fd = -1;
    TAILQ_INIT(&engine->early);
    (void)pthread_mutex_init(&engine->mutex, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&engine->changed, &attr);
    (void)pthread_condattr_destroy(&attr);

    rc = engine_set_options(engine, config, e);
    if (rc == 0)
        rc = open_all(engine, config, e);
    if (rc == 0)
        rc = open_env(engine, e);
    if (rc != 0) {
        engine_close(engine);
        return rc;
    }
    *ret = engine;
    return 0;
}

int engine_start(struct engine *engine, struct err *e)
{
    (void)e; /* Threads that cannot be started end the program. */
    env_uv_start(engine->uv);
    return 0;
}

void engine_close(struct engine *engine)
{
    if (engine == NULL)
        return;
    node_close(engine->node);
    bootstrap_free(engine->bootstrap);
    transport_free(engine->transport);
    env_uv_free(engine->uv);
    store_close(&engine->store);
    if (engine->listen_fd >= 0)
        (void)close(engine->listen_fd); /* Nothing was written to it. */
    (void)pthread_cond_destroy(&engine->changed);
    (void)pthread_mutex_destroy(&engine->mutex);
    free(engine);
}

/* ---- waiting ---- */

static struct timespec deadline_in(uint64_t delay_ms)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at); /* Cannot fail. */
    at.tv_sec += (time_t)(delay_ms / 1000);
    at.tv_nsec += (long)(delay_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

int engine_wait_ready(struct engine *engine, uint64_t timeout_ms, struct err *e)
{
    struct timespec until = deadline_in(timeout_ms);
    int late = 0;
    int rc;

    (void)pthread_mutex_lock(&engine->mutex);
    while (!engine->ready && engine->failed == 0 && late == 0)
        late = pthread_cond_timedwait(&engine->changed, &engine->mutex, &until);
    rc = engine->failed;
    if (rc != 0)
        rc = err_set(e, rc, "%s", engine->why);
    else if (!engine->ready)
        rc = err_set(e, ERR_NO_QUORUM,
                     "the cluster cannot be reached yet; see "
                     "/.cluster/health");
    (void)pthread_mutex_unlock(&engine->mutex);
    return rc;
}

/* ---- requests ---- */

/* Brings a call to the worker. */
struct errand {
    struct env_task task;
    struct engine *engine;
    struct request *request;
    uint64_t id;
};

static void post_errand(struct engine *engine,
                        void (*run)(struct env_task *task),
                        struct request *request, uint64_t id)
{
    struct errand *errand = mem_zalloc(sizeof *errand);

    errand->task.run = run;
    errand->engine = engine;
    errand->request = request;
    errand->id = id;
    env_post(engine->env, ENV_WORKER, &errand->task);
}

static void run_submit(struct env_task *task)
{
    struct errand *errand = container_of(task, struct errand, task);

    engine_run_submit(errand->engine, errand->request);
    free(errand);
}

static void run_cancel(struct env_task *task)
{
    struct errand *errand = container_of(task, struct errand, task);

    engine_run_cancel(errand->engine, errand->id);
    free(errand);
}

bool engine_submit(struct engine *engine, struct request *request)
{
    struct node *node = engine->node;

    assert(request->kind < REQUEST_KINDS);
    assert(request->done != NULL);
    request->ret_data = NULL;
    if (node != NULL && flows_try(node, request))
        return true;
    request->private =
        (void *)(uintptr_t)(atomic_fetch_add(&engine->flow_last, 1) + 1);
    post_errand(engine, run_submit, request, 0);
    return false;
}

void engine_cancel(struct engine *engine, struct request *request)
{
    post_errand(engine, run_cancel, NULL,
                (uint64_t)(uintptr_t)request->private);
}

/* ---- the rest ---- */

void engine_space_of(void *context, struct engine_space *ret)
{
    const struct engine *engine = context;
    struct statvfs fs;

    *ret = (struct engine_space){0};
    if (statvfs(engine->data_dir, &fs) != 0)
        return;
    ret->bytes_total = (uint64_t)fs.f_blocks * fs.f_frsize;
    ret->bytes_free = (uint64_t)fs.f_bavail * fs.f_frsize;
}

void engine_space(struct engine *engine, struct engine_space *ret_space)
{
    engine_space_of(engine, ret_space);
}

/* Given by options, by who let it join, or as the first one: founding does not
 * change it. */
uint64_t engine_node_id(const struct engine *engine)
{
    return engine->store.identity.node_id;
}

uint64_t engine_value_size_max(const struct engine *engine)
{
    return engine->value_size_max;
}

uint64_t engine_op_timeout_ms(const struct engine *engine)
{
    return engine->op_timeout_ms;
}

void engine_log_event(struct engine *engine, const char *format, ...)
{
    struct node *node = engine->node;
    char text[EVENT_TEXT_SIZE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args); /* Cut if long. */
    va_end(args);
    if (node != NULL)
        node_log_event(node, LOG_WARN, "%s", text);
    else
        log_line(LOG_WARN, "fs", "%s", text);
}

static void run_retire(struct env_task *task)
{
    struct errand *errand = container_of(task, struct errand, task);

    engine_run_retire(errand->engine);
    free(errand);
}

static void run_stop(struct env_task *task)
{
    struct errand *errand = container_of(task, struct errand, task);

    engine_run_stop(errand->engine);
    free(errand);
}

void engine_stop(struct engine *engine)
{
    struct timespec until = deadline_in((uint64_t)STOP_SECONDS_MAX * 1000);
    int late = 0;

    post_errand(engine, run_retire, NULL, 0);
    (void)pthread_mutex_lock(&engine->mutex);
    while (!engine->retired && late == 0)
        late = pthread_cond_timedwait(&engine->changed, &engine->mutex, &until);
    (void)pthread_mutex_unlock(&engine->mutex);
    post_errand(engine, run_stop, NULL, 0);
    env_uv_stop(engine->uv);
}
