/* SPDX-License-Identifier: Apache-2.0 */

/* Merges of regions, asked for at random as an operator does: of neighbours,
 * and now and then of two that are none; one alone, or two at once that get in
 * each other's way. */

#ifndef GROVEFS_TESTS_SIM_SIM_MERGE_H
#define GROVEFS_TESTS_SIM_SIM_MERGE_H

#include "tests/sim/sim_cluster.h"

/* Has some node that takes itself for the leader of a region merge another one
 * into it. */
void sim_merge_one(struct sim_cluster *cluster);

/* At the end of the run; takes NULL. */
void sim_merges_free(struct sim_merges *merges);

#endif
