/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/read_impl.h"

#include <assert.h>
#include <sys/stat.h>

#include "engine/xattr.h"

/* ---- entries ---- */

static int find_entry(struct reading *r, struct entry *ret)
{
    struct key key = key_user('d', r->command->dir, r->command->name);
    struct kv_value value = {0};
    int rc;

    if (read_find_part(r, &key) == NULL)
        return ERR_UNAVAILABLE;
    rc = kv_get(r->state, r->snapshot, key_slice(&key), &value);
    if (rc != 0)
        return rc;
    rc = read_get_entry(r, (struct slice){value.data, value.size}, ret);
    kv_value_release(&value);
    return rc;
}

/* The file that a handle means. */
static int find_file(struct reading *r, struct entry *ret)
{
    int rc = find_entry(r, ret);

    if (rc == ERR_NOT_FOUND)
        return ERR_STALE;
    if (rc != 0)
        return rc;
    if (ret->kind != ENTRY_FILE || ret->attr.ino != r->command->ino) {
        entry_release(ret);
        return ERR_STALE;
    }
    return 0;
}

/* ---- the commands ---- */

static int read_lookup(struct reading *r)
{
    struct entry entry = {0};
    int rc = find_entry(r, &entry);

    if (rc != 0)
        return rc;
    if (entry.kind == ENTRY_DIR) {
        rc = read_directory_attr(r, nsid_of_ino(entry.attr.ino),
                                 &r->result->attr);
        /* Removed between the two reads. */
        if (rc == ERR_STALE)
            rc = ERR_NOT_FOUND;
    } else {
        r->result->attr = entry.attr;
    }
    entry_release(&entry);
    return rc;
}

static int read_getattr(struct reading *r)
{
    uint64_t ino = r->command->ino;
    struct entry entry = {0};
    int rc;

    if ((ino & INO_DIR_BIT) != 0)
        return read_directory_attr(r, nsid_of_ino(ino), &r->result->attr);
    rc = find_file(r, &entry);
    if (rc == 0)
        r->result->attr = entry.attr;
    entry_release(&entry);
    return rc;
}

static int copy_content(struct reading *r, const struct entry *entry)
{
    const struct command *c = r->command;
    uint64_t left =
        entry->attr.size > c->offset ? entry->attr.size - c->offset : 0;
    size_t size = left < c->size ? (size_t)left : (size_t)c->size;
    struct buf *data = buf_new(size);
    size_t done = 0;
    int rc;

    if (data == NULL)
        return ERR_NO_MEMORY;
    rc = content_read(r->state, r->snapshot, place_of(c->dir, c->name, entry),
                      entry, c->offset, size, data->data, &done);
    if (rc == 0 && done != size)
        rc = ERR_CORRUPT;
    if (rc != 0) {
        buf_unref(data);
        return rc;
    }
    r->result->attr = entry->attr;
    r->result->data_buf = data;
    r->result->data = buf_slice(data);
    return 0;
}

static int read_content(struct reading *r)
{
    struct entry entry = {0};
    int rc;

    if (r->command->size > WRITE_SIZE_MAX)
        return ERR_INVALID;
    r->snapshot = kv_snapshot_new(r->state);
    rc = find_file(r, &entry);
    if (rc == 0)
        rc = copy_content(r, &entry);
    entry_release(&entry);
    return rc;
}

/* ---- extended attributes ---- */

/* Hands the xattrs of a file or directory to `use`. */
static int with_xattrs(struct reading *r,
                       int (*use)(struct reading *r, struct slice xattrs))
{
    uint64_t ino = r->command->ino;
    struct directory directory = {0};
    struct entry entry = {0};
    int rc;

    if ((ino & INO_DIR_BIT) != 0) {
        rc = read_find_directory(r, nsid_of_ino(ino), &directory);
        if (rc == 0)
            rc = use(r, directory.xattrs);
    } else {
        rc = find_file(r, &entry);
        if (rc == 0)
            rc = use(r, entry.xattrs);
    }
    directory_release(&directory);
    entry_release(&entry);
    return rc;
}

