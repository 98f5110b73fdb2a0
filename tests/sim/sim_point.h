/* SPDX-License-Identifier: Apache-2.0 */

/* Fail points: every write, flush and ingest of a node's stores is a step, and
 * a run may be told which one is a node's last, so that in many runs each step
 * is the last one once.
 *
 *     before it, and after one of log/   what was not durable is lost, so that
 *                                        log/ has more than state/
 *     after one of state/                all that was written is there, as if
 *                                        it had been flushed just then
 *
 * A run is a function of its seed up to the crash, so steps that were counted
 * in a run without one are found again in the next. */

#ifndef GROVEFS_TESTS_SIM_SIM_POINT_H
#define GROVEFS_TESTS_SIM_SIM_POINT_H

#include "tests/sim/sim_client.h"

struct sim_point {
    size_t node;    /* public: set before the run */
    uint64_t step;  /* from 1; 0: none, they are only counted */
    bool after;     /* else before it */
    bool all;       /* the other nodes lose power at the same time */
    uint64_t again; /* so many steps after its start the node crashes once
                     * more; 0: never */
    struct sim_clients *clients;
    bool open; /* steps count */
    uint64_t counts[SIM_NODES_MAX];
    bool struck;
    uint64_t since; /* private: steps after that */
};

/* A node is about to do a step, or has done it. Does not return when it is the
 * last one. */
void sim_point_pass(struct sim_point *point, struct sim_node *node, bool in_log,
                    bool done);

#endif
