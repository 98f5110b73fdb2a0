/* SPDX-License-Identifier: Apache-2.0 */

/* The Raft algorithm for one group, as a pure function of its inputs.
 *
 * No clock, disk, network, thread or random device is touched here. The host
 * feeds ticks, messages and proposals in and then does what raft_ready() asks
 * for; the same inputs in the same order always give the same outputs. One
 * `struct raft` may be used by one thread at a time.
 *
 * The host's loop, for one group:
 *
 *     raft_tick(r);  raft_step(r, &message);  raft_propose(r, ...);
 *     while (raft_has_ready(r)) {
 *         raft_ready(r, &ready);
 *         send(ready.messages);                          at once
 *         write(ready.snapshot | entries, hard_state);   queue, in order
 *             when it and everything before it is durable:
 *                 send(ready.after_append);
 *                 raft_append_done(r, &ready.token);
 *         apply(ready.committed);                        queue, in order
 *             for a conf change entry: raft_apply_conf_change()
 *             when applied: raft_apply_done(r, last index of the batch);
 *         give out ready.read_states;
 *         raft_ready_release(&ready);                    any time later
 *     }
 *
 * Storage writes are asynchronous, always: any number of readies may be
 * outstanding. A host that writes synchronously completes each at once.
 *
 * Ownership: pointers passed in are borrowed until the call returns; what is
 * kept is referenced (struct buf) or copied. What raft_ready() hands out is
 * the caller's until raft_ready_release().
 *
 * Errors: 0 or a negative ERR_ code. ERR_CORRUPT from any function means that
 * this replica has lost entries it had acknowledged, or contradicts the log
 * of its leader: the host must stop it and must not send anything more.
 *
 * Peer ids are never 0 and never reused (a peer that comes back with an empty
 * disk under its old id breaks what it has acknowledged).
 *
 * Read raft.c next: the table there is the whole protocol on one page. */

#ifndef GROVEFS_RAFT_RAFT_H
#define GROVEFS_RAFT_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/base/log.h"
#include "raft/message.h"

struct raft;

enum { RAFT_READS_PENDING_MAX = 4096 };

#define RAFT_NO_LIMIT UINT64_MAX

/* ---- Storage ---------------------------------------------------------- */

/* Only term, vote and entries need a sync, and `commit` may go back after a
 * crash; but not behind one that was written before a sync: it tells which
 * configurations were in force, and whoever has forgotten two of them could be
 * elected by a majority that is none any more. raft_new() lifts it to
 * config.applied. */
struct raft_hard_state {
    uint64_t term;
    uint64_t vote;
    uint64_t commit;
};

/* The host's durable log, read from inside raft: cheap, never blocking, and
 * no call back into raft. It may already contain what is not yet durable. The
 * entry before the first one stays known by its term (index 0 has term 0). */
struct raft_storage_ops {
    int (*initial_state)(void *storage, struct raft_hard_state *ret_hard_state,
                         struct raft_conf_state *ret_conf_state);

    /* Appends entries [first, end) to `entries`, as many as fit in `size_max`
     * (raft_entry_size), but at least one. ERR_COMPACTED below first_index;
     * ERR_UNAVAILABLE when they must be fetched first: raft goes on without
     * and asks again after a heartbeat's answer or a tick. */
    int (*entries)(void *storage, uint64_t first, uint64_t end,
                   uint64_t size_max, struct raft_entries *entries);

    /* For first_index - 1 to last_index. Else ERR_COMPACTED (below) or
     * ERR_UNAVAILABLE (above). */
    int (*term)(void *storage, uint64_t index, uint64_t *ret_term);

    uint64_t (*first_index)(void *storage);
    uint64_t (*last_index)(void *storage); /* first_index - 1 when empty */

    /* A snapshot for `peer` at `index_min` or later. Fills all of `*ret`;
     * `ret->data` is a new reference. ERR_UNAVAILABLE while it is being made:
     * raft asks again. */
    int (*snapshot)(void *storage, uint64_t peer, uint64_t index_min,
                    struct raft_snapshot *ret);
};

/* ---- Configuration ---------------------------------------------------- */

enum raft_read_only {
    RAFT_READ_SAFE,       /* one heartbeat round confirms the leadership */
    RAFT_READ_LEASE_BASED /* answered at once; needs check_quorum */
};

/* Gets one line per event. The texts are those of FORMAT.md section 6. */
typedef void raft_log_line(void *context, enum log_level level,
                           const char *text);

