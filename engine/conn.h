/* SPDX-License-Identifier: Apache-2.0 */

/* One TCP connection to another node: greeting, frames in, frames out.
 *
 *     dialled:  RESOLVING → CONNECTING ─┐
 *     accepted: ────────────────────────┴→ GREETING → AGREED → UP
 *
 *     GREETING: our hello is sent, theirs is awaited
 *     AGREED:   we accepted them, their answer is awaited
 *     UP:       both accepted; frames in both directions
 *     PARTING:  a refusal is on its way to them, then CLOSED
 *     CLOSED:   reachable from every state; waits for libuv to let go
 *
 * The owner (transport.c) is told of everything through `conn_events` and
 * decides who is accepted, which of two connections stays, and what is sent.
 * A connection that goes CLOSED for whatever reason says so exactly once with
 * `on_closed`, and not from inside conn_close() itself but from the loop,
 * after which its memory is gone. Runs wholly on the loop's thread. */

#ifndef GROVEFS_ENGINE_CONN_H
#define GROVEFS_ENGINE_CONN_H

#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "engine/frame.h"
#include "engine/hello.h"

enum conn_state {
    CONN_RESOLVING,
    CONN_CONNECTING,
    CONN_GREETING,
    CONN_AGREED,
    CONN_UP,
    CONN_PARTING,
    CONN_CLOSED,
    CONN_STATES
};

/* Also the bytes of all connections of a transport together. */
struct conn_counters {
    uint64_t packets_in;
    uint64_t packets_out;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t malformed; /* connections closed for bad bytes */
};

struct conn;
struct lane;

struct conn_events {
    /* Their hello came; 0 accepts, else the error is sent to them. */
    int (*on_hello)(struct conn *conn, const struct transport_hello *hello,
                    struct err *e);
    void (*on_up)(struct conn *conn);
    void (*on_packet)(struct conn *conn, const struct env_packet *packet);
    /* They refused us. */
    void (*on_refused)(struct conn *conn, int code, const char *text);
    /* It has failed or was closed: an empty text if nothing is wrong. The
     * frames that did not leave are freed afterwards. */
    void (*on_closed)(struct conn *conn, int code, const char *text);
};

/* What the connections of one transport share. */
struct conn_shared {
    uv_loop_t *loop;
    const struct conn_events *events;
    struct conn_counters counters;
    uint8_t *scratch; /* CONN_SCRATCH_SIZE bytes that a read goes to */
};

enum { CONN_SCRATCH_SIZE = 128 * 1024 };

struct conn {
    TAILQ_ENTRY(conn) link;     /* public: the owner's */
    struct lane *lane;          /* public: the owner's */
    struct conn_shared *shared; /* public, read-only */
    uint64_t node_id; /* public: dialled, or said by them; 0 unknown */
    bool dialled;     /* public, read-only from here on */
    struct transport_hello ours;
    struct transport_hello theirs; /* from AGREED on */
    char name[ADDRESS_TEXT_SIZE];  /* of the other end, for messages */
    enum conn_state state;
    uint64_t state_since_ms; /* on the loop's clock */
    struct frame_queue queue;

    uv_tcp_t tcp; /* private from here on */
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    uv_write_t write;
    bool resolving;
    unsigned attempt;
    struct frame_queue writing; /* given to libuv */
    uint8_t greeting_in[HELLO_SIZE_MAX];
    size_t greeting_in_size;
    struct frame_decoder *decoder;
    int close_code;
    struct err close_err;
};

/* Dials `address`; of several numbers of a name the one counted by `attempt`.
 * `ours` is what to say of ourselves. Both are copied. */
struct conn *conn_dial(struct conn_shared *shared,
                       const struct transport_hello *ours,
                       const struct address *address, unsigned attempt);

/* Takes the next connection off a listening handle. The channel in `ours` is
 * replaced by theirs. */
struct conn *conn_accept(struct conn_shared *shared,
                         const struct transport_hello *ours,
                         uv_stream_t *listener);

/* Gives to the network what is in `queue`, as far as it takes it; the rest
 * follows by itself. */
void conn_flush(struct conn *conn);

/* Bytes not yet taken by the network. */
size_t conn_pending_bytes(const struct conn *conn);

/* Closes. `code` 0 if nothing is wrong; the reason may be NULL. Harmless when
 * it is closed already. */
void conn_close(struct conn *conn, int code, const char *reason);

/* Closes when the other end is gone: not if it merely does not read. */
void conn_probe(struct conn *conn);

void conn_check(const struct conn *conn);

#endif
