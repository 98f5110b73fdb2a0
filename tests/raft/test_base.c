/* SPDX-License-Identifier: Apache-2.0 */

/* The base types. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "raft/base/buf.h"
#include "raft/base/log.h"
#include "tests/raft/unit.h"

/* Bytes live until the last reference goes (ASan watches). */
static void test_bytes_live_until_the_last_reference(void **state)
{
    struct buf *b = buf_copy("abc", 3);
    struct buf *again = buf_ref(b);

    (void)state;
    assert_ptr_equal(again, b);
    buf_unref(b);
    assert_memory_equal(again->data, "abc", 3);
    buf_unref(again);
    buf_unref(NULL);
    assert_null(buf_ref(NULL));
}

/* An error text reads as a path, outermost first. */
static void test_error_text_reads_as_a_path(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(err_set(&e, ERR_CORRUPT, "entry %d", 7), ERR_CORRUPT);
    assert_int_equal(err_prefix(&e, ERR_CORRUPT, "open '%s'", "x"),
                     ERR_CORRUPT);
    assert_string_equal(e.text, "open 'x': entry 7");
}

/* An empty text becomes that of the code. */
static void test_error_without_text_gets_its_codes(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    (void)err_prefix(&e, ERR_NO_SPACE, "write");
    assert_string_equal(e.text, "write: no space left");
    assert_int_equal(err_set(NULL, ERR_IO, "x"), ERR_IO);
}

/* A long text is cut, not overrun. */
static void test_long_error_is_cut(void **state)
{
    struct err e = ERR_INIT;
    char long_text[2 * ERR_TEXT_SIZE];

    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    (void)err_set(&e, ERR_IO, "%s", long_text);
    (void)err_prefix(&e, ERR_IO, "%s", "front");
    assert_int_equal(strlen(e.text), ERR_TEXT_SIZE - 1);
    assert_memory_equal(e.text, "front: xxx", 10);
}

/* Every code has a text and an errno; success has 0. */
static void test_every_code_is_in_the_table(void **state)
{
    (void)state;
    assert_int_equal(err_errno(0), 0);
    assert_string_equal(err_text(0), "success");
    for (int code = -1; code > -(int)ERR__COUNT; code--) {
        assert_true(err_errno(code) > 0);
        assert_non_null(err_text(code));
    }
    assert_int_equal(err_from_errno(ENOSPC), ERR_NO_SPACE);
    assert_int_equal(err_from_errno(ENXIO), ERR_IO);
}

/* An array grows by doubling and keeps what is in it. */
static void test_array_grows(void **state)
{
    size_t count_max = 0;
    int *array = NULL;

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        array = mem_grow(array, sizeof *array, &count_max, i + 1);
        array[i] = (int)i;
    }
    assert_int_equal(array[42], 42);
    assert_int_equal(count_max, 128);
    free(array);
}

static void test_trim_frees_only_what_is_empty(void **state)
{
    size_t count_max = 0;
    int *array = mem_grow(NULL, sizeof *array, &count_max, 1);
    int *same;

    (void)state;
    array[0] = 42;
    same = mem_trim(array, &count_max, 1);
    assert_ptr_equal(same, array);
    assert_int_equal(same[0], 42);
    assert_int_not_equal(count_max, 0);
    assert_null(mem_trim(same, &count_max, 0));
    assert_int_equal(count_max, 0);
    assert_null(mem_trim(NULL, &count_max, 0));
}

static char last_line[LOG_LINE_SIZE];

static void sink(enum log_level level, const char *component, const char *line)
{
    (void)snprintf(last_line, sizeof last_line, "%s %s %s",
                   log_level_name(level), component, line);
}

/* The sink gets lines of its level and above, and none without it. */
static void test_log_lines_reach_the_sink(void **state)
{
    (void)state;
    log_line(LOG_ERROR, "raft", "nobody listens");
    log_set_sink(sink, LOG_WARN);
    log_line(LOG_INFO, "raft", "too low");
    assert_string_equal(last_line, "");
    log_line(LOG_WARN, "raft", "term=%d", 3);
    assert_string_equal(last_line, "warn raft term=3");
    log_set_sink(NULL, LOG_DEBUG);
}

/* What a system call says comes out as the same number. */
static void test_errnos_round_trip(void **state)
{
    static const int numbers[] = {ENOENT, EEXIST, EACCES,     EPERM,  ENOSPC,
                                  EDQUOT, EROFS,  EISDIR,     EBUSY,  EINVAL,
                                  ENOMEM, EIO,    EADDRINUSE, ENOTDIR};

    (void)state;
    assert_int_equal(err_from_errno(0), 0);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        assert_int_equal(err_errno(err_from_errno(numbers[i])), numbers[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_live_until_the_last_reference),
        cmocka_unit_test(test_error_text_reads_as_a_path),
        cmocka_unit_test(test_error_without_text_gets_its_codes),
        cmocka_unit_test(test_long_error_is_cut),
        cmocka_unit_test(test_every_code_is_in_the_table),
        cmocka_unit_test(test_array_grows),
        cmocka_unit_test(test_trim_frees_only_what_is_empty),
        cmocka_unit_test(test_log_lines_reach_the_sink),
        cmocka_unit_test(test_errnos_round_trip),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
