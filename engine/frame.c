/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/frame.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY /* A hash state on the stack. */
#include <xxhash.h>

#include "engine/frame_prefix.h"
#include "raft/base/mem.h"

static int check_limits(const struct env_packet *packet, size_t *ret_size,
                        struct err *e)
{
    size_t size = FRAME_PREFIX_SIZE + packet->header->size;

    if (packet->header->size > FRAME_HEADER_SIZE_MAX)
        return err_set(e, ERR_TOO_LARGE, "packet with a header of %zu bytes",
                       packet->header->size);
    if (packet->payload_count > FRAME_PAYLOADS_MAX)
        return err_set(e, ERR_TOO_LARGE, "packet with %zu payloads",
                       packet->payload_count);
    for (size_t i = 0; i < packet->payload_count; i++) {
        if (packet->payloads[i]->size > FRAME_PAYLOAD_SIZE_MAX)
            return err_set(e, ERR_TOO_LARGE,
                           "packet with %zu bytes in one "
                           "payload",
                           packet->payloads[i]->size);
        size += sizeof(uint32_t) + packet->payloads[i]->size;
    }
    if (size > FRAME_SIZE_MAX)
        return err_set(e, ERR_TOO_LARGE, "packet of %zu bytes", size);

    *ret_size = size;
    return 0;
}

/* One piece of memory: the frame, its vectors, its references and the bytes
 * before the header. */
struct layout {
    struct frame frame;
    struct iovec *vecs;
    struct buf **buffers;
    uint8_t *lead;
    size_t lead_size;
};

static struct layout *layout_new(size_t payload_count)
{
    const size_t buffer_count = 1 + payload_count;
    const size_t vecs_size = (1 + buffer_count) * sizeof(struct iovec);
    const size_t refs_size = buffer_count * sizeof(struct buf *);
    const size_t lead_size =
        FRAME_PREFIX_SIZE + payload_count * sizeof(uint32_t);
    struct layout *l = malloc(sizeof *l + vecs_size + refs_size + lead_size);

    assert(l != NULL && "out of memory");
    memset(l, 0, sizeof *l);
    l->vecs = (struct iovec *)(void *)(l + 1);
    l->buffers = (struct buf **)(void *)(l->vecs + 1 + buffer_count);
    l->lead = (uint8_t *)(l->buffers + buffer_count);
    l->lead_size = lead_size;
    return l;
}

static void add_vec(struct layout *l, void *data, size_t size)
{
    if (size == 0)
        return;
    l->vecs[l->frame.vec_count++] =
        (struct iovec){.iov_base = data, .iov_len = size};
    l->frame.size += size;
}

static void add_buffer(struct layout *l, struct buf *b)
{
    l->buffers[l->frame.buffer_count++] = buf_ref(b);
    add_vec(l, b->data, b->size);
}

static uint64_t checksum(const struct layout *l)
{
    XXH3_state_t state;

    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, l->lead, FRAME_CHECKSUM_OFFSET);
    XXH3_64bits_update(&state, l->lead + FRAME_PREFIX_SIZE,
                       l->lead_size - FRAME_PREFIX_SIZE);
    for (size_t i = 0; i < l->frame.buffer_count; i++)
        XXH3_64bits_update(&state, l->buffers[i]->data, l->buffers[i]->size);
    return XXH3_64bits_digest(&state);
}

static void put_lead(struct layout *l, const struct env_packet *packet)
{
    struct frame_prefix prefix = {
        .type = packet->type,
        .header_size = (uint32_t)packet->header->size,
        .payload_count = (uint32_t)packet->payload_count,
    };
    uint32_t size;

    for (size_t i = 0; i < packet->payload_count; i++) {
        size = htole32((uint32_t)packet->payloads[i]->size);
        memcpy(l->lead + FRAME_PREFIX_SIZE + i * sizeof size, &size,
               sizeof size);
    }
    frame_prefix_put(l->lead, &prefix);
    prefix.checksum = checksum(l);
    frame_prefix_put(l->lead, &prefix);
}

