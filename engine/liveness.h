/* SPDX-License-Identifier: Apache-2.0 */

/* Which other nodes are alive, as this one sees it. Regions in which nothing
 * happens send no heartbeats; that their leader is gone shows here.
 *
 * Every node says to every other one that it is there, with its boot number,
 * as long as they are connected; any other packet says so as well. A node is
 * lost when its connection is, when it was silent for NODE_SILENT_MS, or when
 * it comes with another boot number; it is found again with its next word. What
 * follows from that is up to node_on_liveness(). Of a node without a connection
 * nothing is remembered, as it may have been removed.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_LIVENESS_H
#define GROVEFS_ENGINE_LIVENESS_H

#include "engine/node.h"

enum {
    ALIVE_MS = 300,        /* between two words to one node */
    NODE_SILENT_MS = 1500, /* about an election timeout */
};

struct liveness;

struct liveness *liveness_new(struct node *node);
void liveness_free(struct liveness *liveness); /* Takes NULL. */

void liveness_tick(struct liveness *liveness); /* each TICK_MS */
void liveness_on_link(struct liveness *liveness, uint64_t node_id, bool up);
/* Any packet, before it is handled. */
void liveness_on_packet(struct liveness *liveness, uint64_t node_id);
/* WIRE_ALIVE. */
void liveness_on_alive(struct liveness *liveness, uint64_t node_id,
                       const struct env_packet *packet);

/* This node itself always is. */
bool liveness_is_alive(const struct liveness *liveness, uint64_t node_id);

#endif
