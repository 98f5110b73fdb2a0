/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/merge_change.h"

#include <assert.h>

#include "engine/keys.h"
#include "engine/node.h"
#include "engine/peer_change.h"

/* ---- checking ---- */

/* A bound that both have: the end of all keys is none. */
static bool meet(struct slice end, struct slice start)
{
    return end.size > 0 && slice_equal(end, start);
}

static bool adjoins(const struct region *region, struct slice start,
                    struct slice end)
{
    return meet(region->end, start) || meet(end, region->start);
}

static bool is_changing(const struct region *region)
{
    return region_is_joint(region) || region_is_merging(region);
}

static bool have_same_nodes(const struct region *a, const struct region *b)
{
    for (size_t i = 0; i < a->peer_count; i++)
        if (region_find_node(b, a->peers[i].node) == NULL)
            return false;
    return a->peer_count == b->peer_count;
}

/* 0: it has several. */
static uint64_t node_of_only_voter(const struct region *region)
{
    return region->voter_count == 1
               ? region_find_peer(region, region->voters[0])->node
               : 0;
}

/* The target's only voter has to be able to take over what is beside it. */
static bool is_safe_beside(const struct region *target,
                           const struct region *source)
{
    uint64_t alone = node_of_only_voter(target);

    return alone == 0 || node_of_only_voter(source) == alone;
}

int regions_can_merge(const struct region *target, const struct region *source)
{
    if (target->id == source->id || target->id == REGION_PLACEMENT ||
        source->id == REGION_PLACEMENT ||
        !adjoins(target, source->start, source->end))
        return ERR_INVALID;
    if (is_changing(target) || is_changing(source))
        return ERR_BUSY;
    return have_same_nodes(target, source) && is_safe_beside(target, source)
               ? 0
               : ERR_NOT_PERMITTED;
}

static bool is_attempt(const struct region *region,
                       const struct region_merge *merge)
{
    return region->merge.other == merge->other &&
           region->merge.attempt == merge->attempt;
}

bool region_is_frozen_for(const struct region *region, uint64_t target,
                          uint64_t attempt)
{
    return region_is_frozen(region) && region->merge.other == target &&
           region->merge.attempt == attempt;
}

static int check_begin(const struct region *region,
                       const struct region_merge *merge)
{
    if (region->id == REGION_PLACEMENT || merge->other == region->id ||
        merge->other == REGION_PLACEMENT ||
        !adjoins(region, merge->start, merge->end))
        return ERR_INVALID;
    return is_changing(region) ? ERR_BUSY : 0;
}

static int check_target(const struct region *region,
                        const struct command *command)
{
    const struct region_merge *merge = &command->merge;
    enum merge_state state = region->merge.state;

    if (command->region_version != region->version ||
        command->region_conf_ver != region->conf_ver)
        return ERR_EPOCH;
    switch (command->merge_step) {
    case MERGE_STEP_BEGIN:
        return check_begin(region, merge);
    case MERGE_STEP_TAKE:
        return state == MERGE_TAKING && is_attempt(region, merge) ? 0
                                                                  : ERR_EPOCH;
    case MERGE_STEP_GIVE_UP:
        return (state == MERGE_TAKING || state == MERGE_GIVING_UP) &&
                       is_attempt(region, merge)
                   ? 0
                   : ERR_EPOCH;
    case MERGE_STEP_END:
        return state == MERGE_GIVING_UP && is_attempt(region, merge)
                   ? 0
                   : ERR_EPOCH;
    }
    return ERR_INVALID;
}

static int check_freeze(const struct region *region,
                        const struct region_merge *merge)
{
    if (region_is_frozen_for(region, merge->other, merge->attempt))
        return 0;
    if (merge->version != region->version ||
        merge->conf_ver != region->conf_ver)
        return ERR_EPOCH;
    if (region->id == REGION_PLACEMENT)
        return ERR_INVALID;
    return is_changing(region) ? ERR_BUSY : 0;
}

int region_merge_check(const struct region *region,
                       const struct command *command)
{
    switch (command->op) {
    case COMMAND_MERGE:
        return check_target(region, command);
    case COMMAND_FREEZE:
        return check_freeze(region, &command->merge);
    case COMMAND_UNFREEZE:
        return 0;
    default:
        return ERR_INVALID;
    }
}

/* ---- changing ---- */

static void begin(struct region *region, const struct region_merge *merge,
                  uint64_t index)
{
    region->merge = *merge;
    region->merge.state = MERGE_TAKING;
    region->merge.attempt = index;
}

static void take(struct region *region)
{
    const struct region_merge merge = region->merge;
    uint64_t frozen_version = merge.version + 1;

    if (meet(region->end, merge.start))
        region->end = merge.end;
    else
        region->start = merge.start;
    if (region->version < frozen_version)
        region->version = frozen_version;
    region->version++;
    region->absorbed = merge.other;
    region->merge = (struct region_merge){0};
}

static void freeze(struct region *region, const struct region_merge *merge,
                   uint64_t index)
{
    if (region_is_frozen(region))
        return;
    region->merge = *merge;
    region->merge.state = MERGE_FROZEN;
    region->merge.index = index;
    region->version++;
}

/* Where it has not been frozen it never will be. */
static void unfreeze(struct region *region, const struct region_merge *merge)
{
    if (region_is_frozen_for(region, merge->other, merge->attempt))
        region->merge = (struct region_merge){0};
    else if (region->version != merge->version)
        return;
    region->version++;
}

static void change_target(struct region *region, const struct command *command,
                          uint64_t index)
{
    switch (command->merge_step) {
    case MERGE_STEP_BEGIN:
        begin(region, &command->merge, index);
        return;
    case MERGE_STEP_TAKE:
        take(region);
        return;
    case MERGE_STEP_GIVE_UP:
        region->merge.state = MERGE_GIVING_UP;
        return;
    case MERGE_STEP_END:
        region->merge = (struct region_merge){0};
        return;
    }
}

struct region region_merge(const struct region *region,
                           const struct command *command, uint64_t index)
{
    struct region changed = *region; /* borrows */

    assert(region_merge_check(region, command) == 0);

    if (command->op == COMMAND_MERGE)
        change_target(&changed, command, index);
    else if (command->op == COMMAND_FREEZE)
        freeze(&changed, &command->merge, index);
    else
        unfreeze(&changed, &command->merge);
    return region_copy(&changed);
}
