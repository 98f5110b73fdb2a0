/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_members.h"

#include "engine/peer_change.h"
#include "tests/sim/sim_drain.h"
#include "tests/sim/sim_seen.h"

enum { FIRST_PEER = 1000 };

/* ---- changes ---- */

static void add_step(struct peer_change *change,
                     enum raft_conf_change_type type, uint64_t peer,
                     uint64_t node)
{
    change->steps[change->count++] = (struct peer_step){type, peer, node};
}

/* Region 0's leader makes peers, too. */
static uint64_t new_peer(struct sim_cluster *cluster,
                         const struct region *region)
{
    uint64_t peer = FIRST_PEER + cluster->peers_made;

    if (peer <= region->peer_max)
        cluster->peers_made = region->peer_max - FIRST_PEER + 1;
    return FIRST_PEER + cluster->peers_made++;
}

static bool is_learner(const struct region_peer *peer)
{
    return peer->role == PEER_LEARNER;
}

/* They have come in the order of their numbers. */
static size_t count_members(const struct sim_cluster *cluster)
{
    size_t count = 0;

    while (count < cluster->plan->nodes &&
           sim_node_is_member(&cluster->nodes[count]))
        count++;
    return count;
}

/* One step at one node, on the way in or out. */
static void plan_step(struct sim_cluster *cluster, const struct region *region,
                      struct peer_change *change)
{
    uint64_t node = 1 + sim_pick(cluster->loop, count_members(cluster));
    const struct region_peer *peer = region_find_node(region, node);
    bool may_go = region->id != REGION_PLACEMENT;

    if (peer == NULL)
        add_step(change, RAFT_ADD_LEARNER, new_peer(cluster, region), node);
    else if (is_learner(peer) && (!may_go || sim_pick(cluster->loop, 3) != 0))
        add_step(change, RAFT_ADD_VOTER, peer->id, 0);
    else if (!is_learner(peer) && (!may_go || sim_pick(cluster->loop, 2) == 0))
        add_step(change, RAFT_ADD_LEARNER, peer->id, 0);
    else
        add_step(change, RAFT_REMOVE_PEER, peer->id, 0);
}

/* What a node is to be afterwards, whatever it is now. */
static void plan_node(struct sim_cluster *cluster, const struct region *region,
                      uint64_t node, struct peer_change *change)
{
    const struct region_peer *peer = region_find_node(region, node);
    bool may_go = region->id != REGION_PLACEMENT;
    uint64_t fate = sim_pick(cluster->loop, may_go ? 4 : 2);

    if (fate <= 1)
        add_step(change, fate == 0 ? RAFT_ADD_VOTER : RAFT_ADD_LEARNER,
                 peer != NULL ? peer->id : new_peer(cluster, region),
                 peer != NULL ? 0 : node);
    else if (fate == 2 && peer != NULL)
        add_step(change, RAFT_REMOVE_PEER, peer->id, 0);
}

static void plan_joint(struct sim_cluster *cluster, const struct region *region,
                       struct peer_change *change)
{
    change->transition = sim_pick(cluster->loop, 3) == 0
                             ? RAFT_TRANSITION_EXPLICIT
                             : RAFT_TRANSITION_IMPLICIT;
    for (uint64_t node = 1; node <= count_members(cluster); node++)
        plan_node(cluster, region, node, change);
}

static void propose(struct sim_node *node, struct peer *peer,
                    const struct peer_change *change)
{
    sim_env_enter(node->env, ENV_WORKER);
    if (peer_propose_change(peer, change) == 0)
        sim_note(node->machine.loop,
                 "region %u: node %zu proposes %zu steps at conf_ver %u",
                 (unsigned)peer_region_id(peer), node->number + 1,
                 change->count, (unsigned)change->conf_ver);
    sim_env_leave(node->env);
}

