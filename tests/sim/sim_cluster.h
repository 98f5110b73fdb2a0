/* SPDX-License-Identifier: Apache-2.0 */

/* The nodes of one run: real ones (engine/node.h) on machines of sim_env.h,
 * connected by sim_net.h. Starting (sim_start.c), stopping, crashing
 * (sim_stop.c). */

#ifndef GROVEFS_TESTS_SIM_SIM_CLUSTER_H
#define GROVEFS_TESTS_SIM_SIM_CLUSTER_H

#include "engine/bootstrap.h"
#include "engine/founding.h"
#include "engine/node.h"
#include "tests/sim/sim_env.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_plan.h"

struct sim_joiner;
struct sim_merges;
struct sim_point;
struct sim_splits;
struct sim_watch;
struct sim_zones;

enum sim_node_state {
    SIM_DOWN,
    SIM_OPENING,  /* reads its store */
    SIM_FOUNDING, /* an empty store; asks the others */
    SIM_JOINING,  /* an empty store; asks a member */
    SIM_UP,
    SIM_RETIRING, /* hands leadership over */
    SIM_STOPPING  /* what was posted runs to its end */
};

struct sim_node {
    struct sim_machine machine;
    struct sim_cluster *cluster;
    size_t number; /* the id is one more */
    enum sim_node_state state;
    uint64_t starts;      /* tells the incarnations apart */
    uint64_t start_at_ns; /* while it is down; UINT64_MAX: not by itself */
    uint64_t down_ns;     /* how long, once it has stopped */
    bool retired;
    bool may_go;  /* its removal was asked for */
    bool forced;  /* ... by force: with what only it has */
    bool removed; /* it knows */
    bool refused; /* it has come back after that */
    uint64_t request_last;
    struct kv *log; /* while it is down */
    struct kv *state_kv;
    struct sim_env *env;         /* while it is not */
    struct node *node;           /* NULL: also while it is founding */
    struct bootstrap *bootstrap; /* kept when it has ended */
    struct sim_joiner *joiner;   /* likewise */
    struct identity identity;    /* as its store has it */
    uint64_t ino_next;
    bool linked[SIM_NODES_MAX]; /* what the network has told */
    struct sim_event event;     /* looks after starting and stopping */
};

struct sim_cluster {
    struct sim_loop *loop;
    const struct sim_plan *plan;
    struct sim_net *net;
    struct sim_watch *watch;
    struct founders founders;
    /* A node has ended itself, and is to be crashed by sim_node_crash(). */
    void (*on_died)(void *context, struct sim_node *node);
    void *on_died_context;
    /* A node hands out the entry of a split, or of a step of a merge, or has a
     * new region now. */
    void (*on_split)(void *context, struct sim_node *node);
    void *on_split_context;
    uint64_t peers_made;       /* by membership changes */
    struct sim_splits *splits; /* NULL: none yet */
    struct sim_merges *merges; /* likewise */
    struct sim_zones *zones;   /* likewise */
    struct sim_point *point;   /* NULL: crashes come by chance */
    uint64_t wish_ns; /* when a control file was written to; 0: never */
    bool calm;
    bool entry_spoilt; /* an eventual one: see sim_spoil.c */
    bool index_spoilt; /* an item of that of eventual changes */
    struct sim_node nodes[SIM_NODES_MAX];
};

/* Makes the disks, with a founded cluster or empty, and starts all nodes. */
struct sim_cluster *sim_cluster_new(struct sim_loop *loop,
                                    const struct sim_plan *plan);
/* All nodes are to be down. */
void sim_cluster_free(struct sim_cluster *cluster);

/* The region with the least id from `*region` on that some running node has,
 * with state. False: none. */
bool sim_cluster_find_region(const struct sim_cluster *cluster,
                             uint64_t *region);
/* The first node that has it, or NULL. */
const struct sim_node *sim_cluster_holder(const struct sim_cluster *cluster,
                                          uint64_t region);
/* Some serving node that takes itself for the region's leader, with its
 * replica. NULL: there is none. */
struct peer *sim_cluster_leader(struct sim_cluster *cluster, uint64_t region,
                                struct sim_node **ret_node);
/* Any of them from `first` on; `first` when there is none. */
uint64_t sim_cluster_pick_region(struct sim_cluster *cluster, uint64_t first);

/* Whether the node has its id: founders always have. */
bool sim_node_is_member(const struct sim_node *node);

/* Whether requests may be given to it. */
bool sim_node_serves(const struct sim_node *node);

/* From what is on its disk. */
void sim_node_start(struct sim_node *node);
/* The process is gone, with the machine or without; it starts again after
 * `down_ns`. */
void sim_node_crash(struct sim_node *node, bool with_machine, uint64_t down_ns);
/* The machine is gone, and just that tail. */
void sim_node_cut_power(struct sim_node *node, enum sim_tail tail,
                        uint64_t down_ns);
/* The same in good order. */
void sim_node_stop(struct sim_node *node, uint64_t down_ns);
void sim_node_pause(struct sim_node *node, uint64_t span_ns);

/* By how much a clock is ahead that is as right as those of nodes are. */
int64_t sim_clock_offset(struct sim_loop *loop);

/* Ends all that is slow, cut, stopped or down, and sets the clocks right. */
void sim_cluster_calm(struct sim_cluster *cluster);
/* All nodes but those that were removed. */
bool sim_cluster_is_up(const struct sim_cluster *cluster);

#endif
