/* SPDX-License-Identifier: Apache-2.0 */

/* The stores of kv.h on RocksDB: reading and writing. Opening and its options
 * are in kv_rocks_open.c, replacing ranges in kv_rocks_ingest.c. */

#include "engine/kv_rocks_impl.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "raft/base/log.h"
#include "raft/base/mem.h"

enum {
    BATCH_KEEP_BYTES_MAX = 1024 * 1024, /* a cleared batch keeps its memory */
    BLOCK_BYTES = 512                   /* unit of st_blocks */
};

struct rocks_snapshot {
    struct kv_snapshot snapshot;
    const rocksdb_snapshot_t *moment;
    rocksdb_readoptions_t *read;
};

struct rocks_batch {
    struct kv_batch batch;
    rocksdb_writebatch_t *changes;
};

struct rocks_iter {
    struct kv_iter iter;
    struct kv_rocks *rocks;
    rocksdb_iterator_t *cursor;
    rocksdb_readoptions_t *read; /* RocksDB points into it, */
    char bounds[];               /* and into these: lower, then upper. */
};

static struct kv_rocks *rocks_of(struct kv *kv)
{
    return container_of(kv, struct kv_rocks, kv);
}

/* kv.h's structs are the first members of ours. */
static const struct rocks_snapshot *
snapshot_of(const struct kv_snapshot *snapshot)
{
    return (const void *)snapshot;
}

static rocksdb_writebatch_t *changes_of(const struct kv_batch *batch)
{
    const struct rocks_batch *b = (const void *)batch;

    return b->changes;
}

static rocksdb_iterator_t *cursor_of(const struct kv_iter *iter)
{
    const struct rocks_iter *i = (const void *)iter;

    return i->cursor;
}

/* ---- errors ---- */

/* RocksDB's C interface gives only texts: "<class>: <subclass>: ...". */
static const struct {
    const char *prefix;
    int code;
} messages[] = {
    {"Corruption: ", ERR_CORRUPT},
    {"IO error: No space left on device", ERR_NO_SPACE},
    {"IO error: While lock file", ERR_BUSY},
    {"IO error: lock hold by current process", ERR_BUSY},
};

static int message_code(const char *message)
{
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
        if (strncmp(message, messages[i].prefix, strlen(messages[i].prefix)) ==
            0)
            return messages[i].code;
    return ERR_IO;
}

int kv_rocks_error(char *message, const char *what, struct err *e)
{
    int code = message_code(message);

    (void)err_set(e, code, "%s: %s", what, message);
    rocksdb_free(message);
    return code;
}

int kv_rocks_fatal(struct kv_rocks *rocks, char *message, const char *what,
                   struct err *e)
{
    struct err reason = ERR_INIT;
    int code = kv_rocks_error(message, what, &reason);
    int none = 0;

    if (code == ERR_CORRUPT)
        kv_rocks_note_damage(rocks);
    (void)err_prefix(&reason, code, "store '%s'", rocks->dir);
    (void)err_set(e, code, "%s", reason.text);
    if (atomic_compare_exchange_strong(&rocks->failed, &none, code) &&
        rocks->on_fatal != NULL)
        rocks->on_fatal(rocks->on_fatal_context, reason.text);
    return code;
}

/* Only RocksDB's text names the bad file, and few callers get it. */
static int read_failed(struct kv_rocks *rocks, char *message, const char *what,
                       struct err *e)
{
    struct err reason = ERR_INIT;
    int code = kv_rocks_error(message, what, &reason);

    log_line(LOG_ERROR, "store", "dir=%s error=\"%s\"", rocks->dir,
             reason.text);
    if (code == ERR_CORRUPT)
        kv_rocks_note_damage(rocks);
    return err_set(e, code, "%s", reason.text);
}

static int refuse_after_failure(struct kv_rocks *rocks, struct err *e)
{
    int code = atomic_load(&rocks->failed);

    if (code == 0)
        return 0;
    return err_set(e, code, "store '%s' has failed before", rocks->dir);
}

/* ---- reading ---- */

static void unpin(void *pin)
{
    rocksdb_pinnableslice_destroy(pin);
}

static int read_value(struct kv_rocks *rocks, rocksdb_readoptions_t *options,
                      struct slice key, struct kv_value *ret_value)
{
    char *message = NULL;
    rocksdb_pinnableslice_t *pin =
        rocksdb_get_pinned(rocks->db, options, key.data, key.size, &message);

    if (message != NULL)
        return read_failed(rocks, message, "read", NULL);
    if (pin == NULL)
        return ERR_NOT_FOUND;

    *ret_value = (struct kv_value){.pin = pin, .unpin = unpin};
    ret_value->data =
        (const uint8_t *)rocksdb_pinnableslice_value(pin, &ret_value->size);
    return 0;
}

static int rocks_get(struct kv *kv, const struct kv_snapshot *snapshot,
                     struct slice key, struct kv_value *ret_value)
{
    struct kv_rocks *rocks = rocks_of(kv);

