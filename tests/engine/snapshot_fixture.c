/* SPDX-License-Identifier: Apache-2.0 */

#include "snapshot_fixture.h"

int setup_snapshot(void **state)
{
    struct two_nodes *all = two_nodes_new();

    put_entries(&all->node[LEADER], ENTRIES);
    put_entries(&all->node[FOLLOWER], OLD_ENTRIES);
    *state = all;
    return 0;
}

int teardown_snapshot(void **state)
{
    two_nodes_free(*state);
    return 0;
}

uint64_t snapshots_sent(struct two_nodes *all)
{
    struct peer_status status;

    peer_status(all->node[LEADER].peer, &status);
    return status.snapshots_sent;
}

bool tries_again(struct two_nodes *all)
{
    return snapshots_sent(all) > 1;
}

void assert_restored(struct two_nodes *all)
{
    assert_true(tick_until(all, follower_is_restored, PATIENCE));
    for (unsigned i = 0; i < 20; i++)
        tick(all);
    assert_true(has_entries(&all->node[FOLLOWER], ENTRIES));
    assert_true(follower_first_index(all) > LEADER_INDEX);
    assert_int_equal(snapshots_running(all->node[LEADER].snapshots), 0);
    assert_int_equal(snapshots_running(all->node[FOLLOWER].snapshots), 0);
}
