/* SPDX-License-Identifier: Apache-2.0 */

/* Flow control and size limits. */

#include "tests/raft/unit.h"

static void lead_replicating(struct peer *p)
{
    peer_lead(p, 3);
    peer_acknowledge(p, 2, 1);
    peer_forget(p);
}

static size_t appends_to_two(const struct peer *p)
{
    size_t count = 0;

    for (size_t i = 0; i < p->sent.count; i++)
        count += p->sent.item[i].type == RAFT_MSG_APP &&
                 p->sent.item[i].to == 2 && p->sent.item[i].entries.count > 0;
    return count;
}

/* A probed peer gets one message until it answers. */
static void test_probe_sends_one_message(void **state)
{
    struct peer *p = *state;

    peer_lead(p, 3);
    for (int i = 0; i < 3; i++)
        (void)peer_propose(p, "x");
    assert_int_equal(appends_to_two(p), 0);
    peer_acknowledge(p, 2, 1);
    assert_int_equal(appends_to_two(p), 1);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->entries.count, 3);
}

/* No more messages are in flight than allowed; an answer makes room. */
static void test_inflight_messages_are_limited(void **state)
{
    struct peer *p = *state;

    p->config.inflight_count_max = 2;
    lead_replicating(p);
    for (int i = 0; i < 5; i++)
        (void)peer_propose(p, "x");
    assert_int_equal(appends_to_two(p), 2);
    peer_acknowledge(p, 2, 2);
    assert_int_equal(appends_to_two(p), 3);
}

/* Nor more bytes. */
static void test_inflight_bytes_are_limited(void **state)
{
    struct peer *p = *state;

    p->config.inflight_bytes_max = 10;
    lead_replicating(p);
    for (int i = 0; i < 5; i++)
        (void)peer_propose(p, "123456");
    assert_int_equal(appends_to_two(p), 2);
}

/* If all that is in flight was lost, a heartbeat's answer still gets an empty
 * message through the full window, whose rejection ends the stall. */
static void test_full_window_still_lets_an_empty_append_through(void **state)
{
    struct peer *p = *state;

    p->config.inflight_count_max = 1;
    lead_replicating(p);
    (void)peer_propose(p, "x");
    peer_forget(p);
    (void)peer_receive(
        p, &(struct raft_message){
               .type = RAFT_MSG_HEARTBEAT_RESP, .from = 2, .term = 1});
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->entries.count, 0);
}

/* A message carries no more than its limit, but at least one entry. */
static void test_messages_are_limited_in_size(void **state)
{
    struct peer *p = *state;

    p->config.message_size_max = 50;
    peer_lead(p, 3);
    for (int i = 0; i < 3; i++)
        (void)peer_propose(p, "1234");
    (void)peer_propose(p, "123456789012345678901234567890123456789012345");
    peer_acknowledge(p, 2, 1);
    assert_int_equal(appends_to_two(p), 3);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->index, 4);
}

/* Proposals are dropped while too much is uncommitted; the first one, however
 * large, and empty ones are not. */
static void test_uncommitted_data_is_limited(void **state)
{
    struct peer *p = *state;

    p->config.uncommitted_size_max = 8;
    lead_replicating(p);
    assert_int_equal(peer_propose(p, "1234567890"), 0);
    assert_int_equal(peer_propose(p, "1"), ERR_DROPPED);
    assert_int_equal(peer_propose(p, ""), 0);
    peer_acknowledge(p, 2, 3);
    assert_int_equal(peer_status(p).uncommitted_size, 0);
    assert_int_equal(peer_propose(p, "1"), 0);
}

/* Committed entries are handed out in pages, and no more while too much is
 * being applied. */
static void test_committed_entries_come_in_pages(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;

    p->config.committed_size_per_ready_max = 40;
    peer_store(p, (uint64_t[]){1, 1, 1, 1, 1}, 5);
    p->storage.hard_state.commit = 5;
    peer_start(p);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_int_equal(ready.committed.count, 2);
    assert_false(raft_has_ready(p->raft));
    (void)raft_apply_done(p->raft, 2);
    raft_ready_release(&ready);
    peer_pump(p);
    assert_int_equal(raft_applied(p->raft), 5);
}

/* Entries that storage must fetch first are asked for again later. */
static void test_unavailable_entries_only_delay(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;

    peer_store(p, (uint64_t[]){1, 1, 1}, 3);
    p->storage.hard_state.commit = 2;
    p->storage.entries_unavailable = true;
    peer_start(p);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_int_equal(ready.committed.count, 0);
    assert_false(raft_has_ready(p->raft));
    raft_ready_release(&ready);
    p->storage.entries_unavailable = false;
    peer_tick(p, 1);
    assert_int_equal(raft_applied(p->raft), 2);
}

/* What was sent ahead to an unreachable peer is probed again. */
static void test_unreachable_peer_is_probed(void **state)
{
    struct peer *p = *state;
    struct raft_peer_status two;

    lead_replicating(p);
    (void)peer_propose(p, "x");
    raft_report_unreachable(p->raft, 2);
    assert_true(raft_peer_find(p->raft, 2, &two));
    assert_int_equal(two.state, RAFT_PROBE);
    assert_int_equal(two.next, 2);
}

