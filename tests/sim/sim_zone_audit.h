/* SPDX-License-Identifier: Apache-2.0 */

/* In the end each node reads all zones by requests, whether they are eventual
 * or strong: what a user sees on its mount. All nodes have to show the same. */

#ifndef GROVEFS_TESTS_SIM_SIM_ZONE_AUDIT_H
#define GROVEFS_TESTS_SIM_SIM_ZONE_AUDIT_H

#include "tests/sim/sim_cluster.h"

struct sim_zone_audit;

/* Begins. All nodes are up, and nobody changes anything. */
struct sim_zone_audit *sim_zone_audit_new(struct sim_cluster *cluster);
bool sim_zone_audit_is_done(const struct sim_zone_audit *audit);
/* Fails the run when nodes differ; frees. */
void sim_zone_audit_end(struct sim_zone_audit *audit);

#endif
