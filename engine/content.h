/* SPDX-License-Identifier: Apache-2.0 */

/* The content of a value, inline or in chunks.
 *
 * 1. size <= INLINE_SIZE_MAX: the content is in the entry record, no chunk
 *    exists.
 * 2. Else the record has none and it lies in chunks of CHUNK_SIZE; an absent
 *    chunk and the part behind a short one read as zeros.
 * 3. No stored byte lies at or beyond the size, so that growing shows zeros.
 * 4. The chunks are numbered from the record's `chunk_base` on, which is 0 or
 *    CHUNK_BASE_OTHER: so the content of the file that a transaction is to put
 *    in place of another lies beside the other's.
 *
 * The functions that change content put chunks into the command's batch and
 * leave the rest to do in `entry`: size, and inline content that points into
 * `*ret_inline`, which the caller drops after the entry was encoded. */

#ifndef GROVEFS_ENGINE_CONTENT_H
#define GROVEFS_ENGINE_CONTENT_H

#include "engine/exec.h"

/* Where an entry lies, and the number of its first chunk there. */
struct place {
    uint64_t dir;
    struct slice name;
    uint32_t chunk_base;
};

static inline struct place place_of(uint64_t dir, struct slice name,
                                    const struct entry *entry)
{
    return (struct place){dir, name, entry->chunk_base};
}

/* Writes `data` at `offset`. ERR_NO_MEMORY, ERR_CORRUPT, ERR_IO. */
int content_write(struct exec *x, struct place place, struct entry *entry,
                  uint64_t offset, struct slice data, struct buf **ret_inline);

/* Cuts or extends. Errors as above. */
int content_resize(struct exec *x, struct place place, struct entry *entry,
                   uint64_t size, struct buf **ret_inline);

/* Puts whole chunks, or the last part, of a large content; `offset` is where a
 * chunk begins. */
void content_put(struct exec *x, struct place place, uint64_t offset,
                 struct slice data);

/* Deletes the chunks of an entry of this size. */
void content_delete(struct exec *x, struct place place, uint64_t size);

/* Copies the chunks of an entry of `size` from one place to another, deleting
 * those that an entry of `old_size` has had there. Does not delete the
 * source. */
int content_copy(struct exec *x, struct place from, uint64_t size,
                 struct place to, uint64_t old_size);

/* Reads [offset, offset + size) as far as the content goes into `to`, from
 * the moment of `snapshot` (NULL: now). `*ret_size` is how much it was. */
int content_read(struct kv *state, const struct kv_snapshot *snapshot,
                 struct place place, const struct entry *entry, uint64_t offset,
                 size_t size, uint8_t *to, size_t *ret_size);

#endif
