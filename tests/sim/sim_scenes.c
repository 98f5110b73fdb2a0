/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <stdio.h>

#include "engine/keys.h"
#include "engine/peer_impl.h"
#include "engine/placement.h"
#include "tests/sim/sim_drain.h"
#include "tests/sim/sim_end.h"
#include "tests/sim/sim_scenes_acts.h"
#include "tests/sim/sim_scenes_below.h"
#include "tests/sim/sim_scenes_zone.h"
#include "tests/sim/sim_stage.h"

enum {
    TEXT_SIZE = 32,
    WORK_MS = 500,
    CUT_MS = 5000 /* longer than a merge waits */
};

/* ---- regions ---- */

static size_t count_regions(struct sim_stage *stage)
{
    uint64_t region = REGION_FIRST_DATA;
    size_t count = 0;

    for (; sim_cluster_find_region(stage->cluster, &region); region++)
        count++;
    return count;
}

static uint64_t last_region(struct sim_stage *stage)
{
    uint64_t region = REGION_FIRST_DATA;
    uint64_t last = 0;

    for (; sim_cluster_find_region(stage->cluster, &region); region++)
        last = region;
    return last;
}

/* A node that leads none of the data regions, which are two at most. */
static struct sim_node *find_idle_node(struct sim_stage *stage)
{
    struct sim_cluster *cluster = stage->cluster;
    bool leads[SIM_NODES_MAX] = {false};
    uint64_t region = REGION_FIRST_DATA;
    struct sim_node *node;
    size_t i = 0;

    for (; sim_cluster_find_region(cluster, &region); region++)
        if (sim_cluster_leader(cluster, region, &node) != NULL)
            leads[node->number] = true;
    while (leads[i])
        i++;
    return &cluster->nodes[i];
}

static void begin(struct sim_stage *stage)
{
    sim_stage_wait(stage, sim_stage_is_settled, "the cluster does not start");
    sim_stage_go_on(stage, WORK_MS * sim_ms);
}

/* ---- split, merge ---- */

static void ask_split(struct sim_stage *stage)
{
    sim_stage_write(stage, TABLE_REGION_SPLIT, REGION_FIRST_DATA, "/c");
}

static bool is_split(struct sim_stage *stage)
{
    return count_regions(stage) == 2 && sim_stage_is_settled(stage);
}

static void begin_split(struct sim_stage *stage)
{
    begin(stage);
    sim_stage_get_done(stage, ask_split, is_split);
    sim_stage_go_on(stage, WORK_MS * sim_ms);
}

static void ask_merge(struct sim_stage *stage)
{
    char text[TEXT_SIZE];

    (void)snprintf(text, sizeof text, "%" PRIu64, last_region(stage));
    sim_stage_write(stage, TABLE_REGION_MERGE, REGION_FIRST_DATA, text);
}

static bool is_merged(struct sim_stage *stage)
{
    return count_regions(stage) == 1 && sim_stage_is_settled(stage);
}

/* Once, as soon as the merge has begun. */
static void cut_off(void *context, struct sim_node *node)
{
    struct sim_stage *stage = context;
    struct sim_cluster *cluster = stage->cluster;
    uint64_t until_ns = cluster->loop->now_ns + CUT_MS * sim_ms;
    size_t victim = find_idle_node(stage)->number;

    (void)node;
    if (stage->region != 0)
        return;
    stage->region = REGION_FIRST_DATA;
    sim_note(cluster->loop, "node %zu is cut off", victim + 1);
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        sim_net_cut(cluster->net, victim, i, until_ns);
        sim_net_cut(cluster->net, i, victim, until_ns);
    }
}

static void begin_split_in_danger(struct sim_stage *stage)
{
    begin_split(stage);
    stage->cluster->on_split = cut_off;
    stage->cluster->on_split_context = stage;
}

/* ---- moves ---- */

static uint64_t leader_node(struct sim_stage *stage, uint64_t region)
{
    struct sim_node *node;

    if (sim_cluster_leader(stage->cluster, region, &node) == NULL)
        return 0;
    return node->number + 1;
}

