/* SPDX-License-Identifier: Apache-2.0 */

/* The protocol on one page: what each role does with each message. Before the
 * table is asked, settle_term() has dealt with terms other than the own one,
 * so that no handler has to. */

#include "raft/raft.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "raft/base/err.h"
#include "raft/base/mem.h"
#include "raft/core.h"

typedef int handler(struct raft *r, const struct raft_message *m);

static int ignore(struct raft *r, const struct raft_message *m)
{
    (void)r;
    (void)m;
    return 0;
}

/* clang-format off */
static handler *const handlers[RAFT_MESSAGE_TYPES][RAFT_ROLES] = {
                                /* FOLLOWER                    CANDIDATE                 LEADER                    PRE_CANDIDATE */
    [RAFT_MSG_HUP]               = {on_hup,                      on_hup,                   leader_on_hup,            on_hup},
    [RAFT_MSG_BEAT]              = {ignore,                      ignore,                   leader_on_beat,           ignore},
    [RAFT_MSG_PROP]              = {follower_on_prop,            candidate_on_prop,        leader_on_prop,           candidate_on_prop},
    [RAFT_MSG_APP]               = {follower_on_app,             candidate_on_app,         ignore,                   candidate_on_app},
    [RAFT_MSG_APP_RESP]          = {ignore,                      ignore,                   leader_on_app_resp,       ignore},
    [RAFT_MSG_VOTE]              = {on_vote,                     on_vote,                  on_vote,                  on_vote},
    [RAFT_MSG_VOTE_RESP]         = {follower_on_vote_resp,       candidate_on_vote_resp,   ignore,                   ignore},
    [RAFT_MSG_SNAP]              = {follower_on_snap,            candidate_on_snap,        ignore,                   candidate_on_snap},
    [RAFT_MSG_HEARTBEAT]         = {follower_on_heartbeat,       candidate_on_heartbeat,   ignore,                   candidate_on_heartbeat},
    [RAFT_MSG_HEARTBEAT_RESP]    = {ignore,                      ignore,                   leader_on_heartbeat_resp, ignore},
    [RAFT_MSG_UNREACHABLE]       = {ignore,                      ignore,                   leader_on_unreachable,    ignore},
    [RAFT_MSG_SNAP_STATUS]       = {ignore,                      ignore,                   leader_on_snap_status,    ignore},
    [RAFT_MSG_CHECK_QUORUM]      = {ignore,                      ignore,                   leader_on_check_quorum,   ignore},
    [RAFT_MSG_TRANSFER_LEADER]   = {follower_on_transfer,        ignore,                   leader_on_transfer,       ignore},
    [RAFT_MSG_TIMEOUT_NOW]       = {follower_on_timeout_now,     candidate_on_timeout_now, ignore,                   candidate_on_timeout_now},
    [RAFT_MSG_READ_INDEX]        = {follower_on_read_index,      ignore,                   leader_on_read_index,     ignore},
    [RAFT_MSG_READ_INDEX_RESP]   = {follower_on_read_index_resp, ignore,                   ignore,                   ignore},
    [RAFT_MSG_PRE_VOTE]          = {on_vote,                     on_vote,                  on_vote,                  on_vote},
    [RAFT_MSG_PRE_VOTE_RESP]     = {follower_on_vote_resp,       ignore,                   ignore,                   candidate_on_vote_resp},
    [RAFT_MSG_STORAGE_APPEND]    = {ignore,                      ignore,                   ignore,                   ignore},
    [RAFT_MSG_STORAGE_APPEND_RESP] = {ignore,                    ignore,                   ignore,                   ignore},
    [RAFT_MSG_STORAGE_APPLY]     = {ignore,                      ignore,                   ignore,                   ignore},
    [RAFT_MSG_STORAGE_APPLY_RESP] = {ignore,                     ignore,                   ignore,                   ignore},
    [RAFT_MSG_FORGET_LEADER]     = {follower_on_forget_leader,   ignore,                   ignore,                   ignore},
};
/* clang-format on */

int raft_dispatch(struct raft *r, const struct raft_message *m)
{
    assert(m->type < RAFT_MESSAGE_TYPES);
    return handlers[m->type][r->role](r, m);
}

int raft_fail(struct raft *r, int code, const char *why)
{
    trace_line(&r->trace, LOG_ERROR, "%" PRIx64 " stopped: %s", r->id, why);
    r->failure = code;
    return code;
}

/* ---- Terms ------------------------------------------------------------ */

static bool comes_from_leader(const struct raft_message *m)
{
    return m->type == RAFT_MSG_APP || m->type == RAFT_MSG_HEARTBEAT ||
           m->type == RAFT_MSG_SNAP;
}

static bool is_vote_request(const struct raft_message *m)
{
    return m->type == RAFT_MSG_VOTE || m->type == RAFT_MSG_PRE_VOTE;
}

