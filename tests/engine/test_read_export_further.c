/* SPDX-License-Identifier: Apache-2.0 */

/* Pages of several directories that a transaction has closed to make them
 * eventual: which of these are on one. */

#include "exec_levels.h"
#include "exec_regions.h"

#include <stdlib.h>

#include "engine/eventual_items.h"

enum { C = 104, REGION = 5, ALL = 4, MTIME_SIZE = 8 };

struct fixture {
    struct exec_fixture *exec;
    struct key bound;
    struct read_part parts[2]; /* the first one is read */
    size_t part_count;         /* that the view has */
    struct test_prepare prepare;
    uint8_t further[3 * 8];
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    (void)setup_levels((void **)&f->exec);
    assert_int_equal(make_dir(f->exec, T, "c"), C);
    f->parts[0].region = REGION;
    f->parts[1] =
        (struct read_part){.region = REGION + 1, .is_elsewhere = true};
    f->part_count = 1;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    void *exec = f->exec;

    resolve_all(f->exec, &f->prepare.ref, false);
    settle_orphans(f->exec);
    prepare_end(&f->prepare);
    (void)teardown_exec(&exec);
    free(f);
    return 0;
}

static void put(struct fixture *f, uint64_t dir, const char *name, size_t size)
{
    assert_int_equal(create_sized(f->exec, dir, name, size), 0);
}

static void close_all(struct fixture *f)
{
    struct test_txn txn = txn_filled(f->exec);

    f->prepare = prepare_begin(&txn);
    assert_int_equal(prepare_all(f->exec, &f->prepare), 0);
}

/* The region that is read ends where this one begins. */
static void end_region(struct fixture *f, uint64_t dir, const char *name)
{
    f->bound = key_user('d', dir, slice_of(name));
    f->parts[0].range.end = key_user_part(&f->bound);
    f->parts[1].range.start = f->parts[0].range.end;
}

/* `dir` from `name` on, and with which others. */
static int read_page(struct fixture *f, uint64_t dir, const char *name,
                     size_t count, const uint64_t further[])
{
    struct read_view view = {f->parts, f->part_count};
    struct command command = {.op = COMMAND_TXN_EXPORT,
                              .dir = dir,
                              .name = slice_of(name),
                              .further = {f->further, 8 * count},
                              .txn = {.id = f->prepare.ref.id}};

    for (size_t i = 0; i < count; i++)
        be64_put(f->further + 8 * i, further[i]);
    result_release(&f->exec->result);
    return read_execute(f->exec->state, &view, &command, &f->exec->unknown,
                        &f->exec->result);
}

static int read_all(struct fixture *f)
{
    static const uint64_t further[] = {A, B, C};

    return read_page(f, T, "", ARRAY_SIZE(further), further);
}

/* So many further ones, and files, of one letter each. */
static void expect_page(struct fixture *f, uint64_t count, size_t times,
                        const char *files, bool at_end)
{
    const struct result *result = &f->exec->result;
    struct eventual_record record = {0};
    size_t at = times * MTIME_SIZE;
    struct slice item;

    assert_int_equal(result->offset, count);
    for (; *files != '\0'; files++) {
        assert_true(eventual_items_next(result->data, &at, &item));
        assert_int_equal(eventual_decode(&record, item), 0);
        assert_int_equal(record.name.size, 1);
        assert_int_equal(*(const char *)record.name.data, *files);
        eventual_release(&record);
    }
    assert_int_equal(at, result->data.size);
    assert_int_equal(result->at_end, at_end);
}

static void test_small_ones_are_one_page(void **state)
{
    struct fixture *f = *state;
    struct eventual_record record = {0};
    size_t at = ALL * MTIME_SIZE;
    struct slice item;

    put(f, T, "p", 1);
    put(f, B, "q", 1);
    put(f, C, "r", 1);
    close_all(f);
    assert_int_equal(read_all(f), 0);
    expect_page(f, 3, ALL, "pqr", true);
    assert_true(eventual_items_next(f->exec->result.data, &at, &item));
    assert_true(eventual_items_next(f->exec->result.data, &at, &item));
    assert_int_equal(eventual_decode(&record, item), 0);
    assert_int_equal(record.dir, B);
    eventual_release(&record);
}

/* As stat(2) shows it. */
static void test_each_has_its_mtime_there(void **state)
{
    static const uint64_t dirs[ALL] = {T, A, B, C};
    struct fixture *f = *state;
    struct buf *data;

    put(f, B, "q", 1);
    close_all(f);
    assert_int_equal(read_all(f), 0);
    data = buf_ref(f->exec->result.data_buf);
    for (size_t i = 0; i < ALL; i++) {
        assert_int_equal(
            run_read(f->exec, &(struct command){.op = COMMAND_GETATTR,
                                                .ino = ino_of_nsid(dirs[i])}),
            0);
        assert_int_equal(be64_get(data->data + i * MTIME_SIZE),
                         f->exec->result.attr.mtime_ns);
    }
    buf_unref(data);
}

