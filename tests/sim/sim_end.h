/* SPDX-License-Identifier: Apache-2.0 */

/* What must hold when all is quiet: see the functions. */

#ifndef GROVEFS_TESTS_SIM_SIM_END_H
#define GROVEFS_TESTS_SIM_SIM_END_H

#include "tests/sim/sim_cluster.h"

/* All replicas have applied all that is committed, and nothing is locked. */
bool sim_end_is_quiet(const struct sim_cluster *cluster);

/* No region begins a consistency check by itself within the next interval, and
 * those that have begun end. Where many regions are checked often, over a slow
 * network, there would never be a moment at which all are quiet. */
void sim_end_hold_checks(const struct sim_cluster *cluster);

/* All replicas of a region are the same, byte by byte, and a node has nothing
 * but what belongs to its replicas. */
void sim_end_compare(struct sim_cluster *cluster);

#endif