int frame_new(struct frame **ret, const struct env_packet *packet,
              struct err *e)
{
    struct layout *l;
    size_t size = 0;
    int rc;

    assert(packet->header != NULL);
    rc = check_limits(packet, &size, e);
    if (rc != 0)
        return rc;

    l = layout_new(packet->payload_count);
    add_vec(l, l->lead, l->lead_size);
    add_buffer(l, packet->header);
    for (size_t i = 0; i < packet->payload_count; i++)
        add_buffer(l, packet->payloads[i]);
    assert(l->frame.size == size);
    put_lead(l, packet);
    l->frame.vecs = l->vecs;
    l->frame.buffers = l->buffers;
    *ret = &l->frame;
    return 0;
}

void frame_free(struct frame *frame)
{
    if (frame == NULL)
        return;

    for (size_t i = 0; i < frame->buffer_count; i++)
        buf_unref(frame->buffers[i]);
    free(container_of(frame, struct layout, frame));
}

size_t frame_unsent(const struct frame *frame, struct iovec *ret_vecs,
                    size_t vec_count_max)
{
    size_t skip = frame->sent;
    size_t count = 0;

    assert(frame->sent <= frame->size);
    for (size_t i = 0; i < frame->vec_count && count < vec_count_max; i++) {
        const struct iovec *vec = &frame->vecs[i];

        if (skip >= vec->iov_len) {
            skip -= vec->iov_len;
            continue;
        }
        ret_vecs[count++] = (struct iovec){
            .iov_base = (uint8_t *)vec->iov_base + skip,
            .iov_len = vec->iov_len - skip,
        };
        skip = 0;
    }
    return count;
}

void frame_queue_init(struct frame_queue *queue)
{
    STAILQ_INIT(&queue->frames);
    queue->count = 0;
    queue->size_bytes = 0;
}

void frame_queue_push(struct frame_queue *queue, struct frame *frame)
{
    STAILQ_INSERT_TAIL(&queue->frames, frame, link);
    queue->count++;
    queue->size_bytes += frame->size - frame->sent;
}

struct frame *frame_queue_pop(struct frame_queue *queue)
{
    struct frame *frame = STAILQ_FIRST(&queue->frames);

    if (frame == NULL)
        return NULL;

    STAILQ_REMOVE_HEAD(&queue->frames, link);
    queue->count--;
    queue->size_bytes -= frame->size - frame->sent;
    return frame;
}

void frame_queue_move(struct frame_queue *to, struct frame_queue *from)
{
    STAILQ_CONCAT(&to->frames, &from->frames);
    to->count += from->count;
    to->size_bytes += from->size_bytes;
    frame_queue_init(from);
}

size_t frame_queue_sent(struct frame_queue *queue, size_t size)
{
    struct frame *frame;
    size_t done = 0;

    assert(size <= queue->size_bytes);
    while (size > 0) {
        frame = STAILQ_FIRST(&queue->frames);
        if (size < frame->size - frame->sent) {
            frame->sent += size;
            queue->size_bytes -= size;
            return done;
        }
        size -= frame->size - frame->sent;
        frame_free(frame_queue_pop(queue));
        done++;
    }
    return done;
}

size_t frame_queue_clear(struct frame_queue *queue)
{
    struct frame *frame;
    size_t count = 0;

    while ((frame = frame_queue_pop(queue)) != NULL) {
        frame_free(frame);
        count++;
    }
    return count;
}

void frame_queue_check(const struct frame_queue *queue)
{
    const struct frame *frame;
    size_t count = 0;
    size_t size_bytes = 0;

    STAILQ_FOREACH (frame, &queue->frames, link) {
        assert(frame->sent < frame->size);
        assert(frame->sent == 0 || count == 0);
        size_bytes += frame->size - frame->sent;
        count++;
    }
    assert(count == queue->count);
    assert(size_bytes == queue->size_bytes);
}
