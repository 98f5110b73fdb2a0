/* SPDX-License-Identifier: Apache-2.0 */

/* Log replication: Raft §5.3. */

#include "tests/raft/unit.h"

/* The leader appends a command and sends it to each other server. */
static void test_leader_sends_proposals_to_all(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 3, 1);
    peer_forget(p);
    assert_int_equal(peer_propose(p, "x"), 0);
    assert_int_equal(peer_count(p, RAFT_MSG_APP), 2);
    assert_int_equal(peer_last(p, RAFT_MSG_APP)->entries.item[0].index, 2);
    assert_int_equal(peer_last(p, RAFT_MSG_APP)->entries.item[0].term, 1);
}

/* A leader sends heartbeats periodically. */
static void test_leader_sends_heartbeats(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    peer_tick(p, PEER_HEARTBEAT_TICKS);
    assert_int_equal(peer_count(p, RAFT_MSG_HEARTBEAT), 2);
}

/* A message names the entry before its own, with its term. */
static void test_append_names_the_previous_entry(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 1}, 2);
    p->storage.hard_state.term = 4;
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 3);
    (void)peer_propose(p, "x");
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->index, 3);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->log_term, 5);
}

/* A follower that does not have that entry refuses the new ones. */
static void test_follower_refuses_after_an_unknown_entry(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 2}, 2);
    peer_start(p);
    peer_append(p, 3, 3, 3, 3, 1, 0);
    assert_true(peer_last(p, RAFT_MSG_APP_RESP)->reject);
    assert_int_equal(raft_last_index(p->raft), 2);
}

/* If an entry conflicts with a new one, it and all that follow go. */
static void test_conflicting_entries_are_replaced(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 2, 2}, 3);
    peer_start(p);
    peer_append(p, 3, 1, 1, 3, 1, 0);
    assert_int_equal(raft_last_index(p->raft), 2);
    assert_int_equal(raft_term_at(p->raft, 2), 3);
    assert_int_equal(memory_storage_last_index(&p->storage), 2);
}

/* A late message with less than what is here takes nothing back. */
static void test_late_append_does_not_truncate(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 3, 0);
    peer_append(p, 1, 0, 0, 1, 1, 0);
    assert_int_equal(raft_last_index(p->raft), 3);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->index, 1);
}

/* A message from before the commit index is answered with that index. */
static void test_append_below_commit_is_answered_with_commit(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 3, 3);
    peer_append(p, 1, 1, 1, 1, 1, 3);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->index, 3);
}

/* What contradicts a committed entry is fatal, never done. */
static void test_conflict_below_commit_stops_the_peer(void **state)
{
    struct peer *p = *state;
    struct raft_entry entry = {.term = 2, .index = 3};
    struct raft_message m = {
        .type = RAFT_MSG_HEARTBEAT, .from = 2, .term = 1, .commit = 9};

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 3, 3);
    assert_int_equal(peer_receive(p, &m), ERR_CORRUPT);
    assert_int_equal(raft_tick(p->raft), ERR_CORRUPT);
    assert_int_equal(raft_propose(p->raft, &entry, 1, NULL), ERR_CORRUPT);
    assert_false(raft_has_ready(p->raft));
    assert_int_equal(raft_last_index(p->raft), 3);
}

/* From then on it does nothing any more, whatever is asked of it. */
static void test_stopped_peer_stays_stopped(void **state)
{
    struct peer *p = *state;
    struct raft_message m = {
        .type = RAFT_MSG_HEARTBEAT, .from = 2, .to = 1, .term = 1, .commit = 9};
    struct raft_append_token token = {.number = 0};
    struct raft_conf_change none = {.count = 0};
    struct raft_ready ready;

    peer_start(p);
    assert_int_equal(peer_receive(p, &m), ERR_CORRUPT);
    m.commit = 0;
    assert_int_equal(raft_step(p->raft, &m), ERR_CORRUPT);
    assert_int_equal(raft_campaign(p->raft), ERR_CORRUPT);
    assert_int_equal(raft_read_index(p->raft, 7), ERR_CORRUPT);
    assert_int_equal(raft_transfer_leader(p->raft, 2), ERR_CORRUPT);
    assert_int_equal(raft_request_snapshot(p->raft), ERR_CORRUPT);
    assert_int_equal(raft_propose_conf_change(p->raft, &none, NULL),
                     ERR_CORRUPT);
    assert_int_equal(raft_apply_conf_change(p->raft, &none, NULL), ERR_CORRUPT);
    assert_int_equal(raft_ready(p->raft, &ready), ERR_CORRUPT);
    assert_int_equal(raft_append_done(p->raft, &token), ERR_CORRUPT);
    assert_int_equal(raft_apply_done(p->raft, 0), ERR_CORRUPT);
    raft_report_snapshot(p->raft, 2, false);
    assert_string_equal(raft_can_sleep(p->raft), "stopped");
    assert_int_equal(raft_role(p->raft), RAFT_FOLLOWER);
}

