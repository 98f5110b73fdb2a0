/* SPDX-License-Identifier: Apache-2.0 */

/* Commands on files against plain arrays of bytes: content.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/content.h"
#include "exec_fixture.h"

enum { SIZE_MAX_BYTES = 1536 * 1024, NAMES = 4, SEEDS = 6, STEPS = 250 };

struct model_file {
    bool exists;
    uint64_t ino;
    size_t size;
    uint8_t bytes[SIZE_MAX_BYTES];
};

/* One is the beginning of another, so that chunks lie between them. */
static const char *const names[NAMES] = {"a", "a\x01", "ab", "b"};
static struct model_file files[NAMES];
static uint8_t scratch[SIZE_MAX_BYTES];

/* ---- sizes and bytes ---- */

static size_t pick_size(struct exec_fixture *f, size_t size_max)
{
    static const size_t near[] = {0,           1,         4096,
                                  CHUNK_SIZE,  100000,    2 * CHUNK_SIZE,
                                  1024 * 1024, 17 * 65536};
    size_t size = near[pick(f, ARRAY_SIZE(near))];

    if (pick(f, 3) == 0)
        size = pick(f, SIZE_MAX_BYTES);
    else if (pick(f, 2) == 0)
        size += pick(f, 3);
    else if (size > 2)
        size -= pick(f, 3);
    return size < size_max ? size : size_max;
}

static struct slice random_data(struct exec_fixture *f, size_t size)
{
    uint64_t byte = pick(f, 255) + 1;

    for (size_t i = 0; i < size; i++)
        scratch[i] = (uint8_t)(byte + i / 251);
    return (struct slice){scratch, size};
}

/* ---- the same on the model ---- */

static void model_resize(struct model_file *file, size_t size)
{
    if (size > file->size)
        memset(file->bytes + file->size, 0, size - file->size);
    file->size = size;
}

static void model_write(struct model_file *file, size_t offset,
                        struct slice data)
{
    if (data.size == 0)
        return;
    if (offset + data.size > file->size)
        model_resize(file, offset + data.size);
    memcpy(file->bytes + offset, data.data, data.size);
}

/* ---- steps ---- */

static struct command command_on(enum command_op op, size_t i)
{
    return (struct command){.op = op,
                            .dir = NSID_ROOT,
                            .name = slice_of(names[i]),
                            .ino = files[i].ino,
                            .value_size_max = SIZE_MAX_BYTES};
}

static void step_create(struct exec_fixture *f, size_t i)
{
    struct command c = command_on(COMMAND_CREATE, i);

    c.data = random_data(f, pick_size(f, WRITE_SIZE_MAX));
    c.ino = ++f->ino;
    c.set.mode = S_IFREG | 0644;
    assert_int_equal(run(f, &c), 0);
    assert_int_equal(f->result.created, !files[i].exists);
    if (files[i].exists)
        return;
    files[i].exists = true;
    files[i].ino = c.ino;
    files[i].size = 0;
    model_write(&files[i], 0, c.data);
}

static void step_write(struct exec_fixture *f, size_t i)
{
    struct command c = command_on(COMMAND_WRITE, i);

    c.offset = pick_size(f, SIZE_MAX_BYTES);
    c.data =
        random_data(f, pick_size(f, SIZE_MAX_BYTES - c.offset < WRITE_SIZE_MAX
                                        ? SIZE_MAX_BYTES - c.offset
                                        : WRITE_SIZE_MAX));
    if (pick(f, 4) == 0)
        c.flags |= REQUEST_TRUNCATE;
    assert_int_equal(run(f, &c), files[i].exists ? 0 : ERR_STALE);
    if (!files[i].exists)
        return;
    if ((c.flags & REQUEST_TRUNCATE) != 0)
        files[i].size = 0;
    model_write(&files[i], c.offset, c.data);
}

static void step_append(struct exec_fixture *f, size_t i)
{
    struct command c = command_on(COMMAND_WRITE, i);

    c.flags = REQUEST_APPEND;
    c.offset = 3; /* Does not count. */
    c.data = random_data(f, pick_size(f, 200000));
    if (!files[i].exists) {
        assert_int_equal(run(f, &c), ERR_STALE);
    } else if (files[i].size + c.data.size > SIZE_MAX_BYTES) {
        assert_int_equal(run(f, &c), ERR_TOO_LARGE);
    } else {
        assert_int_equal(run(f, &c), 0);
        assert_int_equal(f->result.offset, files[i].size);
        model_write(&files[i], files[i].size, c.data);
    }
}

