/* SPDX-License-Identifier: Apache-2.0 */

/* Restoring a snapshot, the longest way through a peer:
 *
 *     peer_install_snapshot     MsgSnap is stepped into Raft; if Raft does not
 *          |                    want it, that is all
 *     peer_start_install        its ready came; from here on no further ready
 *          |                    is taken, so nothing new is applied, persisted
 *          |                    or acknowledged
 *     (applier idle)
 *          |
 *     finish_ingest             ENV_BULK: state/ switches over, durably
 *          |
 *     reset_log                 log/ starts behind the snapshot, with the hard
 *          |                    state of the ready
 *     (durable)
 *          |
 *     reload_applier            on the region's owner: marker and results are
 *          |                    read anew, and the modes of directories
 *          |
 *     finish_install            the descriptor too; Raft is told, the messages
 *                               that waited leave, and readies flow again
 *
 * A crash before the ingest is finished leaves the old state and the old log;
 * one between it and the log's reset is repaired by peer_open(), which sees a
 * marker that the log does not have. Earlier log changes may still be under
 * way when the log is reset: they are durable before it. */

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "engine/check.h"
#include "engine/node.h"
#include "engine/peer_impl.h"
#include "engine/snapshot.h"

static void fatal(struct peer *peer, const char *what, const char *why)
{
    char reason[256];

    (void)snprintf(reason, sizeof reason,
                   "region %" PRIu64 ": restore snapshot: %s: %.120s",
                   peer->region_id, what, why);
    env_fatal(peer->env, reason);
}

/* ---- worker: the end ---- */

static void finish_install(struct env_task *task)
{
    struct peer *peer = container_of(task, struct peer, install_done_task);
    struct snapshot_install *install = peer->install;
    uint64_t index = peer->install_snapshot->index;
    int rc;

    if (peer->closed)
        return;
    rc = peer->install_status;
    if (rc == 0)
        rc = peer_load_region(peer);
    if (rc != 0) {
        fatal(peer, "read it back", err_text(rc));
        return;
    }
    raft_snapshot_free(peer->install_snapshot);
    peer->install_snapshot = NULL;
    peer->install = NULL;
    peer->installing = false;
    peer->snapshots_restored++;
    check_on_restored(peer->check);
    peer_damage_mended(peer);
    node_log_event(peer->node, LOG_INFO,
                   "region %" PRIu64 ": restored a snapshot at index %" PRIu64,
                   peer->region_id, index);
    node_on_peer_restored(peer->node, peer);
    peer_persisted(peer, &peer->install_after, &peer->install_token);
    raft_messages_release(&peer->install_after);
    peer_on_applied(peer, index);
    install->done(install, 0);
    peer_process(peer);
}

/* ---- apply: what is remembered of the old state ---- */

static void reload_applier(struct env_task *task)
{
    struct peer *peer = container_of(task, struct peer, install_task);

    peer->install_status = applier_reload(peer->applier);
    if (peer->install_status == 0 && peer->region_id == REGION_PLACEMENT)
        peer->install_status = node_reload_catalog(peer->node);
    env_post(peer->env, ENV_WORKER, &peer->install_done_task);
}

/* ---- worker: the log ---- */

static void log_reset_done(void *context)
{
    struct peer *peer = context;

    peer->persist_pending--;
    if (peer->closed)
        return;
    peer->install_task.run = reload_applier;
    peer->install_done_task.run = finish_install;
    env_post(peer->env, env_apply_owner(peer->env, peer->region_id),
             &peer->install_task);
}

static void reset_log(struct env_task *task)
{
    struct peer *peer = container_of(task, struct peer, install_done_task);
    const struct raft_snapshot *snapshot = peer->install_snapshot;
    struct log_change *change;

    if (peer->closed)
        return;
    kv_ingest_free(peer->install_ingest);
    peer->install_ingest = NULL;
    change = log_change_new(peer->log);
    log_change_reset(change, snapshot->index, snapshot->term);
    log_change_hard_state(change, &peer->install_hard_state);
    peer->commit_unsaved = false;
    peer->persist_pending++;
    log_change_submit(change, log_reset_done, peer);
}

