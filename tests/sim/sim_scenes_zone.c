/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_scenes_zone.h"

#include "engine/peer_impl.h"
#include "tests/sim/sim_drain.h"
#include "tests/sim/sim_end.h"
#include "tests/sim/sim_lives.h"
#include "tests/sim/sim_zone.h"

enum {
    WORK_MS = 500,
    SMALL = 30,
    LARGE = 9000, /* not inline */
    ALONE_MS = 10000,
    TOLD_MS = 3000, /* until all nodes ask each other, and leaders stay */
    LATE_MS = 1000,
    AWAY = 3 /* the number of the node that goes, or is left out */
};

static const struct sim_zone *zone_of(const struct sim_stage *stage)
{
    return sim_zones_find(stage->cluster->zones, 0);
}

bool scene_begin_op(struct sim_stage *stage, const struct sim_zone_op *op)
{
    struct sim_cluster *cluster = stage->cluster;
    size_t nodes = cluster->plan->nodes;
    size_t first = sim_pick(cluster->loop, nodes);

    if (!sim_zones_are_idle(cluster->zones))
        return false;
    for (size_t i = 0; i < nodes; i++)
        if (sim_zones_do(cluster->zones, (first + i) % nodes, op))
            return true;
    return false;
}

bool scene_is_settled(struct sim_stage *stage)
{
    return sim_zones_are_idle(stage->cluster->zones) &&
           sim_stage_is_settled(stage) && sim_end_is_quiet(stage->cluster) &&
           sim_zones_are_settled(stage->cluster->zones);
}

/* ---- the directory ---- */

static void ask_of_zone(struct sim_stage *stage, enum request_kind kind,
                        bool to_eventual)
{
    struct sim_zone_op op = {
        .kind = kind, .of_zone = true, .to_eventual = to_eventual};

    if (kind == REQUEST_SETXATTR)
        op.ino = ino_of_nsid(zone_of(stage)->nsid);
    (void)scene_begin_op(stage, &op);
}

/* Who was not told what has become of it looks. */
static void ask_made(struct sim_stage *stage)
{
    bool look = sim_pick(stage->cluster->loop, 2) == 0;

    ask_of_zone(stage, look ? REQUEST_LOOKUP : REQUEST_MKDIR, false);
}

static bool is_made(struct sim_stage *stage)
{
    return zone_of(stage)->nsid != 0 && scene_is_settled(stage);
}

void scene_ask_eventual(struct sim_stage *stage)
{
    ask_of_zone(stage, REQUEST_SETXATTR, true);
}

bool scene_is_eventual(struct sim_stage *stage)
{
    return zone_of(stage)->eventual && scene_is_settled(stage);
}

void scene_ask_strong(struct sim_stage *stage)
{
    ask_of_zone(stage, REQUEST_SETXATTR, false);
}

bool scene_is_strong(struct sim_stage *stage)
{
    return !zone_of(stage)->eventual && scene_is_settled(stage);
}

void scene_ask_removal(struct sim_stage *stage)
{
    ask_of_zone(stage, REQUEST_RMDIR, false);
}

bool scene_is_removed(struct sim_stage *stage)
{
    return zone_of(stage)->nsid == 0 && scene_is_settled(stage);
}

void scene_begin_strong(struct sim_stage *stage)
{
    sim_stage_wait(stage, sim_stage_is_settled, "the cluster does not start");
    sim_stage_go_on(stage, WORK_MS * sim_ms);
    sim_stage_get_done(stage, ask_made, is_made);
}

void scene_begin_eventual(struct sim_stage *stage)
{
    scene_begin_strong(stage);
    sim_stage_get_done(stage, scene_ask_eventual, scene_is_eventual);
}

/* ---- files ---- */

static const struct sim_zone_op files[] = {
    {.kind = REQUEST_CREATE, .name = 0, .piece_size = SMALL},
    {.kind = REQUEST_CREATE, .name = 1, .piece_size = LARGE},
    {.kind = REQUEST_RENAME, .name = 0, .to_name = 2},
    {.kind = REQUEST_RENAME,
     .name = 1,
     .to_name = 2,
     .flags = REQUEST_EXCHANGE},
    {.kind = REQUEST_UNLINK, .name = 1},
    {.kind = REQUEST_CREATE, .name = 0, .piece_size = LARGE},
};

static const struct sim_zone_op removals[] = {
    {.kind = REQUEST_UNLINK, .name = 0},
    {.kind = REQUEST_UNLINK, .name = 1},
    {.kind = REQUEST_UNLINK, .name = 2},
};

void scene_ask_files(struct sim_stage *stage)
{
    if (stage->act < ARRAY_SIZE(files) &&
        scene_begin_op(stage, &files[stage->act]))
        stage->act++;
}

bool scene_files_are_done(struct sim_stage *stage)
{
    return stage->act == ARRAY_SIZE(files) && scene_is_settled(stage);
}

