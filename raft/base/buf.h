/* SPDX-License-Identifier: Apache-2.0 */

/* Refcounted bytes, immutable once shared. One value may at the same time be
 * in a Raft log, in messages, in a running write and in an answer; nobody
 * copies it. References may be taken and dropped on any thread. */

#ifndef GROVEFS_RAFT_BASE_BUF_H
#define GROVEFS_RAFT_BASE_BUF_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    size_t size; /* public; may be lowered by the only owner before sharing */
    atomic_uint ref_count; /* private from here on */
    uint8_t data[];        /* public */
};

/* Uninitialised bytes with one reference, NULL when memory is out: the size
 * may come from a user or the wire. The caller has bounded it. */
struct buf *buf_new(size_t size);

/* A copy of `size` bytes; aborts when memory is out, for small sizes only. */
struct buf *buf_copy(const void *data, size_t size);

/* Takes one more reference and returns `b`; NULL stays NULL. */
struct buf *buf_ref(struct buf *b);

/* Drops one reference; the last one frees. Takes NULL. */
void buf_unref(struct buf *b);

#endif
