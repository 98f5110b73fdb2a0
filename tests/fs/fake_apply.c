/* SPDX-License-Identifier: Apache-2.0 */

/* What each kind of request does to the tree. */

#include "tests/fs/fake_tree.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The entry that a request is about, by {dir, name, ino}. */
static int target(struct tree *tree, const struct request *r,
                  struct entry **ret)
{
    struct entry *dir;

    if ((r->ino & INO_DIR_BIT) != 0) {
        *ret = tree_dir(tree, nsid_of_ino(r->ino));
        return *ret == NULL ? ERR_STALE : 0;
    }
    dir = tree_dir(tree, r->dir);
    *ret = dir == NULL ? NULL : entry_find(dir, r->name);
    return *ret == NULL || (*ret)->attr.ino != r->ino ? ERR_STALE : 0;
}

/* ---- reads ---- */

static int do_lookup(struct engine *engine, struct request *r)
{
    struct entry *dir = tree_dir(engine->tree, r->dir);
    struct entry *entry = dir == NULL ? NULL : entry_find(dir, r->name);

    if (entry == NULL)
        return ERR_NOT_FOUND;
    r->attr = entry->attr;
    return 0;
}

static int do_getattr(struct engine *engine, struct request *r)
{
    struct entry *entry;
    int rc = target(engine->tree, r, &entry);

    if (rc == 0)
        r->attr = entry->attr;
    return rc;
}

static int do_read(struct engine *engine, struct request *r)
{
    struct entry *entry;
    size_t size = r->size;
    int rc = target(engine->tree, r, &entry);

    if (rc != 0)
        return rc;
    assert(size <= WRITE_SIZE_MAX);
    r->attr = entry->attr;
    if (r->offset >= entry->attr.size)
        return 0;
    if (size > entry->attr.size - r->offset)
        size = entry->attr.size - r->offset;
    r->ret_data = buf_copy(entry->content + r->offset, size);
    return 0;
}

/* The page: for each name 8 bytes ino, 4 mode, the name with its \0. */
enum { DIRENT_HEAD_SIZE = 12 };

static int do_readdir(struct engine *engine, struct request *r)
{
    struct entry *dir = tree_dir(engine->tree, r->dir);
    struct buf *data = buf_new(r->size);
    size_t used = 0;
    size_t at;

    if (dir == NULL) {
        buf_unref(data);
        return ERR_NOT_FOUND;
    }
    at = entry_position(dir, r->name);
    if (at < dir->count && strcmp(dir->entries[at]->name, r->name) == 0)
        at++;
    for (; at < dir->count; at++) {
        const struct entry *entry = dir->entries[at];
        const size_t name_size = strlen(entry->name) + 1;
        const uint32_t type = entry->attr.mode & S_IFMT;

        if (used + DIRENT_HEAD_SIZE + name_size > r->size)
            break;
        memcpy(data->data + used, &entry->attr.ino, 8);
        memcpy(data->data + used + 8, &type, 4);
        memcpy(data->data + used + 12, entry->name, name_size);
        used += DIRENT_HEAD_SIZE + name_size;
    }
    data->size = used;
    r->ret_data = data;
    r->at_end = at == dir->count;
    return 0;
}

bool dirent_next(const struct buf *data, size_t *position,
                 struct dirent_view *ret_entry)
{
    const uint8_t *at = data->data + *position;

    if (*position >= data->size)
        return false;
    memcpy(&ret_entry->ino, at, 8);
    memcpy(&ret_entry->mode, at + 8, 4);
    ret_entry->name = (const char *)at + DIRENT_HEAD_SIZE;
    *position += DIRENT_HEAD_SIZE + strlen(ret_entry->name) + 1;
    return true;
}

static struct xattr *find_xattr(struct entry *entry, const char *name)
{
    struct xattr *xattr;

    TAILQ_FOREACH (xattr, &entry->xattrs, link)
        if (strcmp(xattr->name, name) == 0)
            return xattr;
    return NULL;
}

static bool is_consistency(const struct request *r)
{
    return strcmp(r->xattr, XATTR_CONSISTENCY) == 0;
}

