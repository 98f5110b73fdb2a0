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

/* What it has said of all its replicas, in no order: the one behind `region`,
 * or the first one for NULL; NULL at the end, or when nothing is known. */
const struct region_status *
status_board_next_region(const struct status_board *board, uint64_t node_id,
                         const struct region_status *region);
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

/* One table's text, a new reference. ERR_NOT_FOUND: no such object is known
 * here; ERR_NO_MEMORY. */
int status_render(struct node *node, enum engine_table table, uint64_t object,
                  struct buf **ret);

/* ---- what is in files of its own ---- */

void status_render_health(struct node *node, FILE *out);
void status_render_metrics(struct node *node, FILE *out);

/* status_node.c: the nodes of the catalog. */
void status_render_nodes(struct node *node, FILE *out);
void status_render_node_ids(struct node *node, FILE *out);
/* ERR_NOT_FOUND, or what is wrong with its record. */
int status_render_node_file(struct node *node, enum engine_table table,
                            uint64_t object, FILE *out);

/* status_region.c: the regions that have a replica here, or of which another
 * node has told that it has one. In ascending order; the caller frees. */
uint64_t *status_region_ids(struct node *node, size_t *ret_count);
void status_render_region_ids(struct node *node, FILE *out);
/* The node that leads it as far as is known here, 0: none; `ret_leader_node`
 * may be NULL. ERR_NOT_FOUND: no such region is known. */
int status_region_leader(struct node *node, uint64_t region,
                         uint64_t *ret_leader_node);
/* The version of its epoch, likewise; 0: not known. */
uint64_t status_region_version(struct node *node, uint64_t region);
/* The rows of /.cluster/regions and /.cluster/leaders. */
void status_print_region(struct node *node, uint64_t region, FILE *out);
void status_print_leader(struct node *node, uint64_t region, FILE *out);
/* ERR_NOT_FOUND. */
int status_render_region_file(struct node *node, enum engine_table table,
                              uint64_t object, FILE *out);

/* status_modes.c: the directories that have a mode of their own, and which
 * nodes know that. */
void status_render_modes(struct node *node, FILE *out);
/* What it adds to status_eventual.c's, as below. */
int status_report_modes(struct node *node, FILE *out);
void status_render_modes_metrics(struct node *node, FILE *out);

/* status_eventual.c: what other nodes lack of this node's changes. */
void status_render_eventual(struct node *node, FILE *out);
/* What the attribute XATTR_LAG has, for files and directories in such a state.
 */
struct buf *status_lag(struct node *node, enum mode_state state);
/* What XATTR_DIGEST has, of the directory or file that the command is about. */
struct buf *status_digest(struct node *node, const struct command *command,
                          enum mode_state state);
/* What they add to health; returns how many lines. */
int status_report_eventual(struct node *node, FILE *out);
/* ... and to the metrics. */
void status_render_eventual_metrics(struct node *node, FILE *out);

/* status_quarantine.c: changes of directories that were made strong without
 * this node. How many there are; false: they cannot be counted. */
bool status_count_quarantine(struct node *node, uint64_t *ret_count);
void status_render_quarantine_ids(struct node *node, FILE *out);
/* ERR_NOT_FOUND, or what is wrong with its record. */
int status_render_quarantine_file(struct node *node, enum engine_table table,
                                  uint64_t object, FILE *out);
/* What it adds to health, of all nodes, and to the metrics; as above. */
int status_report_quarantine(struct node *node, FILE *out);
void status_render_quarantine_metrics(struct node *node, FILE *out);

/* /.cluster/lag; with `only` the rows of one region. */
void status_render_lag(struct node *node, const struct peer *only, FILE *out);

/* ---- printing ---- */

/* A number that is not known is 0: `-`. */
void status_print_known(FILE *out, uint64_t number);

/* Seconds since the epoch as people and awk like it: 2026-01-31T12:00:00Z. */
void status_print_time(FILE *out, int64_t wall_ns);
/* The lines before the numbers of a metric; with the one number. */
void status_metric_head(FILE *out, const char *name, const char *type,
                        const char *help);
void status_metric(FILE *out, const char *name, const char *type,
                   const char *help, uint64_t number);

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