/* Pre-votes talk about a term that has not begun. */
static bool leaves_term_alone(const struct raft_message *m)
{
    return m->type == RAFT_MSG_PRE_VOTE ||
           (m->type == RAFT_MSG_PRE_VOTE_RESP && !m->reject);
}

/* False: the message is done with. */
static bool settle_higher_term(struct raft *r, const struct raft_message *m)
{
    if (is_vote_request(m) && election_in_lease(r, m))
        return false;
    if (leaves_term_alone(m))
        return true;

    trace_line(&r->trace, LOG_INFO,
               "%" PRIx64 " [term: %" PRIu64
               "] received a %s message with higher term from %" PRIx64
               " [term: %" PRIu64 "]",
               r->id, r->term, raft_message_name(m->type), m->from, m->term);
    become_follower(r, m->term, comes_from_leader(m) ? m->from : 0);
    return true;
}

/* With pre-vote or check-quorum a peer with a higher term has no other way to
 * make an old leader give up: its vote requests are ignored, and it ignores
 * the leader. So it answers, and the answer carries its term. */
static void settle_lower_term(struct raft *r, const struct raft_message *m)
{
    bool answers = r->config.check_quorum || r->config.pre_vote;
    struct raft_message answer = {.type = RAFT_MSG_APP_RESP, .to = m->from};

    if (answers && (m->type == RAFT_MSG_APP || m->type == RAFT_MSG_HEARTBEAT)) {
        outbox_send(r, &answer);
    } else if (m->type == RAFT_MSG_PRE_VOTE) {
        election_refuse_old_pre_vote(r, m);
    } else {
        trace_line(&r->trace, LOG_INFO,
                   "%" PRIx64 " [term: %" PRIu64
                   "] ignored a %s message with lower term from %" PRIx64
                   " [term: %" PRIu64 "]",
                   r->id, r->term, raft_message_name(m->type), m->from,
                   m->term);
    }
}

/* True: the message belongs to the current term, or to none. */
static bool settle_term(struct raft *r, const struct raft_message *m)
{
    if (m->term == 0 || m->term == r->term)
        return true;
    if (m->term > r->term)
        return settle_higher_term(r, m);
    settle_lower_term(r, m);
    return false;
}

/* ---- Messages from others --------------------------------------------- */

static bool is_local(enum raft_message_type type)
{
    switch (type) {
    case RAFT_MSG_HUP:
    case RAFT_MSG_BEAT:
    case RAFT_MSG_UNREACHABLE:
    case RAFT_MSG_SNAP_STATUS:
    case RAFT_MSG_CHECK_QUORUM:
    case RAFT_MSG_STORAGE_APPEND:
    case RAFT_MSG_STORAGE_APPEND_RESP:
    case RAFT_MSG_STORAGE_APPLY:
    case RAFT_MSG_STORAGE_APPLY_RESP:
    case RAFT_MSG_FORGET_LEADER:
        return true;
    default:
        return false;
    }
}

static bool is_response(enum raft_message_type type)
{
    switch (type) {
    case RAFT_MSG_APP_RESP:
    case RAFT_MSG_VOTE_RESP:
    case RAFT_MSG_HEARTBEAT_RESP:
    case RAFT_MSG_READ_INDEX_RESP:
    case RAFT_MSG_PRE_VOTE_RESP:
        return true;
    default:
        return false;
    }
}

/* Entries follow each other, and none is of a later term than the message. */
static bool entries_are_sound(const struct raft_message *m)
{
    uint64_t term = m->log_term;

    for (size_t i = 0; i < m->entries.count; i++) {
        const struct raft_entry *entry = &m->entries.item[i];

        if (entry->index != m->index + 1 + i || entry->term < term ||
            entry->term > m->term || entry->type > RAFT_ENTRY_CONF_CHANGE_V2)
            return false;
        term = entry->term;
    }
    return true;
}

static bool is_sound(const struct raft *r, const struct raft_message *m)
{
    bool termless = m->type == RAFT_MSG_PROP || m->type == RAFT_MSG_READ_INDEX;

    if (m->from == 0 || m->to != r->id || (m->term == 0) != termless)
        return false;
    if (m->type == RAFT_MSG_APP)
        return entries_are_sound(m);
    if (m->type == RAFT_MSG_SNAP)
        return m->snapshot != NULL && m->snapshot->index > 0 &&
               m->snapshot->term <= m->term;
    if (m->type == RAFT_MSG_PROP)
        return m->entries.count > 0;
    return true;
}

int raft_step_checked(struct raft *r, const struct raft_message *m)
{
    if (!settle_term(r, m))
        return 0;
    return raft_dispatch(r, m);
}

