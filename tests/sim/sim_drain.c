/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_drain.h"

#include "engine/members.h"
#include "tests/sim/sim_control.h"
#include "tests/sim/sim_seen.h"

/* ---- asking ---- */

static void answered(struct sim_control *control)
{
    const struct request *request = &control->request;

    sim_note(control->node->machine.loop, "node %u: %s: %s",
             (unsigned)request->object,
             request->table == TABLE_NODE_DRAIN ? "drain" : "remove",
             err_text(request->status));
    if (request->status == 0)
        sim_seen(request->table == TABLE_NODE_DRAIN ? SEEN_DRAINED
                                                    : SEEN_REMOVED);
    if (request->status == ERR_BUSY || request->status == ERR_NOT_PERMITTED)
        sim_seen(SEEN_REMOVE_REFUSED);
}

static void ask(struct sim_node *node, uint64_t id, enum engine_table table,
                const char *text)
{
    node->cluster->wish_ns = node->machine.loop->now_ns;
    (void)sim_control_write(node, table, id, text, answered, NULL);
}

/* Changes of the data region's members do not look whether a node is about to
 * go, as those that the cluster makes by itself do. */
static bool is_removal_safe(const struct sim_cluster *cluster)
{
    return cluster->plan->every_ns[SIM_MEMBERS] == 0;
}

/* Enough nodes are to be left for all replicas. */
static bool may_be_removed(const struct sim_node *node)
{
    return node->number >= node->cluster->plan->founders;
}

static void ask_removal(struct sim_node *node, struct sim_node *other,
                        bool force)
{
    other->may_go = true;
    other->forced = other->forced || force;
    ask(node, other->number + 1, TABLE_NODE_REMOVE, force ? "force" : "1");
}

/* Few nodes may be removed: one that is being drained mostly is. */
void sim_drain_ask(struct sim_cluster *cluster)
{
    size_t nodes = cluster->plan->nodes;
    struct sim_node *node = &cluster->nodes[sim_pick(cluster->loop, nodes)];
    struct sim_node *other = &cluster->nodes[sim_pick(cluster->loop, nodes)];
    uint64_t fate = sim_pick(cluster->loop, 12);
    bool may_go = is_removal_safe(cluster) && may_be_removed(other);

    if (!sim_node_serves(node) || !sim_node_is_member(other))
        return;
    if (may_go && sim_drain_state(node, other) == NODE_DRAINING && fate < 10)
        fate = 11;
    if (fate < 8) {
        ask(node, other->number + 1, TABLE_NODE_DRAIN, fate < 4 ? "0" : "1");
    } else if (may_go) {
        ask_removal(node, other, sim_pick(cluster->loop, 4) == 0);
    }
}

bool sim_drain_remove(struct sim_cluster *cluster)
{
    struct sim_node *node = &cluster->nodes[0];

    if (!is_removal_safe(cluster) || !sim_node_serves(node))
        return false;
    for (size_t i = 1; i < cluster->plan->nodes; i++) {
        struct sim_node *other = &cluster->nodes[i];

        if (!sim_node_is_member(other) || !may_be_removed(other) ||
            sim_drain_state(node, other) != NODE_DRAINING)
            continue;
        ask_removal(node, other, false);
        return true;
    }
    return false;
}

void sim_drain_take_back(struct sim_cluster *cluster)
{
    struct sim_node *node = &cluster->nodes[0];

    if (sim_node_serves(node) && sim_drain_state(node, node) == NODE_DRAINING)
        ask(node, 1, TABLE_NODE_DRAIN, "0");
}

/* ---- going ---- */

static void end_node(struct sim_node *node)
{
    if (!node->may_go)
        sim_fail(node->machine.loop, "node %zu is removed for no reason",
                 node->number + 1);
    sim_note(node->machine.loop, "node %zu: removed", node->number + 1);
    if (node->removed) {
        node->refused = true;
        sim_seen(SEEN_REMOVED_BACK);
    }
    node->removed = true;
    node->machine.died(&node->machine);
}

void sim_drain_removed(void *context)
{
    struct sim_node *node = context;
    struct sim_loop *loop = node->machine.loop;

    end_node(node);
    sim_abandon(loop);
}

enum node_state sim_drain_state(const struct sim_node *node,
                                const struct sim_node *other)
{
    struct node_record record;

    return members_find(node->node, other->number + 1, &record) == 0
               ? record.state
               : NODE_UP;
}

bool sim_drain_admits(struct sim_node *node, struct sim_node *other)
{
    if (node->node == NULL || sim_drain_state(node, other) != NODE_REMOVED)
        return true;
    if (other->node != NULL)
        end_node(other);
    return false;
}

/* ---- in the calm ---- */

static bool is_known_as_removed(const struct sim_node *node)
{
    const struct sim_cluster *cluster = node->cluster;

    for (size_t i = 0; i < cluster->plan->nodes; i++)
        if (cluster->nodes[i].node != NULL &&
            sim_drain_state(&cluster->nodes[i], node) == NODE_REMOVED)
            return true;
    return false;
}

bool sim_drain_settled(const struct sim_cluster *cluster)
{
    const struct sim_plan *plan = cluster->plan;

    if (cluster->wish_ns != 0 &&
        cluster->loop->now_ns <
            cluster->wish_ns + 2 * plan->op_timeout_ms * sim_ms)
        return false;
    for (size_t i = 0; i < plan->nodes; i++) {
        const struct sim_node *node = &cluster->nodes[i];

        if (is_known_as_removed(node) &&
            (!node->removed || node->state != SIM_DOWN))
            return false;
    }
    return true;
}
