/* SPDX-License-Identifier: Apache-2.0 */

/* A replica that was found damaged: what it refuses, what a restart knows of
 * it, and how it gets a good state again. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/check.h"
#include "engine/erase.h"
#include "engine/peer_change.h"
#include "tests/engine/kv_helpers.h"
#include "tests/engine/two_nodes.h"

enum { ENTRIES = 5, PATIENCE = 600 /* ticks */ };

/* Both have the same, and node 1 leads. */
static int setup(void **state)
{
    struct two_nodes *all = two_nodes_new();

    put_entries(&all->node[LEADER], ENTRIES);
    *state = all;
    return tick_until(all, follower_is_restored, PATIENCE) ? 0 : -1;
}

static int teardown(void **state)
{
    struct two_nodes *all = *state;

    assert_int_equal(all->node[LEADER].fatal_count, 0);
    assert_int_equal(all->node[FOLLOWER].fatal_count, 0);
    two_nodes_free(all);
    return 0;
}

static unsigned state_of(const struct node *node)
{
    struct peer_status status;

    peer_status(node->peer, &status);
    return status.state;
}

static bool is_marked(struct node *node)
{
    return has_record(node->env.log, key_damage(REGION_FIRST_DATA));
}

/* The state itself, too: nothing of it may be left. */
static void damage(struct node *node)
{
    struct kv_batch *batch = kv_batch_new(node->env.state);

    kv_batch_delete_range(batch, slice_of("d"), slice_of("e"));
    assert_int_equal(kv_write(node->env.state, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    assert_true(peer_found_damage(node->peer, "a test"));
}

static bool no_snapshots(struct two_nodes *all, struct packet *packet)
{
    (void)all;
    return packet->packet.type != WIRE_SNAPSHOT_BEGIN;
}

static bool both_run(struct two_nodes *all)
{
    return state_of(&all->node[LEADER]) == PEER_RUNNING &&
           state_of(&all->node[FOLLOWER]) == PEER_RUNNING;
}

static void assert_mended(struct two_nodes *all, struct node *node)
{
    all->filter = NULL;
    assert_true(tick_until(all, both_run, PATIENCE));
    tick(all);
    assert_true(has_entries(node, ENTRIES));
    assert_false(is_marked(node));
}

static void test_a_damaged_follower_is_restored(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];

    damage(node);
    assert_int_equal(state_of(node), PEER_DAMAGED);
    run(all);
    assert_true(is_marked(node));
    assert_mended(all, node);
}

static void test_a_lost_request_for_a_snapshot_is_repeated(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];

    all->filter = no_snapshots;
    damage(node);
    for (int i = 0; i < 300; i++)
        tick(all);
    assert_int_equal(state_of(node), PEER_DAMAGED);
    assert_mended(all, node);
}

static void test_a_restart_knows_that_the_state_is_damaged(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];

    all->filter = no_snapshots;
    damage(node);
    run(all);
    restart(node);
    assert_int_equal(state_of(node), PEER_DAMAGED);
    for (int i = 0; i < 30; i++)
        tick(all);
    assert_int_equal(state_of(node), PEER_DAMAGED);
    assert_mended(all, node);
}

/* The descriptor may be what is damaged: the mark has it. */
static void test_a_restart_needs_nothing_of_the_damaged_state(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];
    struct kv_batch *batch = kv_batch_new(node->env.state);

    all->filter = no_snapshots;
    damage(node);
    run(all);
    kv_batch_delete_range(batch, slice_of("a"), slice_of("z"));
    assert_int_equal(kv_write(node->env.state, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    restart(node);
    assert_mended(all, node);
}

static bool follower_leads(struct two_nodes *all)
{
    return peer_is_leader(all->node[FOLLOWER].peer);
}

static void test_a_damaged_leader_hands_over(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[LEADER];

    damage(node);
    assert_true(peer_is_leader(node->peer));
    assert_true(tick_until(all, follower_leads, PATIENCE));
    assert_mended(all, node);
}

struct asked_index {
    struct index_request request;
    int status;
};

static void on_index(struct index_request *request, int status, uint64_t index)
{
    (void)index;
    container_of(request, struct asked_index, request)->status = status;
}

static void test_a_damaged_follower_is_not_current(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];

    peer_note_current(node->peer, all->now_ns);
    assert_true(peer_is_current(node->peer, all->now_ns));
    damage(node);
    assert_false(peer_is_current(node->peer, 1));
    peer_note_current(node->peer, all->now_ns);
    assert_false(peer_is_current(node->peer, 1));
    assert_mended(all, node);
    assert_false(peer_is_current(node->peer, 1));
}

