/* SPDX-License-Identifier: Apache-2.0 */

/* Membership: changes proposed and applied, senders that the descriptor does
 * not have yet, and the end of a peer that was removed. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/node.h"
#include "engine/peer_impl.h"

/* ---- senders ---- */

static bool is_from_leader(const struct raft_message *message)
{
    return message->type == RAFT_MSG_APP || message->type == RAFT_MSG_HEARTBEAT;
}

/* A peer without state knows its leader from messages only; one that lags may
 * hear from peers that were added later. */
void peer_note_sender(struct peer *peer, uint64_t from_node,
                      const struct raft_message *message)
{
    struct stranger *stranger;

    if (is_from_leader(message))
        peer->leader_heard_ns = env_mono_ns(peer->env);
    if (peer_node_of(peer, message->from) != 0)
        return;
    stranger = &peer->strangers[peer->stranger_next++ % STRANGERS_MAX];
    *stranger = (struct stranger){message->from, from_node};
}

/* ---- proposing ---- */

int peer_propose_change(struct peer *peer, const struct peer_change *change)
{
    struct raft_conf_change conf_change;
    uint64_t index = 0;
    int rc;

    if (!peer_is_leader(peer))
        return ERR_NOT_LEADER;
    rc = peer_change_check(&peer->region, change);
    if (rc != 0)
        return rc;
    peer_change_to_raft(change, &conf_change);
    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    rc = raft_propose_conf_change(peer->raft, &conf_change, &index);
    buf_unref(conf_change.context);
    peer_wake(peer);
    return rc;
}

/* ---- applying ---- */

static void fatal(struct peer *peer, const struct raft_entry *entry, int rc)
{
    char reason[128];

    (void)snprintf(reason, sizeof reason,
                   "region %" PRIu64 ": cannot change members at entry %" PRIu64
                   ": %s",
                   peer->region_id, entry->index, err_text(rc));
    env_fatal(peer->env, reason);
}

/* Nobody sends to a removed peer any more. It would find out by asking, but
 * only after some silence, and until then its node would wait for it to know
 * the leader. */
static void tell_removed(struct peer *peer, const struct region_peer *before,
                         size_t count)
{
    for (size_t i = 0; i < count && peer_is_leader(peer); i++)
        if (before[i].id != peer->id &&
            region_find_peer(&peer->region, before[i].id) == NULL)
            node_tell_gone(peer->node, peer, &before[i]);
}

static int change_members(struct peer *peer,
                          const struct raft_conf_change *conf_change)
{
    struct region_peer before[REGION_PEERS_MAX];
    struct peer_change change;
    struct raft_conf_state state;
    size_t count;
    int rc = peer_change_from_raft(conf_change, &peer->region, &change);

    if (rc == 0)
        rc = peer_change_check(&peer->region, &change);
    if (rc == 0)
        rc = raft_apply_conf_change(peer->raft, conf_change, &state);
    if (rc != 0)
        return rc;
    memcpy(before, peer->region.peers, sizeof before);
    count = peer->region.peer_count;
    peer_change_apply(&change, &state, &peer->region);
    tell_removed(peer, before, count);
    return 0;
}

static const char *change_text(int rc)
{
    return rc == 0 ? "changed" : "not changed, for what came before";
}

struct buf *peer_change_members(struct peer *peer,
                                const struct raft_entry *entry)
{
    struct raft_conf_change conf_change;
    int rc = raft_conf_change_decode(entry->data, &conf_change);

    if (rc == 0) {
        rc = change_members(peer, &conf_change);
        buf_unref(conf_change.context);
    }
    if (rc != 0 && rc != ERR_EPOCH && rc != ERR_INVALID && rc != ERR_BUSY) {
        fatal(peer, entry, rc);
        return NULL;
    }
    log_line(LOG_INFO, "peer",
             "region=%" PRIu64 " index=%" PRIu64 " conf_ver=%" PRIu64
             " members %s%s",
             peer->region_id, entry->index, peer->region.conf_ver,
             change_text(rc), region_is_joint(&peer->region) ? ", joint" : "");
    return rc == 0 ? region_encode(&peer->region) : NULL;
}

void peer_look_whether_removed(struct peer *peer)
{
    if (!peer->closed && peer->apply_pending == 0 &&
        peer_is_initialised(peer) &&
        region_find_peer(&peer->region, peer->id) == NULL)
        node_on_peer_removed(peer->node, peer);
}
