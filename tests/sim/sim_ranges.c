/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_ranges.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/erase.h"
#include "engine/founding.h"
#include "engine/keys.h"
#include "engine/peer_impl.h"
#include "engine/range.h"
#include "tests/sim/sim_seen.h"
#include "tests/sim/sim_table.h"

/* A committed entry that may have split its region. */
struct known_split {
    uint64_t index;
    uint64_t term;
    uint64_t version;
    uint64_t conf_ver;
    uint64_t new_region;
    struct key key;
};

struct known_version {
    uint64_t version;
    struct buf *start;
    struct buf *end; /* empty: up to the end of all keys */
};

struct known_region {
    struct known_version *versions; /* ascending */
    size_t version_count;
    size_t version_count_max;
    struct known_split *splits; /* in the order of the log */
    size_t split_count;
    size_t split_count_max;
    uint64_t touched; /* entries that freeze it, or end that */
    uint64_t target;  /* that has taken it over; 0: none */
    uint64_t parent;  /* 0: it was there from the start */
    uint64_t parent_index;
};

/* What a node's replica was like after its last step. */
struct seen_peer {
    uint64_t peer_id;
    uint64_t version;
    uint64_t snapshots;
};

struct sim_ranges {
    struct sim_cluster *cluster;
    struct sim_logs *logs;
    struct sim_table regions;             /* known_region */
    struct sim_table seen[SIM_NODES_MAX]; /* seen_peer */
};

struct sim_ranges *sim_ranges_new(struct sim_cluster *cluster,
                                  struct sim_logs *logs)
{
    struct sim_ranges *ranges = mem_zalloc(sizeof *ranges);

    ranges->cluster = cluster;
    ranges->logs = logs;
    ranges->regions.item_size = sizeof(struct known_region);
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        ranges->seen[i].item_size = sizeof(struct seen_peer);
    return ranges;
}

static void free_region(struct known_region *region)
{
    for (size_t i = 0; i < region->version_count; i++) {
        buf_unref(region->versions[i].start);
        buf_unref(region->versions[i].end);
    }
    free(region->versions);
    free(region->splits);
}

void sim_ranges_free(struct sim_ranges *ranges)
{
    for (size_t i = 0; i < ranges->regions.count; i++)
        free_region(ranges->regions.rows[i].item);
    sim_table_clear(&ranges->regions);
    for (size_t i = 0; i < SIM_NODES_MAX; i++)
        sim_table_clear(&ranges->seen[i]);
    free(ranges);
}

/* ---- all regions ---- */

static struct range range_of(const struct known_version *known)
{
    return (struct range){{known->start->data, known->start->size},
                          {known->end->data, known->end->size}};
}

static const struct known_version *newest_of(const struct known_region *region)
{
    return &region->versions[region->version_count - 1];
}

static const struct known_version *find_version(const struct known_region *r,
                                                uint64_t version)
{
    for (size_t i = r->version_count; i-- > 0;)
        if (r->versions[i].version == version)
            return &r->versions[i];
    return NULL;
}

static void add_version(struct known_region *r, uint64_t version,
                        struct range range)
{
    r->versions = mem_grow(r->versions, sizeof *r->versions,
                           &r->version_count_max, r->version_count + 1);
    r->versions[r->version_count++] = (struct known_version){
        .version = version,
        .start = buf_copy(range.start.data, range.start.size),
        .end = buf_copy(range.end.data, range.end.size),
    };
}

void sim_ranges_committed(struct sim_ranges *ranges, uint64_t region,
                          uint64_t index, uint64_t term,
                          const struct command *split)
{
    struct known_region *r = sim_table_at(&ranges->regions, region);

    r->splits = mem_grow(r->splits, sizeof *r->splits, &r->split_count_max,
                         r->split_count + 1);
    r->splits[r->split_count++] = (struct known_split){
        .index = index,
        .term = term,
        .version = split->region_version,
        .conf_ver = split->region_conf_ver,
        .new_region = split->new_region,
        .key = key_user('d', split->dir, split->name),
    };
}

