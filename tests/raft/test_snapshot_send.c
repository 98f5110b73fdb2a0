/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots that a leader sends: Raft §7. */

#include "tests/raft/unit.h"

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

/* Who wants a snapshot gets one that is new enough. */
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
        UNIT(test_leader_serves_a_wanted_snapshot),
        UNIT(test_silent_peer_gets_no_snapshot),
        UNIT(test_acknowledgment_that_meets_the_log_ends_a_snapshot),
        UNIT(test_wanted_snapshot_waits_for_the_one_on_its_way),
    };

    return cmocka_run_group_tests_name("snapshot send", tests, NULL, NULL);
}
