/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/placement_impl.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/keys.h"
#include "engine/members.h"
#include "engine/status.h"
#include "engine/steps.h"

enum {
    ASK_SECONDS = 2,    /* between asking a node to tell all */
    CHOOSE_SECONDS = 5, /* between looks at regions that did not change */
    READY_SECONDS = 60  /* then regions without a leader are not waited for
                         * any more */
};

static const uint64_t second_ns = 1000000000;

struct placement *placement_new(struct node *node)
{
    struct placement *placement = mem_zalloc(sizeof *placement);

    placement->node = node;
    TAILQ_INIT(&placement->operators);
    return placement;
}

void placement_stop(struct placement *placement)
{
    operators_drop(placement);
}

void placement_free(struct placement *placement)
{
    if (placement == NULL)
        return;
    region_table_free(placement->table);
    free(placement);
}

uint64_t placement_now_ns(const struct placement *placement)
{
    return env_mono_ns(node_env(placement->node));
}

/* ---- leading ---- */

static void depose(struct placement *placement)
{
    operators_drop(placement);
    region_table_free(placement->table);
    placement->table = NULL;
    placement->term = 0;
    placement->ready = false;
}

static void take_office(struct placement *placement, uint64_t term)
{
    depose(placement);
    placement->term = term;
    placement->begun_ns = placement_now_ns(placement);
    placement->table = region_table_new();
    placement->tell = true;
    for (size_t i = 0; i < NODES_MAX; i++)
        placement->noticed[i] = (struct noticed){0};
}

bool placement_leads(struct placement *placement)
{
    const struct peer *peer = node_peer(placement->node, REGION_PLACEMENT);

    if (peer == NULL || !peer_is_serving(peer)) {
        if (placement->term != 0)
            depose(placement);
        return false;
    }
    if (peer_term(peer) != placement->term)
        take_office(placement, peer_term(peer));
    return true;
}

static struct noticed *find_noticed(struct placement *placement, uint64_t node)
{
    for (size_t i = 0; i < NODES_MAX; i++)
        if (placement->noticed[i].node == node)
            return &placement->noticed[i];
    return NULL;
}

/* NULL: there are more than there can be, until who is gone is forgotten. */
static struct noticed *noticed_of(struct placement *placement, uint64_t node)
{
    struct noticed *noticed = find_noticed(placement, node);

    if (noticed == NULL)
        noticed = find_noticed(placement, 0);
    if (noticed != NULL)
        noticed->node = node;
    return noticed;
}

/* Ids are never used again, so in time there are more than places. */
static void forget_gone(struct placement *placement)
{
    for (size_t i = 0; i < NODES_MAX; i++)
        if (plan_find_node(&placement->nodes, placement->noticed[i].node) ==
            NULL)
            placement->noticed[i] = (struct noticed){0};
}

/* ---- what there is ---- */

static bool is_live(struct placement *placement, uint64_t id)
{
    return id == node_id(placement->node) ||
           status_board_find(node_status_board(placement->node), id) != NULL;
}

/* Records of removed nodes stay for ever: only members have to find room. */
static void add_node(struct placement *placement,
                     const struct node_record *record, struct plan_nodes *nodes)
{
    bool live = is_live(placement, record->id);

    if (record->state == NODE_REMOVED || nodes->count == NODES_MAX)
        return;
    nodes->node[nodes->count++] = (struct plan_node){
        .id = record->id,
        .state = record->state,
        .live = live,
        .down =
            !live && members_is_lost(node_members(placement->node), record->id),
        .wrong_clock = node_clock_is_wrong(placement->node, record->id),
    };
}

