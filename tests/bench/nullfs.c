/* SPDX-License-Identifier: Apache-2.0 */

/* nullfs MOUNTPOINT: a FUSE filesystem that does nothing but answer.
 *
 * It is the floor of the benchmark: what the kernel and the FUSE protocol cost
 * before any work is done. For that it must be mounted and served exactly as
 * fs/ does it, and change with it:
 *
 *     direct_io; entry timeout 0; attribute timeout 0 in GETATTR, 4 ms in
 *     LOOKUP and CREATE; default_permissions; writes up to 1 MiB; no FLUSH of
 *     what was open for reading; no writeback cache, no splice, no READDIRPLUS,
 *     no locks; PARALLEL_DIROPS put into the INIT reply; one thread that reads
 *     without blocking, spins for 20 us, yields between its looks, and then
 *     polls.
 *
 * All data are in memory (tree.h) and every request is answered inline. It
 * stays in the foreground and unmounts on SIGTERM or SIGINT. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h> /* RENAME_NOREPLACE */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "tests/bench/measure.h"
#include "tests/bench/session.h"
#include "tests/bench/tree.h"

enum {
    WRITE_SIZE_MAX = 1 << 20,
    VALUE_SIZE_MAX = 64 << 20,
    NAME_SIZE_MAX = 255,
    BACKGROUND_MAX = 128,
    CONGESTION_THRESHOLD = 96,
};

/* One jiffy of a kernel with HZ=250: the GETATTR that follows a LOOKUP in the
 * same path walk is saved, and none later. */
static const double lookup_attr_timeout = 0.004;

/* The listing of an open directory, as it was when opened. */
struct listing {
    char *data;
    size_t size;
};

static struct tree *tree_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

static struct node *node_of(fuse_req_t req, fuse_ino_t id)
{
    return tree_node(tree_of(req), id);
}

/* ---- entries and attributes ---- */

static struct fuse_entry_param entry_of(struct node *node)
{
    struct fuse_entry_param entry = {
        .ino = node->id,
        .generation = 1,
        .attr = node_stat(node),
        .attr_timeout = lookup_attr_timeout,
        .entry_timeout = 0,
    };

    node->lookup_count++;
    return entry;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct node *node;

    if (strlen(name) > NAME_SIZE_MAX) {
        fuse_reply_err(req, ENAMETOOLONG);
        return;
    }
    node = tree_find(tree_of(req), node_of(req, parent), name);
    if (node == NULL) {
        fuse_reply_err(req, ENOENT);
        return;
    }

    struct fuse_entry_param entry = entry_of(node);

    fuse_reply_entry(req, &entry);
}

static void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t count)
{
    tree_forget(tree_of(req), id, count);
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
                            struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        tree_forget(tree_of(req), forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
    struct stat st = node_stat(node_of(req, id));

    (void)fi;
    fuse_reply_attr(req, &st, 0);
}

static void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *wanted,
                       int set, struct fuse_file_info *fi)
{
    struct node *node = node_of(req, id);

    if ((set & FUSE_SET_ATTR_SIZE) != 0 && wanted->st_size > VALUE_SIZE_MAX) {
        fuse_reply_err(req, EFBIG);
        return;
    }
    if ((set & FUSE_SET_ATTR_SIZE) != 0)
        node_resize(node, (size_t)wanted->st_size);
    if ((set & FUSE_SET_ATTR_MODE) != 0)
        node->mode = (node->mode & S_IFMT) | (wanted->st_mode & 07777);
    if ((set & FUSE_SET_ATTR_UID) != 0)
        node->uid = wanted->st_uid;
    if ((set & FUSE_SET_ATTR_GID) != 0)
        node->gid = wanted->st_gid;
    op_getattr(req, id, fi);
}

/* What the tools ask on the way; never ENOSYS, which would switch the request
 * off for the whole mount. */
static void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name,
                        size_t size)
{
    bool capability = strcmp(name, "security.capability") == 0;

    (void)id;
    (void)size;
    fuse_reply_err(req, capability ? ENODATA : EOPNOTSUPP);
}