/* The entry that has given the region this range: of those for the membership
 * that it had, the first one. What is applied already was refused, because the
 * region was just being merged. */
static const struct known_split *find_split(const struct known_region *r,
                                            const struct peer *peer)
{
    const struct region *region = peer_region(peer);
    const struct known_split *found = NULL;

    for (size_t i = 0; i < r->split_count; i++) {
        const struct known_split *split = &r->splits[i];

        if (split->version + 1 == region->version &&
            split->index > peer->applied_index &&
            split->conf_ver <= region->conf_ver &&
            slice_equal(key_user_part(&split->key), region->end) &&
            (found == NULL || found->conf_ver < split->conf_ver))
            found = split;
    }
    return found;
}

/* What is behind the split key becomes a region of its own. */
static void note_split(struct sim_ranges *ranges, const struct region *region,
                       const struct known_split *split)
{
    struct known_region *r = sim_table_at(&ranges->regions, region->id);
    struct known_region *child =
        sim_table_at(&ranges->regions, split->new_region);
    struct range behind = range_of(newest_of(r));

    if (child->version_count != 0)
        sim_fail(ranges->cluster->loop,
                 "ranges: region %" PRIu64 " is made a second time",
                 split->new_region);
    sim_seen(SEEN_SPLIT);
    if (ranges->cluster->plan->every_ns[SIM_SPLIT] == 0)
        sim_seen(SEEN_SPLIT_BY_SIZE); /* Nobody else splits. */
    behind.start = key_user_part(&split->key);
    add_version(child, region->version, behind);
    child->parent = region->id;
    child->parent_index = split->index;
    add_version(r, region->version, (struct range){region->start, region->end});
    sim_logs_born(ranges->logs, split->new_region, region->id, split->index,
                  split->term);
}

/* ---- merges ---- */

void sim_ranges_touched(struct sim_ranges *ranges, uint64_t region)
{
    struct known_region *r = sim_table_at(&ranges->regions, region);

    r->touched++;
}

static bool is_range_of(const struct known_version *known,
                        const struct region *region)
{
    return slice_equal(range_of(known).start, region->start) &&
           slice_equal(range_of(known).end, region->end);
}

/* Frozen, or no more: each of these entries counts the version up, at most. */
static bool learn_touched(struct known_region *r, const struct region *region)
{
    uint64_t version = newest_of(r)->version;

    if (!is_range_of(newest_of(r), region) || region->version <= version ||
        region->version - version > r->touched)
        return false;
    sim_seen(SEEN_MERGE_FROZEN);
    while (version < region->version)
        add_version(r, ++version, (struct range){region->start, region->end});
    return true;
}

/* It has the keys of two, of which one is no more. */
static bool learn_taken(struct sim_ranges *ranges, struct known_region *r,
                        const struct region *region)
{
    struct known_region *source =
        sim_table_at(&ranges->regions, region->absorbed);
    struct range had = range_of(newest_of(r));
    struct range more;

    if (region->absorbed == 0 || source->version_count == 0 ||
        source->target != 0 || region->version <= newest_of(r)->version ||
        region->version <= newest_of(source)->version)
        return false;
    more = range_of(newest_of(source));
    if (!(slice_equal(had.end, more.start) &&
          slice_equal(region->start, had.start) &&
          slice_equal(region->end, more.end)) &&
        !(slice_equal(more.end, had.start) &&
          slice_equal(region->start, more.start) &&
          slice_equal(region->end, had.end)))
        return false;
    sim_seen(SEEN_MERGE);
    if (ranges->cluster->plan->every_ns[SIM_MERGE] == 0)
        sim_seen(SEEN_MERGE_BY_SIZE); /* Nobody else merges. */
    source->target = region->id;
    sim_logs_ended(ranges->logs, region->absorbed);
    add_version(r, region->version, (struct range){region->start, region->end});
    return true;
}

/* A region that is no more is led nowhere, and one that is frozen has no reads
 * of its own: somebody else may have its keys. */
