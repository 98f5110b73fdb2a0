/* SPDX-License-Identifier: Apache-2.0 */

/* What the stores on RocksDB do when files are damaged and syncs fail. */

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/engine/kv_helpers.h"
#include "tests/engine/rocks_fixture.h"

/* RocksDB's syncs come here, too. 0: work as always. */
static atomic_int sync_errno;

int fdatasync(int fd)
{
    errno = atomic_load(&sync_errno);
    return errno != 0 ? -1 : (int)syscall(SYS_fdatasync, fd);
}

static int teardown_sync(void **state)
{
    atomic_store(&sync_errno, 0);
    return teardown(state);
}

/* ---- files ---- */

/* The last file of the store that matches. */
static int open_file(struct fixture *f, const char *pattern)
{
    glob_t found;
    int fd;

    assert_int_equal(glob(temp_dir_path(&f->dir, pattern), 0, NULL, &found), 0);
    fd = open(found.gl_pathv[found.gl_pathc - 1], O_RDWR | O_CLOEXEC);
    globfree(&found);
    assert_true(fd >= 0);
    return fd;
}

static void flip_byte(struct fixture *f, const char *pattern, off_t offset)
{
    int fd = open_file(f, pattern);
    unsigned char byte;

    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    (void)close(fd);
}

static void cut_end(struct fixture *f, const char *pattern, off_t bytes)
{
    int fd = open_file(f, pattern);
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(ftruncate(fd, st.st_size - bytes), 0);
    (void)close(fd);
}

/* ---- opening ---- */

static void test_a_second_open_in_one_process_is_refused(void **state)
{
    struct fixture *f = *state;
    struct fixture second = *f;

    must_open(f, KV_ROCKS_LOG);
    assert_int_equal(open_store(&second, KV_ROCKS_LOG, true, NULL), ERR_BUSY);
    put_text(f->kv, "a", "1", KV_SYNCED);
}

static void test_a_store_is_created_only_when_asked_for(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_store(f, KV_ROCKS_LOG, false, NULL), ERR_NOT_FOUND);
    must_open(f, KV_ROCKS_LOG);
    close_store(f);
    assert_int_equal(open_store(f, KV_ROCKS_LOG, false, NULL), 0);
}

static void test_a_clean_close_loses_nothing(void **state)
{
    struct fixture *f = *state;

    must_open(f, KV_ROCKS_STATE);
    put_text(f->kv, "a", "1", KV_RELAXED);
    close_store(f);
    must_open(f, KV_ROCKS_STATE);
    expect_durable(f->kv, "a", "1");
}

/* ---- durability ---- */

static void test_a_relaxed_write_is_not_called_durable(void **state)
{
    struct fixture *f = *state;

    must_open(f, KV_ROCKS_STATE);
    put_text(f->kv, "a", "1", KV_SYNCED);
    put_text(f->kv, "a", "2", KV_RELAXED);
    put_text(f->kv, "b", "2", KV_RELAXED);

    expect_durable(f->kv, "a", "1");
    expect_durable(f->kv, "b", NULL);
}

/* ---- damage ---- */

/* Three records of which the last one is not whole. */
static void test_a_torn_end_of_the_log_is_dropped(void **state)
{
    struct fixture *f = *state;

    must_open(f, KV_ROCKS_LOG);
    put_text(f->kv, "a", "1", KV_SYNCED);
    put_text(f->kv, "b", "1", KV_SYNCED);
    put_text(f->kv, "c", "1", KV_SYNCED);
    close_store(f);
    cut_end(f, "store/*.log", 5);
    must_open(f, KV_ROCKS_LOG);

    assert_string_equal(dump_all(f->kv), "a=1 b=1");
}

/* Rather no node than one that has forgotten what it acknowledged. */
static void test_a_damaged_record_of_the_log_refuses_the_start(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;

    must_open(f, KV_ROCKS_LOG);
    put_text(f->kv, "a", "1", KV_SYNCED);
    put_text(f->kv, "b", "1", KV_SYNCED);
    put_text(f->kv, "c", "1", KV_SYNCED);
    close_store(f);
    flip_byte(f, "store/*.log", 15);

    assert_int_equal(open_store(f, KV_ROCKS_LOG, false, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, "store"));
}

