/* SPDX-License-Identifier: Apache-2.0 */

/* Answering what other nodes ask, and saying how far behind they are.
 *
 * An answer is what this node has at one moment, durable or not, and is sent
 * when all of that is durable. Less would not do: a change that is replaced by
 * a newer one is not in the answer any more; if the newer one was lost with a
 * crash then, the older one would be back, and behind the cursor of the node
 * that was answered. */

#include <inttypes.h>

#include "engine/eventual_damage.h"
#include "engine/keys.h"
#include "engine/pull_impl.h"
#include "engine/wire.h"

/* ---- answering ---- */

static bool is_over_due(const struct pull_peer *peer)
{
    uint64_t waited_ns = env_mono_ns(peer->pulls->env) - peer->reply.asked_ns;

    return waited_ns >= (uint64_t)WAIT_MS * 1000000;
}

static uint64_t accepted(const struct pull_peer *peer)
{
    struct eventual_counts counts;

    eventual_count(node_eventual(peer->pulls->node), &counts);
    return counts.accepted;
}

/* All that can be read was told. */
static bool has_told_rest(const struct pull_reply *reply)
{
    return reply->answer.complete || reply->answer.damaged;
}

/* What was only pulled here most likely comes to the other node by itself, and
 * soon it says so: it need not get it twice. But not where that one has not
 * even taken what it was told before. */
static bool is_urgent(const struct pull_peer *peer)
{
    const struct pull_reply *reply = &peer->reply;

    return !has_told_rest(reply) || reply->answer.last != reply->ask.cursor ||
           accepted(peer) != reply->accepted;
}

/* A fence is told of with a complete answer only. */
static bool has_news(const struct pull_peer *peer)
{
    const struct eventual *eventual = node_eventual(peer->pulls->node);
    const struct pull_reply *reply = &peer->reply;

    return (eventual_fence(eventual) > reply->ask.told_fence &&
            !eventual_is_damaged(eventual)) ||
           !reply->has_told || eventual_has_all(eventual) != reply->told_whole;
}

static bool has_changes(const struct pull_peer *peer)
{
    const struct eventual *eventual = node_eventual(peer->pulls->node);

    return eventual_shown(eventual) > peer->reply.ask.cursor && is_urgent(peer);
}

/* Changes that are made one after the other are told together: an answer to
 * each would cost this node and those that ask more than the change did. The
 * first one after a while, and the rest of a long answer, wait for nothing. */
static uint64_t pause_left_ns(const struct pull_peer *peer)
{
    const struct pull_reply *reply = &peer->reply;
    uint64_t end_ns = reply->changes_ns + (uint64_t)PAUSE_MS * 1000000;
    uint64_t now_ns = env_mono_ns(peer->pulls->env);

    if (reply->changes_ns == 0 || !has_told_rest(reply) || now_ns >= end_ns)
        return 0;
    return end_ns - now_ns;
}

/* One for all peers: at its end each looks how long its own still is. */
static void pause_for(struct pulls *pulls, uint64_t left_ns)
{
    if (pulls->pausing)
        return;
    pulls->pausing = true;
    env_timer_start(pulls->env, &pulls->pause, left_ns);
}

static bool is_time_to_answer(const struct pull_peer *peer)
{
    uint64_t left_ns;

    if (has_news(peer) || is_over_due(peer))
        return true;
    if (!has_changes(peer))
        return false;
    left_ns = pause_left_ns(peer);
    if (left_ns != 0)
        pause_for(peer->pulls, left_ns);
    return left_ns == 0;
}

static void send(struct pull_peer *peer)
{
    struct pull_reply *reply = &peer->reply;
    struct eventual_answer *answer = &reply->answer;
    struct buf *header;

    answer->last = reply->scan.last;
    answer->complete = reply->scan.complete && !reply->is_damaged;
    answer->damaged = reply->scan.complete && reply->is_damaged;
    answer->roll = reply->told.roll;
    answer->floor = reply->told.floor;
    if (!reply->told.may_promise || !answer->complete)
        answer->promise = 0;
    if (!answer->complete)
        answer->vector.count = 0;
    header = eventual_answer_encode(answer);
    node_send(peer->pulls->node, peer->node, ENV_CHANNEL_RAFT,
              WIRE_EVENTUAL_ANSWER, header, reply->scan.items);
    buf_unref(header);
    reply->has_told = true;
    reply->is_fresh = false;
    if (reply->scan.items != NULL)
        reply->changes_ns = env_mono_ns(peer->pulls->env);
    reply->told_whole = answer->whole;
}

