/* SPDX-License-Identifier: Apache-2.0 */

/* What a peer does by itself, besides what Raft asks for. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/engine/two_nodes.h"
#include "tests/sim/kv_mem.h"

enum { APPENDED = 400, LOG_KEEP = 100 };

static int setup(void **state)
{
    *state = two_nodes_new();
    return 0;
}

static int teardown(void **state)
{
    two_nodes_free(*state);
    return 0;
}

static void test_the_log_is_kept_until_the_state_is_durable(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];

    follower->log_keep = LOG_KEEP;
    append_entries(follower, APPENDED, APPENDED);
    run(all);
    assert_int_equal(peer_applied(follower->peer), FOLLOWER_INDEX + APPENDED);
    tick(all);
    assert_int_equal(follower_first_index(all), FOLLOWER_INDEX + 1);
    kv_mem_sync(follower->env.state,
                kv_mem_unsynced_count(follower->env.state));
    tick(all);
    assert_int_equal(follower_first_index(all),
                     FOLLOWER_INDEX + APPENDED - LOG_KEEP + 1);
}

/* Or its node would wait a long time for a peer that nobody sends to. */
static void test_a_leader_tells_who_was_removed(void **state)
{
    struct two_nodes *all = *state;
    struct peer *leader = all->node[LEADER].peer;
    struct peer_change change = {
        .steps = {{RAFT_REMOVE_PEER, FOLLOWER_PEER, 0}},
        .count = 1,
    };

    assert_true(tick_until(all, follower_is_restored, 100));
    assert_int_equal(all->told_gone, 0);
    change.conf_ver = peer_region(leader)->conf_ver;
    assert_int_equal(peer_propose_change(leader, &change), 0);
    tick(all);
    assert_int_equal(peer_region(leader)->peer_count, 1);
    assert_int_equal(all->told_gone, FOLLOWER_PEER);
}

/* It may have promised a leader the time until then, and has forgotten it. */
static void test_a_started_peer_hears_no_candidate_for_a_timeout(void **state)
{
    struct two_nodes *all = *state;
    struct node *follower = &all->node[FOLLOWER];
    struct raft_message vote = {.type = RAFT_MSG_VOTE,
                                .from = LEADER_PEER,
                                .to = FOLLOWER_PEER,
                                .term = LEADER_TERM + 1,
                                .log_term = LEADER_TERM,
                                .index = LEADER_INDEX};

    for (unsigned i = 1; i < ELECTION_TICKS; i++) {
        tick(all);
        peer_step(follower->peer, LEADER + 1, &vote);
        run(all);
        assert_int_equal(follower_term(all), FOLLOWER_TERM);
    }
    tick(all);
    peer_step(follower->peer, LEADER + 1, &vote);
    run(all);
    assert_int_equal(follower_term(all), LEADER_TERM + 1);
}

/* clang-format off */
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_the_log_is_kept_until_the_state_is_durable),
        T(test_a_leader_tells_who_was_removed),
        T(test_a_started_peer_hears_no_candidate_for_a_timeout),
    };

    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
