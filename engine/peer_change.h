/* SPDX-License-Identifier: Apache-2.0 */

/* Changes of a region's membership, as pure functions on its descriptor: what
 * a leader may propose, what an entry of the log does to the descriptor. All
 * replicas decide alike, because they look at nothing else.
 *
 * 1. A change names the conf_ver it was planned for and does nothing at any
 *    other: no step is done twice, and none that was planned for something
 *    else. Each change that is done counts conf_ver up.
 * 2. A peer id is never used again in a region: a new one is greater than all
 *    that ever were in it.
 * 3. A node has at most one peer of a region.
 *
 * A change that adds and removes voters in one goes through a joint
 * configuration. It is left by Raft itself, or, RAFT_TRANSITION_EXPLICIT, by
 * a change without steps. Any thread. */

#ifndef GROVEFS_ENGINE_PEER_CHANGE_H
#define GROVEFS_ENGINE_PEER_CHANGE_H

#include "engine/record.h"
#include "raft/raft.h"

struct peer_step {
    enum raft_conf_change_type type; /* a learner is promoted by ADD_VOTER, a
                                      * voter demoted by ADD_LEARNER */
    uint64_t peer;
    uint64_t node; /* of a peer that is new; else 0 */
};

struct peer_change {
    uint64_t conf_ver;
    enum raft_conf_transition transition;
    struct peer_step steps[REGION_PEERS_MAX];
    size_t count; /* 0: leaves a joint configuration */
};

/* Whether a region at this point of its log does the change. ERR_EPOCH: it was
 * planned for another one; ERR_INVALID: it breaks rule 2 or 3, names a peer
 * that is not there, or there would be too many; ERR_BUSY: the region is just
 * being merged. */
int peer_change_check(const struct region *region,
                      const struct peer_change *change);

/* As Raft wants it; the context is a new reference, the caller's to drop. */
void peer_change_to_raft(const struct peer_change *change,
                         struct raft_conf_change *ret);

/* Errors: ERR_CORRUPT, ERR_VERSION: the context is none of ours. Raft's own
 * change, which leaves a joint configuration, has none and any conf_ver. */
int peer_change_from_raft(const struct raft_conf_change *conf_change,
                          const struct region *region, struct peer_change *ret);

/* The descriptor after a change that was checked; `state` is what Raft made of
 * it. Peers that are in no part of `state` are gone. */
void peer_change_apply(const struct peer_change *change,
                       const struct raft_conf_state *state,
                       struct region *region);

/* A descriptor's membership as Raft wants it. */
void region_conf_state(const struct region *region,
                       struct raft_conf_state *ret);
bool region_is_joint(const struct region *region);
/* NULL: not in it. */
const struct region_peer *region_find_peer(const struct region *region,
                                           uint64_t peer_id);
const struct region_peer *region_find_node(const struct region *region,
                                           uint64_t node_id);

#endif
