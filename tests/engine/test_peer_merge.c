/* SPDX-License-Identifier: Apache-2.0 */

/* The entries of a merge as the replicas of the target and of the source go
 * through them: see peer_merge.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/merge_change.h"
#include "engine/range.h"
#include "tests/engine/kv_helpers.h"
#include "tests/engine/two_nodes.h"

enum { OTHER = 7, PATIENCE = 600 /* ticks */ };

/* Both have the same, up to the name "m", and node 1 leads. */
static int setup(void **state)
{
    struct two_nodes *all = two_nodes_new();

    all->node[LEADER].merge.answer = true;
    all->node[FOLLOWER].merge.answer = true;
    put_range(&all->node[LEADER], NULL, "m");
    restart(&all->node[LEADER]);
    *state = all;
    return tick_until(all, follower_is_restored, PATIENCE) ? 0 : -1;
}

static int teardown(void **state)
{
    two_nodes_free(*state);
    return 0;
}

/* ---- commands ---- */

static struct key boundary;
static struct key end;

static struct command in_target(const struct node *node, enum merge_step step)
{
    const struct region *region = peer_region(node->peer);

    boundary = key_user('d', ENTRIES_NSID, slice_of("m"));
    end = key_user('d', ENTRIES_NSID, slice_of("t"));
    return (struct command){.op = COMMAND_MERGE,
                            .merge_step = step,
                            .merge = {.other = OTHER,
                                      .attempt = region->merge.attempt,
                                      .version = 5,
                                      .conf_ver = 1,
                                      .start = key_user_part(&boundary),
                                      .end = key_user_part(&end)},
                            .region_version = region->version,
                            .region_conf_ver = region->conf_ver};
}

static struct command in_source(enum command_op op)
{
    return (struct command){
        .op = op,
        .merge = {.other = OTHER, .attempt = 3, .version = 1, .conf_ver = 1}};
}

/* What the target takes over has applied something. */
static void put_source(struct node *node)
{
    const struct marker marker = {.index = 30, .term = 4, .version = 90};
    uint8_t bytes[MARKER_SIZE_MAX];

    put_record(node->env.state, key_marker(OTHER),
               (struct slice){bytes, marker_encode(&marker, bytes)});
}

static void begin(struct two_nodes *all)
{
    put_source(&all->node[LEADER]);
    put_source(&all->node[FOLLOWER]);
    assert_int_equal(
        ask_both(all, in_target(&all->node[LEADER], MERGE_STEP_BEGIN)), 0);
}

/* ---- the target ---- */

static void test_all_replicas_take_it_over(void **state)
{
    struct two_nodes *all = *state;
    uint64_t attempt;

    begin(all);
    attempt = peer_applied(all->node[LEADER].peer);
    assert_int_equal(
        ask_both(all, in_target(&all->node[LEADER], MERGE_STEP_TAKE)), 0);
    for (size_t i = 0; i < 2; i++) {
        const struct node *node = &all->node[i];
        const struct region *region = peer_region(node->peer);

        assert_int_equal(node->merge.begun, 1);
        assert_int_equal(node->merge.source, OTHER);
        assert_int_equal(node->merge.attempt, attempt);
        assert_int_equal(node->merge.finished, 1);
        assert_true(node->merge.applied);
        assert_int_equal(region->version, 7);
        assert_int_equal(region->absorbed, OTHER);
        assert_true(slice_equal(region->end, key_user_part(&end)));
        assert_int_equal(node->merge.freezes, 0);
    }
}

static void test_what_is_not_up_to_date_is_not_proposed(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    struct command command = in_target(leader, MERGE_STEP_BEGIN);
    struct asked asked;

    assert_int_equal(ask(&all->node[FOLLOWER], &asked, &command),
                     ERR_NOT_LEADER);
    command.region_version = 2;
    assert_int_equal(ask(leader, &asked, &command), ERR_EPOCH);
    command = in_target(leader, MERGE_STEP_TAKE);
    assert_int_equal(ask(leader, &asked, &command), ERR_EPOCH);
    command = in_target(leader, MERGE_STEP_BEGIN);
    command.merge.start = key_user_part(&end);
    assert_int_equal(ask(leader, &asked, &command), ERR_INVALID);
}

/* Both were proposed at once: the log decides. */
static void test_what_comes_behind_giving_up_does_nothing(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    struct command give_up;
    struct command take;
    struct asked first;
    struct asked second;

    begin(all);
    give_up = in_target(leader, MERGE_STEP_GIVE_UP);
    take = in_target(leader, MERGE_STEP_TAKE);
    assert_int_equal(ask(leader, &first, &give_up), 0);
    assert_int_equal(ask(leader, &second, &take), 0);
    run(all);
    assert_int_equal(first.result, 0);
    assert_int_equal(second.status, 0);
    assert_int_equal(second.result, ERR_EPOCH);
    assert_int_equal(leader->merge.begun, 0);
    assert_int_equal(peer_region(leader->peer)->merge.state, MERGE_GIVING_UP);
    assert_int_equal(ask_both(all, in_target(leader, MERGE_STEP_END)), 0);
    assert_false(region_is_merging(peer_region(leader->peer)));
}

