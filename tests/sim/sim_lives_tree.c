/* SPDX-License-Identifier: Apache-2.0 */

/* Rule 9: modes of directories as a node has them in its catalog, of all that
 * there are. And which trees have changed theirs, as the node sees it that has
 * got furthest. */

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "engine/digest.h"
#include "engine/keys.h"
#include "tests/sim/sim_lives_impl.h"
#include "tests/sim/sim_seen.h"

enum { TREE_SIZE = 3 }; /* what counts as one */

/* ---- a catalog ---- */

static void add(struct lives_tree *tree, const struct directory *directory)
{
    tree->items = mem_grow(tree->items, sizeof *tree->items, &tree->count_max,
                           tree->count + 1);
    tree->items[tree->count++] = (struct lives_directory){
        directory->nsid, directory->parent, directory->mode};
}

/* In ascending order. */
static void read_tree(const struct sim_lives *lives,
                      const struct sim_node *node, struct lives_tree *ret)
{
    struct key lower = key_directory(0);
    struct key upper = key_directory(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(lives_state(node), NULL,
                                       key_slice(&lower), key_slice(&upper));

    ret->count = 0;
    for (kv_iter_seek(iter, key_slice(&lower)); kv_iter_valid(iter);
         kv_iter_next(iter)) {
        struct directory directory = {0};

        if (directory_decode(&directory, kv_iter_value(iter)) != 0)
            sim_fail(lives->cluster->loop,
                     "node %zu has a directory that cannot be read",
                     node->number + 1);
        add(ret, &directory);
        directory_release(&directory);
    }
    kv_iter_free(iter);
}

static int compare(const void *key, const void *item)
{
    uint64_t nsid = *(const uint64_t *)key;
    const struct lives_directory *directory = item;

    if (nsid == directory->nsid)
        return 0;
    return nsid < directory->nsid ? -1 : 1;
}

static const struct lives_directory *find(const struct lives_tree *tree,
                                          uint64_t nsid)
{
    if (tree->count == 0)
        return NULL;
    return bsearch(&nsid, tree->items, tree->count, sizeof *tree->items,
                   compare);
}

/* ---- rule 9 ---- */

static bool is_plain(struct mode mode)
{
    return mode.state == MODE_STRONG && !mode_is_filling(mode);
}

static bool is_top(const struct lives_directory *directory)
{
    return directory->mode.domain == directory->nsid;
}

/* Filling, or a fence, came to all of them with one entry; before a fence each
 * has what it had when it was made. One alone is fenced to be removed. */
static bool fits_parent(struct mode mode, struct mode parent)
{
    bool is_as_one = mode_is_filling(mode) || parent.state == MODE_FENCED;

    if (mode.domain != parent.domain)
        return false;
    if (mode.state == MODE_FENCED && parent.state == MODE_EVENTUAL)
        return true;
    return mode.state == parent.state &&
           (!is_as_one || mode.epoch == parent.epoch) &&
           mode_is_filling(mode) == mode_is_filling(parent);
}

static bool is_sound(const struct lives_directory *directory,
                     struct mode parent)
{
    struct mode mode = directory->mode;

    if (is_plain(mode))
        return is_top(directory) || (mode.domain == 0 && is_plain(parent));
    if (mode.since == 0)
        return false;
    if (!is_top(directory))
        return fits_parent(mode, parent);
    return !mode_is_filling(mode) || !mode_is_filling(parent);
}

static void check_directory(const struct sim_lives *lives,
                            const struct sim_node *node,
                            const struct lives_tree *tree,
                            const struct lives_directory *directory)
{
    const struct lives_directory *parent = find(tree, directory->parent);
    struct mode mode = directory->mode;

    if (directory->nsid == NSID_ROOT)
        return;
    if (parent == NULL)
        sim_fail(lives->cluster->loop,
                 "node %zu: directory %" PRIx64 " is in none", node->number + 1,
                 directory->nsid);
    if (!is_sound(directory, parent->mode))
        sim_fail(lives->cluster->loop,
                 "node %zu: the mode of %" PRIx64 " (%d of %" PRIx64
                 " since %" PRIx64 " epoch %" PRIx64
                 ") does not fit to that of %" PRIx64 " (%d of %" PRIx64
                 " since %" PRIx64 " epoch %" PRIx64 ")",
                 node->number + 1, directory->nsid, (int)mode.state,
                 mode.domain, mode.since, mode.epoch, parent->nsid,
                 (int)parent->mode.state, parent->mode.domain,
                 parent->mode.since, parent->mode.epoch);
}

/* What the node goes by is a copy. */
static void check_copy(const struct sim_lives *lives,
                       const struct sim_node *node,
                       const struct lives_directory *directory)
{
    struct mode mode = directory->mode;
    struct mode copy = modes_find(node_modes(node->node), directory->nsid);

    if (is_plain(mode)
            ? !is_plain(copy) || copy.domain != 0
            : copy.state != mode.state || copy.domain != mode.domain ||
                  copy.since != mode.since || copy.epoch != mode.epoch)
        sim_fail(lives->cluster->loop,
                 "node %zu does not follow the mode of %" PRIx64,
                 node->number + 1, directory->nsid);
}

/* Those that are shown are all that have a mode of their own, and no other. */
static void check_own(const struct sim_lives *lives,
                      const struct sim_node *node,
                      const struct lives_tree *tree)
{
    struct modes *modes = node_modes(node->node);
    uint64_t nsid = 0;
    size_t count = 0;
    struct mode mode;

    for (; modes_next_own(modes, nsid, &nsid, &mode); nsid++) {
        const struct lives_directory *directory = find(tree, nsid);

        if (directory == NULL || !is_top(directory) ||
            directory->mode.epoch != mode.epoch)
            sim_fail(lives->cluster->loop,
                     "node %zu shows a mode of %" PRIx64 " that it has not",
                     node->number + 1, nsid);
        count++;
    }
    for (size_t i = 0; i < tree->count; i++)
        count -= is_top(&tree->items[i]) ? 1 : 0;
    if (count != 0)
        sim_fail(lives->cluster->loop, "node %zu does not show all modes",
                 node->number + 1);
}

uint64_t lives_going_on(const struct sim_lives *lives)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < lives->newest.count; i++)
        sum += digest_life(lives->newest.items[i].nsid,
                           lives->newest.items[i].mode.since);
    return sum;
}

