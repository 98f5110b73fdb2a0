/* SPDX-License-Identifier: Apache-2.0 */

/* Elections: Raft §5.1, §5.2, §5.4.1; thesis §9.6 (pre-vote), §6.2. */

#include "tests/raft/unit.h"

static int vote_request(struct peer *p, uint64_t from, uint64_t term,
                        uint64_t log_term, uint64_t index)
{
    return peer_receive(p, &(struct raft_message){.type = RAFT_MSG_VOTE,
                                                  .from = from,
                                                  .term = term,
                                                  .log_term = log_term,
                                                  .index = index});
}

static int pre_vote_request(struct peer *p, uint64_t from, uint64_t term)
{
    return peer_receive(p, &(struct raft_message){.type = RAFT_MSG_PRE_VOTE,
                                                  .from = from,
                                                  .term = term});
}

static void heartbeat(struct peer *p, uint64_t term)
{
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_HEARTBEAT,
                                                 .from = 2,
                                                 .term = term});
}

static bool granted(const struct peer *p, enum raft_message_type type)
{
    const struct raft_message *m = peer_last(p, type);

    assert_non_null(m);
    return !m->reject;
}

/* When servers start up, they begin as followers. */
static void test_starts_as_follower(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    assert_int_equal(raft_leader(p->raft), 0);
}

/* If a server sees a larger term, it updates its own to it. */
static void test_adopts_a_larger_term(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    heartbeat(p, 5);
    assert_int_equal(raft_term(p->raft), 5);
    assert_int_equal(raft_leader(p->raft), 2);
}

/* A leader that sees a larger term reverts to follower. */
static void test_leader_steps_down_for_a_larger_term(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    heartbeat(p, 2);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    assert_int_equal(raft_term(p->raft), 2);
}

/* A request with a stale term is rejected. */
static void test_ignores_a_stale_term(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state.term = 3;
    peer_start(p);
    heartbeat(p, 2);
    assert_int_equal(raft_leader(p->raft), 0);
    assert_int_equal(p->sent.count, 0);
}

/* A server votes for the first to ask in a term and for nobody else in it. */
static void test_votes_once_per_term(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    (void)vote_request(p, 2, 1, 0, 0);
    assert_true(granted(p, RAFT_MSG_VOTE_RESP));
    (void)vote_request(p, 3, 1, 0, 0);
    assert_false(granted(p, RAFT_MSG_VOTE_RESP));
}

/* The same candidate gets its vote again when the answer was lost. */
static void test_repeats_its_vote(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    (void)vote_request(p, 2, 1, 0, 0);
    peer_forget(p);
    (void)vote_request(p, 2, 1, 0, 0);
    assert_true(granted(p, RAFT_MSG_VOTE_RESP));
}

/* A vote survives a restart. */
static void test_remembers_its_vote(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state = (struct raft_hard_state){.term = 1, .vote = 2};
    peer_start(p);
    (void)vote_request(p, 3, 1, 0, 0);
    assert_false(granted(p, RAFT_MSG_VOTE_RESP));
}

/* No vote in a term whose leader is known. */
static void test_does_not_vote_against_a_known_leader(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    heartbeat(p, 1);
    (void)vote_request(p, 3, 1, 0, 0);
    assert_false(granted(p, RAFT_MSG_VOTE_RESP));
}

/* A vote is denied to a log that ends in an earlier term, however long. */
static void test_denies_its_vote_to_an_older_last_term(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 2}, 2);
    peer_start(p);
    (void)vote_request(p, 2, 3, 1, 9);
    assert_false(granted(p, RAFT_MSG_VOTE_RESP));
}

/* With the same last term the longer log is more up to date. */
static void test_denies_its_vote_to_a_shorter_log(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 1}, 2);
    peer_start(p);
    (void)vote_request(p, 2, 2, 1, 1);
    assert_false(granted(p, RAFT_MSG_VOTE_RESP));
    (void)vote_request(p, 3, 3, 1, 2);
    assert_true(granted(p, RAFT_MSG_VOTE_RESP));
}

/* Without communication over an election timeout a follower begins one. */
static void test_follower_campaigns_after_a_timeout(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_tick(p, 2 * PEER_ELECTION_TICKS);
    assert_int_equal(peer_count(p, RAFT_MSG_VOTE), 2);
    assert_int_equal(raft_term(p->raft), 1);
    assert_int_equal(peer_status(p).vote, 1);
}

/* Election timeouts are chosen at random from a fixed interval. */
static void test_timeouts_lie_in_their_interval(void **state)
{
    struct peer *p = *state;

    for (uint64_t seed = 0; seed < 50; seed++) {
        p->config.random_seed = seed;
        peer_start(p);
        peer_tick(p, PEER_ELECTION_TICKS - 1);
        assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
        peer_tick(p, PEER_ELECTION_TICKS);
        assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
        raft_free(p->raft);
        p->raft = NULL;
        p->storage.hard_state.term = 0;
        p->storage.hard_state.vote = 0;
    }
}

