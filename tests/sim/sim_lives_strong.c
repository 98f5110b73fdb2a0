/* SPDX-License-Identifier: Apache-2.0 */

/* Rule 3 of a directory that has become strong with files in it: what is in the
 * regions, as soon as the first node knows that it is strong. Nobody has
 * changed anything there by then, as nobody knew, but for nodes that were left
 * out. */

#include <inttypes.h>

#include "engine/catalog.h"
#include "engine/eventual_read.h"
#include "tests/sim/sim_entry.h"
#include "tests/sim/sim_lives_impl.h"
#include "tests/sim/sim_seen.h"

/* What is known of one name. */
struct find {
    struct sim_lives *lives;
    struct place *place;
    const struct sim_node *teller; /* that knows the decision */
    const struct sim_node *node;   /* that is looked at */
    bool has_replica;              /* one that has begun to take files */
    bool is_beside;                /* a directory of its name */
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

static void consider(const struct find *find, struct sim_version version,
                     uint64_t plain, struct sim_version *best)
{
    if (fits(find, version, plain) && sim_version_compare(version, *best) > 0)
        *best = version;
}

/* A node that was left out may be back before the decision: what it has
 * accepted by then others know as soon as what was before that has been brought
 * into the regions. The next version that was ever seen, behind `last`; NULL:
 * there is none, or it does not matter. */
static const struct value *next_earlier(const struct find *find,
                                        const struct value *last)
{
    const struct place *place = find->place;
    const struct life *life =
        lives_find_life(find->lives, place->dir, place->since);

    return life == NULL || life->left_out.count == 0
               ? NULL
               : lives_next_value(find->lives, place, last);
}

/* The greatest version of this value, of all that may have been the last one;
 * `plain` 0: that is a removal. hlc 0: there is none. */
static struct sim_version match(const struct find *find, uint64_t plain)
{
    const struct place *place = find->place;
    const struct value *value = NULL;
    struct sim_version best = {0};

    for (size_t i = 0; i < SIM_NODES_MAX; i++) {
        consider(find, place->counts[i], plain, &best);
        consider(find, place->seen[i].version, plain, &best);
    }
    while ((value = next_earlier(find, value)) != NULL)
        consider(find, value->version, plain, &best);
    return best;
}

/* ---- what it is ---- */

static void check_entry(struct find *find, struct slice name)
{
    struct place *place = find->place;
    struct entry entry = {0};
    struct buf *content = NULL;
    struct sim_version version;

    if (!sim_entry_get(find->node, place->dir, name, &entry, &content))
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

static void look_for(struct find *find, struct range range, struct slice name)
{
    if (!range_has_place(range, find->place->dir, name))
        return;
    find->has_replica = true;
    check_entry(find, name);
}

/* What it was shown as while it had this version. */
static void look_beside(struct find *find, struct range range,
                        struct sim_version version)
{
    struct eventual_record record = {.name = slice_of(find->place->name),
                                     .hlc = version.hlc};
    struct eventual_shown_name shown = eventual_show_name(&record);

    if (version.hlc != 0 && !version.removed)
        look_for(find, range, (struct slice){shown.data, shown.size});
}

/* Of a replica that has opened its part for that transaction; others know of it
 * too early or too late. */
static void look_at_part(void *context, struct range range,
                         const struct namespace_record *part)
{
    struct find *find = context;
    const struct place *place = find->place;
    const struct value *value = NULL;

    if (!lives_was_opened(find->teller, part))
        return;
    if (!find->is_beside) {
        look_for(find, range, slice_of(place->name));
        return;
    }
    for (size_t i = 0; i < SIM_NODES_MAX; i++) {
        look_beside(find, range, place->counts[i]);
        look_beside(find, range, place->seen[i].version);
    }
    while ((value = next_earlier(find, value)) != NULL)
        look_beside(find, range, value->version);
}

/* ---- all of it ---- */

/* A replica may lag, and the one that did not may have just crashed; but where
 * some replica shows a file there it is known which one was last. */
void lives_check_strong(struct sim_lives *lives, const struct sim_node *teller,
                        struct place *place)
{
    const struct sim_cluster *cluster = lives->cluster;
    struct find find = {.lives = lives, .place = place, .teller = teller};
    bool all_there = true;
    uint64_t nsid;

    find.is_beside = catalog_find(lives_state(teller), NULL, place->dir,
                                  slice_of(place->name), &nsid) == 0;
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        find.node = &cluster->nodes[i];
        if (lives_is_there(find.node))
            lives_visit_parts(find.node, place->dir, look_at_part, &find);
        all_there = all_there && lives_has_stayed(lives, find.node);
    }
    if (find.found) {
        sim_seen(SEEN_ZONE_IMPORTED);
        if (find.is_beside)
            sim_seen(SEEN_ZONE_BESIDE);
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
