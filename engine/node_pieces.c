/* SPDX-License-Identifier: Apache-2.0 */

/* What the pieces of a node reach of each other through it. */

#include "engine/clocks.h"
#include "engine/disks.h"
#include "engine/liveness.h"
#include "engine/merge.h"
#include "engine/merge_change.h"
#include "engine/node_impl.h"
#include "engine/range.h"
#include "engine/reader.h"
#include "engine/replicas.h"
#include "engine/status.h"

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

/* ---- replicas ---- */

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

/* ---- reads ---- */

static struct barrier *barrier_of(const struct node *node, uint64_t region)
{
    return replicas_barrier(node->replicas, region);
}

struct barrier *node_read_barrier(const struct node *node, uint64_t region)
{
    const struct peer *peer = node_peer(node, region);
    const struct peer *target;

    if (peer == NULL || !region_is_frozen(peer_region(peer)))
        return barrier_of(node, region);
    target = node_peer(node, peer_region(peer)->merge.other);
    if (target == NULL || peer_is_damaged(target))
        return NULL;
    return merge_has_ended(target, peer_region(peer))
               ? barrier_of(node, region)
               : barrier_of(node, peer_region_id(target));
}

/* ---- pieces ---- */

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

struct members *node_members(const struct node *node)
{
    return node->members;
}

struct merges *node_merges(const struct node *node)
{
    return node->merges;
}

struct modes *node_modes(const struct node *node)
{
    return node->modes;
}

struct mode_changes *node_mode_changes(const struct node *node)
{
    return node->mode_changes;
}

struct snapshots *node_snapshots(const struct node *node)
{
    return node->snapshots;
}

struct status_board *node_status_board(const struct node *node)
{
    return node->board;
}

struct restamps *node_restamps(const struct node *node)
{
    return node->restamps;
}

struct clocks *node_clocks(const struct node *node)
{
    return node->clocks;
}

bool node_clock_is_wrong(const struct node *node, uint64_t node_id)
{
    return clocks_is_wrong(node->clocks, node_id);
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

struct eventual *node_eventual(const struct node *node)
{
    return node->eventual;
}

struct pulls *node_pulls(const struct node *node)
{
    return node->pulls;
}

struct event_watch *node_event_watch(const struct node *node)
{
    return node->event_watch;
}

/* ---- nodes ---- */

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

bool node_disk_full(const struct node *node, uint64_t region)
{
    return disks_are_full(node->disks, region);
}

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
