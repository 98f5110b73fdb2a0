/* SPDX-License-Identifier: Apache-2.0 */

/* The stream that brings a follower a snapshot, from the election to the first
 * entry behind the snapshot, and what can go wrong on the way. What the
 * follower makes of it is in test_snapshot_install.c. */

#include "snapshot_fixture.h"

static void test_a_snapshot_brings_the_follower_up_to_date(void **state)
{
    struct two_nodes *all = *state;

    assert_restored(all);
    assert_int_equal(snapshots_sent(all), 1);
    assert_in_range(all->chunk_count, 6, 7);
}

/* The first burst goes at once, the rest at its pace. */
static void test_a_large_snapshot_leaves_time_to_others(void **state)
{
    struct two_nodes *all = *state;
    unsigned burst = SNAPSHOT_BURST_BYTES / SNAPSHOT_CHUNK_BYTES;
    unsigned in_a_tick =
        SNAPSHOT_BYTES_PER_S / SNAPSHOT_CHUNK_BYTES * TICK_MS / 1000;
    unsigned ticks = 0;

    put_entries(&all->node[LEADER], 8 * ENTRIES);
    for (unsigned i = 0; i < PATIENCE; i++) {
        unsigned before = all->chunk_count;

        tick(all);
        assert_in_range(all->chunk_count - before, 0,
                        before == 0 ? burst + 1 : in_a_tick + 1);
        ticks += all->chunk_count > before;
    }
    assert_in_range(ticks, 1 + (all->chunk_count - burst) / (in_a_tick + 1),
                    2 + (all->chunk_count - burst) / in_a_tick);
    assert_true(has_entries(&all->node[FOLLOWER], 8 * ENTRIES));
}

static void test_what_was_restored_survives_a_restart(void **state)
{
    struct two_nodes *all = *state;

    assert_restored(all);
    restart(&all->node[FOLLOWER]);
    assert_true(peer_applied(all->node[FOLLOWER].peer) >= LEADER_INDEX);
    assert_restored(all);
    assert_int_equal(snapshots_sent(all), 1);
}

/* ---- packets ---- */

static bool lose_third_chunk(struct two_nodes *all, struct packet *packet)
{
    return packet->packet.type != WIRE_SNAPSHOT_CHUNK || all->chunk_count != 3;
}

static void test_a_lost_chunk_ends_the_stream_and_the_next_succeeds(void **s)
{
    struct two_nodes *all = *s;

    all->filter = lose_third_chunk;
    assert_restored(all);
    assert_int_equal(all->filtered, 1);
    assert_int_equal(snapshots_sent(all), 2);
}

static bool damage_second_chunk(struct two_nodes *all, struct packet *packet)
{
    struct buf *damaged;

    if (packet->packet.type != WIRE_SNAPSHOT_CHUNK || all->chunk_count != 2)
        return true;
    damaged = buf_copy(packet->payloads[0]->data, packet->payloads[0]->size);
    damaged->data[damaged->size - 1] ^= 4; /* Of a value. */
    buf_unref(packet->payloads[0]);
    packet->payloads[0] = damaged;
    return true;
}

static void test_a_damaged_chunk_is_not_taken(void **state)
{
    struct two_nodes *all = *state;

    all->filter = damage_second_chunk;
    assert_restored(all);
    assert_int_equal(snapshots_sent(all), 2);
}

static bool repeat(struct two_nodes *all, struct packet *packet)
{
    struct node *to = &all->node[packet->to - 1];

    if (packet->packet.type != WIRE_RAFT)
        snapshots_on_packet(to->snapshots, packet->from, &packet->packet);
    return true;
}

static void test_packets_that_come_twice_count_once(void **state)
{
    struct two_nodes *all = *state;

    all->filter = repeat;
    assert_restored(all);
    assert_int_equal(snapshots_sent(all), 1);
}

static bool lose_acks_of_chunks(struct two_nodes *all, struct packet *packet)
{
    const struct buf *header = packet->packet.header;
    struct snapshot_ack ack;

    (void)all;
    if (packet->packet.type != WIRE_SNAPSHOT_ACK)
        return true;
    assert_int_equal(snapshot_ack_decode(&ack, buf_slice(header)), 0);
    return ack.accepted;
}

static bool lose_acks(struct two_nodes *all, struct packet *packet)
{
    (void)all;
    return packet->packet.type != WIRE_SNAPSHOT_ACK;
}