static int read_nodes(struct placement *placement)
{
    struct key lower = key_node(0);
    struct key upper = key_node(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(node_env(placement->node)->state, NULL,
                                       key_slice(&lower), key_slice(&upper));
    struct plan_nodes nodes = {.replicas =
                                   placement->settings.value[SETTING_REPLICAS]};
    int rc = 0;

    for (kv_iter_seek(iter, key_slice(&lower)); rc == 0 && kv_iter_valid(iter);
         kv_iter_next(iter)) {
        struct node_record record = {0};

        rc = node_decode(&record, kv_iter_value(iter));
        if (rc == 0)
            add_node(placement, &record, &nodes);
    }
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    if (rc == 0)
        placement->nodes = nodes;
    return rc;
}

/* Settings and nodes as they are now. False: they cannot be read, and nothing
 * is to be decided; members.c sees to what is damaged. */
static bool look_around(struct placement *placement)
{
    struct kv *state = node_env(placement->node)->state;

    if (settings_read(state, &placement->settings) != 0 ||
        read_nodes(placement) != 0)
        return false;
    forget_gone(placement);
    return true;
}

/* Rule 4. */
static bool is_ready(struct placement *placement)
{
    for (size_t i = 0; i < placement->nodes.count; i++) {
        const struct plan_node *node = &placement->nodes.node[i];
        const struct noticed *noticed = noticed_of(placement, node->id);

        if (node->live && (noticed == NULL || !noticed->told))
            return false;
    }
    return region_table_is_whole(placement->table) ||
           placement_now_ns(placement) - placement->begun_ns >=
               READY_SECONDS * second_ns;
}

/* ---- goals ---- */

static void leave_alone(struct placement *placement, const struct goal *goal)
{
    struct table_entry *entry =
        region_table_find(placement->table, goal->region);
    int64_t ago_ns =
        (int64_t)env_wall_ns(node_env(placement->node)) - goal->end_ns;
    int64_t rest_ns = LEFT_ALONE_SECONDS * (int64_t)second_ns - ago_ns;

    if (entry != NULL && ago_ns >= 0 && rest_ns > 0)
        entry->left_alone_ns = placement_now_ns(placement) + (uint64_t)rest_ns;
}

/* Rule 3: what runs for a region goes on only if it is this goal's. */
static void pursue(struct placement *placement, const struct goal *goal)
{
    struct placement_operator *op = operator_holding(placement, goal->region);

    if (op != NULL && !operator_is_wanted(op))
        op = NULL;
    if (!goal_is_running(goal)) {
        leave_alone(placement, goal);
        return;
    }
    if (op != NULL && op->goal_id == goal->id)
        return;
    if (op != NULL)
        operator_end(op, ERR_CANCELED, "an operator by hand comes first");
    op =
        operator_begin(placement, goal->region,
                       &(struct plan_goal){.from = goal->from, .to = goal->to});
    op->goal_id = goal->id;
    op->view.manual = true;
    op->view.begin_ns = goal->begin_ns;
}

static void read_goals(struct placement *placement)
{
    struct key lower = key_goal(0);
    struct key upper = key_goal(UINT64_MAX);
    struct kv_iter *iter = kv_iter_new(node_env(placement->node)->state, NULL,
                                       key_slice(&lower), key_slice(&upper));

    kv_iter_seek(iter, key_slice(&lower));
    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct goal goal = {0};

        if (goal_decode(&goal, kv_iter_value(iter)) == 0)
            pursue(placement, &goal);
    }
    kv_iter_free(iter);
}

int placement_check_goal(struct placement *placement, const struct goal *goal,
                         char why[GOAL_WHY_SIZE])
{
    struct plan_goal wanted = {.from = goal->from, .to = goal->to};
    const struct table_entry *entry;
    struct goal last;

    if (!placement_leads(placement) || !look_around(placement))
        return ERR_NOT_LEADER;
    entry = region_table_find(placement->table, goal->region);
    if (entry == NULL)
        return ERR_NOT_LEADER;
    if (placement_read_goal(node_env(placement->node)->state, goal->region,
                            &last) == 0 &&
        goal_is_running(&last)) {
        (void)snprintf(why, GOAL_WHY_SIZE, "another operator is running");
        return ERR_BUSY;
    }
    return plan_check(&entry->report, entry->leader_node, &placement->nodes,
                      &wanted, why);
}

static bool is_on_its_way(const struct placement *placement, uint64_t node)
{
    const struct placement_operator *op;

    TAILQ_FOREACH (op, &placement->operators, link)
        if (op->goal.to == node && op->ended_ns == 0)
            return true;
    return false;
}

/* All steps of this term are this leader's, and name the epoch that it knew:
 * what the table has cannot be so old that a replica is missing. */
enum placement_answer placement_has_replicas(struct placement *placement,
                                             uint64_t node)
{
    struct table_entry *entry;
    bool known = true;

    if (!placement_leads(placement))
        return PLACEMENT_UNKNOWN;
    if (is_on_its_way(placement, node))
        return PLACEMENT_YES;
    entry = region_table_first(placement->table);
    for (; entry != NULL; entry = region_table_next(placement->table, entry)) {
        if (entry->report.region.id == REGION_PLACEMENT)
            continue;
        if (plan_find_peer(&entry->report, node) != NULL)
            return PLACEMENT_YES;
        known = known && entry->leader_node != 0;
    }
    return known && region_table_is_whole(placement->table) ? PLACEMENT_NO
                                                            : PLACEMENT_UNKNOWN;
}

