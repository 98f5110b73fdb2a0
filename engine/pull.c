/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/pull.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/eventual_damage.h"
#include "engine/pull_impl.h"
#include "engine/wire.h"

/* ---- life ---- */

static void notice(void *context)
{
    struct pulls *pulls = context;
    struct pull_peer *peer;

    pulls_follow_damage(pulls);
    TAILQ_FOREACH (peer, &pulls->peers, link)
        pulls_reply(peer);
}

static void pause_is_over(struct env_timer *timer)
{
    struct pulls *pulls = container_of(timer, struct pulls, pause);

    pulls->pausing = false;
    notice(pulls);
}

struct pulls *pulls_new(struct node *node)
{
    struct pulls *pulls = mem_zalloc(sizeof *pulls);

    pulls->node = node;
    pulls->env = node_env(node);
    /* Above those of earlier starts, which may still be on their way. */
    pulls->ticket = node_config(node)->identity.boot << EVENTUAL_BOOT_SHIFT;
    TAILQ_INIT(&pulls->peers);
    pulls->pause.fire = pause_is_over;
    eventual_watch(node_eventual(node), notice, pulls);
    return pulls;
}

void pulls_stop(struct pulls *pulls)
{
    pulls->stopped = true;
    env_timer_stop(pulls->env, &pulls->pause);
}

static void forget(struct pull_peer *peer)
{
    TAILQ_REMOVE(&peer->pulls->peers, peer, link);
    buf_unref(peer->merge.items);
    buf_unref(peer->reply.scan.items);
    free(peer);
}

void pulls_free(struct pulls *pulls)
{
    struct pull_peer *peer;

    if (pulls == NULL)
        return;
    while ((peer = TAILQ_FIRST(&pulls->peers)) != NULL)
        forget(peer);
    free(pulls);
}

/* ---- who is there ---- */

struct pull_peer *pulls_find(const struct pulls *pulls, uint64_t node)
{
    struct pull_peer *peer;

    TAILQ_FOREACH (peer, &pulls->peers, link)
        if (peer->node == node)
            return peer;
    return NULL;
}

static void insert(struct pulls *pulls, struct pull_peer *peer)
{
    struct pull_peer *other;

    TAILQ_FOREACH (other, &pulls->peers, link)
        if (other->node > peer->node) {
            TAILQ_INSERT_BEFORE(other, peer, link);
            return;
        }
    TAILQ_INSERT_TAIL(&pulls->peers, peer, link);
}

static void add_member(struct pulls *pulls, uint64_t node)
{
    struct pull_peer *peer = pulls_find(pulls, node);
    struct eventual_peer record;

    if (peer != NULL) {
        peer->is_member = true;
        return;
    }
    if (eventual_peer_get(pulls->env->state, node, &record) != 0) {
        env_fatal(pulls->env, "what was pulled from a node cannot be read");
        return;
    }
    peer = mem_zalloc(sizeof *peer);
    peer->pulls = pulls;
    peer->node = node;
    peer->is_member = true;
    peer->cursor = record.cursor;
    peer->received = record.received;
    peer->promise = record.promise;
    peer->roll = record.roll;
    insert(pulls, peer);
}

static bool is_under_way(const struct pull_peer *peer)
{
    return peer->merging || peer->reply.state == REPLY_READS;
}

static void forget_others(struct pulls *pulls)
{
    struct pull_peer *peer = TAILQ_FIRST(&pulls->peers);

    while (peer != NULL) {
        struct pull_peer *next = TAILQ_NEXT(peer, link);

        if (!peer->is_member && !is_under_way(peer))
            forget(peer);
        peer = next;
    }
}

/* The other nodes of the cluster. Returns whether this one belongs to it, as
 * far as it knows itself. */
static bool follow_members(struct pulls *pulls)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(pulls->node, nodes);
    struct pull_peer *peer;
    bool belongs = false;

    TAILQ_FOREACH (peer, &pulls->peers, link)
        peer->is_member = false;
    for (size_t i = 0; i < count; i++)
        if (nodes[i] == node_id(pulls->node))
            belongs = true;
        else
            add_member(pulls, nodes[i]);
    forget_others(pulls);
    return belongs;
}

static bool has_all_of_others(const struct pulls *pulls)
{
    const struct pull_peer *peer;

    TAILQ_FOREACH (peer, &pulls->peers, link)
        if (peer->is_member && !peer->has_told_all)
            return false;
    return true;
}

/* A node that has everything of all others is whole, whether or not one of them
 * is: so are the first ones of a cluster, and one that is alone. What none of
 * them can read it would wait for in vain. */
static void look_whether_whole(struct pulls *pulls)
{
    struct eventual *eventual = node_eventual(pulls->node);
    bool has_all = has_all_of_others(pulls);

    if (has_all || (!pulls->has_looked && eventual_has_all(eventual)))
        pulls->knows_own = true;
    pulls->has_looked = true;
    if (pulls_have_rest(pulls)) {
        eventual_set_whole(eventual);
        eventual_has_had_all(eventual);
    }
}

