/* SPDX-License-Identifier: Apache-2.0 */

/* A request that a process on some node makes, as engine_submit() does it. The
 * owner embeds it and fills in `request`, but for its `done` and `private`. */

#ifndef GROVEFS_TESTS_SIM_SIM_ASK_H
#define GROVEFS_TESTS_SIM_SIM_ASK_H

#include "engine/engine.h"
#include "tests/sim/sim_cluster.h"

struct sim_ask {
    struct request request;            /* public */
    struct sim_node *node;             /* public: whose mount it is */
    void (*done)(struct sim_ask *ask); /* public */
    bool active;                       /* public: one is under way */
    struct env_task submit;            /* private from here on */
    struct env_task cancel;
    bool cancelling;
};

/* The node serves. `done` may be called before this returns, if `try_first` and
 * the node can answer at once. The data of the request and what comes back are
 * dropped behind `done`. */
void sim_ask(struct sim_ask *ask, bool try_first);

/* From anywhere but the node's own code; one that is not active is ignored. */
void sim_ask_cancel(struct sim_ask *ask);

/* Its node has crashed: `done` is never called. False: it was not active. */
bool sim_ask_on_crash(struct sim_ask *ask);

#endif
