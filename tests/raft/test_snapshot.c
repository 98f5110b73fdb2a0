/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots: Raft §7. */

#include "tests/raft/unit.h"

static void receive_snapshot(struct peer *p, uint64_t term, uint64_t index,
                             uint64_t last_voter)
{
    struct raft_snapshot snapshot = {.index = index, .term = term};

    for (uint64_t id = 4 - last_voter; id <= last_voter; id++)
        snapshot.conf_state.voters.id[snapshot.conf_state.voters.count++] = id;
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_SNAP,
                                                 .from = 2,
                                                 .term = term,
                                                 .snapshot = &snapshot});
}

/* A leader of a log that starts behind a snapshot at 10, asked by peer 2,
 * which has nothing. */
static void lead_compacted(struct peer *p)
{
    struct raft_snapshot snapshot = {.index = 10, .term = 1};

    snapshot.conf_state = p->conf;
    (void)memory_storage_apply_snapshot(&p->storage, &snapshot);
    p->config.applied = 10;
    peer_lead(p, 3);
    (void)peer_receive(p,
                       &(struct raft_message){.type = RAFT_MSG_HEARTBEAT_RESP,
                                              .from = 2,
                                              .term = raft_term(p->raft)});
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_APP_RESP,
                                                 .from = 2,
                                                 .term = raft_term(p->raft),
                                                 .index = 10,
                                                 .reject = true});
}

static struct raft_peer_status peer_two(const struct peer *p)
{
    struct raft_peer_status status;

    assert_true(raft_peer_find(p->raft, 2, &status));
    return status;
}

/* A follower that needs what is compacted gets a snapshot. */
static void test_lagging_follower_gets_a_snapshot(void **state)
{
    struct peer *p = *state;

    lead_compacted(p);
    assert_int_equal(peer_last(p, RAFT_MSG_SNAP)->snapshot->index, 10);
    assert_int_equal(peer_two(p).state, RAFT_SNAPSHOT);
    assert_int_equal(peer_two(p).pending_snapshot, 10);
}

/* Until it is reported or acknowledged nothing else is sent. */
static void test_nothing_is_sent_during_a_snapshot(void **state)
{
    struct peer *p = *state;

    lead_compacted(p);
    peer_forget(p);
    (void)peer_propose(p, "x");
    assert_null(peer_last_to(p, RAFT_MSG_APP, 2));
}

/* A failed one is tried again after the next heartbeat. */
static void test_failed_snapshot_is_sent_again(void **state)
{
    struct peer *p = *state;

    lead_compacted(p);
    peer_forget(p);
    raft_report_snapshot(p->raft, 2, false);
    assert_int_equal(peer_two(p).state, RAFT_PROBE);
    (void)peer_receive(p,
                       &(struct raft_message){.type = RAFT_MSG_HEARTBEAT_RESP,
                                              .from = 2,
                                              .term = raft_term(p->raft)});
    assert_non_null(peer_last(p, RAFT_MSG_SNAP));
}

/* After success probing goes on behind it. */
static void test_after_a_snapshot_probing_goes_on_behind_it(void **state)
{
    struct peer *p = *state;

    lead_compacted(p);
    raft_report_snapshot(p->raft, 2, true);
    assert_int_equal(peer_two(p).next, 11);
    peer_acknowledge(p, 2, 10);
    assert_int_equal(peer_two(p).state, RAFT_REPLICATE);
}

/* A snapshot that is not there yet is asked for again. */
static void test_unavailable_snapshot_is_asked_for_again(void **state)
{
    struct peer *p = *state;

    p->storage.snapshot_unavailable = true;
    lead_compacted(p);
    assert_null(peer_last(p, RAFT_MSG_SNAP));
    p->storage.snapshot_unavailable = false;
    (void)peer_receive(p,
                       &(struct raft_message){.type = RAFT_MSG_HEARTBEAT_RESP,
                                              .from = 2,
                                              .term = raft_term(p->raft)});
    assert_non_null(peer_last(p, RAFT_MSG_SNAP));
}

/* A snapshot replaces log, state and configuration. */
static void test_snapshot_replaces_the_log(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 1}, 2);
    peer_start(p);
    receive_snapshot(p, 3, 10, 3);
    assert_int_equal(raft_commit(p->raft), 10);
    assert_int_equal(raft_last_index(p->raft), 10);
    assert_int_equal(raft_applied(p->raft), 10);
    assert_int_equal(raft_term_at(p->raft, 10), 3);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->index, 10);
}

