/* SPDX-License-Identifier: Apache-2.0 */

#include "engine/eventual_scan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/eventual_record.h"
#include "engine/keys.h"

enum { ITEM_HEADER_SIZE = 8 + 4 };

/* One scan while it runs. */
struct run {
    struct kv *state;
    struct eventual_scan *scan;
    struct kv_batch *stale; /* deletes index keys */
    uint8_t *bytes;         /* the items so far */
    size_t size;
    size_t size_max;
    size_t keys;
    bool full;
};

static bool is_received(const struct eventual_scan *scan,
                        const struct eventual_record *record)
{
    for (size_t i = 0; i < scan->origin_count; i++)
        if (scan->origins[i] == record->origin)
            return record->sequence <= scan->received[i];
    return false;
}

/* Sets run->full instead where there is no room for it. */
static int add_item(struct run *run, const struct eventual_record *record)
{
    struct buf *bytes = eventual_encode(record);
    size_t end;

    if (bytes == NULL)
        return ERR_NO_MEMORY;
    end = run->size + ITEM_HEADER_SIZE + bytes->size;
    if (run->size > 0 && end > run->scan->bytes_max) {
        run->full = true;
    } else {
        run->bytes = mem_grow(run->bytes, 1, &run->size_max, end);
        be64_put(run->bytes + run->size, record->local);
        be32_put(run->bytes + run->size + 8, (uint32_t)bytes->size);
        memcpy(run->bytes + run->size + ITEM_HEADER_SIZE, bytes->data,
               bytes->size);
        run->size = end;
        run->scan->item_count++;
    }
    buf_unref(bytes);
    return 0;
}

static int add_with_content(struct run *run, struct eventual_record *record)
{
    int rc = eventual_add_content(run->state, NULL, record);

    return rc == 0 ? add_item(run, record) : rc;
}

/* The name has changed once more since, or its namespace is no more. */
static bool is_stale(int rc, const struct eventual_record *record,
                     uint64_t sequence)
{
    return rc == ERR_NOT_FOUND || (rc == 0 && record->local != sequence);
}

static void tell_damage(struct run *run, uint64_t dir, struct slice name)
{
    if (run->scan->on_damage != NULL)
        run->scan->on_damage(run->scan->context, dir, name);
}

static int look_at(struct run *run, struct slice key, uint64_t sequence,
                   struct slice user_key)
{
    struct eventual_record record = {0};
    struct slice name;
    uint64_t dir;
    int rc;

    if (!key_parse_changed(user_key, &dir, &name)) {
        tell_damage(run, 0, slice_of(""));
        return ERR_CORRUPT;
    }
    rc = eventual_get(run->state, NULL, dir, name, false, &record);
    if (is_stale(rc, &record, sequence)) {
        kv_batch_delete(run->stale, key);
        rc = 0;
    } else if (rc == 0 && !is_received(run->scan, &record)) {
        rc = add_with_content(run, &record);
    }
    eventual_release(&record);
    if (rc == ERR_CORRUPT)
        tell_damage(run, dir, name);
    return rc == ERR_CORRUPT && run->scan->on_damage != NULL ? 0 : rc;
}

static int go_through(struct run *run, struct kv_iter *iter)
{
    struct eventual_scan *scan = run->scan;

    for (; kv_iter_valid(iter); kv_iter_next(iter)) {
        struct slice key = kv_iter_key(iter);
        uint64_t sequence;
        int rc;

        if (run->keys++ == EVENTUAL_SCAN_KEYS_MAX)
            return 0;
        if (!key_parse_sequence(key, 'i', &sequence))
            return ERR_CORRUPT;
        rc = look_at(run, key, sequence, kv_iter_value(iter));
        if (rc != 0 || run->full)
            return rc;
        scan->last = sequence;
    }
    if (kv_iter_status(iter, NULL) != 0)
        return kv_iter_status(iter, NULL);
    scan->last = scan->shown;
    scan->complete = true;
    return 0;
}

static int scan_range(struct run *run)
{
    struct key lower = key_eventual_change(run->scan->cursor + 1);
    struct key upper = key_eventual_change(run->scan->shown + 1);
    struct kv_iter *iter =
        kv_iter_new(run->state, NULL, key_slice(&lower), key_slice(&upper));
    int rc;

    kv_iter_seek(iter, key_slice(&lower));
    rc = go_through(run, iter);
    kv_iter_free(iter);
    return rc;
}

static int finish(struct run *run)
{
    if (kv_batch_count(run->stale) > 0) {
        int rc = kv_write(run->state, run->stale, KV_RELAXED, NULL);

        if (rc != 0)
            return rc;
    }
    if (run->size == 0)
        return 0;
    run->scan->items = buf_new(run->size);
    if (run->scan->items == NULL)
        return ERR_NO_MEMORY;
    memcpy(run->scan->items->data, run->bytes, run->size);
    return 0;
}

int eventual_scan_run(struct kv *state, struct eventual_scan *scan)
{
    struct run run = {.state = state, .scan = scan};
    int rc;

    assert(scan->origin_count <= NODES_MAX);

    scan->items = NULL;
    scan->item_count = 0;
    scan->last = scan->cursor;
    scan->complete = scan->cursor >= scan->shown;
    if (scan->complete)
        return 0;
    run.stale = kv_batch_new(state);
    rc = scan_range(&run);
    if (rc == 0)
        rc = finish(&run);
    kv_batch_free(run.stale);
    free(run.bytes);
    return rc;
}
