/* SPDX-License-Identifier: Apache-2.0 */

/* Strong directories, as the replicas of a node have them in its state/. */

#include "engine/keys.h"
#include "tests/sim/sim_lives_impl.h"

bool lives_was_committed(const struct sim_node *node, struct txn_id id)
{
    struct key key = key_decision(id.node, id.boot, id.sequence);
    struct kv_value value = {0};
    struct decision decision = {0};
    bool committed =
        kv_get(lives_state(node), NULL, key_slice(&key), &value) == 0 &&
        decision_decode(&decision, (struct slice){value.data, value.size}) ==
            0 &&
        decision.committed;

    decision_release(&decision);
    kv_value_release(&value);
    return committed;
}

bool lives_was_opened(const struct sim_node *node,
                      const struct namespace_record *part)
{
    return part->reopened && lives_was_committed(node, part->opening.id);
}

/* `*ret` is to be released in any case. */
static bool get_part(const struct sim_node *node, const struct region *region,
                     uint64_t dir, struct namespace_record *ret)
{
    struct range range = {region->start, region->end};
    struct key key = key_namespace(dir, range.start);
    struct kv_value value = {0};
    bool has =
        region->id != REGION_PLACEMENT &&
        range_has(range, key_user_part(&key)) &&
        kv_get(lives_state(node), NULL, key_slice(&key), &value) == 0 &&
        namespace_decode(ret, (struct slice){value.data, value.size}) == 0;

    kv_value_release(&value);
    return has;
}

void lives_visit_parts(const struct sim_node *node, uint64_t dir,
                       lives_part *on_part, void *context)
{
    struct slice begin = slice_of("r");
    struct kv_iter *iter =
        kv_iter_new(lives_state(node), NULL, begin, slice_of("s"));

    for (kv_iter_seek(iter, begin); kv_iter_valid(iter); kv_iter_next(iter)) {
        struct region region = {0};
        struct namespace_record part = {0};

        if (region_decode(&region, kv_iter_value(iter)) != 0)
            continue; /* It is damaged: see sim_damage.h. */
        if (get_part(node, &region, dir, &part))
            on_part(context, (struct range){region.start, region.end}, &part);
        namespace_release(&part);
        region_release(&region);
    }
    kv_iter_free(iter);
}
