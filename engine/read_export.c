/* SPDX-License-Identifier: Apache-2.0 */

/* What is in a directory that a transaction has closed to make it eventual, as
 * records that eventual nodes take (txn_export.h). Nothing changes there until
 * that is decided, so page after page is one picture. */

#include "engine/eventual_items.h"
#include "engine/read_impl.h"

struct page {
    struct eventual_items items;
    bool full;
};

/* The part is held by the transaction. */
static int check_part(struct reading *r, const struct read_part *part)
{
    struct key key = key_namespace(r->command->dir, part->range.start);
    struct namespace_record record = {0};
    struct kv_value value = {0};
    int rc = kv_get(r->state, r->snapshot, key_slice(&key), &value);

    if (rc != 0)
        return rc == ERR_NOT_FOUND ? ERR_ABORTED : rc;
    rc = namespace_decode(&record, (struct slice){value.data, value.size});
    kv_value_release(&value);
    if (rc == 0 && !txn_id_equal(record.closing.id, r->command->txn.id))
        rc = ERR_ABORTED;
    namespace_release(&record);
    return rc;
}

static int add_file(struct reading *r, struct page *page, struct slice name,
                    const struct entry *entry)
{
    struct eventual_record record = {.dir = r->command->dir,
                                     .name = name,
                                     .attr = entry->attr,
                                     .xattrs = entry->xattrs};
    struct buf *content;
    size_t done = 0;
    int rc;

    if (entry->attr.size > EVENTUAL_VALUE_SIZE_MAX)
        return ERR_TOO_LARGE;
    content = buf_new((size_t)entry->attr.size);
    if (content == NULL)
        return ERR_NO_MEMORY;
    rc = content_read(r->state, r->snapshot,
                      place_of(r->command->dir, name, entry), entry, 0,
                      content->size, content->data, &done);
    if (rc == 0 && done != content->size)
        rc = ERR_CORRUPT;
    record.content = buf_slice(content);
    if (rc == 0)
        rc = eventual_items_add(&page->items, &record, &page->full);
    buf_unref(content);
    return rc;
}

/* Names of directories are in the catalog, too. Intents were settled before it
 * was closed. Moves on from what was added. */
static int add_entry(struct reading *r, struct kv_iter *iter, struct page *page)
{
    struct entry entry = {0};
    struct slice name;
    uint64_t nsid;
    int rc;

    if (!key_parse_entry(kv_iter_key(iter), &nsid, &name)) {
        kv_iter_next(iter); /* A chunk. */
        return 0;
    }
    rc = entry_decode(&entry, kv_iter_value(iter));
    if (rc == 0 && entry.kind == ENTRY_INTENT)
        rc = ERR_ABORTED;
    if (rc == 0 && entry.kind == ENTRY_FILE)
        rc = add_file(r, page, name, &entry);
    if (rc == 0 && !page->full) {
        struct key behind = key_behind_entry(nsid, name);

        kv_iter_seek(iter, key_slice(&behind));
    }
    entry_release(&entry);
    return rc;
}

static int fill_page(struct reading *r, const struct read_list *list,
                     struct page *page)
{
    struct kv_iter *iter =
        kv_iter_new(r->state, r->snapshot, key_slice(&list->lower),
                    key_slice(&list->upper));
    int rc = 0;

    kv_iter_seek(iter, key_slice(&list->lower));
    while (rc == 0 && !page->full && kv_iter_valid(iter))
        rc = add_entry(r, iter, page);
    if (rc == 0)
        rc = kv_iter_status(iter, NULL);
    kv_iter_free(iter);
    return rc;
}

int read_export(struct reading *r)
{
    struct read_list list;
    struct page page = {.full = false};
    int rc = read_find_list(r, &list);

    if (rc != 0)
        return rc;
    r->snapshot = kv_snapshot_new(r->state);
    rc = check_part(r, list.part);
    if (rc == 0)
        rc = fill_page(r, &list, &page);
    if (rc == 0 && !page.full)
        read_end_list(r, &list);
    if (rc == 0) {
        r->result->data_buf = buf_copy(page.items.bytes, page.items.size);
        r->result->data = buf_slice(r->result->data_buf);
    }
    eventual_items_release(&page.items);
    return rc;
}
