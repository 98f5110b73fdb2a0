/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/content.h"

#include <assert.h>
#include <string.h>

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool is_chunked(uint64_t size)
{
    return size > INLINE_SIZE_MAX;
}

static uint32_t chunk_count(uint64_t size)
{
    if (!is_chunked(size))
        return 0;
    return (uint32_t)((size + CHUNK_SIZE - 1) / CHUNK_SIZE);
}

static struct key chunk_key(struct place place, uint32_t number)
{
    return key_chunk(place.dir, place.name, place.chunk_base + number);
}

/* Reads the stored part of one chunk into CHUNK_SIZE bytes; zeros behind. */
static int chunk_read(struct kv *state, const struct kv_snapshot *snapshot,
                      struct place place, uint32_t number, uint8_t *to)
{
    struct key key = chunk_key(place, number);
    struct kv_value value = {0};
    int rc = kv_get(state, snapshot, key_slice(&key), &value);

    if (rc == ERR_NOT_FOUND) {
        memset(to, 0, CHUNK_SIZE);
        return 0;
    }
    if (rc != 0)
        return rc;
    if (value.size > CHUNK_SIZE) {
        kv_value_release(&value);
        return ERR_CORRUPT;
    }
    memcpy(to, value.data, value.size);
    memset(to + value.size, 0, CHUNK_SIZE - value.size);
    kv_value_release(&value);
    return 0;
}

static void chunk_put(struct exec *x, struct place place, uint32_t number,
                      const uint8_t *data, size_t size)
{
    struct key key = chunk_key(place, number);

    kv_batch_put(x->batch, key_slice(&key), (struct slice){data, size});
}

static void chunks_delete(struct exec *x, struct place place, uint32_t first,
                          uint32_t end)
{
    for (uint32_t number = first; number < end; number++) {
        struct key key = chunk_key(place, number);

        kv_batch_delete(x->batch, key_slice(&key));
    }
}

void content_delete(struct exec *x, struct place place, uint64_t size)
{
    chunks_delete(x, place, 0, chunk_count(size));
}

void content_put(struct exec *x, struct place place, uint64_t offset,
                 struct slice data)
{
    const uint8_t *bytes = data.data;

    assert(offset % CHUNK_SIZE == 0);
    for (size_t done = 0; done < data.size; done += CHUNK_SIZE)
        chunk_put(x, place, (uint32_t)((offset + done) / CHUNK_SIZE),
                  bytes + done, (size_t)min_u64(data.size - done, CHUNK_SIZE));
}

/* The old content of one chunk, wherever it is, in CHUNK_SIZE bytes. */
static int old_chunk_read(struct exec *x, struct place place,
                          const struct entry *entry, uint32_t number,
                          uint8_t *to)
{
    if (is_chunked(entry->attr.size))
        return chunk_read(x->state, NULL, place, number, to);

    memset(to, 0, CHUNK_SIZE);
    if (number == 0 && entry->content.size > 0)
        memcpy(to, entry->content.data, entry->content.size);
    return 0;
}

/* Puts one chunk of the new content: old bytes, with `data` laid over them. */
static int chunk_merge(struct exec *x, struct place place,
                       const struct entry *entry, uint32_t number,
                       uint64_t size, uint64_t offset, struct slice data)
{
    uint8_t chunk[CHUNK_SIZE];
    uint64_t begin = (uint64_t)number * CHUNK_SIZE;
    uint64_t end = min_u64(begin + CHUNK_SIZE, size);
    uint64_t from = offset > begin ? offset : begin;
    uint64_t to = min_u64(offset + data.size, end);
    int rc;

    if (from > begin || to < end) {
        rc = old_chunk_read(x, place, entry, number, chunk);
        if (rc != 0)
            return rc;
    }
    if (from < to)
        memcpy(chunk + (from - begin),
               (const uint8_t *)data.data + (from - offset), to - from);
    chunk_put(x, place, number, chunk, end - begin);
    return 0;
}

static int write_chunks(struct exec *x, struct place place, struct entry *entry,
                        uint64_t size, uint64_t offset, struct slice data)
{
    uint32_t first = (uint32_t)(offset / CHUNK_SIZE);
    uint32_t last = (uint32_t)((offset + data.size - 1) / CHUNK_SIZE);
    int rc = 0;

    if (!is_chunked(entry->attr.size) && entry->content.size > 0 && first > 0)
        chunk_put(x, place, 0, entry->content.data, entry->content.size);
    for (uint32_t number = first; number <= last && rc == 0; number++)
        rc = chunk_merge(x, place, entry, number, size, offset, data);
    return rc;
}

static int write_inline(struct entry *entry, uint64_t size, uint64_t offset,
                        struct slice data, struct buf **ret_inline)
{
    struct buf *bytes = buf_new(size);

