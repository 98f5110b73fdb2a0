/* SPDX-License-Identifier: Apache-2.0 */

/* Snapshots (Raft §7): sending, restoring, asking for one. */

#include <assert.h>
#include <inttypes.h>

#include "raft/base/err.h"
#include "raft/core.h"

/* ---- Leader ----------------------------------------------------------- */

static void trace_sent(struct raft *r, const struct progress *p,
                       const struct raft_snapshot *snapshot)
{
    if (trace_on(&r->trace))
        trace_line(&r->trace, LOG_DEBUG,
                   "%" PRIx64 " [firstindex: %" PRIu64 ", commit: %" PRIu64
                   "] sent snapshot[index: %" PRIu64 ", term: %" PRIu64
                   "] to %" PRIx64 " [%s]",
                   r->id, raft_log_first_index(&r->log), r->log.committed,
                   snapshot->index, snapshot->term, p->id,
                   text_progress(p).data);
}

static void trace_paused(struct raft *r, const struct progress *p)
{
    if (trace_on(&r->trace))
        trace_line(&r->trace, LOG_DEBUG,
                   "%" PRIx64 " paused sending replication messages to "
                   "%" PRIx64 " [%s]",
                   r->id, p->id, text_progress(p).data);
}

/* The peer needs what is compacted. One that may be gone gets none: snapshots
 * are expensive. */
bool snapshot_maybe_send(struct raft *r, struct progress *p)
{
    struct raft_snapshot snapshot = {.index = 0};
    struct raft_message m = {.type = RAFT_MSG_SNAP, .to = p->id};
    int rc;

    if (!p->recent_active) {
        trace_line(&r->trace, LOG_DEBUG,
                   "ignore sending snapshot to %" PRIx64
                   " since it is not recently active",
                   p->id);
        return false;
    }

    rc = r->log.ops->snapshot(r->log.storage, p->id, p->snapshot_wanted,
                              &snapshot);
    if (rc != 0 || snapshot.index == 0 || snapshot.index < p->snapshot_wanted) {
        trace_line(&r->trace, LOG_DEBUG,
                   "%" PRIx64 " failed to send snapshot to %" PRIx64
                   " because snapshot is temporarily unavailable",
                   r->id, p->id);
        buf_unref(snapshot.data);
        return false;
    }

    trace_sent(r, p, &snapshot);
    progress_snapshot(p, snapshot.index);
    trace_paused(r, p);
    m.snapshot = raft_snapshot_copy(&snapshot);
    buf_unref(snapshot.data);
    outbox_send(r, &m);
    return true;
}

/* After success the peer's acknowledgment is waited for, after a failure the
 * next heartbeat, before anything more is sent. */
int leader_on_snap_status(struct raft *r, const struct raft_message *m)
{
    struct progress *p = sender_of(r, m);

    if (p == NULL || p->state != RAFT_SNAPSHOT)
        return 0;

    if (m->reject)
        p->pending_snapshot = 0;
    else
        p->snapshot_wanted = 0;
    progress_probe(p);
    if (trace_on(&r->trace))
        trace_line(&r->trace, LOG_DEBUG,
                   "%" PRIx64 " snapshot %s, resumed sending replication "
                   "messages to %" PRIx64 " [%s]",
                   r->id, m->reject ? "failed" : "succeeded", p->id,
                   text_progress(p).data);
    p->flow_paused = true;
    return 0;
}

/* ---- Follower --------------------------------------------------------- */

static bool names_self(const struct raft *r, const struct raft_conf_state *conf)
{
    return conf_state_is_voter(conf, r->id) ||
           id_set_contains(&conf->learners, r->id);
}

/* The log already has it: keep the log, it may hold acknowledged entries that
 * a slow snapshot does not. Not when it is what was asked for. */