/* ---- what has changed ---- */

static size_t count_below(const struct lives_tree *tree, uint64_t top)
{
    size_t count = 0;

    for (size_t i = 0; i < tree->count; i++)
        count += tree->items[i].mode.domain == top && !is_top(&tree->items[i]);
    return count;
}

static void look_at_part(void *context, struct range range,
                         const struct namespace_record *part)
{
    bool *is_held = context;

    (void)range;
    if (part->closing.id.node != 0 || part->opening.id.node != 0)
        *is_held = true;
}

/* A part of one below it, in some replica. */
static bool is_below_held(const struct sim_lives *lives,
                          const struct lives_tree *tree, uint64_t top)
{
    const struct sim_cluster *cluster = lives->cluster;
    bool is_held = false;

    for (size_t i = 0; i < tree->count; i++) {
        const struct lives_directory *directory = &tree->items[i];

        if (directory->mode.domain != top || is_top(directory))
            continue;
        for (size_t k = 0; k < cluster->plan->nodes; k++)
            if (cluster->nodes[k].node != NULL)
                lives_visit_parts(&cluster->nodes[k], directory->nsid,
                                  look_at_part, &is_held);
    }
    return is_held;
}

static bool is_in(const struct lives_tree *tree, uint64_t nsid, uint64_t top)
{
    const struct lives_directory *directory = find(tree, nsid);

    return directory != NULL && directory->mode.domain == top;
}

static void note_switched(struct sim_lives *lives, uint64_t top)
{
    const struct lives_tree *tree = &lives->newest;

    for (size_t i = 0; i < tree->count; i++) {
        const struct lives_directory *directory = &tree->items[i];

        if (directory->mode.domain == top && !is_top(directory))
            add(&lives->switched, &(struct directory){.nsid = directory->nsid});
        if (directory->nsid != top && is_top(directory) &&
            is_in(tree, directory->parent, top))
            sim_seen(SEEN_TREE_OWN);
    }
}

