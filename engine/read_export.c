/* SPDX-License-Identifier: Apache-2.0 */

/* What is in directories that a transaction has closed to make them eventual,
 * as records that eventual nodes take (txn_export.h). Nothing changes there
 * until that is decided, so page after page is one picture. A page goes on with
 * further ones that lie in its region, so that many small ones are few pages.
 */

#include <string.h>

#include "engine/domain.h"
#include "engine/eventual_items.h"
#include "engine/read_impl.h"

enum { MTIME_SIZE = 8 };

struct page {
    struct eventual_items items;
    bool full;
    uint8_t mtimes[(1 + COMMAND_FURTHER_MAX) * MTIME_SIZE];
    size_t mtimes_size;
};

/* The part is held by the transaction. */
static int check_part(struct reading *r, uint64_t nsid,
                      const struct read_part *part)
{
    struct key key = key_namespace(nsid, part->range.start);
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

static int add_file(struct reading *r, struct page *page, struct place place,
                    const struct entry *entry)
{
    struct eventual_record record = {.dir = place.dir,
                                     .name = place.name,
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
    rc = content_read(r->state, r->snapshot, place, entry, 0, content->size,
                      content->data, &done);
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
        rc = add_file(r, page, place_of(nsid, name, &entry), &entry);
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

/* ---- several of them ---- */

/* What the directory is shown with, and goes on with: the regions have a part
 * in that, and will be without. */
static int add_mtime(struct reading *r, uint64_t nsid, struct page *page)
{
    struct attr attr;
    int rc = read_directory_attr(r, nsid, &attr);

    if (rc != 0)
        return rc;
    be64_put(page->mtimes + page->mtimes_size, (uint64_t)attr.mtime_ns);
    page->mtimes_size += MTIME_SIZE;
    return 0;
}

static int add_part(struct reading *r, uint64_t nsid,
                    const struct read_list *list, bool begins,
                    struct page *page)
{
    int rc = check_part(r, nsid, list->part);

    if (rc == 0 && begins)
        rc = add_mtime(r, nsid, page);
    return rc == 0 ? fill_page(r, list, page) : rc;
}

/* False: it lies elsewhere, too, or something is wrong with it, or there is no
 * room for any of it. It comes first on the next page then. */
static bool add_further(struct reading *r, const struct read_part *part,
                        uint64_t nsid, struct page *page)
{
    const struct read_list list = {
        .part = part,
        .lower = key_user('d', nsid, (struct slice){NULL, 0}),
        .upper = key_behind_namespace('d', nsid),
    };
    size_t items_size = page->items.size;
    size_t mtimes_size = page->mtimes_size;

    if (range_has_namespace(part->range, nsid) &&
        add_part(r, nsid, &list, true, page) == 0 &&
        (!page->full || page->items.size > items_size))
        return true;
    page->items.size = items_size;
    page->mtimes_size = mtimes_size;
    return false;
}

static void add_all_further(struct reading *r, const struct read_part *part,
                            struct page *page)
{
    struct slice further = r->command->further;
    uint64_t *count = &r->result->offset;

    while (r->result->at_end && *count < domain_count(further) &&
           add_further(r, part, domain_nsid_at(further, *count), page)) {
        r->result->at_end = !page->full;
        ++*count;
    }
}

static int answer(struct reading *r, const struct page *page)
{
    struct buf *data = buf_new(page->mtimes_size + page->items.size);

    if (data == NULL)
        return ERR_NO_MEMORY;
    memcpy(data->data, page->mtimes, page->mtimes_size);
    if (page->items.size > 0)
        memcpy(data->data + page->mtimes_size, page->items.bytes,
               page->items.size);
    r->result->data_buf = data;
    r->result->data = buf_slice(data);
    return 0;
}

int read_export(struct reading *r)
{
    const struct command *c = r->command;
    bool begins = c->name.size == 0 && c->offset == 0;
    struct read_list list;
    struct page page = {.full = false};
    int rc = read_find_list(r, &list);

    if (rc != 0)
        return rc;
    r->snapshot = kv_snapshot_new(r->state);
    rc = add_part(r, c->dir, &list, begins, &page);
    if (rc == 0 && !page.full) {
        read_end_list(r, &list);
        add_all_further(r, list.part, &page);
    }
    if (rc == 0)
        rc = answer(r, &page);
    eventual_items_release(&page.items);
    return rc;
}
