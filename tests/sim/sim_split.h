/* SPDX-License-Identifier: Apache-2.0 */

/* Splits of regions, proposed at random: at a name, between two, at the
 * beginning of a namespace, where nothing is, outside of the region; one alone
 * or two at once, for an epoch that is over, or once more what was proposed
 * before. */

#ifndef GROVEFS_TESTS_SIM_SIM_SPLIT_H
#define GROVEFS_TESTS_SIM_SIM_SPLIT_H

#include "tests/sim/sim_cluster.h"

/* Has some node that takes itself for the leader of a region split it. */
void sim_split_one(struct sim_cluster *cluster);

/* At the end of the run; takes NULL. */
void sim_splits_free(struct sim_splits *splits);

#endif
