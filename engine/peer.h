/* SPDX-License-Identifier: Apache-2.0 */

/* One region's replica on this node: a Raft peer, its log, and the applier of
 * its state. It is the host that raft.h describes.
 *
 * The pipeline, for each ready of Raft: messages leave at once; entries and
 * hard state go to the log writer, and what depends on them leaves when they
 * are durable; committed entries go to the applier; applied results answer
 * the proposals that wait here. No step waits for the one before it.
 *
 * 1. Nothing that acknowledges a write leaves before the write is durable.
 * 2. Entries are applied in order, and only durable ones (raft.h sees to it).
 * 3. A proposal is answered exactly once: by its result, or by ERR_NOT_LEADER
 *    with what is known about its fate.
 * 4. While a snapshot replaces state/, nothing is applied and nothing read;
 *    nor while state/ is known to be damaged: see peer_damage.c.
 *
 * Belongs to ENV_WORKER, except for what says otherwise. */

#ifndef GROVEFS_ENGINE_PEER_H
#define GROVEFS_ENGINE_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "engine/env.h"
#include "engine/peer_change.h"
#include "engine/record.h"
#include "engine/wire.h"
#include "raft/raft.h"

struct check;

enum {
    TICK_MS = 100,
    TICKS_PER_SECOND = 1000 / TICK_MS,
    ELECTION_TICKS = 10,
    HEARTBEAT_TICKS = 1,
    LEASE_MS = 700, /* < (ELECTION_TICKS - 1) * TICK_MS, with room for drift */
    TRANSFER_LAG_MAX = 1000, /* entries that one who is to lead may lack */
};

struct node;
struct peer;

/* A command to be replicated; embedded. */
struct proposal {
    struct buf *command; /* kept until done */
    /* `status` 0: applied, `result` is its encoded result (borrowed). Else
     * ERR_NOT_LEADER, ERR_DROPPED, or ERR_EPOCH: the command is for another
     * version of the region, or the region is frozen (merge_change.h).
     * `in_log`: it may still be applied. */
    void (*done)(struct proposal *proposal, int status, bool in_log,
                 struct buf *result);
    uint64_t index; /* when it was applied: where */
    uint64_t term;  /* private from here on */
    TAILQ_ENTRY(proposal) link;
};

/* A request for a read index, on the leader; embedded. */
struct index_request {
    /* `status` 0 or ERR_NOT_LEADER. */
    void (*done)(struct index_request *request, int status, uint64_t index);
    uint64_t id; /* private from here on */
    TAILQ_ENTRY(index_request) link;
};

/* Waits until something is applied here; embedded. */
struct applied_waiter {
    void (*done)(struct applied_waiter *waiter);
    uint64_t index;
    bool waiting; /* private from here on */
    TAILQ_ENTRY(applied_waiter) link;
};

/* Opens a region that this store has. Repairs what a crash has left between
 * state/ and log/. May block; before the worker runs. ERR_NOT_FOUND: no
 * replica here; ERR_FOREIGN: it was removed from the region and is still to be
 * erased; ERR_CORRUPT, ERR_VERSION, ERR_IO. */
int peer_open(struct peer **ret, struct node *node, uint64_t region,
              struct err *e);
/* Makes a peer without state, which a leader fills, or goes on with one that a
 * crash has interrupted; `region` has no replica here. Reads the disk. Errors
 * as above. */
int peer_create(struct peer **ret, struct node *node, uint64_t region,
                uint64_t peer_id, struct err *e);
/* Fails what waits and stops taking part: nothing is sent or applied any more,
 * only what is under way ends. Its lease is gone for all threads. */
void peer_stop(struct peer *peer);
/* Whether all that was under way at the stop has ended. */
bool peer_has_settled(const struct peer *peer);
/* Drops all but the memory that peer_lease_holds() looks at; settled. */
void peer_drop(struct peer *peer);
/* The rest, after stopping and dropping it if that was not done. */
void peer_close(struct peer *peer); /* Takes NULL. */

void peer_tick(struct peer *peer);
void peer_step(struct peer *peer, uint64_t from_node,
               const struct raft_message *message);
void peer_propose(struct peer *peer, struct proposal *proposal);
/* Asks on the leader; see raft_read_index(). Under a lease the answer comes
 * without a round. */
