/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_ranges.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/keys.h"

/* The newest that was seen of a region. */
struct range {
    uint64_t version;
    struct buf *start;
    struct buf *end; /* empty: up to the end of all keys */
};

struct sim_ranges {
    struct sim_cluster *cluster;
    struct range known[SIM_REGIONS_MAX];
};

struct sim_ranges *sim_ranges_new(struct sim_cluster *cluster)
{
    struct sim_ranges *ranges = mem_zalloc(sizeof *ranges);

    ranges->cluster = cluster;
    return ranges;
}

static void forget(struct range *range)
{
    buf_unref(range->start);
    buf_unref(range->end);
}

void sim_ranges_free(struct sim_ranges *ranges)
{
    for (size_t i = 0; i < SIM_REGIONS_MAX; i++)
        forget(&ranges->known[i]);
    free(ranges);
}

static bool is_same(const struct buf *a, struct slice b)
{
    return slice_equal((struct slice){a->data, a->size}, b);
}

static void compare(struct sim_ranges *ranges, const struct sim_node *node,
                    const struct region *region)
{
    struct range *known = &ranges->known[region->id];

    if (known->version < region->version) {
        forget(known);
        *known = (struct range){
            .version = region->version,
            .start = buf_copy(region->start.data, region->start.size),
            .end = buf_copy(region->end.data, region->end.size),
        };
    } else if (known->version == region->version &&
               (!is_same(known->start, region->start) ||
                !is_same(known->end, region->end))) {
        sim_fail(ranges->cluster->loop,
                 "ranges: region %" PRIu64 " of version %" PRIu64
                 " has another one on node %zu",
                 region->id, region->version, node->number + 1);
    }
}

static bool begins_before_end(const struct region *a, const struct region *b)
{
    return b->end.size == 0 || slice_compare(a->start, b->end) < 0;
}

static const struct region *region_on(const struct sim_node *node, uint64_t id)
{
    const struct peer *peer = node_peer(node->node, id);

    return peer == NULL ? NULL : peer_region(peer);
}

static void check_apart(struct sim_ranges *ranges, const struct sim_node *node,
                        const struct region *region)
{
    for (uint64_t id = region->id + 1; id < SIM_REGIONS_MAX; id++) {
        const struct region *other = region_on(node, id);

        if (other != NULL && begins_before_end(region, other) &&
            begins_before_end(other, region))
            sim_fail(ranges->cluster->loop,
                     "ranges: regions %" PRIu64 " and %" PRIu64
                     " overlap on node %zu",
                     region->id, id, node->number + 1);
    }
}

void sim_ranges_step(struct sim_ranges *ranges, const struct sim_node *node)
{
    for (uint64_t id = REGION_FIRST_DATA; id < SIM_REGIONS_MAX; id++) {
        const struct region *region = region_on(node, id);

        if (region == NULL)
            continue;
        compare(ranges, node, region);
        check_apart(ranges, node, region);
    }
}
