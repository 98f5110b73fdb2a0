/* SPDX-License-Identifier: Apache-2.0 */

/* A state/ with three directories, one in the other: t/a/b. */

#ifndef GROVEFS_TESTS_ENGINE_EXEC_LEVELS_H
#define GROVEFS_TESTS_ENGINE_EXEC_LEVELS_H

#include "exec_fixture.h"

#define ROOT NSID_ROOT

enum { T = 101, A = 102, B = 103 };

int setup_levels(void **state);

/* The transaction that makes T eventual; it is being filled now. */
struct test_txn txn_filled(struct exec_fixture *f);
/* ... and strong again; it is fenced now. */
struct test_txn txn_fenced(struct exec_fixture *f);

#endif
