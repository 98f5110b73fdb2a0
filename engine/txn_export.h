/* SPDX-License-Identifier: Apache-2.0 */

/* Brings the files of a strong directory, and of those below it, to all nodes,
 * to make them eventual: the other way of txn_import.h. They are *being filled*
 * (mode_is_filling()): an entry of region 0 has begun the life that their files
 * are to have as eventual ones, and a transaction has closed all parts of their
 * namespaces, so nothing in them changes. Then
 *
 * 1. it is read, page after page (read_export.c), where many small directories
 *    are on one, and each file becomes a change of that life which this node
 *    has accepted (COMMAND_BRING), so that it gets a version, lies in the
 *    journal, and is pulled by all others;
 * 2. it is waited until all other nodes have all of these safely: what is about
 *    to be deleted lay on a majority of disks.
 *
 * Nobody sees any of it before the transaction is decided. If that does not
 * come, the life ends before it has begun: the entry of region 0 that ends the
 * filling has each node delete what it has of it. So there is one attempt to
 * each life: what a second one would find is not what the first one brought.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_TXN_EXPORT_H
#define GROVEFS_ENGINE_TXN_EXPORT_H

#include "engine/domain.h"
#include "engine/eventual.h"
#include "engine/reader.h"

enum { BRINGS_MAX = 64 /* at the same time */ };

struct txn_export;

/* One file on its way. */
struct txn_bring {
    struct txn_export *export;
    struct eventual_op op;
};

struct txn_export {
    struct txn_id txn; /* public: in */
    uint64_t nsid;
    const struct domain *below; /* further namespaces; borrowed */
    uint64_t since;             /* the life */
    uint64_t deadline_ns;
    /* ERR_ABORTED: the parts are not held, or it is not being filled any more.
     * ERR_TOO_LARGE: a file of more than EVENTUAL_VALUE_SIZE_MAX;
     * ERR_NO_QUORUM: not in time; ERR_NO_SPACE, ERR_READ_ONLY, ERR_UNAVAILABLE:
     * eventual.h; ERR_CANCELED; ERR_CORRUPT, ERR_IO, ERR_NO_MEMORY. */
    void (*done)(struct txn_export *export, int status);
    bool has_said;      /* public: out; the log says why it failed */
    struct buf *mtimes; /* public: out, if it is 0; of all namespaces, in the
                         * order of `below`, 8 bytes each, big endian. The
                         * caller's to drop */

    struct node *node;    /* private from here on; NULL: it does not run */
    struct domain sorted; /* those below, and as bytes */
    struct buf *sorted_bytes;
    struct buf *sorted_mtimes; /* that of `nsid`, and theirs */
    size_t below_at;           /* which of them comes next */
    struct command question;
    char name[NAME_SIZE_MAX]; /* where the next page begins */
    bool at_end;              /* this page is the last one */
    struct read_op read;
    struct buf *items; /* the page */
    size_t at;
    struct txn_bring *brings;
    size_t running;
    int status;        /* the first failure of the page */
    uint64_t sequence; /* this node's number of the last file; 0: none */
    struct env_timer look;
};

/* A zeroed struct, with what is public, is ready. `done` may be called before
 * this returns. */
void txn_export_start(struct txn_export *export, struct node *node);
/* Ends it without calling `done`; one that does not run is ignored. */
void txn_export_cancel(struct txn_export *export);

#endif
