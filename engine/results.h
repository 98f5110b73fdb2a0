/* SPDX-License-Identifier: Apache-2.0 */

/* What a region remembers of the commands it has applied, so that a command
 * that comes twice (a retry after a change of leader) takes effect once and
 * answers the same both times.
 *
 * A sender is a node in one of its boots; its commands are numbered. The
 * region keeps each result until the sender says, in a later command, that it
 * waits for it no more. A newer boot drops what an older one left.
 *
 * Part of the replicated state: it changes only with applied commands and is
 * stored in state/ with them; the memory here is an index of that. Belongs to
 * the owner of the applier. */

#ifndef GROVEFS_ENGINE_RESULTS_H
#define GROVEFS_ENGINE_RESULTS_H

#include "engine/command.h"
#include "engine/kv.h"

struct results;

/* Reads the index from state/. ERR_CORRUPT, ERR_IO. */
int results_open(struct results **ret, struct kv *state, uint64_t region);
void results_free(struct results *results); /* Takes NULL. */

/* Puts all that a region remembers into a batch, as what another one does. */
int results_copy(struct kv *state, uint64_t from_region, uint64_t to_region,
                 struct kv_batch *batch);

/* Adds all that another region remembers; of a node that both know, what it
 * sends in its newer boot, and still waits for. Errors as results_open(): not
 * all was added. */
int results_unite(struct results *results, uint64_t from_region,
                  struct kv_batch *batch);

/* Whether this command was answered already: 0 and a new reference to the
 * encoded result; ERR_NOT_FOUND: it is new; ERR_CANCELED: its sender has
 * stopped waiting for it, so it must not be executed; ERR_IO. */
int results_find(struct results *results, const struct command *command,
                 struct buf **ret);

/* Adds a new command's encoded result to its batch, and forgets what the
 * sender waits for no more. */
void results_add(struct results *results, const struct command *command,
                 const struct buf *result, struct kv_batch *batch);

#endif
