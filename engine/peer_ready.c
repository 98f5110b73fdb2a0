/* SPDX-License-Identifier: Apache-2.0 */

/* What a peer does with Raft's readies: see the pipeline in peer.h. */

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/check.h"
#include "engine/command.h"
#include "engine/merge_change.h"
#include "engine/node.h"
#include "engine/peer_change.h"
#include "engine/peer_impl.h"

/* ---- storage as Raft reads it ---- */

static int storage_initial_state(void *storage,
                                 struct raft_hard_state *ret_hard_state,
                                 struct raft_conf_state *ret_conf_state)
{
    struct peer *peer = storage;
    const struct hard_state *state = region_log_hard_state(peer->log);

    *ret_hard_state = (struct raft_hard_state){
        .term = state->term, .vote = state->vote, .commit = state->commit};
    region_conf_state(&peer->region, ret_conf_state);
    return 0;
}

static int storage_entries(void *storage, uint64_t first, uint64_t end,
                           uint64_t size_max, struct raft_entries *entries)
{
    struct peer *peer = storage;

    return region_log_entries(peer->log, first, end, size_max, entries);
}

static int storage_term(void *storage, uint64_t index, uint64_t *ret_term)
{
    struct peer *peer = storage;

    return region_log_term(peer->log, index, ret_term);
}

static uint64_t storage_first_index(void *storage)
{
    struct peer *peer = storage;

    return region_log_first_index(peer->log);
}

static uint64_t storage_last_index(void *storage)
{
    struct peer *peer = storage;

    return region_log_last_index(peer->log);
}

/* The state's marker is the snapshot's position; what is sent is read from
 * state/ when the message leaves, so it may be newer by then: see
 * snapshot.h. */
static int storage_snapshot(void *storage, uint64_t to_peer, uint64_t index_min,
                            struct raft_snapshot *ret)
{
    struct peer *peer = storage;
    uint64_t term = 0;
    int rc;

    (void)to_peer;
    if (peer->applied_index < index_min || peer->damaged)
        return ERR_UNAVAILABLE;
    rc = region_log_term(peer->log, peer->applied_index, &term);
    if (rc != 0)
        return ERR_UNAVAILABLE;
    *ret = (struct raft_snapshot){.index = peer->applied_index, .term = term};
    region_conf_state(&peer->region, &ret->conf_state);
    return 0;
}

const struct raft_storage_ops peer_storage_ops = {
    .initial_state = storage_initial_state,
    .entries = storage_entries,
    .term = storage_term,
    .first_index = storage_first_index,
    .last_index = storage_last_index,
    .snapshot = storage_snapshot,
};

/* ---- proposing ---- */

static void take_in(struct peer *peer, uint64_t first_index)
{
    struct proposal *proposal;
    uint64_t term = raft_term(peer->raft);

    while ((proposal = TAILQ_FIRST(&peer->queued)) != NULL) {
        TAILQ_REMOVE(&peer->queued, proposal, link);
        proposal->index = first_index++;
        proposal->term = term;
        TAILQ_INSERT_TAIL(&peer->pending, proposal, link);
    }
}

static void refuse(struct peer *peer, int status)
{
    struct proposals refused = TAILQ_HEAD_INITIALIZER(refused);
    struct proposal *proposal;

    TAILQ_CONCAT(&refused, &peer->queued, link);
    while ((proposal = TAILQ_FIRST(&refused)) != NULL) {
        TAILQ_REMOVE(&refused, proposal, link);
        proposal->done(proposal, status, false, NULL);
    }
}

/* A frozen region takes nothing but what ends that. */
static bool is_for_frozen(const struct proposal *proposal)
{
    enum command_op op = command_peek_op(proposal->command);

    return op == COMMAND_FREEZE || op == COMMAND_UNFREEZE;
}

static bool would_have_effect(const struct peer *peer,
                              const struct proposal *proposal)
{
    uint64_t version = command_peek_version(proposal->command);

    if (region_is_frozen(&peer->region) && !is_for_frozen(proposal))
        return false;
    return version == 0 || version == peer->region.version;
}

/* What was meant for the region before it split or merged would only be
 * applied without effect. */
static void refuse_other_versions(struct peer *peer)
{
    struct proposal *proposal;
    struct proposal *next;

    for (proposal = TAILQ_FIRST(&peer->queued); proposal != NULL;
         proposal = next) {
        next = TAILQ_NEXT(proposal, link);
        if (would_have_effect(peer, proposal))
            continue;
        TAILQ_REMOVE(&peer->queued, proposal, link);
        proposal->done(proposal, ERR_EPOCH, false, NULL);
    }
}

