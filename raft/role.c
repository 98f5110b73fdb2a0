/* SPDX-License-Identifier: Apache-2.0 */

/* The four roles and the only functions that change them.
 *
 *                    +--------- higher term, or no quorum -----------+
 *                    v                                               |
 *     (start) -> FOLLOWER -timeout-> PRE_CANDIDATE -won-> CANDIDATE -won->
 * LEADER ^                    |                   |
 *                    +------ lost, or a leader shows up ------+ */

#include <assert.h>
#include <inttypes.h>

#include "raft/core.h"

/* splitmix64: enough to keep elections apart, and the same everywhere. */
static uint64_t random_next(struct raft *r)
{
    uint64_t z = r->random_state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* What belongs to a term or to a role in it is forgotten here. */
static void reset(struct raft *r, uint64_t term)
{
    unsigned ticks = r->config.election_ticks;

    assert(term >= r->term);
    if (term != r->term) {
        r->term = term;
        r->vote = 0;
        r->snapshot_wanted = 0;
    }
    r->leader = 0;
    r->election_elapsed = 0;
    r->heartbeat_elapsed = 0;
    r->randomized_timeout = ticks + (unsigned)(random_next(r) % ticks);
    r->transferee = 0;
    r->timeout_now_sent = false;
    r->pending_conf_index = 0;
    r->uncommitted_size = 0;
    r->sleep = SLEEP_AWAKE;
    peers_reset(&r->peers, &r->config, raft_log_last_index(&r->log));
    reads_reset(r);
}

void become_follower(struct raft *r, uint64_t term, uint64_t leader)
{
    reset(r, term);
    r->leader = leader;
    r->role = RAFT_FOLLOWER;
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " became follower at term %" PRIu64, r->id, r->term);
}

/* Neither term nor vote change: asking is not voting. */
void become_pre_candidate(struct raft *r)
{
    assert(r->role != RAFT_LEADER);
    for (size_t i = 0; i < r->peers.count; i++)
        r->peers.item[i].ballot = QUORUM_SILENT;
    r->leader = 0;
    r->role = RAFT_PRE_CANDIDATE;
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " became pre-candidate at term %" PRIu64, r->id,
               r->term);
}

void become_candidate(struct raft *r)
{
    assert(r->role != RAFT_LEADER);
    reset(r, r->term + 1);
    r->vote = r->id;
    r->role = RAFT_CANDIDATE;
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " became candidate at term %" PRIu64, r->id, r->term);
}

/* The empty entry lets everything before it commit (Raft §5.4.2, §8); the
 * unknown tail before it may hold a conf change. */
void become_leader(struct raft *r)
{
    struct raft_entries entries = {.count = 0};
    struct progress *self;
    bool appended;

    assert(r->role == RAFT_CANDIDATE);
    reset(r, r->term);
    r->leader = r->id;
    r->role = RAFT_LEADER;
    self = peers_find(&r->peers, r->id);
    assert(self != NULL);
    progress_replicate(self);
    self->recent_active = true;
    r->pending_conf_index = raft_log_last_index(&r->log);
    r->first_own_index = r->pending_conf_index + 1;

    raft_entries_append(&entries,
                        &(struct raft_entry){.type = RAFT_ENTRY_NORMAL});
    appended = leader_append(r, &entries);
    assert(appended);
    raft_entries_release(&entries);
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " became leader at term %" PRIu64, r->id, r->term);
}
