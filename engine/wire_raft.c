/* SPDX-License-Identifier: Apache-2.0 */

/* Batches of Raft messages. A batch's header is put together message by
 * message as the repeated field that it is, so that nothing is kept of a
 * message but its bytes and the references to its entries' data. */

#include "engine/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec.h"
#include "proto/wire.pb-c.h"

/* What stands in front of each message: tag of field 1, type "bytes", and its
 * size as a varint. */
enum { MESSAGE_TAG = 1 << 3 | 2, MESSAGE_PREFIX_SIZE_MAX = 1 + 5 };

struct raft_batch {
    uint8_t *header;
    size_t header_size;
    size_t header_size_max;
    struct buf **payloads;
    size_t payload_count;
    size_t payload_count_max;
    size_t payload_size_bytes;
    struct buf *packed; /* the header that raft_batch_pack() gave out */
    /* Scratch for the message that is being added. */
    Grove__RaftEntry *entry;
    size_t entry_count_max;
    Grove__RaftEntry **entries;
    size_t entries_count_max;
};

/* ---- Building --------------------------------------------------------- */

struct raft_batch *raft_batch_new(void)
{
    return mem_zalloc(sizeof(struct raft_batch));
}

static void add_payload(struct raft_batch *batch, struct buf *data)
{
    batch->payloads =
        mem_grow(batch->payloads, sizeof(struct buf *),
                 &batch->payload_count_max, batch->payload_count + 1);
    batch->payloads[batch->payload_count++] = buf_ref(data);
    batch->payload_size_bytes += data->size;
}

static void entries_to_pb(struct raft_batch *batch, Grove__RaftMessage *to,
                          const struct raft_entries *from)
{
    batch->entry = mem_grow(batch->entry, sizeof *batch->entry,
                            &batch->entry_count_max, from->count);
    batch->entries = mem_grow(batch->entries, sizeof(Grove__RaftEntry *),
                              &batch->entries_count_max, from->count);
    for (size_t i = 0; i < from->count; i++) {
        const struct raft_entry *item = &from->item[i];
        Grove__RaftEntry *entry = &batch->entry[i];

        *entry = (Grove__RaftEntry)GROVE__RAFT_ENTRY__INIT;
        entry->term = item->term;
        entry->index = item->index;
        entry->type = item->type;
        entry->has_data = item->data != NULL && item->data->size > 0;
        if (entry->has_data)
            add_payload(batch, item->data);
        batch->entries[i] = entry;
    }
    to->n_entries = from->count;
    to->entries = batch->entries;
}

static Grove__RaftSnapshot *snapshot_to_pb(Grove__RaftSnapshot *to,
                                           const struct raft_snapshot *from)
{
    const struct raft_conf_state *conf;

    if (from == NULL)
        return NULL;

    conf = &from->conf_state;
    *to = (Grove__RaftSnapshot)GROVE__RAFT_SNAPSHOT__INIT;
    to->index = from->index;
    to->term = from->term;
    to->n_voters = conf->voters.count;
    to->voters = codec_numbers(conf->voters.id);
    to->n_voters_outgoing = conf->voters_outgoing.count;
    to->voters_outgoing = codec_numbers(conf->voters_outgoing.id);
    to->n_learners = conf->learners.count;
    to->learners = codec_numbers(conf->learners.id);
    to->n_learners_next = conf->learners_next.count;
    to->learners_next = codec_numbers(conf->learners_next.id);
    to->auto_leave = conf->auto_leave;
    return to;
}

