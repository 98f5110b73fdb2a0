/* SPDX-License-Identifier: Apache-2.0 */

#include "fs/op.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/clock.h"

enum { NS_PER_S = 1000000000, STAT_BLOCK_SIZE = 512 };

static _Thread_local bool is_reader;

void op_reader_thread(void)
{
    is_reader = true;
}

struct fs *op_fs(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

/* ---- submitting ---- */

static void step(struct op *op);

static void came_back(struct op *op, int status)
{
    struct inode *inode = op->inode;
    bool again = false;

    if (status == ERR_STALE && op->has_place) {
        pthread_mutex_lock(&op->fs->inodes.lock);
        again = !inode->gone && op->busy_count == 0 &&
                (inode->busy_count > 0 || inode->move_count != op->move_count);
        pthread_mutex_unlock(&op->fs->inodes.lock);
    }
    if (again)
        step(op);
    else
        op->done(op, status);
}

static void request_done(struct request *request)
{
    struct op *op = container_of(request, struct op, request);

    pthread_mutex_lock(&op->lock);
    op->submitted = false;
    pthread_mutex_unlock(&op->lock);
    came_back(op, request->status);
}

/* The lock is held over engine_submit(), which never calls back, so that an
 * interrupt either finds the request submitted or prevents it. */
static void submit(struct op *op)
{
    bool interrupted;
    bool inline_done = false;

    op->request.done = request_done;
    pthread_mutex_lock(&op->lock);
    interrupted = op->interrupted;
    if (!interrupted) {
        op->submitted = true;
        inline_done = engine_submit(op->fs->engine, &op->request);
        if (inline_done)
            op->submitted = false;
    }
    pthread_mutex_unlock(&op->lock); /* The op may be freed right behind. */

    if (interrupted)
        op->done(op, ERR_INTERRUPTED);
    else if (inline_done)
        came_back(op, op->request.status);
}

/* Takes an op off its inode's list. True for the one caller that did it. */
static bool leave_queue(struct op *op)
{
    bool waited;

    pthread_mutex_lock(&op->fs->inodes.lock);
    waited = op->waiting;
    if (waited)
        TAILQ_REMOVE(&op->inode->waiting, op, link);
    op->waiting = false;
    pthread_mutex_unlock(&op->fs->inodes.lock);
    return waited;
}

enum place_state { PLACE_READ, PLACE_GONE, PLACE_QUEUED, PLACE_INTERRUPTED };

/* Reads the inode's place, or queues up where it is busy. An interrupt is
 * looked for with the lock held: one that comes later finds the op queued.
 * Once queued, the op may be ended by another thread at any time. */
static enum place_state read_place(struct op *op)
{
    struct inode *inode = op->inode;
    enum place_state state = PLACE_READ;

    pthread_mutex_lock(&op->fs->inodes.lock);
    if (op->interrupted) {
        state = PLACE_INTERRUPTED;
    } else if (inode->busy_count > 0 && op->busy_count == 0) {
        TAILQ_INSERT_TAIL(&inode->waiting, op, link);
        op->waiting = true;
        state = PLACE_QUEUED;
    } else if (inode->gone) {
        state = PLACE_GONE;
    } else {
        inode_place(inode, &op->place);
        op->move_count = inode->move_count;
        op->write_count = inode->write_count;
        inode->fresh_until_ns = 0; /* Who asks more may get to know more. */
    }
    pthread_mutex_unlock(&op->fs->inodes.lock);
    return state;
}

static void step(struct op *op)
{
    switch (read_place(op)) {
    case PLACE_QUEUED:
        return;
    case PLACE_GONE:
        op->done(op, ERR_STALE);
        return;
    case PLACE_INTERRUPTED:
        op->done(op, ERR_INTERRUPTED);
        return;
    case PLACE_READ:
        break;
    }
    op->request.ino = op->inode->ino;
    op->request.dir = op->place.dir;
    op->request.name = op->place.name;
    submit(op);
}

/* libfuse calls this on the reader thread, with its lock of the request. */
static void on_interrupt(fuse_req_t req, void *data)
{
    struct op *op = data;

    (void)req;
    pthread_mutex_lock(&op->lock);
    op->interrupted = true;
    if (op->submitted)
        engine_cancel(op->fs->engine, &op->request);
    pthread_mutex_unlock(&op->lock);
    if (leave_queue(op))
        op->done(op, ERR_INTERRUPTED);
}

struct op *op_new(fuse_req_t req)
{
    struct op *op = mem_zalloc(sizeof *op);

    assert(is_reader);
    op->req = req;
    op->fs = op_fs(req);
    op->fs->op_count++;
    op->walk = walk_take(&op->fs->walks, op_pid(op));
    (void)pthread_mutex_init(&op->lock, NULL); /* Cannot fail on Linux. */
    fuse_req_interrupt_func(req, on_interrupt, op);
    return op;
}

struct op *op_new_on(fuse_req_t req, uint64_t id)
{
    struct inode *inode = inode_get(&op_fs(req)->inodes, id);
    struct op *op;

    if (inode == NULL) {
        (void)fuse_reply_err(req, ESTALE); /* An interrupted caller is gone. */
        return NULL;
    }
    op = op_new(req);
    op->inode = inode;
    return op;
}

struct op *op_new_unless(fuse_req_t req, uint64_t id, int error)
{
    if (error == 0)
        return op_new_on(req, id);
    (void)fuse_reply_err(req, error);
    return NULL;
}

pid_t op_pid(const struct op *op)
{
    return fuse_req_ctx(op->req)->pid;
}

void op_walk_on(struct op *op, uint64_t id)
{
    op->request.since_ns = walk_since(op->walk, id, clock_now_ns());
}

uint64_t op_age_ns(const struct op *op)
{
    const uint64_t since_ns = op->request.since_ns;

    return since_ns == 0 ? 0 : clock_now_ns() - since_ns;
}

void op_submit(struct op *op, enum request_kind kind, op_done *done)
{
    op->request.kind = kind;
    op->done = done;
    op->has_place = false;
    submit(op);
}

void op_submit_on(struct op *op, enum request_kind kind, op_done *done)
{
    assert(op->inode != NULL);
    op->request.kind = kind;
    op->done = done;
    op->has_place = true;
    step(op);
}

void op_busy(struct op *op, struct inode *inode)
{
    if (inode == NULL)
        return;
    assert(op->busy_count < OP_BUSY_MAX);
    op->busy[op->busy_count++] = inode_ref(&op->fs->inodes, inode);
    pthread_mutex_lock(&op->fs->inodes.lock);
    inode->busy_count++;
    pthread_mutex_unlock(&op->fs->inodes.lock);
}

static void unbusy(struct fs *fs, struct inode *inode)
{
    TAILQ_HEAD(, op) woken = TAILQ_HEAD_INITIALIZER(woken);
    struct op *op;

    pthread_mutex_lock(&fs->inodes.lock);
    assert(inode->busy_count > 0);
    inode->busy_count--;
    while (inode->busy_count == 0 && (op = TAILQ_FIRST(&inode->waiting))) {
        TAILQ_REMOVE(&inode->waiting, op, link);
        op->waiting = false;
        TAILQ_INSERT_TAIL(&woken, op, link);
    }
    pthread_mutex_unlock(&fs->inodes.lock);
    inode_unref(&fs->inodes, inode);

    while ((op = TAILQ_FIRST(&woken)) != NULL) {
        TAILQ_REMOVE(&woken, op, link);
        step(op);
    }
}

void op_unbusy(struct op *op)
{
    while (op->busy_count > 0)
        unbusy(op->fs, op->busy[--op->busy_count]);
}

struct buf *op_take_data(struct op *op)
{
    struct buf *data = op->request.ret_data;

    op->request.ret_data = NULL;
    return data != NULL ? data : buf_copy(NULL, 0);
}

/* ---- replying ----
 *
 * The result of fuse_reply_*() is ignored on purpose except where the kernel
 * counts: it fails when the caller was killed meanwhile, which is no news. */

/* The interrupt function must be gone before the reply, which frees `req`,
 * and before the op. On the reader thread it cannot run concurrently. */
void op_no_more_interrupts(struct op *op)
{
    if (!is_reader)
        fuse_req_interrupt_func(op->req, NULL, NULL);
}

void op_end(struct op *op)
{
    struct fs *fs = op->fs;

    op_unbusy(op);
    buf_unref(op->request.data);
    buf_unref(op->request.ret_data);
    buf_unref(op->content);
    handle_unref(fs, op->staged);
    handle_unref(fs, op->handle);
    inode_unref(&fs->inodes, op->inode);
    (void)pthread_mutex_destroy(&op->lock);
    free(op);
    fs->op_count--;
}

void op_reply_errno(struct op *op, int number)
{
    op_no_more_interrupts(op);
    (void)fuse_reply_err(op->req, number);
    op_end(op);
}

/* EINTR without an interrupt makes dash, cat and dd loop for ever. */
void op_reply_error(struct op *op, int status)
{
    if (status == ERR_INTERRUPTED && !op->interrupted)
        status = ERR_CANCELED;
    op_reply_errno(op, err_errno(status));
}

static struct timespec time_of_ns(int64_t ns)
{
    struct timespec time = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};

    if (time.tv_nsec < 0) {
        time.tv_sec--;
        time.tv_nsec += NS_PER_S;
    }
    return time;
}

