/* SPDX-License-Identifier: Apache-2.0 */

/* What sim_client.c and sim_client_learn.c share. */

#ifndef GROVEFS_TESTS_SIM_SIM_CLIENT_IMPL_H
#define GROVEFS_TESTS_SIM_SIM_CLIENT_IMPL_H

#include "engine/engine.h"
#include "tests/sim/sim_choice.h"
#include "tests/sim/sim_client.h"

enum { CLIENTS_MAX = SIM_NODES_MAX * 4, QUEUE_MAX = 256, SIM_FROM_SIZE = 16 };

/* A file to be read, or a directory to be listed. */
struct audit_item {
    struct sim_known what;
    uint8_t behind;
    char from[SIM_FROM_SIZE]; /* "", or the name where a page begins */
};

struct client {
    struct sim_event event; /* first member: thinks */
    struct sim_clients *clients;
    struct sim_node *node;
    uint32_t number;
    bool resting;
    bool auditing;
    bool active;
    bool posted; /* the event */
    uint64_t starts;
    size_t op; /* place in the history */
    /* When its operation began, and the one before it: on the loop's clock and
     * on its node's. */
    struct client_moment {
        uint64_t loop_ns;
        uint64_t mono_ns;
    } began, began_before;
    uint64_t since_ns; /* of the request */
    struct request request;
    struct env_task submit_task;
    struct env_task cancel_task;
    /* An audit's work that is left. */
    struct audit_item queue[QUEUE_MAX];
    size_t queue_count;
    char from[SIM_FROM_SIZE]; /* of the audit's READDIR */
};

struct sim_clients {
    struct sim_cluster *cluster;
    struct sim_history history;
    struct client *clients[CLIENTS_MAX];
    size_t count;
    struct sim_choice choice;
    uint64_t written;
};

/* ---- sim_client_learn.c ---- */

/* It is to be looked at, if there is an audit: a directory from the name behind
 * `behind` on. */
void sim_client_add_to_audit(struct client *client, struct sim_known what,
                             uint8_t behind);

/* What the answer to an operation that has succeeded says, for the history and
 * for what is done next. */
void sim_client_learn(struct client *client, struct sim_op *op,
                      const struct request *request);

#endif
