/* SPDX-License-Identifier: Apache-2.0 */

/* What is written to the control files of /.cluster.
 *
 *     text      control_start()       checks it whole; makes a command of it,
 *        |                            one for each region that it concerns
 *     calls     router.h              to the leaders, wherever they are
 *        |
 *     leader    control_leader.h      sees to it; answers when it is done
 *
 * What is only on this node is done here, and no leader is called. The table
 * in control.c has the files. A text that is refused is explained in
 * /.cluster/log, and nothing has happened.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_CONTROL_H
#define GROVEFS_ENGINE_CONTROL_H

#include "engine/eventual.h"

enum { CONTROL_SIZE_MAX = 4096 };

struct control;
struct control_part;

/* A text on its way; embedded. */
struct control_op {
    uint64_t deadline_ns; /* public: in */
    /* `status` 0: done, and shown by this node's own tables. ERR_INVALID: no
     * such text; ERR_NOT_FOUND: what it names is not there; else what router.h
     * says, or the leader's own errors. */
    void (*done)(struct control_op *op, int status);
    struct node *node; /* private from here on */
    const struct control *control;
    uint64_t object;
    uint64_t target_node;
    enum node_state node_state;
    uint64_t version; /* of the region, before it is split */
    uint64_t other;   /* the region that is merged into it */
    struct goal goal; /* that is to begin or to end */
    bool is_checked;  /* nothing more is to be asked before it begins */
    uint64_t value;   /* of a setting */
    struct control_part *parts;
    size_t part_count; /* 0: inactive */
    size_t left;
    int status;
    struct env_timer timer; /* until it is seen here */
    unsigned looks;         /* for that */
    struct eventual_drop drop;
};

/* `done` may be called before this returns. `text` is not kept. */
void control_start(struct control_op *op, struct node *node,
                   enum engine_table table, uint64_t object, struct slice text);
/* Ends it without calling `done`; what it has begun goes on. An inactive one is
 * ignored. */
void control_cancel(struct control_op *op);

#endif
