/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_start.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/keys.h"
#include "engine/settings.h"
#include "tests/sim/kv_mem.h"
#include "tests/sim/sim_history.h"
#include "tests/sim/sim_drain.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_watch.h"

enum { INO_BLOCK = 1 << 24 };

/* ---- the stores ---- */

static uint64_t draw_token(struct sim_loop *loop)
{
    return founding_token(sim_random(loop), UINT64_C(1700000000) * 1000000000);
}

static void put_setting(struct kv_batch *batch, enum setting setting,
                        uint64_t value)
{
    struct key key = key_setting(slice_of(setting_name(setting)));
    struct buf *bytes = setting_encode(value);

    kv_batch_put(batch, key_slice(&key),
                 (struct slice){bytes->data, bytes->size});
    buf_unref(bytes);
}

/* Some settings are there from the start, smaller than anybody could make them,
 * as here all is small and short. */
static int found(const struct sim_cluster *cluster, struct kv *log,
                 struct kv *state, const struct identity *identity,
                 struct err *e)
{
    const struct sim_plan *plan = cluster->plan;
    struct kv_batch *batch = kv_batch_new(state);
    int rc;

    put_setting(batch, SETTING_REGION_SIZE, plan->region_size);
    put_setting(batch, SETTING_DOWN_AFTER, plan->down_after_s);
    put_setting(batch, SETTING_AUTO_MERGE, plan->auto_merge);
    rc = kv_write(state, batch, KV_RELAXED, e);
    kv_batch_free(batch);
    if (rc != 0)
        return rc;
    return founding_write(log, state, identity, &cluster->founders, e);
}

static void found_at_once(struct sim_cluster *cluster)
{
    struct identity identity = {.token_count = cluster->founders.count};
    struct err e = ERR_INIT;

    for (size_t i = 0; i < cluster->founders.count; i++)
        identity.tokens[i] = draw_token(cluster->loop);
    identity.cluster_id =
        founding_cluster_id(&cluster->founders, identity.tokens);
    for (size_t i = 0; i < cluster->founders.count; i++) {
        struct sim_node *node = &cluster->nodes[i];
        int rc;

        identity.node_id = i + 1;
        identity.token = identity.tokens[i];
        rc = found(cluster, node->log, node->state_kv, &identity, &e);
        assert(rc == 0);
    }
}

void sim_start_make_stores(struct sim_cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        cluster->nodes[i].log = kv_mem_new();
        cluster->nodes[i].state_kv = kv_mem_new();
    }
    if (!cluster->plan->empty)
        found_at_once(cluster);
}

/* ---- identity: what store.c does ---- */

static bool read_identity(struct kv *log, struct identity *ret)
{
    struct key key = key_identity();
    struct kv_value value = {0};
    int rc = kv_get(log, NULL, key_slice(&key), &value);

    if (rc != 0)
        return false;
    rc = identity_decode(ret, (struct slice){value.data, value.size});
    assert(rc == 0);
    kv_value_release(&value);
    return true;
}

static void write_identity(struct kv *log, const struct identity *identity)
{
    struct key key = key_identity();
    struct kv_batch *batch = kv_batch_new(log);
    struct buf *bytes = identity_encode(identity);

    kv_batch_put(batch, key_slice(&key),
                 (struct slice){bytes->data, bytes->size});
    (void)kv_write(log, batch, KV_SYNCED, NULL); /* Does not fail yet. */
    kv_batch_free(batch);
    buf_unref(bytes);
}

/* A little more than half a block is left at the start, so that the next one
 * is leased soon. */
static void count_boot(struct sim_node *node)
{
    struct identity identity = {.node_id = node->number + 1};

    if (!read_identity(node->log, &identity))
        identity.token = draw_token(node->machine.loop);
    if (node->identity.ino_bound != 0 &&
        identity.ino_bound > node->identity.ino_bound)
        sim_seen(SEEN_INO_LEASED);
    identity.boot++;
    node->ino_next = identity.ino_bound != 0 ? identity.ino_bound : 2;
    identity.ino_bound =
        node->ino_next + INO_BLOCK / 2 + sim_pick(node->machine.loop, 20);
    write_identity(node->log, &identity);
    node->identity = identity;
}

/* ---- the node: what engine_run.c does ---- */

static void disk_space(void *context, struct engine_space *ret)
{
    const struct sim_machine *machine = &((struct sim_node *)context)->machine;

    ret->bytes_total = UINT64_C(1) << 40;
    ret->bytes_free =
        machine->disk_full_until_ns > machine->loop->now_ns ? 0 : 1 << 30;
}

static void open_node(struct sim_node *node)
{
    const struct sim_plan *plan = node->cluster->plan;
    struct node_config config = {
        .identity = node->identity,
        .advertise = "",
        .op_timeout_ms = plan->op_timeout_ms,
        .value_size_max = SIM_VALUE_MAX,
        .log_keep = plan->log_keep,
        .check_interval_ms = plan->check_interval_ms,
        .sleep_after_ms = plan->sleep_after_ms,
        .alarm_ms = plan->alarm_ms,
        .merge_after_ms = plan->merge_after_ms,
        .results_held_max = plan->results_held_max,
        .ino_next = node->ino_next,
        .removed = sim_drain_removed,
        .space = disk_space,
        .context = node,
    };
    struct err e = ERR_INIT;

    if (node_open(&node->node, &node->env->env, &config, &e) != 0)
        sim_fail(node->machine.loop, "node %zu does not open: %s",
                 node->number + 1, e.text);
    sim_watch_start(node->cluster->watch, node);
    node_start(node->node);
    node->state = SIM_UP;
    for (size_t i = 0; i < plan->nodes; i++)
        if (node->linked[i])
            node_on_link(node->node, i + 1, true);
}

