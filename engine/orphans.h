/* SPDX-License-Identifier: Apache-2.0 */

/* Finds intents that nobody resolves (txn.h, rule 2) and settles them: the
 * leader of the data region looks through the index of intents now and then,
 * and what it sees again after ORPHAN_AGE_MS has lost its coordinator.
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_ORPHANS_H
#define GROVEFS_ENGINE_ORPHANS_H

#include "engine/node.h"

enum { ORPHANS_MAX = 64 };

struct orphans;

struct orphans *orphans_new(struct node *node);
void orphans_stop(struct orphans *orphans);
void orphans_free(struct orphans *orphans); /* Takes NULL. */
void orphans_tick(struct orphans *orphans); /* Once a second. */

#endif
