/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/peer_change.h"

#include <assert.h>
#include <string.h>

#include "raft/base/err.h"

/* ---- descriptors ---- */

static void copy_ids(struct raft_id_set *to, const uint64_t *ids, size_t count)
{
    to->count = count;
    for (size_t i = 0; i < count; i++)
        to->id[i] = ids[i];
}

void region_conf_state(const struct region *region, struct raft_conf_state *ret)
{
    copy_ids(&ret->voters, region->voters, region->voter_count);
    copy_ids(&ret->voters_outgoing, region->voters_outgoing,
             region->voter_outgoing_count);
    copy_ids(&ret->learners, region->learners, region->learner_count);
    copy_ids(&ret->learners_next, region->learners_next,
             region->learner_next_count);
    ret->auto_leave = region->auto_leave;
}

bool region_is_joint(const struct region *region)
{
    return region->voter_outgoing_count > 0;
}

const struct region_peer *region_find_peer(const struct region *region,
                                           uint64_t peer_id)
{
    for (size_t i = 0; i < region->peer_count; i++)
        if (region->peers[i].id == peer_id)
            return &region->peers[i];
    return NULL;
}

const struct region_peer *region_find_node(const struct region *region,
                                           uint64_t node_id)
{
    for (size_t i = 0; i < region->peer_count; i++)
        if (region->peers[i].node == node_id)
            return &region->peers[i];
    return NULL;
}

/* ---- checking ---- */

static bool is_new(const struct region *region, const struct peer_step *step)
{
    return region_find_peer(region, step->peer) == NULL;
}

static bool node_comes_twice(const struct peer_change *change, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (change->steps[i].node == change->steps[at].node)
            return true;
    return false;
}

static int check_new(const struct region *region,
                     const struct peer_change *change, size_t at,
                     uint64_t *peer_max)
{
    const struct peer_step *step = &change->steps[at];

    if (step->type != RAFT_ADD_VOTER && step->type != RAFT_ADD_LEARNER)
        return ERR_INVALID;
    if (step->peer <= *peer_max || step->node == 0)
        return ERR_INVALID;
    if (region_find_node(region, step->node) != NULL ||
        node_comes_twice(change, at))
        return ERR_INVALID;
    *peer_max = step->peer;
    return 0;
}

static int check_steps(const struct region *region,
                       const struct peer_change *change)
{
    uint64_t peer_max = region->peer_max;
    size_t count = region->peer_count;

    for (size_t i = 0; i < change->count; i++) {
        int rc = 0;

        if (is_new(region, &change->steps[i])) {
            rc = check_new(region, change, i, &peer_max);
            count++;
        } else if (change->steps[i].type == RAFT_UPDATE_PEER ||
                   change->steps[i].node != 0) {
            rc = ERR_INVALID;
        }
        if (rc != 0)
            return rc;
    }
    return count <= REGION_PEERS_MAX ? 0 : ERR_INVALID;
}

int peer_change_check(const struct region *region,
                      const struct peer_change *change)
{
    if (change->conf_ver != region->conf_ver)
        return ERR_EPOCH;
    if (region->merge.state != MERGE_NONE)
        return ERR_BUSY;
    if (change->count == 0)
        return region_is_joint(region) ? 0 : ERR_INVALID;
    return region_is_joint(region) ? ERR_INVALID : check_steps(region, change);
}

/* ---- to Raft and back ---- */

void peer_change_to_raft(const struct peer_change *change,
                         struct raft_conf_change *ret)
{
    struct change_context context = {.conf_ver = change->conf_ver,
                                     .node_count = change->count};

    assert(change->count <= REGION_PEERS_MAX);

    ret->transition = change->transition;
    ret->count = change->count;
    for (size_t i = 0; i < change->count; i++) {
        ret->change[i].type = change->steps[i].type;
        ret->change[i].peer = change->steps[i].peer;
        context.nodes[i] = change->steps[i].node;
    }
    ret->context = change_context_encode(&context);
}

static int read_context(const struct buf *bytes, struct peer_change *ret)
{
    struct change_context context;
    int rc = change_context_decode(&context, buf_slice(bytes));

    if (rc != 0)
        return rc;
    if (context.node_count != ret->count)
        return ERR_CORRUPT;
    ret->conf_ver = context.conf_ver;
    for (size_t i = 0; i < ret->count; i++)
        ret->steps[i].node = context.nodes[i];
    return 0;
}

int peer_change_from_raft(const struct raft_conf_change *conf_change,
                          const struct region *region, struct peer_change *ret)
{
    *ret = (struct peer_change){
        .conf_ver = region->conf_ver,
        .transition = conf_change->transition,
        .count = conf_change->count,
    };
    if (conf_change->context == NULL)
        return conf_change->count == 0 ? 0 : ERR_CORRUPT;
    if (conf_change->count > REGION_PEERS_MAX)
        return ERR_CORRUPT;
    for (size_t i = 0; i < conf_change->count; i++) {
        ret->steps[i].type = conf_change->change[i].type;
        ret->steps[i].peer = conf_change->change[i].peer;
    }
    return read_context(conf_change->context, ret);
}

/* ---- applying ---- */

static void take_ids(uint64_t *to, size_t *ret_count,
                     const struct raft_id_set *from)
{
    assert(from->count <= REGION_PEERS_MAX);

    *ret_count = from->count;
    memcpy(to, from->id, from->count * sizeof *to);
}

static void take_conf_state(struct region *region,
                            const struct raft_conf_state *state)
{
    take_ids(region->voters, &region->voter_count, &state->voters);
    take_ids(region->voters_outgoing, &region->voter_outgoing_count,
             &state->voters_outgoing);
    take_ids(region->learners, &region->learner_count, &state->learners);
    take_ids(region->learners_next, &region->learner_next_count,
             &state->learners_next);
    region->auto_leave = state->auto_leave;
}

static bool has_id(const struct raft_id_set *set, uint64_t id)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->id[i] == id)
            return true;
    return false;
}

static bool is_voter(const struct raft_conf_state *state, uint64_t id)
{
    return has_id(&state->voters, id) || has_id(&state->voters_outgoing, id);
}

/* Those that Raft still has, with the part that they play in it. */
static void keep_members(struct region *region,
                         const struct raft_conf_state *state)
{
    size_t kept = 0;

    for (size_t i = 0; i < region->peer_count; i++) {
        struct region_peer peer = region->peers[i];

        if (is_voter(state, peer.id))
            peer.role = PEER_VOTER;
        else if (has_id(&state->learners, peer.id))
            peer.role = PEER_LEARNER;
        else
            continue;
        region->peers[kept++] = peer;
    }
    region->peer_count = kept;
}

void peer_change_apply(const struct peer_change *change,
                       const struct raft_conf_state *state,
                       struct region *region)
{
    for (size_t i = 0; i < change->count; i++) {
        const struct peer_step *step = &change->steps[i];

        if (!is_new(region, step))
            continue;
        region->peers[region->peer_count++] =
            (struct region_peer){.id = step->peer, .node = step->node};
        region->peer_max = step->peer;
    }
    take_conf_state(region, state);
    keep_members(region, state);
    region->conf_ver++;
}
