/* SPDX-License-Identifier: Apache-2.0 */

/* One peer under test, with a storage in memory. What it sends is collected,
 * what others would answer is made up by the test. */

#ifndef GROVEFS_TESTS_RAFT_PEER_H
#define GROVEFS_TESTS_RAFT_PEER_H

#include "tests/raft/memory_storage.h"

enum { PEER_ELECTION_TICKS = 10, PEER_HEARTBEAT_TICKS = 1 };

struct peer {
    struct raft *raft;
    struct raft_config config; /* may be changed before peer_start */
    struct raft_conf_state conf;
    struct memory_storage storage;
    struct raft_messages sent; /* since peer_forget */
    struct raft_entries applied;
    struct raft_read_state read_state; /* the last one */
    unsigned read_state_count;
};

/* Peer 1 of the voters 1 to `voter_count`, not yet started. */
void peer_init(struct peer *p, uint64_t voter_count);
void peer_start(struct peer *p);
void peer_close(struct peer *p);

/* All of the above, and a leader in term 1 with its first entry (index 1)
 * stable but not acknowledged by others; nothing in `sent`. */
void peer_lead(struct peer *p, uint64_t voter_count);

/* Does what readies ask for until there are none. */
void peer_pump(struct peer *p);

/* Steps a message to this peer, then pumps. Returns what raft_step does. */
int peer_receive(struct peer *p, const struct raft_message *m);

/* A leader's MsgAppResp from `from`. */
void peer_acknowledge(struct peer *p, uint64_t from, uint64_t index);

/* A MsgApp from peer 2 in `term` with `count` entries of `entry_term`. */
void peer_append(struct peer *p, uint64_t term, uint64_t prev_term,
                 uint64_t prev_index, uint64_t entry_term, size_t count,
                 uint64_t commit);
void peer_vote_from(struct peer *p, uint64_t from);
int peer_propose(struct peer *p, const char *data);
void peer_tick(struct peer *p, unsigned ticks);

/* The last message of the type that was sent, NULL when there is none. */
const struct raft_message *peer_last(const struct peer *p,
                                     enum raft_message_type type);
const struct raft_message *
peer_last_to(const struct peer *p, enum raft_message_type type, uint64_t to);
size_t peer_count(const struct peer *p, enum raft_message_type type);
void peer_forget(struct peer *p);

/* Stored before the start: entries of these terms, from index 1 on. */
void peer_store(struct peer *p, const uint64_t *terms, size_t count);

struct raft_status peer_status(const struct peer *p);

#endif
