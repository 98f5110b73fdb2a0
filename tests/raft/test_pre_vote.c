/* SPDX-License-Identifier: Apache-2.0 */

/* Elections that disturb nobody: pre-votes (thesis §9.6), peers that wait for
 * a leader they have heard of (§4.2.3), leaders that check for a quorum
 * (§6.2). */

#include "tests/raft/unit.h"

static void receive(struct peer *p, enum raft_message_type type, uint64_t from,
                    uint64_t term, bool reject)
{
    struct raft_message m = {
        .type = type, .from = from, .term = term, .reject = reject};

    assert_int_equal(peer_receive(p, &m), 0);
}

static bool granted(const struct peer *p)
{
    const struct raft_message *m = peer_last(p, RAFT_MSG_PRE_VOTE_RESP);

    assert_non_null(m);
    return !m->reject;
}

static void stand(struct peer *p)
{
    p->config.pre_vote = true;
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    assert_int_equal(raft_role(p->raft), RAFT_PRE_CANDIDATE);
}

/* A majority that would vote for it makes a pre-candidate a candidate. */
static void test_pre_vote_majority_starts_the_election(void **state)
{
    struct peer *p = *state;

    stand(p);
    receive(p, RAFT_MSG_PRE_VOTE_RESP, 2, 1, false);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
    assert_int_equal(raft_term(p->raft), 1);
    assert_int_equal(peer_count(p, RAFT_MSG_VOTE), 2);
}

/* A pre-candidate that cannot win becomes a follower, in its old term. */
static void test_pre_candidate_without_a_chance_gives_up(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state.term = 3;
    stand(p);
    receive(p, RAFT_MSG_PRE_VOTE_RESP, 2, 3, true);
    receive(p, RAFT_MSG_PRE_VOTE_RESP, 3, 3, true);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    assert_int_equal(raft_term(p->raft), 3);
}

/* Pre-votes are not counted as votes. */
static void test_late_pre_votes_do_not_elect(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){5, {1, 2, 3, 4, 5}};
    stand(p);
    receive(p, RAFT_MSG_PRE_VOTE_RESP, 2, 1, false);
    receive(p, RAFT_MSG_PRE_VOTE_RESP, 3, 1, false);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
    receive(p, RAFT_MSG_PRE_VOTE_RESP, 4, 1, false);
    receive(p, RAFT_MSG_PRE_VOTE_RESP, 5, 1, false);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
}

/* A pre-vote, like a vote, is for logs that are up to date. */
static void test_pre_vote_needs_an_up_to_date_log(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 2}, 2);
    peer_start(p);
    receive(p, RAFT_MSG_PRE_VOTE, 2, 3, false);
    assert_false(granted(p));
}

/* It may be given where the vote of the present term is not free. */
static void test_pre_vote_is_granted_although_the_vote_is_given(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state = (struct raft_hard_state){.term = 1, .vote = 2};
    peer_start(p);
    receive(p, RAFT_MSG_PRE_VOTE, 3, 2, false);
    assert_true(granted(p));
    assert_int_equal(peer_status(p).vote, 2);
}

/* Granting one is no reason to wait before standing oneself. */
static void test_pre_vote_does_not_reset_the_timer(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    for (unsigned i = 0; i < 2 * PEER_ELECTION_TICKS; i++) {
        receive(p, RAFT_MSG_PRE_VOTE, 2, 9, false);
        peer_tick(p, 1);
    }
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
}

/* A grant speaks of a term that has not begun; a refusal of one that has. */
static void test_only_a_refusal_brings_a_later_term(void **state)
{
    struct peer *p = *state;

    stand(p);
    receive(p, RAFT_MSG_PRE_VOTE_RESP, 2, 7, false);
    assert_int_not_equal(raft_term(p->raft), 7);
    receive(p, RAFT_MSG_PRE_VOTE_RESP, 3, 7, true);
    assert_int_equal(raft_term(p->raft), 7);
}

/* While a leader is heard of, pre-votes are not even answered. (Learners vote
 * like others, and do not stand themselves when time passes.) */
static void test_pre_vote_waits_for_a_known_leader(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){2, {2, 3}};
    p->conf.learners = (struct raft_id_set){1, {1}};
    p->config.check_quorum = true;
    peer_start(p);
    receive(p, RAFT_MSG_HEARTBEAT, 2, 1, false);
    peer_forget(p);
    peer_tick(p, PEER_ELECTION_TICKS - 1);
    receive(p, RAFT_MSG_PRE_VOTE, 3, 2, false);
    assert_int_equal(p->sent.count, 0);
    peer_tick(p, 1);
    receive(p, RAFT_MSG_PRE_VOTE, 3, 2, false);
    assert_true(granted(p));
}

