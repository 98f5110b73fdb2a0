/* SPDX-License-Identifier: Apache-2.0 */

/* How groups in which nothing happens fall asleep and wake up (raft/sleep.c);
 * who may is in test_can_sleep.c. */

#include "tests/raft/unit.h"

/* ---- Falling asleep --------------------------------------------------- */

/* A leader of 1, 2 and 3 whose peers have everything, at clock 100. */
static struct peer *idle_leader(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 3, 1);
    raft_set_clock(p->raft, 100);
    peer_forget(p);
    return p;
}

static void answer(struct peer *p, uint64_t from, uint64_t clock, bool sleep)
{
    (void)peer_receive(p,
                       &(struct raft_message){.type = RAFT_MSG_HEARTBEAT_RESP,
                                              .from = from,
                                              .term = raft_term(p->raft),
                                              .clock = clock,
                                              .sleep = sleep});
}

static struct peer *sleeping_leader(void **state)
{
    struct peer *p = idle_leader(state);

    raft_doze(p->raft, NULL);
    peer_tick(p, 1);
    answer(p, 2, 100, true);
    answer(p, 3, 100, true);
    assert_true(raft_is_asleep(p->raft));
    peer_forget(p);
    return p;
}

/* From peer 2, which leads in term 1. */
static void heartbeat(struct peer *p, uint64_t commit, bool sleep)
{
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_HEARTBEAT,
                                                 .from = 2,
                                                 .term = 1,
                                                 .commit = commit,
                                                 .clock = 50,
                                                 .sleep = sleep});
}

static struct peer *sleeping_follower(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    p->config.pre_vote = true;
    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 1, 1);
    heartbeat(p, 1, true);
    assert_true(raft_is_asleep(p->raft));
    peer_forget(p);
    return p;
}

/* A leader asks with a heartbeat, and sleeps when everybody has agreed. */
static void test_leader_sleeps_when_all_have_agreed(void **state)
{
    struct peer *p = idle_leader(state);

    peer_tick(p, 1);
    assert_false(peer_last(p, RAFT_MSG_HEARTBEAT)->sleep);
    raft_doze(p->raft, NULL);
    peer_tick(p, 1);
    assert_true(peer_last_to(p, RAFT_MSG_HEARTBEAT, 2)->sleep);
    answer(p, 2, 100, true);
    assert_false(raft_is_asleep(p->raft));
    answer(p, 3, 100, true);
    assert_true(raft_is_asleep(p->raft));
}

/* Asleep, ticks pass without a message, an election or a lost quorum. */
static void test_nothing_happens_asleep(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    (void)sleeping_leader(state);
    peer_tick(p, 5 * PEER_ELECTION_TICKS);
    assert_int_equal(p->sent.count, 0);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
}

static void test_no_election_asleep(void **state)
{
    struct peer *p = sleeping_follower(state);

    peer_tick(p, 5 * PEER_ELECTION_TICKS);
    assert_int_equal(p->sent.count, 0);
    assert_int_equal(raft_leader(p->raft), 2);
}

/* The quorum clock, of which leases are made, stands still. */
static void test_no_lease_is_renewed_asleep(void **state)
{
    struct peer *p = sleeping_leader(state);

    raft_set_clock(p->raft, 5000);
    peer_tick(p, 5);
    answer(p, 2, 100, true);
    assert_int_equal(raft_quorum_clock(p->raft), 100);
}

/* An agreement of an earlier time says nothing about now. */
static void test_old_agreements_do_not_count(void **state)
{
    struct peer *p = idle_leader(state);

    raft_doze(p->raft, NULL);
    answer(p, 2, 99, true);
    answer(p, 3, 99, true);
    assert_false(raft_is_asleep(p->raft));
}

/* Nor one that was taken back since. */
static void test_a_peer_may_change_its_mind(void **state)
{
    struct peer *p = idle_leader(state);

    raft_doze(p->raft, NULL);
    answer(p, 2, 100, true);
    answer(p, 2, 100, false);
    answer(p, 3, 100, true);
    assert_false(raft_is_asleep(p->raft));
    answer(p, 2, 100, true);
    assert_true(raft_is_asleep(p->raft));
}

