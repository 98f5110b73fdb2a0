/* SPDX-License-Identifier: Apache-2.0 */

/* The first state of a cluster: which regions there are, where, and the root.
 *
 * All founders make the same state from the same list and tokens, each on its
 * own disk: region 0 on all nodes, the first data region on the three with
 * the lowest ids; an even number of replicas has one learner. Logs start
 * behind (FOUNDING_INDEX, FOUNDING_TERM), so a replica without this state can
 * never be brought up by the log alone. */

#ifndef GROVEFS_ENGINE_FOUNDING_H
#define GROVEFS_ENGINE_FOUNDING_H

#include "engine/kv.h"
#include "engine/node.h"
#include "engine/record.h"

enum {
    FOUNDING_INDEX = 5,
    FOUNDING_TERM = 5,
    DATA_REPLICAS = 3,
    PLACEMENT_VOTERS_MAX = 5
};

/* The peers= list, by ascending id. */
struct founders {
    size_t count;
    struct founder {
        uint64_t id;
        char address[128]; /* HOST:PORT */
    } founder[NODES_MAX];
};

/* Reads `1@HOST:PORT+2@HOST:PORT...`. ERR_INVALID: anything else, an id twice,
 * more than NODES_MAX. */
int founders_parse(struct founders *ret, const char *text, struct err *e);

/* The same for the same list in any order. */
uint64_t founders_hash(const struct founders *founders);

/* A token: random, and the time in its upper bits. */
uint64_t founding_token(uint64_t random, uint64_t wall_ns);
uint64_t founding_cluster_id(const struct founders *founders,
                             const uint64_t *tokens);

/* Writes the first state of node identity->node_id into the stores, durably,
 * and at last the identity, which makes it count: after a crash before that
 * it is simply done again. Blocks. Errors of the store. */
int founding_write(struct kv *log, struct kv *state,
                   const struct identity *identity,
                   const struct founders *founders, struct err *e);

#endif
