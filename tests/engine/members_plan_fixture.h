/* SPDX-License-Identifier: Apache-2.0 */

/* Clusters of which region 0's leader plans the next step. */

#ifndef GROVEFS_TESTS_ENGINE_MEMBERS_PLAN_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_MEMBERS_PLAN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/members_plan.h"

/* A cluster in which node n has peer 10 + n; the lowest node that votes and is
 * up leads. */
struct cluster {
    struct region region;
    struct members_view view;
    struct members_step step;
};

struct member_node *node_at(struct cluster *c, uint64_t id);

/* "vvl-": nodes 1 and 2 vote, 3 learns, 4 has no replica. */
struct cluster make(const char *what);

/* The step as text: "+v13 +l11 -12", "leave", "to 2" or "". */
const char *plan(struct cluster *c);

#endif
