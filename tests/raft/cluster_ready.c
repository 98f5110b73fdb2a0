/* SPDX-License-Identifier: Apache-2.0 */

/* Readies of a scenario's node: printed, turned into messages to the storage
 * threads or, in sync mode, completed at once. */

#include "tests/raft/cluster.h"

#include <inttypes.h>
#include <string.h>

#include "raft/base/mem.h"
#include "raft/trace.h"

/* ---- Printing --------------------------------------------------------- */

static void print_entry_list(struct out *out, const char *title,
                             const struct raft_entries *entries)
{
    if (entries->count == 0)
        return;

    out_add(out, "%s:\n", title);
    for (size_t i = 0; i < entries->count; i++) {
        print_entry(out, &entries->item[i]);
        out_add(out, "\n");
    }
}

static void print_read_states(struct out *out, const struct raft_ready *ready)
{
    if (ready->read_state_count == 0)
        return;

    out_add(out, "ReadStates [");
    for (size_t i = 0; i < ready->read_state_count; i++)
        out_add(out, "%s{%" PRIu64 " %" PRIu64 "}", i == 0 ? "" : " ",
                ready->read_states[i].index, ready->read_states[i].request);
    out_add(out, "]\n");
}

static bool has_hard_state(const struct raft_ready *ready)
{
    const struct raft_hard_state *state = &ready->hard_state;

    return ready->hard_state_changed &&
           (state->term != 0 || state->vote != 0 || state->commit != 0);
}

static void print_ready(struct out *out, const struct raft_ready *ready,
                        const struct wires *messages)
{
    if (ready->soft_state_changed)
        out_add(out, "Lead:%" PRIu64 " State:%s\n", ready->leader,
                text_role(ready->role));
    if (has_hard_state(ready)) {
        out_add(out, "HardState ");
        print_hard_state(out, &ready->hard_state);
        out_add(out, "\n");
    }
    print_read_states(out, ready);
    print_entry_list(out, "Entries", &ready->entries);
    if (ready->snapshot != NULL) {
        out_add(out, "Snapshot ");
        print_snapshot(out, ready->snapshot);
        out_add(out, "\n");
    }
    print_entry_list(out, "CommittedEntries", &ready->committed);
    if (messages->count > 0)
        out_add(out, "Messages:\n");
    for (size_t i = 0; i < messages->count; i++) {
        print_wire(out, "", &messages->item[i]);
        out_add(out, "\n");
    }
}

static void show_ready(struct cluster *c, const struct raft_ready *ready,
                       const struct wires *messages)
{
    struct out body = {.used = 0};

    print_ready(&body, ready, messages);
    if (body.used == 0)
        cluster_print(c, "<empty Ready>");
    else
        cluster_print(c, "Ready MustSync=%s:\n%s",
                      ready->must_sync ? "true" : "false", out_text(&body));
    out_release(&body);
}

/* ---- Messages to the threads ------------------------------------------ */

static void take_messages(struct wires *to, struct raft_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++)
        wires_push_message(to, &messages->item[i]);
}

static void push_append_response(struct wires *to, const struct node *n,
                                 const struct raft_ready *ready)
{
    struct wire w = {
        .m = {.type = RAFT_MSG_STORAGE_APPEND_RESP,
              .from = APPEND_THREAD,
              .to = node_id(n),
              .term = ready->token.term,
              .log_term = ready->token.log_term,
              .index = ready->token.index,
              .snapshot = raft_snapshot_copy(ready->snapshot)},
        .token = ready->token,
    };

    wires_push(to, &w);
}

static void push_append(struct wires *to, const struct node *n,
                        struct raft_ready *ready)
{
    struct wire w = {.m = {.type = RAFT_MSG_STORAGE_APPEND,
                           .from = node_id(n),
                           .to = APPEND_THREAD}};

    if (ready->entries.count == 0 && !has_hard_state(ready) &&
        ready->snapshot == NULL && ready->after_append.count == 0)
        return;

    if (has_hard_state(ready)) {
        w.m.term = ready->hard_state.term;
        w.m.vote = ready->hard_state.vote;
        w.m.commit = ready->hard_state.commit;
    }
    raft_entries_copy(&w.m.entries, ready->entries.item, ready->entries.count);
    w.m.snapshot = raft_snapshot_copy(ready->snapshot);
    take_messages(&w.responses, &ready->after_append);
    if (ready->token.index != 0 || ready->snapshot != NULL)
        push_append_response(&w.responses, n, ready);
    wires_push(to, &w);
}

static void push_apply(struct wires *to, const struct node *n,
                       const struct raft_ready *ready)
{
    struct wire w = {.m = {.type = RAFT_MSG_STORAGE_APPLY,
                           .from = node_id(n),
                           .to = APPLY_THREAD}};
    struct wire response = {.m = {.type = RAFT_MSG_STORAGE_APPLY_RESP,
                                  .from = APPLY_THREAD,
                                  .to = node_id(n)}};

    if (ready->committed.count == 0)
        return;

    raft_entries_copy(&w.m.entries, ready->committed.item,
                      ready->committed.count);
    raft_entries_copy(&response.m.entries, ready->committed.item,
                      ready->committed.count);
    wires_push(&w.responses, &response);
    wires_push(to, &w);
}

static void collect_messages(struct wires *to, const struct node *n,
                             struct raft_ready *ready)
{
    take_messages(to, &ready->messages);
    if (!n->async) {
        take_messages(to, &ready->after_append);
        return;
    }
    push_append(to, n, ready);
    push_apply(to, n, ready);
}

/* ---- Doing ------------------------------------------------------------ */

