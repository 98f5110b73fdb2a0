/* SPDX-License-Identifier: Apache-2.0 */

/* Control files of the placement group: moves, cancels, settings. */

#include <assert.h>
#include <string.h>

#include "engine/control_impl.h"
#include "engine/keys.h"
#include "engine/placement.h"
#include "engine/settings.h"

/* ---- goals ---- */

static void order_from_placement(struct order *order, enum command_op op)
{
    order->kind = command_is_control(op) ? CALL_CONTROL : CALL_PROPOSE;
    order->command.op = op;
    control_add_region(order, REGION_PLACEMENT);
}

/* "2 4", "+4" or "-2": node ids. */
static int parse_nodes(struct slice text, uint64_t *ret_from, uint64_t *ret_to)
{
    const char *data = text.data;
    const char *blank;
    struct slice rest = {data + 1, text.size - 1};

    *ret_from = *ret_to = 0;
    if (text.size > 0 && data[0] == '+')
        return control_parse_number(rest, ret_to);
    if (text.size > 0 && data[0] == '-')
        return control_parse_number(rest, ret_from);
    blank = text.size == 0 ? NULL : memchr(data, ' ', text.size);
    if (blank == NULL)
        return ERR_INVALID;
    rest = (struct slice){blank, text.size - (size_t)(blank - data)};
    if (control_parse_number((struct slice){data, (size_t)(blank - data)},
                             ret_from) != 0)
        return ERR_INVALID;
    return control_parse_number(control_trim(rest), ret_to);
}

int control_parse_move(struct node *node, uint64_t region, struct slice text,
                       struct order *order, const char **ret_why)
{
    struct goal *goal = &order->command.goal;

    *ret_why = "it takes `FROM TO`, `+TO` or `-FROM`, which are ids of nodes";
    goal->region = region;
    if (parse_nodes(text, &goal->from, &goal->to) != 0 ||
        goal->from == goal->to)
        return ERR_INVALID;
    *ret_why = "the placement group changes its members by itself";
    if (region == REGION_PLACEMENT)
        return ERR_NOT_PERMITTED;
    if (control_find_region(node, region, ret_why) != 0)
        return ERR_NOT_FOUND;
    order_from_placement(order, COMMAND_CHECK_GOAL);
    return 0;
}

int control_parse_operator(struct node *node, uint64_t region,
                           struct slice text, struct order *order,
                           const char **ret_why)
{
    struct goal goal = {.region = region, .status = ERR_CANCELED};
    struct goal last;

    *ret_why = "it takes `cancel`";
    if (!slice_equal(text, slice_of("cancel")))
        return ERR_INVALID;
    *ret_why = "no operator set by hand is running";
    if (region == REGION_PLACEMENT ||
        placement_read_goal(node_env(node)->state, region, &last) != 0 ||
        !goal_is_running(&last))
        return ERR_NOT_FOUND;
    goal.id = last.id;
    order->command.goal = goal;
    order_from_placement(order, COMMAND_END_GOAL);
    return 0;
}

/* The goal that was begun is known here, or that which was cancelled has come
 * to its end. */
bool control_move_is_seen(struct control_op *op)
{
    struct goal goal;

    if (placement_read_goal(node_env(op->node)->state, op->goal.region,
                            &goal) != 0)
        return false;
    return goal.id > op->goal.id ||
           (goal.id == op->goal.id &&
            (op->goal.status == 0 || !goal_is_running(&goal)));
}

/* ---- settings ---- */

static_assert(TABLE_SETTING_AUTO_MERGE - TABLE_SETTING_REPLICAS + 1 ==
                  (int)SETTINGS,
              "a table for each setting");

/* `object` is the setting. */
int control_parse_setting(struct node *node, uint64_t object, struct slice text,
                          struct order *order, const char **ret_why)
{
    enum setting setting = (enum setting)object;

    (void)node;
    order->command.name = slice_of(setting_name(setting));
    if (setting_parse(setting, text, &order->command.size, ret_why) != 0)
        return ERR_INVALID;
    order_from_placement(order, COMMAND_SET);
    return 0;
}

bool control_setting_is_seen(struct control_op *op)
{
    struct settings settings;

    return settings_read(node_env(op->node)->state, &settings) == 0 &&
           settings.value[op->object] == op->value;
}
