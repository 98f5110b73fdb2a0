/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshot streams: a region's whole state from its leader to a replica that
 * the log cannot bring up to date any more.
 *
 *      leader                                 follower
 *      MsgSnap of Raft
 *      (its turn)
 *      kv snapshot, BEGIN ------------------> kv ingest opened
 *                        <------------------- ACK: accepted, or refused
 *      CHUNK 0 .. n (window of a few) ------> checked, put into the ingest
 *                        <------------------- ACK for each
 *      last CHUNK --------------------------> MsgSnap stepped into Raft; if it
 *                                             wants it: ingest finished, log
 *                                             reset, Raft told
 *      raft_report_snapshot <---------------- ACK of the last one, with status
 *
 * 1. The position (index, term) and the membership come from the kv snapshot
 *    that is streamed, not from the moment Raft asked.
 * 2. Until the ingest is finished, in one atomic and durable step, the old
 *    state counts; whatever goes wrong before leaves it as it was.
 * 3. The newest stream to a peer is reported to Raft exactly once: a success
 *    at once, a failure with the next tick, so that retries do not spin.
 * 4. Reading state/, building and checking chunks, and ingesting are done on
 *    ENV_BULK; at most SNAPSHOT_WINDOW chunks are under way per stream.
 * 5. However many regions move at once, a node reads for SNAPSHOT_SENDING_MAX
 *    streams, of which one slow node gets no more than
 *    SNAPSHOT_SENDING_TO_ONE_MAX, and takes SNAPSHOT_RECEIVING_MAX. Others wait
 *    for their turn at the sender, or are refused and come again with Raft's
 *    next try. Region 0 is small, and all wait for it: it does not wait.
 * 6. All streams of a node together read SNAPSHOT_BYTES_PER_S, after a first
 *    SNAPSHOT_BURST_BYTES, so that who writes meanwhile finds the disks and the
 *    processors of both ends free for most of the time.
 *
 * The chunks' payload: pairs of {key size (4 bytes, big endian), value size
 * (4), key, value} in ascending order of keys over all ranges of the region,
 * which both sides derive from the region's descriptor: snapshot_ranges().
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_SNAPSHOT_H
#define GROVEFS_ENGINE_SNAPSHOT_H

#include "engine/keys.h"
#include "engine/node.h"
#include "engine/wire.h"

enum {
    SNAPSHOT_CHUNK_BYTES = 1024 * 1024,
    SNAPSHOT_WINDOW = 4,
    SNAPSHOT_STALL_MS = 15000, /* without an ACK: given up */
    SNAPSHOT_SENDING_MAX = 4,
    SNAPSHOT_SENDING_TO_ONE_MAX = 2, /* their windows fit into its queue */
    SNAPSHOT_RECEIVING_MAX = 4,
    SNAPSHOT_BYTES_PER_S = 100 * 1024 * 1024,
    SNAPSHOT_BURST_BYTES = 16 * 1024 * 1024,
    SNAPSHOT_RANGES_MAX = 8,
    SNAPSHOT_LEFTOVERS_MAX = 2 * SNAPSHOT_RANGES_MAX
};

struct snapshots *snapshots_new(struct node *node);
/* Ends all streams; their ends are reported to nobody. */
void snapshots_stop(struct snapshots *snapshots);
/* What runs on ENV_BULK must have come back: call after the
 * owner threads were drained. Takes NULL. */
void snapshots_free(struct snapshots *snapshots);

/* Begins a stream, when its turn comes; `message` is Raft's MsgSnap. A second
 * stream for the same peer and region ends the first, without a report: Raft
 * knows of one snapshot per peer, so the second's report stands for both. */
void snapshots_send(struct snapshots *snapshots, struct peer *peer,
                    uint64_t to_node, const struct raft_message *message);

/* Packets of the three snapshot types. */
void snapshots_on_packet(struct snapshots *snapshots, uint64_t from_node,
                         const struct env_packet *packet);
/* A node's bulk connection was lost: its streams end. */
void snapshots_on_link_down(struct snapshots *snapshots, uint64_t node_id);
/* This node's replica of a region is damaged: streams from it end. */
void snapshots_on_damage(struct snapshots *snapshots, uint64_t region);
/* Once a second: gives up what has stalled. */
void snapshots_tick(struct snapshots *snapshots);

/* How many streams run, for /.cluster; not those that wait for a turn. */
size_t snapshots_running(const struct snapshots *snapshots);

struct key_range {
    struct key begin;
    struct key end;
};

/* All ranges of state/ that belong to a region, ascending; returns how many. */
size_t snapshot_ranges(const struct region *region,
                       struct key_range ranges[SNAPSHOT_RANGES_MAX]);
/* Those of them that are sorted by region. */
size_t snapshot_own_ranges(const struct region *region,
                           struct key_range ranges[SNAPSHOT_RANGES_MAX]);
/* The keys of a class of user keys that are a data region's. */
struct key_range snapshot_class_range(int class, const struct region *region);

/* What a replica with the descriptor `old` has in state/ that is not in the
 * ranges of `fresh`, the same region at another time; returns how many. */
size_t snapshot_leftovers(const struct region *old, const struct region *fresh,
                          struct key_range ranges[SNAPSHOT_LEFTOVERS_MAX]);

/* Whether two different regions have keys of state/ in common. */
bool snapshot_overlaps(const struct region *a, const struct region *b);

#endif
