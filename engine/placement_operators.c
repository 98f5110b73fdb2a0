/* SPDX-License-Identifier: Apache-2.0 */

/* Operators of region 0's leader: from a goal to its end, step by step. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/merge_change.h"
#include "engine/placement_impl.h"
#include "engine/placement_merge.h"

enum {
    RESEND_MS = 1000,      /* a step that shows no effect */
    END_SECONDS = 5,       /* for writing how a goal has ended */
    GIVE_UP_SECONDS = 600, /* an automatic one that gets nowhere */
    MERGE_SECONDS = 30,    /* from the first word to whoever is to merge on */
    RESTED_SECONDS = 10,   /* after an automatic one */
    FAILED_SECONDS = 60,   /* after one that has failed */
    TELL_SECONDS = 10,     /* again, also of none: packets get lost */
    SHOWN_SECONDS = 600    /* one that has ended */
};

static const uint64_t second_ns = 1000000000;

struct placement_operator *operator_of(const struct placement *placement,
                                       uint64_t region)
{
    struct placement_operator *op;

    TAILQ_FOREACH (op, &placement->operators, link)
        if (op->view.region == region && op->ended_ns == 0)
            return op;
    return NULL;
}

struct placement_operator *operator_holding(const struct placement *placement,
                                            uint64_t region)
{
    struct placement_operator *op;

    TAILQ_FOREACH (op, &placement->operators, link)
        if ((op->view.region == region || op->goal.into == region) &&
            op->ended_ns == 0)
            return op;
    return NULL;
}

enum { GOAL_TEXT_SIZE = 64 };

/* As a person would write it. Returns `text`. */
static const char *goal_text(const struct operator_view *view,
                             char text[GOAL_TEXT_SIZE])
{
    if (view->into != 0)
        (void)snprintf(text, GOAL_TEXT_SIZE, "into region %" PRIu64,
                       view->into);
    else if (view->leader != 0)
        (void)snprintf(text, GOAL_TEXT_SIZE, "to be led by node %" PRIu64,
                       view->leader);
    else if (view->from != 0 && view->to != 0)
        (void)snprintf(text, GOAL_TEXT_SIZE,
                       "from node %" PRIu64 " to node %" PRIu64, view->from,
                       view->to);
    else if (view->to != 0)
        (void)snprintf(text, GOAL_TEXT_SIZE, "to node %" PRIu64 " also",
                       view->to);
    else if (view->from != 0)
        (void)snprintf(text, GOAL_TEXT_SIZE, "off node %" PRIu64, view->from);
    else
        (void)snprintf(text, GOAL_TEXT_SIZE, "to have the right voters");
    return text;
}

struct placement_operator *operator_begin(struct placement *placement,
                                          uint64_t region,
                                          const struct plan_goal *goal)
{
    struct placement_operator *op = mem_zalloc(sizeof *op);
    char text[GOAL_TEXT_SIZE];

    op->placement = placement;
    op->goal = *goal;
    op->begun_ns = placement_now_ns(placement);
    op->view = (struct operator_view){
        .region = region,
        .from = goal->from,
        .to = goal->to,
        .leader = goal->leader,
        .into = goal->into,
        .begin_ns = (int64_t)env_wall_ns(node_env(placement->node)),
        .step = STEP_WAIT,
    };
    TAILQ_INSERT_TAIL(&placement->operators, op, link);
    placement->tell = true;
    node_log_event(placement->node, LOG_INFO, "region %" PRIu64 ": moves %s",
                   region, goal_text(&op->view, text));
    return op;
}

static void drop(struct placement_operator *op)
{
    struct placement *placement = op->placement;

    router_cancel(node_router(placement->node), &op->end_call);
    TAILQ_REMOVE(&placement->operators, op, link);
    free(op);
}

void operators_drop(struct placement *placement)
{
    struct placement_operator *op;

    while ((op = TAILQ_FIRST(&placement->operators)) != NULL)
        drop(op);
}

void operators_forget_old(struct placement *placement)
{
    uint64_t now_ns = placement_now_ns(placement);
    struct placement_operator *op = TAILQ_FIRST(&placement->operators);

    while (op != NULL) {
        struct placement_operator *next = TAILQ_NEXT(op, link);

        if (op->ended_ns != 0 &&
            now_ns - op->ended_ns >= SHOWN_SECONDS * second_ns) {
            drop(op);
            placement->tell = true;
        }
        op = next;
    }
}

/* ---- the end ---- */

static void rest(struct placement_operator *op, int status)
{
    struct placement *placement = op->placement;
    struct table_entry *entry =
        region_table_find(placement->table, op->view.region);
    uint64_t seconds = status == 0 ? RESTED_SECONDS : FAILED_SECONDS;

    if (entry != NULL && op->goal_id == 0)
        entry->left_alone_ns = op->ended_ns + seconds * second_ns;
}

