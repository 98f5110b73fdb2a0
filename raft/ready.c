/* SPDX-License-Identifier: Apache-2.0 */

/* What goes out, and the completions that come back.
 *
 * Votes, requests for them and acknowledgments promise something that must be
 * durable first, so they wait in `after_append`. Those to self wait inside
 * until the host reports the write, and then are handled like anyone's: nothing
 * counts the own disk in advance. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/err.h"
#include "raft/base/mem.h"
#include "raft/core.h"

/* ---- In --------------------------------------------------------------- */

static bool carries_own_term(enum raft_message_type type)
{
    switch (type) {
    case RAFT_MSG_VOTE:
    case RAFT_MSG_VOTE_RESP:
    case RAFT_MSG_PRE_VOTE:
    case RAFT_MSG_PRE_VOTE_RESP:
        return true;
    default:
        return false;
    }
}

/* A forwarded request is nobody's statement about a term. */
static bool carries_no_term(enum raft_message_type type)
{
    return type == RAFT_MSG_PROP || type == RAFT_MSG_READ_INDEX;
}

/* Also a candidate's requests: it promises to be a candidate of this term, with
 * this log, once. Had it forgotten that after a crash, it could stand in the
 * same term again, and answers to what it had before would elect it. */
static bool waits_for_disk(const struct raft *r, enum raft_message_type type)
{
    return type == RAFT_MSG_APP_RESP || type == RAFT_MSG_VOTE_RESP ||
           type == RAFT_MSG_PRE_VOTE_RESP ||
           (type == RAFT_MSG_VOTE && !r->outbox.requests_at_once);
}

void outbox_send(struct raft *r, struct raft_message *m)
{
    if (m->from == 0)
        m->from = r->id;
    if (carries_own_term(m->type))
        assert(m->term != 0);
    else
        m->term = carries_no_term(m->type) ? 0 : r->term;

    if (waits_for_disk(r, m->type)) {
        raft_messages_append(&r->outbox.after_append, m);
        return;
    }
    assert(m->to != r->id);
    raft_messages_append(&r->outbox.messages, m);
}

int outbox_forward(struct raft *r, const struct raft_message *m,
                   const char *about)
{
    struct raft_message forwarded = {
        .type = m->type,
        .from = m->from,
        .to = r->leader,
        .context = m->context,
    };

    if (r->leader == 0) {
        trace_line(&r->trace, LOG_INFO,
                   "%" PRIx64 " no leader at term %" PRIu64 "; dropping %s msg",
                   r->id, r->term, about);
        return ERR_NOT_LEADER;
    }
    outbox_send(r, &forwarded);
    return 0;
}

void outbox_add_read_state(struct raft *r, uint64_t request, uint64_t index)
{
    struct outbox *o = &r->outbox;

    o->read_states =
        mem_grow(o->read_states, sizeof *o->read_states,
                 &o->read_state_count_max, o->read_state_count + 1);
    o->read_states[o->read_state_count++] =
        (struct raft_read_state){.request = request, .index = index};
}

void outbox_close(struct outbox *o)
{
    raft_messages_release(&o->messages);
    raft_messages_release(&o->after_append);
    free(o->read_states);
    free(o->self_acks);
}

/* ---- Ready ------------------------------------------------------------ */

struct raft_hard_state raft_hard_state(const struct raft *r)
{
    return (struct raft_hard_state){
        .term = r->term,
        .vote = r->vote,
        .commit = r->log.committed,
    };
}

static bool hard_state_changed(const struct raft *r)
{
    const struct raft_hard_state *old = &r->outbox.hard_state;

    return old->term != r->term || old->vote != r->vote ||
           old->commit != r->log.committed;
}

static bool soft_state_changed(const struct raft *r)
{
    return r->outbox.leader != r->leader || r->outbox.role != r->role;
}

bool raft_has_ready(const struct raft *r)
{
    if (r->failure != 0)
        return false;
    return soft_state_changed(r) || hard_state_changed(r) ||
           unstable_next_snapshot(&r->log.unstable) != NULL ||
           r->outbox.messages.count > 0 || r->outbox.after_append.count > 0 ||
           unstable_next_count(&r->log.unstable) > 0 ||
           raft_log_has_next_committed(&r->log) ||
           r->outbox.read_state_count > 0;
}

static void fill_state(struct raft *r, struct raft_ready *ready)
{
    struct outbox *o = &r->outbox;

    ready->soft_state_changed = soft_state_changed(r);
    ready->leader = r->leader;
    ready->role = r->role;
    ready->hard_state_changed = hard_state_changed(r);
    ready->hard_state = raft_hard_state(r);
    ready->must_sync = unstable_next_count(&r->log.unstable) > 0 ||
                       o->hard_state.term != r->term ||
                       o->hard_state.vote != r->vote;
    o->leader = r->leader;
    o->role = r->role;
    o->hard_state = ready->hard_state;
}

