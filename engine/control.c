/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/control.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/control_impl.h"
#include "engine/key_path.h"
#include "engine/keys.h"
#include "engine/members.h"
#include "engine/placement.h"
#include "engine/router.h"
#include "engine/routes.h"
#include "engine/status.h"

enum {
    SHOWN_MAX = 128, /* of a text that is refused */
    SEEN_MS = 5,
    SEEN_LOOKS_TO_ASK = 20 /* of which one asks others, too */
};

/* One region's part. */
struct control_part {
    struct router_call call;
    struct control_op *op;
};

void control_add_region(struct order *order, uint64_t region)
{
    order->regions =
        mem_grow(order->regions, sizeof *order->regions,
                 &order->region_count_max, order->region_count + 1);
    order->regions[order->region_count++] = region;
}

/* ---- texts ---- */

struct slice control_trim(struct slice text)
{
    const char *data = text.data;
    size_t size = text.size;

    while (size > 0 && strchr(" \t\n", data[size - 1]) != NULL)
        size--;
    while (size > 0 && strchr(" \t", data[0]) != NULL) {
        data++;
        size--;
    }
    return (struct slice){data, size};
}

int control_parse_number(struct slice word, uint64_t *ret)
{
    const char *digits = word.data;
    uint64_t number = 0;

    if (word.size == 0)
        return ERR_INVALID;
    for (size_t i = 0; i < word.size; i++) {
        uint64_t digit = (uint64_t)(digits[i] - '0');

        if (digits[i] < '0' || digits[i] > '9' ||
            number > (UINT64_MAX - digit) / 10)
            return ERR_INVALID;
        number = number * 10 + digit;
    }
    *ret = number;
    return 0;
}

static void add_all_regions(struct node *node, struct order *order)
{
    size_t count;
    uint64_t *regions = status_region_ids(node, &count);

    for (size_t i = 0; i < count; i++)
        control_add_region(order, regions[i]);
    free(regions);
}

/* A region's id, or `all`. */
static int parse_check(struct node *node, uint64_t object, struct slice text,
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
    *ret_why = "there is no such region";
    if (status_region_leader(node, region, NULL) != 0)
        return ERR_NOT_FOUND;
    control_add_region(order, region);
    return 0;
}

static bool is_node(struct node *node, uint64_t id)
{
    struct node_record record;

    return members_find(node, id, &record) == 0;
}

/* A node's id. */
static int parse_transfer(struct node *node, uint64_t object, struct slice text,
                          struct order *order, const char **ret_why)
{
    order->command.op = COMMAND_TRANSFER;
    *ret_why = "not a node's id";
    if (control_parse_number(text, &order->command.target_node) != 0)
        return ERR_INVALID;
    *ret_why = "there is no such node";
    if (!is_node(node, order->command.target_node))
        return ERR_NOT_FOUND;
    *ret_why = "there is no such region";
    if (status_region_leader(node, object, NULL) != 0)
        return ERR_NOT_FOUND;
    control_add_region(order, object);
    return 0;
}

static int parse_node_state(struct node *node, uint64_t object,
                            enum node_state state, struct order *order,
                            const char **ret_why)
{
    order->command.op = COMMAND_CHANGE_NODE;
    order->command.target_node = object;
    order->command.node_state = state;
    *ret_why = "there is no such node";
    if (!is_node(node, object))
        return ERR_NOT_FOUND;
    control_add_region(order, REGION_PLACEMENT);
    return 0;
}

static int parse_drain(struct node *node, uint64_t object, struct slice text,
                       struct order *order, const char **ret_why)
{
    bool on = slice_equal(text, slice_of("1"));

    *ret_why = "neither 1 nor 0";
    if (!on && !slice_equal(text, slice_of("0")))
        return ERR_INVALID;
    return parse_node_state(node, object, on ? NODE_DRAINING : NODE_UP, order,
                            ret_why);
}

static int parse_remove(struct node *node, uint64_t object, struct slice text,
                        struct order *order, const char **ret_why)
{
    bool force = slice_equal(text, slice_of("force"));

    *ret_why = "neither 1 nor force";
    if (!force && !slice_equal(text, slice_of("1")))
        return ERR_INVALID;
    order->command.size = force ? 1 : 0;
    return parse_node_state(node, object, NODE_REMOVED, order, ret_why);
}

