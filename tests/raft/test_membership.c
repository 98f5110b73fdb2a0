/* SPDX-License-Identifier: Apache-2.0 */

/* Configurations taking effect: thesis chapter 4. */

#include "tests/raft/unit.h"

static int change(struct peer *p, enum raft_conf_transition transition,
                  enum raft_conf_change_type type, uint64_t peer)
{
    struct raft_conf_change cc = {
        .transition = transition,
        .count = peer == 0 ? 0 : 1,
        .change = {{type, peer}},
    };
    int rc = raft_propose_conf_change(p->raft, &cc, NULL);

    peer_pump(p);
    return rc;
}

static void lead(struct peer *p)
{
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 3, 1);
    peer_forget(p);
}

static size_t voter_count(const struct peer *p)
{
    struct raft_conf_state conf;

    raft_conf_state(p->raft, &conf);
    return conf.voters.count;
}

/* A configuration takes effect when its entry is applied, not before. */
static void test_change_takes_effect_when_applied(void **state)
{
    struct peer *p = *state;

    lead(p);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 4);
    assert_int_equal(voter_count(p), 3);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(voter_count(p), 4);
}

/* A new peer is sent what it lacks, and counts as active. */
static void test_new_peer_is_probed(void **state)
{
    struct peer *p = *state;
    struct raft_peer_status four;

    lead(p);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 4);
    peer_acknowledge(p, 2, 2);
    assert_true(raft_peer_find(p->raft, 4, &four));
    assert_int_equal(four.state, RAFT_PROBE);
    assert_true(four.recent_active);
    assert_non_null(peer_last_to(p, RAFT_MSG_APP, 4));
}

/* There is at most one change that is not applied; a second one becomes an
 * empty entry. */
static void test_one_change_at_a_time(void **state)
{
    struct peer *p = *state;

    lead(p);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 4);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 5);
    peer_acknowledge(p, 2, 3);
    peer_acknowledge(p, 3, 3);
    assert_int_equal(voter_count(p), 4);
    assert_int_equal(p->applied.item[2].type, RAFT_ENTRY_NORMAL);
    assert_null(p->applied.item[2].data);
}

/* A new leader does not know whether its tail holds a change. */
static void test_new_leader_waits_for_its_tail(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 1}, 2);
    peer_lead(p, 3);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 4);
    peer_acknowledge(p, 2, 4);
    assert_int_equal(voter_count(p), 3);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 4);
    peer_acknowledge(p, 2, 5);
    assert_int_equal(voter_count(p), 4);
}

/* What cannot be applied is refused where it is proposed. */
static void test_impossible_change_is_refused(void **state)
{
    struct peer *p = *state;

    p->conf.voters.count = 1;
    peer_lead(p, 1);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_REMOVE_PEER, 1);
    assert_int_equal(voter_count(p), 1);
    assert_int_equal(p->applied.item[1].type, RAFT_ENTRY_NORMAL);
}

/* While the configuration is joint, both halves decide. */
static void test_joint_commit_needs_both_halves(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){1, {1}};
    p->conf.voters_outgoing = (struct raft_id_set){3, {1, 2, 3}};
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
    peer_vote_from(p, 2);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
    assert_int_equal(raft_commit(p->raft), 0);
    peer_acknowledge(p, 3, 1);
    assert_int_equal(raft_commit(p->raft), 1);
}

/* An implicit joint change is left by the leader itself. */
static void test_implicit_change_is_left_by_the_leader(void **state)
{
    struct peer *p = *state;

    lead(p);
    (void)change(p, RAFT_TRANSITION_IMPLICIT, RAFT_REMOVE_PEER, 3);
    peer_acknowledge(p, 2, 2);
    assert_true(peer_status(p).joint);
    assert_int_equal(raft_last_index(p->raft), 3);
    peer_acknowledge(p, 2, 3);
    assert_false(peer_status(p).joint);
    assert_int_equal(voter_count(p), 2);
}

