/* SPDX-License-Identifier: Apache-2.0 */

/* What a node says and does for a replica that was removed from it, and of
 * which it has nothing but the tombstone. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/erase.h"
#include "engine/founding.h"
#include "engine/keys.h"
#include "engine/node.h"
#include "engine/wire.h"
#include "raft/base/buf.h"
#include "raft/base/mem.h"
#include "tests/engine/fake_env.h"
#include "tests/sim/kv_mem.h"

enum { NODE = 1, OTHER = 2, REGION = 7, PEER = 30, INDEX = 12, TERM = 8 };

/* What was sent last. */
struct sent {
    unsigned count;
    uint64_t to;
    uint16_t type;
    struct raft_message message; /* of WIRE_RAFT */
    struct peer_note note;       /* of WIRE_PEER_GONE */
};

struct fixture {
    struct fake_env fake; /* first member */
    struct env_ops ops;
    struct identity identity;
    struct node *node;
    struct sent sent;
};

static void take_message(void *context, const struct raft_envelope *envelope)
{
    struct sent *sent = context;

    assert_int_equal(envelope->region, REGION);
    sent->message = envelope->message;
}

static void on_send(struct env *env, uint64_t node_id, enum env_channel channel,
                    const struct env_packet *packet)
{
    struct fixture *f = container_of(env, struct fixture, fake.env);

    (void)channel;
    if (packet->type != WIRE_RAFT && packet->type != WIRE_PEER_GONE)
        return; /* What a node says of itself. */
    f->sent.count++;
    f->sent.to = node_id;
    f->sent.type = packet->type;
    if (packet->type == WIRE_RAFT)
        assert_int_equal(raft_batch_decode(packet, take_message, &f->sent), 0);
    else
        assert_int_equal(peer_note_decode(&f->sent.note,
                                          (struct slice){packet->header->data,
                                                         packet->header->size}),
                         0);
}

static void found(struct fixture *f)
{
    struct founders founders;

    assert_int_equal(founders_parse(&founders, "1@a:1+2@b:2+3@c:3", NULL), 0);
    f->identity = (struct identity){.cluster_id = 1,
                                    .node_id = NODE,
                                    .boot = 1,
                                    .token_count = founders.count};
    assert_int_equal(founding_write(f->fake.env.log, f->fake.env.state,
                                    &f->identity, &founders, NULL),
                     0);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    fake_env_init(&f->fake, kv_mem_new(), kv_mem_new());
    f->ops = *f->fake.env.ops;
    f->ops.send = on_send;
    f->fake.env.ops = &f->ops;
    found(f);
    *state = f;
    return 0;
}

static void settle(struct fixture *f)
{
    fake_env_run(&f->fake);
    while (f->fake.write_count > 0) {
        fake_env_sync(&f->fake, SIZE_MAX);
        fake_env_run(&f->fake);
    }
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    settle(f);
    assert_int_equal(f->fake.fatal_count, 0);
    node_close(f->node);
    kv_close(f->fake.env.log);
    kv_close(f->fake.env.state);
    free(f);
    return 0;
}

