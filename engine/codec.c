/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/codec.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wire.h"

/* One malloc serves a usual message: its structs fit in BLOCK_EXTRA and its
 * bytes into as much as was received. Others take more blocks, up to the
 * limit, which is far above what a message of ours needs. */
enum {
    BLOCK_EXTRA = 768,
    BLOCK_SIZE_MIN = 4096,
    LIMIT_EXTRA = 64 * 1024,
    LIMIT_FACTOR = 64
};

struct block {
    struct block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) uint8_t data[];
};

struct arena {
    struct block *first; /* the newest */
    size_t budget;       /* bytes that may still be taken in new blocks */
    bool no_memory;
};

/* ---- Packing ---------------------------------------------------------- */

struct buf *codec_pack(const ProtobufCMessage *message, size_t prefix_size,
                       struct slice tail)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    struct buf *b = buf_new(prefix_size + size + tail.size);

    if (b == NULL)
        return NULL;
    protobuf_c_message_pack(message, b->data + prefix_size);
    if (tail.size > 0)
        memcpy(b->data + prefix_size + size, tail.data, tail.size);
    return b;
}

struct buf *codec_pack_record(const ProtobufCMessage *message)
{
    struct buf *b = codec_pack(message, 1, (struct slice){NULL, 0});

    assert(b != NULL && "out of memory");
    b->data[0] = RECORD_FORMAT;
    return b;
}

struct buf *codec_pack_header(const ProtobufCMessage *message)
{
    struct buf *b = codec_pack(message, 0, (struct slice){NULL, 0});

    assert(b != NULL && "out of memory");
    return b;
}

size_t codec_put_record(const ProtobufCMessage *message, uint8_t *to)
{
    to[0] = RECORD_FORMAT;
    return 1 + protobuf_c_message_pack(message, to + 1);
}

/* The one place where const is dropped: packing does not write. */
static void *unconst(const void *pointer)
{
    union {
        const void *in;
        void *out;
    } u = {pointer};

    return u.out;
}

ProtobufCBinaryData codec_bytes(struct slice slice)
{
    return (ProtobufCBinaryData){slice.size, unconst(slice.data)};
}

char *codec_text(const char *text)
{
    return unconst(text);
}

uint64_t *codec_numbers(const uint64_t *numbers)
{
    return unconst(numbers);
}

/* ---- Unpacking -------------------------------------------------------- */

static bool arena_grow(struct arena *arena, size_t size)
{
    struct block *block;

    if (size > arena->budget)
        return false;
    block = malloc(sizeof *block + size);
    if (block == NULL) {
        arena->no_memory = true;
        return false;
    }
    block->next = arena->first;
    block->size = size;
    block->used = 0;
    arena->first = block;
    arena->budget -= size;
    return true;
}

static void *arena_alloc(void *context, size_t size)
{
    struct arena *arena = context;
    struct block *block = arena->first;
    size_t mask = alignof(max_align_t) - 1;
    void *memory;

    if (size > SIZE_MAX - mask)
        return NULL;
    size = (size + mask) & ~mask;
    if (size > block->size - block->used) {
        if (!arena_grow(arena, size > BLOCK_SIZE_MIN ? size : BLOCK_SIZE_MIN))
            return NULL;
        block = arena->first;
    }
    memory = block->data + block->used;
    block->used += size;
    return memory;
}

static void arena_free(void *context, void *memory)
{
    (void)context; /* All at once, in codec_free(). */
    (void)memory;
}

int codec_unpack(struct codec_message *ret,
                 const ProtobufCMessageDescriptor *descriptor,
                 struct slice bytes)
{
    struct arena arena = {0};
    ProtobufCAllocator allocator = {arena_alloc, arena_free, &arena};
    ProtobufCMessage *message;

    if (bytes.size > SIZE_MAX / LIMIT_FACTOR / 2)
        return ERR_CORRUPT;
    arena.budget = LIMIT_EXTRA + LIMIT_FACTOR * bytes.size;
    if (!arena_grow(&arena, BLOCK_EXTRA + bytes.size))
        return ERR_NO_MEMORY;

    message = protobuf_c_message_unpack(descriptor, &allocator, bytes.size,
                                        bytes.data);
    if (message == NULL) {
        codec_free(arena.first);
        return arena.no_memory ? ERR_NO_MEMORY : ERR_CORRUPT;
    }
    ret->message = message;
    ret->held = arena.first;
    return 0;
}

int codec_unpack_header(struct codec_message *ret,
                        const ProtobufCMessageDescriptor *descriptor,
                        struct slice bytes)
{
    int rc;