static void test_a_damaged_leader_serves_nothing(void **state)
{
    struct two_nodes *all = *state;
    struct peer *peer = all->node[LEADER].peer;
    struct asked_index index = {.request.done = on_index};
    const struct command command = {.op = COMMAND_NOOP};
    struct asked asked;

    assert_true(peer_leads(peer, all->now_ns));
    damage(&all->node[LEADER]);
    assert_true(peer_is_leader(peer));
    assert_false(peer_leads(peer, all->now_ns));
    assert_false(peer_lease_holds(peer, all->now_ns));
    peer_read_index(peer, &index.request);
    assert_int_equal(index.status, ERR_NOT_LEADER);
    assert_int_equal(ask(&all->node[LEADER], &asked, &command), 0);
    run(all);
    assert_int_equal(asked.status, ERR_NOT_LEADER);
}

/* Not even to somebody who is worse off. */
static void test_two_damaged_replicas_do_not_restore_each_other(void **state)
{
    struct two_nodes *all = *state;
    struct peer_status before;
    struct peer_status after;

    peer_status(all->node[LEADER].peer, &before);
    damage(&all->node[LEADER]);
    damage(&all->node[FOLLOWER]);
    for (int i = 0; i < 50; i++)
        tick(all);
    peer_status(all->node[LEADER].peer, &after);
    assert_int_equal(after.snapshots_sent, before.snapshots_sent);
    assert_int_equal(state_of(&all->node[LEADER]), PEER_DAMAGED);
    assert_int_equal(state_of(&all->node[FOLLOWER]), PEER_DAMAGED);
}

static struct marker marker_of(struct node *node)
{
    struct key key = key_marker(REGION_FIRST_DATA);
    struct kv_value value = {0};
    struct marker marker;

    assert_int_equal(kv_get(node->env.state, NULL, key_slice(&key), &value), 0);
    assert_int_equal(
        marker_decode(&marker, (struct slice){value.data, value.size}), 0);
    kv_value_release(&value);
    return marker;
}

/* It has the entry in its log, and says so. */
static void
test_a_damaged_follower_acknowledges_and_applies_nothing(void **state)
{
    struct two_nodes *all = *state;
    const struct command command = {.op = COMMAND_NOOP};
    struct marker before = marker_of(&all->node[FOLLOWER]);
    struct asked asked;

    all->filter = no_snapshots;
    damage(&all->node[FOLLOWER]);
    assert_int_equal(ask(&all->node[LEADER], &asked, &command), 0);
    run(all);
    assert_int_equal(asked.done, 1);
    assert_int_equal(asked.status, 0);
    for (int i = 0; i < 20; i++)
        tick(all);
    assert_int_equal(marker_of(&all->node[FOLLOWER]).index, before.index);
    assert_mended(all, &all->node[FOLLOWER]);
    assert_int_equal(marker_of(&all->node[FOLLOWER]).index,
                     marker_of(&all->node[LEADER]).index);
}

static void on_applied(struct applied_waiter *waiter)
{
    waiter->index = UINT64_MAX;
}

static void
test_who_waits_for_a_damaged_replica_waits_for_the_next_state(void **state)
{
    struct two_nodes *all = *state;
    struct peer *peer = all->node[FOLLOWER].peer;
    struct applied_waiter waiter = {.done = on_applied};

    damage(&all->node[FOLLOWER]);
    peer_wait_applied(peer, &waiter, peer_applied(peer));
    assert_true(waiter.index != UINT64_MAX);
    assert_mended(all, &all->node[FOLLOWER]);
    assert_true(waiter.index == UINT64_MAX);
}

/* ---- by a check ---- */

/* What the applier calls behind a CHECK and a VERIFY; another hash is right. */
static uint64_t take_hash(struct two_nodes *all, struct node *node)
{
    uint64_t index = peer_applied(node->peer);

    check_on_command(peer_check(node->peer), index,
                     &(struct command){.op = COMMAND_CHECK});
    run(all);
    return index;
}

static void condemn(struct two_nodes *all, struct node *node, uint64_t index)
{
    struct peer_status status;
    struct command command = {.op = COMMAND_VERIFY};

    peer_status(node->peer, &status);
    command.verdict.index = index;
    command.verdict.hash = status.check_hash + 1;
    command.verdict.right[0] = 1;
    command.verdict.right_count = 1;
    check_on_command(peer_check(node->peer), index + 1, &command);
    run(all);
}

static void test_a_replica_judges_itself_by_the_verdict(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];
    uint64_t index = take_hash(all, node);

    condemn(all, node, index + 1); /* It has no hash of that one. */
    assert_int_equal(state_of(node), PEER_RUNNING);
    condemn(all, node, index);
    assert_int_equal(state_of(node), PEER_DAMAGED);
    assert_mended(all, node);
}

/* The verdict on a state that a snapshot has replaced says nothing. */
static void test_a_restored_replica_is_not_judged_by_its_old_state(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];
    uint64_t index = take_hash(all, node);

    damage(node);
    assert_mended(all, node);
    condemn(all, node, index);
    assert_int_equal(state_of(node), PEER_RUNNING);
}