static void change_region(struct sim_node *node, struct peer *peer)
{
    struct sim_cluster *cluster = node->cluster;
    const struct region *region = peer_region(peer);
    struct peer_change change = {.conf_ver = region->conf_ver};

    if (!region_is_joint(region)) {
        if (sim_pick(cluster->loop, 3) == 0)
            plan_joint(cluster, region, &change);
        else
            plan_step(cluster, region, &change);
        if (change.count == 0)
            return;
    }
    propose(node, peer, &change);
}

static struct peer *leader_on(const struct sim_node *node, uint64_t region)
{
    struct peer *peer;

    if (!sim_node_serves(node))
        return NULL;
    peer = node_peer(node->node, region);
    return peer != NULL && peer_is_leader(peer) ? peer : NULL;
}

static uint64_t newest_region(struct sim_cluster *cluster, uint64_t region)
{
    for (uint64_t id = region; sim_cluster_find_region(cluster, &id); id++)
        region = id;
    return region;
}

void sim_members_change(struct sim_cluster *cluster)
{
    uint64_t region = REGION_PLACEMENT;
    struct sim_node *node;
    struct peer *peer;

    if (sim_pick(cluster->loop, 4) != 0)
        region = sim_cluster_pick_region(cluster, REGION_FIRST_DATA);
    /* Often one that a split has just made. */
    if (region != REGION_PLACEMENT && sim_pick(cluster->loop, 3) == 0)
        region = newest_region(cluster, region);

    peer = sim_cluster_leader(cluster, region, &node);
    if (peer != NULL)
        change_region(node, peer);
}

/* ---- settling ---- */

static const struct region *settled_region(struct sim_cluster *cluster,
                                           uint64_t id)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        struct sim_node *node = &cluster->nodes[i];
        struct peer *peer = leader_on(node, id);

        if (peer != NULL && !region_is_joint(peer_region(peer)))
            return peer_region(peer);
    }
    return NULL;
}

static bool is_settled(struct sim_cluster *cluster, uint64_t id)
{
    const struct region *region = settled_region(cluster, id);

    if (region == NULL)
        return false;
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct sim_node *node = &cluster->nodes[i];
        const struct region_peer *member =
            region_find_node(region, node->number + 1);
        const struct peer *peer;

        if (node->removed && member == NULL)
            continue;
        if (!sim_node_serves(node) || node_is_erasing(node->node))
            return false;
        peer = node_any_peer(node->node, id);
        if ((peer != NULL) != (member != NULL))
            return false;
        if (peer != NULL && (!peer_is_initialised(peer) ||
                             peer_region(peer)->conf_ver != region->conf_ver))
            return false;
    }
    return true;
}

static size_t count_in_state(const struct sim_node *node, enum node_state state)
{
    const struct sim_cluster *cluster = node->cluster;
    size_t count = 0;

    for (size_t i = 0; i < cluster->plan->nodes; i++)
        count += sim_drain_state(node, &cluster->nodes[i]) == state;
    return count;
}

/* Nobody is down: as many vote as may, and all have the catalog. */
static bool voters_follow_nodes(struct sim_cluster *cluster)
{
    const struct region *region = settled_region(cluster, REGION_PLACEMENT);
    const struct sim_node *node = &cluster->nodes[0]; /* It always stays. */
    size_t voters;

    if (region == NULL || !sim_node_serves(node))
        return false;
    voters = count_in_state(node, NODE_UP);
    if (region->peer_count !=
        cluster->plan->nodes - count_in_state(node, NODE_REMOVED))
        return false;
    return voters == 0 || region->voter_count == voters - (voters + 1) % 2;
}

bool sim_members_settled(struct sim_cluster *cluster)
{
    uint64_t id;

    if (!sim_drain_settled(cluster) || !voters_follow_nodes(cluster))
        return false;
    for (id = 0; sim_cluster_find_region(cluster, &id); id++)
        if (!is_settled(cluster, id))
            return false;
    return true;
}
