/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/control.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/keys.h"
#include "engine/node.h"
#include "engine/router.h"

enum { SHOWN_MAX = 40 }; /* of a text that is refused */

/* One region's part. */
struct control_part {
    struct router_call call;
    struct control_op *op;
};

/* What a text asks for: `command` of the leaders of these regions. */
struct order {
    struct command command;
    uint64_t *regions;
    size_t region_count;
    size_t region_count_max;
};

static void add_region(struct order *order, uint64_t region)
{
    order->regions =
        mem_grow(order->regions, sizeof *order->regions,
                 &order->region_count_max, order->region_count + 1);
    order->regions[order->region_count++] = region;
}

/* ---- texts ---- */

/* One word, with blanks or a newline around it. */
static struct slice trim(struct slice text)
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

static int parse_number(struct slice word, uint64_t *ret)
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

/* A region's id, or `all`. */
static int parse_regions(const struct node *node, struct slice text,
                         struct order *order, const char **ret_why)
{
    const struct peer *peer = NULL;
    uint64_t region;

    if (slice_equal(text, slice_of("all"))) {
        while ((peer = node_next_peer(node, peer)) != NULL)
            add_region(order, peer_region_id(peer));
        return 0;
    }
    *ret_why = "neither a region's id nor `all`";
    if (parse_number(text, &region) != 0)
        return ERR_INVALID;
    *ret_why = "there is no such region";
    if (node_peer(node, region) == NULL)
        return ERR_NOT_FOUND;
    add_region(order, region);
    return 0;
}

static int parse_check(const struct node *node, struct slice text,
                       struct order *order, const char **ret_why)
{
    order->command.op = COMMAND_START_CHECK;
    return parse_regions(node, text, order, ret_why);
}

static const struct control {
    const char *name;
    int (*parse)(const struct node *node, struct slice text,
                 struct order *order, const char **ret_why);
} controls[TABLES] = {
    /* clang-format off */
    [TABLE_CHECK] = {"check", parse_check},
    /* clang-format on */
};

/* ---- on their way ---- */

static void end(struct control_op *op, int status)
{
    control_cancel(op);
    op->done(op, status);
}

/* The first failure is told, when all are through. */
static void part_done(struct router_call *call, int status,
                      const struct result *result, uint64_t index)
{
    struct control_op *op = container_of(call, struct control_part, call)->op;

    (void)result;
    (void)index;
    if (status != 0 && op->status == 0)
        op->status = status;
    if (status != 0)
        node_log_event(op->node, LOG_WARN,
                       "region %" PRIu64 ": a control command failed: %s",
                       call->region, err_text(status));
    if (--op->left == 0)
        end(op, op->status);
}

static void send_part(struct control_op *op, size_t i,
                      const struct order *order)
{
    struct control_part *part = &op->parts[i];
    struct command command = order->command;

    part->op = op;
    part->call.kind = CALL_CONTROL;
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
        end(op, op->status);
}

/* One line, whatever was written. */
static void log_refusal(struct node *node, const char *name, struct slice text,
                        const char *why)
{
    const char *bytes = text.data;
    char shown[SHOWN_MAX + 1] = "";

    for (size_t i = 0; i < text.size && i < SHOWN_MAX; i++)
        shown[i] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?';
    node_log_event(node, LOG_WARN, "control file %s: '%s': %s", name, shown,
                   why);
}

void control_start(struct control_op *op, struct node *node,
                   enum engine_table table, struct slice text)
{
    const struct control *control = &controls[table];
    struct order order = {.region_count = 0};
    const char *why = "it is too long";
    int rc = ERR_INVALID;

    assert(control->parse != NULL);
    op->node = node;
    op->status = 0;
    op->part_count = 0;
    if (text.size <= CONTROL_SIZE_MAX)
        rc = control->parse(node, trim(text), &order, &why);
    if (rc != 0) {
        log_refusal(node, control->name, trim(text), why);
        op->done(op, rc);
    } else {
        send_parts(op, &order);
    }
    free(order.regions);
}

void control_cancel(struct control_op *op)
{
    for (size_t i = 0; i < op->part_count; i++)
        router_cancel(node_router(op->node), &op->parts[i].call);
    free(op->parts);
    op->parts = NULL;
    op->part_count = 0;
}

/* ---- at the leader ---- */

static void checked(struct check_wait *check, int status)
{
    struct control_wait *wait = container_of(check, struct control_wait, check);

    wait->done(wait, status);
}

static void carry_out(struct peer *peer, const struct command *command,
                      struct control_wait *wait)
{
    switch (command->op) {
    case COMMAND_START_CHECK:
        wait->check.done = checked;
        check_start(peer_check(peer), &wait->check);
        return;
    default:
        wait->done(wait, ERR_INVALID);
    }
}

void control_carry_out(struct peer *peer, const struct buf *bytes,
                       struct control_wait *wait)
{
    struct command command = {0};
    int rc = command_decode(&command, (struct slice){bytes->data, bytes->size});

    if (rc == 0)
        carry_out(peer, &command, wait);
    else
        wait->done(wait, rc);
    command_release(&command);
}

bool control_is_waiting(const struct control_wait *wait)
{
    return wait->check.check != NULL;
}

void control_cancel_wait(struct control_wait *wait)
{
    check_cancel(&wait->check);
}