void op_stat(const struct attr *attr, unsigned links, struct stat *ret_stat)
{
    *ret_stat = (struct stat){
        .st_ino = inode_id_of_ino(attr->ino),
        .st_mode = attr->mode,
        .st_nlink = links,
        .st_uid = attr->uid,
        .st_gid = attr->gid,
        .st_size = (off_t)attr->size,
        .st_blksize = FS_BLOCK_SIZE,
        .st_blocks =
            (blkcnt_t)((attr->size + STAT_BLOCK_SIZE - 1) / STAT_BLOCK_SIZE),
        .st_atim = time_of_ns(attr->atime_ns),
        .st_mtim = time_of_ns(attr->mtime_ns),
        .st_ctim = time_of_ns(attr->ctime_ns),
    };
}

void op_entry(struct op *op, struct fuse_entry_param *ret_entry)
{
    const struct attr *attr = &op->request.attr;
    const uint64_t age_ns = op_age_ns(op);

    *ret_entry = (struct fuse_entry_param){
        .ino = inode_remember(&op->fs->inodes, op->request.dir,
                              op->request.name, attr),
    };
    op_stat(attr, 1, &ret_entry->attr);
    if (age_ns >= FS_ATTR_FRESH_NS ||
        handle_stage_recent(op->fs, ret_entry->ino))
        op_told(op, ret_entry->ino, attr);
    else
        ret_entry->attr_timeout = (double)(FS_ATTR_FRESH_NS - age_ns) * 1e-9;
}

