/* SPDX-License-Identifier: Apache-2.0 */

/* The leader's side of log replication (Raft §5.3). */

#include <assert.h>
#include <inttypes.h>

#include "raft/base/err.h"
#include "raft/core.h"

/* The peer a message is about; NULL, with a line in the log, for strangers. */
struct progress *sender_of(struct raft *r, const struct raft_message *m)
{
    struct progress *p = peers_find(&r->peers, m->from);

    if (p == NULL)
        trace_line(&r->trace, LOG_DEBUG,
                   "%" PRIx64 " no progress available for %" PRIx64, r->id,
                   m->from);
    return p;
}

/* ---- Sending ---------------------------------------------------------- */

static uint64_t entries_data_size(const struct raft_entries *entries)
{
    uint64_t size = 0;

    for (size_t i = 0; i < entries->count; i++)
        if (entries->item[i].data != NULL)
            size += entries->item[i].data->size;
    return size;
}

static void send_entries(struct raft *r, struct progress *p,
                         struct log_position prev, struct raft_entries *entries)
{
    size_t count = entries->count;
    uint64_t bytes = entries_data_size(entries);
    struct raft_message m = {
        .type = RAFT_MSG_APP,
        .to = p->id,
        .log_term = prev.term,
        .index = prev.index,
        .commit = r->log.committed,
        .clock = r->clock,
        .entries = *entries,
    };

    outbox_send(r, &m);
    progress_sent_entries(p, count, bytes);
    progress_sent_commit(p, r->log.committed);
}

/* The end of what one message to the peer may carry, by number. */
static uint64_t entries_end(const struct raft *r, const struct progress *p)
{
    uint64_t end = raft_log_last_index(&r->log) + 1;
    uint64_t count_max = r->config.message_entries_max;

    return count_max != 0 && end - p->next > count_max ? p->next + count_max
                                                       : end;
}

/* Sends what comes next for the peer: entries, or a snapshot when they are
 * gone. Without entries only `even_if_empty`. With a full window still an
 * empty message goes out where one is asked for: if everything in flight was
 * lost, its answer is what gets the peer going again. False: nothing sent. */
bool replication_maybe_send(struct raft *r, struct progress *p,
                            bool even_if_empty)
{
    struct raft_entries entries = {.count = 0};
    struct log_position prev = {.index = p->next - 1};
    int rc = 0;

    if (progress_paused(p))
        return false;
    if (p->snapshot_wanted != 0 ||
        raft_log_term(&r->log, prev.index, &prev.term) != 0)
        return snapshot_maybe_send(r, p);

    if (p->state != RAFT_REPLICATE || !inflights_full(&p->inflights))
        rc = raft_log_slice(&r->log, p->next, entries_end(r, p),
                            r->config.message_size_max, &entries);
    if (rc == ERR_COMPACTED)
        return snapshot_maybe_send(r, p);
    if (entries.count == 0 && !even_if_empty)
        return false;
    send_entries(r, p, prev, &entries);
    return true;
}

void replication_send(struct raft *r, struct progress *p)
{
    (void)replication_maybe_send(r, p, true); /* Paused peers get none. */
}

void replication_send_all(struct raft *r)
{
    for (size_t i = 0; i < r->peers.count; i++)
        if (r->peers.item[i].id != r->id)
            replication_send(r, &r->peers.item[i]);
}

/* A peer must not commit what it has not confirmed to be the same here. */
static void send_heartbeat(struct raft *r, struct progress *p)
{
    uint64_t commit = p->match < r->log.committed ? p->match : r->log.committed;
    struct raft_message m = {
        .type = RAFT_MSG_HEARTBEAT,
        .to = p->id,
        .commit = commit,
        .context = reads_token(r),
        .clock = r->clock,
        .sleep = sleep_asks(r, p),
    };

    outbox_send(r, &m);
    progress_sent_commit(p, commit);
}

void replication_heartbeat_all(struct raft *r)
{
    for (size_t i = 0; i < r->peers.count; i++)
        if (r->peers.item[i].id != r->id)
            send_heartbeat(r, &r->peers.item[i]);
}

int leader_on_beat(struct raft *r, const struct raft_message *m)
{
    (void)m;
    replication_heartbeat_all(r);
    return 0;
}

/* ---- Answers ---------------------------------------------------------- */

/* The peer is there and has seen what was sent at `clock` or later. */
static void heard_from(struct progress *p, const struct raft_message *m)
{
    p->recent_active = true;
    if (m->clock > p->clock)
        p->clock = m->clock;
}

/* Both sides skip whole terms: the peer has named its last entry of a term
 * not above ours, and we go back to our last one not above that. */
