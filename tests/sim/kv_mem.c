/* SPDX-License-Identifier: Apache-2.0 */

/* The store's interface: batches, ingests, crashes. Iterators are in
 * kv_mem_iter.c; what a batch does is kept by mem_changes.c, the versions of
 * keys by mem_map.c. */

#include "tests/sim/kv_mem_impl.h"

#include <assert.h>
#include <stdlib.h>

#include "raft/base/buf.h"
#include "raft/base/mem.h"
#include "tests/sim/mem_changes.h"

struct mem_batch {
    struct kv_batch batch;
    struct mem_changes changes;
};

struct mem_ingest {
    struct kv_ingest ingest;
    struct kv_mem *mem;
    struct mem_changes changes;
    struct buf *end;  /* of the last range */
    struct buf *last; /* the last begin or key */
};

static struct kv_mem *mem_of(struct kv *kv)
{
    return container_of(kv, struct kv_mem, kv);
}

static struct slice slice_of(const struct buf *b)
{
    return (struct slice){b->data, b->size};
}

static struct buf *copy_of(struct slice bytes)
{
    return buf_copy(bytes.data, bytes.size);
}

/* ---- moments ---- */

void kv_mem_moment_open(struct kv_mem *mem, struct moment *moment,
                        uint64_t sequence)
{
    struct moment *after = TAILQ_FIRST(&mem->moments);

    while (after != NULL && after->sequence < sequence)
        after = TAILQ_NEXT(after, link);
    moment->sequence = sequence;
    if (after != NULL)
        TAILQ_INSERT_BEFORE(after, moment, link);
    else
        TAILQ_INSERT_TAIL(&mem->moments, moment, link);
}

/* Nothing older than the newest version at or below this can be asked for. */
static uint64_t horizon(const struct kv_mem *mem)
{
    const struct moment *oldest = TAILQ_FIRST(&mem->moments);

    if (oldest != NULL && oldest->sequence < mem->synced)
        return oldest->sequence;
    return mem->synced;
}

/* Makes the changes visible as one write. */
static void apply(struct kv_mem *mem, const struct mem_changes *changes,
                  bool ingested)
{
    mem->sequence++;
    mem_changes_apply(changes, &mem->map, mem->sequence, ingested);
    mem_map_prune(&mem->map, horizon(mem));
}

/* ---- batches ---- */

static struct mem_changes *changes_of(struct kv_batch *batch)
{
    return &container_of(batch, struct mem_batch, batch)->changes;
}

static void batch_free(struct kv_batch *batch)
{
    mem_changes_close(changes_of(batch));
    free(container_of(batch, struct mem_batch, batch));
}

static void batch_clear(struct kv_batch *batch)
{
    mem_changes_clear(changes_of(batch));
}

static void batch_put(struct kv_batch *batch, struct slice key,
                      const struct slice *parts, size_t part_count)
{
    mem_changes_put(changes_of(batch), key, parts, part_count);
}

static void batch_del(struct kv_batch *batch, struct slice key)
{
    mem_changes_delete(changes_of(batch), key);
}

static void batch_del_range(struct kv_batch *batch, struct slice begin,
                            struct slice end)
{
    mem_changes_delete_range(changes_of(batch), begin, end);
}

static size_t batch_count(const struct kv_batch *batch)
{
    return ((const struct mem_batch *)(const void *)batch)->changes.count;
}

static size_t batch_size_bytes(const struct kv_batch *batch)
{
    return ((const struct mem_batch *)(const void *)batch)->changes.size_bytes;
}

static const struct kv_batch_ops batch_ops = {
    .free = batch_free,
    .clear = batch_clear,
    .put = batch_put,
    .del = batch_del,
    .del_range = batch_del_range,
    .count = batch_count,
    .size_bytes = batch_size_bytes,
};

static struct kv_batch *mem_batch_new(struct kv *kv)
{
    struct mem_batch *b = mem_zalloc(sizeof *b);

    (void)kv;
    b->batch.ops = &batch_ops;
    return &b->batch;
}

/* ---- reading ---- */

static void unpin(void *pin)
{
    buf_unref(pin);
}

static int give_value(const struct mem_version *version,
                      struct kv_value *ret_value)
{
    struct buf *value = version == NULL ? NULL : buf_ref(version->value);

    if (value == NULL)
        return ERR_NOT_FOUND;
    *ret_value = (struct kv_value){value->data, value->size, value, unpin};
    return 0;
}

static int mem_get(struct kv *kv, const struct kv_snapshot *snapshot,
                   struct slice key, struct kv_value *ret_value)
{
    const struct mem_snapshot *s = (const void *)snapshot;
    uint64_t sequence = s == NULL ? UINT64_MAX : s->moment.sequence;
    const struct mem_node *node = mem_map_find(&mem_of(kv)->map, key);

