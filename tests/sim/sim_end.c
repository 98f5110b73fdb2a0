/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_end.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"
#include "engine/peer_impl.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_watch.h"

enum { TEXT_SIZE = 120 };

static struct kv *state_of(const struct sim_node *node)
{
    return node->env->env.state;
}

static bool has_key(struct kv *state, char first, char end)
{
    char bounds[2] = {first, end};
    struct slice lower = {&bounds[0], 1};
    struct slice upper = {&bounds[1], 1};
    struct kv_iter *iter = kv_iter_new(state, NULL, lower, upper);
    bool found;

    kv_iter_seek(iter, lower);
    found = kv_iter_valid(iter);
    kv_iter_free(iter);
    return found;
}

bool sim_end_is_quiet(const struct sim_cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct sim_node *node = &cluster->nodes[i];

        if (node->removed)
            continue;
        if (node->state != SIM_UP || has_key(state_of(node), 'x', 'y'))
            return false;
        for (uint64_t region = 0; region < SIM_REGIONS_MAX; region++) {
            const struct peer *peer = node_peer(node->node, region);

            if (peer != NULL &&
                (peer->applied_index != raft_commit(peer->raft) ||
                 peer->applied_index != raft_last_index(peer->raft) ||
                 peer->install != NULL || peer->damaged ||
                 raft_leader(peer->raft) == 0 ||
                 peer->applied_index <
                     sim_watch_committed(cluster->watch, region)))
                return false;
        }
    }
    return true;
}

/* ---- replicas ---- */

static void key_text(struct slice key, char text[TEXT_SIZE])
{
    const uint8_t *bytes = key.data;
    size_t used = 0;

    for (size_t i = 0; i < key.size && used + 5 < TEXT_SIZE; i++) {
        if (bytes[i] > 0x20 && bytes[i] < 0x7f) {
            text[used++] = (char)bytes[i];
        } else {
            static const char digits[] = "0123456789abcdef";

            text[used++] = '\\';
            text[used++] = digits[bytes[i] >> 4];
            text[used++] = digits[bytes[i] & 15];
        }
    }
    text[used] = '\0';
}

/* Whether the key belongs to region 0, which all nodes have. */
static bool is_of_placement(struct slice key)
{
    const uint8_t *bytes = key.data;

    if (bytes[0] == 'c')
        return true;
    return (bytes[0] == 'm' || bytes[0] == 'r' || bytes[0] == 's') &&
           be64_get(bytes + 1) == REGION_PLACEMENT;
}

/* Which replicas were here once is each node's own. */
static bool is_tombstone(struct slice key)
{
    return *(const uint8_t *)key.data == 'g';
}

static void skip_foreign(struct kv_iter *iter, bool all)
{
    while (kv_iter_valid(iter) &&
           (is_tombstone(kv_iter_key(iter)) ||
            (!all && !is_of_placement(kv_iter_key(iter)))))
        kv_iter_next(iter);
}

static void differ(struct sim_cluster *cluster, const struct sim_node *a,
                   const struct sim_node *b, struct kv_iter *left,
                   struct kv_iter *right)
{
    char left_text[TEXT_SIZE] = "(end)";
    char right_text[TEXT_SIZE] = "(end)";

    if (kv_iter_valid(left))
        key_text(kv_iter_key(left), left_text);
    if (kv_iter_valid(right))
        key_text(kv_iter_key(right), right_text);
    sim_fail(cluster->loop, "replicas differ: node %zu at %s, node %zu at %s",
             a->number + 1, left_text, b->number + 1, right_text);
}

static void compare(struct sim_cluster *cluster, const struct sim_node *a,
                    const struct sim_node *b)
{
    struct slice none = {NULL, 0};
    bool all = node_peer(a->node, REGION_FIRST_DATA) != NULL &&
               node_peer(b->node, REGION_FIRST_DATA) != NULL;
    struct kv_iter *left = kv_iter_new(state_of(a), NULL, none, none);
    struct kv_iter *right = kv_iter_new(state_of(b), NULL, none, none);

    kv_iter_seek(left, none);
    kv_iter_seek(right, none);
    for (;;) {
        skip_foreign(left, all);
        skip_foreign(right, all);
        if (!kv_iter_valid(left) || !kv_iter_valid(right))
            break;
        if (!slice_equal(kv_iter_key(left), kv_iter_key(right)) ||
            !slice_equal(kv_iter_value(left), kv_iter_value(right)))
            differ(cluster, a, b, left, right);
        kv_iter_next(left);
        kv_iter_next(right);
    }
    if (kv_iter_valid(left) || kv_iter_valid(right))
        differ(cluster, a, b, left, right);
    kv_iter_free(left);
    kv_iter_free(right);
}

/* The first node that has all regions. */
static struct sim_node *whole_node(struct sim_cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++)
        if (!cluster->nodes[i].removed &&
            node_peer(cluster->nodes[i].node, REGION_FIRST_DATA) != NULL)
            return &cluster->nodes[i];
    sim_fail(cluster->loop, "no node has the data region");
}

