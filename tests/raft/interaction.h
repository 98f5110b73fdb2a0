/* SPDX-License-Identifier: Apache-2.0 */

/* The scenario driver: runs the cases of text files against the core and
 * compares what it prints, byte for byte, with what the file expects. Three
 * kinds of files are told apart by their first command. */

#ifndef GROVEFS_TESTS_RAFT_INTERACTION_H
#define GROVEFS_TESTS_RAFT_INTERACTION_H

#include "tests/raft/directive.h"
#include "tests/raft/out.h"

/* One kind of file. `begin` makes the state that lives for a file, `run` adds
 * one case's output to `out`. */
struct harness {
    void *(*begin)(void);
    void (*run)(void *state, const struct directive *d, struct out *out);
    void (*end)(void *state);
};

extern const struct harness cluster_harness;
extern const struct harness quorum_harness;
extern const struct harness conf_change_harness;

#endif