    return give_value(node == NULL ? NULL : mem_node_at(node, sequence),
                      ret_value);
}

static int mem_get_durable(struct kv *kv, struct slice key,
                           struct kv_value *ret_value)
{
    struct kv_mem *mem = mem_of(kv);
    const struct mem_node *node = mem_map_find(&mem->map, key);

    return give_value(node == NULL ? NULL : mem_node_durable(node, mem->synced),
                      ret_value);
}

static struct kv_snapshot *mem_snapshot_new(struct kv *kv)
{
    struct mem_snapshot *s = mem_zalloc(sizeof *s);

    s->snapshot.kv = kv;
    kv_mem_moment_open(mem_of(kv), &s->moment, mem_of(kv)->sequence);
    return &s->snapshot;
}

static void mem_snapshot_free(struct kv_snapshot *snapshot)
{
    struct mem_snapshot *s =
        container_of(snapshot, struct mem_snapshot, snapshot);

    TAILQ_REMOVE(&mem_of(snapshot->kv)->moments, &s->moment, link);
    free(s);
}

/* ---- failing ---- */

void kv_mem_fail_next(struct kv *kv, const struct kv_mem_failure *failure)
{
    mem_of(kv)->failure = *failure;
}

void kv_mem_spoil(struct kv *kv, char class)
{
    mem_of(kv)->spoilt = class;
}

/* Whether this call is the one that fails; then it is over with that. */
static bool takes_failure(struct kv_mem *mem, enum kv_mem_call call,
                          struct kv_mem_failure *ret_failure)
{
    *ret_failure = mem->failure;
    if (mem->failure.call != call)
        return false;
    mem->failure.call = KV_MEM_NONE;
    return true;
}

static int fail(const struct kv_mem_failure *failure, const char *what,
                struct err *e)
{
    failure->on_fatal(failure->context, what);
    return err_set(e, ERR_IO, "%s: the disk has failed", what);
}

void kv_mem_watch(struct kv *kv, const struct kv_mem_watcher *watcher)
{
    mem_of(kv)->watcher = *watcher;
}

static void tell(struct kv_mem *mem, bool done)
{
    if (mem->watcher.on_step != NULL)
        mem->watcher.on_step(mem->watcher.context, done);
}

/* Runs `act` as a call that may have to fail. */
static int act_or_fail(struct kv_mem *mem, enum kv_mem_call call,
                       void (*act)(struct kv_mem *mem, const void *context),
                       const void *context, struct err *e)
{
    static const char *const names[] = {[KV_MEM_WRITE] = "write",
                                        [KV_MEM_FLUSH] = "flush",
                                        [KV_MEM_INGEST] = "ingest"};
    struct kv_mem_failure failure;
    bool fails = takes_failure(mem, call, &failure);

    tell(mem, false);
    if (!fails || failure.late)
        act(mem, context);
    tell(mem, true);
    return fails ? fail(&failure, names[call], e) : 0;
}

/* ---- writing ---- */

static void sync_all(struct kv_mem *mem, const void *context)
{
    (void)context;
    kv_mem_sync(&mem->kv, mem->unsynced_count);
}

static int mem_flush(struct kv *kv, bool wait, struct err *e)
{
    (void)wait;
    return act_or_fail(mem_of(kv), KV_MEM_FLUSH, sync_all, NULL, e);
}

struct write {
    const struct mem_changes *changes;
    enum kv_durability durability;
};

static void write_now(struct kv_mem *mem, const void *context)
{
    const struct write *write = context;

    apply(mem, write->changes, false);
    mem->unsynced = mem_grow(mem->unsynced, sizeof *mem->unsynced,
                             &mem->unsynced_count_max, mem->unsynced_count + 1);
    mem->unsynced[mem->unsynced_count++] = mem->sequence;
    if (write->durability == KV_SYNCED)
        sync_all(mem, NULL);
}

static int mem_write(struct kv *kv, struct kv_batch *batch,
                     enum kv_durability durability, struct err *e)
{
    struct write write = {changes_of(batch), durability};

    return act_or_fail(mem_of(kv), KV_MEM_WRITE, write_now, &write, e);
}

/* ---- ingests ---- */

static struct mem_ingest *ingest_of(struct kv_ingest *ingest)
{
    return container_of(ingest, struct mem_ingest, ingest);
}

static void replace(struct buf **b, struct slice bytes)
{
    buf_unref(*b);
    *b = copy_of(bytes);
}

static int ingest_replace_range(struct kv_ingest *ingest, struct slice begin,
                                struct slice end, struct err *e)
{
    struct mem_ingest *i = ingest_of(ingest);

    (void)e; /* Memory does not fail. */
    assert(slice_compare(begin, end) < 0);
    mem_changes_delete_range(&i->changes, begin, end);
    replace(&i->end, end);
    buf_unref(i->last);
    i->last = NULL;
    return 0;
}

