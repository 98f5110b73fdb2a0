/* SPDX-License-Identifier: Apache-2.0 */

/* Transactions: mkdir, rmdir, rename and exchange of directories change data
 * regions, where names and namespaces are, and region 0, where the catalog is,
 * together or not at all. So do rename and exchange of files whose two ends lie
 * in different regions, though the catalog knows nothing of files.
 *
 *     coordinator            data regions            region 0
 *     ----------------------------------------------------------------
 *     PREPARE  ------------> checks, intents
 *     DECIDE   -----------------------------------> catalog changed and
 *                                                   decision stored: HERE it
 *                                                   takes effect
 *     (answers the request)
 *     RESOLVE  ------------> intents become names
 *     FORGET   -----------------------------------> decision dropped
 *
 * PREPARE and RESOLVE are one command each when all lies in one region, and one
 * for each region else: txn_prepare.h, txn_resolve.h. What takes part are the
 * places of the names, and the parts of a namespace that is opened or closed,
 * or of several, where the mode of a directory changes: domain.h. Of these
 * COMMAND_FURTHER_MAX come with one command.
 *
 * 1. Only the entry of DECIDE in region 0 decides. Whoever meets an intent
 *    asks region 0 and never concludes from the intent alone (read.h for
 *    reads, settle.h for writes). A coordinator that has not asked for a
 *    decision may undo what it has prepared: nobody else can commit it.
 * 2. A coordinator that dies leaves intents. Whoever is held up by them has
 *    region 0 abort the transaction, or finishes it when it was decided; the
 *    leaders of the data regions do so with those that nobody meets. From
 *    each thing that is left all the others are found.
 * 3. The coordinator keeps its sequence on hold (router.h) until FORGET, so
 *    its commands are answered once, and an abort is remembered as long as a
 *    DECIDE of the same transaction may still arrive.
 * 4. FORGET comes after all is resolved. What region 0 does not know was never
 *    committed, or nothing is left of it.
 * 5. Of a directory below an eventual one no region has the name. To remove it
 *    when it is strong, or to change its mode, takes the parts of its namespace
 *    alone: the transaction has no place, so no intents, and each part says of
 *    which namespace it is. The decision names all of these. Region 0 checks
 *    with it that the name still is where it was.
 *
 * Belongs to ENV_WORKER. */

#ifndef GROVEFS_ENGINE_TXN_H
#define GROVEFS_ENGINE_TXN_H

#include "engine/command.h"
#include "engine/node.h"

struct txn;

struct txn_op {
    uint64_t deadline_ns; /* public: in */
    bool has_no_place;    /* rule 5 */
    bool inherits; /* ... and it is to have the mode of the eventual directory
                    * that it is in */
    /* What region 0 is told with the decision to make a directory strong
     * (left_out.h); NULL: nothing. A reference is kept until it is over. */
    struct buf *left_out;
    bool has_said; /* public: out, for a mode: the log says why it failed */
    /* `attr` of a new directory; NULL unless status is 0. */
    void (*done)(struct txn_op *op, int status, const struct attr *attr);
    struct txn *txn; /* private */
};

struct txns *txns_new(struct node *node);
void txns_free(struct txns *txns); /* Takes NULL. After txns_stop(). */
/* Ends all with ERR_CANCELED; what was begun is left to rule 2. */
void txns_stop(struct txns *txns);

/* Starts one. `command` has kind, places, flags and attributes; its names are
 * copied. */
void txns_start(struct txns *txns, struct txn_op *op,
                const struct command *command);
/* Ends it for the caller without calling `done`; it runs on by itself. An
 * op that has ended is ignored. */
void txns_detach(struct txn_op *op);

/* Once a second: rule 2, for the regions that are led here. */
void txns_tick(struct txns *txns);

#endif
