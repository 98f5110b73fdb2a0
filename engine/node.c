/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/node.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/check.h"
#include "engine/clocks.h"
#include "engine/disks.h"
#include "engine/event_log.h"
#include "engine/event_watch.h"
#include "engine/eventual.h"
#include "engine/floor_change.h"
#include "engine/flow.h"
#include "engine/liveness.h"
#include "engine/members.h"
#include "engine/merge.h"
#include "engine/mode_change.h"
#include "engine/modes.h"
#include "engine/node_impl.h"
#include "engine/outbox.h"
#include "engine/placement.h"
#include "engine/pull.h"
#include "engine/reader.h"
#include "engine/replicas.h"
#include "engine/reporter.h"
#include "engine/restamp.h"
#include "engine/router.h"
#include "engine/snapshot.h"
#include "engine/splitter.h"
#include "engine/stamps.h"
#include "engine/status.h"
#include "engine/txn.h"

/* ---- eventual changes ---- */

static bool own_clock_is_wrong(void *context)
{
    struct node *node = context;

    return node_clock_is_wrong(node, node_id(node));
}

static int read_own_clock(void *context, uint64_t *ret_wall_ns)
{
    const struct node *node = context;

    return clocks_read(node->clocks, ret_wall_ns);
}

static bool own_disk_is_full(void *context)
{
    const struct node *node = context;

    return disks_own_is_full(node->disks);
}

static void flush_eventual(void *context)
{
    node_flush_state(context);
}

static void save_catalog(void *context)
{
    struct node *node = context;
    struct peer *placement = node_peer(node, REGION_PLACEMENT);

    if (placement != NULL)
        peer_save_commit(placement);
}

static void on_mode(void *context, uint64_t nsid, struct mode before,
                    struct mode mode)
{
    struct node *node = context;

    eventual_on_mode(node->eventual, nsid, before, mode);
}

static int open_eventual(struct node *node, struct err *e)
{
    const struct peer *placement = node_any_peer(node, REGION_PLACEMENT);

    if (placement != NULL && peer_is_damaged(placement))
        modes_distrust(node->modes);
    modes_watch(node->modes, on_mode, node);
    node->eventual = eventual_new(&(struct eventual_config){
        .env = node->env,
        .node = node_id(node),
        .boot = node->config.identity.boot,
        .modes = node->modes,
        .clock_is_wrong = own_clock_is_wrong,
        .read_clock = read_own_clock,
        .disk_is_full = own_disk_is_full,
        .flush = flush_eventual,
        .save_catalog = save_catalog,
        .context = node,
    });
    node->pulls = pulls_new(node);
    node->mode_changes = mode_changes_new(node);
    node->floor_changes = floor_changes_new(node);
    node->restamps = restamps_new(node);
    return eventual_open(node->eventual, e);
}

int node_reload_catalog(struct node *node)
{
    int rc = modes_load(node->modes, node->env->state);

    return rc == 0 ? eventual_sweep(node->eventual) : rc;
}

/* ---- life ---- */

/* A damaged catalog is rebuilt by others, which takes a node that runs. */
static int load_modes(struct node *node, struct err *e)
{
    int rc = modes_load(node->modes, node->env->state);

    node->modes_damaged = rc == ERR_CORRUPT;
    if (rc == 0 || node->modes_damaged)
        return 0;
    return err_set(e, rc, "read the modes of directories");
}

int node_open(struct node **ret, struct env *env,
              const struct node_config *config, struct err *e)
{
    struct node *node = mem_zalloc(sizeof *node);
    int rc;

    node->env = env;
    node->config = *config;
    node->stamps = stamps_new(env, &config->identity, config->ino_next);
    node->events = event_log_new();
    node->event_watch = event_watch_new(env, node->events);
    node->outbox = outbox_new(env);
    node->liveness = liveness_new(node);
    node->modes = modes_new(config->identity.node_id);
    node->replicas = replicas_new(node);
    node->router = router_new(node);
    node->reader = reader_new(node);
    node->txns = txns_new(node);
    node->flows = flows_new(node);
    node->members = members_new(node);
    node->merges = merges_new(node);
    node->snapshots = snapshots_new(node);
    node->splitter = splitter_new(node);
    node->board = status_board_new(node);
    node->clocks = clocks_new(node);
    node->reporter = reporter_new(node);
    node->placement = placement_new(node);
    node->disks = disks_new(node);
    rc = load_modes(node, e);
    if (rc == 0)
        rc = replicas_open(node->replicas, e);
    if (rc == 0)
        rc = open_eventual(node, e);
    if (rc != 0) {
        node_close(node);
        return rc;
    }
    *ret = node;
    return 0;
}

void node_close(struct node *node)
{
    if (node == NULL)
        return;
    mode_changes_free(node->mode_changes);
    floor_changes_free(node->floor_changes);
    restamps_free(node->restamps);
    pulls_free(node->pulls);
    eventual_free(node->eventual);
    placement_free(node->placement);
    reporter_free(node->reporter);
    splitter_free(node->splitter);
    snapshots_free(node->snapshots);
    replicas_free(node->replicas);
    modes_free(node->modes);
    members_free(node->members);
    merges_free(node->merges);
    flows_free(node->flows);
    txns_free(node->txns);
    reader_free(node->reader);
    router_free(node->router);
    disks_free(node->disks);
    clocks_free(node->clocks);
    status_board_free(node->board);
    liveness_free(node->liveness);
    outbox_free(node->outbox);
    event_watch_free(node->event_watch);
    event_log_free(node->events);
    stamps_free(node->stamps);
    free(node);
}

