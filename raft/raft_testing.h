/* SPDX-License-Identifier: Apache-2.0 */

/* What only tests may do to a peer. Nothing outside of tests/ includes this. */

#ifndef GROVEFS_RAFT_RAFT_TESTING_H
#define GROVEFS_RAFT_RAFT_TESTING_H

#include "raft/raft.h"

/* Replaces the random election timeout, until the next one is drawn. */
void raft_testing_set_election_timeout(struct raft *r, unsigned ticks);

/* From now on ready.after_append also holds, in order, the messages to self,
 * and the host steps them like all others once the write is durable. A
 * scenario can then show them, delay them and put them out of order. */
void raft_testing_self_acks_outside(struct raft *r);

/* Requests for votes do not wait for the disk: so the shared scenarios want
 * it, and it is not safe. */
void raft_testing_requests_at_once(struct raft *r);

#endif
