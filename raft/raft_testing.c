/* SPDX-License-Identifier: Apache-2.0 */

/* Hooks for tests. */

#include "raft/raft_testing.h"

#include <assert.h>

#include "raft/core.h"

void raft_testing_set_election_timeout(struct raft *r, unsigned ticks)
{
    assert(ticks > 0);
    r->randomized_timeout = ticks;
}

void raft_testing_self_acks_outside(struct raft *r)
{
    r->outbox.self_acks_outside = true;
}

void raft_testing_requests_at_once(struct raft *r)
{
    r->outbox.requests_at_once = true;
}
