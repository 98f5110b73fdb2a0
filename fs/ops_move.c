/* SPDX-License-Identifier: Apache-2.0 */

/* What takes names away: UNLINK, RMDIR, RENAME.
 *
 * A file that is removed, or replaced by a rename, while it is open here must
 * stay readable through its descriptors. The engine will not know it any
 * more, so its content is fetched and kept first:
 *
 *   victim open for reading? ──yes──> READ it, keep it ──┐
 *            └──no────────────────────────────────────────┴──> the request
 */

#include "fs/ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/special.h"

static int check(uint64_t dir, const char *name)
{
    if (special_has(dir, name))
        return EPERM;
    if (strlen(name) > NAME_SIZE_MAX)
        return ENAMETOOLONG;
    return inode_nsid(dir) == 0 ? ENOTDIR : 0;
}

static void set_place(struct place *place, uint64_t dir, const char *name)
{
    place->dir = inode_nsid(dir);
    memcpy(place->name, name, strlen(name) + 1);
}

/* ---- keeping what is about to go ---- */

static void keep_done(struct op *op, int status)
{
    struct buf *data;

    if (status == ERR_INTERRUPTED) {
        op_reply_error(op, status);
        return;
    }
    /* Another error will come again, or does not matter to the removal. */
    if (status == 0) {
        data = op_take_data(op);
        if (data->size == op->request.attr.size)
            handle_keep_last(op->fs, op->inode, data);
        buf_unref(data);
    }
    op->request.offset = 0;
    op->request.size = 0;
    op->next(op);
}

/* Then goes on with `next`. */
static void keep_victim(struct op *op, const struct place *victim,
                        op_step *next)
{
    struct fs *fs = op->fs;

    op->next = next;
    op->inode = inode_find(&fs->inodes, victim->dir, victim->name);
    if (op->inode == NULL || inode_nsid(op->inode->id) != 0 ||
        !handle_readers(fs, op->inode)) {
        next(op);
        return;
    }
    op->request.size = WRITE_SIZE_MAX;
    op_submit_on(op, REQUEST_READ, keep_done);
}

/* ---- UNLINK, RMDIR ---- */

static void removed_done(struct op *op, int status)
{
    if (status == 0)
        inode_removed(&op->fs->inodes, op->from.dir, op->from.name);
    op_reply_error(op, status);
}

static void unlink_submit(struct op *op)
{
    op->request.dir = op->from.dir;
    op->request.name = op->from.name;
    op_submit(op, REQUEST_UNLINK, removed_done);
}

void op_unlink(fuse_req_t req, fuse_ino_t dir, const char *name)
{
    const int error = check(dir, name);
    struct op *op;

    if (error != 0) {
        (void)fuse_reply_err(req, error);
        return;
    }
    op = op_new(req);
    set_place(&op->from, dir, name);
    keep_victim(op, &op->from, unlink_submit);
}

void op_rmdir(fuse_req_t req, fuse_ino_t dir, const char *name)
{
    const int error = check(dir, name);
    struct op *op;

    if (error != 0) {
        (void)fuse_reply_err(req, error);
        return;
    }
    op = op_new(req);
    set_place(&op->from, dir, name);
    op->request.dir = op->from.dir;
    op->request.name = op->from.name;
    op_submit(op, REQUEST_RMDIR, removed_done);
}

/* ---- RENAME ---- */

static void rename_done(struct op *op, int status)
{
    struct inode_table *inodes = &op->fs->inodes;

    if (status == 0 && (op->request.flags & REQUEST_EXCHANGE) != 0)
        inode_exchanged(inodes, &op->from, &op->to);
    else if (status == 0)
        inode_renamed(inodes, &op->from, &op->to);
    op_reply_error(op, status);
}

/* While the rename runs nobody here knows where the two files are, so what is
 * asked about them waits. */
static void rename_submit(struct op *op)
{
    struct inode_table *inodes = &op->fs->inodes;
    struct inode *source = inode_find(inodes, op->from.dir, op->from.name);
    struct inode *target = inode_find(inodes, op->to.dir, op->to.name);

    op_busy(op, source);
    op_busy(op, target);
    inode_unref(inodes, source);
    inode_unref(inodes, target);
    op->request.dir = op->from.dir;
    op->request.name = op->from.name;
    op->request.to_dir = op->to.dir;
    op->request.to_name = op->to.name;
    op_submit(op, REQUEST_RENAME, rename_done);
}

static int check_flags(unsigned flags)
{
    const unsigned known = RENAME_NOREPLACE | RENAME_EXCHANGE;

    return (flags & ~known) != 0 || flags == known ? EINVAL : 0;
}

void op_rename(fuse_req_t req, fuse_ino_t dir, const char *name,
               fuse_ino_t to_dir, const char *to_name, unsigned flags)
{
    struct op *op;
    int error = check_flags(flags);

    if (error == 0)
        error = check(dir, name);
    if (error == 0)
        error = check(to_dir, to_name);
    if (error != 0) {
        (void)fuse_reply_err(req, error);
        return;
    }
    op = op_new(req);
    set_place(&op->from, dir, name);
    set_place(&op->to, to_dir, to_name);
    if ((flags & RENAME_NOREPLACE) != 0)
        op->request.flags = REQUEST_NOREPLACE;
    if ((flags & RENAME_EXCHANGE) != 0)
        op->request.flags = REQUEST_EXCHANGE;
    if (flags == 0)
        keep_victim(op, &op->to, rename_submit);
    else
        rename_submit(op);
}
