/* SPDX-License-Identifier: Apache-2.0 */

/* Names of directories below eventual ones, which are in the catalog alone. */

#ifndef GROVEFS_TESTS_ENGINE_EXEC_BELOW_H
#define GROVEFS_TESTS_ENGINE_EXEC_BELOW_H

#include "exec_fixture.h"

/* Return the status. */
int try_add_below(struct exec_fixture *f, uint64_t dir, const char *name);
int remove_below(struct exec_fixture *f, uint64_t dir, const char *name,
                 uint64_t nsid, uint64_t epoch);
int move_below(struct exec_fixture *f, uint64_t dir, const char *name,
               uint64_t to_dir, const char *to_name, unsigned flags);
/* Asserts that it is not refused. Returns its nsid. */
uint64_t add_below(struct exec_fixture *f, uint64_t dir, const char *name);

/* The same without a place: of a directory whose name is in the catalog alone.
 * Its change of the catalog is known beforehand. */
struct test_txn without_place(struct test_txn txn,
                              enum catalog_change_kind kind, uint64_t nsid);

/* A mode of its own, `size` 1, or none. */
int try_own(struct exec_fixture *f, uint64_t nsid, uint64_t size,
            uint64_t epoch);
/* It gets one, or has it no more. */
int own(struct exec_fixture *f, uint64_t nsid);
int inherit(struct exec_fixture *f, uint64_t nsid);

/* Whatever its mode was. Returns the epoch. */
uint64_t put_fence(struct exec_fixture *f, uint64_t nsid);

#endif
