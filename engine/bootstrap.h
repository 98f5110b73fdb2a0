/* SPDX-License-Identifier: Apache-2.0 */

/* How the nodes of a peers= list become a cluster, in any order of starting,
 * exactly once.
 *
 * Each empty store has a token, made at its first start and kept on its disk.
 * The nodes tell each other their tokens; who knows the tokens of all founds
 * the cluster, whose id follows from list and tokens, so all found the same
 * one. A node that is late learns the tokens from one that has founded already,
 * and finds its own among them. A node whose disk was wiped has a new token,
 * that is not among them: it is refused, so that it never votes under its old
 * id without what it has promised.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_BOOTSTRAP_H
#define GROVEFS_ENGINE_BOOTSTRAP_H

#include "engine/env.h"
#include "engine/founding.h"
#include "engine/wire.h"

struct bootstrap;

struct bootstrap_config {
    struct env *env;
    struct identity identity; /* of the empty store, with its token */
    struct founders founders;
    /* Ends it, once. 0: `identity` has cluster id and tokens of the cluster to
     * be founded. ERR_FOREIGN: refused, `why` says by whom. */
    void (*done)(void *context, int status, const struct identity *identity,
                 const char *why);
    void *context;
};

struct bootstrap *bootstrap_new(const struct bootstrap_config *config);
void bootstrap_free(struct bootstrap *bootstrap); /* Takes NULL. */

void bootstrap_start(struct bootstrap *bootstrap);
void bootstrap_on_packet(struct bootstrap *bootstrap,
                         const struct env_packet *packet);

/* What is missing, one line each, for /.cluster/health. */
void bootstrap_render(const struct bootstrap *bootstrap, FILE *out);

/* The answer of a node that belongs to a cluster to a WIRE_BOOT packet. */
void bootstrap_answer(struct env *env, const struct identity *identity,
                      uint64_t to, const struct env_packet *packet);

#endif