/* ---- steps ---- */

void placement_send_step(struct placement *placement, uint64_t to,
                         const struct step *step)
{
    struct buf *bytes;

    if (to == node_id(placement->node)) {
        (void)step_carry_out(placement->node, step); /* Or planned again. */
        return;
    }
    bytes = step_encode(step);
    node_send(placement->node, to, ENV_CHANNEL_RAFT, WIRE_STEP, bytes, NULL);
    buf_unref(bytes);
}

/* Whoever has begun it: only a region that is not joint can be changed. */
static void leave_joint(struct placement *placement, struct table_entry *entry)
{
    struct plan plan;

    if (entry->leader_node == 0 || !region_is_joint(&entry->report.region))
        return;
    plan_next(&entry->report, entry->leader_node, &placement->nodes,
              &(struct plan_goal){0}, &plan);
    if (plan.step.kind >= STEP_REPORT)
        placement_send_step(placement, entry->leader_node, &plan.step);
}

static void look_at_regions(struct placement *placement)
{
    struct table_entry *entry = region_table_first(placement->table);

    operators_advance(placement);
    for (; entry != NULL; entry = region_table_next(placement->table, entry)) {
        uint64_t region = entry->report.region.id;

        if (region != REGION_PLACEMENT &&
            operator_of(placement, region) == NULL)
            leave_joint(placement, entry);
    }
}

bool placement_has_leader(const struct placement *placement,
                          const struct table_entry *entry)
{
    const struct plan_node *node =
        plan_find_node(&placement->nodes, entry->leader_node);

    return node != NULL && node->live;
}

/* ---- each second ---- */

void placement_each_second(struct placement *placement)
{
    if (!placement_leads(placement) || !look_around(placement))
        return;
    placement->seconds++;
    placement->ready = placement->ready || is_ready(placement);
    read_goals(placement);
    look_at_regions(placement);
    if (placement->ready &&
        (placement->changed || placement->seconds % CHOOSE_SECONDS == 0))
        operators_choose(placement);
    operators_forget_old(placement);
    operators_tell(placement);
}

/* ---- packets ---- */

/* Leadership has gone elsewhere, perhaps by somebody's wish: what was chosen
 * just before does not take it back. */
static void give_way(struct placement *placement,
                     const struct table_entry *entry, uint64_t now_ns)
{
    struct placement_operator *op =
        operator_of(placement, entry->report.region.id);

    if (op != NULL && op->goal_id == 0 && op->goal.leader != 0 &&
        entry->led_ns == now_ns && entry->leader_node != op->goal.leader)
        operator_end(op, ERR_CANCELED, "another node was made the leader");
}

void placement_on_report(struct placement *placement, uint64_t from,
                         struct slice bytes)
{
    struct region_report report;
    struct placement_operator *op = NULL;
    struct table_entry *entry = NULL;
    uint64_t now_ns = placement_now_ns(placement);

    if (!placement_leads(placement) ||
        region_report_decode(&report, bytes) != 0)
        return;
    entry = region_table_take(placement->table, from, &report, now_ns);
    if (entry != NULL) {
        placement->changed = true;
        give_way(placement, entry, now_ns);
        op = operator_holding(placement, entry->report.region.id);
    }
    if (op != NULL)
        operator_advance(op);
    region_report_release(&report);
}

static void ask_for_all(struct placement *placement, struct noticed *noticed)
{
    uint64_t now_ns = placement_now_ns(placement);

    if (noticed->asked_ns != 0 &&
        now_ns - noticed->asked_ns < ASK_SECONDS * second_ns)
        return;
    noticed->asked_ns = now_ns;
    placement_send_step(placement, noticed->node,
                        &(struct step){.kind = STEP_REPORT});
}

void placement_on_reported(struct placement *placement, uint64_t from,
                           struct slice bytes)
{
    struct reported reported;
    struct noticed *noticed;

    if (!placement_leads(placement) || reported_decode(&reported, bytes) != 0)
        return;
    noticed = noticed_of(placement, from);
    if (noticed == NULL)
        return;
    if (reported.first != 0)
        region_table_keep(placement->table, from, reported.first);
    if (region_table_agrees(placement->table, from, &reported))
        noticed->told = true;
    else
        ask_for_all(placement, noticed);
}

void placement_on_operators(struct placement *placement, struct slice bytes)
{
    struct operators_view view;

    if (operators_decode(&view, bytes) == 0 &&
        view.term >= placement->told.term)
        placement->told = view;
}

const struct operators_view *
placement_operators(const struct placement *placement)
{
    return &placement->told;
}
