/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/members_plan.h"

#include <assert.h>
#include <stdlib.h>

#include "engine/founding.h"

/* Rule 4: the better ones come first. */
enum rank { RANK_LEADER, RANK_VOTER, RANK_VOTER_AWAY, RANK_LEARNER, RANK_LOST };

struct candidate {
    const struct region_peer *peer;
    const struct member_node *node;
    enum rank rank;
};

const struct member_node *members_view_find(const struct members_view *view,
                                            uint64_t id)
{
    for (size_t i = 0; i < view->node_count; i++)
        if (view->nodes[i].id == id)
            return &view->nodes[i];
    return NULL;
}

static void add_step(struct members_step *step, enum raft_conf_change_type type,
                     uint64_t peer, uint64_t node)
{
    step->kind = MEMBERS_CHANGE;
    step->change.steps[step->change.count++] =
        (struct peer_step){type, peer, node};
}

/* ---- replicas: rule 2 ---- */

static bool drop_removed(const struct members_view *view,
                         struct members_step *step)
{
    for (size_t i = 0; i < view->region->peer_count; i++) {
        const struct region_peer *peer = &view->region->peers[i];
        const struct member_node *node = members_view_find(view, peer->node);

        if (peer->role != PEER_LEARNER || node->state != NODE_REMOVED)
            continue;
        add_step(step, RAFT_REMOVE_PEER, peer->id, 0);
        return true;
    }
    return false;
}

static bool add_missing(const struct members_view *view,
                        struct members_step *step)
{
    if (view->region->peer_count == REGION_PEERS_MAX)
        return false;
    for (size_t i = 0; i < view->node_count; i++) {
        const struct member_node *node = &view->nodes[i];

        if (node->state == NODE_REMOVED || !node->up ||
            region_find_node(view->region, node->id) != NULL)
            continue;
        add_step(step, RAFT_ADD_LEARNER, view->region->peer_max + 1, node->id);
        return true;
    }
    return false;
}

/* ---- votes: rules 3 to 5 ---- */

static bool may_vote(const struct region_peer *peer,
                     const struct member_node *node)
{
    if (node->state != NODE_UP)
        return false;
    return peer->role == PEER_VOTER || (node->up && node->caught_up);
}

static enum rank rank_of(const struct members_view *view,
                         const struct region_peer *peer,
                         const struct member_node *node)
{
    if (peer->role == PEER_LEARNER)
        return RANK_LEARNER;
    if (node->id == view->leader)
        return RANK_LEADER;
    if (node->up)
        return RANK_VOTER;
    return node->lost ? RANK_LOST : RANK_VOTER_AWAY;
}

static int by_rank(const void *a, const void *b)
{
    const struct candidate *left = a;
    const struct candidate *right = b;

    if (left->rank != right->rank)
        return left->rank < right->rank ? -1 : 1;
    return left->node->id < right->node->id ? -1 : 1;
}

/* The voters that there are to be. Returns how many: 1, 3 or 5; 0 when nobody
 * may vote. */
static size_t choose_voters(const struct members_view *view,
                            struct candidate chosen[REGION_PEERS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < view->region->peer_count; i++) {
        const struct region_peer *peer = &view->region->peers[i];
        const struct member_node *node = members_view_find(view, peer->node);

        if (may_vote(peer, node))
            chosen[count++] =
                (struct candidate){peer, node, rank_of(view, peer, node)};
    }
    qsort(chosen, count, sizeof *chosen, by_rank);
    if (count > PLACEMENT_VOTERS_MAX)
        count = PLACEMENT_VOTERS_MAX;
    return count == 0 || count % 2 == 1 ? count : count - 1;
}

static bool has_majority(const struct candidate *chosen, size_t count)
{
    size_t up = 0;

    for (size_t i = 0; i < count; i++)
        up += chosen[i].node->up;
    return up > count / 2;
}

static bool is_chosen(const struct candidate *chosen, size_t count,
                      const struct region_peer *peer)
{
    for (size_t i = 0; i < count; i++)
        if (chosen[i].peer == peer)
            return true;
    return false;
}

/* Rule 6. */
static bool hand_over(const struct members_view *view,
                      const struct candidate *chosen, size_t count,
                      struct members_step *step)
{
    const struct region_peer *leader =
        region_find_node(view->region, view->leader);

    if (is_chosen(chosen, count, leader))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (chosen[i].rank != RANK_VOTER || !chosen[i].node->caught_up)
            continue;
        step->kind = MEMBERS_TRANSFER;
        step->node = chosen[i].node->id;
        return true;
    }
    return false;
}

static void change_votes(const struct members_view *view,
                         struct members_step *step)
{
    struct candidate chosen[REGION_PEERS_MAX];
    size_t count = choose_voters(view, chosen);

    if (!has_majority(chosen, count) || hand_over(view, chosen, count, step))
        return;
    for (size_t i = 0; i < view->region->peer_count; i++) {
        const struct region_peer *peer = &view->region->peers[i];
        bool votes = peer->role == PEER_VOTER;

        if (is_chosen(chosen, count, peer) != votes)
            add_step(step, votes ? RAFT_ADD_LEARNER : RAFT_ADD_VOTER, peer->id,
                     0);
    }
}

void members_plan(const struct members_view *view, struct members_step *ret)
{
    *ret = (struct members_step){
        .kind = MEMBERS_NOTHING,
        .change = {.conf_ver = view->region->conf_ver,
                   .transition = RAFT_TRANSITION_AUTO},
    };
    assert(region_find_node(view->region, view->leader) != NULL);

    if (region_is_joint(view->region))
        ret->kind = MEMBERS_CHANGE;
    else if (!drop_removed(view, ret) && !add_missing(view, ret))
        change_votes(view, ret);
}