    if (bytes.size > WIRE_HEADER_SIZE_MAX)
        return ERR_PROTOCOL;
    rc = codec_unpack(ret, descriptor, bytes);
    return rc == ERR_CORRUPT ? ERR_PROTOCOL : rc;
}

int codec_unpack_record(struct codec_message *ret,
                        const ProtobufCMessageDescriptor *descriptor,
                        struct slice bytes)
{
    const uint8_t *data = bytes.data;

    if (bytes.size == 0 || data[0] == 0)
        return ERR_CORRUPT;
    if (data[0] != RECORD_FORMAT)
        return ERR_VERSION;
    return codec_unpack(ret, descriptor,
                        (struct slice){data + 1, bytes.size - 1});
}

void codec_free(void *held)
{
    struct block *block = held;

    while (block != NULL) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
}

struct slice codec_slice(ProtobufCBinaryData bytes)
{
    return (struct slice){bytes.data, bytes.len};
}

/* ---- Parts of several messages ---------------------------------------- */

Grove__Attr *attr_to_pb(Grove__Attr *to, const struct attr *from)
{
    static const struct attr absent;

    if (memcmp(from, &absent, sizeof absent) == 0)
        return NULL;

    *to = (Grove__Attr)GROVE__ATTR__INIT;
    to->ino = from->ino;
    to->size = from->size;
    to->mode = from->mode;
    to->uid = from->uid;
    to->gid = from->gid;
    to->entry_count = from->entry_count;
    to->atime_ns = from->atime_ns;
    to->mtime_ns = from->mtime_ns;
    to->ctime_ns = from->ctime_ns;
    to->version = from->version;
    return to;
}

void attr_from_pb(struct attr *to, const Grove__Attr *from)
{
    if (from == NULL) {
        *to = (struct attr){0};
        return;
    }
    *to = (struct attr){
        .ino = from->ino,
        .size = from->size,
        .mode = from->mode,
        .uid = from->uid,
        .gid = from->gid,
        .entry_count = from->entry_count,
        .atime_ns = from->atime_ns,
        .mtime_ns = from->mtime_ns,
        .ctime_ns = from->ctime_ns,
        .version = from->version,
    };
}

Grove__TxnRef *txn_to_pb(struct pb_txn *to, const struct txn_ref *from)
{
    assert(from->name.size <= NAME_SIZE_MAX);
    assert(from->to_name.size <= NAME_SIZE_MAX);
    if (from->id.node == 0)
        return NULL;

    to->id = (Grove__TxnId)GROVE__TXN_ID__INIT;
    to->id.node = from->id.node;
    to->id.boot = from->id.boot;
    to->id.sequence = from->id.sequence;
    to->ref = (Grove__TxnRef)GROVE__TXN_REF__INIT;
    to->ref.id = &to->id;
    to->ref.dir = from->dir;
    to->ref.name = codec_bytes(from->name);
    to->ref.to_dir = from->to_dir;
    to->ref.to_name = codec_bytes(from->to_name);
    to->ref.opens_nsid = from->opens_nsid;
    to->ref.closes_nsid = from->closes_nsid;
    return &to->ref;
}

bool txn_from_pb(struct txn_ref *to, const Grove__TxnRef *from)
{
    *to = (struct txn_ref){0};
    if (from == NULL)
        return true;
    if (from->id == NULL || from->id->node == 0)
        return false;

    to->id.node = from->id->node;
    to->id.boot = from->id->boot;
    to->id.sequence = from->id->sequence;
    to->dir = from->dir;
    to->to_dir = from->to_dir;
    to->name = codec_slice(from->name);
    to->to_name = codec_slice(from->to_name);
    to->opens_nsid = from->opens_nsid;
    to->closes_nsid = from->closes_nsid;
    return name_is_valid(to->name) && name_is_valid(to->to_name);
}

bool numbers_from_pb(uint64_t *to, size_t *ret_count, size_t count_max,
                     const uint64_t *numbers, size_t count)
{
    if (count > count_max)
        return false;
    if (count > 0)
        memcpy(to, numbers, count * sizeof *to);
    *ret_count = count;
    return true;
}

bool name_is_valid(struct slice name)
{
    return name.size <= NAME_SIZE_MAX &&
           (name.size == 0 || memchr(name.data, '\0', name.size) == NULL);
}

bool status_is_valid(int32_t status)
{
    return status <= 0 && status > -(int32_t)ERR__COUNT;
}