/* The node starts, with that tombstone of the region. */
static void open_behind(struct fixture *f, uint64_t peer)
{
    struct node_config config = {
        .identity = f->identity, .advertise = "", .ino_next = 1};
    struct tombstone tombstone = {peer, INDEX, TERM};
    struct kv_batch *batch = kv_batch_new(f->fake.env.state);
    struct key key = key_tombstone(REGION);
    uint8_t bytes[MARKER_SIZE_MAX];

    kv_batch_put(batch, key_slice(&key),
                 (struct slice){bytes, tombstone_encode(&tombstone, bytes)});
    assert_int_equal(kv_write(f->fake.env.state, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    assert_int_equal(node_open(&f->node, &f->fake.env, &config, NULL), 0);
}

static void hear(struct fixture *f, enum raft_message_type type, uint64_t peer)
{
    struct raft_message message = {
        .type = type, .from = 29, .to = peer, .term = TERM + 1};
    struct raft_batch *batch = raft_batch_new();
    struct env_packet packet;

    raft_batch_add(batch, REGION, &message);
    raft_batch_pack(batch, &packet);
    node_on_packet(f->node, OTHER, &packet);
    raft_batch_free(batch);
    settle(f);
}

static void ask(struct fixture *f)
{
    struct peer_note note = {.region = REGION, .peer = PEER};
    struct env_packet packet = {.type = WIRE_PEER_QUERY,
                                .header = peer_note_encode(&note)};

    node_on_packet(f->node, OTHER, &packet);
    buf_unref(packet.header);
    settle(f);
}

/* ---- elections ---- */

/* Its vote could make a leader who lacks what is committed. */
static void test_a_removed_replica_votes_for_nobody(void **state)
{
    struct fixture *f = *state;

    open_behind(f, PEER);
    hear(f, RAFT_MSG_VOTE, PEER);

    assert_int_equal(f->sent.count, 1);
    assert_int_equal(f->sent.to, OTHER);
    assert_int_equal(f->sent.message.type, RAFT_MSG_VOTE_RESP);
    assert_int_equal(f->sent.message.from, PEER);
    assert_int_equal(f->sent.message.term, TERM + 1);
    assert_true(f->sent.message.reject);
}

/* The candidate may be the only one left that does not know of it. */
static void test_a_removed_replica_says_what_is_committed(void **state)
{
    struct fixture *f = *state;

    open_behind(f, PEER);
    hear(f, RAFT_MSG_PRE_VOTE, PEER);

    assert_int_equal(f->sent.message.type, RAFT_MSG_PRE_VOTE_RESP);
    assert_int_equal(f->sent.message.term, TERM);
    assert_true(f->sent.message.reject);
    assert_int_equal(f->sent.message.known_commit, INDEX);
    assert_int_equal(f->sent.message.known_commit_term, TERM);
}

/* ---- coming back ---- */

static void test_no_message_brings_a_removed_replica_back(void **state)
{
    struct fixture *f = *state;

    open_behind(f, PEER);
    hear(f, RAFT_MSG_HEARTBEAT, PEER);
    assert_null(node_any_peer(f->node, REGION));
    hear(f, RAFT_MSG_HEARTBEAT, PEER - 1);
    assert_null(node_any_peer(f->node, REGION));
}

static void test_a_newer_replica_may_come(void **state)
{
    struct fixture *f = *state;

    open_behind(f, PEER);
    hear(f, RAFT_MSG_HEARTBEAT, PEER + 1);

    assert_non_null(node_any_peer(f->node, REGION));
}

/* It has no state yet, but may have voted. */
static void test_a_newer_replica_is_still_there_after_a_crash(void **state)
{
    struct fixture *f = *state;

    open_behind(f, PEER);
    hear(f, RAFT_MSG_HEARTBEAT, PEER + 1);
    node_close(f->node);
    open_behind(f, PEER);

    assert_non_null(node_any_peer(f->node, REGION));
}

/* ---- asking ---- */

static void test_who_asks_hears_that_the_region_was_merged_away(void **state)
{
    struct fixture *f = *state;

    open_behind(f, TOMBSTONE_OF_ALL);
    ask(f);

    assert_int_equal(f->sent.count, 1);
    assert_int_equal(f->sent.type, WIRE_PEER_GONE);
    assert_int_equal(f->sent.note.peer, PEER);
    assert_int_equal(f->sent.note.index, INDEX);
    assert_int_equal(f->sent.note.term, TERM);
}

/* That one replica was removed here says nothing of another one. */
static void test_a_tombstone_of_one_replica_tells_nobody_else(void **state)
{
    struct fixture *f = *state;

    open_behind(f, PEER);
    ask(f);

    assert_int_equal(f->sent.count, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_removed_replica_votes_for_nobody),
        TEST(test_a_removed_replica_says_what_is_committed),
        TEST(test_no_message_brings_a_removed_replica_back),
        TEST(test_a_newer_replica_may_come),
        TEST(test_a_newer_replica_is_still_there_after_a_crash),
        TEST(test_who_asks_hears_that_the_region_was_merged_away),
        TEST(test_a_tombstone_of_one_replica_tells_nobody_else),
    };

    return cmocka_run_group_tests_name("tombstones", tests, NULL, NULL);
}
