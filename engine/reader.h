/* SPDX-License-Identifier: Apache-2.0 */

/* Linearizable reads: waits at the barriers of region 0 and of the data regions
 * that the read is about, then reads this node's own state/ (read.h). A node
 * that has no replica of the first of them, or a damaged one, has the read done
 * at its leader, content in the answer; of further ones, which only a directory
 * can have, it asks their leaders for their part.
 *
 * A region may split while its barrier is waited for, or behind it. So the
 * read counts only if the regions still have the same versions when it comes
 * back: by then this node would know of whatever it has applied before.
 *
 * Belongs to ENV_WORKER, except for reader_try() and what that uses. */

#ifndef GROVEFS_ENGINE_READER_H
#define GROVEFS_ENGINE_READER_H

#include "engine/barrier.h"
#include "engine/command.h"
#include "engine/node.h"
#include "engine/read.h"
#include "engine/router.h"

struct read_memo;
struct read_piece;
struct read_run;

struct read_op {
    const struct command *command; /* public: in; kept until done */
    uint64_t deadline_ns;          /* monotonic */
    uint64_t since_ns;             /* see struct request; 0: now */
    bool only_here; /* another node has asked: it is not passed on */
    /* `result` is the callback's to read, not to keep; what it wants to keep
     * of result->data_buf it takes a reference of. Errors: the command's own,
     * ERR_NO_QUORUM, ERR_CANCELED. */
    void (*done)(struct read_op *op, int status, struct result *result);

    struct node *node; /* private from here on */
    bool active;
    TAILQ_HEAD(, read_piece) pieces;
    unsigned pieces_left; /* to be waited for */
    unsigned attempts;
    struct router_call call;
    struct env_timer pause;
    struct env_timer deadline;
    struct read_run *run;
    struct read_unknown unknown;
    TAILQ_ENTRY(read_op) link;
};

struct reader *reader_new(struct node *node);
void reader_free(struct reader *reader); /* Takes NULL; none may run. */
/* Ends all reads with ERR_CANCELED. */
void reader_stop(struct reader *reader);

/* A replica on this node must not be read any more: reads under way are begun
 * anew, and go to its leader. */
void reader_on_damage(struct reader *reader);

/* A replica on this node has come: what is asked of others may be read here. */
void reader_on_replica_new(struct reader *reader);

/* `done` may be called before this returns. */
void reader_start(struct reader *reader, struct read_op *op);
/* Ends it without calling `done`; an inactive one is ignored. */
void reader_cancel(struct reader *reader, struct read_op *op);

/* A replica on this node is going away: what waits there is begun anew. */
void reader_on_replica_gone(struct reader *reader);

/* A replica on this node was frozen for a merge, or is so no more: other
 * replicas than before say what may be read. */
void reader_on_freeze(struct reader *reader);

/* A request ends with an answer from elsewhere, of which the replicas here may
 * know nothing yet. Who asks on this node after that sees it, too: reads are as
 * of no moment before it any more. */
void reader_note_answer(struct reader *reader);
/* The moment as of which a read may be that wants `since_ns`; 0: now. Any
 * thread. */
uint64_t reader_since(const struct reader *reader, uint64_t since_ns);

/* What reader_try() remembers. */
struct read_memo *reader_memo(struct reader *reader);

/* Reads right now if this node holds the leases that allow it, or if it is
 * known to have everything that was acknowledged before `since_ns` (see struct
 * request). True: `*ret` is the result, with its status, to be released by the
 * caller. Any thread. */
bool reader_try(struct node *node, const struct command *command,
                uint64_t since_ns, struct result *ret);

#endif