void op_told(struct op *op, uint64_t id, const struct attr *attr)
{
    inode_told(&op->fs->inodes, id, attr, op_pid(op),
               clock_now_ns() + FS_ATTR_FRESH_NS);
}

/* The notification also has answers dropped that are on their way: they belong
 * to LOOKUPs that were sent before it. */
void op_stage(struct op *op, struct handle *handle, enum handle_stage stage)
{
    handle_stage(op->fs, handle, stage, FLUSHES_OF_OPEN);
    (void)fuse_lowlevel_notify_inval_inode(op->fs->session, handle->inode->id,
                                           -1, 0); /* ENOENT: it has none. */
}

void op_reply_entry(struct op *op)
{
    struct fuse_entry_param entry;

    op_no_more_interrupts(op);
    op_entry(op, &entry);
    if (op->began_ns != 0)
        walk_note(&op->fs->walks, op_pid(op),
                  (struct walk){entry.ino, op->began_ns});
    if (fuse_reply_entry(op->req, &entry) != 0)
        inode_forget(&op->fs->inodes, entry.ino, 1);
    op_end(op);
}

void op_reply_attr(struct op *op, const struct attr *attr, unsigned links)
{
    struct stat st;

    op_no_more_interrupts(op);
    op_stat(attr, links, &st);
    (void)fuse_reply_attr(op->req, &st, 0);
    op_end(op);
}

void op_reply_part(struct op *op, const struct buf *data, uint64_t offset,
                   size_t size)
{
    const size_t left = offset < data->size ? data->size - offset : 0;

    op_no_more_interrupts(op);
    if (size > left)
        size = left;
    (void)fuse_reply_buf(op->req, (const char *)data->data + offset, size);
    op_end(op);
}

void op_reply_xattr(struct op *op, const void *data, size_t size)
{
    op_no_more_interrupts(op);
    if (op->size == 0)
        (void)fuse_reply_xattr(op->req, size);
    else if (op->size < size)
        (void)fuse_reply_err(op->req, ERANGE);
    else
        (void)fuse_reply_buf(op->req, data, size);
    op_end(op);
}
