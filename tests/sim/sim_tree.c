/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_tree.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"
#include "engine/range.h"
#include "engine/snapshot.h"
#include "tests/sim/kv_mem.h"
#include "tests/sim/sim_seen.h"

struct tree_check {
    struct sim_cluster *cluster;
    struct kv *state; /* of all regions, each from one of its replicas */
    struct kv_iter *iter;
};

static void gather_range(struct kv_batch *batch, struct kv *from,
                         const struct key_range *range)
{
    struct slice begin = key_slice(&range->begin);
    struct kv_iter *iter =
        kv_iter_new(from, NULL, begin, key_slice(&range->end));

    for (kv_iter_seek(iter, begin); kv_iter_valid(iter); kv_iter_next(iter))
        kv_batch_put(batch, kv_iter_key(iter), kv_iter_value(iter));
    kv_iter_free(iter);
}

static void gather(struct tree_check *t)
{
    struct kv_batch *batch = kv_batch_new(t->state);
    uint64_t id;

    for (id = 0; sim_cluster_find_region(t->cluster, &id); id++) {
        const struct sim_node *holder = sim_cluster_holder(t->cluster, id);
        struct key_range ranges[SNAPSHOT_RANGES_MAX];
        size_t count =
            snapshot_ranges(peer_region(node_peer(holder->node, id)), ranges);

        for (size_t i = 0; i < count; i++)
            gather_range(batch, holder->env->env.state, &ranges[i]);
    }
    (void)kv_write(t->state, batch, KV_RELAXED, NULL); /* Does not fail. */
    kv_batch_free(batch);
}

static void open_class(struct tree_check *t, const char *first, const char *end)
{
    struct slice lower = slice_of(first);

    t->iter = kv_iter_new(t->state, NULL, lower, slice_of(end));
    kv_iter_seek(t->iter, lower);
}

static bool get_directory(struct tree_check *t, uint64_t nsid,
                          struct directory *ret)
{
    struct key key = key_directory(nsid);
    struct kv_value value = {0};
    bool found = kv_get(t->state, NULL, key_slice(&key), &value) == 0;

    if (found)
        found =
            directory_decode(ret, (struct slice){value.data, value.size}) == 0;
    kv_value_release(&value);
    return found;
}

static void check_reference(struct tree_check *t, uint64_t dir,
                            struct slice name, uint64_t nsid)
{
    struct directory directory = {0};

    if (!get_directory(t, nsid, &directory))
        sim_fail(t->cluster->loop,
                 "directory %" PRIx64 " is not in the catalog", nsid);
    if (directory.parent != dir || !slice_equal(directory.name, name))
        sim_fail(t->cluster->loop,
                 "directory %" PRIx64 " is at %" PRIx64 "/%.*s, the catalog "
                 "says %" PRIx64 "/%.*s",
                 nsid, dir, (int)name.size, (const char *)name.data,
                 directory.parent, (int)directory.name.size,
                 (const char *)directory.name.data);
    directory_release(&directory);
}

/* Below a directory that was removed nothing may be left. */
static void check_place(struct tree_check *t, uint64_t dir, struct slice name)
{
    struct directory directory = {0};

    if (!get_directory(t, dir, &directory))
        sim_fail(t->cluster->loop,
                 "%" PRIx64 "/%.*s is in no directory of the catalog", dir,
                 (int)name.size, (const char *)name.data);
    directory_release(&directory);
}

