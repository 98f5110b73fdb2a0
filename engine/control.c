/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/control.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/control_impl.h"
#include "engine/keys.h"
#include "engine/peer.h"
#include "engine/router.h"

enum {
    SHOWN_MAX = 128, /* of a text that is refused */
    SEEN_MS = 5
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

static const struct control controls[TABLES] = {
    /* clang-format off */
    [TABLE_CHECK]           = {"check",    false, control_parse_check,    NULL, NULL},
    [TABLE_REGION_TRANSFER] = {"transfer", true,  control_parse_transfer, control_transfer_is_seen, NULL},
    [TABLE_NODE_DRAIN]      = {"drain",    false, control_parse_drain,    control_node_state_is_seen, NULL},
    [TABLE_NODE_REMOVE]     = {"remove",   false, control_parse_remove,   control_node_state_is_seen, NULL},
    [TABLE_REGION_SPLIT]    = {"split",    true,  control_parse_split,    control_split_is_seen, NULL},
    [TABLE_REGION_MERGE]    = {"merge",    true,  control_parse_merge,    control_merge_is_seen, NULL},
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

static uint64_t version_here(const struct node *node, uint64_t region)
{
    const struct peer *peer = node_peer(node, region);

    return peer == NULL ? 0 : peer_region(peer)->version;
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
