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
#include "tests/engine/kv_helpers.h"
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
    put_record(f->store.log, key_identity(), (struct slice){bytes, size});
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

/* ---- a state/ with damaged files ---- */

/* A founded node 3 with one region, whose RocksDB has met a bad block. */
static void leave_damaged_store(struct fixture *f, size_t voter_count)
{
    struct region region = {.id = 1,
                            .peers = {{30, 3, PEER_VOTER}, {40, 4, PEER_VOTER}},
                            .peer_count = voter_count,
                            .voters = {30, 40},
                            .voter_count = voter_count};
    struct buf *bytes = region_encode(&region);
    char path[600];
    FILE *note;

    assert_int_equal(open_as(f, 3), 0);
    f->store.identity.cluster_id = 7;
    put_record(f->store.state, key_region(1), buf_slice(bytes));
    put_record(f->store.state, key_tombstone(2), slice_of("x"));
    put_record(f->store.log, key_hard_state(1), slice_of("x"));
    buf_unref(bytes);
    bytes = identity_encode(&f->store.identity);
    put_record(f->store.log, key_identity(), buf_slice(bytes));
    buf_unref(bytes);
    store_close(&f->store);
    (void)snprintf(path, sizeof path, "%s/state/DAMAGED", f->path);
    note = fopen(path, "w");
    assert_non_null(note);
    (void)fclose(note);
}

static void test_a_damaged_state_is_thrown_away_and_marked(void **state)
{
    struct fixture *f = *state;

    leave_damaged_store(f, 2);
    assert_int_equal(open_as(f, 3), 0);
    assert_false(has_record(f->store.state, key_region(1)));
    assert_true(has_record(f->store.state, key_tombstone(2)));
    assert_true(has_record(f->store.log, key_damage(1)));
    assert_true(has_record(f->store.log, key_hard_state(1)));
    put_record(f->store.state, key_region(1), slice_of("new"));
    store_close(&f->store);
    assert_int_equal(open_as(f, 3), 0);
    assert_true(has_record(f->store.state, key_region(1)));
}

static void test_a_damaged_state_that_nobody_else_has_is_kept(void **state)
{
    struct fixture *f = *state;

    leave_damaged_store(f, 1);
    assert_int_equal(open_as(f, 3), 0);
    assert_true(has_record(f->store.state, key_region(1)));
    assert_false(has_record(f->store.log, key_damage(1)));
}

static void test_another_nodes_damaged_state_is_left_alone(void **state)
{
    struct fixture *f = *state;

    leave_damaged_store(f, 2);
    assert_int_equal(open_as(f, 4), ERR_FOREIGN);
    assert_int_equal(open_as(f, 3), 0);
    assert_true(has_record(f->store.log, key_damage(1)));
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
        T(test_a_damaged_state_is_thrown_away_and_marked),
        T(test_a_damaged_state_that_nobody_else_has_is_kept),
        T(test_another_nodes_damaged_state_is_left_alone),
        T(test_a_newer_format_is_refused_and_not_guessed),
        T(test_a_damaged_identity_is_refused),
        T(test_a_folder_with_other_things_is_no_store),
        T(test_a_missing_parent_is_said),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
