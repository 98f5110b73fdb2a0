/* SPDX-License-Identifier: Apache-2.0 */

/* Conf changes as bytes, the data of an entry:
 *
 *     version (1 byte, 1)  transition (1)  count (1)
 *     count times: type (1), peer (8, little endian)
 *     context: the rest
 *
 * No data at all is the change that leaves a joint configuration, so that a
 * leader can always propose it: it costs no space. */

#include "raft/message.h"

#include <assert.h>
#include <string.h>

#include "raft/base/err.h"

enum {
    VERSION = 1,
    HEADER_SIZE = 3,
    CHANGE_SIZE = 9,
};

static_assert(RAFT_CONF_CHANGES_MAX <= UINT8_MAX, "the count is one byte");

static void put_u64(uint8_t *out, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_u64(const uint8_t *in)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

struct buf *raft_conf_change_encode(const struct raft_conf_change *change)
{
    size_t head = HEADER_SIZE + change->count * CHANGE_SIZE;
    size_t context_size = change->context == NULL ? 0 : change->context->size;
    struct buf *data = buf_new(head + context_size);
    uint8_t *out;

    assert(data != NULL);
    assert(change->count <= RAFT_CONF_CHANGES_MAX);
    data->data[0] = VERSION;
    data->data[1] = (uint8_t)change->transition;
    data->data[2] = (uint8_t)change->count;
    out = data->data + HEADER_SIZE;
    for (size_t i = 0; i < change->count; i++, out += CHANGE_SIZE) {
        out[0] = (uint8_t)change->change[i].type;
        put_u64(out + 1, change->change[i].peer);
    }
    if (context_size > 0)
        memcpy(out, change->context->data, context_size);
    return data;
}

static int decode_changes(const uint8_t *in, struct raft_conf_change *change)
{
    for (size_t i = 0; i < change->count; i++, in += CHANGE_SIZE) {
        if (in[0] >= RAFT_CONF_CHANGE_TYPES)
            return ERR_PROTOCOL;
        change->change[i].type = (enum raft_conf_change_type)in[0];
        change->change[i].peer = get_u64(in + 1);
    }
    return 0;
}

int raft_conf_change_decode(const struct buf *data,
                            struct raft_conf_change *ret)
{
    struct raft_conf_change change = {.transition = RAFT_TRANSITION_AUTO};
    size_t head;

    if (data == NULL || data->size == 0) {
        *ret = change;
        return 0;
    }
    if (data->data[0] != VERSION)
        return ERR_VERSION;
    if (data->size < HEADER_SIZE || data->data[1] >= RAFT_TRANSITIONS ||
        data->data[2] > RAFT_CONF_CHANGES_MAX)
        return ERR_PROTOCOL;

    change.transition = (enum raft_conf_transition)data->data[1];
    change.count = data->data[2];
    head = HEADER_SIZE + change.count * CHANGE_SIZE;
    if (data->size < head ||
        decode_changes(data->data + HEADER_SIZE, &change) != 0)
        return ERR_PROTOCOL;
    if (data->size > head)
        change.context = buf_copy(data->data + head, data->size - head);
    *ret = change;
    return 0;
}
