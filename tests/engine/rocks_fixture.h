/* SPDX-License-Identifier: Apache-2.0 */

/* A store on RocksDB in a folder of its own. */

#ifndef GROVEFS_TESTS_ENGINE_ROCKS_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_ROCKS_FIXTURE_H

#include "engine/kv_rocks.h"
#include "tests/engine/temp_dir.h"

struct fixture {
    struct temp_dir dir;
    struct kv *kv;
    int fatal_count;
    char fatal_reason[ERR_TEXT_SIZE];
};

int setup(void **state);
int teardown(void **state);

int open_store(struct fixture *f, enum kv_rocks_flavour flavour, bool create,
               struct err *e);
void must_open(struct fixture *f, enum kv_rocks_flavour flavour);
void close_store(struct fixture *f);

/* Writes entry `number`. Each batch ends with the marker "applied", as the
 * engine's do. */
void put_applied(struct kv *kv, uint64_t number);

/* The marker as it is read, or as it is durable; 0 when there is none. */
uint64_t applied(struct kv *kv, bool durable);

enum { ENTRY_KEY_SIZE = 24 };
void entry_key(uint64_t number, char key[static ENTRY_KEY_SIZE]);

#endif
