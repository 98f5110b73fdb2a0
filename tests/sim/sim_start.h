/* SPDX-License-Identifier: Apache-2.0 */

/* How a simulated node comes up: what engine/store.c and engine/engine_run.c
 * do around engine/node.h. A part of sim_cluster.h, which has
 * sim_node_start(). */

#ifndef GROVEFS_TESTS_SIM_SIM_START_H
#define GROVEFS_TESTS_SIM_SIM_START_H

#include "tests/sim/sim_cluster.h"

/* The disks of all nodes: with the first state of a cluster, or empty if the
 * plan wants the nodes to found it themselves. */
void sim_start_make_stores(struct sim_cluster *cluster);

/* Frees what joining has left. */
void sim_start_free_joiner(struct sim_node *node);

/* A packet for a node that is up, whether it belongs to the cluster yet or
 * not. */
void sim_start_on_packet(struct sim_node *node, uint64_t from,
                         const struct env_packet *packet);

#endif