/* One that is behind the commit index is ignored. */
static void test_old_snapshot_is_ignored(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 5, 4);
    receive_snapshot(p, 1, 3, 3);
    assert_int_equal(raft_last_index(p->raft), 5);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->index, 4);
}

/* If the log has its last entry, the log is kept, with what follows. */
static void test_matching_snapshot_only_commits(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 5, 1);
    receive_snapshot(p, 1, 4, 3);
    assert_int_equal(raft_last_index(p->raft), 5);
    assert_int_equal(raft_commit(p->raft), 4);
}

/* One whose configuration does not name this peer is not for it. */
static void test_snapshot_without_self_is_refused(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    receive_snapshot(p, 1, 9, 2); /* voters: only 2 */
    assert_int_equal(raft_commit(p->raft), 0);
}

/* A peer does not stand for election while its state is being replaced. */
static void test_no_campaign_during_a_restore(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot = {.index = 9, .term = 1};
    struct raft_message m = {.type = RAFT_MSG_SNAP,
                             .from = 2,
                             .to = 1,
                             .term = 1,
                             .snapshot = &snapshot};

    peer_start(p);
    snapshot.conf_state = p->conf;
    assert_int_equal(raft_step(p->raft, &m), 0);
    (void)raft_campaign(p->raft);
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
    peer_pump(p);
    (void)raft_campaign(p->raft);
    assert_int_equal(raft_role(p->raft), RAFT_CANDIDATE);
}

/* The completion of a snapshot counts in any term. */
static void test_snapshot_completion_counts_in_any_term(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot = {.index = 9, .term = 1};
    struct raft_message m = {.type = RAFT_MSG_SNAP,
                             .from = 2,
                             .to = 1,
                             .term = 1,
                             .snapshot = &snapshot};
    struct raft_ready ready;

    peer_start(p);
    snapshot.conf_state = p->conf;
    assert_int_equal(raft_step(p->raft, &m), 0);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    (void)memory_storage_apply_snapshot(&p->storage, ready.snapshot);
    (void)raft_step(p->raft, &(struct raft_message){.type = RAFT_MSG_HEARTBEAT,
                                                    .from = 3,
                                                    .to = 1,
                                                    .term = 2});
    (void)raft_append_done(p->raft, &ready.token);
    assert_int_equal(raft_applied(p->raft), 9);
    raft_ready_release(&ready);
}

/* A follower that asks for a snapshot takes no entries until it comes, and
 * then a snapshot of its whole log although nothing is missing there. */
static void test_wanted_snapshot_replaces_an_intact_log(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 3, 3);
    assert_int_equal(raft_request_snapshot(p->raft), 0);
    peer_append(p, 1, 1, 3, 1, 1, 3);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->snapshot_wanted, 3);
    assert_int_equal(raft_last_index(p->raft), 3);
    receive_snapshot(p, 1, 3, 3);
    assert_int_equal(p->storage.snapshot->index, 3);
    assert_int_equal(peer_status(p).snapshot_wanted, 0);
}

/* It still confirms what it has, or that might never be committed. */
static void test_peer_that_wants_a_snapshot_confirms_its_log(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 3, 1);
    assert_int_equal(raft_request_snapshot(p->raft), 0);
    peer_forget(p);
    peer_append(p, 1, 1, 2, 1, 2, 1);
    assert_false(peer_last(p, RAFT_MSG_APP_RESP)->reject);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->index, 3);
    assert_int_equal(raft_last_index(p->raft), 3);
    peer_append(p, 1, 1, 2, 1, 2, 4);
    assert_int_equal(raft_commit(p->raft), 3);
    peer_append(p, 1, 1, 2, 1, 2, 4);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->snapshot_wanted, 3);
}

/* The leader then sends one that is new enough. */
static void test_leader_serves_a_wanted_snapshot(void **state)
{
    struct peer *p = *state;
    struct raft_message m = {.type = RAFT_MSG_APP_RESP,
                             .from = 2,
                             .term = 2,
                             .reject = true,
                             .snapshot_wanted = 11};
    struct raft_snapshot newer = {.index = 11, .term = 2};

    lead_compacted(p);
    peer_acknowledge(p, 2, 11);
    peer_forget(p);
    m.term = raft_term(p->raft);
    (void)peer_receive(p, &m);
    assert_null(peer_last(p, RAFT_MSG_SNAP));
    p->storage.offered = &newer;
    (void)peer_receive(p, &m);
    assert_int_equal(peer_last(p, RAFT_MSG_SNAP)->snapshot->index, 11);
}

