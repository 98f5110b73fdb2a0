/* SPDX-License-Identifier: Apache-2.0 */

/* What the functions that execute transactions share: exec_txn.c prepares,
 * exec_resolve.c resolves, exec_part.c has the parts of namespaces that are
 * opened and closed, exec_copy.c brings content. For them only. */

#ifndef GROVEFS_ENGINE_EXEC_TXN_H
#define GROVEFS_ENGINE_EXEC_TXN_H

#include "engine/content.h"
#include "engine/exec.h"

/* Keeps the index of intents: class 'x'. */
void exec_mark_intent(struct exec *x, struct place place, bool present);

/* Closes the region's part of txn->closes_nsid, of a directory that is to go.
 * `marked`: nothing else in this region may tell of the transaction. ERR_LOCKED
 * also for an intent in it; ERR_NOT_EMPTY. */
int exec_close_part(struct exec *x, const struct txn_ref *txn, bool marked);

/* The same for a new directory; `part` says what it is to be like. */
void exec_open_part(struct exec *x, const struct txn_ref *txn,
                    const struct namespace_record *part, bool marked);

/* Brings the region's part of the namespace that `txn` opens or closes to what
 * the command says was decided. */
int exec_resolve_part(struct exec *x, const struct txn_ref *txn);

/* Answers where the region ends, so that its neighbour can be found. */
void exec_answer_end(struct exec *x);

#endif
