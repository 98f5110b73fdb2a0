/* SPDX-License-Identifier: Apache-2.0 */

/* Linearizable reads: thesis §6.4. */

#include "tests/raft/unit.h"

static void confirm(struct peer *p, uint64_t from, uint64_t token)
{
    (void)peer_receive(p,
                       &(struct raft_message){.type = RAFT_MSG_HEARTBEAT_RESP,
                                              .from = from,
                                              .term = raft_term(p->raft),
                                              .context = token});
}

static void lead_committed(struct peer *p)
{
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_forget(p);
}

/* A read waits for a round of heartbeats that began after it. */
static void test_read_needs_a_heartbeat_round(void **state)
{
    struct peer *p = *state;

    lead_committed(p);
    assert_int_equal(raft_read_index(p->raft, 77), 0);
    peer_pump(p);
    assert_int_equal(p->read_state_count, 0);
    confirm(p, 2, peer_last_to(p, RAFT_MSG_HEARTBEAT, 2)->context);
    assert_int_equal(p->read_state_count, 1);
    assert_int_equal(p->read_state.request, 77);
    assert_int_equal(p->read_state.index, 1);
}

/* An answer to an earlier round confirms no later read. */
static void test_earlier_round_does_not_confirm(void **state)
{
    struct peer *p = *state;

    lead_committed(p);
    (void)raft_read_index(p->raft, 7);
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    confirm(p, 2, 1);
    assert_int_equal(p->read_state_count, 1);
    confirm(p, 3, 2);
    assert_int_equal(p->read_state_count, 2);
}

/* The token of a heartbeat is the leader's own and new for each read, so that
 * the caller's request may be used twice. */
static void test_token_is_not_the_callers_request(void **state)
{
    struct peer *p = *state;

    lead_committed(p);
    (void)raft_read_index(p->raft, 77);
    peer_pump(p);
    confirm(p, 2, 77);
    assert_int_equal(p->read_state_count, 0);
}

/* One round confirms all reads before it. */
static void test_one_round_confirms_all_reads_before_it(void **state)
{
    struct peer *p = *state;

    lead_committed(p);
    for (uint64_t request = 1; request <= 5; request++)
        (void)raft_read_index(p->raft, request);
    peer_pump(p);
    confirm(p, 3, 5);
    assert_int_equal(p->read_state_count, 5);
}

/* A lost round is repeated by the next heartbeat. */
static void test_lost_round_is_repeated(void **state)
{
    struct peer *p = *state;

    lead_committed(p);
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    peer_forget(p);
    peer_tick(p, PEER_HEARTBEAT_TICKS);
    assert_int_equal(peer_last(p, RAFT_MSG_HEARTBEAT)->context, 1);
}

/* A new leader may not know what is committed before an entry of its own term
 * is. */
static void test_read_waits_for_an_entry_of_the_own_term(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    confirm(p, 2, 1);
    assert_int_equal(p->read_state_count, 0);
    peer_acknowledge(p, 2, 1);
    confirm(p, 2, peer_last_to(p, RAFT_MSG_HEARTBEAT, 2)->context);
    assert_int_equal(p->read_state_count, 1);
    assert_int_equal(p->read_state.index, 1);
}

/* Also where the log of a new group begins, without any leader, in a term that
 * becomes the leader's. */
static void test_read_waits_where_the_log_begins_in_the_own_term(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot = {.index = 5, .term = 1};

    snapshot.conf_state = p->conf;
    (void)memory_storage_apply_snapshot(&p->storage, &snapshot);
    p->config.applied = 5;
    peer_lead(p, 3);
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    confirm(p, 2, 1);
    assert_int_equal(p->read_state_count, 0);
    assert_false(peer_status(p).own_term_committed);
}

/* A learner's answer confirms nothing. */
static void test_learners_do_not_confirm(void **state)
{
    struct peer *p = *state;

    p->conf.learners = (struct raft_id_set){1, {4}};
    lead_committed(p);
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    confirm(p, 4, 1);
    assert_int_equal(p->read_state_count, 0);
}

/* A single voter needs nobody. */
static void test_single_voter_answers_at_once(void **state)
{
    struct peer *p = *state;

    p->conf.voters.count = 1;
    peer_lead(p, 1);
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    assert_int_equal(p->read_state_count, 1);
}

/* A follower asks its leader. */
static void test_follower_forwards_reads(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    assert_int_equal(raft_read_index(p->raft, 7), ERR_NOT_LEADER);
    peer_append(p, 1, 0, 0, 1, 0, 0);
    assert_int_equal(raft_read_index(p->raft, 7), 0);
    peer_pump(p);
    assert_int_equal(peer_last(p, RAFT_MSG_READ_INDEX)->context, 7);
    (void)peer_receive(p,
                       &(struct raft_message){.type = RAFT_MSG_READ_INDEX_RESP,
                                              .from = 2,
                                              .term = 1,
                                              .index = 4,
                                              .context = 7});
    assert_int_equal(p->read_state.index, 4);
}

