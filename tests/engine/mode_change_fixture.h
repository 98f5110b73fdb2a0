/* SPDX-License-Identifier: Apache-2.0 */

/* A node that changes modes, for which the test plays region 0, transactions
 * and other nodes. */

#ifndef GROVEFS_TESTS_ENGINE_MODE_CHANGE_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_MODE_CHANGE_FIXTURE_H

#include "asking_node.h"
#include "engine/mode_change.h"

enum { PARENT = 6, MISSING = 3 };

struct fixture {
    struct node node;
    struct peer peer;
    struct mode_change change;
    bool only_empty; /* goes to the change */
    bool force;      /* likewise */
    bool over;
    int status;
};

int setup_mode_change(void **state);
int teardown_mode_change(void **state);

/* Region 0 applies that DIR has this mode; domain 0: none; PARENT: it is in an
 * eventual one. */
void apply(struct fixture *f, enum mode_state state, uint64_t domain,
           uint64_t epoch);
/* ... that PARENT, which DIR is in, has this one by itself. */
void apply_parent(struct fixture *f, enum mode_state state);
/* ... that it is being filled. */
void apply_filling(struct fixture *f, uint64_t epoch);
/* ... that there is a directory in it. */
void apply_child(struct fixture *f);
/* DIR has so many names as an eventual directory. */
void put_entries(struct fixture *f, uint64_t count);

/* Starts the change of the fixture. */
void start(struct fixture *f, enum mode_goal goal);
void pass(struct fixture *f, unsigned ms);
/* The mode of DIR that region 0 is asked for. */
void expect_asked(const struct fixture *f, enum mode_state state,
                  uint64_t epoch);
/* What region 0 says to what it was asked for; the epoch is FENCE. */
void answer(struct fixture *f, int status);
/* Up to where the fence is put up. */
void start_fenced(struct fixture *f, enum mode_goal goal);
/* Up to where all nodes have told of it, and this one has applied it; `domain`
 * as in apply(). */
void start_told(struct fixture *f, enum mode_goal goal, uint64_t domain);
/* The transaction on DIR that was asked for. */
void expect_txn(const struct fixture *f, enum txn_kind kind, uint64_t epoch);
/* Region 0 is asked to remove DIR behind the fence, and does; that is all. */
void end_removal(struct fixture *f);
/* How the transaction ends that was asked for. */
void end_txn(struct fixture *f, int status);
void expect_end(const struct fixture *f, int status);
/* It is over, with this as the only line in the log, and the next may begin. */
void expect_said(struct fixture *f, const char *text);

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_mode_change,                   \
                                    teardown_mode_change)

#endif