/* Every token names the last entry, also if an earlier ready has handed it
 * out: after a change of terms the earlier tokens count for nothing, and the
 * entries would never be known as stable. */
static void fill_append(struct raft *r, struct raft_ready *ready)
{
    struct unstable *u = &r->log.unstable;
    struct log_position last = raft_log_last(&r->log);

    ready->token.number = ++r->outbox.number;
    ready->token.term = r->term;
    if (u->entries.count > 0) {
        ready->token.index = last.index;
        ready->token.log_term = last.term;
    }
    raft_entries_copy(&ready->entries, unstable_next(u),
                      unstable_next_count(u));
    ready->snapshot = raft_snapshot_copy(unstable_next_snapshot(u));
    if (ready->snapshot != NULL)
        ready->token.snapshot_index = ready->snapshot->index;
    unstable_accept(u);
}

static void keep_self_ack(struct outbox *o, const struct raft_message *m)
{
    o->self_acks = mem_grow(o->self_acks, sizeof *o->self_acks,
                            &o->self_ack_count_max, o->self_ack_count + 1);
    o->self_acks[o->self_ack_count++] =
        (struct self_ack){.number = o->number, .message = *m};
}

static void fill_messages(struct raft *r, struct raft_ready *ready)
{
    struct outbox *o = &r->outbox;

    ready->messages = o->messages;
    o->messages = (struct raft_messages){.count = 0};
    for (size_t i = 0; i < o->after_append.count; i++) {
        struct raft_message *m = &o->after_append.item[i];

        if (m->to == r->id && !o->self_acks_outside)
            keep_self_ack(o, m);
        else
            raft_messages_append(&ready->after_append, m);
    }
    o->after_append.count = 0;
    raft_messages_release(&o->after_append);

    ready->read_states = o->read_states;
    ready->read_state_count = o->read_state_count;
    o->read_states = NULL;
    o->read_state_count = 0;
    o->read_state_count_max = 0;
}

int raft_ready(struct raft *r, struct raft_ready *ret)
{
    struct raft_ready ready = {.leader = 0};
    int rc;

    if (r->failure != 0)
        return r->failure;
    rc = raft_log_next_committed(&r->log, &ready.committed);
    if (rc != 0 && rc != ERR_UNAVAILABLE)
        return rc;
    if (rc == ERR_UNAVAILABLE)
        raft_log_postpone(&r->log);

    raft_log_accept_applying(&r->log, &ready.committed);
    fill_state(r, &ready);
    fill_append(r, &ready);
    fill_messages(r, &ready);
    *ret = ready;
    return 0;
}

void raft_ready_release(struct raft_ready *ready)
{
    raft_snapshot_free(ready->snapshot);
    raft_entries_release(&ready->entries);
    raft_entries_release(&ready->committed);
    raft_messages_release(&ready->messages);
    raft_messages_release(&ready->after_append);
    free(ready->read_states);
    *ready = (struct raft_ready){.leader = 0};
}

/* ---- Completions ------------------------------------------------------ */

/* Takes out what waited for readies up to `number`, then handles it: handling
 * may queue more. What comes too late for its term is ignored by the term. */
static void step_self_acks(struct raft *r, uint64_t number)
{
    struct outbox *o = &r->outbox;

    while (o->self_ack_count > 0 && o->self_acks[0].number <= number) {
        struct raft_message m = o->self_acks[0].message;

        o->self_ack_count--;
        memmove(o->self_acks, o->self_acks + 1,
                o->self_ack_count * sizeof *o->self_acks);
        (void)raft_step_checked(r, &m); /* A failure is latched. */
    }
}

/* The token of an older term may name an entry that is in the log again while
 * a later write still holds another one at that place (A-B-A). A snapshot is
 * committed state, and good in any term. */
static void mark_stable(struct raft *r, const struct raft_append_token *token)
{
    if (token->index != 0 && token->term < r->term)
        trace_line(&r->trace, LOG_INFO,
                   "%" PRIx64 " [term: %" PRIu64 "] ignored entry appends from "
                   "a MsgStorageAppendResp message with lower term "
                   "[term: %" PRIu64 "]",
                   r->id, r->term, token->term);
    else if (token->index != 0)
        unstable_stable_to(&r->log.unstable, token->log_term, token->index);

    if (token->snapshot_index != 0) {
        unstable_stable_snapshot(&r->log.unstable, token->snapshot_index);
        commit_applied_to(r, token->snapshot_index);
    }
}

int raft_append_done(struct raft *r, const struct raft_append_token *token)
{
    if (r->failure != 0)
        return r->failure;

    assert(token->number <= r->outbox.number);
    step_self_acks(r, token->number);
    mark_stable(r, token);
    return r->failure;
}

int raft_apply_done(struct raft *r, uint64_t index)
{
    if (r->failure != 0)
        return r->failure;

    assert(index <= r->log.applying);
    commit_applied_to(r, index);
    return r->failure;
}