/* A running transfer delays that until it is given up, also in a group where
 * nothing else is ever proposed. */
static void test_auto_leave_waits_for_the_end_of_a_transfer(void **state)
{
    struct peer *p = *state;

    lead(p);
    (void)change(p, RAFT_TRANSITION_IMPLICIT, RAFT_REMOVE_PEER, 3);
    (void)peer_propose(p, "x");
    (void)raft_transfer_leader(p->raft, 2);
    peer_acknowledge(p, 2, 2);
    assert_true(peer_status(p).joint);
    assert_int_equal(raft_last_index(p->raft), 3);
    peer_tick(p, PEER_ELECTION_TICKS);
    assert_int_equal(raft_last_index(p->raft), 4);
    peer_acknowledge(p, 2, 4);
    assert_false(peer_status(p).joint);
}

/* An explicit one waits for the empty change. */
static void test_explicit_change_is_left_on_demand(void **state)
{
    struct peer *p = *state;

    lead(p);
    (void)change(p, RAFT_TRANSITION_EXPLICIT, RAFT_REMOVE_PEER, 3);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(raft_last_index(p->raft), 2);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_VOTER, 0);
    peer_acknowledge(p, 2, 3);
    assert_false(peer_status(p).joint);
}

/* A removed leader steps down if it is told to, else it leads on without
 * counting itself, and takes no proposals. */
static void test_removed_leader_leads_on(void **state)
{
    struct peer *p = *state;

    lead(p);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_REMOVE_PEER, 1);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
    assert_false(peer_status(p).voter);
    assert_int_equal(peer_propose(p, "x"), ERR_DROPPED);
}

static void test_removed_leader_steps_down_if_told(void **state)
{
    struct peer *p = *state;

    p->config.step_down_on_removal = true;
    lead(p);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_ADD_LEARNER, 1);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    assert_true(peer_status(p).learner);
}

/* A transfer ends when its target is no voter any more. */
static void test_transfer_to_a_removed_peer_ends(void **state)
{
    struct peer *p = *state;

    lead(p);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_REMOVE_PEER, 3);
    (void)raft_transfer_leader(p->raft, 3);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(peer_status(p).transferee, 0);
}

/* A learner gets the log and is not counted. */
static void test_learner_is_not_counted(void **state)
{
    struct peer *p = *state;

    p->conf.learners = (struct raft_id_set){1, {4}};
    peer_lead(p, 3);
    peer_acknowledge(p, 4, 1);
    assert_int_equal(raft_commit(p->raft), 0);
    (void)peer_propose(p, "x");
    assert_non_null(peer_last_to(p, RAFT_MSG_APP, 4));
}

/* A smaller quorum commits what was waiting. */
static void test_smaller_quorum_commits_what_waits(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){2, {1, 2}};
    peer_lead(p, 2);
    peer_acknowledge(p, 2, 1);
    (void)change(p, RAFT_TRANSITION_AUTO, RAFT_REMOVE_PEER, 2);
    (void)peer_propose(p, "x");
    peer_acknowledge(p, 2, 2);
    assert_int_equal(raft_commit(p->raft), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_change_takes_effect_when_applied),
        UNIT(test_new_peer_is_probed),
        UNIT(test_one_change_at_a_time),
        UNIT(test_new_leader_waits_for_its_tail),
        UNIT(test_impossible_change_is_refused),
        UNIT(test_joint_commit_needs_both_halves),
        UNIT(test_implicit_change_is_left_by_the_leader),
        UNIT(test_auto_leave_waits_for_the_end_of_a_transfer),
        UNIT(test_explicit_change_is_left_on_demand),
        UNIT(test_removed_leader_leads_on),
        UNIT(test_removed_leader_steps_down_if_told),
        UNIT(test_transfer_to_a_removed_peer_ends),
        UNIT(test_learner_is_not_counted),
        UNIT(test_smaller_quorum_commits_what_waits),
    };

    return cmocka_run_group_tests_name("membership", tests, NULL, NULL);
}
