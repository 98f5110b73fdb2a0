/* SPDX-License-Identifier: Apache-2.0 */

/* The values that go in and out: entries, conf changes, snapshots, messages.
 *
 * Plain C structs that may be copied by the functions below; bytes are shared
 * by reference (struct buf), never copied. The host turns messages into its
 * wire format and back. Read raft.h for what is done with them. */

#ifndef GROVEFS_RAFT_MESSAGE_H
#define GROVEFS_RAFT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/base/buf.h"

enum {
    RAFT_PEERS_MAX = 16,        /* voters of both halves and learners */
    RAFT_CONF_CHANGES_MAX = 64, /* operations in one conf change */
};

/* ---- Entries ---------------------------------------------------------- */

enum raft_entry_type {
    RAFT_ENTRY_NORMAL,
    RAFT_ENTRY_CONF_CHANGE,    /* one operation, simple */
    RAFT_ENTRY_CONF_CHANGE_V2, /* any number, possibly joint */
};

/* Immutable once appended: all copies share the refcounted data. */
struct raft_entry {
    uint64_t term;
    uint64_t index;
    enum raft_entry_type type;
    struct buf *data; /* NULL when empty */
};

/* A growing array of entries that holds a reference to each one's data.
 * A zeroed struct is empty. */
struct raft_entries {
    struct raft_entry *item;
    size_t count;
    size_t count_max; /* private */
};

/* What an entry counts for in all size limits: its data and a constant. */
uint64_t raft_entry_size(const struct raft_entry *entry);
uint64_t raft_entries_size(const struct raft_entries *entries);

/* Appends a copy of the entry, with its own reference to the data. */
void raft_entries_append(struct raft_entries *entries,
                         const struct raft_entry *entry);

/* Makes `copy` (empty, or uninitialised) equal to the `count` entries. */
void raft_entries_copy(struct raft_entries *copy, const struct raft_entry *item,
                       size_t count);

/* Drops the references and the array; the struct is empty afterwards. */
void raft_entries_release(struct raft_entries *entries);

/* ---- Membership ------------------------------------------------------- */

struct raft_id_set {
    size_t count;
    uint64_t id[RAFT_PEERS_MAX]; /* ascending when it comes from raft */
};

/* The voters are joint while `voters_outgoing` is not empty: then a majority
 * of both halves is needed. `learners_next` are outgoing voters that become
 * learners when the joint configuration is left. */
struct raft_conf_state {
    struct raft_id_set voters;
    struct raft_id_set voters_outgoing;
    struct raft_id_set learners;
    struct raft_id_set learners_next;
    bool auto_leave;
};

enum raft_conf_change_type {
    RAFT_ADD_VOTER,
    RAFT_REMOVE_PEER,
    RAFT_UPDATE_PEER, /* changes nothing here; tells the host something */
    RAFT_ADD_LEARNER, /* also demotes a voter */
    RAFT_CONF_CHANGE_TYPES
};

enum raft_conf_transition {
    RAFT_TRANSITION_AUTO,     /* simple if possible, else joint implicit */
    RAFT_TRANSITION_IMPLICIT, /* joint, left by raft itself */
    RAFT_TRANSITION_EXPLICIT, /* joint, left by a second, empty change */
    RAFT_TRANSITIONS
};

/* A change without operations and with RAFT_TRANSITION_AUTO leaves a joint
 * configuration. */
struct raft_conf_change {
    enum raft_conf_transition transition;
    size_t count;
    struct {
        enum raft_conf_change_type type;
        uint64_t peer;
    } change[RAFT_CONF_CHANGES_MAX];
    struct buf *context; /* the host's own bytes, or NULL */
};

/* The change as the data of an entry; a new reference. */
struct buf *raft_conf_change_encode(const struct raft_conf_change *change);

/* Reads an entry's data (NULL: the change that leaves). `ret->context` is a
 * new reference. Errors: ERR_VERSION, ERR_PROTOCOL. */
int raft_conf_change_decode(const struct buf *data,
                            struct raft_conf_change *ret);

/* ---- Snapshots -------------------------------------------------------- */