static void op_statfs(fuse_req_t req, fuse_ino_t id)
{
    struct statvfs st = {
        .f_bsize = 4096,
        .f_frsize = 4096,
        .f_blocks = 1 << 20,
        .f_bfree = 1 << 20,
        .f_bavail = 1 << 20,
        .f_files = 1 << 30,
        .f_ffree = 1 << 30,
        .f_namemax = NAME_SIZE_MAX,
    };

    (void)id;
    fuse_reply_statfs(req, &st);
}

/* ---- names ---- */

/* Adds a node of the caller's; NULL after an error was replied. */
static struct node *add_node(fuse_req_t req, fuse_ino_t parent,
                             const char *name, mode_t mode)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);
    struct node *node;

    if (strlen(name) > NAME_SIZE_MAX) {
        fuse_reply_err(req, ENAMETOOLONG);
        return NULL;
    }
    if (tree_find(tree_of(req), node_of(req, parent), name) != NULL) {
        fuse_reply_err(req, EEXIST);
        return NULL;
    }
    node = tree_add(tree_of(req), node_of(req, parent), name, mode);
    node->uid = ctx->uid;
    node->gid = ctx->gid;
    return node;
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name,
                      mode_t mode, struct fuse_file_info *fi)
{
    struct node *node = add_node(req, parent, name, S_IFREG | (mode & 07777));

    if (node == NULL)
        return;

    struct fuse_entry_param entry = entry_of(node);

    fi->direct_io = 1;
    fuse_reply_create(req, &entry, fi);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
                     mode_t mode)
{
    struct node *node = add_node(req, parent, name, S_IFDIR | (mode & 07777));

    if (node == NULL)
        return;

    struct fuse_entry_param entry = entry_of(node);

    fuse_reply_entry(req, &entry);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct node *node = tree_find(tree_of(req), node_of(req, parent), name);

    if (node != NULL)
        tree_remove(tree_of(req), node);
    fuse_reply_err(req, node != NULL ? 0 : ENOENT);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct node *node = tree_find(tree_of(req), node_of(req, parent), name);

    if (node == NULL)
        fuse_reply_err(req, ENOENT);
    else if (!TAILQ_EMPTY(&node->children))
        fuse_reply_err(req, ENOTEMPTY);
    else
        op_unlink(req, parent, name);
}

/* 0 or the errno of a rename; the kernel has checked types and loops. */
static int check_rename(const struct node *from, const struct node *to,
                        unsigned flags)
{
    if (from == NULL)
        return ENOENT;
    if ((flags & ~(unsigned)RENAME_NOREPLACE) != 0)
        return EINVAL;
    if (to != NULL && (flags & RENAME_NOREPLACE) != 0)
        return EEXIST;
    if (to != NULL && to != from && !TAILQ_EMPTY(&to->children))
        return ENOTEMPTY;
    return 0;
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
                      fuse_ino_t new_parent, const char *new_name,
                      unsigned flags)
{
    struct tree *tree = tree_of(req);
    struct node *dir = node_of(req, new_parent);
    struct node *from = tree_find(tree, node_of(req, parent), name);
    int error = check_rename(from, tree_find(tree, dir, new_name), flags);

    if (error == 0)
        tree_move(tree, from, dir, new_name);
    fuse_reply_err(req, error);
}

/* ---- values ---- */

static void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
    if ((fi->flags & O_TRUNC) != 0)
        node_resize(node_of(req, id), 0);
    fi->direct_io = 1;
    fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;
    fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
    const struct node *node = node_of(req, id);
    size_t begin = (size_t)offset < node->size ? (size_t)offset : node->size;
    size_t left = node->size - begin;

    (void)fi;
    if (left == 0)
        fuse_reply_buf(req, NULL, 0);
    else
        fuse_reply_buf(req, node->value + begin, size < left ? size : left);
}

