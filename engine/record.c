/* SPDX-License-Identifier: Apache-2.0 */

/* The records with names and attributes in them; record_region.c has those of
 * regions, record_node.c those of nodes. */

#include "engine/record.h"

#include <assert.h>

#include "engine/codec.h"
#include "engine/keys.h"
#include "engine/xattr.h"

/* An entry without an intent; its parts have their own limits, the rest of it
 * fits in 1 KiB. */
enum { PLAIN_ENTRY_SIZE_MAX = INLINE_SIZE_MAX + XATTRS_SIZE_MAX + 1024 };

struct pb_intent {
    Grove__Intent intent;
    struct pb_txn txn;
};

static Grove__Intent *intent_to_pb(struct pb_intent *to,
                                   const struct entry *from)
{
    if (from->kind != ENTRY_INTENT)
        return NULL;

    to->intent = (Grove__Intent)GROVE__INTENT__INIT;
    to->intent.txn = txn_to_pb(&to->txn, &from->txn);
    to->intent.old_record = codec_bytes(from->old_record);
    to->intent.new_record = codec_bytes(from->new_record);
    return &to->intent;
}

struct buf *entry_encode(const struct entry *entry)
{
    Grove__Entry message = GROVE__ENTRY__INIT;
    Grove__Attr attr;
    struct pb_intent intent;

    assert(entry->kind >= ENTRY_FILE && entry->kind <= ENTRY_INTENT);
    assert(entry->xattrs.size <= XATTRS_SIZE_MAX);
    assert(entry->content.size <= INLINE_SIZE_MAX);
    assert(entry->old_record.size <= PLAIN_ENTRY_SIZE_MAX);
    assert(entry->new_record.size <= PLAIN_ENTRY_SIZE_MAX);
    assert(entry->kind != ENTRY_INTENT || entry->txn.id.node != 0);

    message.kind = entry->kind;
    message.attr = attr_to_pb(&attr, &entry->attr);
    message.xattrs = codec_bytes(entry->xattrs);
    message.content = codec_bytes(entry->content);
    message.chunk_base = entry->chunk_base;
    message.intent = intent_to_pb(&intent, entry);
    return codec_pack_record(&message.base);
}

static bool intent_from_pb(struct entry *to, const Grove__Intent *from)
{
    if (from == NULL)
        return to->kind != ENTRY_INTENT;
    if (to->kind != ENTRY_INTENT)
        return false;

    to->old_record = codec_slice(from->old_record);
    to->new_record = codec_slice(from->new_record);
    return txn_from_pb(&to->txn, from->txn) && to->txn.id.node != 0 &&
           to->old_record.size <= PLAIN_ENTRY_SIZE_MAX &&
           to->new_record.size <= PLAIN_ENTRY_SIZE_MAX;
}

static bool entry_from_pb(struct entry *to, const Grove__Entry *from)
{
    if (from->kind < ENTRY_FILE || from->kind > ENTRY_INTENT)
        return false;

    *to = (struct entry){
        .kind = (enum entry_kind)from->kind,
        .xattrs = codec_slice(from->xattrs),
        .content = codec_slice(from->content),
        .chunk_base = from->chunk_base,
    };
    attr_from_pb(&to->attr, from->attr);
    return to->content.size <= INLINE_SIZE_MAX && xattr_check(to->xattrs) &&
           (to->chunk_base == 0 || to->chunk_base == CHUNK_BASE_OTHER) &&
           intent_from_pb(to, from->intent);
}

int entry_decode(struct entry *ret, struct slice bytes)
{
    struct codec_message m;
    struct entry entry;
    int rc = codec_unpack_record(&m, &grove__entry__descriptor, bytes);

    if (rc != 0)
        return rc;
    if (!entry_from_pb(&entry, m.message)) {
        codec_free(m.held);
        return ERR_CORRUPT;
    }
    entry.held = m.held;
    *ret = entry;
    return 0;
}

void entry_release(struct entry *entry)
{
    codec_free(entry->held);
    *entry = (struct entry){0};
}

struct buf *namespace_encode(const struct namespace_record *record)
{
    Grove__Namespace message = GROVE__NAMESPACE__INIT;
    struct pb_txn closing;
    struct pb_txn opening;

    message.nsid = record->nsid;
    message.domain = record->domain;
    message.entry_count = record->entry_count;
    message.mtime_ns = record->mtime_ns;
    message.ctime_ns = record->ctime_ns;
    message.version = record->version;
    message.closing = txn_to_pb(&closing, &record->closing);
    message.opening = txn_to_pb(&opening, &record->opening);
    message.reopened = record->reopened;
    return codec_pack_record(&message.base);
}

