/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/join.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/frame.h"
#include "engine/hello.h"
#include "engine/wire.h"

enum {
    TALK_MS = 5000, /* with one member; it gives up a little earlier */
    PAUSE_MS = 100,
    VECS_MAX = 8,
    SERVICE_SIZE = 8
};

/* A conversation with one member. */
struct talk {
    int fd;
    uint64_t until_ms;
    uint8_t in[2 * HELLO_SIZE_MAX]; /* what has come and was not looked at */
    size_t in_size;
    struct frame_decoder *decoder;
};

static uint64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* Cannot fail. */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the list ---- */

static int add_member(struct join_list *list, const char *item, struct err *e)
{
    int rc;

    if (list->count == NODES_MAX)
        return err_set(e, ERR_INVALID, "more than %d members", NODES_MAX);
    rc = address_parse(&list->member[list->count], item, e);
    if (rc != 0)
        return rc;
    if (list->member[list->count].port == 0)
        return err_set(e, ERR_INVALID, "'%s' has no port", item);
    list->count++;
    return 0;
}

int join_parse(struct join_list *ret, const char *text, struct err *e)
{
    char *copy = mem_strdup(text);
    char *rest = copy;
    char *item;
    int rc = 0;

    *ret = (struct join_list){0};
    while (rc == 0 && (item = strsep(&rest, "+")) != NULL)
        rc = add_member(ret, item, e);
    free(copy);
    return rc;
}

uint64_t join_guest_id(uint64_t token)
{
    return token | HELLO_GUEST_BIT;
}

/* ---- bytes ---- */

static int wait_for(const struct talk *talk, short events, struct err *e)
{
    struct pollfd poller = {.fd = talk->fd, .events = events};
    uint64_t now = now_ms();
    int ready;

    do
        ready = poll(&poller, 1,
                     talk->until_ms > now ? (int)(talk->until_ms - now) : 0);
    while (ready < 0 && errno == EINTR);
    return ready > 0 ? 0 : err_set(e, ERR_NO_QUORUM, "no answer");
}

static int send_bytes(const struct talk *talk, const void *data, size_t size,
                      struct err *e)
{
    const uint8_t *bytes = data;

    while (size > 0) {
        ssize_t sent = send(talk->fd, bytes, size, MSG_NOSIGNAL);
        int rc = 0;

        if (sent < 0 && errno == EAGAIN)
            rc = wait_for(talk, POLLOUT, e);
        else if (sent < 0 && errno != EINTR)
            rc = err_set(e, err_from_errno(errno), "%s", strerror(errno));
        if (rc != 0)
            return rc;
        bytes += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
    return 0;
}

/* Adds what comes next to `in`, which has room. */
static int receive(struct talk *talk, struct err *e)
{
    ssize_t got;
    int rc = wait_for(talk, POLLIN, e);

    assert(talk->in_size < sizeof talk->in);
    if (rc != 0)
        return rc;
    got = recv(talk->fd, talk->in + talk->in_size,
               sizeof talk->in - talk->in_size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < 0)
        return err_set(e, err_from_errno(errno), "%s", strerror(errno));
    if (got == 0)
        return err_set(e, ERR_IO, "it has closed the connection");
    talk->in_size += (size_t)got;
    return 0;
}

static void drop_read(struct talk *talk, size_t size)
{
    talk->in_size -= size;
    memmove(talk->in, talk->in + size, talk->in_size);
}

/* ---- greetings ---- */

static int greet(const struct talk *talk, const struct hello_message *message,
                 struct err *e)
{
    uint8_t bytes[HELLO_SIZE_MAX];

    return send_bytes(talk, bytes, hello_encode(message, bytes), e);
}

/* The next greeting, which is to be of this kind. */
static int read_greeting(struct talk *talk, enum hello_kind kind,
                         struct hello_message *ret, struct err *e)
{
    size_t used = 0;
    int rc = 0;

