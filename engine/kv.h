/* SPDX-License-Identifier: Apache-2.0 */

/* An ordered store of bytes: what the engine knows of RocksDB.
 *
 * Production opens two of them: log/ with the WAL on, where a
 * batch is synced before it counts, and state/ with the WAL off, where
 * batches survive in the order in which they were written up to some point,
 * and kv_get_durable() tells how far. tests/sim/ implements the same table
 * in memory, with an unsynced tail that a crash forgets.
 *
 * Threads: everything here may be called on any thread. One batch, iterator
 * or ingest belongs to one thread at a time.
 *
 * Errors: a write error of a store is final for the node (never retried), so
 * kv_write() and kv_ingest_finish() report it once to the store's `on_fatal`
 * and return it. Reads return 0, ERR_NOT_FOUND, ERR_CORRUPT or ERR_IO.
 *
 * kv_rocks.h opens one on RocksDB. */

#ifndef GROVEFS_ENGINE_KV_H
#define GROVEFS_ENGINE_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/base/buf.h"
#include "raft/base/err.h"

/* Borrowed bytes; never owns. */
struct slice {
    const void *data;
    size_t size;
};

/* All of it; borrows from `b`. */
static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->data, b->size};
}

/* Byte order, the order of every store: < 0, 0 or > 0 like memcmp(). */
int slice_compare(struct slice a, struct slice b);

/* Bytes that a read has pinned. Zeroed = empty. Release with
 * kv_value_release(). */
struct kv_value {
    const uint8_t *data; /* public */
    size_t size;         /* public */
    void *pin;           /* private from here on */
    void (*unpin)(void *pin);
};

enum { KV_PARTS_MAX = 16 }; /* of one value, for kv_batch_put_parts() */

struct kv;
struct kv_batch;
struct kv_iter;
struct kv_snapshot;
struct kv_ingest;

enum kv_durability {
    KV_RELAXED, /* state/: into the memtable, no WAL */
    KV_SYNCED,  /* log/: on disk (fsync) when the call returns, and with it
                 * all that was written before */
};

/* The table that an implementation fills in. `struct kv` is embedded as the
 * first member of the implementation's own struct; the same for the others. */
struct kv_ops {
    void (*close)(struct kv *kv);
    int (*get)(struct kv *kv, const struct kv_snapshot *snapshot,
               struct slice key, struct kv_value *ret_value);
    int (*get_durable)(struct kv *kv, struct slice key,
                       struct kv_value *ret_value);
    struct kv_snapshot *(*snapshot_new)(struct kv *kv);
    void (*snapshot_free)(struct kv_snapshot *snapshot);
    struct kv_batch *(*batch_new)(struct kv *kv);
    int (*write)(struct kv *kv, struct kv_batch *batch,
                 enum kv_durability durability, struct err *e);
    int (*flush)(struct kv *kv, bool wait, struct err *e);
    struct kv_iter *(*iter_new)(struct kv *kv,
                                const struct kv_snapshot *snapshot,
                                struct slice lower, struct slice upper);
    int (*ingest_new)(struct kv *kv, struct kv_ingest **ret, struct err *e);
    uint64_t (*disk_used_bytes)(struct kv *kv);
    uint64_t (*range_bytes)(struct kv *kv, struct slice begin,
                            struct slice end);
};

struct kv_batch_ops {
    void (*free)(struct kv_batch *batch);
    void (*clear)(struct kv_batch *batch);
    void (*put)(struct kv_batch *batch, struct slice key,
                const struct slice *parts, size_t part_count);
    void (*del)(struct kv_batch *batch, struct slice key);
    void (*del_range)(struct kv_batch *batch, struct slice begin,
                      struct slice end);
    size_t (*count)(const struct kv_batch *batch);
    size_t (*size_bytes)(const struct kv_batch *batch);
};

struct kv_iter_ops {
    void (*free)(struct kv_iter *iter);
    void (*seek)(struct kv_iter *iter, struct slice key);
    void (*seek_last)(struct kv_iter *iter);
    void (*next)(struct kv_iter *iter);
    bool (*valid)(const struct kv_iter *iter);
    struct slice (*key)(const struct kv_iter *iter);
    struct slice (*value)(const struct kv_iter *iter);
    int (*status)(const struct kv_iter *iter, struct err *e);
};

struct kv_ingest_ops {
    int (*replace_range)(struct kv_ingest *ingest, struct slice begin,
                         struct slice end, struct err *e);
    int (*put)(struct kv_ingest *ingest, struct slice key, struct slice value,
               struct err *e);
    int (*finish)(struct kv_ingest *ingest, struct err *e);
    void (*free)(struct kv_ingest *ingest);
};

struct kv {
    const struct kv_ops *ops;
};
struct kv_batch {
    const struct kv_batch_ops *ops;
};
struct kv_iter {
    const struct kv_iter_ops *ops;
};
struct kv_snapshot {
    struct kv *kv;
};
struct kv_ingest {
    const struct kv_ingest_ops *ops;
};

