/* SPDX-License-Identifier: Apache-2.0 */

/* Packets as bytes on a connection.
 *
 * A frame is (all numbers little endian)
 *
 *     offset size
 *      0      4   magic "GRVF"
 *      4      2   version of this layout, 1
 *      6      2   type of the packet
 *      8      4   size of the header, at most FRAME_HEADER_SIZE_MAX
 *     12      4   number of payloads, at most FRAME_PAYLOADS_MAX
 *     16      8   XXH3-64 of all other bytes of the frame, in their order
 *     24      4n  sizes of the payloads, each at most FRAME_PAYLOAD_SIZE_MAX
 *             ..  the header, then the payloads, nothing between them
 *
 * and at most FRAME_SIZE_MAX bytes in all. Neither side copies the header or
 * a payload: a frame to be sent points to the packet's buffers, and received
 * bytes can be read from the socket into the buffer that they belong to.
 *
 * No threads of its own: a frame or decoder belongs to one thread at a time.
 */

#ifndef GROVEFS_ENGINE_FRAME_H
#define GROVEFS_ENGINE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "engine/env.h"
#include "raft/base/buf.h"
#include "raft/base/err.h"

enum {
    FRAME_VERSION = 1,
    FRAME_PREFIX_SIZE = 24,
    FRAME_HEADER_SIZE_MAX = 1024 * 1024,
    FRAME_PAYLOAD_SIZE_MAX = 2 * 1024 * 1024,
    FRAME_PAYLOADS_MAX = 1024,
    FRAME_SIZE_MAX = 16 * 1024 * 1024
};

/* A packet ready to be sent. Its bytes are those of `vecs`, one after the
 * other; none of them is empty. */
struct frame {
    size_t size;                /* public, read-only */
    const struct iovec *vecs;   /* public, read-only */
    size_t vec_count;           /* public, read-only */
    size_t sent;                /* public: bytes that have left, the sender's */
    STAILQ_ENTRY(frame) link;   /* public: the owner's */
    struct buf *const *buffers; /* private from here on */
    size_t buffer_count;
};

/* Lays out a packet and takes references to its buffers. ERR_TOO_LARGE when
 * it is beyond a limit of the format. */
int frame_new(struct frame **ret, const struct env_packet *packet,
              struct err *e);

/* Takes NULL. */
void frame_free(struct frame *frame);

/* Fills `ret_vecs` with at most `vec_count_max` pieces of what is not sent
 * yet. Returns how many. */
size_t frame_unsent(const struct frame *frame, struct iovec *ret_vecs,
                    size_t vec_count_max);

/* Frames in the order of sending. Owns them. Zeroed memory is not ready. */
struct frame_queue {
    STAILQ_HEAD(, frame) frames;
    size_t count;
    size_t size_bytes; /* unsent ones only */
};

void frame_queue_init(struct frame_queue *queue);
void frame_queue_push(struct frame_queue *queue, struct frame *frame);
/* The first frame, now the caller's; NULL when empty. */
struct frame *frame_queue_pop(struct frame_queue *queue);
/* Moves everything in `from` to the end of `to`. */
void frame_queue_move(struct frame_queue *to, struct frame_queue *from);
/* Notes that `size` more bytes have left, frees the frames that are done and
 * returns how many those were. */
size_t frame_queue_sent(struct frame_queue *queue, size_t size);
/* Frees all frames and returns how many there were. */
size_t frame_queue_clear(struct frame_queue *queue);
void frame_queue_check(const struct frame_queue *queue);

/* Bytes in, packets out. Loop:
 *
 *     feed bytes → when frame_decoder_packet() is not NULL use it → …
 *
 * After an error the decoder is of no more use: free it. */
struct frame_decoder;

struct frame_decoder *frame_decoder_new(void);
void frame_decoder_free(struct frame_decoder *d); /* Takes NULL. */

/* Copies in bytes, but none beyond the end of the current frame; so it is
 * called again until everything was used. ERR_PROTOCOL with the reason for
 * anything malformed, ERR_NO_MEMORY. */
int frame_decoder_feed(struct frame_decoder *d, const void *data, size_t size,
                       size_t *ret_used, struct err *e);

/* Where the next bytes belong, and (returned) how many of them at most, at
 * least one: to read into directly. Then say with frame_decoder_filled() how
 * many there were; its errors are those of feeding. */
size_t frame_decoder_space(struct frame_decoder *d, uint8_t **ret_data);
int frame_decoder_filled(struct frame_decoder *d, size_t size, struct err *e);

/* The packet that the last feed completed, or NULL. Lent until the next call;
 * the buffers may be kept by taking references. */
const struct env_packet *frame_decoder_packet(const struct frame_decoder *d);

#endif
