/* SPDX-License-Identifier: Apache-2.0 */

/* Merging neighbours that have become small, with the setting `auto_merge`:
 * which two, and the next step of it, as pure functions of what was reported.
 *
 *     the one that goes gets its replicas onto the nodes of the one that stays,
 *     one after the other (placement_plan.h)
 *       -> the leader of the one that stays takes it over (merge.h)
 *
 * 1. Together they have at most a quarter of what the setting `region_size`
 *    wants, as their leaders have measured it. A region is split above one and
 *    a half times of that, so nothing goes back and forth.
 * 2. A region whose range has changed a moment ago is left as it is: who has
 *    split it may be about to fill it.
 * 3. The root's region stays, because region 0's leader follows its leader;
 *    else the larger one does.
 * 4. It begins only when all replicas of both are sound, and ends when a node
 *    of theirs is lost: then mending goes first. */

#ifndef GROVEFS_ENGINE_PLACEMENT_MERGE_H
#define GROVEFS_ENGINE_PLACEMENT_MERGE_H

#include "engine/placement_choose.h"

/* False: nothing is to be merged, or the setting is off. */
bool choose_merge(const struct choose *c, struct choice *ret);

/* A region with the node that has reported it. */
struct reported_region {
    const struct region_report *report;
    uint64_t leader_node;
};

/* Towards `source` becoming a part of `target`. A STEP_MERGE goes to the
 * leader of the target, all others to that of the source. */
void plan_merge(const struct reported_region *source,
                const struct reported_region *target,
                const struct plan_nodes *nodes, struct plan *ret);

#endif