static bool follower_has_it(struct two_nodes *all)
{
    return !peer_is_damaged(all->node[FOLLOWER].peer) &&
           peer_region(all->node[FOLLOWER].peer)->absorbed == OTHER;
}

static bool leader_leads(struct two_nodes *all)
{
    return peer_is_serving(all->node[LEADER].peer);
}

static bool no_snapshots(struct two_nodes *all, struct packet *packet)
{
    (void)all;
    return packet->packet.type != WIRE_SNAPSHOT_BEGIN;
}

static void test_a_replica_without_the_source_is_rebuilt(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    begin(all);
    follower->merge.answer = false;
    assert_int_equal(
        ask_both(all, in_target(&all->node[LEADER], MERGE_STEP_TAKE)), 0);
    assert_int_equal(follower->merge.begun, 1);
    assert_int_equal(follower->merge.finished, 0);
    assert_true(peer_is_damaged(follower->peer));
    assert_int_equal(peer_region(follower->peer)->absorbed, 0);
    assert_true(tick_until(all, follower_has_it, PATIENCE));
}

/* That one is told apart from a damaged record, and nothing says that it was
 * taken over. */
static void test_a_replica_without_the_source_says_so(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    begin(all);
    follower->merge.answer = false;
    all->filter = no_snapshots;
    assert_int_equal(
        ask_both(all, in_target(&all->node[LEADER], MERGE_STEP_TAKE)), 0);
    assert_non_null(strstr(follower->event, "(entry 103 takes over a region "
                                            "that is not whole here)"));
}

/* What it skips, or makes of it alone, the learner does not. */
static void test_the_only_voter_does_not_go_on_without_the_source(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    struct command take;
    struct asked asked;
    uint64_t applied;

    make_learner(all);
    assert_true(tick_until(all, leader_leads, PATIENCE));
    begin(all);
    leader->merge.answer = false;
    applied = peer_applied(leader->peer);
    take = in_target(leader, MERGE_STEP_TAKE);
    assert_int_equal(ask(leader, &asked, &take), 0);
    run(all);
    assert_int_equal(leader->fatal_count, 1);
    leader->fatal_count = 0;
    assert_int_equal(peer_applied(leader->peer), applied);
    assert_int_equal(leader->merge.finished, 0);
    assert_null(strstr(leader->event, "has taken over"));
    peer_stop(leader->peer);
    assert_int_equal(asked.done, 1);
    assert_true(asked.in_log);
}

static void test_a_replica_that_cannot_join_a_part_is_rebuilt(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    begin(all);
    put_record(follower->env.state, key_user('n', ENTRIES_NSID, slice_of("m")),
               slice_of("\xff\xff"));
    assert_int_equal(
        ask_both(all, in_target(&all->node[LEADER], MERGE_STEP_TAKE)), 0);
    assert_int_equal(follower->merge.finished, 1);
    assert_false(follower->merge.applied);
    assert_true(tick_until(all, follower_has_it, PATIENCE));
}

/* Not applied yet: nobody reads what is not whole. */
static void test_the_target_is_not_read_while_it_takes(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    struct command command;
    struct asked asked;

    begin(all);
    assert_true(peer_lease_holds(leader->peer, all->now_ns));
    leader->hold_apply = true;
    command = in_target(leader, MERGE_STEP_TAKE);
    assert_int_equal(ask(leader, &asked, &command), 0);
    run(all);
    assert_int_equal(leader->merge.begun, 1);
    assert_int_equal(leader->merge.finished, 0);
    assert_false(peer_lease_holds(leader->peer, all->now_ns));
    leader->hold_apply = false;
    run(all);
    assert_int_equal(leader->merge.finished, 1);
    assert_true(peer_lease_holds(leader->peer, all->now_ns));
}

/* Which another owner than the target's applies: so does all that comes behind
 * the entry in the target's log. */
