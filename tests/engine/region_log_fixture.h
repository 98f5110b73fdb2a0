/* SPDX-License-Identifier: Apache-2.0 */

/* A region's log over a store in memory, beside a plain array that says what is
 * to be in it. */

#ifndef GROVEFS_TESTS_ENGINE_REGION_LOG_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_REGION_LOG_FIXTURE_H

#include "engine/region_log.h"
#include "exec_fixture.h"
#include "fake_env.h"

enum { REGION = 1, ENTRIES_MAX = 1024, CHANGES_MAX = 48 };

/* A log as a plain array: term and data of each index. */
struct model {
    uint64_t start; /* the position before the first entry */
    uint64_t start_term;
    uint64_t last;
    uint64_t commit; /* of the hard state */
    struct {
        uint64_t term;
        uint64_t number; /* what its data says */
        size_t size;
    } entry[ENTRIES_MAX];
};

struct fixture {
    struct fake_env fake;
    struct kv *store;
    struct region_log *log;
    struct exec_fixture random; /* for pick() */
    struct model now;
    struct model durable;
    struct model queued[CHANGES_MAX]; /* after each change that waits */
    size_t done_count;
    bool dead;        /* the process is; its memory is being freed */
    size_t data_size; /* of entries */
    uint64_t number;
    uint64_t term;
};

int setup_region_log(void **state);
int teardown_region_log(void **state);

void reopen(struct fixture *f);
/* A power cut: what waits is lost, the rest is there. */
void crash(struct fixture *f);

/* ---- changes ---- */

/* Entries that take the place of all from `first` on. */
void append(struct fixture *f, uint64_t first, size_t count);
void compact(struct fixture *f, uint64_t index);
void reset(struct fixture *f, uint64_t index, uint64_t term);
/* Makes the oldest ones durable. */
void sync_some(struct fixture *f, size_t count);
void sync_all(struct fixture *f);

/* The log has what the array has. */
void check(struct fixture *f);

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_region_log, teardown_region_log)

#endif
