/* SPDX-License-Identifier: Apache-2.0 */

/* Opening a store directory: who it belongs to, and what is refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/store.h"
#include "tests/engine/temp_dir.h"

struct fixture {
    struct temp_dir dir;
    char path[512];
    struct store store;
    struct err e;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    temp_dir_init(&f->dir);
    (void)snprintf(f->path, sizeof f->path, "%s/store", f->dir.path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    store_close(&f->store);
    temp_dir_close(&f->dir);
    free(f);
    return 0;
}

static int open_as(struct fixture *f, uint64_t node_id)
{
    struct store_config config = {.dir = f->path, .node_id = node_id};

    return store_open(&f->store, &config, &f->e);
}

/* Overwrites the identity's bytes, as another program would have left them. */
static void put_identity(struct fixture *f, const void *bytes, size_t size)
{
    struct kv_batch *batch = kv_batch_new(f->store.log);
    struct key key = key_identity();

    kv_batch_put(batch, key_slice(&key), (struct slice){bytes, size});
    assert_int_equal(kv_write(f->store.log, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    store_close(&f->store);
}

static void test_each_start_counts_the_boot_and_takes_new_inodes(void **state)
{
    struct fixture *f = *state;
    uint64_t boot;
    uint64_t ino_next;

    assert_int_equal(open_as(f, 3), 0);
    boot = f->store.identity.boot;
    ino_next = f->store.ino_next;
    store_close(&f->store);
    assert_int_equal(open_as(f, 3), 0);
    assert_true(f->store.identity.boot == boot + 1);
    assert_true(f->store.ino_next > ino_next);
}

static void test_the_store_of_another_node_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_as(f, 3), 0);
    store_close(&f->store);
    assert_int_equal(open_as(f, 4), ERR_FOREIGN);
    assert_non_null(strstr(f->e.text, "belongs to node 3"));
}

static void test_a_newer_format_is_refused_and_not_guessed(void **state)
{
    struct fixture *f = *state;
    const uint8_t newer[] = {RECORD_FORMAT + 1, 8, 1};

    assert_int_equal(open_as(f, 3), 0);
    put_identity(f, newer, sizeof newer);
    assert_int_equal(open_as(f, 3), ERR_VERSION);
    assert_non_null(strstr(f->e.text, "newer than this program"));
}

static void test_a_damaged_identity_is_refused(void **state)
{
    struct fixture *f = *state;
    const uint8_t damaged[] = {RECORD_FORMAT, 0xff, 0xff, 0xff};

    assert_int_equal(open_as(f, 3), 0);
    put_identity(f, damaged, sizeof damaged);
    assert_int_equal(open_as(f, 3), ERR_CORRUPT);
}

static void test_a_folder_with_other_things_is_no_store(void **state)
{
    struct fixture *f = *state;

    (void)snprintf(f->path, sizeof f->path, "%s", "/etc");
    assert_int_equal(open_as(f, 3), ERR_FOREIGN);
}

static void test_a_missing_parent_is_said(void **state)
{
    struct fixture *f = *state;

    (void)snprintf(f->path, sizeof f->path, "%s/no/such", f->dir.path);
    assert_int_equal(open_as(f, 3), ERR_NOT_FOUND);
    assert_non_null(strstr(f->e.text, "No such file"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_each_start_counts_the_boot_and_takes_new_inodes),
        T(test_the_store_of_another_node_is_refused),
        T(test_a_newer_format_is_refused_and_not_guessed),
        T(test_a_damaged_identity_is_refused),
        T(test_a_folder_with_other_things_is_no_store),
        T(test_a_missing_parent_is_said),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
