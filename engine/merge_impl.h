/* SPDX-License-Identifier: Apache-2.0 */

/* What merge.c, merge_ask.c and merge_report.c share; for them only. */

#ifndef GROVEFS_ENGINE_MERGE_IMPL_H
#define GROVEFS_ENGINE_MERGE_IMPL_H

#include "engine/merge.h"
#include "engine/router.h"

enum { WHY_SIZE = 96 };

/* What a node has said last. */
struct report {
    uint64_t node;
    enum merge_report_state state; /* 0: nothing */
};

struct merge {
    struct merges *merges;
    uint64_t target;
    uint64_t source;
    uint64_t attempt; /* 0: not begun */
    struct report reports[REGION_PEERS_MAX];
    size_t report_count;
    uint64_t until_ns;
    uint64_t asked_ns;               /* 0: not yet */
    struct merge_proposal *proposed; /* NULL: none is under way */
    struct router_call call;         /* FREEZE or UNFREEZE */
    bool refused;                    /* FREEZE was */
    bool thawed;                     /* the source is not frozen, for ever */
    struct env_timer timer;
    TAILQ_HEAD(, merge_wait) waits;
    int status; /* that it ends with when it is given up */
    char why[WHY_SIZE];
    TAILQ_ENTRY(merge) link;
};

struct merges {
    struct node *node;
    TAILQ_HEAD(, merge) items;
};

/* That of a target, or NULL. */
struct merge *merges_find(const struct merges *merges, uint64_t target);
/* What it ends with, at the latest when it has been undone. The first reason is
 * the one that counts. */
void merge_note_failure(struct merge *merge, int status, const char *why);

/* merge_ask.c: asks the nodes of `target` that have not said that they are
 * ready, not too often. True: all of them are. */
bool merge_ask(struct merge *merge, const struct region *target,
               const struct merge_query *query);
/* Notes who was not ready in time. */
void merge_note_late(struct merge *merge);

/* merge_report.c: how far this node's replicas are. Has state/ flushed, if that
 * is what is missing. */
enum merge_report_state merge_report(struct node *node,
                                     const struct merge_query *query);

#endif