static bool node_state_is_seen(struct control_op *op)
{
    struct node_record record;

    return members_find(op->node, op->object, &record) == 0 &&
           record.state == op->node_state;
}

/* A path, or `auto`: in the middle. */
static int parse_split(struct node *node, uint64_t object, struct slice text,
                       struct order *order, const char **ret_why)
{
    struct key key = {.size = 0};
    int rc;

    order->command.op = COMMAND_START_SPLIT;
    order->command.region_version = status_region_version(node, object);
    *ret_why = "there is no such region";
    if (object == REGION_PLACEMENT ||
        status_region_leader(node, object, NULL) != 0)
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
static int parse_merge(struct node *node, uint64_t object, struct slice text,
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
    *ret_why = "there is no such region";
    if (status_region_leader(node, object, NULL) != 0 ||
        status_region_leader(node, *other, NULL) != 0)
        return ERR_NOT_FOUND;
    control_add_region(order, object);
    return 0;
}

/* This node's own view may be a little behind the new leader's. */
static bool transfer_is_seen(struct control_op *op)
{
    uint64_t leader_node = 0;

    return status_region_leader(op->node, op->object, &leader_node) == 0 &&
           leader_node == op->target_node;
}

static uint64_t version_here(const struct node *node, uint64_t region)
{
    const struct peer *peer = node_peer(node, region);

    return peer == NULL ? 0 : peer_region(peer)->version;
}

/* Both parts of it, where this node has it. */
static bool split_is_seen(struct control_op *op)
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
static bool merge_is_seen(struct control_op *op)
{
    struct routes *routes = router_routes(node_router(op->node));
    struct route route;

    if (op->looks++ % SEEN_LOOKS_TO_ASK == 0 &&
        routes_find_region(routes, op->other, &route))
        routes_ask(routes, route.range.start);
    return status_region_leader(op->node, op->other, NULL) != 0;
}

static const struct control controls[TABLES] = {
    /* clang-format off */
    [TABLE_CHECK]           = {"check",    false, parse_check,    NULL, NULL},
    [TABLE_REGION_TRANSFER] = {"transfer", true,  parse_transfer, transfer_is_seen, NULL},
    [TABLE_NODE_DRAIN]      = {"drain",    false, parse_drain,    node_state_is_seen, NULL},
    [TABLE_NODE_REMOVE]     = {"remove",   false, parse_remove,   node_state_is_seen, NULL},
    [TABLE_REGION_SPLIT]    = {"split",    true,  parse_split,    split_is_seen, NULL},
    [TABLE_REGION_MERGE]    = {"merge",    true,  parse_merge,    merge_is_seen, NULL},
    [TABLE_REGION_MOVE]     = {"move",     true,  control_parse_move, control_move_is_seen, NULL},
    [TABLE_REGION_OPERATOR] = {"operator", true,  control_parse_operator, control_move_is_seen, NULL},
    [TABLE_QUARANTINE_DROP] = {"quarantine/drop", false, control_parse_drop, NULL, control_start_drop},
    [TABLE_SETTING_REPLICAS]    = {"settings/replicas",    false, control_parse_setting, control_setting_is_seen, NULL},
    [TABLE_SETTING_REGION_SIZE] = {"settings/region_size", false, control_parse_setting, control_setting_is_seen, NULL},
    [TABLE_SETTING_DOWN_AFTER]  = {"settings/down_after",  false, control_parse_setting, control_setting_is_seen, NULL},
    [TABLE_SETTING_BALANCE]     = {"settings/balance",     false, control_parse_setting, control_setting_is_seen, NULL},
    [TABLE_SETTING_OPERATORS]   = {"settings/operators",   false, control_parse_setting, control_setting_is_seen, NULL},
    [TABLE_SETTING_AUTO_MERGE]  = {"settings/auto_merge",  false, control_parse_setting, control_setting_is_seen, NULL},
    /* clang-format on */
};

/* ---- on their way ---- */

static void end(struct control_op *op, int status)
{
    control_cancel(op);
    op->done(op, status);
}

static void wait_until_seen(struct env_timer *timer)
{
    struct control_op *op = container_of(timer, struct control_op, timer);
    struct env *env = node_env(op->node);

    if (op->control->is_seen(op))
        end(op, 0);
    else if (env_mono_ns(env) >= op->deadline_ns)
        end(op, ERR_UNKNOWN_OUTCOME);
    else
        env_timer_start(env, timer, (uint64_t)SEEN_MS * 1000000);
}

static void send_parts(struct control_op *op, const struct order *order);

static void forget_parts(struct control_op *op)
{
    for (size_t i = 0; i < op->part_count; i++)
        router_cancel(node_router(op->node), &op->parts[i].call);
    free(op->parts);
    op->parts = NULL;
    op->part_count = 0;
}

/* Region 0's leader has found nothing against it. */
static void begin_goal(struct control_op *op)
{
    struct order order = {
        .kind = CALL_PROPOSE,
        .command = {.op = COMMAND_BEGIN_GOAL, .goal = op->goal}};

    op->is_checked = true;
    control_add_region(&order, REGION_PLACEMENT);
    forget_parts(op);
    send_parts(op, &order);
    free(order.regions);
}

static void all_done(struct control_op *op)
{
    op->timer.fire = wait_until_seen;
    if (op->status == 0 && !op->is_checked)
        begin_goal(op);
    else if (op->status == 0 && op->control->is_seen != NULL)
        wait_until_seen(&op->timer);
    else
        end(op, op->status);
}

/* Text of a user or of another node as a part of one line. */
static void show(struct slice text, char shown[SHOWN_MAX + 1])
{
    const char *bytes = text.data;
    size_t size = text.size < SHOWN_MAX ? text.size : SHOWN_MAX;

    for (size_t i = 0; i < size; i++)
        shown[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?';
    shown[size] = '\0';
}

static void log_failure(struct control_op *op, uint64_t region, int status,
                        const struct result *result)
{
    char why[SHOWN_MAX + 1] = "";

    if (result != NULL)
        show(result->data, why);
    node_log_event(
        op->node, LOG_WARN, "region %" PRIu64 ": control file %s: %s%s%s",
        op->control->is_of_region ? op->object : region, op->control->name,
        err_text(status), why[0] == '\0' ? "" : ": ", why);
}

/* The first failure is told, when all are through. */
static void part_done(struct router_call *call, int status,
                      const struct result *result, uint64_t index)
{
    struct control_op *op = container_of(call, struct control_part, call)->op;

    (void)index;
    if (call->kind == CALL_PROPOSE && status == 0 && result->first_id != 0)
        op->goal.id = result->first_id;
    if (status != 0 && op->status == 0)
        op->status = status;
    if (status != 0)
        log_failure(op, call->region, status, result);
    if (--op->left == 0)
        all_done(op);
}

static void send_part(struct control_op *op, size_t i,
                      const struct order *order)
{
    struct control_part *part = &op->parts[i];
    struct command command = order->command;

    part->op = op;
    part->call.kind = order->kind;
    router_to_region(&part->call, order->regions[i]);
    part->call.deadline_ns = op->deadline_ns;
    part->call.done = part_done;
    router_call(node_router(op->node), &part->call, &command);
}

static void send_parts(struct control_op *op, const struct order *order)
{
    size_t count = order->region_count;

    op->parts = mem_zalloc(count * sizeof *op->parts);
    op->part_count = count;
    op->left = count + 1; /* One is ours, so that it ends after the loop. */
    for (size_t i = 0; i < count; i++)
        send_part(op, i, order);
    if (--op->left == 0)
        all_done(op);
}

static void log_refusal(const struct control_op *op, struct slice text,
                        const char *why)
{
    char shown[SHOWN_MAX + 1];
    char region[32] = "";

    show(text, shown);
    if (op->control->is_of_region)
        (void)snprintf(region, sizeof region, "region %" PRIu64 ": ",
                       op->object);
    node_log_event(op->node, LOG_WARN, "%scontrol file %s: '%s': %s", region,
                   op->control->name, shown, why);
}

void control_start(struct control_op *op, struct node *node,
                   enum engine_table table, uint64_t object, struct slice text)
{
    struct order order = {.kind = CALL_CONTROL};
    const char *why = "it is too long";
    int rc = ERR_INVALID;

    assert(controls[table].parse != NULL);
    op->node = node;
    op->control = &controls[table];
    if (table >= TABLE_SETTING_REPLICAS)
        object = table - TABLE_SETTING_REPLICAS;
    op->object = object;
    op->status = 0;
    op->part_count = 0;
    op->timer = (struct env_timer){0};
    op->looks = 0;
    if (text.size <= CONTROL_SIZE_MAX)
        rc = op->control->parse(node, object, control_trim(text), &order, &why);
    op->target_node = order.command.target_node;
    op->goal = order.command.goal;
    op->value = order.command.size;
    op->is_checked = order.command.op != COMMAND_CHECK_GOAL;
    op->node_state = order.command.node_state;
    op->other = order.command.merge.other;
    op->version = version_here(node, object);
    if (rc != 0) {
        log_refusal(op, control_trim(text), why);
        op->done(op, rc);
    } else if (op->control->start_here != NULL) {
        op->control->start_here(op);
    } else {
        send_parts(op, &order);
    }
    free(order.regions);
}

void control_cancel(struct control_op *op)
{
    if (op->part_count > 0)
        env_timer_stop(node_env(op->node), &op->timer);
    forget_parts(op);
    eventual_drop_cancel(&op->drop);
}

/* ---- at the leader ---- */

static void checked(struct check_wait *check, int status)
{
    struct control_wait *wait = container_of(check, struct control_wait, check);

    wait->done(wait, status, "");
}

static void transferred(struct transfer *transfer, int status, const char *why)
{
    struct control_wait *wait =
        container_of(transfer, struct control_wait, transfer);

    wait->done(wait, status, why);
}

static void check_goal(struct node *node, const struct goal *goal,
                       struct control_wait *wait)
{
    char why[GOAL_WHY_SIZE] = "";
    int rc = placement_check_goal(node_placement(node), goal, why);

    wait->done(wait, rc, why);
}

static void changed(struct node_change *change, int status, const char *why)
{
    struct control_wait *wait =
        container_of(change, struct control_wait, node_change);

    wait->done(wait, status, why);
}

static void split_done(struct split_wait *split, int status, const char *why)
{
    struct control_wait *wait = container_of(split, struct control_wait, split);

    wait->done(wait, status, why);
}

static void merge_done(struct merge_wait *merge, int status, const char *why)
{
    struct control_wait *wait = container_of(merge, struct control_wait, merge);

    wait->done(wait, status, why);
}

static void carry_out_split(struct node *node, const struct peer *peer,
                            const struct command *command,
                            struct control_wait *wait)
{
    struct key at = {.size = 0};

    if (command->dir != 0)
        at = key_user('d', command->dir, command->name);
    wait->split.done = split_done;
    split_start(&wait->split, node, peer_region_id(peer),
                command->region_version, &at);
}

static void carry_out(struct node *node, struct peer *peer,
                      const struct command *command, struct control_wait *wait)
{
    switch (command->op) {
    case COMMAND_START_CHECK:
        wait->check.done = checked;
        check_start(peer_check(peer), &wait->check);
        return;
    case COMMAND_TRANSFER:
        wait->transfer.done = transferred;
        transfer_start(&wait->transfer, node, peer_region_id(peer),
                       command->target_node);
        return;
    case COMMAND_CHECK_GOAL:
        check_goal(node, &command->goal, wait);
        return;
    case COMMAND_CHANGE_NODE:
        wait->node_change.force = command->size != 0;
        wait->node_change.done = changed;
        node_change_start(&wait->node_change, node, command->target_node,
                          command->node_state);
        return;
    case COMMAND_START_SPLIT:
        carry_out_split(node, peer, command, wait);
        return;
    case COMMAND_START_MERGE:
        wait->merge.done = merge_done;
        merge_start(&wait->merge, node, peer_region_id(peer),
                    command->merge.other);
        return;
    default:
        wait->done(wait, ERR_INVALID, "");
    }
}

void control_carry_out(struct node *node, struct peer *peer,
                       const struct buf *bytes, struct control_wait *wait)
{
    struct command command = {0};
    int rc = command_decode(&command, buf_slice(bytes));

    if (rc == 0)
        carry_out(node, peer, &command, wait);
    else
        wait->done(wait, rc, "");
    command_release(&command);
}

bool control_is_waiting(const struct control_wait *wait)
{
    return wait->check.check != NULL || transfer_is_running(&wait->transfer) ||
           node_change_is_running(&wait->node_change) ||
           split_is_running(&wait->split) || merge_is_running(&wait->merge);
}

void control_cancel_wait(struct control_wait *wait)
{
    check_cancel(&wait->check);
    transfer_cancel(&wait->transfer);
    node_change_cancel(&wait->node_change);
    split_cancel(&wait->split);
    merge_cancel(&wait->merge);
}
