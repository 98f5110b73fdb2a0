/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/transport_impl.h"

#include <assert.h>
#include <inttypes.h>

#include "raft/base/log.h"
#include "raft/base/mem.h"

enum { REFUSAL_REPEAT_MS = 60 * 1000 };

static struct transport *transport_of(const struct conn *conn)
{
    return container_of(conn->shared, struct transport, lanes.conns);
}

/* A guest is no node that anybody could be linked to. */
static void tell_link(struct transport *t, uint64_t node_id, bool up)
{
    if (hello_is_guest(node_id))
        return;
    t->config.receiver->on_link(t->config.receiver, node_id, up);
}

/* A node that is refused comes again once a second: not a line for each. */
static void log_refusal(struct transport *t, const struct conn *conn,
                        uint64_t node_id, int code, const char *what,
                        const char *text)
{
    const uint64_t now = uv_now(t->lanes.conns.loop);
    const bool known = t->refused_node == node_id && t->refused_code == code &&
                       now - t->refused_ms < REFUSAL_REPEAT_MS;

    t->refusals++;
    log_line(known ? LOG_DEBUG : LOG_WARN, "transport",
             "event=%s node=%" PRIu64 " address=%s reason=\"%s\"", what,
             node_id, conn->name, text);
    if (known)
        return;
    t->refused_node = node_id;
    t->refused_code = code;
    t->refused_ms = now;
}

static int judge(const struct transport *t, const struct conn *conn,
                 const struct transport_hello *hello, struct err *e)
{
    if (hello->node_id == 0 || hello->node_id == t->config.node_id)
        return err_set(e, ERR_FOREIGN,
                       "node id %" PRIu64 " cannot belong to another node here",
                       hello->node_id);
    if (conn->dialled && hello->node_id != conn->node_id)
        return err_set(e, ERR_FOREIGN,
                       "node %" PRIu64 " was expected at %s, not node %" PRIu64,
                       conn->node_id, conn->name, hello->node_id);
    if (hello->cluster_id != 0 && t->config.cluster_id != 0 &&
        hello->cluster_id != t->config.cluster_id)
        return err_set(e, ERR_FOREIGN,
                       "node %" PRIu64 " is of cluster %016" PRIx64
                       ", node %" PRIu64 " of cluster %016" PRIx64,
                       hello->node_id, hello->cluster_id, t->config.node_id,
                       t->config.cluster_id);
    if (t->config.accept == NULL)
        return 0;
    return t->config.accept(t->config.context, hello, e);
}

static int on_hello(struct conn *conn, const struct transport_hello *hello,
                    struct err *e)
{
    struct transport *t = transport_of(conn);
    const int rc = judge(t, conn, hello, e);

    if (rc != 0)
        log_refusal(t, conn, hello->node_id, rc, "refuse", e->text);
    return rc;
}

/* Both callbacks may end the connection. */
static void on_up(struct conn *conn)
{
    struct transport *t = transport_of(conn);
    struct peer *peer = transport_need_peer(t, conn->node_id);
    struct lane *lane = &peer->lanes[conn->ours.channel];
    const bool was_up = lane->up != NULL;

    if (!lane_on_up(lane, conn))
        return;
    t->connects++;
    log_line(LOG_INFO, "transport",
             "event=up node=%" PRIu64 " channel=%u address=%s", conn->node_id,
             (unsigned)lane->channel, conn->name);
    if (lane->channel != ENV_CHANNEL_RAFT)
        return;
    if (was_up)
        tell_link(t, conn->node_id, false);
    if (conn->state == CONN_UP)
        tell_link(t, conn->node_id, true);
}

static void on_packet(struct conn *conn, const struct env_packet *packet)
{
    struct env_receiver *receiver = transport_of(conn)->config.receiver;

    receiver->on_packet(receiver, conn->node_id, conn->ours.channel, packet);
}

static void on_refused(struct conn *conn, int code, const char *text)
{
    struct transport *t = transport_of(conn);
    const uint64_t node_id =
        conn->node_id != 0 ? conn->node_id : conn->theirs.node_id;

    log_refusal(t, conn, node_id, code, "refused", text);
    if (conn->ours.channel == ENV_CHANNEL_RAFT && node_id != 0)
        tell_link(t, node_id, false);
    if (t->config.on_refused != NULL)
        t->config.on_refused(t->config.context, node_id, code, text);
}

/* Dialling in vain is news the first time only. */
static void log_closed(const struct conn *conn, const struct lane *lane,
                       const char *text)
{
    const bool again = lane != NULL && lane->up != conn && lane->failures > 0;
    const enum log_level level =
        text[0] == '\0' || again ? LOG_DEBUG : LOG_WARN;

    log_line(level, "transport",
             "event=close node=%" PRIu64 " address=%s reason=\"%s\"",
             conn->node_id, conn->name, text);
}

/* One that came by itself is kept only as long as it is connected. */
static void forget_if_gone(struct transport *t, struct peer *peer)
{
    if (peer_has_address(peer))
        return;
    for (unsigned i = 0; i < ENV_CHANNELS; i++)
        if (peer->lanes[i].up != NULL || peer->lanes[i].dialling != NULL)
            return;
    transport_forget_peer(t, peer);
}

static void on_closed(struct conn *conn, int code, const char *text)
{
    struct transport *t = transport_of(conn);
    struct lane *lane = conn->lane;
    struct peer *peer;
    bool was_link;

    (void)code; /* The text says it. */
    log_closed(conn, lane, text);
    TAILQ_REMOVE(&t->conns, conn, link);
    t->conn_count--;
    if (lane == NULL) {
        transport_finish_stop(t);
        return;
    }
    was_link = lane->up == conn && lane->channel == ENV_CHANNEL_RAFT;
    lane_on_closed(lane, conn);
    peer = transport_find_peer(t, conn->node_id);
    assert(peer != NULL);
    forget_if_gone(t, peer);
    if (was_link)
        tell_link(t, conn->node_id, false);
}

const struct conn_events transport_events = {
    .on_hello = on_hello,
    .on_up = on_up,
    .on_packet = on_packet,
    .on_refused = on_refused,
    .on_closed = on_closed,
};
