/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/node.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/check.h"
#include "engine/disks.h"
#include "engine/event_log.h"
#include "engine/event_watch.h"
#include "engine/flow.h"
#include "engine/ino_lease.h"
#include "engine/liveness.h"
#include "engine/members.h"
#include "engine/merge.h"
#include "engine/merge_change.h"
#include "engine/outbox.h"
#include "engine/placement.h"
#include "engine/range.h"
#include "engine/reader.h"
#include "engine/replicas.h"
#include "engine/reporter.h"
#include "engine/router.h"
#include "engine/snapshot.h"
#include "engine/splitter.h"
#include "engine/status.h"
#include "engine/steps.h"
#include "engine/txn.h"

enum {
    RETIRE_MS = 1500, /* for handing leadership over */
    RETIRE_LOOK_MS = 50,
    FOLLOW_MS = 2000, /* after region 0 has changed its leader */
    FOLLOW_AFTER_MANUAL_MS = 60 * 1000
};

struct node {
    struct env *env;
    struct node_config config;
    struct replicas *replicas;
    struct router *router;
    struct reader *reader;
    struct txns *txns;
    struct flows *flows;
    struct members *members;
    struct merges *merges;
    struct snapshots *snapshots;
    struct splitter *splitter;
    struct liveness *liveness;
    struct status_board *board;
    struct reporter *reporter;
    struct placement *placement;
    struct event_log *events;
    struct event_watch *event_watch;
    struct outbox *outbox;
    uint64_t links_up[NODES_MAX];
    size_t link_count;
    struct env_timer tick;
    unsigned ticks;
    uint64_t follow_ns; /* region 0's leader does not follow before */
    uint64_t stamp_last;
    struct disks *disks;
    struct env_task flush_task;
    bool flush_posted;
    struct ino_lease *inos;
    bool removed;
    void (*retired)(void *context);
    void *retired_context;
    struct env_timer retire_timer;
    uint64_t retire_until_ns;
};

/* ---- life ---- */

int node_open(struct node **ret, struct env *env,
              const struct node_config *config, struct err *e)
{
    struct node *node = mem_zalloc(sizeof *node);
    int rc;

    node->env = env;
    node->config = *config;
    node->inos = ino_lease_new(env, &config->identity, config->ino_next);
    node->events = event_log_new();
    node->event_watch = event_watch_new(env, node->events);
    node->outbox = outbox_new(env);
    node->liveness = liveness_new(node);
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
    node->reporter = reporter_new(node);
    node->placement = placement_new(node);
    node->disks = disks_new(node);
    rc = replicas_open(node->replicas, e);
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
    placement_free(node->placement);
    reporter_free(node->reporter);
    splitter_free(node->splitter);
    snapshots_free(node->snapshots);
    replicas_free(node->replicas);
    members_free(node->members);
    merges_free(node->merges);
    flows_free(node->flows);
    txns_free(node->txns);
    reader_free(node->reader);
    router_free(node->router);
    disks_free(node->disks);
    status_board_free(node->board);
    liveness_free(node->liveness);
    outbox_free(node->outbox);
    event_watch_free(node->event_watch);
    event_log_free(node->events);
    ino_lease_free(node->inos);
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
    merges_stop(node->merges);
    txns_stop(node->txns);
    reader_stop(node->reader);
    router_stop(node->router);
    snapshots_stop(node->snapshots);
}

/* ---- once a tick, once a second ---- */

static bool is_being_drained(struct node *node, uint64_t id)
{
    struct node_record record;

    return members_find(node, id, &record) == 0 && record.state != NODE_UP;
}

/* Path walks read region 0 and the regions of the directories, first of all the
 * root's: they are local on the mount where both are led, so region 0 follows
 * that one. A new leader waits a little, as it may have been made one by hand:
 * whoever did that is about to say so. */
static void follow_root_leader(struct node *node)
{
    const struct peer *data = node_root_peer(node);
    struct peer *placement = node_peer(node, REGION_PLACEMENT);
    uint64_t leader = data == NULL ? 0 : peer_leader_node(data);

    if (env_mono_ns(node->env) < node->follow_ns || leader == 0 ||
        leader == node_id(node) || placement == NULL ||
        !peer_is_leader(placement) || !node_link_up(node, leader) ||
        is_being_drained(node, leader))
        return;
    (void)peer_transfer(placement, leader);
}

bool node_disk_full(const struct node *node, uint64_t region)
{
    return disks_are_full(node->disks, region);
}

