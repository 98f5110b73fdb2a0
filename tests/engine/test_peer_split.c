/* SPDX-License-Identifier: Apache-2.0 */

/* A split as the replicas of a region go through it, and how the replica that
 * it makes begins: see peer_split.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/founding.h"
#include "engine/range.h"
#include "tests/engine/kv_helpers.h"
#include "tests/engine/two_nodes.h"

enum { NEW = 7, PATIENCE = 600 /* ticks */ };

/* Both have the same, and node 1 leads. */
static int setup(void **state)
{
    struct two_nodes *all = two_nodes_new();

    all->node[LEADER].split.answer = SPLIT_KEEP;
    all->node[FOLLOWER].split.answer = SPLIT_KEEP;
    *state = all;
    return tick_until(all, follower_is_restored, PATIENCE) ? 0 : -1;
}

static int teardown(void **state)
{
    two_nodes_free(*state);
    return 0;
}

/* ---- commands ---- */

static struct command split_at(const char *name)
{
    return (struct command){.op = COMMAND_SPLIT,
                            .region_version = 1,
                            .region_conf_ver = 1,
                            .dir = ENTRIES_NSID,
                            .name = slice_of(name),
                            .new_region = NEW};
}

static void split(struct two_nodes *all)
{
    assert_int_equal(ask_both(all, split_at("m")), 0);
}

static void ask_to_write(struct node *node, struct asked *asked,
                         uint64_t version)
{
    const struct command command = write_for(version);

    assert_int_equal(ask(node, asked, &command), 0);
}

static void assert_is_left(const struct node *node)
{
    const struct region *region = peer_region(node->peer);
    struct key end = key_user('d', ENTRIES_NSID, slice_of("m"));

    assert_int_equal(region->version, 2);
    assert_true(slice_equal(region->end, key_user_part(&end)));
}

static void assert_is_whole(const struct node *node)
{
    assert_int_equal(peer_region(node->peer)->version, 1);
    assert_int_equal(peer_region(node->peer)->end.size, 0);
}

/* ---- the region ---- */

static void test_all_replicas_split_and_the_leaders_node_leads(void **state)
{
    struct two_nodes *all = *state;

    split(all);
    for (size_t i = 0; i < 2; i++) {
        assert_is_left(&all->node[i]);
        assert_int_equal(all->node[i].split.begun, 1);
        assert_int_equal(all->node[i].split.applied, 1);
        assert_int_equal(all->node[i].split.right, NEW);
        assert_true(all->node[i].split.kept);
        assert_int_equal(all->node[i].split.campaign, i == LEADER);
    }
}

static uint64_t commit_in_log(const struct node *node)
{
    struct key key = key_hard_state(REGION_FIRST_DATA);
    struct hard_state state = {0};
    struct kv_value value;

    assert_int_equal(kv_get(node->env.log, NULL, key_slice(&key), &value), 0);
    assert_int_equal(
        hard_state_decode(&state, (struct slice){value.data, value.size}), 0);
    kv_value_release(&value);
    return state.commit;
}

/* What the new replica acknowledges it could not keep without the split. */
static void test_a_split_is_applied_again_by_all_means(void **state)
{
    struct two_nodes *all = *state;

    split(all);
    for (size_t i = 0; i < 2; i++)
        assert_true(commit_in_log(&all->node[i]) >=
                    peer_applied(all->node[i].peer));
}

static void test_what_does_not_belong_here_is_not_opened(void **state)
{
    struct two_nodes *all = *state;

    all->node[LEADER].split.answer = SPLIT_DROP;
    all->node[FOLLOWER].split.answer = SPLIT_LEAVE;
    split(all);
    assert_int_equal(all->node[LEADER].split.applied, 1);
    assert_false(all->node[LEADER].split.kept);
    assert_int_equal(all->node[FOLLOWER].split.applied, 1);
    assert_false(all->node[FOLLOWER].split.kept);
}

/* Not applied yet: nothing of the right part is done here any more, and the
 * lease is for nobody. */
static void
test_a_region_is_the_left_part_once_the_entry_is_handed_out(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    const struct command command = split_at("m");
    struct asked asked;

    tick(all);
    assert_true(peer_lease_holds(leader->peer, all->now_ns));
    leader->hold_apply = true;
    assert_int_equal(ask(leader, &asked, &command), 0);
    run(all);
    assert_int_equal(leader->split.begun, 1);
    assert_int_equal(leader->split.left_version, 2);
    assert_int_equal(leader->split.applied, 0);
    assert_int_equal(asked.done, 0);
    assert_is_left(leader);
    assert_false(peer_lease_holds(leader->peer, all->now_ns));
    leader->hold_apply = false;
    run(all);
    assert_int_equal(leader->split.applied, 1);
    assert_int_equal(asked.done, 1);
    assert_true(peer_lease_holds(leader->peer, all->now_ns));
}