/* A removed peer, which hears of nobody, cannot depose a leader. */
static void test_removed_peer_does_not_depose_a_leader(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    peer_lead(p, 3);
    receive(p, RAFT_MSG_VOTE, 9, 8, false);
    receive(p, RAFT_MSG_PRE_VOTE, 9, 8, false);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
    assert_int_equal(raft_term(p->raft), 1);
    assert_int_equal(p->sent.count, 0);
}

/* A leader that a majority answers leads on. */
static void test_leader_with_a_quorum_leads_on(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    peer_lead(p, 3);
    for (unsigned i = 0; i < 5 * PEER_ELECTION_TICKS; i++) {
        if (i % PEER_ELECTION_TICKS == 0)
            receive(p, RAFT_MSG_HEARTBEAT_RESP, 3, 1, false);
        peer_tick(p, 1);
    }
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
}

/* Learners are no quorum. */
static void test_learners_do_not_keep_a_leader(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    p->conf.learners = (struct raft_id_set){2, {4, 5}};
    peer_lead(p, 3);
    for (unsigned i = 0; i < 2 * PEER_ELECTION_TICKS; i++) {
        if (raft_role(p->raft) == RAFT_LEADER) {
            receive(p, RAFT_MSG_HEARTBEAT_RESP, 4, 1, false);
            receive(p, RAFT_MSG_HEARTBEAT_RESP, 5, 1, false);
        }
        peer_tick(p, 1);
    }
    assert_int_not_equal(raft_role(p->raft), RAFT_LEADER);
}

/* In a joint configuration both halves must be heard. */
static void test_joint_leader_needs_both_halves(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    p->conf.voters_outgoing = (struct raft_id_set){3, {1, 4, 5}};
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    peer_vote_from(p, 2);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
    peer_vote_from(p, 4);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
    for (unsigned i = 0; i < 2 * PEER_ELECTION_TICKS; i++) {
        if (raft_role(p->raft) == RAFT_LEADER)
            receive(p, RAFT_MSG_HEARTBEAT_RESP, 2, 1, false);
        peer_tick(p, 1);
    }
    assert_int_not_equal(raft_role(p->raft), RAFT_LEADER);
}

/* A follower whose host knows that the leader is dead votes at once. */
static void test_follower_that_forgets_its_leader_votes(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    peer_start(p);
    receive(p, RAFT_MSG_HEARTBEAT, 2, 1, false);
    raft_forget_leader(p->raft);
    assert_int_equal(raft_leader(p->raft), 0);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    receive(p, RAFT_MSG_PRE_VOTE, 3, 2, false);
    assert_true(granted(p));
    raft_forget_leader(p->raft); /* There is none any more. */
    assert_int_equal(raft_leader(p->raft), 0);
}

/* Where leases answer reads no leader may be forgotten. */
static void test_lease_forbids_to_forget_the_leader(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    p->config.read_only = RAFT_READ_LEASE_BASED;
    peer_start(p);
    receive(p, RAFT_MSG_HEARTBEAT, 2, 1, false);
    raft_forget_leader(p->raft);
    assert_int_equal(raft_leader(p->raft), 2);
}

/* A restarted voter is silent in its own term, too, but repeats the vote that
 * it remembers. */
static void test_silent_voter_only_repeats_its_vote(void **state)
{
    struct peer *p = *state;

    p->config.silent_ticks = PEER_ELECTION_TICKS;
    p->storage.hard_state = (struct raft_hard_state){.term = 1};
    peer_start(p);
    receive(p, RAFT_MSG_VOTE, 2, 1, false);
    assert_int_equal(p->sent.count, 0);
    raft_free(p->raft);
    p->storage.hard_state.vote = 2;
    peer_start(p);
    receive(p, RAFT_MSG_VOTE, 2, 1, false);
    assert_false(peer_last(p, RAFT_MSG_VOTE_RESP)->reject);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_pre_vote_majority_starts_the_election),
        UNIT(test_pre_candidate_without_a_chance_gives_up),
        UNIT(test_late_pre_votes_do_not_elect),
        UNIT(test_pre_vote_needs_an_up_to_date_log),
        UNIT(test_pre_vote_is_granted_although_the_vote_is_given),
        UNIT(test_pre_vote_does_not_reset_the_timer),
        UNIT(test_only_a_refusal_brings_a_later_term),
        UNIT(test_pre_vote_waits_for_a_known_leader),
        UNIT(test_removed_peer_does_not_depose_a_leader),
        UNIT(test_leader_with_a_quorum_leads_on),
        UNIT(test_learners_do_not_keep_a_leader),
        UNIT(test_joint_leader_needs_both_halves),
        UNIT(test_follower_that_forgets_its_leader_votes),
        UNIT(test_lease_forbids_to_forget_the_leader),
        UNIT(test_silent_voter_only_repeats_its_vote),
    };

    return cmocka_run_group_tests_name("pre_vote", tests, NULL, NULL);
}