static void each_second(struct node *node)
{
    if (node->retired == NULL) {
        follow_root_leader(node);
        members_tick(node->members);
    }
    replicas_each_second(node->replicas);
    disks_each_second(node->disks);
    txns_tick(node->txns);
    merges_tick(node->merges);
    splitter_each_second(node->splitter);
    snapshots_tick(node->snapshots);
    status_board_tick(node->board);
    reporter_each_second(node->reporter);
    placement_each_second(node->placement);
}

static void on_tick(struct env_timer *timer)
{
    struct node *node = container_of(timer, struct node, tick);

    env_timer_start(node->env, &node->tick, (uint64_t)TICK_MS * 1000000);
    liveness_tick(node->liveness);
    replicas_tick(node->replicas);
    reporter_tick(node->reporter);
    disks_tick(node->disks);
    if (++node->ticks % TICKS_PER_SECOND == 0)
        each_second(node);
}

void node_start(struct node *node)
{
    node->tick.fire = on_tick;
    env_timer_start(node->env, &node->tick, (uint64_t)TICK_MS * 1000000);
    status_board_tick(node->board);
}

/* ---- going away ---- */

static bool leads_anything(const struct node *node)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_peer(node, peer)) != NULL)
        if (peer_is_leader(peer) && peer_region(peer)->voter_count > 1)
            return true;
    return false;
}

static void look_whether_retired(struct env_timer *timer)
{
    struct node *node = container_of(timer, struct node, retire_timer);

    if (leads_anything(node) && node->link_count > 0 &&
        env_mono_ns(node->env) < node->retire_until_ns)
        env_timer_start(node->env, timer, (uint64_t)RETIRE_LOOK_MS * 1000000);
    else
        node->retired(node->retired_context);
}

void node_retire(struct node *node, void (*done)(void *context), void *context)
{
    struct peer *peer = NULL;

    node->retired = done;
    node->retired_context = context;
    node->retire_until_ns =
        env_mono_ns(node->env) + (uint64_t)RETIRE_MS * 1000000;
    while ((peer = node_next_peer(node, peer)) != NULL)
        (void)peer_transfer_away(peer);
    node->retire_timer.fire = look_whether_retired;
    env_timer_start(node->env, &node->retire_timer, 0);
}

/* ---- packets ---- */

struct incoming {
    struct node *node;
    uint64_t from;
};

static void step_one(void *context, const struct raft_envelope *envelope)
{
    const struct incoming *incoming = context;

    replicas_on_message(incoming->node->replicas, incoming->from, envelope);
}

static void on_placement_packet(struct node *node, uint64_t from,
                                const struct env_packet *packet)
{
    struct slice bytes = {packet->header->data, packet->header->size};

    if (packet->type == WIRE_REPORT)
        placement_on_report(node->placement, from, bytes);
    else if (packet->type == WIRE_REPORTED)
        placement_on_reported(node->placement, from, bytes);
    else if (packet->type == WIRE_OPERATORS)
        placement_on_operators(node->placement, bytes);
    else
        step_on_packet(node, packet);
}

void node_on_packet(struct node *node, uint64_t from,
                    const struct env_packet *packet)
{
    struct incoming incoming = {node, from};

    liveness_on_packet(node->liveness, from);
    switch ((enum wire_type)packet->type) {
    case WIRE_RAFT:
        (void)raft_batch_decode(packet, step_one, &incoming); /* Or dropped. */
        return;
    case WIRE_PEER_QUERY:
        replicas_on_query(node->replicas, from, packet);
        return;
    case WIRE_PEER_GONE:
        replicas_on_gone(node->replicas, packet);
        return;
    case WIRE_ALIVE:
        liveness_on_alive(node->liveness, from, packet);
        return;
    case WIRE_CALL:
        router_on_call(node->router, from, packet);
        return;
    case WIRE_RETURN:
        router_on_return(node->router, packet);
        return;
    case WIRE_MERGE_QUERY:
        merges_on_query(node->merges, from, packet);
        return;
    case WIRE_MERGE_REPORT:
        merges_on_report(node->merges, from, packet);
        return;
    case WIRE_LOCATE:
        router_on_locate(node->router, from, packet);
        return;
    case WIRE_LOCATED:
        router_on_located(node->router, packet);
        return;
    case WIRE_STATUS:
        status_board_on_packet(node->board, packet);
        return;
    case WIRE_REPORT:
    case WIRE_REPORTED:
    case WIRE_STEP:
    case WIRE_OPERATORS:
        on_placement_packet(node, from, packet);
        return;
    case WIRE_SNAPSHOT_BEGIN:
    case WIRE_SNAPSHOT_CHUNK:
    case WIRE_SNAPSHOT_ACK:
        snapshots_on_packet(node->snapshots, from, packet);
        return;
    case WIRE_JOIN:
        members_on_join(node->members, from, packet);
        return;
    case WIRE_JOINED:
        members_on_joined(node->members, packet);
        return;
    case WIRE_BOOT:
        return; /* engine.c answers those. */
    }
}

