/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/sim/sim_zone_around.h"

#include "engine/catalog.h"
#include "engine/clocks.h"
#include "engine/eventual_impl.h"
#include "engine/keys.h"
#include "engine/members.h"
#include "engine/modes.h"

static bool reaches(const struct sim_node *node, const struct sim_node *other)
{
    return other == node ||
           (other->state == SIM_UP && node->linked[other->number] &&
            other->linked[node->number]);
}

static void count_reached(const struct sim_node *node, size_t *ret_members,
                          size_t *ret_reached)
{
    const struct sim_cluster *cluster = node->cluster;

    *ret_members = *ret_reached = 0;
    for (size_t i = 0; i < cluster->plan->nodes; i++) {
        const struct sim_node *other = &cluster->nodes[i];

        if (other->removed || !sim_node_is_member(other))
            continue;
        ++*ret_members;
        *ret_reached += reaches(node, other);
    }
}

bool sim_zone_is_alone(const struct sim_node *node)
{
    size_t members;
    size_t reached;

    count_reached(node, &members, &reached);
    return 2 * reached <= members;
}

bool sim_zone_reaches_all(const struct sim_node *node)
{
    size_t members;
    size_t reached;

    count_reached(node, &members, &reached);
    return reached == members;
}

bool sim_zone_has_wrong_clock(const struct sim_node *node)
{
    uint64_t wall_ns;

    return node_clock_is_wrong(node->node, node->number + 1) ||
           clocks_read(node_clocks(node->node), &wall_ns) != 0;
}

uint64_t sim_zone_restamped(const struct sim_node *node)
{
    struct eventual_counts counts;

    eventual_count(node_eventual(node->node), &counts);
    return counts.restamped;
}

bool sim_zone_is_restamping(const struct sim_node *node)
{
    return node_eventual(node->node)->is_restamping;
}

struct node_record sim_zone_record_of(const struct sim_node *node)
{
    struct node_record record = {.state = NODE_UP};

    (void)members_find(node->node, node->number + 1, &record);
    return record;
}

bool sim_zone_is_directory(const struct sim_node *node, uint64_t dir,
                           const char *name)
{
    uint64_t nsid;

    return dir != 0 && catalog_find(node->env->env.state, NULL, dir,
                                    slice_of(name), &nsid) == 0;
}

bool sim_zone_is_strong(const struct sim_node *node, uint64_t dir,
                        const char *name)
{
    uint64_t nsid;

    return dir != 0 &&
           catalog_find(node->env->env.state, NULL, dir, slice_of(name),
                        &nsid) == 0 &&
           modes_find(node_modes(node->node), nsid).state == MODE_STRONG;
}

struct sim_version sim_zone_version_at(const struct sim_node *node,
                                       uint64_t dir, const char *name)
{
    struct eventual_record record = {0};
    struct sim_version version = {0};

    if (dir == 0 || !sim_lives_get(node, dir, name, &record))
        return version;
    version = sim_version_of(&record);
    eventual_release(&record);
    return version;
}
