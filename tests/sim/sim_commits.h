/* SPDX-License-Identifier: Apache-2.0 */

/* What nodes know as committed, entry by entry, region by region:
 *
 *   1. What two nodes know as committed is of the same term.
 *   2. Who has applied up to some entry has given out the same versions as the
 *      others.
 *   3. A new leader has every committed entry.
 *
 * sim_logs.h and sim_commands.h are told of each entry. */

#ifndef GROVEFS_TESTS_SIM_SIM_COMMITS_H
#define GROVEFS_TESTS_SIM_SIM_COMMITS_H

#include "tests/sim/sim_cluster.h"
#include "tests/sim/sim_commands.h"
#include "tests/sim/sim_logs.h"

/* How far one replica in its incarnation was looked at; zeroed at first. */
struct sim_commits_seen {
    uint64_t compared; /* committed entries up to here are compared */
    uint64_t published;
    uint64_t marker_index; /* compared up to here */
};

struct sim_commits;

/* Borrows `logs` and `commands` until it is freed. */
struct sim_commits *sim_commits_new(struct sim_cluster *cluster,
                                    struct sim_logs *logs,
                                    struct sim_commands *commands);
void sim_commits_free(struct sim_commits *commits);

/* After each step of the node, when sim_logs_step() has seen the replica's log.
 * Checks 1 and 2. */
void sim_commits_step(struct sim_commits *commits,
                      struct sim_commits_seen *seen,
                      const struct sim_node *node, const struct peer *peer);
/* The replica has become leader. Checks 3. */
void sim_commits_check_leader(struct sim_commits *commits,
                              const struct sim_node *node,
                              const struct peer *peer);

/* The last entry that some node knows as committed; 0: none does. */
uint64_t sim_commits_last(const struct sim_commits *commits, uint64_t region);

#endif
