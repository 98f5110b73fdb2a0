/* SPDX-License-Identifier: Apache-2.0 */

/* What an entry of an eventual namespace is: the newest change of one name that
 * this node knows of, in whole. A name that was removed leaves a record, too (a
 * tombstone), so that older changes that are still on their way do not bring
 * it back.
 *
 * Of two records of one name the one with the greater version stays, whichever
 * comes first (last writer wins): see eventual_compare(). So it does not matter
 * in which order, how often and by which way they reach a node.
 *
 * In state/ (keys.h) an entry lies at 'v', content that is not inline at 'w'
 * beside it, and where it stands in the order of changes on this node at 'i'.
 * Tombstones are listed at 'u' by their time: floor.h says how they go.
 * Encoding and ownership as in record.h; record_eventual.c makes the bytes. */

#ifndef GROVEFS_ENGINE_EVENTUAL_RECORD_H
#define GROVEFS_ENGINE_EVENTUAL_RECORD_H

#include "engine/record.h"

enum {
    EVENTUAL_VALUE_SIZE_MAX = 1024 * 1024,
    EVENTUAL_INLINE_MAX = 4096 /* content in the entry itself */
};

struct eventual_record {
    uint64_t dir;
    struct slice name;
    uint64_t hlc;      /* the version: a time ... */
    uint64_t origin;   /* ... and the node that has accepted the change */
    uint64_t sequence; /* the origin's number of it; see eventual.h */
    uint64_t since;    /* struct mode, of the namespace */
    uint64_t known;    /* the hlc of what some other node had put there last,
                        * as far as the origin knew; 0: of none */
    uint64_t local;    /* this node's number of it: only in state/ */
    uint64_t digest;   /* digest_record(), likewise; 0: it was not kept */
    bool removed;      /* a tombstone: nothing below counts */
    struct attr attr;  /* `version` is the hlc */
    struct slice xattrs;
    struct slice content; /* of attr.size bytes; none when read without it */

    void *held;             /* private */
    struct buf *held_other; /* private: content from 'w' */
};

/* With all of the content, and without what is only in state/, for the journal
 * and for other nodes. NULL: no memory. */
struct buf *eventual_encode(const struct eventual_record *record);
int eventual_decode(struct eventual_record *ret, struct slice bytes);
/* The same, and names of directories, which only eventual_items.h has: their
 * attr.ino, and the type bits of attr.mode. */
int eventual_decode_item(struct eventual_record *ret, struct slice bytes);
void eventual_release(struct eventual_record *record);

/* < 0, 0, > 0: whether a's version is less than, the same as, greater than
 * b's. */
int eventual_compare(const struct eventual_record *a,
                     const struct eventual_record *b);

/* Whether two changes of one name were made without the one knowing of the
 * other, or of anything that had replaced it. Not all such changes are told: a
 * third node may have replaced one of them meanwhile. Two removals are none. */
bool eventual_is_conflict(const struct eventual_record *a,
                          const struct eventual_record *b);

/* ---- in state/ ---- */

/* What is known of a name. `content`: with its content. ERR_NOT_FOUND: nothing
 * is (also not that it was removed); ERR_CORRUPT, ERR_IO, ERR_NO_MEMORY. Any
 * thread. */
int eventual_get(struct kv *state, const struct kv_snapshot *snapshot,
                 uint64_t dir, struct slice name, bool content,
                 struct eventual_record *ret);

/* To a record that was read without content, which is left out only where it
 * lies at 'w'. Nothing may have changed since. Errors as of
 * eventual_get_content(). */
int eventual_add_content(struct kv *state, const struct kv_snapshot *snapshot,
                         struct eventual_record *record);

/* Content of a record that was read without it: what there is of it in
 * [offset, offset + size), as a new buf. Errors as above, but ERR_CORRUPT where
 * it is missing. */
int eventual_get_content(struct kv *state, const struct kv_snapshot *snapshot,
                         const struct eventual_record *record, uint64_t offset,
                         uint64_t size, struct buf **ret);

/* The value of a key of class 'v', without content that lies at 'w'. */
struct buf *eventual_encode_entry(const struct eventual_record *record);
int eventual_decode_entry(struct eventual_record *ret, struct slice bytes);

