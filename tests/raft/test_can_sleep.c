/* SPDX-License-Identifier: Apache-2.0 */

/* Who may sleep, and what keeps a peer awake (raft/sleep.c). */

#include "tests/raft/unit.h"

/* A leader may sleep when every peer has everything and knows it. */
static void test_idle_leader_can_sleep(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    assert_non_null(raft_can_sleep(p->raft));
    peer_acknowledge(p, 2, 1);
    assert_non_null(raft_can_sleep(p->raft));
    peer_acknowledge(p, 3, 1);
    assert_null(raft_can_sleep(p->raft));
    (void)raft_read_index(p->raft, 7);
    peer_pump(p);
    assert_non_null(raft_can_sleep(p->raft));
}

/* A follower may when it knows a leader and has everything committed. */
static void test_idle_follower_can_sleep(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    assert_non_null(raft_can_sleep(p->raft));
    peer_append(p, 1, 0, 0, 1, 2, 1);
    assert_non_null(raft_can_sleep(p->raft));
    peer_append(p, 1, 1, 2, 1, 0, 2);
    assert_null(raft_can_sleep(p->raft));
}

/* Why a leader stays awake. */
static void test_busy_leader_does_not_sleep(void **state)
{
    struct peer *p = *state;

    p->conf.learners = (struct raft_id_set){1, {4}};
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 3, 1);
    assert_string_equal(raft_can_sleep(p->raft), "a peer lags");
    peer_acknowledge(p, 4, 1);
    assert_null(raft_can_sleep(p->raft));
    (void)raft_transfer_leader(p->raft, 2);
    peer_pump(p);
    assert_string_equal(raft_can_sleep(p->raft), "a transfer runs");
    (void)raft_transfer_leader(p->raft, 1);
    (void)raft_propose(p->raft, &(struct raft_entry){.term = 0}, 1, NULL);
    assert_string_equal(raft_can_sleep(p->raft), "there is something to do");
    peer_pump(p);
    assert_string_equal(raft_can_sleep(p->raft), "entries are not committed");
}

/* Nor in a joint configuration, which it still has to leave. */
static void test_joint_leader_does_not_sleep(void **state)
{
    struct peer *p = *state;

    p->conf.voters_outgoing = (struct raft_id_set){1, {1}};
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 3, 1);
    assert_string_equal(raft_can_sleep(p->raft), "the configuration is joint");
}

/* Nor while a peer waits for a snapshot, or before the disk has it all. */
static void test_nobody_sleeps_over_a_write_or_a_snapshot(void **state)
{
    struct peer *p = *state;
    struct raft_entry entry = {.term = 1, .index = 1};
    struct raft_ready ready;

    peer_start(p);
    (void)raft_step(p->raft, &(struct raft_message){.type = RAFT_MSG_APP,
                                                    .from = 2,
                                                    .to = 1,
                                                    .term = 1,
                                                    .entries = {&entry, 1, 0}});
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_string_equal(raft_can_sleep(p->raft), "writes are outstanding");
    memory_storage_append(&p->storage, &ready.entries);
    (void)raft_append_done(p->raft, &ready.token);
    raft_ready_release(&ready);
    peer_append(p, 1, 1, 1, 1, 0, 1);
    assert_null(raft_can_sleep(p->raft));
    assert_int_equal(raft_request_snapshot(p->raft), 0);
    peer_pump(p);
    assert_string_equal(raft_can_sleep(p->raft), "a snapshot is wanted");
}

/* A peer that does not know the commit index would wake up behind. */
static void test_leader_tells_the_commit_index_before_it_sleeps(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    raft_report_unreachable(p->raft, 3);
    peer_acknowledge(p, 3, 1);
    peer_acknowledge(p, 2, 1);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->commit, 1);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 3)->commit, 1);
    assert_null(raft_can_sleep(p->raft));
}

/* A follower that still applies does not sleep. */
static void test_applying_follower_does_not_sleep(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 1, 0);
    (void)raft_step(p->raft, &(struct raft_message){.type = RAFT_MSG_HEARTBEAT,
                                                    .from = 2,
                                                    .to = 1,
                                                    .term = 1,
                                                    .commit = 1});
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_string_equal(raft_can_sleep(p->raft), "entries are not applied");
    (void)raft_apply_done(p->raft, 1);
    assert_null(raft_can_sleep(p->raft));
    raft_ready_release(&ready);
}

/* A peer that has just started owes its silence in ticks. */
static void test_silent_peer_does_not_sleep(void **state)
{
    struct peer *p = *state;

    p->config.silent_ticks = 2;
    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 1, 1);
    assert_string_equal(raft_can_sleep(p->raft),
                        "votes are withheld after the start");
    peer_tick(p, 2);
    assert_null(raft_can_sleep(p->raft));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_idle_leader_can_sleep),
        UNIT(test_idle_follower_can_sleep),
        UNIT(test_busy_leader_does_not_sleep),
        UNIT(test_joint_leader_does_not_sleep),
        UNIT(test_nobody_sleeps_over_a_write_or_a_snapshot),
        UNIT(test_leader_tells_the_commit_index_before_it_sleeps),
        UNIT(test_applying_follower_does_not_sleep),
        UNIT(test_silent_peer_does_not_sleep),
    };

    return cmocka_run_group_tests_name("can sleep", tests, NULL, NULL);
}
