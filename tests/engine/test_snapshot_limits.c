/* SPDX-License-Identifier: Apache-2.0 */

/* Many snapshot streams at once: how many a node sends and takes, and what
 * becomes of the others. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/engine/two_nodes.h"

enum {
    PATIENCE = 600, /* ticks */
    OTHER_NODE = 3, /* not there: what is sent to it is only looked at */
    BEGUN_MAX = 32
};

/* The streams that the leader has begun, in their order. */
static struct {
    uint64_t node;
    uint64_t stream;
} begun[BEGUN_MAX];
static size_t begun_count;

/* What the follower has said to them. */
static unsigned accepted_count;
static int refused_status;

static bool note_begin(struct packet *packet)
{
    const struct buf *header = packet->packet.header;
    struct snapshot_begin begin;

    assert_int_equal(snapshot_begin_decode(&begin, buf_slice(header)), 0);
    assert_in_range(begun_count, 0, BEGUN_MAX - 1);
    begun[begun_count].node = packet->to;
    begun[begun_count++].stream = begin.stream;
    snapshot_begin_release(&begin);
    return false;
}

static bool note_ack(struct packet *packet)
{
    const struct buf *header = packet->packet.header;
    struct snapshot_ack ack;

    assert_int_equal(snapshot_ack_decode(&ack, buf_slice(header)), 0);
    accepted_count += ack.accepted;
    refused_status = ack.status;
    return false;
}

static bool note(struct two_nodes *all, struct packet *packet)
{
    (void)all;
    switch (packet->packet.type) {
    case WIRE_SNAPSHOT_BEGIN:
        return note_begin(packet);
    case WIRE_SNAPSHOT_ACK:
        return note_ack(packet);
    default:
        return packet->to <= 2;
    }
}

static int setup(void **state)
{
    struct two_nodes *all = two_nodes_new();

    *state = all;
    if (!tick_until(all, follower_is_restored, PATIENCE))
        return -1;
    begun_count = 0;
    accepted_count = 0;
    refused_status = 0;
    all->chunk_count = 0;
    all->filter = note;
    return 0;
}

static int teardown(void **state)
{
    two_nodes_free(*state);
    return 0;
}

/* ---- sending ---- */

/* As if Raft had asked for it; `number` tells the streams apart. */
static void send(struct two_nodes *all, uint64_t to_node, uint64_t number)
{
    struct node *leader = &all->node[LEADER];
    struct raft_message message = {.type = RAFT_MSG_SNAP,
                                   .from = LEADER_PEER,
                                   .to = 100 + number,
                                   .term = LEADER_TERM + 1};

    snapshots_send(leader->snapshots, leader->peer, to_node, &message);
    run(all);
}

static void answer(struct two_nodes *all, size_t i, struct snapshot_ack ack)
{
    struct env_packet packet = {.type = WIRE_SNAPSHOT_ACK};

    ack.stream = begun[i].stream;
    packet.header = snapshot_ack_encode(&ack);
    snapshots_on_packet(all->node[LEADER].snapshots, begun[i].node, &packet);
    buf_unref(packet.header);
    run(all);
}

static size_t begun_to(uint64_t node)
{
    size_t count = 0;

    for (size_t i = 0; i < begun_count; i++)
        count += begun[i].node == node;
    return count;
}

static void test_a_node_gets_no_more_streams_at_once_than_two(void **state)
{
    struct two_nodes *all = *state;

    for (uint64_t i = 0; i < 5; i++)
        send(all, OTHER_NODE, i);
    assert_int_equal(begun_count, SNAPSHOT_SENDING_TO_ONE_MAX);
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots),
                     SNAPSHOT_SENDING_TO_ONE_MAX);
}

static void test_a_slow_node_leaves_turns_to_the_others(void **state)
{
    struct two_nodes *all = *state;

    for (uint64_t i = 0; i < 5; i++)
        send(all, OTHER_NODE, i);
    for (uint64_t i = 5; i < 10; i++)
        send(all, OTHER_NODE + 1, i);
    assert_int_equal(begun_to(OTHER_NODE + 1), SNAPSHOT_SENDING_TO_ONE_MAX);
}

