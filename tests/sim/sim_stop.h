/* SPDX-License-Identifier: Apache-2.0 */

/* How a simulated node goes down, with a crash or in good order. A part of
 * sim_cluster.h, which has sim_node_crash(), sim_node_cut_power() and
 * sim_node_stop(). */

#ifndef GROVEFS_TESTS_SIM_SIM_STOP_H
#define GROVEFS_TESTS_SIM_SIM_STOP_H

#include "tests/sim/sim_cluster.h"

/* The next steps of a node that was to stop: it has retired. */
void sim_stop_now(struct sim_node *node);
/* Nothing is under way any more. */
void sim_stop_close(struct sim_node *node);

/* When a node that is down starts; UINT64_MAX: not by itself. */
void sim_stop_start_later(struct sim_node *node, uint64_t down_ns);

#endif