static void check_lease(struct sim_ranges *ranges, const struct sim_node *node,
                        const struct peer *peer)
{
    const struct known_region *r =
        sim_table_find(&ranges->regions, peer->region_id);

    if (r != NULL && r->target != 0 &&
        peer_leads(peer, env_mono_ns(&node->env->env)))
        sim_fail(ranges->cluster->loop,
                 "ranges: node %zu holds a lease of region %" PRIu64
                 ", which region %" PRIu64 " has taken over",
                 node->number + 1, peer->region_id, r->target);
}

static void learn(struct sim_ranges *ranges, const struct sim_node *node,
                  const struct region *region, struct known_region *r)
{
    const struct known_split *split =
        find_split(r, node_peer(node->node, region->id));

    if (r->version_count == 0 && region->id == REGION_FIRST_DATA) {
        add_version(r, region->version,
                    (struct range){region->start, region->end});
        return;
    }
    if (r->version_count > 0 &&
        (learn_touched(r, region) || learn_taken(ranges, r, region)))
        return;
    if (r->version_count == 0 || split == NULL ||
        newest_of(r)->version + 1 != region->version ||
        !slice_equal(range_of(newest_of(r)).start, region->start))
        sim_fail(ranges->cluster->loop,
                 "ranges: region %" PRIu64 " of version %" PRIu64
                 " on node %zu comes from nowhere",
                 region->id, region->version, node->number + 1);
    note_split(ranges, region, split);
}

static void compare(struct sim_ranges *ranges, const struct sim_node *node,
                    const struct region *region)
{
    struct known_region *r = sim_table_at(&ranges->regions, region->id);
    const struct known_version *known = find_version(r, region->version);

    if (known == NULL)
        learn(ranges, node, region, r);
    else if (!slice_equal(range_of(known).start, region->start) ||
             !slice_equal(range_of(known).end, region->end))
        sim_fail(ranges->cluster->loop,
                 "ranges: region %" PRIu64 " of version %" PRIu64
                 " has another one on node %zu",
                 region->id, region->version, node->number + 1);
}

/* ---- one node ---- */

static struct range range_on(const struct peer *peer)
{
    return (struct range){peer_region(peer)->start, peer_region(peer)->end};
}

static void check_apart(struct sim_ranges *ranges, const struct sim_node *node,
                        const struct peer *peer)
{
    const struct peer *other = NULL;

    while ((other = node_next_peer(node->node, other)) != NULL)
        if (other != peer && peer_region_id(other) != REGION_PLACEMENT &&
            range_overlaps(range_on(peer), range_on(other)))
            sim_fail(ranges->cluster->loop,
                     "ranges: regions %" PRIu64 " and %" PRIu64
                     " overlap on node %zu",
                     peer_region_id(peer), peer_region_id(other),
                     node->number + 1);
}

/* A split has just made the replica. */
static void check_born(struct sim_ranges *ranges, const struct sim_node *node,
                       const struct peer *peer, const struct known_region *r)
{
    const struct peer *parent = node_peer(node->node, r->parent);

    if (parent != NULL && !parent->damaged &&
        parent->applied_index < r->parent_index)
        sim_fail(ranges->cluster->loop,
                 "ranges: region %" PRIu64 " begins on node %zu before entry "
                 "%" PRIu64 " of region %" PRIu64 " is applied there",
                 peer->region_id, node->number + 1, r->parent_index, r->parent);
    if (raft_term(peer->raft) > FOUNDING_TERM)
        sim_seen(SEEN_SPLIT_VOTED);
    if (region_log_last_index(peer->log) > FOUNDING_INDEX)
        sim_seen(SEEN_SPLIT_REPLAYED);
}

static void note_new(struct sim_ranges *ranges, const struct sim_node *node,
                     const struct peer *peer)
{
    const struct known_region *r =
        sim_table_find(&ranges->regions, peer->region_id);

    if (r->parent == 0)
        return;
    if (peer->snapshots_restored > 0)
        sim_seen(SEEN_SPLIT_BY_SNAPSHOT);
    else
        check_born(ranges, node, peer, r);
}

