/* SPDX-License-Identifier: Apache-2.0 */

/* Rule 3 of a directory that has become strong with files in it: what is in the
 * regions, as soon as the first node knows that it is strong. Nobody has
 * changed anything there by then, as nobody knew. */

#include <inttypes.h>

#include "engine/keys.h"
#include "engine/range.h"
#include "tests/sim/sim_entry.h"
#include "tests/sim/sim_lives_impl.h"
#include "tests/sim/sim_seen.h"

static const uint64_t stayed_ns = UINT64_C(6000000000);

/* What is known of one name. */
struct find {
    struct sim_lives *lives;
    struct place *place;
    const struct sim_node *teller; /* that knows the decision */
    const struct sim_node *node;   /* that is looked at */
    bool has_replica;              /* one that has begun to take files */
    bool found;
};

/* ---- what it may be ---- */

static bool fits(const struct find *find, struct sim_version version,
                 uint64_t plain)
{
    if (version.hlc == 0 ||
        sim_version_compare(version, lives_required(find->lives, find->place)) <
            0)
        return false;
    return plain == 0
               ? version.removed
               : !version.removed &&
                     lives_plain_of(find->lives, find->place, version) == plain;
}

/* The greatest version of this value, of all that may have been the last one;
 * `plain` 0: that is a removal. hlc 0: there is none. */
static struct sim_version match(const struct find *find, uint64_t plain)
{
    const struct place *place = find->place;
    struct sim_version best = {0};

    for (size_t i = 0; i < SIM_NODES_MAX; i++) {
        struct sim_version known[] = {place->counts[i], place->seen[i].version};

        for (size_t k = 0; k < ARRAY_SIZE(known); k++)
            if (fits(find, known[k], plain) &&
                sim_version_compare(known[k], best) > 0)
                best = known[k];
    }
    return best;
}

/* ---- what it is ---- */

static void check_entry(struct find *find)
{
    struct place *place = find->place;
    struct entry entry = {0};
    struct buf *content = NULL;
    struct sim_version version;

    if (!sim_entry_get(find->node, place->dir, slice_of(place->name), &entry,
                       &content))
        return;
    version =
        match(find, lives_plain(&entry.attr, entry.xattrs, buf_slice(content)));
    if (version.hlc == 0)
        sim_fail(find->lives->cluster->loop,
                 "%" PRIx64 "/%s is strong, and on node %zu it is not what it "
                 "was as an eventual one",
                 place->dir, place->name, find->node->number + 1);
    find->found = true;
    place->last = version;
    buf_unref(content);
    entry_release(&entry);
}

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

/* Opened by that transaction; others know of it too early or too late. */
static bool has_part(const struct find *find, struct range range)
{
    struct key key = key_namespace(find->place->dir, range.start);
    struct namespace_record part = {0};
    struct kv_value value = {0};
    bool has =
        kv_get(lives_state(find->node), NULL, key_slice(&key), &value) == 0 &&
        namespace_decode(&part, (struct slice){value.data, value.size}) == 0 &&
        part.reopened && lives_was_committed(find->teller, part.opening.id);

    namespace_release(&part);
    kv_value_release(&value);
    return has;
}

static void look_at_node(struct find *find)
{
    struct slice begin = slice_of("r");
    struct kv_iter *iter =
        kv_iter_new(lives_state(find->node), NULL, begin, slice_of("s"));

    for (kv_iter_seek(iter, begin); kv_iter_valid(iter); kv_iter_next(iter)) {
        struct region region = {0};
        struct range range;

        if (region_decode(&region, kv_iter_value(iter)) != 0)
            continue; /* It is damaged: see sim_damage.h. */
        range = (struct range){region.start, region.end};
        if (region.id != REGION_PLACEMENT &&
            range_has_place(range, find->place->dir,
                            slice_of(find->place->name)) &&
            has_part(find, range)) {
            find->has_replica = true;
            check_entry(find);
        }
        region_release(&region);
    }
    kv_iter_free(iter);
}

/* ---- all of it ---- */

static bool is_there(const struct sim_node *node)
{
    return !node->removed && node->node != NULL;
}

/* Since before the files were brought. */
static bool has_stayed(const struct find *find)
{
    uint64_t start_ns = find->lives->nodes[find->node->number].start_ns;

    return find->node->removed ||
           (is_there(find->node) &&
            find->lives->cluster->loop->now_ns - start_ns > stayed_ns);
}

/* A replica may lag, and the one that did not may have just crashed; but where
 * some replica shows a file there it is known which one was last. */
void lives_check_strong(struct sim_lives *lives, const struct sim_node *teller,
                        struct place *place)
{
    const struct sim_cluster *cluster = lives->cluster;
    struct find find = {.lives = lives, .place = place, .teller = teller};
    bool all_there = true;

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        find.node = &cluster->nodes[i];
        if (is_there(find.node))
            look_at_node(&find);
        all_there = all_there && has_stayed(&find);
    }
    if (find.found) {
        sim_seen(SEEN_ZONE_IMPORTED);
        return;
    }
    place->last = match(&find, 0);
    if (all_there && find.has_replica && place->last.hlc == 0 &&
        lives_required(lives, place).hlc != 0)
        sim_fail(cluster->loop,
                 "%" PRIx64 "/%s is lost: it was not brought along when the "
                 "directory became strong",
                 place->dir, place->name);
}
