/* SPDX-License-Identifier: Apache-2.0 */

/* A follower that only a snapshot can help, from the election to the first
 * entry behind the snapshot, with everything that can go wrong in between. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/engine/two_nodes.h"
#include "tests/sim/kv_mem.h"

enum {
    ENTRIES = 100,
    OLD_ENTRIES = 3,
    PATIENCE = 600 /* ticks */
};

static int setup(void **state)
{
    struct two_nodes *all = two_nodes_new();

    put_entries(&all->node[LEADER], ENTRIES);
    put_entries(&all->node[FOLLOWER], OLD_ENTRIES);
    *state = all;
    return 0;
}

static int teardown(void **state)
{
    two_nodes_free(*state);
    return 0;
}

static uint64_t snapshots_sent(struct two_nodes *all)
{
    struct peer_status status;

    peer_status(all->node[LEADER].peer, &status);
    return status.snapshots_sent;
}

static bool tries_again(struct two_nodes *all)
{
    return snapshots_sent(all) > 1;
}

/* And nothing is left running. */
static void assert_restored(struct two_nodes *all)
{
    assert_true(tick_until(all, follower_is_restored, PATIENCE));
    for (unsigned i = 0; i < 20; i++)
        tick(all);
    assert_true(has_entries(&all->node[FOLLOWER], ENTRIES));
    assert_true(follower_first_index(all) > LEADER_INDEX);
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots), 0);
    assert_int_equal(snapshots_running(all->node[FOLLOWER].snapshots), 0);
}

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

static struct key entry(const char *name)
{
    return key_user('d', ENTRIES_NSID, slice_of(name));
}

/* Of what lies behind the new end nothing stays but what is another's. */
static void test_a_snapshot_of_a_smaller_range_clears_the_rest(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    put_key(follower, entry("k"));
    put_key(follower, key_user('x', ENTRIES_NSID, slice_of("z")));
    put_key(follower, key_sender(REGION_FIRST_DATA + 1, 1));
    put_range(&all->node[LEADER], NULL, "k");
    assert_restored(all);
    assert_false(has_key(follower, entry("k")));
    assert_false(has_key(follower, key_user('x', ENTRIES_NSID, slice_of("z"))));
    assert_true(has_key(follower, key_sender(REGION_FIRST_DATA + 1, 1)));
    assert_int_equal(peer_region(follower->peer)->end.size, 9);
}

/* What is in neither range is none of its business. */
static void test_a_snapshot_of_a_larger_range_leaves_the_others_alone(void **s)
{
    struct two_nodes *all = *s;
    struct node *follower = &all->node[FOLLOWER];

    put_range(follower, "a", "g");
    restart(follower);
    put_key(follower, entry("Z"));
    put_key(follower, entry("h"));
    put_key(follower, entry("k"));
    put_range(&all->node[LEADER], "b", "k");
    assert_restored(all);
    assert_true(has_key(follower, entry("Z")));
    assert_false(has_key(follower, entry("h")));
    assert_true(has_key(follower, entry("k")));
}

static bool is_restoring(struct two_nodes *all)
{
    return peer_is_restoring(all->node[FOLLOWER].peer);
}

/* It has no range yet: not the whole one. */
static void test_the_first_snapshot_leaves_the_others_alone(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    begin_without_state(follower, FOLLOWER_PEER);
    put_key(follower, entry("h"));
    put_range(&all->node[LEADER], NULL, "h");
    assert_restored(all);
    assert_true(has_key(follower, entry("h")));
}

/* The old range, too, as it was. */
static void test_a_crash_before_the_switch_leaves_the_old_range(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    put_key(follower, entry("k"));
    put_range(&all->node[LEADER], NULL, "k");
    follower->hold_install = true;
    assert_true(tick_until(all, is_restoring, PATIENCE));
    follower->hold_install = false;
    restart(follower);
    assert_true(has_entries(follower, OLD_ENTRIES));
    assert_true(has_key(follower, entry("k")));
    assert_int_equal(peer_region(follower->peer)->end.size, 0);
    snapshots_on_link_down(all->node[LEADER].snapshots, 2);
    assert_restored(all);
    assert_false(has_key(follower, entry("k")));
}

/* What is there when a stream is not to be. */
static const struct region neighbour = {
    .id = 7, .start = {"m", 1}, .end = {"n", 1}, .peer_count = 1};

static void assert_put_off_for_the_neighbour(struct two_nodes *all)
{
    assert_true(tick_until(all, tries_again, PATIENCE));
    assert_true(has_entries(&all->node[FOLLOWER], OLD_ENTRIES));
    assert_int_equal(all->node[LEADER].warning_count, 0);
    assert_int_equal(all->node[FOLLOWER].warning_count, 0);
}

static void test_a_snapshot_over_another_region_waits_until_it_is_gone(void **s)
{
    struct two_nodes *all = *s;

    all->node[FOLLOWER].neighbour = &neighbour;
    assert_put_off_for_the_neighbour(all);
    all->node[FOLLOWER].neighbour = NULL;
    assert_restored(all);
}