/* All that came in during one turn is one batch. */
static void propose_queued(struct peer *peer)
{
    struct raft_entry *entries = NULL;
    struct proposal *proposal;
    size_t count_max = 0;
    size_t count = 0;
    uint64_t first_index = 0;
    int rc;

    if (TAILQ_EMPTY(&peer->queued))
        return;
    if (peer->damaged) {
        refuse(peer, ERR_NOT_LEADER);
        return;
    }
    refuse_other_versions(peer);
    TAILQ_FOREACH (proposal, &peer->queued, link) {
        entries = mem_grow(entries, sizeof *entries, &count_max, count + 1);
        entries[count++] = (struct raft_entry){.type = RAFT_ENTRY_NORMAL,
                                               .data = proposal->command};
    }
    if (count == 0)
        return;
    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    rc = raft_propose(peer->raft, entries, count, &first_index);
    free(entries);
    if (rc == 0 && first_index != 0)
        take_in(peer, first_index);
    else
        refuse(peer, rc == ERR_DROPPED ? ERR_DROPPED : ERR_NOT_LEADER);
}

/* ---- sending ---- */

static void send_messages(struct peer *peer, struct raft_messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        const struct raft_message *message = &messages->item[i];
        uint64_t node_to = peer_node_of(peer, message->to);

        if (node_to == 0)
            continue; /* Left the region meanwhile. */
        if (message->type == RAFT_MSG_SNAP) {
            peer->snapshots_sent++;
            node_send_snapshot(peer->node, peer, node_to, message);
        } else {
            node_send_raft(peer->node, node_to, peer->region_id, message);
        }
    }
}

/* ---- persisting ---- */

struct persist {
    struct peer *peer;
    struct raft_messages after_append;
    struct raft_append_token token;
};

void peer_persisted(struct peer *peer, struct raft_messages *after_append,
                    const struct raft_append_token *token)
{
    send_messages(peer, after_append);
    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    peer_check_raft(peer, raft_append_done(peer->raft, token));
}

static void persist_done(void *context)
{
    struct persist *persist = context;
    struct peer *peer = persist->peer;

    peer->persist_pending--;
    if (!peer->closed) {
        peer_persisted(peer, &persist->after_append, &persist->token);
        peer_process(peer);
    }
    raft_messages_release(&persist->after_append);
    free(persist);
}

static void persist_start(struct peer *peer, struct raft_ready *ready)
{
    struct persist *persist = mem_zalloc(sizeof *persist);
    struct log_change *change = log_change_new(peer->log);
    struct hard_state state = {.term = ready->hard_state.term,
                               .vote = ready->hard_state.vote,
                               .commit = ready->hard_state.commit};

    persist->peer = peer;
    persist->token = ready->token;
    persist->after_append = ready->after_append;
    ready->after_append = (struct raft_messages){0};
    log_change_append(change, &ready->entries);
    if (ready->hard_state_changed || peer->commit_unsaved)
        log_change_hard_state(change, &state);
    peer->commit_unsaved = false;
    peer->persist_pending++;
    log_change_submit(change, persist_done, persist);
}

/* A new commit index alone is not worth a sync: it goes with the next one,
 * and after a restart Raft finds it out again. */
static void persist(struct peer *peer, struct raft_ready *ready)
{
    if (ready->hard_state_changed && !ready->must_sync)
        peer->commit_unsaved = true;
    if (ready->must_sync || peer->persist_pending > 0)
        persist_start(peer, ready);
    else
        peer_persisted(peer, &ready->after_append, &ready->token);
}

/* ---- applying ---- */

/* Normal entries, or one alone that changes the region itself. */
struct apply_batch {
    struct env_task task;      /* to ENV_APPLY */
    struct env_task done_task; /* and back */
    struct peer *peer;
    struct raft_entries entries;
    struct buf **results; /* NULL: nobody waits */
    bool want_results;
    bool only_replica;
    bool lacks_source;      /* of the region that its entry takes over */
    uint64_t corrupt_index; /* of the entry that met a damaged record, or 0 */
    struct buf *region;     /* of a membership entry that changes something */
    struct peer_split *split;
    struct peer_merge *merge;
};

/* Answers whoever proposed the entry, and whoever lost his place to it. */
static void answer(struct peer *peer, const struct raft_entry *entry,
                   struct buf *result)
{
    struct proposal *proposal;

