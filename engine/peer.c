/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/peer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/check.h"
#include "engine/keys.h"
#include "engine/node.h"
#include "engine/peer_impl.h"
#include "engine/region_state.h"

enum {
    MESSAGE_SIZE_MAX = 1024 * 1024,
    MESSAGE_ENTRIES_MAX = 256, /* a frame bounds its payloads */
    INFLIGHT_COUNT_MAX = 256,
    INFLIGHT_BYTES_MAX = 16 * 1024 * 1024,
    UNCOMMITTED_BYTES_MAX = 64 * 1024 * 1024,
    COMMITTED_BYTES_PER_READY_MAX = 4 * 1024 * 1024
};

/* ---- life ---- */

static void process_task(struct env_task *task)
{
    struct peer *peer = container_of(task, struct peer, process);

    peer->process_posted = false;
    if (!peer->closed)
        peer_process(peer);
}

static void log_raft_line(void *context, enum log_level level, const char *text)
{
    const struct peer *peer = context;

    log_line(level == LOG_INFO ? LOG_DEBUG : level, "raft",
             "region=%" PRIu64 " %s", peer->region_id, text);
}

int peer_load_region(struct peer *peer)
{
    struct region region = {0};
    const struct region_peer *self;
    int rc = region_state_descriptor(peer->env->state, NULL, peer->region_id,
                                     &region);

    if (rc != 0)
        return rc;
    self = region_find_node(&region, node_id(peer->node));
    if (self == NULL || (peer->id != 0 && peer->id != self->id)) {
        region_release(&region);
        return ERR_FOREIGN;
    }
    peer->id = self->id;
    region_release(&peer->region);
    peer->region = region;
    return 0;
}

/* Nothing waits for it, but the log must stay until then. */
static void log_changed(void *context)
{
    struct peer *peer = context;

    peer->persist_pending--;
}

static void change_log(struct peer *peer, struct log_change *change)
{
    peer->persist_pending++;
    log_change_submit(change, log_changed, peer);
}

void peer_save_commit(struct peer *peer)
{
    struct hard_state state = *region_log_hard_state(peer->log);
    struct log_change *change;

    if (!peer->commit_unsaved || peer->install != NULL || peer->damaged)
        return;
    state.commit = raft_commit(peer->raft);
    change = log_change_new(peer->log);
    log_change_hard_state(change, &state);
    peer->commit_unsaved = false;
    change_log(peer, change);
}

void peer_save_commit_of(struct peer *peer, uint64_t index)
{
    struct hard_state state = *region_log_hard_state(peer->log);
    struct log_change *change;

    if (state.commit >= index)
        return;
    state.commit = index;
    change = log_change_new(peer->log);
    log_change_hard_state(change, &state);
    change_log(peer, change);
}

/* A snapshot was ingested, and the crash came before the log was reset: the
 * marker lies outside of the log, or where the log has something else. Or a
 * split has just made the region, whose log is empty but for votes. */
static void repair_log(struct peer *peer)
{
    const struct marker *marker = applier_marker(peer->applier);
    struct hard_state state = *region_log_hard_state(peer->log);
    uint64_t term = 0;
    struct log_change *change;
    int rc = region_log_term(peer->log, marker->index, &term);

    if (rc == 0 && term == marker->term)
        return;
    if (region_log_last_index(peer->log) > 0)
        log_line(LOG_WARN, "store",
                 "region=%" PRIu64
                 " the log is reset to the applied index=%" PRIu64
                 " term=%" PRIu64,
                 peer->region_id, marker->index, marker->term);
    change = log_change_new(peer->log);
    log_change_reset(change, marker->index, marker->term);
    if (state.term < marker->term) {
        /* Nothing was said in that term: it would be in the hard state. */
        state.term = marker->term;
        state.vote = 0;
        log_change_hard_state(change, &state);
    }
    change_log(peer, change);
}