static void step_resize(struct exec_fixture *f, size_t i)
{
    struct command c = command_on(COMMAND_SETATTR, i);

    c.set_mask = SET_SIZE;
    c.set.size = pick_size(f, SIZE_MAX_BYTES);
    assert_int_equal(run(f, &c), files[i].exists ? 0 : ERR_STALE);
    if (files[i].exists)
        model_resize(&files[i], c.set.size);
}

static void step_unlink(struct exec_fixture *f, size_t i)
{
    int rc = unlink_file(f, NSID_ROOT, names[i]);

    assert_int_equal(rc, files[i].exists ? 0 : ERR_NOT_FOUND);
    files[i].exists = false;
}

static void swap_files(struct model_file *a, struct model_file *b)
{
    static struct model_file file;

    file = *a;
    *a = *b;
    *b = file;
}

static void step_rename(struct exec_fixture *f, size_t i)
{
    size_t to = pick(f, NAMES);
    int rc = rename_file(f, NSID_ROOT, names[i], NSID_ROOT, names[to], 0);

    assert_int_equal(rc, files[i].exists ? 0 : ERR_NOT_FOUND);
    if (rc != 0 || i == to)
        return;
    swap_files(&files[i], &files[to]);
    files[i].exists = false;
}

static void step_exchange(struct exec_fixture *f, size_t i)
{
    size_t to = pick(f, NAMES);
    bool both = files[i].exists && files[to].exists;
    int rc = rename_file(f, NSID_ROOT, names[i], NSID_ROOT, names[to],
                         REQUEST_EXCHANGE);

    assert_int_equal(rc, both ? 0 : ERR_NOT_FOUND);
    if (both && i != to)
        swap_files(&files[i], &files[to]);
}

/* ---- comparing ---- */

static void check_part(struct exec_fixture *f, size_t i, size_t offset,
                       size_t size)
{
    struct command c = command_on(COMMAND_READ, i);
    size_t rest = offset < files[i].size ? files[i].size - offset : 0;

    c.offset = offset;
    c.size = size;
    assert_int_equal(run_read(f, &c), 0);
    assert_int_equal(f->result.attr.size, files[i].size);
    assert_int_equal(f->result.data.size, size < rest ? size : rest);
    assert_memory_equal(f->result.data.data, files[i].bytes + offset,
                        f->result.data.size);
}

static void check_file(struct exec_fixture *f, size_t i)
{
    assert_int_equal(lookup(f, NSID_ROOT, names[i]),
                     files[i].exists ? 0 : ERR_NOT_FOUND);
    if (!files[i].exists)
        return;
    assert_int_equal(f->result.attr.ino, files[i].ino);
    check_part(f, i, 0, WRITE_SIZE_MAX);
    check_part(f, i, WRITE_SIZE_MAX, WRITE_SIZE_MAX);
    check_part(f, i, pick_size(f, SIZE_MAX_BYTES),
               pick_size(f, WRITE_SIZE_MAX));
}

static void random_step(struct exec_fixture *f)
{
    static void (*const steps[])(struct exec_fixture * f, size_t i) = {
        step_create,   step_create, step_write,  step_write,
        step_append,   step_append, step_resize, step_resize,
        step_exchange, step_rename, step_unlink};

    steps[pick(f, ARRAY_SIZE(steps))](f, pick(f, NAMES));
    for (size_t i = 0; i < NAMES; i++)
        check_file(f, i);
    check_state(f);
}

/* After any commands a file holds what a plain array of bytes would. */
static void test_content_is_what_an_array_of_bytes_would_be(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct exec_fixture *f;

        (void)setup_exec((void **)&f);
        f->random = seed;
        for (size_t i = 0; i < NAMES; i++)
            files[i].exists = false;
        for (int step = 0; step < STEPS; step++)
            random_step(f);
        (void)teardown_exec((void **)&f);
    }
}

/* ---- single rules ---- */

