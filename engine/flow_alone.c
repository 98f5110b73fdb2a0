/* SPDX-License-Identifier: Apache-2.0 */

/* Reads that this node may answer by itself while no majority can be reached:
 * the root's attributes, which every path begins with, and what leads to
 * eventual namespaces, that these can be reached then. Nothing else of strong
 * namespaces is shown, and only names and attributes of directories. */

#include <sys/stat.h>

#include "engine/catalog.h"
#include "engine/flow_impl.h"
#include "engine/modes.h"
#include "engine/read.h"

bool flow_leaders_are_known(const struct node *node)
{
    const struct peer *placement = node_peer(node, REGION_PLACEMENT);
    const struct peer *data = node_root_peer(node);

    return placement != NULL && peer_leader_node(placement) != 0 &&
           (data == NULL || peer_leader_node(data) != 0);
}

static bool is_for_root(const struct flow *flow)
{
    return (flow->command.flags & REQUEST_LOCAL_IF_ALONE) != 0;
}

/* The directory that it is about, by this node's catalog. */
static bool find_directory(struct flow *flow, uint64_t *ret)
{
    const struct command *c = &flow->command;
    struct kv *state = node_env(flow->flows->node)->state;

    if (c->op == COMMAND_GETATTR && (c->ino & INO_DIR_BIT) != 0) {
        *ret = nsid_of_ino(c->ino);
        return true;
    }
    return c->op == COMMAND_LOOKUP &&
           catalog_find(state, NULL, c->dir, c->name, ret) == 0;
}

bool flow_may_be_alone(struct flow *flow)
{
    uint64_t nsid;

    return is_for_root(flow) || (modes_any(node_modes(flow->flows->node)) &&
                                 find_directory(flow, &nsid));
}

/* Whether the way to some eventual namespace goes through a directory, or ends
 * there. */
static bool leads_to_eventual(struct node *node, uint64_t nsid)
{
    struct modes *modes = node_modes(node);
    bool below = modes_find(modes, nsid).state != MODE_STRONG;
    uint64_t at = 0;
    struct mode mode;

    while (!below && modes_next(modes, at, &at, &mode)) {
        if (mode.domain == at &&
            catalog_is_below(node_env(node)->state, at, nsid, &below) != 0)
            below = false;
        at++;
    }
    return below;
}

/* This node's own state, however old it is. */
static void read_root(struct flow *flow)
{
    struct node *node = flow->flows->node;
    struct read_unknown unknown = {.count = 0};
    struct result result = {0};

    (void)read_execute(node_env(node)->state, NULL, &flow->command, &unknown,
                       &result);
    if (result.status != 0) /* No replica of the data region: half of it. */
        result.status =
            read_catalog(node_env(node)->state, nsid_of_ino(flow->command.ino),
                         &result.attr);
    if (node_peer(node, REGION_PLACEMENT) == NULL) { /* It has joined now. */
        result.attr =
            (struct attr){.ino = flow->command.ino, .mode = S_IFDIR | 0755};
        result.status = 0;
    }
    flow_end(flow, result.status == 0 ? 0 : ERR_NO_QUORUM, &result);
    result_release(&result);
}

bool flow_read_alone(struct flow *flow)
{
    struct node *node = flow->flows->node;
    struct result result = {0};
    uint64_t nsid = 0;

    if (is_for_root(flow)) {
        read_root(flow);
        return true;
    }
    if (!find_directory(flow, &nsid) || !leads_to_eventual(node, nsid) ||
        read_catalog(node_env(node)->state, nsid, &result.attr) != 0)
        return false;
    flow_end(flow, 0, &result);
    return true;
}
