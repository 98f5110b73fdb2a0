/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/placement_plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One region's planning: what is, what is wanted, and who is to vote then. */
struct planning {
    const struct region_report *report;
    const struct region *region;
    const struct plan_nodes *nodes;
    const struct plan_goal *goal;
    uint64_t leader;
    uint64_t wanted[REGION_PEERS_MAX + 1]; /* nodes that are to have replicas */
    size_t wanted_count;
    uint64_t voters[REGION_PEERS_MAX]; /* those of them that are to vote */
    size_t voter_count;
};

/* ---- looking ---- */

const struct plan_node *plan_find_node(const struct plan_nodes *nodes,
                                       uint64_t id)
{
    for (size_t i = 0; i < nodes->count; i++)
        if (nodes->node[i].id == id)
            return &nodes->node[i];
    return NULL;
}

const struct peer_report *plan_find_peer(const struct region_report *report,
                                         uint64_t node)
{
    for (size_t i = 0; i < report->region.peer_count; i++)
        if (report->region.peers[i].node == node)
            return &report->peers[i];
    return NULL;
}

static bool has_id(const uint64_t *ids, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static bool is_live(const struct plan_nodes *nodes, uint64_t id)
{
    const struct plan_node *node = plan_find_node(nodes, id);

    return node != NULL && node->live;
}

/* Counts for a majority. */
static bool is_reachable(const struct region_report *report,
                         const struct plan_nodes *nodes, uint64_t node)
{
    const struct peer_report *peer = plan_find_peer(report, node);

    return is_live(nodes, node) &&
           (peer == NULL ||
            (peer->flags & (PEER_FLAG_SILENT | PEER_FLAG_DAMAGED)) == 0);
}

bool plan_is_ready(const struct region_report *report,
                   const struct plan_nodes *nodes, uint64_t node)
{
    const struct peer_report *peer = plan_find_peer(report, node);

    return peer != NULL && is_reachable(report, nodes, node) &&
           (peer->flags & PEER_FLAG_CAUGHT_UP) != 0;
}

static bool is_voter(const struct region *region, uint64_t node)
{
    const struct region_peer *peer = region_find_node(region, node);

    return peer != NULL &&
           has_id(region->voters, region->voter_count, peer->id);
}

/* ---- who is to be what ---- */

static void want_nodes(struct planning *p)
{
    for (size_t i = 0; i < p->region->peer_count; i++)
        if (p->region->peers[i].node != p->goal->from)
            p->wanted[p->wanted_count++] = p->region->peers[i].node;
    if (p->goal->to != 0 && !has_id(p->wanted, p->wanted_count, p->goal->to))
        p->wanted[p->wanted_count++] = p->goal->to;
}

/* Who votes now goes on if there is room; a new node comes before old
 * learners, because somebody wanted it there. */
static unsigned rank(const struct planning *p, uint64_t id)
{
    const struct plan_node *node = plan_find_node(p->nodes, id);
    const struct peer_report *peer = plan_find_peer(p->report, id);
    bool usable = node != NULL && node->state != NODE_REMOVED && !node->down &&
                  (peer == NULL || (peer->flags & PEER_FLAG_DAMAGED) == 0);

    return (unsigned)usable << 4 | (unsigned)is_voter(p->region, id) << 3 |
           (unsigned)(id == p->leader) << 2 |
           (unsigned)(id == p->goal->to) << 1 |
           (unsigned)plan_is_ready(p->report, p->nodes, id);
}

static uint64_t best_left(const struct planning *p)
{
    uint64_t best = 0;

    for (size_t i = 0; i < p->wanted_count; i++) {
        uint64_t id = p->wanted[i];

        if (!has_id(p->voters, p->voter_count, id) &&
            (best == 0 || rank(p, id) > rank(p, best)))
            best = id;
    }
    return best;
}

/* Rule 1. */
static size_t voters_of(size_t replicas, size_t voters_max)
{
    size_t voters = replicas < voters_max ? replicas : voters_max;

    if (voters >= 5)
        return 5;
    return voters >= 3 ? 3 : 1;
}

static void want_voters(struct planning *p)
{
    size_t count = voters_of(p->wanted_count, p->nodes->replicas);

    while (p->voter_count < count && p->voter_count < p->wanted_count)
        p->voters[p->voter_count++] = best_left(p);
}

static void planning_init(struct planning *p,
                          const struct region_report *report,
                          uint64_t leader_node, const struct plan_nodes *nodes,
                          const struct plan_goal *goal)
{
    *p = (struct planning){
        .report = report,
        .region = &report->region,
        .nodes = nodes,
        .goal = goal,
        .leader = leader_node,
    };
    want_nodes(p);
    want_voters(p);
}

/* Rule 2. */
static bool keeps_quorum(const struct planning *p)
{
    size_t reachable = 0;

    for (size_t i = 0; i < p->voter_count; i++)
        reachable += is_reachable(p->report, p->nodes, p->voters[i]);
    return reachable > p->voter_count / 2;
}

/* ---- steps ---- */

static void begin(struct plan *ret, const struct planning *p,
                  enum step_kind kind)
{
    *ret = (struct plan){
        .step = {.kind = kind,
                 .region = p->region->id,
                 .conf_ver = p->region->conf_ver,
                 .version = p->region->version},
    };
}

static void add_change(struct plan *plan, uint64_t node, enum peer_role role)
{
    plan->step.changes[plan->step.change_count++] =
        (struct step_change){node, role};
}

static void one_change(struct plan *ret, const struct planning *p,
                       enum step_kind kind, uint64_t node, enum peer_role role)
{
    begin(ret, p, kind);
    ret->node = node;
    add_change(ret, node, role);
}

static void stop(struct plan *ret, const struct planning *p,
                 enum step_kind kind, uint64_t node, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* A plan without a step, for this reason. */
static void stop(struct plan *ret, const struct planning *p,
                 enum step_kind kind, uint64_t node, const char *format, ...)
{
    va_list args;

    begin(ret, p, kind);
    ret->node = node;
    va_start(args, format);
    (void)vsnprintf(ret->why, sizeof ret->why, format, args);
    va_end(args);
}

/* Of those that vote now and are to go on. 0: none that could lead. */
static uint64_t find_successor(const struct planning *p)
{
    uint64_t best = 0;

    for (size_t i = 0; i < p->voter_count; i++) {
        uint64_t id = p->voters[i];

        if (id == p->leader || !is_voter(p->region, id) ||
            !plan_is_ready(p->report, p->nodes, id))
            continue;
        if (best == 0 || plan_find_peer(p->report, id)->match >
                             plan_find_peer(p->report, best)->match)
            best = id;
    }
    return best;
}

/* Any voter of the new configuration: what is wanted does not matter now. */
static uint64_t find_new_voter(const struct planning *p)
{
    for (size_t i = 0; i < p->region->peer_count; i++) {
        uint64_t id = p->region->peers[i].node;

        if (is_voter(p->region, id) && plan_is_ready(p->report, p->nodes, id))
            return id;
    }
    return 0;
}

/* Rule 3. A leader that would be out of office at the end hands over while
 * the region still has one. */
static void plan_leave(const struct planning *p, struct plan *ret)
{
    uint64_t successor = find_new_voter(p);

    if (!is_voter(p->region, p->leader) && successor != 0)
        one_change(ret, p, STEP_TRANSFER, successor, PEER_VOTER);
    else if (p->region->auto_leave)
        stop(ret, p, STEP_WAIT, 0, "the region leaves its joint configuration");
    else
        begin(ret, p, STEP_LEAVE);
}

static bool plan_add(const struct planning *p, struct plan *ret)
{
    uint64_t to = p->goal->to;
    const struct plan_node *node = plan_find_node(p->nodes, to);

    if (to == 0 || plan_find_peer(p->report, to) != NULL)
        return false;
    if (node == NULL || node->state == NODE_REMOVED)
        stop(ret, p, STEP_FAIL, to, "node %" PRIu64 " is no member", to);
    else if (node->state == NODE_DRAINING)
        stop(ret, p, STEP_FAIL, to, "node %" PRIu64 " is being drained", to);
    else if (node->down)
        stop(ret, p, STEP_FAIL, to, "node %" PRIu64 " is down", to);
    else if (p->region->peer_count == REGION_PEERS_MAX)
        stop(ret, p, STEP_FAIL, to, "the region has too many replicas");
    else if (!node->live)
        stop(ret, p, STEP_WAIT, to, "node %" PRIu64 " cannot be reached", to);
    else
        one_change(ret, p, STEP_ADD, to, PEER_LEARNER);
    return true;
}

/* The learner that is to have caught up before anybody goes for it. */
static bool plan_catch_up(const struct planning *p, uint64_t id,
                          struct plan *ret)
{
    const struct plan_node *node = plan_find_node(p->nodes, id);

    if (plan_is_ready(p->report, p->nodes, id))
        return false;
    if (id == p->goal->to &&
        (node == NULL || node->down || node->state == NODE_REMOVED))
        stop(ret, p, STEP_FAIL, id, "node %" PRIu64 " is down", id);
    else if (!is_live(p->nodes, id))
        stop(ret, p, STEP_WAIT, id, "node %" PRIu64 " cannot be reached", id);
    else
        stop(ret, p, STEP_WAIT, id, "node %" PRIu64 " catches up", id);
    return true;
}

static void add_role_changes(const struct planning *p, struct plan *ret)
{
    for (size_t i = 0; i < p->region->peer_count; i++) {
        uint64_t node = p->region->peers[i].node;
        bool votes = is_voter(p->region, node);
        bool is_to_vote = has_id(p->voters, p->voter_count, node);

        if (votes != is_to_vote)
            add_change(ret, node, is_to_vote ? PEER_VOTER : PEER_LEARNER);
    }
}

static bool plan_voters(const struct planning *p, struct plan *ret)
{
    struct plan change;
    uint64_t successor;

    begin(&change, p, STEP_VOTERS);
    add_role_changes(p, &change);
    if (change.step.change_count == 0)
        return false;
    for (size_t i = 0; i < p->voter_count; i++)
        if (!is_voter(p->region, p->voters[i]) &&
            plan_catch_up(p, p->voters[i], ret))
            return true;
    if (!keeps_quorum(p)) {
        stop(ret, p, STEP_WAIT, 0, "too few of its voters can be reached");
        return true;
    }
    successor = find_successor(p);
    if (!has_id(p->voters, p->voter_count, p->leader) && successor != 0)
        one_change(ret, p, STEP_TRANSFER, successor, PEER_VOTER);
    else
        *ret = change;
    return true;
}

/* All that is not wanted is a learner by now. */
static bool plan_remove(const struct planning *p, struct plan *ret)
{
    uint64_t from = p->goal->from;

    if (from == 0 || plan_find_peer(p->report, from) == NULL)
        return false;
    one_change(ret, p, STEP_REMOVE, from, PEER_LEARNER);
    return true;
}

static bool plan_lead(const struct planning *p, struct plan *ret)
{
    uint64_t leader = p->goal->leader;

    if (leader == 0 || leader == p->leader)
        return false;
    if (!is_voter(p->region, leader))
        stop(ret, p, STEP_FAIL, leader, "node %" PRIu64 " is no voter", leader);
    else if (!plan_is_ready(p->report, p->nodes, leader))
        stop(ret, p, STEP_FAIL, leader, "node %" PRIu64 " is not ready to lead",
             leader);
    else
        one_change(ret, p, STEP_TRANSFER, leader, PEER_VOTER);
    return true;
}

void plan_next(const struct region_report *report, uint64_t leader_node,
               const struct plan_nodes *nodes, const struct plan_goal *goal,
               struct plan *ret)
{
    struct planning p;

    planning_init(&p, report, leader_node, nodes, goal);
    if (region_is_joint(p.region))
        plan_leave(&p, ret);
    else if (p.wanted_count == 0)
        stop(ret, &p, STEP_FAIL, goal->from, "it is the last replica");
    else if (!plan_add(&p, ret) && !plan_voters(&p, ret) &&
             !(goal->to != 0 && plan_catch_up(&p, goal->to, ret)) &&
             !plan_remove(&p, ret) && !plan_lead(&p, ret))
        begin(ret, &p, STEP_NONE);
}

/* ---- checking ---- */

static int refuse(int rc, char why[GOAL_WHY_SIZE], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(int rc, char why[GOAL_WHY_SIZE], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, GOAL_WHY_SIZE, format, args);
    va_end(args);
    return rc;
}

static int check_node(const struct plan_nodes *nodes, uint64_t id,
                      char why[GOAL_WHY_SIZE])
{
    const struct plan_node *node = plan_find_node(nodes, id);

    if (id != 0 && (node == NULL || node->state == NODE_REMOVED))
        return refuse(ERR_NOT_FOUND, why, "there is no node %" PRIu64, id);
    return 0;
}

static int check_places(const struct region_report *report,
                        const struct plan_goal *goal, char why[GOAL_WHY_SIZE])
{
    if (goal->to != 0 && plan_find_peer(report, goal->to) != NULL)
        return refuse(ERR_INVALID, why,
                      "node %" PRIu64 " has a replica of it already", goal->to);
    if (goal->from != 0 && plan_find_peer(report, goal->from) == NULL)
        return refuse(ERR_INVALID, why, "node %" PRIu64 " has no replica of it",
                      goal->from);
    return 0;
}

static int check_target(const struct plan_nodes *nodes, uint64_t id,
                        char why[GOAL_WHY_SIZE])
{
    const struct plan_node *node = plan_find_node(nodes, id);

    if (node == NULL)
        return 0;
    if (node->state == NODE_DRAINING)
        return refuse(ERR_NOT_PERMITTED, why,
                      "node %" PRIu64 " is being drained", id);
    if (!node->live)
        return refuse(ERR_NOT_PERMITTED, why,
                      "node %" PRIu64 " cannot be reached", id);
    return 0;
}

int plan_check(const struct region_report *report, uint64_t leader_node,
               const struct plan_nodes *nodes, const struct plan_goal *goal,
               char why[GOAL_WHY_SIZE])
{
    struct planning p;
    int rc = check_node(nodes, goal->from, why);

    if (rc == 0)
        rc = check_node(nodes, goal->to, why);
    if (rc == 0)
        rc = check_places(report, goal, why);
    if (rc == 0)
        rc = check_target(nodes, goal->to, why);
    if (rc != 0)
        return rc;
    planning_init(&p, report, leader_node, nodes, goal);
    if (p.wanted_count == 0)
        return refuse(ERR_NOT_PERMITTED, why,
                      "node %" PRIu64 " has its last replica", goal->from);
    if (!keeps_quorum(&p))
        return refuse(ERR_NOT_PERMITTED, why,
                      "without node %" PRIu64
                      " too few of its voters could be reached",
                      goal->from);
    return 0;
}
