/* SPDX-License-Identifier: Apache-2.0 */

/* A node with a region that is to be split. Router, peer and the measuring of
 * the region are the test's. */

#ifndef GROVEFS_TESTS_ENGINE_SPLIT_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_SPLIT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/measure.h"
#include "engine/range.h"
#include "engine/router.h"
#include "engine/split.h"

enum {
    REGION = 3,
    NEW = 11,
    VERSION = 4,
    DIR_NSID = 5,
    NOW_NS = 70,
    TIMEOUT_MS = 1
};

struct peer {
    struct region region;
    bool serving;
};

struct node {
    struct env env;
    struct node_config config;
    struct peer *peer; /* of REGION; NULL: none */
    struct peer own;
    void (*measured)(void *context, const struct measured *measured);
    void *measured_context;
    struct router *router;
    struct router_call *call; /* for an id; NULL: none is under way */
    struct proposal *proposal;
    struct buf *bytes;      /* of the last command proposed */
    struct command command; /* borrows from them */
    int refusal;
    struct split_wait wait;
    unsigned done;
    int status;
    bool has_reason;
};

int split_setup(void **state);
int split_teardown(void **state);

/* Asks for a split of REGION; `version`: as it was when that was first asked
 * for, 0 for now. */
void start_for(struct node *node, uint64_t version, struct key at);
void start_at(struct node *node, struct key at);
/* At the name "m" of the directory DIR_NSID. */
void start(struct node *node);
/* In its middle. */
void start_anywhere(struct node *node);

/* The region was measured; NULL: it has no middle. */
void measured(struct node *node, int status, const char *middle);
/* Region 0 answers with NEW. */
void give_id(struct node *node, int status);
/* The end of the proposal, and what applying it met. */
void answer(struct node *node, int status, int result_status);

/* Once, with that. */
void assert_ended(const struct node *node, int status);

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, split_setup, split_teardown)

#endif
