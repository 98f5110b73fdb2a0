/* SPDX-License-Identifier: Apache-2.0 */

/* A follower that only a snapshot can help: the leader has ENTRIES, it has
 * OLD_ENTRIES. */

#ifndef GROVEFS_TESTS_ENGINE_SNAPSHOT_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_SNAPSHOT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/engine/two_nodes.h"

enum {
    ENTRIES = 100,
    OLD_ENTRIES = 3,
    PATIENCE = 600 /* ticks */
};

int setup_snapshot(void **state);
int teardown_snapshot(void **state);

/* By the leader. */
uint64_t snapshots_sent(struct two_nodes *all);
/* Whether the leader has begun a second one. */
bool tries_again(struct two_nodes *all);
/* It gets one, and nothing is left running. */
void assert_restored(struct two_nodes *all);

#endif
