/* SPDX-License-Identifier: Apache-2.0 */

/* One request of the kernel on its way through the engine.
 *
 *   op_new() → fill op->request → op_submit*(op, x_done)
 *                                      │
 *      x_done(op, status): reply with one op_reply_*(), which frees the op,
 *      or submit the next step with another done function.
 *
 * The happy path: the engine answers inline and x_done() runs before
 * op_submit() returns. Otherwise x_done() runs later on an engine's thread.
 * What can come between:
 *
 * - FUSE_INTERRUPT: engine_cancel(), and x_done() gets ERR_INTERRUPTED. An
 *   interrupt that came earlier prevents the submission. The interrupt
 *   function is taken away before an op is freed on another thread than the
 *   reader; that call waits for a running on_interrupt(), so an op is alive
 *   wherever it is used.
 * - A rename, or the truncation of a close, of the same file is on its way
 *   through the engine (`busy`): the op waits on the inode until it has ended,
 *   because only then its place, or content, is what the caller expects.
 * - ERR_STALE because a local rename was faster: the op goes again with the
 *   new place.
 *
 * Never called with a lock held. */

#ifndef GROVEFS_FS_OP_H
#define GROVEFS_FS_OP_H

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/handle.h"

typedef void op_done(struct op *op, int status);
typedef void op_step(struct op *op);

enum { OP_BUSY_MAX = 2 };

struct op {
    fuse_req_t req;         /* public, constant */
    struct fs *fs;          /* public, constant */
    struct inode *inode;    /* public: a reference that is dropped at the end */
    struct handle *handle;  /* public: likewise */
    struct request request; /* public; its `data` is dropped at the end */
    struct place from;      /* public: where request.name may point to */
    struct place to;        /* public: where request.to_name may point to */
    char xattr[XATTR_NAME_SIZE_MAX + 1]; /* public: request.xattr */
    struct fuse_file_info file;          /* public */
    uint64_t offset;                     /* public: of the kernel's request */
    size_t size;                         /* public: likewise */
    uint64_t position;                   /* public: of READDIR */
    unsigned write_count;                /* public: see handle_keep() */
    struct buf *content;   /* public: of a WRITE or SETXATTR, until it is in
                            * the request */
    unsigned flags;        /* public: of the request, during a preparing step */
    struct walk walk;      /* public: that its thread was on before it */
    uint64_t began_ns;     /* public: of a LOOKUP: when its call did; or 0 */
    struct handle *staged; /* public: a reference; its truncation is running */
    op_step *next;         /* public: what follows a preparing step */
    op_done *done;         /* private from here on */
    struct place place;    /* of the inode when it was submitted last */
    struct inode *busy[OP_BUSY_MAX];
    unsigned busy_count;
    unsigned move_count; /* of the inode, likewise */
    bool has_place;      /* the request is about op->inode */
    bool waiting;        /* guarded by inodes.lock */
    pthread_mutex_t lock;
    atomic_bool interrupted; /* set once, with the lock held */
    bool submitted;          /* guarded by lock */
    TAILQ_ENTRY(op) link;
};

/* Marks the calling thread as the one that reads the kernel's requests. */
void op_reader_thread(void);

/* An op that is interruptible from here on. */
struct op *op_new(fuse_req_t req);

/* An op on an inode of the kernel. NULL when it is not known; ESTALE has been
 * replied then. */
struct op *op_new_on(fuse_req_t req, uint64_t id);
/* The same, unless `error` is not 0: that has been replied then, and NULL is
 * returned. */
struct op *op_new_unless(fuse_req_t req, uint64_t id, int error);

/* The thread that asks, or 0. */
pid_t op_pid(const struct op *op);

/* If op goes on with a walk that has come to `id`, its request may be answered
 * as of the walk's beginning. */
void op_walk_on(struct op *op, uint64_t id);
/* How old the answer may be for that, in nanoseconds. */
uint64_t op_age_ns(const struct op *op);

/* Submits op->request as it is. */
void op_submit(struct op *op, enum request_kind kind, op_done *done);

/* Submits op->request for op->inode: its place and number are filled in. */
void op_submit_on(struct op *op, enum request_kind kind, op_done *done);

/* Until op_end() or op_unbusy() others wait with what they want from `inode`
 * (takes NULL), op itself does not. */
void op_busy(struct op *op, struct inode *inode);
void op_unbusy(struct op *op);

/* Takes the result's data; never NULL. */
struct buf *op_take_data(struct op *op);

/* The kernel is about to be told of op->request's {dir, name, attr}: one lookup
 * is counted, and `ret_entry` filled in. */
void op_entry(struct op *op, struct fuse_entry_param *ret_entry);

/* The caller is about to be told `attr` by a LOOKUP or an OPEN: what it asks
 * next about it needs no engine, also where the kernel may keep nothing. */
void op_told(struct op *op, uint64_t id, const struct attr *attr);

/* Stages the truncation that the kernel has asked for in op's OPEN or CREATE,
 * before the reply. That has the kernel set the size of `handle`'s inode to 0,
 * and only then mark it as outdated: with attributes that are still good for a
 * while, a stat(2) of another process in between would show a value empty that
 * never was. So they are outdated before, and are good for no time until a
 * second after it. */
void op_stage(struct op *op, struct handle *handle, enum handle_stage stage);

/* To be called before a reply by other means than those below. */
void op_no_more_interrupts(struct op *op);

/* Ends an op that has been replied to. */
void op_end(struct op *op);

/* Replies and ends. */
void op_reply_error(struct op *op, int status); /* 0 is success */
void op_reply_errno(struct op *op, int number);
void op_reply_entry(struct op *op); /* request: dir, name, attr */
void op_reply_attr(struct op *op, const struct attr *attr, unsigned links);
void op_reply_part(struct op *op, const struct buf *data, uint64_t offset,
                   size_t size);
/* The kernel's two questions about an xattr: how long, and what. */
void op_reply_xattr(struct op *op, const void *data, size_t size);

/* What the kernel is told about an entry. */
void op_stat(const struct attr *attr, unsigned links, struct stat *ret_stat);

/* The mount that a request belongs to. */
struct fs *op_fs(fuse_req_t req);

#endif