/* Of a directory, or of the one that a file is in. Nothing is inherited. */
static int get_consistency(const struct entry *entry, struct request *r)
{
    const char *text;

    if ((r->ino & INO_DIR_BIT) == 0)
        entry = entry->parent;
    text = entry->eventual ? XATTR_EVENTUAL : XATTR_STRONG;
    r->ret_data = buf_copy(text, strlen(text));
    return 0;
}

static int do_getxattr(struct engine *engine, struct request *r)
{
    struct entry *entry;
    struct xattr *xattr;
    int rc = target(engine->tree, r, &entry);

    if (rc != 0)
        return rc;
    if (is_consistency(r))
        return get_consistency(entry, r);
    if (strcmp(r->xattr, XATTR_LAG) == 0) {
        r->ret_data = buf_copy("0.0", 3);
        return 0;
    }
    if (strcmp(r->xattr, XATTR_DIGEST) == 0) {
        r->ret_data = buf_copy("-", 1);
        return 0;
    }
    xattr = find_xattr(entry, r->xattr);
    if (xattr == NULL)
        return ERR_NO_DATA;
    r->ret_data = buf_ref(xattr->value);
    return 0;
}

static int do_listxattr(struct engine *engine, struct request *r)
{
    char names[XATTRS_SIZE_MAX];
    struct entry *entry;
    struct xattr *xattr;
    size_t used = 0;
    int rc = target(engine->tree, r, &entry);

    if (rc != 0)
        return rc;
    TAILQ_FOREACH (xattr, &entry->xattrs, link) {
        memcpy(names + used, xattr->name, strlen(xattr->name) + 1);
        used += strlen(xattr->name) + 1;
    }
    r->ret_data = buf_copy(names, used);
    return 0;
}

/* As many regions as nodes, from 0 on. */
static int render_ids(struct engine *engine, struct request *r)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    for (unsigned i = 0; i < engine->object_count; i++)
        fprintf(out, "%u\n", i);
    if (r->table == TABLE_QUARANTINE_IDS) /* Too great to be listed. */
        fprintf(out, "%d\n", INT32_MAX);
    (void)fclose(out);
    r->ret_data = buf_copy(text, size);
    free(text);
    return 0;
}

static int do_render(struct engine *engine, struct request *r)
{
    char text[64];
    int size = snprintf(text, sizeof text, "table %d at %" PRId64 "\n",
                        (int)r->table, engine->ready ? fake_now_ns() : 0);

    if (r->table == TABLE_HEALTH)
        size = snprintf(text, sizeof text, "%s\n",
                        engine->ready ? "ok" : "waiting for peers");
    if (r->table >= TABLE_REGION_IDS && r->table <= TABLE_QUARANTINE_IDS)
        return render_ids(engine, r);
    if (r->table > TABLE_QUARANTINE_IDS) {
        if (r->object >= engine->object_count)
            return ERR_NOT_FOUND;
        size = snprintf(text, sizeof text, "table %d of %" PRIu64 "\n",
                        (int)r->table, r->object);
    }
    r->ret_data = buf_copy(text, (size_t)size);
    return 0;
}

/* At most 50 at once. */
static int do_events(struct engine *engine, struct request *r)
{
    const bool begins = r->offset == EVENTS_FROM_NOW;
    uint64_t next = begins ? engine->event_count : r->offset;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (begins)
        fprintf(out, "# number\n");
    for (unsigned i = 0; next < engine->event_count && i < 50; i++)
        fprintf(out, "event %" PRIu64 "\n", next++);
    (void)fclose(out);
    r->ret_data = buf_copy(text, size);
    r->ret_offset = next;
    r->attr = (struct attr){.size = 9 + 20 * engine->event_count};
    free(text);
    return 0;
}

/* ---- writes ---- */

static int do_make(struct engine *engine, struct request *r)
{
    struct tree *tree = engine->tree;
    struct entry *dir = tree_dir(tree, r->dir);
    struct entry *entry = dir == NULL ? NULL : entry_find(dir, r->name);

    if (dir == NULL)
        return ERR_NOT_FOUND;
    r->created = entry == NULL;
    if (entry != NULL &&
        (r->kind == REQUEST_MKDIR || (r->flags & REQUEST_EXCLUSIVE) != 0))
        return ERR_EXISTS;
    if (entry == NULL) {
        entry = entry_new(tree, r->name, r->set.mode);
        entry->attr.uid = r->set.uid;
        entry->attr.gid = r->set.gid;
        if (r->data != NULL) {
            (void)entry_resize(engine, entry, r->data->size);
            memcpy(entry->content, r->data->data, r->data->size);
        }
        entry_insert(tree, dir, entry);
    }
    r->attr = entry->attr;
    return 0;
}

