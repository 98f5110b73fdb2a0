/* SPDX-License-Identifier: Apache-2.0 */

/* OPEN, READ, RELEASE.
 *
 * OPEN asks the engine once, as of the LOOKUP in front of it (walk.h): for a
 * reader it fetches the value (which is served if the file is removed before
 * the first READ), for a writer it proves that the file is there and that a
 * majority is. A file that is gone gives ESTALE, and the kernel walks the path
 * again, so that `echo > f` creates it.
 *
 * The READ at offset 0 fetches the value anew and keeps it with the handle;
 * READs that go on from there, or back, see that same value until its end was
 * shown once. READs further ahead, of larger files or beyond the budget ask
 * the engine each, and are atomic alone. */

#include "fs/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "fs/special.h"

/* ---- OPEN ---- */

static void reply_open(struct op *op)
{
    op->file.fh = (uintptr_t)op->handle;
    op->file.direct_io = 1;
    op->file.noflush = !handle_writes(op->handle);

    op_no_more_interrupts(op);
    if (fuse_reply_open(op->req, &op->file) == 0)
        op->handle = NULL; /* Its reference is the kernel's until RELEASE. */
    op_end(op);
}

static void open_done(struct op *op, int status)
{
    const struct fuse_ctx *caller = fuse_req_ctx(op->req);
    const struct attr *attr = &op->request.attr;
    struct buf *data;

    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    inode_saw(&op->fs->inodes, op->inode, attr);
    op->handle =
        handle_new(op->fs, op->inode, op->file.flags, caller->pid, caller->uid);
    if (op->request.kind == REQUEST_READ) {
        data = op_take_data(op);
        handle_keep(op->fs, op->handle, data, attr, op->write_count);
        buf_unref(data);
    } else {
        handle_saw_version(op->fs, op->handle, attr);
    }
    if ((op->file.flags & O_TRUNC) != 0)
        op_stage(op, op->handle, STAGE_DUE);
    if (op_age_ns(op) < FS_ATTR_FRESH_NS)
        op_told(op, op->inode->id, attr);
    reply_open(op);
}

void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file)
{
    struct op *op;

    if (special_is(id)) {
        special_open(req, id, file);
        return;
    }
    op = op_new_on(req, id);
    if (op == NULL)
        return;
    op->file = *file;
    op_walk_on(op, id);
    /* Half the time, so that `: > f` has some left to fail visibly. */
    if ((file->flags & O_ACCMODE) != O_RDONLY)
        op->request.timeout_ms = engine_op_timeout_ms(op->fs->engine) / 2;
    if ((file->flags & O_ACCMODE) == O_WRONLY || (file->flags & O_TRUNC) != 0) {
        op_submit_on(op, REQUEST_GETATTR, open_done);
        return;
    }
    op->request.size = WRITE_SIZE_MAX;
    op_submit_on(op, REQUEST_READ, open_done);
}

/* ---- READ ---- */

static void reply_left(struct op *op)
{
    struct buf *left = handle_left(op->fs, op->handle, op->offset);

    if (left == NULL) {
        op_reply_error(op, ERR_STALE);
        return;
    }
    op_reply_part(op, left, op->offset, op->size);
    buf_unref(left);
}

static void read_done(struct op *op, int status)
{
    const struct attr *attr = &op->request.attr;
    struct handle *handle = op->handle;
    struct buf *data;

    if (status == ERR_STALE) {
        reply_left(op);
        return;
    }
    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    data = op_take_data(op);
    if (op->offset == 0) {
        handle_keep(op->fs, handle, data, attr, op->write_count);
        handle_reached(op->fs, handle, op->size);
    } else {
        handle_saw_version(op->fs, handle, attr);
    }
    op_reply_part(op, data, 0, op->size);
    buf_unref(data);
}

static void read_submit(struct op *op)
{
    struct handle *handle = op->handle;
    struct buf *kept = handle_kept(op->fs, handle, op->offset, op->size);

    if (kept != NULL) {
        op_reply_part(op, kept, op->offset, op->size);
        buf_unref(kept);
        return;
    }
    op->request.offset = op->offset;
    op->request.size = op->offset == 0 && handle_is_small(op->fs, handle)
                           ? WRITE_SIZE_MAX
                           : op->size;
    op_submit_on(op, REQUEST_READ, read_done);
}

void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
             struct fuse_file_info *file)
{
    struct handle *handle = op_handle(file);
    struct op *op;

    if (special_is(id)) {
        special_read(req, id, size, (uint64_t)offset, file);
        return;
    }
    op = op_new_on(req, id);
    if (op == NULL)
        return;
    op->handle = handle_ref(op->fs, handle);
    op->offset = (uint64_t)offset;
    op->size = size < WRITE_SIZE_MAX ? size : WRITE_SIZE_MAX;
    op_truncate_first(op, false, read_submit);
}

/* ---- RELEASE ---- */

static void release_done(struct op *op, int status)
{
    struct handle *handle = op->handle;

    if (status != 0 && status != ERR_STALE)
        engine_log_event(op->fs->engine,
                         "truncation lost at close: inode %" PRIu64 ": %s",
                         handle->inode->id, err_text(status));
    handle_stage_ended(op->fs, handle, false, 0);
    handle_unref(op->fs, handle); /* The kernel's; op has its own. */
    op_reply_error(op, 0);
}

/* The caller's close(2) has returned, so whatever is asked about the file
 * from now on waits until the truncation is through. */
void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file)
{
    struct fs *fs = op_fs(req);
    struct handle *handle = op_handle(file);
    struct op *op;

    if (special_is(id) || !handle_stage_begin(fs, handle)) {
        handle_unref(fs, handle);
        (void)fuse_reply_err(req, 0);
        return;
    }
    op = op_new(req);
    op->inode = inode_ref(&fs->inodes, handle->inode);
    op->handle = handle_ref(fs, handle);
    op->request.flags = REQUEST_TRUNCATE;
    if (handle->kill_priv)
        op->request.flags |= REQUEST_KILL_PRIV;
    op_busy(op, op->inode);
    op_submit_on(op, REQUEST_WRITE, release_done);
}
