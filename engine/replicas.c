/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/replicas.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/erase.h"
#include "engine/hosted.h"
#include "engine/merge_change.h"
#include "engine/reader.h"
#include "engine/region_log.h"
#include "engine/region_state.h"
#include "engine/router.h"
#include "engine/routes.h"
#include "engine/snapshot.h"
#include "engine/status.h"

enum { SILENCE_MS = 5000 }; /* until a peer asks whether it was removed */

struct replica {
    struct replicas *replicas;
    uint64_t region;
    struct peer *peer; /* NULL: none */
    bool has_state;
    struct barrier *barrier; /* NULL: nobody has waited yet */

    /* A split is bringing it: until then no other peer is made. */
    enum { NO_SPLIT, SPLIT_UNDER_WAY, SPLIT_APPLIED } split;
    unsigned campaigns; /* to be tried, until it has a leader */

    bool taken;            /* by a target, as soon as that is applied */
    bool erasing;          /* until then no other peer is made */
    struct peer *stopped;  /* waits until it has settled; NULL: none */
    struct region *erased; /* while erasing; large, so not always there */
    struct erase erase;

    bool awake; /* is in replicas->awake */
    TAILQ_ENTRY(replica) link;
};

struct replicas {
    struct node *node;
    struct replica **items; /* by ascending region id */
    size_t count;
    size_t count_max;
    size_t splits; /* that are being applied */
    struct hosted *hosted;
    TAILQ_HEAD(, replica) awake; /* those that ticks visit */
};

struct replicas *replicas_new(struct node *node)
{
    struct replicas *replicas = mem_zalloc(sizeof *replicas);

    replicas->node = node;
    replicas->hosted = hosted_new();
    TAILQ_INIT(&replicas->awake);
    return replicas;
}

static void free_erased(struct replica *replica)
{
    if (replica->erased == NULL)
        return;
    region_release(replica->erased);
    free(replica->erased);
    replica->erased = NULL;
}

