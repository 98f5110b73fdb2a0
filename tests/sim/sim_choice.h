/* SPDX-License-Identifier: Apache-2.0 */

/* What the clients do next: the operations, and where, drawn from the seed by
 * the plan's odds and by what earlier operations have shown of the tree. */

#ifndef GROVEFS_TESTS_SIM_SIM_CHOICE_H
#define GROVEFS_TESTS_SIM_SIM_CHOICE_H

#include "tests/sim/sim_history.h"
#include "tests/sim/sim_loop.h"
#include "tests/sim/sim_plan.h"

enum { SIM_KNOWN_MAX = 64 };

/* Where something was seen last. */
struct sim_known {
    uint64_t dir;
    uint8_t name;
    uint64_t ino;
};

struct sim_choice {
    struct sim_loop *loop; /* public: both are set by the owner */
    const struct sim_plan *plan;
    struct sim_known known[SIM_KNOWN_MAX]; /* private from here on */
    size_t known_count;
};

/* An operation has shown what lies at (dir, name). */
void sim_choice_learn(struct sim_choice *choice, uint64_t dir, uint8_t name,
                      uint64_t ino);

/* The inode number that was last seen there, 0 for none. */
uint64_t sim_choice_known_ino(const struct sim_choice *choice, uint64_t dir,
                              uint8_t name);

/* Fills in kind, place and arguments of the next operation. */
void sim_choice_plan(struct sim_choice *choice, struct sim_op *op);

#endif