/* The leader backs up until the logs agree, one term per round. */
static void test_leader_backs_up_by_terms(void **state)
{
    struct peer *p = *state;
    struct raft_message m = {.type = RAFT_MSG_APP_RESP,
                             .from = 2,
                             .term = 6,
                             .index = 7,
                             .reject = true,
                             .reject_hint = 6,
                             .log_term = 3};

    peer_store(p, (uint64_t[]){1, 1, 5, 5, 5, 5, 5}, 7);
    peer_lead(p, 3);
    (void)peer_receive(p, &m);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->index, 2);
}

/* The follower's hint skips its entries of later terms. */
static void test_follower_hints_by_term(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 1, 4, 4, 4}, 5);
    peer_start(p);
    peer_append(p, 6, 3, 5, 6, 1, 0);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->reject_hint, 2);
    assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->log_term, 1);
}

/* An answer leaves only when the entries are durable. */
static void test_acknowledgment_waits_for_the_disk(void **state)
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
    assert_int_equal(ready.messages.count, 0);
    assert_int_equal(ready.after_append.count, 1);
    assert_true(ready.must_sync);
    assert_int_equal(peer_status(p).stable_index, 0);
    raft_ready_release(&ready);
}

/* A completion of an old term says nothing about the log of this one, also
 * when it names an entry that is there (A-B-A). */
static void test_completion_of_an_old_term_is_ignored(void **state)
{
    struct peer *p = *state;
    struct raft_ready old;
    struct raft_ready new;
    struct raft_entry entry = {.term = 1, .index = 1};
    struct raft_message m = {.type = RAFT_MSG_APP,
                             .from = 2,
                             .to = 1,
                             .term = 1,
                             .entries = {&entry, 1, 0}};

    peer_start(p);
    (void)raft_step(p->raft, &m);
    assert_int_equal(raft_ready(p->raft, &old), 0);
    m.term = 2;
    (void)raft_step(p->raft, &m);
    assert_int_equal(raft_ready(p->raft, &new), 0);
    (void)raft_append_done(p->raft, &old.token);
    assert_int_equal(peer_status(p).stable_index, 0);
    memory_storage_append(&p->storage, &old.entries);
    (void)raft_append_done(p->raft, &new.token);
    assert_int_equal(peer_status(p).stable_index, 1);
    raft_ready_release(&old);
    raft_ready_release(&new);
}

/* A follower gives proposals to its leader. */
static void test_follower_forwards_proposals(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    assert_int_equal(peer_propose(p, "x"), ERR_DROPPED);
    peer_append(p, 1, 0, 0, 1, 0, 0);
    assert_int_equal(peer_propose(p, "x"), 0);
    assert_int_equal(peer_last(p, RAFT_MSG_PROP)->to, 2);
}

/* ... unless it is told not to. */
static void test_forwarding_can_be_disabled(void **state)
{
    struct peer *p = *state;

    p->config.disable_proposal_forwarding = true;
    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 0, 0);
    assert_int_equal(peer_propose(p, "x"), ERR_NOT_LEADER);
    assert_null(peer_last(p, RAFT_MSG_PROP));
}

/* Malformed messages change nothing. */
static void test_malformed_messages_are_refused(void **state)
{
    struct peer *p = *state;
    struct raft_entry gap = {.term = 1, .index = 5};
    struct raft_message m[] = {
        {.type = RAFT_MSG_HUP, .from = 2, .term = 1},
        {.type = RAFT_MSG_APP, .from = 0, .term = 1},
        {.type = RAFT_MSG_APP, .from = 2, .term = 0},
        {.type = RAFT_MSG_SNAP, .from = 2, .term = 1},
        {.type = RAFT_MSG_PROP, .from = 2},
        {.type = RAFT_MESSAGE_TYPES, .from = 2, .term = 1},
        {.type = RAFT_MSG_APP, .from = 2, .term = 1, .entries = {&gap, 1, 0}},
    };

    peer_start(p);
    for (size_t i = 0; i < ARRAY_SIZE(m); i++)
        assert_int_equal(peer_receive(p, &m[i]), ERR_PROTOCOL);
    assert_int_equal(raft_term(p->raft), 0);
}

/* Answers of strangers count for nothing. */
static void test_responses_of_strangers_are_dropped(void **state)
{
    struct peer *p = *state;
    struct raft_message m = {
        .type = RAFT_MSG_APP_RESP, .from = 9, .term = 1, .index = 1};

    peer_lead(p, 3);
    assert_int_equal(peer_receive(p, &m), ERR_NOT_FOUND);
}

static struct raft_peer_status peer_two(const struct peer *p)
{
    struct raft_peer_status status;

    assert_true(raft_peer_find(p->raft, 2, &status));
    return status;
}

static void reject(struct peer *p, uint64_t index, uint64_t hint)
{
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_APP_RESP,
                                                 .from = 2,
                                                 .term = raft_term(p->raft),
                                                 .index = index,
                                                 .reject = true,
                                                 .reject_hint = hint});
}

static void answer_heartbeat(struct peer *p)
{
    (void)peer_receive(p,
                       &(struct raft_message){.type = RAFT_MSG_HEARTBEAT_RESP,
                                              .from = 2,
                                              .term = raft_term(p->raft)});
}

