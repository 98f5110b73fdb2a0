/* SPDX-License-Identifier: Apache-2.0 */

/* What the kv_mem*.c files share; nobody else includes this. */

#ifndef GROVEFS_TESTS_SIM_KV_MEM_IMPL_H
#define GROVEFS_TESTS_SIM_KV_MEM_IMPL_H

#include <sys/queue.h>

#include "tests/sim/kv_mem.h"
#include "tests/sim/mem_map.h"

/* A moment that must stay readable; oldest first in the store's list. */
struct moment {
    uint64_t sequence;
    TAILQ_ENTRY(moment) link;
};

struct kv_mem {
    struct kv kv;
    struct mem_map map;
    uint64_t sequence;  /* of the last write */
    uint64_t synced;    /* writes up to here survive a crash */
    uint64_t *unsynced; /* sequence numbers of the tail, ascending */
    size_t unsynced_count;
    size_t unsynced_count_max;
    TAILQ_HEAD(, moment) moments;
    struct kv_mem_failure failure;
    struct kv_mem_watcher watcher;
    char spoilt; /* class of keys; '\0': none */
};

struct mem_snapshot {
    struct kv_snapshot snapshot;
    struct moment moment;
};

/* Keeps the moment `sequence` readable until it is taken out of the list. */
void kv_mem_moment_open(struct kv_mem *mem, struct moment *moment,
                        uint64_t sequence);

/* kv_ops.iter_new. */
struct kv_iter *kv_mem_iter_new(struct kv *kv,
                                const struct kv_snapshot *snapshot,
                                struct slice lower, struct slice upper);

#endif
