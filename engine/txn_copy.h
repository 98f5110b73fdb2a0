/* SPDX-License-Identifier: Apache-2.0 */

/* Copies the content of a file that a transaction holds to the place in another
 * region where it is to be, in pieces of WRITE_SIZE_MAX: reads one, proposes
 * it there (exec_copy.c), and so on.
 *
 * The file cannot change while it is held. If the transaction is aborted
 * meanwhile it may, and what was copied is worth nothing; but then it cannot be
 * committed any more either.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_TXN_COPY_H
#define GROVEFS_ENGINE_TXN_COPY_H

#include "engine/command.h"
#include "engine/reader.h"
#include "engine/router.h"

struct txn_copy {
    /* public: in; names are borrowed until done */
    struct txn_id txn;
    uint64_t dir; /* the file as it is held */
    struct slice name;
    uint64_t ino;
    uint64_t size;
    uint64_t to_dir;
    struct slice to_name;
    uint64_t deadline_ns;
    /* ERR_ABORTED: it is not held any more; ERR_UNKNOWN_OUTCOME, ERR_NO_QUORUM,
     * ERR_CANCELED. */
    void (*done)(struct txn_copy *copy, int status);

    struct node *node; /* private from here on */
    uint64_t offset;
    struct command question;
    struct read_op read;
    struct router_call call;
};

/* A zeroed struct, with what is public, is ready. */
void txn_copy_start(struct txn_copy *copy, struct node *node);
/* Ends it without calling `done`; one that does not run is ignored. */
void txn_copy_cancel(struct txn_copy *copy);

#endif