/* A candidate with votes from a majority wins. */
static void test_majority_wins(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
    peer_vote_from(p, 3);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
}

/* One server's vote counts once. */
static void test_repeated_votes_do_not_win(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){5, {1, 2, 3, 4, 5}};
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    peer_vote_from(p, 2);
    peer_vote_from(p, 2);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
}

/* The own vote counts only when it is durable. */
static void test_own_vote_waits_for_the_disk(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;

    p->conf.voters.count = 1;
    peer_start(p);
    (void)raft_campaign(p->raft);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
    (void)raft_append_done(p->raft, &ready.token);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
    raft_ready_release(&ready);
}

/* A candidate asks when its term, its vote and the log that it claims to have
 * are durable. After a crash it would otherwise stand in the same term again,
 * and answers to the first request would elect it with a shorter log. */
static void test_request_for_votes_waits_for_the_disk(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;

    peer_start(p);
    (void)raft_campaign(p->raft);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_true(ready.must_sync);
    assert_int_equal(ready.messages.count, 0);
    assert_int_equal(ready.after_append.count, 2);
    assert_int_equal(ready.after_append.item[0].type, RAFT_MSG_VOTE);
    raft_ready_release(&ready);
}

/* A candidate that hears from a leader of its term recognizes it. */
static void test_candidate_follows_a_leader(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    (void)raft_campaign(p->raft);
    heartbeat(p, 1);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    assert_int_equal(raft_leader(p->raft), 2);
}

/* A pre-candidate changes neither its term nor its vote. */
static void test_pre_vote_leaves_the_term(void **state)
{
    struct peer *p = *state;

    p->config.pre_vote = true;
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    assert_int_equal(raft_term(p->raft), 0);
    assert_int_equal(peer_status(p).vote, 0);
    assert_int_equal(peer_last(p, RAFT_MSG_PRE_VOTE)->term, 1);
}

/* Who is asked for a pre-vote does not change its term either, answers with
 * the candidate's term, and may say yes to several. */
static void test_pre_votes_are_not_votes(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    (void)pre_vote_request(p, 2, 4);
    (void)pre_vote_request(p, 3, 4);
    assert_true(granted(p, RAFT_MSG_PRE_VOTE_RESP));
    assert_int_equal(peer_last(p, RAFT_MSG_PRE_VOTE_RESP)->term, 4);
    assert_int_equal(raft_term(p->raft), 0);
}

/* A pre-vote of a past term is answered, with the own term. */
static void test_old_pre_vote_is_refused_aloud(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state.term = 6;
    peer_start(p);
    (void)pre_vote_request(p, 2, 4);
    assert_false(granted(p, RAFT_MSG_PRE_VOTE_RESP));
    assert_int_equal(peer_last(p, RAFT_MSG_PRE_VOTE_RESP)->term, 6);
}

/* A peer that has a log but was in no term yet has no term to refuse with: it
 * does not grant, and says nothing. */
static void test_peer_without_a_term_refuses_in_silence(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 1}, 2);
    p->storage.hard_state.term = 0;
    peer_start(p);
    (void)pre_vote_request(p, 2, 1);
    assert_int_equal(p->sent.count, 0);
}

/* With check-quorum nobody votes against a leader it has heard of within an
 * election timeout, unless that leader has asked for it. */
static void test_leader_is_sticky(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    peer_start(p);
    heartbeat(p, 1);
    peer_forget(p);
    (void)vote_request(p, 3, 2, 0, 0);
    assert_int_equal(raft_term(p->raft), 1);
    assert_int_equal(p->sent.count, 0);
    (void)peer_receive(
        p, &(struct raft_message){.type = RAFT_MSG_VOTE,
                                  .from = 3,
                                  .term = 2,
                                  .context = RAFT_CONTEXT_TRANSFER});
    assert_true(granted(p, RAFT_MSG_VOTE_RESP));
}

/* A leader that hears of no majority for an election timeout steps down. */
static void test_leader_without_quorum_steps_down(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    peer_lead(p, 3);
    peer_tick(p, PEER_ELECTION_TICKS - 1);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
    peer_tick(p, PEER_ELECTION_TICKS + 1);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
}

/* A message of an old leader is answered, so that it steps down: its term may
 * be stuck behind ours for ever otherwise. */
static void test_old_leader_is_told(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    p->storage.hard_state.term = 4;
    peer_start(p);
    heartbeat(p, 2);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->term, 4);
}

