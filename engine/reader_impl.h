/* SPDX-License-Identifier: Apache-2.0 */

/* What reader.c and reader_run.c share; for them only. */

#ifndef GROVEFS_ENGINE_READER_IMPL_H
#define GROVEFS_ENGINE_READER_IMPL_H

#include "engine/reader.h"

/* One region that a read needs. */
struct read_piece {
    struct read_op *op;
    struct read_part part;         /* its range is in `start` and `end` */
    uint64_t version;              /* of a region that is here */
    const struct barrier *barrier; /* that it has waited for; likewise */
    struct buf *start;
    struct buf *end;
    struct barrier_wait wait;
    struct command question; /* to the leader of one that is elsewhere */
    char name[NAME_SIZE_MAX];
    struct router_call call;
    TAILQ_ENTRY(read_piece) link;
};

/* One execution, by one of those who apply. It outlives its op when that is
 * cancelled. */
struct read_run {
    struct env_task task;
    struct env_task done_task;
    struct read_op *op; /* NULL: cancelled */
    struct env *env;
    struct command command; /* borrows from `bytes` */
    struct buf *bytes;
    struct read_part *parts;
    struct buf **bounds; /* two for each part */
    struct read_view view;
    struct read_unknown unknown;
    struct result result;
};

/* reader.c */

/* An execution has come back, and the op is still there. */
void reader_finish_run(struct read_op *op, struct read_run *run);

/* reader_run.c */

/* Begins `op->run`, with the pieces that the op has now. */
void reader_run(struct read_op *op);

#endif
