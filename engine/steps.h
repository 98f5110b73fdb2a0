/* SPDX-License-Identifier: Apache-2.0 */

/* What region 0's leader asks of the leader of a region: one step, now or
 * never. It is done if this node leads the region, if the region's epoch is
 * the one that the step was planned for, and if this leader, who knows its
 * replicas better, finds it safe; else nothing happens, and region 0's leader
 * plans again from what it is told. So no step is done twice, none late, and
 * none is ever missed: one that was lost is derived again.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_STEPS_H
#define GROVEFS_ENGINE_STEPS_H

#include "engine/node.h"
#include "engine/wire_placement.h"

/* 0; ERR_NOT_LEADER; ERR_EPOCH: planned for another one; ERR_NOT_PERMITTED:
 * somebody would vote who has not caught up; what peer_change_check() says. */
int step_carry_out(struct node *node, const struct step *step);
/* WIRE_STEP. */
void step_on_packet(struct node *node, const struct env_packet *packet);

#endif
