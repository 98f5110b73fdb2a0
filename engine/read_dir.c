/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/read_impl.h"

#include <assert.h>
#include <string.h>

#include "engine/catalog.h"
#include "engine/dirent.h"

/* ---- regions ---- */

static struct slice no_name(void)
{
    return (struct slice){NULL, 0};
}

/* The part of the view that has a user key; NULL: noted that it is needed. */
const struct read_part *read_find_part(struct reading *r, const struct key *key)
{
    static const struct read_part everything;

    if (r->view == NULL)
        return &everything;
    for (size_t i = 0; i < r->view->count; i++)
        if (range_has(r->view->parts[i].range, key_user_part(key))) {
            r->region = r->view->parts[i].region;
            return &r->view->parts[i];
        }
    r->unknown->needed = *key;
    return NULL;
}

/* ---- directories ---- */

int read_find_directory(struct reading *r, uint64_t nsid, struct directory *ret)
{
    int rc;

    r->region = REGION_PLACEMENT;
    rc = catalog_get(r->state, NULL, nsid, ret);
    return rc == ERR_NOT_FOUND ? ERR_STALE : rc;
}

/* No region has any part of a directory that is not strong. Who asks for one
 * goes by an older catalog; what is there now is told instead. */
static int read_no_part(struct reading *r, uint64_t nsid, struct attr *ret)
{
    struct directory directory = {0};
    int rc = read_find_directory(r, nsid, &directory);

    if (rc == 0 && directory.mode.state == MODE_STRONG)
        rc = ERR_STALE;
    if (rc == 0)
        *ret = (struct attr){.mtime_ns = directory.attr.mtime_ns,
                             .ctime_ns = directory.attr.ctime_ns};
    directory_release(&directory);
    return rc;
}

/* Count and times of the part of a namespace that a region has. */
static int read_part(struct reading *r, uint64_t nsid,
                     const struct read_part *part, struct attr *ret)
{
    struct key key = key_namespace(nsid, part->range.start);
    struct namespace_record record = {0};
    struct kv_value value = {0};
    int rc;

    *ret = part->attr;
    if (part->is_elsewhere)
        return 0;
    rc = kv_get(r->state, NULL, key_slice(&key), &value);
    if (rc != 0)
        return rc == ERR_NOT_FOUND ? read_no_part(r, nsid, ret) : rc;
    rc = namespace_decode(&record, (struct slice){value.data, value.size});
    kv_value_release(&value);
    ret->entry_count = (uint32_t)record.entry_count;
    ret->mtime_ns = record.mtime_ns;
    ret->ctime_ns = record.ctime_ns;
    ret->version = record.version;
    namespace_release(&record);
    return rc;
}

static int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What the catalog says, and what the namespace's parts add to it. The
 * catalog decides whether the directory is there. Of an mtime set by hand and
 * that of the last change inside, the later counts: by version, since the one
 * set by hand may be any time. */
static void add_part(const struct directory *directory, const struct attr *part,
                     struct attr *to, bool *changed_inside)
{
    to->entry_count += part->entry_count; /* See key_namespace(). */
    if (directory->mtime_version <= part->version) {
        to->mtime_ns = *changed_inside ? max_i64(to->mtime_ns, part->mtime_ns)
                                       : part->mtime_ns;
        *changed_inside = true;
    }
    to->ctime_ns = max_i64(to->ctime_ns, part->ctime_ns);
    if (part->version > to->version)
        to->version = part->version;
}

static int add_parts(struct reading *r, const struct directory *directory,
                     struct attr *to)
{
    struct key key = key_user('d', directory->nsid, no_name());
    bool changed_inside = false;
    const struct read_part *part;

    to->entry_count = 0;
    do {
        struct attr attr;
        int rc;

        part = read_find_part(r, &key);
        if (part == NULL)
            return ERR_UNAVAILABLE;
        rc = read_part(r, directory->nsid, part, &attr);
        if (rc != 0)
            return rc;
        add_part(directory, &attr, to, &changed_inside);
    } while (key_next_part(directory->nsid, part->range.end, &key));
    return 0;
}

