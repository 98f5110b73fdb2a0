/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/frame.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/frame_prefix.h"
#include "raft/base/mem.h"

/* The stages of a frame follow each other; one that has no bytes is passed
 * over. Each is a target to fill and what to do when it is full. */
enum stage { STAGE_PREFIX, STAGE_TABLE, STAGE_HEADER, STAGE_PAYLOAD };

struct frame_decoder {
    enum stage stage;
    uint8_t *target; /* of the stage's bytes */
    size_t target_size;
    size_t filled;
    struct frame_prefix prefix;
    size_t payload_count; /* finished ones, and the one being filled */
    bool complete;
    bool failed;
    XXH3_state_t *hash;
    struct env_packet packet;
    uint8_t prefix_bytes[FRAME_PREFIX_SIZE];
    uint32_t table[FRAME_PAYLOADS_MAX]; /* as on the wire */
    struct buf *payloads[FRAME_PAYLOADS_MAX];
};

static void set_target(struct frame_decoder *d, enum stage stage, void *target,
                       size_t size)
{
    d->stage = stage;
    d->target = target;
    d->target_size = size;
    d->filled = 0;
}

/* Drops what belongs to the last frame and waits for the next. */
static void begin_frame(struct frame_decoder *d)
{
    buf_unref(d->packet.header);
    for (size_t i = 0; i < d->payload_count; i++)
        buf_unref(d->payloads[i]);
    d->packet = (struct env_packet){.payloads = d->payloads};
    d->payload_count = 0;
    d->complete = false;
    set_target(d, STAGE_PREFIX, d->prefix_bytes, sizeof d->prefix_bytes);
}

struct frame_decoder *frame_decoder_new(void)
{
    struct frame_decoder *d = mem_zalloc(sizeof *d);

    d->hash = XXH3_createState();
    assert(d->hash != NULL && "out of memory");
    begin_frame(d);
    return d;
}

void frame_decoder_free(struct frame_decoder *d)
{
    if (d == NULL)
        return;

    begin_frame(d);
    (void)XXH3_freeState(d->hash); /* Always succeeds. */
    free(d);
}

static int prefix_take(struct frame_decoder *d, struct err *e)
{
    struct frame_prefix_bytes bytes;

    memcpy(&bytes, d->prefix_bytes, sizeof bytes);
    d->prefix = (struct frame_prefix){
        .type = le16toh(bytes.type),
        .header_size = le32toh(bytes.header_size),
        .payload_count = le32toh(bytes.payload_count),
        .checksum = le64toh(bytes.checksum),
    };
    if (le32toh(bytes.magic) != FRAME_MAGIC)
        return err_set(e, ERR_PROTOCOL, "frame begins with 0x%08x, not a frame",
                       (unsigned)le32toh(bytes.magic));
    if (le16toh(bytes.version) != FRAME_VERSION)
        return err_set(e, ERR_PROTOCOL, "frame of unknown version %u",
                       (unsigned)le16toh(bytes.version));
    if (d->prefix.header_size > FRAME_HEADER_SIZE_MAX)
        return err_set(e, ERR_PROTOCOL, "frame with a header of %u bytes",
                       (unsigned)d->prefix.header_size);
    if (d->prefix.payload_count > FRAME_PAYLOADS_MAX)
        return err_set(e, ERR_PROTOCOL, "frame with %u payloads",
                       (unsigned)d->prefix.payload_count);

    XXH3_64bits_reset(d->hash);
    XXH3_64bits_update(d->hash, d->prefix_bytes, FRAME_CHECKSUM_OFFSET);
    return 0;
}

