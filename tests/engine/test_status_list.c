/* SPDX-License-Identifier: Apache-2.0 */

/* What nodes tell each other of their replicas (engine/status_list.h): one
 * list, and one that follows it by what gets through. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/status_list.h"

struct fixture {
    struct status_list own;
    struct status_list theirs;
    struct region_status sent[STATUS_REGIONS_MAX];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    status_list_init(&f->own, 7);
    status_list_init(&f->theirs, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    status_list_release(&f->own);
    status_list_release(&f->theirs);
    free(f);
    return 0;
}

static void put(struct fixture *f, uint64_t region, uint64_t applied)
{
    struct region_status status = {.region = region, .applied = applied};

    status_list_put(&f->own, &status);
}

static struct status_changes changes_behind(struct fixture *f, uint64_t base)
{
    struct status_changes changes;

    status_list_changes(&f->own, base, f->sent, &changes);
    return changes;
}

/* What the other side has said that it knows. */
static uint64_t known(const struct fixture *f)
{
    return f->theirs.id == f->own.id ? f->theirs.change : 0;
}

/* One packet that arrives. Returns how many rows it had. */
static size_t tell(struct fixture *f)
{
    struct status_changes changes = changes_behind(f, known(f));

    status_list_follow(&f->theirs, &changes);
    return changes.region_count;
}

static uint64_t applied_there(const struct fixture *f, uint64_t region)
{
    const struct region_status *status = status_list_find(&f->theirs, region);

    return status == NULL ? 0 : status->applied;
}

static void test_only_changes_are_told(void **state)
{
    struct fixture *f = *state;

    put(f, 1, 10);
    put(f, 2, 20);
    assert_int_equal(tell(f), 2);
    put(f, 1, 10);
    assert_int_equal(tell(f), 0);
    put(f, 2, 21);
    assert_int_equal(tell(f), 1);
    assert_int_equal(applied_there(f, 1), 10);
    assert_int_equal(applied_there(f, 2), 21);
}

/* Until the other side says that it has them. */
static void test_lost_changes_are_told_again(void **state)
{
    struct fixture *f = *state;

    put(f, 1, 10);
    (void)tell(f);
    put(f, 1, 11);
    (void)changes_behind(f, known(f)); /* Lost. */
    put(f, 2, 20);
    assert_int_equal(tell(f), 2);
    assert_int_equal(applied_there(f, 1), 11);
}

/* Changes behind one that has not come would hide that it is missing. */
static void test_changes_with_a_gap_before_them_do_not_count(void **state)
{
    struct fixture *f = *state;
    struct status_changes late;

    put(f, 1, 10);
    put(f, 2, 20);
    late = changes_behind(f, 1);
    late.list = f->theirs.id = f->own.id;
    status_list_follow(&f->theirs, &late);
    assert_int_equal(known(f), 0);
    assert_int_equal(tell(f), 2);
    assert_int_equal(applied_there(f, 1), 10);
}

static void test_old_changes_do_not_come_back(void **state)
{
    struct fixture *f = *state;
    struct region_status old[1] = {{.region = 1, .applied = 10}};
    struct status_changes late = {.list = 7, .change = 1, .regions = old};

    late.region_count = 1;
    put(f, 1, 10);
    put(f, 1, 11);
    (void)tell(f);
    status_list_follow(&f->theirs, &late);
    assert_int_equal(applied_there(f, 1), 11);
}

/* More than fits into one packet. */
static void test_long_lists_take_several_packets(void **state)
{
    struct fixture *f = *state;
    size_t regions;
    size_t leaders;

    for (uint64_t i = 1; i <= STATUS_REGIONS_MAX + 5; i++)
        put(f, i, i);
    assert_int_equal(tell(f), STATUS_REGIONS_MAX);
    assert_int_equal(tell(f), 5);
    assert_int_equal(tell(f), 0);
    status_list_count(&f->theirs, 0, &regions, &leaders);
    assert_int_equal(regions, STATUS_REGIONS_MAX + 5);
    assert_int_equal(leaders, STATUS_REGIONS_MAX + 5);
}

/* Who has lost a row is told all over again; until then the old ones stay. */
static void test_a_row_that_goes_begins_a_new_list(void **state)
{
    struct fixture *f = *state;
    struct status_changes part;

    put(f, 1, 10);
    put(f, 2, 20);
    (void)tell(f);
    status_list_remove(&f->own, 1);
    part = changes_behind(f, f->own.change);
    status_list_follow(&f->theirs, &part);
    assert_int_equal(applied_there(f, 2), 20);
    assert_int_equal(tell(f), 1);
    assert_null(status_list_find(&f->theirs, 1));
    assert_int_equal(applied_there(f, 2), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_changes_are_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_lost_changes_are_told_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_changes_with_a_gap_before_them_do_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_changes_do_not_come_back,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_lists_take_several_packets,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_row_that_goes_begins_a_new_list,
                                        setup, teardown),
    };

    return cmocka_run_group_tests_name("status list", tests, NULL, NULL);
}