static void link_set(struct node *node, uint64_t id, bool up)
{
    for (size_t i = 0; i < node->link_count; i++) {
        if (node->links_up[i] != id)
            continue;
        if (!up)
            node->links_up[i] = node->links_up[--node->link_count];
        return;
    }
    if (up && node->link_count < NODES_MAX)
        node->links_up[node->link_count++] = id;
}

void node_on_link(struct node *node, uint64_t id, bool up)
{
    if (node_link_up(node, id) != up)
        node_log_event(node, up ? LOG_INFO : LOG_WARN,
                       up ? "node %" PRIu64 " is connected"
                          : "the connection to node %" PRIu64 " is lost",
                       id);
    link_set(node, id, up);
    liveness_on_link(node->liveness, id, up);
    if (up)
        return;
    router_on_link_down(node->router, id);
    snapshots_on_link_down(node->snapshots, id);
    replicas_on_link_down(node->replicas, id);
}

void node_send_raft(struct node *node, uint64_t to, uint64_t region,
                    const struct raft_message *message)
{
    outbox_add(node->outbox, to, region, message);
}

void node_send_snapshot(struct node *node, struct peer *peer, uint64_t to,
                        const struct raft_message *message)
{
    node_log_event(node, LOG_INFO,
                   "region %" PRIu64 ": sending a snapshot to node %" PRIu64,
                   peer_region_id(peer), to);
    snapshots_send(node->snapshots, peer, to, message);
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    struct env_packet packet = {
        .type = type,
        .header = header,
        .payloads = &payload,
        .payload_count = payload != NULL ? 1 : 0,
    };

    env_send(node->env, to, channel, &packet);
}

/* ---- leaders ---- */

static void follow_later(struct node *node, uint64_t delay_ms)
{
    uint64_t until_ns = env_mono_ns(node->env) + delay_ms * 1000000;

    if (until_ns > node->follow_ns)
        node->follow_ns = until_ns;
}

void node_on_leader_change(struct node *node, struct peer *peer)
{
    uint64_t region = peer_region_id(peer);
    uint64_t leader = peer_leader_node(peer);

    if (leader != 0)
        node_log_event(node, LOG_INFO,
                       "region %" PRIu64 ": node %" PRIu64 " leads", region,
                       leader);
    else
        node_log_event(node, LOG_WARN, "region %" PRIu64 ": no leader", region);
    if (region == REGION_PLACEMENT)
        follow_later(node, FOLLOW_MS);
    router_on_leader_change(node->router, region, leader);
    if (leader != 0)
        replicas_on_leader_change(node->replicas, region);
}

void node_on_manual_transfer(struct node *node, uint64_t region)
{
    if (region == REGION_PLACEMENT)
        follow_later(node, FOLLOW_AFTER_MANUAL_MS);
}

/* ---- damage ---- */

void node_on_damage(struct node *node, struct peer *peer)
{
    status_board_tick(node->board);
    snapshots_on_damage(node->snapshots, peer_region_id(peer));
    reader_on_damage(node->reader);
}

/* ---- the pieces ---- */

struct env *node_env(struct node *node)
{
    return node->env;
}

uint64_t node_id(const struct node *node)
{
    return node->config.identity.node_id;
}

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

uint64_t node_log_keep(const struct node *node)
{
    return node->config.log_keep;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    return replicas_find(node->replicas, region);
}

struct peer *node_any_peer(const struct node *node, uint64_t region)
{
    return replicas_find_any(node->replicas, region);
}

struct peer *node_next_peer(const struct node *node, const struct peer *peer)
{
    return replicas_next(node->replicas, peer);
}

struct peer *node_next_awake(const struct node *node, const struct peer *peer)
{
    return replicas_next_awake(node->replicas, peer);
}

struct peer *node_peer_at(const struct node *node, struct slice user_key)
{
    return replicas_at(node->replicas, user_key);
}

struct peer *node_root_peer(const struct node *node)
{
    struct key key = key_user('d', NSID_ROOT, (struct slice){NULL, 0});

    return node_peer_at(node, key_user_part(&key));
}

struct hosted *node_hosted(const struct node *node)
{
    return replicas_hosted(node->replicas);
}

bool node_overlaps(const struct node *node, const struct region *region)
{
    return replicas_overlap(node->replicas, region);
}

bool node_is_erasing(const struct node *node)
{
    return replicas_are_erasing(node->replicas);
}

enum split_side node_on_split(struct node *node, struct peer *peer,
                              const struct region *right)
{
    return replicas_on_split(node->replicas, peer, right);
}

