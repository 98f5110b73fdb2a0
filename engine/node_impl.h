/* SPDX-License-Identifier: Apache-2.0 */

/* What the node*.c files share; for them only. */

#ifndef GROVEFS_ENGINE_NODE_IMPL_H
#define GROVEFS_ENGINE_NODE_IMPL_H

#include "engine/node.h"

struct node {
    struct env *env;
    struct node_config config;
    struct modes *modes;
    bool modes_damaged; /* when they were read at the start */
    struct replicas *replicas;
    struct router *router;
    struct reader *reader;
    struct txns *txns;
    struct flows *flows;
    struct members *members;
    struct merges *merges;
    struct snapshots *snapshots;
    struct splitter *splitter;
    struct liveness *liveness;
    struct status_board *board;
    struct clocks *clocks;
    struct reporter *reporter;
    struct placement *placement;
    struct eventual *eventual;
    struct pulls *pulls;
    struct mode_changes *mode_changes;
    struct floor_changes *floor_changes;
    struct restamps *restamps;
    struct event_log *events;
    struct event_watch *event_watch;
    struct outbox *outbox;
    uint64_t links_up[NODES_MAX];
    size_t link_count;
    struct env_timer tick;
    unsigned ticks;
    uint64_t follow_ns; /* region 0's leader does not follow before */
    struct disks *disks;
    struct env_task flush_task;
    bool flush_posted;
    struct stamps *stamps;
    bool removed;
    void (*retired)(void *context);
    void *retired_context;
    struct env_timer retire_timer;
    uint64_t retire_until_ns;
};

/* node_leaders.c: once a second; region 0's leadership goes to the root's
 * leader. */
void node_follow_root_leader(struct node *node);
/* Each tick: hands over what is led here while this node's clock is wrong. */
void node_stop_leading(struct node *node);

#endif
