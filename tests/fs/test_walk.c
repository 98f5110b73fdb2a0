/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/walk.h"

enum { PID = 4711, ID = 77, BEGAN_NS = 1000, SOON_NS = 2000 };

static struct walks walks;

static int setup(void **state)
{
    (void)state;
    memset(&walks, 0, sizeof walks);
    walk_init(&walks);
    return 0;
}

static uint64_t go_on(pid_t pid)
{
    return walk_since(walk_take(&walks, pid), ID, SOON_NS);
}

static void test_a_walk_goes_on_from_when_it_began(void **state)
{
    (void)state;
    walk_note(&walks, PID, (struct walk){ID, BEGAN_NS});
    assert_int_equal(go_on(PID), BEGAN_NS);
}

/* What is asked in between ends it, and is the end of it for what follows. */
static void test_it_does_so_at_once(void **state)
{
    (void)state;
    walk_note(&walks, PID, (struct walk){ID, BEGAN_NS});
    (void)go_on(PID);
    assert_int_equal(go_on(PID), 0);
}

static void test_it_does_so_where_it_has_come_to(void **state)
{
    (void)state;
    walk_note(&walks, PID, (struct walk){ID + 1, BEGAN_NS});
    assert_int_equal(go_on(PID), 0);
    walk_note(&walks, PID, (struct walk){ID, BEGAN_NS + 1});
    assert_int_equal(go_on(PID), BEGAN_NS + 1);
}

static void test_it_does_so_soon(void **state)
{
    const uint64_t end_ns = BEGAN_NS + WALK_MS * UINT64_C(1000000);
    const struct walk walk = {ID, BEGAN_NS};

    (void)state;
    assert_int_equal(walk_since(walk, ID, end_ns), BEGAN_NS);
    assert_int_equal(walk_since(walk, ID, end_ns + 1), 0);
}

static void test_each_thread_has_its_own(void **state)
{
    (void)state;
    walk_note(&walks, PID, (struct walk){ID, BEGAN_NS});
    walk_note(&walks, PID + 1, (struct walk){ID, BEGAN_NS + 1});
    assert_int_equal(go_on(PID + 2), 0);
    assert_int_equal(go_on(PID), BEGAN_NS);
    assert_int_equal(go_on(PID + 1), BEGAN_NS + 1);
}

static void test_of_two_that_meet_the_newer_one_is_known(void **state)
{
    (void)state;
    walk_note(&walks, PID, (struct walk){ID, BEGAN_NS});
    walk_note(&walks, PID + WALKS, (struct walk){ID, BEGAN_NS + 1});
    assert_int_equal(go_on(PID), 0);
    assert_int_equal(go_on(PID + WALKS), BEGAN_NS + 1);
}

/* All who are in no process number space of ours have the number 0. */
static void test_who_is_not_known_has_no_walk(void **state)
{
    (void)state;
    walk_note(&walks, 0, (struct walk){ID, BEGAN_NS});
    assert_int_equal(go_on(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_walk_goes_on_from_when_it_began, setup),
        cmocka_unit_test_setup(test_it_does_so_at_once, setup),
        cmocka_unit_test_setup(test_it_does_so_where_it_has_come_to, setup),
        cmocka_unit_test_setup(test_it_does_so_soon, setup),
        cmocka_unit_test_setup(test_each_thread_has_its_own, setup),
        cmocka_unit_test_setup(test_of_two_that_meet_the_newer_one_is_known,
                               setup),
        cmocka_unit_test_setup(test_who_is_not_known_has_no_walk, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
