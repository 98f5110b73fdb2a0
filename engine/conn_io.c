/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/conn_io.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "raft/base/mem.h"

enum {
    VECS_MAX = 1024,                         /* of several frames together */
    FRAME_VECS_MAX = 2 + FRAME_PAYLOADS_MAX, /* of one */
    DIRECT_SIZE_MIN = 32 * 1024 /* below that, one read takes more frames */
};

static_assert(sizeof(struct iovec) == sizeof(uv_buf_t) &&
                  offsetof(struct iovec, iov_base) ==
                      offsetof(uv_buf_t, base) &&
                  offsetof(struct iovec, iov_len) == offsetof(uv_buf_t, len),
              "on Unix libuv's buffers are the kernel's");

/* ---- Out ---- */

/* A greeting under way; refusals are followed by the end. */
struct greeting {
    uv_write_t write;
    bool last;
    uint8_t bytes[HELLO_SIZE_MAX];
};

static void end_output(struct conn *conn)
{
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0)
        (void)shutdown(fd, SHUT_WR); /* Fails if they have gone already. */
}

static void greeting_done(uv_write_t *write, int status)
{
    struct greeting *greeting = container_of(write, struct greeting, write);
    struct conn *conn = write->data;

    if (conn->state != CONN_CLOSED && status != 0)
        conn_fail_uv(conn, status);
    else if (conn->state == CONN_PARTING && greeting->last)
        /* They close, or the owner does when that takes too long: closing
         * here with unread bytes would destroy the refusal under way. */
        end_output(conn);
    free(greeting);
}

static void say(struct conn *conn, const struct hello_message *message)
{
    struct greeting *greeting = mem_zalloc(sizeof *greeting);
    const size_t size = hello_encode(message, greeting->bytes);
    const uv_buf_t buffer =
        uv_buf_init((char *)greeting->bytes, (unsigned)size);
    int rc;

    greeting->last = message->kind == HELLO_REFUSED;
    greeting->write.data = conn;
    rc = uv_write(&greeting->write, (uv_stream_t *)&conn->tcp, &buffer, 1,
                  greeting_done);
    if (rc != 0) {
        free(greeting);
        conn_fail_uv(conn, rc);
    }
}

static void refuse(struct conn *conn, int code, const struct err *e)
{
    struct hello_message message = {.kind = HELLO_REFUSED, .code = code};

    conn->close_code = code;
    conn->close_err = *e;
    memcpy(message.text, e->text, sizeof message.text);
    conn_become(conn, CONN_PARTING);
    say(conn, &message);
}

/* A frame more than fits is left for the next turn, except the first. */
static unsigned gather(const struct frame_queue *queue, uv_buf_t *ret_buffers)
{
    const struct frame *frame;
    struct iovec *vecs = (struct iovec *)(void *)ret_buffers;
    size_t count = 0;

    STAILQ_FOREACH (frame, &queue->frames, link) {
        if (count > 0 && count + frame->vec_count > VECS_MAX)
            break;
        count += frame_unsent(frame, vecs + count, FRAME_VECS_MAX);
    }
    return (unsigned)count;
}

static void count_sent(struct conn *conn, struct frame_queue *queue,
                       size_t size)
{
    conn->shared->counters.bytes_out += size;
    conn->shared->counters.packets_out += frame_queue_sent(queue, size);
}

static void on_written(uv_write_t *write, int status)
{
    struct conn *conn = container_of(write, struct conn, write);

    if (conn->state == CONN_CLOSED)
        return;
    if (status != 0) {
        conn_fail_uv(conn, status);
        return;
    }
    count_sent(conn, &conn->writing, conn->writing.size_bytes);
    conn_flush(conn);
}

/* The socket is full: libuv sends the next frames when it can. */
static void write_later(struct conn *conn)
{
    uv_buf_t buffers[VECS_MAX + FRAME_VECS_MAX];
    size_t count = 0;
    unsigned buffer_count;
    int rc;

    do {
        count += STAILQ_FIRST(&conn->queue.frames)->vec_count;
        frame_queue_push(&conn->writing, frame_queue_pop(&conn->queue));
    } while (conn->queue.count > 0 &&
             count + STAILQ_FIRST(&conn->queue.frames)->vec_count <= VECS_MAX);
    buffer_count = gather(&conn->writing, buffers);
    rc = uv_write(&conn->write, (uv_stream_t *)&conn->tcp, buffers,
                  buffer_count, on_written);
    if (rc != 0)
        conn_fail_uv(conn, rc);
}

void conn_flush(struct conn *conn)
{
    uv_buf_t buffers[VECS_MAX + FRAME_VECS_MAX];
    unsigned buffer_count;
    int written;

    if (conn->state != CONN_UP || conn->writing.count > 0)
        return;
    while (conn->queue.count > 0) {
        buffer_count = gather(&conn->queue, buffers);
        written =
            uv_try_write((uv_stream_t *)&conn->tcp, buffers, buffer_count);
        if (written == UV_EAGAIN) {
            write_later(conn);
            return;
        }
        if (written < 0) {
            conn_fail_uv(conn, written);
            return;
        }
        count_sent(conn, &conn->queue, (size_t)written);
    }
}

/* ---- In ---- */

static void bad_bytes(struct conn *conn, int code, const struct err *e)
{
    if (code == ERR_PROTOCOL)
        conn->shared->counters.malformed++;
    conn_close(conn, code, e->text);
}

