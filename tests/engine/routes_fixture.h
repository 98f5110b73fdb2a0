/* SPDX-License-Identifier: Apache-2.0 */

/* A node that learns routes; its own replica is one descriptor, the network is
 * a list of what was sent. */

#ifndef GROVEFS_TESTS_ENGINE_ROUTES_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_ROUTES_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/routes.h"
#include "engine/wire.h"

enum { OWN_NODE = 3, DOWN_NODE = 4, NODE_COUNT = 5 };

struct peer {
    struct region region;
    uint64_t leader_node;
};

struct node {
    struct routes *routes;
    struct peer own;
    struct peer *peer; /* NULL: none */
    unsigned sent_to[NODE_COUNT + 1];
    unsigned sent_count;
    uint16_t sent_type;
    struct buf *sent; /* the last one */
};

int routes_setup(void **state);
int routes_teardown(void **state);

/* Its members are nodes 1 and 2. */
struct region region(uint64_t id, uint64_t version, const char *start,
                     const char *end);
/* Such a one, which node 1 leads. */
bool learn(struct node *node, uint64_t id, uint64_t version, const char *start,
           const char *end);
/* The region that has a key, as "id * 100 + version"; 0: not known. */
uint64_t at(struct node *node, const char *user_key);
/* The node has a replica, and leads it. */
void host(struct node *node, uint64_t id, uint64_t version, const char *start,
          const char *end);

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, routes_setup, routes_teardown)

#endif