/* Zero is a good default where a field says nothing else. */
struct raft_config {
    uint64_t id;              /* own peer id, not 0 */
    unsigned election_ticks;  /* > heartbeat_ticks; the real timeout is
                               * random in [n, 2n) */
    unsigned heartbeat_ticks; /* > 0 */
    unsigned silent_ticks;    /* after raft_new, grants no vote for so many
                               * ticks: a restarted voter has forgotten which
                               * leader holds a lease from it. Where leases
                               * are used, election_ticks; 0 for a new group */
    bool pre_vote;
    bool check_quorum;
    bool step_down_on_removal;
    bool commit_news_wait; /* a leader sends a new commit index with entries and
                            * heartbeats only, or when raft_tell_commit() says
                            * so; else at once */
    bool tell_commit_to_candidates; /* see election.c: wanted in production;
                                     * off in the shared scenarios */
    bool disable_proposal_forwarding;
    bool disable_conf_change_validation;
    bool apply_unstable; /* hand out committed entries that are not yet
                          * stable here; for hosts that persist each ready
                          * before they apply it */
    enum raft_read_only read_only;
    uint64_t message_size_max;     /* of the entries in one MsgApp; 0: one entry
                                    * per message */
    uint64_t message_entries_max;  /* and their number; 0: no limit */
    size_t inflight_count_max;     /* unacknowledged MsgApp per peer, > 0 */
    uint64_t inflight_bytes_max;   /* 0: no limit */
    uint64_t uncommitted_size_max; /* data bytes; 0: no limit */
    uint64_t committed_size_per_ready_max; /* 0: as message_size_max */
    uint64_t applied; /* the state machine's durable applied index */
    uint64_t random_seed;
    const struct raft_storage_ops *storage_ops; /* kept until raft_free */
    void *storage;                              /* kept until raft_free */
    raft_log_line *log; /* NULL: nothing is even formatted */
    void *log_context;
};

/* Starts as follower from what the storage says. The config is copied.
 * Errors: what the storage returned; ERR_CORRUPT when commit or applied lie
 * outside of the log; ERR_INVALID for an impossible conf state. */
int raft_new(const struct raft_config *config, struct raft **ret);

/* Takes NULL. */
void raft_free(struct raft *r);

/* ---- Inputs ----------------------------------------------------------- */

/* One unit of time has passed. ERR_CORRUPT as above. */
int raft_tick(struct raft *r);

/* Opaque host time, never going back, not 0: what a leader stamps into what
 * it sends from now on. */
void raft_set_clock(struct raft *r, uint64_t now);

/* A message from another peer. The caller has checked that it belongs to this
 * group and epoch. Errors: ERR_PROTOCOL for local types, a wrong
 * addressee and malformed ones; ERR_NOT_FOUND for responses of unknown peers;
 * ERR_DROPPED for a forwarded proposal that is not taken, ERR_BUSY for a
 * forwarded read; ERR_CORRUPT. */
int raft_step(struct raft *r, const struct raft_message *m);

/* Starts an election now (with pre-vote, if configured). */
int raft_campaign(struct raft *r);

/* Proposes the entries as one batch (type and data are read). On the leader
 * `*ret_first_index` is the first one's index; elsewhere they are forwarded
 * to the leader and it is 0. ERR_NOT_LEADER where forwarding is disabled;
 * ERR_DROPPED: not appended anywhere (no leader, transfer, size limit).
 * Success promises nothing: the entry may be overwritten by another term's. */
int raft_propose(struct raft *r, const struct raft_entry *entries, size_t count,
                 uint64_t *ret_first_index);

/* Proposes one change. The leader refuses it, by appending an empty normal
 * entry in its place, while an earlier one is not applied. Errors as above. */
int raft_propose_conf_change(struct raft *r,
                             const struct raft_conf_change *change,
                             uint64_t *ret_index);

/* Hands leadership to `peer`; forwarded when not the leader. Proposals are
 * dropped until it happened or one election timeout has passed. ERR_NOT_LEADER:
 * no leader known; ERR_NOT_FOUND: no such peer. */
int raft_transfer_leader(struct raft *r, uint64_t peer);

/* A follower forgets its leader, whose death the host knows of, and so may
 * grant votes at once. Never call it where leases are used. */
void raft_forget_leader(struct raft *r);

/* Asks for an index such that a read of the state machine, when that index is
 * applied, is linearizable; it comes as a read state with this `request` (not
 * 0, unique per peer). It may be lost: ask again with a new one. Forwarded
 * when not the leader. ERR_NOT_LEADER: no leader is known; ERR_BUSY: too many
 * are pending. */
