/* SPDX-License-Identifier: Apache-2.0 */

/* The same commands on strong files are in exec_file.c. */

#include "engine/eventual_exec.h"

#include <string.h>
#include <sys/stat.h>

#include "engine/catalog.h"
#include "engine/eventual_read.h"
#include "engine/exec.h"
#include "engine/xattr.h"

/* One command being executed. */
struct run {
    struct exec x; /* for what commands on strong files share with it */
    struct kv_snapshot *snapshot;
    struct eventual_outcome *ret;
};

/* ---- names ---- */

/* What is known of a name, also that it was removed, or that nothing is. */
static int get_known(struct run *r, uint64_t dir, struct slice name,
                     bool content, struct eventual_record *ret)
{
    int rc = eventual_get(r->x.state, r->snapshot, dir, name, content, ret);

    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int has_directory(struct run *r, uint64_t dir, struct slice name,
                         bool *ret)
{
    uint64_t nsid;
    int rc = catalog_find(r->x.state, r->snapshot, dir, name, &nsid);

    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    *ret = rc == 0;
    return 0;
}

/* A record like this one, which it borrows from. */
static struct eventual_record like(const struct eventual_record *from)
{
    struct eventual_record to = {
        .dir = from->dir,
        .name = from->name,
        .attr = from->attr,
        .xattrs = from->xattrs,
        .content = from->content,
    };

    to.attr.version = 0;
    return to;
}

static struct eventual_record tombstone(const struct eventual_record *from)
{
    return (struct eventual_record){
        .dir = from->dir, .name = from->name, .removed = true};
}

/* ---- one file ---- */

/* The file that a handle means, as the only change. */
static int get_file(struct run *r, bool content)
{
    struct eventual_change *change = &r->ret->changes[0];
    int rc = eventual_get_file(r->x.state, r->snapshot, r->x.command, content,
                               &change->before);

    if (rc == 0)
        change->after = like(&change->before);
    return rc;
}

static int put_file(struct run *r)
{
    r->ret->result.attr = r->ret->changes[0].after.attr;
    r->ret->count = 1;
    return 0;
}

static uint64_t size_max(const struct run *r)
{
    return r->x.command->value_size_max < EVENTUAL_VALUE_SIZE_MAX
               ? r->x.command->value_size_max
               : EVENTUAL_VALUE_SIZE_MAX;
}

static void kill_priv(const struct run *r, struct attr *attr)
{
    if ((r->x.command->flags & REQUEST_KILL_PRIV) != 0)
        attr->mode &= ~(uint32_t)(S_ISUID | S_ISGID);
}

/* Cuts or extends the content, into memory that may be written to. */
static int resize(struct eventual_change *change, uint64_t size)
{
    struct eventual_record *after = &change->after;
    struct buf *b = buf_new((size_t)size);
    size_t kept;

    if (b == NULL)
        return ERR_NO_MEMORY;
    kept = after->content.size < b->size ? after->content.size : b->size;
    if (kept > 0)
        memcpy(b->data, after->content.data, kept);
    memset(b->data + kept, 0, b->size - kept);
    change->content = b;
    after->content = buf_slice(b);
    after->attr.size = size;
    return 0;
}

/* ---- create, unlink ---- */

static int open_existing(struct run *r, const struct attr *attr)
{
    if ((r->x.command->flags & REQUEST_EXCLUSIVE) != 0)
        return ERR_EXISTS;
    r->ret->result.attr = *attr;
    return 0;
}

/* ERR_NOT_FOUND: nothing has this name. */
static int open_if_there(struct run *r)
{
    const struct command *c = r->x.command;
    struct eventual_record record = {0};
    struct attr attr;
    uint64_t nsid;
    int rc;

    rc = catalog_find(r->x.state, r->snapshot, c->dir, c->name, &nsid);
    if (rc == 0) {
        rc = eventual_directory_attr(r->x.state, r->snapshot, nsid, &attr);
        if (rc != 0)
            return rc == ERR_STALE ? ERR_CORRUPT : rc;
        return open_existing(r, &attr);
    }
    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = eventual_get_shown(r->x.state, r->snapshot, c->dir, c->name, false,
                            &record);
    if (rc == 0)
        rc = open_existing(r, &record.attr);
    eventual_release(&record);
    return rc;
}

static int create(struct run *r)
{
    const struct command *c = r->x.command;
    struct eventual_change *change = &r->ret->changes[0];
    struct attr *attr = &change->after.attr;
    int rc;

    rc = open_if_there(r);
    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = get_known(r, c->dir, c->name, false, &change->before);
    if (rc != 0)
        return rc;
    if (c->data.size > size_max(r))
        return ERR_TOO_LARGE;
    change->after = (struct eventual_record){
        .dir = c->dir, .name = c->name, .attr = c->set, .content = c->data};
    attr->ino = c->ino;
    attr->size = c->data.size;
    attr->version = 0;
    attr->atime_ns = attr->mtime_ns = attr->ctime_ns = c->now_ns;
    r->ret->result.created = true;
    return put_file(r);
}

static int unlink_file(struct run *r)
{
    const struct command *c = r->x.command;
    struct eventual_change *change = &r->ret->changes[0];
    bool is_dir;
    int rc = has_directory(r, c->dir, c->name, &is_dir);

    if (rc == 0 && is_dir)
        return ERR_IS_DIR;
    if (rc == 0)
        rc = eventual_get_shown(r->x.state, r->snapshot, c->dir, c->name, false,
                                &change->before);
    if (rc != 0)
        return rc;
    change->after = tombstone(&change->before);
    r->ret->count = 1;
    return 0;
}

/* ---- write, setattr ---- */

static int write_data(struct run *r)
{
    const struct command *c = r->x.command;
    struct eventual_change *change = &r->ret->changes[0];
    struct attr *attr = &change->after.attr;
    uint64_t max = size_max(r);
    uint64_t offset = c->offset;
    uint64_t end;
    int rc;

    if ((c->flags & REQUEST_TRUNCATE) != 0) {
        attr->size = 0;
        change->after.content = (struct slice){NULL, 0};
    }
    if ((c->flags & REQUEST_APPEND) != 0)
        offset = attr->size;
    r->ret->result.offset = offset;
    if (c->data.size == 0)
        return 0;
    if (offset > max || c->data.size > max - offset)
        return ERR_TOO_LARGE;
    end = offset + c->data.size;
    rc = resize(change, end > attr->size ? end : attr->size);
    if (rc == 0)
        memcpy(change->content->data + offset, c->data.data, c->data.size);
    return rc;
}

static int write_file(struct run *r)
{
    struct attr *attr = &r->ret->changes[0].after.attr;
    int rc = get_file(r, (r->x.command->flags & REQUEST_TRUNCATE) == 0);

    if (rc != 0)
        return rc;
    if (!S_ISREG(attr->mode))
        return ERR_INVALID;
    rc = write_data(r);
    if (rc != 0)
        return rc;
    kill_priv(r, attr);
    attr->mtime_ns = exec_now(&r->x, attr->mtime_ns);
    attr->ctime_ns = exec_now(&r->x, attr->ctime_ns);
    return put_file(r);
}

static int set_size(struct run *r)
{
    const struct command *c = r->x.command;
    struct eventual_change *change = &r->ret->changes[0];
    struct attr *attr = &change->after.attr;

    if ((c->set_mask & SET_SIZE) == 0)
        return 0;
    if (!S_ISREG(attr->mode))
        return ERR_INVALID;
    if (c->set.size > size_max(r))
        return ERR_TOO_LARGE;
    if (c->set.size == attr->size)
        return 0;
    if ((c->set_mask & (SET_MTIME | SET_MTIME_NOW)) == 0)
        attr->mtime_ns = exec_now(&r->x, attr->mtime_ns);
    return resize(change, c->set.size);
}

static int set_attr(struct run *r)
{
    struct attr *attr = &r->ret->changes[0].after.attr;
    int rc = get_file(r, true);

    if (rc == 0)
        rc = set_size(r);
    if (rc != 0)
        return rc;
    exec_change_attr(&r->x, attr);
    kill_priv(r, attr);
    return put_file(r);
}

/* ---- rename ---- */

/* What was at both ends: the new name is the first change. */
struct ends {
    struct eventual_change *from;
    struct eventual_change *to;
    bool from_is_dir;
    bool to_is_dir;
};

static int get_ends(struct run *r, struct ends *ends)
{
    const struct command *c = r->x.command;
    bool exchange = (c->flags & REQUEST_EXCHANGE) != 0;
    int rc;

    rc = has_directory(r, c->dir, c->name, &ends->from_is_dir);
    if (rc == 0 && !ends->from_is_dir)
        rc = eventual_get_shown(r->x.state, r->snapshot, c->dir, c->name, true,
                                &ends->from->before);
    if (rc == 0)
        rc = has_directory(r, c->to_dir, c->to_name, &ends->to_is_dir);
    if (rc == 0)
        rc = get_known(r, c->to_dir, c->to_name, exchange, &ends->to->before);
    return rc;
}

static int check_ends(const struct run *r, const struct ends *ends)
{
    const struct eventual_record *to = &ends->to->before;
    bool exists = ends->to_is_dir || (to->dir != 0 && !to->removed);

    if (exists && (r->x.command->flags & REQUEST_NOREPLACE) != 0)
        return ERR_EXISTS;
    if (!exists && (r->x.command->flags & REQUEST_EXCHANGE) != 0)
        return ERR_NOT_FOUND;
    return ends->from_is_dir || ends->to_is_dir ? ERR_IS_DIR : 0;
}

static void move(struct run *r, const struct ends *ends)
{
    const struct command *c = r->x.command;
    struct eventual_record *from = &ends->from->after;
    struct eventual_record *to = &ends->to->after;

    *to = like(&ends->from->before);
    to->dir = c->to_dir;
    to->name = c->to_name;
    to->attr.ctime_ns = exec_now(&r->x, to->attr.ctime_ns);
    if ((c->flags & REQUEST_EXCHANGE) == 0) {
        *from = tombstone(&ends->from->before);
        return;
    }
    *from = like(&ends->to->before);
    from->dir = c->dir;
    from->name = ends->from->before.name;
    from->attr.ctime_ns = exec_now(&r->x, from->attr.ctime_ns);
}

static int rename_file(struct run *r)
{
    const struct command *c = r->x.command;
    struct ends ends = {.from = &r->ret->changes[1], .to = &r->ret->changes[0]};
    int rc = get_ends(r, &ends);

    if (rc == 0)
        rc = check_ends(r, &ends);
    if (rc != 0)
        return rc;
    if (c->dir == c->to_dir && slice_equal(c->name, c->to_name))
        return 0;
    move(r, &ends);
    r->ret->count = 2;
    return 0;
}

/* ---- extended attributes ---- */

static int store_xattrs(struct run *r, struct buf *bytes)
{
    struct eventual_change *change = &r->ret->changes[0];
    struct attr *attr = &change->after.attr;

    change->xattrs = bytes;
    change->after.xattrs = buf_slice(bytes);
    attr->ctime_ns = exec_now(&r->x, attr->ctime_ns);
    return put_file(r);
}

static int set_xattr(struct run *r)
{
    const struct command *c = r->x.command;
    struct buf *bytes;
    int rc = get_file(r, true);

    if (rc == 0)
        rc = xattr_set(r->ret->changes[0].after.xattrs, c->xattr, c->data,
                       c->flags, &bytes);
    return rc == 0 ? store_xattrs(r, bytes) : rc;
}

static int remove_xattr(struct run *r)
{
    struct buf *bytes;
    int rc = get_file(r, true);

    if (rc == 0)
        rc = xattr_remove(r->ret->changes[0].after.xattrs, r->x.command->xattr,
                          &bytes);
    return rc == 0 ? store_xattrs(r, bytes) : rc;
}

/* ---- what was in a strong directory ---- */

static int bring(struct run *r)
{
    const struct command *c = r->x.command;
    struct eventual_change *change = &r->ret->changes[0];
    int rc = eventual_decode(&change->after, c->data);

    if (rc != 0)
        return rc;
    if (change->after.dir != c->dir || change->after.removed ||
        !slice_equal(change->after.name, c->name))
        return ERR_INVALID;
    rc = get_known(r, c->dir, c->name, false, &change->before);
    return rc == 0 ? put_file(r) : rc;
}

/* ---- all of them ---- */

typedef int run_function(struct run *r);

static run_function *const functions[] = {
    [COMMAND_CREATE] = create,
    [COMMAND_WRITE] = write_file,
    [COMMAND_SETATTR] = set_attr,
    [COMMAND_UNLINK] = unlink_file,
    [COMMAND_RENAME] = rename_file,
    [COMMAND_SETXATTR] = set_xattr,
    [COMMAND_REMOVEXATTR] = remove_xattr,
    [COMMAND_BRING] = bring,
};

static bool has_names(const struct command *command)
{
    return command->name.size > 0 &&
           (command->op != COMMAND_RENAME || command->to_name.size > 0);
}

static bool is_executed(enum command_op op)
{
    return command_is_on_file(op) || op == COMMAND_BRING;
}

int eventual_execute(struct kv *state, const struct command *command,
                     struct eventual_outcome *ret)
{
    struct run r = {
        .x = {.state = state, .command = command},
        .ret = ret,
    };
    int rc;

    *ret = (struct eventual_outcome){.count = 0};
    if (!is_executed(command->op) || !has_names(command)) {
        rc = ERR_INVALID;
    } else {
        r.snapshot = kv_snapshot_new(state);
        rc = functions[command->op](&r);
        kv_snapshot_free(r.snapshot);
    }
    if (rc != 0)
        ret->count = 0;
    ret->result.status = rc;
    return rc;
}

void eventual_outcome_release(struct eventual_outcome *outcome)
{
    for (size_t i = 0; i < ARRAY_SIZE(outcome->changes); i++) {
        struct eventual_change *change = &outcome->changes[i];

        eventual_release(&change->before);
        eventual_release(&change->after);
        buf_unref(change->content);
        buf_unref(change->xattrs);
    }
    result_release(&outcome->result);
    *outcome = (struct eventual_outcome){.count = 0};
}
