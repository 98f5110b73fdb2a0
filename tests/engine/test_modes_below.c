/* SPDX-License-Identifier: Apache-2.0 */

/* Directories that follow the one that they have their mode from. */

#include "kv_helpers.h"
#include "modes_fixture.h"

static void put_child(struct fixture *f, uint64_t parent, const char *name,
                      uint64_t nsid)
{
    uint8_t number[8];

    be64_put(number, nsid);
    put_record(f->kv, key_directory_name(parent, slice_of(name)),
               (struct slice){number, sizeof number});
}

/* 3 with 4 in it, which has 5; and 6 beside that, which has 7. */
static void put_tree(struct fixture *f, struct mode mode)
{
    put_mode(f, 3, mode);
    put_mode(f, 4, mode);
    put_mode(f, 5, mode);
    put_child(f, 3, "a", 4);
    put_child(f, 4, "b", 5);
    put_child(f, 3, "b", 6);
    put_child(f, 6, "c", 7);
}

static void test_what_is_below_follows(void **state)
{
    struct fixture *f = *state;

    put_directory(f, 6, MODE_EVENTUAL, 5);
    put_directory(f, 7, MODE_EVENTUAL, 5);
    put_tree(f, (struct mode){MODE_STRONG, 3, 8, 8});
    assert_int_equal(modes_follow(f->modes, f->kv, 6, 7), 0);
    assert_int_equal(f->change_count, 2);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 8), 0);
    assert_int_equal(f->change_count, 5);
    assert_true(mode_is_filling(modes_find(f->modes, 5)));
    assert_int_equal(modes_find(f->modes, 7).epoch, 5);
    put_tree(f, (struct mode){MODE_EVENTUAL, 3, 8, 9});
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 9), 0);
    assert_int_equal(f->change_count, 8);
    assert_int_equal(modes_find(f->modes, 5).state, MODE_EVENTUAL);
    assert_false(modes_any_filling(f->modes));
}

/* What did not change has nothing below it that did. */
static void test_below_what_stays_nothing_is_looked_for(void **state)
{
    struct fixture *f = *state;

    put_tree(f, (struct mode){MODE_EVENTUAL, 3, 8, 9});
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 9), 0);
    put_directory(f, 5, MODE_EVENTUAL, 12);
    assert_int_equal(modes_follow(f->modes, f->kv, 3, 12), 0);
    assert_int_equal(f->change_count, 3);
    put_record(f->kv, key_directory_name(4, slice_of("b")), slice_of("bad"));
    put_mode(f, 4, (struct mode){MODE_EVENTUAL, 3, 8, 13});
    assert_int_equal(modes_follow(f->modes, f->kv, 4, 13), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_what_is_below_follows),
        WITH_STORE(test_below_what_stays_nothing_is_looked_for),
    };

    return cmocka_run_group_tests_name("modes_below", tests, NULL, NULL);
}
