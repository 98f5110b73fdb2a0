/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/placement_choose.h"

#include "engine/placement_merge.h"
#include "engine/range.h"

enum {
    TOLERANCE_PERCENT = 5, /* of what a node has on average */
    ARRIVALS_MAX = 2       /* new replicas at the same time, for one node */
};

/* What an empty region weighs, so that many of them count. */
static const uint64_t weight_min = 1 << 20;

/* What each node has, as if all that is running had ended. */
struct loads {
    uint64_t bytes[NODES_MAX]; /* as in nodes->node */
    uint64_t leaders[NODES_MAX];
    unsigned arrivals[NODES_MAX];
    size_t count; /* nodes that may be given something */
};

/* ---- loads ---- */

static uint64_t weight_of(const struct choose_region *region)
{
    return region->report->size_bytes > weight_min ? region->report->size_bytes
                                                   : weight_min;
}

static bool has_peer(const struct choose_region *region, uint64_t node)
{
    return plan_find_peer(region->report, node) != NULL;
}

/* NODES_MAX: it is no member. */
static size_t place_of(const struct plan_nodes *nodes, uint64_t id)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->node[i].id == id)
            return i;
    return NODES_MAX;
}

static bool may_be_given(const struct plan_node *node)
{
    return node->state == NODE_UP && node->live;
}

/* Whether the node has a replica when what is running has ended. */
static bool will_have(const struct choose_region *region, uint64_t node)
{
    if (region->moving && region->goal.to == node)
        return true;
    return has_peer(region, node) &&
           !(region->moving && region->goal.from == node);
}

static void add_region(const struct choose *c,
                       const struct choose_region *region, struct loads *loads)
{
    uint64_t leader = region->leader_node;

    if (region->report->region.id == REGION_PLACEMENT)
        return;
    if (region->moving && region->goal.leader != 0)
        leader = region->goal.leader;
    for (size_t i = 0; i < c->nodes->count; i++) {
        uint64_t node = c->nodes->node[i].id;

        if (will_have(region, node))
            loads->bytes[i] += weight_of(region);
        if (leader == node && will_have(region, node))
            loads->leaders[i]++;
        if (region->moving && region->goal.to == node)
            loads->arrivals[i]++;
    }
}

static void measure(const struct choose *c, struct loads *ret)
{
    *ret = (struct loads){.count = 0};
    for (size_t i = 0; i < c->region_count; i++)
        add_region(c, &c->regions[i], ret);
    for (size_t i = 0; i < c->nodes->count; i++)
        ret->count += may_be_given(&c->nodes->node[i]);
}

/* Of the average of those nodes that share the work. */
static uint64_t tolerance(const struct choose *c, const struct loads *loads,
                          const uint64_t *values)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < c->nodes->count; i++)
        if (may_be_given(&c->nodes->node[i]))
            sum += values[i];
    return loads->count == 0 ? 0 : sum * TOLERANCE_PERCENT / 100 / loads->count;
}

/* ---- checkers ---- */

/* The node with the least that has no replica yet. 0: none. */
static uint64_t find_place(const struct choose *c, const struct loads *loads,
                           const struct choose_region *region)
{
    size_t best = NODES_MAX;

    for (size_t i = 0; i < c->nodes->count; i++) {
        const struct plan_node *node = &c->nodes->node[i];

        if (!may_be_given(node) || has_peer(region, node->id) ||
            loads->arrivals[i] >= ARRIVALS_MAX)
            continue;
        if (best == NODES_MAX || loads->bytes[i] < loads->bytes[best])
            best = i;
    }
    return best == NODES_MAX ? 0 : c->nodes->node[best].id;
}

/* How urgently a replica has to leave its node; 0: not at all. */
static unsigned urgency(const struct choose *c, uint64_t id)
{
    const struct plan_node *node = plan_find_node(c->nodes, id);

    if (node == NULL || node->state == NODE_REMOVED)
        return 3;
    if (node->down)
        return 2;
    return node->state == NODE_DRAINING ? 1 : 0;
}

/* 0: all are where they may stay. */
static uint64_t find_misplaced(const struct choose *c,
                               const struct choose_region *region)
{
    const struct region *r = &region->report->region;
    uint64_t worst = 0;

    for (size_t i = 0; i < r->peer_count; i++) {
        uint64_t node = r->peers[i].node;

        if (urgency(c, node) > 0 &&
            (worst == 0 || urgency(c, node) > urgency(c, worst)))
            worst = node;
    }
    return worst;
}

