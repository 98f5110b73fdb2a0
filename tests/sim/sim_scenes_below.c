/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_scenes_below.h"

#include "tests/sim/sim_scenes_zone.h"
#include "tests/sim/sim_zone.h"

enum { SUB = 1, PIECE_SIZE = 30 };

static const struct sim_zone *zone_of(const struct sim_stage *stage)
{
    return sim_zones_find(stage->cluster->zones, 0);
}

/* ---- the directory ---- */

static void ask_made(struct sim_stage *stage)
{
    bool look = sim_pick(stage->cluster->loop, 2) == 0;
    const struct sim_zone_op op = {
        .kind = look ? REQUEST_LOOKUP : REQUEST_MKDIR, .name = ZONE_SUB};

    (void)scene_begin_op(stage, &op);
}

static bool is_made(struct sim_stage *stage)
{
    return zone_of(stage)->subs[SUB] != 0 && scene_is_settled(stage);
}

static void ask_mode(struct sim_stage *stage, enum request_kind kind)
{
    const struct sim_zone_op op = {.kind = kind,
                                   .of_own = true,
                                   .name = ZONE_SUB,
                                   .ino =
                                       ino_of_nsid(zone_of(stage)->subs[SUB])};

    (void)scene_begin_op(stage, &op);
}

void scene_ask_below_strong(struct sim_stage *stage)
{
    ask_mode(stage, REQUEST_SETXATTR);
}

static bool is_strong(const struct sim_stage *stage)
{
    const struct sim_zone *zone = zone_of(stage);

    return zone->subs[SUB] != 0 && zone->strongs[SUB] == zone->subs[SUB];
}

bool scene_is_below_strong(struct sim_stage *stage)
{
    return is_strong(stage) && scene_is_settled(stage);
}

void scene_ask_below_inherits(struct sim_stage *stage)
{
    ask_mode(stage, REQUEST_REMOVEXATTR);
}

bool scene_is_below_eventual(struct sim_stage *stage)
{
    return !is_strong(stage) && scene_is_settled(stage);
}

void scene_ask_below_removal(struct sim_stage *stage)
{
    const struct sim_zone_op op = {.kind = REQUEST_RMDIR, .name = ZONE_SUB};

    (void)scene_begin_op(stage, &op);
}

bool scene_is_below_removed(struct sim_stage *stage)
{
    return zone_of(stage)->subs[SUB] == 0 && scene_is_settled(stage);
}

/* ---- what is in it ---- */

static void ask_file(struct sim_stage *stage)
{
    const struct sim_zone_op op = {.kind = REQUEST_CREATE,
                                   .dir = SUB,
                                   .name = 0,
                                   .piece_size = PIECE_SIZE};

    if (stage->act == 0 && scene_begin_op(stage, &op))
        stage->act++;
}

static bool file_is_made(struct sim_stage *stage)
{
    return stage->act > 0 && scene_is_settled(stage);
}

static void begin_made(struct sim_stage *stage)
{
    scene_begin_eventual(stage);
    sim_stage_get_done(stage, ask_made, is_made);
}

void scene_begin_below(struct sim_stage *stage)
{
    begin_made(stage);
    sim_stage_get_done(stage, ask_file, file_is_made);
}

void scene_begin_strong_below(struct sim_stage *stage)
{
    scene_begin_below(stage);
    sim_stage_get_done(stage, scene_ask_below_strong, scene_is_below_strong);
}

void scene_begin_empty_below(struct sim_stage *stage)
{
    begin_made(stage);
    sim_stage_get_done(stage, scene_ask_below_strong, scene_is_below_strong);
}
