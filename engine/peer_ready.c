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

enum { LEADERLESS_MS = 1000 };

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
    peer->leader_missed = leader == 0;
    node_on_leader_change(peer->node, peer);
}

/* While it passes from one to another there is none, which is no news. */
void peer_miss_leader(struct peer *peer)
{
    if (!peer->leader_missed ||
        peer_leaderless_ns(peer) < LEADERLESS_MS * UINT64_C(1000000))
        return;
    peer->leader_missed = false;
    node_log_event(peer->node, LOG_WARN,
                   "region %" PRIu64 ": no leader for a second",
                   peer->region_id);
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
    peer_publish_reads(peer);
    send_messages(peer, &ready->messages);
    if (ready->snapshot != NULL)
        peer_start_install(peer, ready);
    else
        persist(peer, ready);
    peer_apply(peer, ready);
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
    peer_publish_reads(peer);
    peer_note_commit(peer);
    peer_note_sleep(peer);
}
