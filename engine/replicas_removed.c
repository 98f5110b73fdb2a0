/* SPDX-License-Identifier: Apache-2.0 */

/* Replicas that were removed from their regions: how that is found out, and
 * what becomes of them. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/merge.h"
#include "engine/merge_change.h"
#include "engine/reader.h"
#include "engine/region_state.h"
#include "engine/replicas_impl.h"
#include "engine/router.h"
#include "engine/routes.h"
#include "engine/status.h"

enum { SILENCE_MS = 5000 }; /* until a peer asks whether it was removed */

/* ---- erasing ---- */

void replica_free_erased(struct replica *replica)
{
    if (replica->erased == NULL)
        return;
    region_release(replica->erased);
    free(replica->erased);
    replica->erased = NULL;
}

static void erased(struct erase *erase)
{
    struct replica *replica = container_of(erase, struct replica, erase);

    replica_free_erased(replica);
    if (erase->tombstone.peer != TOMBSTONE_OF_ALL)
        node_log_event(replica->replicas->node, LOG_INFO,
                       "region %" PRIu64
                       ": its replica on this node was removed and erased",
                       replica->region);
    replica_drop_if_empty(replica);
}

void replica_plan_erase(struct replica *replica, struct region region,
                        const struct tombstone *tombstone)
{
    assert(replica->erased == NULL);

    replica->erased = mem_zalloc(sizeof *replica->erased);
    *replica->erased = region;
    replica->erase = (struct erase){
        .env = node_env(replica->replicas->node),
        .region = replica->erased,
        .tombstone = *tombstone,
        .done = erased,
    };
}

/* Where it was last known to be is where this node's requests go next. */
static void keep_route(struct replica *replica)
{
    struct node *node = replica->replicas->node;
    const struct peer *peer = replica->peer;
    uint64_t leader = peer_leader_node(peer);

    if (peer_is_initialised(peer))
        (void)routes_learn(router_routes(node_router(node)), peer_region(peer),
                           leader == node_id(node) ? 0 : leader);
}

static void remove_at(struct replica *replica,
                      const struct tombstone *tombstone)
{
    struct node *node = replica->replicas->node;
    struct peer *peer = replica->peer;

    if (replica->region == REGION_PLACEMENT) {
        node_on_removed(node);
        return;
    }
    keep_route(replica);
    replica_plan_erase(replica, region_copy(peer_region(peer)), tombstone);
    hosted_remove(replica->replicas->hosted, peer);
    status_board_forget(node_status_board(node), replica->region);
    replica->peer = NULL;
    replica->stopped = peer;
    reader_on_replica_gone(node_reader(node));
    replica->has_state = false;
    barrier_free(replica->barrier);
    replica->barrier = NULL;
    peer_stop(peer);
    replica_note_awake(replica);
}

void replica_remove(struct replica *replica, uint64_t peer_id)
{
    struct tombstone tombstone = {.peer = peer_id};

    peer_committed_position(replica->peer, &tombstone.index, &tombstone.term);
    remove_at(replica, &tombstone);
}

void replicas_on_removed(struct replicas *replicas, struct peer *peer)
{
    replica_remove(replica_find(replicas, peer_region_id(peer)), peer_id(peer));
}

void replica_vote_for_the_dead(struct replica *replica, uint64_t from_node,
                               const struct raft_message *message,
                               const struct tombstone *tombstone)
{
    bool pre_vote = message->type == RAFT_MSG_PRE_VOTE;
    struct raft_message answer = {
        .type = pre_vote ? RAFT_MSG_PRE_VOTE_RESP : RAFT_MSG_VOTE_RESP,
        .from = message->to,
        .to = message->from,
        .term = message->term - pre_vote, /* the candidate's own */
        .reject = true,
        .known_commit = tombstone->index,
        .known_commit_term = tombstone->term,
    };

    if ((!pre_vote && message->type != RAFT_MSG_VOTE) || tombstone->index == 0)
        return;
    node_send_raft(replica->replicas->node, from_node, replica->region,
                   &answer);
}

/* ---- telling of it, and asking ---- */

static bool was_removed(const struct peer *peer, uint64_t peer_id)
{
    const struct region *region = peer_region(peer);

    return peer_is_initialised(peer) && peer_id <= region->peer_max &&
           region_find_peer(region, peer_id) == NULL;
}

static void send_note(const struct replicas *replicas, uint64_t to,
                      uint16_t type, const struct peer_note *note)
{
    struct buf *header = peer_note_encode(note);

    node_send(replicas->node, to, ENV_CHANNEL_RAFT, type, header, NULL);
    buf_unref(header);
}