    while ((proposal = TAILQ_FIRST(&peer->pending)) != NULL &&
           proposal->index <= entry->index) {
        bool own = proposal->index == entry->index &&
                   proposal->term == entry->term && result != NULL;

        TAILQ_REMOVE(&peer->pending, proposal, link);
        proposal->done(proposal, own ? 0 : ERR_NOT_LEADER, false,
                       own ? result : NULL);
    }
}

static void batch_applied(struct peer *peer, const struct apply_batch *batch)
{
    uint64_t last = batch->entries.item[batch->entries.count - 1].index;

    peer->idle_ticks = 0;
    for (size_t i = 0; i < batch->entries.count; i++)
        answer(peer, &batch->entries.item[i], batch->results[i]);
    peer_check_raft(peer, raft_apply_done(peer->raft, last));
    peer_on_applied(peer, last);
}

/* What the batch did before it met the record stays; its proposers ask again
 * elsewhere. A state that is being replaced already need not be marked. */
static void batch_failed(struct peer *peer, const struct apply_batch *batch)
{
    const char *why = batch->lacks_source
                          ? "takes over a region that is not whole here"
                          : "met a bad record";
    char what[96];

    if (peer->install != NULL)
        return;
    (void)snprintf(what, sizeof what, "entry %" PRIu64 " %s",
                   batch->corrupt_index, why);
    if (!peer_found_damage(peer, what))
        env_fatal(peer->env, what); /* Nobody else could go on. */
}

static void apply_done(struct env_task *task)
{
    struct apply_batch *batch =
        container_of(task, struct apply_batch, done_task);
    struct peer *peer = batch->peer;

    peer->apply_pending--;
    if (batch->split != NULL)
        peer_finish_split(peer, batch->split, batch->corrupt_index == 0);
    if (batch->merge != NULL)
        peer_finish_merge(peer, batch->merge, batch->corrupt_index == 0);
    if (!peer->closed) {
        if (batch->corrupt_index == 0)
            batch_applied(peer, batch);
        else
            batch_failed(peer, batch);
        peer_continue_install(peer);
        peer_process(peer);
        peer_look_whether_removed(peer);
    }
    for (size_t i = 0; i < batch->entries.count; i++)
        buf_unref(batch->results[i]);
    raft_entries_release(&batch->entries);
    buf_unref(batch->region);
    free(batch->results);
    free(batch);
}

static int apply_entry(struct apply_batch *batch, size_t at)
{
    struct applier *applier = batch->peer->applier;
    const struct raft_entry *entry = &batch->entries.item[at];
    int rc;

    if (entry->type != RAFT_ENTRY_NORMAL)
        return applier_apply_region(applier, entry, batch->region);
    if (batch->split != NULL)
        rc = peer_apply_split(batch->peer, batch->split, entry,
                              &batch->results[at]);
    else if (batch->merge != NULL)
        rc = peer_apply_merge(batch->peer, batch->merge, entry,
                              &batch->results[at]);
    else
        rc = applier_apply(applier, entry, &batch->results[at]);
    if (rc == ERR_CORRUPT && batch->only_replica && !batch->lacks_source)
        rc = applier_skip(applier, entry, &batch->results[at]);
    if (rc == 0 && !batch->want_results) {
        buf_unref(batch->results[at]);
        batch->results[at] = NULL;
    }
    return rc;
}

/* On ENV_APPLY. Another failure than ERR_CORRUPT has ended the node
 * (applier.h). */
static void apply_run(struct env_task *task)
{
    struct apply_batch *batch = container_of(task, struct apply_batch, task);
    int rc = 0;

    for (size_t i = 0; i < batch->entries.count && rc == 0; i++) {
        rc = apply_entry(batch, i);
        if (rc == ERR_CORRUPT)
            batch->corrupt_index = batch->entries.item[i].index;
    }
    if (rc == 0 || rc == ERR_CORRUPT)
        env_post(batch->peer->env, ENV_WORKER, &batch->done_task);
}

static bool is_split(const struct raft_entry *entry)
{
    return entry->type == RAFT_ENTRY_NORMAL && entry->data != NULL &&
           command_peek_op(entry->data) == COMMAND_SPLIT;
}

static bool is_merge(const struct raft_entry *entry)
{
    enum command_op op;

    if (entry->type != RAFT_ENTRY_NORMAL || entry->data == NULL)
        return false;
    op = command_peek_op(entry->data);
    return op >= COMMAND_MERGE && op <= COMMAND_UNFREEZE;
}

/* Does not change the region itself. */
static bool is_plain(const struct raft_entry *entry)
{
    return entry->type == RAFT_ENTRY_NORMAL && !is_split(entry) &&
           !is_merge(entry);
}

