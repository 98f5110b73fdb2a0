/* SPDX-License-Identifier: Apache-2.0 */

/* How far the clocks of the nodes are apart.
 *
 * Every status says what its sender's clock showed when it was sent. What this
 * node's clock shows when that arrives is later by the time that it took, so
 * the greatest difference of the last few seconds is the best: the other
 * clock's offset, but for the shortest time that a message took. That is enough
 * to tell clocks that are wrong from those that are not.
 *
 * The judge is the median of all nodes that can be reached, this one's
 * included; of two in the middle the earlier one, as it is the clocks ahead of
 * others that do harm. A node whose clock is further than MAX_DRIFT_MS from it
 * for a few seconds counts as wrong, until it is within half of that for as
 * long. Two nodes only know that their clocks differ, not whose is wrong.
 *
 * What follows from it: health says so, such a node hands its leaderships over
 * (node_leaders.c) and gets none (peer_leader.c, transfer.c,
 * placement_choose.c), since what a leader stamps everybody gets.
 *
 * Versions of eventual changes are mended by nobody else (restamp.h), so those
 * need more: this node's clock must be *believed* before one is given out. It
 * is while it goes on with the monotonic one, from when it was last seen to
 * agree with the median. So a jump is noticed before anything has its stamp,
 * and not some seconds later; one that jumps back is believed again at once. A
 * node that has started believes its clock when it agrees with another one's,
 * or when no other is heard of. Once it was found wrong only agreement helps,
 * also where nobody can be asked any more.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_CLOCKS_H
#define GROVEFS_ENGINE_CLOCKS_H

#include "engine/node.h"

struct clocks;

struct clocks *clocks_new(struct node *node);
void clocks_free(struct clocks *clocks); /* Takes NULL. */

/* A node has said what its clock showed. */
void clocks_hear(struct clocks *clocks, uint64_t node_id, int64_t wall_ns);
/* Once a tick: a node that has no others believes its clock. */
void clocks_tick(struct clocks *clocks);
/* Judges, and puts what has changed into /.cluster/log. */
void clocks_each_second(struct clocks *clocks);

/* What is known of a node's clock. */
struct clock_view {
    int64_t offset_ns;    /* ahead of this node's */
    int64_t deviation_ns; /* ahead of the median */
    int64_t since_ns;     /* wrong (wall clock); 0: it is not */
    bool by_majority;     /* three nodes at least were compared */
};

/* False: nothing is known, as of a node that cannot be reached. */
bool clocks_find(const struct clocks *clocks, uint64_t node_id,
                 struct clock_view *ret);

/* Whether a node's clock is wrong, and it is known that it is that one. */
bool clocks_is_wrong(const struct clocks *clocks, uint64_t node_id);

/* Whether the clocks of all nodes of the cluster are known, and none is further
 * than MAX_DRIFT_MS from the median. */
bool clocks_all_agree(const struct clocks *clocks);

/* What this node's clock shows, if that is believed. ERR_UNAVAILABLE: it has to
 * be compared with others first; ERR_READ_ONLY: it was, and differs. Any
 * thread. */
int clocks_read(const struct clocks *clocks, uint64_t *ret_wall_ns);

/* Whether this node's clock is not believed because it has jumped, or was found
 * wrong, and there is none to compare it with; not while the node has only just
 * started. */
bool clocks_is_doubted(const struct clocks *clocks);

#endif
