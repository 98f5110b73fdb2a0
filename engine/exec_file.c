/* SPDX-License-Identifier: Apache-2.0 */

/* Commands on files, in the data region that holds them. */

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/content.h"
#include "engine/exec.h"
#include "engine/xattr.h"

static struct place source(const struct exec *x, const struct entry *entry)
{
    return place_of(x->command->dir, x->command->name, entry);
}

static struct place target(const struct exec *x, const struct entry *entry)
{
    return place_of(x->command->to_dir, x->command->to_name, entry);
}

/* A directory that is being closed keeps what it has. */
static int check_open(struct exec *x)
{
    struct namespace_record record = {0};
    int rc = exec_get_namespace(x, x->command->dir, &record);

    namespace_release(&record);
    return rc;
}

/* The file that a handle means: the one with this inode number, or none. */
static int get_file(struct exec *x, struct entry *ret)
{
    int rc = check_open(x);

    if (rc == 0)
        rc = exec_get_entry(x, x->command->dir, x->command->name, ret);
    if (rc == ERR_NOT_FOUND)
        return ERR_STALE;
    if (rc != 0)
        return rc;
    if (ret->kind != ENTRY_FILE || ret->attr.ino != x->command->ino) {
        entry_release(ret);
        return ERR_STALE;
    }
    return 0;
}

static void put_file(struct exec *x, struct entry *entry)
{
    entry->attr.version = x->version;
    exec_put_entry(x, x->command->dir, x->command->name, entry);
    x->result->attr = entry->attr;
}

/* ---- create, unlink ---- */

static int open_existing(struct exec *x, struct entry *entry)
{
    int rc = 0;

    if ((x->command->flags & REQUEST_EXCLUSIVE) != 0)
        rc = ERR_EXISTS;
    else
        x->result->attr = entry->attr;
    entry_release(entry);
    return rc;
}

int exec_create(struct exec *x)
{
    const struct command *c = x->command;
    struct entry entry = {0};
    struct buf *inlined = NULL;
    int rc;

    rc = exec_get_entry(x, c->dir, c->name, &entry);
    if (rc == 0)
        return open_existing(x, &entry);
    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = exec_touch_namespace(x, c->dir, 1);
    if (rc != 0)
        return rc;

    entry.kind = ENTRY_FILE;
    entry.attr = c->set;
    entry.attr.ino = c->ino;
    entry.attr.size = 0;
    entry.attr.atime_ns = entry.attr.mtime_ns = entry.attr.ctime_ns = c->now_ns;
    if (c->data.size > c->value_size_max)
        return ERR_TOO_LARGE;
    if (c->data.size > 0)
        rc = content_write(x, source(x, &entry), &entry, 0, c->data, &inlined);
    if (rc == 0)
        put_file(x, &entry);
    buf_unref(inlined);
    x->result->created = true;
    return rc;
}

int exec_unlink(struct exec *x)
{
    const struct command *c = x->command;
    struct entry entry = {0};
    int rc;

    rc = exec_get_entry(x, c->dir, c->name, &entry);
    if (rc != 0)
        return rc;
    if (entry.kind == ENTRY_DIR)
        rc = ERR_IS_DIR;
    else
        rc = exec_touch_namespace(x, c->dir, -1);
    if (rc == 0) {
        exec_delete_entry(x, c->dir, c->name);
        content_delete(x, source(x, &entry), entry.attr.size);
    }
    entry_release(&entry);
    return rc;
}

/* ---- write, setattr ---- */

/* Empties the entry in memory; its chunks go. */
static void truncate_entry(struct exec *x, struct entry *entry)
{
    content_delete(x, source(x, entry), entry->attr.size);
    entry->attr.size = 0;
    entry->content = (struct slice){NULL, 0};
}

static int write_data(struct exec *x, struct entry *entry,
                      struct buf **ret_inline)
{
    const struct command *c = x->command;
    uint64_t offset = c->offset;

    if ((c->flags & REQUEST_TRUNCATE) != 0)
        truncate_entry(x, entry);
    if ((c->flags & REQUEST_APPEND) != 0)
        offset = entry->attr.size;
    x->result->offset = offset;
    if (c->data.size == 0)
        return 0;
    if (offset > c->value_size_max || c->data.size > c->value_size_max - offset)
        return ERR_TOO_LARGE;
    return content_write(x, source(x, entry), entry, offset, c->data,
                         ret_inline);
}

int exec_write(struct exec *x)
{
    struct entry entry = {0};
    struct buf *inlined = NULL;
    int rc;

    rc = get_file(x, &entry);
    if (rc != 0)
        return rc;
    if (!S_ISREG(entry.attr.mode))
        rc = ERR_INVALID;
    else
        rc = write_data(x, &entry, &inlined);
    if (rc == 0) {
        if ((x->command->flags & REQUEST_KILL_PRIV) != 0)
            entry.attr.mode &= ~(uint32_t)(S_ISUID | S_ISGID);
        entry.attr.mtime_ns = exec_now(x, entry.attr.mtime_ns);
        entry.attr.ctime_ns = exec_now(x, entry.attr.ctime_ns);
        put_file(x, &entry);
    }
    buf_unref(inlined);
    entry_release(&entry);
    return rc;
}

static int resize(struct exec *x, struct entry *entry, struct buf **ret_inline)
{
    const struct command *c = x->command;

    if ((c->set_mask & SET_SIZE) == 0)
        return 0;
    if (!S_ISREG(entry->attr.mode))
        return ERR_INVALID;
    if (c->set.size > c->value_size_max)
        return ERR_TOO_LARGE;
    if (c->set.size == entry->attr.size)
        return 0;
    if ((c->set_mask & (SET_MTIME | SET_MTIME_NOW)) == 0)
        entry->attr.mtime_ns = exec_now(x, entry->attr.mtime_ns);
    return content_resize(x, source(x, entry), entry, c->set.size, ret_inline);
}

