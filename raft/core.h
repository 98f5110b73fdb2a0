/* SPDX-License-Identifier: Apache-2.0 */

/* The state of one peer, private to this folder, and what its parts call of
 * each other, by file. Start with the table in raft.c. */

#ifndef GROVEFS_RAFT_CORE_H
#define GROVEFS_RAFT_CORE_H

#include "raft/conf_change.h"
#include "raft/id_set.h"
#include "raft/raft_log.h"

/* A confirmation asked for by raft_read_index, here or on a follower. */
struct read_request {
    uint64_t from; /* peer that asked */
    uint64_t request;
    uint64_t index; /* commit index when it came in */
};

/* Positions count the reads of this leadership from 1; `answered` is that of
 * the one before item[0]. A heartbeat carries the position of the last one,
 * and its answer confirms all up to there. */
struct reads {
    struct read_request *item;
    size_t count;
    size_t count_max;
    uint64_t answered;
};

/* A vote or acknowledgment to self: counts when ready `number` is durable. */
struct self_ack {
    uint64_t number;
    struct raft_message message;
};

/* Everything that waits for raft_ready(). */
struct outbox {
    struct raft_messages messages;
    struct raft_messages after_append;
    struct raft_read_state *read_states;
    size_t read_state_count;
    size_t read_state_count_max;

    struct self_ack *self_acks; /* already handed out, in a token */
    size_t self_ack_count;
    size_t self_ack_count_max;
    uint64_t number; /* of the last ready */

    uint64_t leader; /* what the host was told last */
    enum raft_role role;
    struct raft_hard_state hard_state;
    bool self_acks_outside; /* these two: see raft_testing.h */
    bool requests_at_once;
};

struct peers {
    struct raft_conf_state conf;
    struct progress *item; /* ascending by id */
    size_t count;
};

/* See sleep.c; only leaders are drowsy. */
enum sleep_state { SLEEP_AWAKE, SLEEP_DROWSY, SLEEP_ASLEEP };

struct raft {
    struct raft_config config;
    struct trace trace;
    struct raft_log log;
    struct peers peers;
    struct outbox outbox;
    struct reads reads;

    uint64_t id;
    enum raft_role role;
    uint64_t term;
    uint64_t vote;
    uint64_t leader;

    unsigned election_elapsed;  /* ticks since leader, or since check */
    unsigned heartbeat_elapsed; /* leader: ticks since heartbeats */
    unsigned randomized_timeout;
    unsigned silent_ticks_left;
    uint64_t random_state;

    uint64_t transferee;         /* leader: target of a running transfer */
    bool timeout_now_sent;       /* leader: in this term */
    uint64_t pending_conf_index; /* leader: no later conf change in the log */
    uint64_t first_own_index;    /* leader: the empty entry it began with */
    uint64_t uncommitted_size;   /* leader: data not applied */
    uint64_t clock;
    enum sleep_state sleep;
    uint64_t drowsy_clock;    /* leader: since when its peers are asked */
    uint64_t snapshot_wanted; /* follower: see raft_request_snapshot */
    int failure;              /* ERR_CORRUPT: stopped for ever */
};

/* ---- raft.c ---- */

/* Runs the handler of the table. */
int raft_dispatch(struct raft *r, const struct raft_message *m);

/* Settles the term, then dispatches: for checked messages and own ones. */
int raft_step_checked(struct raft *r, const struct raft_message *m);

/* Latches the failure and returns it. */
int raft_fail(struct raft *r, int code, const char *why);

/* ---- role.c ---- */

void become_follower(struct raft *r, uint64_t term, uint64_t leader);
void become_pre_candidate(struct raft *r);
void become_candidate(struct raft *r);
void become_leader(struct raft *r);

/* ---- peers.c ---- */

void peers_close(struct peers *p);

/* NULL when there is none. */
struct progress *peers_find(const struct peers *p, uint64_t id);

/* Takes over the configuration; the progress of those that remain is kept. */
void peers_switch(struct peers *p, const struct conf_next *next,
                  const struct raft_config *config, uint64_t last_index);

/* Forgets what is known of everyone. */
void peers_reset(struct peers *p, const struct raft_config *config,
                 uint64_t last_index);
uint64_t peers_match_quorum(const struct peers *p);
uint64_t peers_read_quorum(const struct peers *p);
enum quorum_result peers_vote_result(const struct peers *p);
enum quorum_result peers_active_result(const struct peers *p);

/* ---- election.c ---- */

enum campaign { CAMPAIGN_PRE_ELECTION, CAMPAIGN_ELECTION, CAMPAIGN_TRANSFER };

bool election_promotable(const struct raft *r);

