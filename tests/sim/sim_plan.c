/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_plan.h"

#include <inttypes.h>
#include <string.h>

#include "engine/env.h"

enum { ZONE_STEP_MS_MAX = 60 * 1000, SMALL_REGION = 500, MEDIUM_REGION = 4000 };

static const char *const fault_names[SIM_FAULTS] = {
    [SIM_KILL] = "kill",
    [SIM_POWER_CUT] = "power-cut",
    [SIM_KILL_ALL] = "kill-all",
    [SIM_RESTART] = "restart",
    [SIM_PAUSE] = "pause",
    [SIM_CUT] = "cut",
    [SIM_CUT_ONE_WAY] = "cut-one-way",
    [SIM_ISOLATE] = "isolate",
    [SIM_RECONNECT] = "reconnect",
    [SIM_CLOCK_STEP] = "clock-step",
    [SIM_SLOW_LINK] = "slow-link",
    [SIM_SLOW_DISK] = "slow-disk",
    [SIM_SLOW_APPLY] = "slow-apply",
    [SIM_DISK_FULL] = "disk-full",
    [SIM_DISK_ERROR] = "disk-error",
    [SIM_TRANSFER] = "transfer",
    [SIM_MEMBERS] = "members",
    [SIM_SPLIT] = "split",
    [SIM_MERGE] = "merge",
    [SIM_GOALS] = "goals",
    [SIM_DRAIN] = "drain",
};

const char *sim_fault_name(enum sim_fault fault)
{
    return fault_names[fault];
}

/* One of a few values, so that each is seen often enough. */
static uint64_t choose(struct sim_loop *loop, const uint64_t *values,
                       size_t count)
{
    return values[sim_pick(loop, count)];
}

#define CHOOSE(loop, ...)                                                      \
    choose(loop, (const uint64_t[]){__VA_ARGS__},                              \
           ARRAY_SIZE(((const uint64_t[]){__VA_ARGS__})))

static uint64_t draw_interval(struct sim_loop *loop)
{
    return CHOOSE(loop, 700, 1500, 3000, 6000) * sim_ms;
}

static void draw_faults(struct sim_plan *plan, struct sim_loop *loop)
{
    uint64_t mood = sim_pick(loop, 10);

    if (mood == 0)
        return; /* A calm seed. */
    if (mood <= 3) {
        plan->every_ns[sim_pick(loop, SIM_FAULTS)] = draw_interval(loop) / 2;
        return;
    }
    for (size_t i = 0; i < SIM_FAULTS; i++) {
        uint64_t first;

        if (!sim_chance(loop, 350000))
            continue;
        first = draw_interval(loop);
        plan->every_ns[i] = draw_interval(loop) + first * (i == SIM_KILL_ALL);
    }
    if (plan->every_ns[SIM_MERGE] != 0 && plan->every_ns[SIM_SPLIT] == 0)
        plan->every_ns[SIM_SPLIT] = draw_interval(loop);
    plan->every_ns[SIM_SPLIT] /= 4;   /* Few fit. */
    plan->every_ns[SIM_MERGE] /= 4;   /* Likewise. */
    plan->every_ns[SIM_MEMBERS] /= 4; /* One move takes several changes. */
    plan->every_ns[SIM_GOALS] /= 4;   /* Much of that is refused. */
    plan->every_ns[SIM_DRAIN] /= 2;
}

static void draw_network(struct sim_plan *plan, struct sim_loop *loop)
{
    plan->delay_ns = CHOOSE(loop, 50, 200, 1000, 5000, 20000) * sim_us;
    plan->tail_per_million = CHOOSE(loop, 0, 1000, 20000);
    plan->loss_per_million = CHOOSE(loop, 0, 0, 1000, 20000, 100000);
    plan->repeat_per_million = CHOOSE(loop, 0, 0, 5000, 100000);
    plan->overtake_per_million = CHOOSE(loop, 0, 0, 20000, 200000);
    plan->bulk_loss_per_million = CHOOSE(loop, 0, 0, 20000);
    plan->notice_ns = CHOOSE(loop, 100, 1000, 5000, 20000) * sim_ms;
}

