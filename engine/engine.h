/* SPDX-License-Identifier: Apache-2.0 */

/* The engine: a replicated tree of files, as one node sees it. All that fs/
 * knows of what lies below.
 *
 * Life: engine_open() checks and opens the store, engine_start() joins the
 * cluster and returns at once, engine_wait_ready() waits until the root can
 * be read, engine_stop() hands leadership over, fails what waits and stops
 * the threads, engine_close() frees. In between, requests.
 *
 * A request is a struct that the caller embeds in its own. It is filled in,
 * submitted, and comes back exactly once: either engine_submit() returns true
 * and the result is there already (a read that this node may answer from its
 * own store right now), or `done` is called later on a thread of the engine,
 * never from inside engine_submit(). Then the memory is the caller's again.
 * Every request ends, with an error at the latest at its deadline.
 *
 * Reads are linearizable: they see everything that any node had acknowledged
 * when they were submitted. A write has been stored and synced by a majority
 * and applied when it succeeds. In eventual directories neither holds: there
 * this node alone answers, and stores and syncs what is written. What the
 * errors mean is in err.h; NOT_LEADER, EPOCH, LOCKED and the like never leave
 * the engine.
 *
 * Read next: node.h (how the pieces are put together). */

#ifndef GROVEFS_ENGINE_ENGINE_H
#define GROVEFS_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "raft/base/buf.h"
#include "raft/base/err.h"
#include "raft/base/log.h"
#include "raft/base/mem.h"

enum {
    NAME_SIZE_MAX = 255,
    SYMLINK_SIZE_MAX = 4095,
    WRITE_SIZE_MAX = 1024 * 1024, /* content of one write or read */
    XATTR_NAME_SIZE_MAX = 255,
    XATTRS_SIZE_MAX = 16 * 1024, /* all of one entry: names, values, and 4
                                  * bytes for each */
};

/* Namespace ids. The root always exists; inode numbers of directories are
 * their namespace id with the top bit set. Namespace ids stay below 2^62:
 * fs/ has numbers of its own above. A file's inode number has the top bit
 * clear and is at least INO_FILE_MIN; those below are free for fs/, too. */
#define NSID_ROOT UINT64_C(1)
#define INO_DIR_BIT (UINT64_C(1) << 63)
#define INO_FILE_MIN (UINT64_C(1) << 47)

/* What stat(2) shows. Times are nanoseconds since the epoch. */
struct attr {
    uint64_t ino;
    uint64_t size;
    uint32_t mode; /* with the type bits of stat(2) */
    uint32_t uid;
    uint32_t gid;
    uint32_t entry_count; /* directories: how many names; of eventual ones,
                           * of files */
    int64_t atime_ns;
    int64_t mtime_ns;
    int64_t ctime_ns;
    uint64_t version; /* grows with each change of the entry */
    uint64_t origin;  /* reads of files in eventual directories: the node that
                       * has accepted the newest change; else 0 */
};

/* The namespace id of a directory's inode number, and back. */
static inline uint64_t nsid_of_ino(uint64_t ino)
{
    return ino & ~INO_DIR_BIT;
}

static inline uint64_t ino_of_nsid(uint64_t nsid)
{
    return nsid | INO_DIR_BIT;
}

/* Extended attributes that every directory and file has, and that are never
 * listed: how consistent the directory is, or the one that the file is in, of
 * which directories take XATTR_STRONG, XATTR_STRONG_FORCE (the same without
 * nodes that are not heard of) and XATTR_EVENTUAL (to remove it makes one as
 * its parent is); how many seconds old what is shown there may be ("-": not
 * known); and of eventual ones a digest of what is there, which is the same on
 * all nodes that have the same ("-": there is none). */
#define XATTR_CONSISTENCY "user.grove.consistency"
#define XATTR_LAG "user.grove.lag"
#define XATTR_DIGEST "user.grove.digest"
#define XATTR_STRONG "strong"
#define XATTR_STRONG_FORCE "strong force"
#define XATTR_EVENTUAL "eventual"

enum request_kind {
    /* A file that is not, or no longer, at {dir, name} with the given ino is
     * ERR_STALE; where no ino is taken a missing name is ERR_NOT_FOUND. */

