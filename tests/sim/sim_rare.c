/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_rare.h"

#include "engine/node.h"
#include "engine/peer_impl.h"
#include "tests/sim/sim_seen.h"

/* Whether the log has a membership entry that is not applied. */
static bool has_unapplied_change(const struct peer *peer)
{
    struct raft_entries entries = {0};
    bool found = false;

    if (region_log_entries(peer->log, peer->applied_index + 1,
                           region_log_last_index(peer->log) + 1, UINT64_MAX,
                           &entries) != 0)
        return false;
    for (size_t i = 0; i < entries.count; i++)
        found = found || entries.item[i].type != RAFT_ENTRY_NORMAL;
    raft_entries_release(&entries);
    return found;
}

static void count_members(const struct sim_rare *known, const struct peer *peer)
{
    enum raft_role role = raft_role(peer->raft);
    bool joint = region_is_joint(&peer->region);

    if (role == RAFT_LEADER && known->role != RAFT_LEADER) {
        if (joint)
            sim_seen(SEEN_LEADER_JOINT);
        if (has_unapplied_change(peer))
            sim_seen(SEEN_LEADER_UNAPPLIED);
    }
    if (peer->region.conf_ver > known->conf_ver && known->conf_ver != 0) {
        sim_seen(SEEN_MEMBERS_CHANGED);
        if (joint)
            sim_seen(SEEN_JOINT);
        if (role != RAFT_LEADER && known->role == RAFT_LEADER)
            sim_seen(SEEN_LEADER_REMOVED);
    }
    if (peer->snapshots_restored > known->snapshots_restored && joint)
        sim_seen(SEEN_SNAPSHOT_JOINT);
}

static void count_leader(const struct sim_rare *known,
                         const struct sim_rare *now)
{
    if (known->role != RAFT_LEADER)
        return;
    if (now->role != RAFT_LEADER && known->had_pending)
        sim_seen(SEEN_LEADER_LOST_PENDING);
    if (now->role == RAFT_LEADER && known->had_lease && !now->had_lease)
        sim_seen(SEEN_LEADER_NO_LEASE);
}

static void count_sleep(const struct sim_rare *known, const struct peer *peer)
{
    bool leads = peer_is_leader(peer);

    if (peer->asleep && !known->asleep)
        sim_seen(leads ? SEEN_LEADER_SLEPT : SEEN_FOLLOWER_SLEPT);
    if (!peer->asleep && known->asleep && !leads &&
        !node_is_alive(peer->node, peer_leader_node(peer)))
        sim_seen(SEEN_WOKEN_BY_LOSS);
}

void sim_rare_step(struct sim_rare *known, const struct peer *peer)
{
    struct sim_rare now = {
        .role = raft_role(peer->raft),
        .had_pending = !TAILQ_EMPTY(&peer->pending),
        .had_lease = peer_leads(peer, env_mono_ns(peer->env)),
        .conf_ver = peer->region.conf_ver,
        .last_index = raft_last_index(peer->raft),
        .compactions = peer->compactions,
        .snapshots_restored = peer->snapshots_restored,
        .asleep = peer->asleep,
    };

    count_members(known, peer);
    count_leader(known, &now);
    if (now.last_index < known->last_index)
        sim_seen(SEEN_LOG_TRUNCATED);
    if (now.compactions > known->compactions)
        sim_seen(SEEN_COMPACTED);
    if (now.snapshots_restored > known->snapshots_restored)
        sim_seen(SEEN_SNAPSHOT_RESTORED);
    count_sleep(known, peer);
    *known = now;
}
