/* SPDX-License-Identifier: Apache-2.0 */

/* A node with stores in memory that knows modes of directories and asks region
 * 0 for others. What that says, and when, is the test's, like the rest of
 * node.h. */

#ifndef GROVEFS_TESTS_ENGINE_ASKING_NODE_H
#define GROVEFS_TESTS_ENGINE_ASKING_NODE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/command.h"
#include "engine/keys.h"
#include "engine/left_out.h"
#include "engine/modes.h"
#include "engine/node.h"
#include "engine/router.h"
#include "fake_env.h"

enum { DIR = 7, SINCE = 5, EPOCH = 9, FENCE = 20 };

struct peer {
    bool leads;
};

/* Its router is the node itself. */
struct node {
    struct node *self;
    struct fake_env fake;
    struct modes *modes;
    struct router_call *call; /* to region 0; NULL: none is under way */
    struct command asked;     /* with `call` */
    /* Of test_flow_eventual.c. */
    bool is_whole;
    uint64_t searched; /* for damage, in this directory ... */
    char searched_name[8];
    struct catch_up *catch_up;
    struct eventual_op *op;
    struct mode_change *change; /* the last one that was started */
    /* Of test_mode_change.c. */
    struct node_config config;
    struct peer *peer;
    bool hears_all;
    bool knows_who_is_there;
    uint64_t since_ns; /* from when on that was asked for last */
    struct left_out absent;
    int readiness;       /* to accept eventual changes */
    uint64_t told_fence; /* by all other nodes */
    int read_status;     /* of region 0 */
    struct mode_changes *changes;
    unsigned event_count;      /* in the log */
    char event[LOG_LINE_SIZE]; /* the last one */
    struct txn_op *txn;
    struct command transaction; /* with `txn` */
    struct left_out left_out;   /* likewise */
};

/* In zeroed memory. */
void asking_node_init(struct node *node);
void asking_node_close(struct node *node);

/* Region 0 applies that DIR, which is in `parent`, has this mode; `version` is
 * that of the catalog then. */
void apply_mode(struct node *node, uint64_t parent, struct mode mode,
                uint64_t version);
/* The same of the directory `nsid`. */
void apply_mode_of(struct node *node, uint64_t nsid, uint64_t parent,
                   struct mode mode, uint64_t version);

#endif