/* A batch gets consecutive indexes. */
static void test_batch_gets_consecutive_indexes(void **state)
{
    struct peer *p = *state;
    struct raft_entry entries[3] = {{.term = 0}, {.term = 0}, {.term = 0}};
    uint64_t first = 0;

    lead_replicating(p);
    assert_int_equal(raft_propose(p->raft, entries, 3, &first), 0);
    assert_int_equal(first, 2);
    assert_int_equal(raft_last_index(p->raft), 4);
    peer_pump(p);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->entries.count, 3);
}

/* Nor more entries than its number. */
static void test_messages_are_limited_in_number(void **state)
{
    struct peer *p = *state;

    p->config.message_entries_max = 2;
    peer_lead(p, 3);
    for (int i = 0; i < 4; i++)
        (void)peer_propose(p, "x");
    peer_acknowledge(p, 2, 1);
    assert_int_equal(appends_to_two(p), 2);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->entries.count, 2);
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->index, 3);
}

/* Entries for a peer that storage must fetch first are sent later. */
static void test_unavailable_entries_are_sent_later(void **state)
{
    struct peer *p = *state;

    peer_store(p, (uint64_t[]){1, 1, 1}, 3);
    peer_lead(p, 3);
    p->storage.entries_unavailable = true;
    (void)peer_receive(p, &(struct raft_message){.type = RAFT_MSG_APP_RESP,
                                                 .from = 2,
                                                 .term = raft_term(p->raft),
                                                 .index = 3,
                                                 .reject = true,
                                                 .reject_hint = 1});
    assert_int_equal(appends_to_two(p), 0);
    p->storage.entries_unavailable = false;
    (void)peer_receive(p,
                       &(struct raft_message){.type = RAFT_MSG_HEARTBEAT_RESP,
                                              .from = 2,
                                              .term = raft_term(p->raft)});
    assert_int_equal(peer_last_to(p, RAFT_MSG_APP, 2)->entries.count, 3);
}

/* An acknowledgment frees all that was sent up to it, at once. */
static void test_acknowledgment_frees_the_window(void **state)
{
    struct peer *p = *state;
    struct raft_peer_status two;

    p->config.inflight_count_max = 20;
    lead_replicating(p);
    for (int i = 0; i < 30; i++)
        (void)peer_propose(p, "x");
    assert_int_equal(appends_to_two(p), 20);
    peer_acknowledge(p, 2, 16);
    assert_true(raft_peer_find(p->raft, 2, &two));
    assert_int_equal(two.inflight_count, 6); /* Five, and all that waited. */
    assert_int_equal(two.next, 32);
}

/* Without any limit for messages entries are applied one by one. */
static void test_entries_are_applied_one_by_one(void **state)
{
    struct peer *p = *state;
    struct raft_ready ready;

    p->config.message_size_max = 0;
    peer_store(p, (uint64_t[]){1, 1, 1}, 3);
    p->storage.hard_state.commit = 3;
    peer_start(p);
    assert_int_equal(raft_ready(p->raft, &ready), 0);
    assert_int_equal(ready.committed.count, 1);
    raft_ready_release(&ready);
}

static int fail_entries(void *storage, uint64_t first, uint64_t end,
                        uint64_t size_max, struct raft_entries *entries)
{
    (void)storage;
    (void)first;
    (void)end;
    (void)size_max;
    (void)entries;
    return ERR_IO;
}

/* When storage cannot be read at all, the host hears of it. */
static void test_unreadable_entries_are_an_error(void **state)
{
    struct peer *p = *state;
    static struct raft_storage_ops ops; /* The teardown still uses it. */
    struct raft_ready ready;

    ops = memory_storage_ops;
    ops.entries = fail_entries;
    p->config.storage_ops = &ops;
    peer_store(p, (uint64_t[]){1}, 1);
    p->storage.hard_state.commit = 1;
    peer_start(p);
    assert_int_equal(raft_ready(p->raft, &ready), ERR_IO);
    assert_true(raft_has_ready(p->raft));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(test_probe_sends_one_message),
        UNIT(test_inflight_messages_are_limited),
        UNIT(test_inflight_bytes_are_limited),
        UNIT(test_full_window_still_lets_an_empty_append_through),
        UNIT(test_messages_are_limited_in_size),
        UNIT(test_uncommitted_data_is_limited),
        UNIT(test_committed_entries_come_in_pages),
        UNIT(test_unavailable_entries_only_delay),
        UNIT(test_unreachable_peer_is_probed),
        UNIT(test_batch_gets_consecutive_indexes),
        UNIT(test_messages_are_limited_in_number),
        UNIT(test_unavailable_entries_are_sent_later),
        UNIT(test_acknowledgment_frees_the_window),
        UNIT(test_entries_are_applied_one_by_one),
        UNIT(test_unreadable_entries_are_an_error),
    };

    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
