/* SPDX-License-Identifier: Apache-2.0 */

/* Formatting of log lines. */

#include "raft/trace.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

bool trace_on(const struct trace *t)
{
    return t->line != NULL;
}

void trace_line(const struct trace *t, enum log_level level, const char *format,
                ...)
{
    char line[TRACE_LINE_SIZE];
    va_list args;

    if (t->line == NULL)
        return;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args); /* Cut if long. */
    va_end(args);
    t->line(t->context, level, line);
}

void text_add(struct text *text, const char *format, ...)
{
    size_t space = sizeof text->data - text->used;
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(text->data + text->used, space, format, args);
    va_end(args);
    assert(size >= 0);
    text->used += (size_t)size < space ? (size_t)size : space - 1;
}

static void add_ids(struct text *text, const struct raft_id_set *set)
{
    text_add(text, "(");
    for (size_t i = 0; i < set->count; i++)
        text_add(text, "%s%" PRIx64, i == 0 ? "" : " ", set->id[i]);
    text_add(text, ")");
}

struct text text_conf(const struct raft_conf_state *conf)
{
    struct text text = {.used = 0};

    text_add(&text, "voters=");
    add_ids(&text, &conf->voters);
    if (conf->voters_outgoing.count > 0) {
        text_add(&text, "&&");
        add_ids(&text, &conf->voters_outgoing);
    }
    if (conf->learners.count > 0) {
        text_add(&text, " learners=");
        add_ids(&text, &conf->learners);
    }
    if (conf->learners_next.count > 0) {
        text_add(&text, " learners_next=");
        add_ids(&text, &conf->learners_next);
    }
    if (conf->auto_leave)
        text_add(&text, " autoleave");
    return text;
}

struct text text_progress(const struct progress *p)
{
    static const char *const states[] = {
        [RAFT_PROBE] = "StateProbe",
        [RAFT_REPLICATE] = "StateReplicate",
        [RAFT_SNAPSHOT] = "StateSnapshot",
    };
    struct text text = {.used = 0};

    text_add(&text, "%s match=%" PRIu64 " next=%" PRIu64, states[p->state],
             p->match, p->next);
    if (p->learner)
        text_add(&text, " learner");
    if (progress_paused(p))
        text_add(&text, " paused");
    if (p->pending_snapshot > 0)
        text_add(&text, " pendingSnap=%" PRIu64, p->pending_snapshot);
    if (!p->recent_active)
        text_add(&text, " inactive");
    if (p->inflights.count > 0)
        text_add(&text, " inflight=%zu%s", p->inflights.count,
                 inflights_full(&p->inflights) ? "[full]" : "");
    return text;
}

static void add_quoted(struct text *text, const struct buf *bytes)
{
    text_add(text, "\"");
    for (size_t i = 0; i < bytes->size; i++)
        if (bytes->data[i] >= 0x20 && bytes->data[i] < 0x7f)
            text_add(text, "%c", bytes->data[i]);
        else
            text_add(text, "\\x%02x", bytes->data[i]);
    text_add(text, "\"");
}

struct text text_conf_change(const struct raft_conf_change *change)
{
    static const char *const types[RAFT_CONF_CHANGE_TYPES] = {
        [RAFT_ADD_VOTER] = "ConfChangeAddNode",
        [RAFT_REMOVE_PEER] = "ConfChangeRemoveNode",
        [RAFT_UPDATE_PEER] = "ConfChangeUpdateNode",
        [RAFT_ADD_LEARNER] = "ConfChangeAddLearnerNode",
    };
    struct text text = {.used = 0};

    text_add(&text, "transition:%s", text_transition(change->transition));
    for (size_t i = 0; i < change->count; i++)
        text_add(&text, " changes:{type:%s node_id:%" PRIu64 "}",
                 types[change->change[i].type], change->change[i].peer);
    if (change->context != NULL && change->context->size > 0) {
        text_add(&text, " context:");
        add_quoted(&text, change->context);
    }
    return text;
}

const char *text_role(enum raft_role role)
{
    static const char *const names[RAFT_ROLES] = {
        [RAFT_FOLLOWER] = "StateFollower",
        [RAFT_CANDIDATE] = "StateCandidate",
        [RAFT_LEADER] = "StateLeader",
        [RAFT_PRE_CANDIDATE] = "StatePreCandidate",
    };

    assert(role < RAFT_ROLES);
    return names[role];
}

const char *text_transition(enum raft_conf_transition transition)
{
    static const char *const names[RAFT_TRANSITIONS] = {
        [RAFT_TRANSITION_AUTO] = "ConfChangeTransitionAuto",
        [RAFT_TRANSITION_IMPLICIT] = "ConfChangeTransitionJointImplicit",
        [RAFT_TRANSITION_EXPLICIT] = "ConfChangeTransitionJointExplicit",
    };

    assert(transition < RAFT_TRANSITIONS);
    return names[transition];
}