static void on_checked(struct check_wait *wait, int status)
{
    (void)wait;
    assert_int_equal(status, ERR_CORRUPT);
}

/* Of two voters none is a majority. */
static void test_where_no_majority_agrees_nobody_is_rebuilt(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];
    struct check_wait wait = {.done = on_checked};

    put_record(node->env.state, key_user('n', 5, slice_of("")), slice_of("x"));
    check_start(peer_check(all->node[LEADER].peer), &wait);
    for (int i = 0; i < 100; i++)
        tick(all);
    assert_null(wait.check);
    assert_true(both_run(all));
    for (size_t i = 0; i < 2; i++)
        assert_true(check_unclear_ns(peer_check(all->node[i].peer)) != 0);
}

/* ---- around its removal ---- */

/* The leader's last words to a peer that is removed: the entry that does it,
 * committed. */
static void remove_follower(struct two_nodes *all)
{
    struct peer *peer = all->node[FOLLOWER].peer;
    struct marker end = marker_of(&all->node[FOLLOWER]);
    struct peer_change change = {
        .conf_ver = peer_region(peer)->conf_ver,
        .steps = {{RAFT_REMOVE_PEER, FOLLOWER_PEER, 0}},
        .count = 1,
    };
    struct raft_conf_change conf_change;
    struct raft_entry entry = {.type = RAFT_ENTRY_CONF_CHANGE,
                               .index = end.index + 1,
                               .term = end.term};
    struct raft_message message = {.type = RAFT_MSG_APP,
                                   .from = LEADER_PEER,
                                   .to = FOLLOWER_PEER,
                                   .term = end.term,
                                   .log_term = end.term,
                                   .index = end.index,
                                   .commit = end.index + 1};

    peer_change_to_raft(&change, &conf_change);
    entry.data = raft_conf_change_encode(&conf_change);
    raft_entries_append(&message.entries, &entry);
    peer_step(peer, LEADER + 1, &message);
    raft_entries_release(&message.entries);
    buf_unref(entry.data);
    buf_unref(conf_change.context);
    run(all);
}

/* The entry is on its way to the applier, and the descriptor that a mark would
 * keep does not have this node any more. */
static void test_damage_on_the_way_out_does_not_stop_a_restart(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];

    node->hold_apply = true;
    remove_follower(all);
    assert_null(region_find_node(peer_region(node->peer), node->id));
    assert_true(peer_found_damage(node->peer, "a test"));
    assert_int_equal(state_of(node), PEER_DAMAGED);
    run(all);
    node->hold_apply = false;
    all->filter = no_snapshots;
    restart(node);
    assert_int_equal(peer_id(node->peer), FOLLOWER_PEER);
    assert_int_equal(state_of(node), PEER_RUNNING);
}

/* What a crash in the middle of erase.h leaves. */
static void erase_state(struct node *node)
{
    struct tombstone tombstone = {.peer = peer_id(node->peer)};
    struct key key = key_tombstone(REGION_FIRST_DATA);
    struct kv_batch *batch = kv_batch_new(node->env.state);
    uint8_t bytes[MARKER_SIZE_MAX];
    size_t size = tombstone_encode(&tombstone, bytes);

    kv_batch_delete_range(batch, slice_of("a"), slice_of("z"));
    kv_batch_put(batch, key_slice(&key), (struct slice){bytes, size});
    assert_int_equal(kv_write(node->env.state, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
}

static void test_a_damaged_replica_that_was_erased_stays_gone(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];
    struct peer *peer = NULL;

    all->filter = no_snapshots;
    damage(node);
    run(all);
    erase_state(node);
    assert_int_equal(peer_open(&peer, node, REGION_FIRST_DATA, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(erase_leftovers(&node->env, REGION_FIRST_DATA), 0);
    assert_false(is_marked(node));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_damaged_follower_is_restored),
        TEST(test_a_lost_request_for_a_snapshot_is_repeated),
        TEST(test_a_restart_knows_that_the_state_is_damaged),
        TEST(test_a_restart_needs_nothing_of_the_damaged_state),
        TEST(test_a_damaged_leader_hands_over),
        TEST(test_a_damaged_follower_is_not_current),
        TEST(test_a_damaged_leader_serves_nothing),
        TEST(test_who_waits_for_a_damaged_replica_waits_for_the_next_state),
        TEST(test_two_damaged_replicas_do_not_restore_each_other),
        TEST(test_a_damaged_follower_acknowledges_and_applies_nothing),
        TEST(test_a_replica_judges_itself_by_the_verdict),
        TEST(test_a_restored_replica_is_not_judged_by_its_old_state),
        TEST(test_where_no_majority_agrees_nobody_is_rebuilt),
        TEST(test_damage_on_the_way_out_does_not_stop_a_restart),
        TEST(test_a_damaged_replica_that_was_erased_stays_gone),
    };

    return cmocka_run_group_tests_name("peer_damage", tests, NULL, NULL);
}
