/* SPDX-License-Identifier: Apache-2.0 */

/* What was done to the records of nodes' replicas, and what became of it. The
 * engine may find only those replicas damaged, and the ones that were to take
 * their regions over. */

#ifndef GROVEFS_TESTS_SIM_SIM_HARM_H
#define GROVEFS_TESTS_SIM_SIM_HARM_H

#include "tests/sim/sim_cluster.h"

/* Of one replica. */
struct sim_harm {
    bool done;   /* set by who does it: else being found damaged is an error */
    bool mended; /* by the engine */
};

struct sim_harms;

struct sim_harms *sim_harms_new(struct sim_cluster *cluster);
void sim_harms_free(struct sim_harms *harms);

/* Zeroed when nothing was done to it. */
struct sim_harm *sim_harms_of(struct sim_harms *harms, size_t node,
                              uint64_t region);
/* After each step of the node. `damaged` is what the owner keeps for the
 * replica in its incarnation: whether it was damaged after its last step. */
void sim_harms_step(struct sim_harms *harms, const struct sim_node *node,
                    const struct peer *peer, bool *damaged);
/* Replicas that were found damaged when they left are gone. */
void sim_harms_forget(struct sim_harms *harms);
/* Whether all that was done to the node's replicas is mended. */
bool sim_harms_are_mended(const struct sim_harms *harms, size_t node);

#endif
