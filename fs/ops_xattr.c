/* SPDX-License-Identifier: Apache-2.0 */

/* Extended attributes. user.* and trusted.* are the users' own (the kernel
 * has checked who may); user.grove.* is ours: virtual, not listed, so that
 * `cp -a` does not copy it; only the consistency of a directory can be changed.
 * Everything else is answered here, without the engine, because tools ask for
 * it all the time. */

#include "fs/ops.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/special.h"

#define OWN_PREFIX "user.grove."

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* What the kernel is told about reading or writing an attribute by its name
 * alone; 0: the engine is asked. EOPNOTSUPP makes ls stop asking for access
 * control lists and labels. */
struct name_rule {
    const char *prefix;
    int on_get;
    int on_set;
};

static const struct name_rule name_rules[] = {
    /* clang-format off */
    {OWN_PREFIX,             ENODATA,    EPERM},
    {"user.",                0,          0},
    {"trusted.",             0,          0},
    {"security.capability",  ENODATA,    EOPNOTSUPP},
    {"",                     EOPNOTSUPP, EOPNOTSUPP},
    /* clang-format on */
};

/* The first rule that fits. */
static const struct name_rule *rule_of(const char *name)
{
    const struct name_rule *rule = name_rules;

    while (!begins(name, rule->prefix))
        rule++;
    return rule;
}

static int check_name(const char *name)
{
    return strlen(name) > XATTR_NAME_SIZE_MAX ? ERANGE : 0;
}

static void set_name(struct op *op, const char *name)
{
    memcpy(op->xattr, name, strlen(name) + 1);
    op->request.xattr = op->xattr;
}

/* ---- reading ---- */

static void get_done(struct op *op, int status)
{
    struct buf *data;

    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    data = op_take_data(op);
    op_reply_xattr(op, data->data, data->size);
    buf_unref(data);
}

/* Ours: what each says of a file or directory, once its attributes are known;
 * NULL: the engine says it. */
struct own_xattr {
    const char *name;
    int (*print)(const struct op *op, char *to, size_t size);
};

/* A hybrid logical clock: milliseconds since the epoch, and a counter. Where
 * nodes accept changes by themselves, both may be the same on two of them. */
static int print_version(const struct op *op, char *to, size_t size)
{
    uint64_t version = op->request.attr.version;
    uint64_t origin = op->request.attr.origin;

    if (origin != 0)
        return snprintf(to, size, "%" PRIu64 ".%" PRIu64 ".%" PRIu64,
                        version >> 16, version & 0xffff, origin);
    return snprintf(to, size, "%" PRIu64 ".%" PRIu64, version >> 16,
                    version & 0xffff);
}

static int print_node(const struct op *op, char *to, size_t size)
{
    uint64_t origin = op->request.attr.origin;

    return snprintf(to, size, "%" PRIu64,
                    origin != 0 ? origin : engine_node_id(op->fs->engine));
}

static const struct own_xattr own_xattrs[] = {
    /* clang-format off */
    {XATTR_CONSISTENCY,    NULL},
    {XATTR_LAG,            NULL},
    {XATTR_DIGEST,         NULL},
    {OWN_PREFIX "node",    print_node},
    {OWN_PREFIX "version", print_version},
    /* clang-format on */
};

/* NULL: the name is not one of them. */
static const struct own_xattr *own_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(own_xattrs); i++)
        if (strcmp(name, own_xattrs[i].name) == 0)
            return &own_xattrs[i];
    return NULL;
}

static void own_done(struct op *op, int status)
{
    char text[72];
    int size;

    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    size = own_of(op->xattr)->print(op, text, sizeof text);
    op_reply_xattr(op, text, (size_t)size);
}

void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
    const struct own_xattr *own = own_of(name);
    struct op *op;
    int error = check_name(name);

    if (error == 0 && own == NULL)
        error = rule_of(name)->on_get;
    if (error == 0 && special_is(id))
        error = ENODATA;
    op = op_new_unless(req, id, error);
    if (op == NULL)
        return;
    op->size = size;
    set_name(op, name);
    if (own != NULL && own->print != NULL)
        op_submit_on(op, REQUEST_GETATTR, own_done);
    else
        op_submit_on(op, REQUEST_GETXATTR, get_done);
}

/* Drops trusted.* from a list of names, which only root may see. Returns the
 * new size. */
static size_t drop_trusted(uint8_t *names, size_t size)
{
    size_t kept = 0;
    size_t at = 0;

    while (at < size) {
        const char *name = (const char *)names + at;
        const size_t name_size = strlen(name) + 1;

        if (!begins(name, "trusted.")) {
            memmove(names + kept, names + at, name_size);
            kept += name_size;
        }
        at += name_size;
    }
    return kept;
}

