/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/region_state.h"

#include "engine/keys.h"

int region_state_marker(struct kv *state, const struct kv_snapshot *snapshot,
                        uint64_t region, struct marker *ret)
{
    struct key key = key_marker(region);
    struct kv_value value = {0};
    int rc = kv_get(state, snapshot, key_slice(&key), &value);

    if (rc == 0)
        rc = marker_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

int region_state_descriptor(struct kv *state,
                            const struct kv_snapshot *snapshot, uint64_t region,
                            struct region *ret)
{
    struct key key = key_region(region);
    struct kv_value value = {0};
    int rc = kv_get(state, snapshot, key_slice(&key), &value);

    if (rc == 0)
        rc = region_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    if (rc == 0 && ret->id != region) {
        region_release(ret);
        rc = ERR_CORRUPT;
    }
    return rc;
}

bool region_state_is_gone(struct kv *state, uint64_t region)
{
    struct key key = key_gone_region(region);
    struct kv_value value = {0};
    uint64_t target;
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc =
            gone_region_decode(&target, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc == 0;
}