static void test_the_target_waits_for_what_the_source_has_to_apply(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    struct command command;
    struct asked take;
    struct asked behind;
    uint64_t applied;

    begin(all);
    leader->env.apply_owners = 4;
    leader->held = env_apply_owner(&leader->env, OTHER);
    assert_true(env_apply_owner(&leader->env, REGION_FIRST_DATA) !=
                leader->held);
    applied = peer_applied(leader->peer);
    command = in_target(leader, MERGE_STEP_TAKE);
    assert_int_equal(ask(leader, &take, &command), 0);
    command = write_for(0);
    assert_int_equal(ask(leader, &behind, &command), 0);
    run(all);
    assert_int_equal(leader->merge.begun, 1);
    assert_true(peer_awaits_source(leader->peer));
    assert_int_equal(peer_applied(leader->peer), applied);
    leader->held = ENV_WORKER;
    run(all);
    assert_false(peer_awaits_source(leader->peer));
    assert_true(leader->merge.applied);
    assert_int_equal(peer_applied(leader->peer), applied + 2);
    assert_int_equal(take.result, 0);
    assert_int_equal(behind.done, 1);
}

/* ---- the source ---- */

static void test_a_frozen_region_takes_no_commands(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    const struct command commands[] = {write_for(1), write_for(2),
                                       write_for(0)};

    assert_int_equal(ask_both(all, in_source(COMMAND_FREEZE)), 0);
    assert_int_equal(leader->merge.freezes, 1);
    assert_int_equal(all->node[FOLLOWER].merge.freezes, 1);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        struct asked asked;

        assert_int_equal(ask(leader, &asked, &commands[i]), 0);
        run(all);
        assert_int_equal(asked.done, 1);
        assert_int_equal(asked.status, ERR_EPOCH);
        assert_false(asked.in_log);
    }
    assert_int_equal(ask_both(all, in_source(COMMAND_FREEZE)), 0);
    assert_int_equal(ask_both(all, in_source(COMMAND_UNFREEZE)), 0);
    assert_int_equal(ask_both(all, write_for(3)), ERR_NOT_FOUND);
}

/* Somebody else may have its keys as soon as all have frozen it. */
static void test_a_frozen_region_has_no_lease(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];
    const struct command freeze = in_source(COMMAND_FREEZE);
    struct asked asked;

    tick(all);
    assert_true(peer_lease_holds(leader->peer, all->now_ns));
    leader->hold_apply = true;
    assert_int_equal(ask(leader, &asked, &freeze), 0);
    run(all);
    assert_true(region_is_frozen(peer_region(leader->peer)));
    assert_false(peer_leads(leader->peer, all->now_ns));
    leader->hold_apply = false;
    for (int i = 0; i < 20; i++) {
        tick(all);
        assert_false(peer_leads(leader->peer, all->now_ns));
        assert_false(peer_lease_holds(leader->peer, all->now_ns));
    }
    assert_int_equal(ask_both(all, in_source(COMMAND_UNFREEZE)), 0);
    tick(all);
    assert_true(peer_lease_holds(leader->peer, all->now_ns));
}

/* The same of a follower that has just asked. */
static void test_a_frozen_replica_is_not_current(void **state)
{
    struct two_nodes *all = *state;
    struct peer *peer = all->node[FOLLOWER].peer;

    peer_note_current(peer, all->now_ns);
    assert_true(peer_is_current(peer, all->now_ns));
    assert_int_equal(ask_both(all, in_source(COMMAND_FREEZE)), 0);
    assert_false(peer_is_current(peer, 1));
    peer_note_current(peer, all->now_ns);
    assert_false(peer_is_current(peer, 1));
    assert_int_equal(ask_both(all, in_source(COMMAND_UNFREEZE)), 0);
    assert_false(peer_is_current(peer, 1));
    peer_note_current(peer, all->now_ns);
    assert_true(peer_is_current(peer, all->now_ns));
}

static void test_a_frozen_region_is_frozen_after_a_restart(void **state)
{
    struct two_nodes *all = *state;
    struct node *leader = &all->node[LEADER];

    assert_int_equal(ask_both(all, in_source(COMMAND_FREEZE)), 0);
    restart(leader);
    assert_true(region_is_frozen_for(peer_region(leader->peer), OTHER, 3));
    assert_int_equal(peer_region(leader->peer)->version, 2);
}

/* clang-format off */
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_all_replicas_take_it_over),
        T(test_what_is_not_up_to_date_is_not_proposed),
        T(test_what_comes_behind_giving_up_does_nothing),
        T(test_a_replica_without_the_source_is_rebuilt),
        T(test_a_replica_without_the_source_says_so),
        T(test_the_only_voter_does_not_go_on_without_the_source),
        T(test_a_replica_that_cannot_join_a_part_is_rebuilt),
        T(test_the_target_is_not_read_while_it_takes),
        T(test_the_target_waits_for_what_the_source_has_to_apply),
        T(test_a_frozen_region_takes_no_commands),
        T(test_a_frozen_region_has_no_lease),
        T(test_a_frozen_replica_is_not_current),
        T(test_a_frozen_region_is_frozen_after_a_restart),
    };

    return cmocka_run_group_tests_name("peer merge", tests, NULL, NULL);
}