void operator_end(struct placement_operator *op, int status, const char *why)
{
    struct placement *placement = op->placement;
    char text[GOAL_TEXT_SIZE];

    router_cancel(node_router(placement->node), &op->end_call);
    op->ended_ns = placement_now_ns(placement);
    op->view.end_ns = (int64_t)env_wall_ns(node_env(placement->node));
    op->view.status = status;
    op->view.step = STEP_NONE;
    (void)snprintf(op->view.why, sizeof op->view.why, "%s", why);
    rest(op, status);
    placement->tell = true;
    if (status == 0)
        node_log_event(placement->node, LOG_INFO,
                       "region %" PRIu64 ": has moved %s", op->view.region,
                       goal_text(&op->view, text));
    else
        node_log_event(placement->node, LOG_WARN,
                       "region %" PRIu64 ": has not moved %s: %s",
                       op->view.region, goal_text(&op->view, text),
                       why[0] != '\0' ? why : err_text(status));
}

bool operator_is_wanted(struct placement_operator *op)
{
    struct kv *state = node_env(op->placement->node)->state;
    struct goal goal = {0};

    if (op->goal_id == 0)
        return true;
    if (placement_read_goal(state, op->view.region, &goal) != 0 ||
        goal.id != op->goal_id)
        operator_end(op, ERR_CANCELED, "its end was not seen");
    else if (!goal_is_running(&goal))
        operator_end(op, goal.status, goal.why);
    return op->ended_ns == 0;
}

/* If it was not written: it is tried again, if the goal is still there. */
static void end_written(struct router_call *call, int status,
                        const struct result *result, uint64_t index)
{
    (void)status;
    (void)result;
    (void)index;
    (void)operator_is_wanted(
        container_of(call, struct placement_operator, end_call));
}

/* How a goal by hand has ended is for everybody to know. */
static void write_end(struct placement_operator *op, int status,
                      const char *why)
{
    struct placement *placement = op->placement;
    struct command command = {
        .op = COMMAND_END_GOAL,
        .goal = {.region = op->view.region,
                 .id = op->goal_id,
                 .status = status},
    };

    if (op->end_call.active)
        return;
    (void)snprintf(command.goal.why, sizeof command.goal.why, "%s", why);
    op->end_call.kind = CALL_PROPOSE;
    router_to_region(&op->end_call, REGION_PLACEMENT);
    op->end_call.deadline_ns =
        placement_now_ns(placement) + END_SECONDS * second_ns;
    op->end_call.done = end_written;
    router_call(node_router(placement->node), &op->end_call, &command);
}

static void finish(struct placement_operator *op, int status, const char *why)
{
    if (op->goal_id != 0)
        write_end(op, status, why);
    else
        operator_end(op, status, why);
}

/* ---- steps ---- */

static void show(struct placement_operator *op, const struct plan *plan,
                 const struct region_report *report)
{
    const struct peer_report *peer = plan_find_peer(report, plan->node);
    unsigned percent = 0;

    if (plan->step.kind == STEP_WAIT && peer != NULL && report->last_index > 0)
        percent = (unsigned)(peer->match * 100 / report->last_index);
    if (plan->step.kind == op->view.step && percent == op->view.percent &&
        strcmp(plan->why, op->view.why) == 0)
        return;
    op->view.step = plan->step.kind;
    op->view.percent = percent;
    (void)snprintf(op->view.why, sizeof op->view.why, "%s", plan->why);
    op->placement->tell = true;
}

static bool is_sent(const struct placement_operator *op,
                    const struct step *step)
{
    uint64_t now_ns = placement_now_ns(op->placement);

    return op->sent.kind == step->kind && op->sent.region == step->region &&
           op->sent.conf_ver == step->conf_ver &&
           op->sent.version == step->version &&
           now_ns - op->sent_ns < (uint64_t)RESEND_MS * 1000000;
}

static void send(struct placement_operator *op, uint64_t to,
                 const struct step *step)
{
    if (is_sent(op, step))
        return;
    op->sent = *step;
    op->sent_ns = placement_now_ns(op->placement);
    placement_send_step(op->placement, to, step);
}

/* A goal by hand is given up by hand. `entry`: NULL if the region is not known
 * now. */
static bool gets_nowhere(const struct placement_operator *op,
                         const struct table_entry *entry)
{
    uint64_t now_ns = placement_now_ns(op->placement);

    return op->goal_id == 0 &&
           now_ns - op->begun_ns >= GIVE_UP_SECONDS * second_ns &&
           (entry == NULL ||
            now_ns - entry->progress_ns >= GIVE_UP_SECONDS * second_ns);
}

/* Nobody does a step until its next leader reports. */
static void wait_for_leader(struct placement_operator *op,
                            const struct table_entry *entry)
{
    if (entry == NULL && region_table_is_whole(op->placement->table))
        finish(op, ERR_NOT_FOUND, "there is no such region any more");
    else if (gets_nowhere(op, entry))
        finish(op, ERR_UNAVAILABLE, "nobody leads the region");
}

