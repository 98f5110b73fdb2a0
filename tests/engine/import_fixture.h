/* SPDX-License-Identifier: Apache-2.0 */

/* A node that sends an eventual directory which becomes strong. The router is
 * the test's. */

#ifndef GROVEFS_TESTS_ENGINE_IMPORT_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_IMPORT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/txn_import.h"

enum { DIR_NSID = 5, ITEMS_MAX = 4096, NAME_MAX_SIZE = 64 };

struct router {
    struct router_call *call; /* NULL: none is under way */
    size_t sizes[ITEMS_MAX];  /* of the items of the last one */
    char names[ITEMS_MAX][NAME_MAX_SIZE];
    bool is_dir[ITEMS_MAX];
    uint64_t dirs[ITEMS_MAX];
    size_t count;
    size_t size;
};

struct node {
    struct env env;
    struct router *router;
    char searched[NAME_MAX_SIZE]; /* for damage */
};

struct fixture {
    struct node node;
    struct router router;
    struct txn_import import;
    struct domain below;
    unsigned done;
    int status;
};

int setup_import(void **state);
int teardown_import(void **state);

void put(struct fixture *f, uint64_t dir, const char *name, size_t size,
         bool removed);
/* There is a directory of that name. */
void put_dir(struct fixture *f, uint64_t dir, const char *name);
void put_files(struct fixture *f, size_t count, size_t size);
void start(struct fixture *f);
/* The region has taken so many bytes. */
void answer(struct fixture *f, int status, uint64_t size);
void expect_end(struct fixture *f, int status);

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_import, teardown_import)

#endif
