/* SPDX-License-Identifier: Apache-2.0 */

/* What the files placement*.c share; for them only. */

#ifndef GROVEFS_ENGINE_PLACEMENT_IMPL_H
#define GROVEFS_ENGINE_PLACEMENT_IMPL_H

#include "engine/placement.h"
#include "engine/region_table.h"
#include "engine/router.h"
#include "engine/settings.h"

enum {
    LEFT_ALONE_SECONDS = 60 /* after a goal set by hand, and with a leader who
                             * may have been set by hand */
};

/* A goal on its way, by hand or not. */
struct placement_operator {
    struct placement *placement;
    struct operator_view view;
    struct plan_goal goal;
    uint64_t goal_id;  /* of one by hand; else 0 */
    uint64_t begun_ns; /* monotonic */
    uint64_t ended_ns; /* the same; 0: it is running */
    struct step sent;  /* the last one */
    uint64_t sent_ns;
    uint64_t merge_ns; /* monotonic: the first STEP_MERGE; 0: not yet */
    struct router_call end_call; /* while its end is being written */
    TAILQ_ENTRY(placement_operator) link;
};

TAILQ_HEAD(operators, placement_operator);

/* What this leader has noticed of a node. */
struct noticed {
    uint64_t node;
    bool told;         /* all that it leads */
    uint64_t asked_ns; /* monotonic: when it was last asked to tell all */
};

struct placement {
    struct node *node;
    struct operators_view told; /* by region 0's leader, whoever that is */

    /* On region 0's leader. */
    uint64_t term; /* of the leadership; 0: not the leader */
    uint64_t begun_ns;
    struct region_table *table;
    struct operators operators; /* in the order in which they began */
    struct plan_nodes nodes;
    struct noticed noticed[NODES_MAX];
    struct settings settings;
    bool ready;   /* rule 4 */
    bool changed; /* something was reported since the last choice */
    unsigned seconds;
    bool tell; /* the operators have changed */
};

uint64_t placement_now_ns(const struct placement *placement);
/* Whether this node leads region 0. Its table is of this leadership then: what
 * there was of another one is dropped here. */
bool placement_leads(struct placement *placement);
/* Whether somebody leads the region, as far as is known, and can be reached. */
bool placement_has_leader(const struct placement *placement,
                          const struct table_entry *entry);
/* Sends a step to a region's leader. */
void placement_send_step(struct placement *placement, uint64_t to,
                         const struct step *step);

/* placement_operators.c. NULL: none is running. */
struct placement_operator *operator_of(const struct placement *placement,
                                       uint64_t region);
/* The same; or one that makes another region a part of this one. */
struct placement_operator *operator_holding(const struct placement *placement,
                                            uint64_t region);
struct placement_operator *operator_begin(struct placement *placement,
                                          uint64_t region,
                                          const struct plan_goal *goal);
/* Whether nobody has asked for it, or the goal that it works for is still
 * there, running. Ends it if not: nothing more is done for one that was
 * cancelled. */
bool operator_is_wanted(struct placement_operator *op);
/* Looks where it stands, and sends the step that is due. */
void operator_advance(struct placement_operator *op);
/* All that are running. */
void operators_advance(struct placement *placement);
/* It has ended, whoever has found that. */
void operator_end(struct placement_operator *op, int status, const char *why);
void operators_drop(struct placement *placement);
/* Those that have ended long ago. */
void operators_forget_old(struct placement *placement);
/* Tells all nodes. */
void operators_tell(struct placement *placement);

/* placement_automatic.c. Begins as many automatic ones as there may be. */
void operators_choose(struct placement *placement);

#endif