void peer_read_index(struct peer *peer, struct index_request *request);
/* A leader lets the other replicas know at once what is committed, so that
 * they can apply what a reader there will ask for; else they hear of it with
 * what comes next, or a few milliseconds later. */
void peer_tell_commit(struct peer *peer);
void peer_wait_applied(struct peer *peer, struct applied_waiter *waiter,
                       uint64_t index);
void peer_stop_waiting(struct peer *peer, struct applied_waiter *waiter);

/* Proposes a change of the membership, on the leader. Whether it was done is
 * seen by the epoch: it may get lost, or be refused where it is applied, when
 * another one comes before it. ERR_NOT_LEADER; ERR_DROPPED; what
 * peer_change_check() says. */
int peer_propose_change(struct peer *peer, const struct peer_change *change);

/* Proposes a COMMAND_SPLIT, on the leader; `proposal` as for peer_propose().
 * Errors, and then `done` is not called: ERR_NOT_LEADER, and what
 * region_split_check() says. */
int peer_propose_split(struct peer *peer, struct proposal *proposal);
/* Likewise a COMMAND_MERGE; see region_merge_check(). */
int peer_propose_merge(struct peer *peer, struct proposal *proposal);
/* Tries to get a leader for the region now, by leading it. */
void peer_campaign(struct peer *peer);

/* Hands leadership to the peer on another node. False: not the leader, or no
 * voter there. */
bool peer_transfer(struct peer *peer, uint64_t node_id);
/* To any other voter that is up to date, if possible to one whose node's clock
 * is right: before a stop. */
bool peer_transfer_away(struct peer *peer);
/* Only to one whose node's clock is right, and which would take over at once.
 */
bool peer_transfer_to_right_clock(struct peer *peer);
/* Somebody on this node wants something of the region: a follower that sleeps
 * has to find out whether its leader is still there. */
void peer_rouse(struct peer *peer);
/* No tick is to visit it: see peer_sleep.c. */
bool peer_is_asleep(const struct peer *peer);
/* It is in use, although nothing came in: it was read under its lease, say. Any
 * thread. */
void peer_note_use(struct peer *peer);

/* Has the commit index written into the log with the next group commit, unless
 * it is there: what is applied here is applied again after a restart, without
 * asking a leader. */
void peer_save_commit(struct peer *peer);
/* See liveness.h. */
void peer_on_node_lost(struct peer *peer, uint64_t node_id);
void peer_on_node_found(struct peer *peer, uint64_t node_id);

/* A packet to this node was lost or its connection was. */
void peer_report_unreachable(struct peer *peer, uint64_t node_id);

uint64_t peer_id(const struct peer *peer); /* the Raft id */
/* Something in the replica's state cannot be right; `what` says how that was
 * seen. True: it is out of service now, until it is rebuilt from a snapshot.
 * False: no other replica could supply it. */
bool peer_found_damage(struct peer *peer, const char *what);
/* It was rebuilt a short time ago: a bad record came with the snapshot. */
bool peer_was_just_mended(const struct peer *peer);
bool peer_is_damaged(const struct peer *peer);
/* Leads, and may say what the state is. */
bool peer_is_serving(const struct peer *peer);
struct check *peer_check(const struct peer *peer);

uint64_t peer_region_id(const struct peer *peer);
/* Whether it has state; else its region() has neither peers nor range. */
bool peer_is_initialised(const struct peer *peer);
/* How long no leader was heard of; 0 on a leader. */
uint64_t peer_silence_ns(const struct peer *peer);
/* Whether it holds entries back until the source of a merge is applied. */
bool peer_awaits_source(const struct peer *peer);
/* Whether a snapshot is replacing its state, so that it cannot be stopped. */
bool peer_is_restoring(const struct peer *peer);
/* Something that was committed at the start is not applied yet. It may have
 * been before, and lost by a crash; and among it may be a split, which nothing
 * else makes up for: no snapshot of this region, and not its removal. */
bool peer_is_replaying(const struct peer *peer);
/* The last position that is known here to be committed. */
void peer_committed_position(const struct peer *peer, uint64_t *ret_index,
                             uint64_t *ret_term);
/* The nodes that may hold the region, from what this peer knows. Returns how
 * many. */
