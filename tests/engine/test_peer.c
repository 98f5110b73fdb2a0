/* SPDX-License-Identifier: Apache-2.0 */

/* What a peer does by itself, besides what Raft asks for. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/engine/two_nodes.h"
#include "tests/sim/kv_mem.h"

enum { APPENDED = 400, LOG_KEEP = 100 };

static int setup(void **state)
{
    *state = two_nodes_new();
    return 0;
}

static int teardown(void **state)
{
    two_nodes_free(*state);
    return 0;
}

static void test_the_log_is_kept_until_the_state_is_durable(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    follower->log_keep = LOG_KEEP;
    append_entries(follower, APPENDED, APPENDED);
    run(all);
    assert_int_equal(peer_applied(follower->peer), FOLLOWER_INDEX + APPENDED);
    tick(all);
    assert_int_equal(follower_first_index(all), FOLLOWER_INDEX + 1);
    kv_mem_sync(follower->env.state,
                kv_mem_unsynced_count(follower->env.state));
    tick(all);
    assert_int_equal(follower_first_index(all),
                     FOLLOWER_INDEX + APPENDED - LOG_KEEP + 1);
}

/* Or its node would wait a long time for a peer that nobody sends to. */
static void test_a_leader_tells_who_was_removed(void **state)
{
    struct two_nodes *all = *state;
    struct peer *leader = all->node[LEADER].peer;
    struct peer_change change = {
        .steps = {{RAFT_REMOVE_PEER, FOLLOWER_PEER, 0}},
        .count = 1,
    };

    assert_true(tick_until(all, follower_is_restored, 100));
    assert_int_equal(all->told_gone, 0);
    change.conf_ver = peer_region(leader)->conf_ver;
    assert_int_equal(peer_propose_change(leader, &change), 0);
    tick(all);
    assert_int_equal(peer_region(leader)->peer_count, 1);
    assert_int_equal(all->told_gone, FOLLOWER_PEER);
}

/* It may have promised a leader the time until then, and has forgotten it. */
static void test_a_started_peer_hears_no_candidate_for_a_timeout(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];
    struct raft_message vote = {.type = RAFT_MSG_VOTE,
                                .from = LEADER_PEER,
                                .to = FOLLOWER_PEER,
                                .term = LEADER_TERM + 1,
                                .log_term = LEADER_TERM,
                                .index = LEADER_INDEX};

    for (unsigned i = 1; i < ELECTION_TICKS; i++) {
        tick(all);
        peer_step(follower->peer, LEADER + 1, &vote);
        run(all);
        assert_int_equal(follower_term(all), FOLLOWER_TERM);
    }
    tick(all);
    peer_step(follower->peer, LEADER + 1, &vote);
    run(all);
    assert_int_equal(follower_term(all), LEADER_TERM + 1);
}

static bool follower_leads(struct two_nodes *all)
{
    return peer_is_leader(all->node[FOLLOWER].peer);
}

static bool follower_has_all(struct two_nodes *all)
{
    return peer_applied(all->node[FOLLOWER].peer) >
           LEADER_INDEX + TRANSFER_LAG_MAX;
}

static void test_a_leader_hands_over_to_a_right_clock_only(void **state)
{
    struct two_nodes *all = *state;
    struct peer *leader = all->node[LEADER].peer;

    assert_false(peer_transfer_to_right_clock(leader)); /* It lacks all. */
    assert_true(tick_until(all, follower_is_restored, 100));
    tick(all);
    all->node[FOLLOWER].wrong_clock = true;
    assert_false(peer_transfer_to_right_clock(leader));
    all->node[FOLLOWER].wrong_clock = false;
    assert_true(peer_transfer_to_right_clock(leader));
    assert_false(peer_transfer_to_right_clock(leader)); /* Under way. */
    assert_true(tick_until(all, follower_leads, 20));
    assert_false(peer_transfer_to_right_clock(leader));
}

static bool no_packets(struct two_nodes *all, struct packet *packet)
{
    (void)all;
    (void)packet;
    return false;
}

static bool nobody_is_followed(struct two_nodes *all)
{
    return peer_leader_node(all->node[FOLLOWER].peer) == 0;
}

static void test_a_replica_is_current_up_to_a_moment(void **state)
{
    struct two_nodes *all = *state;
    struct peer *peer = all->node[FOLLOWER].peer;

    assert_false(peer_is_current(peer, 1));
    peer_note_current(peer, 500);
    peer_note_current(peer, 400); /* An older round's. */
    assert_true(peer_is_current(peer, 500));
    assert_false(peer_is_current(peer, 501));
    assert_false(peer_is_current(peer, 0)); /* That is no moment. */
}

/* Not in passing, and only once. */
static void test_a_leader_is_missed_after_a_second(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];
    unsigned warnings;

    assert_true(tick_until(all, follower_is_restored, 100));
    tick(all);
    warnings = node->warning_count;
    assert_true(peer_transfer_to_right_clock(all->node[LEADER].peer));
    assert_true(tick_until(all, follower_leads, 20));
    all->filter = no_packets;
    assert_true(tick_until(all, nobody_is_followed, 100));
    for (unsigned i = 0; i < 8; i++)
        tick(all);
    assert_int_equal(node->warning_count, warnings);
    for (unsigned i = 0; i < 50; i++)
        tick(all);
    assert_int_equal(node->warning_count, warnings + 1);
    assert_string_equal(node->event, "region 1: no leader for a second");
}

/* Heartbeats do come. */
static bool no_entries(struct two_nodes *all, struct packet *packet)
{
    (void)all;
    return packet->to != FOLLOWER + 1 || packet->packet.payload_count == 0;
}

/* The region would stand still until it had caught up. */
static void test_a_leader_keeps_what_nobody_could_take_at_once(void **state)
{
    static struct asked asked[TRANSFER_LAG_MAX + 1];
    const struct command command = {.op = COMMAND_NOOP};
    struct two_nodes *all = *state;
    struct peer *leader = all->node[LEADER].peer;

    assert_true(tick_until(all, follower_is_restored, 100));
    tick(all);
    all->filter = no_entries;
    for (size_t i = 0; i <= TRANSFER_LAG_MAX; i++)
        assert_int_equal(ask(&all->node[LEADER], &asked[i], &command), 0);
    tick(all);
    assert_false(peer_transfer_to_right_clock(leader));
    all->filter = NULL;
    assert_true(tick_until(all, follower_has_all, 100));
    assert_true(peer_transfer_to_right_clock(leader));
}

/* Better than nobody. */
static void test_who_stops_hands_over_even_to_a_wrong_clock(void **state)
{
    struct two_nodes *all = *state;

    assert_true(tick_until(all, follower_is_restored, 100));
    tick(all);
    all->node[FOLLOWER].wrong_clock = true;
    assert_true(peer_transfer_away(all->node[LEADER].peer));
    assert_true(tick_until(all, follower_leads, 20));
}

/* clang-format off */
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_the_log_is_kept_until_the_state_is_durable),
        T(test_a_leader_tells_who_was_removed),
        T(test_a_started_peer_hears_no_candidate_for_a_timeout),
        T(test_a_leader_hands_over_to_a_right_clock_only),
        T(test_a_replica_is_current_up_to_a_moment),
        T(test_a_leader_is_missed_after_a_second),
        T(test_a_leader_keeps_what_nobody_could_take_at_once),
        T(test_who_stops_hands_over_even_to_a_wrong_clock),
    };

    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