/* Keys of regions that are not here were left behind. */
static void check_erased(struct sim_cluster *cluster,
                         const struct sim_node *node)
{
    struct slice none = {NULL, 0};
    struct kv_iter *iter;

    if (node_peer(node->node, REGION_FIRST_DATA) != NULL)
        return;
    iter = kv_iter_new(state_of(node), NULL, none, none);
    for (kv_iter_seek(iter, none); kv_iter_valid(iter); kv_iter_next(iter)) {
        char text[TEXT_SIZE];

        if (is_tombstone(kv_iter_key(iter)) ||
            is_of_placement(kv_iter_key(iter)))
            continue;
        key_text(kv_iter_key(iter), text);
        sim_fail(cluster->loop, "node %zu still has %s", node->number + 1,
                 text);
    }
    kv_iter_free(iter);
}

void sim_end_compare(struct sim_cluster *cluster)
{
    const struct sim_node *whole = whole_node(cluster);

    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        if (cluster->nodes[i].removed)
            continue;
        compare(cluster, whole, &cluster->nodes[i]);
        check_erased(cluster, &cluster->nodes[i]);
    }
}

/* ---- the tree ---- */

struct tree_check {
    struct sim_cluster *cluster;
    struct kv *state;
    struct kv_iter *iter;
};

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

static bool get_namespace(struct tree_check *t, uint64_t nsid,
                          struct namespace_record *ret)
{
    struct key key = key_user('n', nsid, slice_of(""));
    struct kv_value value = {0};
    bool found = kv_get(t->state, NULL, key_slice(&key), &value) == 0;

    if (found)
        found =
            namespace_decode(ret, (struct slice){value.data, value.size}) == 0;
    kv_value_release(&value);
    return found;
}

static void check_reference(struct tree_check *t, uint64_t dir,
                            struct slice name, uint64_t nsid)
{
    struct directory directory = {0};
    struct namespace_record record = {0};

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
    if (!get_namespace(t, nsid, &record))
        sim_fail(t->cluster->loop, "directory %" PRIx64 " has no namespace",
                 nsid);
    if (record.closing.id.node != 0)
        sim_fail(t->cluster->loop, "namespace %" PRIx64 " is still closing",
                 nsid);
    directory_release(&directory);
    namespace_release(&record);
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

static uint64_t count_entries(struct tree_check *t, uint64_t nsid)
{
    struct key lower = key_user('d', nsid, slice_of(""));
    struct key upper = key_behind_namespace('d', nsid);
    struct kv_iter *iter =
        kv_iter_new(t->state, NULL, key_slice(&lower), key_slice(&upper));
    uint64_t count = 0;

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice name;
        uint64_t dir;

        count += key_parse_entry(kv_iter_key(iter), &dir, &name);
    }
    kv_iter_free(iter);
    return count;
}

static void check_namespaces(struct tree_check *t)
{
    for (open_class(t, "n", "o"); kv_iter_valid(t->iter);
         kv_iter_next(t->iter)) {
        struct slice value = kv_iter_value(t->iter);
        struct namespace_record record = {0};
        struct directory directory = {0};
        uint64_t count;

        if (namespace_decode(&record, value) != 0)
            sim_fail(t->cluster->loop, "a namespace cannot be decoded");
        if (!get_directory(t, record.nsid, &directory))
            sim_fail(t->cluster->loop,
                     "namespace %" PRIx64 " is not in the catalog",
                     record.nsid);
        count = count_entries(t, record.nsid);
        if (record.entry_count != count)
            sim_fail(t->cluster->loop,
                     "namespace %" PRIx64 " counts %" PRIu64
                     " entries and has %" PRIu64,
                     record.nsid, record.entry_count, count);
        directory_release(&directory);
        namespace_release(&record);
    }
    kv_iter_free(t->iter);
}

static void check_catalog(struct tree_check *t)
{
    for (open_class(t, "cd", "ce"); kv_iter_valid(t->iter);
         kv_iter_next(t->iter)) {
        struct slice value = kv_iter_value(t->iter);
        struct directory directory = {0};
        struct kv_value found = {0};
        struct key key;

        if (directory_decode(&directory, value) != 0)
            sim_fail(t->cluster->loop, "a directory cannot be decoded");
        if (directory.nsid != NSID_ROOT) {
            key = key_user('d', directory.parent, directory.name);
            if (kv_get(t->state, NULL, key_slice(&key), &found) != 0)
                sim_fail(t->cluster->loop,
                         "directory %" PRIx64 " has no reference",
                         directory.nsid);
            kv_value_release(&found);
        }
        directory_release(&directory);
    }
    kv_iter_free(t->iter);
}

static void count_decisions(struct tree_check *t)
{
    for (open_class(t, "ct", "cu"); kv_iter_valid(t->iter);
         kv_iter_next(t->iter)) {
        struct decision decision = {0};

        if (decision_decode(&decision, kv_iter_value(t->iter)) == 0 &&
            decision.committed)
            sim_seen(SEEN_DECISION_LEFT);
        decision_release(&decision);
    }
    kv_iter_free(t->iter);
}

void sim_end_check_tree(struct sim_cluster *cluster)
{
    struct tree_check t = {.cluster = cluster,
                           .state = state_of(whole_node(cluster))};

    check_entries(&t);
    check_namespaces(&t);
    check_catalog(&t);
    count_decisions(&t);
}
