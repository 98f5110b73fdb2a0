/* SPDX-License-Identifier: Apache-2.0 */

#include "codec_helpers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS_MAX = 2 * 1024 * 1024 };

struct attr filled_attr(uint64_t seed)
{
    return (struct attr){
        .ino = UINT64_MAX - seed,
        .size = (UINT64_C(1) << 40) + seed,
        .mode = 0100644,
        .uid = 1000 + (uint32_t)seed,
        .gid = UINT32_MAX - (uint32_t)seed,
        .entry_count = 7 + (uint32_t)seed,
        .atime_ns = INT64_MIN + (int64_t)seed,
        .mtime_ns = INT64_MAX - (int64_t)seed,
        .ctime_ns = -1 - (int64_t)seed,
        .version = (UINT64_C(1) << 63) + seed,
    };
}

struct txn_ref filled_txn(uint64_t seed)
{
    return (struct txn_ref){
        .id = {seed + 1, seed + 2, UINT64_MAX - seed},
        .dir = seed + 3,
        .to_dir = seed + 4,
        .name = slice_of("from here"),
        .to_name = slice_of("to there"),
        .opens_nsid = seed + 5,
        .closes_nsid = seed + 6,
    };
}

struct slice letters(size_t size)
{
    static char text[LETTERS_MAX];

    assert(size <= LETTERS_MAX);
    memset(text, 'x', sizeof text);
    return (struct slice){text, size};
}

void assert_slice_equal(struct slice a, struct slice b)
{
    assert_int_equal(a.size, b.size);
    if (a.size > 0)
        assert_memory_equal(a.data, b.data, a.size);
}

void assert_attr_equal(const struct attr *a, const struct attr *b)
{
    assert_memory_equal(a, b, sizeof *a);
}

void assert_txn_equal(const struct txn_ref *a, const struct txn_ref *b)
{
    assert_true(txn_id_equal(a->id, b->id));
    assert_int_equal(a->dir, b->dir);
    assert_int_equal(a->to_dir, b->to_dir);
    assert_slice_equal(a->name, b->name);
    assert_slice_equal(a->to_name, b->to_name);
    assert_int_equal(a->opens_nsid, b->opens_nsid);
    assert_int_equal(a->closes_nsid, b->closes_nsid);
}

static size_t varint_put(uint8_t *to, uint64_t number)
{
    size_t size = 0;

    for (; number >= 0x80; number >>= 7)
        to[size++] = (uint8_t)(number | 0x80);
    to[size++] = (uint8_t)number;
    return size;
}

static struct buf *joined(struct buf *b, struct slice middle, struct slice end)
{
    struct buf *longer = buf_new(b->size + middle.size + end.size);

    assert(longer != NULL);
    memcpy(longer->data, b->data, b->size);
    memcpy(longer->data + b->size, middle.data, middle.size);
    if (end.size > 0)
        memcpy(longer->data + b->size + middle.size, end.data, end.size);
    buf_unref(b);
    return longer;
}

struct buf *with_bytes(struct buf *b, unsigned field, struct slice value)
{
    uint8_t head[20];
    size_t size = varint_put(head, field << 3 | 2);

    size += varint_put(head + size, value.size);
    return joined(b, (struct slice){head, size}, value);
}

struct buf *with_number(struct buf *b, unsigned field, uint64_t value)
{
    uint8_t head[20];
    size_t size = varint_put(head, field << 3);

    size += varint_put(head + size, value);
    return joined(b, (struct slice){head, size}, (struct slice){NULL, 0});
}

void assert_decodes_to(int expected, decoder *decode, struct buf *b)
{
    int rc = decode(buf_slice(b));

    buf_unref(b);
    assert_int_equal(rc, expected);
}

/* From memory of exactly this size, so that ASan sees a read behind it. */
static void decode_copy(decoder *decode, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + (size == 0));
    int rc;

    assert(copy != NULL);
    memcpy(copy, data, size);
    rc = decode((struct slice){copy, size});
    free(copy);
    assert_true(rc == 0 || rc == ERR_CORRUPT || rc == ERR_VERSION ||
                rc == ERR_PROTOCOL);
}

void assert_damage_is_survived(decoder *decode, struct buf *b)
{
    for (size_t size = 0; size < b->size; size++)
        decode_copy(decode, b->data, size);
    for (size_t i = 0; i < b->size; i++) {
        uint8_t byte = b->data[i];

        for (unsigned bit = 0; bit < 8; bit++) {
            b->data[i] = (uint8_t)(byte ^ 1U << bit);
            decode_copy(decode, b->data, b->size);
        }
        b->data[i] = byte;
    }
    buf_unref(b);
}
