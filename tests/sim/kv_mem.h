/* SPDX-License-Identifier: Apache-2.0 */

/* A store of kv.h in memory, for the simulator and for unit tests: the same
 * calls give the same results, and a crash forgets what was not synced.
 *
 * Every write gets the next sequence number, and a key keeps its versions as
 * long as a snapshot, an iterator or a crash may still need them:
 *
 *   1. Versions of one key have descending sequence numbers.
 *   2. Relaxed writes after the last sync are the unsynced tail; a crash keeps
 *      a prefix of it. Ingested versions survive every crash.
 *   3. No version is dropped that is the newest at or below the moment of an
 *      open snapshot or iterator, or of the last sync.
 *
 * Harsher than RocksDB where kv.h allows it: an ingest never makes the tail
 * durable. Milder: a flush is over when it begins. Calls fail only as
 * kv_mem_fail_next() wants them to.
 *
 * One thread at a time. */

#ifndef GROVEFS_TESTS_SIM_KV_MEM_H
#define GROVEFS_TESTS_SIM_KV_MEM_H

#include "engine/kv.h"

/* An empty store; kv_close() frees it. */
struct kv *kv_mem_new(void);

/* How many writes a crash right now could forget. */
size_t kv_mem_unsynced_count(const struct kv *kv);

/* Makes the `count` oldest unsynced writes durable, as RocksDB's flushes in
 * the background do. */
void kv_mem_sync(struct kv *kv, size_t count);

/* What a power cut leaves: all that was durable and the `keep_count` oldest
 * unsynced writes. Snapshots and iterators of before may only be freed, and
 * ingests that were not finished too. */
void kv_mem_crash(struct kv *kv, size_t keep_count);

/* Calls that a bad disk makes fail. */
enum kv_mem_call { KV_MEM_NONE, KV_MEM_WRITE, KV_MEM_FLUSH, KV_MEM_INGEST };

struct kv_mem_failure {
    enum kv_mem_call call;
    bool late; /* it takes effect all the same */
    /* Is told before the call returns ERR_IO, and need not return. */
    void (*on_fatal)(void *context, const char *reason);
    void *context;
};

/* The next call of that kind fails, once. KV_MEM_NONE: none does. */
void kv_mem_fail_next(struct kv *kv, const struct kv_mem_failure *failure);

/* Is told of each write, flush and ingest, right before it takes effect and
 * right after that, and need not return. `on_step` NULL: nobody is. */
struct kv_mem_watcher {
    void (*on_step)(void *context, bool done);
    void *context;
};

void kv_mem_watch(struct kv *kv, const struct kv_mem_watcher *watcher);

/* From here on iterators that go forward end with ERR_CORRUPT where a key of
 * this class is, as in a bad block; '\0': nowhere. */
void kv_mem_spoil(struct kv *kv, char class);

/* Asserts the invariants above. */
void kv_mem_check(const struct kv *kv);

#endif
