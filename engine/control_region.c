/* SPDX-License-Identifier: Apache-2.0 */

/* Control files of regions: checks, transfers, splits, merges. */

#include <stdlib.h>

#include "engine/control_impl.h"
#include "engine/key_path.h"
#include "engine/keys.h"
#include "engine/peer.h"
#include "engine/router.h"
#include "engine/routes.h"
#include "engine/status.h"

enum { SEEN_LOOKS_TO_ASK = 20 /* of which one asks others, too */ };

static void add_all_regions(struct node *node, struct order *order)
{
    size_t count;
    uint64_t *regions = status_region_ids(node, &count);

    for (size_t i = 0; i < count; i++)
        control_add_region(order, regions[i]);
    free(regions);
}

int control_find_region(struct node *node, uint64_t region,
                        const char **ret_why)
{
    *ret_why = "there is no such region";
    return status_region_leader(node, region, NULL);
}

/* A region's id, or `all`. */
int control_parse_check(struct node *node, uint64_t object, struct slice text,
                        struct order *order, const char **ret_why)
{
    uint64_t region;

    (void)object;
    order->command.op = COMMAND_START_CHECK;
    if (slice_equal(text, slice_of("all"))) {
        add_all_regions(node, order);
        return 0;
    }
    *ret_why = "neither a region's id nor `all`";
    if (control_parse_number(text, &region) != 0)
        return ERR_INVALID;
    if (control_find_region(node, region, ret_why) != 0)
        return ERR_NOT_FOUND;
    control_add_region(order, region);
    return 0;
}

/* A node's id. */
int control_parse_transfer(struct node *node, uint64_t object,
                           struct slice text, struct order *order,
                           const char **ret_why)
{
    order->command.op = COMMAND_TRANSFER;
    *ret_why = "not a node's id";
    if (control_parse_number(text, &order->command.target_node) != 0)
        return ERR_INVALID;
    *ret_why = "there is no such node";
    if (!control_is_node(node, order->command.target_node))
        return ERR_NOT_FOUND;
    if (control_find_region(node, object, ret_why) != 0)
        return ERR_NOT_FOUND;
    control_add_region(order, object);
    return 0;
}

/* A path, or `auto`: in the middle. */
int control_parse_split(struct node *node, uint64_t object, struct slice text,
                        struct order *order, const char **ret_why)
{
    struct key key = {.size = 0};
    int rc;

    order->command.op = COMMAND_START_SPLIT;
    order->command.region_version = status_region_version(node, object);
    if (control_find_region(node, object, ret_why) != 0 ||
        object == REGION_PLACEMENT)
        return ERR_NOT_FOUND;
    control_add_region(order, object);
    if (slice_equal(text, slice_of("auto")))
        return 0;
    rc = key_path_parse(node_env(node)->state, text, &key);
    *ret_why = rc == ERR_NOT_FOUND ? "there is no such directory"
                                   : "neither a path nor `auto`";
    if (rc != 0)
        return rc;
    order->place = key;
    order->command.dir = be64_get(order->place.data);
    order->command.name = (struct slice){order->place.data + KEY_NSID_SIZE,
                                         order->place.size - KEY_NSID_SIZE};
    return 0;
}

/* A neighbour's id. */
int control_parse_merge(struct node *node, uint64_t object, struct slice text,
                        struct order *order, const char **ret_why)
{
    uint64_t *other = &order->command.merge.other;

    order->command.op = COMMAND_START_MERGE;
    *ret_why = "not a region's id";
    if (control_parse_number(text, other) != 0)
        return ERR_INVALID;
    *ret_why = "they are no neighbours";
    if (*other == object || *other == REGION_PLACEMENT ||
        object == REGION_PLACEMENT)
        return ERR_INVALID;
    if (control_find_region(node, object, ret_why) != 0 ||
        control_find_region(node, *other, ret_why) != 0)
        return ERR_NOT_FOUND;
    control_add_region(order, object);
    return 0;
}

/* This node's own view may be a little behind the new leader's. */
bool control_transfer_is_seen(struct control_op *op)
{
    uint64_t leader_node = 0;

    return status_region_leader(op->node, op->object, &leader_node) == 0 &&
           leader_node == op->target_node;
}

/* Both parts of it, where this node has it. */
bool control_split_is_seen(struct control_op *op)
{
    const struct peer *peer = node_peer(op->node, op->object);
    struct route route;

    if (peer == NULL)
        return true;
    return peer_region(peer)->version > op->version &&
           (peer_region(peer)->end.size == 0 ||
            routes_find(router_routes(node_router(op->node)),
                        peer_region(peer)->end, &route));
}

/* One that is no more is not shown any more. Where it is only known from
 * hearsay, the others are asked who has its keys. */
bool control_merge_is_seen(struct control_op *op)
{
    struct routes *routes = router_routes(node_router(op->node));
    struct route route;

    if (op->looks++ % SEEN_LOOKS_TO_ASK == 0 &&
        routes_find_region(routes, op->other, &route))
        routes_ask(routes, route.range.start);
    return status_region_leader(op->node, op->other, NULL) != 0;
}
