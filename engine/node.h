/* SPDX-License-Identifier: Apache-2.0 */

/* One node of a cluster: how the pieces are put together, on `struct env`
 * alone. engine.c puts threads, sockets and RocksDB around it; tests/sim/
 * runs several in one process.
 *
 *            requests                      packets
 *               |                             |
 *             flow.c  (what a request takes)  |
 *           /       \                         |
 *      reader.c    txn.c                    node.c
 *         |           \                    /  |   \
 *      barrier.c     router.c  <---------'    |    snapshot.c
 *           \         /                       |      |
 *            '-- peer.c (one for each region on this node)
 *                  |        \
 *              region_log.c  applier.c -> exec*.c
 *
 * flow.c turns a request into reads and commands; reader.c makes sure that
 * reading from state/ is linearizable (barrier.c, one for each region) and
 * does it; router.c brings a command to its region's leader, on whatever node
 * that is, until it is answered; txn.c runs transactions.
 *
 * Everything here belongs to ENV_WORKER unless it says otherwise. */

#ifndef GROVEFS_ENGINE_NODE_H
#define GROVEFS_ENGINE_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/engine.h"
#include "engine/env.h"
#include "engine/peer.h"
#include "engine/range_change.h"
#include "engine/record.h"

/* Region ids that exist from the start. */
enum { REGION_PLACEMENT = 0, REGION_FIRST_DATA = 1 };

enum {
    NODES_MAX = 16,
    LOG_KEEP_DEFAULT = 10000, /* applied entries kept for lagging replicas */
    RESULTS_HELD_DEFAULT = 8192,
    SLEEP_AFTER_DEFAULT_MS = 3000,
    ALARM_DEFAULT_MS = 5 * 60 * 1000,
    MERGE_AFTER_DEFAULT_MS = 60 * 1000,
    DISK_RESERVE_BYTES = 256 * 1024 * 1024 /* more than memory has to flush */
};

struct barrier;
struct clocks;
struct event_log;
struct event_watch;
struct eventual;
struct flows;
struct placement;
struct pulls;
struct hosted;
struct members;
struct merges;
struct mode_changes;
struct modes;
struct reader;
struct reporter;
struct restamps;
struct router;
struct snapshots;
struct splitter;
struct status_board;
struct txns;

struct node_config {
    struct identity identity; /* already counted up for this boot */
    const char *advertise;    /* HOST:PORT, or "" */
    uint64_t op_timeout_ms;
    uint64_t value_size_max;
    uint64_t log_keep;
    uint64_t check_interval_ms; /* between consistency checks; 0: none */
    uint64_t sleep_after_ms;    /* that nothing happens in a region; 0: never */
    uint64_t alarm_ms;          /* see peer_sleep.c; not 0 with it */
    uint64_t merge_after_ms;    /* that a range has not changed: then regions
                                 * may be merged without being asked */
    uint64_t ino_next;          /* of the block leased on disk */
    uint64_t results_held_max;  /* that a region remembers for this node */
    /* The cluster has removed this node: its owner is to end it. Once. */
    void (*removed)(void *context);
    /* What only the host knows; may be NULL. */
    void (*space)(void *context, struct engine_space *ret);
    void (*metrics)(void *context, FILE *out);
    void *context;
};

/* Opens all regions of the store. May block; before the worker runs. */
int node_open(struct node **ret, struct env *env,
              const struct node_config *config, struct err *e);
/* On the worker, first thing. */
void node_start(struct node *node);
/* Hands leadership over where it can; `done` is called when it has, or when it
 * is not worth waiting any more. */
void node_retire(struct node *node, void (*done)(void *context), void *context);
/* Fails all requests. On the worker, last thing. */
void node_stop(struct node *node);
void node_close(struct node *node); /* Takes NULL. */

/* What the network brings in. */
void node_on_packet(struct node *node, uint64_t from,
                    const struct env_packet *packet);
void node_on_link(struct node *node, uint64_t node_id, bool up);

/* ---- for the pieces ---- */

struct env *node_env(struct node *node);
uint64_t node_id(const struct node *node); /* any thread */
const struct node_config *node_config(const struct node *node);
uint64_t node_log_keep(const struct node *node);

/* The replica of a region on this node, or NULL. */
struct peer *node_peer(const struct node *node, uint64_t region);
/* Also one that has no state yet. */
struct peer *node_any_peer(const struct node *node, uint64_t region);
/* Those that have state, by ascending region id: the one behind `peer`, or the
 * first one for NULL; NULL at the end. */
struct peer *node_next_peer(const struct node *node, const struct peer *peer);
/* Likewise those that do not sleep, in no order. */
struct peer *node_next_awake(const struct node *node, const struct peer *peer);
/* That of the data region that has a user key, or NULL. */
struct peer *node_peer_at(const struct node *node, struct slice user_key);
/* That of the region where the root's names begin, or NULL. */
struct peer *node_root_peer(const struct node *node);
/* What other threads may see of them. */
struct hosted *node_hosted(const struct node *node);
/* Whether the range of another region on this node overlaps the region's. */
bool node_overlaps(const struct node *node, const struct region *region);
/* Whether some replica is being removed from this node's stores. */
bool node_is_erasing(const struct node *node);
/* See replicas.h. */
enum split_side node_on_split(struct node *node, struct peer *peer,
                              const struct region *right);
