/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/range.h"

static struct range range(const char *start, const char *end)
{
    return (struct range){slice_of(start), slice_of(end)};
}

static bool has(struct range range, const char *user_key)
{
    return range_has(range, slice_of(user_key));
}

static bool overlap(struct range a, struct range b)
{
    assert_int_equal(range_overlaps(a, b), range_overlaps(b, a));
    return range_overlaps(a, b);
}

static void test_a_range_has_its_start_and_not_its_end(void **state)
{
    (void)state;
    assert_false(has(range("b", "d"), "a"));
    assert_false(has(range("b", "d"), ""));
    assert_true(has(range("b", "d"), "b"));
    assert_true(has(range("b", "d"), "b\1"));
    assert_true(has(range("b", "d"), "czzz"));
    assert_false(has(range("b", "d"), "d"));
    assert_false(has(range("b", "d"), "d\1"));
}

static void test_an_empty_end_is_that_of_all_keys(void **state)
{
    (void)state;
    assert_true(has(range("", ""), ""));
    assert_true(has(range("", ""), "\xff\xff"));
    assert_true(has(range("b", ""), "\xff\xff"));
    assert_false(has(range("b", ""), "a\xff"));
}

static void test_neighbours_do_not_overlap(void **state)
{
    (void)state;
    assert_false(overlap(range("a", "b"), range("b", "c")));
    assert_false(overlap(range("a", "b"), range("b", "")));
    assert_false(overlap(range("a", "b"), range("c", "d")));
    assert_false(overlap(range("", "b"), range("b", "")));
}

static void test_ranges_overlap_that_share_a_key(void **state)
{
    (void)state;
    assert_true(overlap(range("a", "c"), range("b", "d")));
    assert_true(overlap(range("a", "d"), range("b", "c")));
    assert_true(overlap(range("a", ""), range("b", "c")));
    assert_true(overlap(range("a", ""), range("b", "")));
    assert_true(overlap(range("", ""), range("b", "c")));
    assert_true(overlap(range("a", "b"), range("a", "b")));
}

static void test_a_place_lies_where_its_user_key_does(void **state)
{
    struct key start = key_user('d', 7, slice_of("b"));
    struct key end = key_user('d', 7, slice_of("d"));
    struct range range = {key_user_part(&start), key_user_part(&end)};

    (void)state;
    assert_true(range_has_place(range, 7, slice_of("b")));
    assert_false(range_has_place(range, 7, slice_of("d")));
    assert_false(range_has_place(range, 7, slice_of("")));
    assert_false(range_has_place(range, 6, slice_of("c")));
    assert_false(range_has_place(range, 8, slice_of("c")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_range_has_its_start_and_not_its_end),
        cmocka_unit_test(test_an_empty_end_is_that_of_all_keys),
        cmocka_unit_test(test_neighbours_do_not_overlap),
        cmocka_unit_test(test_ranges_overlap_that_share_a_key),
        cmocka_unit_test(test_a_place_lies_where_its_user_key_does),
    };

    return cmocka_run_group_tests_name("range", tests, NULL, NULL);
}
