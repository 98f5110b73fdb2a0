/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/engine/kv_helpers.h"
#include "tests/engine/two_nodes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/sim/kv_mem.h"

/* ---- env.h ---- */

static struct node *node_of(struct env *env)
{
    return container_of(env, struct node, env);
}

static uint64_t fake_clock(struct env *env)
{
    return node_of(env)->all->now_ns;
}

static uint64_t fake_random(struct env *env)
{
    struct two_nodes *all = node_of(env)->all;

    all->random = all->random * UINT64_C(6364136223846793005) + 1;
    return all->random;
}

static void fake_post(struct env *env, enum env_owner owner,
                      struct env_task *task)
{
    STAILQ_INSERT_TAIL(&node_of(env)->tasks[owner], task, link);
}

static void fake_log_write(struct env *env, struct env_log_write *write)
{
    STAILQ_INSERT_TAIL(&node_of(env)->log_writes, write, link);
}

static void fake_send(struct env *env, uint64_t node_id,
                      enum env_channel channel, const struct env_packet *packet)
{
    struct packet *p = mem_zalloc(sizeof *p);

    (void)channel;
    assert_in_range(packet->payload_count, 0, ARRAY_SIZE(p->payloads));
    p->from = node_of(env)->id;
    p->to = node_id;
    p->packet = *packet;
    (void)buf_ref(packet->header);
    for (size_t i = 0; i < packet->payload_count; i++)
        p->payloads[i] = buf_ref(packet->payloads[i]);
    p->packet.payloads = p->payloads;
    STAILQ_INSERT_TAIL(&node_of(env)->all->packets, p, link);
}

static void fake_fatal(struct env *env, const char *reason)
{
    (void)fprintf(stderr, "fatal: %s\n", reason);
    node_of(env)->fatal_count++;
}

static void fake_timer_start(struct env *env, struct env_timer *timer,
                             uint64_t delay_ns)
{
    struct two_nodes *all = node_of(env)->all;

    timers_start(&all->timers, timer, all->now_ns + delay_ns);
}

static void fake_timer_stop(struct env *env, struct env_timer *timer)
{
    timers_stop(&node_of(env)->all->timers, timer);
}

static const struct env_ops fake_ops = {
    .timer_start = fake_timer_start,
    .timer_stop = fake_timer_stop,
    .mono_ns = fake_clock,
    .wall_ns = fake_clock,
    .random = fake_random,
    .post = fake_post,
    .log_write = fake_log_write,
    .send = fake_send,
    .fatal = fake_fatal,
};

/* ---- the queues ---- */

static bool run_tasks(struct node *node)
{
    bool any = false;

    for (size_t owner = 0; owner < ENV_OWNERS; owner++) {
        struct env_task *task = STAILQ_FIRST(&node->tasks[owner]);

        if (task == NULL || (owner >= ENV_APPLY && node->hold_apply) ||
            (owner != ENV_WORKER && owner == node->held) ||
            (owner == ENV_BULK && node->hold_install &&
             peer_is_restoring(node->peer)))
            continue;
        STAILQ_REMOVE_HEAD(&node->tasks[owner], link);
        task->run(task);
        any = true;
    }
    return any;
}

