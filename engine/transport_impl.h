/* SPDX-License-Identifier: Apache-2.0 */

/* Between transport.c (life, peers, the loop's turns) and transport_events.c
 * (what connections report); nobody else includes this. */

#ifndef GROVEFS_ENGINE_TRANSPORT_IMPL_H
#define GROVEFS_ENGINE_TRANSPORT_IMPL_H

#include "engine/lane.h"
#include "engine/transport.h"

/* A node that has an address, a connection or both. */
struct peer {
    TAILQ_ENTRY(peer) link;
    uint64_t node_id;
    struct address address; /* empty host: not known */
    struct lane lanes[ENV_CHANNELS];
};

enum transport_phase {
    TRANSPORT_NEW,
    TRANSPORT_RUNNING,
    TRANSPORT_STOPPING,
    TRANSPORT_STOPPED
};

struct transport {
    struct transport_config config;
    enum transport_phase phase;
    struct lane_shared lanes;
    uint64_t incarnation;
    uint64_t connects;
    uint64_t refusals;
    uint64_t sweep_due_ms;
    uint64_t wake_ms;      /* what the clock is set to, 0 if it is not */
    uint64_t refused_node; /* the last one logged */
    int refused_code;
    uint64_t refused_ms;
    TAILQ_HEAD(, peer) peers;
    TAILQ_HEAD(, conn) conns; /* all, until libuv has let go of them */
    size_t conn_count;
    uv_timer_t clock;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_tcp_t listener;
    unsigned handles_open; /* of the four above */
};

extern const struct conn_events transport_events;

/* NULL when it is unknown. */
struct peer *transport_find_peer(const struct transport *t, uint64_t node_id);

/* Adds it when it is unknown. */
struct peer *transport_need_peer(struct transport *t, uint64_t node_id);

/* Closes its connections and frees it. */
void transport_forget_peer(struct transport *t, struct peer *peer);

static inline bool peer_has_address(const struct peer *peer)
{
    return peer->address.host[0] != '\0';
}

/* Says that the transport has stopped, if that is so now. */
void transport_finish_stop(struct transport *t);

#endif
