/* SPDX-License-Identifier: Apache-2.0 */

/* Elections (Raft §5.2, §5.4.1; thesis §9.6 pre-vote, §6.2 check-quorum). */

#include <assert.h>
#include <inttypes.h>

#include "raft/base/err.h"
#include "raft/core.h"

/* ---- Standing for election -------------------------------------------- */

bool election_promotable(const struct raft *r)
{
    const struct progress *self = peers_find(&r->peers, r->id);

    return self != NULL && !self->learner && r->log.unstable.snapshot == NULL;
}

/* A configuration takes effect when it is applied. Whoever has not applied a
 * committed one has an old idea of what a majority is. */
static bool has_unapplied_conf_change(const struct raft *r)
{
    uint64_t end = r->log.committed + 1;
    bool found = false;

    for (uint64_t next = r->log.applied + 1; next < end && !found;) {
        struct raft_entries page;

        if (raft_log_slice(&r->log, next, end, r->log.applying_size_max,
                           &page) != 0)
            return true; /* Cannot know: wait. */
        for (size_t i = 0; i < page.count; i++)
            if (page.item[i].type != RAFT_ENTRY_NORMAL)
                found = true;
        next += page.count;
        raft_entries_release(&page);
    }
    return found;
}

static void request_vote(struct raft *r, uint64_t peer,
                         enum raft_message_type type, uint64_t term,
                         enum campaign campaign)
{
    struct log_position last = raft_log_last(&r->log);
    struct raft_message m = {
        .type = type,
        .to = peer,
        .term = term,
        .log_term = last.term,
        .index = last.index,
        .context = campaign == CAMPAIGN_TRANSFER ? RAFT_CONTEXT_TRANSFER : 0,
    };

    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " [logterm: %" PRIu64 ", index: %" PRIu64
               "] sent %s request to %" PRIx64 " at term %" PRIu64,
               r->id, last.term, last.index, raft_message_name(type), peer,
               r->term);
    outbox_send(r, &m);
}

/* The vote for oneself goes the way of all votes: it counts when it is
 * durable, else a crash could lead to two leaders in one term. */
static void campaign(struct raft *r, enum campaign kind)
{
    bool pre = kind == CAMPAIGN_PRE_ELECTION;
    struct raft_id_set voters = conf_state_voters(&r->peers.conf);
    uint64_t term;

    if (pre)
        become_pre_candidate(r);
    else
        become_candidate(r);

    term = pre ? r->term + 1 : r->term;
    for (size_t i = 0; i < voters.count; i++) {
        struct raft_message own = {
            .type = pre ? RAFT_MSG_PRE_VOTE_RESP : RAFT_MSG_VOTE_RESP,
            .to = r->id,
            .term = term,
        };

        if (voters.id[i] == r->id)
            outbox_send(r, &own);
        else
            request_vote(r, voters.id[i],
                         pre ? RAFT_MSG_PRE_VOTE : RAFT_MSG_VOTE, term, kind);
    }
}

static int stand(struct raft *r, enum campaign kind)
{
    if (!election_promotable(r)) {
        trace_line(&r->trace, LOG_WARN,
                   "%" PRIx64 " is unpromotable and can not campaign", r->id);
        return 0;
    }
    if (has_unapplied_conf_change(r)) {
        trace_line(&r->trace, LOG_WARN,
                   "%" PRIx64 " cannot campaign at term %" PRIu64
                   " since there are still pending configuration changes to "
                   "apply",
                   r->id, r->term);
        return 0;
    }

    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " is starting a new election at term %" PRIu64, r->id,
               r->term);
    campaign(r, kind);
    return 0;
}

int on_hup(struct raft *r, const struct raft_message *m)
{
    (void)m;
    if (r->silent_ticks_left > 0)
        return 0; /* The own vote may be promised to a leader, too. */
    return stand(r, r->config.pre_vote ? CAMPAIGN_PRE_ELECTION
                                       : CAMPAIGN_ELECTION);
}

int leader_on_hup(struct raft *r, const struct raft_message *m)
{
    (void)m;
    trace_line(&r->trace, LOG_DEBUG,
               "%" PRIx64 " ignoring MsgHup because already leader", r->id);
    return 0;
}

