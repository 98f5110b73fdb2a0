/* SPDX-License-Identifier: Apache-2.0 */

/* WRITE, and the truncations that wait for it (see handle.h). A WRITE is one
 * request to the engine and is answered when a majority has it, because the
 * shells look at nothing else than its result. */

#include "fs/ops.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs/special.h"

/* ---- a truncation alone ---- */

static void truncated_done(struct op *op, int status)
{
    handle_stage_ended(op->fs, op->staged, false, status);
    if (status == 0)
        inode_saw(&op->fs->inodes, op->inode, &op->request.attr);
    handle_unref(op->fs, op->staged);
    op->staged = NULL;
    op_unbusy(op);
    op->request.flags = op->flags;
    if (status != 0)
        op_reply_error(op, status);
    else
        op->next(op);
}

void op_truncate_first(struct op *op, bool others, op_step *next)
{
    op->staged = handle_stage_due(op->fs, op->handle, op->inode, others);
    if (op->staged == NULL) {
        next(op);
        return;
    }
    op->next = next;
    op->flags = op->request.flags;
    op->request.flags = REQUEST_TRUNCATE;
    if (op->staged->kill_priv)
        op->request.flags |= REQUEST_KILL_PRIV;
    op_busy(op, op->inode);
    op_submit_on(op, REQUEST_WRITE, truncated_done);
}

static void reply_success(struct op *op)
{
    op_reply_error(op, 0);
}

/* ---- WRITE ---- */

static void write_done(struct op *op, int status)
{
    if ((op->request.flags & REQUEST_TRUNCATE) != 0)
        handle_stage_ended(op->fs, op->handle, true, status);
    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    inode_saw(&op->fs->inodes, op->inode, &op->request.attr);
    if ((op->request.flags & REQUEST_TRUNCATE) == 0)
        handle_content_changed(op->fs, op->inode);
    op_no_more_interrupts(op);
    (void)fuse_reply_write(op->req, op->size);
    op_end(op);
}

static void write_submit(struct op *op)
{
    op->request.offset = op->offset;
    op->request.data = op->content;
    op->content = NULL;
    op_submit_on(op, REQUEST_WRITE, write_done);
}

static struct buf *copy_content(const char *data, size_t size)
{
    struct buf *content = buf_new(size);

    if (content != NULL)
        memcpy(content->data, data, size);
    return content;
}

void op_write(fuse_req_t req, fuse_ino_t id, const char *data, size_t size,
              off_t offset, struct fuse_file_info *file)
{
    struct handle *handle = op_handle(file);
    struct op *op;

    if (special_is(id)) {
        special_write(req, id, data, size);
        return;
    }
    assert(size <= WRITE_SIZE_MAX);
    if (offset < 0 || (uint64_t)offset > (uint64_t)INT64_MAX - size) {
        (void)fuse_reply_err(req, EFBIG);
        return;
    }
    op = op_new_on(req, id);
    if (op == NULL)
        return;
    op->handle = handle_ref(op->fs, handle);
    op->offset = (uint64_t)offset;
    op->size = size;
    op->content = copy_content(data, size);
    if (op->content == NULL) {
        op_reply_error(op, ERR_NO_MEMORY);
        return;
    }
    if ((file->flags & O_APPEND) != 0)
        op->request.flags |= REQUEST_APPEND;
    if (fuse_req_ctx(req)->uid != 0)
        op->request.flags |= REQUEST_KILL_PRIV;
    if (!handle_stage_joins(op->fs, handle)) {
        op_truncate_first(op, true, write_submit);
        return;
    }
    op->request.flags |= REQUEST_TRUNCATE;
    write_submit(op);
}

/* ---- FLUSH, FSYNC ---- */

/* Everything written is on a majority's disks already. */
static void finish(fuse_req_t req, uint64_t id, struct handle *handle)
{
    struct op *op = op_new_on(req, id);

    if (op == NULL)
        return;
    op->handle = handle_ref(op->fs, handle);
    op_truncate_first(op, false, reply_success);
}

void op_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file)
{
    struct handle *handle = op_handle(file);

    if (special_is(id) || !handle_stage_flushed(op_fs(req), handle))
        (void)fuse_reply_err(req, 0);
    else
        finish(req, id, handle);
}

void op_fsync(fuse_req_t req, fuse_ino_t id, int data_only,
              struct fuse_file_info *file)
{
    (void)data_only;
    if (special_is(id))
        (void)fuse_reply_err(req, 0);
    else
        finish(req, id, op_handle(file));
}
