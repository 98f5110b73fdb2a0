/* SPDX-License-Identifier: Apache-2.0 */

#include "raft/base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct buf *buf_new(size_t size)
{
    struct buf *b;

    assert(size < SIZE_MAX - sizeof *b);
    b = malloc(sizeof *b + size);
    if (b == NULL)
        return NULL;
    b->size = size;
    atomic_init(&b->ref_count, 1);
    return b;
}

struct buf *buf_copy(const void *data, size_t size)
{
    struct buf *b = buf_new(size);

    assert(b != NULL);
    if (size > 0)
        memcpy(b->data, data, size);
    return b;
}

struct buf *buf_ref(struct buf *b)
{
    if (b != NULL)
        atomic_fetch_add_explicit(&b->ref_count, 1, memory_order_relaxed);
    return b;
}

void buf_unref(struct buf *b)
{
    unsigned before;

    if (b == NULL)
        return;

    before = atomic_fetch_sub_explicit(&b->ref_count, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1)
        free(b);
}
