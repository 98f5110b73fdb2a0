/* SPDX-License-Identifier: Apache-2.0 */

/* Questions about a peer; nothing here changes anything. */

#include <assert.h>

#include "raft/core.h"

void raft_status(const struct raft *r, struct raft_status *ret)
{
    const struct progress *self = peers_find(&r->peers, r->id);

    *ret = (struct raft_status){
        .id = r->id,
        .role = r->role,
        .term = r->term,
        .vote = r->vote,
        .leader = r->leader,
        .commit = r->log.committed,
        .applied = r->log.applied,
        .first_index = raft_log_first_index(&r->log),
        .last_index = raft_log_last_index(&r->log),
        .stable_index = r->log.unstable.offset - 1,
        .transferee = r->transferee,
        .snapshot_wanted = r->snapshot_wanted,
        .uncommitted_size = r->uncommitted_size,
        .own_term_committed = commit_is_own_term(r),
        .voter = conf_state_is_voter(&r->peers.conf, r->id),
        .learner = self != NULL && self->learner,
        .joint = conf_state_is_joint(&r->peers.conf),
        .asleep = raft_is_asleep(r),
    };
}

enum raft_role raft_role(const struct raft *r)
{
    return r->role;
}

uint64_t raft_term(const struct raft *r)
{
    return r->term;
}

uint64_t raft_leader(const struct raft *r)
{
    return r->leader;
}

uint64_t raft_commit(const struct raft *r)
{
    return r->log.committed;
}

uint64_t raft_applied(const struct raft *r)
{
    return r->log.applied;
}

uint64_t raft_last_index(const struct raft *r)
{
    return raft_log_last_index(&r->log);
}

uint64_t raft_term_at(const struct raft *r, uint64_t index)
{
    return raft_log_term_or_zero(&r->log, index);
}

void raft_conf_state(const struct raft *r, struct raft_conf_state *ret)
{
    *ret = r->peers.conf;
}

size_t raft_peer_count(const struct raft *r)
{
    return r->peers.count;
}

void raft_peer_at(const struct raft *r, size_t i, struct raft_peer_status *ret)
{
    const struct progress *p = &r->peers.item[i];

    assert(i < r->peers.count);
    *ret = (struct raft_peer_status){
        .id = p->id,
        .match = p->match,
        .next = p->next,
        .pending_snapshot = p->pending_snapshot,
        .clock = p->clock,
        .inflight_count = p->inflights.count,
        .state = p->state,
        .recent_active = p->recent_active,
        .learner = p->learner,
        .paused = progress_paused(p),
    };
}

bool raft_peer_find(const struct raft *r, uint64_t peer,
                    struct raft_peer_status *ret)
{
    for (size_t i = 0; i < r->peers.count; i++)
        if (r->peers.item[i].id == peer) {
            raft_peer_at(r, i, ret);
            return true;
        }
    return false;
}

/* ---- Leases ----------------------------------------------------------- */

static uint64_t clock_of(const void *context, uint64_t id)
{
    const struct raft *r = context;

    return id == r->id ? r->clock : peers_find(&r->peers, id)->clock;
}

uint64_t raft_quorum_clock(const struct raft *r)
{
    if (r->role != RAFT_LEADER || r->peers.conf.voters.count == 0)
        return 0;
    return quorum_joint_index(&r->peers.conf, clock_of, r);
}

bool raft_lease_blocked(const struct raft *r)
{
    return r->transferee != 0 || r->timeout_now_sent;
}

/* ---- Invariants ------------------------------------------------------- */

static void check_leader(const struct raft *r)
{
    uint64_t last = raft_log_last_index(&r->log);

    assert(r->leader == r->id);
    assert(r->vote == r->id);
    assert(r->pending_conf_index <= last);
    assert(raft_log_term_or_zero(&r->log, last) == r->term);
    for (size_t i = 0; i < r->peers.count; i++) {
        progress_check(&r->peers.item[i]);
        assert(r->peers.item[i].match <= last);
        assert(r->peers.item[i].clock <= r->clock);
        assert(r->peers.item[i].read_position <=
               r->reads.answered + r->reads.count);
    }
}

static void check_candidate(const struct raft *r)
{
    assert(r->leader == 0);
    assert(r->role == RAFT_PRE_CANDIDATE || r->vote == r->id);
    assert(r->reads.count == 0);
}

/* Nobody sleeps over something that is still to be done. */
static void check_sleep(const struct raft *r)
{
    assert(r->sleep == SLEEP_AWAKE || r->role == RAFT_LEADER ||
           (r->role == RAFT_FOLLOWER && r->sleep == SLEEP_ASLEEP));
    if (r->sleep != SLEEP_ASLEEP)
        return;
    assert(r->leader != 0);
    assert(r->log.committed == raft_log_last_index(&r->log));
    assert(r->log.applied == r->log.committed);
    assert(r->transferee == 0 && r->reads.count == 0);
}

void raft_check(const struct raft *r)
{
    raft_log_check(&r->log);
    conf_state_check(&r->peers.conf);
    check_sleep(r);
    for (size_t i = 1; i < r->peers.count; i++)
        assert(r->peers.item[i - 1].id < r->peers.item[i].id);

    switch (r->role) {
    case RAFT_LEADER:
        check_leader(r);
        break;
    case RAFT_CANDIDATE:
    case RAFT_PRE_CANDIDATE:
        check_candidate(r);
        break;
    case RAFT_FOLLOWER:
    case RAFT_ROLES:
        assert(r->role == RAFT_FOLLOWER);
        assert(r->leader != r->id);
        assert(r->transferee == 0);
        assert(r->reads.count == 0);
        break;
    }
}