int raft_read_index(struct raft *r, uint64_t request);

/* With commit_news_wait: a leader lets its peers know now what is committed,
 * those that do not know it yet. Nothing happens elsewhere. */
void raft_tell_commit(struct raft *r);

/* A message to `peer` could not be delivered. */
void raft_report_unreachable(struct raft *r, uint64_t peer);

/* How sending a snapshot ended. Must be called for each: until then, or until
 * the peer acknowledges, nothing else is sent to it. */
void raft_report_snapshot(struct raft *r, uint64_t peer, bool ok);

/* A follower whose state is damaged asks its leader for a snapshot that covers
 * its whole log, and takes no entries until it comes or the term changes (see
 * raft_status.snapshot_wanted; then ask again). ERR_NOT_LEADER: no leader;
 * ERR_BUSY: is leader, or the last entry is of an older term, or a snapshot is
 * being restored. */
int raft_request_snapshot(struct raft *r);

/* An entry with this change was applied (or, when the state machine refuses
 * it, nothing is called). `*ret_conf_state` is what is in force now and must
 * be stored with the applied index; it may be NULL. ERR_INVALID: impossible
 * change, nothing happened. ERR_CANCELED: a snapshot that covers the entry is
 * being restored, nothing happened; drop what was handed out for application
 * before that snapshot. ERR_CORRUPT. */
int raft_apply_conf_change(struct raft *r,
                           const struct raft_conf_change *change,
                           struct raft_conf_state *ret_conf_state);

/* ---- Outputs ---------------------------------------------------------- */

enum raft_role {
    RAFT_FOLLOWER,
    RAFT_CANDIDATE,
    RAFT_LEADER,
    RAFT_PRE_CANDIDATE,
    RAFT_ROLES
};

struct raft_read_state {
    uint64_t request;
    uint64_t index; /* read when this is applied */
};

/* Names one append; plain values, may be copied. A token of an older term
 * proves nothing about the log any more and is ignored by raft_append_done
 * (except for its snapshot, which is committed state). */
struct raft_append_token {
    uint64_t number; /* of the ready, counted from 1 */
    uint64_t term;   /* at the time of the ready */
    uint64_t index;  /* last entry that is durable then; 0: none */
    uint64_t log_term;
    uint64_t snapshot_index; /* 0: none */
};

struct raft_ready {
    bool soft_state_changed; /* the two below did */
    uint64_t leader;         /* 0: unknown */
    enum raft_role role;

    bool hard_state_changed;
    struct raft_hard_state hard_state; /* current, also if unchanged */

    /* To be persisted: first the snapshot, which replaces state and log, then
     * the entries, which replace all from the first one's index on. */
    struct raft_snapshot *snapshot;
    struct raft_entries entries;
    bool must_sync; /* entries, term or vote. A snapshot must be durable in any
                     * case; without both, all earlier writes must still be
                     * complete before append_done. */

    struct raft_entries committed;     /* to be applied */
    struct raft_messages messages;     /* to be sent at once */
    struct raft_messages after_append; /* to be sent when all of the above and
                                        * all of earlier readies is durable */
    struct raft_read_state *read_states;
    size_t read_state_count;
    struct raft_append_token token; /* for raft_append_done */
};

bool raft_has_ready(const struct raft *r);

/* Takes everything that is to do. `*ret` need not be initialised. Errors: what
 * the storage returned for committed entries (but ERR_UNAVAILABLE only delays
 * them); nothing was taken then. */
int raft_ready(struct raft *r, struct raft_ready *ret);
void raft_ready_release(struct raft_ready *ready);

/* All that the ready with this token, and all earlier ones, asked to persist
 * is durable and readable through the storage. May be left out for a ready
 * without snapshot when it is called for a later one. The peer's own votes and
 * acknowledgments count from here on. ERR_CORRUPT. */
int raft_append_done(struct raft *r, const struct raft_append_token *token);

/* The state machine has applied up to here (need not be durable): the last
 * index of a batch that was handed out. ERR_CORRUPT. */
int raft_apply_done(struct raft *r, uint64_t index);

/* ---- Leases ----------------------------------------------------------- */

/* The greatest clock that a quorum of voters (of both halves, self included)
 * has confirmed in this leadership: each of them got something that was sent
 * at that time or later, and with check_quorum votes for nobody else during
 * election_ticks (the first of which may pass at once) after that. 0: none, or
 * not the leader. The current clock when this is the only voter. */
uint64_t raft_quorum_clock(const struct raft *r);

/* No lease may be used: a transfer runs, or its MsgTimeoutNow was sent in
 * this term, since that may still arrive after the transfer was given up. */
