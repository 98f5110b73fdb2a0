/* SPDX-License-Identifier: Apache-2.0 */

/* Brings files, and names of directories, into a directory that a transaction
 * makes strong again, as the nodes had them while it was eventual. Nobody sees
 * them before the decision; an abort deletes them with the parts of the
 * namespace (exec_part.c). Takes those of this region and answers how many
 * bytes that were: whoever sends them goes on behind it, in the next region. */

#include "engine/exec_txn.h"

#include <sys/stat.h>

#include "engine/eventual_items.h"

/* The namespace's part here, as the command's transaction opens it. */
static int get_part(struct exec *x, struct namespace_record *ret)
{
    int rc = exec_get_raw_namespace(x, x->command->dir, ret);

    if (rc == ERR_NOT_FOUND)
        return ERR_ABORTED; /* Somebody took the coordinator for dead. */
    if (rc == 0 && !txn_id_equal(ret->opening.id, x->command->txn.id)) {
        namespace_release(ret);
        return ERR_ABORTED;
    }
    return rc;
}

static int put_file(struct exec *x, const struct eventual_record *record)
{
    struct entry entry = {
        .kind = ENTRY_FILE, .attr = record->attr, .xattrs = record->xattrs};
    struct place place = place_of(record->dir, record->name, &entry);
    struct buf *inlined = NULL;
    int rc = 0;

    entry.attr.size = 0;
    entry.attr.version = x->version;
    if (record->content.size > 0)
        rc = content_write(x, place, &entry, 0, record->content, &inlined);
    if (rc == 0)
        exec_put_entry(x, record->dir, record->name, &entry);
    buf_unref(inlined);
    return rc;
}

static int put(struct exec *x, const struct eventual_record *record)
{
    struct entry reference = exec_reference_to(nsid_of_ino(record->attr.ino));

    if (!S_ISDIR(record->attr.mode))
        return put_file(x, record);
    exec_put_entry(x, record->dir, record->name, &reference);
    return 0;
}

static bool is_sound(const struct exec *x, const struct eventual_record *record)
{
    return record->dir == x->command->dir && record->name.size > 0 &&
           record->name.size <= NAME_SIZE_MAX && !record->removed &&
           record->content.size == record->attr.size;
}

/* `*is_here`: it lies in this region. */
static int import(struct exec *x, struct slice item, bool *is_here)
{
    struct eventual_record record = {0};
    int rc = eventual_decode_item(&record, item);

    if (rc == 0 && !is_sound(x, &record))
        rc = ERR_INVALID;
    *is_here = rc == 0 && range_has_place(x->range, record.dir, record.name);
    if (*is_here)
        rc = put(x, &record);
    eventual_release(&record);
    return rc;
}

/* In the order of their names. */
static int import_all(struct exec *x, uint64_t *ret_count, size_t *ret_size)
{
    struct slice items = x->command->data;
    size_t at = 0;
    int rc = 0;

    *ret_count = 0;
    *ret_size = 0;
    while (at < items.size) {
        struct slice item;
        bool is_here;

        if (!eventual_items_next(items, &at, &item))
            return ERR_INVALID;
        rc = import(x, item, &is_here);
        if (rc != 0 || !is_here)
            break;
        *ret_size = at;
        ++*ret_count;
    }
    return rc;
}

int exec_txn_import(struct exec *x)
{
    struct namespace_record part = {0};
    uint64_t count;
    size_t size;
    int rc = get_part(x, &part);

    if (rc != 0)
        return rc;
    rc = import_all(x, &count, &size);
    if (rc == 0) {
        part.entry_count += count;
        exec_put_namespace(x, &part);
        x->result->offset = size;
    }
    namespace_release(&part);
    return rc;
}
