/* SPDX-License-Identifier: Apache-2.0 */

/* Who is part of the cluster: the nodes that come and go, and the members of
 * region 0, which follow them.
 *
 * A node comes by asking any member (WIRE_JOIN, see join.h), which has region 0
 * allot an id to its store. It goes in two steps, both written to control
 * files: `drain` takes its vote, and what else it holds; `remove`, when that
 * is done and what it has accepted is elsewhere (leave.h), makes it a stranger
 * whose connections are refused. What a record's state means for the votes of
 * region 0 is in members_plan.h, which its leader follows once a second.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_MEMBERS_H
#define GROVEFS_ENGINE_MEMBERS_H

#include "engine/node.h"

struct members;

struct members *members_new(struct node *node);
/* Ends what waits. */
void members_stop(struct members *members);
void members_free(struct members *members); /* Takes NULL; nothing may wait. */

/* Once a second. */
void members_tick(struct members *members);

/* On region 0's leader: it has missed the node for `down_after`, as it found
 * when it last looked. */
bool members_is_lost(const struct members *members, uint64_t id);

/* WIRE_JOIN, from a store that has no node id yet; `from` is what it goes by
 * until it has one. */
void members_on_join(struct members *members, uint64_t from,
                     const struct env_packet *packet);

/* WIRE_JOINED, to a node: it was removed, and may have nothing to tell it so.
 */
void members_on_joined(struct members *members,
                       const struct env_packet *packet);

/* What this node knows of another one. ERR_NOT_FOUND: nothing, it may have
 * joined just now. */
int members_find(struct node *node, uint64_t id, struct node_record *ret);

#endif
