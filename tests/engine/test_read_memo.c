/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/read_memo.h"

static const struct read_moment now = {7, 1, 8};

static struct command lookup(uint64_t dir, const char *name)
{
    return (struct command){
        .op = COMMAND_LOOKUP, .dir = dir, .name = slice_of(name)};
}

static struct result of_size(uint64_t size)
{
    return (struct result){.attr = {.size = size}};
}

static bool finds(struct read_memo *memo, const struct command *command,
                  struct read_moment moment, uint64_t size)
{
    struct result result = {0};
    bool found = read_memo_find(memo, command, moment, &result);

    if (found)
        assert_int_equal(result.attr.size, size);
    result_release(&result);
    return found;
}

static void test_a_result_is_found_at_its_moment(void **state)
{
    struct read_memo *memo = read_memo_new();
    struct command command = lookup(1, "a");
    struct result result = of_size(5);

    (void)state;
    assert_false(finds(memo, &command, now, 0));
    read_memo_keep(memo, &command, now, &result);
    assert_true(finds(memo, &command, now, 5));
    assert_true(finds(memo, &command, now, 5));
    read_memo_free(memo);
}

static void test_a_result_is_gone_when_anything_was_applied(void **state)
{
    struct read_memo *memo = read_memo_new();
    struct command command = lookup(1, "a");
    struct result result = of_size(5);

    (void)state;
    read_memo_keep(memo, &command, now, &result);
    assert_false(finds(memo, &command, (struct read_moment){8, 1, 8}, 0));
    assert_false(finds(memo, &command, (struct read_moment){7, 1, 9}, 0));
    assert_false(finds(memo, &command, (struct read_moment){7, 2, 8}, 0));
    read_memo_free(memo);
}

static void test_another_question_finds_nothing(void **state)
{
    struct read_memo *memo = read_memo_new();
    struct command asked = lookup(1, "a");
    struct result result = of_size(5);
    struct command others[] = {lookup(2, "a"), lookup(1, "b"), lookup(1, "ab"),
                               lookup(1, "a"), lookup(1, "a"), lookup(1, "a"),
                               lookup(1, "a")};

    (void)state;
    others[3].op = COMMAND_GETATTR;
    others[4].ino = 1;
    others[5].offset = 1;
    others[6].size = 1;
    read_memo_keep(memo, &asked, now, &result);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_false(finds(memo, &others[i], now, 0));
    read_memo_free(memo);
}

static void test_a_value_is_kept_with_its_result(void **state)
{
    struct read_memo *memo = read_memo_new();
    struct command command = {.op = COMMAND_READ, .dir = 1};
    struct result result = {.data_buf = buf_copy("value", 5)};
    struct result found = {0};

    (void)state;
    result.data = (struct slice){result.data_buf->data, 5};
    read_memo_keep(memo, &command, now, &result);
    result_release(&result);
    assert_true(read_memo_find(memo, &command, now, &found));
    assert_int_equal(found.data.size, 5);
    assert_memory_equal(found.data.data, "value", 5);
    assert_ptr_equal(found.data.data, found.data_buf->data);
    result_release(&found);
    read_memo_free(memo);
}

static void test_a_large_value_is_not_kept(void **state)
{
    struct read_memo *memo = read_memo_new();
    struct command command = {.op = COMMAND_READ, .dir = 1};
    struct result result = {.data_buf = buf_new(8 * 1024 + 1)};

    (void)state;
    result.data = (struct slice){result.data_buf->data, 8 * 1024 + 1};
    read_memo_keep(memo, &command, now, &result);
    assert_false(finds(memo, &command, now, 0));
    result_release(&result);
    read_memo_free(memo);
}

static void test_listings_are_not_kept(void **state)
{
    struct read_memo *memo = read_memo_new();
    struct command command = {.op = COMMAND_READDIR, .dir = 1};
    struct result result = of_size(5);

    (void)state;
    read_memo_keep(memo, &command, now, &result);
    assert_false(finds(memo, &command, now, 0));
    read_memo_free(memo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_result_is_found_at_its_moment),
        cmocka_unit_test(test_a_result_is_gone_when_anything_was_applied),
        cmocka_unit_test(test_another_question_finds_nothing),
        cmocka_unit_test(test_a_value_is_kept_with_its_result),
        cmocka_unit_test(test_a_large_value_is_not_kept),
        cmocka_unit_test(test_listings_are_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