static struct raft_message snapshot_for(const struct peer *p,
                                        struct raft_snapshot *snapshot)
{
    *snapshot = (struct raft_snapshot){.index = 9, .term = 1};
    snapshot->conf_state = p->conf;
    return (struct raft_message){.type = RAFT_MSG_SNAP,
                                 .from = 2,
                                 .to = 1,
                                 .term = 1,
                                 .snapshot = snapshot};
}

/* A snapshot of a past leader is not taken. */
static void test_snapshot_of_a_past_term_is_not_taken(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state.term = 5;
    peer_start(p);
    receive_snapshot(p, 4, 10, 3);
    assert_int_equal(raft_commit(p->raft), 0);
    assert_int_equal(raft_leader(p->raft), 0);
}

/* It is acknowledged when it is durable. */
static void test_snapshot_is_acknowledged_when_durable(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot;
    struct raft_message m = snapshot_for(p, &snapshot);
    struct raft_ready ready;

    peer_start(p);
    assert_int_equal(raft_step(p->raft, &m), 0);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_int_equal(ready.snapshot->index, 9);
    assert_int_equal(ready.messages.count, 0);
    assert_int_equal(ready.after_append.item[0].index, 9);
    raft_ready_release(&ready);
}

/* Meanwhile nothing is applied: what it replaces is gone. */
static void test_nothing_is_applied_during_a_restore(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot;
    struct raft_message m = snapshot_for(p, &snapshot);
    struct raft_ready ready;

    peer_store(p, (uint64_t[]){1, 1, 1}, 3);
    p->storage.hard_state.commit = 3;
    peer_start(p);
    assert_int_equal(raft_step(p->raft, &m), 0);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_int_equal(ready.committed.count, 0);
    raft_ready_release(&ready);
}

/* What was handed out before and is applied late does not take it back. */
static void test_late_application_does_not_undo_a_restore(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot;
    struct raft_message m = snapshot_for(p, &snapshot);
    struct raft_ready ready;

    peer_store(p, (uint64_t[]){1, 1}, 2);
    p->storage.hard_state.commit = 2;
    peer_start(p);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_int_equal(ready.committed.count, 2);
    raft_ready_release(&ready);
    (void)peer_receive(p, &m);
    assert_int_equal(raft_apply_done(p->raft, 2), 0);
    assert_int_equal(raft_applied(p->raft), 9);
}

/* A snapshot brings its configuration, which may demote the receiver. */
static void test_snapshot_brings_its_configuration(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot;
    struct raft_message m = snapshot_for(p, &snapshot);

    peer_start(p);
    snapshot.conf_state.voters = (struct raft_id_set){2, {2, 3}};
    snapshot.conf_state.learners = (struct raft_id_set){1, {1}};
    (void)peer_receive(p, &m);
    assert_false(peer_status(p).voter);
    assert_true(peer_status(p).learner);
}

/* One without voters, or with a peer of two kinds, is not taken. */
static void test_snapshot_with_a_bad_configuration_is_refused(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot;
    struct raft_message m = snapshot_for(p, &snapshot);

    peer_start(p);
    snapshot.conf_state.learners = (struct raft_id_set){1, {1}};
    (void)peer_receive(p, &m);
    assert_int_equal(raft_commit(p->raft), 0);
    snapshot.conf_state.voters.count = 0;
    (void)peer_receive(p, &m);
    assert_int_equal(raft_commit(p->raft), 0);
}

/* Snapshots are expensive: a peer that is not heard of gets none. */
static void test_silent_peer_gets_no_snapshot(void **state)
{
    struct peer *p = *state;

    p->config.check_quorum = true;
    p->storage.snapshot_unavailable = true;
    lead_compacted(p);
    peer_tick(p, PEER_ELECTION_TICKS);
    assert_false(peer_two(p).recent_active);
    p->storage.snapshot_unavailable = false;
    (void)peer_propose(p, "x");
    assert_null(peer_last(p, RAFT_MSG_SNAP));
    (void)peer_receive(p,
                       &(struct raft_message){.type = RAFT_MSG_HEARTBEAT_RESP,
                                              .from = 2,
                                              .term = raft_term(p->raft)});
    assert_non_null(peer_last(p, RAFT_MSG_SNAP));
}

/* An acknowledgment that meets the log ends the wait, also when the snapshot
 * came from another; one that does not meet it does not. */