static void founded(void *context, int status, const struct identity *identity,
                    const char *why)
{
    struct sim_node *node = context;

    if (status != 0)
        sim_fail(node->machine.loop, "node %zu is refused: %s",
                 node->number + 1, why);
    node->identity = *identity;
    /* A disk that fails ends the node in here. */
    (void)found(node->cluster, node->env->env.log, node->env->env.state,
                identity, NULL);
    sim_seen(SEEN_FOUNDED);
    sim_note(node->machine.loop, "node %zu: founded cluster %016" PRIx64,
             node->number + 1, identity->cluster_id);
    open_node(node);
}

static void start_bootstrap(struct sim_node *node)
{
    struct bootstrap_config config = {
        .env = &node->env->env,
        .identity = node->identity,
        .founders = node->cluster->founders,
        .done = founded,
        .context = node,
    };

    node->state = SIM_FOUNDING;
    node->bootstrap = bootstrap_new(&config);
    bootstrap_start(node->bootstrap);
}

/* ---- joining: what join.c does ---- */

struct sim_joiner {
    struct sim_node *node;
    struct env_timer timer;
};

/* Any node with a lower number; not all of them are up. */
static void ask(struct env_timer *timer)
{
    struct sim_joiner *joiner = container_of(timer, struct sim_joiner, timer);
    struct sim_node *node = joiner->node;
    struct env *env = &node->env->env;
    struct join_request request = {.token = node->identity.token,
                                   .address = "10.0.0.0:7420"};
    struct env_packet packet = {.type = WIRE_JOIN,
                                .header = join_request_encode(&request)};

    env_send(env, 1 + sim_pick(node->machine.loop, node->number),
             ENV_CHANNEL_RAFT, &packet);
    buf_unref(packet.header);
    env_timer_start(env, timer,
                    sim_between(node->machine.loop, 100, 1500) * sim_ms);
}

static void start_joining(struct sim_node *node)
{
    node->state = SIM_JOINING;
    node->joiner = mem_zalloc(sizeof *node->joiner);
    node->joiner->node = node;
    node->joiner->timer.fire = ask;
    ask(&node->joiner->timer);
}

void sim_start_free_joiner(struct sim_node *node)
{
    free(node->joiner);
    node->joiner = NULL;
}

/* Who has asked again gets the same id; nobody else does. */
static void check_answer(struct sim_node *node,
                         const struct join_answer *answer)
{
    if (answer->status != 0 && answer->status != ERR_NO_QUORUM &&
        answer->status != ERR_UNKNOWN_OUTCOME)
        sim_fail(node->machine.loop, "node %zu is not let in: %s",
                 node->number + 1, err_text(answer->status));
    if (answer->status == 0 && answer->node != node->number + 1)
        sim_fail(node->machine.loop, "node %zu has got the id %" PRIu64,
                 node->number + 1, answer->node);
}

/* The connections of a guest end: it comes as another one. */
static void on_joined(struct sim_node *node, const struct env_packet *packet)
{
    struct join_answer answer;

    if (packet->type != WIRE_JOINED ||
        join_answer_decode(&answer, (struct slice){packet->header->data,
                                                   packet->header->size}) != 0)
        return;
    check_answer(node, &answer);
    if (answer.status != 0)
        return;
    env_timer_stop(&node->env->env, &node->joiner->timer);
    node->identity.cluster_id = answer.cluster_id;
    write_identity(node->env->env.log, &node->identity);
    sim_seen(SEEN_JOINED);
    sim_note(node->machine.loop, "node %zu: joined", node->number + 1);
    sim_net_drop(node->cluster->net, node->number, false);
    open_node(node);
}

void sim_node_start(struct sim_node *node)
{
    assert(node->state == SIM_DOWN);
    count_boot(node);
    sim_note(node->machine.loop, "node %zu: start, boot %" PRIu64,
             node->number + 1, node->identity.boot);
    node->env = sim_env_new(&node->machine, node->log, node->state_kv);
    node->log = node->state_kv = NULL;
    node->starts++;
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        node->linked[i] = false;
    sim_env_enter(node->env, ENV_WORKER);
    if (node->identity.cluster_id != 0)
        open_node(node);
    else if (sim_node_is_member(node))
        start_bootstrap(node);
    else
        start_joining(node);
    sim_env_leave(node->env);
}

void sim_start_on_packet(struct sim_node *node, uint64_t from,
                         const struct env_packet *packet)
{
    if (node->state == SIM_JOINING)
        on_joined(node, packet);
    else if (node->node == NULL)
        bootstrap_on_packet(node->bootstrap, packet);
    else if (packet->type == WIRE_BOOT)
        bootstrap_answer(&node->env->env, &node->identity, from, packet);
    else
        node_on_packet(node->node, from, packet);
}
