/* SPDX-License-Identifier: Apache-2.0 */

/* A request about eventual namespaces. What region 0, a majority and the node's
 * eventual entries say is the test's. */

#ifndef GROVEFS_TESTS_ENGINE_FLOW_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_FLOW_FIXTURE_H

#include "asking_node.h"
#include "engine/flow_impl.h"

enum { STRONG_DIR = 8 };

struct fixture {
    struct node node;
    struct flows flows;
    struct request request;
    struct flow flow;
    unsigned end_count;
    int status;
    char text[8];        /* that it has shown */
    unsigned read_count; /* reads of strong namespaces that have begun */
    unsigned txn_count;  /* transactions */
    bool may_try;        /* a read of strong namespaces need not wait */
    struct command tried;
};

int setup_flow(void **state);
int teardown_flow(void **state);

/* Region 0 applies that DIR has this mode. */
void apply(struct fixture *f, enum mode_state state, uint64_t epoch);
/* In DIR. */
void put_file(struct fixture *f, const char *name);
/* The same; its nsid is DIR + 1, and its mode its own. */
void put_directory(struct fixture *f, const char *name, enum mode_state state);

void pass(struct fixture *f, unsigned ms);
void begin(struct fixture *f, enum request_kind kind,
           const struct command *command);
void begin_lookup(struct fixture *f); /* of "a" */
void begin_mkdir(struct fixture *f, const char *name);
void begin_unlink(struct fixture *f); /* of "a" */
void expect_end(const struct fixture *f, int status);
/* The node is told that it has caught up with region 0, or why not. */
void has_caught_up(struct fixture *f, int status);
/* How the change ends that eventual.h was asked for. */
void accept_op(struct fixture *f, int status);

#define FLOW_TEST(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_flow, teardown_flow)

#endif