static size_t size_of(const struct raft_entries *entries)
{
    size_t size = 0;

    for (size_t i = 0; i < entries->count; i++)
        if (entries->item[i].data != NULL)
            size += entries->item[i].data->size;
    return size;
}

/* Takes over the entries. */
static void apply_batch_start(struct peer *peer, struct raft_entries *entries)
{
    struct apply_batch *batch = mem_zalloc(sizeof *batch);

    batch->peer = peer;
    batch->task.run = apply_run;
    batch->done_task.run = apply_done;
    batch->entries = *entries;
    *entries = (struct raft_entries){0};
    batch->results = mem_zalloc(batch->entries.count * sizeof *batch->results);
    batch->want_results = !TAILQ_EMPTY(&peer->pending);
    batch->only_replica = !peer_has_other_voter(peer);
    if (batch->entries.item[0].type != RAFT_ENTRY_NORMAL)
        batch->region = peer_change_members(peer, &batch->entries.item[0]);
    else if (is_split(&batch->entries.item[0]))
        batch->split = peer_start_split(peer, &batch->entries.item[0]);
    else if (is_merge(&batch->entries.item[0]))
        batch->merge = peer_start_merge(peer, &batch->entries.item[0],
                                        &batch->lacks_source);
    peer->written_bytes += size_of(&batch->entries);
    peer->apply_pending++;
    env_post(peer->env, ENV_APPLY, &batch->task);
}

/* How many of the entries from `first` on make one batch. */
static size_t batch_length(const struct raft_entries *entries, size_t first)
{
    size_t end = first + 1;

    while (is_plain(&entries->item[first]) && end < entries->count &&
           is_plain(&entries->item[end]))
        end++;
    return end - first;
}

static void apply(struct peer *peer, struct raft_ready *ready)
{
    struct raft_entries *committed = &ready->committed;
    size_t length;

    if (committed->count == 0 || peer->damaged)
        return;
    assert(!peer_install_blocks_apply(peer));
    length = batch_length(committed, 0);
    if (length == committed->count) {
        apply_batch_start(peer, committed);
        return;
    }
    for (size_t i = 0; i < committed->count; i += length) {
        struct raft_entries part;

        length = batch_length(committed, i);
        raft_entries_copy(&part, &committed->item[i], length);
        apply_batch_start(peer, &part);
    }
}

/* ---- the rest ---- */

static void answer_index_requests(struct peer *peer,
                                  const struct raft_ready *ready)
{
    for (size_t i = 0; i < ready->read_state_count; i++) {
        const struct raft_read_state *state = &ready->read_states[i];
        struct index_request *request;

        TAILQ_FOREACH (request, &peer->index_requests, link)
            if (request->id == state->request)
                break;
        if (request == NULL)
            continue;
        TAILQ_REMOVE(&peer->index_requests, request, link);
        request->done(request, 0, state->index);
    }
}

static void note_leader(struct peer *peer)
{
    uint64_t leader = peer_leader_node(peer);

    if (leader != 0)
        peer->leaderless_since_ns = 0;
    else if (peer->leaderless_since_ns == 0)
        peer->leaderless_since_ns = env_mono_ns(peer->env);
    if (leader == peer->leader_noted)
        return;
    peer->leader_noted = leader;
    node_on_leader_change(peer->node, peer);
}

static void note_role(struct peer *peer, const struct raft_ready *ready)
{
    if (!ready->soft_state_changed)
        return;
    note_leader(peer);
    if (peer->role == RAFT_LEADER && ready->role != RAFT_LEADER) {
        peer_fail_proposals(peer, ERR_NOT_LEADER);
        peer_fail_index_requests(peer);
        check_on_deposed(peer->check);
    }
    peer->role = ready->role;
}

static void do_ready(struct peer *peer, struct raft_ready *ready)
{
    peer_publish_lease(peer);
    send_messages(peer, &ready->messages);
    if (ready->snapshot != NULL)
        peer_start_install(peer, ready);
    else
        persist(peer, ready);
    apply(peer, ready);
    answer_index_requests(peer, ready);
    note_role(peer, ready);
}

void peer_process(struct peer *peer)
{
    propose_queued(peer);
    while (peer->install == NULL && raft_has_ready(peer->raft)) {
        struct raft_ready ready;
        int rc = raft_ready(peer->raft, &ready);

        if (rc != 0) {
            peer_check_raft(peer, rc);
            break;
        }
        do_ready(peer, &ready);
        raft_ready_release(&ready);
    }
    peer_publish_lease(peer);
    peer_note_commit(peer);
    peer_note_sleep(peer);
}
