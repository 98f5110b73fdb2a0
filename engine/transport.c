/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/transport.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/transport_impl.h"
#include "raft/base/log.h"
#include "raft/base/mem.h"

enum {
    QUEUE_SIZE_RAFT = 64 * 1024 * 1024,
    QUEUE_SIZE_BULK = 16 * 1024 * 1024,
    CONNS_MAX = 4096,
    LISTEN_BACKLOG = 128,
    SWEEP_MS = 1000,
    GREETING_MS_MAX = 3000
};

/* ---- Peers ---- */

struct peer *transport_find_peer(const struct transport *t, uint64_t node_id)
{
    struct peer *peer;

    TAILQ_FOREACH (peer, &t->peers, link)
        if (peer->node_id == node_id)
            return peer;
    return NULL;
}

struct peer *transport_need_peer(struct transport *t, uint64_t node_id)
{
    struct peer *peer = transport_find_peer(t, node_id);

    if (peer != NULL)
        return peer;

    peer = mem_zalloc(sizeof *peer);
    peer->node_id = node_id;
    for (unsigned i = 0; i < ENV_CHANNELS; i++)
        lane_init(&peer->lanes[i], &t->lanes, (enum env_channel)i,
                  t->config.queue_size_bytes[i]);
    TAILQ_INSERT_TAIL(&t->peers, peer, link);
    return peer;
}

void transport_forget_peer(struct transport *t, struct peer *peer)
{
    for (unsigned i = 0; i < ENV_CHANNELS; i++)
        lane_close(&peer->lanes[i]);
    TAILQ_REMOVE(&t->peers, peer, link);
    free(peer);
}

/* ---- The loop's turns ---- */

static struct transport_hello own_hello(const struct transport *t)
{
    return (struct transport_hello){
        .cluster_id = t->config.cluster_id,
        .node_id = t->config.node_id,
        .incarnation = t->incarnation,
        .channel = ENV_CHANNEL_RAFT,
        .address = t->config.advertise,
    };
}

static void add_conn(struct transport *t, struct conn *conn)
{
    TAILQ_INSERT_TAIL(&t->conns, conn, link);
    t->conn_count++;
}

static void dial(struct transport *t, struct peer *peer, struct lane *lane)
{
    const struct transport_hello ours = own_hello(t);

    if (!peer_has_address(peer)) {
        lane->dial_due_ms = 0;
        return;
    }
    lane_dial(lane, &ours, &peer->address);
    if (lane->dialling == NULL)
        return;
    lane->dialling->node_id = peer->node_id;
    add_conn(t, lane->dialling);
}

static void flush(struct transport *t)
{
    struct peer *peer;

    TAILQ_FOREACH (peer, &t->peers, link)
        for (unsigned i = 0; i < ENV_CHANNELS; i++)
            lane_flush(&peer->lanes[i]);
}

static void dial_due(struct transport *t, uint64_t now)
{
    struct peer *peer;

    TAILQ_FOREACH (peer, &t->peers, link)
        for (unsigned i = 0; i < ENV_CHANNELS; i++)
            if (peer->lanes[i].dial_due_ms != 0 &&
                peer->lanes[i].dial_due_ms <= now)
                dial(t, peer, &peer->lanes[i]);
}

/* Ends what does not get anywhere. */
static void sweep(struct transport *t, uint64_t now)
{
    struct conn *conn;

    TAILQ_FOREACH (conn, &t->conns, link)
        if (conn->state == CONN_UP)
            conn_probe(conn);
        else if (now - conn->state_since_ms >= GREETING_MS_MAX)
            conn_close(conn, ERR_IO, "no answer in time");
}

static uint64_t next_due(const struct transport *t)
{
    const struct peer *peer;
    uint64_t due = t->sweep_due_ms;

    TAILQ_FOREACH (peer, &t->peers, link)
        for (unsigned i = 0; i < ENV_CHANNELS; i++)
            if (peer->lanes[i].dial_due_ms != 0 &&
                peer->lanes[i].dial_due_ms < due)
                due = peer->lanes[i].dial_due_ms;
    return due;
}

