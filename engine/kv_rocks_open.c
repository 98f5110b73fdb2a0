/* SPDX-License-Identifier: Apache-2.0 */

/* Opening a store on RocksDB, and how the two flavours are tuned. Why the
 * numbers are as they are: a node is to stay below 512 MiB altogether. */

#include "engine/kv_rocks_impl.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/thread.h"
#include "raft/base/log.h"
#include "raft/base/mem.h"

enum {
    MIB = 1024 * 1024,
    LOG_MEMTABLE_BYTES = 16 * MIB,
    LOG_CACHE_BYTES = 8 * MIB,
    STATE_MEMTABLE_BYTES = 32 * MIB,
    STATE_CACHE_BYTES = 64 * MIB,
    MEMTABLES = 3,
    BLOCK_BYTES = 16 * 1024,
    BLOOM_BITS_PER_KEY = 10,
    BACKGROUND_JOBS = 2,
    BYTES_PER_SYNC = MIB, /* of flushes: no burst at their end */
    L0_SLOWDOWN_FILES = 20,
    L0_STOP_FILES = 36,
    INFO_LOG_BYTES = 4 * MIB,
    INFO_LOG_FILES = 2,
    INFO_LOG_WARN = 2,
    READ_TIER_PERSISTED = 2,
    DIR_MODE = 0700
};

static void set_common_options(rocksdb_options_t *o)
{
    rocksdb_options_set_max_write_buffer_number(o, MEMTABLES);
    rocksdb_options_set_max_background_jobs(o, BACKGROUND_JOBS);
    rocksdb_options_set_bytes_per_sync(o, BYTES_PER_SYNC);
    rocksdb_options_set_level0_slowdown_writes_trigger(o, L0_SLOWDOWN_FILES);
    rocksdb_options_set_level0_stop_writes_trigger(o, L0_STOP_FILES);
    rocksdb_options_set_avoid_unnecessary_blocking_io(o, 1);
    rocksdb_options_set_info_log_level(o, INFO_LOG_WARN);
    rocksdb_options_set_max_log_file_size(o, INFO_LOG_BYTES);
    rocksdb_options_set_keep_log_file_num(o, INFO_LOG_FILES);
    rocksdb_options_set_stats_dump_period_sec(o, 0); /* Idle stays idle. */
    rocksdb_options_set_stats_persist_period_sec(o, 0);
}

static void set_tables(rocksdb_options_t *o, size_t cache_bytes,
                       rocksdb_filterpolicy_t *filter)
{
    rocksdb_block_based_table_options_t *t =
        rocksdb_block_based_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(cache_bytes);

    rocksdb_block_based_options_set_block_size(t, BLOCK_BYTES);
    rocksdb_block_based_options_set_block_cache(t, cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(
        t, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t,
                                                                            1);
    if (filter != NULL)
        rocksdb_block_based_options_set_filter_policy(t, filter); /* Takes. */
    rocksdb_options_set_block_based_table_factory(o, t);
    rocksdb_block_based_options_destroy(t);
    rocksdb_cache_destroy(cache); /* The options keep a reference. */
}

/* Most entries die before they are flushed, and nothing is looked up that is
 * not there: no bloom, no compression, and two memtables are merged before a
 * flush so that the dead ones go. */
static void set_log_options(rocksdb_options_t *o)
{
    rocksdb_options_set_write_buffer_size(o, LOG_MEMTABLE_BYTES);
    rocksdb_options_set_min_write_buffer_number_to_merge(o, 2);
    rocksdb_options_set_level0_file_num_compaction_trigger(o, 8);
    rocksdb_options_set_compression(o, rocksdb_no_compression);
    /* Point-in-time recovery (the default) would drop acknowledged records
     * behind a damaged one without a word; absolute consistency would refuse
     * the torn end that every crash may leave. */
    rocksdb_options_set_wal_recovery_mode(
        o, rocksdb_tolerate_corrupted_tail_records_recovery);
    set_tables(o, LOG_CACHE_BYTES, NULL);
}

static void set_state_options(rocksdb_options_t *o)
{
    rocksdb_options_set_write_buffer_size(o, STATE_MEMTABLE_BYTES);
    rocksdb_options_set_memtable_whole_key_filtering(o, 1);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
    rocksdb_options_set_compression(o, rocksdb_lz4_compression);
    set_tables(o, STATE_CACHE_BYTES,
               rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS_PER_KEY));
}

