/* SPDX-License-Identifier: Apache-2.0 */

/* What the placement group wants of itself, without being asked: pure
 * functions of the regions as they were reported, the nodes, the settings, and
 * the operators that are running.
 *
 * Checkers mend what is wrong with one region; the first that applies:
 *     a replica on a node that was removed, is down or is being drained goes,
 *       and another node gets one
 *     too few replicas: one more
 *     too many: one less, learners first, never the leader's
 *     voters and learners are not as placement_plan.h has them
 * When nothing has to be mended, small neighbours are merged if that is set
 * (placement_merge.h). Schedulers make nodes alike: how many regions they lead,
 * and how much they hold.
 *
 * An operator that is running counts as if it had ended, so that two do not
 * mend the same; and a scheduler moves only what leaves its new place below
 * the old one by a tolerance, so that nothing ever wants to go back. Nor
 * do they touch what has got another leader a moment ago.
 *
 * Region 0's leader follows that of the root's region, and a new one begins
 * from nothing. So schedulers make that one go only where nothing else would
 * do, even if that has to rest first. */

#ifndef GROVEFS_ENGINE_PLACEMENT_CHOOSE_H
#define GROVEFS_ENGINE_PLACEMENT_CHOOSE_H

#include "engine/placement_plan.h"
#include "engine/settings.h"

struct choose_region {
    const struct region_report *report;
    uint64_t leader_node; /* 0: nobody */
    bool newly_led;       /* since a moment: perhaps by somebody's wish */
    bool fresh;           /* its range has changed a moment ago */
    bool left_alone;      /* has an operator, or had one a moment ago */
    bool moving;          /* has one, towards: */
    struct plan_goal goal;
};

struct choose {
    const struct choose_region *regions;
    size_t region_count;
    const struct plan_nodes *nodes;
    const struct settings *settings;
};

struct choice {
    size_t region; /* its place in `regions` */
    struct plan_goal goal;
};

/* Whether the root's names begin in it. */
bool choose_is_root(const struct region *region);

/* False: nothing is to be done. */
bool choose_repair(const struct choose *c, struct choice *ret);
bool choose_region_move(const struct choose *c, struct choice *ret);

/* The first of them that finds something. */
bool choose_next(const struct choose *c, struct choice *ret);

#endif
