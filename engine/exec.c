/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/exec.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/catalog.h"

typedef int exec_function(struct exec *x);

/* The consistency check: what is to be done comes behind the entry. */
static int change_nothing(struct exec *x)
{
    (void)x;
    return 0;
}

static exec_function *const functions[] = {
    [COMMAND_CREATE] = exec_create,
    [COMMAND_WRITE] = exec_write,
    [COMMAND_SETATTR] = exec_setattr,
    [COMMAND_UNLINK] = exec_unlink,
    [COMMAND_RENAME] = exec_rename,
    [COMMAND_SETXATTR] = exec_setxattr,
    [COMMAND_REMOVEXATTR] = exec_removexattr,
    [COMMAND_TXN_PREPARE] = exec_txn_prepare,
    [COMMAND_TXN_DECIDE] = exec_txn_decide,
    [COMMAND_TXN_RESOLVE] = exec_txn_resolve,
    [COMMAND_TXN_ABORT] = exec_txn_abort,
    [COMMAND_TXN_FORGET] = exec_txn_forget,
    [COMMAND_TXN_COPY] = exec_txn_copy,
    [COMMAND_TXN_IMPORT] = exec_txn_import,
    [COMMAND_DIR_SETATTR] = exec_dir_setattr,
    [COMMAND_DIR_SETXATTR] = exec_dir_setxattr,
    [COMMAND_DIR_REMOVEXATTR] = exec_dir_removexattr,
    [COMMAND_DIR_MODE] = exec_dir_mode,
    [COMMAND_DIR_ADD] = exec_dir_add,
    [COMMAND_DIR_REMOVE] = exec_dir_remove,
    [COMMAND_DIR_MOVE] = exec_dir_move,
    [COMMAND_FLOOR] = exec_floor,
    [COMMAND_DIR_FILL] = exec_dir_fill,
    [COMMAND_DIR_OWN] = exec_dir_own,
    [COMMAND_LEASE_IDS] = exec_lease_ids,
    [COMMAND_LEASE_REGION_IDS] = exec_lease_region_ids,
    [COMMAND_NODE_UPDATE] = exec_node_update,
    [COMMAND_CHECK] = change_nothing,
    [COMMAND_VERIFY] = change_nothing,
    [COMMAND_BEGIN_GOAL] = exec_begin_goal,
    [COMMAND_END_GOAL] = exec_end_goal,
    [COMMAND_SET] = exec_set,
    [COMMAND_NODE_JOIN] = exec_node_join,
    [COMMAND_NODE_STATE] = exec_node_state,
    [COMMAND_REGION_GONE] = exec_region_gone,
};

int exec_command(struct exec *x)
{
    size_t op = (size_t)x->command->op;
    int rc;

    if (op >= ARRAY_SIZE(functions) || functions[op] == NULL)
        rc = ERR_INVALID;
    else
        rc = functions[op](x);
    x->result->status = rc;
    return rc;
}

/* ---- Entries ---- */

int exec_get_raw_entry(struct exec *x, uint64_t dir, struct slice name,
                       struct entry *ret)
{
    struct key key = key_user('d', dir, name);
    struct kv_value value = {0};
    int rc;

    rc = kv_get(x->state, NULL, key_slice(&key), &value);
    if (rc != 0)
        return rc;
    rc = entry_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

int exec_get_entry(struct exec *x, uint64_t dir, struct slice name,
                   struct entry *ret)
{
    struct entry entry = {0};
    int rc = exec_get_raw_entry(x, dir, name, &entry);

    if (rc != 0)
        return rc;
    if (entry.kind == ENTRY_INTENT) {
        rc = exec_locked(x, &entry.txn);
        entry_release(&entry);
        return rc;
    }
    *ret = entry;
    return 0;
}

void exec_put_raw_entry(struct exec *x, uint64_t dir, struct slice name,
                        struct slice record)
{
    struct key key = key_user('d', dir, name);

    kv_batch_put(x->batch, key_slice(&key), record);
}

void exec_put_entry(struct exec *x, uint64_t dir, struct slice name,
                    const struct entry *entry)
{
    struct buf *bytes = entry_encode(entry);

    exec_put_raw_entry(x, dir, name, buf_slice(bytes));
    buf_unref(bytes);
}

void exec_delete_entry(struct exec *x, uint64_t dir, struct slice name)
{
    struct key key = key_user('d', dir, name);

    kv_batch_delete(x->batch, key_slice(&key));
}

/* ---- Namespaces ---- */

int exec_get_raw_namespace(struct exec *x, uint64_t nsid,
                           struct namespace_record *ret)
{
    struct key key = key_namespace(nsid, x->range.start);
    struct kv_value value = {0};
    int rc;

