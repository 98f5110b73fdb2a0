/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_operator.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/flow.h"
#include "engine/keys.h"
#include "engine/peer.h"
#include "engine/placement.h"
#include "engine/status.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_seen.h"

enum { PAUSE_MS = 2000 };

struct sim_operator {
    struct sim_event event; /* first member */
    struct sim_cluster *cluster;
    struct sim_node *asked; /* NULL: nothing is asked */
    uint64_t asked_starts;
    uint64_t region;
    uint64_t target_node;
    struct request request;
    struct env_task task;
    bool resting;
};

static struct sim_loop *loop_of(const struct sim_operator *o)
{
    return o->cluster->loop;
}

/* A node that crashes takes the question with it. */
bool sim_operator_is_idle(const struct sim_operator *o)
{
    return o->asked == NULL || o->asked->starts != o->asked_starts ||
           o->asked->state == SIM_DOWN;
}

/* Also where there is no replica of the region. */
static bool sees_it(const struct sim_operator *o, const struct sim_node *node)
{
    uint64_t leader_node = 0;

    return status_region_leader(node->node, o->region, &leader_node) == 0 &&
           leader_node == o->target_node;
}

static void asked(struct request *request)
{
    struct sim_operator *o =
        container_of(request, struct sim_operator, request);

    sim_note(loop_of(o), "transfer of region %u to node %u: %s",
             (unsigned)o->region, (unsigned)o->target_node,
             err_text(request->status));
    if (request->status == 0) {
        sim_seen(SEEN_TRANSFERRED);
        if (!sees_it(o, o->asked))
            sim_fail(loop_of(o), "a transfer is not seen where it was asked");
    }
    o->asked = NULL;
}

static void submit(struct env_task *task)
{
    struct sim_operator *o = container_of(task, struct sim_operator, task);

    flows_submit(node_flows(o->asked->node), &o->request);
}

static void ask(struct sim_operator *o, struct sim_node *node)
{
    char text[24];

    o->asked = node;
    o->asked_starts = node->starts;
    buf_unref(o->request.data);
    (void)snprintf(text, sizeof text, "%" PRIu64 "\n", o->target_node);
    o->request = (struct request){
        .kind = REQUEST_CONTROL,
        .table = TABLE_REGION_TRANSFER,
        .object = o->region,
        .data = buf_copy(text, slice_of(text).size),
        .done = asked,
        .private = (void *)(uintptr_t)++node->request_last,
    };
    o->task.run = submit;
    sim_env_enter(node->env, SIM_FROM_USER);
    env_post(&node->env->env, ENV_WORKER, &o->task);
    sim_env_leave(node->env);
}

static struct sim_node *pick_node(struct sim_operator *o)
{
    return &o->cluster->nodes[sim_pick(loop_of(o), o->cluster->plan->nodes)];
}

static void look(struct sim_event *event)
{
    struct sim_operator *o = (struct sim_operator *)event;
    struct sim_node *node = pick_node(o);

    if (o->resting)
        return;
    if (sim_operator_is_idle(o) && sim_node_serves(node)) {
        o->region = sim_cluster_pick_region(o->cluster, REGION_PLACEMENT);
        o->target_node = pick_node(o)->number + 1;
        ask(o, node);
    }
    sim_post_in(loop_of(o), event, sim_pick(loop_of(o), PAUSE_MS * sim_ms));
}

struct sim_operator *sim_operator_new(struct sim_cluster *cluster)
{
    struct sim_operator *o = mem_zalloc(sizeof *o);

    o->cluster = cluster;
    o->event.run = look;
    if (sim_pick(cluster->loop, 2) == 0)
        sim_post_in(cluster->loop, &o->event, 0);
    return o;
}

void sim_operator_rest(struct sim_operator *o)
{
    o->resting = true;
}

/* ---- in the calm ---- */

static struct peer *find_leader(const struct sim_operator *o, uint64_t region)
{
    for (size_t i = 0; i < o->cluster->plan->nodes; i++) {
        const struct sim_node *node = &o->cluster->nodes[i];
        struct peer *peer =
            node->node == NULL ? NULL : node_peer(node->node, region);

        if (peer != NULL && peer_is_leader(peer))
            return peer;
    }
    return NULL;
}

/* Any voter but the leader. */
static bool choose_target(struct sim_operator *o)
{
    const struct peer *leader = find_leader(o, o->region);
    const struct region *region;
    size_t first;

    if (leader == NULL)
        return false;
    region = peer_region(leader);
    first = sim_pick(loop_of(o), region->peer_count);
    for (size_t i = 0; i < region->peer_count; i++) {
        const struct region_peer *peer =
            &region->peers[(first + i) % region->peer_count];

        o->target_node = peer->node;
        if (peer->role == PEER_VOTER && peer->id != peer_id(leader))
            return true;
    }
    return false;
}

bool sim_operator_hand_over(struct sim_operator *o)
{
    struct sim_node *node = pick_node(o);

    o->region = sim_cluster_pick_region(o->cluster, REGION_PLACEMENT);
    if (!sim_net_keeps_leaders(o->cluster->net) || !choose_target(o))
        return false;
    while (node->removed)
        node = pick_node(o);
    if (status_region_leader(node->node, o->region, NULL) != 0)
        return false; /* It has just started, and was told of few regions. */
    ask(o, node);
    return true;
}

/* As it was small: see engine/placement_merge.h. */
static bool was_merged(const struct sim_operator *o)
{
    uint64_t region = o->region;

    return !sim_cluster_find_region(o->cluster, &region) || region != o->region;
}

static bool tells_of_merge(const struct sim_operator *o,
                           const struct sim_node *node)
{
    const struct operators_view *told =
        placement_operators(node_placement(node->node));

    for (size_t i = 0; i < told->count; i++)
        if (told->operators[i].region == o->region &&
            told->operators[i].into != 0 && told->operators[i].end_ns == 0)
            return true;
    return false;
}

/* Before a region is taken over it goes, with its leader, to the nodes of the
 * one that takes it. Region 0's leader knows. */
static bool is_being_merged(const struct sim_operator *o)
{
    for (size_t i = 0; i < o->cluster->plan->nodes; i++) {
        const struct sim_node *node = &o->cluster->nodes[i];
        const struct peer *peer =
            node->node == NULL ? NULL : node_peer(node->node, REGION_PLACEMENT);

        if (peer != NULL && peer_is_leader(peer))
            return tells_of_merge(o, node);
    }
    return false;
}

void sim_operator_check(const struct sim_operator *o)
{
    const struct peer *leader = find_leader(o, o->region);

    if (o->request.status == 0 && (was_merged(o) || is_being_merged(o)))
        return;
    if (o->request.status != 0)
        sim_fail(loop_of(o), "a transfer in the calm failed: %s",
                 err_text(o->request.status));
    if (leader == NULL || peer_leader_node(leader) != o->target_node)
        sim_fail(loop_of(o), "a transfer was undone");
}

void sim_operator_free(struct sim_operator *o)
{
    buf_unref(o->request.data);
    free(o);
}
