/* SPDX-License-Identifier: Apache-2.0 */

/* A node that shows what it knows of others and of eventual directories. Its
 * catalog has /app and /app/the carts, and it is second 1000; modes, and what
 * is known of nodes, are the test's. */

#ifndef GROVEFS_TESTS_ENGINE_STATUS_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_STATUS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/eventual.h"
#include "engine/modes.h"
#include "engine/pull.h"
#include "engine/status.h"

enum { OWN_NODE = 2, NODES = 3, DIRS_MAX = 20, APP = 5, CARTS = 7, BELOW = 8 };
enum { IDS_MAX = 64 };

#define SECOND UINT64_C(1000000000)

/* Its modes, eventual entries, pulls and status board are all the node itself.
 */
struct node {
    struct env env;
    uint64_t id;
    uint64_t now_ns;
    struct mode modes[DIRS_MAX];
    struct node_status status[NODES + 1]; /* by id */
    /* Of test_status_modes.c. */
    size_t count; /* of nodes, from 1 on */
    bool is_silent[NODES + 1];
    uint64_t fence[NODES + 1];
    /* Of test_status_eventual.c. */
    struct pull_lag peers[NODES_MAX];
    size_t peer_count;
    uint64_t behind_ns;
    bool is_behind_known;
    uint64_t missing; /* a node; 0: all is here */
    bool whole;
    int64_t differs_ns; /* since when node 1 does; 0: it does not */
    /* Of test_status_board.c. */
    struct node_config config;
    bool member[IDS_MAX];
    bool linked[IDS_MAX];
    uint64_t quarantine; /* how many are in it; 13: they cannot be counted */
    struct status_board *board;
};

/* It is OWN_NODE. */
int setup_status(void **state);
int teardown_status(void **state);

/* Tells `now_ns`; the node has it as its wall clock, and no other one. */
uint64_t fake_clock(struct env *env);
/* As a version of region 0 tells a time. */
uint64_t version_of(uint64_t second);
void set_mode(struct node *node, uint64_t nsid, enum mode_state state,
              uint64_t epoch);
void assert_prints(struct node *node,
                   void (*render)(struct node *node, FILE *out),
                   const char *wanted);

#endif
