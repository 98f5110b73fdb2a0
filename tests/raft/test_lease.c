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

/* A leader may sleep when every peer has everything and knows it. */
static void test_idle_leader_can_sleep(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    assert_non_null(raft_can_sleep(p->raft));
    peer_acknowledge(p, 2, 1);
    assert_non_null(raft_can_sleep(p->raft));
    peer_acknowledge(p, 3, 1);
    assert_null(raft_can_sleep(p->raft));
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    assert_non_null(raft_can_sleep(p->raft));
}

/* A follower may when it knows a leader and has everything committed. */
static void test_idle_follower_can_sleep(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    assert_non_null(raft_can_sleep(p->raft));
    peer_append(p, 1, 0, 0, 1, 2, 1);
    assert_non_null(raft_can_sleep(p->raft));
    peer_append(p, 1, 1, 2, 1, 0, 2);
    assert_null(raft_can_sleep(p->raft));
}

/* Why a leader stays awake. */
static void test_busy_leader_does_not_sleep(void **state)
{
    struct peer *p = *state;

    p->conf.learners = (struct raft_id_set){1, {4}};
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 3, 1);
    assert_string_equal(raft_can_sleep(p->raft), "a peer lags");
    peer_acknowledge(p, 4, 1);
    assert_null(raft_can_sleep(p->raft));
    (void)raft_transfer_leader(p->raft, 2);
    peer_pump(p);
    assert_string_equal(raft_can_sleep(p->raft), "a transfer runs");
    (void)raft_transfer_leader(p->raft, 1);
    (void)raft_propose(p->raft, &(struct raft_entry){.term = 0}, 1, NULL);
    assert_string_equal(raft_can_sleep(p->raft), "there is something to do");
    peer_pump(p);
    assert_string_equal(raft_can_sleep(p->raft), "entries are not committed");
}

/* Nor in a joint configuration, which it still has to leave. */
static void test_joint_leader_does_not_sleep(void **state)
{
    struct peer *p = *state;

    p->conf.voters_outgoing = (struct raft_id_set){1, {1}};
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 3, 1);
    assert_string_equal(raft_can_sleep(p->raft), "the configuration is joint");
}

/* Nor while a peer waits for a snapshot, or before the disk has it all. */
static void test_nobody_sleeps_over_a_write_or_a_snapshot(void **state)
{
    struct peer *p = *state;
    struct raft_entry entry = {.term = 1, .index = 1};
    struct raft_ready ready;

    peer_start(p);
    (void)raft_step(p->raft, &(struct raft_message){.type = RAFT_MSG_APP,
                                                    .from = 2,
                                                    .to = 1,
                                                    .term = 1,
                                                    .entries = {&entry, 1, 0}});
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_string_equal(raft_can_sleep(p->raft), "writes are outstanding");
    memory_storage_append(&p->storage, &ready.entries);
    (void)raft_append_done(p->raft, &ready.token);
    raft_ready_release(&ready);
    peer_append(p, 1, 1, 1, 1, 0, 1);
    assert_null(raft_can_sleep(p->raft));
    assert_int_equal(raft_request_snapshot(p->raft), 0);
    peer_pump(p);
    assert_string_equal(raft_can_sleep(p->raft), "a snapshot is wanted");
}

/* A peer that does not know the commit index would wake up behind. */
static void test_leader_tells_the_commit_index_before_it_sleeps(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    raft_report_unreachable(p->raft, 3);
    peer_acknowledge(p, 3, 1);
    peer_acknowledge(p, 2, 1);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->commit, 1);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 3)->commit, 1);
    assert_null(raft_can_sleep(p->raft));
}

/* A follower that still applies does not sleep. */
static void test_applying_follower_does_not_sleep(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 1, 0);
    (void)raft_step(p->raft, &(struct raft_message){.type = RAFT_MSG_HEARTBEAT,
                                                    .from = 2,
                                                    .to = 1,
                                                    .term = 1,
                                                    .commit = 1});
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_string_equal(raft_can_sleep(p->raft), "entries are not applied");
    (void)raft_apply_done(p->raft, 1);
    assert_null(raft_can_sleep(p->raft));
    raft_ready_release(&ready);
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
        UNIT(test_idle_leader_can_sleep),
        UNIT(test_idle_follower_can_sleep),
        UNIT(test_busy_leader_does_not_sleep),
        UNIT(test_joint_leader_does_not_sleep),
        UNIT(test_nobody_sleeps_over_a_write_or_a_snapshot),
        UNIT(test_leader_tells_the_commit_index_before_it_sleeps),
        UNIT(test_applying_follower_does_not_sleep),
    };

    return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
