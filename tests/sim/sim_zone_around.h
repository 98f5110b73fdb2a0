/* SPDX-License-Identifier: Apache-2.0 */

/* What keeps a node from accepting eventual changes, whom it reaches, and what
 * it has: for sim_zone_judge.h. The node is up. */

#ifndef GROVEFS_TESTS_SIM_SIM_ZONE_AROUND_H
#define GROVEFS_TESTS_SIM_SIM_ZONE_AROUND_H

#include "engine/record.h"
#include "tests/sim/sim_lives.h"

/* No majority of the members. */
bool sim_zone_is_alone(const struct sim_node *node);
bool sim_zone_reaches_all(const struct sim_node *node);
/* Or one that it does not believe. */
bool sim_zone_has_wrong_clock(const struct sim_node *node);
/* It gives changes other versions, and accepts none meanwhile. */
bool sim_zone_is_restamping(const struct sim_node *node);
/* How many have got one since its start. */
uint64_t sim_zone_restamped(const struct sim_node *node);
/* The node's own, in its catalog. */
struct node_record sim_zone_record_of(const struct sim_node *node);
/* Whether it knows a directory of that name. */
bool sim_zone_is_directory(const struct sim_node *node, uint64_t dir,
                           const char *name);
/* Whether that is strong. */
bool sim_zone_is_strong(const struct sim_node *node, uint64_t dir,
                        const char *name);
/* What it has of a name; zeroes: nothing. */
struct sim_version sim_zone_version_at(const struct sim_node *node,
                                       uint64_t dir, const char *name);

#endif
