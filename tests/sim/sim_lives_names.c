/* SPDX-License-Identifier: Apache-2.0 */

/* Rule 10, as soon as the first node knows that a directory is strong: the
 * regions have its parts, and the names of the directories in it, which only
 * catalogs had before. */

#include <inttypes.h>

#include "engine/catalog.h"
#include "engine/keys.h"
#include "tests/sim/sim_lives_impl.h"
#include "tests/sim/sim_seen.h"

static const uint64_t stayed_ns = UINT64_C(6000000000);

/* What is known of one name. */
struct find {
    struct sim_lives *lives;
    const struct sim_node *teller; /* that knows the decision */
    const struct sim_node *node;   /* that is looked at */
    uint64_t dir;
    struct slice name;
    uint64_t nsid;    /* that it is to mean */
    bool has_replica; /* one with the part that it lies in */
    bool found;
};

bool lives_is_there(const struct sim_node *node)
{
    return !node->removed && node->node != NULL;
}

bool lives_has_stayed(const struct sim_lives *lives,
                      const struct sim_node *node)
{
    uint64_t start_ns = lives->nodes[node->number].start_ns;

    return node->removed ||
           (lives_is_there(node) &&
            lives->cluster->loop->now_ns - start_ns > stayed_ns);
}

static bool has_reference(const struct find *find)
{
    struct key key = key_user('d', find->dir, find->name);
    struct kv_value value = {0};
    struct entry entry = {0};
    bool has =
        kv_get(lives_state(find->node), NULL, key_slice(&key), &value) == 0 &&
        entry_decode(&entry, (struct slice){value.data, value.size}) == 0 &&
        entry.kind == ENTRY_DIR && nsid_of_ino(entry.attr.ino) == find->nsid;

    entry_release(&entry);
    kv_value_release(&value);
    return has;
}

static void look_at_part(void *context, struct range range,
                         const struct namespace_record *part)
{
    struct find *find = context;

    if (!range_has_place(range, find->dir, find->name) ||
        !lives_was_opened(find->teller, part))
        return;
    find->has_replica = true;
    if (find->name.size > 0)
        find->found = find->found || has_reference(find);
}

/* False: it need not be known. */
static bool look_at_all(struct find *find)
{
    const struct sim_cluster *cluster = find->lives->cluster;
    bool all_there = true;

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        find->node = &cluster->nodes[i];
        if (lives_is_there(find->node))
            lives_visit_parts(find->node, find->dir, look_at_part, find);
        all_there = all_there && lives_has_stayed(find->lives, find->node);
    }
    return all_there;
}

static bool check_name(void *context, struct slice name, uint64_t nsid)
{
    const struct find *whole = context;
    struct find find = *whole;

    find.name = name;
    find.nsid = nsid;
    find.has_replica = find.found = false;
    if (!look_at_all(&find))
        return false;
    if (!find.found)
        sim_fail(find.lives->cluster->loop,
                 "%" PRIx64 " is strong, and the directory %.*s in it was not "
                 "brought along",
                 find.dir, (int)name.size, (const char *)name.data);
    sim_seen(SEEN_ZONE_NAMED);
    return true;
}

void lives_check_names(struct sim_lives *lives, const struct sim_node *teller,
                       uint64_t dir)
{
    const struct slice first = {NULL, 0};
    struct find find = {.lives = lives, .teller = teller, .dir = dir};

    if (!look_at_all(&find))
        return;
    if (!find.has_replica)
        sim_fail(lives->cluster->loop,
                 "%" PRIx64 " is strong, and no region has it", dir);
    (void)catalog_visit(lives_state(teller), dir, first, check_name, &find);
}