static void draw_machine(struct sim_plan *plan, struct sim_loop *loop)
{
    plan->task_ns = CHOOSE(loop, 2, 10, 100, 1000) * sim_us;
    plan->sync_ns = CHOOSE(loop, 50, 500, 3000, 15000) * sim_us;
    plan->flush_every_ns = CHOOSE(loop, 0, 300, 3000) * sim_ms;
    plan->apply_owners = (unsigned)CHOOSE(loop, 1, 2, 3, ENV_APPLY_MAX);
    plan->drift_ppm = CHOOSE(loop, 0, 100, 20000);
    plan->step_ns = CHOOSE(loop, 50, 5000, 3600000) * sim_ms;
}

static void draw_clients(struct sim_plan *plan, struct sim_loop *loop)
{
    plan->clients = sim_between(loop, 1, 3);
    plan->names = sim_between(loop, 1, 5);
    plan->dir_names = CHOOSE(loop, 0, 1, 2, 3);
    plan->think_ns = CHOOSE(loop, 5, 20, 60) * sim_ms;
    plan->cancel_per_million = CHOOSE(loop, 0, 0, 30000);
    plan->large_per_million = CHOOSE(loop, 0, 0, 0, 20000);
    plan->short_per_million = CHOOSE(loop, 0, 50000, 300000);
    plan->try_first = sim_pick(loop, 4) != 0;
    plan->page_size = CHOOSE(loop, 20, 50, 64 * 1024);
    plan->few_kinds = sim_pick(loop, 5) == 0;
    plan->attributes = sim_pick(loop, 3) != 0;
    plan->exchanges = sim_pick(loop, 2) == 0;
}

/* A majority is to be right, so three replicas at least. */
static void draw_checks(struct sim_plan *plan, struct sim_loop *loop)
{
    plan->check_interval_ms = CHOOSE(loop, 0, 0, 500, 3000);
    plan->damage = sim_chance(loop, 400000) && plan->nodes >= 3;
    plan->damage_crashes = sim_chance(loop, 400000);
    plan->damage_leaving = sim_chance(loop, 400000);
}

/* Regions sleep only while nobody wants anything. */
static void draw_sleep(struct sim_plan *plan, struct sim_loop *loop)
{
    plan->sleep_after_ms = CHOOSE(loop, 0, 100, 100, 300, 3000);
    plan->alarm_ms = CHOOSE(loop, 1000, 300000, 300000);
    if (plan->sleep_after_ms == 0 || sim_pick(loop, 2) == 0)
        return;
    plan->lull_ns = CHOOSE(loop, 500, 1000, 3000) * sim_ms;
    plan->lull_every_ns = plan->lull_ns + CHOOSE(loop, 200, 1000) * sim_ms;
}

/* A change of a mode goes from part to part of many namespaces, and has 4 s. */
static uint64_t change_of_mode_ns(const struct sim_plan *plan)
{
    uint64_t step_ns = 4 * plan->delay_ns + 2 * plan->sync_ns;
    uint64_t parts = plan->region_size == SMALL_REGION    ? 20
                     : plan->region_size == MEDIUM_REGION ? 8
                                                          : 5;

    return parts * step_ns;
}

/* Some never make it. */
static bool is_slow(const struct sim_plan *plan)
{
    return change_of_mode_ns(plan) > 500 * sim_ms;
}

/* Nor do those of one namespace, where packets are lost on a long way and that
 * is missed for longer, or there are very many of them. */
static bool is_hopeless(const struct sim_plan *plan)
{
    return plan->delay_ns >= 20 * sim_ms && plan->loss_per_million > 0 &&
           (plan->notice_ns >= 5000 * sim_ms ||
            change_of_mode_ns(plan) > 2000 * sim_ms);
}

