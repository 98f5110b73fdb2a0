/* SPDX-License-Identifier: Apache-2.0 */

/* What must hold when all is quiet: see the functions. */

#ifndef GROVEFS_TESTS_SIM_SIM_END_H
#define GROVEFS_TESTS_SIM_SIM_END_H

#include "tests/sim/sim_cluster.h"

/* All replicas have applied all that is committed, and nothing is locked. */
bool sim_end_is_quiet(const struct sim_cluster *cluster);

/* All replicas are the same, byte by byte. */
void sim_end_compare(struct sim_cluster *cluster);

/* The tree hangs together: each reference has its directory in the catalog,
 * which knows the same place, and its namespace, whose count is that of its
 * entries, and the other way round; no chunk without its file. */
void sim_end_check_tree(struct sim_cluster *cluster);

#endif
