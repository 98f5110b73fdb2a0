/* SPDX-License-Identifier: Apache-2.0 */

/* A region, a store that its state is read from, and one that it is written
 * to. */

#ifndef GROVEFS_TESTS_ENGINE_SNAPSHOT_DATA_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_SNAPSHOT_DATA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/snapshot_data.h"

enum { MARKER_INDEX = 100, MARKER_TERM = 5 };

struct fixture {
    struct kv *from;
    struct kv *to;
};

extern const struct region region_data;

int setup_snapshot_data(void **state);
int teardown_snapshot_data(void **state);

#define T(test)                                                                \
    cmocka_unit_test_setup_teardown(test, setup_snapshot_data,                 \
                                    teardown_snapshot_data)

#endif