static void create_options(struct kv_rocks *rocks, bool create)
{
    rocks->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(rocks->options, create);
    set_common_options(rocks->options);

    rocks->write = rocksdb_writeoptions_create();
    if (rocks->flavour == KV_ROCKS_LOG) {
        set_log_options(rocks->options);
        rocksdb_writeoptions_set_sync(rocks->write, 1);
    } else {
        set_state_options(rocks->options);
        rocksdb_writeoptions_disable_WAL(rocks->write, 1);
    }

    rocks->read = rocksdb_readoptions_create();
    rocks->read_durable = rocksdb_readoptions_create();
    rocksdb_readoptions_set_read_tier(rocks->read_durable, READ_TIER_PERSISTED);
}

/* Returns memory of the caller's. */
static char *path_join(const char *dir, const char *name)
{
    size_t size = strlen(dir) + 1 + strlen(name) + 1;
    char *path = mem_zalloc(size);

    (void)snprintf(path, size, "%s/%s", dir, name); /* Fits. */
    return path;
}

static bool database_exists(const char *dir)
{
    char *current = path_join(dir, "CURRENT");
    bool exists = access(current, F_OK) == 0;

    free(current);
    return exists;
}

/* The caller's text has the path of the whole store. */
static const char *folder_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static int open_database(struct kv_rocks *rocks, struct err *e)
{
    struct err reason = ERR_INIT;
    char *message = NULL;
    sigset_t saved;
    int code;

    thread_signals_block(&saved); /* For RocksDB's threads. */
    rocks->db = rocksdb_open(rocks->options, rocks->dir, &message);
    thread_signals_restore(&saved);
    if (rocks->db != NULL)
        return 0;

    code = kv_rocks_error(message, "open", &reason);
    if (code == ERR_BUSY)
        return err_set(e, code, "it is in use by another process");
    return err_set(e, code, "%s/: %s", folder_name(rocks->dir), reason.text);
}

/* ---- the note of damage ---- */

static const char note_name[] = "DAMAGED";

/* Without it the next start would not know; it can do no more than try. */
void kv_rocks_note_damage(struct kv_rocks *rocks)
{
    char *path;
    int fd;

    if (atomic_exchange(&rocks->damage_noted, true))
        return;
    path = path_join(rocks->dir, note_name);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fsync(fd) != 0)
        log_line(LOG_ERROR, "store", "cannot write '%s': %s", path,
                 strerror(errno));
    if (fd >= 0)
        (void)close(fd); /* It was synced, or that was told. */
    free(path);
}

bool kv_rocks_was_damaged(const char *dir)
{
    char *path = path_join(dir, note_name);
    bool noted = access(path, F_OK) == 0;

    free(path);
    return noted;
}

/* Removes what a process that died in the middle of an ingest has left. */
static int prepare_ingest_dir(const char *path, struct err *e)
{
    DIR *dir;
    const struct dirent *entry;

    if (mkdir(path, DIR_MODE) != 0 && errno != EEXIST)
        return err_set(e, err_from_errno(errno), "create '%s': %s", path,
                       strerror(errno));
    dir = opendir(path);
    if (dir == NULL)
        return err_set(e, err_from_errno(errno), "open '%s': %s", path,
                       strerror(errno));
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_type != DT_DIR)
            (void)unlinkat(dirfd(dir), entry->d_name, 0); /* Only space. */
    (void)closedir(dir);                                  /* Was only read. */
    return 0;
}

int kv_rocks_open(struct kv **ret, const struct kv_rocks_config *config,
                  struct err *e)
{
    struct kv_rocks *rocks;
    int rc;

    assert(config->dir != NULL);
    if (!config->create && !database_exists(config->dir))
        return err_set(e, ERR_NOT_FOUND, "there is no store in '%s'",
                       config->dir);

    rocks = mem_zalloc(sizeof *rocks);
    rocks->kv.ops = &kv_rocks_ops;
    rocks->flavour = config->flavour;
    rocks->dir = mem_strdup(config->dir);
    rocks->ingest_dir = path_join(config->dir, "ingest");
    rocks->ingest_file_bytes_max = config->ingest_file_bytes_max != 0
                                       ? config->ingest_file_bytes_max
                                       : KV_ROCKS_INGEST_FILE_BYTES_MAX;
    rocks->on_fatal = config->on_fatal;
    rocks->on_fatal_context = config->on_fatal_context;
    create_options(rocks, config->create);

    rc = open_database(rocks, e);
    if (rc == 0)
        rc = prepare_ingest_dir(rocks->ingest_dir, e);
    if (rc != 0) {
        kv_close(&rocks->kv); /* Takes a half-opened one. */
        return rc;
    }
    *ret = &rocks->kv;
    return 0;
}