static int ingest_put(struct kv_ingest *ingest, struct slice key,
                      struct slice value, struct err *e)
{
    struct mem_ingest *i = ingest_of(ingest);

    (void)e; /* Memory does not fail. */
    assert(i->end != NULL);
    assert(slice_compare(key, slice_of(i->end)) < 0);
    assert(i->last == NULL || slice_compare(slice_of(i->last), key) < 0);
    mem_changes_put(&i->changes, key, &value, 1);
    replace(&i->last, key);
    return 0;
}

static void ingest_now(struct kv_mem *mem, const void *context)
{
    apply(mem, context, true);
}

static int ingest_finish(struct kv_ingest *ingest, struct err *e)
{
    struct mem_ingest *i = ingest_of(ingest);

    return act_or_fail(i->mem, KV_MEM_INGEST, ingest_now, &i->changes, e);
}

static void ingest_free(struct kv_ingest *ingest)
{
    struct mem_ingest *i = ingest_of(ingest);

    mem_changes_close(&i->changes);
    buf_unref(i->end);
    buf_unref(i->last);
    free(i);
}

static const struct kv_ingest_ops ingest_ops = {
    .replace_range = ingest_replace_range,
    .put = ingest_put,
    .finish = ingest_finish,
    .free = ingest_free,
};

static int mem_ingest_new(struct kv *kv, struct kv_ingest **ret, struct err *e)
{
    struct mem_ingest *i = mem_zalloc(sizeof *i);

    (void)e; /* Memory does not fail. */
    i->ingest.ops = &ingest_ops;
    i->mem = mem_of(kv);
    *ret = &i->ingest;
    return 0;
}

/* ---- the store ---- */

static uint64_t mem_disk_used_bytes(struct kv *kv)
{
    return mem_of(kv)->map.size_bytes;
}

static uint64_t mem_range_bytes(struct kv *kv, struct slice begin,
                                struct slice end)
{
    struct kv_iter *iter = kv_mem_iter_new(kv, NULL, begin, end);
    uint64_t size = 0;

    for (kv_iter_seek(iter, begin); kv_iter_valid(iter); kv_iter_next(iter))
        size += kv_iter_key(iter).size + kv_iter_value(iter).size;
    kv_iter_free(iter);
    return size;
}

static void mem_close(struct kv *kv)
{
    struct kv_mem *mem = mem_of(kv);

    assert(TAILQ_EMPTY(&mem->moments) && "a snapshot or iterator is open");
    mem_map_close(&mem->map);
    free(mem->unsynced);
    free(mem);
}

static const struct kv_ops mem_ops = {
    .close = mem_close,
    .get = mem_get,
    .get_durable = mem_get_durable,
    .snapshot_new = mem_snapshot_new,
    .snapshot_free = mem_snapshot_free,
    .batch_new = mem_batch_new,
    .write = mem_write,
    .flush = mem_flush,
    .iter_new = kv_mem_iter_new,
    .ingest_new = mem_ingest_new,
    .disk_used_bytes = mem_disk_used_bytes,
    .range_bytes = mem_range_bytes,
};

struct kv *kv_mem_new(void)
{
    struct kv_mem *mem = mem_zalloc(sizeof *mem);

    mem->kv.ops = &mem_ops;
    mem_map_init(&mem->map);
    TAILQ_INIT(&mem->moments);
    return &mem->kv;
}

size_t kv_mem_unsynced_count(const struct kv *kv)
{
    return ((const struct kv_mem *)(const void *)kv)->unsynced_count;
}

void kv_mem_sync(struct kv *kv, size_t count)
{
    struct kv_mem *mem = mem_of(kv);

    assert(count <= mem->unsynced_count);
    if (count > 0)
        mem->synced = mem->unsynced[count - 1];
    mem->unsynced_count -= count;
    for (size_t i = 0; i < mem->unsynced_count; i++)
        mem->unsynced[i] = mem->unsynced[i + count];
}

void kv_mem_crash(struct kv *kv, size_t keep_count)
{
    struct kv_mem *mem = mem_of(kv);

    kv_mem_sync(kv, keep_count);
    mem_map_forget(&mem->map, mem->synced);
    mem->unsynced_count = 0;
    mem->synced = mem->sequence;
}

void kv_mem_check(const struct kv *kv)
{
    const struct kv_mem *mem = (const void *)kv;

    assert(mem->synced <= mem->sequence);
    assert(mem->unsynced_count == 0 || mem->synced < mem->unsynced[0]);
    assert(mem->unsynced_count == 0 ||
           mem->unsynced[mem->unsynced_count - 1] <= mem->sequence);
    mem_map_check(&mem->map);
}
