/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/read.h"

#include <assert.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "engine/content.h"
#include "engine/dirent.h"
#include "engine/keys.h"
#include "engine/xattr.h"

/* One read being executed. */
struct reading {
    struct kv *state;
    const struct command *command;
    struct read_unknown *unknown;
    struct kv_snapshot *snapshot; /* entry and chunks of one moment */
    struct result *result;
    struct place chunks; /* where the chunks of the entry lie */
    bool in_catalog;     /* what was read last */
    uint64_t looked_at;  /* hash of the entries, and of what intents count as */
    bool met_intent;
    bool met_undecided;
    char moved_from[NAME_SIZE_MAX];
};

/* ---- what was looked at ---- */

enum counts_as { COUNTS_OLD, COUNTS_NEW, COUNTS_UNDECIDED };

static void note(struct reading *r, struct slice bytes)
{
    r->looked_at = XXH3_64bits_withSeed(bytes.data, bytes.size, r->looked_at);
}

/* A file's version grows with each change. */
static void note_entry(struct reading *r, const struct entry *entry,
                       struct slice bytes)
{
    uint64_t numbers[] = {entry->attr.ino, entry->attr.version};

    if (entry->kind == ENTRY_FILE)
        bytes = (struct slice){numbers, sizeof numbers};
    note(r, bytes);
}

static void note_intent(struct reading *r, enum counts_as counts_as)
{
    r->met_intent = true;
    r->met_undecided = r->met_undecided || counts_as == COUNTS_UNDECIDED;
    r->looked_at += counts_as;
}

/* ERR_LOCKED until a read that has met an intent was repeated, see read.h. */
static int confirm(const struct reading *r, int status)
{
    struct read_unknown *unknown = r->unknown;
    bool same = unknown->looked_at == r->looked_at;

    if (!r->met_intent)
        return status;
    unknown->looked_at = r->looked_at;
    unknown->repeats = same ? unknown->repeats + 1 : 0;
    return unknown->repeats < (r->met_undecided ? 2 : 1) ? ERR_LOCKED : status;
}

/* ---- decisions ---- */

static bool was_unknown(const struct read_unknown *unknown, struct txn_id id)
{
    for (size_t i = 0; i < unknown->count; i++)
        if (txn_id_equal(unknown->txn[i], id))
            return true;
    return false;
}