/* Entries, and chunks behind those that have some. */
static void check_entries(struct tree_check *t)
{
    uint64_t chunks_nsid = 0;
    struct slice chunks_name = {NULL, 0};
    char name_held[NAME_SIZE_MAX];

    for (open_class(t, "d", "e"); kv_iter_valid(t->iter);
         kv_iter_next(t->iter)) {
        struct slice key = kv_iter_key(t->iter);
        struct slice value = kv_iter_value(t->iter);
        struct entry entry = {0};
        struct slice name;
        uint64_t nsid;

        if (!key_parse_entry(key, &nsid, &name)) {
            struct key first = key_chunk(chunks_nsid, chunks_name, 0);

            if (chunks_nsid == 0 ||
                memcmp(key.data, first.data, first.size - 4) != 0)
                sim_fail(t->cluster->loop, "a chunk without its file");
            continue;
        }
        if (entry_decode(&entry, value) != 0)
            sim_fail(t->cluster->loop, "an entry cannot be decoded");
        if (entry.kind == ENTRY_INTENT)
            sim_fail(t->cluster->loop, "an intent was left at %" PRIx64 "/%.*s",
                     nsid, (int)name.size, (const char *)name.data);
        check_place(t, nsid, name);
        if (entry.kind == ENTRY_DIR)
            check_reference(t, nsid, name, nsid_of_ino(entry.attr.ino));
        chunks_nsid = 0;
        if (entry.kind == ENTRY_FILE && entry.attr.size > INLINE_SIZE_MAX) {
            memcpy(name_held, name.data, name.size);
            chunks_nsid = nsid;
            chunks_name = (struct slice){name_held, name.size};
        }
        entry_release(&entry);
    }
    kv_iter_free(t->iter);
}

/* Chunks do not count. */
static size_t count_records(struct tree_check *t, char class, uint64_t nsid)
{
    struct key lower = key_user(class, nsid, slice_of(""));
    struct key upper = key_behind_namespace(class, nsid);
    struct kv_iter *iter =
        kv_iter_new(t->state, NULL, key_slice(&lower), key_slice(&upper));
    size_t count = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice name;
        uint64_t dir;

        count +=
            class != 'd' || key_parse_entry(kv_iter_key(iter), &dir, &name);
    }
    kv_iter_free(iter);
    return count;
}

static void check_namespaces(struct tree_check *t)
{
    for (open_class(t, "n", "o"); kv_iter_valid(t->iter);
         kv_iter_next(t->iter)) {
        struct namespace_record record = {0};

        if (namespace_decode(&record, kv_iter_value(t->iter)) != 0)
            sim_fail(t->cluster->loop, "a namespace cannot be decoded");
        if (record.closing.id.node != 0 || record.opening.id.node != 0)
            sim_fail(t->cluster->loop,
                     "namespace %" PRIx64 " is still closing, or opening",
                     record.nsid);
        check_place(t, record.nsid, slice_of(""));
        namespace_release(&record);
    }
    kv_iter_free(t->iter);
}

static bool touches(const struct region *region, uint64_t nsid)
{
    struct key first = key_user('n', nsid, slice_of(""));
    struct key behind = key_behind_namespace('n', nsid);
    struct range range = {region->start, region->end};
    struct range names = {key_user_part(&first), key_user_part(&behind)};

    return region->id != REGION_PLACEMENT && range_overlaps(range, names);
}

/* What the region's part of the namespace counts. */
static uint64_t part_count(struct tree_check *t, const struct region *region,
                           uint64_t nsid)
{
    struct key key = key_namespace(nsid, region->start);
    struct namespace_record record = {0};
    struct kv_value value = {0};
    uint64_t count;

    if (kv_get(t->state, NULL, key_slice(&key), &value) != 0)
        sim_fail(t->cluster->loop,
                 "region %" PRIu64 " has no part of namespace %" PRIx64,
                 region->id, nsid);
    (void)namespace_decode(&record, (struct slice){value.data, value.size});
    count = record.entry_count;
    namespace_release(&record);
    kv_value_release(&value);
    return count;
}

