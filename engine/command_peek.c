/* SPDX-License-Identifier: Apache-2.0 */

/* Looking into a command's bytes, and changing them, without decoding it. */

#include <assert.h>
#include <string.h>

#include "engine/codec.h"
#include "engine/command_impl.h"
#include "engine/keys.h"

enum {
    OP_TAG = 1 << 3,
    OP_CONTINUES = 0x80,
    VERSION_TAG = 100 << 3 | PROTOBUF_C_WIRE_TYPE_64BIT,
    VERSION_SIZE = 8
};

/* The first field, unless it is 0. */
enum command_op command_peek_op(const struct buf *bytes)
{
    const uint8_t *message = bytes->data + PREFIX_SIZE;

    if (bytes->size < PREFIX_SIZE + 2 || message[0] != OP_TAG)
        return COMMAND_NOOP;
    assert((message[1] & OP_CONTINUES) == 0);
    return (enum command_op)message[1];
}

static bool varint_get(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;

        *ret |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return true;
    }
    return false;
}

/* Moves behind the value of a field. */
static bool skip_value(const uint8_t **at, const uint8_t *end, uint64_t tag)
{
    uint64_t size;

    switch (tag & 7) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return varint_get(at, end, &size);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        size = 8;
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        size = 4;
        break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!varint_get(at, end, &size))
            return false;
        break;
    default:
        return false;
    }
    if (size > (uint64_t)(end - *at))
        return false;
    *at += size;
    return true;
}

/* NULL: it has none. Field by field: names and numbers may look like this one.
 */
static const uint8_t *find_version(const struct buf *bytes)
{
    const uint8_t *at = bytes->data + PREFIX_SIZE;
    const uint8_t *end = at + be32_get(bytes->data + 1);
    const uint8_t *found = NULL;
    uint64_t tag;

    while (varint_get(&at, end, &tag)) {
        const uint8_t *value = at;

        if (!skip_value(&at, end, tag))
            break;
        if (tag == VERSION_TAG)
            found = value;
    }
    return found;
}

/* Little endian, as protobuf has it. */
static uint64_t version_get(const uint8_t *from)
{
    uint64_t version = 0;

    for (int i = VERSION_SIZE; i-- > 0;)
        version = version << 8 | from[i];
    return version;
}

uint64_t command_peek_version(const struct buf *bytes)
{
    const uint8_t *at = find_version(bytes);

    return at == NULL ? 0 : version_get(at);
}

struct buf *command_for_version(struct buf *bytes, uint64_t region_version)
{
    const uint8_t *at = find_version(bytes);
    struct buf *copy;
    uint8_t *to;

    assert(region_version != 0);
    if (at == NULL || version_get(at) == region_version)
        return buf_ref(bytes);
    copy = buf_new(bytes->size);
    if (copy == NULL)
        return NULL;
    memcpy(copy->data, bytes->data, bytes->size);
    to = copy->data + (at - bytes->data);
    for (int i = 0; i < VERSION_SIZE; i++)
        to[i] = (uint8_t)(region_version >> (8 * i));
    return copy;
}
