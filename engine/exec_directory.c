/* SPDX-License-Identifier: Apache-2.0 */

/* Commands of the placement group (region 0) on attributes of directories. */

#include "engine/exec.h"
#include "engine/xattr.h"

int exec_dir_setattr(struct exec *x)
{
    struct directory directory = {0};
    int rc = exec_get_directory(x, nsid_of_ino(x->command->ino), &directory);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_STALE : rc;
    if ((x->command->set_mask & SET_SIZE) != 0) {
        rc = ERR_IS_DIR;
    } else {
        exec_change_attr(x, &directory.attr);
        if ((x->command->set_mask & (SET_MTIME | SET_MTIME_NOW)) != 0)
            directory.mtime_version = x->version;
        exec_put_directory(x, &directory);
        x->result->attr = directory.attr;
    }
    directory_release(&directory);
    return rc;
}

/* `change` is xattr_set or xattr_remove, with the command's arguments. */
static int change_xattrs(struct exec *x,
                         int (*change)(const struct exec *x,
                                       struct slice xattrs, struct buf **ret))
{
    struct directory directory = {0};
    struct buf *bytes = NULL;
    int rc = exec_get_directory(x, nsid_of_ino(x->command->ino), &directory);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_STALE : rc;
    rc = change(x, directory.xattrs, &bytes);
    if (rc == 0) {
        directory.xattrs = buf_slice(bytes);
        directory.attr.ctime_ns = exec_now(x, directory.attr.ctime_ns);
        directory.attr.version = x->version;
        exec_put_directory(x, &directory);
        buf_unref(bytes);
    }
    directory_release(&directory);
    return rc;
}

static int set_one(const struct exec *x, struct slice xattrs, struct buf **ret)
{
    return xattr_set(xattrs, x->command->xattr, x->command->data,
                     x->command->flags, ret);
}

static int remove_one(const struct exec *x, struct slice xattrs,
                      struct buf **ret)
{
    return xattr_remove(xattrs, x->command->xattr, ret);
}

int exec_dir_setxattr(struct exec *x)
{
    return change_xattrs(x, set_one);
}

int exec_dir_removexattr(struct exec *x)
{
    return change_xattrs(x, remove_one);
}