static bool namespace_from_pb(struct namespace_record *to,
                              const Grove__Namespace *from)
{
    *to = (struct namespace_record){
        .nsid = from->nsid,
        .domain = from->domain,
        .entry_count = from->entry_count,
        .mtime_ns = from->mtime_ns,
        .ctime_ns = from->ctime_ns,
        .version = from->version,
        .reopened = from->reopened,
    };
    return txn_from_pb(&to->closing, from->closing) &&
           txn_from_pb(&to->opening, from->opening);
}

int namespace_decode(struct namespace_record *ret, struct slice bytes)
{
    struct codec_message m;
    struct namespace_record record;
    int rc = codec_unpack_record(&m, &grove__namespace__descriptor, bytes);

    if (rc != 0)
        return rc;
    if (!namespace_from_pb(&record, m.message)) {
        codec_free(m.held);
        return ERR_CORRUPT;
    }
    record.held = m.held;
    *ret = record;
    return 0;
}

void namespace_release(struct namespace_record *record)
{
    codec_free(record->held);
    *record = (struct namespace_record){0};
}

struct buf *directory_encode(const struct directory *directory)
{
    Grove__Directory message = GROVE__DIRECTORY__INIT;
    Grove__Attr attr;

    assert(directory->name.size <= NAME_SIZE_MAX);
    assert(directory->xattrs.size <= XATTRS_SIZE_MAX);

    message.nsid = directory->nsid;
    message.parent = directory->parent;
    message.name = codec_bytes(directory->name);
    message.attr = attr_to_pb(&attr, &directory->attr);
    message.xattrs = codec_bytes(directory->xattrs);
    message.mtime_version = directory->mtime_version;
    message.mode = directory->mode.state;
    message.domain = directory->mode.domain;
    message.mode_since = directory->mode.since;
    message.mode_epoch = directory->mode.epoch;
    message.was_own = directory->was_own;
    return codec_pack_record(&message.base);
}

static bool directory_from_pb(struct directory *to,
                              const Grove__Directory *from)
{
    *to = (struct directory){
        .nsid = from->nsid,
        .parent = from->parent,
        .name = codec_slice(from->name),
        .xattrs = codec_slice(from->xattrs),
        .mtime_version = from->mtime_version,
        .mode = {.state = (enum mode_state)from->mode,
                 .domain = from->domain,
                 .since = from->mode_since,
                 .epoch = from->mode_epoch},
        .was_own = from->was_own,
    };
    attr_from_pb(&to->attr, from->attr);
    return from->mode <= MODE_FENCED && name_is_valid(to->name) &&
           xattr_check(to->xattrs);
}

int directory_decode(struct directory *ret, struct slice bytes)
{
    struct codec_message m;
    struct directory directory;
    int rc = codec_unpack_record(&m, &grove__directory__descriptor, bytes);

    if (rc != 0)
        return rc;
    if (!directory_from_pb(&directory, m.message)) {
        codec_free(m.held);
        return ERR_CORRUPT;
    }
    directory.held = m.held;
    *ret = directory;
    return 0;
}

void directory_release(struct directory *directory)
{
    codec_free(directory->held);
    *directory = (struct directory){0};
}

struct buf *decision_encode(const struct decision *decision)
{
    Grove__Decision message = GROVE__DECISION__INIT;
    struct pb_txn txn;

    assert(decision->txn.id.node != 0);

    message.txn = txn_to_pb(&txn, &decision->txn);
    message.committed = decision->committed;
    message.below = codec_bytes(decision->below);
    return codec_pack_record(&message.base);
}

static bool decision_from_pb(struct decision *to, const Grove__Decision *from)
{
    to->committed = from->committed != 0;
    to->below = codec_slice(from->below);
    return txn_from_pb(&to->txn, from->txn) && to->txn.id.node != 0;
}

int decision_decode(struct decision *ret, struct slice bytes)
{
    struct codec_message m;
    struct decision decision;
    int rc = codec_unpack_record(&m, &grove__decision__descriptor, bytes);

    if (rc != 0)
        return rc;
    if (!decision_from_pb(&decision, m.message)) {
        codec_free(m.held);
        return ERR_CORRUPT;
    }
    decision.held = m.held;
    *ret = decision;
    return 0;
}

void decision_release(struct decision *decision)
{
    codec_free(decision->held);
    *decision = (struct decision){0};
}
