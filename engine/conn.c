/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/conn.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "engine/conn_io.h"
#include "raft/base/mem.h"

enum {
    KEEPALIVE_IDLE_S = 2,
    KEEPALIVE_INTERVAL_S = 1,
    KEEPALIVE_COUNT = 3,
    DEAD_AFTER_MS = 5000,
    DEAD_PROBES = 3
};

void conn_become(struct conn *conn, enum conn_state state)
{
    assert(conn->state < state); /* Never back, never out of CLOSED. */
    conn->state = state;
    conn->state_since_ms = uv_now(conn->shared->loop);
}

static struct conn *conn_new(struct conn_shared *shared,
                             const struct transport_hello *ours)
{
    struct conn *conn = mem_zalloc(sizeof *conn);
    int rc;

    conn->shared = shared;
    conn->ours = *ours;
    conn->state_since_ms = uv_now(shared->loop);
    frame_queue_init(&conn->queue);
    frame_queue_init(&conn->writing);
    rc = uv_tcp_init(shared->loop, &conn->tcp);
    assert(rc == 0); /* Makes no socket yet. */
    return conn;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct conn *conn = container_of(handle, struct conn, tcp);

    conn->shared->events->on_closed(conn, conn->close_code,
                                    conn->close_err.text);
    (void)frame_queue_clear(&conn->queue);
    (void)frame_queue_clear(&conn->writing);
    frame_decoder_free(conn->decoder);
    free(conn);
}

void conn_close(struct conn *conn, int code, const char *reason)
{
    if (conn->state == CONN_CLOSED)
        return;

    if (conn->state != CONN_PARTING) { /* That has its reason already. */
        conn->close_code = code;
        (void)err_set(&conn->close_err, code, "%s",
                      reason == NULL ? "" : reason);
    }
    conn_become(conn, CONN_CLOSED);
    if (conn->resolving)
        (void)uv_cancel((uv_req_t *)&conn->resolve); /* Ends either way. */
    else
        uv_close((uv_handle_t *)&conn->tcp, on_handle_closed);
}

void conn_fail_uv(struct conn *conn, int status)
{
    if (status == UV_EOF)
        conn_close(conn, ERR_IO, "closed by the other node");
    else
        conn_close(conn, err_from_errno(-status), uv_strerror(status));
}

/* Small messages leave at once; a host that has died is noticed. */
static void set_options(struct conn *conn)
{
    static const struct {
        int level;
        int name;
        int value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
    };
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) != 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        /* Without them it still works, only slower. */
        (void)setsockopt(fd, options[i].level, options[i].name,
                         &options[i].value, sizeof options[i].value);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct conn *conn = container_of(request, struct conn, connect);

    if (conn->state == CONN_CLOSED)
        return;
    if (status != 0) {
        conn_fail_uv(conn, status);
        return;
    }
    set_options(conn);
    conn_greet(conn);
}

static void connect_to(struct conn *conn, const struct sockaddr *address)
{
    int rc;

    conn_become(conn, CONN_CONNECTING);
    rc = uv_tcp_connect(&conn->connect, &conn->tcp, address, on_connected);
    if (rc != 0)
        conn_fail_uv(conn, rc);
}

/* A name may stand for several numbers, and not all of them need to work. */
static const struct sockaddr *pick(const struct addrinfo *infos,
                                   unsigned attempt)
{
    const struct addrinfo *info;
    unsigned count = 0;

    for (info = infos; info != NULL; info = info->ai_next)
        count++;
    info = infos;
    for (unsigned i = attempt % count; i > 0; i--)
        info = info->ai_next;
    return info->ai_addr;
}

static void on_resolved(uv_getaddrinfo_t *request, int status,
                        struct addrinfo *infos)
{
    struct conn *conn = container_of(request, struct conn, resolve);

