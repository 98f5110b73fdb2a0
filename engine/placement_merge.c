/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/placement_merge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/keys.h"
#include "engine/merge_change.h"

enum { MERGE_PARTS = 4 }; /* rule 1 */

/* Two neighbours, as they would be merged. */
struct pair {
    size_t source; /* places in choose->regions */
    size_t target;
    size_t moves; /* replicas that have to come first */
    uint64_t bytes;
};

/* ---- where they are ---- */

/* The first node with a replica of `a` and none of `b`. 0: there is none. */
static uint64_t first_without(const struct region *a, const struct region *b)
{
    for (size_t i = 0; i < a->peer_count; i++)
        if (region_find_node(b, a->peers[i].node) == NULL)
            return a->peers[i].node;
    return 0;
}

static size_t count_without(const struct region *a, const struct region *b)
{
    size_t count = 0;

    for (size_t i = 0; i < a->peer_count; i++)
        count += region_find_node(b, a->peers[i].node) == NULL;
    return count;
}

static bool are_all_ready(const struct region_report *report,
                          const struct plan_nodes *nodes)
{
    for (size_t i = 0; i < report->region.peer_count; i++)
        if (!plan_is_ready(report, nodes, report->region.peers[i].node))
            return false;
    return true;
}

/* Rule 4. 0: none. */
static uint64_t find_lost(const struct region *region,
                          const struct plan_nodes *nodes)
{
    for (size_t i = 0; i < region->peer_count; i++) {
        const struct plan_node *node =
            plan_find_node(nodes, region->peers[i].node);

        if (node == NULL || node->state != NODE_UP || node->down)
            return region->peers[i].node;
    }
    return 0;
}

/* ---- which ---- */

static bool may_be_merged(const struct choose *c,
                          const struct choose_region *region)
{
    const struct region *r = &region->report->region;

    return r->id != REGION_PLACEMENT && region->leader_node != 0 &&
           region->report->measured && !region->left_alone && !region->fresh &&
           !region_is_joint(r) && !region_is_merging(r) &&
           find_lost(r, c->nodes) == 0 &&
           are_all_ready(region->report, c->nodes);
}

/* Rule 3. */
static struct pair order(const struct choose *c, size_t a, size_t b)
{
    const struct region_report *left = c->regions[a].report;
    const struct region_report *right = c->regions[b].report;
    bool right_stays = choose_is_root(&right->region) ||
                       (!choose_is_root(&left->region) &&
                        right->size_bytes > left->size_bytes);

    return (struct pair){
        .source = right_stays ? a : b,
        .target = right_stays ? b : a,
        .moves = count_without(&left->region, &right->region) +
                 count_without(&right->region, &left->region),
        .bytes = left->size_bytes + right->size_bytes,
    };
}

static bool is_suitable(const struct choose *c, const struct pair *pair)
{
    return may_be_merged(c, &c->regions[pair->source]) &&
           may_be_merged(c, &c->regions[pair->target]) &&
           pair->bytes <= c->settings->value[SETTING_REGION_SIZE] / MERGE_PARTS;
}

static bool is_better(const struct pair *a, const struct pair *b)
{
    return a->moves < b->moves || (a->moves == b->moves && a->bytes < b->bytes);
}

struct place {
    const struct region *region;
    size_t place; /* in choose->regions */
};

static int compare_starts(const void *a, const void *b)
{
    const struct place *left = a;
    const struct place *right = b;

    return slice_compare(left->region->start, right->region->start);
}

/* By their ranges; to be freed. Region 0 has none, and lies before all. */
static struct place *sort(const struct choose *c)
{
    struct place *places = mem_zalloc((c->region_count + 1) * sizeof *places);

    for (size_t i = 0; i < c->region_count; i++)
        places[i] = (struct place){&c->regions[i].report->region, i};
    qsort(places, c->region_count, sizeof *places, compare_starts);
    return places;
}

bool choose_merge(const struct choose *c, struct choice *ret)
{
    struct pair best = {0};
    struct place *places;
    bool found = false;

    if (c->settings->value[SETTING_AUTO_MERGE] == 0)
        return false;
    places = sort(c);
    for (size_t i = 0; i + 1 < c->region_count; i++) {
        struct pair pair = order(c, places[i].place, places[i + 1].place);

        if (places[i].region->end.size == 0 ||
            !slice_equal(places[i].region->end, places[i + 1].region->start) ||
            !is_suitable(c, &pair) || (found && !is_better(&pair, &best)))
            continue;
        best = pair;
        found = true;
    }
    free(places);
    if (found)
        *ret = (struct choice){
            best.source, {.into = c->regions[best.target].report->region.id}};
    return found;
}

/* ---- how ---- */

static void stop(struct plan *ret, enum step_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A plan without a step, for this reason. */
static void stop(struct plan *ret, enum step_kind kind, const char *format, ...)
{
    va_list args;

    *ret = (struct plan){.step = {.kind = kind}};
    va_start(args, format);
    (void)vsnprintf(ret->why, sizeof ret->why, format, args);
    va_end(args);
}

static bool plan_to_give_up(const struct region *source,
                            const struct region *target,
                            const struct plan_nodes *nodes, struct plan *ret)
{
    uint64_t lost = find_lost(source, nodes);

    if (lost == 0)
        lost = find_lost(target, nodes);
    if (lost != 0)
        stop(ret, STEP_FAIL, "node %" PRIu64 " is lost or is being drained",
             lost);
    else if (regions_can_merge(target, source) == ERR_INVALID)
        stop(ret, STEP_FAIL, "they are no neighbours any more");
    else
        return false;
    return true;
}

/* As many replicas as the other one has, on the same nodes: never many more
 * than that on the way. */
static struct plan_goal goal_of(const struct region *source,
                                const struct region *target)
{
    struct plan_goal goal = {.from = first_without(source, target)};

    if (source->peer_count <= target->peer_count)
        goal.to = first_without(target, source);
    return goal;
}

static void take_over(const struct region *source, const struct region *target,
                      struct plan *ret)
{
    *ret = (struct plan){
        .step = {.kind = STEP_MERGE,
                 .region = target->id,
                 .conf_ver = target->conf_ver,
                 .version = target->version,
                 .source = source->id,
                 .source_version = source->version},
    };
}

void plan_merge(const struct reported_region *source,
                const struct reported_region *target,
                const struct plan_nodes *nodes, struct plan *ret)
{
    const struct region *s = &source->report->region;
    const struct region *t = &target->report->region;
    struct plan_goal goal = goal_of(s, t);

    if (region_is_frozen(s)) {
        stop(ret, STEP_WAIT, "it is being merged");
        return;
    }
    if (plan_to_give_up(s, t, nodes, ret))
        return;
    plan_next(source->report, source->leader_node, nodes, &goal, ret);
    if (ret->step.kind != STEP_NONE)
        return;
    if (regions_can_merge(t, s) != 0)
        stop(ret, STEP_WAIT, "region %" PRIu64 " is just being changed", t->id);
    else if (!are_all_ready(source->report, nodes) ||
             !are_all_ready(target->report, nodes))
        stop(ret, STEP_WAIT, "not all replicas have caught up");
    else
        take_over(s, t, ret);
}