/* A time far ahead, once accepted, has to be waited for. */
static void draw_zones(struct sim_plan *plan, struct sim_loop *loop)
{
    plan->zones = (size_t)CHOOSE(loop, 0, 0, 0, 1, 2, SIM_ZONES_MAX);
    plan->zone_names = (size_t)sim_between(loop, 2, 6);
    plan->zones_end = sim_pick(loop, 2) == 0;
    plan->zone_subs = (size_t)CHOOSE(loop, 0, 2, 4, 4);
    if (is_slow(plan))
        plan->zone_subs = 0;
    if (is_hopeless(plan))
        plan->zones = 0;
    if (plan->zones > 0 && plan->step_ns > ZONE_STEP_MS_MAX * sim_ms)
        plan->step_ns = ZONE_STEP_MS_MAX * sim_ms;
}

/* Nodes that come, accept eventual changes and go again. */
static void draw_leaving(struct sim_plan *plan, struct sim_loop *loop)
{
    if (plan->nodes < 4 || plan->zones == 0 || sim_pick(loop, 2) == 0)
        return;
    if (plan->founders == plan->nodes)
        plan->founders--;
    plan->every_ns[SIM_MEMBERS] = 0;
    plan->every_ns[SIM_DRAIN] = draw_interval(loop) / 4;
}

/* Nothing else is in the way of a change of a mode. */
static void draw_easy(struct sim_plan *plan, struct sim_loop *loop)
{
    memset(plan->every_ns, 0, sizeof plan->every_ns);
    plan->founders = plan->nodes;
    plan->delay_ns = CHOOSE(loop, 50, 200, 1000) * sim_us;
    plan->loss_per_million = CHOOSE(loop, 0, 1000);
    plan->notice_ns = CHOOSE(loop, 100, 1000) * sim_ms;
    plan->sync_ns = CHOOSE(loop, 50, 500, 3000) * sim_us;
    plan->drift_ppm = CHOOSE(loop, 0, 100);
    plan->region_size = CHOOSE(loop, MEDIUM_REGION, 100000000);
    plan->zone_subs = (size_t)CHOOSE(loop, 0, 2, 4);
    if (plan->nodes >= 4 && sim_pick(loop, 6) == 0)
        plan->every_ns[SIM_DRAIN] = draw_interval(loop);
}

/* Strong directories in eventual ones: several changes of modes in a row. */
static void draw_below(struct sim_plan *plan, struct sim_loop *loop)
{
    if (plan->zones == 0 || sim_pick(loop, 3) != 0)
        return;
    plan->zones_below = true;
    if (sim_pick(loop, 2) == 0)
        draw_easy(plan, loop);
    if (plan->zone_subs == 0)
        plan->zone_subs = 2;
}

/* Nodes that are away for longer than others count them as there. */
static void draw_force(struct sim_plan *plan, struct sim_loop *loop)
{
    const enum sim_fault faults[] = {SIM_ISOLATE, SIM_ISOLATE, SIM_POWER_CUT,
                                     SIM_KILL, SIM_PAUSE};
    enum sim_fault fault = faults[sim_pick(loop, ARRAY_SIZE(faults))];

    if (plan->nodes < 3 || plan->zones == 0 || sim_pick(loop, 2) == 0)
        return;
    plan->zones_force = true;
    if (sim_pick(loop, 5) != 0)
        draw_easy(plan, loop);
    plan->every_ns[fault] = CHOOSE(loop, 6000, 10000) * sim_ms;
    plan->lasting_ns = CHOOSE(loop, 3000, 6000) * sim_ms;
    plan->chaos_ns += 20000 * sim_ms;
}

