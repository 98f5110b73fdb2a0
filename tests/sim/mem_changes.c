/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/mem_changes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/mem.h"

enum { CHANGE_OVERHEAD_BYTES = 4 };

struct mem_change {
    struct buf *key;   /* or the begin of a range that is deleted */
    struct buf *end;   /* of the range, NULL for a single key */
    struct buf *value; /* NULL: deleted */
};

static struct slice slice_of(const struct buf *b)
{
    return (struct slice){b->data, b->size};
}

static struct mem_change *add(struct mem_changes *changes, struct slice key)
{
    struct mem_change *change;

    changes->items = mem_grow(changes->items, sizeof *changes->items,
                              &changes->count_max, changes->count + 1);
    change = &changes->items[changes->count++];
    *change = (struct mem_change){.key = buf_copy(key.data, key.size)};
    changes->size_bytes += key.size + CHANGE_OVERHEAD_BYTES;
    return change;
}

/* The parts one after the other. */
static struct buf *join(const struct slice *parts, size_t part_count)
{
    size_t size = 0;
    size_t offset = 0;
    struct buf *value;

    for (size_t i = 0; i < part_count; i++)
        size += parts[i].size;
    value = buf_new(size);
    assert(value != NULL && "out of memory");
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].size > 0)
            memcpy(value->data + offset, parts[i].data, parts[i].size);
        offset += parts[i].size;
    }
    return value;
}

void mem_changes_put(struct mem_changes *changes, struct slice key,
                     const struct slice *parts, size_t part_count)
{
    struct mem_change *change = add(changes, key);

    change->value = join(parts, part_count);
    changes->size_bytes += change->value->size;
}

void mem_changes_delete(struct mem_changes *changes, struct slice key)
{
    (void)add(changes, key);
}

void mem_changes_delete_range(struct mem_changes *changes, struct slice begin,
                              struct slice end)
{
    struct mem_change *change = add(changes, begin);

    change->end = buf_copy(end.data, end.size);
    changes->size_bytes += end.size;
}

void mem_changes_clear(struct mem_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        buf_unref(changes->items[i].key);
        buf_unref(changes->items[i].end);
        buf_unref(changes->items[i].value);
    }
    changes->count = 0;
    changes->size_bytes = 0;
}

void mem_changes_close(struct mem_changes *changes)
{
    mem_changes_clear(changes);
    free(changes->items);
}

void mem_changes_apply(const struct mem_changes *changes, struct mem_map *map,
                       uint64_t sequence, bool ingested)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct mem_change *c = &changes->items[i];
        const struct mem_write write = {sequence, ingested, c->value};

        if (c->end != NULL)
            mem_map_delete_range(map, slice_of(c->key), slice_of(c->end),
                                 &write);
        else
            mem_map_set(map, slice_of(c->key), &write);
    }
}