static bool has_lost_one(struct two_nodes *all)
{
    return all->filtered > 0;
}

/* Both ends give up, what the follower had stays, and the window was kept. */
static void test_a_stream_without_acknowledgments_stalls(void **state)
{
    struct two_nodes *all = *state;

    all->filter = lose_acks_of_chunks;
    assert_true(tick_until(all, has_lost_one, PATIENCE));
    assert_int_equal(all->chunk_count, SNAPSHOT_WINDOW);
    for (unsigned i = 0; i < 100; i++)
        tick(all);
    assert_int_equal(snapshots_sent(all), 1);
    assert_true(has_entries(&all->node[FOLLOWER], OLD_ENTRIES));
    all->filter = NULL;
    assert_restored(all);
    assert_int_equal(snapshots_sent(all), 2);
}

/* Nothing was read for it. */
static void test_a_stream_that_is_not_accepted_stalls(void **state)
{
    struct two_nodes *all = *state;

    all->filter = lose_acks;
    assert_true(tick_until(all, tries_again, 4 * PATIENCE));
    assert_int_equal(all->chunk_count, 0);
    all->filter = NULL;
    assert_restored(all);
}

/* The follower's word that it has given up is lost, too. */
static void test_a_leader_that_hears_nothing_begins_anew(void **state)
{
    struct two_nodes *all = *state;

    all->filter = lose_acks_of_chunks;
    assert_true(tick_until(all, tries_again, 4 * PATIENCE));
    all->filter = NULL;
    assert_restored(all);
}

/* Raft knows of the newer one only: a report would end that. */
static void test_a_replaced_stream_is_not_reported(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    struct raft_message message = {.type = RAFT_MSG_SNAP,
                                   .from = LEADER_PEER,
                                   .to = FOLLOWER_PEER,
                                   .term = LEADER_TERM + 1};

    all->filter = lose_acks_of_chunks;
    assert_true(tick_until(all, has_lost_one, PATIENCE));
    snapshots_send(leader->snapshots, leader->peer, 2, &message);
    for (unsigned i = 0; i < 20; i++)
        tick(all);
    assert_int_equal(snapshots_sent(all), 1);
    assert_int_equal(snapshots_running(leader->snapshots), 1);
    all->filter = NULL;
    assert_restored(all);
}

static void test_a_lost_connection_ends_the_streams_at_both_ends(void **state)
{
    struct two_nodes *all = *state;

    all->filter = lose_acks_of_chunks;
    assert_true(tick_until(all, has_lost_one, PATIENCE));
    snapshots_on_link_down(all->node[LEADER].snapshots, 2);
    snapshots_on_link_down(all->node[FOLLOWER].snapshots, 1);
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots), 0);
    assert_int_equal(snapshots_running(all->node[FOLLOWER].snapshots), 0);
    all->filter = NULL;
    assert_restored(all);
}

/* ---- the end ---- */

static bool is_streaming(struct two_nodes *all)
{
    return all->chunk_count > 0;
}

static void test_both_ends_can_be_closed_in_the_middle(void **state)
{
    struct two_nodes *all = *state;

    all->filter = lose_acks_of_chunks;
    assert_true(tick_until(all, is_streaming, PATIENCE));
    snapshots_stop(all->node[LEADER].snapshots);
    snapshots_stop(all->node[FOLLOWER].snapshots);
    run(all);
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots), 0);
    assert_int_equal(snapshots_running(all->node[FOLLOWER].snapshots), 0);
    assert_true(has_entries(&all->node[FOLLOWER], OLD_ENTRIES));
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_snapshot, teardown_snapshot)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_snapshot_brings_the_follower_up_to_date),
        TEST(test_a_large_snapshot_leaves_time_to_others),
        TEST(test_what_was_restored_survives_a_restart),
        TEST(test_a_lost_chunk_ends_the_stream_and_the_next_succeeds),
        TEST(test_a_damaged_chunk_is_not_taken),
        TEST(test_packets_that_come_twice_count_once),
        TEST(test_a_stream_without_acknowledgments_stalls),
        TEST(test_a_stream_that_is_not_accepted_stalls),
        TEST(test_a_leader_that_hears_nothing_begins_anew),
        TEST(test_a_replaced_stream_is_not_reported),
        TEST(test_a_lost_connection_ends_the_streams_at_both_ends),
        TEST(test_both_ends_can_be_closed_in_the_middle),
    };

    return cmocka_run_group_tests_name("snapshot stream", tests, NULL, NULL);
}
