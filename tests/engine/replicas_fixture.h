/* SPDX-License-Identifier: Apache-2.0 */

/* One node of a cluster with all that it has, on an env that does only what a
 * test says, and with a data region that can be split. */

#ifndef GROVEFS_TESTS_ENGINE_REPLICAS_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_REPLICAS_FIXTURE_H

#include "engine/node.h"
#include "engine/store.h"
#include "tests/engine/fake_env.h"

enum { NODE = 1, NEW_REGION = 7 };

struct replicas_fixture {
    struct fake_env fake;
    struct identity identity;
    struct node *node;
};

/* Behind the place where the region is split. */
extern const struct region behind;

/* The store of a node of three, or of one that leads all its regions; not
 * opened yet. */
int setup_of_three(void **state);
int setup_alone(void **state);
/* Asserts that no error was fatal. */
int teardown(void **state);

void open_node(struct replicas_fixture *f);
/* Lets all happen but what waits for time or is held. */
void settle(struct replicas_fixture *f);

/* Opens the node that is alone, and begins to split its data region: the entry
 * is handed out, and waits to be applied. */
void begin_split(struct replicas_fixture *f, struct proposal *proposal);
void finish_split(struct replicas_fixture *f);
/* Done at once, if it is not held. */
void propose(struct replicas_fixture *f, uint64_t region,
             const struct command *command, struct proposal *proposal);
/* For a proposal that is to be applied. */
void on_proposed(struct proposal *proposal, int status, bool in_log,
                 struct buf *result);

#endif
