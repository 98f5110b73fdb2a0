/* SPDX-License-Identifier: Apache-2.0 */

#include "pull_fixture.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "engine/eventual_exec.h"
#include "engine/keys.h"
#include "engine/modes.h"
#include "engine/wire.h"
#include "tests/sim/kv_mem.h"

enum { VERSION = 9 /* of the catalog */ };

static const uint64_t start_ns = 1000000000000000;

/* ---- node.h ---- */

struct env *node_env(struct node *node)
{
    return &node->fake.env;
}

uint64_t node_id(const struct node *node)
{
    return node->id;
}

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

struct eventual *node_eventual(const struct node *node)
{
    return node->eventual;
}

struct modes *node_modes(const struct node *node)
{
    return node->modes;
}

void node_flush_state(struct node *node)
{
    node->flushes++;
    if (node->holds_state)
        return;
    assert_int_equal(kv_flush(node->state, true, NULL), 0);
}

size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    for (size_t i = 0; i < node->cluster->count; i++)
        nodes[i] = i + 1;
    return node->cluster->count;
}

bool node_link_up(const struct node *node, uint64_t id)
{
    return !node->cluster->cut[node->id - 1][id - 1];
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    va_list arguments;

    (void)level;
    node->warnings++;
    va_start(arguments, format);
    (void)vsnprintf(node->warning, sizeof node->warning, format, arguments);
    va_end(arguments);
}

static void sent_free(struct sent *sent)
{
    buf_unref(sent->packet.header);
    buf_unref(sent->payload);
    free(sent);
}

static struct sent *sent_copy(const struct sent *from)
{
    struct sent *sent = mem_zalloc(sizeof *sent);

    *sent = *from;
    (void)buf_ref(sent->packet.header);
    (void)buf_ref(sent->payload);
    sent->packet.payloads = &sent->payload;
    return sent;
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    const struct sent sent = {
        .from = node->id,
        .to = to,
        .packet = {.type = type,
                   .header = header,
                   .payload_count = payload != NULL ? 1 : 0},
        .payload = payload,
    };
    struct sent *copy = sent_copy(&sent);

    assert_int_equal(channel, ENV_CHANNEL_RAFT);
    node->questions += type == WIRE_EVENTUAL_ASK;
    node->answers += type == WIRE_EVENTUAL_ANSWER;
    STAILQ_INSERT_TAIL(&node->cluster->queue, copy, link);
}

/* ---- writing a file is all that is executed ---- */

int eventual_execute(struct kv *state, const struct command *command,
                     struct eventual_outcome *ret)
{
    struct eventual_change *change = &ret->changes[0];
    int rc = eventual_get(state, NULL, command->dir, command->name, false,
                          &change->before);

    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    change->after = (struct eventual_record){
        .dir = command->dir,
        .name = command->name,
        .attr = {.ino = command->ino,
                 .mode = S_IFREG | 0644,
                 .size = command->data.size},
        .content = command->data,
    };
    ret->count = 1;
    return 0;
}

void eventual_outcome_release(struct eventual_outcome *outcome)
{
    eventual_release(&outcome->changes[0].before);
    result_release(&outcome->result);
}

/* ---- nodes ---- */

static bool clock_is_wrong(void *context)
{
    (void)context;
    return false;
}

static int read_clock(void *context, uint64_t *ret_wall_ns)
{
    struct node *node = context;

    *ret_wall_ns = env_wall_ns(&node->fake.env);
    return 0;
}

static bool disk_is_full(void *context)
{
    (void)context;
    return false;
}

static void flush(void *context)
{
    (void)context;
}

static void on_mode(void *context, uint64_t nsid, struct mode before,
                    struct mode mode)
{
    struct node *node = context;

    eventual_on_mode(node->eventual, nsid, before, mode);
}

static void put(struct kv_batch *batch, struct key key, struct slice value)
{
    kv_batch_put(batch, key_slice(&key), value);
}