    /* Reads.                  takes → gives */
    REQUEST_LOOKUP,    /* dir, name → attr */
    REQUEST_GETATTR,   /* ino, and for files dir, name → attr */
    REQUEST_READ,      /* dir, name, ino, offset, size → data, attr, both of
                        * one moment; all bytes of the range that exist;
                        * symlinks give their target */
    REQUEST_READDIR,   /* dir, name (list behind it, "" from the start; with
                        * `offset` 1 it comes first itself), size → data (see
                        * dirent_next), at_end or next. A page is of one
                        * moment; it may be short, or empty and yet not the
                        * last */
    REQUEST_GETXATTR,  /* ino, dir, name, xattr → data */
    REQUEST_LISTXATTR, /* ino, dir, name → data: names, each with its \0 */
    REQUEST_RENDER,    /* table, object → data; answered without a majority.
                        * ERR_NOT_FOUND: no such object is known here */
    REQUEST_EVENTS,    /* table, offset → data, attr, offset: lines of
                        * /.cluster/events. With offset EVENTS_FROM_NOW the
                        * line that names the columns, and attr.size, which
                        * is that of it and all events that there have ever
                        * been. Else the events from that number on; it waits
                        * for them without end (timeout_ms is ignored) unless
                        * flags has NO_WAIT: then data may be empty. The
                        * offset that comes back is the number to go on
                        * from. */
    /* Writes. */
    REQUEST_CREATE,      /* dir, name, mode with type, uid, gid, data
                          * (content or symlink target; may be NULL), flags
                          * EXCLUSIVE → attr, created. What exists, of any
                          * type, is returned as it is unless EXCLUSIVE. */
    REQUEST_WRITE,       /* dir, name, ino, offset, data, flags TRUNCATE,
                          * APPEND, KILL_PRIV → attr, offset. With data NULL
                          * and TRUNCATE: empties. */
    REQUEST_SETATTR,     /* ino, dir, name, set, set_mask → attr */
    REQUEST_UNLINK,      /* dir, name */
    REQUEST_MKDIR,       /* dir, name, mode, uid, gid → attr */
    REQUEST_RMDIR,       /* dir, name */
    REQUEST_RENAME,      /* dir, name, to_dir, to_name, flags NOREPLACE or
                          * EXCHANGE; files and directories */
    REQUEST_SETXATTR,    /* ino, dir, name, xattr, data, flags
                          * XATTR_CREATE, XATTR_REPLACE */
    REQUEST_REMOVEXATTR, /* ino, dir, name, xattr */
    REQUEST_CONTROL,     /* table, object, data: a text for a control file;
                          * comes back when it is done. ERR_INVALID,
                          * ERR_NOT_FOUND, ERR_NOT_PERMITTED, ERR_BUSY: for
                          * the reason in words see /.cluster/log */
    REQUEST_KINDS
};

enum request_flags {
    REQUEST_EXCLUSIVE = 1 << 0,
    REQUEST_TRUNCATE = 1 << 1,  /* the value is empty before this write */
    REQUEST_APPEND = 1 << 2,    /* offset = size where it is applied */
    REQUEST_KILL_PRIV = 1 << 3, /* clear set-uid and set-gid */
    REQUEST_NOREPLACE = 1 << 4,
    REQUEST_EXCHANGE = 1 << 5,
    REQUEST_XATTR_CREATE = 1 << 6,  /* must not exist */
    REQUEST_XATTR_REPLACE = 1 << 7, /* must exist */
    /* GETATTR of a directory: when no majority can be reached at once, what
     * this node knows by itself. For the root, which every path begins with,
     * also the one to /.cluster. */
    REQUEST_LOCAL_IF_ALONE = 1 << 8,
    REQUEST_NO_WAIT = 1 << 9
};

#define EVENTS_FROM_NOW UINT64_MAX

/* Bits of `set_mask`: which members of `set` a SETATTR changes. */
enum attr_set {
    SET_MODE = 1 << 0,
    SET_UID = 1 << 1,
    SET_GID = 1 << 2,
    SET_SIZE = 1 << 3,
    SET_ATIME = 1 << 4,
    SET_MTIME = 1 << 5,
    SET_ATIME_NOW = 1 << 6, /* the accepting node's time */
    SET_MTIME_NOW = 1 << 7
};

