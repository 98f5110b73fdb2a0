/* SPDX-License-Identifier: Apache-2.0 */

/* What peers and snapshot streams reach of the rest of their node. */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "engine/status.h"
#include "tests/engine/two_nodes.h"

/* ---- node.h ---- */

struct env *node_env(struct node *node)
{
    return &node->env;
}

uint64_t node_id(const struct node *node)
{
    return node->id;
}

struct modes *node_modes(const struct node *node)
{
    (void)node;
    return NULL; /* Nobody has region 0. */
}

int node_reload_catalog(struct node *node)
{
    (void)node;
    return 0;
}

uint64_t node_log_keep(const struct node *node)
{
    return node->log_keep;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    return region == REGION_FIRST_DATA ? node->peer : NULL;
}

struct peer *node_any_peer(const struct node *node, uint64_t region)
{
    return node->has_all_regions ? node->peer : node_peer(node, region);
}

bool node_overlaps(const struct node *node, const struct region *region)
{
    return node->neighbour != NULL &&
           snapshot_overlaps(node->neighbour, region);
}

enum split_side node_on_split(struct node *node, struct peer *peer,
                              const struct region *right)
{
    node->split.begun++;
    node->split.right = right->id;
    node->split.left_version = peer_region(peer)->version;
    return node->split.answer;
}

void node_on_split_applied(struct node *node, uint64_t region, bool kept,
                           bool campaign)
{
    assert_int_equal(region, node->split.right);
    node->split.applied++;
    node->split.kept = kept;
    node->split.campaign = campaign;
}

bool node_on_merge(struct node *node, const struct peer *target,
                   uint64_t source, uint64_t attempt)
{
    (void)target;
    node->merge.begun++;
    node->merge.source = source;
    node->merge.attempt = attempt;
    return node->merge.answer;
}

void node_on_merge_applied(struct node *node, struct peer *target,
                           uint64_t source, bool applied)
{
    assert_int_equal(source, node->merge.source);
    assert_ptr_equal(target, node->peer);
    node->merge.finished++;
    node->merge.applied = applied;
}

void node_drop_absorbed(struct node *node, const struct region *region)
{
    if (node->neighbour != NULL && node->neighbour->id == region->absorbed)
        node->neighbour = NULL;
}

void node_on_freeze(struct node *node)
{
    node->merge.freezes++;
}

void node_on_peer_restored(struct node *node, struct peer *peer)
{
    (void)node;
    (void)peer;
}

void node_on_peer_removed(struct node *node, struct peer *peer)
{
    (void)node;
    (void)peer;
}

void node_tell_gone(struct node *node, struct peer *peer,
                    const struct region_peer *removed)
{
    assert_ptr_equal(peer, node->peer);
    node->all->told_gone = removed->id;
}

void node_send_raft(struct node *node, uint64_t to, uint64_t region,
                    const struct raft_message *message)
{
    struct raft_batch *batch = raft_batch_new();
    struct env_packet packet;

    raft_batch_add(batch, region, message);
    raft_batch_pack(batch, &packet);
    env_send(&node->env, to, ENV_CHANNEL_RAFT, &packet);
    raft_batch_free(batch);
}

void node_send_snapshot(struct node *node, struct peer *peer, uint64_t to,
                        const struct raft_message *message)
{
    snapshots_send(node->snapshots, peer, to, message);
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    struct env_packet packet = {.type = type,
                                .header = header,
                                .payloads = &payload,
                                .payload_count = payload != NULL ? 1 : 0};

    env_send(&node->env, to, channel, &packet);
}

void node_on_leader_change(struct node *node, struct peer *peer)
{
    (void)node;
    (void)peer;
}

bool node_is_alive(const struct node *node, uint64_t node_id)
{
    (void)node;
    (void)node_id;
    return true;
}

void node_on_sleep(struct node *node, struct peer *peer)
{
    (void)node;
    (void)peer;
}

void node_flush_state(struct node *node)
{
    (void)node;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(node->event, sizeof node->event, format, args);
    va_end(args);
    node->warning_count += level >= LOG_WARN;
}

const struct node_config *node_config(const struct node *node)
{
    static const struct node_config config = {.check_interval_ms = 0};

    (void)node;
    return &config;
}

uint64_t node_stamp(struct node *node)
{
    (void)node;
    return 0;
}

bool node_clock_is_wrong(const struct node *node, uint64_t node_id)
{
    return node->all->node[node_id - 1].wrong_clock;
}

void node_on_damage(struct node *node, struct peer *peer)
{
    snapshots_on_damage(node->snapshots, peer_region_id(peer));
}

/* ---- status.h: they look right at each other ---- */

struct status_board *node_status_board(const struct node *node)
{
    return (struct status_board *)node->all;
}

void status_board_tick(struct status_board *board)
{
    (void)board;
}

void status_board_note(struct status_board *board, const struct peer *peer)
{
    (void)board;
    (void)peer;
}

const struct region_status *
status_board_region(const struct status_board *board, uint64_t node_id,
                    uint64_t region)
{
    static struct region_status status;
    const struct two_nodes *all = (const struct two_nodes *)board;
    struct peer_status peer;

    assert_int_equal(region, REGION_FIRST_DATA);
    peer_status(all->node[node_id - 1].peer, &peer);
    status = (struct region_status){
        .region = region,
        .state = peer.state,
        .check_index = peer.check_index,
        .check_hash = peer.check_hash,
    };
    return &status;
}

unsigned status_board_state(const struct status_board *board, uint64_t node_id,
                            uint64_t region)
{
    return status_board_region(board, node_id, region)->state;
}

void status_print_time(FILE *out, int64_t wall_ns)
{
    (void)fprintf(out, "%" PRId64, wall_ns / 1000000000);
}
