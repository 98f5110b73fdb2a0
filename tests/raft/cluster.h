/* SPDX-License-Identifier: Apache-2.0 */

/* The nodes of a scenario, the messages on their way, and the two storage
 * threads of each node (FORMAT.md sections 3 and 4). Nothing happens by
 * itself: commands deliver, process and tick. */

#ifndef GROVEFS_TESTS_RAFT_CLUSTER_H
#define GROVEFS_TESTS_RAFT_CLUSTER_H

#include "tests/raft/memory_storage.h"
#include "tests/raft/wire.h"

enum { CLUSTER_NODES_MAX = 16 };

enum {
    LEVEL_DEBUG,
    LEVEL_INFO,
    LEVEL_WARN,
    LEVEL_ERROR,
    LEVEL_FATAL,
    LEVEL_NONE,
    LEVEL_COUNT
};

struct node {
    struct raft *raft;
    struct raft_config config;
    struct memory_storage storage;
    struct wires append_work;
    struct wires apply_work;
    struct raft_snapshot **history; /* one per applied entry */
    size_t history_count;
    size_t history_count_max;
    bool async;
};

struct cluster {
    struct node node[CLUSTER_NODES_MAX]; /* id - 1 */
    size_t node_count;
    struct wires messages;
    struct out *out; /* of the running command */
    int level;
};

struct node_options {
    struct raft_config config;
    struct raft_snapshot bootstrap;
    bool async;
};

/* All functions that return a text return NULL, or why not. */

const char *cluster_add_node(struct cluster *c,
                             const struct node_options *options);
void cluster_close(struct cluster *c);

/* Forgets what was not persisted, and starts again. */
const char *cluster_restart(struct cluster *c, struct node *n);

/* Takes one ready and, in sync mode, completes it. */
const char *cluster_process_ready(struct cluster *c, struct node *n);
const char *cluster_process_append(struct cluster *c, struct node *n);
const char *cluster_process_apply(struct cluster *c, struct node *n);

/* Delivers (or drops) all that is queued for the node and of the type; -1 is
 * any type. Returns how many. */
size_t cluster_deliver(struct cluster *c, uint64_t id, int type, bool drop);

/* Everything, until nothing is left to do. */
const char *cluster_stabilize(struct cluster *c, const uint64_t *ids,
                              size_t count);

uint64_t node_id(const struct node *n);
const struct raft_snapshot *node_last_snapshot(const struct node *n);

/* Runs `body` with its output indented by two blanks. */
typedef const char *cluster_body(struct cluster *c, struct node *n);
const char *cluster_indented(struct cluster *c, struct node *n,
                             cluster_body *body);

void cluster_print(struct cluster *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What a failed step is called in scenarios. */
const char *cluster_error_text(int rc);

#endif
