/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/range_change.h"

#include <assert.h>

#include "engine/merge_change.h"
#include "engine/node.h"
#include "engine/peer_change.h"
#include "engine/range.h"

int region_split_check(const struct region *region, const struct command *split)
{
    struct range range = {region->start, region->end};
    struct key key = key_user('d', split->dir, split->name);

    if (split->region_version != region->version ||
        split->region_conf_ver != region->conf_ver)
        return ERR_EPOCH;
    if (region->id == REGION_PLACEMENT || split->new_region <= region->id ||
        !range_has(range, key_user_part(&key)) ||
        slice_equal(range.start, key_user_part(&key)))
        return ERR_INVALID;
    return region_is_joint(region) || region_is_merging(region) ? ERR_BUSY : 0;
}

/* The new id of a peer. */
static uint64_t id_of(const struct region *region, uint64_t peer_id)
{
    for (size_t i = 0; i < region->peer_count; i++)
        if (region->peers[i].id == peer_id)
            return i + 1;
    assert(false);
    return 0;
}

/* Ids ascend with the old ones: peers are in the order in which they came. */
static void renumber(const struct region *from, uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ids[i] = id_of(from, ids[i]);
}

void region_split(const struct region *region, const struct command *split,
                  struct region *ret_left, struct region *ret_right)
{
    struct key key = key_user('d', split->dir, split->name);
    struct region left = *region;
    struct region right = *region;

    assert(region_split_check(region, split) == 0);

    left.version = right.version = region->version + 1;
    left.end = right.start = key_user_part(&key);
    right.id = split->new_region;
    right.absorbed = 0;
    right.conf_ver = 1;
    right.peer_max = region->peer_count;
    for (size_t i = 0; i < right.peer_count; i++)
        right.peers[i].id = i + 1;
    renumber(region, right.voters, right.voter_count);
    renumber(region, right.learners, right.learner_count);
    *ret_left = region_copy(&left);
    *ret_right = region_copy(&right);
}