struct raft_snapshot {
    uint64_t index; /* 0: no snapshot */
    uint64_t term;
    struct raft_conf_state conf_state; /* as of `index` */
    struct buf *data;                  /* the host's; NULL when empty */
};

/* A heap copy with its own reference to the data; NULL stays NULL. */
struct raft_snapshot *raft_snapshot_copy(const struct raft_snapshot *snapshot);
void raft_snapshot_free(struct raft_snapshot *snapshot); /* takes NULL */

/* ---- Messages --------------------------------------------------------- */

/* Numbers travel on the wire. Those marked "local" never do. */
enum raft_message_type {
    RAFT_MSG_HUP,  /* local */
    RAFT_MSG_BEAT, /* local */
    RAFT_MSG_PROP, /* forwarded proposal, term 0 */
    RAFT_MSG_APP,
    RAFT_MSG_APP_RESP,
    RAFT_MSG_VOTE,
    RAFT_MSG_VOTE_RESP,
    RAFT_MSG_SNAP,
    RAFT_MSG_HEARTBEAT,
    RAFT_MSG_HEARTBEAT_RESP,
    RAFT_MSG_UNREACHABLE,  /* local */
    RAFT_MSG_SNAP_STATUS,  /* local */
    RAFT_MSG_CHECK_QUORUM, /* local */
    RAFT_MSG_TRANSFER_LEADER,
    RAFT_MSG_TIMEOUT_NOW,
    RAFT_MSG_READ_INDEX, /* forwarded request, term 0 */
    RAFT_MSG_READ_INDEX_RESP,
    RAFT_MSG_PRE_VOTE,
    RAFT_MSG_PRE_VOTE_RESP,
    RAFT_MSG_STORAGE_APPEND,      /* 19 to 22: names for test drivers only */
    RAFT_MSG_STORAGE_APPEND_RESP, /* local */
    RAFT_MSG_STORAGE_APPLY,       /* local */
    RAFT_MSG_STORAGE_APPLY_RESP,  /* local */
    RAFT_MSG_FORGET_LEADER,       /* local */
    RAFT_MESSAGE_TYPES
};

/* `context` of a (pre-)vote that a leader asked for: voters grant it although
 * they still hear from that leader. */
enum { RAFT_CONTEXT_TRANSFER = 1 };

struct raft_message {
    enum raft_message_type type;
    uint64_t from; /* of what is forwarded: who asked first */
    uint64_t to;
    uint64_t term;
    uint64_t log_term; /* term at `index`; in a rejection: at reject_hint */
    uint64_t index;    /* previous, last, acknowledged or read index */
    uint64_t commit;
    uint64_t vote; /* unused on the wire */
    uint64_t reject_hint;
    uint64_t snapshot_wanted; /* APP_RESP: the sender asks for a snapshot at
                               * this index or later; 0: it does not */
    uint64_t known_commit;    /* VOTE_RESP, PRE_VOTE_RESP that reject: what the
                               * voter knows to be committed; 0: not told */
    uint64_t known_commit_term; /* and that entry's term */
    uint64_t context; /* read token, read request or RAFT_CONTEXT_TRANSFER */
    uint64_t clock;   /* the leader's raft_set_clock(), echoed; 0: none */
    bool reject;
    bool sleep; /* HEARTBEAT: the receiver may sleep; HEARTBEAT_RESP: it does */
    struct raft_entries entries;
    struct raft_snapshot *snapshot; /* owned; NULL but for RAFT_MSG_SNAP */
};

struct raft_messages {
    struct raft_message *item;
    size_t count;
    size_t count_max; /* private */
};

/* "MsgApp" and so on. */
const char *raft_message_name(enum raft_message_type type);

/* Makes `copy` (uninitialised) equal to `m`; entries share their data. */
void raft_message_copy(struct raft_message *copy, const struct raft_message *m);

/* Drops what the message holds; the struct is zero afterwards. */
void raft_message_release(struct raft_message *m);

/* Appends and takes over all that `m` holds. */
void raft_messages_append(struct raft_messages *messages,
                          struct raft_message *m);
void raft_messages_release(struct raft_messages *messages);

#endif