size_t peer_nodes(const struct peer *peer, uint64_t nodes[REGION_PEERS_MAX]);
const struct region *peer_region(const struct peer *peer);
bool peer_is_leader(const struct peer *peer);
/* 0: not known. */
uint64_t peer_leader_node(const struct peer *peer);
/* For how long no leader has been known; 0: one is. */
uint64_t peer_leaderless_ns(const struct peer *peer);
uint64_t peer_term(const struct peer *peer);
uint64_t peer_applied(const struct peer *peer);
/* How far what it has applied is durable. May read the disk. */
uint64_t peer_durable(const struct peer *peer);
uint64_t peer_commit(const struct peer *peer);
uint64_t peer_node_of(const struct peer *peer, uint64_t peer_id); /* 0: none */

/* Whether this node may answer reads from state/ right now without asking
 * anybody, seen at `now_ns` (monotonic). Any thread: take the time, ask,
 * read, ask again with the same time; only if both say yes the read counts.
 * No while more is committed than applied here: see peer_leads(). */
bool peer_lease_holds(const struct peer *peer, uint64_t now_ns);

/* Everything that was acknowledged before `ns` (monotonic) is applied here, as
 * a read index that was asked for then has shown. */
void peer_note_current(struct peer *peer, uint64_t ns);
/* Whether that is known of `since_ns` (0: of no moment), and state/ may be
 * read: damage, a snapshot and a merge that begins end it. Any thread: enter
 * `hosted`, ask, read, ask again; only if both say yes the read counts. */
bool peer_is_current(const struct peer *peer, uint64_t since_ns);

/* How far state/ is applied, never ahead of it; while the lease holds it names
 * one moment of state/. Any thread. */
uint64_t peer_moment(const struct peer *peer);

/* The same for a leader that has more committed than applied: what is
 * committed up to now has to be applied before the read, because others may
 * have applied it, and shown it, already. */
bool peer_leads(const struct peer *peer, uint64_t now_ns);

/* For /.cluster. */
enum peer_state {
    PEER_RUNNING = 1,
    PEER_RESTORING = 2, /* a snapshot is replacing its state */
    PEER_DAMAGED = 3    /* waits for one */
};

const char *peer_state_name(unsigned state);

struct peer_status {
    uint64_t region;
    enum peer_state state;
    enum raft_role role;
    bool learner;
    uint64_t term;
    uint64_t leader_node;
    uint64_t applied;
    uint64_t commit;
    uint64_t first_index;
    uint64_t last_index;
    uint64_t log_bytes;
    int64_t applied_wall_ns;
    uint64_t lease_left_ns;
    bool transferring; /* as the leader, to whomever */
    uint64_t snapshots_sent;
    uint64_t snapshots_restored;
    uint64_t compactions;
    int64_t damaged_ns;   /* wall clock; 0: it is not */
    uint64_t check_index; /* of the last hash that was taken; 0: none */
    uint64_t check_hash;
    uint64_t checks; /* verdicts seen */
};

void peer_status(const struct peer *peer, struct peer_status *ret);
/* How much was handed to the applier since the peer was opened. */
uint64_t peer_written_bytes(const struct peer *peer);
/* On the leader: what it knows of the replica on a node. False: nothing. */
bool peer_progress(const struct peer *peer, uint64_t node_id,
                   struct raft_peer_status *ret);

/* A restored snapshot, see snapshot.h: the ingest's ranges and pairs are
 * complete; `message` is the MsgSnap that came with it, and borrowed. `done` is
 * called with 0 when it is in force; else, and then perhaps before the call
 * returns, with ERR_STALE when it was not needed or ERR_BUSY while another one
 * is restored, or what was committed at the start is not applied yet. When Raft
 * has taken the snapshot, the ingest is the peer's and `ingest` is NULL;
 * otherwise it stays the caller's. A peer that is closed calls nothing. */
struct snapshot_install {
    void (*done)(struct snapshot_install *install, int status);
    const struct region *region; /* as the snapshot has it; kept until done */
    struct kv_ingest *ingest;
};
void peer_install_snapshot(struct peer *peer, struct snapshot_install *install,
                           const struct raft_message *message);
/* How a snapshot that this peer's leader has sent out came to its end. */
void peer_snapshot_sent(struct peer *peer, uint64_t to_peer, bool ok);

#endif