/* `fresh`: it has never answered anybody, so no leader relies on it. */
static int start_raft(struct peer *peer, bool fresh)
{
    bool alone =
        peer->region.voter_count == 1 && peer->region.voters[0] == peer->id;
    struct raft_config config = {
        .id = peer->id,
        .election_ticks = ELECTION_TICKS,
        .heartbeat_ticks = HEARTBEAT_TICKS,
        .silent_ticks = alone || fresh ? 0 : ELECTION_TICKS,
        .pre_vote = true,
        .check_quorum = true,
        .step_down_on_removal = true,
        .commit_news_wait = true,
        .tell_commit_to_candidates = true,
        .disable_proposal_forwarding = true,
        .message_size_max = MESSAGE_SIZE_MAX,
        .message_entries_max = MESSAGE_ENTRIES_MAX,
        .inflight_count_max = INFLIGHT_COUNT_MAX,
        .inflight_bytes_max = INFLIGHT_BYTES_MAX,
        .uncommitted_size_max = UNCOMMITTED_BYTES_MAX,
        .committed_size_per_ready_max = COMMITTED_BYTES_PER_READY_MAX,
        .applied = peer_applied_at_start(peer),
        .random_seed = env_random(peer->env),
        .storage_ops = &peer_storage_ops,
        .storage = peer,
        .log = log_raft_line,
        .log_context = peer,
    };
    int rc = raft_new(&config, &peer->raft);

    if (rc != 0)
        return rc;
    peer->applied_index = config.applied;
    peer->replay_end = peer->damaged ? 0 : raft_commit(peer->raft);
    atomic_store(&peer->moment, config.applied);
    peer->leaderless_since_ns = env_mono_ns(peer->env);
    peer->leader_heard_ns = env_mono_ns(peer->env);
    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    if (alone)
        rc = raft_campaign(peer->raft);
    return rc;
}

static struct peer *peer_new(struct node *node, uint64_t region)
{
    struct peer *peer = mem_zalloc(sizeof *peer);

    peer->node = node;
    peer->env = node_env(node);
    peer->region_id = region;
    peer->process.run = process_task;
    TAILQ_INIT(&peer->queued);
    TAILQ_INIT(&peer->pending);
    TAILQ_INIT(&peer->index_requests);
    TAILQ_INIT(&peer->applied_waiters);
    STAILQ_INIT(&peer->apply_held);
    atomic_init(&peer->lease_until_ns, 0);
    atomic_init(&peer->read_until_ns, 0);
    atomic_init(&peer->current_ns, 0);
    atomic_init(&peer->moment, 0);
    peer->check = check_new(node, peer, region);
    return peer;
}

/* Everything but the applier is there to be read. */
static int open_log(struct peer *peer)
{
    bool fresh;
    int rc = region_log_open(&peer->log, peer->env, peer->region_id);

    if (rc != 0)
        return rc;
    /* Whatever it had answered it would have made durable before. */
    fresh = region_log_hard_state(peer->log)->term == 0;
    if (!peer_is_initialised(peer) && region_log_last_index(peer->log) > 0)
        peer_has_lost_state(peer);
    if (!peer->damaged)
        repair_log(peer);
    return start_raft(peer, fresh);
}

int peer_open(struct peer **ret, struct node *node, uint64_t region,
              struct err *e)
{
    struct peer *peer = peer_new(node, region);
    int rc = peer_load_state(peer);

    if (rc == 0)
        rc = open_log(peer);
    if (rc != 0) {
        peer_close(peer);
        return err_prefix(e, rc, "open region %" PRIu64, region);
    }
    peer_wake(peer);
    *ret = peer;
    return 0;
}

int peer_create(struct peer **ret, struct node *node, uint64_t region,
                uint64_t peer_id, struct err *e)
{
    struct peer *peer = peer_new(node, region);
    struct log_change *change;
    int rc;

    peer->id = peer_id;
    peer->region.id = region;
    peer->applier = applier_new(peer->env, region);
    peer_watch_applier(peer);
    rc = open_log(peer);
    if (rc != 0) {
        peer_close(peer);
        return err_prefix(e, rc, "create region %" PRIu64, region);
    }
    change = log_change_new(peer->log);
    log_change_peer(change, peer_id);
    change_log(peer, change);
    *ret = peer;
    return 0;
}

void peer_stop(struct peer *peer)
{
    peer->closed = true;
    if (peer->commit_news_armed)
        env_timer_stop(peer->env, &peer->commit_news);
    peer->commit_news_armed = false;
    env_timer_stop(peer->env, &peer->alarm);
    atomic_store(&peer->lease_until_ns, 0);
    atomic_store(&peer->read_until_ns, 0);
    atomic_store(&peer->current_ns, 0);
    peer_fail_proposals(peer, ERR_NOT_LEADER);
    peer_fail_index_requests(peer);
    check_on_deposed(peer->check);
    check_stop(peer->check);
}

bool peer_has_settled(const struct peer *peer)
{
    return peer->closed && peer->persist_pending == 0 &&
           peer->apply_pending == 0 && !peer->compacting &&
           !peer->process_posted && peer->install == NULL &&
           check_has_settled(peer->check);
}

