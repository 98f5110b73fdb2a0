/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/walk.h"

enum { PID = 4711, BEGAN_NS = 1000 };

static struct walks walks;

static int setup(void **state)
{
    (void)state;
    memset(&walks, 0, sizeof walks);
    return 0;
}

static void test_a_walk_goes_on_from_when_it_began(void **state)
{
    (void)state;
    walk_begin(&walks, PID, BEGAN_NS);
    assert_int_equal(walk_go_on(&walks, PID), BEGAN_NS);
}

/* A second LOOKUP may belong to another system call than the GETATTR. */
static void test_it_does_so_once(void **state)
{
    (void)state;
    walk_begin(&walks, PID, BEGAN_NS);
    (void)walk_go_on(&walks, PID);
    assert_int_equal(walk_go_on(&walks, PID), 0);
}

static void test_a_newer_walk_replaces_an_older_one(void **state)
{
    (void)state;
    walk_begin(&walks, PID, BEGAN_NS);
    walk_begin(&walks, PID, BEGAN_NS + 1);
    assert_int_equal(walk_go_on(&walks, PID), BEGAN_NS + 1);
}

static void test_each_thread_has_its_own(void **state)
{
    (void)state;
    walk_begin(&walks, PID, BEGAN_NS);
    walk_begin(&walks, PID + 1, BEGAN_NS + 1);
    assert_int_equal(walk_go_on(&walks, PID + 2), 0);
    assert_int_equal(walk_go_on(&walks, PID), BEGAN_NS);
    assert_int_equal(walk_go_on(&walks, PID + 1), BEGAN_NS + 1);
}

static void test_of_two_that_meet_the_newer_one_is_known(void **state)
{
    (void)state;
    walk_begin(&walks, PID, BEGAN_NS);
    walk_begin(&walks, PID + WALKS, BEGAN_NS + 1);
    assert_int_equal(walk_go_on(&walks, PID), 0);
    assert_int_equal(walk_go_on(&walks, PID + WALKS), BEGAN_NS + 1);
}

/* Who is in no process number space of ours: they all have the number 0. */
static void test_who_is_not_known_has_no_walk(void **state)
{
    (void)state;
    walk_begin(&walks, 0, BEGAN_NS);
    assert_int_equal(walk_go_on(&walks, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_walk_goes_on_from_when_it_began, setup),
        cmocka_unit_test_setup(test_it_does_so_once, setup),
        cmocka_unit_test_setup(test_a_newer_walk_replaces_an_older_one, setup),
        cmocka_unit_test_setup(test_each_thread_has_its_own, setup),
        cmocka_unit_test_setup(test_of_two_that_meet_the_newer_one_is_known,
                               setup),
        cmocka_unit_test_setup(test_who_is_not_known_has_no_walk, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
