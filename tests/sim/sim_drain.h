/* SPDX-License-Identifier: Apache-2.0 */

/* Nodes that are drained and removed by control files, while all goes on. */

#ifndef GROVEFS_TESTS_SIM_SIM_DRAIN_H
#define GROVEFS_TESTS_SIM_SIM_DRAIN_H

#include "tests/sim/sim_cluster.h"

/* Writes to a control file of a random node at another one. Only nodes that
 * have joined are removed: the founders have the data. */
void sim_drain_ask(struct sim_cluster *cluster);

/* In the calm: has a node removed that is being drained, if there is one.
 * False: there is none. */
bool sim_drain_remove(struct sim_cluster *cluster);

/* In the calm: node 1, which is never removed, is to be drained no more. */
void sim_drain_take_back(struct sim_cluster *cluster);

/* node_config.removed; context: the node. Ends it: does not return. */
void sim_drain_removed(void *context);

/* Whether a node may talk to another one; when it may not it ends, as it would
 * once it was told so. */
bool sim_drain_admits(struct sim_node *node, struct sim_node *other);

/* Nothing that was asked for can still take effect, and all nodes that were
 * removed know it. */
bool sim_drain_settled(const struct sim_cluster *cluster);

/* What a node that is up has in its catalog of another one. */
enum node_state sim_drain_state(const struct sim_node *node,
                                const struct sim_node *other);

#endif
