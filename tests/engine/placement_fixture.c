/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/engine/placement_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/members.h"
#include "engine/router.h"
#include "engine/status.h"
#include "engine/steps.h"
#include "tests/engine/kv_helpers.h"
#include "tests/engine/plan_texts.h"
#include "tests/sim/kv_mem.h"

/* ---- env.h ---- */

static uint64_t fake_clock(struct env *env)
{
    struct node *node = container_of(env, struct node, env);

    node->now_ns += node->each_ns;
    return node->now_ns;
}

static const struct env_ops fake_ops = {.mono_ns = fake_clock,
                                        .wall_ns = fake_clock};

/* ---- node.h, peer.h and others ---- */

struct env *node_env(struct node *node)
{
    return &node->env;
}

bool node_clock_is_wrong(const struct node *node, uint64_t node_id)
{
    (void)node;
    (void)node_id;
    return false;
}

uint64_t node_id(const struct node *node)
{
    return node->id;
}

const struct node_config *node_config(const struct node *node)
{
    return &node->config;
}

struct peer *node_peer(const struct node *node, uint64_t region)
{
    assert_int_equal(region, REGION_PLACEMENT);
    return node->peer;
}

bool peer_is_serving(const struct peer *peer)
{
    return peer->serving;
}

uint64_t peer_term(const struct peer *peer)
{
    return peer->term;
}

struct placement *node_placement(const struct node *node)
{
    return node->placement;
}

struct router *node_router(const struct node *node)
{
    return node->router;
}

struct status_board *node_status_board(const struct node *node)
{
    return node->board;
}

struct members *node_members(const struct node *node)
{
    return node->members;
}

bool members_is_lost(const struct members *members, uint64_t id)
{
    return members->node->lost[id];
}

/* This one and another. */
size_t node_all_nodes(const struct node *node, uint64_t nodes[NODES_MAX])
{
    nodes[0] = node->id;
    nodes[1] = node->id + 1;
    return 2;
}

void node_log_event(struct node *node, enum log_level level, const char *format,
                    ...)
{
    (void)node;
    (void)level;
    (void)format;
}

const struct node_status *status_board_find(const struct status_board *board,
                                            uint64_t id)
{
    static const struct node_status status;

    return board->node->silent[id] ? NULL : &status;
}

static void see_step(struct node *node, uint64_t to, const struct step *step)
{
    if (step->kind == STEP_REPORT) {
        node->asked[to]++;
        return;
    }
    node->step = *step;
    node->step_to = to;
}

int step_carry_out(struct node *node, const struct step *step)
{
    see_step(node, node->id, step);
    return 0;
}

void node_send(struct node *node, uint64_t to, enum env_channel channel,
               uint16_t type, struct buf *header, struct buf *payload)
{
    struct slice bytes = buf_slice(header);
    struct step step;

    assert_int_equal(channel, ENV_CHANNEL_RAFT);
    assert_null(payload);
    if (type == WIRE_OPERATORS) {
        assert_int_equal(operators_decode(&node->operators, bytes), 0);
        node->operators_sent++;
        return;
    }
    assert_int_equal(type, WIRE_STEP);
    assert_int_equal(step_decode(&step, bytes), 0);
    see_step(node, to, &step);
}

/* ---- router.h: region 0 does at once what it is told ---- */

void router_to_region(struct router_call *call, uint64_t region)
{
    call->region = region;
}

void router_cancel(struct router *router, struct router_call *call)
{
    (void)router;
    (void)call;
}

void router_call(struct router *router, struct router_call *call,
                 struct command *command)
{
    struct node *node = router->node;
    struct goal goal;

    assert_int_equal(call->region, REGION_PLACEMENT);
    assert_int_equal(command->op, COMMAND_END_GOAL);
    assert_int_equal(
        placement_read_goal(node->env.state, command->goal.region, &goal), 0);
    goal.end_ns = (int64_t)node->now_ns;
    goal.status = command->goal.status;
    (void)strcpy(goal.why, command->goal.why);
    put_goal(node, &goal);
    call->done(call, 0, NULL, 0);
}

/* ---- region 0's state ---- */

static void put(struct node *node, struct key key, struct buf *record)
{
    put_record(node->env.state, key, buf_slice(record));
    buf_unref(record);
}

