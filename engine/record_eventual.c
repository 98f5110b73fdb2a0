/* SPDX-License-Identifier: Apache-2.0 */

/* The records of eventual namespaces as bytes; eventual_record.c has them in
 * state/. */

#include "engine/eventual_record.h"

#include <assert.h>
#include <sys/stat.h>

#include "engine/codec.h"
#include "engine/xattr.h"

static const struct slice nothing = {NULL, 0};

/* ---- Entries ---------------------------------------------------------- */

/* The version is stored once. NULL: no memory. */
static struct buf *pack(const struct eventual_record *record,
                        struct slice content, bool is_entry)
{
    Grove__Eventual message = GROVE__EVENTUAL__INIT;
    struct attr attr = record->attr;
    Grove__Attr pb_attr;
    struct buf *b;

    assert(record->dir != 0);
    assert(record->name.size > 0 && record->name.size <= NAME_SIZE_MAX);

    message.hlc = record->hlc;
    message.origin = record->origin;
    message.sequence = record->sequence;
    message.since = record->since;
    message.known = record->known;
    message.removed = record->removed;
    message.dir = record->dir;
    message.name = codec_bytes(record->name);
    message.local = is_entry ? record->local : 0;
    message.digest = is_entry ? record->digest : 0;
    if (!record->removed) {
        assert(attr.size <= EVENTUAL_VALUE_SIZE_MAX);
        assert(record->xattrs.size <= XATTRS_SIZE_MAX);
        attr.version = 0;
        message.attr = attr_to_pb(&pb_attr, &attr);
        message.xattrs = codec_bytes(record->xattrs);
        message.content = codec_bytes(content);
    }
    b = codec_pack(&message.base, 1, nothing);
    if (b != NULL)
        b->data[0] = RECORD_FORMAT;
    return b;
}

struct buf *eventual_encode(const struct eventual_record *record)
{
    assert(record->removed || record->content.size == record->attr.size);

    return pack(record, record->content, false);
}

struct buf *eventual_encode_entry(const struct eventual_record *record)
{
    bool is_elsewhere = eventual_is_large(record);
    struct buf *b;

    assert(record->removed || is_elsewhere ||
           record->content.size == record->attr.size);

    b = pack(record, is_elsewhere ? nothing : record->content, true);
    assert(b != NULL && "out of memory");
    return b;
}

static bool record_from_pb(struct eventual_record *to,
                           const Grove__Eventual *from)
{
    *to = (struct eventual_record){
        .dir = from->dir,
        .name = codec_slice(from->name),
        .hlc = from->hlc,
        .origin = from->origin,
        .sequence = from->sequence,
        .since = from->since,
        .known = from->known,
        .local = from->local,
        .digest = from->digest,
        .removed = from->removed != 0,
    };
    if (to->dir == 0 || to->name.size == 0 || !name_is_valid(to->name))
        return false;
    if (to->removed)
        return true;

    attr_from_pb(&to->attr, from->attr);
    to->attr.version = to->hlc;
    to->xattrs = codec_slice(from->xattrs);
    to->content = codec_slice(from->content);
    return S_ISDIR(to->attr.mode) == ((to->attr.ino & INO_DIR_BIT) != 0) &&
           to->attr.size <= EVENTUAL_VALUE_SIZE_MAX && xattr_check(to->xattrs);
}

/* Where a record comes from. */
enum source { SOURCE_CHANGE, SOURCE_ENTRY, SOURCE_ITEM };

static bool is_valid(const struct eventual_record *record, enum source source)
{
    if (S_ISDIR(record->attr.mode) && source != SOURCE_ITEM)
        return false;
    if (source == SOURCE_ENTRY && eventual_is_large(record))
        return record->content.size == 0;
    return record->content.size == record->attr.size;
}

static int decode(struct eventual_record *ret, struct slice bytes,
                  enum source source)
{
    struct eventual_record record;
    struct codec_message m;
    int rc = codec_unpack_record(&m, &grove__eventual__descriptor, bytes);