int read_directory_attr(struct reading *r, uint64_t nsid, struct attr *ret)
{
    struct directory directory = {0};
    int rc = read_find_directory(r, nsid, &directory);

    if (rc == 0)
        *ret = directory.attr;
    /* What each node has of an eventual one is no matter of any region. */
    if (rc == 0 && directory.mode.state == MODE_STRONG)
        rc = add_parts(r, &directory, ret);
    directory_release(&directory);
    return rc;
}

/* ---- listing ---- */

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
    read_note(r, name);
    rc = read_get_entry(r, kv_iter_value(iter), &entry);
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

static struct key list_begin(const struct command *c)
{
    return c->name.size == 0 || c->offset != 0
               ? key_user('d', c->dir, c->name)
               : key_behind_entry(c->dir, c->name);
}

/* One look notes all the unknown decisions of a page. */
static int list_range(struct reading *r, const struct key *lower,
                      const struct key *upper, struct dirent_writer *writer)
{
    struct kv_iter *iter =
        kv_iter_new(r->state, r->snapshot, key_slice(lower), key_slice(upper));
    bool locked = false;
    int rc = 0;

    kv_iter_seek(iter, key_slice(lower));
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

int read_find_list(struct reading *r, struct read_list *ret)
{
    uint64_t nsid = r->command->dir;

    ret->lower = list_begin(r->command);
    ret->part = read_find_part(r, &ret->lower);
    if (ret->part == NULL)
        return ERR_UNAVAILABLE;
    ret->goes_on = key_next_part(nsid, ret->part->range.end, &ret->upper);
    if (!ret->goes_on)
        ret->upper = key_behind_namespace('d', nsid);
    return 0;
}

void read_end_list(struct reading *r, const struct read_list *list)
{
    struct slice name = key_slice(&list->upper);

    r->result->at_end = !list->goes_on;
    if (!list->goes_on)
        return;
    name = (struct slice){(const uint8_t *)name.data + 1 + KEY_NSID_SIZE,
                          name.size - 1 - KEY_NSID_SIZE};
    assert(name.size > 0 && name.size <= NAME_SIZE_MAX);
    memcpy(r->result->next, name.data, name.size);
}

static int list_entries(struct reading *r, struct dirent_writer *writer)
{
    struct read_list list;
    int rc = read_find_list(r, &list);

    if (rc == 0)
        rc = list_range(r, &list.lower, &list.upper, writer);
    if (rc == 0 && r->result->at_end)
        read_end_list(r, &list);
    return rc;
}

int read_readdir(struct reading *r)
{
    uint64_t size = r->command->size;
    struct directory directory = {0};
    struct dirent_writer writer;
    bool is_strong;
    int rc;

    if (size > READDIR_SIZE_MAX)
        size = READDIR_SIZE_MAX;
    /* By the catalog: of a directory that was removed the namespace may still
     * be there, closing; and one that is about to become strong may have a part
     * of its files there. */
    rc = read_find_directory(r, r->command->dir, &directory);
    is_strong = directory.mode.state == MODE_STRONG;
    directory_release(&directory);
    if (rc != 0)
        return rc;
    dirent_writer_init(&writer, (size_t)size);
    if (is_strong)
        rc = list_entries(r, &writer);
    else
        r->result->at_end = true; /* As in read_no_part(). */
    r->result->data_buf = dirent_writer_finish(&writer);
    r->result->data = buf_slice(r->result->data_buf);
    return rc;
}

/* ---- one part ---- */

/* Also where the region ends, for the next one. */
int read_one_part(struct reading *r)
{
    const struct command *c = r->command;
    struct key key = key_user('d', c->dir, c->name);
    const struct read_part *part = read_find_part(r, &key);
    struct buf *data;

    if (part == NULL)
        return ERR_UNAVAILABLE;
    data = buf_copy(part->range.end.data, part->range.end.size);
    r->result->data_buf = data;
    r->result->data = buf_slice(data);
    return read_part(r, c->dir, part, &r->result->attr);
}