/* Whether the content lies at 'w'. */
static inline bool eventual_is_large(const struct eventual_record *record)
{
    return record->attr.size > EVENTUAL_INLINE_MAX;
}

/* Puts a record, with its content, in the place of `old` (NULL: there is none;
 * it may be without content), as the change record->local. Does not count it:
 * see eventual_namespace. */
void eventual_put(struct kv_batch *batch, const struct eventual_record *record,
                  const struct eventual_record *old);

/* The entry that an iterator of class 'v' stands at, without content that lies
 * at 'w'. ERR_CORRUPT: nobody can tell what it is; ERR_NO_MEMORY. */
int eventual_read_at(const struct kv_iter *iter, struct eventual_record *ret);

/* Deletes an entry of a life that is over, with its content, from the list of
 * tombstones, too. Where it stands in the order of changes there is nothing
 * then. Not counted. */
void eventual_delete(struct kv_batch *batch,
                     const struct eventual_record *record);

/* Deletes a tombstone: nothing is known of the name then. */
void eventual_delete_removed(struct kv_batch *batch,
                             const struct eventual_record *record);

/* Count, times and digest of a namespace's live entries on this node, and of
 * which of its lives there are entries. */
struct eventual_namespace {
    uint64_t entry_count;
    int64_t changed_ns; /* the last time that a name came or went */
    uint64_t version;
    uint64_t since_first; /* no entry, removed ones too, is of a life before
                           * this one ... */
    uint64_t since_last;  /* ... or behind this one; 0: that is not known */
    uint64_t digest;      /* digest.h */
    bool has_digest;      /* else nobody can tell */
};

/* There is an entry of this life. */
static inline void
eventual_namespace_add_life(struct eventual_namespace *record, uint64_t since)
{
    if (record->since_last == 0 || since < record->since_first)
        record->since_first = since;
    if (since > record->since_last)
        record->since_last = since;
}

struct buf *eventual_namespace_encode(const struct eventual_namespace *record);
int eventual_namespace_decode(struct eventual_namespace *ret,
                              struct slice bytes);
/* Zeroes where there is no record, which is a digest, too. ERR_CORRUPT, ERR_IO.
 */
int eventual_namespace_get(struct kv *state, const struct kv_snapshot *snapshot,
                           uint64_t nsid, struct eventual_namespace *ret);
void eventual_namespace_put(struct kv_batch *batch, uint64_t nsid,
                            const struct eventual_namespace *record);

/* How far changes are applied in state/; written with each batch of them. */
struct eventual_head {
    uint64_t sequence; /* the greatest number given out */
    uint64_t hlc;      /* the greatest time given out or seen */
    bool whole;        /* has all that some other node once had */
    uint64_t floor;    /* floor.h; as far as this node knows of it */
    uint64_t seen;     /* the greatest time that came from another node */
    bool damaged;      /* eventual_damage.h: it may lack what it had */
};

struct buf *eventual_head_encode(const struct eventual_head *head);
int eventual_head_decode(struct eventual_head *ret, struct slice bytes);
/* Zeroes where there is no record, here and below. ERR_CORRUPT, ERR_IO. */
int eventual_head_get(struct kv *state, struct eventual_head *ret);
/* As it would be after a power cut. */
int eventual_head_get_durable(struct kv *state, struct eventual_head *ret);
void eventual_head_put(struct kv_batch *batch,
                       const struct eventual_head *head);

/* What was pulled from a node; written behind the changes. */
struct eventual_peer {
    uint64_t cursor;   /* its numbers up to this one are here */
    uint64_t received; /* of its own changes: up to this one, by whatever way */
    uint64_t promise;  /* floor.h: all that it had when it promised to stamp
                        * nothing up to here any more is here */
    uint64_t roll;     /* of the members that it knew of then */
};

struct buf *eventual_peer_encode(const struct eventual_peer *peer);
int eventual_peer_decode(struct eventual_peer *ret, struct slice bytes);
/* Zeroes also where it cannot be told: all is asked for again. */
int eventual_peer_get(struct kv *state, uint64_t node,
                      struct eventual_peer *ret);
/* As it would be after a power cut. */
int eventual_peer_get_durable(struct kv *state, uint64_t node,
                              struct eventual_peer *ret);
void eventual_peer_put(struct kv_batch *batch, uint64_t node,
                       const struct eventual_peer *peer);

#endif
