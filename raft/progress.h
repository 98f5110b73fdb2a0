/* SPDX-License-Identifier: Apache-2.0 */

/* What a leader knows of one peer, and how fast it may send to it.
 *
 *                  +---------- rejection, unreachable ----------+
 *                  v                                            |
 *     (start) -> PROBE ---------- acknowledgment ---------> REPLICATE
 *                  |  ^                                      |  ^
 *     needs what   |  | status reported                      |  | ack that
 *     is compacted |  |                                      |  | meets the
 *                  v  |                                      v  | log
 *               SNAPSHOT <---- needs what is compacted ------+  |
 *                  +--------------------------------------------+
 *
 * PROBE sends one message and waits for an answer or a heartbeat. REPLICATE
 * sends ahead, until the window is full. SNAPSHOT sends nothing.
 *
 * Invariants: (1) match < next. (2) what was sent but not acknowledged lies in
 * (match, next). (3) the window is empty but in REPLICATE. */

#ifndef GROVEFS_RAFT_PROGRESS_H
#define GROVEFS_RAFT_PROGRESS_H

#include "raft/inflights.h"
#include "raft/quorum.h"

struct progress {
    uint64_t id;
    uint64_t match;            /* highest index known to be the same there */
    uint64_t next;             /* first index to be sent */
    uint64_t sent_commit;      /* highest commit index sent */
    uint64_t pending_snapshot; /* index of the one it waits for */
    uint64_t snapshot_wanted;  /* it asked for one at this index; 0: no */
    uint64_t clock;            /* greatest clock echoed */
    uint64_t read_position;    /* greatest read token echoed */
    struct inflights inflights;
    enum raft_progress_state state;
    enum quorum_ballot ballot; /* while the owner is a candidate */
    bool flow_paused;          /* in PROBE and REPLICATE */
    bool recent_active;        /* heard of since the last quorum check */
    bool learner;
    bool absent; /* out of reach, as the host says: not waited for */
    bool agreed; /* to sleep, while the owner is drowsy */
};

void progress_init(struct progress *p, uint64_t id, uint64_t next,
                   size_t inflight_count_max, uint64_t inflight_bytes_max);
void progress_close(struct progress *p);

void progress_probe(struct progress *p);
void progress_replicate(struct progress *p);
void progress_snapshot(struct progress *p, uint64_t snapshot_index);

bool progress_paused(const struct progress *p);

/* A MsgApp with so many entries was sent. */
void progress_sent_entries(struct progress *p, size_t count, uint64_t bytes);
void progress_sent_commit(struct progress *p, uint64_t commit);

/* Whether telling it this commit index would make a difference. */
bool progress_can_bump_commit(const struct progress *p, uint64_t commit);

/* It has acknowledged `index`. False: that is no news. */
bool progress_acknowledged(struct progress *p, uint64_t index);

/* It has rejected entries after `rejected`, and its log may meet ours at
 * `hint`. False: an old message, nothing changed. */
bool progress_rejected(struct progress *p, uint64_t rejected, uint64_t hint);

void progress_check(const struct progress *p);

#endif
