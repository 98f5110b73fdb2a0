/* SPDX-License-Identifier: Apache-2.0 */

/* Full disks: that of this node, and those of the replicas that a majority
 * needs. Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_DISKS_H
#define GROVEFS_ENGINE_DISKS_H

#include "engine/node.h"

struct disks;

struct disks *disks_new(struct node *node);
void disks_free(struct disks *disks); /* Takes NULL. */

void disks_tick(struct disks *disks);        /* each TICK_MS */
void disks_each_second(struct disks *disks); /* says what has changed */

/* See node_disk_full(). */
bool disks_are_full(const struct disks *disks, uint64_t region);
/* Whether that of this node is down to the reserve. */
bool disks_own_is_full(const struct disks *disks);

#endif