int exec_setattr(struct exec *x)
{
    struct entry entry = {0};
    struct buf *inlined = NULL;
    int rc;

    rc = get_file(x, &entry);
    if (rc != 0)
        return rc;
    rc = resize(x, &entry, &inlined);
    if (rc == 0) {
        exec_change_attr(x, &entry.attr);
        if ((x->command->flags & REQUEST_KILL_PRIV) != 0)
            entry.attr.mode &= ~(uint32_t)(S_ISUID | S_ISGID);
        put_file(x, &entry);
    }
    buf_unref(inlined);
    entry_release(&entry);
    return rc;
}

/* ---- rename ---- */

static int move_file(struct exec *x, struct entry *from, struct entry *to)
{
    uint64_t replaced_size = to->kind == ENTRY_FILE ? to->attr.size : 0;
    struct place old = source(x, from);
    int rc;

    rc = content_copy(x, old, from->attr.size, target(x, to), replaced_size);
    if (rc != 0)
        return rc;
    content_delete(x, old, from->attr.size);
    exec_delete_entry(x, x->command->dir, x->command->name);
    from->chunk_base = to->chunk_base;
    exec_put_entry(x, x->command->to_dir, x->command->to_name, from);
    return 0;
}

static int exchange_files(struct exec *x, struct entry *from, struct entry *to)
{
    struct place here = source(x, from);
    struct place there = target(x, to);
    int rc;

    rc = content_copy(x, here, from->attr.size, there, to->attr.size);
    if (rc == 0)
        rc = content_copy(x, there, to->attr.size, here, from->attr.size);
    if (rc != 0)
        return rc;
    from->chunk_base = there.chunk_base;
    to->chunk_base = here.chunk_base;
    exec_put_entry(x, x->command->dir, x->command->name, to);
    exec_put_entry(x, x->command->to_dir, x->command->to_name, from);
    return 0;
}

/* Counts and times of the one or two directories. */
static int touch_both(struct exec *x, int from_change, int to_change)
{
    const struct command *c = x->command;
    int rc;

    if (c->dir == c->to_dir)
        return exec_touch_namespace(x, c->dir, from_change + to_change);
    rc = exec_touch_namespace(x, c->dir, from_change);
    if (rc == 0)
        rc = exec_touch_namespace(x, c->to_dir, to_change);
    return rc;
}

static int rename_entries(struct exec *x, struct entry *from, struct entry *to)
{
    bool exists = to->kind != 0;
    bool exchange = (x->command->flags & REQUEST_EXCHANGE) != 0;
    int rc;

    if (exists && (x->command->flags & REQUEST_NOREPLACE) != 0)
        return ERR_EXISTS;
    if (exchange && !exists)
        return ERR_NOT_FOUND;
    if (from->kind == ENTRY_DIR || to->kind == ENTRY_DIR)
        return ERR_IS_DIR; /* Takes a transaction: see txn.h. */
    if (slice_equal(x->command->name, x->command->to_name) &&
        x->command->dir == x->command->to_dir)
        return 0;

    rc = exchange ? touch_both(x, 0, 0) : touch_both(x, -1, exists ? 0 : 1);
    if (rc != 0)
        return rc;
    from->attr.ctime_ns = exec_now(x, from->attr.ctime_ns);
    from->attr.version = x->version;
    if (!exchange)
        return move_file(x, from, to);
    to->attr.ctime_ns = exec_now(x, to->attr.ctime_ns);
    to->attr.version = x->version;
    return exchange_files(x, from, to);
}

int exec_rename(struct exec *x)
{
    const struct command *c = x->command;
    struct entry from = {0};
    struct entry to = {0};
    int rc;

    rc = exec_get_entry(x, c->dir, c->name, &from);
    if (rc == 0)
        rc = exec_get_entry(x, c->to_dir, c->to_name, &to);
    if (rc == ERR_NOT_FOUND && from.kind != 0)
        rc = 0;
    if (rc == 0)
        rc = rename_entries(x, &from, &to);
    entry_release(&from);
    entry_release(&to);
    return rc;
}

/* ---- extended attributes ---- */

static int store_xattrs(struct exec *x, struct entry *entry, struct buf *bytes)
{
    entry->xattrs = buf_slice(bytes);
    entry->attr.ctime_ns = exec_now(x, entry->attr.ctime_ns);
    put_file(x, entry);
    buf_unref(bytes);
    return 0;
}

int exec_setxattr(struct exec *x)
{
    struct entry entry = {0};
    struct buf *bytes;
    int rc;

    rc = get_file(x, &entry);
    if (rc != 0)
        return rc;
    rc = xattr_set(entry.xattrs, x->command->xattr, x->command->data,
                   x->command->flags, &bytes);
    if (rc == 0)
        rc = store_xattrs(x, &entry, bytes);
    entry_release(&entry);
    return rc;
}

int exec_removexattr(struct exec *x)
{
    struct entry entry = {0};
    struct buf *bytes;
    int rc;

    rc = get_file(x, &entry);
    if (rc != 0)
        return rc;
    rc = xattr_remove(entry.xattrs, x->command->xattr, &bytes);
    if (rc == 0)
        rc = store_xattrs(x, &entry, bytes);
    entry_release(&entry);
    return rc;
}
