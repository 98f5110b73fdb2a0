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
 * there was none: the old record counts. */

#ifndef GROVEFS_ENGINE_READ_H
#define GROVEFS_ENGINE_READ_H

#include "engine/command.h"
#include "engine/kv.h"
#include "engine/record.h"

enum { READ_UNKNOWN_MAX = 64, READDIR_SIZE_MAX = 64 * 1024 };

struct read_unknown {
    struct txn_id txn[READ_UNKNOWN_MAX];
    size_t count;
    bool in_catalog; /* out: what was read last, ERR_CORRUPT or not, was a
                      * record of region 0 */
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