static void on_rejection(struct raft *r, struct progress *p,
                         const struct raft_message *m)
{
    struct log_position hint = {m->log_term, m->reject_hint};

    trace_line(&r->trace, LOG_DEBUG,
               "%" PRIx64 " received MsgAppResp(rejected, hint: (index %" PRIu64
               ", term %" PRIu64 ")) from %" PRIx64 " for index %" PRIu64,
               r->id, m->reject_hint, m->log_term, m->from, m->index);
    if (m->log_term > 0)
        hint = raft_log_find_conflict(&r->log, hint);
    if (!progress_rejected(p, m->index, hint.index))
        return;

    if (trace_on(&r->trace))
        trace_line(&r->trace, LOG_DEBUG,
                   "%" PRIx64 " decreased progress of %" PRIx64 " to [%s]",
                   r->id, m->from, text_progress(p).data);
    if (p->state == RAFT_REPLICATE)
        progress_probe(p);
    replication_send(r, p);
}

/* Its log is damaged: only a snapshot helps, and nothing else before it. */
static void on_snapshot_wanted(struct raft *r, struct progress *p,
                               const struct raft_message *m)
{
    p->snapshot_wanted = m->snapshot_wanted;
    if (p->state == RAFT_SNAPSHOT)
        return; /* One is on its way; its report decides. */
    progress_probe(p);
    replication_send(r, p);
}

static void advance_state(struct raft *r, struct progress *p, uint64_t index)
{
    switch (p->state) {
    case RAFT_PROBE:
        progress_replicate(p);
        break;
    case RAFT_SNAPSHOT:
        /* Whether it was our snapshot or another's: it meets our log. */
        if (p->match + 1 < raft_log_first_index(&r->log))
            break;
        if (trace_on(&r->trace))
            trace_line(&r->trace, LOG_DEBUG,
                       "%" PRIx64 " recovered from needing snapshot, resumed "
                       "sending replication messages to %" PRIx64 " [%s]",
                       r->id, p->id, text_progress(p).data);
        progress_probe(p);
        progress_replicate(p);
        break;
    case RAFT_REPLICATE:
        inflights_free_to(&p->inflights, index);
        break;
    }
}

/* Only what it has the entries of is news to it. */
static void tell_commit(struct raft *r, struct progress *p)
{
    if (p->id != r->id && progress_can_bump_commit(p, r->log.committed))
        replication_send(r, p);
}

void raft_tell_commit(struct raft *r)
{
    if (r->role != RAFT_LEADER)
        return;
    for (size_t i = 0; i < r->peers.count; i++)
        tell_commit(r, &r->peers.item[i]);
}

static void on_acknowledgment(struct raft *r, struct progress *p,
                              const struct raft_message *m)
{
    bool news = progress_acknowledged(p, m->index);

    if (!news && (p->match != m->index || p->state != RAFT_PROBE))
        return;

    if (p->snapshot_wanted != 0 && p->match >= p->snapshot_wanted && news)
        p->snapshot_wanted = 0;
    advance_state(r, p, m->index);
    if (commit_advance(r)) {
        if (!r->config.commit_news_wait)
            replication_send_all(r);
    } else if (!r->config.commit_news_wait) {
        tell_commit(r, p);
    }

    if (p->id != r->id) {
        while (replication_maybe_send(r, p, false))
            continue; /* The window has room again: fill it. */
        transfer_progressed(r, p);
    }
}

int leader_on_app_resp(struct raft *r, const struct raft_message *m)
{
    struct progress *p = sender_of(r, m);

    if (p == NULL)
        return 0;
    if (!m->reject && m->index > raft_log_last_index(&r->log))
        return ERR_PROTOCOL;

    heard_from(p, m);
    if (m->snapshot_wanted != 0)
        on_snapshot_wanted(r, p, m);
    else if (m->reject)
        on_rejection(r, p, m);
    else
        on_acknowledgment(r, p, m);
    return 0;
}

/* Also to a peer in PROBE that has everything an (empty) message is sent: its
 * answer brings it back to REPLICATE. */
int leader_on_heartbeat_resp(struct raft *r, const struct raft_message *m)
{
    struct progress *p = sender_of(r, m);

    if (p == NULL)
        return 0;

    heard_from(p, m);
    p->flow_paused = false;
    if (p->match < raft_log_last_index(&r->log) || p->state == RAFT_PROBE)
        replication_send(r, p);

    if (m->context > p->read_position &&
        m->context <= r->reads.answered + r->reads.count)
        p->read_position = m->context;
    reads_answer(r);
    sleep_on_answer(r, p, m);
    return 0;
}

/* What was sent ahead is probably lost. */
int leader_on_unreachable(struct raft *r, const struct raft_message *m)
{
    struct progress *p = sender_of(r, m);

    if (p == NULL)
        return 0;

    if (p->state == RAFT_REPLICATE)
        progress_probe(p);
    if (trace_on(&r->trace))
        trace_line(&r->trace, LOG_DEBUG,
                   "%" PRIx64 " failed to send message to %" PRIx64
                   " because it is unreachable [%s]",
                   r->id, p->id, text_progress(p).data);
    return 0;
}
