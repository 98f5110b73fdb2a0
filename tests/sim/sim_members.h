/* SPDX-License-Identifier: Apache-2.0 */

/* Membership of the regions, changed at random: peers come as learners or at
 * once as voters, are promoted, demoted and removed, one at a time or many
 * through a joint configuration. Region 0 stays on all nodes, but its voters
 * change too. */

#ifndef GROVEFS_TESTS_SIM_SIM_MEMBERS_H
#define GROVEFS_TESTS_SIM_SIM_MEMBERS_H

#include "tests/sim/sim_cluster.h"

/* Has some node that takes itself for a leader propose a change. */
void sim_members_change(struct sim_cluster *cluster);

/* Whether each region is where its leader's descriptor says and nowhere else,
 * and not joint. What only waits to be told to go on is told so. */
bool sim_members_settled(struct sim_cluster *cluster);

#endif
