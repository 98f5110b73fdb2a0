/* SPDX-License-Identifier: Apache-2.0 */

/* The tree as all regions together have it, when all is quiet. */

#ifndef GROVEFS_TESTS_SIM_SIM_TREE_H
#define GROVEFS_TESTS_SIM_SIM_TREE_H

#include "tests/sim/sim_cluster.h"

/* It hangs together: each reference has its directory in the catalog, which
 * knows the same place, and the other way round; each region that a directory's
 * names may lie in has its part of the namespace, and the parts count what
 * entries there are; no chunk without its file, nothing held by a
 * transaction. */
void sim_tree_check(struct sim_cluster *cluster);

#endif