/* A leader never overwrites or deletes entries in its log. */
static void test_leader_only_appends(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    (void)peer_propose(p, "x");
    peer_append(p, 1, 0, 0, 1, 1, 0);
    assert_int_equal(raft_role(p->raft), RAFT_LEADER);
    assert_int_equal(raft_last_index(p->raft), 2);
    assert_int_equal(p->sent.count, 0);
}

/* A lost message is sent again, as often as it takes. */
static void test_lost_append_is_sent_again(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    for (unsigned i = 0; i < 5; i++) {
        peer_forget(p);
        answer_heartbeat(p);
        assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->entries.count, 1);
    }
}

/* A probed peer that has everything is asked with an empty message, whose
 * answer brings it back to pipelining. */
static void test_probed_peer_with_everything_comes_back(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    raft_report_unreachable(p->raft, 2);
    assert_int_equal(peer_two(p).state, RAFT_PROBE);
    peer_forget(p);
    answer_heartbeat(p);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->entries.count, 0);
    peer_acknowledge(p, 2, 1);
    assert_int_equal(peer_two(p).state, RAFT_REPLICATE);
}

/* While probing only the refusal of the last probe counts, or old ones would
 * move the probe back and forth. */
static void test_old_refusal_does_not_move_the_probe(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 1, 1, 1}, 4);
    peer_lead(p, 3);
    assert_int_equal(peer_two(p).next, 5);
    reject(p, 3, 1);
    assert_int_equal(peer_two(p).next, 5);
    reject(p, 4, 2);
    assert_int_equal(peer_two(p).next, 3);
}

/* While pipelining a refusal below what was acknowledged is old, and any other
 * leads back to probing behind that. */
static void test_refusal_ends_the_pipelining(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    for (unsigned i = 0; i < 3; i++)
        (void)peer_propose(p, "x");
    peer_acknowledge(p, 2, 2);
    reject(p, 2, 0);
    assert_int_equal(peer_two(p).state, RAFT_REPLICATE);
    reject(p, 3, 2);
    assert_int_equal(peer_two(p).state, RAFT_PROBE);
    assert_int_equal(peer_two(p).next, 3);
}

/* An acknowledgment of what was never sent is no acknowledgment. */
static void test_acknowledgment_beyond_the_log_is_refused(void **state)
{
    struct peer *p = *state;
    struct raft_message m = {
        .type = RAFT_MSG_APP_RESP, .from = 2, .term = 1, .index = 9};

    peer_lead(p, 3);
    assert_int_equal(peer_receive(p, &m), ERR_PROTOCOL);
    assert_int_equal(raft_commit(p->raft), 0);
}

/* Messages that come twice change nothing the second time. */
static void test_repeated_append_changes_nothing(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    for (unsigned i = 0; i < 2; i++) {
        peer_append(p, 1, 0, 0, 1, 3, 0);
        assert_int_equal(peer_last(p, RAFT_MSG_APP_RESP)->index, 3);
        assert_int_equal(raft_last_index(p->raft), 3);
        assert_int_equal(memory_storage_last_index(&p->storage), 3);
    }
}

/* What a leader of a past term sends is not taken. */
static void test_append_of_a_past_term_is_not_taken(void **state)
{
    struct peer *p = *state;

    p->storage.hard_state.term = 3;
    peer_start(p);
    peer_append(p, 2, 0, 0, 2, 1, 1);
    assert_int_equal(raft_last_index(p->raft), 0);
    assert_int_equal(raft_term(p->raft), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_leader_sends_proposals_to_all),
        UNIT(test_leader_sends_heartbeats),
        UNIT(test_append_names_the_previous_entry),
        UNIT(test_follower_refuses_after_an_unknown_entry),
        UNIT(test_conflicting_entries_are_replaced),
        UNIT(test_late_append_does_not_truncate),
        UNIT(test_append_below_commit_is_answered_with_commit),
        UNIT(test_conflict_below_commit_stops_the_peer),
        UNIT(test_stopped_peer_stays_stopped),
        UNIT(test_leader_backs_up_by_terms),
        UNIT(test_follower_hints_by_term),
        UNIT(test_acknowledgment_waits_for_the_disk),
        UNIT(test_completion_of_an_old_term_is_ignored),
        UNIT(test_follower_forwards_proposals),
        UNIT(test_forwarding_can_be_disabled),
        UNIT(test_malformed_messages_are_refused),
        UNIT(test_responses_of_strangers_are_dropped),
        UNIT(test_leader_only_appends),
        UNIT(test_lost_append_is_sent_again),
        UNIT(test_probed_peer_with_everything_comes_back),
        UNIT(test_old_refusal_does_not_move_the_probe),
        UNIT(test_refusal_ends_the_pipelining),
        UNIT(test_acknowledgment_beyond_the_log_is_refused),
        UNIT(test_repeated_append_changes_nothing),
        UNIT(test_append_of_a_past_term_is_not_taken),
    };

    return cmocka_run_group_tests_name("replication", tests, NULL, NULL);
}
