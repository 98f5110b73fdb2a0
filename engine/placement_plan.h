/* SPDX-License-Identifier: Apache-2.0 */

/* From what a region is to what it is to be: the next step, as a pure function
 * of the region as its leader has reported it, the nodes, and what is wanted.
 *
 *     add a learner
 *       -> wait until it has caught up
 *         -> hand leadership on, if the leader is to go
 *           -> one joint change: promote and demote
 *             -> leave it
 *               -> remove who was demoted
 *
 * Nothing is remembered between two steps: any leader of region 0 goes on from
 * wherever the region is.
 *
 * 1. A region has 1, 3 or 5 voters, at most as many as replicas are set; more
 *    replicas are learners.
 * 2. Nobody becomes a voter who has not caught up, and no step leaves a region
 *    whose reachable voters are no majority.
 * 3. A joint configuration is always left, whatever is wanted.
 * 4. A step is for the epoch that it names, and for no other. */

#ifndef GROVEFS_ENGINE_PLACEMENT_PLAN_H
#define GROVEFS_ENGINE_PLACEMENT_PLAN_H

#include "engine/node.h"
#include "engine/wire_placement.h"

/* A node, as region 0's leader knows it. */
struct plan_node {
    uint64_t id;
    enum node_state state;
    bool live; /* can be reached now */
    bool down; /* could not for `down_after` */
    bool wrong_clock;
};

/* Who is not in it was removed. */
struct plan_nodes {
    struct plan_node node[NODES_MAX];
    size_t count;
    size_t replicas; /* the setting */
};

/* What is wanted of a region; all 0: only that rules 1 and 3 hold. */
struct plan_goal {
    uint64_t from;   /* the node that loses its replica; 0: none does */
    uint64_t to;     /* the node that gets one; 0: none does */
    uint64_t leader; /* the node that is to lead; 0: any */
    uint64_t into;   /* the region that is to take this one over; 0: none. See
                      * placement_merge.h, plan_next() does not look at it. */
};

/* A step, and where it stands. */
struct plan {
    struct step step;
    uint64_t node;           /* that it is about; 0: none */
    char why[GOAL_WHY_SIZE]; /* STEP_WAIT, STEP_FAIL: in words */
};

const struct plan_node *plan_find_node(const struct plan_nodes *nodes,
                                       uint64_t id);
/* NULL: the node has no replica. */
const struct peer_report *plan_find_peer(const struct region_report *report,
                                         uint64_t node);
/* Whether a replica can be relied on: its node is there, and it has nearly all
 * that there is. */
bool plan_is_ready(const struct region_report *report,
                   const struct plan_nodes *nodes, uint64_t node);

/* `leader_node` is where the report came from. */
void plan_next(const struct region_report *report, uint64_t leader_node,
               const struct plan_nodes *nodes, const struct plan_goal *goal,
               struct plan *ret);

/* Whether the goal may be set for a region: 0; ERR_NOT_FOUND: no such node;
 * ERR_INVALID: the replica is there already, or not there; ERR_NOT_PERMITTED:
 * the region, or what it would become, would have no reachable majority. `why`
 * gets the reason in words. */
int plan_check(const struct region_report *report, uint64_t leader_node,
               const struct plan_nodes *nodes, const struct plan_goal *goal,
               char why[GOAL_WHY_SIZE]);

#endif
