/* SPDX-License-Identifier: Apache-2.0 */

/* Leadership transfer (thesis §3.10): stop taking proposals, bring the target
 * up to date, tell it to stand for election at once. Given up after one
 * election timeout, by the tick. */

#include <inttypes.h>

#include "raft/base/err.h"
#include "raft/core.h"

/* What the transfer has held up goes on: a group without proposals would stay
 * in a joint configuration otherwise. */
void transfer_abort(struct raft *r)
{
    if (r->transferee == 0)
        return;

    r->transferee = 0;
    commit_leave_joint(r);
}

/* From here on the target may win at any time, also after the transfer was
 * given up: in this term no lease is valid any more. */
static void send_timeout_now(struct raft *r, uint64_t peer)
{
    struct raft_message m = {.type = RAFT_MSG_TIMEOUT_NOW, .to = peer};

    r->timeout_now_sent = true;
    outbox_send(r, &m);
}

void transfer_progressed(struct raft *r, const struct progress *p)
{
    if (p->id != r->transferee || p->match != raft_log_last_index(&r->log))
        return;

    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " sent MsgTimeoutNow to %" PRIx64
               " after received MsgAppResp",
               r->id, p->id);
    send_timeout_now(r, p->id);
}

/* False: this target is already being served. */
static bool give_up_previous(struct raft *r, uint64_t peer)
{
    if (r->transferee == 0)
        return true;
    if (r->transferee == peer) {
        trace_line(&r->trace, LOG_INFO,
                   "%" PRIx64 " [term %" PRIu64
                   "] transfer leadership to %" PRIx64
                   " is in progress, ignores request to same node %" PRIx64,
                   r->id, r->term, peer, peer);
        return false;
    }
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " [term %" PRIu64
               "] abort previous transferring leadership to %" PRIx64,
               r->id, r->term, r->transferee);
    transfer_abort(r);
    return true;
}

static void start(struct raft *r, struct progress *p)
{
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " [term %" PRIu64
               "] starts to transfer leadership to %" PRIx64,
               r->id, r->term, p->id);
    r->election_elapsed = 0; /* It has one election timeout. */
    r->transferee = p->id;
    if (p->match != raft_log_last_index(&r->log)) {
        replication_send(r, p);
        return;
    }
    send_timeout_now(r, p->id);
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " sends MsgTimeoutNow to %" PRIx64
               " immediately as %" PRIx64 " already has up-to-date log",
               r->id, p->id, p->id);
}

int leader_on_transfer(struct raft *r, const struct raft_message *m)
{
    struct progress *p = sender_of(r, m);

    if (p == NULL)
        return ERR_NOT_FOUND;
    if (p->learner) {
        trace_line(&r->trace, LOG_DEBUG,
                   "%" PRIx64 " is learner. Ignored transferring leadership",
                   r->id);
        return 0;
    }
    if (!give_up_previous(r, p->id))
        return 0;
    if (p->id == r->id) {
        trace_line(&r->trace, LOG_DEBUG,
                   "%" PRIx64 " is already leader. Ignored transferring "
                   "leadership to self",
                   r->id);
        return 0;
    }
    start(r, p);
    return 0;
}

int follower_on_transfer(struct raft *r, const struct raft_message *m)
{
    return outbox_forward(r, m, "leader transfer");
}
