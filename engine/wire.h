/* SPDX-License-Identifier: Apache-2.0 */

/* The packets between nodes: plain structs and their bytes.
 *
 * x_encode() makes the header of a packet; what travels beside it as raw
 * payload is said for each. x_decode() fills a caller's struct. Decoding never
 * trusts: ERR_PROTOCOL for anything malformed, over a limit, or with a count
 * of payloads that does not fit. */

#ifndef GROVEFS_ENGINE_WIRE_H
#define GROVEFS_ENGINE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/env.h"
#include "engine/record.h"
#include "raft/raft.h"

/* Greater headers are refused: bound a batch by raft_batch_size_bytes(). */
enum { WIRE_HEADER_SIZE_MAX = 1024 * 1024 };

/* Numbers are part of the protocol: append only. */
enum wire_type {
    WIRE_RAFT = 1,           /* raft_batch; payloads: the entries' data */
    WIRE_CALL = 2,           /* call; payload: a command, or none */
    WIRE_RETURN = 3,         /* call_return; payload: a result, or located,
                              * or none */
    WIRE_STATUS = 4,         /* node_status */
    WIRE_BOOT = 5,           /* boot */
    WIRE_SNAPSHOT_BEGIN = 6, /* snapshot_begin, on the bulk channel */
    WIRE_SNAPSHOT_CHUNK = 7, /* snapshot_chunk; payload: pairs, bulk channel */
    WIRE_SNAPSHOT_ACK = 8,   /* snapshot_ack, bulk channel */
    WIRE_PEER_QUERY = 9,     /* peer_note: is this peer still in its region? */
    WIRE_PEER_GONE = 10,     /* peer_note: no, and never again */
    WIRE_ALIVE = 11,         /* alive */
    WIRE_JOIN = 12,          /* join_request */
    WIRE_JOINED = 13,        /* join_answer */
    WIRE_LOCATE = 14,        /* locate: where is this key, or this region? */
    WIRE_LOCATED = 15,       /* located */
    /* See wire_placement.h. */
    WIRE_REPORT = 17,       /* region_report */
    WIRE_REPORTED = 18,     /* reported */
    WIRE_STEP = 19,         /* step */
    WIRE_OPERATORS = 20,    /* operators_view */
    WIRE_MERGE_QUERY = 21,  /* merge_query: how far are your replicas? */
    WIRE_MERGE_REPORT = 22, /* merge_report */
    /* See wire_eventual.h. */
    WIRE_EVENTUAL_ASK = 23,   /* eventual_ask */
    WIRE_EVENTUAL_ANSWER = 24 /* eventual_answer; payload: changes, or none */
};

/* Raft messages of any regions to one node. The message's entries share their
 * data with the packet's payloads. Snapshot data never travels here. */
struct raft_envelope {
    uint64_t region;
    struct raft_message message;
};

/* Adds one message to a batch under construction. Does not take `message`;
 * takes references of its own to the entries' data. */
struct raft_batch;
struct raft_batch *raft_batch_new(void);
void raft_batch_add(struct raft_batch *batch, uint64_t region,
                    const struct raft_message *message);
/* Header and payloads together. */
size_t raft_batch_size_bytes(const struct raft_batch *batch);
size_t raft_batch_payload_count(const struct raft_batch *batch);
/* Fills `ret_packet`, whose buffers stay the batch's: send it, then free. */
void raft_batch_pack(struct raft_batch *batch, struct env_packet *ret_packet);
void raft_batch_free(struct raft_batch *batch); /* Takes NULL. */

/* Calls `each` for every message of a WIRE_RAFT packet; the callback may take
 * references to entry data, nothing else survives it. */
int raft_batch_decode(const struct env_packet *packet,
                      void (*each)(void *context,
                                   const struct raft_envelope *envelope),
                      void *context);

enum call_kind {
    CALL_PROPOSE = 1,    /* put the command into the log, answer its result */
    CALL_READ = 2,       /* execute a read command, linearizably */
    CALL_READ_INDEX = 3, /* answer an index that a local read must wait for */
    CALL_CONTROL = 4     /* see to it: control.h */
};

struct call {
    uint64_t ticket; /* the caller's; comes back in the answer */
    uint64_t region;
    enum call_kind kind;
};

struct call_return {
    uint64_t ticket;
    int status;           /* ERR_NOT_LEADER: see leader_node */
    uint64_t leader_node; /* 0 when not known */
    uint64_t index;       /* CALL_READ_INDEX */
    bool proposed;        /* a failed proposal may be in a log */
};

struct buf *call_encode(const struct call *call);
int call_decode(struct call *ret, struct slice bytes);
struct buf *call_return_encode(const struct call_return *answer);
int call_return_decode(struct call_return *ret, struct slice bytes);

/* See replicas.h. `index` and `term`: a committed position, with GONE. */
struct peer_note {
    uint64_t region;
    uint64_t peer;
    uint64_t index;
    uint64_t term;
};

struct buf *peer_note_encode(const struct peer_note *note);
int peer_note_decode(struct peer_note *ret, struct slice bytes);

/* See liveness.h. */
struct alive {
    uint64_t boot; /* of the sender */
};

struct buf *alive_encode(const struct alive *alive);
int alive_decode(struct alive *ret, struct slice bytes);

/* See merge.h. */
struct merge_query {
    uint64_t target;
    uint64_t target_version;
    uint64_t target_conf_ver;
    uint64_t source;
    uint64_t source_version;
    uint64_t source_conf_ver;
    uint64_t attempt; /* 0: not begun yet */
};

