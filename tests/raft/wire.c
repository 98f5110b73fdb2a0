/* SPDX-License-Identifier: Apache-2.0 */

/* Printed forms. */

#include "tests/raft/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft/base/err.h"
#include "raft/base/mem.h"

void wires_push(struct wires *wires, struct wire *w)
{
    wires->item = mem_grow(wires->item, sizeof *wires->item, &wires->count_max,
                           wires->count + 1);
    wires->item[wires->count++] = *w;
    *w = (struct wire){.m = {.type = RAFT_MSG_HUP}};
}

void wires_push_message(struct wires *wires, struct raft_message *m)
{
    struct wire w = {.m = *m};

    *m = (struct raft_message){.type = RAFT_MSG_HUP};
    wires_push(wires, &w);
}

struct wire wires_take(struct wires *wires, size_t i)
{
    struct wire w = wires->item[i];

    wires->count--;
    memmove(&wires->item[i], &wires->item[i + 1],
            (wires->count - i) * sizeof *wires->item);
    return w;
}

void wire_release(struct wire *w)
{
    raft_message_release(&w->m);
    wires_release(&w->responses);
}

void wires_release(struct wires *wires)
{
    for (size_t i = 0; i < wires->count; i++)
        wire_release(&wires->item[i]);
    free(wires->item);
    *wires = (struct wires){.count = 0};
}

bool is_storage_thread(uint64_t id)
{
    return id == APPEND_THREAD || id == APPLY_THREAD;
}

/* ---- Entries ---------------------------------------------------------- */

static void print_byte(struct out *out, uint8_t byte)
{
    static const char *const escapes[128] = {
        ['\a'] = "\\a", ['\b'] = "\\b", ['\t'] = "\\t",
        ['\n'] = "\\n", ['\v'] = "\\v", ['\f'] = "\\f",
        ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\",
    };

    if (byte < ARRAY_SIZE(escapes) && escapes[byte] != NULL)
        out_add(out, "%s", escapes[byte]);
    else if (byte >= 0x20 && byte < 0x7f)
        out_add(out, "%c", byte);
    else
        out_add(out, "\\x%02x", byte);
}

static void print_quoted(struct out *out, const struct buf *data)
{
    out_add(out, " \"");
    for (size_t i = 0; data != NULL && i < data->size; i++)
        print_byte(out, data->data[i]);
    out_add(out, "\"");
}

static void print_conf_change(struct out *out, const struct buf *data)
{
    static const char letters[RAFT_CONF_CHANGE_TYPES] = {
        [RAFT_ADD_VOTER] = 'v',
        [RAFT_REMOVE_PEER] = 'r',
        [RAFT_UPDATE_PEER] = 'u',
        [RAFT_ADD_LEARNER] = 'l',
    };
    struct raft_conf_change change;
    int rc = raft_conf_change_decode(data, &change);

    if (rc != 0) {
        out_add(out, " %s", err_text(rc));
        return;
    }
    for (size_t i = 0; i < change.count; i++)
        out_add(out, " %c%" PRIu64, letters[change.change[i].type],
                change.change[i].peer);
    buf_unref(change.context);
}

void print_entry(struct out *out, const struct raft_entry *entry)
{
    static const char *const types[] = {
        [RAFT_ENTRY_NORMAL] = "EntryNormal",
        [RAFT_ENTRY_CONF_CHANGE] = "EntryConfChange",
        [RAFT_ENTRY_CONF_CHANGE_V2] = "EntryConfChangeV2",
    };

    out_add(out, "%" PRIu64 "/%" PRIu64 " %s", entry->term, entry->index,
            types[entry->type]);
    if (entry->type == RAFT_ENTRY_NORMAL)
        print_quoted(out, entry->data);
    else
        print_conf_change(out, entry->data);
}

/* ---- States ----------------------------------------------------------- */

void print_hard_state(struct out *out, const struct raft_hard_state *state)
{
    out_add(out, "Term:%" PRIu64, state->term);
    if (state->vote != 0)
        out_add(out, " Vote:%" PRIu64, state->vote);
    out_add(out, " Commit:%" PRIu64, state->commit);
}

static void print_ids(struct out *out, const char *name,
                      const struct raft_id_set *set)
{
    out_add(out, "%s:[", name);
    for (size_t i = 0; i < set->count; i++)
        out_add(out, "%s%" PRIu64, i == 0 ? "" : " ", set->id[i]);
    out_add(out, "]");
}

void print_snapshot(struct out *out, const struct raft_snapshot *snapshot)
{
    const struct raft_conf_state *conf = &snapshot->conf_state;

    out_add(out,
            "Index:%" PRIu64 " Term:%" PRIu64 " ConfState:", snapshot->index,
            snapshot->term);
    print_ids(out, "Voters", &conf->voters);
    print_ids(out, " VotersOutgoing", &conf->voters_outgoing);
    print_ids(out, " Learners", &conf->learners);
    print_ids(out, " LearnersNext", &conf->learners_next);
    out_add(out, " AutoLeave:%s", conf->auto_leave ? "true" : "false");
}

/* ---- Messages --------------------------------------------------------- */

static void print_id(struct out *out, uint64_t id)
{
    if (id == 0)
        out_add(out, "None");
    else if (id == APPEND_THREAD)
        out_add(out, "AppendThread");
    else if (id == APPLY_THREAD)
        out_add(out, "ApplyThread");
    else
        out_add(out, "%" PRIx64, id);
}

static void print_entries(struct out *out, const char *indent,
                          const struct raft_entries *entries)
{
    if (entries->count == 0)
        return;

    out_add(out, " Entries:[");
    if (entries->count == 1) {
        print_entry(out, &entries->item[0]);
        out_add(out, "]");
        return;
    }
    for (size_t i = 0; i < entries->count; i++) {
        out_add(out, "\n%s  ", indent);
        print_entry(out, &entries->item[i]);
    }
    out_add(out, "\n%s]", indent);
}

static void print_responses(struct out *out, const char *indent,
                            const struct wires *responses)
{
    char deeper[64];

    if (responses->count == 0)
        return;

    (void)snprintf(deeper, sizeof deeper, "%s  ", indent);
    out_add(out, " Responses:[");
    for (size_t i = 0; i < responses->count; i++) {
        out_add(out, "\n");
        print_wire(out, deeper, &responses->item[i]);
    }
    out_add(out, "\n%s]", indent);
}

void print_wire(struct out *out, const char *indent, const struct wire *w)
{
    const struct raft_message *m = &w->m;

    out_add(out, "%s", indent);
    print_id(out, m->from);
    out_add(out, "->");
    print_id(out, m->to);
    out_add(out, " %s Term:%" PRIu64 " Log:%" PRIu64 "/%" PRIu64,
            raft_message_name(m->type), m->term, m->log_term, m->index);
    if (m->reject)
        out_add(out, " Rejected (Hint: %" PRIu64 ")", m->reject_hint);
    if (m->commit != 0)
        out_add(out, " Commit:%" PRIu64, m->commit);
    if (m->vote != 0)
        out_add(out, " Vote:%" PRIu64, m->vote);
    print_entries(out, indent, &m->entries);
    if (m->snapshot != NULL && m->snapshot->index != 0) {
        out_add(out, "\n%s  Snapshot: ", indent);
        print_snapshot(out, m->snapshot);
    }
    print_responses(out, indent, &w->responses);
}

void print_message(struct out *out, const struct raft_message *m)
{
    struct wire w = {.m = *m};

    print_wire(out, "", &w);
}
