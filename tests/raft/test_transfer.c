/* SPDX-License-Identifier: Apache-2.0 */

/* Leadership transfer: thesis §3.10. */

#include "tests/raft/unit.h"

/* A target with the whole log is told at once. */
static void test_up_to_date_target_is_told_at_once(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    assert_int_equal(raft_transfer_leader(p->raft, 2), 0);
    peer_pump(p);
    assert_int_equal(peer_last(p, RAFT_MSG_TIMEOUT_NOW)->to, 2);
}

/* A lagging one is brought up to date first. */
static void test_lagging_target_is_brought_up_first(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    (void)raft_transfer_leader(p->raft, 3);
    peer_pump(p);
    assert_null(peer_last(p, RAFT_MSG_TIMEOUT_NOW));
    peer_acknowledge(p, 3, 1);
    assert_int_equal(peer_last(p, RAFT_MSG_TIMEOUT_NOW)->to, 3);
}

/* Meanwhile the leader takes no proposals. */
static void test_no_proposals_during_a_transfer(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    (void)raft_transfer_leader(p->raft, 3);
    assert_int_equal(peer_propose(p, "x"), ERR_DROPPED);
    peer_tick(p, PEER_ELECTION_TICKS);
    assert_int_equal(peer_propose(p, "x"), 0);
}

/* A second transfer takes the place of the first. */
static void test_second_transfer_replaces_the_first(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    (void)raft_transfer_leader(p->raft, 3);
    (void)raft_transfer_leader(p->raft, 2);
    assert_int_equal(peer_status(p).transferee, 2);
}

/* To oneself it only ends the running one; to a learner or to nobody it does
 * nothing. */
static void test_transfer_to_unfit_targets(void **state)
{
    struct peer *p = *state;

    p->conf.learners = (struct raft_id_set){1, {4}};
    peer_lead(p, 3);
    assert_int_equal(raft_transfer_leader(p->raft, 4), 0);
    assert_int_equal(peer_status(p).transferee, 0);
    assert_int_equal(raft_transfer_leader(p->raft, 9), ERR_NOT_FOUND);
    (void)raft_transfer_leader(p->raft, 3);
    (void)raft_transfer_leader(p->raft, 1);
    assert_int_equal(peer_status(p).transferee, 0);
}

/* A follower passes the wish on. */
static void test_follower_forwards_the_transfer(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    assert_int_equal(raft_transfer_leader(p->raft, 3), ERR_NOT_LEADER);
    peer_append(p, 1, 0, 0, 1, 0, 0);
    assert_int_equal(raft_transfer_leader(p->raft, 3), 0);
    peer_pump(p);
    assert_int_equal(peer_last(p, RAFT_MSG_TRANSFER_LEADER)->to, 2);
    assert_int_equal(peer_last(p, RAFT_MSG_TRANSFER_LEADER)->from, 3);
}

/* The target asks for no pre-vote, and says who sent it. */
static void test_target_campaigns_at_once(void **state)
{
    struct peer *p = *state;

    p->config.pre_vote = true;
    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 0, 0);
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_TIMEOUT_NOW,
                                                 .from = 2,
                                                 .term = 1});
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
    assert_int_equal(peer_last(p, RAFT_MSG_VOTE)->context,
                     RAFT_CONTEXT_TRANSFER);
}

/* It is given up after one election timeout. */
static void test_transfer_ends_after_an_election_timeout(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    (void)raft_transfer_leader(p->raft, 3);
    peer_tick(p, PEER_ELECTION_TICKS - 1);
    assert_int_equal(peer_status(p).transferee, 3);
    peer_tick(p, 1);
    assert_int_equal(peer_status(p).transferee, 0);
    peer_acknowledge(p, 3, 1);
    assert_null(peer_last(p, RAFT_MSG_TIMEOUT_NOW));
}

/* The same wish again gives it no more time. */
static void test_repeated_transfer_gets_no_more_time(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    for (unsigned i = 0; i < PEER_ELECTION_TICKS; i++) {
        (void)raft_transfer_leader(p->raft, 3);
        peer_tick(p, 1);
    }
    assert_int_equal(peer_status(p).transferee, 0);
}

/* The time of a transfer begins with it. */
static void test_transfer_has_a_whole_election_timeout(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    peer_tick(p, PEER_ELECTION_TICKS - 1);
    (void)raft_transfer_leader(p->raft, 3);
    peer_tick(p, PEER_ELECTION_TICKS - 1);
    assert_int_equal(peer_status(p).transferee, 3);
}

static void timeout_now(struct peer *p)
{
    struct raft_message m = {.type = RAFT_MSG_TIMEOUT_NOW, .from = 2};

    m.term = raft_term(p->raft);
    (void)peer_receive(p, &m);
}

/* A learner does not obey, nor does a candidate begin anew. */
static void test_unfit_target_does_not_campaign(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state.term = 1;
    p->conf.voters = (struct raft_id_set){2, {2, 3}};
    p->conf.learners = (struct raft_id_set){1, {1}};
    peer_start(p);
    timeout_now(p);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    raft_free(p->raft);

    p->conf.voters = (struct raft_id_set){3, {1, 2, 3}};
    p->conf.learners.count = 0;
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    timeout_now(p);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
    assert_int_equal(raft_term(p->raft), 2);
}

/* The old leader follows when the target asks for its vote, lease or not. */
static void test_old_leader_votes_for_the_target(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    (void)raft_transfer_leader(p->raft, 2);
    (void)peer_receive(
        p, &(struct raft_message){.type = RAFT_MSG_VOTE,
                                  .from = 2,
                                  .term = 2,
                                  .log_term = 1,
                                  .index = 1,
                                  .context = RAFT_CONTEXT_TRANSFER});
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    assert_false(peer_last(p, RAFT_MSG_VOTE_RESP)->reject);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_up_to_date_target_is_told_at_once),
        UNIT(test_lagging_target_is_brought_up_first),
        UNIT(test_no_proposals_during_a_transfer),
        UNIT(test_second_transfer_replaces_the_first),
        UNIT(test_transfer_to_unfit_targets),
        UNIT(test_follower_forwards_the_transfer),
        UNIT(test_target_campaigns_at_once),
        UNIT(test_transfer_ends_after_an_election_timeout),
        UNIT(test_repeated_transfer_gets_no_more_time),
        UNIT(test_transfer_has_a_whole_election_timeout),
        UNIT(test_unfit_target_does_not_campaign),
        UNIT(test_old_leader_votes_for_the_target),
    };

    return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
