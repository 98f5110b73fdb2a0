/* SPDX-License-Identifier: Apache-2.0 */

/* A region that takes another one over. */

#ifndef GROVEFS_TESTS_ENGINE_APPLIER_MERGE_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_APPLIER_MERGE_FIXTURE_H

#include "applier_fixture.h"
#include "engine/merge_change.h"

/* The region is cut in two; both applied nothing since. */
int setup_applier_merge(void **state);

/* `f` takes the other one over. Returns what applying it does. */
int take_as(struct applier_fixture *f, uint64_t source, bool only_replica);
void take(struct applier_fixture *f, uint64_t source);

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_applier_merge, teardown_applier)

#endif