int raft_step(struct raft *r, const struct raft_message *m)
{
    if (r->failure != 0)
        return r->failure;
    if (m->type >= RAFT_MESSAGE_TYPES || is_local(m->type) || !is_sound(r, m))
        return ERR_PROTOCOL;
    if (is_response(m->type) && peers_find(&r->peers, m->from) == NULL)
        return ERR_NOT_FOUND;
    sleep_on_message(r, m);
    return raft_step_checked(r, m);
}

/* ---- Time ------------------------------------------------------------- */

static int local(struct raft *r, enum raft_message_type type, uint64_t from)
{
    struct raft_message m = {.type = type, .from = from};

    if (type != RAFT_MSG_BEAT && type != RAFT_MSG_CHECK_QUORUM)
        sleep_disturb(r);
    return r->failure != 0 ? r->failure : raft_dispatch(r, &m);
}

static int tick_leader(struct raft *r)
{
    r->heartbeat_elapsed++;
    if (++r->election_elapsed >= r->config.election_ticks) {
        r->election_elapsed = 0;
        if (r->config.check_quorum)
            (void)local(r, RAFT_MSG_CHECK_QUORUM, r->id);
        transfer_abort(r);
    }
    if (r->role != RAFT_LEADER ||
        r->heartbeat_elapsed < r->config.heartbeat_ticks)
        return 0;
    r->heartbeat_elapsed = 0;
    return local(r, RAFT_MSG_BEAT, r->id);
}

int raft_tick(struct raft *r)
{
    if (r->failure != 0)
        return r->failure;
    if (r->sleep == SLEEP_ASLEEP)
        return 0;
    raft_log_retry(&r->log);
    if (r->silent_ticks_left > 0)
        r->silent_ticks_left--;
    if (r->role == RAFT_LEADER)
        return tick_leader(r);

    r->election_elapsed++;
    if (!election_promotable(r) || r->election_elapsed < r->randomized_timeout)
        return 0;
    r->election_elapsed = 0;
    return local(r, RAFT_MSG_HUP, r->id);
}

void raft_set_clock(struct raft *r, uint64_t now)
{
    assert(now > 0);
    assert(now >= r->clock);
    r->clock = now;
}

/* ---- Local requests --------------------------------------------------- */

int raft_campaign(struct raft *r)
{
    return local(r, RAFT_MSG_HUP, r->id);
}

int raft_propose(struct raft *r, const struct raft_entry *entries, size_t count,
                 uint64_t *ret_first_index)
{
    uint64_t first = raft_log_last_index(&r->log) + 1;
    struct raft_message m = {.type = RAFT_MSG_PROP, .from = r->id};
    bool leads = r->role == RAFT_LEADER;
    int rc;

    assert(count > 0);
    if (r->failure != 0)
        return r->failure;

    sleep_disturb(r);
    raft_entries_copy(&m.entries, entries, count);
    rc = raft_dispatch(r, &m);
    raft_entries_release(&m.entries);
    if (rc == 0 && ret_first_index != NULL)
        *ret_first_index = leads ? first : 0;
    return rc;
}

int raft_propose_conf_change(struct raft *r,
                             const struct raft_conf_change *change,
                             uint64_t *ret_index)
{
    struct raft_entry entry = {.type = RAFT_ENTRY_CONF_CHANGE_V2};
    int rc;

    entry.data = raft_conf_change_encode(change);
    rc = raft_propose(r, &entry, 1, ret_index);
    buf_unref(entry.data);
    return rc;
}

int raft_transfer_leader(struct raft *r, uint64_t peer)
{
    int rc = local(r, RAFT_MSG_TRANSFER_LEADER, peer);

    return rc == 0 && r->leader == 0 ? ERR_NOT_LEADER : rc;
}

void raft_forget_leader(struct raft *r)
{
    (void)local(r, RAFT_MSG_FORGET_LEADER, r->id);
}

int raft_read_index(struct raft *r, uint64_t request)
{
    struct raft_message m = {
        .type = RAFT_MSG_READ_INDEX,
        .from = r->id,
        .context = request,
    };
    int rc;

    assert(request != 0);
    sleep_disturb(r);
    rc = r->failure != 0 ? r->failure : raft_dispatch(r, &m);
    return rc == 0 && r->leader == 0 ? ERR_NOT_LEADER : rc;
}

void raft_report_unreachable(struct raft *r, uint64_t peer)
{
    (void)local(r, RAFT_MSG_UNREACHABLE, peer);
}

void raft_report_snapshot(struct raft *r, uint64_t peer, bool ok)
{
    struct raft_message m = {
        .type = RAFT_MSG_SNAP_STATUS,
        .from = peer,
        .reject = !ok,
    };

    sleep_disturb(r);
    if (r->failure == 0)
        (void)raft_dispatch(r, &m);
}