/* What was begun before has its mtime already. */
static void test_what_goes_on_may_be_followed_by_others(void **state)
{
    static const uint64_t further[] = {B, C};
    struct fixture *f = *state;

    put(f, A, "p", 1);
    put(f, A, "q", 1);
    put(f, C, "r", 1);
    close_all(f);
    assert_int_equal(read_page(f, A, "p", 2, further), 0);
    expect_page(f, 2, 2, "qr", true);
}

static void test_a_full_page_has_some_of_the_last_one(void **state)
{
    struct fixture *f = *state;

    put(f, A, "p", 1);
    put(f, B, "q", 1);
    put(f, B, "r", EVENTUAL_ITEMS_SIZE);
    put(f, C, "s", 1);
    close_all(f);
    assert_int_equal(read_all(f), 0);
    expect_page(f, 2, 3, "pq", false);
}

/* It would have to be begun twice. */
static void test_one_of_which_nothing_fits_comes_later(void **state)
{
    static const uint64_t further[] = {C};
    struct fixture *f = *state;

    put(f, A, "p", 1);
    put(f, B, "q", EVENTUAL_ITEMS_SIZE);
    put(f, C, "r", 1);
    close_all(f);
    assert_int_equal(read_all(f), 0);
    expect_page(f, 1, 2, "p", true);
    assert_int_equal(read_page(f, B, "", 1, further), 0);
    expect_page(f, 0, 1, "q", true);
    assert_int_equal(read_page(f, C, "", 0, NULL), 0);
    expect_page(f, 0, 1, "r", true);
}

static void test_a_full_first_one_is_followed_by_nothing(void **state)
{
    struct fixture *f = *state;

    put(f, T, "p", 1);
    put(f, T, "q", EVENTUAL_ITEMS_SIZE);
    close_all(f);
    assert_int_equal(read_all(f), 0);
    expect_page(f, 0, 1, "p", false);
}

/* Also one that only goes on there. */
static void test_what_lies_in_another_region_comes_later(void **state)
{
    struct fixture *f = *state;

    put(f, A, "p", 1);
    put(f, B, "q", 1);
    close_all(f);
    end_region(f, B, "");
    assert_int_equal(read_all(f), 0);
    expect_page(f, 1, 2, "p", true);
    end_region(f, B, "m");
    assert_int_equal(read_all(f), 0);
    expect_page(f, 1, 2, "p", true);
    f->part_count = 2;
    assert_int_equal(read_all(f), 0);
    expect_page(f, 1, 2, "p", true);
    end_region(f, C, "");
    assert_int_equal(read_all(f), 0);
    expect_page(f, 2, 3, "pq", true);
}

/* It is the first one of the next page, and ends that. */
static void test_one_that_is_refused_ends_the_page_before_it(void **state)
{
    struct fixture *f = *state;

    put(f, A, "p", 1);
    put(f, B, "q", 1);
    put(f, B, "r", EVENTUAL_VALUE_SIZE_MAX + 1);
    put(f, C, "s", 1);
    close_all(f);
    assert_int_equal(read_all(f), 0);
    expect_page(f, 1, 2, "p", true);
    assert_int_equal(read_page(f, B, "", 0, NULL), ERR_TOO_LARGE);
}

static void test_one_that_is_not_held_is_not_read(void **state)
{
    static const uint64_t further[] = {B, 200};
    struct fixture *f = *state;

    put(f, B, "q", 1);
    close_all(f);
    assert_int_equal(read_page(f, A, "", 2, further), 0);
    expect_page(f, 1, 2, "q", true);
    assert_int_equal(read_page(f, 200, "", 0, NULL), ERR_ABORTED);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_small_ones_are_one_page),
        TEST(test_each_has_its_mtime_there),
        TEST(test_what_goes_on_may_be_followed_by_others),
        TEST(test_a_full_page_has_some_of_the_last_one),
        TEST(test_one_of_which_nothing_fits_comes_later),
        TEST(test_a_full_first_one_is_followed_by_nothing),
        TEST(test_what_lies_in_another_region_comes_later),
        TEST(test_one_that_is_refused_ends_the_page_before_it),
        TEST(test_one_that_is_not_held_is_not_read),
    };

    return cmocka_run_group_tests_name("read_export_further", tests, NULL,
                                       NULL);
}