/* Being committed it is true for ever, whatever this node forgets. */
static void send_gone(struct replica *replica, uint64_t to, uint64_t peer_id)
{
    struct peer_note note = {.region = replica->region, .peer = peer_id};

    peer_committed_position(replica->peer, &note.index, &note.term);
    send_note(replica->replicas, to, WIRE_PEER_GONE, &note);
}

bool replica_tell_removed(struct replica *replica, uint64_t to,
                          uint64_t peer_id)
{
    if (!was_removed(replica->peer, peer_id))
        return false;
    send_gone(replica, to, peer_id);
    return true;
}

/* There is no peer: perhaps because there is no such region any more. */
static void tell_of_merge(struct replicas *replicas, uint64_t from_node,
                          struct peer_note *note)
{
    struct env *env = node_env(replicas->node);
    struct tombstone tombstone = {0};

    if (tombstone_read(env, note->region, &tombstone) != 0 ||
        tombstone.peer != TOMBSTONE_OF_ALL)
        return;
    note->index = tombstone.index;
    note->term = tombstone.term;
    send_note(replicas, from_node, WIRE_PEER_GONE, note);
}

void replicas_tell_gone(struct replicas *replicas, struct peer *peer,
                        const struct region_peer *removed)
{
    send_gone(replica_find(replicas, peer_region_id(peer)), removed->node,
              removed->id);
}

void replicas_on_query(struct replicas *replicas, uint64_t from_node,
                       const struct env_packet *packet)
{
    struct peer_note note;
    struct replica *replica;

    if (peer_note_decode(&note, buf_slice(packet->header)) != 0)
        return;
    replica = replica_find(replicas, note.region);
    if (replica == NULL || replica->peer == NULL)
        tell_of_merge(replicas, from_node, &note);
    else
        (void)replica_tell_removed(replica, from_node, note.peer);
}

/* The replica of its target here is about to take it over, from its log or with
 * a snapshot: until then what is frozen is kept. */
static bool awaits_target(const struct replicas *replicas,
                          const struct peer *peer)
{
    const struct region *region = peer_region(peer);
    const struct peer *target =
        region_is_frozen(region) ? replicas_find(replicas, region->merge.other)
                                 : NULL;

    return target != NULL && !merge_has_ended(target, region);
}

static bool may_go(const struct replica *replica)
{
    return !peer_is_restoring(replica->peer) &&
           !peer_is_replaying(replica->peer) &&
           !awaits_target(replica->replicas, replica->peer);
}

void replicas_on_gone(struct replicas *replicas,
                      const struct env_packet *packet)
{
    struct peer_note note;
    struct replica *replica;
    struct tombstone tombstone;

    if (peer_note_decode(&note, buf_slice(packet->header)) != 0)
        return;
    replica = replica_find(replicas, note.region);
    if (replica == NULL || replica->peer == NULL ||
        peer_id(replica->peer) != note.peer || !may_go(replica))
        return;
    tombstone = (struct tombstone){note.peer, note.index, note.term};
    remove_at(replica, &tombstone);
}

/* All nodes: those of its region as it knew it may have been removed since, and
 * one that never had state knows none. */
static void ask_whether_removed(struct replica *replica)
{
    struct node *node = replica->replicas->node;
    struct peer_note note = {.region = replica->region,
                             .peer = peer_id(replica->peer)};
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(node, nodes);

    for (size_t i = 0; i < count; i++)
        if (nodes[i] != node_id(node))
            send_note(replica->replicas, nodes[i], WIRE_PEER_QUERY, &note);
}

/* Nobody speaks to it, or it waits for what is not here. */
static bool is_in_doubt(const struct replica *replica)
{
    const struct peer *peer = replica->peer;

    return peer_silence_ns(peer) > (uint64_t)SILENCE_MS * 1000000 ||
           (region_is_frozen(peer_region(peer)) &&
            !awaits_target(replica->replicas, peer));
}

/* Region 0 knows for ever which regions are no more, also when those who were
 * in the merge have left the cluster. */
static bool was_merged(const struct replica *replica)
{
    struct node *node = replica->replicas->node;

    return may_go(replica) &&
           region_state_is_gone(node_env(node)->state, replica->region);
}

static void resolve_doubt(struct replica *replica)
{
    if (!was_merged(replica)) {
        ask_whether_removed(replica);
        return;
    }
    node_log_event(replica->replicas->node, LOG_INFO,
                   "region %" PRIu64
                   ": was merged into another one; what this node still had "
                   "of it is erased",
                   replica->region);
    replica_remove(replica, TOMBSTONE_OF_ALL);
}

void replicas_each_second(struct replicas *replicas)
{
    struct replica *replica;

    TAILQ_FOREACH (replica, &replicas->awake, link)
        if (replica->peer != NULL && is_in_doubt(replica))
            resolve_doubt(replica);
}
