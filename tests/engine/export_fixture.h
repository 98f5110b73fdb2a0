/* SPDX-License-Identifier: Apache-2.0 */

/* How what is in a strong directory, and in those below it, is brought to all
 * nodes. Reader, eventual entries and what others have are the test's. */

#ifndef GROVEFS_TESTS_ENGINE_EXPORT_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_EXPORT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/txn_export.h"
#include "fake_env.h"

enum {
    DIR_NSID = 5,
    SINCE = 9,
    TIMEOUT_MS = 1000,
    SILENT_NODE = 4,
    FIRST_NUMBER = 100, /* of what is accepted */
    STARTED_MAX = 300,
    NAME_SIZE = 24
};

/* What was asked of the eventual entries. */
struct started {
    struct eventual_op *op; /* NULL: it has come back, or was cancelled */
    uint64_t dir;
    char name[NAME_SIZE];
    size_t size;
};

struct node {
    struct fake_env fake;
    struct read_op *read; /* NULL: none is under way */
    uint64_t dir;         /* of what is put on the page */
    struct command question;
    char asked[NAME_SIZE]; /* its name */
    struct started started[STARTED_MAX];
    size_t started_count;
    size_t running;
    size_t running_max;
    bool all_keep;
    uint64_t looked_for; /* the number that all were to have; 0: none was */
    unsigned looks;
    unsigned warnings;
    char warning[256];
};

struct fixture {
    struct node node;
    struct txn_export export;
    struct domain below;
    struct buf *page; /* that is being made */
    size_t further;   /* that it goes on with */
    unsigned done;
    int status;
};

/* It has asked for the first page. */
int setup_export(void **state);
/* The same, and there are two below it. */
int setup_export_tree(void **state);
int teardown_export(void **state);

/* The page goes on with this directory. */
void go_on_with(struct fixture *f, uint64_t nsid);
/* One more file of the page. */
void put(struct fixture *f, const char *name, size_t size);
void put_files(struct fixture *f, size_t count);
/* The page has come; `next`: where the next region begins. */
void answer(struct fixture *f, int status, bool at_end, const char *next);
/* One that was asked for is over. */
void bring(struct fixture *f, size_t at, int status);
/* All that are, and those that are asked for then. */
void bring_all(struct fixture *f);
/* What follows this name is asked for; `itself`: and what has it. */
void expect_asked(const struct fixture *f, const char *name, bool itself);
void expect_end(const struct fixture *f, int status);

#endif