static size_t varint_put(uint8_t *to, size_t number)
{
    size_t size = 0;

    while (number >= 0x80) {
        to[size++] = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    to[size++] = (uint8_t)number;
    return size;
}

static void add_header(struct raft_batch *batch,
                       const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    size_t size_max = batch->header_size + MESSAGE_PREFIX_SIZE_MAX + size;
    uint8_t *to;

    assert(size <= UINT32_MAX);
    batch->header =
        mem_grow(batch->header, 1, &batch->header_size_max, size_max);
    to = batch->header + batch->header_size;
    *to++ = MESSAGE_TAG;
    to += varint_put(to, size);
    to += protobuf_c_message_pack(message, to);
    batch->header_size = (size_t)(to - batch->header);
}

void raft_batch_add(struct raft_batch *batch, uint64_t region,
                    const struct raft_message *message)
{
    Grove__RaftMessage m = GROVE__RAFT_MESSAGE__INIT;
    Grove__RaftSnapshot snapshot;

    assert(batch->packed == NULL);
    m.region = region;
    m.type = message->type;
    m.from = message->from;
    m.to = message->to;
    m.term = message->term;
    m.log_term = message->log_term;
    m.index = message->index;
    m.commit = message->commit;
    m.vote = message->vote;
    m.reject = message->reject;
    m.reject_hint = message->reject_hint;
    m.snapshot_wanted = message->snapshot_wanted;
    m.known_commit = message->known_commit;
    m.known_commit_term = message->known_commit_term;
    m.context = message->context;
    m.clock = message->clock;
    m.sleep = message->sleep;
    m.snapshot = snapshot_to_pb(&snapshot, message->snapshot);
    entries_to_pb(batch, &m, &message->entries);
    add_header(batch, &m.base);
}

size_t raft_batch_size_bytes(const struct raft_batch *batch)
{
    return batch->header_size + batch->payload_size_bytes;
}

size_t raft_batch_payload_count(const struct raft_batch *batch)
{
    return batch->payload_count;
}

void raft_batch_pack(struct raft_batch *batch, struct env_packet *ret_packet)
{
    if (batch->packed == NULL)
        batch->packed = buf_copy(batch->header, batch->header_size);
    ret_packet->type = WIRE_RAFT;
    ret_packet->header = batch->packed;
    ret_packet->payloads = batch->payloads;
    ret_packet->payload_count = batch->payload_count;
}

void raft_batch_free(struct raft_batch *batch)
{
    if (batch == NULL)
        return;

    for (size_t i = 0; i < batch->payload_count; i++)
        buf_unref(batch->payloads[i]);
    buf_unref(batch->packed);
    free(batch->payloads);
    free(batch->header);
    free(batch->entry);
    free(batch->entries);
    free(batch);
}

/* ---- Taking apart ----------------------------------------------------- */

/* A batch is checked as a whole before its first message is given out. */

static bool type_travels(uint32_t type)
{
    switch (type) {
    case RAFT_MSG_PROP:
    case RAFT_MSG_APP:
    case RAFT_MSG_APP_RESP:
    case RAFT_MSG_VOTE:
    case RAFT_MSG_VOTE_RESP:
    case RAFT_MSG_SNAP:
    case RAFT_MSG_HEARTBEAT:
    case RAFT_MSG_HEARTBEAT_RESP:
    case RAFT_MSG_TRANSFER_LEADER:
    case RAFT_MSG_TIMEOUT_NOW:
    case RAFT_MSG_READ_INDEX:
    case RAFT_MSG_READ_INDEX_RESP:
    case RAFT_MSG_PRE_VOTE:
    case RAFT_MSG_PRE_VOTE_RESP:
        return true;
    default:
        return false;
    }
}

static bool set_from_pb(struct raft_id_set *to, const uint64_t *numbers,
                        size_t count)
{
    return numbers_from_pb(to->id, &to->count, RAFT_PEERS_MAX, numbers, count);
}

static bool snapshot_from_pb(struct raft_snapshot *to,
                             const Grove__RaftSnapshot *from)
{
    struct raft_conf_state *conf = &to->conf_state;

    *to = (struct raft_snapshot){.index = from->index, .term = from->term};
    conf->auto_leave = from->auto_leave != 0;
    return from->index > 0 &&
           set_from_pb(&conf->voters, from->voters, from->n_voters) &&
           set_from_pb(&conf->voters_outgoing, from->voters_outgoing,
                       from->n_voters_outgoing) &&
           set_from_pb(&conf->learners, from->learners, from->n_learners) &&
           set_from_pb(&conf->learners_next, from->learners_next,
                       from->n_learners_next);
}

static bool message_is_valid(const Grove__RaftMessage *message)
{
    struct raft_snapshot snapshot;

    if (!type_travels(message->type))
        return false;
    if ((message->type == RAFT_MSG_SNAP) != (message->snapshot != NULL))
        return false;
    if (message->snapshot != NULL &&
        !snapshot_from_pb(&snapshot, message->snapshot))
        return false;
    for (size_t i = 0; i < message->n_entries; i++) {
        if (message->entries[i]->type > RAFT_ENTRY_CONF_CHANGE_V2)
            return false;
    }
    return true;
}

static bool payloads_fit(const Grove__RaftBatch *batch,
                         const struct env_packet *packet)
{
    size_t count = 0;

    for (size_t i = 0; i < batch->n_messages; i++) {
        const Grove__RaftMessage *message = batch->messages[i];

        for (size_t j = 0; j < message->n_entries; j++)
            count += message->entries[j]->has_data != 0;
    }
    for (size_t i = 0; i < packet->payload_count; i++) {
        if (packet->payloads[i] == NULL)
            return false;
    }
    return count == packet->payload_count;
}

static bool batch_is_valid(const Grove__RaftBatch *batch,
                           const struct env_packet *packet)
{
    for (size_t i = 0; i < batch->n_messages; i++) {
        if (!message_is_valid(batch->messages[i]))
            return false;
    }
    return payloads_fit(batch, packet);
}

/* Entries borrow from `*payload`, which moves behind those it has used. */
static void entries_from_pb(struct raft_entries *to,
                            const Grove__RaftMessage *from,
                            struct buf *const **payload)
{
    to->item =
        mem_grow(to->item, sizeof *to->item, &to->count_max, from->n_entries);
    to->count = from->n_entries;
    for (size_t i = 0; i < from->n_entries; i++) {
        const Grove__RaftEntry *entry = from->entries[i];

        to->item[i] = (struct raft_entry){
            .term = entry->term,
            .index = entry->index,
            .type = (enum raft_entry_type)entry->type,
            .data = entry->has_data != 0 ? *(*payload)++ : NULL,
        };
    }
}

static void fields_from_pb(struct raft_envelope *to,
                           const Grove__RaftMessage *from)
{
    to->region = from->region;
    to->message = (struct raft_message){
        .type = (enum raft_message_type)from->type,
        .from = from->from,
        .to = from->to,
        .term = from->term,
        .log_term = from->log_term,
        .index = from->index,
        .commit = from->commit,
        .vote = from->vote,
        .reject_hint = from->reject_hint,
        .snapshot_wanted = from->snapshot_wanted,
        .known_commit = from->known_commit,
        .known_commit_term = from->known_commit_term,
        .context = from->context,
        .clock = from->clock,
        .reject = from->reject != 0,
        .sleep = from->sleep != 0,
    };
}

static void
batch_give(const Grove__RaftBatch *batch, struct buf *const *payload,
           void (*each)(void *context, const struct raft_envelope *envelope),
           void *context)
{
    struct raft_entries entries = {0};

    for (size_t i = 0; i < batch->n_messages; i++) {
        const Grove__RaftMessage *from = batch->messages[i];
        struct raft_envelope envelope;
        struct raft_snapshot snapshot;

        fields_from_pb(&envelope, from);
        entries_from_pb(&entries, from, &payload);
        envelope.message.entries = entries;
        if (from->snapshot != NULL) {
            (void)snapshot_from_pb(&snapshot, from->snapshot); /* Checked. */
            envelope.message.snapshot = &snapshot;
        }
        each(context, &envelope);
    }
    free(entries.item); /* The data was the packet's. */
}

int raft_batch_decode(const struct env_packet *packet,
                      void (*each)(void *context,
                                   const struct raft_envelope *envelope),
                      void *context)
{
    const struct buf *header = packet->header;
    struct codec_message m;
    int rc;

    if (header->size > WIRE_HEADER_SIZE_MAX)
        return ERR_PROTOCOL;
    rc = codec_unpack(&m, &grove__raft_batch__descriptor, buf_slice(header));
    if (rc != 0)
        return rc == ERR_CORRUPT ? ERR_PROTOCOL : rc;
    if (!batch_is_valid(m.message, packet)) {
        codec_free(m.held);
        return ERR_PROTOCOL;
    }
    batch_give(m.message, packet->payloads, each, context);
    codec_free(m.held);
    return 0;
}
