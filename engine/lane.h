/* SPDX-License-Identifier: Apache-2.0 */

/* The way to one node on one channel: its connection, what waits while there
 * is none, and when to dial. Between transport.c (who is there) and conn.c
 * (one connection); nobody else includes this. */

#ifndef GROVEFS_ENGINE_LANE_H
#define GROVEFS_ENGINE_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/conn.h"
#include "engine/frame.h"

/* What the lanes of one transport share. `now_ms` is the loop's clock. */
struct lane_shared {
    struct conn_shared conns;
    uint64_t random_state;
    uint64_t dropped;
};

struct lane {
    enum env_channel channel; /* public, read-only */
    size_t queue_size_bytes;  /* public: the bound */
    struct conn *up;          /* public, read-only: NULL if there is none */
    struct conn *dialling;    /* public, read-only: the one under way */
    uint64_t dial_due_ms;     /* public, read-only: 0 if not to be dialled */

    struct lane_shared *shared; /* private from here on */
    struct frame_queue waiting; /* while nothing is up */
    uint64_t last_send_ms;
    unsigned failures; /* of dialling, one after the other */
};

void lane_init(struct lane *lane, struct lane_shared *shared,
               enum env_channel channel, size_t queue_size_bytes);

/* Closes its connections; drops what waits. */
void lane_close(struct lane *lane);

/* Queues a packet, or drops it. The queue leaves with lane_flush(). Without a
 * connection the lane wants to be dialled, if need be at once. */
void lane_send(struct lane *lane, const struct env_packet *packet);
void lane_flush(struct lane *lane);
size_t lane_pending_bytes(const struct lane *lane);

/* Dials, saying `ours`, if anything asks for the connection still. */
void lane_dial(struct lane *lane, const struct transport_hello *ours,
               const struct address *address);

/* Sets dial_due_ms to now. */
void lane_want(struct lane *lane);

/* A connection for this lane has come up; it or the one before is closed.
 * Returns true if it is the new one that stays. */
bool lane_on_up(struct lane *lane, struct conn *conn);

/* One of its connections has closed. */
void lane_on_closed(struct lane *lane, struct conn *conn);

void lane_check(const struct lane *lane);

#endif
