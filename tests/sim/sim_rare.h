/* SPDX-License-Identifier: Apache-2.0 */

/* Counts rare states of one replica (sim_seen.h), by what has changed in a
 * step. */

#ifndef GROVEFS_TESTS_SIM_SIM_RARE_H
#define GROVEFS_TESTS_SIM_SIM_RARE_H

#include "engine/peer.h"

/* As it was after the last step; zeroed at first. */
struct sim_rare {
    enum raft_role role;
    bool had_pending;
    bool had_lease;
    uint64_t conf_ver;
    uint64_t last_index;
    uint64_t compactions;
    uint64_t snapshots_restored;
    bool asleep;
};

void sim_rare_step(struct sim_rare *known, const struct peer *peer);

#endif
