/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/floor.h"

#include "engine/keys.h"
#include "engine/node.h"
#include "engine/region_state.h"

int floor_get(struct kv *state, const struct kv_snapshot *snapshot,
              struct floor *ret)
{
    struct key key = key_floor();
    struct kv_value value = {0};
    int rc = kv_get(state, snapshot, key_slice(&key), &value);

    if (rc == ERR_NOT_FOUND)
        *ret = (struct floor){0};
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (value.size == 16)
        *ret = (struct floor){.hlc = be64_get(value.data),
                              .withdrawn =
                                  be64_get((const uint8_t *)value.data + 8)};
    else
        rc = ERR_CORRUPT;
    kv_value_release(&value);
    return rc;
}

static int read_members(struct kv *state, const struct kv_snapshot *snapshot,
                        struct floor_members *ret)
{
    struct region region = {0};
    struct floor floor;
    int rc = floor_get(state, snapshot, &floor);

    if (rc != 0)
        return rc;
    rc = region_state_descriptor(state, snapshot, REGION_PLACEMENT, &region);
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    ret->count = region.peer_count;
    for (size_t i = 0; i < region.peer_count; i++)
        ret->nodes[i] = region.peers[i].node;
    ret->roll = region.conf_ver + floor.withdrawn;
    region_release(&region);
    return 0;
}

int floor_members_get(struct kv *state, struct floor_members *ret)
{
    struct kv_snapshot *snapshot = kv_snapshot_new(state);
    int rc;

    *ret = (struct floor_members){.count = 0};
    rc = read_members(state, snapshot, ret);
    kv_snapshot_free(snapshot);
    return rc;
}

bool floor_has_member(const struct floor_members *members, uint64_t node)
{
    for (size_t i = 0; i < members->count; i++)
        if (members->nodes[i] == node)
            return true;
    return false;
}