/* ---- bulk: the state ---- */

/* The range may have become smaller since this replica was up to date. Not
 * before the applier is idle: a split that it still had to apply has made a
 * neighbour of what was left over. The descriptor rests meanwhile. */
static int clear_leftovers(struct peer *peer, struct err *e)
{
    struct key_range ranges[SNAPSHOT_LEFTOVERS_MAX];
    size_t count = 0;
    int rc = 0;

    if (peer_is_initialised(peer))
        count =
            snapshot_leftovers(&peer->region, peer->install->region, ranges);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = kv_ingest_replace_range(peer->install_ingest,
                                     key_slice(&ranges[i].begin),
                                     key_slice(&ranges[i].end), e);
    return rc;
}

/* Raft has accepted the snapshot and would not know how to go back: a failure
 * here ends the node, and the next start finds the old state.
 *
 * An ingest is durable at once. What was written before has to be so, too:
 * above all the split of a neighbour that has made room for this region. Were
 * it forgotten, the neighbour would have to apply once more what is the
 * region's by now. */
static void finish_ingest(struct env_task *task)
{
    struct peer *peer = container_of(task, struct peer, install_task);
    struct err e = ERR_INIT;
    int rc = clear_leftovers(peer, &e);

    if (rc == 0)
        rc = kv_flush(peer->env->state, true, &e);
    if (rc == 0)
        rc = kv_ingest_finish(peer->install_ingest, &e);
    if (rc != 0) {
        fatal(peer, "switch over", e.text[0] != '\0' ? e.text : err_text(rc));
        return;
    }
    env_post(peer->env, ENV_WORKER, &peer->install_done_task);
}

/* ---- worker: the beginning ---- */

bool peer_install_blocks_apply(const struct peer *peer)
{
    return peer->install != NULL;
}

void peer_continue_install(struct peer *peer)
{
    if (peer->install == NULL || peer->installing || peer->apply_pending > 0)
        return;
    peer->installing = true;
    peer->install_task.run = finish_ingest;
    peer->install_done_task.run = reset_log;
    env_post(peer->env, ENV_BULK, &peer->install_task);
}

void peer_start_install(struct peer *peer, struct raft_ready *ready)
{
    assert(peer->install == NULL);
    assert(peer->install_offered != NULL);
    assert(ready->entries.count == 0);
    assert(ready->committed.count == 0);

    peer->install = peer->install_offered;
    peer->install_offered = NULL;
    peer->install_ingest = peer->install->ingest;
    peer->install->ingest = NULL;
    peer->install_snapshot = ready->snapshot;
    ready->snapshot = NULL;
    peer->install_after = ready->after_append;
    ready->after_append = (struct raft_messages){0};
    peer->install_token = ready->token;
    peer->install_hard_state =
        (struct hard_state){.term = ready->hard_state.term,
                            .vote = ready->hard_state.vote,
                            .commit = ready->hard_state.commit};
    peer_publish_reads(peer);
    peer_continue_install(peer);
}

void peer_install_snapshot(struct peer *peer, struct snapshot_install *install,
                           const struct raft_message *message)
{
    assert(message->type == RAFT_MSG_SNAP);

    if (peer->install != NULL || peer_is_replaying(peer)) {
        install->done(install, ERR_BUSY);
        return;
    }
    peer->install_offered = install;
    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    peer_check_raft(peer, raft_step(peer->raft, message));
    peer_process(peer);
    if (peer->install_offered == NULL)
        return; /* Taken. */
    peer->install_offered = NULL;
    install->done(install, ERR_STALE);
}

/* ---- the sender's side ---- */

void peer_snapshot_sent(struct peer *peer, uint64_t to_peer, bool ok)
{
    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    raft_report_snapshot(peer->raft, to_peer, ok);
    peer_wake(peer);
}