static void on_hello(struct conn *conn, const struct transport_hello *hello)
{
    const struct hello_message accepted = {.kind = HELLO_ACCEPTED};
    struct err e = ERR_INIT;
    int rc;

    conn->theirs = *hello;
    if (conn->dialled) /* The channel is the dialling side's to choose. */
        conn->theirs.channel = conn->ours.channel;
    else
        conn->ours.channel = hello->channel;
    rc = conn->shared->events->on_hello(conn, &conn->theirs, &e);
    if (conn->state == CONN_CLOSED)
        return;
    if (rc != 0) {
        refuse(conn, rc, &e);
        return;
    }
    conn->node_id = hello->node_id;
    conn_become(conn, CONN_AGREED);
    say(conn, &accepted);
}

static void on_refused(struct conn *conn, const struct hello_message *message)
{
    struct err e;

    conn->shared->events->on_refused(conn, message->code, message->text);
    (void)err_set(&e, message->code, "refused by the other node: %.400s",
                  message->text);
    conn_close(conn, message->code, e.text);
}

static void on_greeting(struct conn *conn, const struct hello_message *message)
{
    struct err e;

    if (message->kind == HELLO_REFUSED) {
        on_refused(conn, message);
    } else if (message->kind == HELLO_HELLO && conn->state == CONN_GREETING) {
        on_hello(conn, &message->hello);
    } else if (message->kind == HELLO_ACCEPTED && conn->state == CONN_AGREED) {
        conn->decoder = frame_decoder_new();
        conn_become(conn, CONN_UP);
        conn->shared->events->on_up(conn);
    } else if (conn->state != CONN_PARTING) {
        (void)err_set(&e, ERR_PROTOCOL, "greetings in the wrong order");
        bad_bytes(conn, ERR_PROTOCOL, &e);
    }
}

/* Returns how many of the bytes belong to the greeting. */
static size_t take_greeting(struct conn *conn, const uint8_t *data, size_t size)
{
    const size_t before = conn->greeting_in_size;
    struct hello_message message;
    struct err e = ERR_INIT;
    size_t used;
    int rc;

    if (size > sizeof conn->greeting_in - before)
        size = sizeof conn->greeting_in - before;
    memcpy(conn->greeting_in + before, data, size);
    conn->greeting_in_size += size;
    rc = hello_decode(&message, conn->greeting_in, conn->greeting_in_size,
                      &used, &e);
    if (rc != 0 && rc != ERR_VERSION) {
        bad_bytes(conn, rc, &e);
        return size;
    }
    if (used == 0)
        return size;
    assert(used > before);
    conn->greeting_in_size = 0;
    if (rc == 0)
        on_greeting(conn, &message);
    else if (conn->state != CONN_PARTING)
        refuse(conn, rc, &e);
    return used - before;
}

/* Hands over the packet that the last bytes completed, if they did. */
static void deliver(struct conn *conn, int rc, const struct err *e)
{
    const struct env_packet *packet;

    if (rc != 0) {
        bad_bytes(conn, rc, e);
        return;
    }
    packet = frame_decoder_packet(conn->decoder);
    if (packet == NULL)
        return;
    conn->shared->counters.packets_in++;
    conn->shared->events->on_packet(conn, packet);
}

static size_t take_frames(struct conn *conn, const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    size_t used;
    const int rc = frame_decoder_feed(conn->decoder, data, size, &used, &e);

    deliver(conn, rc, &e);
    return used;
}

/* Each packet and greeting may change the state, up to the end of it all. Who
 * has refused still reads, for the other one's refusal. */
static void take_bytes(struct conn *conn, const uint8_t *data, size_t size)
{
    size_t used;

    while (size > 0 && conn->state != CONN_CLOSED) {
        if (conn->state == CONN_UP)
            used = take_frames(conn, data, size);
        else
            used = take_greeting(conn, data, size);
        data += used;
        size -= used;
    }
}

static void on_space_wanted(uv_handle_t *handle, size_t suggested,
                            uv_buf_t *ret_buffer)
{
    struct conn *conn = container_of(handle, struct conn, tcp);
    uint8_t *space = conn->shared->scratch;
    size_t size = CONN_SCRATCH_SIZE;
    uint8_t *target;
    size_t target_size;

    (void)suggested;
    if (conn->state == CONN_UP) {
        target_size = frame_decoder_space(conn->decoder, &target);
        if (target_size >= DIRECT_SIZE_MIN) {
            space = target;
            size = target_size;
        }
    }
    *ret_buffer = uv_buf_init((char *)space, (unsigned)size);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct conn *conn = container_of(stream, struct conn, tcp);
    struct err e = ERR_INIT;
    size_t size;
    int rc;

    if (count == 0 || conn->state == CONN_CLOSED)
        return;
    if (count < 0) {
        conn_fail_uv(conn, (int)count);
        return;
    }
    size = (size_t)count;
    conn->shared->counters.bytes_in += size;
    if (buffer->base == (char *)conn->shared->scratch) {
        take_bytes(conn, conn->shared->scratch, size);
        return;
    }
    rc = frame_decoder_filled(conn->decoder, size, &e);
    deliver(conn, rc, &e);
}

void conn_greet(struct conn *conn)
{
    const struct hello_message message = {.kind = HELLO_HELLO,
                                          .hello = conn->ours};
    int rc;

    conn_become(conn, CONN_GREETING);
    rc = uv_read_start((uv_stream_t *)&conn->tcp, on_space_wanted, on_read);
    if (rc != 0)
        conn_fail_uv(conn, rc);
    else
        say(conn, &message);
}