static void op_write(fuse_req_t req, fuse_ino_t id, const char *data,
                     size_t size, off_t offset, struct fuse_file_info *fi)
{
    struct node *node = node_of(req, id);
    bool append = (fi->flags & O_APPEND) != 0;
    size_t begin = append ? node->size : (size_t)offset;

    if (begin > VALUE_SIZE_MAX || size > VALUE_SIZE_MAX - begin) {
        fuse_reply_err(req, EFBIG);
        return;
    }
    if (begin + size > node->size)
        node_resize(node, begin + size);
    if (size > 0)
        memcpy(node->value + begin, data, size);
    node_touch(node);
    fuse_reply_write(req, size);
}

/* FLUSH of what was open for writing, and RELEASE: nothing is left to do. */
static void op_done(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
    (void)id;
    (void)fi;
    fuse_reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t id, int datasync,
                     struct fuse_file_info *fi)
{
    (void)datasync;
    op_done(req, id, fi);
}

/* ---- listings ---- */

static void listing_add(struct listing *listing, fuse_req_t req,
                        const char *name, const struct stat *st)
{
    size_t size = fuse_add_direntry(req, NULL, 0, name, NULL, 0);
    size_t total = listing->size + size;

    listing->data = realloc(listing->data, total);
    if (listing->data == NULL)
        abort();
    fuse_add_direntry(req, listing->data + listing->size, size, name, st,
                      (off_t)total);
    listing->size = total;
}

static void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *fi)
{
    struct node *dir = node_of(req, id);
    struct listing *listing = calloc(1, sizeof *listing);
    struct stat st = node_stat(dir);
    struct node *child;

    if (listing == NULL)
        abort();
    listing_add(listing, req, ".", &st);
    listing_add(listing, req, "..", &st);
    TAILQ_FOREACH (child, &dir->children, sibling) {
        st = node_stat(child);
        listing_add(listing, req, child->name, &st);
    }
    fi->fh = (uintptr_t)listing;
    fuse_reply_open(req, fi);
}

static struct listing *listing_of(const struct fuse_file_info *fi)
{
    return (struct listing *)(uintptr_t)fi->fh;
}

/* An entry's cookie is the place where the next begins; the kernel ignores an
 * entry that is cut off at the end and asks again from there. */
static void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    const struct listing *listing = listing_of(fi);
    size_t begin =
        (size_t)offset < listing->size ? (size_t)offset : listing->size;
    size_t left = listing->size - begin;

    (void)id;
    fuse_reply_buf(req, listing->data + begin, size < left ? size : left);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t id,
                          struct fuse_file_info *fi)
{
    struct listing *listing = listing_of(fi);

    free(listing->data);
    free(listing);
    op_done(req, id, fi);
}

/* ---- session ---- */

/* As session.c of fs/ asks for; the rest is off. */
static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    conn->want =
        conn->capable & (FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC);
    conn->max_write = WRITE_SIZE_MAX;
    conn->max_background = BACKGROUND_MAX;
    conn->congestion_threshold = CONGESTION_THRESHOLD;
    conn->time_gran = 1;
}

static const struct fuse_lowlevel_ops ops = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .getxattr = op_getxattr,
    .statfs = op_statfs,
    .create = op_create,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .rename = op_rename,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .flush = op_done,
    .release = op_done,
    .fsync = op_fsync,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .releasedir = op_releasedir,
};

int main(int argc, char **argv)
{
    char *options[] = {argv[0], (char[]){"-odefault_permissions,"
                                         "fsname=nullfs,subtype=nullfs"}};
    struct fuse_args args = FUSE_ARGS_INIT(2, options);
    struct fuse_session *session;

    if (argc != 2)
        die("usage: nullfs MOUNTPOINT");

    session = fuse_session_new(&args, &ops, sizeof ops, tree_new());
    if (session == NULL)
        die("no FUSE session");
    if (fuse_set_signal_handlers(session) != 0)
        die("no signal handlers");
    session_mount(session, argv[1]);
    session_serve(session);
    fuse_session_unmount(session);
    fuse_remove_signal_handlers(session);
    fuse_session_destroy(session);
    fuse_opt_free_args(&args);
    return 0;
}
