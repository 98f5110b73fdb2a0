/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_goals.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/flow.h"
#include "engine/keys.h"
#include "engine/placement.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_seen.h"

enum { TEXT_SIZE = 32, REGIONS_NAMED = 3, TIMEOUT_MS_MAX = 5000 };

struct text {
    struct request request;
    struct sim_node *node;
};

/* ---- what is written ---- */

static uint64_t any_node(struct sim_cluster *cluster)
{
    return 1 + sim_pick(cluster->loop, cluster->plan->nodes + 1);
}

static void draw_move(struct sim_cluster *cluster, char text[TEXT_SIZE])
{
    uint64_t from = any_node(cluster);
    uint64_t to = any_node(cluster);

    switch (sim_pick(cluster->loop, 5)) {
    case 0:
        (void)snprintf(text, TEXT_SIZE, "+%" PRIu64 "\n", to);
        return;
    case 1:
        (void)snprintf(text, TEXT_SIZE, "-%" PRIu64 "\n", from);
        return;
    default:
        (void)snprintf(text, TEXT_SIZE, "%" PRIu64 " %" PRIu64 "\n", from, to);
    }
}

static enum engine_table draw_setting(struct sim_cluster *cluster,
                                      char text[TEXT_SIZE])
{
    static const struct {
        enum engine_table table;
        const char *text;
    } settings[] = {
        {TABLE_SETTING_REPLICAS, "3"},
        {TABLE_SETTING_REPLICAS, "1"},
        {TABLE_SETTING_REPLICAS, "5"},
        {TABLE_SETTING_REPLICAS, "2"},
        {TABLE_SETTING_DOWN_AFTER, "10"},
        {TABLE_SETTING_DOWN_AFTER, "300"},
        {TABLE_SETTING_BALANCE, "off"},
        {TABLE_SETTING_BALANCE, "on"},
        {TABLE_SETTING_OPERATORS, "1"},
        {TABLE_SETTING_OPERATORS, "4"},
        {TABLE_SETTING_REGION_SIZE, "1048576"},
        {TABLE_SETTING_AUTO_MERGE, "on"},
        {TABLE_SETTING_AUTO_MERGE, "off"},
    };
    size_t i = sim_pick(cluster->loop, ARRAY_SIZE(settings));

    (void)snprintf(text, TEXT_SIZE, "%s", settings[i].text);
    return settings[i].table;
}

static enum engine_table draw(struct sim_cluster *cluster, char text[TEXT_SIZE])
{
    switch (sim_pick(cluster->loop, 8)) {
    case 0:
        (void)snprintf(text, TEXT_SIZE, "cancel");
        return TABLE_REGION_OPERATOR;
    case 1:
        return draw_setting(cluster, text);
    default:
        draw_move(cluster, text);
        return TABLE_REGION_MOVE;
    }
}

/* ---- how it ends ---- */

static bool is_named(int status)
{
    return status == ERR_INVALID || status == ERR_NOT_FOUND ||
           status == ERR_BUSY || status == ERR_NOT_PERMITTED ||
           status == ERR_NO_QUORUM || status == ERR_UNKNOWN_OUTCOME ||
           status == ERR_CANCELED || status == ERR_NO_SPACE;
}

static void written(struct request *request)
{
    struct text *text = container_of(request, struct text, request);

    if (request->status == 0 && request->table == TABLE_REGION_MOVE)
        sim_seen(SEEN_GOAL_BEGUN);
    else if (request->status == ERR_BUSY)
        sim_seen(SEEN_GOAL_BUSY);
    else if (request->status != 0 && !is_named(request->status))
        sim_fail(text->node->machine.loop, "a control file answers '%s'",
                 err_text(request->status));
    else if (request->status == ERR_NOT_PERMITTED)
        sim_seen(SEEN_GOAL_REFUSED);
    buf_unref(request->data);
    free(text);
}

static struct sim_node *any_serving(struct sim_cluster *cluster)
{
    struct sim_node *node =
        &cluster->nodes[sim_pick(cluster->loop, cluster->plan->nodes)];

    return sim_node_serves(node) ? node : NULL;
}

void sim_goals_strike(struct sim_cluster *cluster)
{
    struct sim_node *node = any_serving(cluster);
    struct text *text;
    char bytes[TEXT_SIZE];
    size_t size;

    if (node == NULL)
        return;
    text = mem_zalloc(sizeof *text);
    text->node = node;
    text->request = (struct request){
        .kind = REQUEST_CONTROL,
        .table = draw(cluster, bytes),
        .object = sim_pick(cluster->loop, 8) == 0
                      ? sim_pick(cluster->loop, REGIONS_NAMED)
                      : sim_cluster_pick_region(cluster, REGION_FIRST_DATA),
        .timeout_ms = sim_between(cluster->loop, 10, TIMEOUT_MS_MAX),
        .private = (void *)(uintptr_t)++node->request_last,
        .done = written,
    };
    size = slice_of(bytes).size;
    text->request.data = buf_copy(bytes, size);
    sim_note(cluster->loop, "node %zu: '%.*s' for region %" PRIu64,
             node->number + 1, (int)size, bytes, text->request.object);
    sim_env_enter(node->env, ENV_WORKER);
    flows_submit(node_flows(node->node), &text->request);
    sim_env_leave(node->env);
}

/* ---- settling ---- */

bool sim_goals_settled(struct sim_cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        struct sim_node *node = &cluster->nodes[i];
        bool settled;

        if (!sim_node_serves(node))
            continue;
        sim_env_enter(node->env, ENV_WORKER);
        settled = placement_is_settled(node_placement(node->node),
                                       sim_net_keeps_leaders(cluster->net));
        sim_env_leave(node->env);
        if (settled)
            return true;
    }
    return false;
}
