/* SPDX-License-Identifier: Apache-2.0 */

/* Data for leases, and sleep. */

#include "tests/raft/unit.h"

static void echo(struct peer *p, uint64_t from, uint64_t clock)
{
    (void)peer_receive(p,
                       &(struct raft_message){.type = RAFT_MSG_HEARTBEAT_RESP,
                                              .from = from,
                                              .term = raft_term(p->raft),
                                              .clock = clock});
}

/* What a leader sends carries its clock. */
static void test_leader_stamps_what_it_sends(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    raft_set_clock(p->raft, 50);
    peer_tick(p, PEER_HEARTBEAT_TICKS);
    (void)peer_propose(p, "x");
    assert_int_equal(peer_last(p, RAFT_MSG_HEARTBEAT)->clock, 50);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->clock, 50);
}

/* A follower gives the clock back in each kind of answer. */
static void test_follower_echoes_the_clock(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 1, 0);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->clock, 7);
    peer_append(p, 1, 1, 9, 1, 1, 0);
    assert_true(peer_last(p, RAFT_MSG_APP_RESP)->reject);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->clock, 7);
    (void)peer_receive(
        p, &(struct raft_message){
               .type = RAFT_MSG_HEARTBEAT, .from = 2, .term = 1, .clock = 8});
    assert_int_equal(peer_last(p, RAFT_MSG_HEARTBEAT_RESP)->clock, 8);
}

/* A quorum has confirmed the greatest clock that a majority echoed. */
static void test_quorum_clock_is_what_a_majority_echoed(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){5, {1, 2, 3, 4, 5}};
    peer_lead(p, 5);
    raft_set_clock(p->raft, 100);
    echo(p, 2, 90);
    assert_int_equal(raft_quorum_clock(p->raft), 0);
    echo(p, 3, 80);
    assert_int_equal(raft_quorum_clock(p->raft), 80);
    echo(p, 4, 85);
    assert_int_equal(raft_quorum_clock(p->raft), 85);
    echo(p, 2, 10); /* late */
    assert_int_equal(raft_quorum_clock(p->raft), 85);
}

/* Both halves of a joint configuration must confirm. */
static void test_joint_clock_needs_both_halves(void **state)
{
    struct peer *p = *state;

    p->conf.voters_outgoing = (struct raft_id_set){3, {1, 4, 5}};
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    peer_vote_from(p, 2);
    peer_vote_from(p, 4);
    raft_set_clock(p->raft, 100);
    echo(p, 2, 90);
    assert_int_equal(raft_quorum_clock(p->raft), 0);
    echo(p, 5, 60);
    assert_int_equal(raft_quorum_clock(p->raft), 60);
}

/* Nothing is left of it in the next leadership. */
static void test_clock_ends_with_the_leadership(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    raft_set_clock(p->raft, 100);
    echo(p, 2, 90);
    peer_append(p, 2, 1, 1, 2, 0, 0);
    assert_int_equal(raft_quorum_clock(p->raft), 0);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    peer_vote_from(p, 2);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
    assert_int_equal(raft_quorum_clock(p->raft), 0);
}

/* A single voter is its own quorum. */
static void test_single_voter_confirms_itself(void **state)
{
    struct peer *p = *state;

    p->conf.voters.count = 1;
    peer_start(p);
    assert_int_equal(raft_quorum_clock(p->raft), 0);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    raft_set_clock(p->raft, 42);
    assert_int_equal(raft_quorum_clock(p->raft), 42);
}

/* MsgTimeoutNow may arrive after the transfer was given up: no lease in this
 * term any more. */
static void test_lease_stays_blocked_after_timeout_now(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    assert_false(raft_lease_blocked(p->raft));
    (void)raft_transfer_leader(p->raft, 2);
    assert_true(raft_lease_blocked(p->raft));
    peer_tick(p, PEER_ELECTION_TICKS);
    assert_int_equal(peer_status(p).transferee, 0);
    assert_true(raft_lease_blocked(p->raft));
}

/* One that never got so far blocks only while it runs. */
static void test_lease_returns_after_a_transfer_to_a_lagging_peer(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    (void)raft_transfer_leader(p->raft, 3);
    assert_true(raft_lease_blocked(p->raft));
    peer_tick(p, PEER_ELECTION_TICKS);
    assert_false(raft_lease_blocked(p->raft));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_leader_stamps_what_it_sends),
        UNIT(test_follower_echoes_the_clock),
        UNIT(test_quorum_clock_is_what_a_majority_echoed),
        UNIT(test_joint_clock_needs_both_halves),
        UNIT(test_clock_ends_with_the_leadership),
        UNIT(test_single_voter_confirms_itself),
        UNIT(test_lease_stays_blocked_after_timeout_now),
        UNIT(test_lease_returns_after_a_transfer_to_a_lagging_peer),
    };

    return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
