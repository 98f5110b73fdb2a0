/* SPDX-License-Identifier: Apache-2.0 */

/* The engine's part on the worker: founding or opening the node, and what it
 * needs of the engine. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine_impl.h"
#include "engine/flow.h"
#include "engine/keys.h"
#include "engine/kv_rocks.h"

enum { ADDRESSES_MS = 1000, FIRST_READ_MS = 5000 };

/* ---- requests ---- */

void engine_run_submit(struct engine *engine, struct request *request)
{
    struct node *node = engine->node;

    if (engine->stopping) {
        request->status = ERR_CANCELED;
        request->done(request);
    } else if (node != NULL) {
        flows_submit(node_flows(node), request);
    } else {
        engine_early_submit(engine, request);
    }
}

void engine_run_cancel(struct engine *engine, uint64_t id)
{
    if (!engine_early_cancel(engine, id) && engine->node != NULL)
        flows_cancel(node_flows(engine->node), id);
}

/* ---- telling those who wait ---- */

static void set_failed(struct engine *engine, int code, const char *why)
{
    log_line(LOG_ERROR, "engine", "%s", why);
    (void)pthread_mutex_lock(&engine->mutex);
    engine->failed = code;
    (void)snprintf(engine->why, sizeof engine->why, "%s", why);
    (void)pthread_cond_broadcast(&engine->changed);
    (void)pthread_mutex_unlock(&engine->mutex);
}

static void set_flag(struct engine *engine, bool *flag)
{
    (void)pthread_mutex_lock(&engine->mutex);
    *flag = true;
    (void)pthread_cond_broadcast(&engine->changed);
    (void)pthread_mutex_unlock(&engine->mutex);
}

/* ---- this node's own address ---- */

static void address_told(struct router_call *call, int status,
                         const struct result *result, uint64_t index)
{
    (void)call;
    (void)result;
    (void)index;
    if (status != 0)
        log_line(LOG_WARN, "engine",
                 "the new address could not be stored: %s; it is told again "
                 "at the next start",
                 err_text(status));
}