/* Its leadership has to go first. */
static void begin_move(struct sim_stage *stage)
{
    begin(stage);
    stage->node = leader_node(stage, REGION_FIRST_DATA);
}

static void ask_move(struct sim_stage *stage)
{
    char text[TEXT_SIZE];

    (void)snprintf(text, sizeof text, "%" PRIu64 " 4", stage->node);
    sim_stage_write(stage, TABLE_REGION_MOVE, REGION_FIRST_DATA, text);
}

static bool has_region(struct sim_stage *stage, uint64_t node)
{
    const struct sim_node *n = &stage->cluster->nodes[node - 1];

    return n->node != NULL && node_any_peer(n->node, REGION_FIRST_DATA) != NULL;
}

/* Nothing keeps a move from coming to its end, whoever has to begin again. */
static bool has_ended(struct sim_stage *stage, const struct sim_node *node)
{
    struct goal goal;

    if (node->env == NULL ||
        placement_read_goal(node->env->env.state, REGION_FIRST_DATA, &goal) !=
            0 ||
        goal_is_running(&goal))
        return false;
    if (goal.status != 0)
        sim_fail(stage->cluster->loop, "the move has ended: %s (%s)",
                 err_text(goal.status), goal.why);
    return true;
}

/* For everybody to see. */
static bool goal_has_ended(struct sim_stage *stage)
{
    for (size_t i = 0; i < stage->cluster->plan->nodes; i++)
        if (!has_ended(stage, &stage->cluster->nodes[i]))
            return false;
    return true;
}

static bool is_moved(struct sim_stage *stage)
{
    /* However often a goal is read, the same operator pursues it. */
    if (sim_seen_counts[SEEN_OPERATOR_GONE] != 0)
        sim_fail(stage->cluster->loop, "an operator gave way to itself");
    return has_region(stage, 4) && !has_region(stage, stage->node) &&
           goal_has_ended(stage) && sim_stage_is_settled(stage);
}

/* ---- nodes ---- */

static bool founders_serve(struct sim_stage *stage)
{
    for (size_t i = 0; i < stage->cluster->plan->founders; i++)
        if (!sim_node_serves(&stage->cluster->nodes[i]))
            return false;
    return leader_node(stage, REGION_FIRST_DATA) != 0;
}

static void begin_without_4(struct sim_stage *stage)
{
    stage->cluster->nodes[3].start_at_ns = UINT64_MAX;
    sim_stage_wait(stage, founders_serve, "the cluster does not start");
    sim_stage_go_on(stage, WORK_MS * sim_ms);
}

static void ask_join(struct sim_stage *stage)
{
    struct sim_node *node = &stage->cluster->nodes[3];

    if (node->start_at_ns == UINT64_MAX)
        node->start_at_ns = 0;
}

/* Any node but the first, with data. */
static void begin_removal(struct sim_stage *stage)
{
    begin(stage);
    stage->node = leader_node(stage, REGION_FIRST_DATA);
    if (stage->node <= 1)
        stage->node = 2;
    stage->cluster->nodes[stage->node - 1].may_go = true;
}

static bool is_drained(struct sim_stage *stage)
{
    uint64_t node = leader_node(stage, REGION_PLACEMENT);

    return node != 0 && !has_region(stage, stage->node) &&
           sim_drain_state(&stage->cluster->nodes[node - 1],
                           &stage->cluster->nodes[stage->node - 1]) ==
               NODE_DRAINING;
}

static void ask_removal(struct sim_stage *stage)
{
    if (is_drained(stage))
        sim_stage_write(stage, TABLE_NODE_REMOVE, stage->node, "1");
    else
        sim_stage_write(stage, TABLE_NODE_DRAIN, stage->node, "1");
}

static bool is_removed(struct sim_stage *stage)
{
    return stage->cluster->nodes[stage->node - 1].removed &&
           sim_stage_is_settled(stage);
}

static void begin_nothing(struct sim_stage *stage)
{
    (void)stage;
}

static void ask_nothing(struct sim_stage *stage)
{
    (void)stage;
}

/* ---- snapshots ---- */