static int do_write(struct engine *engine, struct request *r)
{
    const size_t size = r->data == NULL ? 0 : r->data->size;
    struct entry *entry;
    uint64_t old_size;
    int rc = target(engine->tree, r, &entry);

    if (rc != 0)
        return rc;
    old_size = (r->flags & REQUEST_TRUNCATE) != 0 ? 0 : entry->attr.size;
    r->ret_offset = (r->flags & REQUEST_APPEND) != 0 ? old_size : r->offset;
    if (r->ret_offset + size > engine->config.value_size_max)
        return ERR_TOO_LARGE;
    (void)entry_resize(engine, entry, old_size);
    if (size > 0 && r->ret_offset + size > entry->attr.size)
        (void)entry_resize(engine, entry, r->ret_offset + size);
    if (size > 0)
        memcpy(entry->content + r->ret_offset, r->data->data, size);
    if ((r->flags & REQUEST_KILL_PRIV) != 0)
        entry->attr.mode &= ~(uint32_t)(S_ISUID | S_ISGID);
    entry_changed(engine->tree, entry);
    r->attr = entry->attr;
    return 0;
}

static int do_setattr(struct engine *engine, struct request *r)
{
    const struct attr *set = &r->set;
    struct entry *entry;
    int rc = target(engine->tree, r, &entry);
    struct attr *attr = rc == 0 ? &entry->attr : NULL;

    if (rc == 0 && (r->set_mask & SET_SIZE) != 0)
        rc = entry_resize(engine, entry, set->size);
    if (rc != 0)
        return rc;
    if ((r->set_mask & SET_SIZE) != 0)
        entry_changed(engine->tree, entry);
    if ((r->set_mask & SET_MODE) != 0)
        attr->mode = (attr->mode & S_IFMT) | (set->mode & 07777);
    if ((r->set_mask & SET_UID) != 0)
        attr->uid = set->uid;
    if ((r->set_mask & SET_GID) != 0)
        attr->gid = set->gid;
    if ((r->set_mask & (SET_ATIME | SET_ATIME_NOW)) != 0)
        attr->atime_ns =
            (r->set_mask & SET_ATIME) != 0 ? set->atime_ns : fake_now_ns();
    if ((r->set_mask & (SET_MTIME | SET_MTIME_NOW)) != 0)
        attr->mtime_ns =
            (r->set_mask & SET_MTIME) != 0 ? set->mtime_ns : fake_now_ns();
    attr->ctime_ns = fake_now_ns();
    attr->version = ++engine->tree->version;
    r->attr = *attr;
    return 0;
}

static int do_remove(struct engine *engine, struct request *r)
{
    struct entry *dir = tree_dir(engine->tree, r->dir);
    struct entry *entry = dir == NULL ? NULL : entry_find(dir, r->name);

    if (entry == NULL)
        return ERR_NOT_FOUND;
    if (S_ISDIR(entry->attr.mode) != (r->kind == REQUEST_RMDIR))
        return r->kind == REQUEST_RMDIR ? ERR_NOT_DIR : ERR_IS_DIR;
    if (entry->count > 0)
        return ERR_NOT_EMPTY;
    entry_take_out(engine->tree, entry);
    entry_free(engine->tree, entry);
    return 0;
}

static void put_at(struct tree *tree, struct entry *entry, struct entry *dir,
                   const char *name)
{
    free(entry->name);
    entry->name = mem_strdup(name);
    entry_insert(tree, dir, entry);
}

