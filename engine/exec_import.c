/* SPDX-License-Identifier: Apache-2.0 */

/* Brings files, and names of directories, into directories that a transaction
 * makes strong again, as the nodes had them while these were eventual. Nobody
 * sees them before the decision; an abort deletes them with the parts of the
 * namespaces (exec_part.c). Takes those of this region and answers how many
 * bytes that were: whoever sends them goes on behind it, in the next region. */

#include "engine/exec_txn.h"

#include <sys/stat.h>

#include "engine/eventual_items.h"

/* The part of the namespace that the last file was of. */
struct import {
    struct namespace_record part; /* nsid 0: none yet */
    uint64_t count;
};

/* Of namespace `nsid`, as the command's transaction opens it. */
static int get_part(struct exec *x, uint64_t nsid, struct namespace_record *ret)
{
    int rc = exec_get_raw_namespace(x, nsid, ret);

    if (rc == ERR_NOT_FOUND)
        return ERR_ABORTED; /* Somebody took the coordinator for dead. */
    if (rc == 0 && !txn_id_equal(ret->opening.id, x->command->txn.id)) {
        namespace_release(ret);
        return ERR_ABORTED;
    }
    return rc;
}

static void end_part(struct exec *x, struct import *import)
{
    if (import->part.nsid == 0)
        return;
    import->part.entry_count += import->count;
    exec_put_namespace(x, &import->part);
    namespace_release(&import->part);
    import->count = 0;
}

/* Files of one namespace come together. */
static int go_to_part(struct exec *x, struct import *import, uint64_t nsid)
{
    if (import->part.nsid == nsid)
        return 0;
    end_part(x, import);
    return get_part(x, nsid, &import->part);
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

/* `*is_here`: it lies in this region. */
static int import_one(struct exec *x, struct import *import, struct slice item,
                      bool *is_here)
{
    struct eventual_record record = {0};
    int rc = eventual_decode_item(&record, item);

    if (rc == 0 && record.removed)
        rc = ERR_INVALID; /* It brings nothing. */
    *is_here = rc == 0 && range_has_place(x->range, record.dir, record.name);
    if (*is_here)
        rc = go_to_part(x, import, record.dir);
    if (rc == 0 && *is_here)
        rc = put(x, &record);
    eventual_release(&record);
    return rc;
}

static int import_all(struct exec *x, struct import *import, size_t *ret_size)
{
    struct slice items = x->command->data;
    size_t at = 0;
    int rc = 0;

    *ret_size = 0;
    while (at < items.size) {
        struct slice item;
        bool is_here;

        if (!eventual_items_next(items, &at, &item))
            return ERR_INVALID;
        rc = import_one(x, import, item, &is_here);
        if (rc != 0 || !is_here)
            break;
        *ret_size = at;
        import->count++;
    }
    return rc;
}

int exec_txn_import(struct exec *x)
{
    struct import import = {.count = 0};
    size_t size;
    int rc = import_all(x, &import, &size);

    end_part(x, &import);
    if (rc == 0)
        x->result->offset = size;
    return rc;
}