/* A restarted voter has forgotten which leader it has promised to wait for. */
static void test_restarted_voter_is_silent(void **state)
{
    struct peer *p = *state;

    p->config.silent_ticks = PEER_ELECTION_TICKS;
    peer_start(p);
    (void)vote_request(p, 2, 1, 0, 0);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    assert_int_equal(p->sent.count, 0);
    peer_tick(p, PEER_ELECTION_TICKS);
    peer_forget(p);
    (void)vote_request(p, 2, 2, 0, 0);
    assert_true(granted(p, RAFT_MSG_VOTE_RESP));
}

/* A learner votes: it may have missed that it is a voter. It never stands. */
static void test_learner_votes_but_does_not_stand(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){2, {2, 3}};
    p->conf.learners = (struct raft_id_set){1, {1}};
    peer_start(p);
    peer_tick(p, 3 * PEER_ELECTION_TICKS);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    (void)vote_request(p, 2, 1, 0, 0);
    assert_true(granted(p, RAFT_MSG_VOTE_RESP));
}

/* A candidate that has not applied a committed configuration has an old idea
 * of a majority. */
static void test_no_campaign_before_a_conf_change_is_applied(void **state)
{
    struct peer *p = *state;
    struct raft_entries entries = {.count = 0};

    raft_entries_append(
        &entries, &(struct raft_entry){.term = 1,
                                       .index = 1,
                                       .type = RAFT_ENTRY_CONF_CHANGE_V2});
    memory_storage_append(&p->storage, &entries);
    raft_entries_release(&entries);
    p->storage.hard_state = (struct raft_hard_state){.term = 1, .commit = 1};
    peer_start(p);
    (void)raft_campaign(p->raft);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    peer_pump(p);
    (void)raft_campaign(p->raft);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
}

/* Whoever refuses a vote says what is committed: after the end of a joint
 * configuration only removed peers might know. */
static void test_refused_candidate_learns_what_is_committed(void **state)
{
    struct peer *p = *state;
    struct raft_message m = {.type = RAFT_MSG_VOTE_RESP,
                             .from = 2,
                             .term = 2,
                             .reject = true,
                             .known_commit = 2,
                             .known_commit_term = 1};

    peer_store(p, (uint64_t[]){1, 1, 1}, 3);
    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    (void)peer_receive(p, &m);
    assert_int_equal(raft_commit(p->raft), 2);
    m.known_commit = 3;
    m.known_commit_term = 2;
    (void)peer_receive(p, &m);
    assert_int_equal(raft_commit(p->raft), 2);
}

static void test_voter_tells_a_candidate_what_is_committed(void **state)
{
    struct peer *p = *state;

    p->config.tell_commit_to_candidates = true;
    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 3, 2);
    (void)vote_request(p, 3, 2, 1, 1);
    assert_false(granted(p, RAFT_MSG_VOTE_RESP));
    assert_int_equal(peer_last(p, RAFT_MSG_VOTE_RESP)->known_commit, 2);
    assert_int_equal(peer_last(p, RAFT_MSG_VOTE_RESP)->known_commit_term, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_starts_as_follower),
        UNIT(test_adopts_a_larger_term),
        UNIT(test_leader_steps_down_for_a_larger_term),
        UNIT(test_ignores_a_stale_term),
        UNIT(test_votes_once_per_term),
        UNIT(test_repeats_its_vote),
        UNIT(test_remembers_its_vote),
        UNIT(test_does_not_vote_against_a_known_leader),
        UNIT(test_denies_its_vote_to_an_older_last_term),
        UNIT(test_denies_its_vote_to_a_shorter_log),
        UNIT(test_follower_campaigns_after_a_timeout),
        UNIT(test_timeouts_lie_in_their_interval),
        UNIT(test_majority_wins),
        UNIT(test_repeated_votes_do_not_win),
        UNIT(test_own_vote_waits_for_the_disk),
        UNIT(test_request_for_votes_waits_for_the_disk),
        UNIT(test_candidate_follows_a_leader),
        UNIT(test_pre_vote_leaves_the_term),
        UNIT(test_pre_votes_are_not_votes),
        UNIT(test_old_pre_vote_is_refused_aloud),
        UNIT(test_peer_without_a_term_refuses_in_silence),
        UNIT(test_leader_is_sticky),
        UNIT(test_leader_without_quorum_steps_down),
        UNIT(test_old_leader_is_told),
        UNIT(test_restarted_voter_is_silent),
        UNIT(test_learner_votes_but_does_not_stand),
        UNIT(test_no_campaign_before_a_conf_change_is_applied),
        UNIT(test_refused_candidate_learns_what_is_committed),
        UNIT(test_voter_tells_a_candidate_what_is_committed),
    };

    return cmocka_run_group_tests_name("election", tests, NULL, NULL);
}