/* Takes the record. */
static void apply(struct node *node, struct key key, struct buf *record,
                  uint64_t version)
{
    struct marker marker = {.index = 3, .term = 1, .version = version};
    struct kv_batch *batch = kv_batch_new(node->state);
    uint8_t bytes[MARKER_SIZE_MAX];

    put(batch, key, buf_slice(record));
    put(batch, key_marker(REGION_PLACEMENT),
        (struct slice){bytes, marker_encode(&marker, bytes)});
    assert_int_equal(kv_write(node->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    buf_unref(record);
}

static void apply_mode(struct node *node, struct mode mode, uint64_t version)
{
    struct directory directory = {.nsid = DIR, .parent = 1, .mode = mode};

    directory.name = slice_of("d");
    directory.attr.ino = ino_of_nsid(DIR);
    apply(node, key_directory(DIR), directory_encode(&directory), version);
    assert_int_equal(modes_follow(node->modes, node->state, DIR, version), 0);
}

void apply_strong(struct node *node, uint64_t version)
{
    apply_mode(node, (struct mode){.epoch = version}, version);
}

void apply_filling(struct node *node, uint64_t version)
{
    const struct mode mode = {MODE_STRONG, DIR, version, version};

    apply_mode(node, mode, version);
}

void apply_state(struct node *node, uint64_t id, enum node_state state,
                 uint64_t version)
{
    struct node_record record = {.id = id, .state = state, .epoch = version};

    apply(node, key_node(id), node_encode(&record), version);
    assert_int_equal(modes_follow(node->modes, node->state, 0, version), 0);
}

void apply_fence(struct node *node)
{
    apply_mode(node, (struct mode){MODE_FENCED, DIR, SINCE, FENCE}, FENCE);
}

static void start(struct node *node)
{
    struct eventual_config config = {.env = &node->fake.env,
                                     .node = node->id,
                                     .boot = ++node->config.identity.boot,
                                     .clock_is_wrong = clock_is_wrong,
                                     .read_clock = read_clock,
                                     .disk_is_full = disk_is_full,
                                     .flush = flush,
                                     .save_catalog = flush,
                                     .context = node};

    node->modes = config.modes = modes_new(node->id);
    node->eventual = eventual_new(&config);
    modes_watch(node->modes, on_mode, node);
    assert_int_equal(modes_load(node->modes, node->state), 0);
    assert_int_equal(eventual_open(node->eventual, NULL), 0);
    node->pulls = pulls_new(node);
    apply_mode(node, (struct mode){MODE_EVENTUAL, DIR, SINCE, VERSION},
               VERSION);
}

static void stop(struct node *node)
{
    pulls_stop(node->pulls);
    eventual_stop(node->eventual);
    fake_env_run(&node->fake);
    fake_env_forget(&node->fake);
    eventual_free(node->eventual);
    pulls_free(node->pulls);
    modes_free(node->modes);
    assert_int_equal(node->fake.fatal_count, 0);
}

void start_again(struct node *node, bool lost)
{
    stop(node);
    if (lost) {
        kv_close(node->state);
        kv_close(node->log);
        node->state = node->fake.env.state = kv_mem_new();
        node->log = node->fake.env.log = kv_mem_new();
    }
    start(node);
}

struct cluster *cluster_founded(size_t count)
{
    struct cluster *c = mem_zalloc(sizeof *c);

    c->count = count;
    STAILQ_INIT(&c->queue);
    for (size_t i = 0; i < count; i++) {
        struct node *node = &c->nodes[i];

        node->id = i + 1;
        node->cluster = c;
        node->log = kv_mem_new();
        node->state = kv_mem_new();
        fake_env_init(&node->fake, node->log, node->state);
        node->fake.now_ns = start_ns;
        start(node);
    }
    return c;
}

struct cluster *cluster_new(size_t count)
{
    struct cluster *c = cluster_founded(count);

    for (size_t i = 0; i < count; i++) {
        eventual_set_whole(c->nodes[i].eventual);
        fake_env_run(&c->nodes[i].fake);
    }
    pass(c, 100);
    return c;
}

static struct sent *take_sent(struct cluster *c)
{
    struct sent *sent = STAILQ_FIRST(&c->queue);

    if (sent != NULL)
        STAILQ_REMOVE_HEAD(&c->queue, link);
    return sent;
}

void cluster_free(struct cluster *c)
{
    struct sent *sent;

    for (size_t i = 0; i < PULL_NODES; i++) {
        if (c->nodes[i].id == 0)
            continue;
        stop(&c->nodes[i]);
        kv_close(c->nodes[i].state);
        kv_close(c->nodes[i].log);
    }
    while ((sent = take_sent(c)) != NULL)
        sent_free(sent);
    buf_unref(c->kept.packet.header);
    buf_unref(c->kept.payload);
    free(c);
}

struct node *node_of(struct cluster *c, uint64_t id)
{
    return &c->nodes[id - 1];
}

/* ---- what happens ---- */

static void run_nodes(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct node *node = &c->nodes[i];

        fake_env_run(&node->fake);
        while (!node->holds_log && node->fake.write_count > 0) {
            fake_env_sync(&node->fake, node->fake.write_count);
            fake_env_run(&node->fake);
        }
    }
}

static void deliver(struct cluster *c, struct sent *sent)
{
    if (!c->cut[sent->from - 1][sent->to - 1] &&
        (c->filter == NULL || c->filter(c, sent)))
        pulls_on_packet(node_of(c, sent->to)->pulls, sent->from, &sent->packet);
    sent_free(sent);
}

void settle(struct cluster *c)
{
    struct sent *sent;

    run_nodes(c);
    while ((sent = take_sent(c)) != NULL) {
        deliver(c, sent);
        run_nodes(c);
    }
}

void pass(struct cluster *c, unsigned ms)
{
    for (unsigned at = 0; at < ms; at += 100) {
        for (size_t i = 0; i < c->count; i++) {
            fake_env_pass(&c->nodes[i].fake, 100);
            pulls_tick(c->nodes[i].pulls);
        }
        settle(c);
    }
}

static void set_link(struct cluster *c, uint64_t a, uint64_t b, bool up)
{
    c->cut[a - 1][b - 1] = c->cut[b - 1][a - 1] = !up;
    pulls_on_link(node_of(c, a)->pulls, b, up);
    pulls_on_link(node_of(c, b)->pulls, a, up);
}

void cut(struct cluster *c, uint64_t a, uint64_t b)
{
    set_link(c, a, b, false);
}

void connect_again(struct cluster *c, uint64_t a, uint64_t b)
{
    set_link(c, a, b, true);
    settle(c);
}

void keep(struct cluster *c, const struct sent *sent)
{
    c->kept = *sent;
    (void)buf_ref(c->kept.packet.header);
    (void)buf_ref(c->kept.payload);
}

void deliver_kept(struct cluster *c)
{
    c->kept.packet.payloads = &c->kept.payload;
    pulls_on_packet(node_of(c, c->kept.to)->pulls, c->kept.from,
                    &c->kept.packet);
    settle(c);
}

/* ---- filters ---- */

bool drop_all(struct cluster *c, const struct sent *sent)
{
    (void)c;
    (void)sent;
    return false;
}

bool keep_one_answer(struct cluster *c, const struct sent *sent)
{
    if (sent->packet.type != WIRE_EVENTUAL_ANSWER || sent->to != 2)
        return true;
    if (c->kept.packet.header != NULL)
        return false;
    keep(c, sent);
    return true;
}
