/* SPDX-License-Identifier: Apache-2.0 */

/* A node whose eventual directory is made strong without it. */

#ifndef GROVEFS_TESTS_ENGINE_EVENTUAL_QUARANTINE_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_EVENTUAL_QUARANTINE_FIXTURE_H

#include "eventual_fixture.h"

enum { LATER = 20 };

/* Region 0 applies whom a life ended without. `taken`: so many of its own
 * changes were taken along. Durable only if all before is made so. */
void leave_out(struct eventual_fixture *f, uint64_t since, uint64_t node,
               uint64_t taken);
/* ... and makes the directory strong. */
void end_life(struct eventual_fixture *f, uint64_t taken);
void flush_all(struct eventual_fixture *f);
uint64_t count_of(struct eventual_fixture *f);
/* What is in quarantine with this number is a file of DIR with this content;
 * NULL: a removal. */
void expect_item(struct eventual_fixture *f, uint64_t number, const char *name,
                 const char *text);
/* A file, with two changes of its own. */
void make(struct eventual_fixture *f, const char *name, const char *text);

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_eventual, teardown_eventual)

#endif