static void set_data(struct reading *r, struct buf *data)
{
    r->result->data_buf = data;
    r->result->data = buf_slice(data);
}

static int get_one(struct reading *r, struct slice xattrs)
{
    struct slice value;
    int rc = xattr_get(xattrs, r->command->xattr, &value);

    if (rc == 0)
        set_data(r, buf_copy(value.data, value.size));
    return rc;
}

static int get_names(struct reading *r, struct slice xattrs)
{
    set_data(r, xattr_list(xattrs));
    return 0;
}

/* Whether its coordinator has restarted since, or has said that it waits for it
 * no more: whoever asked to commit it now would be refused (results.h). */
static int find_given_up(struct reading *r, struct txn_id id, bool *ret)
{
    struct key key = key_sender(REGION_PLACEMENT, id.node);
    struct kv_value value = {0};
    struct sender sender = {0};
    int rc = kv_get(r->state, NULL, key_slice(&key), &value);

    if (rc == 0)
        rc = sender_decode(&sender, (struct slice){value.data, value.size});
    kv_value_release(&value);
    *ret = sender.boot > id.boot ||
           (sender.boot == id.boot && sender.lowest > id.sequence);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* The memory of an abort goes when its transaction is given up. */
static int read_decision(struct reading *r)
{
    const struct txn_id id = r->command->txn.id;
    struct decision decision = {0};
    bool is_given_up;
    int rc;

    r->region = REGION_PLACEMENT;
    rc = find_given_up(r, id, &is_given_up);
    if (rc == 0)
        rc = read_get_decision(r->state, id, &decision);
    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    r->result->decided = rc == 0 || is_given_up;
    r->result->committed = decision.committed;
    set_data(r, buf_copy(decision.below.data, decision.below.size));
    decision_release(&decision);
    return 0;
}

static int execute(struct reading *r)
{
    switch (r->command->op) {
    case COMMAND_LOOKUP:
        return read_lookup(r);
    case COMMAND_GETATTR:
        return read_getattr(r);
    case COMMAND_READ:
        return read_content(r);
    case COMMAND_READDIR:
        return read_readdir(r);
    case COMMAND_GETXATTR:
        return with_xattrs(r, get_one);
    case COMMAND_LISTXATTR:
        return with_xattrs(r, get_names);
    case COMMAND_DECISION:
        return read_decision(r);
    case COMMAND_PART:
        return read_one_part(r);
    case COMMAND_TXN_EXPORT:
        return read_export(r);
    default:
        return ERR_INVALID;
    }
}

int read_execute(struct kv *state, const struct read_view *view,
                 const struct command *command, struct read_unknown *unknown,
                 struct result *ret)
{
    struct reading r = {
        .state = state,
        .view = view,
        .command = command,
        .unknown = unknown,
        .result = ret,
    };

    ret->status = read_confirm(&r, execute(&r));
    if (ret->status == ERR_VERSION)
        ret->status = ERR_CORRUPT; /* This program did not write that. */
    unknown->region = r.region;
    kv_snapshot_free(r.snapshot);
    return ret->status;
}

int read_catalog(struct kv *state, uint64_t nsid, struct attr *ret)
{
    struct reading r = {.state = state};
    struct directory directory = {0};
    int rc = read_find_directory(&r, nsid, &directory);

    if (rc == 0)
        *ret = directory.attr;
    directory_release(&directory);
    return rc;
}

struct key read_first_key(const struct command *command)
{
    bool is_directory =
        command->op == COMMAND_GETATTR && (command->ino & INO_DIR_BIT) != 0;

    if (is_directory)
        return key_user('d', nsid_of_ino(command->ino),
                        (struct slice){NULL, 0});
    if ((command->op == COMMAND_READDIR || command->op == COMMAND_TXN_EXPORT) &&
        command->name.size > 0 && command->offset == 0)
        return key_behind_entry(command->dir, command->name);
    return key_user('d', command->dir, command->name);
}