/* ---- asking ---- */

static void add(struct eventual_vector *vector, uint64_t node,
                uint64_t sequence)
{
    if (vector->count < NODES_MAX && sequence != 0)
        vector->received[vector->count++] =
            (struct eventual_received){node, sequence};
}

void pulls_vector(const struct pulls *pulls, struct eventual_vector *ret)
{
    const struct eventual *eventual = node_eventual(pulls->node);
    uint64_t self = node_id(pulls->node);
    uint64_t own = pulls->knows_own ? eventual_shown(eventual) : 0;
    const struct pull_peer *peer;

    ret->count = 0;
    TAILQ_FOREACH (peer, &pulls->peers, link) {
        if (peer->node > self) {
            add(ret, self, own);
            own = 0;
        }
        if (peer->is_member)
            add(ret, peer->node, peer->received);
    }
    add(ret, self, own);
}

/* A question that is asked again is the same one: the first answer to come
 * counts, and the other end need not begin anew. */
static void ask(struct pull_peer *peer)
{
    struct pulls *pulls = peer->pulls;
    struct eventual_floor_view floor;
    struct eventual_ask packet;
    struct buf *header;

    if (peer->ticket == 0) {
        peer->ticket = ++pulls->ticket;
        peer->asked_ns = env_mono_ns(pulls->env);
    }
    peer->ask_ns = env_mono_ns(pulls->env) + (uint64_t)ASK_AGAIN_MS * 1000000;
    eventual_floor_look(node_eventual(pulls->node), &floor);
    packet = (struct eventual_ask){
        .ticket = peer->ticket,
        .cursor = peer->cursor,
        .told_fence = peer->fence,
        .consent = floor.consent,
        .roll = floor.roll,
        .kept = pulls_kept(peer),
        .seen = eventual_seen(node_eventual(pulls->node)),
        .moment = eventual_moment(node_eventual(pulls->node), peer->node)};
    pulls_vector(pulls, &packet.vector);
    peer->vector_change = pulls->vector_change;
    peer->kept = packet.kept;
    header = eventual_ask_encode(&packet);
    node_send(pulls->node, peer->node, ENV_CHANNEL_RAFT, WIRE_EVENTUAL_ASK,
              header, NULL);
    buf_unref(header);
}

/* Who waits with an answer leaves out what this node got meanwhile. */
static void ask_if_changed(struct pull_peer *peer)
{
    if (peer->ticket != 0 && peer->vector_change != peer->pulls->vector_change)
        peer->ask_ns = 0;
}

static void ask_if_due(struct pull_peer *peer)
{
    struct pulls *pulls = peer->pulls;

    if (!pulls->stopped && peer->is_member && !peer->merging &&
        env_mono_ns(pulls->env) >= peer->ask_ns &&
        node_link_up(pulls->node, peer->node))
        ask(peer);
}

void pulls_tick(struct pulls *pulls)
{
    struct pull_peer *peer;

    if (pulls->stopped)
        return;
    pulls_follow_damage(pulls); /* What a start has met, too. */
    if (follow_members(pulls))
        look_whether_whole(pulls);
    pulls_keep(pulls);
    pulls_compare(pulls);
    TAILQ_FOREACH (peer, &pulls->peers, link) {
        ask_if_changed(peer);
        ask_if_due(peer);
        pulls_reply(peer);
    }
}

void pulls_on_link(struct pulls *pulls, uint64_t node, bool up)
{
    struct pull_peer *peer = pulls_find(pulls, node);

    if (peer == NULL || !up)
        return;
    peer->ask_ns = 0;
    ask_if_due(peer);
}

/* ---- taking answers ---- */

static void take_vector(struct pulls *pulls,
                        const struct eventual_vector *vector)
{
    for (size_t i = 0; i < vector->count; i++) {
        const struct eventual_received *received = &vector->received[i];
        struct pull_peer *peer = pulls_find(pulls, received->node);

        if (peer != NULL && peer->received < received->sequence) {
            peer->received = received->sequence;
            pulls->vector_change++;
        }
    }
}

/* All of the answer is here. */
static void note_taken(struct pull_peer *peer)
{
    const struct eventual_answer *answer = &peer->answer;

    peer->ask_ns = 0;
    peer->is_held = false;
    if (answer->complete || answer->damaged)
        peer->has_told_rest = true;
    if (!answer->complete)
        return;
    if (answer->whole)
        eventual_has_had_all(node_eventual(peer->pulls->node));
    take_vector(peer->pulls, &answer->vector);
    peer->promise = answer->promise;
    peer->roll = answer->roll;
    if (answer->fence > peer->fence)
        pulls_note_fence(peer);
    peer->has_told_all = true;
    peer->equal_ns = peer->asked_ns;
}

