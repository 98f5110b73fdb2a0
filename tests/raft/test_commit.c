/* SPDX-License-Identifier: Apache-2.0 */

/* Commit and application: Raft §5.3, §5.4.2. */

#include "tests/raft/unit.h"

/* An entry is committed once a majority has stored it. */
static void test_majority_commits(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){5, {1, 2, 3, 4, 5}};
    peer_lead(p, 5);
    peer_acknowledge(p, 2, 1);
    assert_int_equal(raft_commit(p->raft), 0);
    peer_acknowledge(p, 3, 1);
    assert_int_equal(raft_commit(p->raft), 1);
}

/* An acknowledgment that comes twice counts once. */
static void test_repeated_acknowledgments_do_not_commit(void **state)
{
    struct peer *p = *state;

    p->conf.voters = (struct raft_id_set){5, {1, 2, 3, 4, 5}};
    peer_lead(p, 5);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 2, 1);
    assert_int_equal(raft_commit(p->raft), 0);
}

/* A commit takes all earlier entries with it, also of other leaders; but only
 * an entry of the own term is committed by counting (figure 8). */
static void test_older_terms_commit_only_by_implication(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 2}, 2);
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(raft_commit(p->raft), 0);
    assert_false(peer_status(p).own_term_committed);
    peer_acknowledge(p, 2, 3);
    assert_int_equal(raft_commit(p->raft), 3);
    assert_int_equal(p->applied.count, 3);
}

/* A new leader appends an empty entry of its term. */
static void test_new_leader_appends_an_empty_entry(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    assert_int_equal(raft_last_index(p->raft), 1);
    assert_int_equal(raft_term_at(p->raft, 1), 1);
}

/* A follower applies when it learns the commit index. */
static void test_follower_applies_what_is_committed(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 3, 2);
    assert_int_equal(raft_applied(p->raft), 2);
    assert_int_equal(p->applied.item[1].index, 2);
}

/* Entries are applied in order, each once. */
static void test_entries_are_applied_once_and_in_order(void **state)
{
    struct peer *p = *state;

    peer_start(p);
    peer_append(p, 1, 0, 0, 1, 3, 1);
    peer_append(p, 1, 1, 3, 1, 2, 5);
    peer_append(p, 1, 1, 3, 1, 2, 5);
    assert_int_equal(p->applied.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(p->applied.item[i].index, i + 1);
}

/* Commit goes no further than what the message has proved to be the same. */
static void test_commit_stops_at_the_last_new_entry(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 1, 1}, 3);
    peer_start(p);
    peer_append(p, 2, 1, 1, 2, 0, 3);
    assert_int_equal(raft_commit(p->raft), 1);
}

/* A heartbeat tells a peer no commit index beyond its match. */
static void test_heartbeat_commit_stops_at_match(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_forget(p);
    peer_tick(p, PEER_HEARTBEAT_TICKS);
    assert_int_equal(peer_last_to(p, RAFT_MSG_HEARTBEAT, 2)->commit, 1);
    assert_int_equal(peer_last_to(p, RAFT_MSG_HEARTBEAT, 3)->commit, 0);
}

/* Followers may commit an entry before the leader's disk has it; it is not
 * applied here until then. */
static void test_unstable_entries_are_not_applied(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;
    struct raft_ready next;

    peer_lead(p, 3);
    (void)raft_propose(p->raft, &(struct raft_entry){.term = 0}, 1, NULL);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    for (uint64_t id = 2; id <= 3; id++)
        (void)raft_step(p->raft,
                        &(struct raft_message){.type = RAFT_MSG_APP_RESP,
                                               .from = id,
                                               .to = 1,
                                               .term = 1,
                                               .index = 2});
    assert_int_equal(raft_commit(p->raft), 2);
    memory_storage_append(&p->storage, &ready.entries);
    assert_int_equal(raft_ready(p->raft, &next), 0);
    assert_int_equal(next.committed.count, 1);
    (void)raft_append_done(p->raft, &ready.token);
    (void)raft_apply_done(p->raft, 1);
    peer_pump(p);
    assert_int_equal(raft_applied(p->raft), 2);
    raft_ready_release(&ready);
    raft_ready_release(&next);
}

/* The stored commit index may have gone back; what was applied was committed.
 */
static void test_commit_is_at_least_applied_after_a_restart(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 1, 1}, 3);
    p->storage.hard_state.commit = 1;
    p->config.applied = 2;
    peer_start(p);
    assert_int_equal(raft_commit(p->raft), 2);
    assert_int_equal(raft_applied(p->raft), 2);
}

/* A log that ends before what was applied has lost entries. */
static void test_lost_entries_are_noticed_at_the_start(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 1, 1}, 3);
    p->config.applied = 4;
    assert_int_equal(raft_new(&p->config, &p->raft), ERR_CORRUPT);
    assert_null(p->raft);
}

