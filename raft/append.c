/* SPDX-License-Identifier: Apache-2.0 */

/* The follower's side of log replication (Raft §5.3): what a leader sends. */

#include <assert.h>
#include <inttypes.h>

#include "raft/base/err.h"
#include "raft/core.h"

static void follow(struct raft *r, const struct raft_message *m)
{
    r->election_elapsed = 0;
    r->leader = m->from;
}

static void acknowledge(struct raft *r, const struct raft_message *m,
                        uint64_t index)
{
    struct raft_message answer = {
        .type = RAFT_MSG_APP_RESP,
        .to = m->from,
        .index = index,
        .clock = m->clock,
    };

    outbox_send(r, &answer);
}

/* The hint is our last entry whose term is not above the leader's at that
 * place: everything after it is surely different there. */
static void reject(struct raft *r, const struct raft_message *m)
{
    uint64_t last = raft_log_last_index(&r->log);
    struct log_position from = {m->log_term, m->index < last ? m->index : last};
    struct log_position hint = raft_log_find_conflict(&r->log, from);
    struct raft_message answer = {
        .type = RAFT_MSG_APP_RESP,
        .to = m->from,
        .index = m->index,
        .reject = true,
        .reject_hint = hint.index,
        .log_term = hint.term,
        .clock = m->clock,
    };

    trace_line(&r->trace, LOG_DEBUG,
               "%" PRIx64 " [logterm: %" PRIu64 ", index: %" PRIu64
               "] rejected MsgApp [logterm: %" PRIu64 ", index: %" PRIu64
               "] from %" PRIx64,
               r->id, raft_log_term_or_zero(&r->log, m->index), m->index,
               m->log_term, m->index, m->from);
    outbox_send(r, &answer);
}

/* How many of the entries may be taken. A peer that wants a snapshot adds
 * nothing to its log, but still confirms what it has: the others may need that
 * to commit it, and only then a snapshot can cover it. */
static size_t count_welcome(const struct raft *r, const struct raft_message *m)
{
    uint64_t room;

    if (r->snapshot_wanted == 0)
        return m->entries.count;
    room = r->snapshot_wanted > m->index ? r->snapshot_wanted - m->index : 0;
    return room < m->entries.count ? (size_t)room : m->entries.count;
}

/* Commits no further than what this message has proved to be the same as the
 * leader's: behind it there may be a tail of another term. */
static int handle_app(struct raft *r, const struct raft_message *m)
{
    struct log_position prev = {m->log_term, m->index};
    struct raft_entries entries = m->entries;
    uint64_t last_new;
    int rc;

    entries.count = count_welcome(r, m);
    last_new = m->index + entries.count;
    if (r->snapshot_wanted != 0 && r->log.committed >= r->snapshot_wanted) {
        snapshot_ask(r);
        return 0;
    }
    if (m->index < r->log.committed) {
        acknowledge(r, m, r->log.committed);
        return 0;
    }

    rc = raft_log_maybe_append(&r->log, prev, &entries);
    if (rc == ERR_NOT_FOUND) {
        reject(r, m);
        return 0;
    }
    if (rc != 0)
        return raft_fail(r, rc, "the leader contradicts a committed entry");

    rc = raft_log_commit_to(&r->log,
                            m->commit < last_new ? m->commit : last_new);
    assert(rc == 0);
    acknowledge(r, m, last_new);
    return 0;
}

static int handle_heartbeat(struct raft *r, const struct raft_message *m)
{
    struct raft_message answer = {
        .type = RAFT_MSG_HEARTBEAT_RESP,
        .to = m->from,
        .context = m->context,
        .clock = m->clock,
    };
    int rc = raft_log_commit_to(&r->log, m->commit);

    if (rc != 0)
        return raft_fail(r, rc, "acknowledged entries are not in the log");
    answer.sleep = sleep_agrees(r, m);
    outbox_send(r, &answer);
    return 0;
}

int follower_on_app(struct raft *r, const struct raft_message *m)
{
    follow(r, m);
    return handle_app(r, m);
}

int follower_on_heartbeat(struct raft *r, const struct raft_message *m)
{
    follow(r, m);
    return handle_heartbeat(r, m);
}

int follower_on_snap(struct raft *r, const struct raft_message *m)
{
    follow(r, m);
    snapshot_receive(r, m);
    return 0;
}

/* Somebody has won this term. */
int candidate_on_app(struct raft *r, const struct raft_message *m)
{
    become_follower(r, m->term, m->from);
    return handle_app(r, m);
}

int candidate_on_heartbeat(struct raft *r, const struct raft_message *m)
{
    become_follower(r, m->term, m->from);
    return handle_heartbeat(r, m);
}

int candidate_on_snap(struct raft *r, const struct raft_message *m)
{
    become_follower(r, m->term, m->from);
    snapshot_receive(r, m);
    return 0;
}