static void
test_what_is_for_another_version_does_not_get_into_the_log(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    struct asked old;
    struct asked now;
    struct asked any;

    split(all);
    ask_to_write(leader, &old, 1);
    ask_to_write(leader, &now, 2);
    ask_to_write(leader, &any, 0);
    run(all);
    assert_int_equal(old.done, 1);
    assert_int_equal(old.status, ERR_EPOCH);
    assert_false(old.in_log);
    assert_int_equal(now.status, 0);
    assert_int_equal(any.status, 0);
}

/* It came into the log before the split was applied. */
static void
test_what_comes_behind_a_split_in_the_log_has_no_effect(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    const struct command command = split_at("m");
    struct asked asked;
    struct asked behind;

    assert_int_equal(ask(leader, &asked, &command), 0);
    ask_to_write(leader, &behind, 1);
    run(all);
    assert_int_equal(asked.result, 0);
    assert_int_equal(behind.status, 0);
    assert_int_equal(behind.result, ERR_EPOCH);
}

static void test_of_two_splits_at_once_one_has_an_effect(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    struct command one = split_at("m");
    struct command two = split_at("p");
    struct asked first;
    struct asked second;

    two.new_region = NEW + 1;
    assert_int_equal(ask(leader, &first, &one), 0);
    assert_int_equal(ask(leader, &second, &two), 0);
    run(all);
    tick(all);
    assert_int_equal(first.result, 0);
    assert_int_equal(second.status, 0);
    assert_int_equal(second.result, ERR_EPOCH);
    assert_int_equal(leader->split.begun, 1);
    assert_int_equal(leader->split.applied, 1);
    assert_is_left(leader);
    assert_is_left(&all->node[FOLLOWER]);
}

static void test_a_split_that_cannot_be_done_is_not_proposed(void **state)
{
    struct two_nodes *all = *state;
    struct command command = split_at("m");
    struct asked asked;

    assert_int_equal(ask(&all->node[FOLLOWER], &asked, &command),
                     ERR_NOT_LEADER);
    command.region_version = 2;
    assert_int_equal(ask(&all->node[LEADER], &asked, &command), ERR_EPOCH);
    command = split_at("m");
    command.new_region = 1;
    assert_int_equal(ask(&all->node[LEADER], &asked, &command), ERR_INVALID);
    run(all);
    assert_is_whole(&all->node[LEADER]);
    assert_int_equal(asked.done, 0);
}

static void damage(struct node *node)
{
    put_record(node->env.state, key_user('n', ENTRIES_NSID, slice_of("")),
               slice_of("\xff\xff"));
}

static void test_a_replica_that_cannot_apply_it_is_rebuilt(void **state)
{
    struct two_nodes *all = *state;
    const struct node *follower = &all->node[FOLLOWER];

    damage(&all->node[FOLLOWER]);
    split(all);
    assert_int_equal(follower->split.begun, 1);
    assert_int_equal(follower->split.applied, 1);
    assert_false(follower->split.kept);
    assert_true(tick_until(all, follower_is_restored, PATIENCE));
    assert_false(peer_is_damaged(follower->peer));
    assert_is_left(follower);
}

/* Else its memory and its state would be of different regions. */
static void test_the_only_replica_splits_though_it_is_damaged(void **state)
{
    struct two_nodes *all = *state;
    struct node *alone = &all->node[LEADER];
    const struct command command = split_at("m");
    struct asked asked;

    damage(alone);
    put_region_alone(alone);
    restart(alone);
    run(all);
    assert_int_equal(ask(alone, &asked, &command), 0);
    run(all);
    assert_int_equal(asked.result, 0);
    assert_int_equal(alone->split.applied, 1);
    assert_true(alone->split.kept);
    restart(alone);
    assert_is_left(alone);
}

/* ---- the replica that a split makes ---- */

static struct peer *open_new(struct node *node)
{
    struct peer *peer = NULL;

    assert_int_equal(peer_open(&peer, node, NEW, NULL), 0);
    return peer;
}

static struct peer_status status_of(const struct peer *peer)
{
    struct peer_status status;

    peer_status(peer, &status);
    return status;
}

/* As a peer has done that waited for the split. */
static void vote(struct node *node, uint64_t term)
{
    uint8_t bytes[MARKER_SIZE_MAX];
    struct hard_state hard = {.term = term, .vote = 2};

    put_record(node->env.log, key_hard_state(NEW),
               (struct slice){bytes, hard_state_encode(&hard, bytes)});
}

