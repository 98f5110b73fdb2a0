/* SPDX-License-Identifier: Apache-2.0 */

/* Each test of kv.h runs on every implementation of it. */

#ifndef GROVEFS_TESTS_ENGINE_KV_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_KV_FIXTURE_H

#include "engine/kv.h"
#include "tests/engine/temp_dir.h"

struct fixture {
    struct temp_dir dir;
    struct kv *kv;
};

int setup_mem(void **state);
int setup_log(void **state);
int setup_state(void **state);
int teardown(void **state);

/* Three rows of a table of tests. */
/* clang-format off */
#define ON_ALL(test)                                                           \
    {#test " (memory)", test, setup_mem, teardown, NULL},                      \
    {#test " (log)", test, setup_log, teardown, NULL},                         \
    {#test " (state)", test, setup_state, teardown, NULL}
/* clang-format on */

#endif
