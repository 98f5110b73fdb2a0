/* SPDX-License-Identifier: Apache-2.0 */

/* The way of committed entries to the owner that applies them, and back with
 * their results: see the pipeline in peer.h.
 *
 * An owner has the regions that env_apply_owner() says, and takes the batches
 * of each in the order of its log. One kind of entry needs more than its own
 * region: a target that takes a source over deletes what is the source's, and
 * goes on with what that remembers (applier_merge.c). So its batch goes to the
 * source's owner first, behind all that this one has been given, and the
 * target's later ones are held meanwhile. The source gives its owner nothing
 * more: it was stopped when the entry was handed out (replicas_on_merge()), and
 * as it was frozen, durably, before the entry was proposed (merge.h), it is not
 * a target that waits in turn. */

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/check.h"
#include "engine/command.h"
#include "engine/modes.h"
#include "engine/node.h"
#include "engine/peer_impl.h"

/* What reads it next would meet the same. */
static void follow_catalog(void *context, uint64_t nsid, uint64_t version)
{
    struct peer *peer = context;
    char reason[128];
    int rc =
        modes_follow(node_modes(peer->node), peer->env->state, nsid, version);

    if (rc == 0)
        return;
    (void)snprintf(reason, sizeof reason,
                   "region %" PRIu64 ": cannot read directory %" PRIu64 ": %s",
                   peer->region_id, nsid, err_text(rc));
    env_fatal(peer->env, reason);
}

void peer_watch_applier(struct peer *peer)
{
    applier_watch(peer->applier, check_on_command, peer->check);
    if (peer->region_id == REGION_PLACEMENT)
        applier_watch_catalog(peer->applier, follow_catalog, peer);
}

/* Normal entries, or one alone that changes the region itself. */
struct apply_batch {
    struct env_task task;      /* to the region's owner */
    struct env_task done_task; /* and back */
    STAILQ_ENTRY(apply_batch) link;
    struct peer *peer;
    uint64_t source; /* of a merge, until all of it is applied; 0: none */
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

/* On the region's owner. Another failure than ERR_CORRUPT has ended the node
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

/* ---- to the owners ---- */

static void post_held(struct peer *peer);

static void source_is_applied(struct env_task *task)
{
    struct apply_batch *batch =
        container_of(task, struct apply_batch, done_task);

    batch->source = 0;
    post_held(batch->peer);
}

/* On the source's owner, behind all that it was given to apply there. */
static void behind_source(struct env_task *task)
{
    struct apply_batch *batch = container_of(task, struct apply_batch, task);

    batch->done_task.run = source_is_applied;
    env_post(batch->peer->env, ENV_WORKER, &batch->done_task);
}

static void post(struct apply_batch *batch, uint64_t region)
{
    struct env *env = batch->peer->env;

    env_post(env, env_apply_owner(env, region), &batch->task);
}

/* What comes behind a batch that waits for another owner waits with it. */
static void post_held(struct peer *peer)
{
    struct apply_batch *batch;

    while ((batch = STAILQ_FIRST(&peer->apply_held)) != NULL) {
        if (batch->source != 0) {
            batch->task.run = behind_source;
            post(batch, batch->source);
            return;
        }
        STAILQ_REMOVE_HEAD(&peer->apply_held, link);
        batch->task.run = apply_run;
        batch->done_task.run = apply_done;
        post(batch, peer->region_id);
    }
}

bool peer_awaits_source(const struct peer *peer)
{
    return !STAILQ_EMPTY(&peer->apply_held);
}

static void hand_over(struct apply_batch *batch)
{
    struct peer *peer = batch->peer;
    bool waits = peer_awaits_source(peer);

    peer->apply_pending++;
    STAILQ_INSERT_TAIL(&peer->apply_held, batch, link);
    if (!waits)
        post_held(peer);
}

/* ---- batches ---- */

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
    if (batch->merge != NULL)
        batch->source = peer_merge_source(batch->merge);
    peer->written_bytes += size_of(&batch->entries);
    hand_over(batch);
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

void peer_apply(struct peer *peer, struct raft_ready *ready)
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
