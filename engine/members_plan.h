/* SPDX-License-Identifier: Apache-2.0 */

/* Which members region 0 is to have, and the next step on the way there, as a
 * pure function of what its leader sees. members.c carries it out.
 *
 * 1. A joint configuration is left before anything else is done.
 * 2. The replica of a removed node goes; a node that can be reached and has
 *    none gets one, as a learner. All nodes have one, whatever becomes of
 *    their vote: a mount needs the catalog.
 * 3. 1, 3 or 5 replicas vote, as many as there are nodes for it: not those
 *    that are being drained or were removed, and those that were lost only
 *    while no other can take their place. A learner votes once it has caught
 *    up.
 * 4. Who votes goes on voting, unless that breaks rule 3: a node that comes
 *    back does not push out the one that took its place.
 * 5. No step leaves voters of which no majority can be reached.
 * 6. A leader that is to vote no more hands over first, if it can. */

#ifndef GROVEFS_ENGINE_MEMBERS_PLAN_H
#define GROVEFS_ENGINE_MEMBERS_PLAN_H

#include "engine/node.h"
#include "engine/peer_change.h"

/* The removed ones may still have a replica. */
enum { MEMBERS_NODES_MAX = NODES_MAX + REGION_PEERS_MAX };

struct member_node {
    uint64_t id;
    enum node_state state;
    bool up;        /* it can be reached */
    bool lost;      /* it could not be for so long that it is replaced */
    bool caught_up; /* its replica can follow the log at once */
};

struct members_view {
    const struct region *region;
    uint64_t leader;                             /* node; has a replica */
    struct member_node nodes[MEMBERS_NODES_MAX]; /* all that have a replica,
                                                  * and others */
    size_t node_count;
};

/* NULL: it is not in it. */
const struct member_node *members_view_find(const struct members_view *view,
                                            uint64_t id);

enum members_step_kind { MEMBERS_NOTHING, MEMBERS_CHANGE, MEMBERS_TRANSFER };

struct members_step {
    enum members_step_kind kind;
    struct peer_change change; /* MEMBERS_CHANGE; passes peer_change_check() */
    uint64_t node;             /* MEMBERS_TRANSFER: who is to lead */
};

void members_plan(const struct members_view *view, struct members_step *ret);

#endif
