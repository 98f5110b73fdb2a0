/* SPDX-License-Identifier: Apache-2.0 */

/* Fuzzes the decoders of packets; the first byte selects one, for a batch of
 * Raft messages the second one says how many payloads it has. Whatever decodes
 * can be encoded, and what that gives decodes and encodes to itself. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/wire.h"
#include "engine/wire_eventual.h"
#include "engine/wire_placement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns what the bytes decode to, encoded again; NULL when they do not. */
typedef struct buf *recoder(struct slice bytes, size_t payload_count);

static struct buf *recode_call(struct slice bytes, size_t payload_count)
{
    struct call packet;

    (void)payload_count;
    return call_decode(&packet, bytes) == 0 ? call_encode(&packet) : NULL;
}

static struct buf *recode_return(struct slice bytes, size_t payload_count)
{
    struct call_return packet;

    (void)payload_count;
    if (call_return_decode(&packet, bytes) != 0)
        return NULL;
    return call_return_encode(&packet);
}

static struct buf *recode_status(struct slice bytes, size_t payload_count)
{
    struct node_status packet;
    struct buf *b;

    (void)payload_count;
    if (node_status_decode(&packet, bytes) != 0)
        return NULL;
    b = node_status_encode(&packet);
    node_status_release(&packet);
    return b;
}

static struct buf *recode_boot(struct slice bytes, size_t payload_count)
{
    struct boot packet;

    (void)payload_count;
    return boot_decode(&packet, bytes) == 0 ? boot_encode(&packet) : NULL;
}

static struct buf *recode_join(struct slice bytes, size_t payload_count)
{
    struct join_request packet;

    (void)payload_count;
    if (join_request_decode(&packet, bytes) != 0)
        return NULL;
    return join_request_encode(&packet);
}

static struct buf *recode_joined(struct slice bytes, size_t payload_count)
{
    struct join_answer packet;

    (void)payload_count;
    if (join_answer_decode(&packet, bytes) != 0)
        return NULL;
    return join_answer_encode(&packet);
}

static struct buf *recode_note(struct slice bytes, size_t payload_count)
{
    struct peer_note packet;

    (void)payload_count;
    return peer_note_decode(&packet, bytes) == 0 ? peer_note_encode(&packet)
                                                 : NULL;
}

static struct buf *recode_merge_query(struct slice bytes, size_t payload_count)
{
    struct merge_query packet;

    (void)payload_count;
    return merge_query_decode(&packet, bytes) == 0 ? merge_query_encode(&packet)
                                                   : NULL;
}

static struct buf *recode_merge_report(struct slice bytes, size_t payload_count)
{
    struct merge_report packet;

    (void)payload_count;
    return merge_report_decode(&packet, bytes) == 0
               ? merge_report_encode(&packet)
               : NULL;
}

static struct buf *recode_alive(struct slice bytes, size_t payload_count)
{
    struct alive packet;

    (void)payload_count;
    return alive_decode(&packet, bytes) == 0 ? alive_encode(&packet) : NULL;
}

static struct buf *recode_locate(struct slice bytes, size_t payload_count)
{
    struct locate packet;
    struct buf *b;

    (void)payload_count;
    if (locate_decode(&packet, bytes) != 0)
        return NULL;
    b = locate_encode(&packet);
    locate_release(&packet);
    return b;
}

static struct buf *recode_located(struct slice bytes, size_t payload_count)
{
    struct located packet;
    struct buf *b;

    (void)payload_count;
    if (located_decode(&packet, bytes) != 0)
        return NULL;
    b = located_encode(&packet);
    located_release(&packet);
    return b;
}

static struct buf *recode_report(struct slice bytes, size_t payload_count)
{
    struct region_report packet;
    struct buf *b;

    (void)payload_count;
    if (region_report_decode(&packet, bytes) != 0)
        return NULL;
    b = region_report_encode(&packet);
    region_report_release(&packet);
    return b;
}

static struct buf *recode_reported(struct slice bytes, size_t payload_count)
{
    struct reported packet;

