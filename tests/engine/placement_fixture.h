/* SPDX-License-Identifier: Apache-2.0 */

/* Region 0's leader with all that placement.h is made of, and with a store in
 * memory; its clock, the other nodes, the leaders of the regions and the
 * network are the test's.
 *
 * Regions 1 to `regions` cover all keys. The setting of replicas is 3. */

#ifndef GROVEFS_TESTS_ENGINE_PLACEMENT_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_PLACEMENT_FIXTURE_H

#include "engine/env.h"
#include "engine/node.h"
#include "engine/placement.h"
#include "engine/settings.h"

enum { IDS_MAX = 64 /* of nodes and of regions */ };

struct peer {
    bool serving;
    uint64_t term;
};

/* All lead to the node. */
struct router {
    struct node *node;
};

struct status_board {
    const struct node *node;
};

struct members {
    const struct node *node;
};

struct node {
    struct env env;
    struct node_config config;
    uint64_t id;       /* in: that of region 0's leader; 1 */
    uint64_t now_ns;   /* of both clocks */
    uint64_t each_ns;  /* by which each look at them moves them on */
    struct peer *peer; /* the leader's replica of region 0 */
    struct router *router;
    struct status_board *board;
    struct members *members;
    struct placement *placement;

    bool silent[IDS_MAX]; /* nodes that cannot be reached */
    bool lost[IDS_MAX];   /* for long, as members.h has it */
    size_t regions;       /* in: how many there are; 1 */
    uint64_t sequence;
    uint64_t leaders[IDS_MAX]; /* of regions, as they were told */
    uint64_t terms[IDS_MAX];

    struct step step; /* the last one other than STEP_REPORT, and to whom */
    uint64_t step_to;
    unsigned asked[IDS_MAX]; /* nodes, to tell all */
    unsigned operators_sent; /* packets, and the last one */
    struct operators_view operators;
};

struct node *placement_fixture_new(void);
void placement_fixture_free(struct node *node);

/* ---- region 0's state ---- */

void put_node(struct node *node, uint64_t id, enum node_state state);
/* UP, from `first` to `last`. */
void put_nodes(struct node *node, uint64_t first, uint64_t last);
/* Bytes that are no record. */
void put_damaged_node(struct node *node, uint64_t id);
void put_setting(struct node *node, enum setting setting, uint64_t value);
void put_goal(struct node *node, const struct goal *goal);

/* ---- what the others say ---- */

/* The region's leader reports it, as a small one: see plan_texts.h. */
void tell(struct node *node, uint64_t region, const char *replicas);
/* A node tells that it leads nothing any more. */
void resign(struct node *node, uint64_t id);
/* All but the silent tell what they lead, and it is the leader's turn. */
void second(struct node *node);
void seconds(struct node *node, unsigned count);

/* ---- what comes of it ---- */

/* The last operator of a region. NULL: there was none. */
const struct operator_view *operator_of_region(const struct node *node,
                                               uint64_t region);

#endif