static void create_one(struct exec_fixture *f, size_t size)
{
    struct command c = command_on(COMMAND_CREATE, 0);

    c.data = random_data(f, size);
    c.ino = files[0].ino = ++f->ino;
    c.set.mode = S_IFREG | 0644;
    assert_int_equal(run(f, &c), 0);
    files[0].exists = true;
    files[0].size = 0;
    model_write(&files[0], 0, c.data);
}

static uint64_t chunk_keys(struct exec_fixture *f)
{
    return count_class(f->state, "d") - count_names(f, NSID_ROOT);
}

static void test_64_kib_are_inline_and_one_byte_more_takes_chunks(void **state)
{
    struct exec_fixture *f = *state;

    create_one(f, CHUNK_SIZE);
    assert_int_equal(chunk_keys(f), 0);
    assert_int_equal(unlink_file(f, NSID_ROOT, names[0]), 0);
    create_one(f, CHUNK_SIZE + 1);
    assert_int_equal(chunk_keys(f), 2);
    assert_int_equal(unlink_file(f, NSID_ROOT, names[0]), 0);
    assert_int_equal(chunk_keys(f), 0);
}

static void test_a_hole_takes_no_chunks_and_reads_as_zeros(void **state)
{
    struct exec_fixture *f = *state;
    struct command c;

    create_one(f, 0);
    c = command_on(COMMAND_WRITE, 0);
    c.offset = 1000000;
    c.data = random_data(f, 10);
    assert_int_equal(run(f, &c), 0);
    model_write(&files[0], c.offset, c.data);
    assert_int_equal(chunk_keys(f), 1);
    check_file(f, 0);
}

static void test_what_was_cut_off_does_not_come_back(void **state)
{
    struct exec_fixture *f = *state;
    static const uint64_t sizes[] = {150000, 200000, 70000, 65536,
                                     300000, 10,     65537, 131072};

    create_one(f, 300000);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct command c = command_on(COMMAND_SETATTR, 0);

        c.set_mask = SET_SIZE;
        c.set.size = sizes[i];
        assert_int_equal(run(f, &c), 0);
        model_resize(&files[0], sizes[i]);
        check_file(f, 0);
        check_state(f);
    }
}

static void test_beyond_the_limit_nothing_changes(void **state)
{
    struct exec_fixture *f = *state;
    struct command c;

    create_one(f, 100000);
    c = command_on(COMMAND_WRITE, 0);
    c.flags = REQUEST_TRUNCATE;
    c.offset = SIZE_MAX_BYTES - 9;
    c.data = random_data(f, 10);
    assert_int_equal(run(f, &c), ERR_TOO_LARGE);
    c.offset = UINT64_MAX - 3;
    assert_int_equal(run(f, &c), ERR_TOO_LARGE);
    c = command_on(COMMAND_SETATTR, 0);
    c.set_mask = SET_SIZE;
    c.set.size = SIZE_MAX_BYTES + 1;
    assert_int_equal(run(f, &c), ERR_TOO_LARGE);
    check_file(f, 0);
}

/* A value that was empty before the write keeps nothing of the old one. */
static void test_a_write_that_truncates_replaces_everything(void **state)
{
    struct exec_fixture *f = *state;
    struct command c;

    create_one(f, 300000);
    c = command_on(COMMAND_WRITE, 0);
    c.flags = REQUEST_TRUNCATE;
    c.offset = 70000;
    c.data = random_data(f, 5);
    assert_int_equal(run(f, &c), 0);
    files[0].size = 0;
    model_write(&files[0], c.offset, c.data);
    check_file(f, 0);
    assert_int_equal(chunk_keys(f), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_is_what_an_array_of_bytes_would_be),
        cmocka_unit_test_setup_teardown(
            test_64_kib_are_inline_and_one_byte_more_takes_chunks, setup_exec,
            teardown_exec),
        cmocka_unit_test_setup_teardown(
            test_a_hole_takes_no_chunks_and_reads_as_zeros, setup_exec,
            teardown_exec),
        cmocka_unit_test_setup_teardown(
            test_what_was_cut_off_does_not_come_back, setup_exec,
            teardown_exec),
        cmocka_unit_test_setup_teardown(test_beyond_the_limit_nothing_changes,
                                        setup_exec, teardown_exec),
        cmocka_unit_test_setup_teardown(
            test_a_write_that_truncates_replaces_everything, setup_exec,
            teardown_exec),
    };

    return cmocka_run_group_tests_name("content", tests, NULL, NULL);
}