/* All sizes are settled before anything of that size is allocated. */
static int table_take(struct frame_decoder *d, struct err *e)
{
    size_t size = FRAME_PREFIX_SIZE + d->prefix.header_size +
                  d->prefix.payload_count * sizeof d->table[0];

    for (size_t i = 0; i < d->prefix.payload_count; i++) {
        d->table[i] = le32toh(d->table[i]);
        if (d->table[i] > FRAME_PAYLOAD_SIZE_MAX)
            return err_set(e, ERR_PROTOCOL,
                           "frame with %u bytes in payload "
                           "%zu",
                           (unsigned)d->table[i], i);
        size += d->table[i];
    }
    if (size > FRAME_SIZE_MAX)
        return err_set(e, ERR_PROTOCOL, "frame of %zu bytes", size);
    return 0;
}

static int fill_buffer(struct frame_decoder *d, enum stage stage,
                       struct buf **to, size_t size, struct err *e)
{
    *to = buf_new(size);
    if (*to == NULL)
        return err_set(e, ERR_NO_MEMORY, "no memory for %zu received bytes",
                       size);
    set_target(d, stage, (*to)->data, size);
    return 0;
}

static int next_payload(struct frame_decoder *d, struct err *e)
{
    const size_t i = d->payload_count;
    int rc;

    if (i < d->prefix.payload_count) {
        rc = fill_buffer(d, STAGE_PAYLOAD, &d->payloads[i], d->table[i], e);
        if (rc == 0)
            d->payload_count++;
        return rc;
    }

    if (XXH3_64bits_digest(d->hash) != d->prefix.checksum)
        return err_set(e, ERR_PROTOCOL, "frame with a wrong checksum");
    d->packet.type = d->prefix.type;
    d->packet.payload_count = d->payload_count;
    d->complete = true;
    return 0;
}

/* The stage is full: checks it and goes to the next. */
static int advance(struct frame_decoder *d, struct err *e)
{
    int rc;

    switch (d->stage) {
    case STAGE_PREFIX:
        rc = prefix_take(d, e);
        if (rc == 0)
            set_target(d, STAGE_TABLE, d->table,
                       d->prefix.payload_count * sizeof d->table[0]);
        return rc;
    case STAGE_TABLE:
        rc = table_take(d, e);
        if (rc != 0)
            return rc;
        return fill_buffer(d, STAGE_HEADER, &d->packet.header,
                           d->prefix.header_size, e);
    case STAGE_HEADER:
    case STAGE_PAYLOAD:
        return next_payload(d, e);
    }
    assert(false && "unknown stage");
    return ERR_PROTOCOL;
}

size_t frame_decoder_space(struct frame_decoder *d, uint8_t **ret_data)
{
    assert(!d->failed);
    if (d->complete)
        begin_frame(d);
    *ret_data = d->target + d->filled;
    assert(d->filled < d->target_size);
    return d->target_size - d->filled;
}

int frame_decoder_filled(struct frame_decoder *d, size_t size, struct err *e)
{
    int rc = 0;

    assert(!d->complete);
    assert(size <= d->target_size - d->filled);
    if (d->stage != STAGE_PREFIX) /* While the bytes are in the cache. */
        XXH3_64bits_update(d->hash, d->target + d->filled, size);
    d->filled += size;

    while (rc == 0 && !d->complete && d->filled == d->target_size)
        rc = advance(d, e);
    d->failed = rc != 0;
    return rc;
}

int frame_decoder_feed(struct frame_decoder *d, const void *data, size_t size,
                       size_t *ret_used, struct err *e)
{
    const uint8_t *from = data;
    size_t used = 0;
    uint8_t *space;
    size_t piece;
    int rc = 0;

    do {
        piece = frame_decoder_space(d, &space);
        if (piece > size - used)
            piece = size - used;
        if (piece > 0)
            memcpy(space, from + used, piece);
        used += piece;
        rc = frame_decoder_filled(d, piece, e);
    } while (rc == 0 && !d->complete && used < size);

    *ret_used = used;
    return rc;
}

const struct env_packet *frame_decoder_packet(const struct frame_decoder *d)
{
    return d->complete ? &d->packet : NULL;
}