    if (snapshot == NULL)
        return read_value(rocks, rocks->read, key, ret_value);
    return read_value(rocks, snapshot_of(snapshot)->read, key, ret_value);
}

/* In a LOG this is the same as a read: all its writes are synced. */
static int rocks_get_durable(struct kv *kv, struct slice key,
                             struct kv_value *ret_value)
{
    struct kv_rocks *rocks = rocks_of(kv);

    return read_value(rocks, rocks->read_durable, key, ret_value);
}

static struct kv_snapshot *rocks_snapshot_new(struct kv *kv)
{
    struct rocks_snapshot *s = mem_zalloc(sizeof *s);

    s->snapshot.kv = kv;
    s->moment = rocksdb_create_snapshot(rocks_of(kv)->db);
    s->read = rocksdb_readoptions_create();
    rocksdb_readoptions_set_snapshot(s->read, s->moment);
    return &s->snapshot;
}

static void rocks_snapshot_free(struct kv_snapshot *snapshot)
{
    struct rocks_snapshot *s =
        container_of(snapshot, struct rocks_snapshot, snapshot);

    rocksdb_release_snapshot(rocks_of(snapshot->kv)->db, s->moment);
    rocksdb_readoptions_destroy(s->read);
    free(s);
}

/* ---- batches ---- */

static void batch_free(struct kv_batch *batch)
{
    rocksdb_writebatch_destroy(changes_of(batch));
    free(container_of(batch, struct rocks_batch, batch));
}

static size_t batch_size_bytes(const struct kv_batch *batch)
{
    size_t size;

    (void)rocksdb_writebatch_data(changes_of(batch), &size);
    return size;
}

static void batch_clear(struct kv_batch *batch)
{
    struct rocks_batch *b = container_of(batch, struct rocks_batch, batch);

    if (batch_size_bytes(batch) <= BATCH_KEEP_BYTES_MAX) {
        rocksdb_writebatch_clear(b->changes);
        return;
    }
    rocksdb_writebatch_destroy(b->changes);
    b->changes = rocksdb_writebatch_create();
}

static void batch_put(struct kv_batch *batch, struct slice key,
                      const struct slice *parts, size_t part_count)
{
    const char *const key_data = key.data;
    const char *data[KV_PARTS_MAX];
    size_t sizes[KV_PARTS_MAX];

    for (size_t i = 0; i < part_count; i++) {
        data[i] = parts[i].data;
        sizes[i] = parts[i].size;
    }
    rocksdb_writebatch_putv(changes_of(batch), 1, &key_data, &key.size,
                            (int)part_count, data, sizes);
}

static void batch_del(struct kv_batch *batch, struct slice key)
{
    rocksdb_writebatch_delete(changes_of(batch), key.data, key.size);
}

static void batch_del_range(struct kv_batch *batch, struct slice begin,
                            struct slice end)
{
    rocksdb_writebatch_delete_range(changes_of(batch), begin.data, begin.size,
                                    end.data, end.size);
}