static bool get_neighbour_at_chunks(struct two_nodes *all,
                                    struct packet *packet)
{
    if (packet->packet.type == WIRE_SNAPSHOT_CHUNK)
        all->node[FOLLOWER].neighbour = &neighbour;
    return true;
}

static void test_a_region_that_comes_under_a_stream_keeps_its_keys(void **state)
{
    struct two_nodes *all = *state;

    all->filter = get_neighbour_at_chunks;
    assert_put_off_for_the_neighbour(all);
    all->filter = NULL;
    all->node[FOLLOWER].neighbour = NULL;
    assert_restored(all);
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

/* ---- crashes ---- */

static bool has_switched(struct two_nodes *all)
{
    return has_entries(&all->node[FOLLOWER], ENTRIES);
}

static bool hold_log_at_chunks(struct two_nodes *all, struct packet *packet)
{
    if (packet->packet.type == WIRE_SNAPSHOT_CHUNK)
        all->node[FOLLOWER].hold_log = true;
    return true;
}

/* The new state is there, the log is still the old one. */
static void test_a_crash_before_the_log_is_reset_is_repaired(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    all->filter = hold_log_at_chunks;
    assert_true(tick_until(all, has_switched, PATIENCE));
    assert_int_equal(peer_applied(follower->peer), FOLLOWER_INDEX);
    all->filter = NULL;
    follower->hold_log = false;
    restart(follower);
    assert_true(peer_applied(follower->peer) >= LEADER_INDEX);
    snapshots_on_link_down(all->node[LEADER].snapshots, 2);
    assert_restored(all);
}

/* It may be the split that has made room for the region. */
static void test_what_was_written_before_an_install_is_durable_with_it(void **s)
{
    struct two_nodes *all = *s;
    struct node *follower = &all->node[FOLLOWER];
    struct key key = key_region(REGION_FIRST_DATA + 1);
    struct kv_batch *batch = kv_batch_new(follower->env.state);

    kv_batch_put(batch, key_slice(&key), slice_of("another's"));
    assert_int_equal(kv_write(follower->env.state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    all->filter = hold_log_at_chunks;
    assert_true(tick_until(all, has_switched, PATIENCE));
    all->filter = NULL;
    follower->hold_log = false;
    kv_mem_crash(follower->env.state, 0);
    restart(follower);
    assert_true(has_entries(follower, ENTRIES));
    assert_true(has_key(follower, key));
}

/* At the snapshot's place the log has an entry of another term. */
static void test_a_crash_before_a_contradicting_log_is_reset(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    append_entries(follower, LEADER_INDEX, 0);
    all->filter = hold_log_at_chunks;
    assert_true(tick_until(all, has_switched, PATIENCE));
    all->filter = NULL;
    follower->hold_log = false;
    restart(follower);
    assert_int_equal(follower_first_index(all), LEADER_INDEX + 1);
    snapshots_on_link_down(all->node[LEADER].snapshots, 2);
    assert_restored(all);
}

static unsigned passed_count;

static void note_passed(struct applied_waiter *waiter)
{
    (void)waiter;
    passed_count++;
}

/* What is read would be of both states. */
static void test_readers_wait_for_an_install(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];
    struct applied_waiter waiter = {.done = note_passed};

    passed_count = 0;
    all->filter = hold_log_at_chunks;
    assert_true(tick_until(all, has_switched, PATIENCE));
    peer_wait_applied(follower->peer, &waiter, FOLLOWER_INDEX);
    assert_int_equal(passed_count, 0);
    all->filter = NULL;
    follower->hold_log = false;
    run(all);
    assert_int_equal(passed_count, 1);
    assert_restored(all);
}

static bool lose_what_the_follower_says(struct two_nodes *all,
                                        struct packet *packet)
{
    return packet->from != all->node[FOLLOWER].id;
}

/* Nothing is acknowledged and nothing more is taken in while the log's reset
 * is not durable. */
static void test_an_install_waits_for_the_log(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];
    struct peer_status status;

    all->filter = hold_log_at_chunks;
    assert_true(tick_until(all, has_switched, PATIENCE));
    all->filter = lose_what_the_follower_says;
    for (unsigned i = 0; i < 5; i++)
        tick(all);
    assert_int_equal(all->filtered, 0);
    peer_status(follower->peer, &status);
    assert_int_equal(status.state, PEER_RESTORING);
    assert_int_equal(peer_applied(follower->peer), FOLLOWER_INDEX);
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots), 1);
    all->filter = NULL;
    follower->hold_log = false;
    run(all);
    assert_restored(all);
    assert_int_equal(snapshots_sent(all), 1);
}

