/* SPDX-License-Identifier: Apache-2.0 */

/* Merging two neighbours, on the leader of the one that takes the other over:
 * the target.
 *
 *     asking       do all nodes of both have a sound replica of each, of these
 *        |         epochs, and not too much to save? Else it is refused, and
 *        |         nothing has happened.
 *     BEGIN        merge_change.h has the entries
 *     freezing     FREEZE, by way of the source's leader; then asking again:
 *        |         has each of these replicas applied it, and is that durable?
 *     TAKE         only when all have said so
 *
 *     or, when that takes too long or the source has changed:
 *     GIVE_UP
 *     unfreezing   UNFREEZE, again and again
 *     END
 *
 * 1. That a replica is frozen stays true until GIVE_UP, whatever crashes. So
 *    all answers together are true when TAKE is applied, and each replica of
 *    the target has beside it all that it takes over.
 * 2. From BEGIN on the descriptor in the target's log is all that has to be
 *    known: whoever comes to lead the target goes on with it, or gives it up.
 *    The source never decides anything.
 * 3. What a user writes to the source waits meanwhile, until a few seconds
 *    after BEGIN at most: that is how long the target is patient.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_MERGE_H
#define GROVEFS_ENGINE_MERGE_H

#include "engine/wire.h"

struct merge;
struct merges;
struct node;

/* Who waits for it; embedded. */
struct merge_wait {
    /* `status` 0: the source is the target's. ERR_NOT_LEADER: ask the one that
     * leads; ERR_INVALID, ERR_BUSY, ERR_NOT_PERMITTED: see `why`, borrowed,
     * which has it in words, or "". ERR_CANCELED: the node stops. */
    void (*done)(struct merge_wait *wait, int status, const char *why);
    struct merge *merge; /* private from here on; NULL: does not wait */
    TAILQ_ENTRY(merge_wait) link;
};

struct merges *merges_new(struct node *node);
/* Ends all with ERR_CANCELED; what was begun is left to rule 2. */
void merges_stop(struct merges *merges);
void merges_free(struct merges *merges); /* Takes NULL; nothing may run. */

/* Merges region `source` into `target`, which is led here. One that runs
 * already is waited for. `done` may be called before this returns. */
void merge_start(struct merge_wait *wait, struct node *node, uint64_t target,
                 uint64_t source);
bool merge_is_running(const struct merge_wait *wait);
/* Does not call `done`; the merge goes on. One that does not wait is
 * ignored. */
void merge_cancel(struct merge_wait *wait);

/* Once a second: goes on with what another leader has begun. */
void merges_tick(struct merges *merges);

/* WIRE_MERGE_QUERY and WIRE_MERGE_REPORT. */
void merges_on_query(struct merges *merges, uint64_t from_node,
                     const struct env_packet *packet);
void merges_on_report(struct merges *merges, uint64_t from_node,
                      const struct env_packet *packet);

#endif
