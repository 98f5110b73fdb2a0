/* SPDX-License-Identifier: Apache-2.0 */

/* Namespace ids for new directories, leased from region 0 many at a time. Each
 * attempt of a transaction takes a new one: what an abort deletes is nobody
 * else's.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_TXN_IDS_H
#define GROVEFS_ENGINE_TXN_IDS_H

#include <sys/queue.h>

#include "engine/node.h"

struct txn_ids;

/* Somebody who waits for an id. */
struct txn_ids_wait {
    /* Public. There are ids again: take one, or wait once more. Or region 0 did
     * not answer, with that status. */
    void (*done)(struct txn_ids_wait *wait, int status);
    TAILQ_ENTRY(txn_ids_wait) link; /* private */
};

struct txn_ids *txn_ids_new(struct node *node);
/* Nobody who waits is called any more. */
void txn_ids_stop(struct txn_ids *ids);
void txn_ids_free(struct txn_ids *ids); /* Takes NULL. After txn_ids_stop(). */

/* False: there is none, and whoever wants one has to wait. */
bool txn_ids_take(struct txn_ids *ids, uint64_t *ret);
/* Keeps `wait` until its callback. */
void txn_ids_wait(struct txn_ids *ids, struct txn_ids_wait *wait);

#endif
