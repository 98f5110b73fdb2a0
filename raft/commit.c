/* SPDX-License-Identifier: Apache-2.0 */

/* Commit and application (Raft §5.4.2). */

#include <assert.h>
#include <inttypes.h>

#include "raft/core.h"

/* A leader does not compare terms: the log of a new group may begin, without
 * any leader, in what is now its term. */
bool commit_is_own_term(const struct raft *r)
{
    if (r->role == RAFT_LEADER)
        return r->log.committed >= r->first_own_index;
    return raft_log_term_or_zero(&r->log, r->log.committed) == r->term;
}

/* Only entries of the own term are committed by counting replicas, all before
 * them by implication: figure 8 shows why. */
bool commit_advance(struct raft *r)
{
    uint64_t index = peers_match_quorum(&r->peers);
    bool first = !commit_is_own_term(r);
    int rc;

    if (index <= r->log.committed ||
        raft_log_term_or_zero(&r->log, index) != r->term)
        return false;

    rc = raft_log_commit_to(&r->log, index);
    assert(rc == 0);
    if (first)
        reads_release_postponed(r);
    return true;
}

/* The second half of an automatic joint change. It costs no space, so that no
 * limit stops it; a running transfer does, and then its end retries. */
static void leave_joint(struct raft *r)
{
    struct raft_entry entry = {.type = RAFT_ENTRY_CONF_CHANGE_V2};
    struct raft_message m = {
        .type = RAFT_MSG_PROP,
        .entries = {.item = &entry, .count = 1},
    };
    int rc = raft_dispatch(r, &m);

    if (!trace_on(&r->trace))
        return;
    if (rc != 0)
        trace_line(&r->trace, LOG_DEBUG,
                   "not initiating automatic transition out of joint "
                   "configuration %s: raft proposal dropped",
                   text_conf(&r->peers.conf).data);
    else
        trace_line(&r->trace, LOG_INFO,
                   "initiating automatic transition out of joint "
                   "configuration %s",
                   text_conf(&r->peers.conf).data);
}

void commit_leave_joint(struct raft *r)
{
    if (r->role == RAFT_LEADER && r->peers.conf.auto_leave &&
        r->log.applied >= r->pending_conf_index)
        leave_joint(r);
}

void commit_applied_to(struct raft *r, uint64_t index)
{
    uint64_t freed;

    if (index < r->log.applied)
        index = r->log.applied; /* A snapshot was faster. */
    freed = raft_log_applied_to(&r->log, index);
    r->uncommitted_size -=
        freed < r->uncommitted_size ? freed : r->uncommitted_size;
    commit_leave_joint(r);
}
