/* SPDX-License-Identifier: Apache-2.0 */

/* Finds intents and marks that nobody resolves and decisions that nobody
 * forgets (txn.h, rule 2) and settles them: each region's leader looks through
 * the index of its intents and marks, and region 0's through the decisions,
 * once a second. What it still sees when any coordinator must have given up has
 * lost its own. What is known to be aborted is undone all at once, which may be
 * the parts of thousands of namespaces. Until then the region does not sleep,
 * and it does not fall asleep before it was looked through, so those that sleep
 * are left alone. Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_ORPHANS_H
#define GROVEFS_ENGINE_ORPHANS_H

#include "engine/node.h"

enum {
    ORPHANS_MAX = 64,    /* settled at the same time; the rest comes later */
    TXNS_SEEN_MAX = 1024 /* watched at the same time; likewise */
};

struct orphans;

struct orphans *orphans_new(struct node *node);
void orphans_stop(struct orphans *orphans);
void orphans_free(struct orphans *orphans); /* Takes NULL. */
void orphans_tick(struct orphans *orphans); /* Once a second. */

#endif