static void lose(struct sim_stage *stage, uint64_t id)
{
    struct sim_node *node = &stage->cluster->nodes[id - 1];

    stage->node = id;
    sim_node_crash(node, true, UINT64_MAX);
    sim_clients_on_crash(stage->clients, node);
}

/* No log of a data region begins where it did any more. */
static bool is_compacted(struct sim_stage *stage)
{
    struct sim_cluster *cluster = stage->cluster;

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct node *node = cluster->nodes[i].node;
        const struct peer *peer = NULL;

        while (node != NULL && (peer = node_next_peer(node, peer)) != NULL)
            if (peer->region_id != REGION_PLACEMENT && peer->compactions == 0)
                return false;
    }
    return true;
}

static void begin_behind(struct sim_stage *stage)
{
    begin(stage);
    lose(stage, find_idle_node(stage)->number + 1);
    sim_stage_wait(stage, is_compacted, "logs are not compacted");
}

static bool two_regions(struct sim_stage *stage)
{
    return count_regions(stage) == 2;
}

static void begin_behind_split(struct sim_stage *stage)
{
    begin(stage);
    lose(stage, find_idle_node(stage)->number + 1);
    sim_stage_get_done(stage, ask_split, two_regions);
    sim_stage_wait(stage, is_compacted, "logs are not compacted");
}

static void ask_return(struct sim_stage *stage)
{
    struct sim_node *node = &stage->cluster->nodes[stage->node - 1];

    if (node->state == SIM_DOWN && node->start_at_ns == UINT64_MAX)
        node->start_at_ns = 0;
}

/* The placement group gives up a node that has data. */
static void begin_without_one(struct sim_stage *stage)
{
    begin(stage);
    lose(stage, leader_node(stage, REGION_FIRST_DATA) == 2 ? 3 : 2);
}

static bool is_given_up(struct sim_stage *stage)
{
    struct sim_node *node;
    const struct peer *peer =
        sim_cluster_leader(stage->cluster, REGION_FIRST_DATA, &node);

    return peer != NULL &&
           region_find_node(peer_region(peer), stage->node) == NULL;
}

/* It has to give back what others have now; but who crashes may be given up in
 * its turn, and it gets something again. */
static void ask_return_when_replaced(struct sim_stage *stage)
{
    if (is_given_up(stage))
        ask_return(stage);
}

/* ---- files and directories ---- */

/* Those up to the first END are done beforehand. */
static void begin_acts(struct sim_stage *stage)
{
    begin_split(stage);
    sim_stage_get_done(stage, sim_stage_act, sim_stage_acts_are_over);
    stage->act++;
}

static bool acts_are_settled(struct sim_stage *stage)
{
    return sim_stage_acts_are_over(stage) && sim_end_is_quiet(stage->cluster);
}

/* d begins in region 2, whose end is in the middle of what is in d. */
static void ask_second_split(struct sim_stage *stage)
{
    sim_stage_write(stage, TABLE_REGION_SPLIT, last_region(stage), "/d/c");
}

static bool is_split_twice(struct sim_stage *stage)
{
    return count_regions(stage) == 3 && sim_stage_is_settled(stage);
}

static void begin_acts_in_parts(struct sim_stage *stage)
{
    begin_acts(stage);
    sim_stage_get_done(stage, ask_second_split, is_split_twice);
}

/* ---- all ---- */

#define BUSY(nodes, keep, down_after)                                          \
    nodes, nodes, false, true, keep, down_after, false
#define STILL(nodes, founders) nodes, founders, false, false, 0, 0, false
#define FOUNDING(nodes) nodes, nodes, true, false, 0, 0, false
#define ZONE(nodes) nodes, nodes, false, false, 0, 0, true
#define ZONE_KEEPING(nodes, keep) nodes, nodes, false, false, keep, 0, true

