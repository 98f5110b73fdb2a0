/* SPDX-License-Identifier: Apache-2.0 */

/* Rule 3 of a directory that has become strong with files in it: what is in the
 * regions, as soon as the first node knows that it is strong. Nobody has
 * changed anything there by then, as nobody knew. */

#include <inttypes.h>

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

/* Of a replica that has opened its part for that transaction; others know of it
 * too early or too late. */
static void look_at_part(void *context, struct range range,
                         const struct namespace_record *part)
{
    struct find *find = context;

    if (!range_has_place(range, find->place->dir,
                         slice_of(find->place->name)) ||
        !part->reopened || !lives_was_committed(find->teller, part->opening.id))
        return;
    find->has_replica = true;
    check_entry(find);
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
            lives_visit_parts(find.node, place->dir, look_at_part, &find);
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