/* The turn that this begins does the work. */
static void on_wake(uv_timer_t *clock)
{
    struct transport *t = container_of(clock, struct transport, clock);

    t->wake_ms = 0;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct transport *t = container_of(prepare, struct transport, prepare);
    const uint64_t now = uv_now(t->lanes.conns.loop);
    uint64_t due;

    if (now >= t->sweep_due_ms) {
        sweep(t, now);
        t->sweep_due_ms = now + SWEEP_MS;
    }
    dial_due(t, now);
    flush(t);
    due = next_due(t);
    if (due == t->wake_ms)
        return;
    t->wake_ms = due;
    (void)uv_timer_start(&t->clock, on_wake, due > now ? due - now : 0, 0);
}

/* Right behind the callbacks that have sent something. */
static void on_check(uv_check_t *check)
{
    flush(container_of(check, struct transport, check));
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct transport *t =
        container_of((uv_tcp_t *)listener, struct transport, listener);
    const struct transport_hello ours = own_hello(t);
    struct conn *conn;

    if (status != 0) {
        log_line(LOG_WARN, "transport", "event=accept reason=\"%s\"",
                 uv_strerror(status));
        return;
    }
    conn = conn_accept(&t->lanes.conns, &ours, listener);
    add_conn(t, conn);
    if (t->conn_count > CONNS_MAX)
        conn_close(conn, ERR_BUSY, "too many connections");
}

/* ---- Life ---- */

int transport_bind(const struct address *address, int *ret_fd, struct err *e)
{
    return address_listen(address, ret_fd, e);
}

static uint64_t random_nonzero(void)
{
    uint64_t number;
    const int rc = uv_random(NULL, NULL, &number, sizeof number, 0, NULL);

    assert(rc == 0);
    return number | 1;
}

struct transport *transport_new(const struct transport_config *config)
{
    static const size_t queue_sizes[ENV_CHANNELS] = {
        [ENV_CHANNEL_RAFT] = QUEUE_SIZE_RAFT,
        [ENV_CHANNEL_BULK] = QUEUE_SIZE_BULK,
    };
    struct transport *t = mem_zalloc(sizeof *t);

    assert(config->node_id != 0);
    t->config = *config;
    for (unsigned i = 0; i < ENV_CHANNELS; i++)
        if (t->config.queue_size_bytes[i] == 0)
            t->config.queue_size_bytes[i] = queue_sizes[i];
    t->incarnation = random_nonzero();
    t->lanes.random_state = t->incarnation;
    t->lanes.conns.events = &transport_events;
    t->lanes.conns.scratch = mem_zalloc(CONN_SCRATCH_SIZE);
    TAILQ_INIT(&t->peers);
    TAILQ_INIT(&t->conns);
    return t;
}

static int listen_on(struct transport *t, int fd, struct err *e)
{
    int rc = uv_tcp_open(&t->listener, fd);

    if (rc != 0)
        (void)close(fd);
    else
        rc = uv_listen((uv_stream_t *)&t->listener, LISTEN_BACKLOG,
                       on_connection);
    if (rc != 0)
        return err_set(e, err_from_errno(-rc), "listen: %s", uv_strerror(rc));
    return 0;
}

/* libuv writes with writev(2), which has no MSG_NOSIGNAL: without this, a
 * connection that the other end has just closed would end the program. */
static void ignore_sigpipe(void)
{
    struct sigaction action;

    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN); /* Fails for bad numbers only. */
}

/* A failure leaves a transport that is to be stopped like any other. */
int transport_start(struct transport *t, uv_loop_t *loop, int listen_fd,
                    struct err *e)
{
    int rc;

    assert(t->phase == TRANSPORT_NEW);
    ignore_sigpipe();
    t->phase = TRANSPORT_RUNNING;
    t->lanes.conns.loop = loop;
    t->sweep_due_ms = uv_now(loop) + SWEEP_MS;
    rc = uv_timer_init(loop, &t->clock) | uv_prepare_init(loop, &t->prepare) |
         uv_check_init(loop, &t->check) | uv_tcp_init(loop, &t->listener) |
         uv_prepare_start(&t->prepare, on_prepare) |
         uv_check_start(&t->check, on_check);
    assert(rc == 0); /* None of these allocates. */
    t->handles_open = 4;
    return listen_fd < 0 ? 0 : listen_on(t, listen_fd, e);
}

void transport_finish_stop(struct transport *t)
{
    if (t->phase != TRANSPORT_STOPPING || t->handles_open > 0 ||
        t->conn_count > 0)
        return;

    t->phase = TRANSPORT_STOPPED;
    if (t->config.on_stopped != NULL)
        t->config.on_stopped(t->config.context);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct transport *t = handle->data;

    t->handles_open--;
    transport_finish_stop(t);
}

