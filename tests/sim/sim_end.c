/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_end.h"

#include <string.h>

#include "engine/check_impl.h"
#include "engine/keys.h"
#include "engine/peer_impl.h"
#include "engine/snapshot.h"
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

static bool is_still(const struct sim_cluster *cluster, const struct peer *peer)
{
    return peer->applied_index == raft_commit(peer->raft) &&
           peer->applied_index == raft_last_index(peer->raft) &&
           peer->install == NULL && !peer->damaged &&
           raft_leader(peer->raft) != 0 &&
           peer->applied_index >=
               sim_watch_committed(cluster->watch, peer->region_id);
}

/* A commit that is still to be forgotten: whoever leads region 0 waits for its
 * coordinator, each time anew. */
static bool has_commit(struct kv *state)
{
    struct slice lower = slice_of("ct");
    struct kv_iter *iter = kv_iter_new(state, NULL, lower, slice_of("cu"));
    bool found = false;

    for (kv_iter_seek(iter, lower); kv_iter_valid(iter) && !found;
         kv_iter_next(iter)) {
        struct decision decision = {0};

        found = decision_decode(&decision, kv_iter_value(iter)) == 0 &&
                decision.committed;
        decision_release(&decision);
    }
    kv_iter_free(iter);
    return found;
}

bool sim_end_is_quiet(const struct sim_cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct sim_node *node = &cluster->nodes[i];
        const struct peer *peer = NULL;

        if (node->removed)
            continue;
        if (node->state != SIM_UP || has_key(state_of(node), 'x', 'y') ||
            has_commit(state_of(node)))
            return false;
        while ((peer = node_next_peer(node->node, peer)) != NULL)
            if (!is_still(cluster, peer))
                return false;
    }
    return true;
}

void sim_end_hold_checks(const struct sim_cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct sim_node *node = &cluster->nodes[i];
        const struct peer *peer = NULL;

        while (node->state == SIM_UP &&
               (peer = node_next_peer(node->node, peer)) != NULL) {
            struct check *check = peer_check(peer);

            if (check->due_ns != 0)
                check->due_ns =
                    env_mono_ns(check->env) + check_interval_ns(check);
        }
    }
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

static void compare_range(struct sim_cluster *cluster, const struct sim_node *a,
                          const struct sim_node *b,
                          const struct key_range *range)
{
    struct slice begin = key_slice(&range->begin);
    struct slice end = key_slice(&range->end);
    struct kv_iter *left = kv_iter_new(state_of(a), NULL, begin, end);
    struct kv_iter *right = kv_iter_new(state_of(b), NULL, begin, end);

    kv_iter_seek(left, begin);
    kv_iter_seek(right, begin);
    while (kv_iter_valid(left) && kv_iter_valid(right)) {
        if (!slice_equal(kv_iter_key(left), kv_iter_key(right)) ||
            !slice_equal(kv_iter_value(left), kv_iter_value(right)))
            break;
        kv_iter_next(left);
        kv_iter_next(right);
    }
    if (kv_iter_valid(left) || kv_iter_valid(right))
        differ(cluster, a, b, left, right);
    kv_iter_free(left);
    kv_iter_free(right);
}

static void compare_region(struct sim_cluster *cluster, uint64_t region)
{
    const struct sim_node *first = sim_cluster_holder(cluster, region);
    struct key_range ranges[SNAPSHOT_RANGES_MAX];
    size_t count =
        snapshot_ranges(peer_region(node_peer(first->node, region)), ranges);

    for (size_t i = first->number + 1; i < cluster->plan->nodes; i++)
        for (size_t j = 0; j < count; j++)
            if (!cluster->nodes[i].removed &&
                node_peer(cluster->nodes[i].node, region) != NULL)
                compare_range(cluster, first, &cluster->nodes[i], &ranges[j]);
}

/* ---- what was left behind ---- */

static bool is_of_region(const struct region *region, struct slice key)
{
    struct key_range ranges[SNAPSHOT_RANGES_MAX];
    size_t count = snapshot_ranges(region, ranges);

    for (size_t i = 0; i < count; i++)
        if (slice_compare(key_slice(&ranges[i].begin), key) <= 0 &&
            slice_compare(key, key_slice(&ranges[i].end)) < 0)
            return true;
    return false;
}

/* That of a removed name: as far as that is there, also as one that a crash has
 * left of a directory that is strong by now, which nobody sees. */
static bool is_listed(const struct sim_node *node, struct slice key)
{
    struct slice name;
    struct kv_value value = {0};
    struct key listed;
    uint64_t hlc;
    uint64_t dir;
    bool is;

    if (!key_parse_removed(key, &hlc, &dir, &name))
        return false;
    listed = key_user('v', dir, name);
    is = kv_get(state_of(node), NULL, key_slice(&listed), &value) == 0;
    kv_value_release(&value);
    return is;
}

/* Or a tombstone, which tells what was here once, or what is eventual, which
 * all nodes have, or was and is kept. */
static bool is_owned(const struct sim_node *node, struct slice key)
{
    const struct peer *peer = NULL;

    while ((peer = node_next_peer(node->node, peer)) != NULL)
        if (is_of_region(peer_region(peer), key))
            return true;
    return strchr("geiqvw", *(const char *)key.data) != NULL ||
           is_listed(node, key);
}

static void check_erased(struct sim_cluster *cluster,
                         const struct sim_node *node)
{
    struct slice none = {NULL, 0};
    struct kv_iter *iter = kv_iter_new(state_of(node), NULL, none, none);

    for (kv_iter_seek(iter, none); kv_iter_valid(iter); kv_iter_next(iter)) {
        char text[TEXT_SIZE];

        if (is_owned(node, kv_iter_key(iter)))
            continue;
        key_text(kv_iter_key(iter), text);
        sim_fail(cluster->loop, "node %zu still has %s", node->number + 1,
                 text);
    }
    kv_iter_free(iter);
}

void sim_end_compare(struct sim_cluster *cluster)
{
    uint64_t region;

    for (region = 0; sim_cluster_find_region(cluster, &region); region++)
        compare_region(cluster, region);
    for (size_t i = 0; i < cluster->plan->nodes; i++)
        if (!cluster->nodes[i].removed)
            check_erased(cluster, &cluster->nodes[i]);
}