static void test_a_new_replica_begins_where_no_other_log_does(void **state)
{
    struct two_nodes *all = *state;
    struct peer *peer;

    split(all);
    peer = open_new(&all->node[FOLLOWER]);
    assert_int_equal(peer_id(peer), 2);
    assert_int_equal(peer_applied(peer), FOUNDING_INDEX);
    assert_int_equal(status_of(peer).first_index, FOUNDING_INDEX + 1);
    assert_int_equal(status_of(peer).last_index, FOUNDING_INDEX);
    assert_int_equal(status_of(peer).term, FOUNDING_TERM);
    run(all);
    peer_close(peer);
}

static void test_a_vote_that_was_given_for_it_counts(void **state)
{
    struct two_nodes *all = *state;
    struct hard_state hard;
    struct kv_value value = {0};
    struct key key = key_hard_state(NEW);
    struct peer *peer;

    split(all);
    vote(&all->node[FOLLOWER], FOUNDING_TERM + 3);
    peer = open_new(&all->node[FOLLOWER]);
    run(all);
    assert_int_equal(status_of(peer).term, FOUNDING_TERM + 3);
    assert_int_equal(status_of(peer).last_index, FOUNDING_INDEX);
    peer_close(peer);
    assert_int_equal(
        kv_get(all->node[FOLLOWER].env.log, NULL, key_slice(&key), &value), 0);
    assert_int_equal(
        hard_state_decode(&hard, (struct slice){value.data, value.size}), 0);
    assert_int_equal(hard.vote, 2);
    kv_value_release(&value);
}

/* The split is applied again after a crash: what the region's log has
 * acknowledged since then stays. */
static void test_a_log_that_outlived_its_state_is_kept(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];
    struct log_start start = {FOUNDING_INDEX, FOUNDING_TERM};
    const uint8_t entry[] = {1, RAFT_ENTRY_NORMAL, 0, 0, 0, 0, 0, 0, 0, 9};
    uint8_t bytes[MARKER_SIZE_MAX];
    struct peer *peer;

    split(all);
    vote(node, 9);
    put_record(node->env.log, key_log_start(NEW),
               (struct slice){bytes, log_start_encode(&start, bytes)});
    put_record(node->env.log, key_log_entry(NEW, FOUNDING_INDEX + 1),
               (struct slice){entry, sizeof entry});
    peer = open_new(node);
    run(all);
    assert_int_equal(status_of(peer).last_index, FOUNDING_INDEX + 1);
    assert_int_equal(status_of(peer).state, PEER_RUNNING);
    peer_close(peer);
}

/* Without the state, what was acknowledged is still not acknowledged anew. */
static void test_a_log_without_its_state_waits_for_a_snapshot(void **state)
{
    struct two_nodes *all = *state;
    struct node *node = &all->node[FOLLOWER];
    struct log_start start = {FOUNDING_INDEX, FOUNDING_TERM};
    uint8_t bytes[MARKER_SIZE_MAX];
    struct peer *peer = NULL;

    vote(node, 9);
    put_record(node->env.log, key_log_start(NEW),
               (struct slice){bytes, log_start_encode(&start, bytes)});
    assert_int_equal(peer_create(&peer, node, NEW, 2, NULL), 0);
    run(all);
    assert_int_equal(status_of(peer).state, PEER_DAMAGED);
    assert_int_equal(status_of(peer).term, 9);
    assert_int_equal(status_of(peer).last_index, FOUNDING_INDEX);
    peer_close(peer);
}

/* clang-format off */
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_all_replicas_split_and_the_leaders_node_leads),
        T(test_a_split_is_applied_again_by_all_means),
        T(test_what_does_not_belong_here_is_not_opened),
        T(test_a_region_is_the_left_part_once_the_entry_is_handed_out),
        T(test_what_is_for_another_version_does_not_get_into_the_log),
        T(test_what_comes_behind_a_split_in_the_log_has_no_effect),
        T(test_of_two_splits_at_once_one_has_an_effect),
        T(test_a_split_that_cannot_be_done_is_not_proposed),
        T(test_a_replica_that_cannot_apply_it_is_rebuilt),
        T(test_the_only_replica_splits_though_it_is_damaged),
        T(test_a_new_replica_begins_where_no_other_log_does),
        T(test_a_vote_that_was_given_for_it_counts),
        T(test_a_log_that_outlived_its_state_is_kept),
        T(test_a_log_without_its_state_waits_for_a_snapshot),
    };

    return cmocka_run_group_tests_name("peer split", tests, NULL, NULL);
}
