/* SPDX-License-Identifier: Apache-2.0 */

/* Region 1 on two nodes with real peers, logs, appliers and snapshot streams,
 * and with everything around them (node.h, env.h) made of queues: the leader's
 * log begins behind the follower's end, so only a snapshot can help. */

#ifndef GROVEFS_TESTS_ENGINE_TWO_NODES_H
#define GROVEFS_TESTS_ENGINE_TWO_NODES_H

#include "engine/env.h"
#include "engine/frame.h"
#include "engine/keys.h"
#include "engine/node.h"
#include "engine/range_change.h"
#include "engine/snapshot.h"
#include "engine/timers.h"

enum {
    LEADER = 0, /* in the array; node ids are one more */
    FOLLOWER = 1,
    ENTRIES_NSID = 5,
    LEADER_PEER = 11,
    FOLLOWER_PEER = 12,
    LEADER_INDEX = 100, /* the ends of their logs */
    LEADER_TERM = 5,
    FOLLOWER_INDEX = 10,
    FOLLOWER_TERM = 2
};

struct two_nodes;

struct packet {
    uint64_t from;
    uint64_t to;
    struct env_packet packet;
    struct buf *payloads[FRAME_PAYLOADS_MAX];
    STAILQ_ENTRY(packet) link;
};

STAILQ_HEAD(env_tasks, env_task);
STAILQ_HEAD(log_writes, env_log_write);
STAILQ_HEAD(packets, packet);

/* What replicas.c would have been told. */
struct seen_split {
    enum split_side answer; /* in: what it says */
    unsigned begun;
    unsigned applied;
    uint64_t right;        /* region id */
    uint64_t left_version; /* of the replica when it was begun */
    bool kept;
    bool campaign;
};

struct seen_merge {
    bool answer; /* in: whether the source is there */
    unsigned begun;
    unsigned finished;
    unsigned freezes;
    uint64_t source; /* region id */
    uint64_t attempt;
    bool applied;
};

struct node {
    struct env env;
    uint64_t id;
    struct two_nodes *all;
    struct peer *peer;
    struct snapshots *snapshots;
    struct env_tasks tasks[ENV_OWNERS];
    struct log_writes log_writes;
    uint64_t log_keep;
    bool hold_log;       /* log writes wait */
    bool hold_apply;     /* so do those who apply */
    enum env_owner held; /* so does this one; ENV_WORKER: none */
    bool hold_install;   /* so does ENV_BULK, once a snapshot is restored */
    int fatal_count;
    bool wrong_clock;
    struct seen_split split; /* of its replica */
    struct seen_merge merge; /* likewise */
    unsigned warning_count;  /* events */
    char event[160];         /* the last one */
    bool has_all_regions;    /* its one peer stands for those of any region */
    /* Of another region's replica, which is nothing but this; NULL: none. */
    const struct region *neighbour;
};

struct two_nodes {
    struct node node[2];
    struct packets packets;
    uint64_t now_ns;
    struct timers timers; /* of both; they fire with a tick */
    uint64_t random;
    uint64_t ticks;
    /* What a test does to a packet: false drops it. NULL: nothing. */
    bool (*filter)(struct two_nodes *all, struct packet *packet);
    unsigned filtered;
    unsigned chunk_count; /* packets of this type */
    uint64_t told_gone;   /* the peer whose removal was told of last */
};

struct two_nodes *two_nodes_new(void);
void two_nodes_free(struct two_nodes *all);

/* Puts `count` entries of 64 KiB into a node's state. */
void put_entries(struct node *node, size_t count);
/* As put_entries() left it, or else as if nothing had ever been put. */
bool has_entries(struct node *node, size_t count);

/* Makes these the bounds of the region in the node's state: names in the
 * namespace of the entries; NULL for none. */
void put_range(struct node *node, const char *start, const char *end);
/* Makes the follower a learner, so that the leader rules without it; opens
 * both anew. */
void make_learner(struct two_nodes *all);
void put_key(struct node *node, struct key key);
bool has_key(struct node *node, struct key key);
/* Makes this the term on the node's disk, for its next start. */
void put_term(struct node *node, uint64_t term);

/* An earlier leader's last words to the follower: entries, of which the first
 * `committed_count` are committed. */
void append_entries(struct node *follower, size_t count,
                    size_t committed_count);

/* Makes a node's region, in its state/, one that only it has. */
void put_region_alone(struct node *node);

void run(struct two_nodes *all);
/* 100 ms. */
void tick(struct two_nodes *all);
/* Ticks until `done` says so; false: not within `count` ticks. */
bool tick_until(struct two_nodes *all, bool (*done)(struct two_nodes *all),
                unsigned count);
bool follower_is_restored(struct two_nodes *all);
uint64_t follower_term(struct two_nodes *all);
/* Of its log. */
uint64_t follower_first_index(struct two_nodes *all);

/* Forgets all that is queued and opens the peer anew. */
void restart(struct node *node);
/* The same for a node that never had a replica, and gets one. */
void begin_without_state(struct node *node, uint64_t peer_id);

/* ---- proposals ---- */

/* Must stay until it is done. */
struct asked {
    struct proposal proposal;
    unsigned done;
    int status;
    bool in_log;
    int result; /* when `status` is 0 */
};

/* Proposes it to the node's peer; not 0: it was refused at once. */
int ask(struct node *node, struct asked *asked, const struct command *command);
/* Proposes it to the leader, and has both apply it. Returns its result. */
int ask_both(struct two_nodes *all, struct command command);
/* A command for a region of this version; what it removes is not there. */
struct command write_for(uint64_t version);

#endif