void node_stop(struct node *node)
{
    struct peer *peer = NULL;

    while ((peer = node_next_peer(node, peer)) != NULL)
        check_stop(peer_check(peer));
    env_timer_stop(node->env, &node->tick);
    env_timer_stop(node->env, &node->retire_timer);
    placement_stop(node->placement);
    members_stop(node->members);
    splitter_stop(node->splitter);
    flows_stop(node->flows);
    mode_changes_stop(node->mode_changes);
    floor_changes_stop(node->floor_changes);
    restamps_stop(node->restamps);
    pulls_stop(node->pulls);
    eventual_stop(node->eventual);
    merges_stop(node->merges);
    txns_stop(node->txns);
    reader_stop(node->reader);
    router_stop(node->router);
    snapshots_stop(node->snapshots);
}

/* ---- once a tick, once a second ---- */

static void each_second(struct node *node)
{
    if (node->retired == NULL) {
        node_follow_root_leader(node);
        members_tick(node->members);
    }
    replicas_each_second(node->replicas);
    disks_each_second(node->disks);
    txns_tick(node->txns);
    merges_tick(node->merges);
    splitter_each_second(node->splitter);
    snapshots_tick(node->snapshots);
    status_board_tick(node->board);
    clocks_each_second(node->clocks);
    reporter_each_second(node->reporter);
    placement_each_second(node->placement);
    eventual_tick(node->eventual);
    mode_changes_each_second(node->mode_changes);
    floor_changes_each_second(node->floor_changes);
    restamps_each_second(node->restamps);
}

static void on_tick(struct env_timer *timer)
{
    struct node *node = container_of(timer, struct node, tick);

    env_timer_start(node->env, &node->tick, (uint64_t)TICK_MS * 1000000);
    liveness_tick(node->liveness);
    clocks_tick(node->clocks);
    replicas_tick(node->replicas);
    reporter_tick(node->reporter);
    disks_tick(node->disks);
    pulls_tick(node->pulls);
    restamps_tick(node->restamps);
    if (++node->ticks % TICKS_PER_SECOND == 0)
        each_second(node);
    node_stop_leading(node);
}

static void note_damaged_modes(struct node *node)
{
    struct peer *placement = node_peer(node, REGION_PLACEMENT);

    if (!node->modes_damaged || placement == NULL)
        return;
    if (!peer_found_damage(placement, "a record of a directory is damaged"))
        node_log_event(node, LOG_ERROR,
                       "a record of a directory in the catalog is damaged: "
                       "it counts as strong");
}

void node_start(struct node *node)
{
    note_damaged_modes(node);
    node->tick.fire = on_tick;
    env_timer_start(node->env, &node->tick, (uint64_t)TICK_MS * 1000000);
    status_board_tick(node->board);
}

/* ---- removal and damage ---- */

void node_on_removed(struct node *node)
{
    if (node->removed)
        return;
    node->removed = true;
    if (node->config.removed != NULL)
        node->config.removed(node->config.context);
}

void node_on_damage(struct node *node, struct peer *peer)
{
    if (peer_region_id(peer) == REGION_PLACEMENT)
        modes_distrust(node->modes);
    status_board_tick(node->board);
    snapshots_on_damage(node->snapshots, peer_region_id(peer));
    reader_on_damage(node->reader);
}

/* ---- flushing state/ ---- */

static void flush_back(struct env_task *task)
{
    struct node *node = container_of(task, struct node, flush_task);

    node->flush_posted = false;
}

static void flush_run(struct env_task *task)
{
    struct node *node = container_of(task, struct node, flush_task);

    (void)kv_flush(node->env->state, true, NULL); /* A failure is fatal. */
    task->run = flush_back;
    env_post(node->env, ENV_WORKER, task);
}

void node_flush_state(struct node *node)
{
    if (node->flush_posted)
        return;
    node->flush_posted = true;
    node->flush_task.run = flush_run;
    env_post(node->env, ENV_BULK, &node->flush_task);
}

/* ---- stamps and ids ---- */

uint64_t node_stamp(struct node *node)
{
    return stamps_next(node->stamps);
}

uint64_t node_stamp_bound(const struct node *node)
{
    return stamps_bound(node->stamps);
}

uint64_t node_new_ino(struct node *node)
{
    return stamps_new_ino(node->stamps);
}

/* ---- events ---- */

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    char text[EVENT_TEXT_SIZE];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args); /* Cut if long. */
    va_end(args);
    log_line(level, "node", "id=%" PRIu64 " %s", node_id(node), text);
    event_log_add(node->events, (int64_t)env_wall_ns(node->env), level, text);
}

void node_note_outcome(struct node *node, const struct request *request,
                       int status)
{
    status_board_count(node->board, status);
    if (status != ERR_NO_QUORUM && status != ERR_UNKNOWN_OUTCOME &&
        status != ERR_NO_SPACE && status != ERR_CORRUPT && status != ERR_IO)
        return;
    event_log_add_rare(node->events, (int64_t)env_wall_ns(node->env),
                       request->kind >= REQUEST_CREATE ? "a write failed"
                                                       : "a read failed",
                       err_text(status));
}
