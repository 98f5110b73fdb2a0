/* SPDX-License-Identifier: Apache-2.0 */

/* What others want to know about a peer. */

#include "engine/check.h"
#include "engine/peer_change.h"
#include "engine/peer_impl.h"

uint64_t peer_id(const struct peer *peer)
{
    return peer->id;
}

uint64_t peer_region_id(const struct peer *peer)
{
    return peer->region_id;
}

const struct region *peer_region(const struct peer *peer)
{
    return &peer->region;
}

bool peer_is_leader(const struct peer *peer)
{
    return raft_role(peer->raft) == RAFT_LEADER;
}

struct check *peer_check(const struct peer *peer)
{
    return peer->check;
}

bool peer_is_initialised(const struct peer *peer)
{
    return peer->region.peer_count > 0;
}

uint64_t peer_node_of(const struct peer *peer, uint64_t peer_id)
{
    const struct region_peer *member = region_find_peer(&peer->region, peer_id);

    if (member != NULL)
        return member->node;
    for (size_t i = 0; peer_id != 0 && i < STRANGERS_MAX; i++)
        if (peer->strangers[i].id == peer_id)
            return peer->strangers[i].node;
    return 0;
}

size_t peer_nodes(const struct peer *peer, uint64_t nodes[REGION_PEERS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < peer->region.peer_count; i++)
        nodes[count++] = peer->region.peers[i].node;
    return count;
}

uint64_t peer_leader_node(const struct peer *peer)
{
    return peer_node_of(peer, raft_leader(peer->raft));
}

uint64_t peer_leaderless_ns(const struct peer *peer)
{
    if (peer->leaderless_since_ns == 0)
        return 0;
    return env_mono_ns(peer->env) - peer->leaderless_since_ns;
}

uint64_t peer_silence_ns(const struct peer *peer)
{
    if (peer_is_leader(peer))
        return 0;
    return env_mono_ns(peer->env) - peer->leader_heard_ns;
}

bool peer_is_restoring(const struct peer *peer)
{
    return peer->install != NULL || peer->install_offered != NULL;
}

bool peer_is_replaying(const struct peer *peer)
{
    return !peer->damaged && peer->applied_index < peer->replay_end;
}

void peer_committed_position(const struct peer *peer, uint64_t *ret_index,
                             uint64_t *ret_term)
{
    *ret_index = raft_commit(peer->raft);
    *ret_term = raft_term_at(peer->raft, *ret_index);
}

uint64_t peer_term(const struct peer *peer)
{
    return raft_term(peer->raft);
}

uint64_t peer_applied(const struct peer *peer)
{
    return peer->applied_index;
}

uint64_t peer_commit(const struct peer *peer)
{
    return raft_commit(peer->raft);
}

uint64_t peer_written_bytes(const struct peer *peer)
{
    return peer->written_bytes;
}

void peer_status(const struct peer *peer, struct peer_status *ret)
{
    uint64_t now_ns = env_mono_ns(peer->env);
    uint64_t until_ns = atomic_load(&peer->lease_until_ns);
    struct raft_status raft;

    raft_status(peer->raft, &raft);
    *ret = (struct peer_status){
        .region = peer->region_id,
        .state = peer_state(peer),
        .role = raft.role,
        .learner = raft.learner,
        .term = raft.term,
        .leader_node = peer_leader_node(peer),
        .applied = peer->applied_index,
        .commit = raft.commit,
        .first_index = raft.first_index,
        .last_index = raft.last_index,
        .log_bytes = region_log_size_bytes(peer->log),
        .applied_wall_ns = peer->applied_wall_ns,
        .lease_left_ns = until_ns > now_ns ? until_ns - now_ns : 0,
        .transferring = raft.transferee != 0,
        .snapshots_sent = peer->snapshots_sent,
        .snapshots_restored = peer->snapshots_restored,
        .compactions = peer->compactions,
        .damaged_ns = peer->damaged ? peer->damaged_ns : 0,
    };
    check_status(peer->check, ret);
}

bool peer_progress(const struct peer *peer, uint64_t node_id,
                   struct raft_peer_status *ret)
{
    if (!peer_is_leader(peer))
        return false;
    for (size_t i = 0; i < peer->region.peer_count; i++)
        if (peer->region.peers[i].node == node_id)
            return raft_peer_find(peer->raft, peer->region.peers[i].id, ret);
    return false;
}
