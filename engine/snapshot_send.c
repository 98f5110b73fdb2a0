/* SPDX-License-Identifier: Apache-2.0 */

/* The leader's end of a snapshot stream.
 *
 *      snapshots_send -> (turn) -> BEGIN -> its ACK
 *                                             |
 *                             read job <------'
 *                             ^      |
 *                 window open '    CHUNK -> ... -> last CHUNK -> its ACK: ok
 *
 * An error, a refusal, a stall, a lost connection or a lost leadership ends
 * the stream at any point. A failure is reported to Raft with the next tick
 * and not at once: Raft tries again as soon as it hears of it, and whatever
 * is wrong should not make that a loop. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/frame.h"
#include "engine/snapshot_send_impl.h"

static_assert((size_t)SNAPSHOT_PAYLOAD_BYTES_MAX <= FRAME_PAYLOAD_SIZE_MAX,
              "a chunk must fit into a frame");

/* ---- the job on ENV_BULK ---- */

static void read_chunk(struct sending *s)
{
    s->status = snapshot_reader_next(s->reader, &s->payload, &s->last);
    if (s->status == 0)
        s->checksum = snapshot_checksum(buf_slice(s->payload));
}

static void run_job(struct env_task *task)
{
    struct sending *s = container_of(task, struct sending, task);

    if (s->job == SENDING_READ) {
        read_chunk(s);
    } else {
        snapshot_reader_free(s->reader);
        s->reader = NULL;
    }
    env_post(s->snapshots->env, ENV_WORKER, &s->back);
}

static void start_job(struct sending *s, enum sending_job job)
{
    assert(!s->busy);

    s->busy = true;
    s->job = job;
    env_post(s->snapshots->env, ENV_BULK, &s->task);
}

/* ---- the end ---- */

static void destroy(struct sending *s)
{
    TAILQ_REMOVE(&s->snapshots->sendings, s, link);
    buf_unref(s->payload);
    snapshot_reader_free(s->reader);
    free(s);
}

/* Takes the next step towards being freed, if there is one right now. */
static void wind_up(struct sending *s)
{
    if (!s->ended || s->busy)
        return;
    if (s->reader != NULL)
        start_job(s, SENDING_CLOSE);
    else if (!s->unreported)
        destroy(s);
}

/* NULL: it has left this node meanwhile. */
static struct peer *sender(const struct sending *s)
{
    struct peer *peer = node_peer(s->snapshots->node, s->region);

    return peer != NULL && peer_id(peer) == s->from_peer ? peer : NULL;
}

static bool leads(const struct sending *s)
{
    const struct peer *peer = sender(s);

    return peer != NULL && peer_is_leader(peer);
}

static void report(const struct sending *s, bool ok)
{
    struct peer *peer = sender(s);

    if (peer != NULL)
        peer_snapshot_sent(peer, s->to_peer, ok);
}

static void succeed(struct sending *s)
{
    assert(!s->ended);

    node_log_event(s->snapshots->node, LOG_INFO,
                   "region %" PRIu64 ": the snapshot has reached node %" PRIu64
                   " (%" PRIu64 " bytes)",
                   s->region, s->to_node, s->sent_bytes);
    s->ended = true;
    report(s, true);
    wind_up(s);
}

static void end_failed(struct sending *s)
{
    assert(!s->ended);

    s->ended = true;
    s->unreported = true;
    wind_up(s);
}

static void put_off(struct sending *s, const char *reason)
{
    log_line(LOG_INFO, "snapshot",
             "put off region=%" PRIu64 " to_node=%" PRIu64 ": %s", s->region,
             s->to_node, reason);
    end_failed(s);
}

static void fail(struct sending *s, const char *reason)
{
    if (!s->begun) {
        put_off(s, reason);
        return;
    }
    node_log_event(s->snapshots->node, LOG_WARN,
                   "region %" PRIu64 ": the snapshot to node %" PRIu64
                   " was given up: %s",
                   s->region, s->to_node, reason);
    end_failed(s);
}

/* ---- sending ---- */

static void send_chunk(struct sending *s)
{
    struct snapshot_chunk chunk = {.stream = s->stream,
                                   .number = s->sent_count,
                                   .checksum = s->checksum,
                                   .last = s->last};
    struct buf *header = snapshot_chunk_encode(&chunk);

    if (s->sent_count == s->acked_count)
        s->heard_ns = env_mono_ns(s->snapshots->env);
    s->sent_count++;
    s->sent_bytes += s->payload->size;
    sendings_pay(s->snapshots, s->payload->size);
    s->all_sent = s->last;
    node_send(s->snapshots->node, s->to_node, ENV_CHANNEL_BULK,
              WIRE_SNAPSHOT_CHUNK, header, s->payload);
    buf_unref(header);
    buf_unref(s->payload);
    s->payload = NULL;
}

