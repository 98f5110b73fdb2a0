/* SPDX-License-Identifier: Apache-2.0 */

/* A node that holds no region itself: what its router makes of node.h and
 * env.h. It notes what is sent, time passes when a test says so. */

#ifndef GROVEFS_TESTS_ENGINE_LONE_NODE_H
#define GROVEFS_TESTS_ENGINE_LONE_NODE_H

#include "engine/node.h"
#include "engine/router.h"
#include "engine/timers.h"

enum { OWN_NODE = 9, NODE_COUNT = 6 /* others: 1 to 6 */ };

struct node {
    struct env env;
    struct node_config config;
    struct router *router;
    struct timers timers;
    uint64_t now_ns;
    struct call sent; /* the last one */
    uint64_t sent_to;
    uint64_t sent_version;
    unsigned sent_count;
    struct call_return returned; /* to a call of another node */
    bool disk_full;
    unsigned asked_count;           /* for the region of a key */
    unsigned tried[NODE_COUNT + 1]; /* by node */
};

/* In zeroed memory; boots it. */
void lone_node_init(struct node *node);
/* Each boot has a router of its own. */
void lone_node_boot(struct node *node);
void lone_node_shut_down(struct node *node);
void lone_node_pass(struct node *node, uint64_t ms);

#endif
