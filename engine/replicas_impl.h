/* SPDX-License-Identifier: Apache-2.0 */

/* What the replicas*.c files share; for them only.
 *
 * A replica is in the table as long as anything of it is on this node. Its
 * peer, once stopped, is kept until nothing of it is under way; its state,
 * once it was removed, until that is erased. No other peer is made before. */

#ifndef GROVEFS_ENGINE_REPLICAS_IMPL_H
#define GROVEFS_ENGINE_REPLICAS_IMPL_H

#include "engine/erase.h"
#include "engine/hosted.h"
#include "engine/replicas.h"

struct replica {
    struct replicas *replicas;
    uint64_t region;
    struct peer *peer; /* NULL: none */
    bool has_state;
    struct barrier *barrier; /* NULL: nobody has waited yet */

    /* A split is bringing it: until then no other peer is made. */
    enum { NO_SPLIT, SPLIT_UNDER_WAY, SPLIT_APPLIED } split;
    unsigned campaigns; /* to be tried, until it has a leader */

    bool taken;            /* by a target, as soon as that is applied */
    struct peer *stopped;  /* waits until it has settled; NULL: none */
    struct region *erased; /* what its erasing is about, with no peer beside
                            * it; large, so not always there; NULL: none */
    struct erase erase;

    bool awake; /* is in replicas->awake */
    TAILQ_ENTRY(replica) link;
};

struct replicas {
    struct node *node;
    struct replica **items; /* by ascending region id */
    size_t count;
    size_t count_max;
    size_t splits; /* that are being applied */
    struct hosted *hosted;
    TAILQ_HEAD(, replica) awake; /* those that ticks visit */
};

/* replicas.c. NULL: there is none. */
struct replica *replica_find(const struct replicas *replicas, uint64_t region);
/* Finds it or makes an empty one. */
struct replica *replica_obtain(struct replicas *replicas, uint64_t region);
/* Drops one that has come to hold nothing. */
void replica_drop_if_empty(struct replica *replica);
/* To be called when something has changed. */
void replica_note_awake(struct replica *replica);
/* Its peer has state, or another range than before. */
void replica_publish(struct replica *replica);

/* replicas_change.c: opens what a split has brought, as soon as that is applied
 * and who waited here for state has settled. */
void replica_open_split(struct replica *replica);
void replica_campaign_again(struct replica *replica);

/* replicas_removed.c. The peer takes part no more; its state goes once nothing
 * of it is under way, and what reads it elsewhere has been told. Its tombstone
 * is for `peer_id`, at what it knows to be committed. Without region 0 there is
 * no node: its store is left as it is. */
void replica_remove(struct replica *replica, uint64_t peer_id);
/* Takes over `region`; erase_start() is left to the caller. */
void replica_plan_erase(struct replica *replica, struct region region,
                        const struct tombstone *tombstone);
void replica_free_erased(struct replica *replica);
/* Whether a peer of its region was removed, which its node is then told. */
bool replica_tell_removed(struct replica *replica, uint64_t to,
                          uint64_t peer_id);
/* Says for a removed peer what is known to be committed. */
void replica_vote_for_the_dead(struct replica *replica, uint64_t from_node,
                               const struct raft_message *message,
                               const struct tombstone *tombstone);

#endif