/* It counts only for the newest question. */
static void send_or_drop(struct pull_peer *peer)
{
    struct pull_reply *reply = &peer->reply;

    if (reply->answer.ticket == reply->ask.ticket) {
        reply->state = REPLY_NONE;
        send(peer);
    } else {
        reply->state = REPLY_WAITS;
    }
    buf_unref(reply->scan.items);
    reply->scan.items = NULL;
}

static void has_read(struct env_task *task)
{
    struct pull_reply *reply = container_of(task, struct pull_reply, task);
    struct pull_peer *peer = container_of(reply, struct pull_peer, reply);

    if (reply->status == 0) {
        reply->state = REPLY_UNSAFE;
        pulls_reply(peer);
        return;
    }
    /* It will ask again. */
    reply->state = REPLY_NONE;
    node_log_event(peer->pulls->node, LOG_ERROR,
                   "eventual changes for node %" PRIu64 " cannot be read: %s",
                   peer->node, err_text(reply->status));
}

static void on_damage(void *context, uint64_t nsid, struct slice name)
{
    struct eventual *eventual = context;

    if (name.size > 0)
        (void)eventual_note_damage(eventual, nsid, name);
    else
        (void)eventual_index_anew(eventual); /* It will ask again. */
}

/* Rule 3 of eventual_damage.h; also what was met just now. */
static void read_changes(struct env_task *task)
{
    struct pull_reply *reply = container_of(task, struct pull_reply, task);
    struct pull_peer *peer = container_of(reply, struct pull_peer, reply);
    struct env *env = peer->pulls->env;
    struct eventual_head head = {0};

    reply->status = eventual_head_get(env->state, &head);
    if (reply->status == 0) {
        reply->given = head.sequence;
        reply->scan.shown = head.sequence;
        reply->status = eventual_scan_run(env->state, &reply->scan);
    }
    if (reply->status == 0)
        reply->status = eventual_head_get(env->state, &head);
    reply->is_damaged = head.damaged;
    if (reply->status == 0)
        reply->status =
            eventual_tell(env->state, node_id(peer->pulls->node), &reply->told);
    task->run = has_read;
    env_post(env, ENV_WORKER, task);
}

/* Who knows of his own changes at all has those, too, that he has made since he
 * asked. */
static void prepare_scan(struct pull_peer *peer)
{
    struct pull_reply *reply = &peer->reply;
    const struct eventual_vector *vector = &reply->ask.vector;

    reply->scan =
        (struct eventual_scan){.cursor = reply->ask.cursor,
                               .bytes_max = ANSWER_BYTES_MAX,
                               .on_damage = on_damage,
                               .context = node_eventual(peer->pulls->node),
                               .origin_count = vector->count};
    for (size_t i = 0; i < vector->count; i++) {
        bool is_own = vector->received[i].node == peer->node;

        reply->scan.origins[i] = vector->received[i].node;
        reply->scan.received[i] =
            is_own ? UINT64_MAX : vector->received[i].sequence;
    }
}

/* What is known now, of fences, too, lies before what is about to be read. */
static void start_reading(struct pull_peer *peer)
{
    const struct eventual *eventual = node_eventual(peer->pulls->node);
    struct env *env = peer->pulls->env;
    struct pull_reply *reply = &peer->reply;

    reply->state = REPLY_READS;
    reply->accepted = accepted(peer);
    reply->answer = (struct eventual_answer){
        .ticket = reply->ask.ticket,
        .whole = eventual_has_all(eventual),
        .fence = eventual_fence(eventual),
        .promise = eventual_promise(eventual),
    };
    pulls_vector(peer->pulls, &reply->answer.vector);
    prepare_scan(peer);
    reply->task.run = read_changes;
    env_post(env, env_apply_owner(env, REGION_PLACEMENT), &reply->task);
}

void pulls_reply(struct pull_peer *peer)
{
    const struct eventual *eventual = node_eventual(peer->pulls->node);
    struct pull_reply *reply = &peer->reply;

    if (peer->pulls->stopped || !peer->is_member)
        return;
    if (reply->state == REPLY_UNSAFE &&
        eventual_shown(eventual) >= reply->given)
        send_or_drop(peer);
    if (reply->state == REPLY_WAITS && !peer->pulls->is_held &&
        is_time_to_answer(peer))
        start_reading(peer);
}

static bool is_being_answered(const struct pull_reply *reply)
{
    return reply->state == REPLY_READS || reply->state == REPLY_UNSAFE;
}