/* A group of one commits by its own disk alone. */
static void test_single_voter_commits_alone(void **state)
{
    struct peer *p = *state;

    p->conf.voters.count = 1;
    peer_lead(p, 1);
    assert_int_equal(peer_propose(p, "x"), 0);
    assert_int_equal(raft_applied(p->raft), 2);
}

static int fail_initial_state(void *storage,
                              struct raft_hard_state *ret_hard_state,
                              struct raft_conf_state *ret_conf_state)
{
    (void)storage;
    (void)ret_hard_state;
    (void)ret_conf_state;
    return ERR_IO;
}

/* A peer does not start from what it cannot read, or from peers that are both
 * voters and learners. */
static void test_unreadable_state_is_noticed_at_the_start(void **state)
{
    struct peer *p = *state;
    struct raft_storage_ops ops = memory_storage_ops;

    p->conf.learners = (struct raft_id_set){1, {1}};
    assert_int_equal(raft_new(&p->config, &p->raft), ERR_INVALID);
    ops.initial_state = fail_initial_state;
    p->config.storage_ops = &ops;
    assert_int_equal(raft_new(&p->config, &p->raft), ERR_IO);
    assert_null(p->raft);
}

/* Nor from a log that begins behind what was applied. A lost commit index is
 * no more than the beginning of the log. */
static void test_log_begins_before_what_was_applied(void **state)
{
    struct peer *p = *state;
    struct raft_snapshot snapshot = {.index = 5, .term = 1};

    snapshot.conf_state = p->conf;
    (void)memory_storage_apply_snapshot(&p->storage, &snapshot);
    p->config.applied = 3;
    assert_int_equal(raft_new(&p->config, &p->raft), ERR_CORRUPT);
    p->config.applied = 0;
    peer_start(p);
    assert_int_equal(raft_commit(p->raft), 5);
}

/* ---- when others hear of it ---- */

static const struct raft_message *last_append_to_two(struct peer *p)
{
    return peer_last_to(p, RAFT_MSG_APP, 2);
}

static void lead_and_propose(struct peer *p)
{
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_acknowledge(p, 3, 1);
    (void)peer_propose(p, "x");
    peer_forget(p);
}

static void test_commit_news_go_out_at_once(void **state)
{
    struct peer *p = *state;

    lead_and_propose(p);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(peer_count(p, RAFT_MSG_APP), 2);
    assert_int_equal(last_append_to_two(p)->commit, 2);
}

static void test_commit_news_wait_until_they_are_told(void **state)
{
    struct peer *p = *state;

    p->config.commit_news_wait = true;
    lead_and_propose(p);
    peer_acknowledge(p, 2, 2);
    peer_acknowledge(p, 3, 2);
    assert_int_equal(raft_commit(p->raft), 2);
    assert_int_equal(peer_count(p, RAFT_MSG_APP), 0);
    raft_tell_commit(p->raft);
    peer_pump(p);
    assert_int_equal(peer_count(p, RAFT_MSG_APP), 2);
    assert_int_equal(last_append_to_two(p)->commit, 2);
    assert_int_equal(last_append_to_two(p)->entries.count, 0);
}

static void test_what_is_known_is_not_told_again(void **state)
{
    struct peer *p = *state;

    p->config.commit_news_wait = true;
    lead_and_propose(p);
    peer_acknowledge(p, 2, 2);
    raft_tell_commit(p->raft);
    peer_pump(p);
    peer_forget(p);
    raft_tell_commit(p->raft);
    peer_pump(p);
    assert_int_equal(peer_count(p, RAFT_MSG_APP), 0);
}

static void test_the_next_entries_bring_commit_news(void **state)
{
    struct peer *p = *state;

    p->config.commit_news_wait = true;
    lead_and_propose(p);
    peer_acknowledge(p, 2, 2);
    (void)peer_propose(p, "y");
    assert_int_equal(last_append_to_two(p)->entries.count, 1);
    assert_int_equal(last_append_to_two(p)->commit, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_majority_commits),
        UNIT(test_repeated_acknowledgments_do_not_commit),
        UNIT(test_older_terms_commit_only_by_implication),
        UNIT(test_new_leader_appends_an_empty_entry),
        UNIT(test_follower_applies_what_is_committed),
        UNIT(test_entries_are_applied_once_and_in_order),
        UNIT(test_commit_stops_at_the_last_new_entry),
        UNIT(test_heartbeat_commit_stops_at_match),
        UNIT(test_unstable_entries_are_not_applied),
        UNIT(test_commit_is_at_least_applied_after_a_restart),
        UNIT(test_lost_entries_are_noticed_at_the_start),
        UNIT(test_single_voter_commits_alone),
        UNIT(test_unreadable_state_is_noticed_at_the_start),
        UNIT(test_log_begins_before_what_was_applied),
        UNIT(test_commit_news_go_out_at_once),
        UNIT(test_commit_news_wait_until_they_are_told),
        UNIT(test_what_is_known_is_not_told_again),
        UNIT(test_the_next_entries_bring_commit_news),
    };

    return cmocka_run_group_tests_name("commit", tests, NULL, NULL);
}
