/* SPDX-License-Identifier: Apache-2.0 */

/* Operators that nobody has asked for: what placement_choose.c is told of the
 * regions, and beginning what it wants. */

#include <stdlib.h>

#include "engine/placement_choose.h"
#include "engine/placement_impl.h"

static const uint64_t second_ns = 1000000000;

static void look_at_region(const struct placement *placement,
                           const struct table_entry *entry,
                           struct choose_region *ret)
{
    uint64_t region = entry->report.region.id;
    const struct placement_operator *op = operator_holding(placement, region);
    uint64_t merge_after_ns =
        node_config(placement->node)->merge_after_ms * 1000000;

    *ret = (struct choose_region){
        .report = &entry->report,
        .leader_node =
            placement_has_leader(placement, entry) ? entry->leader_node : 0,
        .newly_led = placement_now_ns(placement) - entry->led_ns <
                     LEFT_ALONE_SECONDS * second_ns,
        .fresh =
            placement_now_ns(placement) - entry->ranged_ns < merge_after_ns,
        .left_alone =
            op != NULL || entry->left_alone_ns > placement_now_ns(placement),
        .moving = op != NULL,
    };
    if (op != NULL && op->view.region == region)
        ret->goal = op->goal;
}

static bool is_led(const struct placement *placement, uint64_t region)
{
    const struct table_entry *entry =
        region_table_find(placement->table, region);

    return entry != NULL && placement_has_leader(placement, entry);
}

/* What nobody carries out does not keep others waiting. */
static bool is_busy(const struct placement *placement,
                    const struct placement_operator *op)
{
    return op->goal_id == 0 && op->ended_ns == 0 &&
           is_led(placement, op->view.region) &&
           (op->goal.into == 0 || is_led(placement, op->goal.into));
}

static size_t count_automatic(const struct placement *placement)
{
    const struct placement_operator *op;
    size_t count = 0;

    TAILQ_FOREACH (op, &placement->operators, link)
        count += is_busy(placement, op);
    return count;
}

static struct choose_region *look_at_all(const struct placement *placement,
                                         size_t *ret_count)
{
    size_t count = region_table_count(placement->table);
    struct choose_region *regions = mem_zalloc((count + 1) * sizeof *regions);
    const struct table_entry *entry = region_table_first(placement->table);

    for (size_t i = 0; i < count; i++) {
        look_at_region(placement, entry, &regions[i]);
        entry = region_table_next(placement->table, entry);
    }
    *ret_count = count;
    return regions;
}

static void begin_chosen(struct placement *placement,
                         struct choose_region *region,
                         const struct plan_goal *goal)
{
    operator_advance(
        operator_begin(placement, region->report->region.id, goal));
    region->left_alone = true;
    region->moving = true;
    region->goal = *goal;
}

static void hold_target(const struct choose *c, struct choose_region *regions,
                        uint64_t target)
{
    for (size_t i = 0; i < c->region_count && target != 0; i++)
        if (regions[i].report->region.id == target)
            regions[i].left_alone = true;
}

/* Each one counts when the next is chosen. */
void operators_choose(struct placement *placement)
{
    struct choose choose = {.nodes = &placement->nodes,
                            .settings = &placement->settings};
    struct choose_region *regions =
        look_at_all(placement, &choose.region_count);
    size_t count = count_automatic(placement);
    struct choice choice;

    placement->changed = false;
    choose.regions = regions;
    while (count++ < placement->settings.value[SETTING_OPERATORS] &&
           choose_next(&choose, &choice)) {
        begin_chosen(placement, &regions[choice.region], &choice.goal);
        hold_target(&choose, regions, choice.goal.into);
    }
    free(regions);
}

static bool is_done(const struct choose *c, bool steady)
{
    struct choice choice;

    if (steady)
        return !choose_next(c, &choice);
    return !choose_repair(c, &choice) &&
           (c->settings->value[SETTING_BALANCE] == 0 ||
            !choose_region_move(c, &choice));
}

/* What needs answers in time may have to be tried again and again. */
static bool is_only_tried(const struct plan_goal *goal)
{
    return goal->leader != 0 || goal->into != 0;
}

bool placement_is_settled(struct placement *placement, bool steady)
{
    struct choose choose = {.nodes = &placement->nodes,
                            .settings = &placement->settings};
    struct choose_region *regions;
    bool settled;

    if (!placement_leads(placement) || !placement->ready)
        return false;
    regions = look_at_all(placement, &choose.region_count);
    for (size_t i = 0; i < choose.region_count; i++)
        regions[i].left_alone = regions[i].newly_led = regions[i].fresh = false;
    choose.regions = regions;
    settled = is_done(&choose, steady);
    for (size_t i = 0; i < choose.region_count; i++)
        settled = settled && (!regions[i].moving ||
                              (!steady && is_only_tried(&regions[i].goal)));
    free(regions);
    return settled;
}