/* The leader answers the one that asked. */
static void test_leader_answers_a_forwarded_read(void **state)
{
    struct peer *p = *state;

    lead_committed(p);
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_READ_INDEX,
                                                 .from = 3,
                                                 .context = 9});
    confirm(p, 2, 1);
    assert_int_equal(peer_last(p, RAFT_MSG_READ_INDEX_RESP)->to, 3);
    assert_int_equal(peer_last(p, RAFT_MSG_READ_INDEX_RESP)->context, 9);
    assert_int_equal(p->read_state_count, 0);
}

/* Reads end with the leadership. */
static void test_reads_end_with_the_leadership(void **state)
{
    struct peer *p = *state;

    lead_committed(p);
    (void)raft_read_index(p->raft, 7);
    peer_append(p, 2, 0, 0, 2, 0, 0);
    peer_pump(p);
    assert_int_equal(p->read_state_count, 0);
    raft_check(p->raft);
}

/* Too many are refused. */
static void test_pending_reads_are_limited(void **state)
{
    struct peer *p = *state;

    lead_committed(p);
    for (uint64_t i = 1; i <= RAFT_READS_PENDING_MAX; i++)
        assert_int_equal(raft_read_index(p->raft, i), 0);
    assert_int_equal(raft_read_index(p->raft, 9999), ERR_BUSY);
}

/* With leases raft trusts the host, but not while a transfer runs. */
static void test_lease_based_reads_stop_for_a_transfer(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    p->config.read_only = RAFT_READ_LEASE_BASED;
    lead_committed(p);
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    assert_int_equal(p->read_state_count, 1);
    (void)raft_transfer_leader(p->raft, 3);
    (void)raft_read_index(p->raft, 8);
    peer_pump(p);
    assert_int_equal(p->read_state_count, 1);
}

/* More than half of the voters must confirm, this one included. */
static void test_read_needs_a_majority(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){5, {1, 2, 3, 4, 5}};
    peer_lead(p, 5);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 3, 1);
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    confirm(p, 4, 1);
    confirm(p, 4, 1);
    assert_int_equal(p->read_state_count, 0);
    confirm(p, 5, 1);
    assert_int_equal(p->read_state_count, 1);
}

/* It reads at the commit index of when it came in, not of a later one. */
static void test_read_index_is_that_of_its_arrival(void **state)
{
    struct peer *p = *state;

    lead_committed(p);
    (void)peer_propose(p, "x");
    (void)raft_read_index(p->raft, 7);
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_READ_INDEX,
                                                 .from = 3,
                                                 .context = 9});
    peer_acknowledge(p, 2, 2);
    assert_int_equal(raft_commit(p->raft), 2);
    confirm(p, 2, 2);
    assert_int_equal(p->read_state.index, 1);
    assert_int_equal(peer_last(p, RAFT_MSG_READ_INDEX_RESP)->index, 1);
}

/* A confirmation of a past leadership is none. */
static void test_confirmation_of_a_past_term_does_not_count(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state.term = 4;
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    (void)peer_receive(p,
                       &(struct raft_message){.type = RAFT_MSG_HEARTBEAT_RESP,
                                              .from = 2,
                                              .term = 4,
                                              .context = 1});
    assert_int_equal(p->read_state_count, 0);
}

/* A candidate knows nobody to ask. */
static void test_candidate_asks_nobody(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    assert_int_equal(raft_read_index(p->raft, 7), ERR_NOT_LEADER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_read_needs_a_heartbeat_round),
        UNIT(test_earlier_round_does_not_confirm),
        UNIT(test_token_is_not_the_callers_request),
        UNIT(test_one_round_confirms_all_reads_before_it),
        UNIT(test_lost_round_is_repeated),
        UNIT(test_read_waits_for_an_entry_of_the_own_term),
        UNIT(test_read_waits_where_the_log_begins_in_the_own_term),
        UNIT(test_learners_do_not_confirm),
        UNIT(test_single_voter_answers_at_once),
        UNIT(test_follower_forwards_reads),
        UNIT(test_leader_answers_a_forwarded_read),
        UNIT(test_reads_end_with_the_leadership),
        UNIT(test_pending_reads_are_limited),
        UNIT(test_lease_based_reads_stop_for_a_transfer),
        UNIT(test_read_needs_a_majority),
        UNIT(test_read_index_is_that_of_its_arrival),
        UNIT(test_confirmation_of_a_past_term_does_not_count),
        UNIT(test_candidate_asks_nobody),
    };

    return cmocka_run_group_tests_name("read_index", tests, NULL, NULL);
}