bool raft_lease_blocked(const struct raft *r);

/* ---- Sleep ------------------------------------------------------------ */

/* A group in which nothing happens needs neither ticks nor messages. When the
 * host of a leader thinks so, the heartbeats of that leader ask its peers to
 * sleep; each that has everything applied agrees with its answer and sleeps
 * from then on; when all have agreed the leader sleeps too. Asleep, raft_tick()
 * does nothing and nothing is sent.
 *
 * Everything wakes a peer but that question and that answer: any other message
 * and any other input, in whatever state it is. A follower that was not woken
 * by its leader tells it, and the leader's heartbeats go on before the follower
 * misses them.
 *
 * This is safe because to sleep is to be slow, which Raft allows everybody. Of
 * leases: a voter that sleeps keeps its promise to the leader for longer than
 * it must, as its ticks stand still; and a group that sleeps sends nothing, so
 * that raft_quorum_clock() stands still as well and a lease made of it runs
 * out. What is at stake is progress only: a group that sleeps does not notice
 * that its leader is gone. That is for the host to notice, which knows of whole
 * nodes: raft_leader_lost(). It also has to rouse a leader when a peer that was
 * absent comes back, or when too few are left for a quorum. */

/* NULL when ticks may stop until the next input, else why not, for people. A
 * leader may when all peers that are not absent have everything, a follower
 * when it knows a leader and has everything applied. */
const char *raft_can_sleep(const struct raft *r);

/* On a leader: nothing has happened for long enough; to be said again before
 * each tick as long as that is so. Those in `absent` (NULL: none) cannot be
 * reached: they are neither asked nor waited for. Nothing happens elsewhere, or
 * while raft_can_sleep() says no. */
void raft_doze(struct raft *r, const struct raft_id_set *absent);

bool raft_is_asleep(const struct raft *r);

/* Somebody may want something of this group. */
void raft_rouse(struct raft *r);

/* The host knows that the leader is gone, and that `ticks` units of time have
 * passed since its last message, with and without raft_tick(). A follower
 * wakes up, and votes for others as if it had counted them; it waits for the
 * random part of its election timeout before it stands itself. */
void raft_leader_lost(struct raft *r, unsigned ticks);

/* ---- Queries ---------------------------------------------------------- */

struct raft_status {
    uint64_t id;
    enum raft_role role;
    uint64_t term;
    uint64_t vote;
    uint64_t leader;
    uint64_t commit;
    uint64_t applied;
    uint64_t first_index;
    uint64_t last_index;
    uint64_t stable_index;    /* entries up to here are durable here */
    uint64_t transferee;      /* 0: no transfer runs */
    uint64_t snapshot_wanted; /* by raft_request_snapshot; 0: none */
    uint64_t uncommitted_size;
    bool own_term_committed; /* an entry of this term is committed */
    bool voter;              /* in either half */
    bool learner;
    bool joint;
    bool asleep;
};

void raft_status(const struct raft *r, struct raft_status *ret);

/* The most asked ones, alone. */
enum raft_role raft_role(const struct raft *r);
uint64_t raft_term(const struct raft *r);
uint64_t raft_leader(const struct raft *r);
uint64_t raft_commit(const struct raft *r);
uint64_t raft_applied(const struct raft *r);
uint64_t raft_last_index(const struct raft *r);

/* The term of an entry, 0 when it is unknown. */
uint64_t raft_term_at(const struct raft *r, uint64_t index);

void raft_conf_state(const struct raft *r, struct raft_conf_state *ret);

enum raft_progress_state {
    RAFT_PROBE,     /* one message per heartbeat until it answers */
    RAFT_REPLICATE, /* pipelined */
    RAFT_SNAPSHOT   /* waits for a snapshot to arrive */
};

struct raft_peer_status {
    uint64_t id;
    uint64_t match;
    uint64_t next;
    uint64_t pending_snapshot; /* index; 0: none */
    uint64_t clock;            /* greatest echo in this leadership */
    size_t inflight_count;
    enum raft_progress_state state;
    bool recent_active;
    bool learner;
    bool paused;
};

/* Peers in ascending id, self included. Progress means something on a leader
 * only. */
size_t raft_peer_count(const struct raft *r);
void raft_peer_at(const struct raft *r, size_t i, struct raft_peer_status *ret);
bool raft_peer_find(const struct raft *r, uint64_t peer,
                    struct raft_peer_status *ret);

/* Asserts all invariants. For tests. */
void raft_check(const struct raft *r);

#endif