static bool run_log(struct node *node)
{
    struct env_log_write *write = STAILQ_FIRST(&node->log_writes);
    struct kv_batch *batch;

    if (write == NULL || node->hold_log)
        return false;
    STAILQ_REMOVE_HEAD(&node->log_writes, link);
    batch = kv_batch_new(node->env.log);
    write->fill(write, batch);
    assert_int_equal(kv_write(node->env.log, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    write->done(write);
    return true;
}

static void step(void *context, const struct raft_envelope *envelope)
{
    struct node *node = context;

    peer_step(node->peer, 3 - node->id, &envelope->message);
}

static void packet_free(struct packet *packet)
{
    buf_unref(packet->packet.header);
    for (size_t i = 0; i < packet->packet.payload_count; i++)
        buf_unref(packet->payloads[i]);
    free(packet);
}

static bool run_packet(struct two_nodes *all)
{
    struct packet *packet = STAILQ_FIRST(&all->packets);
    struct node *to;

    if (packet == NULL)
        return false;
    STAILQ_REMOVE_HEAD(&all->packets, link);
    if (packet->packet.type == WIRE_SNAPSHOT_CHUNK)
        all->chunk_count++;
    if (all->filter != NULL && !all->filter(all, packet)) {
        all->filtered++;
        packet_free(packet);
        return true;
    }
    to = &all->node[packet->to - 1];
    if (packet->packet.type != WIRE_RAFT)
        snapshots_on_packet(to->snapshots, packet->from, &packet->packet);
    else
        assert_int_equal(raft_batch_decode(&packet->packet, step, to), 0);
    packet_free(packet);
    return true;
}

void run(struct two_nodes *all)
{
    bool any = true;

    while (any) {
        any = run_packet(all);
        for (size_t i = 0; i < 2; i++) {
            any |= run_tasks(&all->node[i]);
            any |= run_log(&all->node[i]);
        }
    }
}

void tick(struct two_nodes *all)
{
    all->now_ns += (uint64_t)TICK_MS * 1000000;
    all->ticks++;
    timers_fire(&all->timers, all->now_ns);
    for (size_t i = 0; i < 2; i++) {
        peer_tick(all->node[i].peer);
        if (all->ticks % 10 == 0)
            snapshots_tick(all->node[i].snapshots);
    }
    run(all);
}

bool tick_until(struct two_nodes *all, bool (*done)(struct two_nodes *all),
                unsigned count)
{
    for (unsigned i = 0; i < count && !done(all); i++)
        tick(all);
    return done(all);
}

uint64_t follower_term(struct two_nodes *all)
{
    struct peer_status status;

    peer_status(all->node[FOLLOWER].peer, &status);
    return status.term;
}

uint64_t follower_first_index(struct two_nodes *all)
{
    struct peer_status status;

    peer_status(all->node[FOLLOWER].peer, &status);
    return status.first_index;
}

bool follower_is_restored(struct two_nodes *all)
{
    return peer_applied(all->node[FOLLOWER].peer) > LEADER_INDEX &&
           peer_applied(all->node[FOLLOWER].peer) ==
               peer_applied(all->node[LEADER].peer);
}

/* ---- content ---- */

static uint8_t content[CHUNK_SIZE];

void put_entries(struct node *node, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_record(node->env.state,
                   key_chunk(ENTRIES_NSID, slice_of("file"), (uint32_t)i),
                   (struct slice){content, sizeof content});
}

bool has_entries(struct node *node, size_t count)
{
    struct key lower = key_user('d', 0, slice_of(""));
    struct key upper = key_behind_namespace('d', UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(node->env.state, NULL, key_slice(&lower),
                                       key_slice(&upper));
    size_t found = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter))
        found += kv_iter_value(iter).size == sizeof content;
    kv_iter_free(iter);
    return found == count;
}

static void put_hard_state(struct node *node, const struct hard_state *hard)
{
    uint8_t small[MARKER_SIZE_MAX];
    size_t size = hard_state_encode(hard, small);

    put_record(node->env.log, key_hard_state(REGION_FIRST_DATA),
               (struct slice){small, size});
}

void put_term(struct node *node, uint64_t term)
{
    put_hard_state(node, &(struct hard_state){.term = term});
}

void append_entries(struct node *follower, size_t count, size_t committed_count)
{
    struct raft_message message = {.type = RAFT_MSG_APP,
                                   .from = LEADER_PEER,
                                   .to = FOLLOWER_PEER,
                                   .term = FOLLOWER_TERM + 1,
                                   .log_term = FOLLOWER_TERM,
                                   .index = FOLLOWER_INDEX,
                                   .commit = FOLLOWER_INDEX + committed_count};

    for (size_t i = 1; i <= count; i++)
        raft_entries_append(&message.entries,
                            &(struct raft_entry){.index = FOLLOWER_INDEX + i,
                                                 .term = FOLLOWER_TERM + 1});
    peer_step(follower->peer, LEADER + 1, &message);
    raft_entries_release(&message.entries);
}

/* ---- life ---- */

static const struct region region_both = {
    .id = REGION_FIRST_DATA,
    .conf_ver = 1,
    .version = 1,
    .peers = {{LEADER_PEER, 1, PEER_VOTER}, {FOLLOWER_PEER, 2, PEER_VOTER}},
    .peer_count = 2,
    .voters = {LEADER_PEER, FOLLOWER_PEER},
    .voter_count = 2,
};

static void put_region(struct node *node, const struct region *region)
{
    struct buf *bytes = region_encode(region);

    put_record(node->env.state, key_region(REGION_FIRST_DATA),
               buf_slice(bytes));
    buf_unref(bytes);
}

void put_region_alone(struct node *node)
{
    struct region region = region_both;

    region.peers[0].id = region.voters[0] =
        node->id == 1 ? LEADER_PEER : FOLLOWER_PEER;
    region.peers[0].node = node->id;
    region.peer_count = region.voter_count = 1;
    put_region(node, &region);
}

/* The user key of an entry; of `key`. */
static struct slice bound(struct key *key, const char *name)
{
    if (name == NULL)
        return (struct slice){NULL, 0};
    *key = key_user('d', ENTRIES_NSID, slice_of(name));
    return (struct slice){key->data + 1, key->size - 1};
}

void put_range(struct node *node, const char *start, const char *end)
{
    struct region region = region_both;
    struct key keys[2];

    region.start = bound(&keys[0], start);
    region.end = bound(&keys[1], end);
    put_region(node, &region);
}

void put_key(struct node *node, struct key key)
{
    put_record(node->env.state, key, slice_of("value"));
}

bool has_key(struct node *node, struct key key)
{
    return has_record(node->env.state, key);
}

static void found(struct node *node, uint64_t index, uint64_t term)
{
    struct marker marker = {.index = index, .term = term};
    struct log_start start = {.index = index, .term = term};
    uint8_t small[MARKER_SIZE_MAX];
    size_t size = marker_encode(&marker, small);

    put_region(node, &region_both);
    put_record(node->env.state, key_marker(REGION_FIRST_DATA),
               (struct slice){small, size});
    size = log_start_encode(&start, small);
    put_record(node->env.log, key_log_start(REGION_FIRST_DATA),
               (struct slice){small, size});
    put_hard_state(node, &(struct hard_state){.term = term, .commit = index});
}

static void begin_node(struct node *node)
{
    for (size_t i = 0; i < ENV_OWNERS; i++)
        STAILQ_INIT(&node->tasks[i]);
    STAILQ_INIT(&node->log_writes);
    node->snapshots = snapshots_new(node);
}

static void open_node(struct node *node)
{
    begin_node(node);
    assert_int_equal(peer_open(&node->peer, node, REGION_FIRST_DATA, NULL), 0);
}

static void close_node(struct node *node)
{
    snapshots_free(node->snapshots);
    peer_close(node->peer);
}

/* A log write that a crash drops is freed by nobody: its `done` would. */
static void drop_log_writes(struct node *node)
{
    struct env_log_write *write;

    while ((write = STAILQ_FIRST(&node->log_writes)) != NULL) {
        STAILQ_REMOVE_HEAD(&node->log_writes, link);
        free(write); /* The first member of what region_log.c allocated. */
    }
}

/* Entries that a crash keeps from being applied are freed by nobody. Here the
 * leak sanitizer finds them. */
static void drop_entries(struct node *node)
{
    enum { DROPPED_MAX = 64 };
    static const struct env_task *dropped[DROPPED_MAX] __attribute__((used));
    static size_t count;

    dropped[count++ % DROPPED_MAX] = STAILQ_FIRST(&node->tasks[ENV_APPLY]);
}

void restart(struct node *node)
{
    drop_log_writes(node);
    drop_entries(node);
    close_node(node);
    open_node(node);
}

static void clear(struct kv *kv)
{
    struct kv_batch *batch = kv_batch_new(kv);

    kv_batch_delete_range(batch, slice_of("A"), slice_of("z"));
    assert_int_equal(kv_write(kv, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
}

void begin_without_state(struct node *node, uint64_t peer_id)
{
    drop_log_writes(node);
    close_node(node);
    clear(node->env.log);
    clear(node->env.state);
    begin_node(node);
    assert_int_equal(
        peer_create(&node->peer, node, REGION_FIRST_DATA, peer_id, NULL), 0);
}

void make_learner(struct two_nodes *all)
{
    for (size_t i = 0; i < 2; i++) {
        struct region region = *peer_region(all->node[i].peer); /* borrows */

        region.peers[1].role = PEER_LEARNER;
        region.voter_count = 1;
        region.learners[0] = FOLLOWER_PEER;
        region.learner_count = 1;
        put_region(&all->node[i], &region);
        restart(&all->node[i]);
    }
}

struct two_nodes *two_nodes_new(void)
{
    struct two_nodes *all = mem_zalloc(sizeof *all);

    all->now_ns = 1000000000;
    STAILQ_INIT(&all->packets);
    timers_init(&all->timers);
    for (size_t i = 0; i < 2; i++) {
        struct node *node = &all->node[i];

        node->env = (struct env){&fake_ops, kv_mem_new(), kv_mem_new(), 1};
        node->id = i + 1;
        node->all = all;
        node->log_keep = LOG_KEEP_DEFAULT;
        found(node, i == LEADER ? LEADER_INDEX : FOLLOWER_INDEX,
              i == LEADER ? LEADER_TERM : FOLLOWER_TERM);
        open_node(node);
    }
    return all;
}

/* What is under way frees itself when it is done. */
static void finish(struct node *node)
{
    node->hold_apply = node->hold_install = node->hold_log = false;
    node->held = ENV_WORKER;
    while (run_tasks(node) || run_log(node))
        ;
}

void two_nodes_free(struct two_nodes *all)
{
    struct packet *packet;

    for (size_t i = 0; i < 2; i++)
        finish(&all->node[i]);
    while ((packet = STAILQ_FIRST(&all->packets)) != NULL) {
        STAILQ_REMOVE_HEAD(&all->packets, link);
        packet_free(packet);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(all->node[i].fatal_count, 0);
        close_node(&all->node[i]);
        kv_close(all->node[i].env.log);
        kv_close(all->node[i].env.state);
    }
    free(all);
}
