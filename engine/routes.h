/* SPDX-License-Identifier: Apache-2.0 */

/* Which region has a key, and where it is, as far as this node knows.
 *
 * What a replica on this node says of itself counts, unless something newer
 * was heard: of two regions that overlap, the one of the greater version came
 * out of the other (or of its offspring) by a split or a merge. What was heard
 * comes with refusals and with answers to routes_ask(), which asks all nodes:
 * it needs nobody in particular to be there. All of it is only a hint. What it
 * leads to is checked by the region itself, where a command is applied or a
 * read is done.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_ROUTES_H
#define GROVEFS_ENGINE_ROUTES_H

#include "engine/node.h"
#include "engine/range.h"

struct routes;

/* Borrowed from the routes until the next call that changes them. */
struct route {
    uint64_t region;
    uint64_t version;
    struct range range;
    uint64_t nodes[REGION_PEERS_MAX];
    size_t node_count;
    uint64_t leader_node; /* as it was heard; 0: not known */
};

struct routes *routes_new(struct node *node);
void routes_free(struct routes *routes); /* Takes NULL. */

/* The region that has a user key. False: not known. */
bool routes_find(const struct routes *routes, struct slice user_key,
                 struct route *ret);
/* A region that has no replica on this node. False: not known. */
bool routes_find_region(const struct routes *routes, uint64_t region,
                        struct route *ret);

/* Asks the other nodes; the answer comes to routes_on_located(). */
void routes_ask(struct routes *routes, struct slice user_key);
/* Asks one node, unless the region is here or known as it is since then. */
void routes_follow(struct routes *routes, uint64_t to, uint64_t region,
                   uint64_t version, uint64_t conf_ver);

/* Learns from a region's descriptor, whatever its age. True: it was news. */
bool routes_learn(struct routes *routes, const struct region *region,
                  uint64_t leader_node);

/* WIRE_LOCATE and WIRE_LOCATED; the latter is true when it was news. */
void routes_on_locate(struct routes *routes, uint64_t from,
                      const struct env_packet *packet);
bool routes_on_located(struct routes *routes, const struct env_packet *packet);

#endif
