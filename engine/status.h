/* SPDX-License-Identifier: Apache-2.0 */

/* What /.cluster shows: the tables of grovefs-cluster(7), rendered from this
 * node's own state and from what every node tells the others once a second.
 *
 * All of it works without a majority. Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_STATUS_H
#define GROVEFS_ENGINE_STATUS_H

#include <stdio.h>

#include "engine/node.h"
#include "engine/wire.h"

enum { STATUS_SILENT_MS = 3000 /* then a node counts as unreachable */ };

struct status_board *status_board_new(struct node *node);
void status_board_free(struct status_board *board); /* Takes NULL. */

/* Once a second, or when they should know at once: tells the others what has
 * changed. */
void status_board_tick(struct status_board *board);
/* A replica has changed, and may be asleep when the others are told. */
void status_board_note(struct status_board *board, const struct peer *peer);
/* It is here no more. */
void status_board_forget(struct status_board *board, uint64_t region);
/* WIRE_STATUS. */
void status_board_on_packet(struct status_board *board,
                            const struct env_packet *packet);
/* A request has ended so. */
void status_board_count(struct status_board *board, int status);

/* How many replicas a node has, and how many of them lead. */
void status_board_count_regions(const struct status_board *board,
                                uint64_t node_id, size_t *ret_regions,
                                size_t *ret_leaders);
/* The last word of a node, or NULL when its connection is lost or it has been
 * silent for too long. */
const struct node_status *status_board_find(const struct status_board *board,
                                            uint64_t id);
/* What it has said of its replica of a region; NULL as above. */
const struct region_status *
status_board_region(const struct status_board *board, uint64_t node_id,
                    uint64_t region);
/* The state of that replica; PEER_RUNNING when nothing is known. */
unsigned status_board_state(const struct status_board *board, uint64_t node_id,
                            uint64_t region);
/* When a node was last heard of (wall clock), 0: never. */
int64_t status_board_heard_ns(const struct status_board *board,
                              uint64_t node_id);
uint64_t status_board_requests(const struct status_board *board);
uint64_t status_board_failures(const struct status_board *board);

/* One table's text; NULL when memory is out. */
struct buf *status_render(struct node *node, enum engine_table table);

/* The parts of it that are in files of their own. */
void status_render_health(struct node *node, FILE *out);
void status_render_metrics(struct node *node, FILE *out);

/* Seconds since the epoch as people and awk like it: 2026-01-31T12:00:00Z. */
void status_print_time(FILE *out, int64_t wall_ns);
/* One replica as this node sees it, for lag and metrics. False: unknown. */
struct replica_view {
    uint64_t match; /* 0: not known here */
    uint64_t applied;
    uint64_t lag_entries;
    uint64_t lag_bytes;
    double lag_s;
    const char *role;
    const char *state;
};
bool status_replica(struct node *node, const struct peer *peer,
                    const struct region_peer *replica,
                    struct replica_view *ret);

#endif
