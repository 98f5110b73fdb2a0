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
void flow_txn(struct flow *flow, enum txn_kind kind);

/* flow_request.c: a request as a command, and a result as its answer. */

/* Whether its command is one on a directory, in region 0. */
bool flow_is_on_directory(const struct request *request);
/* The command that it begins with; borrows from the request. */
struct command flow_command_of(const struct node *node,
                               const struct request *request);
/* The limits that a user can exceed. */
int flow_check_limits(const struct request *request);
/* Of an eventual directory a strong one has only what the catalog says. */
void flow_look_into_directory(struct node *node, struct request *request);
void flow_take_result(struct request *request, int status,
                      const struct result *result);

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
/* Whether a read is of a namespace that is not strong, or of its mode. Any
 * thread, and the next one. */
bool flow_is_eventual(struct node *node, const struct command *command);
/* Answers such a read at once. False: it has to wait for something. */
bool flow_try_eventual(struct node *node, const struct command *command,
                       struct result *ret);
void flow_cancel_eventual(struct flow *flow);
/* The namespace that it is about. */
uint64_t flow_nsid_of(const struct command *command);
/* Begins it anew a little later; ERR_BUSY when a fence stays for long. */
void flow_wait_for_fence(struct flow *flow);
/* Waits until this node has applied what region 0 has by now. */
void flow_catch_up(struct flow *flow,
                   void (*done)(struct catch_up *catch_up, int status));
/* To be its `done`: the flow is begun anew. */
void flow_caught_up(struct catch_up *catch_up, int status);
/* Ends it well, when this node shows what was done. */
void flow_show(struct flow *flow, const struct attr *attr);

/* flow_mode.c: the mode of a directory, and changes of it. */

bool flow_is_about_mode(const struct command *command);
/* Begins what is about one. */
void flow_start_mode(struct flow *flow);
/* Gives a directory another mode, or removes it: RMDIR is that, too. */
void flow_change_mode(struct flow *flow, uint64_t nsid, enum mode_goal goal,
                      bool force);

/* flow_strong.c: strong directories whose names are in eventual ones, and those
 * that are strong no more. */

/* Whether a LOOKUP in an eventual directory has found a strong one. Any thread,
 * and the next one. */
bool flow_finds_strong(struct node *node, const struct command *command,
                       const struct result *found);
/* Replaces what was found by what the regions say of it at once. False: that
 * has to wait for something, and nothing is left of either. */
bool flow_try_strong(struct node *node, struct result *ret);
/* Asks the regions for it. */
void flow_read_strong(struct flow *flow, const struct result *found);
/* What a read's status is to the request: a directory that was found and is
 * gone by then was not found. Any thread. */
int flow_status_of_read(const struct request *request, int status);
/* Whether it is strong, and not about to become eventual, as far as this node
 * knows. */
bool flow_may_remove_strong(struct flow *flow, uint64_t nsid);
void flow_remove_strong(struct flow *flow, uint64_t nsid);
/* A command in a strong namespace has failed: true if that is because it is not
 * one any more; then it is begun anew. */
bool flow_failed_strong(struct flow *flow, int status);

#endif
