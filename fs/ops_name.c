/* SPDX-License-Identifier: Apache-2.0 */

/* What finds names and adds them. */

#include "fs/ops.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs/clock.h"
#include "fs/special.h"

enum { MODE_BITS = 07777 }; /* of a mode, without its type */

/* Every operation with a name begins here. The kernel's own limit on names is
 * larger than ours. */
static int check_name(const char *name)
{
    return strlen(name) > NAME_SIZE_MAX ? ENAMETOOLONG : 0;
}

/* A name that is to be made in a directory: 0 or what the caller is told. */
static int check_new(uint64_t dir, const char *name)
{
    if (special_is(dir))
        return EPERM;
    if (special_has(dir, name))
        return EEXIST;
    if (inode_nsid(dir) == 0)
        return ENOTDIR;
    return check_name(name);
}

static void set_name(struct op *op, uint64_t dir, const char *name)
{
    op->from.dir = inode_nsid(dir);
    memcpy(op->from.name, name, strlen(name) + 1);
    op->request.dir = op->from.dir;
    op->request.name = op->from.name;
}

static void entry_done(struct op *op, int status)
{
    if (status != 0)
        op_reply_error(op, status);
    else
        op_reply_entry(op);
}

void op_lookup(fuse_req_t req, fuse_ino_t dir, const char *name)
{
    struct op *op;
    int error = check_name(name);

    if (error == 0 && special_has(dir, name)) {
        special_lookup(req, dir, name);
        return;
    }
    if (error == 0 && inode_nsid(dir) == 0)
        error = ENOTDIR;
    if (error != 0) {
        (void)fuse_reply_err(req, error);
        return;
    }
    op = op_new(req);
    set_name(op, dir, name);
    if (dir == INODE_ID_ROOT)
        op_walk_on(op, dir);
    op->began_ns =
        op->request.since_ns != 0 ? op->request.since_ns : clock_now_ns();
    op_submit(op, REQUEST_LOOKUP, entry_done);
}

void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t count)
{
    inode_forget(&op_fs(req)->inodes, id, count);
    fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count,
                     struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        inode_forget(&op_fs(req)->inodes, forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

/* An op that makes a name in a directory, owned by the caller and, in a
 * set-gid directory, by its group. NULL when the error has been replied. */
static struct op *op_new_name(fuse_req_t req, uint64_t dir, const char *name,
                              mode_t mode)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    const int error = check_new(dir, name);
    struct attr parent;
    struct op *op;

    if (error != 0) {
        (void)fuse_reply_err(req, error);
        return NULL;
    }
    op = op_new(req);
    set_name(op, dir, name);
    op->request.set.mode = mode;
    op->request.set.uid = caller->uid;
    op->request.set.gid = caller->gid;
    parent = inode_attr(&op->fs->inodes, dir);
    if ((parent.mode & S_ISGID) != 0) {
        op->request.set.gid = parent.gid;
        if (S_ISDIR(mode))
            op->request.set.mode |= S_ISGID;
    }
    return op;
}

/* A file that exists by now was made by somebody else since the kernel's
 * LOOKUP, so nobody has checked whether the caller may open it: with ESTALE
 * the kernel walks again, finds it and checks. root may anyway. */
static int created_error(const struct op *op)
{
    if (op->request.created)
        return 0;
    if (!S_ISREG(op->request.attr.mode) || fuse_req_ctx(op->req)->uid != 0)
        return ERR_STALE;
    return 0;
}

static void reply_created(struct op *op)
{
    const struct fuse_ctx *caller = fuse_req_ctx(op->req);
    struct fuse_entry_param entry;
    struct handle *handle;
    struct inode *inode;

    op_entry(op, &entry);
    inode = inode_get(&op->fs->inodes, entry.ino);
    assert(inode != NULL);
    handle =
        handle_new(op->fs, inode, op->file.flags, caller->pid, caller->uid);
    inode_unref(&op->fs->inodes, inode);
    if ((op->file.flags & O_TRUNC) != 0)
        op_stage(op, handle, op->request.created ? STAGE_JOIN : STAGE_DUE);
    if (!op->request.created)
        entry.attr_timeout = 0; /* As op_stage() says. */
    op->file.fh = (uintptr_t)handle;
    op->file.direct_io = 1;

    op_no_more_interrupts(op);
    if (fuse_reply_create(op->req, &entry, &op->file) != 0) {
        handle_unref(op->fs, handle); /* Interrupted: no RELEASE will come. */
        inode_forget(&op->fs->inodes, entry.ino, 1);
    }
    op_end(op);
}

static void create_done(struct op *op, int status)
{
    if (status == 0)
        status = created_error(op);
    if (status != 0)
        op_reply_error(op, status);
    else
        reply_created(op);
}

void op_create(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode,
               struct fuse_file_info *file)
{
    struct op *op = op_new_name(req, dir, name, S_IFREG | (mode & MODE_BITS));

    if (op == NULL)
        return;
    op->file = *file;
    if ((file->flags & O_EXCL) != 0)
        op->request.flags = REQUEST_EXCLUSIVE;
    op_submit(op, REQUEST_CREATE, create_done);
}

void op_mknod(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode,
              dev_t device)
{
    struct op *op;

    (void)device; /* Only devices have one. */
    if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode)) {
        (void)fuse_reply_err(req, EPERM);
        return;
    }
    op = op_new_name(req, dir, name, mode);
    if (op == NULL)
        return;
    op->request.flags = REQUEST_EXCLUSIVE;
    op_submit(op, REQUEST_CREATE, entry_done);
}

void op_mkdir(fuse_req_t req, fuse_ino_t dir, const char *name, mode_t mode)
{
    struct op *op = op_new_name(req, dir, name, S_IFDIR | (mode & MODE_BITS));

    if (op != NULL)
        op_submit(op, REQUEST_MKDIR, entry_done);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t dir,
                const char *name)
{
    struct op *op;

    if (strlen(target) > SYMLINK_SIZE_MAX) {
        (void)fuse_reply_err(req, ENAMETOOLONG);
        return;
    }
    op = op_new_name(req, dir, name, S_IFLNK | 0777);
    if (op == NULL)
        return;
    op->request.flags = REQUEST_EXCLUSIVE;
    op->request.data = buf_copy(target, strlen(target));
    op_submit(op, REQUEST_CREATE, entry_done);
}

static void readlink_done(struct op *op, int status)
{
    char target[SYMLINK_SIZE_MAX + 1];
    struct buf *data;

    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    data = op_take_data(op);
    assert(data->size <= SYMLINK_SIZE_MAX);
    memcpy(target, data->data, data->size);
    target[data->size] = '\0';
    buf_unref(data);
    op_no_more_interrupts(op);
    (void)fuse_reply_readlink(op->req, target);
    op_end(op);
}

void op_readlink(fuse_req_t req, fuse_ino_t id)
{
    struct op *op;

    if (special_is(id)) {
        (void)fuse_reply_err(req, EINVAL);
        return;
    }
    op = op_new_on(req, id);
    if (op == NULL)
        return;
    op->request.size = SYMLINK_SIZE_MAX;
    op_submit_on(op, REQUEST_READ, readlink_done);
}

/* As link(2) says for filesystems without hard links; cp, git, rsync and vim
 * then do without. */
void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t dir, const char *name)
{
    (void)id;
    (void)dir;
    (void)name;
    (void)fuse_reply_err(req, EPERM);
}