static int get_decision(struct kv *state, struct txn_id id, bool *ret_committed)
{
    struct key key = key_decision(id.node, id.boot, id.sequence);
    struct kv_value value = {0};
    struct decision decision = {0};
    int rc = kv_get(state, NULL, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    rc = decision_decode(&decision, (struct slice){value.data, value.size});
    kv_value_release(&value);
    if (rc == 0)
        *ret_committed = decision.committed;
    decision_release(&decision);
    return rc;
}

/* How a transaction stands, as the top of read.h says. */
static int ask_decision(struct reading *r, const struct txn_ref *txn,
                        bool *ret_committed)
{
    int rc;

    r->in_catalog = true;
    rc = get_decision(r->state, txn->id, ret_committed);
    if (rc == ERR_CORRUPT)
        return rc;
    r->in_catalog = false;
    if (rc == 0)
        note_intent(r, *ret_committed ? COUNTS_NEW : COUNTS_OLD);
    if (rc != ERR_NOT_FOUND)
        return rc;
    note_intent(r, COUNTS_UNDECIDED);
    if (was_unknown(r->unknown, txn->id)) {
        *ret_committed = false;
        return 0;
    }
    if (r->unknown->count < READ_UNKNOWN_MAX)
        r->unknown->txn[r->unknown->count++] = txn->id;
    return ERR_LOCKED;
}

/* A commit that has not brought the chunks yet: they are where they were. */
static int note_moved(struct reading *r, const struct entry *intent)
{
    struct slice name = intent->moved_from_name;

    if (intent->moved_from_dir == 0)
        return 0;
    if (name.size == 0 || name.size > sizeof r->moved_from)
        return ERR_CORRUPT;
    memcpy(r->moved_from, name.data, name.size);
    r->chunks.dir = intent->moved_from_dir;
    r->chunks.name = (struct slice){r->moved_from, name.size};
    return 0;
}

/* Replaces an intent by what counts of it; ERR_NOT_FOUND for nothing. */
static int settle_intent(struct reading *r, struct entry *entry)
{
    struct entry settled = {0};
    struct slice record;
    bool committed;
    int rc;

    rc = ask_decision(r, &entry->txn, &committed);
    if (rc != 0)
        return rc;
    record = committed ? entry->new_record : entry->old_record;
    if (record.size == 0)
        return ERR_NOT_FOUND;
    rc = entry_decode(&settled, record);
    if (rc == 0 && committed)
        rc = note_moved(r, entry);
    if (rc != 0) {
        entry_release(&settled);
        return rc;
    }
    entry_release(entry);
    *entry = settled;
    return 0;
}

/* ---- entries ---- */

static int get_entry(struct reading *r, struct slice bytes, struct entry *ret)
{
    struct entry entry = {0};
    int rc = entry_decode(&entry, bytes);

    if (rc == 0)
        note_entry(r, &entry, bytes);
    if (rc == 0 && entry.kind == ENTRY_INTENT)
        rc = settle_intent(r, &entry);
    if (rc != 0) {
        entry_release(&entry);
        return rc;
    }
    *ret = entry;
    return 0;
}

static int find_entry(struct reading *r, struct entry *ret)
{
    struct key key = key_user('d', r->command->dir, r->command->name);
    struct kv_value value = {0};
    int rc = kv_get(r->state, r->snapshot, key_slice(&key), &value);

    if (rc != 0)
        return rc;
    rc = get_entry(r, (struct slice){value.data, value.size}, ret);
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

/* ---- directories ---- */

static int find_directory(struct reading *r, uint64_t nsid,
                          struct directory *ret)
{
    struct key key = key_directory(nsid);
    struct kv_value value = {0};
    int rc;

    r->in_catalog = true;
    rc = kv_get(r->state, NULL, key_slice(&key), &value);
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_STALE : rc;
    rc = directory_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

static int find_namespace(struct reading *r, uint64_t nsid,
                          struct namespace_record *ret)
{
    struct key key = key_user('n', nsid, (struct slice){NULL, 0});
    struct kv_value value = {0};
    int rc;

    r->in_catalog = false;
    rc = kv_get(r->state, NULL, key_slice(&key), &value);
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_STALE : rc;
    rc = namespace_decode(ret, (struct slice){value.data, value.size});
    kv_value_release(&value);
    return rc;
}

static int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What the catalog says, and what the namespace record adds to it. The
 * catalog decides whether the directory is there. Of an mtime set by hand and
 * that of the last change inside, the later counts: by version, since the one
 * set by hand may be any time. */
static int directory_attr(struct reading *r, uint64_t nsid, struct attr *ret)
{
    struct directory directory = {0};
    struct namespace_record record = {0};
    int rc;

    rc = find_directory(r, nsid, &directory);
    if (rc == 0)
        rc = find_namespace(r, nsid, &record);
    if (rc == 0) {
        *ret = directory.attr;
        ret->entry_count = (uint32_t)record.entry_count;
        if (directory.mtime_version <= record.version)
            ret->mtime_ns = record.mtime_ns;
        ret->ctime_ns = max_i64(ret->ctime_ns, record.ctime_ns);
        if (record.version > ret->version)
            ret->version = record.version;
    }
    directory_release(&directory);
    namespace_release(&record);
    return rc;
}

/* ---- the commands ---- */

static int read_lookup(struct reading *r)
{
    struct entry entry = {0};
    int rc = find_entry(r, &entry);

    if (rc != 0)
        return rc;
    if (entry.kind == ENTRY_DIR) {
        rc = directory_attr(r, nsid_of_ino(entry.attr.ino), &r->result->attr);
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
        return directory_attr(r, nsid_of_ino(ino), &r->result->attr);
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
    rc = content_read(r->state, r->snapshot, r->chunks, entry, c->offset, size,
                      data->data, &done);
    if (rc == 0 && done != size)
        rc = ERR_CORRUPT;
    if (rc != 0) {
        buf_unref(data);
        return rc;
    }
    r->result->attr = entry->attr;
    r->result->data_buf = data;
    r->result->data = (struct slice){data->data, data->size};
    return 0;
}

static int read_content(struct reading *r)
{
    struct entry entry = {0};
    int rc;

    if (r->command->size > WRITE_SIZE_MAX)
        return ERR_INVALID;
    r->snapshot = kv_snapshot_new(r->state);
    r->chunks = (struct place){r->command->dir, r->command->name};
    rc = find_file(r, &entry);
    if (rc == 0)
        rc = copy_content(r, &entry);
    entry_release(&entry);
    return rc;
}

/* Adds the entry under the iterator; ERR_RANGE when it does not fit. Moves on
 * also from one that is ERR_LOCKED. */
static int list_entry(struct reading *r, struct kv_iter *iter,
                      struct dirent_writer *writer)
{
    struct entry entry = {0};
    struct slice name;
    uint64_t nsid;
    int rc;

    if (!key_parse_entry(kv_iter_key(iter), &nsid, &name)) {
        kv_iter_next(iter); /* A chunk that was not jumped over. */
        return 0;
    }
    note(r, name);
    rc = get_entry(r, kv_iter_value(iter), &entry);
    if (rc == 0)
        rc = dirent_append(writer, name, entry.attr.ino, entry.attr.mode);
    if (rc != 0 && rc != ERR_NOT_FOUND && rc != ERR_LOCKED) {
        entry_release(&entry);
        return rc;
    }
    if (rc == 0 && entry.kind == ENTRY_FILE &&
        entry.attr.size > INLINE_SIZE_MAX) {
        struct key behind = key_behind_entry(nsid, name);

        kv_iter_seek(iter, key_slice(&behind));
    } else {
        kv_iter_next(iter);
    }
    entry_release(&entry);
    return rc == ERR_LOCKED ? rc : 0;
}

/* One look notes all the unknown decisions of a page. */
static int list_entries(struct reading *r, struct dirent_writer *writer)
{
    const struct command *c = r->command;
    struct key lower = c->name.size == 0 ? key_user('d', c->dir, c->name)
                                         : key_behind_entry(c->dir, c->name);
    struct key upper = key_behind_namespace('d', c->dir);
    struct kv_iter *iter = kv_iter_new(r->state, r->snapshot, key_slice(&lower),
                                       key_slice(&upper));
    bool locked = false;
    int rc = 0;

    kv_iter_seek(iter, key_slice(&lower));
    while (rc == 0 && kv_iter_valid(iter)) {
        rc = list_entry(r, iter, writer);
        locked = locked || rc == ERR_LOCKED;
        if (rc == ERR_LOCKED && r->unknown->count < READ_UNKNOWN_MAX)
            rc = 0;
    }
    if (rc == 0) {
        rc = kv_iter_status(iter, NULL);
        r->result->at_end = true;
    }
    kv_iter_free(iter);
    if (rc == ERR_RANGE)
        rc = 0;
    return rc == 0 && locked ? ERR_LOCKED : rc;
}

static int read_readdir(struct reading *r)
{
    uint64_t size = r->command->size;
    struct attr attr;
    struct dirent_writer writer;
    int rc;

    if (size > READDIR_SIZE_MAX)
        size = READDIR_SIZE_MAX;
    /* By the catalog: of a directory that was removed the namespace may still
     * be there, closing. */
    rc = directory_attr(r, r->command->dir, &attr);
    if (rc != 0)
        return rc;
    dirent_writer_init(&writer, (size_t)size);
    rc = list_entries(r, &writer);
    r->result->data_buf = dirent_writer_finish(&writer);
    r->result->data =
        (struct slice){r->result->data_buf->data, r->result->data_buf->size};
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
        rc = find_directory(r, nsid_of_ino(ino), &directory);
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
    r->result->data = (struct slice){data->data, data->size};
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

static int read_decision(struct reading *r)
{
    bool committed = false;
    int rc;

    r->in_catalog = true;
    rc = get_decision(r->state, r->command->txn.id, &committed);

    if (rc != 0 && rc != ERR_NOT_FOUND)
        return rc;
    r->result->decided = rc == 0;
    r->result->committed = committed;
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
    default:
        return ERR_INVALID;
    }
}

int read_execute(struct kv *state, const struct command *command,
                 struct read_unknown *unknown, struct result *ret)
{
    struct reading r = {
        .state = state,
        .command = command,
        .unknown = unknown,
        .result = ret,
    };

    ret->status = confirm(&r, execute(&r));
    if (ret->status == ERR_VERSION)
        ret->status = ERR_CORRUPT; /* This program did not write that. */
    unknown->in_catalog = r.in_catalog;
    kv_snapshot_free(r.snapshot);
    return ret->status;
}

int read_catalog(struct kv *state, uint64_t nsid, struct attr *ret)
{
    struct reading r = {.state = state};
    struct directory directory = {0};
    int rc = find_directory(&r, nsid, &directory);

    if (rc == 0)
        *ret = directory.attr;
    directory_release(&directory);
    return rc;
}
