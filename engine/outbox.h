/* SPDX-License-Identifier: Apache-2.0 */

/* Raft messages on their way out: all that one turn of the worker makes for
 * one node leave as one packet, when the turn's tasks have run. Belongs to
 * ENV_WORKER. */

#ifndef GROVEFS_ENGINE_OUTBOX_H
#define GROVEFS_ENGINE_OUTBOX_H

#include "engine/env.h"
#include "engine/wire.h"

struct outbox;

struct outbox *outbox_new(struct env *env);
void outbox_free(struct outbox *outbox); /* Takes NULL. */

/* Takes references of its own to the entries' data. */
void outbox_add(struct outbox *outbox, uint64_t to_node, uint64_t region,
                const struct raft_message *message);

#endif