    rc = kv_get(x->state, NULL, key_slice(&key), &value);
    if (rc != 0)
        return rc;
    rc = namespace_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

int exec_get_namespace(struct exec *x, uint64_t nsid,
                       struct namespace_record *ret)
{
    struct namespace_record record = {0};
    int rc = exec_get_raw_namespace(x, nsid, &record);

    if (rc != 0)
        return rc;
    if (record.closing.id.node != 0)
        rc = exec_locked(x, &record.closing);
    else if (record.opening.id.node != 0 && record.reopened)
        rc = exec_locked(x, &record.opening);
    if (rc != 0) {
        namespace_release(&record);
        return rc;
    }
    *ret = record;
    return 0;
}

void exec_put_namespace(struct exec *x, const struct namespace_record *record)
{
    struct key key = key_namespace(record->nsid, x->range.start);
    struct buf *bytes = namespace_encode(record);

    kv_batch_put(x->batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
}

void exec_delete_namespace(struct exec *x, uint64_t nsid)
{
    struct key key = key_namespace(nsid, x->range.start);

    kv_batch_delete(x->batch, key_slice(&key));
}

int exec_touch_namespace(struct exec *x, uint64_t nsid, int count_change)
{
    struct namespace_record record = {0};
    int rc = exec_get_namespace(x, nsid, &record);

    if (rc != 0)
        return rc;
    record.entry_count += (uint64_t)(int64_t)count_change;
    record.mtime_ns = exec_now(x, record.mtime_ns);
    record.ctime_ns = exec_now(x, record.ctime_ns);
    record.version = x->version;
    exec_put_namespace(x, &record);
    namespace_release(&record);
    return 0;
}

/* ---- The catalog ---- */

int exec_get_directory(struct exec *x, uint64_t nsid, struct directory *ret)
{
    return catalog_get(x->state, NULL, nsid, ret);
}

void exec_put_directory(struct exec *x, const struct directory *directory)
{
    struct key key = key_directory(directory->nsid);
    struct buf *bytes = directory_encode(directory);

    kv_batch_put(x->batch, key_slice(&key), buf_slice(bytes));
    buf_unref(bytes);
}

/* ---- The rest ---- */

void exec_answer(struct exec *x, struct buf *data)
{
    struct slice nothing = {NULL, 0};

    buf_unref(x->result->data_buf);
    x->result->data_buf = data;
    x->result->data = data == NULL ? nothing : buf_slice(data);
}

void exec_name_holder(struct exec *x, const struct txn_ref *txn)
{
    struct result *result = x->result;
    size_t name_size = txn->name.size;
    size_t size = name_size + txn->to_name.size;
    struct buf *names = buf_new(size);

    assert(names != NULL);
    if (name_size > 0)
        memcpy(names->data, txn->name.data, name_size);
    if (size > name_size)
        memcpy(names->data + name_size, txn->to_name.data, txn->to_name.size);
    exec_answer(x, NULL); /* That is over. */
    result->data_buf = names;
    result->holder = *txn;
    result->holder.name.data = names->data;
    result->holder.to_name.data = names->data + name_size;
}

int exec_locked(struct exec *x, const struct txn_ref *txn)
{
    exec_name_holder(x, txn);
    return ERR_LOCKED;
}

int64_t exec_now(const struct exec *x, int64_t before_ns)
{
    int64_t now_ns = x->command->now_ns;

    return now_ns > before_ns ? now_ns : before_ns + 1;
}

void exec_change_attr(const struct exec *x, struct attr *attr)
{
    const struct command *c = x->command;

    if ((c->set_mask & SET_MODE) != 0)
        attr->mode =
            (attr->mode & (uint32_t)S_IFMT) | (c->set.mode & ~(uint32_t)S_IFMT);
    if ((c->set_mask & SET_UID) != 0)
        attr->uid = c->set.uid;
    if ((c->set_mask & SET_GID) != 0)
        attr->gid = c->set.gid;
    if ((c->set_mask & SET_ATIME) != 0)
        attr->atime_ns = c->set.atime_ns;
    if ((c->set_mask & SET_MTIME) != 0)
        attr->mtime_ns = c->set.mtime_ns;
    if ((c->set_mask & SET_ATIME_NOW) != 0)
        attr->atime_ns = c->now_ns;
    if ((c->set_mask & SET_MTIME_NOW) != 0)
        attr->mtime_ns = c->now_ns;
    attr->ctime_ns = exec_now(x, attr->ctime_ns);
    attr->version = x->version;
}
