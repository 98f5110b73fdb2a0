/* SPDX-License-Identifier: Apache-2.0 */

/* What a request takes: which commands, in which regions, in which order, and
 * how their results become its answer.
 *
 *   reads                    one read (reader.h)
 *   on files                 one command in the data region; again when a
 *                            transaction held the name (settle.h)
 *   MKDIR, RMDIR, RENAME of  a transaction (txn.h)
 *     directories
 *   RENAME of files over     likewise, when one command has found them to be
 *     regions                apart
 *   SETATTR, xattrs of       one command in region 0; SETATTR then reads the
 *     directories            attributes, which lie in both
 *   RENDER                   status.h; waits for nothing
 *   EVENTS                   event_watch.h; may wait for ever
 *   CONTROL                  control.h: calls of the leaders it concerns
 *
 * Belongs to ENV_WORKER, except for flows_try(). */

#ifndef GROVEFS_ENGINE_FLOW_H
#define GROVEFS_ENGINE_FLOW_H

#include "engine/node.h"

struct flows *flows_new(struct node *node);
/* Ends all requests with ERR_CANCELED. */
void flows_stop(struct flows *flows);
void flows_free(struct flows *flows); /* Takes NULL. */

/* Runs a request; it comes back through its `done`, perhaps before this
 * returns. */
void flows_submit(struct flows *flows, struct request *request);
/* `id` is what engine_submit() has put into the request; unknown ones are
 * ignored. The request comes back with ERR_INTERRUPTED. */
void flows_cancel(struct flows *flows, uint64_t id);

/* The router holds less than before: what waits for that may go on. */
void flows_on_release(struct flows *flows);

/* Answers a read at once if this node may. Any thread. */
bool flows_try(struct node *node, struct request *request);

#endif
