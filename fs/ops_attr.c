/* SPDX-License-Identifier: Apache-2.0 */

/* Attributes, and the small questions about the whole mount. */

#include "fs/ops.h"

#include <errno.h>
#include <linux/falloc.h>
#include <sys/statvfs.h>

#include "fs/clock.h"
#include "fs/special.h"

enum { NS_PER_S = 1000000000, STATFS_BLOCK_SIZE = 4096 };

/* Inodes are not limited; df -i and installers want to see some. */
#define STATFS_FILES (UINT64_C(1) << 32)

/* What is left of a file that was removed through this mount while it is
 * open: fstat(2) shows its last attributes and that it has no name. */
static bool reply_gone(struct op *op)
{
    struct inode *inode = op->inode;
    struct attr attr;
    bool gone;

    pthread_mutex_lock(&op->fs->inodes.lock);
    gone = inode->gone && !TAILQ_EMPTY(&inode->handles);
    attr = inode->attr;
    pthread_mutex_unlock(&op->fs->inodes.lock);
    if (gone)
        op_reply_attr(op, &attr, 0);
    return gone;
}

/* Tells the caller, who may have staged a truncation. */
static void reply_seen(struct op *op, struct attr *attr)
{
    if (handle_stage_shows(op->fs, op->inode, op_pid(op)))
        attr->size = 0;
    op_reply_attr(op, attr, 1);
}

static void getattr_done(struct op *op, int status)
{
    if (status == ERR_STALE && reply_gone(op))
        return;
    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    inode_saw(&op->fs->inodes, op->inode, &op->request.attr);
    reply_seen(op, &op->request.attr);
}

static void getattr_submit(struct op *op)
{
    if (inode_nsid(op->inode->id) == NSID_ROOT)
        op->request.flags |= REQUEST_LOCAL_IF_ALONE;
    op_submit_on(op, REQUEST_GETATTR, getattr_done);
}

void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *file)
{
    struct handle *handle =
        file != NULL && inode_nsid(id) == 0 ? op_handle(file) : NULL;
    struct attr attr;
    struct op *op;

    if (special_is(id)) {
        special_getattr(req, id, file != NULL ? op_handle(file) : NULL);
        return;
    }
    op = op_new_on(req, id);
    if (op == NULL)
        return;
    if (handle != NULL) {
        op->handle = handle_ref(op->fs, handle);
        op_truncate_first(op, false, getattr_submit);
    } else if (inode_is_fresh(&op->fs->inodes, op->inode, op_pid(op),
                              clock_now_ns(), &attr)) {
        walk_note(&op->fs->walks, op_pid(op), op->walk);
        reply_seen(op, &attr);
    } else {
        walk_note(&op->fs->walks, op_pid(op),
                  (struct walk){id, clock_now_ns()});
        getattr_submit(op);
    }
}

/* ---- SETATTR ---- */

static int64_t ns_of_time(struct timespec time)
{
    return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

static const struct {
    int to_set;
    unsigned mask;
} set_bits[] = {
    /* clang-format off */
    {FUSE_SET_ATTR_MODE,      SET_MODE},
    {FUSE_SET_ATTR_UID,       SET_UID},
    {FUSE_SET_ATTR_GID,       SET_GID},
    {FUSE_SET_ATTR_SIZE,      SET_SIZE},
    {FUSE_SET_ATTR_ATIME,     SET_ATIME},
    {FUSE_SET_ATTR_MTIME,     SET_MTIME},
    {FUSE_SET_ATTR_ATIME_NOW, SET_ATIME_NOW},
    {FUSE_SET_ATTR_MTIME_NOW, SET_MTIME_NOW},
    /* clang-format on */
};

/* The kernel sets ATIME together with ATIME_NOW; the engine wants one. */
static unsigned set_mask(int to_set)
{
    unsigned mask = 0;

    for (size_t i = 0; i < ARRAY_SIZE(set_bits); i++)
        if ((to_set & set_bits[i].to_set) != 0)
            mask |= set_bits[i].mask;
    if ((mask & SET_ATIME_NOW) != 0)
        mask &= ~(unsigned)SET_ATIME;
    if ((mask & SET_MTIME_NOW) != 0)
        mask &= ~(unsigned)SET_MTIME;
    return mask;
}

static void setattr_done(struct op *op, int status)
{
    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    inode_saw(&op->fs->inodes, op->inode, &op->request.attr);
    if ((op->request.set_mask & SET_SIZE) != 0)
        handle_content_changed(op->fs, op->inode);
    op_reply_attr(op, &op->request.attr, 1);
}

static void setattr_submit(struct op *op)
{
    op_submit_on(op, REQUEST_SETATTR, setattr_done);
}

/* ftruncate(fd, 0), the way vim and truncate(1) empty a file: noted only, but
 * the answer proves that the file is there and a majority too. */
static void stage_done(struct op *op, int status)
{
    if (status == 0) {
        handle_stage(op->fs, op->handle, STAGE_DUE, FLUSHES_OF_FTRUNCATE);
        op->request.attr.size = 0;
        op_reply_attr(op, &op->request.attr, 1);
    } else {
        op_reply_error(op, status);
    }
}

void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int to_set,
                struct fuse_file_info *file)
{
    const unsigned mask = set_mask(to_set);
    struct op *op;

