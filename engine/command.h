/* SPDX-License-Identifier: Apache-2.0 */

/* Commands and their results: what is proposed to a region's log, or asked of
 * its leader, and what comes back.
 *
 * A command's bytes are: format (1 byte), size of the message (4 bytes, big
 * endian), the message, and then the raw data (the value that a write
 * carries). A result's likewise. Reads are commands too, that are executed
 * without being logged. Ownership and errors as in record.h. */

#ifndef GROVEFS_ENGINE_COMMAND_H
#define GROVEFS_ENGINE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "engine/kv.h"
#include "engine/record.h"

enum {
    COMMAND_FORMAT = 1,
    CATALOG_CHANGES_MAX = 2,
    /* Of `data`: one write, or a whole file of an eventual directory. */
    COMMAND_DATA_SIZE_MAX = WRITE_SIZE_MAX + 64 * 1024,
    /* An entry is to be applied in a moment. */
    COMMAND_FURTHER_MAX = 511
};

/* Numbers are part of the format: append only. */
enum command_op {
    COMMAND_NOOP = 0,
    /* On files, in the region of (dir, name). Arguments as in engine.h. */
    COMMAND_CREATE = 1,
    COMMAND_WRITE = 2,
    COMMAND_SETATTR = 3,
    COMMAND_UNLINK = 4,
    COMMAND_RENAME = 5, /* ERR_IS_DIR: needs a transaction */
    COMMAND_SETXATTR = 6,
    COMMAND_REMOVEXATTR = 7,
    /* Transactions: see txn.h. */
    COMMAND_TXN_PREPARE = 8,  /* data region; gives `changes`, `left` */
    COMMAND_TXN_DECIDE = 9,   /* region 0; takes `changes` */
    COMMAND_TXN_RESOLVE = 10, /* data region; gives `left` */
    COMMAND_TXN_ABORT = 11,   /* region 0: decides against an undecided one */
    COMMAND_TXN_FORGET = 12,  /* region 0: its intents are gone */
    /* On directories, in region 0. `ino` is the directory's. */
    COMMAND_DIR_SETATTR = 13,
    COMMAND_DIR_SETXATTR = 14,
    COMMAND_DIR_REMOVEXATTR = 15,
    COMMAND_LEASE_IDS = 16,   /* `size` namespace ids → first_id */
    COMMAND_NODE_UPDATE = 17, /* `node` has `address` */
    /* In any region, from its leader: see check.h. They change nothing. */
    COMMAND_CHECK = 18,  /* each replica hashes its state behind this entry */
    COMMAND_VERIFY = 19, /* takes `verdict` */
    COMMAND_LEASE_REGION_IDS = 20, /* region 0: `size` of them → first_id */
    /* At (dir, name): what is behind that is `new_region` from here on. For the
     * epoch region_version and region_conf_ver. See range_change.h. */
    COMMAND_SPLIT = 21,
    /* In region 0: see placement.h. */
    COMMAND_BEGIN_GOAL = 22, /* `goal` has region, from, to; ERR_BUSY: another
                              * one of the region is running */
    COMMAND_END_GOAL = 23,   /* `goal` has region, id (0: that which runs),
                              * status, why */
    COMMAND_SET = 24,        /* the setting `name` to `size` */
    /* Nodes, in region 0: see exec_node.c. */
    COMMAND_NODE_JOIN = 28,  /* `token`, `address`, and as `target_node` the id
                              * that the store has, or 0 → first_id */
    COMMAND_NODE_STATE = 29, /* `target_node` gets `node_state`; NODE_REMOVED
                              * only if its epoch is `offset`: ERR_ABORTED */
    /* Data region: `data` at `offset` of what `txn` moves to (dir, name). */
    COMMAND_TXN_COPY = 31,
    /* Reads; all but the last in the data region. */
    COMMAND_LOOKUP = 32,
    COMMAND_GETATTR = 33,
    COMMAND_READ = 34,
    COMMAND_READDIR = 35,
    COMMAND_GETXATTR = 36,
    COMMAND_LISTXATTR = 37,
    COMMAND_DECISION = 38, /* of a transaction → decided, committed; data: as in
                            * struct decision, as for TXN_ABORT; one that its
                            * coordinator has given up counts as aborted */
    COMMAND_PART = 39,     /* of namespace `dir`, the part with (dir, name) →
                            * attr: its count and times; data: where the
                            * region ends */
    /* Data region: files, as `data`, of namespaces that `txn` opens, from (dir,
     * name) on → offset: how many bytes of it are done. See exec_import.c. */
    COMMAND_TXN_IMPORT = 40,
    /* A read in a data region: files of namespace `dir` that `txn` closes, from
     * `name` on as for READDIR, and of `further` ones as far as there is room →
     * offset: of how many of these; at_end: of the last one; data: an mtime of
     * each that begins here, 8 bytes, and the files. See read_export.c. */
    COMMAND_TXN_EXPORT = 41,
    /* Merging two regions: see merge_change.h. They take `merge`. */
    COMMAND_MERGE = 42,    /* in the target: `merge_step` of it */
    COMMAND_FREEZE = 43,   /* in the source */
    COMMAND_UNFREEZE = 44, /* in the source */
    /* Region 0: `new_region` has taken merge.other over, which is no more. */
    COMMAND_REGION_GONE = 45,
    /* On eventual directories, in region 0: see exec_mode.c. */
    COMMAND_DIR_MODE = 50,   /* `ino` gets the mode state `size`, unless its
                              * epoch is not `offset`: ERR_ABORTED → first_id:
                              * the new epoch. MODE_STRONG: of one that is being
                              * filled, it is no more. ERR_ABORTED, too, for
                              * one that was fenced, or began to be filled, with
                              * the one that it is in */
    COMMAND_DIR_ADD = 51,    /* dir, name, set → attr */
    COMMAND_DIR_REMOVE = 52, /* dir, name, ino; `offset`: as for DIR_MODE */
    COMMAND_DIR_MOVE = 53,   /* dir, name, to_dir, to_name, flags NOREPLACE,
                              * EXCHANGE */
    COMMAND_FLOOR = 54,      /* the floor of tombstones rises to `size`, for the
                              * roll `offset`; size 0: consents to it count no
                              * more. ERR_ABORTED. See floor.h */
    COMMAND_DIR_FILL = 55,   /* `ino`, which is strong, is about to become
                              * eventual with what is in it → first_id: the
                              * epoch */
    /* Never sent: an eventual file, as data, of the life `offset` of `dir` that
     * is about to begin. See txn_export.h. */
    COMMAND_BRING = 56,
    COMMAND_DIR_OWN = 57, /* `ino`, which is as the one it is in, eventual or
                           * strong, gets a mode of its own; `size` 0: has that
                           * of the directory it is in again. `offset`: as for
                           * DIR_MODE → first_id: the new epoch */
    /* Asked of a region's leader, which sees to it: see control.h. */
    COMMAND_START_CHECK = 64,
    COMMAND_TRANSFER = 65,    /* `target_node` is to lead: see transfer.h */
    COMMAND_CHECK_GOAL = 66,  /* region 0: whether `goal` may begin */
    COMMAND_START_SPLIT = 70, /* at (dir, name); dir 0: in the middle */
    /* `target_node` is to get `node_state`, `size` 1: by force. See
     * node_change.h. */
    COMMAND_CHANGE_NODE = 73,
    COMMAND_START_MERGE = 76 /* merge.other is to be taken over */
};

