/* SPDX-License-Identifier: Apache-2.0 */

/* The key ranges of the data regions, by what the descriptors of all replicas
 * have ever shown:
 *
 *   1. A region of one version has the same range wherever it is seen.
 *   2. A new version comes out of a committed entry that splits the region
 *      there; the new region, with the same version, has what is behind.
 *   3. So the newest versions of all regions together cover all keys and do
 *      not overlap.
 *   4. No two regions of one node overlap.
 *   5. A new region begins on a node, unless by a snapshot, once the entry that
 *      makes it is applied there. */

#ifndef GROVEFS_TESTS_SIM_SIM_RANGES_H
#define GROVEFS_TESTS_SIM_SIM_RANGES_H

#include "engine/command.h"
#include "tests/sim/sim_cluster.h"
#include "tests/sim/sim_logs.h"

struct sim_ranges;

/* Tells `logs` of new regions. */
struct sim_ranges *sim_ranges_new(struct sim_cluster *cluster,
                                  struct sim_logs *logs);
void sim_ranges_free(struct sim_ranges *ranges);

/* A COMMAND_SPLIT is known to be committed in a region's log. */
void sim_ranges_committed(struct sim_ranges *ranges, uint64_t region,
                          uint64_t index, uint64_t term,
                          const struct command *split);

/* A COMMAND_FREEZE or COMMAND_UNFREEZE is. */
void sim_ranges_touched(struct sim_ranges *ranges, uint64_t region);

/* After each step of a node. */
void sim_ranges_step(struct sim_ranges *ranges, struct sim_node *node);
/* The node has started. */
void sim_ranges_start(struct sim_ranges *ranges, const struct sim_node *node);

/* When all is quiet: each region is there, and where it is its version is the
 * newest. */
void sim_ranges_check_end(const struct sim_ranges *ranges);

#endif
