/* SPDX-License-Identifier: Apache-2.0 */

/* Calls through the tables of kv.h, with the preconditions that every
 * implementation relies on. */

#include "engine/kv.h"

#include <assert.h>
#include <string.h>

enum { SINGLY_MAX = 64 }; /* of kv_batch_delete_all() */

int slice_compare(struct slice a, struct slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);

    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

static bool range_valid(struct slice begin, struct slice end)
{
    return slice_compare(begin, end) < 0;
}

void kv_close(struct kv *kv)
{
    if (kv != NULL)
        kv->ops->close(kv);
}

int kv_get(struct kv *kv, const struct kv_snapshot *snapshot, struct slice key,
           struct kv_value *ret_value)
{
    assert(key.size > 0);
    assert(snapshot == NULL || snapshot->kv == kv);

    return kv->ops->get(kv, snapshot, key, ret_value);
}

int kv_get_durable(struct kv *kv, struct slice key, struct kv_value *ret_value)
{
    assert(key.size > 0);

    return kv->ops->get_durable(kv, key, ret_value);
}

void kv_value_release(struct kv_value *value)
{
    if (value->unpin != NULL)
        value->unpin(value->pin);
    *value = (struct kv_value){.data = NULL};
}

struct kv_snapshot *kv_snapshot_new(struct kv *kv)
{
    return kv->ops->snapshot_new(kv);
}

void kv_snapshot_free(struct kv_snapshot *snapshot)
{
    if (snapshot != NULL)
        snapshot->kv->ops->snapshot_free(snapshot);
}

struct kv_batch *kv_batch_new(struct kv *kv)
{
    return kv->ops->batch_new(kv);
}

void kv_batch_free(struct kv_batch *batch)
{
    if (batch != NULL)
        batch->ops->free(batch);
}

void kv_batch_clear(struct kv_batch *batch)
{
    batch->ops->clear(batch);
}

void kv_batch_put(struct kv_batch *batch, struct slice key, struct slice value)
{
    kv_batch_put_parts(batch, key, &value, 1);
}

void kv_batch_put_parts(struct kv_batch *batch, struct slice key,
                        const struct slice *parts, size_t part_count)
{
    assert(key.size > 0);
    assert(part_count <= KV_PARTS_MAX);

    batch->ops->put(batch, key, parts, part_count);
}

void kv_batch_delete(struct kv_batch *batch, struct slice key)
{
    assert(key.size > 0);

    batch->ops->del(batch, key);
}

void kv_batch_delete_range(struct kv_batch *batch, struct slice begin,
                           struct slice end)
{
    assert(range_valid(begin, end));

    batch->ops->del_range(batch, begin, end);
}

/* Where it cannot be read how many there are it is a range, too. */
void kv_batch_delete_all(struct kv_batch *batch, struct kv *kv,
                         struct slice begin, struct slice end)
{
    struct kv_iter *iter = kv_iter_new(kv, NULL, begin, end);
    unsigned count = 0;

    kv_iter_seek(iter, begin);
    for (; kv_iter_valid(iter) && count < SINGLY_MAX; kv_iter_next(iter)) {
        kv_batch_delete(batch, kv_iter_key(iter));
        count++;
    }
    if (kv_iter_valid(iter) || kv_iter_status(iter, NULL) != 0)
        kv_batch_delete_range(batch, begin, end);
    kv_iter_free(iter);
}

size_t kv_batch_count(const struct kv_batch *batch)
{
    return batch->ops->count(batch);
}

size_t kv_batch_size_bytes(const struct kv_batch *batch)
{
    return batch->ops->size_bytes(batch);
}

int kv_write(struct kv *kv, struct kv_batch *batch,
             enum kv_durability durability, struct err *e)
{
    return kv->ops->write(kv, batch, durability, e);
}

int kv_flush(struct kv *kv, bool wait, struct err *e)
{
    return kv->ops->flush(kv, wait, e);
}

struct kv_iter *kv_iter_new(struct kv *kv, const struct kv_snapshot *snapshot,
                            struct slice lower, struct slice upper)
{
    assert(snapshot == NULL || snapshot->kv == kv);
    assert(upper.size == 0 || slice_compare(lower, upper) <= 0);

    return kv->ops->iter_new(kv, snapshot, lower, upper);
}

void kv_iter_free(struct kv_iter *iter)
{
    if (iter != NULL)
        iter->ops->free(iter);
}

void kv_iter_seek(struct kv_iter *iter, struct slice key)
{
    iter->ops->seek(iter, key);
}

void kv_iter_seek_last(struct kv_iter *iter)
{
    iter->ops->seek_last(iter);
}

void kv_iter_next(struct kv_iter *iter)
{
    assert(iter->ops->valid(iter));

    iter->ops->next(iter);
}

bool kv_iter_valid(const struct kv_iter *iter)
{
    return iter->ops->valid(iter);
}

struct slice kv_iter_key(const struct kv_iter *iter)
{
    assert(iter->ops->valid(iter));

    return iter->ops->key(iter);
}

struct slice kv_iter_value(const struct kv_iter *iter)
{
    assert(iter->ops->valid(iter));

    return iter->ops->value(iter);
}

int kv_iter_status(const struct kv_iter *iter, struct err *e)
{
    return iter->ops->status(iter, e);
}

int kv_ingest_new(struct kv *kv, struct kv_ingest **ret, struct err *e)
{
    return kv->ops->ingest_new(kv, ret, e);
}

int kv_ingest_replace_range(struct kv_ingest *ingest, struct slice begin,
                            struct slice end, struct err *e)
{
    assert(range_valid(begin, end));

    return ingest->ops->replace_range(ingest, begin, end, e);
}

int kv_ingest_put(struct kv_ingest *ingest, struct slice key,
                  struct slice value, struct err *e)
{
    assert(key.size > 0);

    return ingest->ops->put(ingest, key, value, e);
}

int kv_ingest_finish(struct kv_ingest *ingest, struct err *e)
{
    return ingest->ops->finish(ingest, e);
}

void kv_ingest_free(struct kv_ingest *ingest)
{
    if (ingest != NULL)
        ingest->ops->free(ingest);
}

uint64_t kv_disk_used_bytes(struct kv *kv)
{
    return kv->ops->disk_used_bytes(kv);
}

uint64_t kv_range_bytes(struct kv *kv, struct slice begin, struct slice end)
{
    assert(range_valid(begin, end));

    return kv->ops->range_bytes(kv, begin, end);
}