static inline bool command_is_on_file(enum command_op op)
{
    return op >= COMMAND_CREATE && op <= COMMAND_REMOVEXATTR;
}

static inline bool command_is_read(enum command_op op)
{
    return (op >= COMMAND_LOOKUP && op <= COMMAND_PART) ||
           op == COMMAND_TXN_EXPORT;
}

static inline bool command_is_control(enum command_op op)
{
    return op >= COMMAND_START_CHECK;
}

/* Whether it takes disk space: refused while the disks are full. What frees
 * space, or ends what was begun, goes on. */
struct command;
bool command_grows(const struct command *command);

enum txn_kind {
    TXN_MKDIR = 1,
    TXN_RMDIR = 2,
    TXN_RENAME = 3,
    TXN_TO_EVENTUAL = 4, /* the directory `ino` at (dir, name), with what is
                          * below it; `offset`: the epoch with which it began to
                          * be filled; 0: it was not, and is empty. DECIDE:
                          * data: txn_export.mtimes, unless it is empty */
    TXN_TO_STRONG = 5    /* the same; `offset`: the epoch of its fence; `set`:
                          * times that a namespace is to have. DECIDE: data:
                          * left_out.h, unless it is empty */
};

/* Which step of a transaction a PREPARE or RESOLVE is. What an answer carries
 * as data, the step that needs it takes as data. */
enum txn_step {
    /* All of it, as far as it lies in this region. PREPARE goes to the place
     * of the request: `left` a target, it answers what is there (an entry);
     * of a directory that is opened, what its parts are to be. RESOLVE
     * goes to the target, or the only end; `left` parts, it has done nothing,
     * and `holder` says of which namespace. */
    TXN_STEP_FIRST = 0,
    TXN_STEP_TARGET = 1, /* PREPARE: takes the source, and answers, for an
                          * exchange, what is at the target */
    TXN_STEP_SOURCE = 2, /* PREPARE of an exchange: takes the target */
    TXN_STEP_PART = 3,   /* of the namespace that `txn` opens or closes, which
                          * may lie below that of the request, and of `further`
                          * ones → offset: of how many of these, as exec_part.c
                          * has it; answers where the region ends, as a user
                          * key: the last of them may go on behind it */
    TXN_STEP_ENDS = 4    /* RESOLVE, after all parts */
};

/* What lies in other regions, as bits. */
enum txn_left { TXN_LEFT_TARGET = 1, TXN_LEFT_SOURCE = 2, TXN_LEFT_PARTS = 4 };

enum merge_step {
    MERGE_STEP_BEGIN = 0,   /* for the epochs of both regions */
    MERGE_STEP_TAKE = 1,    /* takes the source over */
    MERGE_STEP_GIVE_UP = 2, /* it will never be taken over */
    MERGE_STEP_END = 3      /* ... and is frozen no more */
};

