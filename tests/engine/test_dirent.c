/* SPDX-License-Identifier: Apache-2.0 */

#include "codec_helpers.h"

#include <string.h>

#include "engine/dirent.h"

static void test_a_listing_is_read_back_in_order(void **state)
{
    struct dirent_writer writer;
    struct dirent_view view;
    size_t position = 0;
    struct buf *b;

    (void)state;
    dirent_writer_init(&writer, 64 * 1024);
    assert_int_equal(dirent_append(&writer, slice_of("a"), 1, 0100644), 0);
    assert_int_equal(dirent_append(&writer, slice_of("bb"), UINT64_MAX, 040755),
                     0);
    b = dirent_writer_finish(&writer);
    assert_true(dirent_next(b, &position, &view));
    assert_string_equal(view.name, "a");
    assert_int_equal(view.ino, 1);
    assert_int_equal(view.mode, 0100000);
    assert_true(dirent_next(b, &position, &view));
    assert_string_equal(view.name, "bb");
    assert_true(view.ino == UINT64_MAX);
    assert_false(dirent_next(b, &position, &view));
    buf_unref(b);
}

static void test_a_listing_grows_up_to_its_limit(void **state)
{
    struct dirent_writer writer;
    struct dirent_view view;
    size_t position = 0;
    size_t count = 0;
    size_t read_count = 0;
    struct buf *b;

    (void)state;
    dirent_writer_init(&writer, 10000);
    while (dirent_append(&writer, letters(255), count, 0) == 0)
        count++;
    b = dirent_writer_finish(&writer);
    assert_in_range(b->size, 10000 - 13 - 256, 10000);
    while (dirent_next(b, &position, &view))
        assert_int_equal(view.ino, read_count++);
    assert_int_equal(read_count, count);
    buf_unref(b);
}

static void test_an_empty_listing_has_no_names(void **state)
{
    struct dirent_writer writer;
    struct dirent_view view;
    size_t position = 0;
    struct buf *b;

    (void)state;
    dirent_writer_init(&writer, 100);
    b = dirent_writer_finish(&writer);
    assert_false(dirent_next(b, &position, &view));
    assert_false(dirent_next(NULL, &position, &view));
    dirent_writer_close(&writer);
    buf_unref(b);
}

static int list_all(struct slice bytes)
{
    struct buf *b = buf_copy(bytes.data, bytes.size);
    struct dirent_view view;
    size_t position = 0;

    while (dirent_next(b, &position, &view))
        assert_in_range(strlen(view.name), 1, NAME_SIZE_MAX);
    assert_in_range(position, 0, b->size);
    buf_unref(b);
    return 0;
}

static void test_a_damaged_listing_is_survived(void **state)
{
    struct dirent_writer writer;

    (void)state;
    dirent_writer_init(&writer, 1000);
    assert_int_equal(dirent_append(&writer, slice_of("name"), 1, 0), 0);
    assert_int_equal(dirent_append(&writer, slice_of("other"), 2, 0), 0);
    assert_damage_is_survived(list_all, dirent_writer_finish(&writer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_listing_is_read_back_in_order),
        cmocka_unit_test(test_a_listing_grows_up_to_its_limit),
        cmocka_unit_test(test_an_empty_listing_has_no_names),
        cmocka_unit_test(test_a_damaged_listing_is_survived),
    };

    return cmocka_run_group_tests_name("dirent", tests, NULL, NULL);
}
