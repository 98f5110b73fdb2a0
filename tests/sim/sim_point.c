/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_point.h"

#include <inttypes.h>

enum { SHORT_MS = 200, LONG_MS = 3000 };

/* Back before anybody misses it, or after the others have gone on. */
static uint64_t draw_down_ns(struct sim_loop *loop)
{
    return (sim_pick(loop, 2) == 0 ? SHORT_MS : LONG_MS) * sim_ms;
}

static void cut_power(struct sim_point *point, struct sim_node *node,
                      enum sim_tail tail)
{
    if (node->state == SIM_DOWN)
        return;
    sim_node_cut_power(node, tail, draw_down_ns(node->machine.loop));
    sim_clients_on_crash(point->clients, node);
}

static void strike(struct sim_point *point, struct sim_node *node, bool in_log)
{
    struct sim_cluster *cluster = node->cluster;
    enum sim_tail tail =
        point->after && !in_log ? SIM_TAIL_KEPT : SIM_TAIL_LOST;

    sim_note(cluster->loop, "node %zu: crashes %s its step %" PRIu64,
             node->number + 1, point->after ? "after" : "before",
             point->struck ? point->since : point->step);
    cut_power(point, node, tail);
    for (size_t i = 0; point->all && i < cluster->plan->nodes; i++)
        cut_power(point, &cluster->nodes[i], tail);
}

void sim_point_pass(struct sim_point *point, struct sim_node *node, bool in_log,
                    bool done)
{
    uint64_t *count =
        point->struck ? &point->since : &point->counts[node->number];
    uint64_t last = point->struck ? point->again : point->step;

    if (!point->open || (point->struck && node->number != point->node))
        return;
    *count += !done;
    if (node->number != point->node || *count != last || done != point->after)
        return;
    strike(point, node, in_log);
    point->open = !point->struck && point->again != 0;
    point->struck = true;
    sim_abandon(node->machine.loop);
}
