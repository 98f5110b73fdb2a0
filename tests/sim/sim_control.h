/* SPDX-License-Identifier: Apache-2.0 */

/* Texts that somebody writes into control files, at any node. */

#ifndef GROVEFS_TESTS_SIM_SIM_CONTROL_H
#define GROVEFS_TESTS_SIM_SIM_CONTROL_H

#include "engine/engine.h"
#include "tests/sim/sim_cluster.h"

/* One on its way; a crash of the node leaves it lying. */
struct sim_control {
    struct request request; /* its `status`, once it has ended */
    struct sim_node *node;
    void *context;
    void (*done)(struct sim_control *control); /* frees nothing of it */
    uint64_t starts;                           /* private from here on */
    struct env_task task;
};

/* The node has to serve. What it returns is valid until it is lost, or `done`
 * has returned, which is not called before this returns. */
struct sim_control *sim_control_write(struct sim_node *node,
                                      enum engine_table table, uint64_t object,
                                      const char *text,
                                      void (*done)(struct sim_control *control),
                                      void *context);
/* Its node has crashed or stopped: `done` will never be called. */
bool sim_control_is_lost(const struct sim_control *control);

#endif