static void test_acknowledgment_that_meets_the_log_ends_a_snapshot(void **state)
{
    struct peer *p = *state;

    lead_compacted(p);
    peer_forget(p);
    peer_acknowledge(p, 2, 9);
    assert_int_equal(peer_two(p).state, RAFT_SNAPSHOT);
    assert_int_equal(p->sent.count, 0);
    peer_acknowledge(p, 2, 11);
    assert_int_equal(peer_two(p).state, RAFT_REPLICATE);
    assert_int_equal(peer_two(p).next, 12);
}

/* Who may ask for a snapshot: a follower whose last entry is the leader's. */
static void test_unfit_peers_do_not_ask_for_a_snapshot(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot;
    struct raft_message m = snapshot_for(p, &snapshot);

    peer_store(p, (uint64_t[]){1, 1}, 2);
    peer_start(p);
    assert_int_equal(raft_request_snapshot(p->raft), ERR_NOT_LEADER);
    peer_append(p, 2, 1, 2, 2, 0, 0);
    assert_int_equal(raft_request_snapshot(p->raft), ERR_BUSY);
    m.term = 2;
    snapshot.term = 2;
    assert_int_equal(raft_step(p->raft, &m), 0);
    assert_int_equal(raft_request_snapshot(p->raft), ERR_BUSY);
    peer_pump(p);
    (void)raft_campaign(p->raft);
    peer_pump(p);
    peer_vote_from(p, 2);
    assert_int_equal(raft_request_snapshot(p->raft), ERR_BUSY);
}

/* A wish ends with the term: the next leader may not have what it covers. */
static void test_wanted_snapshot_is_forgotten_with_the_term(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 3, 3);
    assert_int_equal(raft_request_snapshot(p->raft), 0);
    assert_int_equal(peer_status(p).snapshot_wanted, 3);
    peer_append(p, 2, 1, 3, 2, 1, 3);
    assert_int_equal(peer_status(p).snapshot_wanted, 0);
    assert_int_equal(raft_last_index(p->raft), 4);
}

/* A wish that comes while a snapshot is on its way waits for its report. */
static void test_wanted_snapshot_waits_for_the_one_on_its_way(void **state)
{
    struct peer *p = *state;
    struct raft_message m = {.type = RAFT_MSG_APP_RESP,
                             .from = 2,
                             .reject = true,
                             .snapshot_wanted = 10};

    lead_compacted(p);
    peer_forget(p);
    m.term = raft_term(p->raft);
    (void)peer_receive(p, &m);
    assert_int_equal(p->sent.count, 0);
    raft_report_snapshot(p->raft, 2, false);
    (void)peer_receive(p, &m);
    assert_non_null(peer_last(p, RAFT_MSG_SNAP));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_lagging_follower_gets_a_snapshot),
        UNIT(test_nothing_is_sent_during_a_snapshot),
        UNIT(test_failed_snapshot_is_sent_again),
        UNIT(test_after_a_snapshot_probing_goes_on_behind_it),
        UNIT(test_unavailable_snapshot_is_asked_for_again),
        UNIT(test_snapshot_replaces_the_log),
        UNIT(test_old_snapshot_is_ignored),
        UNIT(test_matching_snapshot_only_commits),
        UNIT(test_snapshot_without_self_is_refused),
        UNIT(test_no_campaign_during_a_restore),
        UNIT(test_snapshot_completion_counts_in_any_term),
        UNIT(test_wanted_snapshot_replaces_an_intact_log),
        UNIT(test_peer_that_wants_a_snapshot_confirms_its_log),
        UNIT(test_leader_serves_a_wanted_snapshot),
        UNIT(test_snapshot_of_a_past_term_is_not_taken),
        UNIT(test_snapshot_is_acknowledged_when_durable),
        UNIT(test_nothing_is_applied_during_a_restore),
        UNIT(test_late_application_does_not_undo_a_restore),
        UNIT(test_snapshot_brings_its_configuration),
        UNIT(test_snapshot_with_a_bad_configuration_is_refused),
        UNIT(test_silent_peer_gets_no_snapshot),
        UNIT(test_acknowledgment_that_meets_the_log_ends_a_snapshot),
        UNIT(test_unfit_peers_do_not_ask_for_a_snapshot),
        UNIT(test_wanted_snapshot_is_forgotten_with_the_term),
        UNIT(test_wanted_snapshot_waits_for_the_one_on_its_way),
    };

    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