/* Not all of it could be taken: it is asked for again, in a while. */
static void note_failure(struct pull_peer *peer, int status)
{
    struct pulls *pulls = peer->pulls;
    unsigned ms = status == ERR_UNAVAILABLE ? RETRY_MS : ASK_AGAIN_MS;

    peer->ask_ns = env_mono_ns(pulls->env) + (uint64_t)ms * 1000000;
    peer->is_held = status == ERR_UNAVAILABLE && !peer->merge.behind;
    if (status != ERR_UNAVAILABLE && status != peer->status)
        node_log_event(pulls->node, LOG_WARN,
                       "eventual changes from node %" PRIu64
                       " cannot be taken: %s",
                       peer->node, err_text(status));
}

static void merge_done(struct eventual_merge *merge, int status)
{
    struct pull_peer *peer = container_of(merge, struct pull_peer, merge);

    peer->merging = false;
    buf_unref(merge->items);
    merge->items = NULL;
    if (status == ERR_CANCELED)
        return;
    if (merge->taken_last > peer->cursor)
        peer->cursor = merge->taken_last;
    peer->conflicts += merge->conflicts;
    if (status == 0)
        note_taken(peer);
    else
        note_failure(peer, status);
    peer->status = status;
    ask_if_due(peer);
}

static void merge(struct pull_peer *peer, struct buf *items)
{
    const struct eventual_answer *answer = &peer->answer;
    struct eventual_merge *merge = &peer->merge;

    *merge = (struct eventual_merge){
        .node = peer->node,
        .items = buf_ref(items),
        .last = answer->last,
        .complete = answer->complete,
        .whole = answer->whole,
        .promise = answer->promise,
        .roll = answer->roll,
        .floor = answer->floor,
        .origin_count = answer->vector.count,
        .done = merge_done,
    };
    for (size_t i = 0; i < answer->vector.count; i++) {
        merge->origins[i] = answer->vector.received[i].node;
        merge->received[i] = answer->vector.received[i].sequence;
    }
    peer->merging = true;
    eventual_merge_start(node_eventual(peer->pulls->node), merge);
}

/* Whether all that an answer without changes says is known: nodes that have
 * nothing to do write nothing either. */
static bool is_known(const struct pull_peer *peer)
{
    const struct eventual_answer *answer = &peer->answer;
    const struct pulls *pulls = peer->pulls;
    struct eventual_floor_view floor;

    if (answer->damaged)
        return answer->last <= peer->cursor;
    eventual_floor_look(node_eventual(pulls->node), &floor);
    if (answer->promise > peer->promise || answer->roll != peer->roll ||
        answer->floor > floor.floor)
        return false;
    if (answer->last > peer->cursor ||
        (answer->whole && !eventual_is_whole(node_eventual(pulls->node))))
        return false;
    for (size_t i = 0; i < answer->vector.count; i++) {
        const struct eventual_received *received = &answer->vector.received[i];
        const struct pull_peer *origin = pulls_find(pulls, received->node);

        if (received->node != node_id(pulls->node) &&
            (origin == NULL || origin->received < received->sequence))
            return false;
    }
    return true;
}

static bool is_sound(const struct pull_peer *peer,
                     const struct eventual_answer *answer)
{
    return answer->complete || answer->damaged ? answer->last >= peer->cursor
                                               : answer->last > peer->cursor;
}

static void on_answer(struct pull_peer *peer, const struct env_packet *packet)
{
    struct buf *items = packet->payload_count > 0 ? packet->payloads[0] : NULL;
    struct eventual_answer answer;

    if (packet->payload_count > 1 ||
        eventual_answer_decode(&answer, buf_slice(packet->header)) != 0 ||
        answer.ticket != peer->ticket || !is_sound(peer, &answer))
        return;
    assert(!peer->merging);

    peer->ticket = 0;
    peer->answer = answer;
    peer->contact_ns = env_mono_ns(peer->pulls->env);
    if (!eventual_may_take(node_eventual(peer->pulls->node), answer.roll)) {
        peer->merge.behind = true;
        note_failure(peer, ERR_UNAVAILABLE);
        return;
    }
    if (items != NULL || !is_known(peer)) {
        merge(peer, items);
        return;
    }
    note_taken(peer);
    ask_if_due(peer);
}

void pulls_on_packet(struct pulls *pulls, uint64_t from,
                     const struct env_packet *packet)
{
    struct pull_peer *peer;

    if (pulls->stopped)
        return;
    peer = pulls_find(pulls, from);
    if (peer == NULL) { /* It may be new, or this node has just started. */
        (void)follow_members(pulls);
        peer = pulls_find(pulls, from);
    }
    if (peer == NULL || !peer->is_member)
        return;
    if (packet->type == WIRE_EVENTUAL_ASK)
        pulls_on_ask(peer, buf_slice(packet->header));
    else
        on_answer(peer, packet);
}
