/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots that a follower asks for and takes: Raft §7. What a leader sends is
 * in test_snapshot_send.c. */

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

/* An older last entry may lie behind the leader's end: no snapshot would ever
 * reach it. */
static void test_snapshot_is_wanted_when_the_leader_has_the_log(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 3, 1);
    peer_append(p, 2, 1, 1, 2, 0, 1);
    assert_int_equal(raft_request_snapshot(p->raft), ERR_BUSY);
    peer_append(p, 2, 1, 1, 2, 1, 1);
    assert_int_equal(raft_request_snapshot(p->raft), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_snapshot_replaces_the_log),
        UNIT(test_old_snapshot_is_ignored),
        UNIT(test_matching_snapshot_only_commits),
        UNIT(test_snapshot_without_self_is_refused),
        UNIT(test_no_campaign_during_a_restore),
        UNIT(test_snapshot_completion_counts_in_any_term),
        UNIT(test_wanted_snapshot_replaces_an_intact_log),
        UNIT(test_snapshot_is_wanted_when_the_leader_has_the_log),
        UNIT(test_peer_that_wants_a_snapshot_confirms_its_log),
        UNIT(test_snapshot_of_a_past_term_is_not_taken),
        UNIT(test_snapshot_is_acknowledged_when_durable),
        UNIT(test_nothing_is_applied_during_a_restore),
        UNIT(test_late_application_does_not_undo_a_restore),
        UNIT(test_snapshot_brings_its_configuration),
        UNIT(test_snapshot_with_a_bad_configuration_is_refused),
        UNIT(test_unfit_peers_do_not_ask_for_a_snapshot),
        UNIT(test_wanted_snapshot_is_forgotten_with_the_term),
    };

    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
