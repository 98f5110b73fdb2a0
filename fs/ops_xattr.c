/* SPDX-License-Identifier: Apache-2.0 */

/* Extended attributes. user.* and trusted.* are the users' own (the kernel
 * has checked who may); user.grove.* is ours: virtual, not listed, so that
 * `cp -a` does not copy it. Everything else is answered here, without the
 * engine, because tools ask for it all the time. */

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

/* Ours: what each says of a file or directory, once its attributes are
 * known. */
struct own_xattr {
    const char *name;
    int (*print)(const struct op *op, char *to, size_t size);
};

/* A hybrid logical clock: milliseconds since the epoch, and a counter. */
static int print_version(const struct op *op, char *to, size_t size)
{
    uint64_t version = op->request.attr.version;

    return snprintf(to, size, "%" PRIu64 ".%" PRIu64, version >> 16,
                    version & 0xffff);
}

static int print_node(const struct op *op, char *to, size_t size)
{
    return snprintf(to, size, "%" PRIu64, engine_node_id(op->fs->engine));
}

static const struct own_xattr own_xattrs[] = {
    /* clang-format off */
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
    char text[48];
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
    const bool own = own_of(name) != NULL;
    struct op *op;
    int error = check_name(name);

    if (error == 0 && !own)
        error = rule_of(name)->on_get;
    if (error == 0 && special_is(id))
        error = ENODATA;
    op = op_new_unless(req, id, error);
    if (op == NULL)
        return;
    op->size = size;
    set_name(op, name);
    if (own)
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

static int check_change(uint64_t id, const char *name)
{
    if (special_is(id))
        return EPERM;
    if (check_name(name) != 0)
        return ERANGE;
    return rule_of(name)->on_set;
}

void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name,
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

void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name)
{
    const int error = check_change(id, name);
    struct op *op;

    op = op_new_unless(req, id, error);
    if (op == NULL)
        return;
    set_name(op, name);
    op_submit_on(op, REQUEST_REMOVEXATTR, changed_done);
}