enum merge_report_state {
    MERGE_READY = 1,
    MERGE_MISSING = 2, /* one of them has no replica there */
    MERGE_BEHIND = 3,  /* one is not what it is to be; perhaps soon */
    MERGE_DAMAGED = 4, /* one is, or is just being replaced */
    MERGE_UNSAVED = 5  /* not all is durable; soon */
};

struct merge_report {
    uint64_t target;
    uint64_t source;
    uint64_t attempt;
    enum merge_report_state state;
};

struct buf *merge_query_encode(const struct merge_query *query);
int merge_query_decode(struct merge_query *ret, struct slice bytes);
struct buf *merge_report_encode(const struct merge_report *report);
int merge_report_decode(struct merge_report *ret, struct slice bytes);

/* See routes.h. The key is borrowed from `held` or by who encodes. */
struct locate {
    struct slice user_key;
    uint64_t region; /* not 0: this one, whatever keys it has */

    void *held; /* private */
};

struct buf *locate_encode(const struct locate *locate);
int locate_decode(struct locate *ret, struct slice bytes);
void locate_release(struct locate *locate);

/* Also the payload of a call_return that is ERR_EPOCH. */
struct located {
    struct region region;
    uint64_t leader_node; /* 0 when not known */
};

struct buf *located_encode(const struct located *located);
int located_decode(struct located *ret, struct slice bytes);
void located_release(struct located *located);

enum {
    STATUS_REGIONS_MAX = 2048, /* in one packet */
    VERSION_TEXT_SIZE = 32
};

/* What a node tells about a replica of its own. */
struct region_status {
    uint64_t region;
    uint64_t term;
    uint64_t leader_node;
    uint64_t applied;
    uint64_t commit;
    uint64_t last_index;
    int64_t applied_wall_ns; /* when it last applied something */
    unsigned role;           /* enum peer_role */
    unsigned state;          /* enum peer_state of peer.h */
    int64_t damaged_ns;      /* since when; 0: not */
    uint64_t check_index;    /* its newest hash: see check.h */
    uint64_t check_hash;
    uint64_t size_bytes; /* of a leader: see splitter.h */
    uint64_t size_keys;
    uint64_t conf_ver; /* of its descriptor */
    uint64_t version;
};

/* Those that have changed: see status_list.h. */
struct status_changes {
    uint64_t list;   /* the id of the list */
    uint64_t base;   /* all changes behind this one ... */
    uint64_t change; /* ... up to this one are here */
    const struct region_status *regions;
    size_t region_count;
};

/* What each node tells each other one about itself once a second. */
struct node_status {
    uint64_t node;
    int64_t wall_ns;
    int64_t since_ns; /* start of the process */
    uint64_t disk_used;
    uint64_t disk_free;
    char version[VERSION_TEXT_SIZE];
    uint64_t catalog;    /* modes_version() */
    uint64_t quarantine; /* how many changes are in it, or SIZE_UNKNOWN */
    struct status_changes changes;
    uint64_t known_list; /* the receiver's list, as far as the sender has it */
    uint64_t known_change;

    void *held; /* private */
};

struct buf *node_status_encode(const struct node_status *status);
int node_status_decode(struct node_status *ret, struct slice bytes);
void node_status_release(struct node_status *status);

/* Founding a cluster: see bootstrap.h. */
struct boot {
    bool reply;
    bool initialised;
    uint64_t node;
    uint64_t cluster_id;
    uint64_t peers_hash;
    uint64_t token;
    uint64_t tokens[REGION_PEERS_MAX];
    size_t token_count;
};

struct buf *boot_encode(const struct boot *boot);
int boot_decode(struct boot *ret, struct slice bytes);

/* Joining a cluster: see join.h. */
struct join_request {
    uint64_t token;
    char address[128]; /* HOST:PORT */
    uint64_t node;     /* the id that it has got before; 0: none */
};

struct join_answer {
    int status;     /* 0 or why not; nothing below the token counts then */
    uint64_t token; /* of the request */
    uint64_t cluster_id;
    uint64_t node;
};

struct buf *join_request_encode(const struct join_request *request);
int join_request_decode(struct join_request *ret, struct slice bytes);
struct buf *join_answer_encode(const struct join_answer *answer);
int join_answer_decode(struct join_answer *ret, struct slice bytes);

/* Snapshot streams: see snapshot.h. */
struct snapshot_begin {
    uint64_t stream;
    uint64_t from_peer;
    uint64_t to_peer;
    uint64_t index;
    uint64_t term;      /* of the entry at index */
    uint64_t raft_term; /* the sender's */
    struct region region;
};

struct snapshot_chunk {
    uint64_t stream;
    uint64_t number;   /* from 0 */
    uint64_t checksum; /* XXH3-64 of the payload */
    bool last;
};

struct snapshot_ack {
    uint64_t stream;
    uint64_t number; /* of the chunk */
    int status;
    bool accepted; /* of BEGIN, and of no chunk */
};

struct buf *snapshot_begin_encode(const struct snapshot_begin *begin);
int snapshot_begin_decode(struct snapshot_begin *ret, struct slice bytes);
void snapshot_begin_release(struct snapshot_begin *begin);
struct buf *snapshot_chunk_encode(const struct snapshot_chunk *chunk);
int snapshot_chunk_decode(struct snapshot_chunk *ret, struct slice bytes);
struct buf *snapshot_ack_encode(const struct snapshot_ack *ack);
int snapshot_ack_decode(struct snapshot_ack *ret, struct slice bytes);

#endif
