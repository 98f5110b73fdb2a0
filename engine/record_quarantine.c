/* SPDX-License-Identifier: Apache-2.0 */

/* The records of the quarantine as bytes; quarantine.c has them in state/. */

#include "engine/codec.h"
#include "engine/quarantine.h"

struct buf *quarantined_encode(struct slice path,
                               const struct eventual_record *record)
{
    const struct slice nothing = {NULL, 0};
    Grove__Quarantined message = GROVE__QUARANTINED__INIT;
    struct buf *bytes = eventual_encode(record);
    struct buf *b;

    if (bytes == NULL)
        return NULL;
    message.path = codec_bytes(path);
    message.record = codec_bytes(buf_slice(bytes));
    b = codec_pack(&message.base, 1, nothing);
    if (b != NULL)
        b->data[0] = RECORD_FORMAT;
    buf_unref(bytes);
    return b;
}

int quarantined_decode(struct quarantined *ret, struct slice bytes)
{
    struct eventual_record record = {0};
    const Grove__Quarantined *message;
    struct codec_message m;
    int rc = codec_unpack_record(&m, &grove__quarantined__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    rc = eventual_decode(&record, codec_slice(message->record));
    if (rc != 0) {
        codec_free(m.held);
        return rc;
    }
    *ret = (struct quarantined){
        .path = codec_slice(message->path), .record = record, .held = m.held};
    return 0;
}

void quarantined_release(struct quarantined *item)
{
    eventual_release(&item->record);
    codec_free(item->held);
    *item = (struct quarantined){0};
}

struct buf *quarantine_head_encode(const struct quarantine_head *head)
{
    Grove__QuarantineHead message = GROVE__QUARANTINE_HEAD__INIT;

    message.last = head->last;
    message.count = head->count;
    return codec_pack_record(&message.base);
}

int quarantine_head_decode(struct quarantine_head *ret, struct slice bytes)
{
    const Grove__QuarantineHead *message;
    struct codec_message m;
    int rc =
        codec_unpack_record(&m, &grove__quarantine_head__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    *ret = (struct quarantine_head){.last = message->last,
                                    .count = message->count};
    codec_free(m.held);
    return 0;
}
