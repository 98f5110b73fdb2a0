/* SPDX-License-Identifier: Apache-2.0 */

/* The first 24 bytes of a frame, shared by frame.c (out) and frame_decoder.c
 * (in). frame.h shows the layout. */

#ifndef GROVEFS_ENGINE_FRAME_PREFIX_H
#define GROVEFS_ENGINE_FRAME_PREFIX_H

#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/frame.h"

/* The checksum skips only itself: it stands last in the prefix. */
enum { FRAME_CHECKSUM_OFFSET = 16 };

#define FRAME_MAGIC UINT32_C(0x46565247) /* "GRVF" */

struct frame_prefix {
    uint16_t type;
    uint32_t header_size;
    uint32_t payload_count;
    uint64_t checksum;
};

/* How it lies on the wire. */
struct frame_prefix_bytes {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
    uint32_t header_size;
    uint32_t payload_count;
    uint64_t checksum;
};

static_assert(sizeof(struct frame_prefix_bytes) == FRAME_PREFIX_SIZE,
              "no padding");
static_assert(offsetof(struct frame_prefix_bytes, checksum) ==
                  FRAME_CHECKSUM_OFFSET,
              "the checksum is last");

static inline void frame_prefix_put(uint8_t *to,
                                    const struct frame_prefix *prefix)
{
    const struct frame_prefix_bytes bytes = {
        .magic = htole32(FRAME_MAGIC),
        .version = htole16(FRAME_VERSION),
        .type = htole16(prefix->type),
        .header_size = htole32(prefix->header_size),
        .payload_count = htole32(prefix->payload_count),
        .checksum = htole64(prefix->checksum),
    };

    memcpy(to, &bytes, sizeof bytes);
}

#endif