void node_on_split_applied(struct node *node, uint64_t region, bool kept,
                           bool campaign)
{
    replicas_on_split_applied(node->replicas, region, kept, campaign);
}

bool node_on_merge(struct node *node, const struct peer *target,
                   uint64_t source, uint64_t attempt)
{
    return replicas_on_merge(node->replicas, target, source, attempt);
}

void node_on_merge_applied(struct node *node, struct peer *target,
                           uint64_t source, bool applied)
{
    replicas_on_merge_applied(node->replicas, target, source, applied);
}

void node_drop_absorbed(struct node *node, const struct region *region)
{
    replicas_drop_absorbed(node->replicas, region);
}

void node_on_freeze(struct node *node)
{
    reader_on_freeze(node->reader);
}

void node_on_peer_restored(struct node *node, struct peer *peer)
{
    replicas_on_restored(node->replicas, peer);
}

void node_tell_gone(struct node *node, struct peer *peer,
                    const struct region_peer *removed)
{
    replicas_tell_gone(node->replicas, peer, removed);
}

void node_on_peer_removed(struct node *node, struct peer *peer)
{
    replicas_on_removed(node->replicas, peer);
}

void node_on_removed(struct node *node)
{
    if (node->removed)
        return;
    node->removed = true;
    if (node->config.removed != NULL)
        node->config.removed(node->config.context);
}

struct barrier *node_barrier(const struct node *node, uint64_t region)
{
    return replicas_barrier(node->replicas, region);
}

/* Whether the attempt for which the source is frozen is over, so that it may
 * have changed since without being known here. */
static bool has_ended(const struct peer *target, const struct region *source)
{
    const struct region_merge *merge = &peer_region(target)->merge;

    return peer_applied(target) >= source->merge.attempt &&
           (merge->state != MERGE_TAKING ||
            merge->attempt != source->merge.attempt);
}

struct barrier *node_read_barrier(const struct node *node, uint64_t region)
{
    const struct peer *peer = node_peer(node, region);
    const struct peer *target;

    if (peer == NULL || !region_is_frozen(peer_region(peer)))
        return node_barrier(node, region);
    target = node_peer(node, peer_region(peer)->merge.other);
    if (target == NULL || peer_is_damaged(target))
        return NULL;
    return has_ended(target, peer_region(peer))
               ? node_barrier(node, region)
               : node_barrier(node, peer_region_id(target));
}

struct router *node_router(const struct node *node)
{
    return node->router;
}

struct reader *node_reader(const struct node *node)
{
    return node->reader;
}

struct txns *node_txns(const struct node *node)
{
    return node->txns;
}

struct flows *node_flows(const struct node *node)
{
    return node->flows;
}

struct merges *node_merges(const struct node *node)
{
    return node->merges;
}

struct snapshots *node_snapshots(const struct node *node)
{
    return node->snapshots;
}

struct status_board *node_status_board(const struct node *node)
{
    return node->board;
}

struct reporter *node_reporter(const struct node *node)
{
    return node->reporter;
}

struct placement *node_placement(const struct node *node)
{
    return node->placement;
}

struct event_log *node_events(const struct node *node)
{
    return node->events;
}

struct splitter *node_splitter(const struct node *node)
{
    return node->splitter;
}

struct event_watch *node_event_watch(const struct node *node)
{
    return node->event_watch;
}

size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    const struct peer *placement = node_peer(node, REGION_PLACEMENT);

    return placement == NULL ? 0 : peer_nodes(placement, nodes);
}

size_t node_region_nodes(const struct node *node, uint64_t region,
                         uint64_t nodes[NODES_MAX])
{
    const struct peer *peer = node_peer(node, region);

    return peer != NULL ? peer_nodes(peer, nodes) : node_all_nodes(node, nodes);
}

bool node_link_up(const struct node *node, uint64_t id)
{
    for (size_t i = 0; i < node->link_count; i++)
        if (node->links_up[i] == id)
            return true;
    return false;
}

/* ---- sleep ---- */

bool node_is_alive(const struct node *node, uint64_t id)
{
    return liveness_is_alive(node->liveness, id);
}

void node_on_liveness(struct node *node, uint64_t id, bool alive)
{
    replicas_on_liveness(node->replicas, id, alive);
}

void node_on_sleep(struct node *node, struct peer *peer)
{
    replicas_on_sleep(node->replicas, peer);
    status_board_note(node->board, peer);
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
    uint64_t wall = env_wall_ns(node->env) / 1000000 << 16;

    node->stamp_last = wall > node->stamp_last ? wall : node->stamp_last + 1;
    return node->stamp_last;
}

uint64_t node_new_ino(struct node *node)
{
    return ino_lease_take(node->inos);
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
