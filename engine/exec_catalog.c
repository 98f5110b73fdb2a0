/* SPDX-License-Identifier: Apache-2.0 */

/* Commands of the placement group (region 0): the catalog of directories,
 * decisions about transactions and ids. */

#include <assert.h>
#include <string.h>

#include "engine/exec.h"
#include "engine/xattr.h"

enum { PATH_DEPTH_MAX = 4096 };

/* ---- decisions ---- */

static int get_decision(struct exec *x, struct txn_id id, struct decision *ret)
{
    struct key key = key_decision(id.node, id.boot, id.sequence);
    struct kv_value value = {0};
    int rc = kv_get(x->state, NULL, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    rc = decision_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

static void put_decision(struct exec *x, bool committed)
{
    const struct txn_ref *txn = &x->command->txn;
    struct key key = key_decision(txn->id.node, txn->id.boot, txn->id.sequence);
    struct decision decision = {.txn = *txn, .committed = committed};
    struct buf *bytes = decision_encode(&decision);

    kv_batch_put(x->batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
    x->result->decided = true;
    x->result->committed = committed;
}

/* Whether `nsid` is `ancestor` or lies below it. */
static int is_below(struct exec *x, uint64_t nsid, uint64_t ancestor, bool *ret)
{
    *ret = false;
    for (int depth = 0; depth < PATH_DEPTH_MAX && nsid != 0; depth++) {
        struct directory directory = {0};
        int rc;

        if (nsid == ancestor) {
            *ret = true;
            return 0;
        }
        rc = exec_get_directory(x, nsid, &directory);
        if (rc != 0)
            return rc;
        nsid = directory.parent;
        directory_release(&directory);
    }
    return nsid == 0 ? 0 : ERR_INVALID;
}

static int check_change(struct exec *x, const struct catalog_change *change)
{
    struct directory directory = {0};
    bool below = false;
    int rc;

    if (change->kind == CATALOG_REMOVE)
        return change->nsid == NSID_ROOT ? ERR_BUSY : 0;
    rc = exec_get_directory(x, change->parent, &directory);
    directory_release(&directory);
    if (rc != 0 || change->kind == CATALOG_ADD)
        return rc;

    rc = exec_get_directory(x, change->nsid, &directory);
    directory_release(&directory);
    if (rc == 0)
        rc = is_below(x, change->parent, change->nsid, &below);
    return rc == 0 && below ? ERR_INVALID : rc;
}

static int make_change(struct exec *x, const struct catalog_change *change)
{
    struct key key = key_directory(change->nsid);
    struct directory directory = {0};
    int rc;

    if (change->kind == CATALOG_REMOVE) {
        kv_batch_delete(x->batch, key_slice(&key));
        return 0;
    }
    if (change->kind == CATALOG_ADD) {
        directory.nsid = change->nsid;
        directory.attr = change->attr;
    } else {
        rc = exec_get_directory(x, change->nsid, &directory);
        if (rc != 0)
            return rc;
        directory.attr.ctime_ns = exec_now(x, directory.attr.ctime_ns);
    }
    directory.parent = change->parent;
    directory.name = change->name;
    directory.attr.version = x->version;
    exec_put_directory(x, &directory);
    directory_release(&directory);
    return 0;
}

/* The one entry at which a directory transaction takes effect. What the
 * catalog refuses is a decision too: to abort. */
int exec_txn_decide(struct exec *x)
{
    const struct command *c = x->command;
    struct decision earlier = {0};
    int rc;

    rc = get_decision(x, c->txn.id, &earlier);
    if (rc == 0) {
        x->result->decided = true;
        x->result->committed = earlier.committed;
        decision_release(&earlier);
        return x->result->committed ? 0 : ERR_ABORTED;
    }
    if (rc != ERR_NOT_FOUND)
        return rc;

    rc = 0;
    for (size_t i = 0; i < c->change_count && rc == 0; i++)
        rc = check_change(x, &c->changes[i]);
    if (rc != 0) {
        put_decision(x, false);
        x->keep = true;
        return rc;
    }
    for (size_t i = 0; i < c->change_count && rc == 0; i++)
        rc = make_change(x, &c->changes[i]);
    if (rc == 0)
        put_decision(x, true);
    return rc;
}

int exec_txn_abort(struct exec *x)
{
    struct decision earlier = {0};
    int rc;

    rc = get_decision(x, x->command->txn.id, &earlier);
    if (rc == 0) {
        x->result->decided = true;
        x->result->committed = earlier.committed;
        decision_release(&earlier);
        return 0;
    }
    if (rc != ERR_NOT_FOUND)
        return rc;
    put_decision(x, false);
    return 0;
}

/* An abort is remembered on: its DECIDE may still be on the way. It goes when
 * its sender says that it waits for it no more (results.h). */
int exec_txn_forget(struct exec *x)
{
    struct txn_id id = x->command->txn.id;
    struct key key = key_decision(id.node, id.boot, id.sequence);
    struct decision decision = {0};
    int rc;

    rc = get_decision(x, id, &decision);
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (decision.committed)
        kv_batch_delete(x->batch, key_slice(&key));
    decision_release(&decision);
    return 0;
}

/* ---- directories ---- */

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

/* ---- ids ---- */

static int lease_ids(struct exec *x, struct key key)
{
    struct kv_value value = {0};
    uint8_t bytes[8];
    uint64_t next;
    int rc;

    rc = kv_get(x->state, NULL, key_slice(&key), &value);
    if (rc != 0)
        return rc;
    if (value.size != sizeof bytes) {
        kv_value_release(&value);
        return ERR_CORRUPT;
    }
    next = be64_get(value.data);
    kv_value_release(&value);
    x->result->first_id = next;
    be64_put(bytes, next + x->command->size);
    kv_batch_put(x->batch, key_slice(&key),
                 (struct slice){bytes, sizeof bytes});
    return 0;
}

int exec_lease_ids(struct exec *x)
{
    return lease_ids(x, key_id_allocator());
}

int exec_lease_region_ids(struct exec *x)
{
    return lease_ids(x, key_region_id_allocator());
}
