/* SPDX-License-Identifier: Apache-2.0 */

/* A group of real cores for random tests: each with a disk that it may crash
 * before, a state machine that is flushed now and then, and a network that
 * loses, repeats and reorders. Nothing happens by itself; test_random.c picks
 * what happens next, group_check.c sees that it is safe.
 *
 * Peers keep their disks when they are removed, so that ids may come back. */

#ifndef GROVEFS_TESTS_RAFT_GROUP_H
#define GROVEFS_TESTS_RAFT_GROUP_H

#include "tests/raft/memory_storage.h"

enum {
    GROUP_PEERS_MAX = 8,
    GROUP_WORK_MAX = 6,     /* readies on their way to a peer's disk */
    GROUP_INDEX_MAX = 2048, /* of a log */
    GROUP_TERM_MAX = 4096,
    GROUP_READS_MAX = 1024,
    GROUP_VARIANTS_MAX = 16, /* entries proposed for one index */
    GROUP_FIRST_INDEX = 10,  /* of the snapshot that all begin with */
};

/* What must happen in some seed, or the test proves less than it seems to. */
#define GROUP_EVENTS(X)                                                        \
    X(LEADER_ELECTED, "a leader is elected")                                   \
    X(ELECTED_WITH_UNAPPLIED_CHANGE,                                           \
      "a leader is elected with a conf change that it has not applied")        \
    X(ELECTED_WHILE_JOINT, "a leader is elected by a joint configuration")     \
    X(JOINT_ENTERED, "a joint configuration is entered")                       \
    X(JOINT_LEFT, "a joint configuration is left")                             \
    X(LEADER_REMOVED, "a leader applies its own removal")                      \
    X(LEARNER_PROMOTED, "a learner becomes a voter")                           \
    X(VOTER_DEMOTED, "a voter becomes a learner")                              \
    X(SNAPSHOT_RESTORED, "a snapshot is restored")                             \
    X(SNAPSHOT_OF_JOINT, "a snapshot holds a joint configuration")             \
    X(SNAPSHOT_DURING_CHANGE,                                                  \
      "a snapshot is restored while a conf change is not applied")             \
    X(SNAPSHOT_WANTED, "a peer asks for a snapshot")                           \
    X(ENTRY_REPLACED, "an entry of another term is replaced")                  \
    X(UNSYNCED_LOST, "a crash loses what was on its way to the disk")          \
    X(REPLAYED, "a restarted peer applies entries again")                      \
    X(READ_ANSWERED, "a read is answered")                                     \
    X(FORWARDED_READ_ANSWERED, "a follower's read is answered")                \
    X(TRANSFERRED, "a target of a transfer becomes leader")                    \
    X(SLEPT, "a group falls asleep")                                           \
    X(SLEPT_IN_CHAOS, "a leader falls asleep while things go wrong")

#define GROUP_EVENT_ENUM(name, text) GROUP_##name,
enum group_event { GROUP_EVENTS(GROUP_EVENT_ENUM) GROUP_EVENT_COUNT };

/* What the entries up to `applied` have made. */
struct group_state {
    uint64_t applied;
    uint64_t digest;
    struct raft_conf_state conf;
};

struct group_peer {
    struct memory_storage storage; /* first: raft's pointer leads here */
    uint64_t id;
    struct raft *raft; /* NULL: crashed, or not yet started */
    struct group_state state;
    struct group_state durable; /* what a crash leaves of it */
    uint64_t synced_commit;     /* as written with the last sync */

    /* Writing and applying go on independently, each in order. */
    struct raft_ready work[GROUP_WORK_MAX];
    size_t work_count;
    size_t written_count; /* of the first ones */
    size_t applied_count;

    /* For the checks. */
    uint64_t commit_seen;
    bool leads;        /* since the last crash */
    uint64_t led_term; /* the last one that it led */
    uint64_t led_last; /* last entry then */
    uint64_t replayed_to;
};

