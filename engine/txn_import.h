/* SPDX-License-Identifier: Apache-2.0 */

/* Brings the files of an eventual directory into the parts of its namespace
 * that a transaction has opened in the regions, to make it strong. All nodes
 * have stopped to change it, and this one has what each of them has had, so it
 * sends what is in its own state/, in commands of about
 * EVENTUAL_ITEMS_SIZE, one after the other (exec_import.c). A region takes
 * those that lie in it; what is left goes to where its first name lies.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_TXN_IMPORT_H
#define GROVEFS_ENGINE_TXN_IMPORT_H

#include "engine/command.h"
#include "engine/eventual_items.h"
#include "engine/router.h"

struct txn_import {
    struct txn_id txn; /* public: in */
    uint64_t nsid;
    uint64_t deadline_ns;
    /* ERR_ABORTED: the parts are not held any more. ERR_NO_SPACE,
     * ERR_NO_QUORUM, ERR_UNKNOWN_OUTCOME, ERR_CANCELED; ERR_CORRUPT, ERR_IO,
     * ERR_NO_MEMORY: of this node. */
    void (*done)(struct txn_import *import, int status);

    struct node *node; /* private from here on; NULL: it does not run */
    struct key next;   /* where to look for more, in class 'v' */
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