static void test_a_node_sends_no_more_streams_at_once_than_four(void **state)
{
    struct two_nodes *all = *state;

    for (uint64_t i = 0; i < 10; i++)
        send(all, OTHER_NODE + i, i);
    assert_int_equal(begun_count, SNAPSHOT_SENDING_MAX);
}

static void test_the_end_of_a_stream_is_the_next_one_s_turn(void **state)
{
    struct two_nodes *all = *state;

    for (uint64_t i = 0; i < 5; i++)
        send(all, OTHER_NODE, i);
    answer(all, 0, (struct snapshot_ack){.status = ERR_BUSY});
    assert_int_equal(begun_count, SNAPSHOT_SENDING_TO_ONE_MAX + 1);
    assert_int_equal(all->node[LEADER].warning_count, 0);
    answer(all, 1, (struct snapshot_ack){.status = ERR_IO});
    assert_int_equal(begun_count, SNAPSHOT_SENDING_TO_ONE_MAX + 2);
    assert_int_equal(all->node[LEADER].warning_count, 1);
}

static void test_who_does_not_answer_loses_his_turn(void **state)
{
    struct two_nodes *all = *state;

    for (uint64_t i = 0; i < 5; i++)
        send(all, OTHER_NODE, i);
    for (unsigned i = 0; i < SNAPSHOT_STALL_MS / TICK_MS + 20; i++)
        tick(all);
    assert_int_equal(begun_count, 2 * SNAPSHOT_SENDING_TO_ONE_MAX);
}

/* All of it was sent: what is left is the other node's work. */
static void test_who_installs_takes_no_turn(void **state)
{
    struct two_nodes *all = *state;

    for (uint64_t i = 0; i < 3; i++)
        send(all, OTHER_NODE, i);
    answer(all, 0, (struct snapshot_ack){.accepted = true});
    assert_int_equal(all->chunk_count, 1); /* There is no more to send. */
    assert_int_equal(begun_count, SNAPSHOT_SENDING_TO_ONE_MAX + 1);
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots),
                     SNAPSHOT_SENDING_TO_ONE_MAX + 1);
    answer(all, 0, (struct snapshot_ack){.number = 0});
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots),
                     SNAPSHOT_SENDING_TO_ONE_MAX);
}

static void test_a_lost_connection_ends_what_waits_for_it(void **state)
{
    struct two_nodes *all = *state;

    for (uint64_t i = 0; i < 5; i++)
        send(all, OTHER_NODE, i);
    send(all, OTHER_NODE + 1, 5);
    snapshots_on_link_down(all->node[LEADER].snapshots, OTHER_NODE);
    run(all);
    assert_int_equal(begun_to(OTHER_NODE), SNAPSHOT_SENDING_TO_ONE_MAX);
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots), 1);
    assert_int_equal(all->node[LEADER].warning_count,
                     SNAPSHOT_SENDING_TO_ONE_MAX);
}

/* ---- taking ---- */

static uint64_t stream_last;

/* A stream of this region comes from the leader; its bounds are two letters
 * in the namespace of the entries. */
static void offer(struct two_nodes *all, uint64_t region, const char *bounds)
{
    struct key keys[2] = {
        key_user('d', ENTRIES_NSID, (struct slice){bounds, 1}),
        key_user('d', ENTRIES_NSID, (struct slice){bounds + 1, 1}),
    };
    struct snapshot_begin begin = {
        .stream = ++stream_last,
        .from_peer = LEADER_PEER,
        .to_peer = FOLLOWER_PEER,
        .index = LEADER_INDEX + 100,
        .term = LEADER_TERM,
        .raft_term = LEADER_TERM + 1,
        .region = *peer_region(all->node[LEADER].peer),
    };
    struct env_packet packet = {.type = WIRE_SNAPSHOT_BEGIN};

    begin.region.id = region;
    begin.region.start = (struct slice){keys[0].data + 1, keys[0].size - 1};
    begin.region.end = (struct slice){keys[1].data + 1, keys[1].size - 1};
    packet.header = snapshot_begin_encode(&begin);
    all->node[FOLLOWER].has_all_regions = true;
    snapshots_on_packet(all->node[FOLLOWER].snapshots, LEADER + 1, &packet);
    buf_unref(packet.header);
    run(all);
}