/* Who is out of reach is neither asked nor waited for. */
static void test_absent_peers_keep_nobody_awake(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    raft_set_clock(p->raft, 100);
    raft_doze(p->raft, NULL);
    assert_string_equal(raft_can_sleep(p->raft), "a peer lags");
    raft_doze(p->raft, &(struct raft_id_set){1, {3}});
    peer_tick(p, 1);
    assert_false(peer_last_to(p, RAFT_MSG_HEARTBEAT, 3)->sleep);
    answer(p, 2, 100, true);
    assert_true(raft_is_asleep(p->raft));
}

/* A leader without a quorum has to find out, not to sleep. */
static void test_leader_that_was_cut_off_does_not_sleep(void **state)
{
    struct peer *p = idle_leader(state);

    raft_doze(p->raft, &(struct raft_id_set){2, {2, 3}});
    assert_false(raft_is_asleep(p->raft));
}

/* A single voter needs nobody's agreement. */
static void test_single_voter_sleeps_at_once(void **state)
{
    struct peer *p = *state;

    p->conf.voters.count = 1;
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    raft_doze(p->raft, NULL);
    assert_true(raft_is_asleep(p->raft));
    assert_int_equal(p->sent.count, 0);
}

/* A follower agrees when it has applied what the leader has. */
static void test_follower_with_everything_agrees(void **state)
{
    struct peer *p = sleeping_follower(state);

    heartbeat(p, 1, true);
    assert_true(peer_last(p, RAFT_MSG_HEARTBEAT_RESP)->sleep);
    assert_true(raft_is_asleep(p->raft));
}

static void test_follower_with_an_incomplete_log_stays_awake(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 2, 1);
    heartbeat(p, 1, true);
    assert_false(peer_last(p, RAFT_MSG_HEARTBEAT_RESP)->sleep);
    assert_false(raft_is_asleep(p->raft));
}

/* ---- Waking up -------------------------------------------------------- */

/* A proposal goes out at once, and with the next tick heartbeats do. */
static void test_proposal_wakes_the_leader(void **state)
{
    struct peer *p = sleeping_leader(state);

    assert_int_equal(peer_propose(p, "x"), 0);
    assert_false(raft_is_asleep(p->raft));
    assert_int_equal(peer_count(p, RAFT_MSG_APP), 2);
    peer_tick(p, 1);
    assert_false(peer_last(p, RAFT_MSG_HEARTBEAT)->sleep);
}

/* A read needs its round of heartbeats. */
static void test_read_wakes_the_leader(void **state)
{
    struct peer *p = sleeping_leader(state);

    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    assert_false(raft_is_asleep(p->raft));
    assert_false(peer_last_to(p, RAFT_MSG_HEARTBEAT, 2)->sleep);
}

static void test_transfer_wakes_the_leader(void **state)
{
    struct peer *p = sleeping_leader(state);

    (void)raft_transfer_leader(p->raft, 3);
    assert_false(raft_is_asleep(p->raft));
}

/* Also a message that says nothing: somebody is awake. */
static void test_plain_answer_wakes_the_leader(void **state)
{
    struct peer *p = sleeping_leader(state);

    answer(p, 2, 0, false);
    assert_false(raft_is_asleep(p->raft));
    peer_tick(p, 1);
    assert_int_equal(peer_count(p, RAFT_MSG_HEARTBEAT), 2);
}

/* One that is asked again, drowsy or asleep, does not wake. */
static void test_agreement_does_not_wake_the_leader(void **state)
{
    struct peer *p = sleeping_leader(state);

    answer(p, 2, 100, true);
    assert_true(raft_is_asleep(p->raft));
}

/* A leader that was woken has to hear from a quorum within a timeout. */
static void test_woken_leader_without_a_quorum_steps_down(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    (void)sleeping_leader(state);
    raft_rouse(p->raft);
    peer_tick(p, 2 * PEER_ELECTION_TICKS);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
}

/* A leader's heartbeat needs no other answer than its own. */
static void test_heartbeat_wakes_a_follower(void **state)
{
    struct peer *p = sleeping_follower(state);

    heartbeat(p, 1, false);
    assert_false(raft_is_asleep(p->raft));
    assert_int_equal(peer_count(p, RAFT_MSG_HEARTBEAT_RESP), 1);
}

