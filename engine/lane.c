/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/lane.h"

#include <assert.h>

#include "raft/base/log.h"

enum {
    BACKOFF_MS_MIN = 50,
    BACKOFF_MS_MAX = 1000,
    BACKOFF_DOUBLINGS_MAX = 5,
    IDLE_MS = 1000
};

void lane_init(struct lane *lane, struct lane_shared *shared,
               enum env_channel channel, size_t queue_size_bytes)
{
    *lane = (struct lane){
        .channel = channel,
        .queue_size_bytes = queue_size_bytes,
        .shared = shared,
    };
    frame_queue_init(&lane->waiting);
}

static void drop_waiting(struct lane *lane)
{
    lane->shared->dropped += frame_queue_clear(&lane->waiting);
}

/* Lets go of a connection: what it still says is no more this lane's. */
static void part(struct lane *lane, struct conn *conn, const char *reason)
{
    lane->shared->dropped += conn->queue.count + conn->writing.count;
    conn->lane = NULL;
    conn_close(conn, 0, reason);
}

void lane_close(struct lane *lane)
{
    if (lane->up != NULL)
        part(lane, lane->up, NULL);
    if (lane->dialling != NULL)
        part(lane, lane->dialling, NULL);
    lane->up = NULL;
    lane->dialling = NULL;
    lane->dial_due_ms = 0;
    drop_waiting(lane);
}

static uint64_t now_ms(const struct lane *lane)
{
    return uv_now(lane->shared->conns.loop);
}

void lane_want(struct lane *lane)
{
    const uint64_t now = now_ms(lane);

    if (lane->up == NULL && lane->dialling == NULL)
        lane->dial_due_ms = now > 0 ? now : 1;
}

/* Not the backoff of a node that is talked to all the time, but who speaks
 * after a silence is not to wait. */
static void want_for_packet(struct lane *lane)
{
    const uint64_t now = now_ms(lane);

    if (lane->dial_due_ms == 0 || now - lane->last_send_ms >= IDLE_MS)
        lane_want(lane);
    lane->last_send_ms = now;
}

void lane_send(struct lane *lane, const struct env_packet *packet)
{
    struct frame *frame;
    struct err e = ERR_INIT;

    if (frame_new(&frame, packet, &e) != 0) {
        log_line(LOG_ERROR, "transport", "event=drop reason=\"%s\"", e.text);
        lane->shared->dropped++;
        return;
    }
    if (lane_pending_bytes(lane) + frame->size > lane->queue_size_bytes) {
        lane->shared->dropped++;
        frame_free(frame);
        return;
    }
    if (lane->up != NULL) {
        frame_queue_push(&lane->up->queue, frame);
        return;
    }
    frame_queue_push(&lane->waiting, frame);
    want_for_packet(lane);
}

void lane_flush(struct lane *lane)
{
    if (lane->up != NULL && lane->up->queue.count > 0)
        conn_flush(lane->up);
}

size_t lane_pending_bytes(const struct lane *lane)
{
    const size_t up = lane->up == NULL ? 0 : conn_pending_bytes(lane->up);

    return up + lane->waiting.size_bytes;
}

void lane_dial(struct lane *lane, const struct transport_hello *ours,
               const struct address *address)
{
    struct transport_hello hello = *ours;

    assert(lane->up == NULL);
    assert(lane->dialling == NULL);
    lane->dial_due_ms = 0;
    if (lane->channel != ENV_CHANNEL_RAFT && lane->waiting.count == 0)
        return; /* The next packet dials. */
    hello.channel = lane->channel;
    lane->dialling =
        conn_dial(&lane->shared->conns, &hello, address, lane->failures);
    lane->dialling->lane = lane;
}

/* Both nodes decide this for themselves, and alike, of the same two. */
static bool is_better(const struct conn *conn, const struct conn *than)
{
    const uint64_t low = conn->ours.node_id < conn->theirs.node_id
                             ? conn->ours.node_id
                             : conn->theirs.node_id;
    const uint64_t dialler =
        conn->dialled ? conn->ours.node_id : conn->theirs.node_id;

    if (conn->theirs.incarnation != than->theirs.incarnation)
        return true;
    if (conn->dialled == than->dialled)
        return true;
    return dialler == low;
}

bool lane_on_up(struct lane *lane, struct conn *conn)
{
    struct conn *before = lane->up;

    if (lane->dialling == conn)
        lane->dialling = NULL;
    conn->lane = lane;
    if (before != NULL && !is_better(conn, before)) {
        part(lane, conn, NULL);
        return false;
    }

    lane->up = conn;
    lane->failures = 0;
    lane->dial_due_ms = 0;
    if (before != NULL)
        part(lane, before, NULL);
    frame_queue_move(&conn->queue, &lane->waiting);
    return true;
}

static uint64_t next_random(struct lane_shared *shared)
{
    uint64_t x = shared->random_state; /* xorshift64; only spreads times */

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    shared->random_state = x;
    return x;
}

static void back_off(struct lane *lane)
{
    const unsigned doublings = lane->failures < BACKOFF_DOUBLINGS_MAX
                                   ? lane->failures
                                   : BACKOFF_DOUBLINGS_MAX;
    uint64_t delay_ms = (uint64_t)BACKOFF_MS_MIN << doublings;

    if (delay_ms > BACKOFF_MS_MAX)
        delay_ms = BACKOFF_MS_MAX;
    delay_ms += next_random(lane->shared) % (delay_ms / 4);
    lane->failures++;
    lane->dial_due_ms = now_ms(lane) + delay_ms;
}

void lane_on_closed(struct lane *lane, struct conn *conn)
{
    lane->shared->dropped += conn->queue.count + conn->writing.count;
    if (lane->up == conn)
        lane->up = NULL;
    else if (lane->dialling == conn)
        lane->dialling = NULL;
    if (lane->up != NULL || lane->dialling != NULL)
        return;

    back_off(lane);
    drop_waiting(lane);
}

void lane_check(const struct lane *lane)
{
    assert(lane->up == NULL || lane->waiting.count == 0);
    assert(lane->up == NULL || lane->dial_due_ms == 0);
    assert(lane->dialling == NULL || lane->dial_due_ms == 0);
    assert(lane->up == NULL || lane->up->lane == lane);
    assert(lane->dialling == NULL || lane->dialling->lane == lane);
    frame_queue_check(&lane->waiting);
    if (lane->up != NULL)
        conn_check(lane->up);
    if (lane->dialling != NULL)
        conn_check(lane->dialling);
}
