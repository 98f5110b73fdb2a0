/* SPDX-License-Identifier: Apache-2.0 */

/* Makes reading a region's state on this node linearizable: waits until this
 * node has applied everything that was acknowledged before the wait began.
 *
 * On the leader under a lease there is nothing to wait for. Else a read index
 * is asked for, from this node's own peer or from the leader's node, and then
 * it has to be applied here. Waiters share rounds: one that comes while a
 * round is under way joins the next, never one that was sent before it came
 * (that index may be too old for it). Who may see the region as it was at an
 * earlier moment has nothing to wait for when a round that was sent since has
 * ended. A lost round is simply asked again.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_BARRIER_H
#define GROVEFS_ENGINE_BARRIER_H

#include "engine/node.h"

struct barrier_wait {
    void (*done)(struct barrier_wait *wait); /* public: in */
    uint64_t since_ns; /* public: in, monotonic: from when on everything that
                        * was acknowledged before is to be seen; 0: now */
    struct applied_waiter applied; /* private from here on */
    struct barrier *barrier;
    uint64_t asked_ns; /* when its round was sent; 0: there was none */
    int stage;
    TAILQ_ENTRY(barrier_wait) link;
};

struct barrier *barrier_new(struct node *node, struct peer *peer);
void barrier_free(struct barrier *barrier); /* Takes NULL; none may wait. */

/* `done` may be called before this returns. */
void barrier_wait(struct barrier *barrier, struct barrier_wait *wait);
/* Ends the wait without calling `done`; one that does not wait is ignored. */
void barrier_cancel(struct barrier_wait *wait);

/* A leader has come up: what is being asked for is asked again. */
void barrier_on_leader_change(struct barrier *barrier);

#endif
