/* SPDX-License-Identifier: Apache-2.0 */

/* Damage on the way out: a replica is found damaged just when the entry that
 * removes it is on its way to the applier, and its node may crash a little
 * later. Nothing is really damaged, and nobody needs the replica any more:
 * it is to be erased all the same. */

#ifndef GROVEFS_TESTS_SIM_SIM_LEAVING_H
#define GROVEFS_TESTS_SIM_SIM_LEAVING_H

#include "tests/sim/sim_cluster.h"

/* After each step of the node. */
void sim_leaving_step(struct sim_node *node);

#endif
