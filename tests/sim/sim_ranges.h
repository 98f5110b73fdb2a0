/* SPDX-License-Identifier: Apache-2.0 */

/* The key ranges of the data regions: replicas of one version have the same
 * range, and no two regions of one node overlap. */

#ifndef GROVEFS_TESTS_SIM_SIM_RANGES_H
#define GROVEFS_TESTS_SIM_SIM_RANGES_H

#include "tests/sim/sim_cluster.h"

struct sim_ranges;

struct sim_ranges *sim_ranges_new(struct sim_cluster *cluster);
void sim_ranges_free(struct sim_ranges *ranges);

/* After each step of a node. */
void sim_ranges_step(struct sim_ranges *ranges, const struct sim_node *node);

#endif