static void go_on(struct placement_operator *op,
                  const struct table_entry *entry, const struct plan *plan,
                  uint64_t to)
{
    show(op, plan, &entry->report);
    if (plan->step.kind == STEP_NONE)
        finish(op, 0, "");
    else if (plan->step.kind == STEP_FAIL)
        finish(op, ERR_UNAVAILABLE, plan->why);
    else if (gets_nowhere(op, entry))
        finish(op, ERR_UNAVAILABLE, "it got nowhere");
    else if (plan->step.kind != STEP_WAIT)
        send(op, to, &plan->step);
}

/* ---- merges ---- */

/* What the target's leader was asked for has been undone, or was not begun for
 * so long that it will not be; or nobody wants it any more. Nothing of this
 * counts while the source is frozen: then it is being decided. */
static bool is_given_up(struct placement_operator *op,
                        const struct region *source)
{
    uint64_t now_ns = placement_now_ns(op->placement);
    const char *why = NULL;
    int status = ERR_UNAVAILABLE;

    if (region_is_frozen(source))
        return false;
    if (op->placement->settings.value[SETTING_AUTO_MERGE] == 0) {
        status = ERR_CANCELED;
        why = "auto_merge was switched off";
    } else if (op->merge_ns != 0 &&
               source->version != op->sent.source_version) {
        why = "the region has changed meanwhile";
    } else if (op->merge_ns != 0 &&
               now_ns - op->merge_ns >= MERGE_SECONDS * second_ns) {
        why = "it was not done in time";
    }
    if (why != NULL)
        finish(op, status, why);
    return why != NULL;
}

static void advance_merge(struct placement_operator *op)
{
    struct placement *placement = op->placement;
    const struct table_entry *source =
        region_table_find(placement->table, op->view.region);
    const struct table_entry *target =
        region_table_find(placement->table, op->goal.into);
    bool known = source != NULL && target != NULL;
    struct plan plan;

    if (source == NULL && target != NULL &&
        target->report.region.absorbed == op->view.region) {
        finish(op, 0, "");
        return;
    }
    if (known && is_given_up(op, &source->report.region))
        return;
    if (!known || !placement_has_leader(placement, source) ||
        !placement_has_leader(placement, target)) {
        wait_for_leader(op, known ? source : NULL);
        return;
    }
    plan_merge(&(struct reported_region){&source->report, source->leader_node},
               &(struct reported_region){&target->report, target->leader_node},
               &placement->nodes, &plan);
    if (plan.step.kind == STEP_MERGE && op->merge_ns == 0)
        op->merge_ns = placement_now_ns(placement);
    go_on(op, source, &plan,
          plan.step.kind == STEP_MERGE ? target->leader_node
                                       : source->leader_node);
}

/* ---- advancing ---- */

void operator_advance(struct placement_operator *op)
{
    struct placement *placement = op->placement;
    const struct table_entry *entry =
        region_table_find(placement->table, op->view.region);
    struct plan plan;

    if (!operator_is_wanted(op))
        return;
    if (op->goal.into != 0) {
        advance_merge(op);
        return;
    }
    if (entry == NULL || !placement_has_leader(placement, entry)) {
        wait_for_leader(op, entry);
        return;
    }
    plan_next(&entry->report, entry->leader_node, &placement->nodes, &op->goal,
              &plan);
    go_on(op, entry, &plan, entry->leader_node);
}

void operators_advance(struct placement *placement)
{
    struct placement_operator *op;

    TAILQ_FOREACH (op, &placement->operators, link)
        if (op->ended_ns == 0)
            operator_advance(op);
}

/* ---- telling ---- */

static void collect(const struct placement *placement,
                    struct operators_view *ret)
{
    const struct placement_operator *op;
    size_t skip = 0;

    TAILQ_FOREACH (op, &placement->operators, link)
        skip++;
    skip = skip > OPERATORS_TOLD_MAX ? skip - OPERATORS_TOLD_MAX : 0;
    ret->term = placement->term;
    ret->count = 0;
    TAILQ_FOREACH (op, &placement->operators, link) {
        if (skip > 0)
            skip--;
        else
            ret->operators[ret->count++] = op->view;
    }
}

void operators_tell(struct placement *placement)
{
    uint64_t nodes[NODES_MAX];
    size_t count = node_all_nodes(placement->node, nodes);
    struct buf *bytes;

    if (!placement->tell && placement->seconds % TELL_SECONDS != 0)
        return;
    placement->tell = false;
    collect(placement, &placement->told);
    bytes = operators_encode(&placement->told);
    for (size_t i = 0; i < count; i++)
        if (nodes[i] != node_id(placement->node))
            node_send(placement->node, nodes[i], ENV_CHANNEL_RAFT,
                      WIRE_OPERATORS, bytes, NULL);
    buf_unref(bytes);
}
