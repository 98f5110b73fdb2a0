/* SPDX-License-Identifier: Apache-2.0 */

/* What this node has kept of directories that were made strong without it
 * (left_out.h): files and removals that were acknowledged here, or on another
 * node that was left out, and that the others did not know of. They are not in
 * the directory; they are shown in /.cluster/quarantine on this node until
 * somebody drops them.
 *
 * 1. At the end of a life that this node was left out of, each entry of it that
 *    was not taken along is moved: in one batch of state/, so a crash leaves it
 *    here or there. A change that only the journal has goes the same way when
 *    it is replayed, or comes here at once if its name is of a later life by
 *    then.
 * 2. What was moved is durable before anything else is accepted (state/ is
 *    flushed first): the journal would put a change of a later life in the
 *    place of what a power cut has brought back out of the quarantine.
 * 3. Only nodes that were left out keep anything. Something that the others had
 *    got in part may be kept though it was taken along.
 * 4. An item is an eventual record in whole, with the path that it had, and a
 *    number that this node never gives to anything else. Only where the head
 *    was damaged numbers may begin anew behind those that are there.
 *
 * In state/ (keys.h) at 'q'; quarantine_head counts them. They go with state/
 * when that is given up. Writes belong to region 0's owner (env_apply_owner());
 * reads: any thread. record_quarantine.c makes the bytes. */

#ifndef GROVEFS_ENGINE_QUARANTINE_H
#define GROVEFS_ENGINE_QUARANTINE_H

#include "engine/eventual_record.h"

struct quarantine_head {
    uint64_t last;  /* the greatest number that was given */
    uint64_t count; /* of those that are there */
};

struct buf *quarantine_head_encode(const struct quarantine_head *head);
/* ERR_CORRUPT, ERR_VERSION. */
int quarantine_head_decode(struct quarantine_head *ret, struct slice bytes);

/* Zeroes where there is none; one that cannot be read is counted anew.
 * ERR_CORRUPT: nor can that be; ERR_IO. */
int quarantine_head_get(struct kv *state, struct quarantine_head *ret);

struct quarantined {
    uint64_t number;
    struct slice path; /* of the file, as it was, printed as key_path.h says */
    struct eventual_record record; /* with its content */
    void *held;                    /* private */
};

/* The record is with its content. NULL: no memory. */
struct buf *quarantined_encode(struct slice path,
                               const struct eventual_record *record);
/* All but the number; to be released when 0 is returned. ERR_CORRUPT,
 * ERR_VERSION, ERR_NO_MEMORY. */
int quarantined_decode(struct quarantined *ret, struct slice bytes);
void quarantined_release(struct quarantined *item);

/* To be released when 0 is returned. ERR_NOT_FOUND, ERR_CORRUPT, ERR_VERSION,
 * ERR_IO, ERR_NO_MEMORY. */
int quarantine_get(struct kv *state, uint64_t number, struct quarantined *ret);

/* The first number of at least `from`. ERR_NOT_FOUND: there is none;
 * ERR_CORRUPT, ERR_IO. */
int quarantine_next(struct kv *state, uint64_t from, uint64_t *ret_number);

/* The last life of a namespace, up to `since`, that `node` was left out of; 0:
 * of none. One whose record cannot be read counts. ERR_CORRUPT: not all of them
 * can be found; ERR_IO. */
int quarantine_last_life(struct kv *state, uint64_t node, uint64_t nsid,
                         uint64_t since, uint64_t *ret_since);

struct quarantine_kept {
    uint64_t moved_count;
    uint64_t unread_count; /* entries that stay as they cannot be read, or of
                            * all that cannot be reached one at least */
};

/* Rule 1: moves what is to be kept of the lives of a namespace up to `since`,
 * in batches of its own of about a MiB; what stays is the caller's matter, and
 * rule 2 is. `node`: this one. Where the record of who was left out cannot be
 * read, that is kept which this node has accepted. A full disk is no reason to
 * keep less: what is moved is deleted with it. ERR_IO, ERR_NO_MEMORY. */
int quarantine_keep(struct kv *state, uint64_t node, uint64_t nsid,
                    uint64_t since, struct quarantine_kept *ret);

/* Rule 1, of a record with its content that the journal has, or that is in its
 * namespace: puts it into the batch, if it is to be kept, which `*ret` says.
 * The batch is to be written before the next call. ERR_CORRUPT, ERR_IO,
 * ERR_NO_MEMORY. */
int quarantine_take(struct kv *state, struct kv_batch *batch, uint64_t node,
                    const struct eventual_record *record, bool *ret);

/* A crash may bring it back as long as state/ was not flushed. ERR_NOT_FOUND;
 * ERR_CORRUPT, ERR_IO. */
int quarantine_drop(struct kv *state, uint64_t number);

#endif
