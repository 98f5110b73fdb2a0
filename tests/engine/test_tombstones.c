/* SPDX-License-Identifier: Apache-2.0 */

/* What a node says and does for a replica that was removed from it, and of
 * which it has nothing but the tombstone. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/erase.h"
#include "engine/keys.h"
#include "engine/wire.h"
#include "raft/base/buf.h"
#include "tests/engine/kv_helpers.h"
#include "tests/engine/replicas_fixture.h"

enum { OTHER = 2, PEER = 30, INDEX = 12, TERM = 8 };

/* What was sent last, of what has to do with replicas. */
static struct {
    unsigned count;
    uint64_t to;
    uint16_t type;
    struct raft_message message; /* of WIRE_RAFT */
    struct peer_note note;       /* of WIRE_PEER_GONE */
} sent;

static struct env_ops ops;

static void take_message(void *context, const struct raft_envelope *envelope)
{
    (void)context;
    assert_int_equal(envelope->region, NEW_REGION);
    sent.message = envelope->message;
}

static void on_send(struct env *env, uint64_t node_id, enum env_channel channel,
                    const struct env_packet *packet)
{
    (void)env;
    (void)channel;
    if (packet->type != WIRE_RAFT && packet->type != WIRE_PEER_GONE)
        return;
    sent.count++;
    sent.to = node_id;
    sent.type = packet->type;
    if (packet->type == WIRE_RAFT)
        assert_int_equal(raft_batch_decode(packet, take_message, NULL), 0);
    else
        assert_int_equal(
            peer_note_decode(&sent.note, buf_slice(packet->header)), 0);
}

/* The node starts, with that tombstone of the region. */
static void open_behind(struct replicas_fixture *f, uint64_t peer)
{
    const struct tombstone tombstone = {peer, INDEX, TERM};
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = tombstone_encode(&tombstone, bytes);

    ops = *f->fake.env.ops;
    ops.send = on_send;
    f->fake.env.ops = &ops;
    sent.count = 0;
    put_record(f->fake.env.state, key_tombstone(NEW_REGION),
               (struct slice){bytes, size});
    open_node(f);
}

static void hear(struct replicas_fixture *f, enum raft_message_type type,
                 uint64_t peer)
{
    struct raft_message message = {
        .type = type, .from = 29, .to = peer, .term = TERM + 1};
    struct raft_batch *batch = raft_batch_new();
    struct env_packet packet;

    raft_batch_add(batch, NEW_REGION, &message);
    raft_batch_pack(batch, &packet);
    node_on_packet(f->node, OTHER, &packet);
    raft_batch_free(batch);
    settle(f);
}

static void ask(struct replicas_fixture *f)
{
    struct peer_note note = {.region = NEW_REGION, .peer = PEER};
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
    struct replicas_fixture *f = *state;

    open_behind(f, PEER);
    hear(f, RAFT_MSG_VOTE, PEER);

    assert_int_equal(sent.count, 1);
    assert_int_equal(sent.to, OTHER);
    assert_int_equal(sent.message.type, RAFT_MSG_VOTE_RESP);
    assert_int_equal(sent.message.from, PEER);
    assert_int_equal(sent.message.term, TERM + 1);
    assert_true(sent.message.reject);
}

/* The candidate may be the only one left that does not know of it. */
static void test_a_removed_replica_says_what_is_committed(void **state)
{
    struct replicas_fixture *f = *state;

    open_behind(f, PEER);
    hear(f, RAFT_MSG_PRE_VOTE, PEER);

    assert_int_equal(sent.message.type, RAFT_MSG_PRE_VOTE_RESP);
    assert_int_equal(sent.message.term, TERM);
    assert_true(sent.message.reject);
    assert_int_equal(sent.message.known_commit, INDEX);
    assert_int_equal(sent.message.known_commit_term, TERM);
}

/* ---- coming back ---- */

static void test_no_message_brings_a_removed_replica_back(void **state)
{
    struct replicas_fixture *f = *state;

    open_behind(f, PEER);
    hear(f, RAFT_MSG_HEARTBEAT, PEER);
    assert_null(node_any_peer(f->node, NEW_REGION));
    hear(f, RAFT_MSG_HEARTBEAT, PEER - 1);
    assert_null(node_any_peer(f->node, NEW_REGION));
}

static void test_a_newer_replica_may_come(void **state)
{
    struct replicas_fixture *f = *state;

    open_behind(f, PEER);
    hear(f, RAFT_MSG_HEARTBEAT, PEER + 1);

    assert_non_null(node_any_peer(f->node, NEW_REGION));
}

/* It has no state yet, but may have voted. */
static void test_a_newer_replica_is_still_there_after_a_crash(void **state)
{
    struct replicas_fixture *f = *state;

    open_behind(f, PEER);
    hear(f, RAFT_MSG_HEARTBEAT, PEER + 1);
    node_close(f->node);
    open_behind(f, PEER);

    assert_non_null(node_any_peer(f->node, NEW_REGION));
}

/* ---- asking ---- */

static void test_who_asks_hears_that_the_region_was_merged_away(void **state)
{
    struct replicas_fixture *f = *state;

    open_behind(f, TOMBSTONE_OF_ALL);
    ask(f);

    assert_int_equal(sent.count, 1);
    assert_int_equal(sent.type, WIRE_PEER_GONE);
    assert_int_equal(sent.note.peer, PEER);
    assert_int_equal(sent.note.index, INDEX);
    assert_int_equal(sent.note.term, TERM);
}

/* That one replica was removed here says nothing of another one. */
static void test_a_tombstone_of_one_replica_tells_nobody_else(void **state)
{
    struct replicas_fixture *f = *state;

    open_behind(f, PEER);
    ask(f);

    assert_int_equal(sent.count, 0);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_of_three, teardown)

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