    if (rc != 0)
        return rc;
    if (!record_from_pb(&record, m.message) || !is_valid(&record, source)) {
        codec_free(m.held);
        return ERR_CORRUPT;
    }
    if (source != SOURCE_ENTRY)
        record.local = record.digest = 0;
    record.held = m.held;
    *ret = record;
    return 0;
}

int eventual_decode(struct eventual_record *ret, struct slice bytes)
{
    return decode(ret, bytes, SOURCE_CHANGE);
}

int eventual_decode_entry(struct eventual_record *ret, struct slice bytes)
{
    return decode(ret, bytes, SOURCE_ENTRY);
}

int eventual_decode_item(struct eventual_record *ret, struct slice bytes)
{
    return decode(ret, bytes, SOURCE_ITEM);
}

void eventual_release(struct eventual_record *record)
{
    codec_free(record->held);
    buf_unref(record->held_other);
    *record = (struct eventual_record){0};
}

/* ---- The others ------------------------------------------------------- */

struct buf *eventual_namespace_encode(const struct eventual_namespace *record)
{
    Grove__EventualNamespace message = GROVE__EVENTUAL_NAMESPACE__INIT;

    message.entry_count = record->entry_count;
    message.changed_ns = record->changed_ns;
    message.version = record->version;
    message.since_first = record->since_first;
    message.since_last = record->since_last;
    message.digest = record->digest;
    message.has_digest = record->has_digest;
    return codec_pack_record(&message.base);
}

int eventual_namespace_decode(struct eventual_namespace *ret,
                              struct slice bytes)
{
    const Grove__EventualNamespace *message;
    struct codec_message m;
    int rc =
        codec_unpack_record(&m, &grove__eventual_namespace__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    *ret = (struct eventual_namespace){
        .entry_count = message->entry_count,
        .changed_ns = message->changed_ns,
        .version = message->version,
        .since_first = message->since_first,
        .since_last = message->since_last,
        .digest = message->digest,
        .has_digest = message->has_digest != 0,
    };
    codec_free(m.held);
    return 0;
}

struct buf *eventual_head_encode(const struct eventual_head *head)
{
    Grove__EventualHead message = GROVE__EVENTUAL_HEAD__INIT;

    message.sequence = head->sequence;
    message.hlc = head->hlc;
    message.whole = head->whole;
    message.floor = head->floor;
    message.seen = head->seen;
    message.damaged = head->damaged;
    return codec_pack_record(&message.base);
}

int eventual_head_decode(struct eventual_head *ret, struct slice bytes)
{
    const Grove__EventualHead *message;
    struct codec_message m;
    int rc = codec_unpack_record(&m, &grove__eventual_head__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    *ret = (struct eventual_head){
        .sequence = message->sequence,
        .hlc = message->hlc,
        .whole = message->whole != 0,
        .floor = message->floor,
        .seen = message->seen,
        .damaged = message->damaged != 0,
    };
    codec_free(m.held);
    return 0;
}

struct buf *eventual_peer_encode(const struct eventual_peer *peer)
{
    Grove__EventualPeer message = GROVE__EVENTUAL_PEER__INIT;

    message.cursor = peer->cursor;
    message.received = peer->received;
    message.promise = peer->promise;
    message.roll = peer->roll;
    return codec_pack_record(&message.base);
}

int eventual_peer_decode(struct eventual_peer *ret, struct slice bytes)
{
    const Grove__EventualPeer *message;
    struct codec_message m;
    int rc = codec_unpack_record(&m, &grove__eventual_peer__descriptor, bytes);

    if (rc != 0)
        return rc;
    message = m.message;
    *ret = (struct eventual_peer){
        .cursor = message->cursor,
        .received = message->received,
        .promise = message->promise,
        .roll = message->roll,
    };
    codec_free(m.held);
    return 0;
}