static void replica_free(struct replica *replica)
{
    barrier_free(replica->barrier);
    peer_close(replica->peer);
    peer_close(replica->stopped);
    free_erased(replica);
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

static struct replica *find(const struct replicas *replicas, uint64_t region)
{
    size_t at = count_below(replicas, region);

    return at < replicas->count && replicas->items[at]->region == region
               ? replicas->items[at]
               : NULL;
}

/* To be called when something has changed. */
static void note_awake(struct replica *replica)
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

/* Finds it or makes an empty one. */
static struct replica *obtain(struct replicas *replicas, uint64_t region)
{
    size_t at = count_below(replicas, region);
    struct replica *replica = find(replicas, region);

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

/* Drops one that has come to hold nothing. */
static void drop_if_empty(struct replica *replica)
{
    struct replicas *replicas = replica->replicas;
    size_t at = count_below(replicas, replica->region);

    if (replica->peer != NULL || replica->erasing || replica->stopped != NULL ||
        replica->split != NO_SPLIT)
        return;
    note_awake(replica);
    replicas->count--;
    memmove(&replicas->items[at], &replicas->items[at + 1],
            (replicas->count - at) * sizeof(struct replica *));
    replica_free(replica);
}

struct peer *replicas_find(const struct replicas *replicas, uint64_t region)
{
    const struct replica *replica = find(replicas, region);

    return replica != NULL && replica->has_state ? replica->peer : NULL;
}

struct peer *replicas_find_any(const struct replicas *replicas, uint64_t region)
{
    const struct replica *replica = find(replicas, region);

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
    struct replica *replica = find(replicas, region);

    if (replica == NULL || !replica->has_state)
        return NULL;
    if (replica->barrier == NULL)
        replica->barrier = barrier_new(replicas->node, replica->peer);
    return replica->barrier;
}

void replicas_on_leader_change(struct replicas *replicas, uint64_t region)
{
    struct replica *replica = find(replicas, region);

    if (replica != NULL && replica->barrier != NULL)
        barrier_on_leader_change(replica->barrier);
}

struct hosted *replicas_hosted(const struct replicas *replicas)
{
    return replicas->hosted;
}

static void publish(struct replica *replica)
{
    replica->has_state = true;
    hosted_put(replica->replicas->hosted, replica->peer);
}

/* ---- erasing ---- */

static void erased(struct erase *erase)
{
    struct replica *replica = container_of(erase, struct replica, erase);

    free_erased(replica);
    replica->erasing = false;
    if (erase->tombstone.peer != TOMBSTONE_OF_ALL)
        node_log_event(replica->replicas->node, LOG_INFO,
                       "region %" PRIu64
                       ": its replica on this node was removed and erased",
                       replica->region);
    drop_if_empty(replica);
}

/* Takes over `region`. */
static void plan_erase(struct replica *replica, struct region region,
                       const struct tombstone *tombstone)
{
    replica->erasing = true;
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

/* The peer takes part no more; its state goes once nothing of it is under way,
 * and what reads it elsewhere has been told. Without region 0 there is no node:
 * its store is left as it is. */
static void stop_peer(struct replica *replica,
                      const struct tombstone *tombstone)
{
    struct node *node = replica->replicas->node;
    struct peer *peer = replica->peer;

    if (replica->region == REGION_PLACEMENT) {
        node_on_removed(node);
        return;
    }
    keep_route(replica);
    plan_erase(replica, region_copy(peer_region(peer)), tombstone);
    hosted_remove(replica->replicas->hosted, peer);
    status_board_forget(node_status_board(node), replica->region);
    replica->peer = NULL;
    replica->stopped = peer;
    reader_on_replica_gone(node_reader(node));
    replica->has_state = false;
    barrier_free(replica->barrier);
    replica->barrier = NULL;
    peer_stop(peer);
    note_awake(replica);
}

/* ---- splitting ---- */

enum { CAMPAIGNS = 20 /* the others may not have come that far */ };

/* What a peer without state has said, it said for the one that is made now: its
 * log holds the votes. */
static void stop_waiting_peer(struct replica *replica)
{
    if (replica->peer == NULL)
        return;
    assert(!replica->has_state);
    peer_stop(replica->peer);
    replica->stopped = replica->peer;
    replica->peer = NULL;
    note_awake(replica);
}

static enum split_side side_of(struct replica *replica, uint64_t peer_id_new)
{
    struct tombstone tombstone = {0};

    if (replica->has_state)
        return SPLIT_LEAVE;
    if (replica->erasing ||
        (replica->peer != NULL && peer_id(replica->peer) > peer_id_new))
        return SPLIT_DROP;
    (void)tombstone_read(node_env(replica->replicas->node), replica->region,
                         &tombstone); /* None: as it is. */
    return tombstone.peer >= peer_id_new ? SPLIT_DROP : SPLIT_KEEP;
}

enum split_side replicas_on_split(struct replicas *replicas, struct peer *peer,
                                  const struct region *right)
{
    struct replica *replica = obtain(replicas, right->id);
    const struct region_peer *self =
        region_find_node(right, node_id(replicas->node));
    enum split_side side =
        self == NULL ? SPLIT_DROP : side_of(replica, self->id);

    replicas->splits++;
    hosted_put(replicas->hosted, peer);
    if (side == SPLIT_KEEP) {
        stop_waiting_peer(replica);
        replica->split = SPLIT_UNDER_WAY;
    }
    drop_if_empty(replica);
    return side;
}

static void open_split(struct replica *replica)
{
    struct err e = ERR_INIT;
    struct node *node = replica->replicas->node;
    int rc;

    if (replica->split != SPLIT_APPLIED || replica->stopped != NULL)
        return;
    replica->split = NO_SPLIT;
    rc = peer_open(&replica->peer, node, replica->region, &e);
    if (rc != 0) {
        env_fatal(node_env(node), e.text);
        return;
    }
    publish(replica);
    note_awake(replica);
    reader_on_replica_new(node_reader(node));
    if (replica->campaigns > 0)
        peer_campaign(replica->peer);
}

void replicas_on_split_applied(struct replicas *replicas, uint64_t region,
                               bool kept, bool campaign)
{
    struct replica *replica = find(replicas, region);

    assert(replicas->splits > 0);

    replicas->splits--;
    if (replica == NULL || replica->split != SPLIT_UNDER_WAY)
        return;
    replica->split = kept ? SPLIT_APPLIED : NO_SPLIT;
    replica->campaigns = campaign ? CAMPAIGNS : 0;
    open_split(replica);
    drop_if_empty(replica);
}

static void campaign_again(struct replica *replica)
{
    if (replica->campaigns == 0 || replica->peer == NULL)
        return;
    replica->campaigns--;
    if (peer_leader_node(replica->peer) != 0)
        replica->campaigns = 0;
    else
        peer_campaign(replica->peer);
}

static void look_whether_settled(struct replica *replica)
{
    if (replica->stopped == NULL || replica->taken ||
        !peer_has_settled(replica->stopped))
        return;
    peer_close(replica->stopped);
    replica->stopped = NULL;
    if (replica->erasing)
        erase_start(&replica->erase);
    else
        open_split(replica);
    note_awake(replica);
}

/* ---- merging ---- */

/* Not even its id comes back. */
static struct tombstone tombstone_of_all(const struct peer *peer)
{
    struct tombstone tombstone = {.peer = TOMBSTONE_OF_ALL};

    peer_committed_position(peer, &tombstone.index, &tombstone.term);
    return tombstone;
}

bool replicas_on_merge(struct replicas *replicas, const struct peer *target,
                       uint64_t source, uint64_t attempt)
{
    struct replica *replica = find(replicas, source);
    struct tombstone tombstone;

    if (replica == NULL || !replica->has_state || replica->erasing ||
        peer_is_damaged(replica->peer) || peer_is_restoring(replica->peer) ||
        !region_is_frozen_for(peer_region(replica->peer),
                              peer_region_id(target), attempt))
        return false;
    assert(!peer_awaits_source(replica->peer)); /* See peer_apply.c. */
    tombstone = tombstone_of_all(replica->peer);
    stop_peer(replica, &tombstone);
    replica->taken = true;
    return true;
}

void replicas_on_merge_applied(struct replicas *replicas, struct peer *target,
                               uint64_t source, bool applied)
{
    struct replica *replica = find(replicas, source);

    assert(replica != NULL && replica->taken);

    replica->taken = false;
    if (applied) {
        region_release(replica->erased);
        replica->erased->id = source; /* Its range is the target's. */
    }
    if (applied && target != NULL)
        hosted_put(replicas->hosted, target);
}

void replicas_drop_absorbed(struct replicas *replicas,
                            const struct region *region)
{
    struct replica *replica =
        region->absorbed == 0 ? NULL : find(replicas, region->absorbed);
    struct tombstone tombstone;

    if (replica == NULL || replica->peer == NULL || replica->erasing ||
        peer_is_restoring(replica->peer))
        return;
    tombstone = tombstone_of_all(replica->peer);
    stop_peer(replica, &tombstone);
}

void replicas_on_removed(struct replicas *replicas, struct peer *peer)
{
    struct replica *replica = find(replicas, peer_region_id(peer));
    struct tombstone tombstone = {.peer = peer_id(peer)};

    peer_committed_position(peer, &tombstone.index, &tombstone.term);
    stop_peer(replica, &tombstone);
}

/* ---- opening ---- */

/* The entry that removed this node's peer was applied, and no more. Where the
 * marker is damaged, the tombstone only has no position to tell. */
static int open_removed(struct replica *replica)
{
    struct env *env = node_env(replica->replicas->node);
    struct tombstone tombstone = {0};
    struct region region = {0};
    struct marker marker;
    int rc =
        region_state_descriptor(env->state, NULL, replica->region, &region);

    if (rc != 0)
        return rc;
    tombstone.peer = region.peer_max;
    if (region_state_marker(env->state, NULL, replica->region, &marker) == 0) {
        tombstone.index = marker.index;
        tombstone.term = marker.term;
    }
    plan_erase(replica, region, &tombstone);
    erase_start(&replica->erase);
    return 0;
}

/* A peer that had no state yet goes on waiting for it: its log may hold a vote
 * that it has given. */
static int open_without_state(struct replica *replica, struct err *e)
{
    struct node *node = replica->replicas->node;
    struct env *env = node_env(node);
    uint64_t peer_id = 0;
    int rc = erase_leftovers(env, replica->region);

    if (rc == 0)
        rc = region_log_peer(env, replica->region, &peer_id);
    if (rc == ERR_NOT_FOUND)
        return 0;
    if (rc != 0)
        return err_set(e, rc, "region %" PRIu64 ": its log cannot be read",
                       replica->region);
    return peer_create(&replica->peer, node, replica->region, peer_id, e);
}

static int open_state(struct replica *replica, struct err *e)
{
    struct node *node = replica->replicas->node;
    int rc = peer_open(&replica->peer, node, replica->region, e);

    if (rc == ERR_NOT_FOUND)
        return open_without_state(replica, e);
    if (rc == ERR_FOREIGN && replica->region == REGION_PLACEMENT)
        return err_set(e, rc, "this node was removed from the cluster");
    if (rc == ERR_FOREIGN)
        return open_removed(replica);
    if (rc == 0)
        publish(replica);
    return rc;
}

static int open_one(struct replica *replica, struct err *e)
{
    int rc = open_state(replica, e);

    note_awake(replica);
    return rc;
}

/* Who has joined may still wait for its replica of region 0. */
static bool is_founder(const struct replicas *replicas)
{
    return node_config(replicas->node)->identity.token_count > 0;
}

/* Opens the region that a key of class `class` in a store names. */
static int open_named(struct replicas *replicas, struct kv *kv, char class,
                      struct err *e)
{
    struct slice begin = {&class, 1};
    char behind = (char)(class + 1);
    struct kv_iter *iter =
        kv_iter_new(kv, NULL, begin, (struct slice){&behind, 1});
    int rc = 0;

    for (kv_iter_seek(iter, begin); rc == 0 && kv_iter_valid(iter);
         kv_iter_next(iter)) {
        uint64_t region;

        if (!key_parse_region(kv_iter_key(iter), &region))
            rc = err_set(e, ERR_CORRUPT, "the store has a malformed key");
        else if (find(replicas, region) == NULL)
            rc = open_one(obtain(replicas, region), e);
    }
    if (rc == 0)
        rc = kv_iter_status(iter, e);
    kv_iter_free(iter);
    return rc;
}

/* A region without a peer's id or a descriptor may have left a log: what was
 * erased only in part is erased now, and the log of a new region waits until
 * the entry that made it is applied again. */
static void drop_empty(struct replicas *replicas)
{
    for (size_t i = replicas->count; i-- > 0;)
        drop_if_empty(replicas->items[i]);
}

int replicas_open(struct replicas *replicas, struct err *e)
{
    struct env *env = node_env(replicas->node);
    int rc = open_named(replicas, env->state, 'r', e);

    if (rc == 0)
        rc = open_named(replicas, env->log, 'D', e);
    if (rc == 0)
        rc = open_named(replicas, env->log, 'P', e);
    if (rc == 0)
        rc = open_named(replicas, env->log, 'H', e);
    drop_empty(replicas);
    if (rc == 0 && replicas_find(replicas, REGION_PLACEMENT) == NULL &&
        is_founder(replicas))
        rc = err_set(e, ERR_CORRUPT, "the store has no placement group");
    return rc;
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
    note_awake(replica);
}

/* Says for a removed peer what is known to be committed. */
static void vote_for_the_dead(struct replica *replica, uint64_t from_node,
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
        vote_for_the_dead(replica, from_node, message, &tombstone);
    else if (may_be_first(message->type))
        make_peer(replica, message->to);
}

/* ---- who was removed ---- */

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
    send_gone(find(replicas, peer_region_id(peer)), removed->node, removed->id);
}

void replicas_on_query(struct replicas *replicas, uint64_t from_node,
                       const struct env_packet *packet)
{
    struct peer_note note;
    struct replica *replica;

    if (peer_note_decode(&note, (struct slice){packet->header->data,
                                               packet->header->size}) != 0)
        return;
    replica = find(replicas, note.region);
    if (replica == NULL || replica->peer == NULL)
        tell_of_merge(replicas, from_node, &note);
    else if (was_removed(replica->peer, note.peer))
        send_gone(replica, from_node, note.peer);
}

/* The replica of its target here is about to take it over, from its log or with
 * a snapshot: until then what is frozen is kept. */
static bool awaits_target(const struct replicas *replicas,
                          const struct peer *peer)
{
    const struct region *region = peer_region(peer);

    return region_is_frozen(region) &&
           replicas_find(replicas, region->merge.other) != NULL;
}

void replicas_on_gone(struct replicas *replicas,
                      const struct env_packet *packet)
{
    struct peer_note note;
    struct replica *replica;
    struct tombstone tombstone;

    if (peer_note_decode(&note, (struct slice){packet->header->data,
                                               packet->header->size}) != 0)
        return;
    replica = find(replicas, note.region);
    if (replica == NULL || replica->peer == NULL || replica->erasing ||
        peer_id(replica->peer) != note.peer ||
        peer_is_restoring(replica->peer) ||
        awaits_target(replicas, replica->peer))
        return;
    tombstone = (struct tombstone){note.peer, note.index, note.term};
    stop_peer(replica, &tombstone);
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

/* ---- inputs ---- */

void replicas_on_message(struct replicas *replicas, uint64_t from_node,
                         const struct raft_envelope *envelope)
{
    struct replica *replica = obtain(replicas, envelope->region);
    const struct raft_message *message = &envelope->message;

    if (replica->erasing || replica->split != NO_SPLIT)
        return;
    if (replica->peer == NULL && replica->stopped == NULL)
        on_first_message(replica, from_node, message);
    if (replica->peer == NULL) {
        drop_if_empty(replica);
        return;
    }
    if (message->to != peer_id(replica->peer))
        return; /* From the past, or for a peer that is to come. */
    if (was_removed(replica->peer, message->from))
        send_gone(replica, from_node, message->from);
    else
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
        if (replica->erasing && has_overlap(replica->erased, region))
            return true;
    }
    return false;
}

bool replicas_are_erasing(const struct replicas *replicas)
{
    for (size_t i = 0; i < replicas->count; i++)
        if (replicas->items[i]->erasing)
            return true;
    return false;
}

void replicas_tick(struct replicas *replicas)
{
    struct replica *replica = TAILQ_FIRST(&replicas->awake);

    while (replica != NULL) {
        struct replica *next = TAILQ_NEXT(replica, link);

        look_whether_settled(replica);
        campaign_again(replica);
        if (replica->peer != NULL)
            peer_tick(replica->peer);
        replica = next;
    }
}

/* Nobody speaks to it, or it waits for what is not here. */
static bool is_in_doubt(const struct replica *replica)
{
    const struct peer *peer = replica->peer;

    return peer_silence_ns(peer) > (uint64_t)SILENCE_MS * 1000000 ||
           (region_is_frozen(peer_region(peer)) &&
            !awaits_target(replica->replicas, peer));
}

void replicas_each_second(struct replicas *replicas)
{
    struct replica *replica;

    TAILQ_FOREACH (replica, &replicas->awake, link)
        if (replica->peer != NULL && is_in_doubt(replica))
            ask_whether_removed(replica);
}

/* ---- sleep ---- */

struct peer *replicas_next_awake(const struct replicas *replicas,
                                 const struct peer *peer)
{
    const struct replica *replica =
        peer == NULL ? TAILQ_FIRST(&replicas->awake)
                     : TAILQ_NEXT(find(replicas, peer_region_id(peer)), link);

    while (replica != NULL && (replica->peer == NULL || !replica->has_state))
        replica = TAILQ_NEXT(replica, link);
    return replica == NULL ? NULL : replica->peer;
}

void replicas_on_sleep(struct replicas *replicas, struct peer *peer)
{
    note_awake(find(replicas, peer_region_id(peer)));
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
    struct replica *replica = find(replicas, peer_region_id(peer));

    if (!replica->has_state)
        publish(replica);
    else
        hosted_put(replicas->hosted, peer);
}
