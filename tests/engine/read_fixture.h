/* SPDX-License-Identifier: Apache-2.0 */

/* Reads of a directory whose namespace may lie in several regions, by somebody
 * who knows of some of them. */

#ifndef GROVEFS_TESTS_ENGINE_READ_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_READ_FIXTURE_H

#include "engine/eventual_record.h"
#include "exec_fixture.h"

enum { LEFT = 1, RIGHT = 8, PARTS_MAX = 3, FILES_MAX = 64 };

struct fixture {
    struct exec_fixture *exec;
    uint64_t dir;
    struct key bounds[PARTS_MAX]; /* where parts begin, but for the first */
    struct read_part parts[PARTS_MAX];
    size_t part_count; /* that the view has */
    /* Of test_read_parts.c. */
    char names[64]; /* of the last listing */
    /* Of test_read_export.c. */
    struct txn_id txn;                       /* that has closed the directory */
    struct eventual_record files[FILES_MAX]; /* of the last page */
    size_t count;
};

/* `dir` is "d" in the root; all of it lies in the region LEFT. */
int setup_read(void **state);
int teardown_read(void **state);

/* Part `at` begins at `name`, where the one before ends now. Neither the view
 * nor state/ has it yet. */
void cut(struct fixture *f, size_t at, uint64_t region, const char *name);
/* Writes the record of the part of `dir` that begins at `name`. */
void put_part(struct fixture *f, const char *name,
              struct namespace_record record);
/* Returns the status. */
int read_it(struct fixture *f, const struct command *command);
/* The last read lacks the region of the name. */
void assert_needed(const struct fixture *f, uint64_t dir, const char *name);

#endif
