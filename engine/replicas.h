/* SPDX-License-Identifier: Apache-2.0 */

/* Which regions have a replica on this node: they are opened at the start,
 * made when a leader sends to a peer that is to be here, and erased when the
 * peer was removed from its region.
 *
 * A removed peer learns so from its log, or, since nobody sends to it any
 * more, by asking: after some silence it asks all nodes, and one that has
 * applied the removal says so. That is for ever true, because a peer id never
 * comes back. What is left then is a tombstone, for which the node goes on to
 * answer when it is asked for a vote: see learn_commit() in raft/election.c,
 * without which a removed voter could be missed.
 *
 * A region that was merged into another one goes on each node when its target
 * there gets that far, and leaves a tombstone for all its peers; one whose
 * target has left the node meanwhile, or has given it up, learns it by asking,
 * too, or from region 0, which knows all regions that are no more.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_REPLICAS_H
#define GROVEFS_ENGINE_REPLICAS_H

#include "engine/barrier.h"
#include "engine/node.h"

struct replicas;

struct replicas *replicas_new(struct node *node);
/* Opens what the store has. May block; before the worker runs. ERR_CORRUPT,
 * ERR_VERSION, ERR_IO. */
int replicas_open(struct replicas *replicas, struct err *e);
void replicas_free(struct replicas *replicas); /* Takes NULL. */

/* The replica of a region that has state, or NULL. */
struct peer *replicas_find(const struct replicas *replicas, uint64_t region);
/* Also one without state yet. */
struct peer *replicas_find_any(const struct replicas *replicas,
                               uint64_t region);
/* That of the data region that has a user key; it has state. */
struct peer *replicas_at(const struct replicas *replicas,
                         struct slice user_key);
/* Those that have state, by ascending region id: the one behind `peer`, or the
 * first one for NULL; NULL at the end. */
struct peer *replicas_next(const struct replicas *replicas,
                           const struct peer *peer);
/* What other threads may see of them. */
struct hosted *replicas_hosted(const struct replicas *replicas);
/* Of a replica that has state. */
struct barrier *replicas_barrier(const struct replicas *replicas,
                                 uint64_t region);
void replicas_on_leader_change(struct replicas *replicas, uint64_t region);

/* Whether another region than this one has, or until it is erased had, a
 * replica here with a range that overlaps the region's. */
bool replicas_overlap(const struct replicas *replicas,
                      const struct region *region);

bool replicas_are_erasing(const struct replicas *replicas);

/* Each TICK_MS; does not visit those that sleep. */
void replicas_tick(struct replicas *replicas);
void replicas_each_second(struct replicas *replicas);
/* Those that do not sleep, in no order: the one behind `peer`, or the first one
 * for NULL; NULL at the end. */
struct peer *replicas_next_awake(const struct replicas *replicas,
                                 const struct peer *peer);
/* A peer has fallen asleep or woken up. */
void replicas_on_sleep(struct replicas *replicas, struct peer *peer);
void replicas_on_liveness(struct replicas *replicas, uint64_t node_id,
                          bool alive);
void replicas_on_link_down(struct replicas *replicas, uint64_t node_id);

void replicas_on_message(struct replicas *replicas, uint64_t from_node,
                         const struct raft_envelope *envelope);
/* WIRE_PEER_QUERY and WIRE_PEER_GONE. */
void replicas_on_query(struct replicas *replicas, uint64_t from_node,
                       const struct env_packet *packet);
void replicas_on_gone(struct replicas *replicas,
                      const struct env_packet *packet);

/* A split of `peer` into what it is now and `right` is about to be applied:
 * what comes of `right` here. It has no replica until that is done. */
enum split_side replicas_on_split(struct replicas *replicas, struct peer *peer,
                                  const struct region *right);
/* It was applied. `kept`: its state is there, and it is opened; `campaign`: it
 * is to be led from here. */
void replicas_on_split_applied(struct replicas *replicas, uint64_t region,
                               bool kept, bool campaign);

/* The entry by which `target` takes over this region is about to be applied.
 * False: no replica of it that is frozen for this attempt, and whole, is here.
 * Else it is stopped; its state stays. */
bool replicas_on_merge(struct replicas *replicas, const struct peer *target,
                       uint64_t source, uint64_t attempt);
/* It was applied: the whole is the target's now (NULL: that was stopped). Or it
 * was not: what is left of the source is of no use and goes. */
void replicas_on_merge_applied(struct replicas *replicas, struct peer *target,
                               uint64_t source, bool applied);
/* A snapshot of `region` is to come, whose log has taken over another region.
 * If that has a replica here still, it goes first. */
void replicas_drop_absorbed(struct replicas *replicas,
                            const struct region *region);
/* `peer` leads its region and is applying the removal of another one: says so
 * to that one's node. */
void replicas_tell_gone(struct replicas *replicas, struct peer *peer,
                        const struct region_peer *removed);

/* A peer has got its first state. */
void replicas_on_restored(struct replicas *replicas, struct peer *peer);
/* A peer has applied its own removal. */
void replicas_on_removed(struct replicas *replicas, struct peer *peer);

#endif
