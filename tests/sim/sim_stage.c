/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_stage.h"

#include <inttypes.h>

#include "engine/peer_impl.h"
#include "tests/sim/sim_control.h"
#include "tests/sim/sim_members.h"
#include "tests/sim/sim_watch.h"

enum {
    LOOK_MS = 5,
    ASK_AGAIN_MS = 500,
    DONE_SECONDS = 120 /* for it to be done, whatever crashes meanwhile */
};

static struct sim_loop *loop_of(const struct sim_stage *stage)
{
    return stage->cluster->loop;
}

/* ---- time ---- */

void sim_stage_go_on(struct sim_stage *stage, uint64_t span_ns)
{
    uint64_t until_ns = loop_of(stage)->now_ns + span_ns;

    while (sim_step(loop_of(stage), until_ns))
        ;
}

static void fail_if_late(const struct sim_stage *stage, uint64_t began_ns,
                         const char *what)
{
    if (loop_of(stage)->now_ns - began_ns > DONE_SECONDS * 1000 * sim_ms)
        sim_fail(loop_of(stage), "no progress: %s", what);
}

void sim_stage_wait(struct sim_stage *stage,
                    bool (*done)(struct sim_stage *stage), const char *what)
{
    uint64_t began_ns = loop_of(stage)->now_ns;

    while (!done(stage)) {
        fail_if_late(stage, began_ns, what);
        sim_stage_go_on(stage, LOOK_MS * sim_ms);
    }
}

static bool is_waiting(struct sim_stage *stage)
{
    if (stage->control != NULL && sim_control_is_lost(stage->control))
        stage->control = NULL;
    return stage->control != NULL;
}

void sim_stage_get_done(struct sim_stage *stage,
                        void (*ask)(struct sim_stage *stage),
                        bool (*is_done)(struct sim_stage *stage))
{
    uint64_t began_ns = loop_of(stage)->now_ns;
    uint64_t next_ns = began_ns;

    while (!is_done(stage)) {
        fail_if_late(stage, began_ns, "it cannot be done any more");
        if (!is_waiting(stage) && loop_of(stage)->now_ns >= next_ns) {
            ask(stage);
            next_ns = loop_of(stage)->now_ns + ASK_AGAIN_MS * sim_ms;
        }
        sim_stage_go_on(stage, LOOK_MS * sim_ms);
    }
}

/* ---- looking ---- */

static bool has_caught_up(const struct sim_cluster *cluster,
                          const struct sim_node *node)
{
    const struct peer *peer = NULL;

    while (node->node != NULL &&
           (peer = node_next_peer(node->node, peer)) != NULL)
        if (peer->applied_index <
            sim_watch_committed(cluster->watch, peer->region_id))
            return false;
    return true;
}

bool sim_stage_is_settled(struct sim_stage *stage)
{
    uint64_t region;
    struct sim_node *node;

    if (!sim_cluster_is_up(stage->cluster) ||
        !sim_members_settled(stage->cluster))
        return false;
    for (size_t i = 0; i < stage->cluster->plan->nodes; i++)
        if (!has_caught_up(stage->cluster, &stage->cluster->nodes[i]))
            return false;
    for (region = 0; sim_cluster_find_region(stage->cluster, &region); region++)
        if (sim_cluster_leader(stage->cluster, region, &node) == NULL)
            return false;
    return true;
}

/* ---- doing ---- */

/* NULL: none serves. */
static struct sim_node *any_node(struct sim_stage *stage)
{
    size_t nodes = stage->cluster->plan->nodes;
    size_t first = sim_pick(loop_of(stage), nodes);

    for (size_t i = 0; i < nodes; i++) {
        struct sim_node *node = &stage->cluster->nodes[(first + i) % nodes];

        if (sim_node_serves(node))
            return node;
    }
    return NULL;
}

static void answered(struct sim_control *control)
{
    struct sim_stage *stage = control->context;

    sim_note(loop_of(stage), "control file: %s",
             err_text(control->request.status));
    stage->control = NULL;
}

void sim_stage_write(struct sim_stage *stage, enum engine_table table,
                     uint64_t object, const char *text)
{
    struct sim_node *node = any_node(stage);

    if (node == NULL)
        return;
    sim_note(loop_of(stage), "node %zu: '%s' for %" PRIu64, node->number + 1,
             text, object);
    stage->control =
        sim_control_write(node, table, object, text, answered, stage);
}