    for (;;) {
        rc = hello_decode(ret, talk->in, talk->in_size, &used, e);
        if (rc != 0 || used > 0)
            break;
        rc = receive(talk, e);
        if (rc != 0)
            return rc;
    }
    if (rc != 0)
        return rc;
    drop_read(talk, used);
    if (ret->kind == HELLO_REFUSED)
        return err_set(e, ret->code, "%s", ret->text);
    if (ret->kind != kind)
        return err_set(e, ERR_PROTOCOL, "greetings in the wrong order");
    return 0;
}

static int exchange_greetings(struct talk *talk, uint64_t token, struct err *e)
{
    struct hello_message message = {
        .kind = HELLO_HELLO,
        .hello = {.node_id = join_guest_id(token),
                  .incarnation = token ^ now_ms(),
                  .channel = ENV_CHANNEL_RAFT},
    };
    int rc = greet(talk, &message, e);

    if (rc == 0)
        rc = read_greeting(talk, HELLO_HELLO, &message, e);
    message = (struct hello_message){.kind = HELLO_ACCEPTED};
    if (rc == 0)
        rc = greet(talk, &message, e);
    if (rc == 0)
        rc = read_greeting(talk, HELLO_ACCEPTED, &message, e);
    return rc;
}

/* ---- packets ---- */

static int send_frame(const struct talk *talk, struct frame *frame,
                      struct err *e)
{
    int rc = 0;

    for (size_t i = 0; i < frame->vec_count && rc == 0; i++)
        rc = send_bytes(talk, frame->vecs[i].iov_base, frame->vecs[i].iov_len,
                        e);
    return rc;
}

static int send_request(const struct talk *talk,
                        const struct identity *identity,
                        const struct address *advertise, struct err *e)
{
    struct join_request request = {
        .token = identity->token,
        .node = identity->cluster_id != 0 ? identity->node_id : 0,
    };
    struct env_packet packet = {.type = WIRE_JOIN};
    struct frame *frame;
    char text[ADDRESS_TEXT_SIZE];
    int rc;

    (void)snprintf(request.address, sizeof request.address, "%s",
                   address_format(advertise, text)); /* Its size was checked. */
    packet.header = join_request_encode(&request);
    rc = frame_new(&frame, &packet, e);
    buf_unref(packet.header);
    if (rc != 0)
        return rc;
    rc = send_frame(talk, frame, e);
    frame_free(frame);
    return rc;
}

static bool is_answer(const struct env_packet *packet, uint64_t token,
                      struct join_answer *ret)
{
    return packet != NULL && packet->type == WIRE_JOINED &&
           join_answer_decode(ret, buf_slice(packet->header)) == 0 &&
           ret->token == token;
}

static int read_answer(struct talk *talk, uint64_t token,
                       struct join_answer *ret, struct err *e)
{
    for (;;) {
        size_t used;
        int rc;

        if (talk->in_size == 0) {
            rc = receive(talk, e);
            if (rc != 0)
                return rc;
        }
        rc = frame_decoder_feed(talk->decoder, talk->in, talk->in_size, &used,
                                e);
        if (rc != 0)
            return rc;
        drop_read(talk, used);
        if (is_answer(frame_decoder_packet(talk->decoder), token, ret))
            return 0;
    }
}

/* ---- one member ---- */

static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

/* The others are going to look for this node where it says that it is. */
static int check_advertised(const struct talk *talk,
                            const struct address *advertise, struct err *e)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    char host[ADDRESS_HOST_SIZE] = "";
    int rc = getsockname(talk->fd, (struct sockaddr *)(void *)&name, &size);

    if (rc == 0)
        rc = getnameinfo((struct sockaddr *)(void *)&name, size, host,
                         sizeof host, NULL, 0, NI_NUMERICHOST);
    if (rc != 0 || is_loopback(host) || !is_loopback(advertise->host))
        return 0;
    return err_set(e, ERR_INVALID,
                   "the members would look for this node at %s: give it "
                   "listen= or advertise= with its address, such as %s",
                   advertise->host, host);
}

static int connect_one(struct talk *talk, const struct addrinfo *info,
                       struct err *e)
{
    int failure = 0;
    socklen_t size = sizeof failure;
    int rc;

    talk->fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (talk->fd < 0)
        return err_set(e, err_from_errno(errno), "%s", strerror(errno));
    if (connect(talk->fd, info->ai_addr, info->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return err_set(e, err_from_errno(errno), "%s", strerror(errno));
    rc = wait_for(talk, POLLOUT, e);
    if (rc != 0)
        return rc;
    (void)getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure == ECONNREFUSED)
        return err_set(e, ERR_NO_QUORUM,
                       "nobody listens there (a one-node store only does when "
                       "it was started with listen=)");
    if (failure != 0)
        return err_set(e, err_from_errno(failure), "%s", strerror(failure));
    return 0;
}

static int connect_to(struct talk *talk, const struct address *member,
                      struct err *e)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char service[SERVICE_SIZE];
    struct addrinfo *infos;
    int rc;

