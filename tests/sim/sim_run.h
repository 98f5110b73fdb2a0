/* SPDX-License-Identifier: Apache-2.0 */

/* One seed, from founding to the last check:
 *
 *     chaos   clients work, also in zones (sim_zone.h), faults strike
 *     calm    all faults end; clients must get on
 *     quiet   clients rest; the replicas must become the same, and nothing
 *             may stay locked
 *     audit   every node reads the whole tree
 *     more    what is to be got over in some runs, one after the other, each
 *             with an audit: damage, wrong clocks, sleep, the end of zones
 *     end     stores and history are checked, all nodes stop in good order
 *
 * Whatever is wrong ends in loop->on_fail(). */

#ifndef GROVEFS_TESTS_SIM_SIM_RUN_H
#define GROVEFS_TESTS_SIM_SIM_RUN_H

#include <stdio.h>

#include "tests/sim/sim_client.h"

struct sim_result {
    uint64_t hash;
    uint64_t steps;
    uint64_t ops;
    uint64_t virtual_ns;
};

/* What happens instead of the chaos that the seed draws. */
struct sim_play {
    struct sim_plan plan;
    /* From the start on. Does sim_step() by itself. */
    void (*act)(struct sim_play *play, struct sim_cluster *cluster,
                struct sim_clients *clients);
};

/* Writes the history to `history` as sim_lincheck.h says, unless it is NULL. */
struct sim_result sim_run(struct sim_loop *loop, struct sim_play *play,
                          FILE *history);

#endif
