/* SPDX-License-Identifier: Apache-2.0 */

/* Brings the files of an eventual directory, and of those below it that have
 * their mode from it, into the parts of their namespaces that a transaction has
 * opened in the regions, to make them strong; and the names of the directories
 * in each, which only the catalog had. A file beside a directory of its name
 * gets the name that it was shown as (eventual_read.h).
 *
 * All nodes have stopped to change them, and this one has what each of them has
 * had, so it sends what is in its own state/, in commands of about
 * EVENTUAL_ITEMS_SIZE, one after the other (exec_import.c), directories by
 * their numbers and many small ones in one. A region takes those that lie in
 * it; what is left goes to where its first name lies.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_TXN_IMPORT_H
#define GROVEFS_ENGINE_TXN_IMPORT_H

#include "engine/command.h"
#include "engine/domain.h"
#include "engine/eventual_items.h"
#include "engine/router.h"

enum import_stage { IMPORT_DIRECTORIES, IMPORT_FILES, IMPORT_END };

struct txn_import {
    struct txn_id txn; /* public: in */
    uint64_t nsid;
    const struct domain *below; /* further namespaces; borrowed */
    uint64_t deadline_ns;
    /* ERR_ABORTED: the parts are not held any more. ERR_NO_SPACE,
     * ERR_NO_QUORUM, ERR_UNKNOWN_OUTCOME, ERR_CANCELED; ERR_CORRUPT, ERR_IO,
     * ERR_NO_MEMORY: of this node. ERR_EXISTS: two files would have one
     * name. */
    void (*done)(struct txn_import *import, int status);

    struct node *node;    /* private from here on; NULL: it does not run */
    struct domain sorted; /* those below */
    size_t below_at;      /* which of them comes next */
    uint64_t nsid_now;    /* where to look for more */
    enum import_stage stage;
    char last[NAME_SIZE_MAX]; /* behind this name; empty: from the beginning */
    size_t last_size;
    struct eventual_items items;
    size_t at; /* what is before it is done */
    struct router_call call;
};

/* A zeroed struct, with what is public, is ready. `done` may be called before
 * this returns. */
void txn_import_start(struct txn_import *import, struct node *node);
/* Ends it without calling `done`; one that does not run is ignored. */
void txn_import_cancel(struct txn_import *import);

#endif