    (void)snprintf(service, sizeof service, "%u", (unsigned)member->port);
    rc = getaddrinfo(member->host, service, &hints, &infos);
    if (rc != 0)
        return err_set(e, ERR_NO_QUORUM, "%s", gai_strerror(rc));
    rc = connect_one(talk, infos, e);
    freeaddrinfo(infos);
    return rc;
}

/* What the member's word means to a person. */
static int judge(const struct join_answer *answer, struct err *e)
{
    switch (answer->status) {
    case 0:
        return 0;
    case ERR_QUOTA:
        return err_set(e, ERR_QUOTA, "the cluster has as many nodes as it may");
    case ERR_NOT_PERMITTED:
        return err_set(e, ERR_NOT_PERMITTED,
                       "this store was a node that was removed from the "
                       "cluster: start with an empty one");
    case ERR_FOREIGN:
        return err_set(e, ERR_FOREIGN,
                       "this store is a node of another cluster");
    case ERR_EXISTS:
        return err_set(e, ERR_EXISTS,
                       "this store is a copy of one that is a node already: "
                       "start with an empty one");
    default:
        return err_set(e, answer->status, "%s", err_text(answer->status));
    }
}

static int talk_to(struct talk *talk, const struct address *member,
                   const struct address *advertise,
                   const struct identity *identity, struct join_answer *ret,
                   struct err *e)
{
    int rc = connect_to(talk, member, e);

    if (rc == 0)
        rc = check_advertised(talk, advertise, e);
    if (rc == 0)
        rc = exchange_greetings(talk, identity->token, e);
    if (rc == 0)
        rc = send_request(talk, identity, advertise, e);
    if (rc == 0)
        rc = read_answer(talk, identity->token, ret, e);
    return rc == 0 ? judge(ret, e) : rc;
}

static int ask_one(const struct address *member,
                   const struct address *advertise, uint64_t until_ms,
                   struct identity *identity, struct err *e)
{
    struct talk talk = {.fd = -1, .until_ms = now_ms() + TALK_MS};
    struct join_answer answer;
    char text[ADDRESS_TEXT_SIZE];
    int rc;

    if (talk.until_ms > until_ms)
        talk.until_ms = until_ms;
    talk.decoder = frame_decoder_new();
    rc = talk_to(&talk, member, advertise, identity, &answer, e);
    frame_decoder_free(talk.decoder);
    if (talk.fd >= 0)
        (void)close(talk.fd); /* All that counts has been read. */
    if (rc != 0)
        return err_prefix(e, rc, "%s", address_format(member, text));
    identity->cluster_id = answer.cluster_id;
    identity->node_id = answer.node;
    return 0;
}

/* ---- all of them ---- */

/* No other member would say anything else. */
static bool is_final(int rc)
{
    return rc == 0 || rc == ERR_INVALID || rc == ERR_QUOTA ||
           rc == ERR_NOT_PERMITTED || rc == ERR_VERSION || rc == ERR_FOREIGN ||
           rc == ERR_EXISTS;
}

static int check_address(const struct address *advertise, struct err *e)
{
    struct join_request request;
    char text[ADDRESS_TEXT_SIZE];

    if (is_wildcard(advertise->host) || advertise->port == 0)
        return err_set(e, ERR_INVALID,
                       "the members cannot reach %s: give advertise= the "
                       "address of this node",
                       address_format(advertise, text));
    if (strlen(address_format(advertise, text)) >= sizeof request.address)
        return err_set(e, ERR_INVALID, "'%s' is too long", text);
    return 0;
}

int join_ask(const struct join_list *list, const struct address *advertise,
             uint64_t wait_ms, struct identity *identity, struct err *e)
{
    const struct timespec pause = {.tv_nsec = (long)PAUSE_MS * 1000000};
    uint64_t until_ms = now_ms() + wait_ms;
    struct err last = ERR_INIT;
    int rc = check_address(advertise, e);

    if (rc != 0)
        return rc;
    do {
        for (size_t i = 0; i < list->count; i++) {
            rc = ask_one(&list->member[i], advertise, until_ms, identity, e);
            if (is_final(rc))
                return rc;
            if (now_ms() < until_ms || last.text[0] == '\0')
                last = *e; /* Not of a conversation that was cut short. */
        }
        (void)nanosleep(&pause, NULL); /* Or less, no matter. */
    } while (now_ms() < until_ms);
    *e = last;
    return err_prefix(e, ERR_NO_QUORUM,
                      "no member has let this node in within %" PRIu64 " s",
                      wait_ms / 1000);
}
