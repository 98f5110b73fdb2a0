/* SPDX-License-Identifier: Apache-2.0 */

/* What this node has kept of directories that were made strong without it
 * (left_out.h): files and removals that were acknowledged here, or on another
 * node that was left out, and that the others did not know of. They are not in
 * the directory; they are shown in /.cluster/quarantine on this node until
 * somebody drops them.
 *
 * 1. At the end of a life that this node was left out of, each entry of it that
 *    was not taken along is moved: in one batch of state/, so a crash leaves it
 *    here or there. A change that only the journal has comes here when it is
 *    replayed, if its life has ended meanwhile.
 * 2. Only nodes that were left out keep anything. Something that the others had
 *    got in part may be kept though it was taken along.
 * 3. An item is an eventual record in whole, with the path that it had, and a
 *    number that this node never gives to anything else.
 *
 * In state/ (keys.h) at 'q'; quarantine_head counts them. Writes belong to
 * region 0's owner (env_apply_owner()); reads: any thread. */

#ifndef GROVEFS_ENGINE_QUARANTINE_H
#define GROVEFS_ENGINE_QUARANTINE_H

#include "engine/eventual_record.h"

struct quarantine_head {
    uint64_t last;  /* the greatest number that was given */
    uint64_t count; /* of those that are there */
};

/* Zeroes where there is none. ERR_CORRUPT, ERR_IO. */
int quarantine_head_get(struct kv *state, struct quarantine_head *ret);

struct quarantined {
    uint64_t number;
    struct slice path; /* of the file, as it was, printed as in /.cluster */
    struct eventual_record record; /* with its content */
    void *held;                    /* private */
};

/* To be released when 0 is returned. ERR_NOT_FOUND, ERR_CORRUPT, ERR_VERSION,
 * ERR_IO, ERR_NO_MEMORY. */
int quarantine_get(struct kv *state, uint64_t number, struct quarantined *ret);
void quarantined_release(struct quarantined *item);

/* The first number of at least `from`. ERR_NOT_FOUND: there is none; ERR_IO. */
int quarantine_next(struct kv *state, uint64_t from, uint64_t *ret_number);

/* Rule 1: moves what is to be kept of the lives of a namespace up to `since`,
 * in batches of its own of about a MiB; what stays is the caller's matter.
 * `node`: this one. What cannot be read stays, and is no error. ERR_IO,
 * ERR_NO_MEMORY. */
int quarantine_keep(struct kv *state, uint64_t node, uint64_t nsid,
                    uint64_t since);

/* The same for one that comes from the journal: `*ret` says whether it was
 * kept. */
int quarantine_take(struct kv *state, uint64_t node,
                    const struct eventual_record *record, bool *ret);

/* ERR_NOT_FOUND; ERR_CORRUPT, ERR_IO. */
int quarantine_drop(struct kv *state, uint64_t number);

#endif