/* A question in another term is not the leader's. */
static void test_question_of_an_old_leader_wakes(void **state)
{
    struct peer *p = sleeping_follower(state);

    peer_append(p, 3, 1, 1, 3, 1, 2);
    heartbeat(p, 1, true);
    assert_false(raft_is_asleep(p->raft));
}

/* Whoever is woken by somebody else wakes the leader, which otherwise would
 * not know that heartbeats are missed. */
static void test_woken_follower_wakes_its_leader(void **state)
{
    struct peer *p = sleeping_follower(state);

    raft_rouse(p->raft);
    peer_pump(p);
    assert_int_equal(peer_last_to(p, RAFT_MSG_HEARTBEAT_RESP, 2)->clock, 0);
    assert_false(peer_last(p, RAFT_MSG_HEARTBEAT_RESP)->sleep);
    raft_rouse(p->raft);
    peer_pump(p);
    assert_int_equal(peer_count(p, RAFT_MSG_HEARTBEAT_RESP), 1);
}

static void ask_for_vote(struct peer *p)
{
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_PRE_VOTE,
                                                 .from = 3,
                                                 .term = 2,
                                                 .log_term = 1,
                                                 .index = 1});
}

/* A vote request wakes, but does not win against a leader that may live. */
static void test_vote_request_wakes_a_follower(void **state)
{
    struct peer *p = sleeping_follower(state);

    ask_for_vote(p);
    assert_false(raft_is_asleep(p->raft));
    assert_null(peer_last(p, RAFT_MSG_PRE_VOTE_RESP));
    assert_non_null(peer_last_to(p, RAFT_MSG_HEARTBEAT_RESP, 2));
}

/* When the leader is lost, the time since its last message counts. */
static void test_lost_leader_is_replaced(void **state)
{
    struct peer *p = sleeping_follower(state);

    raft_leader_lost(p->raft, 1000);
    assert_false(raft_is_asleep(p->raft));
    ask_for_vote(p);
    assert_non_null(peer_last(p, RAFT_MSG_PRE_VOTE_RESP));
    assert_null(peer_last(p, RAFT_MSG_PRE_VOTE));
    peer_tick(p, PEER_ELECTION_TICKS);
    assert_non_null(peer_last(p, RAFT_MSG_PRE_VOTE));
}

/* But no more than it: a lease may still be made of the last message. */
static void test_lost_leader_keeps_the_promise_made_to_it(void **state)
{
    struct peer *p = sleeping_follower(state);

    raft_leader_lost(p->raft, PEER_ELECTION_TICKS - 1);
    ask_for_vote(p);
    assert_null(peer_last(p, RAFT_MSG_PRE_VOTE_RESP));
    peer_tick(p, 1);
    ask_for_vote(p);
    assert_non_null(peer_last(p, RAFT_MSG_PRE_VOTE_RESP));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_leader_sleeps_when_all_have_agreed),
        UNIT(test_nothing_happens_asleep),
        UNIT(test_no_election_asleep),
        UNIT(test_no_lease_is_renewed_asleep),
        UNIT(test_old_agreements_do_not_count),
        UNIT(test_a_peer_may_change_its_mind),
        UNIT(test_absent_peers_keep_nobody_awake),
        UNIT(test_leader_that_was_cut_off_does_not_sleep),
        UNIT(test_single_voter_sleeps_at_once),
        UNIT(test_follower_with_everything_agrees),
        UNIT(test_follower_with_an_incomplete_log_stays_awake),
        UNIT(test_proposal_wakes_the_leader),
        UNIT(test_read_wakes_the_leader),
        UNIT(test_transfer_wakes_the_leader),
        UNIT(test_plain_answer_wakes_the_leader),
        UNIT(test_agreement_does_not_wake_the_leader),
        UNIT(test_woken_leader_without_a_quorum_steps_down),
        UNIT(test_heartbeat_wakes_a_follower),
        UNIT(test_question_of_an_old_leader_wakes),
        UNIT(test_woken_follower_wakes_its_leader),
        UNIT(test_vote_request_wakes_a_follower),
        UNIT(test_lost_leader_is_replaced),
        UNIT(test_lost_leader_keeps_the_promise_made_to_it),
    };

    return cmocka_run_group_tests_name("sleep", tests, NULL, NULL);
}
