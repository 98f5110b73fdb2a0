/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/eventual_read.h"

#include "engine/catalog.h"
#include "engine/keys.h"
#include "engine/xattr.h"

/* One read being executed. */
struct reading {
    struct kv *state;
    struct kv_snapshot *snapshot;
    const struct command *command;
    struct result *result;
};

/* ---- directories ---- */

static int get_directory(struct kv *state, const struct kv_snapshot *snapshot,
                         uint64_t nsid, struct directory *ret)
{
    struct key key = key_directory(nsid);
    struct kv_value value = {0};
    int rc = kv_get(state, snapshot, key_slice(&key), &value);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_STALE : rc;
    rc = directory_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc == ERR_VERSION ? ERR_CORRUPT : rc;
}

static int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* An mtime that was set by hand counts until something changes inside. */
static void add_entries(const struct directory *directory,
                        const struct eventual_namespace *entries,
                        struct attr *to)
{
    if (directory->mtime_version <= entries->version)
        to->mtime_ns = max_i64(to->mtime_ns, entries->changed_ns);
    to->ctime_ns = max_i64(to->ctime_ns, entries->changed_ns);
    if (entries->version > to->version)
        to->version = entries->version;
}

static int add_here(struct kv *state, const struct kv_snapshot *snapshot,
                    const struct directory *directory, struct attr *to)
{
    struct eventual_namespace entries;
    int rc = eventual_namespace_get(state, snapshot, directory->nsid, &entries);

    if (rc != 0)
        return rc;
    to->entry_count = (uint32_t)entries.entry_count;
    add_entries(directory, &entries, to);
    return 0;
}

int eventual_directory_attr(struct kv *state,
                            const struct kv_snapshot *snapshot, uint64_t nsid,
                            struct attr *ret)
{
    struct directory directory = {0};
    struct attr attr;
    int rc = get_directory(state, snapshot, nsid, &directory);

    if (rc != 0)
        return rc;
    attr = directory.attr;
    if (directory.mode.state != MODE_STRONG)
        rc = add_here(state, snapshot, &directory, &attr);
    directory_release(&directory);
    if (rc == 0)
        *ret = attr;
    return rc;
}

/* ---- the commands ---- */

static void show_attr(struct reading *r, const struct eventual_record *record)
{
    r->result->attr = record->attr;
    r->result->attr.origin = record->origin;
}

static int read_lookup(struct reading *r)
{
    const struct command *c = r->command;
    struct eventual_record record = {0};
    uint64_t nsid;
    int rc;

    rc = catalog_find(r->state, r->snapshot, c->dir, c->name, &nsid);
    if (rc == 0) {
        rc = eventual_directory_attr(r->state, r->snapshot, nsid,
                                     &r->result->attr);
        return rc == ERR_STALE ? ERR_CORRUPT : rc; /* It is of one moment. */
    }
    if (rc == ERR_NOT_FOUND)
        rc = eventual_get_shown(r->state, r->snapshot, c->dir, c->name, false,
                                &record);
    if (rc == 0)
        show_attr(r, &record);
    eventual_release(&record);
    return rc;
}

static int find_file(struct reading *r, struct eventual_record *ret)
{
    return eventual_get_file(r->state, r->snapshot, r->command, false, ret);
}

static int read_getattr(struct reading *r)
{
    uint64_t ino = r->command->ino;
    struct eventual_record record = {0};
    int rc;

    if ((ino & INO_DIR_BIT) != 0)
        return eventual_directory_attr(r->state, r->snapshot, nsid_of_ino(ino),
                                       &r->result->attr);
    rc = find_file(r, &record);
    if (rc == 0)
        show_attr(r, &record);
    eventual_release(&record);
    return rc;
}

static void set_data(struct reading *r, struct buf *data)
{
    r->result->data_buf = data;
    r->result->data = buf_slice(data);
}

static int read_content(struct reading *r)
{
    const struct command *c = r->command;
    struct eventual_record record = {0};
    struct buf *data = NULL;
    int rc;

    if (c->size > WRITE_SIZE_MAX)
        return ERR_INVALID;
    rc = find_file(r, &record);
    if (rc == 0)
        rc = eventual_get_content(r->state, r->snapshot, &record, c->offset,
                                  c->size, &data);
    if (rc == 0) {
        show_attr(r, &record);
        set_data(r, data);
    }
    eventual_release(&record);
    return rc;
}

static int read_readdir(struct reading *r)
{
    struct directory directory = {0};
    int rc = get_directory(r->state, r->snapshot, r->command->dir, &directory);

    directory_release(&directory);
    if (rc != 0)
        return rc;
    return eventual_list(r->state, r->snapshot, r->command, r->result);
}

static int read_xattr(struct reading *r)
{
    struct eventual_record record = {0};
    struct slice value;
    int rc = find_file(r, &record);

    if (rc == 0)
        rc = xattr_get(record.xattrs, r->command->xattr, &value);
    if (rc == 0)
        set_data(r, buf_copy(value.data, value.size));
    eventual_release(&record);
    return rc;
}

static int read_xattr_names(struct reading *r)
{
    struct eventual_record record = {0};
    int rc = find_file(r, &record);

    if (rc == 0)
        set_data(r, xattr_list(record.xattrs));
    eventual_release(&record);
    return rc;
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
        return read_xattr(r);
    case COMMAND_LISTXATTR:
        return read_xattr_names(r);
    default:
        return ERR_INVALID;
    }
}

int eventual_read(struct kv *state, const struct command *command,
                  struct result *ret)
{
    struct reading r = {
        .state = state,
        .snapshot = kv_snapshot_new(state),
        .command = command,
        .result = ret,
    };

    ret->status = execute(&r);
    kv_snapshot_free(r.snapshot);
    return ret->status;
}
