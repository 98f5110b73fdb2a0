/* SPDX-License-Identifier: Apache-2.0 */

/* The placement group's work: region 0's leader sees to it that every region
 * has its replicas where they are wanted.
 *
 *     leaders of regions          region 0's leader
 *
 *     reporter.c  --- reports --> region_table.c      what is
 *                                 goals, settings     what is wanted, by hand
 *                                 placement_choose.c  what else is wanted
 *                                 placement_plan.c    the next step
 *     steps.c     <--- steps ---- placement.c
 *
 * 1. Only goals and settings are replicated (exec_placement.c). The table and
 *    the automatic operators are in the leader's memory and go with it; a new
 *    leader has the table told again.
 * 2. A step names the epoch for which it was planned, and is done at that one
 *    only. It is sent again until a report shows it done.
 * 3. A region has one operator at a time; one set by hand goes first, and the
 *    region is left alone for a minute after it.
 * 4. Nothing automatic begins before all regions were reported, but leaving a
 *    joint configuration: that is always right.
 * 5. Region 0 is told of as the others are, and never changed here.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_PLACEMENT_H
#define GROVEFS_ENGINE_PLACEMENT_H

#include "engine/node.h"
#include "engine/placement_plan.h"
#include "engine/wire_placement.h"

struct placement;

struct placement *placement_new(struct node *node);
/* Ends what is under way. */
void placement_stop(struct placement *placement);
void placement_free(struct placement *placement); /* Takes NULL. */

void placement_each_second(struct placement *placement);

/* WIRE_REPORT, WIRE_REPORTED and WIRE_OPERATORS. */
void placement_on_report(struct placement *placement, uint64_t from,
                         struct slice bytes);
void placement_on_reported(struct placement *placement, uint64_t from,
                           struct slice bytes);
void placement_on_operators(struct placement *placement, struct slice bytes);

/* Whether a goal may begin, on region 0's leader: what plan_check() says;
 * ERR_BUSY: the region has one; ERR_NOT_LEADER: not the leader, or the region's
 * leader has not reported it. Who asks knows the region: one that was split off
 * is known where its replicas are before it is here. */
int placement_check_goal(struct placement *placement, const struct goal *goal,
                         char why[GOAL_WHY_SIZE]);

/* Whether a node has replicas of data regions, or is to get one, by what
 * region 0's leader knows here. */
enum placement_answer { PLACEMENT_NO, PLACEMENT_YES, PLACEMENT_UNKNOWN };

enum placement_answer placement_has_replicas(struct placement *placement,
                                             uint64_t node);

/* On region 0's leader: all regions were reported, no operator is running, and
 * none will begin by itself. Not `steady`: but for those that make another node
 * lead or merge regions, which a slow network keeps from their end. For tests.
 */
bool placement_is_settled(struct placement *placement, bool steady);

/* What region 0's leader has last told of its operators; also on itself. */
const struct operators_view *
placement_operators(const struct placement *placement);

/* The last goal of a region, from region 0's state. ERR_NOT_FOUND: there was
 * none; ERR_CORRUPT, ERR_IO. */
int placement_read_goal(struct kv *state, uint64_t region, struct goal *ret);

#endif
