/* SPDX-License-Identifier: Apache-2.0 */

/* In a file of its own, as those who apply commands need nothing else of the
 * placement group. */

#include "engine/keys.h"
#include "engine/placement.h"

int placement_read_goal(struct kv *state, uint64_t region, struct goal *ret)
{
    struct key key = key_goal(region);
    struct kv_value value = {0};
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    rc = goal_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}
