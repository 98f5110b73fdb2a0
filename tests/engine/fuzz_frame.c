/* SPDX-License-Identifier: Apache-2.0 */

/* Fuzzes the decoder of frames. The first byte says in what pieces the others
 * arrive; what comes out must not depend on it, and must make the bytes again
 * that went in. Bytes rarely have a right checksum by chance, so each input is
 * tried once as it is and once with the checksum put right. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "engine/frame.h"
#include "engine/frame_prefix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    int rc;
    size_t used;  /* of whole packets */
    size_t count; /* of packets */
};

static void check_same_bytes(const struct env_packet *packet,
                             const uint8_t *bytes, size_t size)
{
    struct frame *frame;
    const int rc = frame_new(&frame, packet, NULL);
    size_t at = 0;

    assert(rc == 0);
    assert(frame->size <= size);
    for (size_t i = 0; i < frame->vec_count; i++) {
        assert(memcmp(frame->vecs[i].iov_base, bytes + at,
                      frame->vecs[i].iov_len) == 0);
        at += frame->vecs[i].iov_len;
    }
    frame_free(frame);
}

/* Into the decoder's own memory, as large payloads are read. */
static int feed_directly(struct frame_decoder *d, const uint8_t *data,
                         size_t size, size_t *ret_used, struct err *e)
{
    uint8_t *space;
    size_t piece = frame_decoder_space(d, &space);

    if (piece > size)
        piece = size;
    memcpy(space, data, piece);
    *ret_used = piece;
    return frame_decoder_filled(d, piece, e);
}

static struct outcome decode(const uint8_t *data, size_t size, uint8_t cut)
{
    struct frame_decoder *d = frame_decoder_new();
    struct outcome out = {.rc = 0};
    struct err e = ERR_INIT;
    size_t at = 0;
    size_t used;

    while (out.rc == 0 && at < size) {
        const size_t piece = cut == 0 || cut > size - at ? size - at : cut;

        out.rc = cut % 2 == 0
                     ? frame_decoder_feed(d, data + at, piece, &used, &e)
                     : feed_directly(d, data + at, piece, &used, &e);
        at += used;
        if (out.rc == 0 && frame_decoder_packet(d) != NULL) {
            check_same_bytes(frame_decoder_packet(d), data + out.used,
                             at - out.used);
            out.used = at;
            out.count++;
        }
    }
    assert(out.rc == 0 || e.text[0] != '\0');
    frame_decoder_free(d);
    return out;
}

static void try(const uint8_t *data, size_t size, uint8_t cut)
{
    const struct outcome whole = decode(data, size, 0);
    const struct outcome pieces = decode(data, size, cut);

    assert(whole.rc == pieces.rc);
    assert(whole.used == pieces.used);
    assert(whole.count == pieces.count);
}

/* As if all of it were one frame. */
static void repair_checksum(uint8_t *bytes, size_t size)
{
    XXH3_state_t *state = XXH3_createState();
    uint64_t sum;

    assert(state != NULL);
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, bytes, FRAME_CHECKSUM_OFFSET);
    XXH3_64bits_update(state, bytes + FRAME_PREFIX_SIZE,
                       size - FRAME_PREFIX_SIZE);
    sum = htole64(XXH3_64bits_digest(state));
    memcpy(bytes + FRAME_CHECKSUM_OFFSET, &sum, sizeof sum);
    XXH3_freeState(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t cut = size > 0 ? data[0] : 0;
    uint8_t *bytes;

    if (size == 0)
        return 0;
    data++;
    size--;
    try(data, size, cut);
    if (size < FRAME_PREFIX_SIZE)
        return 0;
    bytes = malloc(size);
    assert(bytes != NULL);
    memcpy(bytes, data, size);
    repair_checksum(bytes, size);
    try(bytes, size, cut);
    free(bytes);
    return 0;
}