    if (special_is(id)) {
        special_setattr(req, id, to_set);
        return;
    }
    op = op_new_on(req, id);
    if (op == NULL)
        return;
    op->handle = file == NULL ? NULL : handle_ref(op->fs, op_handle(file));
    op->request.set_mask = mask;
    op->request.set = (struct attr){
        .mode = attr->st_mode,
        .uid = attr->st_uid,
        .gid = attr->st_gid,
        .size = (uint64_t)attr->st_size,
        .atime_ns = ns_of_time(attr->st_atim),
        .mtime_ns = ns_of_time(attr->st_mtim),
    };
    if (mask == SET_SIZE && attr->st_size == 0 && op->handle != NULL)
        op_submit_on(op, REQUEST_GETATTR, stage_done);
    else if ((mask & SET_SIZE) != 0)
        op_truncate_first(op, true, setattr_submit);
    else if (mask != 0)
        setattr_submit(op);
    else
        getattr_submit(op);
}

/* ---- fallocate ---- */

static void fallocate_done(struct op *op, int status)
{
    if (status == 0)
        handle_content_changed(op->fs, op->inode);
    op_reply_error(op, status);
}

static void fallocate_sized(struct op *op, int status)
{
    const uint64_t end = op->offset + op->size;

    if (status != 0 || op->request.attr.size >= end) {
        op_reply_error(op, status);
        return;
    }
    op->request.set_mask = SET_SIZE;
    op->request.set.size = end;
    op_submit_on(op, REQUEST_SETATTR, fallocate_done);
}

static void fallocate_submit(struct op *op)
{
    op_submit_on(op, REQUEST_GETATTR, fallocate_sized);
}

/* Space is not set aside; a file shorter than the range is made longer. */
void op_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t offset,
                  off_t size, struct fuse_file_info *file)
{
    struct op *op;
    int error = mode == 0 && !special_is(id) ? 0 : EOPNOTSUPP;

    if (error == 0 && (offset < 0 || size <= 0 || offset > INT64_MAX - size))
        error = EFBIG;
    op = op_new_unless(req, id, error);
    if (op == NULL)
        return;
    op->handle = handle_ref(op->fs, op_handle(file));
    op->offset = (uint64_t)offset;
    op->size = (size_t)size;
    op_truncate_first(op, true, fallocate_submit);
}

/* ---- the mount ---- */

void op_statfs(fuse_req_t req, fuse_ino_t id)
{
    struct engine_space space;

    (void)id;
    engine_space(op_fs(req)->engine, &space);
    (void)fuse_reply_statfs(
        req, &(struct statvfs){
                 .f_bsize = STATFS_BLOCK_SIZE,
                 .f_frsize = STATFS_BLOCK_SIZE,
                 .f_blocks = space.bytes_total / STATFS_BLOCK_SIZE,
                 .f_bfree = space.bytes_free / STATFS_BLOCK_SIZE,
                 .f_bavail = space.bytes_free / STATFS_BLOCK_SIZE,
                 .f_files = STATFS_FILES,
                 .f_ffree = STATFS_FILES,
                 .f_favail = STATFS_FILES,
                 .f_namemax = NAME_SIZE_MAX,
             });
}

/* bash, sed and python ask each file whether it is a terminal. */
void op_ioctl(fuse_req_t req, fuse_ino_t id, unsigned command, void *argument,
              struct fuse_file_info *file, unsigned flags, const void *in,
              size_t in_size, size_t out_size)
{
    (void)id;
    (void)command;
    (void)argument;
    (void)file;
    (void)flags;
    (void)in;
    (void)in_size;
    (void)out_size;
    (void)fuse_reply_err(req, ENOTTY);
}
