/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/replicas.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/replicas_impl.h"
#include "engine/snapshot.h"

struct replicas *replicas_new(struct node *node)
{
    struct replicas *replicas = mem_zalloc(sizeof *replicas);

    replicas->node = node;
    replicas->hosted = hosted_new();
    TAILQ_INIT(&replicas->awake);
    return replicas;
}

static void replica_free(struct replica *replica)
{
    barrier_free(replica->barrier);
    peer_close(replica->peer);
    peer_close(replica->stopped);
    replica_free_erased(replica);
    free(replica);
}

void replicas_free(struct replicas *replicas)
{
    if (replicas == NULL)
        return;
    /* All of them are stopped first: who is told that his proposal has failed
     * looks whether another one is here. */
    for (size_t i = 0; i < replicas->count; i++)
        if (replicas->items[i]->peer != NULL)
            peer_stop(replicas->items[i]->peer);
    for (size_t i = 0; i < replicas->count; i++)
        replica_free(replicas->items[i]);
    hosted_free(replicas->hosted);
    free(replicas->items);
    free(replicas);
}

/* ---- the table ---- */

/* How many have a smaller region id. */
static size_t count_below(const struct replicas *replicas, uint64_t region)
{
    size_t low = 0;
    size_t high = replicas->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (replicas->items[middle]->region < region)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct replica *replica_find(const struct replicas *replicas, uint64_t region)
{
    size_t at = count_below(replicas, region);

    return at < replicas->count && replicas->items[at]->region == region
               ? replicas->items[at]
               : NULL;
}

void replica_note_awake(struct replica *replica)
{
    struct replicas *replicas = replica->replicas;
    bool awake = replica->stopped != NULL ||
                 (replica->peer != NULL && !peer_is_asleep(replica->peer));

    if (awake && !replica->awake)
        TAILQ_INSERT_TAIL(&replicas->awake, replica, link);
    else if (!awake && replica->awake)
        TAILQ_REMOVE(&replicas->awake, replica, link);
    replica->awake = awake;
}

struct replica *replica_obtain(struct replicas *replicas, uint64_t region)
{
    size_t at = count_below(replicas, region);
    struct replica *replica = replica_find(replicas, region);

    if (replica != NULL)
        return replica;
    replica = mem_zalloc(sizeof *replica);
    replica->replicas = replicas;
    replica->region = region;
    replicas->items = mem_grow(replicas->items, sizeof(struct replica *),
                               &replicas->count_max, replicas->count + 1);
    memmove(&replicas->items[at + 1], &replicas->items[at],
            (replicas->count - at) * sizeof(struct replica *));
    replicas->items[at] = replica;
    replicas->count++;
    return replica;
}

void replica_drop_if_empty(struct replica *replica)
{
    struct replicas *replicas = replica->replicas;
    size_t at = count_below(replicas, replica->region);

    if (replica->peer != NULL || replica->erased != NULL ||
        replica->stopped != NULL || replica->split != NO_SPLIT)
        return;
    replica_note_awake(replica);
    replicas->count--;
    memmove(&replicas->items[at], &replicas->items[at + 1],
            (replicas->count - at) * sizeof(struct replica *));
    replica_free(replica);
}

struct peer *replicas_find(const struct replicas *replicas, uint64_t region)
{
    const struct replica *replica = replica_find(replicas, region);

    return replica != NULL && replica->has_state ? replica->peer : NULL;
}

struct peer *replicas_find_any(const struct replicas *replicas, uint64_t region)
{
    const struct replica *replica = replica_find(replicas, region);

    return replica == NULL ? NULL : replica->peer;
}

struct peer *replicas_at(const struct replicas *replicas, struct slice user_key)
{
    struct range range;

    return hosted_find(replicas->hosted, user_key, &range);
}

struct peer *replicas_next(const struct replicas *replicas,
                           const struct peer *peer)
{
    size_t at =
        peer == NULL ? 0 : count_below(replicas, peer_region_id(peer) + 1);

    while (at < replicas->count && !replicas->items[at]->has_state)
        at++;
    return at < replicas->count ? replicas->items[at]->peer : NULL;
}

struct barrier *replicas_barrier(const struct replicas *replicas,
                                 uint64_t region)
{
    struct replica *replica = replica_find(replicas, region);

    if (replica == NULL || !replica->has_state)
        return NULL;
    if (replica->barrier == NULL)
        replica->barrier = barrier_new(replicas->node, replica->peer);
    return replica->barrier;
}

void replicas_on_leader_change(struct replicas *replicas, uint64_t region)
{
    struct replica *replica = replica_find(replicas, region);

    if (replica != NULL && replica->barrier != NULL)
        barrier_on_leader_change(replica->barrier);
}

struct hosted *replicas_hosted(const struct replicas *replicas)
{
    return replicas->hosted;
}

void replica_publish(struct replica *replica)
{
    replica->has_state = true;
    hosted_put(replica->replicas->hosted, replica->peer);
}

/* ---- making ---- */

/* What a leader, or a candidate, sends to a peer that it knows. */
static bool may_be_first(enum raft_message_type type)
{
    return type == RAFT_MSG_APP || type == RAFT_MSG_HEARTBEAT ||
           type == RAFT_MSG_VOTE || type == RAFT_MSG_PRE_VOTE;
}

static void make_peer(struct replica *replica, uint64_t peer_id)
{
    struct err e = ERR_INIT;
    struct node *node = replica->replicas->node;
    int rc = peer_create(&replica->peer, node, replica->region, peer_id, &e);

    if (rc != 0)
        env_fatal(node_env(node), e.text);
    else
        node_log_event(node, LOG_INFO,
                       "region %" PRIu64 ": this node gets a replica",
                       replica->region);
    replica_note_awake(replica);
}

/* There is no peer here. */
static void on_first_message(struct replica *replica, uint64_t from_node,
                             const struct raft_message *message)
{
    struct tombstone tombstone = {0};
    int rc = tombstone_read(node_env(replica->replicas->node), replica->region,
                            &tombstone);

    if (rc != 0 && rc != ERR_NOT_FOUND)
        return;
    if (message->to <= tombstone.peer)
        replica_vote_for_the_dead(replica, from_node, message, &tombstone);
    else if (may_be_first(message->type))
        make_peer(replica, message->to);
}

/* ---- inputs ---- */

void replicas_on_message(struct replicas *replicas, uint64_t from_node,
                         const struct raft_envelope *envelope)
{
    struct replica *replica = replica_obtain(replicas, envelope->region);
    const struct raft_message *message = &envelope->message;

    if (replica->erased != NULL || replica->split != NO_SPLIT)
        return;
    if (replica->peer == NULL && replica->stopped == NULL)
        on_first_message(replica, from_node, message);
    if (replica->peer == NULL) {
        replica_drop_if_empty(replica);
        return;
    }
    if (message->to != peer_id(replica->peer))
        return; /* From the past, or for a peer that is to come. */
    if (!replica_tell_removed(replica, from_node, message->from))
        peer_step(replica->peer, from_node, message);
}

/* Without state it has no range. */
static bool has_overlap(const struct region *here, const struct region *region)
{
    return here->peer_count > 0 && snapshot_overlaps(here, region);
}

bool replicas_overlap(const struct replicas *replicas,
                      const struct region *region)
{
    if (replicas->splits > 0)
        return true;
    for (size_t i = 0; i < replicas->count; i++) {
        const struct replica *replica = replicas->items[i];

        if (replica->split != NO_SPLIT)
            return true;
        if (replica->peer != NULL &&
            has_overlap(peer_region(replica->peer), region))
            return true;
        if (replica->erased != NULL && has_overlap(replica->erased, region))
            return true;
    }
    return false;
}

bool replicas_are_erasing(const struct replicas *replicas)
{
    for (size_t i = 0; i < replicas->count; i++)
        if (replicas->items[i]->erased != NULL)
            return true;
    return false;
}

static void look_whether_settled(struct replica *replica)
{
    if (replica->stopped == NULL || replica->taken ||
        !peer_has_settled(replica->stopped))
        return;
    peer_close(replica->stopped);
    replica->stopped = NULL;
    if (replica->erased != NULL)
        erase_start(&replica->erase);
    else
        replica_open_split(replica);
    replica_note_awake(replica);
}

void replicas_tick(struct replicas *replicas)
{
    struct replica *replica = TAILQ_FIRST(&replicas->awake);

    while (replica != NULL) {
        struct replica *next = TAILQ_NEXT(replica, link);

        look_whether_settled(replica);
        replica_campaign_again(replica);
        if (replica->peer != NULL)
            peer_tick(replica->peer);
        replica = next;
    }
}

/* ---- sleep ---- */

struct peer *replicas_next_awake(const struct replicas *replicas,
                                 const struct peer *peer)
{
    const struct replica *replica =
        peer == NULL
            ? TAILQ_FIRST(&replicas->awake)
            : TAILQ_NEXT(replica_find(replicas, peer_region_id(peer)), link);

    while (replica != NULL && (replica->peer == NULL || !replica->has_state))
        replica = TAILQ_NEXT(replica, link);
    return replica == NULL ? NULL : replica->peer;
}

void replicas_on_sleep(struct replicas *replicas, struct peer *peer)
{
    replica_note_awake(replica_find(replicas, peer_region_id(peer)));
}

void replicas_on_liveness(struct replicas *replicas, uint64_t node_id,
                          bool alive)
{
    for (size_t i = 0; i < replicas->count; i++) {
        struct peer *peer = replicas->items[i]->peer;

        if (peer != NULL && alive)
            peer_on_node_found(peer, node_id);
        else if (peer != NULL)
            peer_on_node_lost(peer, node_id);
    }
}

/* ---- connections ---- */

void replicas_on_link_down(struct replicas *replicas, uint64_t node_id)
{
    struct replica *replica;

    TAILQ_FOREACH (replica, &replicas->awake, link)
        if (replica->peer != NULL)
            peer_report_unreachable(replica->peer, node_id);
}

void replicas_on_restored(struct replicas *replicas, struct peer *peer)
{
    replica_publish(replica_find(replicas, peer_region_id(peer)));
}
