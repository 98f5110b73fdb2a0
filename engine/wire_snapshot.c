/* SPDX-License-Identifier: Apache-2.0 */

/* The packets of snapshot streams. */

#include "engine/wire.h"

#include <assert.h>

#include "engine/codec.h"
#include "proto/wire.pb-c.h"

struct buf *snapshot_begin_encode(const struct snapshot_begin *begin)
{
    Grove__SnapshotBegin message = GROVE__SNAPSHOT_BEGIN__INIT;
    struct pb_region region;

    message.stream = begin->stream;
    message.region = begin->region.id;
    message.from_peer = begin->from_peer;
    message.to_peer = begin->to_peer;
    message.index = begin->index;
    message.term = begin->term;
    message.raft_term = begin->raft_term;
    message.descriptor = region_to_pb(&region, &begin->region);
    return codec_pack_header(&message.base);
}

static bool snapshot_begin_from_pb(struct snapshot_begin *to,
                                   const Grove__SnapshotBegin *from)
{
    if (from->descriptor == NULL || from->descriptor->id != from->region)
        return false;

    to->stream = from->stream;
    to->from_peer = from->from_peer;
    to->to_peer = from->to_peer;
    to->index = from->index;
    to->term = from->term;
    to->raft_term = from->raft_term;
    return region_from_pb(&to->region, from->descriptor);
}

int snapshot_begin_decode(struct snapshot_begin *ret, struct slice bytes)
{
    struct codec_message m;
    struct snapshot_begin begin;
    int rc = codec_unpack_header(&m, &grove__snapshot_begin__descriptor, bytes);

    if (rc != 0)
        return rc;
    if (snapshot_begin_from_pb(&begin, m.message))
        *ret = begin;
    else
        rc = ERR_PROTOCOL;
    codec_free(m.held);
    return rc;
}

void snapshot_begin_release(struct snapshot_begin *begin)
{
    region_release(&begin->region);
    *begin = (struct snapshot_begin){0};
}

struct buf *snapshot_chunk_encode(const struct snapshot_chunk *chunk)
{
    Grove__SnapshotChunk message = GROVE__SNAPSHOT_CHUNK__INIT;

    message.stream = chunk->stream;
    message.number = chunk->number;
    message.checksum = chunk->checksum;
    message.last = chunk->last;
    return codec_pack_header(&message.base);
}

int snapshot_chunk_decode(struct snapshot_chunk *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__SnapshotChunk *message;
    int rc = codec_unpack_header(&m, &grove__snapshot_chunk__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    ret->stream = message->stream;
    ret->number = message->number;
    ret->checksum = message->checksum;
    ret->last = message->last != 0;
    codec_free(m.held);
    return 0;
}

struct buf *snapshot_ack_encode(const struct snapshot_ack *ack)
{
    Grove__SnapshotAck message = GROVE__SNAPSHOT_ACK__INIT;

    assert(status_is_valid(ack->status));

    message.stream = ack->stream;
    message.number = ack->number;
    message.status = ack->status;
    message.accepted = ack->accepted;
    return codec_pack_header(&message.base);
}

int snapshot_ack_decode(struct snapshot_ack *ret, struct slice bytes)
{
    struct codec_message m;
    const Grove__SnapshotAck *message;
    bool valid;
    int rc = codec_unpack_header(&m, &grove__snapshot_ack__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    valid = status_is_valid(message->status);
    if (valid) {
        ret->stream = message->stream;
        ret->number = message->number;
        ret->status = message->status;
        ret->accepted = message->accepted != 0;
    }
    codec_free(m.held);
    return valid ? 0 : ERR_PROTOCOL;
}
