/* SPDX-License-Identifier: Apache-2.0 */

/* The tree as a user imagines it: one state, changed by one operation at a
 * time. It knows nothing of the engine but what engine.h promises.
 *
 * Where an operation meets several reasons to be refused, any of them will
 * do; where it meets none it must succeed, and the other way round. */

#ifndef GROVEFS_TESTS_SIM_SIM_MODEL_H
#define GROVEFS_TESTS_SIM_SIM_MODEL_H

#include "tests/sim/sim_history.h"

enum { SIM_ENTRIES_MAX = 2048 };

struct sim_entry {
    uint64_t dir;
    uint64_t ino;
    uint64_t content;
    uint32_t size;
    uint32_t name;
    uint32_t gid;
    uint32_t xattr; /* 0: none */
};

struct sim_tree {
    struct sim_entry entries[SIM_ENTRIES_MAX]; /* in any order */
    size_t count;
    uint64_t hash; /* of the entries, whatever their order */
};

/* Whether the operation, with what it returned, fits; then the tree is what
 * it has made of it. `new_ino` is that of what an operation of unknown
 * outcome creates. */
bool sim_tree_step(struct sim_tree *tree, const struct sim_op *op,
                   uint64_t new_ino);

/* For people. */
void sim_tree_print(const struct sim_tree *tree);

#endif