/* A vote request may not disturb a leader that was heard of lately. */
bool election_in_lease(const struct raft *r, const struct raft_message *m);
void election_refuse_old_pre_vote(struct raft *r, const struct raft_message *m);
int on_hup(struct raft *r, const struct raft_message *m);
int leader_on_hup(struct raft *r, const struct raft_message *m);
int on_vote(struct raft *r, const struct raft_message *m);
int follower_on_vote_resp(struct raft *r, const struct raft_message *m);
int candidate_on_vote_resp(struct raft *r, const struct raft_message *m);
int follower_on_timeout_now(struct raft *r, const struct raft_message *m);
int candidate_on_timeout_now(struct raft *r, const struct raft_message *m);
int follower_on_forget_leader(struct raft *r, const struct raft_message *m);
int leader_on_check_quorum(struct raft *r, const struct raft_message *m);

/* ---- proposal.c ---- */

/* False: over the limit. Sets term and index. */
bool leader_append(struct raft *r, struct raft_entries *entries);
int leader_on_prop(struct raft *r, const struct raft_message *m);
int follower_on_prop(struct raft *r, const struct raft_message *m);
int candidate_on_prop(struct raft *r, const struct raft_message *m);

/* ---- replication.c (leader) ---- */

bool replication_maybe_send(struct raft *r, struct progress *p,
                            bool even_if_empty);
void replication_send(struct raft *r, struct progress *p);
void replication_send_all(struct raft *r);
void replication_heartbeat_all(struct raft *r);
struct progress *sender_of(struct raft *r, const struct raft_message *m);
int leader_on_beat(struct raft *r, const struct raft_message *m);
int leader_on_app_resp(struct raft *r, const struct raft_message *m);
int leader_on_heartbeat_resp(struct raft *r, const struct raft_message *m);
int leader_on_unreachable(struct raft *r, const struct raft_message *m);

/* ---- append.c (follower) ---- */

int follower_on_app(struct raft *r, const struct raft_message *m);
int follower_on_heartbeat(struct raft *r, const struct raft_message *m);
int follower_on_snap(struct raft *r, const struct raft_message *m);
int candidate_on_app(struct raft *r, const struct raft_message *m);
int candidate_on_heartbeat(struct raft *r, const struct raft_message *m);
int candidate_on_snap(struct raft *r, const struct raft_message *m);

/* ---- commit.c ---- */

/* True when the commit index has moved. */
bool commit_advance(struct raft *r);
bool commit_is_own_term(const struct raft *r);
void commit_applied_to(struct raft *r, uint64_t index);

/* Proposes to leave a joint configuration that has taken effect and that the
 * leader is to leave by itself. */
void commit_leave_joint(struct raft *r);

/* ---- membership.c ---- */

void membership_switch(struct raft *r, const struct conf_next *next);

/* ---- snapshot.c ---- */

bool snapshot_maybe_send(struct raft *r, struct progress *p);
void snapshot_receive(struct raft *r, const struct raft_message *m);
void snapshot_ask(struct raft *r);
int leader_on_snap_status(struct raft *r, const struct raft_message *m);

/* ---- transfer.c ---- */

void transfer_abort(struct raft *r);

/* `p` has acknowledged: is the transferee up to date now? */
void transfer_progressed(struct raft *r, const struct progress *p);
int leader_on_transfer(struct raft *r, const struct raft_message *m);
int follower_on_transfer(struct raft *r, const struct raft_message *m);

/* ---- read_index.c ---- */

/* The token for a heartbeat; 0: no read is pending. */
uint64_t reads_token(const struct raft *r);

/* An entry of the own term was committed: the postponed ones may start. */
void reads_release_postponed(struct raft *r);

/* Answers those that a quorum has confirmed. */
void reads_answer(struct raft *r);
void reads_reset(struct raft *r);
int leader_on_read_index(struct raft *r, const struct raft_message *m);
int follower_on_read_index(struct raft *r, const struct raft_message *m);
int follower_on_read_index_resp(struct raft *r, const struct raft_message *m);

/* ---- sleep.c ---- */

/* Something other than a message or a tick came in. */
void sleep_disturb(struct raft *r);

/* A message did, and is about to be handled. */
void sleep_on_message(struct raft *r, const struct raft_message *m);

/* Whether a leader's heartbeat is to ask this peer; its answer. */
bool sleep_asks(const struct raft *r, const struct progress *p);
void sleep_on_answer(struct raft *r, struct progress *p,
                     const struct raft_message *m);

/* Whether a follower says yes to this heartbeat; then it sleeps. */
bool sleep_agrees(struct raft *r, const struct raft_message *m);

/* ---- ready.c ---- */

/* Takes over the message and queues it where its type belongs. */
void outbox_send(struct raft *r, struct raft_message *m);
/* Sends it on to the leader, as from whom it came. ERR_NOT_LEADER: there is
 * none; what the message is about is for the trace. */
int outbox_forward(struct raft *r, const struct raft_message *m,
                   const char *about);
void outbox_add_read_state(struct raft *r, uint64_t request, uint64_t index);
void outbox_close(struct outbox *o);
struct raft_hard_state raft_hard_state(const struct raft *r);

#endif