/* All parts, and no others, which together count what is there. */
static void check_parts(struct tree_check *t, uint64_t nsid)
{
    size_t records = count_records(t, 'n', nsid);
    size_t entries = count_records(t, 'd', nsid);
    size_t parts = 0;
    uint64_t sum = 0;
    uint64_t id;

    for (id = 0; sim_cluster_find_region(t->cluster, &id); id++) {
        const struct sim_node *holder = sim_cluster_holder(t->cluster, id);
        const struct region *region = peer_region(node_peer(holder->node, id));

        if (!touches(region, nsid))
            continue;
        sum += part_count(t, region, nsid);
        parts++;
    }
    if (parts != records || sum != entries)
        sim_fail(t->cluster->loop,
                 "namespace %" PRIx64 ": %zu parts in %zu regions count "
                 "%" PRIu64 " entries, and %zu are there",
                 nsid, records, parts, sum, entries);
    if (parts > 1)
        sim_seen(SEEN_NAMESPACE_PARTS);
}

/* Those of eventual directories are known to the catalog alone. */
static void check_no_parts(struct tree_check *t, uint64_t nsid)
{
    if (count_records(t, 'n', nsid) > 0 || count_records(t, 'd', nsid) > 0)
        sim_fail(t->cluster->loop,
                 "regions have something of namespace %" PRIx64
                 ", which is eventual",
                 nsid);
}

static bool is_strong(struct tree_check *t, uint64_t nsid)
{
    struct directory directory = {0};
    bool strong = !get_directory(t, nsid, &directory) ||
                  directory.mode.state == MODE_STRONG;

    directory_release(&directory);
    return strong;
}

static bool is_reference(struct slice bytes, uint64_t nsid)
{
    struct entry entry = {0};
    bool is = entry_decode(&entry, bytes) == 0 && entry.kind == ENTRY_DIR &&
              nsid_of_ino(entry.attr.ino) == nsid;

    entry_release(&entry);
    return is;
}

/* By its parent, and by the catalog's index. */
static void check_named(struct tree_check *t, const struct directory *directory)
{
    struct key name = key_directory_name(directory->parent, directory->name);
    struct key key = key_user('d', directory->parent, directory->name);
    struct kv_value found = {0};

    if (directory->nsid == NSID_ROOT)
        return;
    if (kv_get(t->state, NULL, key_slice(&name), &found) != 0)
        sim_fail(t->cluster->loop, "directory %" PRIx64 " has no name",
                 directory->nsid);
    kv_value_release(&found);
    if (!is_strong(t, directory->parent))
        return;
    if (kv_get(t->state, NULL, key_slice(&key), &found) != 0 ||
        !is_reference((struct slice){found.data, found.size}, directory->nsid))
        sim_fail(t->cluster->loop, "directory %" PRIx64 " has no reference",
                 directory->nsid);
    kv_value_release(&found);
}

/* Each name is that of a directory that has it. */
static void check_index(struct tree_check *t)
{
    for (open_class(t, "cp", "cq"); kv_iter_valid(t->iter);
         kv_iter_next(t->iter)) {
        struct slice value = kv_iter_value(t->iter);
        struct slice name;
        uint64_t parent;

        if (!key_parse_directory_name(kv_iter_key(t->iter), &parent, &name) ||
            value.size != KEY_NSID_SIZE)
            sim_fail(t->cluster->loop, "a name of a directory is malformed");
        check_reference(t, parent, name, be64_get(value.data));
    }
    kv_iter_free(t->iter);
}

static void check_catalog(struct tree_check *t)
{
    for (open_class(t, "cd", "ce"); kv_iter_valid(t->iter);
         kv_iter_next(t->iter)) {
        struct slice value = kv_iter_value(t->iter);
        struct directory directory = {0};

        if (directory_decode(&directory, value) != 0)
            sim_fail(t->cluster->loop, "a directory cannot be decoded");
        check_named(t, &directory);
        if (directory.mode.state == MODE_STRONG)
            check_parts(t, directory.nsid);
        else
            check_no_parts(t, directory.nsid);
        directory_release(&directory);
    }
    kv_iter_free(t->iter);
}

void sim_tree_check(struct sim_cluster *cluster)
{
    struct tree_check t = {.cluster = cluster, .state = kv_mem_new()};

    gather(&t);
    check_entries(&t);
    check_namespaces(&t);
    check_catalog(&t);
    check_index(&t);
    kv_close(t.state);
}
