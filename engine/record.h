/* SPDX-License-Identifier: Apache-2.0 */

/* The records of state/ and log/ as plain structs, and their bytes.
 *
 * x_encode() returns a new buf. x_decode() fills a caller's struct whose
 * slices point into memory that the struct holds: x_release() drops it (takes
 * a zeroed one too). Decoding returns 0, ERR_CORRUPT for bytes that are none
 * of ours, ERR_VERSION for a newer format, ERR_NO_MEMORY. Structs may be filled
 * by hand for encoding; then they need no release. Any thread. */

#ifndef GROVEFS_ENGINE_RECORD_H
#define GROVEFS_ENGINE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/kv.h"

enum { RECORD_FORMAT = 1, REGION_PEERS_MAX = 16 };

/* Names one attempt of a transaction: the request's identity. */
struct txn_id {
    uint64_t node;
    uint64_t boot;
    uint64_t sequence;
};

/* A transaction and where it has left something: intents at its ends (to_dir
 * is 0 when there is only one), marks on a namespace, unless it is 0 or not
 * known. id.node is 0 in an absent one. */
struct txn_ref {
    struct txn_id id;
    uint64_t dir;
    uint64_t to_dir;
    struct slice name;
    struct slice to_name;
    uint64_t opens_nsid;  /* that an abort deletes again */
    uint64_t closes_nsid; /* that a commit deletes */
};

static inline bool txn_id_equal(struct txn_id a, struct txn_id b)
{
    return a.node == b.node && a.boot == b.boot && a.sequence == b.sequence;
}

/* Some order of them, the same on all nodes. */
static inline bool txn_id_is_before(struct txn_id a, struct txn_id b)
{
    if (a.node != b.node)
        return a.node < b.node;
    if (a.boot != b.boot)
        return a.boot < b.boot;
    return a.sequence < b.sequence;
}

/* What lies at a user key. */
enum entry_kind {
    ENTRY_FILE = 1,  /* a file, symlink, fifo or socket: attr.mode says */
    ENTRY_DIR = 2,   /* a reference: attr.ino is the directory's, nothing else
                      * in attr counts but the type bits of mode */
    ENTRY_INTENT = 3 /* held by a transaction: `old_record` counts until it is
                      * decided, `new_record` when it has committed; either may
                      * be empty (no entry) */
};

struct entry {
    enum entry_kind kind;
    struct attr attr;
    struct slice xattrs;  /* see xattr.h */
    struct slice content; /* files up to INLINE_SIZE_MAX; symlink targets */
    uint32_t chunk_base;  /* its chunks are numbered from here: content.h */
    /* Intents only. */
    struct txn_ref txn;
    struct slice old_record;
    struct slice new_record;

    void *held; /* private */
};

struct buf *entry_encode(const struct entry *entry);
int entry_decode(struct entry *ret, struct slice bytes);
void entry_release(struct entry *entry);

/* What a region knows of a namespace that its range touches: see keys.h about
 * the count. At most one of `closing` and `opening` is set. */
struct namespace_record {
    uint64_t nsid;
    uint64_t domain; /* the mode domain's nsid */
    uint64_t entry_count;
    int64_t mtime_ns;
    int64_t ctime_ns;
    uint64_t version;
    struct txn_ref closing; /* id.node 0: open */
    struct txn_ref opening; /* it is deleted if this one aborts */
    bool reopened; /* ... and was known before: not open while it is set */

    void *held; /* private */
};

struct buf *namespace_encode(const struct namespace_record *record);
int namespace_decode(struct namespace_record *ret, struct slice bytes);
void namespace_release(struct namespace_record *record);

/* How consistent a namespace is: see modes.h. */
enum mode_state {
    MODE_STRONG = 0,
    MODE_EVENTUAL = 1,
    MODE_FENCED = 2 /* eventual, and nobody changes it: it is about to become
                     * strong, or to go */
};

struct mode {
    enum mode_state state;
    uint64_t domain; /* the directory whose mode it is: itself, or the one that
                      * it was inherited from; 0: that of a strong one that has
                      * no mode of its own */
    uint64_t since;  /* version of region 0 with which it became eventual, or
                      * began to be filled; 0: that of a strong one */
    uint64_t epoch;  /* version of region 0 with which `state` began */
};