/* One change of the catalog that a decision makes. */
enum catalog_change_kind {
    CATALOG_ADD = 1,      /* nsid, parent, name, attr */
    CATALOG_MOVE = 2,     /* nsid, parent, name */
    CATALOG_REMOVE = 3,   /* nsid; where no region has its name: parent, name */
    CATALOG_EVENTUAL = 4, /* nsid, attr.version: the epoch with which it began
                           * to be filled, or 0; parent: the eventual one that
                           * it is in, if it is to have its mode from there */
    CATALOG_STRONG = 5    /* nsid, attr.version: the epoch of its fence */
};

struct catalog_change {
    enum catalog_change_kind kind;
    uint64_t nsid;
    uint64_t parent;
    struct slice name;
    struct attr attr;
};

/* What a consistency check has found: the nodes whose replicas had this hash
 * behind the entry `index`, and those that had another one. No right one:
 * they differ, and no majority agrees. */
struct verdict {
    uint64_t index;
    uint64_t hash;
    uint64_t right[REGION_PEERS_MAX];
    size_t right_count;
    uint64_t wrong[REGION_PEERS_MAX];
    size_t wrong_count;
};

struct command {
    enum command_op op;
    /* Who asks: node 0 for commands that are idempotent by nature. */
    uint64_t node;
    uint64_t boot;
    uint64_t sequence;
    uint64_t lowest; /* the sender waits for no sequence below */
    /* Of the region's epoch: at another one nothing is done. 0: at any. */
    uint64_t region_version;
    uint64_t region_conf_ver; /* SPLIT, MERGE */
    uint64_t new_region;
    uint64_t stamp; /* HLC of the accepting node */
    int64_t now_ns; /* its wall clock */
    unsigned flags; /* enum request_flags */
    unsigned set_mask;
    uint64_t dir;
    uint64_t to_dir;
    uint64_t ino;
    struct slice name;
    struct slice to_name;
    struct slice xattr;
    uint64_t offset; /* READDIR: 1 for a list that begins with `name` itself */
    uint64_t size;
    struct attr set;
    uint64_t value_size_max;
    struct slice address;
    struct txn_ref txn;
    enum txn_kind txn_kind;
    enum txn_step txn_step;
    bool commit; /* RESOLVE: how it was decided */
    /* TXN_STEP_PART, TXN_EXPORT: namespaces beside the one that is named, as
     * domain_encode() has them, at most COMMAND_FURTHER_MAX. */
    struct slice further;
    struct slice further_times; /* likewise, what `set` has for the other one:
                                 * mtime and ctime of each; or empty */
    struct catalog_change changes[CATALOG_CHANGES_MAX];
    size_t change_count;
    struct verdict verdict;
    uint64_t token;             /* of a store that joins */
    enum node_state node_state; /* 0: none */
    uint64_t target_node;
    struct region_merge merge;
    enum merge_step merge_step;
    struct goal goal;  /* region 0: none */
    struct slice data; /* raw; borrowed from the bytes that were decoded */

    void *held; /* private */
};

/* Whether it is a read of which region 0 knows everything. */
static inline bool command_is_of_catalog(const struct command *command)
{
    return command->op == COMMAND_DECISION ||
           ((command->op == COMMAND_GETXATTR ||
             command->op == COMMAND_LISTXATTR) &&
            (command->ino & INO_DIR_BIT) != 0);
}

/* NULL when memory is out: the data's size comes from a user. */
struct buf *command_encode(const struct command *command);
int command_decode(struct command *ret, struct slice bytes);
void command_release(struct command *command);

/* The operation in a command's bytes, which were made by command_encode(). */
enum command_op command_peek_op(const struct buf *bytes);
/* Its region_version. */
uint64_t command_peek_version(const struct buf *bytes);
/* The same bytes for another version of the region: a new reference to `bytes`
 * or to a copy. What was encoded without a version stays without. NULL: no
 * memory. */
struct buf *command_for_version(struct buf *bytes, uint64_t region_version);

struct result {
    int status;
    struct attr attr;
    uint64_t offset;
    bool created;
    bool at_end;
    bool decided;
    bool committed;
    uint64_t first_id;
    struct txn_ref holder; /* ERR_LOCKED: by whom */
    unsigned left;         /* enum txn_left */
    struct catalog_change changes[CATALOG_CHANGES_MAX];
    size_t change_count;
    /* READDIR without at_end: what comes is at or behind this name; "": behind
     * the last one listed. */
    char next[NAME_SIZE_MAX + 1];
    struct slice data;    /* raw; borrowed as above, or from data_buf */
    struct buf *data_buf; /* owned by whoever made the result; may be NULL */

    void *held; /* private */
};

struct buf *result_encode(const struct result *result); /* NULL: no memory */
int result_decode(struct result *ret, struct slice bytes);
/* Its status alone, or why the bytes are none. */
int result_status(struct slice bytes);
/* Drops data_buf too. */
void result_release(struct result *result);

#endif