    if (bytes == NULL)
        return ERR_NO_MEMORY;
    memset(bytes->data, 0, size);
    if (entry->content.size > 0)
        memcpy(bytes->data, entry->content.data,
               min_u64(entry->content.size, size));
    if (data.size > 0)
        memcpy(bytes->data + offset, data.data, data.size);
    entry->content = buf_slice(bytes);
    *ret_inline = bytes;
    return 0;
}

int content_write(struct exec *x, struct place place, struct entry *entry,
                  uint64_t offset, struct slice data, struct buf **ret_inline)
{
    uint64_t size = entry->attr.size;
    int rc;

    assert(data.size > 0);
    if (offset + data.size > size)
        size = offset + data.size;
    if (!is_chunked(size)) {
        rc = write_inline(entry, size, offset, data, ret_inline);
    } else {
        rc = write_chunks(x, place, entry, size, offset, data);
        entry->content = (struct slice){NULL, 0};
    }
    entry->attr.size = size;
    return rc;
}

/* From chunks to inline, or shorter inline. */
static int shrink_to_inline(struct exec *x, struct place place,
                            struct entry *entry, uint64_t size,
                            struct buf **ret_inline)
{
    uint8_t chunk[CHUNK_SIZE];
    int rc;

    if (is_chunked(entry->attr.size)) {
        rc = chunk_read(x->state, NULL, place, 0, chunk);
        if (rc != 0)
            return rc;
        content_delete(x, place, entry->attr.size);
        entry->content = (struct slice){chunk, size};
    }
    if (entry->content.size > size)
        entry->content.size = size;
    return write_inline(entry, size, 0, (struct slice){NULL, 0}, ret_inline);
}

static int shrink_chunks(struct exec *x, struct place place,
                         const struct entry *entry, uint64_t size)
{
    uint8_t chunk[CHUNK_SIZE];
    uint32_t count = chunk_count(size);
    uint64_t rest = size - (uint64_t)(count - 1) * CHUNK_SIZE;
    int rc;

    rc = chunk_read(x->state, NULL, place, count - 1, chunk);
    if (rc != 0)
        return rc;
    chunks_delete(x, place, count, chunk_count(entry->attr.size));
    chunk_put(x, place, count - 1, chunk, rest);
    return 0;
}

int content_resize(struct exec *x, struct place place, struct entry *entry,
                   uint64_t size, struct buf **ret_inline)
{
    uint64_t old_size = entry->attr.size;
    int rc = 0;

    if (!is_chunked(size)) {
        rc = shrink_to_inline(x, place, entry, size, ret_inline);
    } else {
        if (size < old_size)
            rc = shrink_chunks(x, place, entry, size);
        else if (!is_chunked(old_size) && entry->content.size > 0)
            chunk_put(x, place, 0, entry->content.data, entry->content.size);
        entry->content = (struct slice){NULL, 0};
    }
    entry->attr.size = size;
    return rc;
}

int content_copy(struct exec *x, struct place from, uint64_t size,
                 struct place to, uint64_t old_size)
{
    for (uint32_t number = 0; number < chunk_count(size); number++) {
        struct key key = chunk_key(from, number);
        struct key to_key = chunk_key(to, number);
        struct kv_value value = {0};
        int rc = kv_get(x->state, NULL, key_slice(&key), &value);

        if (rc != 0 && rc != ERR_NOT_FOUND)
            return rc;
        if (rc == 0)
            kv_batch_put(x->batch, key_slice(&to_key),
                         (struct slice){value.data, value.size});
        else if (number < chunk_count(old_size))
            kv_batch_delete(x->batch, key_slice(&to_key));
        kv_value_release(&value);
    }
    chunks_delete(x, to, chunk_count(size), chunk_count(old_size));
    return 0;
}

int content_read(struct kv *state, const struct kv_snapshot *snapshot,
                 struct place place, const struct entry *entry, uint64_t offset,
                 size_t size, uint8_t *to, size_t *ret_size)
{
    uint64_t end = min_u64(offset + size, entry->attr.size);
    size_t done = 0;

    *ret_size = 0;
    if (offset >= end)
        return 0;
    if (!is_chunked(entry->attr.size)) {
        if (entry->content.size != entry->attr.size)
            return ERR_CORRUPT;
        memcpy(to, (const uint8_t *)entry->content.data + offset, end - offset);
        *ret_size = end - offset;
        return 0;
    }
    while (offset + done < end) {
        uint8_t chunk[CHUNK_SIZE];
        uint64_t position = offset + done;
        size_t skip = position % CHUNK_SIZE;
        size_t part = (size_t)min_u64(CHUNK_SIZE - skip, end - position);
        int rc = chunk_read(state, snapshot, place,
                            (uint32_t)(position / CHUNK_SIZE), chunk);

        if (rc != 0)
            return rc;
        memcpy(to + done, chunk + skip, part);
        done += part;
    }
    *ret_size = done;
    return 0;
}
