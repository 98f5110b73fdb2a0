/* SPDX-License-Identifier: Apache-2.0 */

/* Packets between the nodes, over TCP: production's side of env_send().
 *
 * Each pair of nodes has one connection for each channel. Whoever knows the
 * other's address dials; if both do at once, the connection dialled by the
 * lower node id stays, and one of a newer start of the other node replaces an
 * older. Lost connections are dialled again after 50 ms, later up to 1 s. The
 * Raft channel is kept up all the time; the bulk channel from its first
 * packet on.
 *
 * Packets wait in a bounded queue per connection, also while it is dialled;
 * they are dropped, and counted, when the queue is full, when dialling fails
 * and when the connection is lost. All that is sent in one turn of the loop
 * leaves with one system call at its end.
 *
 * Runs wholly on the thread of its loop, except transport_bind(). Order of
 * calls: transport_bind() → transport_new() → transport_start() → … →
 * transport_stop() → (loop runs until `on_stopped`) → transport_free().
 *
 * Read next: conn.h (one connection), hello.h and frame.h (its bytes). */

#ifndef GROVEFS_ENGINE_TRANSPORT_H
#define GROVEFS_ENGINE_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "engine/address.h"
#include "engine/env.h"
#include "engine/hello.h"

struct transport;

/* Copied by transport_new(), except what the pointers point to. Callbacks come
 * on the loop's thread and may call everything here but transport_free(). */
struct transport_config {
    uint64_t node_id;
    uint64_t cluster_id;                   /* 0: not part of a cluster yet */
    struct address advertise;              /* told to others; may be empty */
    size_t queue_size_bytes[ENV_CHANNELS]; /* 0: 64 MiB, bulk 16 MiB */

    /* on_link() is called for the Raft channel: up and down in turns, and
     * down also when a connection was refused. */
    struct env_receiver *receiver;
    void *context;
    /* Judges another node, after the transport itself has found it to be of
     * this cluster and of this protocol. Returns 0 or the error with the text
     * that the other node is told. NULL accepts all. */
    int (*accept)(void *context, const struct transport_hello *hello,
                  struct err *e);
    /* Another node does not want us, or is not the one expected at its
     * address. May be NULL. */
    void (*on_refused)(void *context, uint64_t node_id, int code,
                       const char *text);
    void (*on_stopped)(void *context); /* may be NULL */
};

struct transport_stats {
    uint64_t packets_in;
    uint64_t packets_out;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t dropped;   /* packets not sent */
    uint64_t malformed; /* connections closed for bad bytes */
    uint64_t connects;  /* connections that came up */
    uint64_t refusals;  /* said by us or to us */
};

/* Makes the listening socket; see address_listen(). */
int transport_bind(const struct address *address, int *ret_fd, struct err *e);

struct transport *transport_new(const struct transport_config *config);

/* Runs on `loop` from now on. Takes `listen_fd`, also on failure; -1 only
 * dials. Makes the process ignore SIGPIPE unless it has a handler. ERR_IO and
 * the like; it is to be stopped then, too. */
int transport_start(struct transport *t, uv_loop_t *loop, int listen_fd,
                    struct err *e);

/* Closes everything; `on_stopped` is called from the loop at the end. */
void transport_stop(struct transport *t);

/* Only when never started, or stopped. Takes NULL. */
void transport_free(struct transport *t);

/* The node has become part of a cluster. Connections that exist stay. */
void transport_set_identity(struct transport *t, uint64_t cluster_id);

/* Where a node is reached, from now on; a connection that exists stays. Dials
 * the Raft channel. The node is not this one. */
void transport_set_peer(struct transport *t, uint64_t node_id, const char *host,
                        uint16_t port);

/* Forgets a node and closes its connections; no harm when it is unknown. */
void transport_remove_peer(struct transport *t, uint64_t node_id);

/* See env_send(). The node is not this one. */
void transport_send(struct transport *t, uint64_t node_id,
                    enum env_channel channel, const struct env_packet *packet);

/* Bytes that wait for the network; 0 for an unknown node. */
size_t transport_pending_bytes(const struct transport *t, uint64_t node_id,
                               enum env_channel channel);

void transport_stats(const struct transport *t, struct transport_stats *ret);

void transport_check(const struct transport *t);

#endif