/* 0: it was never made. */
static uint64_t find_dir(const struct sim_stage *stage, uint8_t dir)
{
    uint64_t ino;

    if (dir == SIM_IN_ROOT)
        return NSID_ROOT;
    ino = sim_clients_known(stage->clients, NSID_ROOT, dir);
    return (ino & INO_DIR_BIT) != 0 ? nsid_of_ino(ino) : 0;
}

/* Any client does it. False: none can. */
static bool begin_op(struct sim_stage *stage, const struct sim_op *op)
{
    size_t nodes = stage->cluster->plan->nodes;
    size_t first = sim_pick(loop_of(stage), nodes);

    for (size_t i = 0; i < nodes; i++)
        if (sim_clients_do(stage->clients, (first + i) % nodes, op))
            return true;
    return false;
}

static bool do_act(struct sim_stage *stage, const struct sim_act *act)
{
    struct sim_op op = {
        .kind = act->kind,
        .flags = act->flags,
        .dir = find_dir(stage, act->dir),
        .name = act->name,
        .to_name = act->to_name,
        .piece_size = act->piece_size,
    };

    if (act->kind == REQUEST_RENAME)
        op.to_dir = find_dir(stage, act->to_dir);
    if (act->kind == REQUEST_WRITE)
        op.ino = sim_clients_known(stage->clients, op.dir, op.name);
    if (op.dir == 0 || (act->kind == REQUEST_RENAME && op.to_dir == 0) ||
        (act->kind == REQUEST_WRITE && op.ino == 0))
        return true; /* A crash has come first. */
    return begin_op(stage, &op);
}

void sim_stage_act(struct sim_stage *stage)
{
    const struct sim_act *act = &stage->scene->acts[stage->act];

    if (act->kind == REQUEST_KINDS || !sim_clients_are_idle(stage->clients))
        return;
    while (do_act(stage, act++)) {
        stage->act++;
        if (!act->beside)
            return;
    }
}

bool sim_stage_acts_are_over(struct sim_stage *stage)
{
    return stage->scene->acts[stage->act].kind == REQUEST_KINDS &&
           sim_clients_are_idle(stage->clients);
}

/* ---- the play ---- */

static void act(struct sim_play *play, struct sim_cluster *cluster,
                struct sim_clients *clients)
{
    struct sim_stage *stage = (struct sim_stage *)play;
    struct sim_point *point = &stage->point;
    uint64_t shown;

    stage->cluster = cluster;
    stage->clients = clients;
    point->clients = clients;
    cluster->point = point;
    if (stage->scene->busy)
        sim_clients_work(clients);
    else
        sim_clients_rest(clients);
    stage->scene->prepare(stage);
    shown = sim_seen_counts[stage->scene->shows];
    sim_note(cluster->loop, "steps count");
    point->open = true;
    sim_stage_get_done(stage, stage->scene->ask, stage->scene->is_done);
    point->open = false;
    sim_note(cluster->loop, "steps do not count any more");
    if (point->step != 0 && !point->struck)
        sim_fail(cluster->loop, "the step is not reached");
    if (point->step == 0 && sim_seen_counts[stage->scene->shows] == shown)
        sim_fail(cluster->loop, "the scene does not show what it is for");
}

/* Small and fast, and nothing fails but at the point. */
void sim_stage_init(struct sim_stage *stage, const struct sim_scene *scene)
{
    *stage = (struct sim_stage){
        .scene = scene,
        .play =
            {
                .act = act,
                .plan =
                    {
                        .nodes = scene->nodes,
                        .founders = scene->founders,
                        .empty = scene->empty,
                        .chaos_ns = 2000 * sim_ms,
                        .log_keep =
                            scene->log_keep != 0 ? scene->log_keep : 10000,
                        .results_held_max = 8192,
                        .op_timeout_ms = 3000,
                        .alarm_ms = 300000,
                        .region_size = 100000000,
                        .down_after_s = scene->down_after_s != 0
                                            ? scene->down_after_s
                                            : 300,
                        .lasting_ns = 100 * sim_ms,
                        .delay_ns = 200 * sim_us,
                        .notice_ns = 100 * sim_ms,
                        .task_ns = 10 * sim_us,
                        .sync_ns = 500 * sim_us,
                        .apply_owners = 3,
                        .step_ns = 50 * sim_ms,
                        .clients = 1,
                        .names = 5,
                        .dir_names = 2,
                        .think_ns = 100 * sim_ms,
                        .try_first = true,
                        .page_size = 50,
                        .zones = scene->has_zone,
                        .zone_names = 3,
                    },
            },
    };
}