void sim_plan_draw(struct sim_plan *plan, struct sim_loop *loop)
{
    *plan = (struct sim_plan){0};
    plan->nodes = (size_t)CHOOSE(loop, 1, 2, 3, 3, 3, 3, 3, 4, 5, 5);
    plan->founders = plan->nodes;
    if (sim_pick(loop, 3) == 0)
        plan->founders -= sim_pick(loop, plan->nodes);
    plan->empty = sim_pick(loop, 6) == 0;
    plan->chaos_ns = sim_between(loop, 6000, 20000) * sim_ms;
    plan->log_keep = CHOOSE(loop, 20, 20, 100, 10000);
    plan->results_held_max = CHOOSE(loop, 1, 4, 8192, 8192);
    plan->op_timeout_ms = CHOOSE(loop, 1000, 3000, 5000);
    plan->region_size =
        CHOOSE(loop, SMALL_REGION, MEDIUM_REGION, 100000000, 100000000);
    plan->down_after_s = CHOOSE(loop, 1, 4, 300);
    plan->lasting_ns = CHOOSE(loop, 100, 1000, 3000) * sim_ms;
    draw_faults(plan, loop);
    draw_network(plan, loop);
    draw_machine(plan, loop);
    draw_clients(plan, loop);
    draw_checks(plan, loop);
    draw_sleep(plan, loop);
    plan->auto_merge = sim_pick(loop, 3) == 0;
    plan->merge_after_ms = CHOOSE(loop, 100, 1000, 5000);
    draw_zones(plan, loop);
    draw_leaving(plan, loop);
    draw_below(plan, loop);
    draw_force(plan, loop);
}

void sim_plan_note(const struct sim_plan *plan, struct sim_loop *loop)
{
    sim_note(loop,
             "plan: nodes=%zu founders=%zu%s clients=%zu names=%zu+%zu "
             "chaos_ms=%" PRIu64 " log_keep=%" PRIu64
             " results_held_max=%" PRIu64 " op_timeout_ms=%" PRIu64
             " region_size=%" PRIu64 " down_after_s=%" PRIu64
             " auto_merge=%d merge_after_ms=%" PRIu64,
             plan->nodes, plan->founders, plan->empty ? " (empty)" : "",
             plan->clients, plan->names, plan->dir_names,
             plan->chaos_ns / sim_ms, plan->log_keep, plan->results_held_max,
             plan->op_timeout_ms, plan->region_size, plan->down_after_s,
             plan->auto_merge, plan->merge_after_ms);
    sim_note(loop,
             "plan: delay_us=%" PRIu64 " loss=%" PRIu64 " repeat=%" PRIu64
             " overtake=%" PRIu64 " notice_ms=%" PRIu64 " task_us=%" PRIu64
             " sync_us=%" PRIu64 " flush_ms=%" PRIu64 " drift_ppm=%" PRIu64
             " workers=%u",
             plan->delay_ns / sim_us, plan->loss_per_million,
             plan->repeat_per_million, plan->overtake_per_million,
             plan->notice_ns / sim_ms, plan->task_ns / sim_us,
             plan->sync_ns / sim_us, plan->flush_every_ns / sim_ms,
             plan->drift_ppm, plan->apply_owners);
    sim_note(loop, "plan: check_ms=%" PRIu64 " damage=%d crashes=%d leaving=%d",
             plan->check_interval_ms, plan->damage, plan->damage_crashes,
             plan->damage_leaving);
    sim_note(loop,
             "plan: sleep_after_ms=%" PRIu64 " alarm_ms=%" PRIu64
             " lull_ms=%" PRIu64 "/%" PRIu64,
             plan->sleep_after_ms, plan->alarm_ms, plan->lull_ns / sim_ms,
             plan->lull_every_ns / sim_ms);
    sim_note(loop,
             "plan: zones=%zu names=%zu subs=%zu below=%d force=%d end=%d "
             "step_ms=%" PRIu64,
             plan->zones, plan->zone_names, plan->zone_subs, plan->zones_below,
             plan->zones_force, plan->zones_end, plan->step_ns / sim_ms);
    for (size_t i = 0; i < SIM_FAULTS; i++)
        if (plan->every_ns[i] != 0)
            sim_note(loop, "plan: %s every %" PRIu64 " ms", fault_names[i],
                     plan->every_ns[i] / sim_ms);
}
