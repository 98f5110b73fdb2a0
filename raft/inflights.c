/* SPDX-License-Identifier: Apache-2.0 */

/* A ring of unacknowledged messages. */

#include "raft/inflights.h"

#include <assert.h>
#include <stdlib.h>

#include "raft/base/mem.h"

enum { RING_SIZE_MIN = 8 };

struct inflight {
    uint64_t index;
    uint64_t bytes;
};

static struct inflight *at(const struct inflights *f, size_t i)
{
    return &f->ring[(f->start + i) % f->ring_size];
}

void inflights_init(struct inflights *f, size_t count_max, uint64_t bytes_max)
{
    assert(count_max > 0);
    *f = (struct inflights){.count_max = count_max, .bytes_max = bytes_max};
}

void inflights_close(struct inflights *f)
{
    free(f->ring);
    f->ring = NULL;
    f->ring_size = 0;
    f->count = 0;
}

/* Doubles the ring and unrolls it, so that it starts at 0. */
static void grow(struct inflights *f)
{
    size_t size = f->ring_size == 0 ? RING_SIZE_MIN : f->ring_size * 2;
    struct inflight *ring;

    if (size > f->count_max)
        size = f->count_max;
    ring = mem_zalloc(size * sizeof *ring);
    for (size_t i = 0; i < f->count; i++)
        ring[i] = *at(f, i);

    free(f->ring);
    f->ring = ring;
    f->ring_size = size;
    f->start = 0;
}

void inflights_add(struct inflights *f, uint64_t index, uint64_t bytes)
{
    assert(!inflights_full(f));
    if (f->count == f->ring_size)
        grow(f);
    f->count++;
    *at(f, f->count - 1) = (struct inflight){index, bytes};
    f->bytes += bytes;
}

void inflights_free_to(struct inflights *f, uint64_t index)
{
    while (f->count > 0 && at(f, 0)->index <= index) {
        f->bytes -= at(f, 0)->bytes;
        f->start = (f->start + 1) % f->ring_size;
        f->count--;
    }
}

void inflights_reset(struct inflights *f)
{
    f->start = 0;
    f->count = 0;
    f->bytes = 0;
}

bool inflights_full(const struct inflights *f)
{
    return f->count >= f->count_max ||
           (f->bytes_max != 0 && f->bytes >= f->bytes_max);
}

void inflights_check(const struct inflights *f)
{
    uint64_t bytes = 0;

    assert(f->count <= f->ring_size);
    assert(f->count <= f->count_max);
    for (size_t i = 0; i < f->count; i++) {
        bytes += at(f, i)->bytes;
        assert(i == 0 || at(f, i - 1)->index < at(f, i)->index);
    }
    assert(bytes == f->bytes);
}
