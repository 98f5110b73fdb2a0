/* SPDX-License-Identifier: Apache-2.0 */

/* The stores of kv.h on RocksDB, one directory each.
 *
 *   KV_ROCKS_LOG    every write goes through the WAL and is synced before
 *                   kv_write() returns, whatever durability was asked for;
 *                   group commit happens above (engine/log_writer.h).
 *   KV_ROCKS_STATE  never a WAL. Relaxed writes become durable in their order
 *                   as memtables are flushed; KV_SYNCED is a write and a
 *                   flush. kv_get_durable() reads what was flushed.
 *
 * What a power cut leaves of a LOG: all that was synced, and possibly whole
 * batches after it. A torn last record is dropped; a damaged record anywhere
 * else makes kv_rocks_open() fail with ERR_CORRUPT instead of silently losing
 * the acknowledged records behind it.
 *
 * Memory at most: LOG 48 MiB of memtables and 8 MiB of cache, STATE 96 and
 * 64 MiB; an ingest adds the block buffers of one file.
 *
 * RocksDB has threads and a process-bound lock on the directory, neither of
 * which survives fork(): open a store only in the process that will use it.
 *
 * Blocking: kv_write() waits when flushes cannot keep up; kv_ingest_finish()
 * flushes the memtable first if that overlaps, and all writers wait. */

#ifndef GROVEFS_ENGINE_KV_ROCKS_H
#define GROVEFS_ENGINE_KV_ROCKS_H

#include "engine/kv.h"

enum kv_rocks_flavour { KV_ROCKS_LOG, KV_ROCKS_STATE };

enum { KV_ROCKS_INGEST_FILE_BYTES_MAX = 64 * 1024 * 1024 };

struct kv_rocks_config {
    const char *dir; /* its parent exists */
    enum kv_rocks_flavour flavour;
    bool create; /* if there is none; otherwise that is ERR_NOT_FOUND */
    /* An ingest's files are cut at this size; 0: the constant above. */
    size_t ingest_file_bytes_max;
    /* Called once, on the thread whose write failed; may be NULL. After it
     * every write returns the same error without being tried. */
    void (*on_fatal)(void *context, const char *reason);
    void *on_fatal_context;
};

/* Opens and recovers; the texts of `config` are copied. Errors: ERR_BUSY
 * (another process has it), ERR_NOT_FOUND, ERR_CORRUPT, ERR_NO_SPACE,
 * ERR_IO. */
int kv_rocks_open(struct kv **ret, const struct kv_rocks_config *config,
                  struct err *e);

/* Whether the store in `dir` has ever met a block with a wrong checksum: a note
 * of it is kept beside RocksDB's files. Such a file cannot be mended, and once
 * a compaction meets it no write succeeds any more. */
bool kv_rocks_was_damaged(const char *dir);

/* One of RocksDB's numbers, such as "rocksdb.estimate-num-keys". False when
 * it has none of that name. `kv` was opened by kv_rocks_open(). */
bool kv_rocks_property(struct kv *kv, const char *name, uint64_t *ret_value);

#endif
