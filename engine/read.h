/* SPDX-License-Identifier: Apache-2.0 */

/* Executing read commands on this node's own state/.
 *
 * The caller has made sure that reading now is linearizable (reader.h): this
 * node has applied whatever was acknowledged before the read began, in region
 * 0 and in the data regions of the view. Nothing here waits, so any thread may
 * call it.
 *
 * A namespace may lie in several regions. A read that needs one that the view
 * does not have answers ERR_UNAVAILABLE and says which key it needs; it is
 * called again with the region of that key in the view. Where that region has
 * no replica on this node the view has what its leader says of its part
 * (COMMAND_PART). A READDIR ends at the end of its region, perhaps with an
 * empty page, and says where to go on.
 *
 * Names that a transaction holds. An intent counts as its
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
#include "engine/range.h"
#include "engine/record.h"

enum { READ_UNKNOWN_MAX = 64, READDIR_SIZE_MAX = 64 * 1024 };

/* A data region that may be looked at, or what it says of a namespace. */
struct read_part {
    uint64_t region;
    struct range range;
    bool is_elsewhere; /* there is nothing of it in state/ */
    struct attr attr;  /* then: count and times of its part */
};

struct read_view {
    const struct read_part *parts;
    size_t count;
};

struct read_unknown {
    struct txn_id txn[READ_UNKNOWN_MAX];
    size_t count;
    uint64_t region;    /* out: what was read last, ERR_CORRUPT or not, was a
                         * record of it */
    struct key needed;  /* out: ERR_UNAVAILABLE: this user key, with a class */
    uint64_t looked_at; /* hash of what the last look has found */
    unsigned repeats;   /* looks that found the same before it */
};

/* Executes `command`. Fills `*ret` (zeroed before; to be released by the
 * caller also on errors) and returns its status. `unknown` is read and added
 * to. `view` NULL: all is here, in one region. Errors: those of the request,
 * ERR_LOCKED and ERR_UNAVAILABLE as above, ERR_CORRUPT, ERR_IO. */
int read_execute(struct kv *state, const struct read_view *view,
                 const struct command *command, struct read_unknown *unknown,
                 struct result *ret);

/* The user key, with a class, at which a read begins; a read of the catalog
 * (command_is_of_catalog()) has none. */
struct key read_first_key(const struct command *command);

/* What the catalog alone says about a directory. ERR_STALE: nothing. */
int read_catalog(struct kv *state, uint64_t nsid, struct attr *ret);

#endif