struct group_variant {
    uint64_t term;
    uint64_t term_before; /* of the entry before it */
    uint64_t digest;
};

/* All that was ever seen at one index, by anyone. */
struct group_index {
    struct group_variant variant[GROUP_VARIANTS_MAX];
    size_t variant_count;
    uint64_t committed_term;    /* of the entry; 0: not committed */
    uint64_t committed_in_term; /* of the leader that committed it */
    uint64_t state_digest;      /* after applying it; 0: nobody has */
};

struct group_options {
    uint64_t seed;
    uint64_t haste; /* ticks at a time, at most: leaders come and go */
    bool pre_vote;
    bool check_quorum;
    bool step_down_on_removal;
    uint64_t message_size_max;
    uint64_t committed_size_max;
    size_t inflight_count_max;
};

struct group {
    struct group_options options;
    struct group_peer peer[GROUP_PEERS_MAX]; /* id - 1 */
    struct raft_messages network;
    bool cut[GROUP_PEERS_MAX + 1][GROUP_PEERS_MAX + 1]; /* from, to */
    struct raft_storage_ops storage_ops;
    uint64_t random;
    uint64_t now;
    uint64_t steps;
    bool quiet; /* nothing is asked for, and the hosts see that */

    struct group_index index[GROUP_INDEX_MAX];
    uint64_t leader_of[GROUP_TERM_MAX];
    uint64_t commit_max;
    uint64_t read_floor[GROUP_READS_MAX]; /* by request */
    uint64_t read_by[GROUP_READS_MAX];
    uint64_t read_count;
    uint64_t transferee; /* the last one */
    unsigned seen[GROUP_EVENT_COUNT];
};

/* ---- group.c ---- */

/* Three voters, 1 to 3. */
struct group *group_new(const struct group_options *options);
void group_free(struct group *g);

uint64_t group_pick(struct group *g, uint64_t below);

/* The running peer that leads in the highest term; NULL: none. */
struct group_peer *group_leader(struct group *g);

/* Starts from what its disk has; peers without a disk are made. */
void group_start(struct group *g, struct group_peer *p);

/* Loses what is not on the disk: also a commit index without a later sync. */
void group_crash(struct group *g, struct group_peer *p);

/* Takes one ready and sends what goes at once; false: nothing to do, or too
 * much on its way. */
bool group_take(struct group *g, struct group_peer *p);

/* Makes the next ready durable. `report`: completes it too; otherwise the
 * completion of a later one must do. False: nothing to do. */
bool group_write(struct group *g, struct group_peer *p, bool report);

/* Applies the next ready's entries. */
bool group_apply(struct group *g, struct group_peer *p);

/* Makes the state machine durable. */
void group_flush(struct group_peer *p);

/* Drops some of the log that the durable state covers. */
void group_compact(struct group *g, struct group_peer *p);

/* Takes message `i` out of the network; it arrives, if `arrives` and nothing
 * is cut. */
void group_deliver(struct group *g, size_t i, bool arrives);
void group_read(struct group *g, struct group_peer *p);

/* ---- group_check.c ---- */

void group_saw(struct group *g, enum group_event event);

/* Fails the test, with seed and step, unless `good`. */
void group_require(const struct group *g, bool good, const char *what);

/* After every step of a peer. */
void group_check_peer(struct group *g, struct group_peer *p);

/* Entries that go to a disk; `p` still has what is there. */
void group_check_entries(struct group *g, struct group_peer *p,
                         const struct raft_entries *entries);
void group_check_applied(struct group *g, const struct group_peer *p,
                         const struct raft_entry *entry,
                         const struct raft_conf_state *before);
void group_check_read(struct group *g, const struct group_peer *p,
                      const struct raft_read_state *read);
uint64_t group_entry_digest(const struct raft_entry *entry);
uint64_t group_conf_digest(const struct raft_conf_state *conf);
uint64_t group_mix(uint64_t digest, uint64_t value);

#endif