/* The generated texts of /.cluster. Those with an object have one for each
 * region, node or change in quarantine; its number is the request's `object`.
 */
enum engine_table {
    TABLE_VERSION,
    TABLE_HEALTH,
    TABLE_NODES,
    TABLE_REGIONS,
    TABLE_LEADERS,
    TABLE_LAG,
    TABLE_LOG,
    TABLE_EVENTS, /* only what REQUEST_EVENTS begins with */
    TABLE_METRICS,
    TABLE_CHECK, /* takes texts, too: grovefs-cluster(7) */
    TABLE_OPERATORS,
    TABLE_MODES,
    TABLE_EVENTUAL,
    /* What there is of /.cluster/region and /.cluster/node as far as is known
     * here, and in the quarantine of this node: numbers in ascending order, one
     * a line. */
    TABLE_REGION_IDS,
    TABLE_NODE_IDS,
    TABLE_QUARANTINE_IDS,
    /* Object: a region. */
    TABLE_REGION_RANGE,
    TABLE_REGION_LEADER,
    TABLE_REGION_TERM,
    TABLE_REGION_EPOCH,
    TABLE_REGION_PEERS,
    TABLE_REGION_LEARNERS,
    TABLE_REGION_SIZE,
    TABLE_REGION_KEYS,
    TABLE_REGION_LAG,
    TABLE_REGION_LOG,
    TABLE_REGION_STATE,
    TABLE_REGION_TRANSFER, /* takes texts */
    TABLE_REGION_SPLIT,    /* likewise */
    TABLE_REGION_MERGE,    /* likewise */
    TABLE_REGION_MOVE,     /* takes texts */
    TABLE_REGION_OPERATOR, /* takes texts */
    /* Object: a node. */
    TABLE_NODE_ADDRESS,
    TABLE_NODE_STATE,
    TABLE_NODE_STATS,
    TABLE_NODE_DRAIN,  /* takes texts */
    TABLE_NODE_REMOVE, /* takes texts */
    /* Object: a number in the quarantine of this node. */
    TABLE_QUARANTINE_PATH,
    TABLE_QUARANTINE_ABOUT,
    TABLE_QUARANTINE_CONTENT, /* any bytes */
    TABLE_QUARANTINE_DROP,    /* takes texts */
    /* Settings, in the order of settings.h; they take texts. */
    TABLE_SETTING_REPLICAS,
    TABLE_SETTING_REGION_SIZE,
    TABLE_SETTING_DOWN_AFTER,
    TABLE_SETTING_BALANCE,
    TABLE_SETTING_OPERATORS,
    TABLE_SETTING_AUTO_MERGE,
    TABLES
};

struct request {
    /* In; read by the engine until the request comes back. `name`, `to_name`
     * and `xattr` are borrowed from the caller, `data` too: the engine takes
     * references of its own where it needs them longer. */
    enum request_kind kind;
    enum engine_table table;
    uint64_t object; /* of the table; 0 for one without */
    unsigned flags;
    unsigned set_mask;
    uint64_t dir; /* namespace ids */
    uint64_t to_dir;
    uint64_t ino;
    const char *name; /* \0-terminated, at most NAME_SIZE_MAX bytes */
    const char *to_name;
    const char *xattr;
    uint64_t offset;
    size_t size;
    struct attr set; /* SETATTR; CREATE and MKDIR: mode, uid, gid */
    struct buf *data;
    uint64_t timeout_ms; /* 0: the engine's op_timeout */
    /* Reads: the answer may be as of any moment from this one on (nanoseconds
     * of CLOCK_MONOTONIC), which may save asking another node: for what belongs
     * to something that began then. 0: from the submission on. */
    uint64_t since_ns;
    void (*done)(struct request *request);

    /* Out. */
    int status; /* 0 or an ERR_ code; nothing below counts unless 0 */
    struct attr attr;
    struct buf *ret_data; /* one reference, now the caller's; may be NULL */
    uint64_t ret_offset;  /* APPEND: where the data begins; EVENTS */
    bool created;
    bool at_end;
    char ret_next[NAME_SIZE_MAX + 1]; /* READDIR without at_end: nothing comes
                                       * before it; "": behind the last name */

    void *private; /* the engine's, while it is submitted */
};