void node_on_split_applied(struct node *node, uint64_t region, bool kept,
                           bool campaign);
bool node_on_merge(struct node *node, const struct peer *target,
                   uint64_t source, uint64_t attempt);
void node_on_merge_applied(struct node *node, struct peer *target,
                           uint64_t source, bool applied);
void node_drop_absorbed(struct node *node, const struct region *region);
/* Region 0's state was replaced by a snapshot: on its owner, before anything
 * behind that is applied. ERR_CORRUPT, ERR_IO. */
int node_reload_catalog(struct node *node);
/* Some region's replica on this node is frozen from here on, or no more. */
void node_on_freeze(struct node *node);
void node_on_peer_restored(struct node *node, struct peer *peer);
void node_on_peer_removed(struct node *node, struct peer *peer);
void node_tell_gone(struct node *node, struct peer *peer,
                    const struct region_peer *removed);
/* What a read of a region that is here has to wait for, the same before it and
 * after it. Of a frozen one that is its target's, until the target has given it
 * up: that alone knows whether it has taken it over, and what it has not is all
 * there. NULL: the target is not here. */
struct barrier *node_read_barrier(const struct node *node, uint64_t region);
struct router *node_router(const struct node *node);
struct reader *node_reader(const struct node *node);
struct txns *node_txns(const struct node *node);
struct flows *node_flows(const struct node *node);
struct members *node_members(const struct node *node);
struct merges *node_merges(const struct node *node);
struct modes *node_modes(const struct node *node); /* any thread */
struct mode_changes *node_mode_changes(const struct node *node);
struct snapshots *node_snapshots(const struct node *node);
struct status_board *node_status_board(const struct node *node);
struct clocks *node_clocks(const struct node *node);
struct restamps *node_restamps(const struct node *node);
struct reporter *node_reporter(const struct node *node);
struct placement *node_placement(const struct node *node);
struct event_log *node_events(const struct node *node); /* any thread */
struct event_watch *node_event_watch(const struct node *node);
struct splitter *node_splitter(const struct node *node);
struct eventual *node_eventual(const struct node *node);
struct pulls *node_pulls(const struct node *node);
/* This node's replica of region 0 was removed, and with it the node. */
void node_on_removed(struct node *node);

/* The nodes that hold a region, as far as is known here: its replicas, from
 * the local descriptor or, without one, all nodes. Returns how many. */
size_t node_region_nodes(const struct node *node, uint64_t region,
                         uint64_t nodes[NODES_MAX]);
/* Region 0 knows all nodes; until there is a replica of it here, none are. */
size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX]);
bool node_link_up(const struct node *node, uint64_t node_id);

/* See clocks.h. */
bool node_clock_is_wrong(const struct node *node, uint64_t node_id);

/* See liveness.h and peer_sleep.c. */
bool node_is_alive(const struct node *node, uint64_t node_id);
void node_on_liveness(struct node *node, uint64_t node_id, bool alive);
/* A peer has fallen asleep or woken up. */
void node_on_sleep(struct node *node, struct peer *peer);

/* Queues a Raft message; all of one turn to one node leave as one packet. */
void node_send_raft(struct node *node, uint64_t to, uint64_t region,
                    const struct raft_message *message);
/* Starts a snapshot stream in place of a MsgSnap. */
void node_send_snapshot(struct node *node, struct peer *peer, uint64_t to,
                        const struct raft_message *message);
/* Sends one header with at most one payload (NULL: none). */
void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload);

/* The leader of a region has changed, as this node sees it. */
void node_on_leader_change(struct node *node, struct peer *peer);

/* Somebody has made this node the region's leader by hand: for a while nothing
 * else moves it on. */
void node_on_manual_transfer(struct node *node, uint64_t region);

/* A replica on this node was found damaged: others are told, streams from it
 * and reads of it end. */
void node_on_damage(struct node *node, struct peer *peer);

/* How a request has ended: counted, and failures that the user cannot explain
 * by himself are put into /.cluster/log. */
void node_note_outcome(struct node *node, const struct request *request,
                       int status);

/* Whether a region is led here and must refuse what takes disk space
 * (ERR_NO_SPACE): this node's own disk is down to the reserve, or those of too
 * many replicas are, so that a majority could not store it. The reserve is for
 * going on after that. */
bool node_disk_full(const struct node *node, uint64_t region);

/* Asks for a flush of state/ soon, on ENV_BULK; many asks make one. */
void node_flush_state(struct node *node);

/* ---- stamps and ids ---- */

/* See stamps.h. */
uint64_t node_stamp(struct node *node);
uint64_t node_stamp_bound(const struct node *node);
/* An inode number that no file ever had. */
uint64_t node_new_ino(struct node *node);

/* Puts a line into /.cluster/log (and to the log sink). Any thread. */
void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...) __attribute__((format(printf, 3, 4)));

#endif