static size_t count_placed(const struct choose *c,
                           const struct choose_region *region)
{
    const struct region *r = &region->report->region;
    size_t count = 0;

    for (size_t i = 0; i < r->peer_count; i++)
        count += urgency(c, r->peers[i].node) == 0;
    return count;
}

/* Learners first, and of those the ones that lack something; else from where
 * there is most. */
static uint64_t find_surplus(const struct choose *c, const struct loads *loads,
                             const struct choose_region *region)
{
    const struct region *r = &region->report->region;
    unsigned best_rank = 0;
    size_t best = 0;

    for (size_t i = 0; i < r->peer_count; i++) {
        unsigned rank = r->peers[i].role == PEER_LEARNER ? 2 : 1;
        size_t place = place_of(c->nodes, r->peers[i].node);

        if (r->peers[i].node == region->leader_node || place == NODES_MAX)
            continue;
        if (rank == 2 &&
            !plan_is_ready(region->report, c->nodes, r->peers[i].node))
            rank = 3;
        if (rank > best_rank ||
            (rank == best_rank && loads->bytes[place] > loads->bytes[best])) {
            best_rank = rank;
            best = place;
        }
    }
    return best_rank == 0 ? 0 : c->nodes->node[best].id;
}

/* Whether it has voters and learners that it should not have. */
static bool has_wrong_roles(const struct choose *c,
                            const struct choose_region *region)
{
    struct plan plan;

    plan_next(region->report, region->leader_node, c->nodes,
              &(struct plan_goal){0}, &plan);
    return plan.step.kind == STEP_VOTERS || plan.step.kind == STEP_TRANSFER;
}

static bool repair(const struct choose *c, const struct loads *loads,
                   const struct choose_region *region, struct plan_goal *ret)
{
    uint64_t replicas = c->settings->value[SETTING_REPLICAS];
    uint64_t misplaced = find_misplaced(c, region);
    uint64_t place = find_place(c, loads, region);
    size_t placed = count_placed(c, region);

    *ret = (struct plan_goal){.from = misplaced};
    if (placed < replicas && place != 0) {
        ret->to = place;
        return true;
    }
    if (misplaced != 0)
        return placed >= replicas;
    if (placed > replicas) {
        ret->from = find_surplus(c, loads, region);
        return ret->from != 0;
    }
    return has_wrong_roles(c, region);
}

static bool may_be_changed(const struct choose_region *region)
{
    return region->report->region.id != REGION_PLACEMENT &&
           region->leader_node != 0 && !region->left_alone &&
           !region_is_joint(&region->report->region);
}

bool choose_repair(const struct choose *c, struct choice *ret)
{
    struct loads loads;

    measure(c, &loads);
    for (size_t i = 0; i < c->region_count; i++) {
        struct plan_goal goal;

        if (!may_be_changed(&c->regions[i]) ||
            !repair(c, &loads, &c->regions[i], &goal))
            continue;
        *ret = (struct choice){i, goal};
        return true;
    }
    return false;
}

/* ---- schedulers ---- */

bool choose_is_root(const struct region *region)
{
    struct range range = {region->start, region->end};

    return range_has_place(range, NSID_ROOT, (struct slice){NULL, 0});
}

/* What a scheduler may do: something that the root's leader does not see; the
 * same as if no region had to rest; or that the root's leader goes. */
enum kind { OTHERS, OTHERS_RESTING, ROOT };

static bool is_of_kind(const struct choose_region *region, enum kind kind,
                       uint64_t from)
{
    const struct region *r = &region->report->region;

    if (r->id == REGION_PLACEMENT || region->leader_node == 0 ||
        (from == region->leader_node && choose_is_root(r)) != (kind == ROOT))
        return false;
    return kind == OTHERS_RESTING ||
           (may_be_changed(region) && !region->newly_led);
}

/* The others first; and while one of them only has to rest, not the root's. */
static bool others_first(const struct choose *c,
                         bool (*choose)(const struct choose *c, enum kind kind,
                                        struct choice *ret),
                         struct choice *ret)
{
    struct choice resting;