/* Reads on, if the window has room. What is read is not kept from being
 * overwritten any longer than that takes. */
static void read_on(struct sending *s)
{
    if (s->busy || !s->accepted)
        return;
    if (s->all_sent && s->reader != NULL)
        start_job(s, SENDING_CLOSE);
    else if (!s->all_sent && s->sent_count - s->acked_count < SNAPSHOT_WINDOW &&
             sendings_may_read(s->snapshots))
        start_job(s, SENDING_READ);
}

static void on_pace(struct env_timer *timer)
{
    struct snapshots *snapshots = container_of(timer, struct snapshots, pace);
    struct sending *s;

    TAILQ_FOREACH (s, &snapshots->sendings, link)
        if (!s->ended)
            read_on(s);
}

void sendings_init(struct snapshots *snapshots)
{
    TAILQ_INIT(&snapshots->sendings);
    snapshots->pace.fire = on_pace;
}

/* ---- turns ---- */

/* Rule 1 of snapshot.h: all but Raft's term comes out of what is streamed. */
static void send_begin(const struct sending *s)
{
    const struct marker *marker = snapshot_reader_marker(s->reader);
    struct snapshot_begin begin = {
        .stream = s->stream,
        .from_peer = s->from_peer,
        .to_peer = s->to_peer,
        .index = marker->index,
        .term = marker->term,
        .raft_term = s->raft_term,
        .region = *snapshot_reader_region(s->reader), /* still the reader's */
    };
    struct buf *header = snapshot_begin_encode(&begin);

    node_send(s->snapshots->node, s->to_node, ENV_CHANNEL_BULK,
              WIRE_SNAPSHOT_BEGIN, header, NULL);
    buf_unref(header);
}

static void begin(struct sending *s)
{
    int rc =
        snapshot_reader_open(&s->reader, s->snapshots->env->state, s->region);

    s->begun = true;
    s->heard_ns = env_mono_ns(s->snapshots->env);
    if (rc != 0) {
        fail(s, err_text(rc));
        return;
    }
    log_line(LOG_INFO, "snapshot",
             "sending region=%" PRIu64 " to_node=%" PRIu64 " index=%" PRIu64,
             s->region, s->to_node, snapshot_reader_marker(s->reader)->index);
    send_begin(s);
}

/* In the order in which Raft has asked for them. */
static void begin_waiting(struct snapshots *snapshots)
{
    struct sending *s;

    TAILQ_FOREACH (s, &snapshots->sendings, link)
        if (!s->begun && !s->ended && leads(s) && sending_has_turn(s))
            begin(s); /* Stays in the list, even if that fails. */
}

/* ---- the ends of jobs ---- */

static void read_failed(struct sending *s)
{
    struct peer *peer = node_peer(s->snapshots->node, s->region);
    bool corrupt = s->status == ERR_CORRUPT && peer != NULL;

    fail(s, err_text(s->status));
    if (corrupt)
        (void)peer_found_damage(peer, "it cannot be read");
}

static void read_done(struct sending *s)
{
    if (s->status != 0) {
        read_failed(s);
        return;
    }
    send_chunk(s);
    read_on(s);
}

/* Also of the last one of each stream, which leaves its turn to others. */
static void job_done(struct env_task *task)
{
    struct sending *s = container_of(task, struct sending, back);
    struct snapshots *snapshots = s->snapshots;

    s->busy = false;
    if (s->ended)
        wind_up(s);
    else if (s->job == SENDING_READ)
        read_done(s);
    begin_waiting(snapshots);
}

/* ---- asked for by Raft ---- */

/* Without a report. */
static void drop(struct sending *s)
{
    s->ended = true;
    s->unreported = false;
    wind_up(s);
}

/* Raft knows of one snapshot per peer, the newest: to report an older one
 * would end that one too. */
static void replace_older(struct snapshots *snapshots, uint64_t region,
                          uint64_t to_peer)
{
    struct sending *s;
    struct sending *next;

    for (s = TAILQ_FIRST(&snapshots->sendings); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        if (s->region == region && s->to_peer == to_peer)
            drop(s);
    }
}

