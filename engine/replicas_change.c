/* SPDX-License-Identifier: Apache-2.0 */

/* Replicas that come with a split of a region that is here, and those that go
 * into another one with a merge. */

#include <assert.h>

#include "engine/merge_change.h"
#include "engine/reader.h"
#include "engine/replicas_impl.h"

enum { CAMPAIGNS = 20 /* the others may not have come that far */ };

/* ---- splitting ---- */

/* What a peer without state has said, it said for the one that is made now: its
 * log holds the votes. */
static void stop_waiting_peer(struct replica *replica)
{
    if (replica->peer == NULL)
        return;
    assert(!replica->has_state);
    peer_stop(replica->peer);
    replica->stopped = replica->peer;
    replica->peer = NULL;
    replica_note_awake(replica);
}

static enum split_side side_of(struct replica *replica, uint64_t peer_id_new)
{
    struct tombstone tombstone = {0};

    if (replica->has_state)
        return SPLIT_LEAVE;
    if (replica->erased != NULL ||
        (replica->peer != NULL && peer_id(replica->peer) > peer_id_new))
        return SPLIT_DROP;
    (void)tombstone_read(node_env(replica->replicas->node), replica->region,
                         &tombstone); /* None: as it is. */
    return tombstone.peer >= peer_id_new ? SPLIT_DROP : SPLIT_KEEP;
}

enum split_side replicas_on_split(struct replicas *replicas, struct peer *peer,
                                  const struct region *right)
{
    struct replica *replica = replica_obtain(replicas, right->id);
    const struct region_peer *self =
        region_find_node(right, node_id(replicas->node));
    enum split_side side =
        self == NULL ? SPLIT_DROP : side_of(replica, self->id);

    replicas->splits++;
    hosted_put(replicas->hosted, peer);
    if (side == SPLIT_KEEP) {
        stop_waiting_peer(replica);
        replica->split = SPLIT_UNDER_WAY;
    }
    replica_drop_if_empty(replica);
    return side;
}

void replica_open_split(struct replica *replica)
{
    struct err e = ERR_INIT;
    struct node *node = replica->replicas->node;
    int rc;

    if (replica->split != SPLIT_APPLIED || replica->stopped != NULL)
        return;
    replica->split = NO_SPLIT;
    rc = peer_open(&replica->peer, node, replica->region, &e);
    if (rc != 0) {
        env_fatal(node_env(node), e.text);
        return;
    }
    replica_publish(replica);
    replica_note_awake(replica);
    reader_on_replica_new(node_reader(node));
    if (replica->campaigns > 0)
        peer_campaign(replica->peer);
}

void replicas_on_split_applied(struct replicas *replicas, uint64_t region,
                               bool kept, bool campaign)
{
    struct replica *replica = replica_find(replicas, region);

    assert(replicas->splits > 0);

    replicas->splits--;
    if (replica == NULL || replica->split != SPLIT_UNDER_WAY)
        return;
    replica->split = kept ? SPLIT_APPLIED : NO_SPLIT;
    replica->campaigns = campaign ? CAMPAIGNS : 0;
    replica_open_split(replica);
    replica_drop_if_empty(replica);
}

void replica_campaign_again(struct replica *replica)
{
    if (replica->campaigns == 0 || replica->peer == NULL)
        return;
    replica->campaigns--;
    if (peer_leader_node(replica->peer) != 0)
        replica->campaigns = 0;
    else
        peer_campaign(replica->peer);
}

/* ---- merging ---- */

bool replicas_on_merge(struct replicas *replicas, const struct peer *target,
                       uint64_t source, uint64_t attempt)
{
    struct replica *replica = replica_find(replicas, source);

    if (replica == NULL || !replica->has_state ||
        peer_is_damaged(replica->peer) || peer_is_restoring(replica->peer) ||
        !region_is_frozen_for(peer_region(replica->peer),
                              peer_region_id(target), attempt))
        return false;
    replica_remove(replica, TOMBSTONE_OF_ALL);
    replica->taken = true;
    return true;
}

void replicas_on_merge_applied(struct replicas *replicas, struct peer *target,
                               uint64_t source, bool applied)
{
    struct replica *replica = replica_find(replicas, source);

    assert(replica != NULL && replica->taken);

    replica->taken = false;
    if (applied) {
        region_release(replica->erased);
        replica->erased->id = source; /* Its range is the target's. */
    }
    if (applied && target != NULL)
        hosted_put(replicas->hosted, target);
}

void replicas_drop_absorbed(struct replicas *replicas,
                            const struct region *region)
{
    struct replica *replica =
        region->absorbed == 0 ? NULL : replica_find(replicas, region->absorbed);

    if (replica == NULL || replica->peer == NULL ||
        peer_is_restoring(replica->peer))
        return;
    replica_remove(replica, TOMBSTONE_OF_ALL);
}