static void test_a_damaged_block_is_not_served(void **state)
{
    struct fixture *f = *state;
    struct kv_value value = {.data = NULL};

    must_open(f, KV_ROCKS_STATE);
    put_applied(f->kv, 1);
    close_store(f);
    flip_byte(f, "store/*.sst", 20);
    must_open(f, KV_ROCKS_STATE);

    assert_int_equal(kv_get(f->kv, NULL, text_slice("applied"), &value),
                     ERR_CORRUPT);
}

/* ---- write errors ---- */

/* A failed sync is never tried again: the page cache may be clean now. */
static void test_a_failed_sync_ends_all_writing(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch;

    must_open(f, KV_ROCKS_LOG);
    batch = kv_batch_new(f->kv);
    kv_batch_put(batch, text_slice("a"), text_slice("1"));
    atomic_store(&sync_errno, EIO);
    assert_int_equal(kv_write(f->kv, batch, KV_SYNCED, NULL), ERR_IO);
    atomic_store(&sync_errno, 0);
    assert_int_equal(kv_write(f->kv, batch, KV_SYNCED, NULL), ERR_IO);
    assert_int_equal(kv_flush(f->kv, true, NULL), ERR_IO);
    kv_batch_free(batch);

    assert_int_equal(f->fatal_count, 1);
    assert_non_null(strstr(f->fatal_reason, "write"));
}

static void test_a_full_disk_is_recognised(void **state)
{
    struct fixture *f = *state;
    struct kv_batch *batch;
    struct err e = ERR_INIT;

    must_open(f, KV_ROCKS_LOG);
    batch = kv_batch_new(f->kv);
    kv_batch_put(batch, text_slice("a"), text_slice("1"));
    atomic_store(&sync_errno, ENOSPC);
    assert_int_equal(kv_write(f->kv, batch, KV_SYNCED, &e), ERR_NO_SPACE);
    kv_batch_free(batch);

    assert_non_null(strstr(e.text, "No space left"));
}

/* The temporary files are not the store yet. */
static void test_an_ingest_that_cannot_be_collected_does_no_harm(void **state)
{
    struct fixture *f = *state;
    struct kv_ingest *ingest = NULL;

    must_open(f, KV_ROCKS_STATE);
    assert_int_equal(kv_ingest_new(f->kv, &ingest, NULL), 0);
    assert_int_equal(
        kv_ingest_replace_range(ingest, text_slice("a"), text_slice("b"), NULL),
        0);
    atomic_store(&sync_errno, ENOSPC);
    assert_int_equal(
        kv_ingest_replace_range(ingest, text_slice("c"), text_slice("d"), NULL),
        ERR_NO_SPACE);
    atomic_store(&sync_errno, 0);
    kv_ingest_free(ingest);

    put_text(f->kv, "a", "1", KV_SYNCED);
    assert_int_equal(f->fatal_count, 0);
}

/* ---- numbers ---- */

static void test_the_used_space_grows_with_the_data(void **state)
{
    struct fixture *f = *state;
    uint64_t before;
    uint64_t keys = 0;

    must_open(f, KV_ROCKS_STATE);
    before = kv_disk_used_bytes(f->kv);
    for (uint64_t i = 0; i < 1000; i++)
        put_applied(f->kv, i);
    assert_int_equal(kv_flush(f->kv, true, NULL), 0);

    assert_true(kv_disk_used_bytes(f->kv) > before);
    assert_true(kv_rocks_property(f->kv, "rocksdb.estimate-num-keys", &keys));
    assert_true(keys >= 1000);
    assert_false(kv_rocks_property(f->kv, "rocksdb.no-such-number", &keys));
}

/* clang-format off */
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown_sync)
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_second_open_in_one_process_is_refused),
        T(test_a_store_is_created_only_when_asked_for),
        T(test_a_clean_close_loses_nothing),
        T(test_a_relaxed_write_is_not_called_durable),
        T(test_a_torn_end_of_the_log_is_dropped),
        T(test_a_damaged_record_of_the_log_refuses_the_start),
        T(test_a_damaged_block_is_not_served),
        T(test_a_failed_sync_ends_all_writing),
        T(test_a_full_disk_is_recognised),
        T(test_an_ingest_that_cannot_be_collected_does_no_harm),
        T(test_the_used_space_grows_with_the_data),
    };

    return cmocka_run_group_tests_name("kv_rocks", tests, NULL, NULL);
}
