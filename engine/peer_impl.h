/* SPDX-License-Identifier: Apache-2.0 */

/* What the files peer*.c share; for them only. */

#ifndef GROVEFS_ENGINE_PEER_IMPL_H
#define GROVEFS_ENGINE_PEER_IMPL_H

#include <stdatomic.h>

#include "engine/applier.h"
#include "engine/peer.h"
#include "engine/region_log.h"

TAILQ_HEAD(proposals, proposal);
TAILQ_HEAD(index_requests, index_request);
TAILQ_HEAD(applied_waiters, applied_waiter);
STAILQ_HEAD(apply_batches, apply_batch);

/* A peer that is not in the descriptor, or not yet: known from a message. */
struct stranger {
    uint64_t id; /* 0: free */
    uint64_t node;
};

enum { STRANGERS_MAX = 8 };

struct peer {
    struct node *node;
    struct env *env;
    uint64_t region_id;
    uint64_t id;          /* the Raft id */
    struct region region; /* as of the last entry handed out for application;
                           * no peers: there is no state yet */
    struct stranger strangers[STRANGERS_MAX];
    size_t stranger_next;
    uint64_t leader_heard_ns;
    struct raft *raft;
    struct region_log *log;
    struct applier *applier; /* its owner's while apply_pending > 0 */

    bool asleep;          /* as noted last: no tick visits it */
    unsigned idle_ticks;  /* since something was asked of it */
    atomic_bool was_used; /* see peer_note_use() */
    struct env_timer alarm;

    struct env_task process; /* runs peer_process() once for many inputs */
    bool process_posted;

    struct proposals queued;  /* not given to Raft yet */
    struct proposals pending; /* in the log, by ascending index */
    struct index_requests index_requests;
    uint64_t index_request_last;
    struct applied_waiters applied_waiters;

    size_t persist_pending; /* log changes under way */
    size_t apply_pending;   /* batches at the applier, or held */
    struct apply_batches apply_held;
    struct env_timer commit_news; /* until the others are told */
    bool commit_news_armed;
    uint64_t commit_noted; /* by it */
    bool commit_unsaved;   /* a newer commit index than the log has */
    bool compacting;
    bool closed;

    struct snapshot_install *install_offered; /* while Raft is asked */
    struct snapshot_install *install;         /* while it is restored */
    bool installing; /* the applier is idle, the rest is under way */
    struct kv_ingest *install_ingest; /* ENV_BULK's until it is finished */
    struct hard_state install_hard_state;
    struct raft_append_token install_token;
    struct raft_messages install_after;
    struct raft_snapshot *install_snapshot;
    struct env_task install_task;
    struct env_task install_done_task;
    int install_status;

    struct check *check;
    bool damaged;
    int64_t damaged_ns;   /* wall clock */
    uint64_t mended_ns;   /* monotonic: when it was rebuilt; 0: never */
    unsigned damaged_for; /* ticks */

    atomic_uint_fast64_t lease_until_ns;
    atomic_uint_fast64_t read_until_ns; /* 0 while commit > applied */
    atomic_uint_fast64_t current_ns;    /* see peer_is_current(); 0: not */
    atomic_uint_fast64_t moment;        /* applied_index, for all threads */
    uint64_t applied_index;
    uint64_t replay_end; /* committed at the start, and to be applied */
    uint64_t leaderless_since_ns; /* 0: a leader is known */
    uint64_t leader_noted;        /* the node last said to lead; 0: none */
    bool leader_missed;           /* there was one, which was not said yet */
    int64_t applied_wall_ns;
    enum raft_role role;
    uint64_t snapshots_sent;
    uint64_t snapshots_restored;
    uint64_t compactions;
    uint64_t written_bytes; /* see peer_written_bytes() */
};

extern const struct raft_storage_ops peer_storage_ops;

/* That this entry is committed is durable before what is written to log/ from
 * here on. */
void peer_save_commit_of(struct peer *peer, uint64_t index);

/* (Re)reads the descriptor from state/. ERR_FOREIGN: this node is not in it,
 * or not as this peer. */
int peer_load_region(struct peer *peer);

/* Each tick: says it when no leader has been known for long. */
void peer_miss_leader(struct peer *peer);

/* Something came in: wakes the peer if it sleeps, and runs peer_process() soon.
 * Call after each input to Raft. */
void peer_wake(struct peer *peer);
/* Does nothing while a snapshot is restored, but for refusing proposals. */
void peer_process(struct peer *peer);
/* A leader's new commit index is told to the others before long. */
void peer_note_commit(struct peer *peer);
/* What a ready has asked for is durable. */
void peer_persisted(struct peer *peer, struct raft_messages *after_append,
                    const struct raft_append_token *token);
