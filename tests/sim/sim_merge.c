/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_merge.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/keys.h"
#include "engine/merge.h"
#include "tests/sim/sim_history.h"
#include "tests/sim/sim_seen.h"

struct asked_merge {
    struct merge_wait wait;
    struct sim_loop *loop;
    uint64_t target;
    uint64_t source;
    struct asked_merge *next;
};

/* What a crash has cut short is never answered, so all are kept. */
struct sim_merges {
    struct asked_merge *asked;
};

void sim_merges_free(struct sim_merges *merges)
{
    struct asked_merge *asked;

    if (merges == NULL)
        return;
    while ((asked = merges->asked) != NULL) {
        merges->asked = asked->next;
        free(asked);
    }
    free(merges);
}

static void asked_done(struct merge_wait *wait, int status, const char *why)
{
    struct asked_merge *asked = container_of(wait, struct asked_merge, wait);

    sim_note(asked->loop, "region %" PRIu64 ": merge with %" PRIu64 ": %s%s%s",
             asked->target, asked->source, err_text(status),
             *why != '\0' ? ": " : "", why);
    if (status == ERR_NOT_PERMITTED || status == ERR_BUSY)
        sim_seen(SEEN_MERGE_REFUSED);
}

static void ask(struct sim_node *node, uint64_t target, uint64_t source)
{
    struct sim_cluster *cluster = node->cluster;
    struct asked_merge *asked = mem_zalloc(sizeof *asked);

    if (cluster->merges == NULL)
        cluster->merges = mem_zalloc(sizeof *cluster->merges);
    asked->next = cluster->merges->asked;
    cluster->merges->asked = asked;
    asked->loop = cluster->loop;
    asked->target = target;
    asked->source = source;
    asked->wait.done = asked_done;
    merge_start(&asked->wait, node->node, target, source);
}

static bool adjoin(const struct region *a, const struct region *b)
{
    return (a->end.size > 0 && slice_equal(a->end, b->start)) ||
           (b->end.size > 0 && slice_equal(b->end, a->start));
}

/* 0: it has none here. */
static uint64_t pick_neighbour(const struct sim_node *node,
                               const struct peer *peer)
{
    const struct peer *other = NULL;
    uint64_t found = 0;
    uint64_t seen = 0;

    while ((other = node_next_peer(node->node, other)) != NULL)
        if (peer_region_id(other) != REGION_PLACEMENT && other != peer &&
            adjoin(peer_region(peer), peer_region(other)) &&
            sim_pick(node->cluster->loop, ++seen) == 0)
            found = peer_region_id(other);
    return found;
}

static void ask_leader(struct sim_cluster *cluster, uint64_t target,
                       uint64_t source)
{
    struct sim_node *node;

    if (sim_cluster_leader(cluster, target, &node) == NULL)
        return;
    sim_env_enter(node->env, ENV_WORKER);
    ask(node, target, source);
    sim_env_leave(node->env);
}

void sim_merge_one(struct sim_cluster *cluster)
{
    uint64_t region = REGION_FIRST_DATA;
    uint64_t other;
    struct sim_node *node;
    const struct peer *peer;

    if (!sim_cluster_find_region(cluster, &region))
        return;
    region = sim_cluster_pick_region(cluster, REGION_FIRST_DATA);
    peer = sim_cluster_leader(cluster, region, &node);
    if (peer == NULL)
        return;
    other = pick_neighbour(node, peer);
    if (sim_pick(cluster->loop, 10) == 0)
        other = sim_cluster_pick_region(cluster, REGION_FIRST_DATA);
    if (other == 0)
        return;
    ask_leader(cluster, region, other);
    if (sim_pick(cluster->loop, 8) == 0)
        ask_leader(cluster, other, region);
}