static void list_done(struct op *op, int status)
{
    struct buf *shared;
    struct buf *names;
    size_t size;

    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    shared = op_take_data(op);
    names = buf_copy(shared->data, shared->size);
    buf_unref(shared);
    size = names->size;
    if (fuse_req_ctx(op->req)->uid != 0)
        size = drop_trusted(names->data, size);
    op_reply_xattr(op, names->data, size);
    buf_unref(names);
}

void op_listxattr(fuse_req_t req, fuse_ino_t id, size_t size)
{
    struct op *op;

    if (special_is(id)) {
        op = op_new(req);
        op->size = size;
        op_reply_xattr(op, "", 0);
        return;
    }
    op = op_new_on(req, id);
    if (op == NULL)
        return;
    op->size = size;
    op_submit_on(op, REQUEST_LISTXATTR, list_done);
}

/* ---- writing ---- */

static void changed_done(struct op *op, int status)
{
    op_reply_error(op, status);
}

/* ---- how consistent a directory is ---- */

static bool is_consistency(const char *name)
{
    return strcmp(name, XATTR_CONSISTENCY) == 0;
}

static bool is_text(const char *value, size_t size, const char *text)
{
    return size == strlen(text) && memcmp(value, text, size) == 0;
}

static int check_consistency(uint64_t id, const char *value, size_t size,
                             int flags)
{
    if (special_is(id) || inode_nsid(id) == 0)
        return EPERM;
    if ((flags & XATTR_CREATE) != 0)
        return EEXIST; /* Each directory has it. */
    return is_text(value, size, XATTR_STRONG) ||
                   is_text(value, size, XATTR_STRONG_FORCE) ||
                   is_text(value, size, XATTR_EVENTUAL)
               ? 0
               : EINVAL;
}

/* It is about all that the directory will ever have, so it is the owner's.
 * Write permission, which the kernel has checked, is not enough. */
static void owner_done(struct op *op, int status)
{
    const uid_t uid = fuse_req_ctx(op->req)->uid;

    if (status == 0 && uid != 0 && uid != op->request.attr.uid)
        status = ERR_NOT_PERMITTED;
    if (status != 0) {
        op_reply_error(op, status);
        return;
    }
    set_name(op, XATTR_CONSISTENCY); /* The first question was not about it. */
    op->request.data = op->content;
    op->content = NULL;
    op_submit_on(
        op, op->request.data != NULL ? REQUEST_SETXATTR : REQUEST_REMOVEXATTR,
        changed_done);
}

static void set_consistency(fuse_req_t req, uint64_t id, const char *value,
                            size_t size, int flags)
{
    struct op *op =
        op_new_unless(req, id, check_consistency(id, value, size, flags));

    if (op == NULL)
        return;
    op->content = buf_copy(value, size);
    op_submit_on(op, REQUEST_GETATTR, owner_done);
}

/* The directory is as its parent is from then on. */
static void remove_consistency(fuse_req_t req, uint64_t id)
{
    const bool is_dir = !special_is(id) && inode_nsid(id) != 0;
    struct op *op = op_new_unless(req, id, is_dir ? 0 : EPERM);

    if (op == NULL)
        return;
    op_submit_on(op, REQUEST_GETATTR, owner_done);
}

/* ---- all others ---- */

static int check_change(uint64_t id, const char *name)
{
    if (special_is(id))
        return EPERM;
    if (check_name(name) != 0)
        return ERANGE;
    return rule_of(name)->on_set;
}

static void set(fuse_req_t req, uint64_t id, const char *name,
                const char *value, size_t size, int flags)
{
    struct op *op;
    int error = check_change(id, name);

    if (error == 0 && size > XATTRS_SIZE_MAX)
        error = E2BIG;
    op = op_new_unless(req, id, error);
    if (op == NULL)
        return;
    set_name(op, name);
    op->request.data = buf_copy(value, size);
    if ((flags & XATTR_CREATE) != 0)
        op->request.flags |= REQUEST_XATTR_CREATE;
    if ((flags & XATTR_REPLACE) != 0)
        op->request.flags |= REQUEST_XATTR_REPLACE;
    op_submit_on(op, REQUEST_SETXATTR, changed_done);
}

static void drop(fuse_req_t req, uint64_t id, const char *name)
{
    struct op *op = op_new_unless(req, id, check_change(id, name));

    if (op == NULL)
        return;
    set_name(op, name);
    op_submit_on(op, REQUEST_REMOVEXATTR, changed_done);
}

void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name,
                 const char *value, size_t size, int flags)
{
    if (is_consistency(name))
        set_consistency(req, id, value, size, flags);
    else
        set(req, id, name, value, size, flags);
}

void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name)
{
    if (is_consistency(name))
        remove_consistency(req, id);
    else
        drop(req, id, name);
}