void pulls_on_ask(struct pull_peer *peer, struct slice bytes)
{
    struct pull_reply *reply = &peer->reply;
    struct eventual_ask ask;

    /* One that is overtaken is not outstanding any more. */
    if (eventual_ask_decode(&ask, bytes) != 0 || ask.ticket < reply->ask.ticket)
        return;
    if (ask.ticket == reply->ask.ticket && is_being_answered(reply))
        return;
    /* It may ask once more, and have more than before. */
    if (ask.ticket != reply->ask.ticket || reply->state == REPLY_NONE)
        reply->asked_ns = env_mono_ns(peer->pulls->env);
    /* The first one may have been answered before this node's start. */
    if (ask.ticket != reply->ask.ticket)
        reply->is_fresh = reply->is_known;
    if (reply->seen < ask.seen)
        reply->seen = ask.seen;
    reply->ask = ask;
    reply->is_known = true;
    if (reply->state == REPLY_NONE)
        reply->state = REPLY_WAITS;
    pulls_reply(peer);
}

/* ---- telling nothing ---- */

void pulls_hold(struct pulls *pulls, bool hold)
{
    pulls->is_held = hold;
}

/* Only answers to the question that is outstanding count there. */
bool pulls_are_quiet(const struct pulls *pulls)
{
    const struct pull_peer *peer;

    TAILQ_FOREACH (peer, &pulls->peers, link)
        if (peer->is_member &&
            (!peer->reply.is_fresh || peer->reply.state != REPLY_WAITS))
            return false;
    return pulls->is_held;
}

bool pulls_seen(const struct pulls *pulls, uint64_t *ret)
{
    const struct pull_peer *peer;

    *ret = 0;
    TAILQ_FOREACH (peer, &pulls->peers, link) {
        if (!peer->is_member)
            continue;
        if (!peer->reply.is_known)
            return false;
        if (peer->reply.seen > *ret)
            *ret = peer->reply.seen;
    }
    return true;
}

/* ---- what others have consented to ---- */

static uint64_t consent_of(const struct pulls *pulls, uint64_t node,
                           uint64_t roll)
{
    const struct pull_peer *peer;

    TAILQ_FOREACH (peer, &pulls->peers, link)
        if (peer->node == node && peer->reply.ask.roll == roll)
            return peer->reply.ask.consent;
    return 0;
}

uint64_t pulls_consent(const struct pulls *pulls,
                       const struct floor_members *members)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < members->count; i++) {
        uint64_t node = members->nodes[i];
        uint64_t consent = node == node_id(pulls->node)
                               ? UINT64_MAX
                               : consent_of(pulls, node, members->roll);

        if (consent < least)
            least = consent;
    }
    return least;
}

/* ---- how far behind others are ---- */

enum { SIZES_READ_MAX = 500 }; /* then the rest is taken to be like them */

/* An entry by its user key, without content; false: it cannot be told. */
static bool find_entry(struct kv *state, struct slice user_key,
                       struct eventual_record *ret)
{
    struct slice name;
    uint64_t dir;

    return key_parse_changed(user_key, &dir, &name) &&
           eventual_get(state, NULL, dir, name, false, ret) == 0;
}

static void add_entry(struct kv *state, struct slice user_key,
                      struct pull_lag *to)
{
    struct eventual_record record = {0};

    if (!find_entry(state, user_key, &record))
        return;
    if (to->oldest_hlc == 0)
        to->oldest_hlc = record.hlc;
    if (!record.removed)
        to->pending_bytes += record.attr.size;
    eventual_release(&record);
}

static void count_pending(struct kv *state, uint64_t cursor,
                          struct pull_lag *ret)
{
    struct key lower = key_eventual_change(cursor + 1);
    struct key upper = key_eventual_change(UINT64_MAX);
    struct kv_iter *iter =
        kv_iter_new(state, NULL, key_slice(&lower), key_slice(&upper));
    uint64_t count = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter) && count < PULL_COUNT_MAX; kv_iter_next(iter)) {
        if (count < SIZES_READ_MAX)
            add_entry(state, kv_iter_value(iter), ret);
        count++;
    }
    kv_iter_free(iter);
    ret->pending_entries = count;
    if (count > SIZES_READ_MAX)
        ret->pending_bytes = ret->pending_bytes * count / SIZES_READ_MAX;
}

size_t pulls_lag(struct pulls *pulls, struct pull_lag ret[NODES_MAX])
{
    const struct pull_peer *peer;
    size_t count = 0;

    TAILQ_FOREACH (peer, &pulls->peers, link) {
        struct pull_lag *lag = &ret[count];

        if (!peer->is_member || count == NODES_MAX)
            continue;
        *lag = (struct pull_lag){
            .node = peer->node,
            .is_known = peer->reply.is_known,
            .contact_ns = peer->contact_ns,
            .conflicts = peer->conflicts,
            .is_held = peer->is_held,
            .verdict = pulls_verdict(peer),
        };
        if (lag->is_known)
            count_pending(pulls->env->state, peer->reply.ask.cursor, lag);
        count++;
    }
    return count;
}
