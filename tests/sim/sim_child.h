/* SPDX-License-Identifier: Apache-2.0 */

/* A process that runs one run, and in which nothing that a crash of a node has
 * left lying matters. */

#ifndef GROVEFS_TESTS_SIM_SIM_CHILD_H
#define GROVEFS_TESTS_SIM_SIM_CHILD_H

#include "tests/sim/sim_loop.h"

/* What the run is to use. When it fails, or an assertion does, the process
 * prints the last notes and why, and ends with status 1. */
struct sim_loop *sim_child_begin(uint64_t seed, bool noting, bool verbose);

#endif