/* Strong, and about to become eventual with what is in it: that is brought to
 * all nodes as of the life that is to begin, `since`. Users notice nothing. */
static inline bool mode_is_filling(struct mode mode)
{
    return mode.state == MODE_STRONG && mode.since != 0;
}

/* A directory in the catalog. The root's parent is 0. */
struct directory {
    uint64_t nsid;
    uint64_t parent;
    struct slice name;
    struct attr attr; /* ino, mode, owner, times, version */
    struct slice xattrs;
    uint64_t mtime_version; /* when mtime was set by hand; see read.c */
    struct mode mode;
    bool was_own; /* counts while it is being filled: it was strong by a mode
                   * of its own */

    void *held; /* private */
};

struct buf *directory_encode(const struct directory *directory);
int directory_decode(struct directory *ret, struct slice bytes);
void directory_release(struct directory *directory);

enum node_state { NODE_UP = 1, NODE_DRAINING = 2, NODE_REMOVED = 3 };

struct node_record {
    uint64_t id;
    enum node_state state;
    int64_t since_ns;
    char address[128]; /* HOST:PORT */
    uint64_t token;    /* of the store that has joined; 0: a founder's */
    uint64_t epoch; /* version of region 0 with which `state` began; 0: it has
                     * had no other one */
};

struct buf *node_encode(const struct node_record *node);
int node_decode(struct node_record *ret, struct slice bytes);

enum peer_role { PEER_VOTER = 1, PEER_LEARNER = 2 };

struct region_peer {
    uint64_t id; /* the Raft id */
    uint64_t node;
    enum peer_role role;
};

/* What a region's part in a merge is: see merge_change.h. */
enum merge_state {
    MERGE_NONE = 0,
    MERGE_TAKING = 1,    /* the target, until it is decided */
    MERGE_GIVING_UP = 2, /* likewise, decided against */
    MERGE_FROZEN = 3     /* the source */
};

struct region_merge {
    enum merge_state state;
    uint64_t other;   /* the source's id, or in the source the target's */
    uint64_t attempt; /* where the target's log begins it */
    uint64_t index;   /* MERGE_FROZEN: where its own log does */
    uint64_t version; /* the source's epoch, for which it is planned */
    uint64_t conf_ver;
    struct slice start; /* the source's range */
    struct slice end;
};

/* A region as its log has made it. `end` empty = up to the end of all keys;
 * bounds are user keys. The Raft configuration is kept beside the peers as
 * Raft handed it out. */
struct region {
    uint64_t id;
    uint64_t conf_ver; /* the epoch */
    uint64_t version;
    struct slice start;
    struct slice end;
    struct region_peer peers[REGION_PEERS_MAX];
    size_t peer_count;
    uint64_t voters[REGION_PEERS_MAX];
    size_t voter_count;
    uint64_t voters_outgoing[REGION_PEERS_MAX];
    size_t voter_outgoing_count;
    uint64_t learners[REGION_PEERS_MAX];
    size_t learner_count;
    uint64_t learners_next[REGION_PEERS_MAX];
    size_t learner_next_count;
    bool auto_leave;
    uint64_t peer_max; /* the greatest peer id there ever was in it */
    struct region_merge merge;
    uint64_t absorbed; /* the last region that it has taken over; 0: none */

    void *held; /* private */
};

struct buf *region_encode(const struct region *region);
int region_decode(struct region *ret, struct slice bytes);
/* With memory of its own, to be released. */
struct region region_copy(const struct region *region);
void region_release(struct region *region);

/* What goes into the log with a membership change, beside what Raft itself
 * has to know; see peer_change.h. */
struct change_context {
    uint64_t conf_ver;
    uint64_t nodes[REGION_PEERS_MAX]; /* of each step; 0: its peer is there */
    size_t node_count;
};

struct buf *change_context_encode(const struct change_context *context);
int change_context_decode(struct change_context *ret, struct slice bytes);

/* How far a region's log is applied in state/; written with each batch. */
struct marker {
    uint64_t index;
    uint64_t term;
    uint64_t version; /* the greatest entry version given out */
};

enum { MARKER_SIZE_MAX = 64 };