static bool fast_forward(struct raft *r, const struct raft_snapshot *snapshot)
{
    struct log_position at = {snapshot->term, snapshot->index};
    struct log_position last = raft_log_last(&r->log);
    int rc;

    if (r->snapshot_wanted != 0 || !raft_log_matches(&r->log, at))
        return false;

    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " [commit: %" PRIu64 ", lastindex: %" PRIu64
               ", lastterm: %" PRIu64 "] fast-forwarded commit to snapshot "
               "[index: %" PRIu64 ", term: %" PRIu64 "]",
               r->id, r->log.committed, last.index, last.term, at.index,
               at.term);
    rc = raft_log_commit_to(&r->log, at.index);
    assert(rc == 0);
    return true;
}

/* A wanted snapshot covers the whole log, and so loses nothing; all others
 * must be ahead of what is committed. */
static bool is_news(const struct raft *r, const struct raft_snapshot *snapshot)
{
    if (r->snapshot_wanted != 0)
        return snapshot->index >= r->snapshot_wanted;
    return snapshot->index > r->log.committed;
}

static void replace_state(struct raft *r, const struct raft_snapshot *snapshot,
                          const struct raft_conf_state *conf)
{
    struct conf_next next = {.conf = *conf};
    struct log_position last;

    raft_log_restore(&r->log, snapshot);
    r->snapshot_wanted = 0;
    peers_close(&r->peers);
    membership_switch(r, &next);

    last = raft_log_last(&r->log);
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " [commit: %" PRIu64 ", lastindex: %" PRIu64
               ", lastterm: %" PRIu64 "] restored snapshot [index: %" PRIu64
               ", term: %" PRIu64 "]",
               r->id, r->log.committed, last.index, last.term, snapshot->index,
               snapshot->term);
}

static bool restore(struct raft *r, const struct raft_snapshot *snapshot)
{
    struct raft_conf_state conf;

    if (!is_news(r, snapshot))
        return false;
    if (conf_state_normalize(&snapshot->conf_state, &conf) != 0 ||
        conf.voters.count == 0 || !names_self(r, &conf)) {
        if (trace_on(&r->trace))
            trace_line(&r->trace, LOG_WARN,
                       "%" PRIx64 " attempted to restore snapshot but it is "
                       "not in the ConfState %s; should never happen",
                       r->id, text_conf(&snapshot->conf_state).data);
        return false;
    }
    if (fast_forward(r, snapshot))
        return false;

    replace_state(r, snapshot, &conf);
    return true;
}

void snapshot_receive(struct raft *r, const struct raft_message *m)
{
    bool restored = restore(r, m->snapshot);
    struct raft_message answer = {
        .type = RAFT_MSG_APP_RESP,
        .to = m->from,
        .index = restored ? raft_log_last_index(&r->log) : r->log.committed,
    };

    assert(r->role == RAFT_FOLLOWER);
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " [commit: %" PRIu64 "] %s snapshot "
               "[index: %" PRIu64 ", term: %" PRIu64 "]",
               r->id, r->log.committed, restored ? "restored" : "ignored",
               m->snapshot->index, m->snapshot->term);
    outbox_send(r, &answer);
}

/* ---- Asking for one --------------------------------------------------- */

void snapshot_ask(struct raft *r)
{
    struct raft_message m = {
        .type = RAFT_MSG_APP_RESP,
        .to = r->leader,
        .index = r->log.committed,
        .reject = true,
        .reject_hint = raft_log_last_index(&r->log),
        .snapshot_wanted = r->snapshot_wanted,
    };

    outbox_send(r, &m);
}

/* The snapshot must cover all that was acknowledged to this leader, or the
 * acknowledgments would become lies. The last entry being of this term proves
 * that the leader has everything up to it. */
int raft_request_snapshot(struct raft *r)
{
    struct log_position last = raft_log_last(&r->log);

    if (r->failure != 0)
        return r->failure;
    if (r->role == RAFT_LEADER || r->log.unstable.snapshot != NULL)
        return ERR_BUSY;
    if (r->leader == 0)
        return ERR_NOT_LEADER;
    if (last.term != r->term)
        return ERR_BUSY;

    sleep_disturb(r);
    r->snapshot_wanted = last.index;
    if (r->log.committed >= last.index)
        snapshot_ask(r); /* Else when a message of the leader comes. */
    return 0;
}