const struct sim_scene sim_scenes[] = {
    /* clang-format off */
    {"found", FOUNDING(3), SEEN_FOUNDED, NULL,
     begin_nothing, ask_nothing, sim_stage_is_settled},
    {"join", STILL(4, 3), SEEN_JOINED, NULL,
     begin_without_4, ask_join, sim_stage_is_settled},
    {"remove", BUSY(4, 0, 0), SEEN_REPLICA_ERASED, NULL,
     begin_removal, ask_removal, is_removed},
    {"move", BUSY(4, 0, 0), SEEN_JOINT, NULL,
     begin_move, ask_move, is_moved},
    {"replace", BUSY(4, 0, 1), SEEN_REPLICA_ERASED, NULL,
     begin_without_one, ask_return_when_replaced, sim_stage_is_settled},
    {"split", BUSY(3, 0, 0), SEEN_SPLIT, NULL,
     begin, ask_split, is_split},
    {"merge", BUSY(3, 0, 0), SEEN_MERGE, NULL,
     begin_split, ask_merge, is_merged},
    {"merge given up", BUSY(3, 0, 0), SEEN_MERGE_GIVEN_UP, NULL,
     begin_split_in_danger, ask_merge, is_merged},
    {"snapshot", BUSY(3, 20, 0), SEEN_SNAPSHOT_RESTORED, NULL,
     begin_behind, ask_return, sim_stage_is_settled},
    {"split by snapshot", BUSY(3, 20, 0), SEEN_SPLIT_BY_SNAPSHOT, NULL,
     begin_behind_split, ask_return, sim_stage_is_settled},
    {"rename", STILL(3, 3), SEEN_TXN_DECIDED, scene_rename_acts,
     begin_acts, sim_stage_act, acts_are_settled},
    {"rename with chunks", STILL(3, 3), SEEN_TXN_COPIED, scene_chunk_acts,
     begin_acts, sim_stage_act, acts_are_settled},
    {"exchange", STILL(3, 3), SEEN_TXN_DECIDED, scene_exchange_acts,
     begin_acts, sim_stage_act, acts_are_settled},
    {"directories", STILL(3, 3), SEEN_DIR_RENAMED, scene_directory_acts,
     begin_acts_in_parts, sim_stage_act, acts_are_settled},
    {"rmdir", STILL(3, 3), SEEN_TXN_DECIDED, scene_rmdir_acts,
     begin_acts_in_parts, sim_stage_act, acts_are_settled},
    {"to eventual", ZONE(3), SEEN_ZONE_MADE, NULL,
     scene_begin_strong, scene_ask_eventual, scene_is_eventual},
    {"eventual files", ZONE(3), SEEN_ZONE_CHANGED, NULL,
     scene_begin_eventual, scene_ask_files, scene_files_are_done},
    {"to strong", ZONE(3), SEEN_ZONE_STRONG, NULL,
     scene_begin_used, scene_ask_strong, scene_is_strong},
    {"remove eventual", ZONE(3), SEEN_ZONE_REMOVED, NULL,
     scene_begin_used, scene_ask_removal, scene_is_removed},
    {"eventual again", ZONE(3), SEEN_ZONE_OUTLIVED, NULL,
     scene_begin_again, scene_ask_again, scene_is_again},
    {"strong below", ZONE(3), SEEN_BELOW_STRONG, NULL,
     scene_begin_below, scene_ask_below_strong, scene_is_below_strong},
    {"eventual below", ZONE(3), SEEN_BELOW_INHERITS, NULL,
     scene_begin_strong_below, scene_ask_below_inherits,
     scene_is_below_eventual},
    {"remove strong below", ZONE(3), SEEN_BELOW_REMOVED, NULL,
     scene_begin_empty_below, scene_ask_below_removal, scene_is_below_removed},
    {"leave", ZONE(4), SEEN_REMOVE_KEPT, NULL,
     scene_begin_leaving, scene_ask_leaving, scene_has_left},
    {"strong by force", ZONE(4), SEEN_FORCE_KEPT, NULL,
     scene_begin_away, scene_ask_force, scene_is_strong},
    {"strong while away", ZONE_KEEPING(4, 1), SEEN_FORCE_KEPT, NULL,
     scene_begin_behind, scene_ask_force, scene_is_strong},
    /* clang-format on */
};

const size_t sim_scene_count = ARRAY_SIZE(sim_scenes);
