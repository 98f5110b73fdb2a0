/* SPDX-License-Identifier: Apache-2.0 */

/* What the kv_rocks*.c files share; nobody else includes this. */

#ifndef GROVEFS_ENGINE_KV_ROCKS_IMPL_H
#define GROVEFS_ENGINE_KV_ROCKS_IMPL_H

#include <rocksdb/c.h>
#include <stdatomic.h>

#include "engine/kv_rocks.h"

struct kv_rocks {
    struct kv kv;
    enum kv_rocks_flavour flavour;
    char *dir;
    char *ingest_dir; /* files of unfinished ingests; emptied when opened */
    size_t ingest_file_bytes_max;
    atomic_ullong ingest_file_number;
    void (*on_fatal)(void *context, const char *reason);
    void *on_fatal_context;
    atomic_int failed; /* 0, or the code of the first failed write */
    atomic_bool damage_noted;

    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_writeoptions_t *write;
    rocksdb_readoptions_t *read;
    rocksdb_readoptions_t *read_durable;
};

extern const struct kv_ops kv_rocks_ops;

/* Turns RocksDB's message into a code and, after "<what>: ", into the text of
 * `e`. Takes the message. */
int kv_rocks_error(char *message, const char *what, struct err *e);

/* The same for a failed write: the store is lost for this process, which is
 * said once to on_fatal. */
int kv_rocks_fatal(struct kv_rocks *rocks, char *message, const char *what,
                   struct err *e);

/* Leaves the note that kv_rocks_was_damaged() finds. Any thread. */
void kv_rocks_note_damage(struct kv_rocks *rocks);

/* kv_ops.ingest_new. */
int kv_rocks_ingest_new(struct kv *kv, struct kv_ingest **ret, struct err *e);

#endif
