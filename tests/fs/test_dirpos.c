/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fs/dirpos.h"

static int setup(void **state)
{
    static struct dirpos dirpos;

    dirpos_init(&dirpos);
    *state = &dirpos;
    return 0;
}

static int teardown(void **state)
{
    dirpos_release(*state);
    return 0;
}

static void note(struct dirpos *dirpos, unsigned position)
{
    char name[16];

    (void)snprintf(name, sizeof name, "f%07u", position);
    dirpos_note(dirpos, position, name);
}

static void test_an_empty_memory_knows_the_start(void **state)
{
    assert_int_equal(dirpos_before(*state, 77).position, 0);
    assert_string_equal(dirpos_before(*state, 77).name, "");
    assert_null(dirpos_behind(*state, 0));
}

static void test_finds_the_mark_before_and_the_one_behind(void **state)
{
    note(*state, 100);
    note(*state, 200);
    assert_int_equal(dirpos_before(*state, 99).position, 0);
    assert_int_equal(dirpos_before(*state, 100).position, 100);
    assert_string_equal(dirpos_before(*state, 199).name, "f0000100");
    assert_int_equal(dirpos_before(*state, 5000).position, 200);
    assert_int_equal(dirpos_behind(*state, 100)->position, 100);
    assert_int_equal(dirpos_behind(*state, 101)->position, 200);
    assert_null(dirpos_behind(*state, 201));
}

static void test_passing_again_adds_nothing(void **state)
{
    const struct dirpos *dirpos = *state;

    note(*state, 100);
    note(*state, 100);
    note(*state, 50);
    assert_int_equal(dirpos->count, 1);
}

/* A million pages: the memory stays bounded, and a mark is never further
 * away than a few distances. */
static void test_memory_is_bounded_and_marks_stay_near(void **state)
{
    const struct dirpos *dirpos = *state;

    for (unsigned i = 1; i <= 1000000; i++)
        note(*state, i);
    assert_true(dirpos->count <= DIRPOS_MARKS_MAX);
    assert_true(dirpos->count >= DIRPOS_MARKS_MAX / 2);
    for (unsigned i = 10000; i < 1000000; i += 12345) {
        const struct dirpos_mark mark = dirpos_before(*state, i);

        assert_true(mark.position <= i);
        assert_true(i - mark.position < 4 * dirpos->distance);
    }
}

static void test_cut_forgets_what_lies_behind(void **state)
{
    note(*state, 100);
    note(*state, 200);
    dirpos_cut(*state, 100);
    assert_int_equal(dirpos_before(*state, 5000).position, 100);
    dirpos_cut(*state, 99);
    assert_int_equal(dirpos_before(*state, 5000).position, 0);
}

static void test_clear_begins_again(void **state)
{
    for (unsigned i = 1; i <= 5000; i++)
        note(*state, i);
    dirpos_clear(*state);
    note(*state, 1);
    assert_int_equal(dirpos_before(*state, 1).position, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_memory_knows_the_start),
        TEST(test_finds_the_mark_before_and_the_one_behind),
        TEST(test_passing_again_adds_nothing),
        TEST(test_memory_is_bounded_and_marks_stay_near),
        TEST(test_cut_forgets_what_lies_behind),
        TEST(test_clear_begins_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
