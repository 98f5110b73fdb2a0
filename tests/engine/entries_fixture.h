/* SPDX-License-Identifier: Apache-2.0 */

/* The applier of a region that is all there is, and commands as entries of its
 * log. */

#ifndef GROVEFS_TESTS_ENGINE_ENTRIES_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_ENTRIES_FIXTURE_H

#include "engine/applier.h"
#include "exec_fixture.h"
#include "fake_env.h"

enum { NODE = 3 }; /* which sends the commands */

struct fixture {
    struct fake_env fake;
    struct applier *applier;
    uint64_t index;
    struct result result;
    struct buf *bytes; /* that `result` was decoded from */
};

int setup_entries(void **state);
int teardown_entries(void **state);

/* Applies the command as the log's next entry; returns its status. */
int apply(struct fixture *f, const struct command *command);
/* One on a name in the root. */
struct command command(enum command_op op, uint64_t sequence, const char *name);
/* Exclusively. */
int create_file(struct fixture *f, uint64_t sequence, const char *name);
/* The applier reads back what it remembers. */
void reload(struct fixture *f);

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_entries, teardown_entries)

#endif