/* `before`: of the newest catalog that was known. */
static void note_change(struct sim_lives *lives,
                        const struct lives_directory *before, struct mode mode)
{
    bool was_filling = mode_is_filling(before->mode);

    if (!is_top(before) || mode.epoch == before->mode.epoch ||
        count_below(&lives->newest, before->nsid) + 1 < TREE_SIZE)
        return;
    if (was_filling && mode.state == MODE_EVENTUAL) {
        sim_seen(SEEN_TREE_MADE);
        note_switched(lives, before->nsid);
    } else if (before->mode.state == MODE_FENCED && is_plain(mode)) {
        sim_seen(SEEN_TREE_STRONG);
        note_switched(lives, before->nsid);
    } else if (!is_below_held(lives, &lives->newest, before->nsid)) {
        return;
    } else if (was_filling && is_plain(mode)) {
        sim_seen(SEEN_TREE_NOT_MADE);
    } else if (before->mode.state == MODE_FENCED) {
        sim_seen(SEEN_TREE_NOT_STRONG);
    }
}

void sim_lives_on_resolved(struct sim_lives *lives, uint64_t nsid)
{
    for (size_t i = 0; i < lives->switched.count; i++)
        if (lives->switched.items[i].nsid == nsid) {
            sim_seen(SEEN_TREE_SETTLED);
            return;
        }
}

/* Strong, in one that is not; it may be being filled. */
static bool is_strong_below(const struct lives_tree *tree,
                            const struct lives_directory *directory)
{
    const struct lives_directory *parent = find(tree, directory->parent);

    return directory->mode.state == MODE_STRONG && parent != NULL &&
           parent->mode.state != MODE_STRONG;
}

/* What has become of one that was; `now` NULL: it is gone. */
static void note_strong_below(const struct lives_tree *tree,
                              const struct lives_directory *before,
                              const struct lives_directory *now)
{
    if (now == NULL)
        sim_seen(SEEN_BELOW_REMOVED);
    else if (now->mode.state == MODE_EVENTUAL)
        sim_seen(is_top(now) ? SEEN_BELOW_EVENTUAL : SEEN_BELOW_INHERITS);
    else if (now->parent != before->parent)
        sim_seen(SEEN_BELOW_MOVED);
    else if (now->mode.state == MODE_STRONG && !is_strong_below(tree, now))
        sim_seen(SEEN_BELOW_NAMED);
}

/* One that is as the one it is in gets a mode of its own. */
static bool is_kept_strong(const struct lives_directory *before,
                           const struct lives_directory *now)
{
    return is_plain(before->mode) && !is_top(before) && is_plain(now->mode) &&
           is_top(now);
}

/* Of strong directories with a mode of their own, mostly below eventual ones,
 * from the catalog `old` to `tree`. */
static void note_below(const struct lives_tree *old,
                       const struct lives_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        const struct lives_directory *now = &tree->items[i];
        const struct lives_directory *before = find(old, now->nsid);

        if (before != NULL && is_kept_strong(before, now))
            sim_seen(SEEN_BELOW_KEPT);
        if (before == NULL || !is_strong_below(tree, now))
            continue;
        if (before->mode.state != MODE_STRONG)
            sim_seen(SEEN_BELOW_STRONG);
        else if (!is_strong_below(old, before))
            sim_seen(SEEN_BELOW_AROUND);
    }
    for (size_t i = 0; i < old->count; i++)
        if (is_strong_below(old, &old->items[i]))
            note_strong_below(tree, &old->items[i],
                              find(tree, old->items[i].nsid));
}

/* Lives begin when they are named, whether there are files in them or not. */
static void note_newest(struct sim_lives *lives, struct lives_tree *tree,
                        uint64_t version)
{
    struct lives_tree old = lives->newest;

    for (size_t i = 0; i < tree->count; i++) {
        const struct lives_directory *now = &tree->items[i];
        const struct lives_directory *before = find(&old, now->nsid);
        struct life *life;

        if (before != NULL)
            note_change(lives, before, now->mode);
        if (now->mode.since == 0)
            continue;
        life = lives_life(lives, now->nsid, now->mode.since);
        if (life->known == UINT64_MAX)
            life->known = version;
    }
    note_below(&old, tree);
    lives->newest = *tree;
    lives->newest_version = version;
    *tree = old;
}

void lives_look_at_tree(struct sim_lives *lives, const struct sim_node *node)
{
    uint64_t version = lives_catalog_version(node);
    bool is_followed = modes_version(node_modes(node->node)) == version;
    struct lives_tree *tree = &lives->tree;

    read_tree(lives, node, tree);
    for (size_t i = 0; i < tree->count; i++) {
        check_directory(lives, node, tree, &tree->items[i]);
        if (is_followed)
            check_copy(lives, node, &tree->items[i]);
    }
    if (is_followed)
        check_own(lives, node, tree);
    if (version > lives->newest_version)
        note_newest(lives, tree, version);
}
