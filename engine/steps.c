/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/steps.h"

#include <inttypes.h>
#include <stdlib.h>

#include "engine/merge.h"
#include "engine/peer_change.h"
#include "engine/reporter.h"

/* A node that has no replica yet gets a new peer. */
static void add_change(const struct region *region,
                       const struct step_change *wanted, bool remove,
                       struct peer_change *change)
{
    const struct region_peer *peer = region_find_node(region, wanted->node);
    struct peer_step *step = &change->steps[change->count++];

    if (remove)
        step->type = RAFT_REMOVE_PEER;
    else if (wanted->role == PEER_VOTER)
        step->type = RAFT_ADD_VOTER;
    else
        step->type = RAFT_ADD_LEARNER;
    step->peer = peer != NULL ? peer->id : region->peer_max + 1;
    step->node = peer != NULL ? 0 : wanted->node;
}

/* A voter that lacks much would stop the region until it has caught up. */
static bool may_vote(const struct node *node, const struct peer *peer,
                     const struct step_change *wanted)
{
    const struct region_peer *replica =
        region_find_node(peer_region(peer), wanted->node);

    return replica != NULL && (reporter_peer_flags(node, peer, replica) &
                               PEER_FLAG_CAUGHT_UP) != 0;
}

static int change_members(struct node *node, struct peer *peer,
                          const struct step *step)
{
    const struct region *region = peer_region(peer);
    struct peer_change change = {.conf_ver = step->conf_ver};

    if (step->kind == STEP_VOTERS && step->change_count > 1)
        change.transition = RAFT_TRANSITION_EXPLICIT;
    for (size_t i = 0; i < step->change_count; i++) {
        const struct step_change *wanted = &step->changes[i];

        if (step->kind == STEP_VOTERS && wanted->role == PEER_VOTER &&
            !may_vote(node, peer, wanted))
            return ERR_NOT_PERMITTED;
        if (step->kind == STEP_REMOVE &&
            region_find_node(region, wanted->node) == NULL)
            return ERR_INVALID;
        add_change(region, wanted, step->kind == STEP_REMOVE, &change);
    }
    return peer_propose_change(peer, &change);
}

static int transfer(struct node *node, struct peer *peer,
                    const struct step *step)
{
    if (step->change_count != 1 || !may_vote(node, peer, &step->changes[0]))
        return ERR_NOT_PERMITTED;
    return peer_transfer(peer, step->changes[0].node) ? 0 : ERR_NOT_PERMITTED;
}

/* Region 0's leader sees by its reports what has come of it. */
static void merged(struct merge_wait *wait, int status, const char *why)
{
    log_line(LOG_DEBUG, "placement", "a merge has ended: %s%s%s",
             err_text(status), *why != '\0' ? ": " : "", why);
    free(wait);
}

static int take_over(struct node *node, const struct step *step)
{
    const struct peer *source = node_peer(node, step->source);
    struct merge_wait *wait;

    if (source == NULL || peer_region(source)->version != step->source_version)
        return ERR_EPOCH;
    wait = mem_zalloc(sizeof *wait);
    wait->done = merged;
    merge_start(wait, node, step->region, step->source);
    return 0;
}

int step_carry_out(struct node *node, const struct step *step)
{
    struct peer *peer = node_peer(node, step->region);

    if (step->kind == STEP_REPORT) {
        reporter_tell_all(node_reporter(node));
        return 0;
    }
    if (peer == NULL || !peer_is_serving(peer))
        return ERR_NOT_LEADER;
    if (step->conf_ver != peer_region(peer)->conf_ver ||
        step->version != peer_region(peer)->version) {
        reporter_tell_again(node_reporter(node), step->region);
        return ERR_EPOCH;
    }
    if (step->kind == STEP_TRANSFER)
        return transfer(node, peer, step);
    if (step->kind == STEP_MERGE)
        return take_over(node, step);
    return change_members(node, peer, step);
}

void step_on_packet(struct node *node, const struct env_packet *packet)
{
    struct step step;
    int rc = step_decode(
        &step, (struct slice){packet->header->data, packet->header->size});

    if (rc == 0)
        rc = step_carry_out(node, &step);
    if (rc != 0)
        log_line(LOG_DEBUG, "placement",
                 "region=%" PRIu64 " a step was not done: %s", step.region,
                 err_text(rc));
}