static uint64_t child_of(const struct sim_ranges *ranges,
                         const struct region *region)
{
    for (size_t i = 0; i < ranges->regions.count; i++) {
        const struct known_region *r = ranges->regions.rows[i].item;

        if (r->parent == region->id &&
            r->versions[0].version == region->version)
            return ranges->regions.rows[i].region;
    }
    return 0;
}

/* The replica has become another part of its region. */
static void note_change(struct sim_ranges *ranges, const struct sim_node *node,
                        const struct peer *peer, const struct seen_peer *seen)
{
    uint64_t child = child_of(ranges, peer_region(peer));
    struct tombstone tombstone;

    if (peer->snapshots_restored > seen->snapshots)
        sim_seen(SEEN_SPLIT_SKIPPED);
    else if (node_peer(node->node, child) != NULL)
        sim_seen(SEEN_SPLIT_LEFT);
    else if (tombstone_read(&node->env->env, child, &tombstone) == 0)
        sim_seen(SEEN_SPLIT_DROPPED);
}

/* True: something has changed. */
static bool look_at(struct sim_ranges *ranges, const struct sim_node *node,
                    const struct peer *peer, bool at_start)
{
    struct seen_peer *seen =
        sim_table_at(&ranges->seen[node->number], peer->region_id);
    struct seen_peer now = {
        .peer_id = peer->id,
        .version = peer->region.version,
        .snapshots = peer->snapshots_restored,
    };

    if (seen->peer_id == now.peer_id && seen->version == now.version)
        return false;
    compare(ranges, node, peer_region(peer));
    check_apart(ranges, node, peer);
    if (!at_start && seen->peer_id != now.peer_id)
        note_new(ranges, node, peer);
    else if (!at_start)
        note_change(ranges, node, peer, seen);
    *seen = now;
    return true;
}

static bool look_at_all(struct sim_ranges *ranges, const struct sim_node *node,
                        bool at_start)
{
    const struct peer *peer = NULL;
    bool changed = false;

    while ((peer = node_next_peer(node->node, peer)) != NULL)
        if (peer_region_id(peer) != REGION_PLACEMENT) {
            changed |= look_at(ranges, node, peer, at_start);
            check_lease(ranges, node, peer);
        }
    return changed;
}

void sim_ranges_step(struct sim_ranges *ranges, struct sim_node *node)
{
    if (look_at_all(ranges, node, false))
        ranges->cluster->on_split(ranges->cluster->on_split_context, node);
}

void sim_ranges_start(struct sim_ranges *ranges, const struct sim_node *node)
{
    sim_table_clear(&ranges->seen[node->number]);
    (void)look_at_all(ranges, node, true);
}

/* ---- the end ---- */

static void check_gone(const struct sim_ranges *ranges, uint64_t region,
                       const struct sim_node *holder)
{
    if (holder != NULL)
        sim_fail(ranges->cluster->loop,
                 "ranges: node %zu has a replica of region %" PRIu64
                 ", which was merged into another one",
                 holder->number + 1, region);
}

void sim_ranges_check_end(const struct sim_ranges *ranges)
{
    for (size_t i = 0; i < ranges->regions.count; i++) {
        uint64_t id = ranges->regions.rows[i].region;
        const struct known_region *r = ranges->regions.rows[i].item;
        const struct sim_node *holder = sim_cluster_holder(ranges->cluster, id);

        if (r->version_count == 0)
            continue; /* Region 0, or nothing came of it. */
        if (r->target != 0) {
            check_gone(ranges, id, holder);
            continue;
        }
        if (holder == NULL)
            sim_fail(ranges->cluster->loop,
                     "ranges: nobody has region %" PRIu64, id);
        if (peer_region(node_peer(holder->node, id))->version !=
            newest_of(r)->version)
            sim_fail(ranges->cluster->loop,
                     "ranges: region %" PRIu64 " on node %zu is not of the "
                     "newest version",
                     id, holder->number + 1);
    }
}
