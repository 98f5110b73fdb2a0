/* SPDX-License-Identifier: Apache-2.0 */

/* What the functions that execute transactions share: exec_txn.c prepares,
 * exec_txn_mode.c does so for a directory that becomes eventual or strong,
 * exec_resolve.c resolves, exec_part.c has the parts of namespaces that are
 * opened and closed, exec_copy.c and exec_import.c bring content.
 * For them only. */

#ifndef GROVEFS_ENGINE_EXEC_TXN_H
#define GROVEFS_ENGINE_EXEC_TXN_H

#include "engine/content.h"
#include "engine/exec.h"

/* Keeps the index of intents: class 'x'. */
void exec_mark_intent(struct exec *x, struct place place, bool present);

/* What the name of a directory is. */
struct entry exec_reference_to(uint64_t nsid);

/* PREPARE of TXN_TO_EVENTUAL and TXN_TO_STRONG. */
int exec_prepare_mode(struct exec *x);

/* PREPARE and RESOLVE of parts, of one namespace or several. */
int exec_prepare_parts(struct exec *x);
int exec_resolve_parts(struct exec *x);

/* Closes the region's part of txn->closes_nsid, of a directory that is to go or
 * to become eventual. `marked`: nothing else in this region may tell of the
 * transaction. ERR_LOCKED also for an intent in it; ERR_NOT_EMPTY; ERR_BUSY:
 * the directory is eventual, and has to become strong first. */
int exec_close_part(struct exec *x, const struct txn_ref *txn, bool marked);

/* Makes the region's part of txn->opens_nsid; `part` says what it is to be
 * like. ERR_LOCKED; ERR_BUSY: it is open already. */
int exec_open_part(struct exec *x, const struct txn_ref *txn,
                   const struct namespace_record *part, bool marked);
/* The same for the namespace as a whole, in the region of the command's `dir`,
 * unless that takes other regions; answers what its parts are to be like. */
int exec_open_namespace(struct exec *x, const struct txn_ref *txn);

/* Brings the region's part of the namespace that `txn` opens or closes to what
 * the command says was decided. */
int exec_resolve_part(struct exec *x, const struct txn_ref *txn);

#endif