    if (choose(c, OTHERS, ret))
        return true;
    return !choose(c, OTHERS_RESTING, &resting) && choose(c, ROOT, ret);
}

/* What is gained by handing leadership on; 0: nothing. */
static uint64_t leader_gain(const struct choose *c, const struct loads *loads,
                            const struct choose_region *region, uint64_t node)
{
    size_t from = place_of(c->nodes, region->leader_node);
    size_t to = place_of(c->nodes, node);
    const struct region_peer *peer =
        region_find_node(&region->report->region, node);

    if (from == NODES_MAX || to == NODES_MAX || peer == NULL ||
        peer->role != PEER_VOTER || !may_be_given(&c->nodes->node[to]) ||
        c->nodes->node[to].wrong_clock ||
        !plan_is_ready(region->report, c->nodes, node))
        return 0;
    if (loads->leaders[from] <
        loads->leaders[to] + 2 + tolerance(c, loads, loads->leaders))
        return 0;
    return loads->leaders[from] - loads->leaders[to];
}

static bool leader_move(const struct choose *c, enum kind kind,
                        struct choice *ret)
{
    struct loads loads;
    uint64_t best = 0;

    measure(c, &loads);
    for (size_t i = 0; i < c->region_count; i++) {
        if (!is_of_kind(&c->regions[i], kind, c->regions[i].leader_node))
            continue;
        for (size_t n = 0; n < c->nodes->count; n++) {
            uint64_t node = c->nodes->node[n].id;
            uint64_t gain = leader_gain(c, &loads, &c->regions[i], node);

            if (gain <= best)
                continue;
            best = gain;
            *ret = (struct choice){i, {.leader = node}};
        }
    }
    return best > 0;
}

static bool choose_leader_move(const struct choose *c, struct choice *ret)
{
    return others_first(c, leader_move, ret);
}

/* The same for a replica: how much more the old place holds than the new one
 * afterwards. */
static uint64_t move_gain(const struct choose *c, const struct loads *loads,
                          const struct choose_region *region, size_t from,
                          size_t to)
{
    uint64_t weight = weight_of(region);

    if (!will_have(region, c->nodes->node[from].id) ||
        has_peer(region, c->nodes->node[to].id) ||
        !may_be_given(&c->nodes->node[to]) ||
        loads->arrivals[to] >= ARRIVALS_MAX ||
        loads->bytes[from] <=
            loads->bytes[to] + 2 * weight + tolerance(c, loads, loads->bytes))
        return 0;
    return loads->bytes[from] - loads->bytes[to] - 2 * weight;
}

static bool is_whole(const struct choose *c, const struct choose_region *region)
{
    const struct region *r = &region->report->region;

    for (size_t i = 0; i < r->peer_count; i++)
        if (!plan_is_ready(region->report, c->nodes, r->peers[i].node))
            return false;
    return true;
}

static void best_move(const struct choose *c, const struct loads *loads,
                      size_t region, enum kind kind, uint64_t *best,
                      struct choice *ret)
{
    for (size_t from = 0; from < c->nodes->count; from++)
        for (size_t to = 0; to < c->nodes->count; to++) {
            uint64_t gain = move_gain(c, loads, &c->regions[region], from, to);

            if (gain <= *best ||
                !is_of_kind(&c->regions[region], kind, c->nodes->node[from].id))
                continue;
            *best = gain;
            *ret = (struct choice){
                region,
                {.from = c->nodes->node[from].id, .to = c->nodes->node[to].id}};
        }
}

static bool region_move(const struct choose *c, enum kind kind,
                        struct choice *ret)
{
    struct loads loads;
    uint64_t best = 0;

    measure(c, &loads);
    for (size_t i = 0; i < c->region_count; i++)
        if (is_whole(c, &c->regions[i]))
            best_move(c, &loads, i, kind, &best, ret);
    return best > 0;
}

bool choose_region_move(const struct choose *c, struct choice *ret)
{
    return others_first(c, region_move, ret);
}

bool choose_next(const struct choose *c, struct choice *ret)
{
    if (choose_repair(c, ret) || choose_merge(c, ret))
        return true;
    return c->settings->value[SETTING_BALANCE] != 0 &&
           (choose_region_move(c, ret) || choose_leader_move(c, ret));
}
