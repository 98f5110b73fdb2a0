/* SPDX-License-Identifier: Apache-2.0 */

/* Who leads, as far as this node has a say in it: region 0 follows the root's
 * leader, and a node whose clock is wrong, or that goes away, hands over. */

#include <inttypes.h>

#include "engine/keys.h"
#include "engine/members.h"
#include "engine/node_impl.h"
#include "engine/replicas.h"
#include "engine/router.h"
#include "engine/routes.h"
#include "engine/status.h"

enum {
    RETIRE_MS = 1500, /* for handing leadership over */
    RETIRE_LOOK_MS = 50,
    HAND_OVER_TICKS = 47, /* not in step with a leader's check of its quorum:
                           * just behind it nobody counts as active */
    FOLLOW_MS = 2000,     /* after region 0 has changed its leader */
    FOLLOW_AFTER_MANUAL_MS = 60 * 1000
};

/* ---- once a second, once a tick ---- */

static bool is_being_drained(struct node *node, uint64_t id)
{
    struct node_record record;

    return members_find(node, id, &record) == 0 && record.state != NODE_UP;
}

/* 0: not known. This node may have no replica of it. */
static uint64_t root_leader(struct node *node)
{
    struct key key = key_user('d', NSID_ROOT, (struct slice){NULL, 0});
    struct route route;
    uint64_t leader = 0;

    if (routes_find(router_routes(node->router), key_user_part(&key), &route))
        (void)status_region_leader(node, route.region, &leader);
    return leader;
}

/* Path walks read region 0 and the regions of the directories, first of all the
 * root's: they are local on the mount where both are led, so region 0 follows
 * that one. A new leader waits a little, as it may have been made one by hand:
 * whoever did that is about to say so. */
void node_follow_root_leader(struct node *node)
{
    struct peer *placement = node_peer(node, REGION_PLACEMENT);
    uint64_t leader;

    if (env_mono_ns(node->env) < node->follow_ns || placement == NULL ||
        !peer_is_leader(placement))
        return;
    leader = root_leader(node);
    if (leader != 0 && leader != node_id(node) && node_link_up(node, leader) &&
        !is_being_drained(node, leader) && !node_clock_is_wrong(node, leader))
        (void)peer_transfer(placement, leader);
}

/* What a leader stamps everybody gets, so none is to have a wrong clock; but a
 * region is better led by such a node than by none. Not each second: a try that
 * fails has stopped the region for a moment. */
void node_stop_leading(struct node *node)
{
    struct peer *peer = NULL;

    if (node->ticks % HAND_OVER_TICKS != 0 ||
        !node_clock_is_wrong(node, node_id(node)))
        return;
    while ((peer = node_next_peer(node, peer)) != NULL)
        (void)peer_transfer_to_right_clock(peer);
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

/* ---- another leader ---- */

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