    (void)payload_count;
    return reported_decode(&packet, bytes) == 0 ? reported_encode(&packet)
                                                : NULL;
}

static struct buf *recode_step(struct slice bytes, size_t payload_count)
{
    struct step packet;

    (void)payload_count;
    return step_decode(&packet, bytes) == 0 ? step_encode(&packet) : NULL;
}

static struct buf *recode_operators(struct slice bytes, size_t payload_count)
{
    struct operators_view packet;

    (void)payload_count;
    return operators_decode(&packet, bytes) == 0 ? operators_encode(&packet)
                                                 : NULL;
}

static struct buf *recode_ask(struct slice bytes, size_t payload_count)
{
    struct eventual_ask packet;

    (void)payload_count;
    if (eventual_ask_decode(&packet, bytes) != 0)
        return NULL;
    return eventual_ask_encode(&packet);
}

static struct buf *recode_answer(struct slice bytes, size_t payload_count)
{
    struct eventual_answer packet;

    (void)payload_count;
    if (eventual_answer_decode(&packet, bytes) != 0)
        return NULL;
    return eventual_answer_encode(&packet);
}

static struct buf *recode_begin(struct slice bytes, size_t payload_count)
{
    struct snapshot_begin packet;
    struct buf *b;

    (void)payload_count;
    if (snapshot_begin_decode(&packet, bytes) != 0)
        return NULL;
    b = snapshot_begin_encode(&packet);
    snapshot_begin_release(&packet);
    return b;
}

static struct buf *recode_chunk(struct slice bytes, size_t payload_count)
{
    struct snapshot_chunk packet;

    (void)payload_count;
    if (snapshot_chunk_decode(&packet, bytes) != 0)
        return NULL;
    return snapshot_chunk_encode(&packet);
}

static struct buf *recode_ack(struct slice bytes, size_t payload_count)
{
    struct snapshot_ack packet;

    (void)payload_count;
    if (snapshot_ack_decode(&packet, bytes) != 0)
        return NULL;
    return snapshot_ack_encode(&packet);
}

static void add(void *context, const struct raft_envelope *envelope)
{
    raft_batch_add(context, envelope->region, &envelope->message);
}

static struct buf *recode_batch(struct slice bytes, size_t payload_count)
{
    struct buf *header = buf_copy(bytes.data, bytes.size);
    struct buf *payload = buf_copy("payload", 7);
    struct buf *payloads[UINT8_MAX];
    struct env_packet packet = {WIRE_RAFT, header, payloads, payload_count};
    struct raft_batch *batch = raft_batch_new();
    struct buf *b = NULL;

    for (size_t i = 0; i < payload_count; i++)
        payloads[i] = payload;
    if (raft_batch_decode(&packet, add, batch) == 0) {
        assert(raft_batch_payload_count(batch) == payload_count);
        raft_batch_pack(batch, &packet);
        b = buf_ref(packet.header);
    }
    raft_batch_free(batch);
    buf_unref(payload);
    buf_unref(header);
    return b;
}

static recoder *const recoders[] = {
    recode_batch, recode_call,      recode_return,      recode_status,
    recode_boot,  recode_begin,     recode_chunk,       recode_ack,
    recode_note,  recode_locate,    recode_located,     recode_alive,
    recode_join,  recode_joined,    recode_report,      recode_reported,
    recode_step,  recode_operators, recode_merge_query, recode_merge_report,
    recode_ask,   recode_answer,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    recoder *recode;
    size_t payload_count;
    struct buf *first;
    struct buf *second;

    if (size < 2)
        return 0;
    recode = recoders[data[0] % ARRAY_SIZE(recoders)];
    payload_count = data[1] % UINT8_MAX;
    first = recode((struct slice){data + 2, size - 2}, payload_count);
    if (first == NULL)
        return 0;
    second = recode(buf_slice(first), payload_count);
    assert(second != NULL && second->size == first->size);
    assert(memcmp(first->data, second->data, first->size) == 0);
    buf_unref(first);
    buf_unref(second);
    return 0;
}