/* The old leader asks for it, so nobody needs to be asked whether it lives. */
int follower_on_timeout_now(struct raft *r, const struct raft_message *m)
{
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " [term %" PRIu64 "] received MsgTimeoutNow from "
               "%" PRIx64 " and starts an election to get leadership.",
               r->id, r->term, m->from);
    return stand(r, CAMPAIGN_TRANSFER);
}

int candidate_on_timeout_now(struct raft *r, const struct raft_message *m)
{
    trace_line(&r->trace, LOG_DEBUG,
               "%" PRIx64 " [term %" PRIu64 " state %s] ignored MsgTimeoutNow "
               "from %" PRIx64,
               r->id, r->term, text_role(r->role), m->from);
    return 0;
}

/* ---- Counting votes --------------------------------------------------- */

static size_t count_ballots(const struct raft *r, enum quorum_ballot ballot)
{
    size_t count = 0;

    for (size_t i = 0; i < r->peers.count; i++)
        if (!r->peers.item[i].learner && r->peers.item[i].ballot == ballot)
            count++;
    return count;
}

static void record_ballot(struct raft *r, const struct raft_message *m)
{
    struct progress *p = peers_find(&r->peers, m->from);

    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " received %s%s from %" PRIx64 " at term %" PRIu64,
               r->id, raft_message_name(m->type), m->reject ? " rejection" : "",
               m->from, r->term);
    if (p != NULL && p->ballot == QUORUM_SILENT)
        p->ballot = m->reject ? QUORUM_NO : QUORUM_YES;
    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " has received %zu %s votes and %zu vote rejections",
               r->id, count_ballots(r, QUORUM_YES), raft_message_name(m->type),
               count_ballots(r, QUORUM_NO));
}

/* A leader that has committed the end of a joint configuration may be gone
 * before the others hear of it. The remaining voters would then need the votes
 * of removed ones, which have longer logs and may not stand themselves: nobody
 * could win, ever. So whoever refuses a vote says what is committed, which is
 * true in any term. */
static bool learn_commit(struct raft *r, const struct raft_message *m)
{
    struct log_position at = {m->known_commit_term, m->known_commit};

    return m->reject && at.index > r->log.committed &&
           raft_log_matches(&r->log, at) &&
           raft_log_commit_to(&r->log, at.index) == 0;
}

int follower_on_vote_resp(struct raft *r, const struct raft_message *m)
{
    (void)learn_commit(r, m); /* Applying it is all there is to do. */
    return 0;
}

int candidate_on_vote_resp(struct raft *r, const struct raft_message *m)
{
    assert(m->type == (r->role == RAFT_CANDIDATE ? RAFT_MSG_VOTE_RESP
                                                 : RAFT_MSG_PRE_VOTE_RESP));
    if (learn_commit(r, m) && has_unapplied_conf_change(r)) {
        become_follower(r, r->term, 0);
        return 0;
    }
    record_ballot(r, m);
    switch (peers_vote_result(&r->peers)) {
    case QUORUM_PENDING:
        break;
    case QUORUM_LOST:
        become_follower(r, r->term, 0);
        break;
    case QUORUM_WON:
        if (r->role == RAFT_PRE_CANDIDATE) {
            campaign(r, CAMPAIGN_ELECTION);
        } else {
            become_leader(r);
            replication_send_all(r);
        }
        break;
    }
    return 0;
}

/* ---- Voting ----------------------------------------------------------- */

static unsigned lease_ticks_left(const struct raft *r)
{
    unsigned ticks = r->silent_ticks_left;

    if (r->config.check_quorum && r->leader != 0 &&
        r->election_elapsed < r->config.election_ticks &&
        ticks < r->config.election_ticks - r->election_elapsed)
        ticks = r->config.election_ticks - r->election_elapsed;
    return ticks;
}

bool election_in_lease(const struct raft *r, const struct raft_message *m)
{
    struct log_position last = raft_log_last(&r->log);
    unsigned ticks = lease_ticks_left(r);

    if (ticks == 0 || m->context == RAFT_CONTEXT_TRANSFER)
        return false;

    trace_line(
        &r->trace, LOG_INFO,
        "%" PRIx64 " [logterm: %" PRIu64 ", index: %" PRIu64 ", vote: %" PRIx64
        "] ignored %s from %" PRIx64 " [logterm: %" PRIu64 ", index: %" PRIu64
        "] at term %" PRIu64 ": lease is not expired (remaining ticks: %u)",
        r->id, last.term, last.index, r->vote, raft_message_name(m->type),
        m->from, m->log_term, m->index, r->term, ticks);
    return true;
}

