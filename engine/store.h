/* SPDX-License-Identifier: Apache-2.0 */

/* The store directory of a node: its two RocksDB instances and who it is.
 *
 *     DATA/log/    Raft logs, hard states, the identity
 *     DATA/state/  entries, catalog, regions, markers
 *
 * Belongs to whoever opens it; may block. */

#ifndef GROVEFS_ENGINE_STORE_H
#define GROVEFS_ENGINE_STORE_H

#include "engine/kv.h"
#include "engine/record.h"

struct store {
    struct kv *log;
    struct kv *state;
    struct identity identity; /* this boot is counted already */
    uint64_t ino_next;        /* of the block leased for this boot */
};

struct store_config {
    const char *dir;
    uint64_t node_id; /* 0: whatever the store says, 1 for a new one */
    void (*on_fatal)(void *context, const char *reason);
    void *on_fatal_context;
};

/* Opens or creates. Errors with one line in `e`: ERR_BUSY, ERR_FOREIGN (another
 * node's), ERR_VERSION, ERR_CORRUPT, ERR_NO_SPACE, ERR_IO and what the
 * filesystem says. */
int store_open(struct store *ret, const struct store_config *config,
               struct err *e);
/* The store becomes that of a node of a cluster: `identity` is durable when
 * this returns. Errors of the store. */
int store_set_identity(struct store *store, const struct identity *identity,
                       struct err *e);
void store_close(struct store *store); /* Takes a zeroed one too. */

#endif
