/* SPDX-License-Identifier: Apache-2.0 */

/* Terms, votes, timers and what must be durable: the rules for servers of
 * figure 2 one by one; thesis §3.4, §3.8 and §4.1. */

#include "tests/raft/unit.h"

static void receive(struct peer *p, enum raft_message_type type, uint64_t from,
                    uint64_t term)
{
    struct raft_message m = {.type = type, .from = from, .term = term};

    assert_int_equal(peer_receive(p, &m), 0);
}

static bool granted(const struct peer *p)
{
    const struct raft_message *m = peer_last(p, RAFT_MSG_VOTE_RESP);

    assert_non_null(m);
    return !m->reject;
}

/* The shortest timeout but one tick: more would be a matter of luck. */
static void almost_time_out(struct peer *p)
{
    peer_tick(p, PEER_ELECTION_TICKS - 1);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
}

/* In a new term the vote is free again. */
static void test_later_term_forgets_the_vote(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state = (struct raft_hard_state){.term = 1, .vote = 2};
    peer_start(p);
    receive(p, RAFT_MSG_VOTE, 3, 2);
    assert_true(granted(p));
    assert_int_equal(peer_status(p).vote, 3);
}

/* A candidate that sees a larger term reverts to follower. */
static void test_candidate_steps_down_for_a_larger_term(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    receive(p, RAFT_MSG_VOTE, 3, 5);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    assert_int_equal(raft_term(p->raft), 5);
    assert_true(granted(p));
}

/* A larger term in an answer ends a leadership, too. */
static void test_larger_term_in_an_answer_ends_the_leadership(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    receive(p, RAFT_MSG_APP_RESP, 2, 4);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    assert_int_equal(raft_term(p->raft), 4);
    assert_int_equal(raft_leader(p->raft), 0);
}

/* A request for a vote in a past term gets none. */
static void test_vote_is_not_given_in_a_past_term(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state.term = 3;
    peer_start(p);
    receive(p, RAFT_MSG_VOTE, 2, 2);
    assert_null(peer_last(p, RAFT_MSG_VOTE_RESP));
    assert_int_equal(peer_status(p).vote, 0);
}

/* Votes for an earlier candidacy do not count for this one. */
static void test_votes_of_a_past_term_do_not_count(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state.term = 3;
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    receive(p, RAFT_MSG_VOTE_RESP, 2, 3);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
    receive(p, RAFT_MSG_VOTE_RESP, 2, 4);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
}

/* A vote leaves when it is durable. */
static void test_vote_waits_for_the_disk(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;

    p->storage.hard_state.term = 4;
    peer_start(p);
    (void)raft_step(p->raft,
                    &(struct raft_message){
                        .type = RAFT_MSG_VOTE, .from = 2, .to = 1, .term = 4});
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_true(ready.must_sync);
    assert_int_equal(ready.hard_state.vote, 2);
    assert_int_equal(ready.messages.count, 0);
    assert_int_equal(ready.after_append.item[0].type, RAFT_MSG_VOTE_RESP);
    raft_ready_release(&ready);
}

/* So does everything that is said in a new term. */
static void test_new_term_needs_a_sync(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;

    peer_start(p);
    (void)raft_step(p->raft,
                    &(struct raft_message){
                        .type = RAFT_MSG_APP, .from = 2, .to = 1, .term = 4});
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_true(ready.must_sync);
    assert_int_equal(ready.hard_state.term, 4);
    assert_int_equal(ready.after_append.item[0].type, RAFT_MSG_APP_RESP);
    raft_ready_release(&ready);
}

/* A refusal waits too: it may rest on what is not yet durable. */
static void test_refusal_waits_for_the_disk(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;
    struct raft_message m = {
        .type = RAFT_MSG_APP, .from = 2, .to = 1, .term = 1, .index = 7};

    peer_start(p);
    m.log_term = 1;
    (void)raft_step(p->raft, &m);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_int_equal(ready.messages.count, 0);
    assert_true(ready.after_append.item[0].reject);
    raft_ready_release(&ready);
}

/* A commit index alone needs no sync: it may go back. */
static void test_commit_index_needs_no_sync(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 3, 1);
    (void)raft_step(p->raft, &(struct raft_message){.type = RAFT_MSG_HEARTBEAT,
                                                    .from = 2,
                                                    .to = 1,
                                                    .term = 1,
                                                    .commit = 3});
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_true(ready.hard_state_changed);
    assert_int_equal(ready.hard_state.commit, 3);
    assert_false(ready.must_sync);
    raft_ready_release(&ready);
}

/* Whoever grants a vote waits for an election timeout before it stands. */
static void test_granting_a_vote_resets_the_timer(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state.term = 1;
    peer_start(p);
    for (unsigned times = 0; times < 3; times++) {
        almost_time_out(p);
        receive(p, RAFT_MSG_VOTE, 2, 1);
        assert_true(granted(p));
    }
}

/* A leader's message does the same, with entries or without. */
static void test_leaders_messages_reset_the_timer(void **state)
{
    static const enum raft_message_type types[] = {RAFT_MSG_APP,
                                                   RAFT_MSG_HEARTBEAT};
    struct peer *p = *state;

    peer_start(p);
    receive(p, RAFT_MSG_HEARTBEAT, 2, 1);
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        for (unsigned times = 0; times < 3; times++) {
            almost_time_out(p);
            receive(p, types[i], 2, 1);
        }
}