/* One name of a READDIR's data. */
struct dirent_view {
    const char *name; /* borrowed from the data, \0-terminated */
    uint64_t ino;
    uint32_t mode; /* type bits only */
};

/* Takes the next name out of a READDIR's data. `*position` begins at 0. False
 * at the end. */
bool dirent_next(const struct buf *data, size_t *position,
                 struct dirent_view *ret_entry);

#define ENGINE_NEVER UINT64_MAX

/* Options, as texts from the command line or the configuration file. NULL or
 * 0 means the default in grovefs(8). */
struct engine_config {
    const char *data_dir;
    const char *listen;    /* HOST:PORT; one-node stores open no port without */
    const char *advertise; /* HOST:PORT that the others use */
    const char *peers;     /* 1@HOST:PORT+2@HOST:PORT... */
    const char *join;      /* HOST:PORT+HOST:PORT... */
    uint64_t node_id;
    uint64_t op_timeout_ms;
    uint64_t value_size_max;
    uint64_t log_keep; /* applied log entries kept for lagging replicas */
    uint64_t check_interval_ms; /* between consistency checks of a region;
                                 * ENGINE_NEVER: only when asked for */
    uint64_t workers; /* threads that apply; 1: none but the engine's loop */
    /* The store cannot be trusted any more, or the cluster has removed this
     * node; called once, on any thread, with a reason in words. The process is
     * to end without serving anything. */
    void (*on_fatal)(void *context, const char *reason);
    void *on_fatal_context;
};

struct engine;

/* Checks the options, opens or creates the store, binds the port, and asks the
 * members that an empty store is to join, for up to 10 s. The engine does
 * nothing yet, but the store has threads that do not survive a fork: call
 * it in the process that will serve. Errors, all with one clear line in `e`:
 * ERR_INVALID (an option), ERR_BUSY (store locked by another process),
 * ERR_FOREIGN (store of another cluster or node), ERR_VERSION,
 * ERR_NO_QUORUM (no member has let the node in), ERR_ADDRESS_IN_USE,
 * ERR_CORRUPT, ERR_IO and what the filesystem says. On error nothing has
 * changed. */
int engine_open(struct engine **ret, const struct engine_config *config,
                struct err *e);

/* Starts the engine's own threads, which end the program if they cannot be
 * started; so it always returns 0. Once, on the thread that opened. */
int engine_start(struct engine *engine, struct err *e);

/* Waits until the node is part of a cluster and its root directory has been
 * read once, or for `timeout_ms`. Errors: ERR_NO_QUORUM after the time,
 * ERR_FOREIGN when the cluster refuses this node (`e` says why). */
int engine_wait_ready(struct engine *engine, uint64_t timeout_ms,
                      struct err *e);

/* Submits; see the top. Any thread, also from within `done`, and then also
 * while engine_stop() runs. `done` is called with no lock held that this or
 * engine_cancel() takes, because callers call both with locks of their own.
 * Asserts that the request is well-formed; limits that a user can exceed are
 * answered by an error. */
bool engine_submit(struct engine *engine, struct request *request);

/* Makes a submitted request come back soon with ERR_INTERRUPTED, unless it is
 * just coming back anyway. A write that was sent already may still be
 * applied. The caller makes sure that `request` has not come back yet, or
 * ignores the effect: a request that is not known is ignored. Any thread. */
void engine_cancel(struct engine *engine, struct request *request);

/* The parts of statfs(2) that a person looks at; local, never waits. */
struct engine_space {
    uint64_t bytes_total;
    uint64_t bytes_free;
};
void engine_space(struct engine *engine, struct engine_space *ret_space);

/* This node's id in the cluster. */
uint64_t engine_node_id(const struct engine *engine);

/* The greatest value size, for a check before data is sent. */
uint64_t engine_value_size_max(const struct engine *engine);
uint64_t engine_op_timeout_ms(const struct engine *engine);

/* Writes a line into /.cluster/log. Any thread. */
void engine_log_event(struct engine *engine, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Stops serving: hands leadership over, fails what waits with ERR_CANCELED,
 * flushes the store, ends the threads. Not on an engine thread. */
void engine_stop(struct engine *engine);

/* Frees; takes NULL and an engine that was never started. */
void engine_close(struct engine *engine);

#endif
