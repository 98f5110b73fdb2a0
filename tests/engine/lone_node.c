/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/engine/lone_node.h"

#include "engine/leave.h"
#include "engine/reporter.h"
#include "engine/status.h"

/* ---- env.h ---- */

static struct node *node_of(struct env *env)
{
    return container_of(env, struct node, env);
}

static uint64_t fake_clock(struct env *env)
{
    return node_of(env)->now_ns;
}

static void fake_timer_start(struct env *env, struct env_timer *timer,
                             uint64_t delay_ns)
{
    struct node *node = node_of(env);

    timers_start(&node->timers, timer, node->now_ns + delay_ns);
}

static void fake_timer_stop(struct env *env, struct env_timer *timer)
{
    timers_stop(&node_of(env)->timers, timer);
}

static const struct env_ops fake_ops = {
    .mono_ns = fake_clock,
    .wall_ns = fake_clock,
    .timer_start = fake_timer_start,
    .timer_stop = fake_timer_stop,
};

/* ---- status.h: no replica asks ---- */

void status_board_tick(struct status_board *board)
{
    (void)board;
}

void status_board_note(struct status_board *board, const struct peer *peer)
{
    (void)board;
    (void)peer;
}

const struct node_status *status_board_find(const struct status_board *board,
                                            uint64_t id)
{
    (void)board;
    (void)id;
    return NULL;
}

const struct region_status *
status_board_region(const struct status_board *board, uint64_t node_id,
                    uint64_t region)
{
    (void)board;
    (void)node_id;
    (void)region;
    return NULL;
}

const struct region_status *
status_board_next_region(const struct status_board *board, uint64_t node_id,
                         const struct region_status *region)
{
    (void)board;
    (void)node_id;
    (void)region;
    return NULL;
}

unsigned status_board_state(const struct status_board *board, uint64_t node_id,
                            uint64_t region)
{
    (void)board;
    (void)node_id;
    (void)region;
    return 0;
}

void status_print_time(FILE *out, int64_t wall_ns)
{
    (void)out;
    (void)wall_ns;
}

/* ---- leave.h: no node goes ---- */

enum leave_state leave_look(struct node *node, const struct node_record *record)
{
    (void)node;
    (void)record;
    return LEAVE_FREE;
}

const char *leave_words(enum leave_state state)
{
    (void)state;
    return "";
}

void leave_prepare(struct node *node, const struct node_record *record)
{
    (void)node;
    (void)record;
}

void leave_log_loss(struct node *node, uint64_t id, enum leave_state state)
{
    (void)node;
    (void)id;
    (void)state;
}

/* ---- reporter.h: nor is one looked at ---- */

unsigned reporter_peer_flags(const struct node *node, const struct peer *peer,
                             const struct region_peer *replica)
{
    (void)node;
    (void)peer;
    (void)replica;
    return 0;
}

/* ---- life ---- */

void lone_node_boot(struct node *node)
{
    node->config.identity.boot++;
    node->router = router_new(node);
}

void lone_node_shut_down(struct node *node)
{
    router_stop(node->router);
    router_free(node->router);
}

void lone_node_init(struct node *node)
{
    node->env.ops = &fake_ops;
    node->config.identity.node_id = OWN_NODE;
    node->now_ns = 1000;
    timers_init(&node->timers);
    lone_node_boot(node);
}

void lone_node_pass(struct node *node, uint64_t ms)
{
    node->now_ns += ms * 1000000;
    timers_fire(&node->timers, node->now_ns);
}
