/* SPDX-License-Identifier: Apache-2.0 */

/* All logs of all nodes, entry by entry, committed or not:
 *
 *   1. Log matching: entries with the same index and term are the same
 *      everywhere, and those before them have the same term.
 *   2. What was once known as committed stays durable, in log/ or in state/
 *      behind a durable marker, on so many nodes that no leader can be elected
 *      without one of them, by the newest configuration that any replica has.
 *   3. No log gives up an entry that is above the durable marker. */

#ifndef GROVEFS_TESTS_SIM_SIM_LOGS_H
#define GROVEFS_TESTS_SIM_SIM_LOGS_H

#include "tests/sim/sim_cluster.h"

struct sim_logs;

struct sim_logs *sim_logs_new(struct sim_cluster *cluster);
void sim_logs_free(struct sim_logs *logs);

/* The node has started: its logs are compared anew, as a whole. */
void sim_logs_start(struct sim_logs *logs, const struct sim_node *node);
/* Compares what is new in the log of a node's replica; 1 and 3. */
void sim_logs_step(struct sim_logs *logs, const struct sim_node *node,
                   const struct peer *peer);

/* A region has come out of a committed entry of another one. Its first state
 * need not be durable where that entry is. */
void sim_logs_born(struct sim_logs *logs, uint64_t region, uint64_t parent,
                   uint64_t parent_index, uint64_t parent_term);

/* A region is no more; what it had is another one's. */
void sim_logs_ended(struct sim_logs *logs, uint64_t region);

/* The replica knows the entry as committed. Checks 2. */
void sim_logs_committed(struct sim_logs *logs, const struct peer *peer,
                        uint64_t index, uint64_t term);
/* Checks 2 once more for all regions. */
void sim_logs_check_durable(const struct sim_logs *logs);

#endif