/* Closes the store and frees it; a state/ store is flushed first, so that the
 * next start replays nothing. Takes NULL. */
void kv_close(struct kv *kv);

/* Reads the newest value, or the one in `snapshot` unless that is NULL. The
 * value stays pinned until kv_value_release(). Returns 0, ERR_NOT_FOUND,
 * ERR_CORRUPT, ERR_IO. */
int kv_get(struct kv *kv, const struct kv_snapshot *snapshot, struct slice key,
           struct kv_value *ret_value);

/* The value as it would be read after a power cut right now (RocksDB: from
 * SST files only). May read the disk. */
int kv_get_durable(struct kv *kv, struct slice key, struct kv_value *ret_value);

/* Takes a zeroed or released value too. */
void kv_value_release(struct kv_value *value);

/* A view of this moment, for kv_get() and kv_iter_new(). Keep it short: it
 * pins overwritten values of the whole store. Free it before the store. */
struct kv_snapshot *kv_snapshot_new(struct kv *kv);
void kv_snapshot_free(struct kv_snapshot *snapshot); /* Takes NULL. */

/* A batch takes effect as one; kv_write() leaves it as it is: clear or free
 * it afterwards. Keys and values are copied in. */
struct kv_batch *kv_batch_new(struct kv *kv);
void kv_batch_free(struct kv_batch *batch); /* Takes NULL. */
void kv_batch_clear(struct kv_batch *batch);
void kv_batch_put(struct kv_batch *batch, struct slice key, struct slice value);
/* The value is the parts one after the other. */
void kv_batch_put_parts(struct kv_batch *batch, struct slice key,
                        const struct slice *parts, size_t part_count);
void kv_batch_delete(struct kv_batch *batch, struct slice key);
/* Deletes [begin, end). Costs reads near it: for ranges, not for single keys.
 */
void kv_batch_delete_range(struct kv_batch *batch, struct slice begin,
                           struct slice end);
/* The same, one by one where `kv` has few keys there: thousands of ranges would
 * have each read take long. What is there must stay as it is until the batch is
 * written, and the batch must have put nothing there. */
void kv_batch_delete_all(struct kv_batch *batch, struct kv *kv,
                         struct slice begin, struct slice end);
size_t kv_batch_count(const struct kv_batch *batch);
size_t kv_batch_size_bytes(const struct kv_batch *batch);
int kv_write(struct kv *kv, struct kv_batch *batch,
             enum kv_durability durability, struct err *e);

/* Makes everything written so far durable; without `wait` only starts it. */
int kv_flush(struct kv *kv, bool wait, struct err *e);

/* Iterates [lower, upper) forward; bounds are copied, an empty `upper` is no
 * bound. An iterator sees one moment: `snapshot`'s, or that of its creation.
 * Position it first: a seek to a key below `lower` goes to `lower`. */
struct kv_iter *kv_iter_new(struct kv *kv, const struct kv_snapshot *snapshot,
                            struct slice lower, struct slice upper);
void kv_iter_free(struct kv_iter *iter); /* Takes NULL. */
void kv_iter_seek(struct kv_iter *iter, struct slice key);
void kv_iter_seek_last(struct kv_iter *iter);
void kv_iter_next(struct kv_iter *iter);
bool kv_iter_valid(const struct kv_iter *iter);
struct slice kv_iter_key(const struct kv_iter *iter);   /* Until next move. */
struct slice kv_iter_value(const struct kv_iter *iter); /* Until next move. */
/* When not valid any more: 0 at the end of the range, else the error. */
int kv_iter_status(const struct kv_iter *iter, struct err *e);

/* Replaces whole ranges in one atomic and durable step. Ranges must not
 * overlap; each is declared before the keys in it, which come in ascending
 * order. Until kv_ingest_finish() returns 0 nothing is visible;
 * kv_ingest_free() without it leaves the store as it was. While the new data
 * is only being collected, an error (a full disk) does no harm to the store
 * and is not reported to `on_fatal`: free the ingest and try later.
 *
 * Relaxed writes outside the ranges are not made durable by this. */
int kv_ingest_new(struct kv *kv, struct kv_ingest **ret, struct err *e);
int kv_ingest_replace_range(struct kv_ingest *ingest, struct slice begin,
                            struct slice end, struct err *e);
int kv_ingest_put(struct kv_ingest *ingest, struct slice key,
                  struct slice value, struct err *e);
int kv_ingest_finish(struct kv_ingest *ingest, struct err *e);
void kv_ingest_free(struct kv_ingest *ingest); /* Takes NULL. */

/* Size of the files on disk, for /.cluster/nodes. */
uint64_t kv_disk_used_bytes(struct kv *kv);
/* About how much of them is there for the keys of a range: compressed, and
 * without what was not flushed yet. 0 when that cannot be told. */
uint64_t kv_range_bytes(struct kv *kv, struct slice begin, struct slice end);

#endif