static bool is_known_address(const struct engine *engine, const char *address)
{
    struct key key = key_node(engine->store.identity.node_id);
    struct node_record record = {0};
    struct kv_value value = {0};
    int rc = kv_get(engine->env->state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = node_decode(&record, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc == 0 && strcmp(record.address, address) == 0;
}

/* A node that has moved says where it is with advertise=. The others learn it
 * from the catalog; this node reaches them at their old addresses. One that was
 * alone without a port, and has one now, can be joined. */
static void tell_address(struct engine *engine)
{
    struct router_call *call = &engine->address_call;
    struct command command = {.op = COMMAND_NODE_UPDATE};
    char text[ADDRESS_TEXT_SIZE];

    command.address = slice_of(address_format(&engine->advertise, text));
    if (!engine->advertise_given &&
        !(engine->listens && is_known_address(engine, "")))
        return;
    if (is_known_address(engine, text))
        return;
    call->kind = CALL_PROPOSE;
    call->region = REGION_PLACEMENT;
    call->deadline_ns =
        env_mono_ns(engine->env) + engine->op_timeout_ms * 1000000;
    call->done = address_told;
    router_call(node_router(engine->node), call, &command);
}

static void read_root(struct engine *engine);

static void root_read(struct read_op *op, int status, struct result *result)
{
    struct engine *engine = container_of(op, struct engine, first_read);

    (void)result;
    if (status == 0) {
        log_line(LOG_INFO, "engine", "ready");
        set_flag(engine, &engine->ready);
        tell_address(engine);
    } else if (status != ERR_CANCELED) {
        read_root(engine);
    }
}

static void read_root(struct engine *engine)
{
    engine->first_command =
        (struct command){.op = COMMAND_GETATTR, .ino = ino_of_nsid(NSID_ROOT)};
    engine->first_read.command = &engine->first_command;
    engine->first_read.deadline_ns =
        env_mono_ns(engine->env) + (uint64_t)FIRST_READ_MS * 1000000;
    engine->first_read.done = root_read;
    reader_start(node_reader(engine->node), &engine->first_read);
}

/* ---- addresses ---- */

static void set_peer(struct engine *engine, uint64_t node_id, const char *text)
{
    struct address address;

    if (node_id == engine->store.identity.node_id || text[0] == '\0')
        return;
    if (address_parse(&address, text, NULL) == 0)
        transport_set_peer(engine->transport, node_id, address.host,
                           address.port);
}

/* The catalog knows where everybody is; it may change. */
static void set_peers(struct engine *engine)
{
    struct key lower = key_node(0);
    struct key upper = key_node(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(engine->env->state, NULL,
                                       key_slice(&lower), key_slice(&upper));

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct node_record record = {0};

        if (node_decode(&record, kv_iter_value(iter)) != 0)
            continue;
        if (record.state != NODE_REMOVED)
            set_peer(engine, record.id, record.address);
        else if (!node_link_up(engine->node, record.id))
            transport_remove_peer(engine->transport, record.id);
    }
    kv_iter_free(iter);
}

static void on_addresses(struct env_timer *timer)
{
    struct engine *engine = container_of(timer, struct engine, addresses);

    set_peers(engine);
    env_timer_start(engine->env, timer, (uint64_t)ADDRESSES_MS * 1000000);
}

/* ---- the node ---- */

static uint64_t memory_of(struct kv *kv)
{
    static const char *const properties[] = {
        "rocksdb.size-all-mem-tables", "rocksdb.block-cache-usage",
        "rocksdb.estimate-table-readers-mem"};
    uint64_t sum = 0;

    for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
        uint64_t bytes = 0;

        if (kv_rocks_property(kv, properties[i], &bytes))
            sum += bytes;
    }
    return sum;
}

static void print_metrics(void *context, FILE *out)
{
    struct engine *engine = context;
    struct env_uv_stats env;
    struct transport_stats net;

    env_uv_stats(engine->uv, &env);
    transport_stats(engine->transport, &net);
    (void)fprintf(out,
                  "# TYPE grovefs_log_syncs_total counter\n"
                  "grovefs_log_syncs_total %" PRIu64 "\n"
                  "# TYPE grovefs_log_writes_total counter\n"
                  "grovefs_log_writes_total %" PRIu64 "\n"
                  "# TYPE grovefs_log_bytes_total counter\n"
                  "grovefs_log_bytes_total %" PRIu64 "\n",
                  env.log_syncs, env.log_writes, env.log_bytes);
    (void)fprintf(out,
                  "# TYPE grovefs_store_memory_bytes gauge\n"
                  "grovefs_store_memory_bytes{store=\"log\"} %" PRIu64 "\n"
                  "grovefs_store_memory_bytes{store=\"state\"} %" PRIu64 "\n",
                  memory_of(engine->store.log), memory_of(engine->store.state));
    (void)fprintf(out,
                  "# TYPE grovefs_packets_sent_total counter\n"
                  "grovefs_packets_sent_total %" PRIu64 "\n"
                  "# TYPE grovefs_packets_received_total counter\n"
                  "grovefs_packets_received_total %" PRIu64 "\n"
                  "# TYPE grovefs_packets_dropped_total counter\n"
                  "grovefs_packets_dropped_total %" PRIu64 "\n"
                  "# TYPE grovefs_connections_malformed_total counter\n"
                  "grovefs_connections_malformed_total %" PRIu64 "\n",
                  net.packets_out, net.packets_in, net.dropped, net.malformed);
}

void engine_run_removed(void *context)
{
    struct engine *engine = context;
    char why[ENGINE_TEXT_SIZE];

    (void)snprintf(why, sizeof why,
                   "node %" PRIu64 " was removed from the cluster: with an "
                   "empty store it can join again, under a new id",
                   engine->store.identity.node_id);
    env_fatal(engine->env, why);
}

static void open_node(struct engine *engine)
{
    struct node_config config = {
        .identity = engine->store.identity,
        .advertise = "",
        .op_timeout_ms = engine->op_timeout_ms,
        .value_size_max = engine->value_size_max,
        .log_keep = engine->log_keep,
        .check_interval_ms = engine->check_interval_ms,
        .sleep_after_ms = SLEEP_AFTER_DEFAULT_MS,
        .alarm_ms = ALARM_DEFAULT_MS,
        .merge_after_ms = MERGE_AFTER_DEFAULT_MS,
        .results_held_max = RESULTS_HELD_DEFAULT,
        .ino_next = engine->store.ino_next,
        .removed = engine_run_removed,
        .space = engine_space_of,
        .metrics = print_metrics,
        .context = engine,
    };
    struct err e = ERR_INIT;
    struct node *node;
    struct request *request;

    if (node_open(&node, engine->env, &config, &e) != 0) {
        env_fatal(engine->env, e.text);
        return;
    }
    engine->node = node;
    node_start(node);
    for (size_t i = 0; i < engine->link_count; i++)
        node_on_link(node, engine->links[i], true);
    engine->addresses.fire = on_addresses;
    on_addresses(&engine->addresses);
    read_root(engine);
    while ((request = engine_early_take(engine)) != NULL)
        flows_submit(node_flows(node), request);
}

static void founded(void *context, int status, const struct identity *identity,
                    const char *why)
{
    struct engine *engine = context;
    struct err e = ERR_INIT;

    if (status != 0) {
        set_failed(engine, status, why);
        return;
    }
    engine->store.identity = *identity;
    if (founding_write(engine->store.log, engine->store.state, identity,
                       &engine->founders, &e) != 0) {
        env_fatal(engine->env, e.text);
        return;
    }
    transport_set_identity(engine->transport, identity->cluster_id);
    log_line(LOG_INFO, "engine", "founded cluster=%016" PRIx64,
             identity->cluster_id);
    open_node(engine);
}

static void start_bootstrap(struct engine *engine)
{
    struct bootstrap_config config = {
        .env = engine->env,
        .identity = engine->store.identity,
        .founders = engine->founders,
        .done = founded,
        .context = engine,
    };

    for (size_t i = 0; i < engine->founders.count; i++)
        set_peer(engine, engine->founders.founder[i].id,
                 engine->founders.founder[i].address);
    engine->bootstrap = bootstrap_new(&config);
    bootstrap_start(engine->bootstrap);
}

/* ---- start and stop ---- */

void engine_on_started(struct env_uv *uv, void *context)
{
    struct engine *engine = context;

    (void)uv;
    engine_net_start(engine);
    if (engine->store.identity.cluster_id != 0)
        open_node(engine);
    else
        start_bootstrap(engine);
}

static void retired(void *context)
{
    struct engine *engine = context;

    set_flag(engine, &engine->retired);
}

void engine_run_retire(struct engine *engine)
{
    if (engine->node != NULL)
        node_retire(engine->node, retired, engine);
    else
        retired(engine);
}

void engine_run_stop(struct engine *engine)
{
    engine->stopping = true;
    engine_early_stop(engine);
    env_timer_stop(engine->env, &engine->addresses);
    if (engine->node != NULL)
        node_stop(engine->node);
}

void engine_on_stopping(struct env_uv *uv, void *context)
{
    struct engine *engine = context;

    (void)uv;
    transport_stop(engine->transport);
}