static void sending_new(struct snapshots *snapshots, struct peer *peer,
                        uint64_t to_node, const struct raft_message *message)
{
    struct sending *s = mem_zalloc(sizeof *s);

    s->snapshots = snapshots;
    s->from_peer = peer_id(peer);
    s->region = peer_region_id(peer);
    s->to_node = to_node;
    s->to_peer = message->to;
    s->raft_term = message->term;
    s->stream = env_random(snapshots->env);
    s->task.run = run_job;
    s->back.run = job_done;
    TAILQ_INSERT_TAIL(&snapshots->sendings, s, link);
}

void snapshots_send(struct snapshots *snapshots, struct peer *peer,
                    uint64_t to_node, const struct raft_message *message)
{
    assert(message->type == RAFT_MSG_SNAP);

    if (snapshots->stopped)
        return;
    replace_older(snapshots, peer_region_id(peer), message->to);
    sending_new(snapshots, peer, to_node, message);
    begin_waiting(snapshots);
}

/* ---- what happens to them ---- */

static struct sending *find(const struct snapshots *snapshots, uint64_t to_node,
                            uint64_t stream)
{
    struct sending *s;

    TAILQ_FOREACH (s, &snapshots->sendings, link)
        if (s->to_node == to_node && s->stream == stream && !s->ended)
            return s;
    return NULL;
}

static void on_accepted(struct sending *s)
{
    s->accepted = true;
    s->heard_ns = env_mono_ns(s->snapshots->env);
    read_on(s);
}

static void on_chunk_taken(struct sending *s, uint64_t number)
{
    if (number < s->acked_count || number >= s->sent_count)
        return; /* Twice, or nonsense. */
    s->acked_count = number + 1;
    s->heard_ns = env_mono_ns(s->snapshots->env);
    if (s->all_sent && s->acked_count == s->sent_count)
        succeed(s);
    else
        read_on(s);
}

void sendings_on_ack(struct snapshots *snapshots, uint64_t from_node,
                     const struct snapshot_ack *ack)
{
    struct sending *s = find(snapshots, from_node, ack->stream);

    if (s == NULL)
        return; /* Of a stream that has ended. */
    if (snapshot_comes_later(ack->status))
        put_off(s, err_text(ack->status));
    else if (ack->status != 0)
        fail(s, err_text(ack->status));
    else if (ack->accepted)
        on_accepted(s);
    else
        on_chunk_taken(s, ack->number);
}

void sendings_on_link_down(struct snapshots *snapshots, uint64_t node_id)
{
    struct sending *s;
    struct sending *next;

    for (s = TAILQ_FIRST(&snapshots->sendings); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        if (s->to_node == node_id && !s->ended)
            fail(s, "the connection was lost");
    }
}

void sendings_on_damage(struct snapshots *snapshots, uint64_t region)
{
    struct sending *s;
    struct sending *next;

    for (s = TAILQ_FIRST(&snapshots->sendings); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        if (s->region == region && !s->ended)
            fail(s, "this replica is damaged");
    }
}

static bool has_stalled(const struct sending *s, uint64_t now_ns)
{
    return s->begun && (!s->accepted || s->sent_count > s->acked_count) &&
           now_ns - s->heard_ns > snapshot_stall_ns();
}

static void tick(struct sending *s, uint64_t now_ns)
{
    if (s->unreported) {
        s->unreported = false;
        report(s, false);
        wind_up(s);
    } else if (!s->ended && !leads(s)) {
        fail(s, "not the leader any more");
    } else if (!s->ended && has_stalled(s, now_ns)) {
        fail(s, "no answer");
    }
}

void sendings_tick(struct snapshots *snapshots)
{
    uint64_t now_ns = env_mono_ns(snapshots->env);
    struct sending *s;
    struct sending *next;

    for (s = TAILQ_FIRST(&snapshots->sendings); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        tick(s, now_ns);
    }
    begin_waiting(snapshots);
}

void sendings_stop(struct snapshots *snapshots)
{
    struct sending *s;
    struct sending *next;

    env_timer_stop(snapshots->env, &snapshots->pace);
    for (s = TAILQ_FIRST(&snapshots->sendings); s != NULL; s = next) {
        next = TAILQ_NEXT(s, link);
        drop(s);
    }
}

void sendings_free(struct snapshots *snapshots)
{
    struct sending *s;

    while ((s = TAILQ_FIRST(&snapshots->sendings)) != NULL)
        destroy(s);
}
