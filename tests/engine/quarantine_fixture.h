/* SPDX-License-Identifier: Apache-2.0 */

/* A directory of which NODE keeps what it has when it was made strong without
 * it, in a state/ in memory. */

#ifndef GROVEFS_TESTS_ENGINE_QUARANTINE_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_QUARANTINE_FIXTURE_H

#include "codec_helpers.h"
#include "kv_helpers.h"

#include "engine/left_out.h"
#include "engine/quarantine.h"
#include "tests/sim/kv_mem.h"

enum {
    NODE = 3,
    OTHER = 4,
    DIR = 7,
    LIFE = 5,
    NEXT_LIFE = 20,
    TAKEN = 100 /* of NODE's own changes */
};

/* `*state` is a struct kv with DIR, "/d e". */
int quarantine_setup(void **state);
int quarantine_teardown(void **state);

/* The life has ended without `node`, of which so much was taken along. */
void leave_out(struct kv *kv, uint64_t since, uint64_t node);

/* Of NODE; `text` NULL: a removal. */
struct eventual_record change(const char *name, uint64_t sequence,
                              const char *text);
void put(struct kv *kv, const struct eventual_record *record);
void put_change(struct kv *kv, const char *name, uint64_t sequence,
                const char *text);

/* Returns how many entries could not be read. */
uint64_t keep(struct kv *kv, uint64_t since);
bool is_there(struct kv *kv, const char *name);
void expect_head(struct kv *kv, uint64_t last, uint64_t count);
void expect_item(struct kv *kv, uint64_t number, const char *path,
                 const char *text);

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, quarantine_setup, quarantine_teardown)

#endif