static size_t batch_count(const struct kv_batch *batch)
{
    return (size_t)rocksdb_writebatch_count(changes_of(batch));
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

static struct kv_batch *rocks_batch_new(struct kv *kv)
{
    struct rocks_batch *b = mem_zalloc(sizeof *b);

    (void)kv;
    b->batch.ops = &batch_ops;
    b->changes = rocksdb_writebatch_create();
    return &b->batch;
}

/* ---- writing ---- */

static int rocks_flush(struct kv *kv, bool wait, struct err *e)
{
    struct kv_rocks *rocks = rocks_of(kv);
    rocksdb_flushoptions_t *options;
    char *message = NULL;
    int rc = refuse_after_failure(rocks, e);

    if (rc != 0)
        return rc;
    options = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(options, wait);
    rocksdb_flush(rocks->db, options, &message);
    rocksdb_flushoptions_destroy(options);
    if (message != NULL)
        return kv_rocks_fatal(rocks, message, "flush", e);
    return 0;
}

static int rocks_write(struct kv *kv, struct kv_batch *batch,
                       enum kv_durability durability, struct err *e)
{
    struct kv_rocks *rocks = rocks_of(kv);
    char *message = NULL;
    int rc = refuse_after_failure(rocks, e);

    if (rc != 0)
        return rc;
    rocksdb_write(rocks->db, rocks->write, changes_of(batch), &message);
    if (message != NULL)
        return kv_rocks_fatal(rocks, message, "write", e);
    if (rocks->flavour == KV_ROCKS_STATE && durability == KV_SYNCED)
        return rocks_flush(kv, true, e);
    return 0;
}

/* ---- iterators ---- */

static void iter_free(struct kv_iter *iter)
{
    struct rocks_iter *i = container_of(iter, struct rocks_iter, iter);

    rocksdb_iter_destroy(i->cursor);
    rocksdb_readoptions_destroy(i->read);
    free(i);
}

static void iter_seek(struct kv_iter *iter, struct slice key)
{
    /* An empty key may come without an address. */
    rocksdb_iter_seek(cursor_of(iter), key.size == 0 ? "" : key.data, key.size);
}

static void iter_seek_last(struct kv_iter *iter)
{
    rocksdb_iter_seek_to_last(cursor_of(iter));
}

static void iter_next(struct kv_iter *iter)
{
    rocksdb_iter_next(cursor_of(iter));
}

static bool iter_valid(const struct kv_iter *iter)
{
    return rocksdb_iter_valid(cursor_of(iter)) != 0;
}

static struct slice iter_key(const struct kv_iter *iter)
{
    struct slice key;

    key.data = rocksdb_iter_key(cursor_of(iter), &key.size);
    return key;
}

static struct slice iter_value(const struct kv_iter *iter)
{
    struct slice value;

    value.data = rocksdb_iter_value(cursor_of(iter), &value.size);
    return value;
}

static int iter_status(const struct kv_iter *iter, struct err *e)
{
    const struct rocks_iter *i = (const void *)iter;
    char *message = NULL;

    rocksdb_iter_get_error(i->cursor, &message);
    return message == NULL ? 0 : read_failed(i->rocks, message, "iterate", e);
}

static const struct kv_iter_ops iter_ops = {
    .free = iter_free,
    .seek = iter_seek,
    .seek_last = iter_seek_last,
    .next = iter_next,
    .valid = iter_valid,
    .key = iter_key,
    .value = iter_value,
    .status = iter_status,
};

static void set_bounds(struct rocks_iter *i, struct slice lower,
                       struct slice upper)
{
    if (lower.size > 0) {
        memcpy(i->bounds, lower.data, lower.size);
        rocksdb_readoptions_set_iterate_lower_bound(i->read, i->bounds,
                                                    lower.size);
    }
    if (upper.size > 0) {
        memcpy(i->bounds + lower.size, upper.data, upper.size);
        rocksdb_readoptions_set_iterate_upper_bound(
            i->read, i->bounds + lower.size, upper.size);
    }
}

static struct kv_iter *rocks_iter_new(struct kv *kv,
                                      const struct kv_snapshot *snapshot,
                                      struct slice lower, struct slice upper)
{
    struct rocks_iter *i = mem_zalloc(sizeof *i + lower.size + upper.size);

    i->iter.ops = &iter_ops;
    i->read = rocksdb_readoptions_create();
    set_bounds(i, lower, upper);
    if (snapshot != NULL)
        rocksdb_readoptions_set_snapshot(i->read,
                                         snapshot_of(snapshot)->moment);
    i->rocks = rocks_of(kv);
    i->cursor = rocksdb_create_iterator(i->rocks->db, i->read);
    return &i->iter;
}

/* ---- the store ---- */

/* The WAL, too, has its space: RocksDB has no number for that. */
static uint64_t rocks_disk_used_bytes(struct kv *kv)
{
    struct kv_rocks *rocks = rocks_of(kv);
    DIR *dir = opendir(rocks->dir);
    const struct dirent *entry;
    struct stat st;
    uint64_t used = 0;

    if (dir == NULL)
        return 0;
    while ((entry = readdir(dir)) != NULL)
        if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0)
            used += (uint64_t)st.st_blocks * BLOCK_BYTES;
    (void)closedir(dir); /* Was only read. */
    return used;
}

static uint64_t rocks_range_bytes(struct kv *kv, struct slice begin,
                                  struct slice end)
{
    const char *starts[] = {begin.data};
    const char *limits[] = {end.data};
    uint64_t size = 0;
    char *error = NULL;

    rocksdb_approximate_sizes(rocks_of(kv)->db, 1, starts, &begin.size, limits,
                              &end.size, &size, &error);
    if (error == NULL)
        return size;
    rocksdb_free(error);
    return 0;
}

/* Also takes a half-opened store. */
static void rocks_close(struct kv *kv)
{
    struct kv_rocks *rocks = rocks_of(kv);

    if (rocks->db != NULL) {
        /* Without this flush the next start just replays more. */
        if (rocks->flavour == KV_ROCKS_STATE)
            (void)rocks_flush(kv, true, NULL);
        rocksdb_close(rocks->db);
    }
    rocksdb_options_destroy(rocks->options);
    rocksdb_writeoptions_destroy(rocks->write);
    rocksdb_readoptions_destroy(rocks->read);
    rocksdb_readoptions_destroy(rocks->read_durable);
    free(rocks->dir);
    free(rocks->ingest_dir);
    free(rocks);
}

const struct kv_ops kv_rocks_ops = {
    .close = rocks_close,
    .get = rocks_get,
    .get_durable = rocks_get_durable,
    .snapshot_new = rocks_snapshot_new,
    .snapshot_free = rocks_snapshot_free,
    .batch_new = rocks_batch_new,
    .write = rocks_write,
    .flush = rocks_flush,
    .iter_new = rocks_iter_new,
    .ingest_new = kv_rocks_ingest_new,
    .disk_used_bytes = rocks_disk_used_bytes,
    .range_bytes = rocks_range_bytes,
};

bool kv_rocks_property(struct kv *kv, const char *name, uint64_t *ret_value)
{
    return rocksdb_property_int(rocks_of(kv)->db, name, ret_value) == 0;
}