static const char *persist(struct node *n,
                           const struct raft_hard_state *hard_state,
                           const struct raft_snapshot *snapshot,
                           const struct raft_entries *entries)
{
    if (hard_state->term != 0 || hard_state->vote != 0 ||
        hard_state->commit != 0)
        n->storage.hard_state = *hard_state;
    if (snapshot != NULL && entries->count > 0)
        return "can't apply snapshot and entries at the same time";
    if (snapshot != NULL)
        return memory_storage_apply_snapshot(&n->storage, snapshot);
    memory_storage_append(&n->storage, entries);
    return NULL;
}

/* The state machine is the concatenation of all data. */
static struct buf *concatenate(const struct buf *a, const struct buf *b)
{
    size_t a_size = a == NULL ? 0 : a->size;
    size_t b_size = b == NULL ? 0 : b->size;
    struct buf *joined = buf_new(a_size + b_size);

    if (a_size > 0)
        memcpy(joined->data, a->data, a_size);
    if (b_size > 0)
        memcpy(joined->data + a_size, b->data, b_size);
    return joined;
}

static void apply_conf_change(struct node *n, const struct raft_entry *entry,
                              struct raft_snapshot *state)
{
    struct raft_conf_change change;

    if (raft_conf_change_decode(entry->data, &change) != 0)
        return;
    (void)raft_apply_conf_change(n->raft, &change, &state->conf_state);
    state->data = concatenate(node_last_snapshot(n)->data, change.context);
    buf_unref(change.context);
}

static void apply(struct node *n, const struct raft_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        const struct raft_entry *entry = &entries->item[i];
        struct raft_snapshot *state = raft_snapshot_copy(node_last_snapshot(n));

        buf_unref(state->data);
        state->data = NULL;
        state->index = entry->index;
        state->term = entry->term;
        if (entry->type == RAFT_ENTRY_NORMAL)
            state->data = concatenate(node_last_snapshot(n)->data, entry->data);
        else
            apply_conf_change(n, entry, state);
        n->history = mem_grow(n->history, sizeof *n->history,
                              &n->history_count_max, n->history_count + 1);
        n->history[n->history_count++] = state;
        n->storage.offered = state;
    }
}

static void queue_messages(struct cluster *c, struct node *n,
                           struct wires *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        struct wire *w = &messages->item[i];

        if (w->m.to == APPEND_THREAD)
            wires_push(&n->append_work, w);
        else if (w->m.to == APPLY_THREAD)
            wires_push(&n->apply_work, w);
        else
            wires_push(&c->messages, w);
    }
    wires_release(messages);
}

/* The write is done, then the application. */
static void complete(struct node *n, const struct raft_ready *ready)
{
    const struct raft_entries *committed = &ready->committed;

    (void)raft_append_done(n->raft, &ready->token);
    if (committed->count > 0)
        (void)raft_apply_done(n->raft,
                              committed->item[committed->count - 1].index);
}

static struct raft_hard_state persisted_state(const struct raft_ready *ready)
{
    return has_hard_state(ready) ? ready->hard_state
                                 : (struct raft_hard_state){.term = 0};
}

const char *cluster_process_ready(struct cluster *c, struct node *n)
{
    struct raft_hard_state hard_state;
    struct wires messages = {.count = 0};
    struct raft_ready ready;
    const char *why = cluster_error_text(raft_ready(n->raft, &ready));

    if (why != NULL)
        return why;

    collect_messages(&messages, n, &ready);
    show_ready(c, &ready, &messages);
    hard_state = persisted_state(&ready);
    if (!n->async) {
        why = persist(n, &hard_state, ready.snapshot, &ready.entries);
        if (why == NULL)
            apply(n, &ready.committed);
    }
    queue_messages(c, n, &messages);
    if (!n->async && why == NULL)
        complete(n, &ready);
    raft_ready_release(&ready);
    raft_check(n->raft);
    return why;
}

/* ---- Threads ---------------------------------------------------------- */

static void show_work(struct cluster *c, const struct wire *work)
{
    struct out text = {.used = 0};

    print_wire(&text, "", work);
    cluster_print(c, "Processing:\n%s\n", out_text(&text));
    out_release(&text);
}

static void show_responses(struct cluster *c, struct wires *responses)
{
    struct out text = {.used = 0};

    for (size_t i = 0; i < responses->count; i++) {
        print_wire(&text, "", &responses->item[i]);
        out_add(&text, "\n");
        wires_push(&c->messages, &responses->item[i]);
    }
    cluster_print(c, "Responses:\n%s", out_text(&text));
    out_release(&text);
    wires_release(responses);
}

const char *cluster_process_append(struct cluster *c, struct node *n)
{
    struct raft_hard_state hard_state;
    struct wires responses;
    struct wire work;
    const char *why;

    if (n->append_work.count == 0) {
        cluster_print(c, "no append work to perform");
        return NULL;
    }
    work = wires_take(&n->append_work, 0);
    responses = work.responses;
    work.responses = (struct wires){.count = 0};
    show_work(c, &work);
    hard_state =
        (struct raft_hard_state){work.m.term, work.m.vote, work.m.commit};
    why = persist(n, &hard_state, work.m.snapshot, &work.m.entries);
    if (why == NULL)
        show_responses(c, &responses);
    wires_release(&responses);
    wire_release(&work);
    return why;
}

const char *cluster_process_apply(struct cluster *c, struct node *n)
{
    struct wires responses;
    struct wire work;

    if (n->apply_work.count == 0) {
        cluster_print(c, "no apply work to perform");
        return NULL;
    }
    work = wires_take(&n->apply_work, 0);
    responses = work.responses;
    work.responses = (struct wires){.count = 0};
    show_work(c, &work);
    apply(n, &work.m.entries);
    show_responses(c, &responses);
    wire_release(&work);
    raft_check(n->raft);
    return NULL;
}
