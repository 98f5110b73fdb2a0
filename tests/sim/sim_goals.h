/* SPDX-License-Identifier: Apache-2.0 */

/* A person who writes into control files: moves of regions, cancels, settings,
 * sense and nonsense, at any node, whatever is going on. What is refused must
 * be refused with one of the errors that grovefs-cluster(7) names. */

#ifndef GROVEFS_TESTS_SIM_SIM_GOALS_H
#define GROVEFS_TESTS_SIM_SIM_GOALS_H

#include "tests/sim/sim_cluster.h"

void sim_goals_strike(struct sim_cluster *cluster);

/* Whether region 0's leader knows of all regions, and wants nothing of them:
 * every goal has come to its end, and no operator is due. Which nodes lead does
 * not matter where leaders change by themselves: with many regions there is
 * always one to be balanced again. */
bool sim_goals_settled(struct sim_cluster *cluster);

#endif