    conn->resolving = false;
    if (conn->state == CONN_CLOSED)
        uv_close((uv_handle_t *)&conn->tcp, on_handle_closed);
    else if (status != 0 || infos == NULL)
        conn_close(conn, ERR_NOT_FOUND, uv_strerror(status));
    else
        connect_to(conn, pick(infos, conn->attempt));
    uv_freeaddrinfo(infos);
}

static void resolve(struct conn *conn, const struct address *address)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char service[sizeof "65535"];
    int rc;

    (void)snprintf(service, sizeof service, "%u", (unsigned)address->port);
    rc = uv_getaddrinfo(conn->shared->loop, &conn->resolve, on_resolved,
                        address->host, service, &hints);
    if (rc != 0)
        conn_fail_uv(conn, rc);
    else
        conn->resolving = true;
}

struct conn *conn_dial(struct conn_shared *shared,
                       const struct transport_hello *ours,
                       const struct address *address, unsigned attempt)
{
    struct conn *conn = conn_new(shared, ours);
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    conn->dialled = true;
    conn->attempt = attempt;
    address_format(address, conn->name);
    if (uv_ip4_addr(address->host, address->port, &in) == 0)
        connect_to(conn, (const struct sockaddr *)&in);
    else if (uv_ip6_addr(address->host, address->port, &in6) == 0)
        connect_to(conn, (const struct sockaddr *)&in6);
    else
        resolve(conn, address);
    return conn;
}

static void set_name(struct conn *conn)
{
    struct sockaddr_storage name;
    int size = sizeof name;
    struct address address = {.host = "?"};
    const struct sockaddr *sa = (const struct sockaddr *)(const void *)&name;
    uint16_t port = 0;

    if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)(void *)&name,
                           &size) == 0) {
        (void)uv_ip_name(sa, address.host, sizeof address.host);
        /* The port stands at the same place in both families. */
        memcpy(&port,
               (const uint8_t *)&name + offsetof(struct sockaddr_in, sin_port),
               sizeof port);
        address.port = ntohs(port);
    }
    address_format(&address, conn->name);
}

struct conn *conn_accept(struct conn_shared *shared,
                         const struct transport_hello *ours,
                         uv_stream_t *listener)
{
    struct conn *conn = conn_new(shared, ours);
    const int rc = uv_accept(listener, (uv_stream_t *)&conn->tcp);

    if (rc != 0) {
        conn_fail_uv(conn, rc);
        return conn;
    }
    set_name(conn);
    set_options(conn);
    conn_greet(conn);
    return conn;
}

size_t conn_pending_bytes(const struct conn *conn)
{
    return conn->queue.size_bytes + conn->writing.size_bytes;
}

/* Keepalive sees to idle connections. With data under way the kernel would
 * take a quarter of an hour, and TCP_USER_TIMEOUT would also kill the
 * connection to a stopped process, whose kernel still answers. */
void conn_probe(struct conn *conn)
{
    struct tcp_info info = {.tcpi_state = 0};
    socklen_t size = sizeof info;
    uv_os_fd_t fd;

    if (conn->state != CONN_UP ||
        uv_fileno((uv_handle_t *)&conn->tcp, &fd) != 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return;
    if (info.tcpi_last_ack_recv >= DEAD_AFTER_MS &&
        (info.tcpi_retransmits > 0 || info.tcpi_probes >= DEAD_PROBES))
        conn_fail_uv(conn, UV_ETIMEDOUT);
}

void conn_check(const struct conn *conn)
{
    assert(conn->state < CONN_STATES);
    assert(!conn->resolving || conn->state == CONN_RESOLVING ||
           conn->state == CONN_CLOSED);
    assert(conn->greeting_in_size <= sizeof conn->greeting_in);
    assert(conn->state != CONN_UP || conn->decoder != NULL);
    assert(conn->state != CONN_UP || conn->theirs.node_id == conn->node_id);
    frame_queue_check(&conn->queue);
    frame_queue_check(&conn->writing);
}