static void ask_removals(struct sim_stage *stage)
{
    if (stage->act < ARRAY_SIZE(removals) &&
        scene_begin_op(stage, &removals[stage->act]))
        stage->act++;
}

static bool removals_are_done(struct sim_stage *stage)
{
    return stage->act == ARRAY_SIZE(removals) && scene_is_settled(stage);
}

void scene_begin_used(struct sim_stage *stage)
{
    scene_begin_eventual(stage);
    sim_stage_get_done(stage, scene_ask_files, scene_files_are_done);
    stage->act = 0;
    sim_stage_get_done(stage, ask_removals, removals_are_done);
}

/* ---- another life ---- */

/* Whom everybody can be heard by, whatever comes late. */
static size_t asker(const struct sim_stage *stage)
{
    return (size_t)stage->node % stage->cluster->plan->nodes;
}

static size_t late_sender(const struct sim_stage *stage)
{
    return (size_t)(stage->node + 1) % stage->cluster->plan->nodes;
}

static size_t late_receiver(const struct sim_stage *stage)
{
    return (size_t)(stage->node + 2) % stage->cluster->plan->nodes;
}

static void ask_late(struct sim_stage *stage)
{
    (void)sim_zones_do(stage->cluster->zones, late_sender(stage), &removals[0]);
}

static bool late_is_done(struct sim_stage *stage)
{
    struct eventual_record record = {0};
    const struct sim_node *sender = &stage->cluster->nodes[late_sender(stage)];
    bool is_done = sim_lives_get(sender, zone_of(stage)->nsid,
                                 sim_zone_file_name(0), &record) &&
                   record.removed;

    eventual_release(&record);
    return is_done && sim_zones_are_idle(stage->cluster->zones);
}

static void ask_file(struct sim_stage *stage)
{
    (void)scene_begin_op(stage, &files[0]);
}

static bool file_is_there(struct sim_stage *stage)
{
    struct eventual_record record = {0};
    bool is_there =
        sim_lives_get(&stage->cluster->nodes[0], zone_of(stage)->nsid,
                      sim_zone_file_name(0), &record);

    eventual_release(&record);
    return is_there && scene_is_settled(stage);
}

static void ask_mode_there(struct sim_stage *stage, bool to_eventual)
{
    struct sim_zone_op op = {.kind = REQUEST_SETXATTR,
                             .of_zone = true,
                             .to_eventual = to_eventual,
                             .ino = ino_of_nsid(zone_of(stage)->nsid)};

    if (!sim_zones_are_idle(stage->cluster->zones) ||
        sim_zones_do(stage->cluster->zones, asker(stage), &op))
        return;
    (void)scene_begin_op(stage, &op);
}

static void ask_strong_there(struct sim_stage *stage)
{
    ask_mode_there(stage, false);
}

static bool is_strong_there(struct sim_stage *stage)
{
    return !zone_of(stage)->eventual;
}

/* The sender's answer, with its removal of the file, is on its way until all is
 * over. The receiver knows what region 0 says, and tells the asker of its
 * fence. */
void scene_begin_again(struct sim_stage *stage)
{
    struct sim_cluster *cluster = stage->cluster;
    struct sim_node *leader = NULL;

    scene_begin_eventual(stage);
    sim_stage_get_done(stage, ask_file, file_is_there);
    sim_stage_go_on(stage, TOLD_MS * sim_ms);
    if (sim_cluster_leader(cluster, REGION_PLACEMENT, &leader) == NULL)
        sim_fail(cluster->loop, "nobody leads region 0");
    stage->node = leader->number;
    stage->late_ns = cluster->loop->now_ns + LATE_MS * sim_ms;
    sim_net_hold(cluster->net, late_sender(stage), late_receiver(stage),
                 stage->late_ns);
    sim_stage_get_done(stage, ask_late, late_is_done);
    sim_stage_get_done(stage, ask_strong_there, is_strong_there);
}

void scene_ask_again(struct sim_stage *stage)
{
    ask_mode_there(stage, true);
}

bool scene_is_again(struct sim_stage *stage)
{
    return stage->cluster->loop->now_ns > stage->late_ns &&
           scene_is_eventual(stage);
}

/* ---- a node that goes ---- */

static struct sim_node *leaving_node(const struct sim_stage *stage)
{
    return &stage->cluster->nodes[AWAY];
}

static void cut_off(struct sim_stage *stage, uint64_t until_ns)
{
    struct sim_cluster *cluster = stage->cluster;

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        sim_net_cut(cluster->net, AWAY, i, until_ns);
        sim_net_cut(cluster->net, i, AWAY, until_ns);
    }
}

static void ask_alone(struct sim_stage *stage)
{
    struct sim_zones *zones = stage->cluster->zones;

    if (stage->act < ARRAY_SIZE(files) && sim_zones_are_idle(zones) &&
        sim_zones_do(zones, AWAY, &files[stage->act]))
        stage->act++;
}

static bool alone_is_done(struct sim_stage *stage)
{
    return stage->act == ARRAY_SIZE(files) &&
           sim_zones_are_idle(stage->cluster->zones);
}

