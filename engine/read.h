/* SPDX-License-Identifier: Apache-2.0 */

/* Executing read commands on this node's own state/.
 *
 * The caller has made sure that reading now is linearizable (reader.h): this
 * node has applied whatever was acknowledged before the read began, in the
 * data region and in region 0. Nothing here waits, so any thread may call it.
 *
 * Names that a directory transaction holds. An intent counts as its
 * transaction was decided; region 0's replica on this node knows decisions. It
 * may not know one, because there is none yet, or because it was forgotten
 * again (which happens only after the intent has gone from the data region).
 * So: when the decision is unknown the read answers ERR_LOCKED and notes the
 * transaction in `unknown`. The caller makes sure once more that reading is
 * linearizable and tries again with what was noted: an intent that is still
 * there shows that its decision was not forgotten when it was looked for, so
 * there was none: the old record counts.
 *
 * Such a read looks at both regions, and this node may have applied more of one
 * than of the other: it could miss a directory, and see a file that was made
 * after that. So a read that has met an intent is repeated, behind barriers
 * again, until it has found the same entries and decisions as the time before:
 * in between there was a moment when all of it was true. What counts as
 * undecided must have been so three times, since the decision that a look
 * missed may have been forgotten before the next one. */

#ifndef GROVEFS_ENGINE_READ_H
#define GROVEFS_ENGINE_READ_H

#include "engine/command.h"
#include "engine/kv.h"
#include "engine/record.h"

enum { READ_UNKNOWN_MAX = 64, READDIR_SIZE_MAX = 64 * 1024 };

struct read_unknown {
    struct txn_id txn[READ_UNKNOWN_MAX];
    size_t count;
    bool in_catalog;    /* out: what was read last, ERR_CORRUPT or not, was a
                         * record of region 0 */
    uint64_t looked_at; /* hash of what the last look has found */
    unsigned repeats;   /* looks that found the same before it */
};

/* Executes `command`. Fills `*ret` (zeroed before; to be released by the
 * caller also on errors) and returns its status. `unknown` is read and added
 * to. Errors: those of the request, ERR_LOCKED as above, ERR_CORRUPT, ERR_IO.
 */
int read_execute(struct kv *state, const struct command *command,
                 struct read_unknown *unknown, struct result *ret);

/* What the catalog alone says about a directory. ERR_STALE: nothing. */
int read_catalog(struct kv *state, uint64_t nsid, struct attr *ret);

#endif
