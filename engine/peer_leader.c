/* SPDX-License-Identifier: Apache-2.0 */

/* Leading: the lease under which this peer may answer reads by itself, and
 * handing leadership over. */

#include "engine/merge_change.h"
#include "engine/node.h"
#include "engine/peer_impl.h"
#include "engine/status.h"

static const uint64_t lease_ns = (uint64_t)LEASE_MS * 1000000;

/* ---- handing over ---- */

static bool transfer_to(struct peer *peer, uint64_t peer_id)
{
    int rc;

    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    rc = raft_transfer_leader(peer->raft, peer_id);
    /* Before MsgTimeoutNow can leave. */
    peer_publish_reads(peer);
    peer_wake(peer);
    return rc == 0;
}

/* As its node has said: it could not serve, and would hand over in turn. */
static bool is_damaged(const struct peer *peer, uint64_t peer_id)
{
    return status_board_state(node_status_board(peer->node),
                              peer_node_of(peer, peer_id),
                              peer->region_id) == PEER_DAMAGED;
}

bool peer_transfer(struct peer *peer, uint64_t node_id)
{
    if (!peer_is_leader(peer))
        return false;
    for (size_t i = 0; i < peer->region.peer_count; i++) {
        const struct region_peer *other = &peer->region.peers[i];

        if (other->node == node_id && other->role == PEER_VOTER &&
            !is_damaged(peer, other->id))
            return transfer_to(peer, other->id);
    }
    return false;
}

static bool has_right_clock(const struct peer *peer, uint64_t peer_id)
{
    return !node_clock_is_wrong(peer->node, peer_node_of(peer, peer_id));
}

/* The one that has most, from `match_min` on; 0: there is none. */
static uint64_t find_successor(const struct peer *peer, uint64_t match_min,
                               bool any_clock)
{
    struct raft_peer_status best = {.match = match_min};

    for (size_t i = 0; i < raft_peer_count(peer->raft); i++) {
        struct raft_peer_status other;

        raft_peer_at(peer->raft, i, &other);
        if (other.id != peer->id && !other.learner && other.recent_active &&
            other.match > best.match && !is_damaged(peer, other.id) &&
            (any_clock || has_right_clock(peer, other.id)))
            best = other;
    }
    return best.id;
}

bool peer_transfer_away(struct peer *peer)
{
    uint64_t successor;

    if (!peer_is_leader(peer))
        return false;
    successor = find_successor(peer, 0, false);
    if (successor == 0)
        successor = find_successor(peer, 0, true);
    return successor != 0 && transfer_to(peer, successor);
}

bool peer_transfer_to_right_clock(struct peer *peer)
{
    uint64_t last = raft_last_index(peer->raft);
    uint64_t match_min = last > TRANSFER_LAG_MAX ? last - TRANSFER_LAG_MAX : 0;
    struct raft_status status;
    uint64_t successor;

    raft_status(peer->raft, &status);
    if (!peer_is_leader(peer) || status.transferee != 0)
        return false;
    successor = find_successor(peer, match_min, false);
    return successor != 0 && transfer_to(peer, successor);
}

/* ---- what may be read here ---- */

static bool may_be_read(const struct peer *peer)
{
    return peer->install == NULL && !peer->damaged &&
           !region_is_frozen(&peer->region);
}

void peer_publish_reads(struct peer *peer)
{
    struct raft *raft = peer->raft;
    uint64_t clock = raft_quorum_clock(raft);
    uint64_t until_ns = 0;

    if (!may_be_read(peer))
        atomic_store(&peer->current_ns, 0);
    if (raft_role(raft) == RAFT_LEADER && clock != 0 && may_be_read(peer) &&
        !raft_lease_blocked(raft) &&
        raft_term_at(raft, peer->applied_index) == raft_term(raft))
        until_ns = clock + lease_ns;
    atomic_store(&peer->lease_until_ns, until_ns);
    if (raft_commit(raft) > peer->applied_index)
        until_ns = 0;
    atomic_store(&peer->read_until_ns, until_ns);
}

bool peer_lease_holds(const struct peer *peer, uint64_t now_ns)
{
    return atomic_load(&peer->read_until_ns) > now_ns;
}

void peer_note_current(struct peer *peer, uint64_t ns)
{
    if (may_be_read(peer) && !peer->closed &&
        ns > atomic_load(&peer->current_ns))
        atomic_store(&peer->current_ns, ns);
}

bool peer_is_current(const struct peer *peer, uint64_t since_ns)
{
    return since_ns != 0 && atomic_load(&peer->current_ns) >= since_ns;
}

uint64_t peer_moment(const struct peer *peer)
{
    return atomic_load(&peer->moment);
}

bool peer_leads(const struct peer *peer, uint64_t now_ns)
{
    return atomic_load(&peer->lease_until_ns) > now_ns;
}