/* As from a leader of a term that the follower hears of only now. */
static bool raise_term_of_snapshot(struct two_nodes *all, struct packet *packet)
{
    struct buf *header = packet->packet.header;
    struct snapshot_begin begin;

    (void)all;
    if (packet->packet.type != WIRE_SNAPSHOT_BEGIN)
        return true;
    assert_int_equal(snapshot_begin_decode(&begin, buf_slice(header)), 0);
    begin.raft_term++;
    packet->packet.header = snapshot_begin_encode(&begin);
    snapshot_begin_release(&begin);
    buf_unref(header);
    return true;
}

static bool has_installed(struct two_nodes *all)
{
    struct peer_status status;

    peer_status(all->node[FOLLOWER].peer, &status);
    return status.snapshots_restored > 0;
}

/* It was acknowledged in that term, so no older leader may take it back. */
static void test_the_term_of_a_snapshot_survives_a_restart(void **state)
{
    struct two_nodes *all = *state;
    uint64_t term;

    all->filter = raise_term_of_snapshot;
    assert_true(tick_until(all, has_installed, PATIENCE));
    term = follower_term(all);
    restart(&all->node[FOLLOWER]);
    assert_int_equal(follower_term(all), term);
    all->filter = NULL;
    assert_restored(all);
}

/* The snapshot was the first that was heard of that term, and all that was
 * written of it: a term below that of the log's end would be voted in twice. */
static void test_a_repaired_log_has_the_term_of_its_position(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    all->filter = hold_log_at_chunks;
    assert_true(tick_until(all, has_switched, PATIENCE));
    all->filter = NULL;
    follower->hold_log = false;
    put_term(follower, FOLLOWER_TERM);
    restart(follower);
    assert_int_equal(follower_term(all), LEADER_TERM);
    snapshots_on_link_down(all->node[LEADER].snapshots, 2);
    assert_restored(all);
}

/* They would be applied to the new state, and the marker go back. */
static void test_an_install_waits_for_entries_being_applied(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    follower->hold_apply = true;
    append_entries(follower, 2, 2);
    assert_true(tick_until(all, is_restoring, PATIENCE));
    for (unsigned i = 0; i < 5; i++)
        tick(all);
    assert_int_equal(peer_applied(follower->peer), FOLLOWER_INDEX);
    assert_true(has_entries(follower, OLD_ENTRIES));
    follower->hold_apply = false;
    run(all);
    assert_restored(all);
    assert_int_equal(snapshots_sent(all), 1);
}

/* The leader gives the stream up, but a replica that is silent gets no other,
 * and what it says when it is done is enough. */
static void test_an_install_that_takes_long_brings_no_second_stream(void **s)
{
    struct two_nodes *all = *s;
    struct node *follower = &all->node[FOLLOWER];

    make_learner(all);
    follower->hold_install = true;
    assert_true(tick_until(all, is_restoring, PATIENCE));
    for (unsigned i = 0; i < 2 * SNAPSHOT_STALL_MS / TICK_MS; i++)
        tick(all);
    assert_true(peer_is_leader(all->node[LEADER].peer));
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots), 0);
    assert_true(is_restoring(all));
    follower->hold_install = false;
    assert_restored(all);
    assert_int_equal(snapshots_sent(all), 1);
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

/* clang-format off */
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_snapshot_brings_the_follower_up_to_date),
        T(test_a_large_snapshot_leaves_time_to_others),
        T(test_what_was_restored_survives_a_restart),
        T(test_a_lost_chunk_ends_the_stream_and_the_next_succeeds),
        T(test_a_damaged_chunk_is_not_taken),
        T(test_a_snapshot_of_a_smaller_range_clears_the_rest),
        T(test_a_snapshot_of_a_larger_range_leaves_the_others_alone),
        T(test_the_first_snapshot_leaves_the_others_alone),
        T(test_a_crash_before_the_switch_leaves_the_old_range),
        T(test_a_snapshot_over_another_region_waits_until_it_is_gone),
        T(test_a_region_that_comes_under_a_stream_keeps_its_keys),
        T(test_packets_that_come_twice_count_once),
        T(test_a_stream_without_acknowledgments_stalls),
        T(test_a_stream_that_is_not_accepted_stalls),
        T(test_a_leader_that_hears_nothing_begins_anew),
        T(test_a_replaced_stream_is_not_reported),
        T(test_a_lost_connection_ends_the_streams_at_both_ends),
        T(test_a_crash_before_the_log_is_reset_is_repaired),
        T(test_what_was_written_before_an_install_is_durable_with_it),
        T(test_a_crash_before_a_contradicting_log_is_reset),
        T(test_readers_wait_for_an_install),
        T(test_an_install_waits_for_the_log),
        T(test_the_term_of_a_snapshot_survives_a_restart),
        T(test_a_repaired_log_has_the_term_of_its_position),
        T(test_an_install_waits_for_entries_being_applied),
        T(test_an_install_that_takes_long_brings_no_second_stream),
        T(test_both_ends_can_be_closed_in_the_middle),
    };

    return cmocka_run_group_tests_name("snapshot stream", tests, NULL, NULL);
}