static int do_rename(struct engine *engine, struct request *r)
{
    struct tree *tree = engine->tree;
    struct entry *dir = tree_dir(tree, r->dir);
    struct entry *to_dir = tree_dir(tree, r->to_dir);
    struct entry *entry = dir == NULL ? NULL : entry_find(dir, r->name);
    struct entry *other =
        to_dir == NULL ? NULL : entry_find(to_dir, r->to_name);

    if (entry == NULL || to_dir == NULL)
        return ERR_NOT_FOUND;
    if (other != NULL && (r->flags & REQUEST_NOREPLACE) != 0)
        return ERR_EXISTS;
    if ((r->flags & REQUEST_EXCHANGE) != 0 && other == NULL)
        return ERR_NOT_FOUND;
    if (other != NULL && (r->flags & REQUEST_EXCHANGE) == 0 && other->count > 0)
        return ERR_NOT_EMPTY;
    entry_take_out(tree, entry);
    if (other != NULL)
        entry_take_out(tree, other);
    if ((r->flags & REQUEST_EXCHANGE) != 0)
        put_at(tree, other, dir, r->name);
    else if (other != NULL)
        entry_free(tree, other);
    put_at(tree, entry, to_dir, r->to_name);
    return 0;
}

/* fs/ lets nothing else come here. */
static int set_consistency(struct entry *entry, const struct request *r)
{
    assert((r->ino & INO_DIR_BIT) != 0 && r->flags == 0);
    entry->eventual = false;
    if (r->kind == REQUEST_SETXATTR) {
        entry->eventual = r->data->data[0] == XATTR_EVENTUAL[0];
        assert(r->data->size ==
                   strlen(entry->eventual ? XATTR_EVENTUAL : XATTR_STRONG) ||
               r->data->size == strlen(XATTR_STRONG_FORCE));
    }
    return 0;
}

static int do_setxattr(struct engine *engine, struct request *r)
{
    struct entry *entry;
    struct xattr *xattr;
    int rc = target(engine->tree, r, &entry);

    if (rc != 0)
        return rc;
    if (is_consistency(r))
        return set_consistency(entry, r);
    xattr = find_xattr(entry, r->xattr);
    if (xattr != NULL && (r->flags & REQUEST_XATTR_CREATE) != 0)
        return ERR_EXISTS;
    if (xattr == NULL && ((r->flags & REQUEST_XATTR_REPLACE) != 0 ||
                          r->kind == REQUEST_REMOVEXATTR))
        return ERR_NO_DATA;
    if (xattr != NULL) {
        TAILQ_REMOVE(&entry->xattrs, xattr, link);
        buf_unref(xattr->value);
        free(xattr->name);
        free(xattr);
    }
    if (r->kind == REQUEST_SETXATTR) {
        xattr = mem_zalloc(sizeof *xattr);
        xattr->name = mem_strdup(r->xattr);
        xattr->value = buf_ref(r->data);
        TAILQ_INSERT_TAIL(&entry->xattrs, xattr, link);
    }
    entry->attr.version = ++engine->tree->version;
    return 0;
}

/* ---- control files ---- */

/* Understands `all`, `yes` and the number of the object itself, each in its
 * file, and no other text. */
static int do_control(struct engine *engine, struct request *r)
{
    (void)engine;
    if (r->table == TABLE_REGION_TRANSFER)
        return r->data->data[0] == '0' + r->object ? 0 : ERR_INVALID;
    if (r->table == TABLE_QUARANTINE_DROP)
        return r->data->data[0] == 'y' ? 0 : ERR_INVALID;
    if (r->table != TABLE_CHECK || r->data->size != strlen("all\n") ||
        memcmp(r->data->data, "all\n", r->data->size) != 0)
        return ERR_INVALID;
    return 0;
}

/* ---- all ---- */

static int (*const doers[REQUEST_KINDS])(struct engine *, struct request *) = {
    [REQUEST_LOOKUP] = do_lookup,     [REQUEST_GETATTR] = do_getattr,
    [REQUEST_READ] = do_read,         [REQUEST_READDIR] = do_readdir,
    [REQUEST_GETXATTR] = do_getxattr, [REQUEST_LISTXATTR] = do_listxattr,
    [REQUEST_RENDER] = do_render,     [REQUEST_CREATE] = do_make,
    [REQUEST_WRITE] = do_write,       [REQUEST_SETATTR] = do_setattr,
    [REQUEST_UNLINK] = do_remove,     [REQUEST_MKDIR] = do_make,
    [REQUEST_RMDIR] = do_remove,      [REQUEST_RENAME] = do_rename,
    [REQUEST_SETXATTR] = do_setxattr, [REQUEST_REMOVEXATTR] = do_setxattr,
    [REQUEST_CONTROL] = do_control,   [REQUEST_EVENTS] = do_events,
};

int tree_apply(struct engine *engine, struct request *request)
{
    return doers[request->kind](engine, request);
}
