/* SPDX-License-Identifier: Apache-2.0 */

/* What the two files of commands share: those of FORMAT.md, and our own. */

#ifndef GROVEFS_TESTS_RAFT_CLUSTER_COMMANDS_H
#define GROVEFS_TESTS_RAFT_CLUSTER_COMMANDS_H

#include "tests/raft/cluster.h"
#include "tests/raft/directive.h"

/* Returns NULL, or an error to be shown. */
typedef const char *cluster_command(struct cluster *c,
                                    const struct directive *d);

struct command {
    const char *name;
    cluster_command *run;
};

/* One that FORMAT.md does not have; NULL when there is none. */
const struct command *cluster_own_command(const char *name);

/* The first bare argument as a node, the second one as it is. */
struct node *command_node(struct cluster *c, const struct directive *d);
const char *command_second(const struct directive *d);
uint64_t command_second_number(const struct directive *d);

#endif
