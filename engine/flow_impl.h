/* SPDX-License-Identifier: Apache-2.0 */

/* What the files flow*.c share; for them only. */

#ifndef GROVEFS_ENGINE_FLOW_IMPL_H
#define GROVEFS_ENGINE_FLOW_IMPL_H

#include "engine/catch_up.h"
#include "engine/control.h"
#include "engine/event_watch.h"
#include "engine/eventual.h"
#include "engine/flow.h"
#include "engine/mode_change.h"
#include "engine/reader.h"
#include "engine/router.h"
#include "engine/settle.h"
#include "engine/txn.h"

struct flow {
    struct flows *flows;
    struct request *request;
    uint64_t id;
    uint64_t deadline_ns;
    struct command command; /* borrows from the request */
    struct read_op read;
    struct router_call call;
    struct settle settle;
    struct txn_op txn;
    struct control_op control;
    struct event_wait events;
    struct eventual_op eventual;
    struct mode_change mode_change;
    struct catch_up catch_up;
    struct result shown; /* to be answered when this node has caught up */
    bool has_caught_up;  /* since it began */
    uint64_t fenced_ns;  /* since when it waits for a fence; 0: it does not */
    struct env_timer pause; /* before it is tried again, or not any more */
    bool waiting;           /* for room in the regions' memory of results */
    struct env_timer wait_deadline;
    TAILQ_ENTRY(flow) link;
    UT_hash_handle by_id;
};

struct flows {
    struct node *node;
    struct flow *running;          /* by id */
    TAILQ_HEAD(, flow) waiting;    /* in the order in which they came */
    struct env_task admit_waiting; /* once for many releases */
    bool admit_posted;
    bool stopped;
};

/* flow.c */

/* Ends it; `result` stays the caller's. NULL: it has failed, or there is none.
 */
void flow_end(struct flow *flow, int status, const struct result *result);
/* Begins it, or begins it anew. */
void flow_start(struct flow *flow);
/* A read, or a command in the region it is about. */
void flow_read(struct flow *flow);
void flow_write(struct flow *flow);

/* flow_alone.c: reads that this node answers by itself when it is alone. */

/* Whether such a read may do without a majority, as far as is known here. */
bool flow_may_be_alone(struct flow *flow);
/* Whether there is a majority to be asked, as far as this node can see. */
bool flow_leaders_are_known(const struct node *node);
/* Answers it with what this node knows; false: that is nothing. */
bool flow_read_alone(struct flow *flow);

/* flow_eventual.c: eventual namespaces, and changes of modes. */

/* True: it was one of those, and is under way or has ended. */
bool flow_start_eventual(struct flow *flow);
/* A command in a strong namespace has failed: true if that is because it is not
 * one any more; then it is begun anew. */
bool flow_failed_strong(struct flow *flow, int status);
/* Whether a read is of a namespace that is not strong, or of its mode. Any
 * thread, and the next one. */
bool flow_is_eventual(struct node *node, const struct command *command);
/* Answers such a read at once. False: it has to wait for something. */
bool flow_try_eventual(struct node *node, const struct command *command,
                       struct result *ret);
void flow_cancel_eventual(struct flow *flow);

#endif
