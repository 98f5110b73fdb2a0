/* SPDX-License-Identifier: Apache-2.0 */

/* How an empty store becomes a node of a cluster that exists: join=.
 *
 * It asks one member after the other, over a connection of its own, for a node
 * id (WIRE_JOIN). Whoever is asked has region 0 allot one; the store's token,
 * which is on its disk before it asks, tells it from all others, so a store
 * that asks again gets the same id. With the id on its disk it is a node that
 * has no replica yet, and starts as such: the others connect to it, and region
 * 0's leader gives it a replica.
 *
 * Done before the engine has threads. Blocks. */

#ifndef GROVEFS_ENGINE_JOIN_H
#define GROVEFS_ENGINE_JOIN_H

#include "engine/address.h"
#include "engine/node.h"

/* The join= list. */
struct join_list {
    size_t count;
    struct address member[NODES_MAX];
};

/* Reads `HOST:PORT+HOST:PORT...`. ERR_INVALID: anything else, or more than
 * NODES_MAX. */
int join_parse(struct join_list *ret, const char *text, struct err *e);

/* What a store that has no id is called by members until it has one. */
uint64_t join_guest_id(uint64_t token);

/* Asks until a member has answered, for at most `wait_ms`. `advertise` is where
 * the members will reach this node. On success `identity`, of which the token
 * is used, and the node id where there is a cluster id, gets both of them.
 * ERR_NO_QUORUM: nobody has; ERR_QUOTA, ERR_NOT_PERMITTED, ERR_INVALID,
 * ERR_FOREIGN, ERR_EXISTS: refused. */
int join_ask(const struct join_list *list, const struct address *advertise,
             uint64_t wait_ms, struct identity *identity, struct err *e);

#endif