void put_node(struct node *node, uint64_t id, enum node_state state)
{
    struct node_record record = {
        .id = id, .state = state, .address = "localhost:1"};

    node->silent[id] = state == NODE_REMOVED;
    put(node, key_node(id), node_encode(&record));
}

void put_nodes(struct node *node, uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last; id++)
        put_node(node, id, NODE_UP);
}

void put_damaged_node(struct node *node, uint64_t id)
{
    put(node, key_node(id), buf_copy("?", 1));
}

void put_setting(struct node *node, enum setting setting, uint64_t value)
{
    put(node, key_setting(slice_of(setting_name(setting))),
        setting_encode(value));
}

void put_goal(struct node *node, const struct goal *goal)
{
    put(node, key_goal(goal->region), goal_encode(goal));
}

/* ---- what the others say ---- */

/* Region n begins at the n-th letter. */
static struct slice bound(const struct node *node, uint64_t region)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

    if (region == 1 || region == node->regions + 1)
        return (struct slice){NULL, 0};
    return (struct slice){&letters[region], 1};
}

void tell(struct node *node, uint64_t region, const char *replicas)
{
    struct plan_case c = plan_case(replicas, "1");
    struct region_report *report = &c.report;
    struct buf *bytes;

    node->terms[region] += node->leaders[region] != c.leader;
    node->leaders[region] = c.leader;
    report->region.id = region;
    report->region.start = bound(node, region);
    report->region.end = bound(node, region + 1);
    report->sequence = ++node->sequence;
    report->term = node->terms[region];
    report->digest = region;
    report->measured = true;
    bytes = region_report_encode(report);
    placement_on_report(node->placement, c.leader, buf_slice(bytes));
    buf_unref(bytes);
}

static void tell_sum(struct node *node, uint64_t id, uint64_t first)
{
    struct reported sum = {.sequence = ++node->sequence, .first = first};
    struct buf *bytes;

    for (uint64_t region = 1; region <= node->regions; region++) {
        if (node->leaders[region] != id)
            continue;
        sum.led_count++;
        sum.led_digest ^= region;
    }
    bytes = reported_encode(&sum);
    placement_on_reported(node->placement, id, buf_slice(bytes));
    buf_unref(bytes);
}

void resign(struct node *node, uint64_t id)
{
    for (uint64_t region = 1; region <= node->regions; region++)
        if (node->leaders[region] == id)
            node->leaders[region] = 0;
    tell_sum(node, id, node->sequence + 1);
}

static bool is_member(struct node *node, uint64_t id)
{
    struct key key = key_node(id);
    struct kv_value value = {0};
    struct node_record record = {0};
    int rc = kv_get(node->env.state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = node_decode(&record, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc == 0 && record.state != NODE_REMOVED;
}

void second(struct node *node)
{
    node->now_ns += 1000000000;
    for (uint64_t id = 1; id < IDS_MAX; id++)
        if (is_member(node, id) && !node->silent[id])
            tell_sum(node, id, 0);
    placement_each_second(node->placement);
}

void seconds(struct node *node, unsigned count)
{
    while (count-- > 0)
        second(node);
}

/* ---- what comes of it ---- */

const struct operator_view *operator_of_region(const struct node *node,
                                               uint64_t region)
{
    const struct operators_view *told = placement_operators(node->placement);

    for (size_t i = told->count; i > 0; i--)
        if (told->operators[i - 1].region == region)
            return &told->operators[i - 1];
    return NULL;
}

/* ---- the fixture ---- */

struct node *placement_fixture_new(void)
{
    struct node *node = mem_zalloc(sizeof *node);

    node->env = (struct env){.ops = &fake_ops, .state = kv_mem_new()};
    node->id = 1;
    node->now_ns = UINT64_C(1000000000000);
    node->peer = mem_zalloc(sizeof *node->peer);
    *node->peer = (struct peer){.serving = true, .term = 5};
    node->router = mem_zalloc(sizeof *node->router);
    node->router->node = node;
    node->board = mem_zalloc(sizeof *node->board);
    node->board->node = node;
    node->members = mem_zalloc(sizeof *node->members);
    node->members->node = node;
    node->regions = 1;
    node->placement = placement_new(node);
    return node;
}

void placement_fixture_free(struct node *node)
{
    placement_stop(node->placement);
    placement_free(node->placement);
    kv_close(node->env.state);
    free(node->members);
    free(node->board);
    free(node->router);
    free(node->peer);
    free(node);
}
