/* SPDX-License-Identifier: Apache-2.0 */

/* What sim_zone_judge.c and sim_zone_judge_status.c share. */

#ifndef GROVEFS_TESTS_SIM_SIM_ZONE_JUDGE_IMPL_H
#define GROVEFS_TESTS_SIM_SIM_ZONE_JUDGE_IMPL_H

#include "tests/sim/sim_zone_judge.h"

/* ---- sim_zone_judge_status.c ---- */

/* Rule 4. */
void sim_zone_check_status(const struct sim_node *node,
                           const struct sim_zone_op *op, int status);
/* Rule 3, for an operation that has failed. */
void sim_zone_check_goes_on(const struct sim_zone_case *zone_case,
                            const struct sim_node *node,
                            const struct sim_zone_op *op, int status);
/* That such a thing was seen. */
void sim_zone_note_status(const struct sim_zone_case *zone_case,
                          const struct sim_node *node, int status);

/* From the call on, as far as the node knows. */
bool sim_zone_was_eventual(const struct sim_zone_case *zone_case,
                           const struct sim_node *node);
/* Changes of the node's got other versions meanwhile. */
bool sim_zone_was_restamped(const struct sim_zone_case *zone_case,
                            const struct sim_node *node);

#endif