static void close_handle(struct transport *t, uv_handle_t *handle)
{
    handle->data = t;
    uv_close(handle, on_handle_closed);
}

void transport_stop(struct transport *t)
{
    struct peer *peer;
    struct conn *conn;

    assert(t->phase == TRANSPORT_RUNNING);
    t->phase = TRANSPORT_STOPPING;
    flush(t);
    while ((peer = TAILQ_FIRST(&t->peers)) != NULL)
        transport_forget_peer(t, peer);
    TAILQ_FOREACH (conn, &t->conns, link)
        conn_close(conn, 0, NULL);
    close_handle(t, (uv_handle_t *)&t->clock);
    close_handle(t, (uv_handle_t *)&t->prepare);
    close_handle(t, (uv_handle_t *)&t->check);
    close_handle(t, (uv_handle_t *)&t->listener);
}

void transport_free(struct transport *t)
{
    struct peer *peer;

    if (t == NULL)
        return;

    assert(t->phase == TRANSPORT_NEW || t->phase == TRANSPORT_STOPPED);
    while ((peer = TAILQ_FIRST(&t->peers)) != NULL)
        transport_forget_peer(t, peer);
    free(t->lanes.conns.scratch);
    free(t);
}

/* ---- Use ---- */

void transport_set_identity(struct transport *t, uint64_t cluster_id)
{
    assert(cluster_id != 0);
    assert(t->config.cluster_id == 0 || t->config.cluster_id == cluster_id);
    t->config.cluster_id = cluster_id;
}

void transport_set_peer(struct transport *t, uint64_t node_id, const char *host,
                        uint16_t port)
{
    struct peer *peer;

    assert(t->phase == TRANSPORT_RUNNING);
    assert(node_id != 0);
    assert(node_id != t->config.node_id);
    assert(host[0] != '\0');
    assert(strlen(host) < ADDRESS_HOST_SIZE);
    peer = transport_need_peer(t, node_id);
    memset(&peer->address, 0, sizeof peer->address);
    memcpy(peer->address.host, host, strlen(host));
    peer->address.port = port;
    lane_want(&peer->lanes[ENV_CHANNEL_RAFT]);
}

void transport_remove_peer(struct transport *t, uint64_t node_id)
{
    struct peer *peer = transport_find_peer(t, node_id);

    if (peer != NULL)
        transport_forget_peer(t, peer);
}

void transport_send(struct transport *t, uint64_t node_id,
                    enum env_channel channel, const struct env_packet *packet)
{
    struct peer *peer;

    assert(node_id != t->config.node_id);
    assert(channel < ENV_CHANNELS);
    peer = transport_find_peer(t, node_id);
    if (peer == NULL ||
        (peer->lanes[channel].up == NULL && !peer_has_address(peer)))
        t->lanes.dropped++;
    else
        lane_send(&peer->lanes[channel], packet);
}

size_t transport_pending_bytes(const struct transport *t, uint64_t node_id,
                               enum env_channel channel)
{
    const struct peer *peer = transport_find_peer(t, node_id);

    return peer == NULL ? 0 : lane_pending_bytes(&peer->lanes[channel]);
}

void transport_stats(const struct transport *t, struct transport_stats *ret)
{
    const struct conn_counters *counters = &t->lanes.conns.counters;

    *ret = (struct transport_stats){
        .packets_in = counters->packets_in,
        .packets_out = counters->packets_out,
        .bytes_in = counters->bytes_in,
        .bytes_out = counters->bytes_out,
        .dropped = t->lanes.dropped,
        .malformed = counters->malformed,
        .connects = t->connects,
        .refusals = t->refusals,
    };
}

void transport_check(const struct transport *t)
{
    const struct peer *peer;
    const struct conn *conn;
    size_t conn_count = 0;

    TAILQ_FOREACH (peer, &t->peers, link) {
        assert(peer->node_id != t->config.node_id);
        for (unsigned i = 0; i < ENV_CHANNELS; i++)
            lane_check(&peer->lanes[i]);
    }
    TAILQ_FOREACH (conn, &t->conns, link) {
        conn_check(conn);
        conn_count++;
    }
    assert(conn_count == t->conn_count);
}