static void offer_many(struct two_nodes *all, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const char bounds[] = {(char)('a' + i), (char)('b' + i)};

        offer(all, 100 + i, bounds);
    }
}

static void test_a_node_takes_no_more_streams_at_once_than_four(void **state)
{
    struct two_nodes *all = *state;

    offer_many(all, SNAPSHOT_RECEIVING_MAX);
    assert_int_equal(accepted_count, SNAPSHOT_RECEIVING_MAX);
    assert_int_equal(refused_status, 0);
    offer(all, 200, "yz");
    assert_int_equal(accepted_count, SNAPSHOT_RECEIVING_MAX);
    assert_int_equal(refused_status, ERR_BUSY);
    snapshots_on_link_down(all->node[FOLLOWER].snapshots, LEADER + 1);
    run(all);
    offer(all, 200, "yz");
    assert_int_equal(accepted_count, SNAPSHOT_RECEIVING_MAX + 1);
    assert_int_equal(all->node[FOLLOWER].warning_count, 0);
}

/* It takes the place of the older one. */
static void test_a_newer_stream_of_a_region_needs_no_room(void **state)
{
    struct two_nodes *all = *state;

    offer_many(all, SNAPSHOT_RECEIVING_MAX);
    offer(all, 100, "ab");
    assert_int_equal(accepted_count, SNAPSHOT_RECEIVING_MAX + 1);
    assert_int_equal(snapshots_running(all->node[FOLLOWER].snapshots),
                     SNAPSHOT_RECEIVING_MAX);
}

static void test_region_0_does_not_wait_for_room(void **state)
{
    struct two_nodes *all = *state;

    offer_many(all, SNAPSHOT_RECEIVING_MAX);
    offer(all, REGION_PLACEMENT, "az");
    assert_int_equal(accepted_count, SNAPSHOT_RECEIVING_MAX + 1);
}

static void test_two_streams_that_overlap_are_not_taken_at_once(void **state)
{
    struct two_nodes *all = *state;

    offer(all, 100, "ac");
    offer(all, 101, "bd");
    assert_int_equal(accepted_count, 1);
    assert_int_equal(refused_status, ERR_EPOCH);
    offer(all, 102, "cd");
    assert_int_equal(accepted_count, 2);
}

static void test_a_stream_that_ends_leaves_its_range_to_others(void **state)
{
    struct two_nodes *all = *state;

    offer(all, 100, "ac");
    snapshots_on_link_down(all->node[FOLLOWER].snapshots, LEADER + 1);
    run(all);
    offer(all, 101, "bd");
    assert_int_equal(accepted_count, 2);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_node_gets_no_more_streams_at_once_than_two),
        TEST(test_a_slow_node_leaves_turns_to_the_others),
        TEST(test_a_node_sends_no_more_streams_at_once_than_four),
        TEST(test_the_end_of_a_stream_is_the_next_one_s_turn),
        TEST(test_who_does_not_answer_loses_his_turn),
        TEST(test_who_installs_takes_no_turn),
        TEST(test_a_lost_connection_ends_what_waits_for_it),
        TEST(test_a_node_takes_no_more_streams_at_once_than_four),
        TEST(test_a_newer_stream_of_a_region_needs_no_room),
        TEST(test_region_0_does_not_wait_for_room),
        TEST(test_two_streams_that_overlap_are_not_taken_at_once),
        TEST(test_a_stream_that_ends_leaves_its_range_to_others),
    };

    return cmocka_run_group_tests_name("snapshot limits", tests, NULL, NULL);
}
