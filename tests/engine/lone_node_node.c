/* SPDX-License-Identifier: Apache-2.0 */

/* node.h for a node that holds no region, and what it leads to. */

#include "tests/engine/lone_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/flow.h"
#include "engine/placement.h"
#include "engine/status.h"

struct env *node_env(struct node *node)
{
    return &node->env;
}

struct modes *node_modes(const struct node *node)
{
    (void)node;
    return NULL; /* It does not apply anything of region 0. */
}

int node_reload_catalog(struct node *node)
{
    (void)node;
    return 0;
}

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

uint64_t node_id(const struct node *node)
{
    return node->config.identity.node_id;
}

uint64_t node_log_keep(const struct node *node)
{
    return node->config.log_keep;
}

struct router *node_router(const struct node *node)
{
    return node->router;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    (void)node;
    (void)region;
    return NULL;
}

struct peer *node_next_peer(const struct node *node, const struct peer *peer)
{
    (void)node;
    (void)peer;
    return NULL;
}

struct peer *node_peer_at(const struct node *node, struct slice user_key)
{
    (void)node;
    (void)user_key;
    return NULL;
}

struct hosted *node_hosted(const struct node *node)
{
    (void)node;
    return NULL;
}

struct peer *node_any_peer(const struct node *node, uint64_t region)
{
    return node_peer(node, region);
}

enum split_side node_on_split(struct node *node, struct peer *peer,
                              const struct region *right)
{
    (void)node;
    (void)peer;
    (void)right;
    return SPLIT_DROP;
}

void node_on_split_applied(struct node *node, uint64_t region, bool kept,
                           bool campaign)
{
    (void)node;
    (void)region;
    (void)kept;
    (void)campaign;
}

bool node_on_merge(struct node *node, const struct peer *target,
                   uint64_t source, uint64_t attempt)
{
    (void)node;
    (void)target;
    (void)source;
    (void)attempt;
    return false;
}

void node_on_merge_applied(struct node *node, struct peer *target,
                           uint64_t source, bool applied)
{
    (void)node;
    (void)target;
    (void)source;
    (void)applied;
}

void node_on_freeze(struct node *node)
{
    (void)node;
}

struct merges *node_merges(const struct node *node)
{
    (void)node;
    return NULL;
}

struct peer *node_next_awake(const struct node *node, const struct peer *peer)
{
    return node_next_peer(node, peer);
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
    (void)node;
    (void)peer;
    (void)removed;
}

void node_on_damage(struct node *node, struct peer *peer)
{
    (void)node;
    (void)peer;
}

struct status_board *node_status_board(const struct node *node)
{
    (void)node;
    return NULL;
}

size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    return node_region_nodes(node, 0, nodes);
}

struct flows *node_flows(const struct node *node)
{
    (void)node;
    return NULL;
}

void flows_on_release(struct flows *flows)
{
    assert_null(flows);
}

struct reader *node_reader(const struct node *node)
{
    (void)node;
    return NULL;
}

struct eventual *node_eventual(const struct node *node)
{
    (void)node;
    return NULL;
}

struct placement *node_placement(const struct node *node)
{
    (void)node;
    return NULL;
}

int placement_check_goal(struct placement *placement, const struct goal *goal,
                         char why[GOAL_WHY_SIZE])
{
    (void)placement;
    (void)goal;
    (void)why;
    return ERR_NOT_LEADER;
}

enum placement_answer placement_has_replicas(struct placement *placement,
                                             uint64_t node)
{
    (void)placement;
    (void)node;
    return PLACEMENT_UNKNOWN;
}

int placement_read_goal(struct kv *state, uint64_t region, struct goal *ret)
{
    (void)state;
    (void)region;
    (void)ret;
    return ERR_NOT_FOUND;
}

struct barrier *node_read_barrier(const struct node *node, uint64_t region)
{
    (void)node;
    (void)region;
    return NULL;
}

size_t node_region_nodes(const struct node *node, uint64_t region,
                         uint64_t nodes[NODES_MAX])
{
    (void)node;
    (void)region;
    for (size_t i = 0; i < NODE_COUNT; i++)
        nodes[i] = i + 1;
    return NODE_COUNT;
}

bool node_link_up(const struct node *node, uint64_t node_id)
{
    (void)node;
    (void)node_id;
    return true;
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

bool node_disk_full(const struct node *node, uint64_t region)
{
    (void)region;
    return node->disk_full;
}

uint64_t node_stamp(struct node *node)
{
    return node->now_ns;
}

uint64_t node_stamp_bound(const struct node *node)
{
    (void)node;
    return UINT64_MAX;
}

bool node_clock_is_wrong(const struct node *node, uint64_t node_id)
{
    (void)node;
    (void)node_id;
    return false;
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    struct slice bytes = buf_slice(header);

    (void)channel;
    if (type == WIRE_RETURN) {
        assert_int_equal(call_return_decode(&node->returned, bytes), 0);
        return;
    }
    if (type == WIRE_LOCATE) {
        node->asked_count++;
        return;
    }
    assert_int_equal(type, WIRE_CALL);
    assert_int_equal(call_decode(&node->sent, bytes), 0);
    node->sent_to = to;
    node->sent_count++;
    node->sent_version = command_peek_version(payload);
    node->tried[to]++;
}

void node_send_raft(struct node *node, uint64_t to, uint64_t region,
                    const struct raft_message *message)
{
    (void)node;
    (void)to;
    (void)region;
    (void)message;
}

void node_send_snapshot(struct node *node, struct peer *peer, uint64_t to,
                        const struct raft_message *message)
{
    (void)node;
    (void)peer;
    (void)to;
    (void)message;
}

void node_on_leader_change(struct node *node, struct peer *peer)
{
    (void)node;
    (void)peer;
}

void node_on_manual_transfer(struct node *node, uint64_t region)
{
    (void)node;
    (void)region;
}

void node_on_removed(struct node *node)
{
    (void)node;
}

uint64_t *status_region_ids(struct node *node, size_t *ret_count)
{
    (void)node;
    *ret_count = 0;
    return NULL;
}

int status_region_leader(struct node *node, uint64_t region,
                         uint64_t *ret_leader_node)
{
    (void)node;
    (void)region;
    (void)ret_leader_node;
    return ERR_NOT_FOUND;
}

uint64_t status_region_version(struct node *node, uint64_t region)
{
    (void)node;
    (void)region;
    return 0;
}

void node_flush_state(struct node *node)
{
    (void)node;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    (void)node;
    (void)level;
    (void)format;
}