/* Into the caller's memory; returns the size. */
size_t marker_encode(const struct marker *marker, uint8_t *to);
int marker_decode(struct marker *ret, struct slice bytes);

/* Raft's hard state and where the log starts (the position before its first
 * entry). Also into the caller's memory, at most MARKER_SIZE_MAX bytes. */
struct hard_state {
    uint64_t term;
    uint64_t vote;
    uint64_t commit;
};

size_t hard_state_encode(const struct hard_state *state, uint8_t *to);
int hard_state_decode(struct hard_state *ret, struct slice bytes);

struct log_start {
    uint64_t index;
    uint64_t term;
};

size_t log_start_encode(const struct log_start *start, uint8_t *to);
int log_start_decode(struct log_start *ret, struct slice bytes);

/* In log/ of a node whose replica of the region is damaged: since when, and
 * the descriptor, as that may be what is damaged. */
struct damage {
    int64_t since_ns;
    struct region region;
};

struct buf *damage_encode(const struct damage *damage);
int damage_decode(struct damage *ret, struct slice bytes);
void damage_release(struct damage *damage);

#define TOMBSTONE_OF_ALL UINT64_MAX

/* What is left of a region's last replica on a node, so that it never comes
 * back. It also keeps one position that is known to be committed: the one
 * that removed it, or a later one. */
struct tombstone {
    uint64_t peer; /* this Raft id and all smaller ones are gone;
                    * TOMBSTONE_OF_ALL: the region is, by a merge */
    uint64_t index;
    uint64_t term;
};

size_t tombstone_encode(const struct tombstone *tombstone, uint8_t *to);
int tombstone_decode(struct tombstone *ret, struct slice bytes);

/* What region 0 has decided about a transaction. */
struct decision {
    struct txn_ref txn;
    bool committed;
    struct slice below; /* namespaces that take part besides the one that its
                         * intent names: domain_encode() */

    void *held; /* private */
};

struct buf *decision_encode(const struct decision *decision);
int decision_decode(struct decision *ret, struct slice bytes);
void decision_release(struct decision *decision);

/* A wanted change of a region's membership, given by hand. Region 0 keeps the
 * last one of each region; the steps towards it are never stored. */
enum { GOAL_WHY_SIZE = 128 };

struct goal {
    uint64_t region;
    uint64_t id;             /* grows with each goal */
    uint64_t from;           /* the node that loses its replica; 0: none does */
    uint64_t to;             /* the node that gets one; 0: none does */
    int64_t begin_ns;        /* wall clock */
    int64_t end_ns;          /* 0: not at its end yet */
    int status;              /* of one that has ended: 0 or why it failed */
    char why[GOAL_WHY_SIZE]; /* the same in words; "" when there are none */
};

struct buf *goal_encode(const struct goal *goal);
int goal_decode(struct goal *ret, struct slice bytes);

static inline bool goal_is_running(const struct goal *goal)
{
    return goal->end_ns == 0;
}

/* A setting of the cluster: see settings.h. */
struct buf *setting_encode(uint64_t value);
int setting_decode(uint64_t *ret, struct slice bytes);

/* Of a region that is no more: which one has taken it over. */
struct buf *gone_region_encode(uint64_t target);
int gone_region_decode(uint64_t *ret_target, struct slice bytes);

/* What a region remembers of a node that sends it commands. */
struct sender {
    uint64_t boot;
    uint64_t lowest; /* results below are forgotten */
};

size_t sender_encode(const struct sender *sender, uint8_t *to);
int sender_decode(struct sender *ret, struct slice bytes);

/* Who this store is; key_identity() in log/. */
struct identity {
    uint64_t cluster_id; /* 0: not part of a cluster yet */
    uint64_t node_id;
    uint64_t boot;       /* counts the starts */
    uint64_t token;      /* random, made when the store was created */
    uint64_t peers_hash; /* of the peers= list it was founded with, or 0 */
    uint64_t tokens[REGION_PEERS_MAX]; /* of all founders, by ascending id */
    size_t token_count;
    uint64_t ino_bound; /* inode counters below may have been used */
};

struct buf *identity_encode(const struct identity *identity);
int identity_decode(struct identity *ret, struct slice bytes);

#endif
