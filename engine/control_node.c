/* SPDX-License-Identifier: Apache-2.0 */

/* Control files of nodes: draining and removing them. */

#include "engine/control_impl.h"
#include "engine/keys.h"
#include "engine/members.h"

bool control_is_node(struct node *node, uint64_t id)
{
    struct node_record record;

    return members_find(node, id, &record) == 0;
}

static int parse_node_state(struct node *node, uint64_t object,
                            enum node_state state, struct order *order,
                            const char **ret_why)
{
    order->command.op = COMMAND_CHANGE_NODE;
    order->command.target_node = object;
    order->command.node_state = state;
    *ret_why = "there is no such node";
    if (!control_is_node(node, object))
        return ERR_NOT_FOUND;
    control_add_region(order, REGION_PLACEMENT);
    return 0;
}

int control_parse_drain(struct node *node, uint64_t object, struct slice text,
                        struct order *order, const char **ret_why)
{
    bool on = slice_equal(text, slice_of("1"));

    *ret_why = "neither 1 nor 0";
    if (!on && !slice_equal(text, slice_of("0")))
        return ERR_INVALID;
    return parse_node_state(node, object, on ? NODE_DRAINING : NODE_UP, order,
                            ret_why);
}

int control_parse_remove(struct node *node, uint64_t object, struct slice text,
                         struct order *order, const char **ret_why)
{
    bool force = slice_equal(text, slice_of("force"));

    *ret_why = "neither 1 nor force";
    if (!force && !slice_equal(text, slice_of("1")))
        return ERR_INVALID;
    order->command.size = force ? 1 : 0;
    return parse_node_state(node, object, NODE_REMOVED, order, ret_why);
}

bool control_node_state_is_seen(struct control_op *op)
{
    struct node_record record;

    return members_find(op->node, op->object, &record) == 0 &&
           record.state == op->node_state;
}