/* ERR_CORRUPT of Raft: this replica cannot go on. */
void peer_check_raft(struct peer *peer, int rc);
typedef int peer_command_check(const struct region *region,
                               const struct command *command);
/* Proposes a command, on the leader, unless `check` has something against it.
 * Errors, and then `done` is not called: ERR_NOT_LEADER, and those of
 * `check`. */
int peer_propose_checked(struct peer *peer, struct proposal *proposal,
                         peer_command_check *check);
void peer_fail_proposals(struct peer *peer, int status);
void peer_fail_index_requests(struct peer *peer);
void peer_on_applied(struct peer *peer, uint64_t index);

/* peer_apply.c: has those told who follow what the applier does. */
void peer_watch_applier(struct peer *peer);
/* Hands over what is committed; a damaged peer gives nothing. Takes the entries
 * out of the ready, or copies them. */
void peer_apply(struct peer *peer, struct raft_ready *ready);

/* peer_leader.c: what reads at once depend on may have changed. */
void peer_publish_reads(struct peer *peer);

/* peer_member.c: remembers who has sent a message. */
void peer_note_sender(struct peer *peer, uint64_t from_node,
                      const struct raft_message *message);
/* A membership entry is about to be applied: Raft and the descriptor follow it
 * from here on. Returns the new descriptor, encoded, a new reference; NULL
 * when the entry changes nothing. */
struct buf *peer_change_members(struct peer *peer,
                                const struct raft_entry *entry);
/* Something was applied: ends the peer if that has removed it. */
void peer_look_whether_removed(struct peer *peer);

/* peer_split.c. A split's entry is about to be applied; the descriptor follows
 * it from here on. */
struct peer_split;
struct peer_split *peer_start_split(struct peer *peer,
                                    const struct raft_entry *entry);
/* On the region's owner; errors as applier_apply(). */
int peer_apply_split(struct peer *peer, const struct peer_split *split,
                     const struct raft_entry *entry, struct buf **ret_result);
/* It was applied, or met a damaged record. Frees `split`; the peer may be
 * closed. */
void peer_finish_split(struct peer *peer, struct peer_split *split,
                       bool applied);

/* peer_merge.c: likewise for the entries of a merge. `*ret_lacks_source`: it
 * takes over what is not here as a whole, and cannot be applied; not by the
 * only voter either, because its learners may do it. */
struct peer_merge;
struct peer_merge *peer_start_merge(struct peer *peer,
                                    const struct raft_entry *entry,
                                    bool *ret_lacks_source);
/* The region that is taken over, if it is here; 0: none. */
uint64_t peer_merge_source(const struct peer_merge *merge);
int peer_apply_merge(struct peer *peer, const struct peer_merge *merge,
                     const struct raft_entry *entry, struct buf **ret_result);
void peer_finish_merge(struct peer *peer, struct peer_merge *merge,
                       bool applied);

/* peer_snapshot.c: Raft accepted the snapshot that is being restored. */
void peer_start_install(struct peer *peer, struct raft_ready *ready);
bool peer_install_blocks_apply(const struct peer *peer);
/* Goes on with an install that waited for the applier. */
void peer_continue_install(struct peer *peer);

/* peer_damage.c. Whether somebody else could supply the state. */
bool peer_has_other_voter(const struct peer *peer);
/* Descriptor and applier from state/, or the mark in log/ that says that state/
 * cannot be used. ERR_NOT_FOUND: no such region; ERR_CORRUPT, ERR_IO. */
int peer_load_state(struct peer *peer);
/* There is a log without state: a split had made it, and a crash came before
 * that was durable, and now the split will not be applied here again, because a
 * snapshot took its place. What the log has promised stays promised. */
void peer_has_lost_state(struct peer *peer);
/* After that, with the log. */
uint64_t peer_applied_at_start(const struct peer *peer);
enum peer_state peer_state(const struct peer *peer);
/* Each tick: asks for a snapshot, or for another leader. */
void peer_damage_tick(struct peer *peer);
/* A snapshot has replaced the state. */
void peer_damage_mended(struct peer *peer);

/* peer_sleep.c: each tick, before Raft has it. */
void peer_sleep_tick(struct peer *peer);
/* Whether a follower may agree, as far as Raft does not know. */
bool peer_agrees_to_sleep(const struct peer *peer, uint64_t leader_node);
/* Raft may have fallen asleep or woken up. */
void peer_note_sleep(struct peer *peer);
/* It sleeps, and its leader has asked just now. */
void peer_set_alarm(struct peer *peer);

/* Log compaction, in peer_compact.c: looks whether it is time. */
void peer_compact(struct peer *peer);

#endif
