/* SPDX-License-Identifier: Apache-2.0 */

/* Regions, nodes and steps as short texts, so that tests of planning read like
 * a table.
 *
 * A region: its replicas as node ids with marks behind them.
 *     v  votes            b  votes in both halves of a joint configuration
 *     l  learns           o  in the old one only, n  in the new one only
 *     *  leads            ?  has not caught up
 *     !  is silent        d  is damaged
 *
 * Nodes: ids with marks behind them: `-` cannot be reached, `x` is down,
 * `g` is being drained, `r` was removed. */

#ifndef GROVEFS_TESTS_ENGINE_PLAN_TEXTS_H
#define GROVEFS_TESTS_ENGINE_PLAN_TEXTS_H

#include "engine/placement_plan.h"

struct plan_case {
    struct region_report report;
    uint64_t leader;
    struct plan_nodes nodes;
};

/* The epoch is 7.3, three replicas are wanted. */
struct plan_case plan_case(const char *region, const char *nodes);

/* "add 4", "voters -2 +4", "leave", "remove 2", "transfer 1", "wait", "fail",
 * "none". In static memory. */
const char *plan_text(const struct plan *plan);

/* Does what the step says to the region, as its leader would; learners have
 * caught up at once. */
void plan_do(struct plan_case *c, const struct plan *plan);

#endif