static void trace_verdict(struct raft *r, const struct raft_message *m,
                          const char *verdict)
{
    struct log_position last = raft_log_last(&r->log);

    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " [logterm: %" PRIu64 ", index: %" PRIu64
               ", vote: %" PRIx64 "] %s %" PRIx64 " [logterm: %" PRIu64
               ", index: %" PRIu64 "] at term %" PRIu64,
               r->id, last.term, last.index, r->vote, verdict, m->from,
               m->log_term, m->index, r->term);
}

/* A rejection carries the own term, so that a candidate from the past learns
 * of it. (There is none yet in a group that was founded with a log.) */
static void reject_vote(struct raft *r, const struct raft_message *m)
{
    bool pre = m->type == RAFT_MSG_PRE_VOTE;
    struct raft_message answer = {
        .type = pre ? RAFT_MSG_PRE_VOTE_RESP : RAFT_MSG_VOTE_RESP,
        .to = m->from,
        .term = r->term,
        .reject = true,
    };

    if (r->config.tell_commit_to_candidates) {
        answer.known_commit = r->log.committed;
        answer.known_commit_term =
            raft_log_term_or_zero(&r->log, r->log.committed);
    }
    trace_verdict(r, m,
                  pre ? "rejected MsgPreVote from" : "rejected MsgVote from");
    if (r->term > 0)
        outbox_send(r, &answer);
}

/* A grant carries the request's term: for a pre-vote that is not the own. */
static void grant_vote(struct raft *r, const struct raft_message *m)
{
    bool pre = m->type == RAFT_MSG_PRE_VOTE;
    struct raft_message answer = {
        .type = pre ? RAFT_MSG_PRE_VOTE_RESP : RAFT_MSG_VOTE_RESP,
        .to = m->from,
        .term = m->term,
    };

    trace_verdict(r, m, pre ? "cast MsgPreVote for" : "cast MsgVote for");
    outbox_send(r, &answer);
    if (!pre) {
        r->election_elapsed = 0;
        r->vote = m->from;
    }
}

/* One vote per term, none where a leader of this term is known. Learners vote
 * too: the candidate may know of a promotion that the learner does not. */
int on_vote(struct raft *r, const struct raft_message *m)
{
    struct log_position last = {m->log_term, m->index};
    bool may_vote = r->vote == m->from || (r->vote == 0 && r->leader == 0) ||
                    (m->type == RAFT_MSG_PRE_VOTE && m->term > r->term);

    if (r->silent_ticks_left > 0 && r->vote != m->from &&
        election_in_lease(r, m))
        return 0;
    if (may_vote && raft_log_is_up_to_date(&r->log, last))
        grant_vote(r, m);
    else
        reject_vote(r, m);
    return 0;
}

/* Silence could leave a group of old and new members without a leader. */
void election_refuse_old_pre_vote(struct raft *r, const struct raft_message *m)
{
    assert(m->term < r->term);
    reject_vote(r, m);
}

/* ---- Leaders that go -------------------------------------------------- */

int follower_on_forget_leader(struct raft *r, const struct raft_message *m)
{
    (void)m;
    if (r->config.read_only == RAFT_READ_LEASE_BASED) {
        trace_line(&r->trace, LOG_ERROR,
                   "ignoring MsgForgetLeader due to ReadOnlyLeaseBased");
        return 0;
    }
    if (r->leader == 0)
        return 0;

    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " forgetting leader %" PRIx64 " at term %" PRIu64,
               r->id, r->leader, r->term);
    r->leader = 0;
    return 0;
}

/* Once per election timeout: who was silent since the last time? */
int leader_on_check_quorum(struct raft *r, const struct raft_message *m)
{
    (void)m;
    if (peers_active_result(&r->peers) != QUORUM_WON) {
        trace_line(&r->trace, LOG_WARN,
                   "%" PRIx64
                   " stepped down to follower since quorum is not active",
                   r->id);
        become_follower(r, r->term, 0);
    }
    for (size_t i = 0; i < r->peers.count; i++)
        if (r->peers.item[i].id != r->id)
            r->peers.item[i].recent_active = false;
    return 0;
}
