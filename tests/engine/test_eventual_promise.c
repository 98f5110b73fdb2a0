/* SPDX-License-Identifier: Apache-2.0 */

/* What a node has promised not to stamp, and takes back: rule 8 of floor.h. */

#include "eventual_fixture.h"

static void test_nothing_is_promised_as_long_as_nothing_is_removed(void **state)
{
    struct eventual_fixture *f = *state;

    put_members(f, true);
    assert_int_equal(create(f, "a"), 0);
    look(f);
    assert_int_equal(eventual_promise(f->eventual), 0);
    assert_int_equal(f->flush_count, 0);
}

static void test_a_promise_is_taken_back_for_good(void **state)
{
    struct eventual_fixture *f = *state;

    put_members(f, false);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    look(f);
    assert_int_equal(eventual_promise(f->eventual), hlc_of(f, "a"));
    eventual_unpromise(f->eventual, CONF_VER);
    assert_false(eventual_must_withdraw(f->eventual, CONF_VER));
    look(f);
    assert_int_equal(eventual_promise(f->eventual), 0);
    assert_true(eventual_must_withdraw(f->eventual, CONF_VER));
    assert_false(eventual_has_unpromised(f->eventual, CONF_VER));
    assert_false(eventual_must_withdraw(f->eventual, CONF_VER + 1));
    assert_true(eventual_has_unpromised(f->eventual, CONF_VER + 1));
    look(f);
    assert_int_equal(eventual_promise(f->eventual), 0);
    crash(f);
    assert_int_equal(eventual_promise(f->eventual), 0);
}

static void test_a_promise_is_made_again(void **state)
{
    struct eventual_fixture *f = *state;

    put_members(f, false);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    eventual_unpromise(f->eventual, CONF_VER);
    look(f);
    eventual_promise_again(f->eventual);
    assert_false(eventual_must_withdraw(f->eventual, CONF_VER));
    look(f);
    assert_int_equal(eventual_promise(f->eventual), hlc_of(f, "a"));
}

/* The tombstones for which it was made may be gone. */
static void test_a_promise_is_taken_back_where_nothing_is_removed(void **state)
{
    struct eventual_fixture *f = *state;

    put_members(f, false);
    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(unlink_name(f, "a"), 0);
    look(f);
    assert_int_equal(create(f, "a"), 0);
    look(f);
    assert_true(eventual_promise(f->eventual) != 0);
    eventual_unpromise(f->eventual, CONF_VER);
    look(f);
    assert_int_equal(eventual_promise(f->eventual), 0);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, setup_eventual, teardown_eventual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_promised_as_long_as_nothing_is_removed),
        TEST(test_a_promise_is_taken_back_for_good),
        TEST(test_a_promise_is_made_again),
        TEST(test_a_promise_is_taken_back_where_nothing_is_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