void peer_drop(struct peer *peer)
{
    raft_free(peer->raft);
    region_log_free(peer->log);
    applier_free(peer->applier);
    region_release(&peer->region);
    raft_messages_release(&peer->install_after);
    raft_snapshot_free(peer->install_snapshot);
    kv_ingest_free(peer->install_ingest);
    peer->raft = NULL;
    peer->log = NULL;
    peer->applier = NULL;
    peer->install_snapshot = NULL;
    peer->install_ingest = NULL;
}

void peer_close(struct peer *peer)
{
    if (peer == NULL)
        return;
    peer_stop(peer);
    peer_drop(peer);
    check_free(peer->check);
    free(peer);
}

/* ---- inputs ---- */

static void post_process(struct peer *peer)
{
    if (peer->process_posted)
        return;
    peer->process_posted = true;
    env_post(peer->env, ENV_WORKER, &peer->process);
}

void peer_wake(struct peer *peer)
{
    peer->idle_ticks = 0;
    raft_rouse(peer->raft);
    post_process(peer);
}

void peer_check_raft(struct peer *peer, int rc)
{
    char reason[128];

    if (rc != ERR_CORRUPT)
        return;
    (void)snprintf(reason, sizeof reason,
                   "region %" PRIu64
                   ": this replica contradicts its own log or its leader's",
                   peer->region_id);
    env_fatal(peer->env, reason);
}

void peer_tick(struct peer *peer)
{
    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    peer_sleep_tick(peer);
    peer_check_raft(peer, raft_tick(peer->raft));
    peer_miss_leader(peer);
    peer_compact(peer);
    peer_damage_tick(peer);
    check_tick(peer->check);
    post_process(peer);
}

/* What passes between peers that only keep each other informed. */
static bool is_idle_talk(const struct raft_message *message)
{
    return message->type == RAFT_MSG_HEARTBEAT ||
           message->type == RAFT_MSG_HEARTBEAT_RESP;
}

void peer_step(struct peer *peer, uint64_t from_node,
               const struct raft_message *message)
{
    struct raft_message heard = *message; /* borrows */

    if (message->type == RAFT_MSG_SNAP)
        return; /* Only ever comes with a stream: peer_install_snapshot(). */
    peer_note_sender(peer, from_node, message);
    if (message->type == RAFT_MSG_HEARTBEAT &&
        !peer_agrees_to_sleep(peer, from_node))
        heard.sleep = false;
    raft_set_clock(peer->raft, env_mono_ns(peer->env));
    peer_check_raft(peer, raft_step(peer->raft, &heard));
    if (!is_idle_talk(message))
        peer->idle_ticks = 0;
    if (peer->asleep && raft_is_asleep(peer->raft))
        peer_set_alarm(peer);
    post_process(peer);
}

void peer_report_unreachable(struct peer *peer, uint64_t node_id)
{
    for (size_t i = 0; i < peer->region.peer_count; i++)
        if (peer->region.peers[i].node == node_id)
            raft_report_unreachable(peer->raft, peer->region.peers[i].id);
}

void peer_propose(struct peer *peer, struct proposal *proposal)
{
    TAILQ_INSERT_TAIL(&peer->queued, proposal, link);
    peer_wake(peer);
}

int peer_propose_checked(struct peer *peer, struct proposal *proposal,
                         peer_command_check *check)
{
    struct command command = {0};
    int rc = command_decode(&command, buf_slice(proposal->command));

    if (rc == 0 && !peer_is_serving(peer))
        rc = ERR_NOT_LEADER;
    if (rc == 0)
        rc = check(&peer->region, &command);
    command_release(&command);
    if (rc == 0)
        peer_propose(peer, proposal);
    return rc;
}

void peer_fail_proposals(struct peer *peer, int status)
{
    struct proposals failed = TAILQ_HEAD_INITIALIZER(failed);
    struct proposal *proposal;

    TAILQ_CONCAT(&failed, &peer->pending, link);
    while ((proposal = TAILQ_FIRST(&failed)) != NULL) {
        TAILQ_REMOVE(&failed, proposal, link);
        proposal->done(proposal, status, true, NULL);
    }
    TAILQ_CONCAT(&failed, &peer->queued, link);
    while ((proposal = TAILQ_FIRST(&failed)) != NULL) {
        TAILQ_REMOVE(&failed, proposal, link);
        proposal->done(proposal, status, false, NULL);
    }
}