/* An old leader's message does not. */
static void test_old_leaders_do_not_reset_the_timer(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state.term = 5;
    peer_start(p);
    for (unsigned i = 0; i < 2 * PEER_ELECTION_TICKS; i++) {
        receive(p, RAFT_MSG_HEARTBEAT, 2, 4);
        peer_tick(p, 1);
    }
    assert_int_not_equal(raft_role(p->raft), RAFT_FOLLOWER);
}

/* When votes are split the candidate tries again in the next term. */
static void test_candidate_tries_again_after_a_timeout(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    peer_forget(p);
    peer_tick(p, 2 * PEER_ELECTION_TICKS);
    assert_int_equal(raft_term(p->raft), 2);
    assert_int_equal(peer_count(p, RAFT_MSG_VOTE), 2);
    assert_int_equal(peer_last(p, RAFT_MSG_VOTE)->term, 2);
}

/* Each try has a timeout of its own, so that candidates come apart. */
static void test_each_try_has_another_timeout(void **state)
{
    struct peer *p = *state;
    unsigned ticks[6];
    bool differ = false;

    peer_start(p);
    for (uint64_t i = 0; i < ARRAY_SIZE(ticks); i++) {
        for (ticks[i] = 0; raft_term(p->raft) == i; ticks[i]++)
            peer_tick(p, 1);
        differ = differ || ticks[i] != ticks[0];
    }
    assert_true(differ);
}

/* A candidate that cannot win any more becomes a follower of its term. */
static void test_candidate_without_a_chance_gives_up(void **state)
{
    struct peer *p = *state;
    struct raft_message no = {
        .type = RAFT_MSG_VOTE_RESP, .term = 1, .reject = true};

    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    no.from = 2;
    (void)peer_receive(p, &no);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
    no.from = 3;
    (void)peer_receive(p, &no);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    assert_int_equal(raft_term(p->raft), 1);
    assert_int_equal(peer_status(p).vote, 1);
}

/* What a voter has said first counts. */
static void test_later_answer_of_a_voter_does_not_count(void **state)
{
    struct peer *p = *state;
    struct raft_message no = {
        .type = RAFT_MSG_VOTE_RESP, .from = 2, .term = 1, .reject = true};

    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    (void)peer_receive(p, &no);
    peer_vote_from(p, 2);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
}

/* Entries and snapshots of a leader of its term end a candidacy, too. */
static void test_candidate_follows_whoever_leads(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot = {.index = 9, .term = 1};
    struct raft_message m[] = {
        {.type = RAFT_MSG_APP, .from = 2, .term = 1},
        {.type = RAFT_MSG_SNAP, .from = 2, .term = 2, .snapshot = &snapshot},
    };

    snapshot.conf_state = p->conf;
    peer_start(p);
    for (size_t i = 0; i < ARRAY_SIZE(m); i++) {
        (void)raft_campaign(p->raft);
        peer_pump(p);
        assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
        (void)peer_receive(p, &m[i]);
        assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
        assert_int_equal(raft_leader(p->raft), 2);
    }
    assert_int_equal(raft_commit(p->raft), 9);
}

/* A candidate may be in a configuration that this peer has not got yet. */
static void test_votes_for_a_candidate_that_it_does_not_know(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    receive(p, RAFT_MSG_VOTE, 9, 1);
    assert_true(granted(p));
}

/* So may a leader. */
static void test_follows_a_leader_that_it_does_not_know(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    receive(p, RAFT_MSG_APP, 9, 1);
    assert_int_equal(raft_leader(p->raft), 9);
    assert_non_null(peer_last_to(p, RAFT_MSG_APP_RESP, 9));
}

/* A new leader says so to everyone at once. */
static void test_new_leader_tells_everyone_at_once(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    peer_vote_from(p, 2);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
    for (uint64_t id = 2; id <= 3; id++)
        assert_int_equal(peer_last_to(p, RAFT_MSG_APP, id)->entries.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_later_term_forgets_the_vote),
        UNIT(test_candidate_steps_down_for_a_larger_term),
        UNIT(test_larger_term_in_an_answer_ends_the_leadership),
        UNIT(test_vote_is_not_given_in_a_past_term),
        UNIT(test_votes_of_a_past_term_do_not_count),
        UNIT(test_vote_waits_for_the_disk),
        UNIT(test_new_term_needs_a_sync),
        UNIT(test_refusal_waits_for_the_disk),
        UNIT(test_commit_index_needs_no_sync),
        UNIT(test_granting_a_vote_resets_the_timer),
        UNIT(test_leaders_messages_reset_the_timer),
        UNIT(test_old_leaders_do_not_reset_the_timer),
        UNIT(test_candidate_tries_again_after_a_timeout),
        UNIT(test_each_try_has_another_timeout),
        UNIT(test_candidate_without_a_chance_gives_up),
        UNIT(test_later_answer_of_a_voter_does_not_count),
        UNIT(test_candidate_follows_whoever_leads),
        UNIT(test_votes_for_a_candidate_that_it_does_not_know),
        UNIT(test_follows_a_leader_that_it_does_not_know),
        UNIT(test_new_leader_tells_everyone_at_once),
    };

    return cmocka_run_group_tests_name("vote", tests, NULL, NULL);
}