/* Nobody else has what it accepts. */
void scene_begin_leaving(struct sim_stage *stage)
{
    scene_begin_eventual(stage);
    leaving_node(stage)->may_go = true;
    cut_off(stage, stage->cluster->loop->now_ns + ALONE_MS * sim_ms);
    sim_stage_get_done(stage, ask_alone, alone_is_done);
}

static bool is_drained(const struct sim_stage *stage)
{
    const struct sim_cluster *cluster = stage->cluster;

    for (size_t i = 0; i < AWAY; i++)
        if (sim_node_serves(&cluster->nodes[i]))
            return sim_drain_state(&cluster->nodes[i], leaving_node(stage)) ==
                   NODE_DRAINING;
    return false;
}

void scene_ask_leaving(struct sim_stage *stage)
{
    enum engine_table table =
        is_drained(stage) ? TABLE_NODE_REMOVE : TABLE_NODE_DRAIN;

    sim_stage_write(stage, table, AWAY + 1, "1");
}

bool scene_has_left(struct sim_stage *stage)
{
    return leaving_node(stage)->removed && scene_is_settled(stage);
}

/* ---- a node that is left out ---- */

enum { BELOW = 1 }; /* the directory of that name in the zone */

static const struct sim_zone_op away[] = {
    {.kind = REQUEST_UNLINK, .name = 0},
    {.kind = REQUEST_CREATE, .name = 1, .piece_size = LARGE},
    {.kind = REQUEST_CREATE, .dir = BELOW, .name = 0, .piece_size = SMALL},
};

static void ask_below(struct sim_stage *stage)
{
    const struct sim_zone_op op = {.kind = REQUEST_MKDIR, .name = ZONE_SUB};

    (void)scene_begin_op(stage, &op);
}

static bool is_below_made(struct sim_stage *stage)
{
    return zone_of(stage)->subs[BELOW] != 0 && scene_is_settled(stage);
}

static void ask_away(struct sim_stage *stage)
{
    struct sim_zones *zones = stage->cluster->zones;

    if (stage->act < ARRAY_SIZE(away) && sim_zones_are_idle(zones) &&
        sim_zones_do(zones, AWAY, &away[stage->act]))
        stage->act++;
}

static bool away_is_done(struct sim_stage *stage)
{
    return stage->act == ARRAY_SIZE(away) &&
           sim_zones_are_idle(stage->cluster->zones);
}

/* Nobody else knows of what it changes there. */
void scene_begin_away(struct sim_stage *stage)
{
    scene_begin_eventual(stage);
    sim_stage_get_done(stage, ask_below, is_below_made);
    sim_stage_get_done(stage, ask_file, file_is_there);
    cut_off(stage, UINT64_MAX);
    sim_stage_get_done(stage, ask_away, away_is_done);
}

static void ask_force(struct sim_stage *stage)
{
    struct sim_cluster *cluster = stage->cluster;
    struct sim_zone_op op = {.kind = REQUEST_SETXATTR,
                             .of_zone = true,
                             .by_force = true,
                             .ino = ino_of_nsid(zone_of(stage)->nsid)};

    if (sim_zones_are_idle(cluster->zones))
        (void)sim_zones_do(cluster->zones, sim_pick(cluster->loop, AWAY), &op);
}

/* It comes back when that is done. */
void scene_ask_force(struct sim_stage *stage)
{
    if (zone_of(stage)->eventual)
        ask_force(stage);
    else
        sim_net_heal(stage->cluster->net);
}

/* What becomes of directories is in region 0. */
static void ask_more(struct sim_stage *stage)
{
    struct sim_cluster *cluster = stage->cluster;
    bool is_made = zone_of(stage)->subs[BELOW + 1] != 0;
    struct sim_zone_op op = {.kind = is_made ? REQUEST_RMDIR : REQUEST_MKDIR,
                             .name = ZONE_OTHER};

    if (zone_of(stage)->eventual)
        ask_force(stage);
    else if (sim_zones_are_idle(cluster->zones))
        (void)sim_zones_do(cluster->zones, sim_pick(cluster->loop, AWAY), &op);
}

/* No log has what the node lacks any more. */
static bool is_behind(struct sim_stage *stage)
{
    struct sim_cluster *cluster = stage->cluster;
    const struct peer *lacks =
        node_peer(cluster->nodes[AWAY].node, REGION_PLACEMENT);

    for (size_t i = 0; i < AWAY; i++) {
        const struct peer *peer =
            node_peer(cluster->nodes[i].node, REGION_PLACEMENT);

        if (region_log_first_index(peer->log) <=
            raft_last_index(lacks->raft) + 1)
            return false;
    }
    return !zone_of(stage)->eventual && sim_zones_are_idle(cluster->zones);
}

/* All that is over when it comes back, and it gets the catalog as it is. */
void scene_begin_behind(struct sim_stage *stage)
{
    scene_begin_away(stage);
    sim_stage_get_done(stage, ask_more, is_behind);
}
