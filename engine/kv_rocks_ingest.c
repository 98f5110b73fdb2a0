/* SPDX-License-Identifier: Apache-2.0 */

/* Replacing whole ranges of a store on RocksDB in one step.
 *
 * The new content is written into SST files, which one call then moves into
 * the store. Each range is cut into consecutive pieces, one file each, that
 * cover it without a gap; each file deletes its own piece [cut, next cut)
 * and holds the new keys in it. So the files are disjoint, which lets RocksDB
 * place them low instead of in level 0, and a piece without keys is cleared
 * as well. The deletion may be written last: in a file it is older than any
 * key. */

#include "engine/kv_rocks_impl.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "raft/base/buf.h"
#include "raft/base/mem.h"

struct rocks_ingest {
    struct kv_ingest ingest;
    struct kv_rocks *rocks;
    struct buf *end;  /* of the range that was declared last, NULL: none yet */
    struct buf *cut;  /* where the open file's piece begins */
    struct buf *last; /* the last key put into the range, NULL: none yet */
    rocksdb_sstfilewriter_t *writer; /* the open file, or NULL */
    size_t file_bytes;               /* put into the open file */
    char **files;                    /* all of them */
    size_t file_count;
    size_t file_count_max;
};

static struct rocks_ingest *ingest_of(struct kv_ingest *ingest)
{
    return container_of(ingest, struct rocks_ingest, ingest);
}

static void replace(struct buf **b, struct slice bytes)
{
    struct buf *copy = buf_copy(bytes.data, bytes.size);

    buf_unref(*b);
    *b = copy;
}

static int file_error(char *message, struct err *e)
{
    return message == NULL ? 0 : kv_rocks_error(message, "write file", e);
}

static int file_open(struct rocks_ingest *i, struct err *e)
{
    struct kv_rocks *rocks = i->rocks;
    unsigned long long number = atomic_fetch_add(&rocks->ingest_file_number, 1);
    size_t size = strlen(rocks->ingest_dir) + sizeof "/.sst" + 20;
    rocksdb_envoptions_t *defaults = rocksdb_envoptions_create();
    char *path = mem_zalloc(size);
    char *message = NULL;

    (void)snprintf(path, size, "%s/%llu.sst", rocks->ingest_dir, number);
    i->files = mem_grow(i->files, sizeof *i->files, &i->file_count_max,
                        i->file_count + 1);
    i->files[i->file_count++] = path;
    i->file_bytes = 0;
    i->writer = rocksdb_sstfilewriter_create(defaults, rocks->options);
    rocksdb_envoptions_destroy(defaults);
    rocksdb_sstfilewriter_open(i->writer, path, &message);
    return file_error(message, e);
}

static void file_abandon(struct rocks_ingest *i)
{
    if (i->writer != NULL)
        rocksdb_sstfilewriter_destroy(i->writer);
    i->writer = NULL;
}

/* Ends the open file, if there is one: its piece is [cut, end). */
static int file_finish(struct rocks_ingest *i, struct slice end, struct err *e)
{
    char *message = NULL;

    if (i->writer == NULL)
        return 0;
    rocksdb_sstfilewriter_delete_range(i->writer, (const char *)i->cut->data,
                                       i->cut->size, end.data, end.size,
                                       &message);
    if (message == NULL)
        rocksdb_sstfilewriter_finish(i->writer, &message);
    file_abandon(i);
    return file_error(message, e);
}

static int ingest_replace_range(struct kv_ingest *ingest, struct slice begin,
                                struct slice end, struct err *e)
{
    struct rocks_ingest *i = ingest_of(ingest);
    int rc;

    assert(slice_compare(begin, end) < 0);

    if (i->end != NULL) {
        rc = file_finish(i, buf_slice(i->end), e);
        if (rc != 0)
            return rc;
    }
    replace(&i->cut, begin);
    replace(&i->end, end);
    buf_unref(i->last);
    i->last = NULL;
    return file_open(i, e);
}

static int cut_before(struct rocks_ingest *i, struct slice key, struct err *e)
{
    int rc = file_finish(i, key, e);

    if (rc != 0)
        return rc;
    replace(&i->cut, key);
    return file_open(i, e);
}

static int ingest_put(struct kv_ingest *ingest, struct slice key,
                      struct slice value, struct err *e)
{
    struct rocks_ingest *i = ingest_of(ingest);
    char *message = NULL;
    int rc;

    assert(i->end != NULL && i->writer != NULL);
    assert(slice_compare(buf_slice(i->cut), key) <= 0);
    assert(slice_compare(key, buf_slice(i->end)) < 0);
    assert(i->last == NULL || slice_compare(buf_slice(i->last), key) < 0);

    if (i->file_bytes >= i->rocks->ingest_file_bytes_max) {
        rc = cut_before(i, key, e);
        if (rc != 0)
            return rc;
    }
    rocksdb_sstfilewriter_put(i->writer, key.data, key.size,
                              value.size == 0 ? "" : value.data, value.size,
                              &message);
    i->file_bytes += key.size + value.size;
    replace(&i->last, key);
    return file_error(message, e);
}

/* RocksDB syncs the files and its manifest before it returns. */
static int switch_over(struct rocks_ingest *i, struct err *e)
{
    rocksdb_ingestexternalfileoptions_t *options =
        rocksdb_ingestexternalfileoptions_create();
    char *message = NULL;

    rocksdb_ingestexternalfileoptions_set_move_files(options, 1);
    rocksdb_ingestexternalfileoptions_set_snapshot_consistency(options, 1);
    rocksdb_ingestexternalfileoptions_set_allow_global_seqno(options, 1);
    rocksdb_ingestexternalfileoptions_set_allow_blocking_flush(options, 1);
    rocksdb_ingest_external_file(i->rocks->db, (const char *const *)i->files,
                                 i->file_count, options, &message);
    rocksdb_ingestexternalfileoptions_destroy(options);
    if (message != NULL)
        return kv_rocks_fatal(i->rocks, message, "ingest", e);
    return 0;
}

static int ingest_finish(struct kv_ingest *ingest, struct err *e)
{
    struct rocks_ingest *i = ingest_of(ingest);
    int rc = atomic_load(&i->rocks->failed);

    if (rc != 0)
        return err_set(e, rc, "store '%s' has failed before", i->rocks->dir);
    if (i->end == NULL)
        return 0; /* Nothing was declared. */
    rc = file_finish(i, buf_slice(i->end), e);
    if (rc != 0)
        return rc;
    return switch_over(i, e);
}

static void ingest_free(struct kv_ingest *ingest)
{
    struct rocks_ingest *i = ingest_of(ingest);

    file_abandon(i);
    for (size_t n = 0; n < i->file_count; n++) {
        (void)unlink(i->files[n]); /* Gone already if it was moved. */
        free(i->files[n]);
    }
    free(i->files);
    buf_unref(i->end);
    buf_unref(i->cut);
    buf_unref(i->last);
    free(i);
}

static const struct kv_ingest_ops ingest_ops = {
    .replace_range = ingest_replace_range,
    .put = ingest_put,
    .finish = ingest_finish,
    .free = ingest_free,
};

int kv_rocks_ingest_new(struct kv *kv, struct kv_ingest **ret, struct err *e)
{
    struct rocks_ingest *i = mem_zalloc(sizeof *i);

    (void)e; /* A store in memory or a remote one could fail here. */
    i->ingest.ops = &ingest_ops;
    i->rocks = container_of(kv, struct kv_rocks, kv);
    *ret = &i->ingest;
    return 0;
}
