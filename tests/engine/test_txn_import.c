/* SPDX-License-Identifier: Apache-2.0 */

/* What is sent of an eventual directory that becomes strong, and in which
 * pieces. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/eventual_record.h"
#include "import_fixture.h"
#include "kv_helpers.h"

/* ---- what is sent ---- */

static void test_an_empty_directory_takes_nothing(void **state)
{
    struct fixture *f = *state;

    put(f, DIR_NSID, "gone", 0, true);
    put(f, DIR_NSID + 1, "other", 3, false);
    start(f);
    expect_end(f, 0);
}

static void test_what_is_there_is_sent_in_order(void **state)
{
    struct fixture *f = *state;
    struct router *router = &f->router;

    put_files(f, 3, 10);
    put(f, DIR_NSID, "01x", 0, true);
    put(f, DIR_NSID - 1, "other", 3, false);
    start(f);
    assert_int_equal(router->count, 3);
    assert_string_equal(router->names[0], "00");
    assert_string_equal(router->names[2], "02");
    answer(f, 0, router->size);
    expect_end(f, 0);
}

static void test_many_files_go_in_several_commands(void **state)
{
    struct fixture *f = *state;
    struct router *router = &f->router;
    size_t count = 0;
    unsigned commands = 0;

    put_files(f, 50, 20000);
    start(f);
    while (router->call != NULL) {
        char name[NAME_MAX_SIZE];

        (void)snprintf(name, sizeof name, "%02zu", count);
        assert_string_equal(router->names[0], name);
        assert_in_range(router->size, 1, EVENTUAL_ITEMS_SIZE);
        count += router->count;
        commands++;
        answer(f, 0, router->size);
    }
    expect_end(f, 0);
    assert_int_equal(count, 50);
    assert_int_equal(commands, 4);
}

static void test_the_largest_file_goes_alone(void **state)
{
    struct fixture *f = *state;
    struct router *router = &f->router;

    put(f, DIR_NSID, "a", 1, false);
    put(f, DIR_NSID, "b", EVENTUAL_VALUE_SIZE_MAX, false);
    put(f, DIR_NSID, "c", 1, false);
    start(f);
    for (const char *name = "abc"; *name != '\0'; name++) {
        assert_int_equal(router->count, 1);
        assert_int_equal(router->names[0][0], *name);
        answer(f, 0, router->size);
    }
    expect_end(f, 0);
}

static void test_what_a_region_has_not_goes_to_the_next(void **state)
{
    struct fixture *f = *state;
    struct router *router = &f->router;

    put_files(f, 4, 10);
    start(f);
    answer(f, 0, router->sizes[0] + router->sizes[1]);
    assert_int_equal(router->count, 2);
    assert_string_equal(router->names[0], "02");
    answer(f, 0, router->sizes[0]);
    assert_int_equal(router->count, 1);
    assert_string_equal(router->names[0], "03");
    answer(f, 0, router->size);
    expect_end(f, 0);
}

/* ---- with directories ---- */

/* All that is asked for next, NSID:NAME each, and is taken. A directory's name
 * ends with a slash; what a file beside it is shown as is cut. */
static void expect_items(struct fixture *f, const char *items)
{
    struct router *router = &f->router;
    char all[256] = "";

    assert_non_null(router->call);
    for (size_t i = 0; i < router->count; i++) {
        size_t size = strlen(all);

        (void)snprintf(all + size, sizeof all - size, "%s%" PRIu64 ":%.7s%s",
                       i > 0 ? " " : "", router->dirs[i], router->names[i],
                       router->is_dir[i] ? "/" : "");
    }
    assert_string_equal(all, items);
    answer(f, 0, router->size);
}

static void test_names_of_directories_come_before_files(void **state)
{
    struct fixture *f = *state;

    put(f, DIR_NSID, "a", 3, false);
    put_dir(f, DIR_NSID, "b");
    put_dir(f, DIR_NSID, "c");
    put_dir(f, DIR_NSID + 1, "other");
    start(f);
    expect_items(f, "5:b/ 5:c/ 5:a");
    expect_end(f, 0);
}

/* By their numbers; many small ones take one command. */
static void test_each_directory_below_it_has_its_turn(void **state)
{
    struct fixture *f = *state;

    domain_add(&f->below, 80);
    domain_add(&f->below, 90);
    domain_add(&f->below, 70);
    put_dir(f, DIR_NSID, "x");
    put(f, 80, "a", 3, false);
    put(f, 80, "gone", 0, true);
    put_dir(f, 70, "b");
    put(f, 70, "c", 3, false);
    start(f);
    expect_items(f, "5:x/ 70:b/ 70:c 80:a");
    expect_end(f, 0);
}

static void test_many_directories_go_in_several_commands(void **state)
{
    struct fixture *f = *state;
    struct router *router = &f->router;
    const unsigned total = 5000;
    char name[NAME_MAX_SIZE];
    unsigned commands = 0;
    unsigned count = 0;

    for (unsigned i = 0; i < total; i++) {
        (void)snprintf(name, sizeof name, "%040u", i);
        put_dir(f, DIR_NSID, name);
    }
    start(f);
    for (; router->call != NULL; commands++) {
        (void)snprintf(name, sizeof name, "%040u", count);
        assert_string_equal(router->names[0], name);
        assert_true(router->is_dir[0]);
        count += (unsigned)router->count;
        answer(f, 0, router->size);
    }
    expect_end(f, 0);
    assert_int_equal(count, total);
    assert_in_range(commands, 2, 5);
}

/* As it was shown, see eventual_read.h. */
static void test_a_file_beside_a_directory_gets_its_shown_name(void **state)
{
    struct fixture *f = *state;

    put(f, DIR_NSID, "a", 3, false);
    put(f, DIR_NSID, "b", 3, false);
    put_dir(f, DIR_NSID, "a");
    start(f);
    expect_items(f, "5:a/ 5:a~file- 5:b");
    expect_end(f, 0);
}

static void shown_name(struct fixture *f, char *name)
{
    put(f, DIR_NSID, "a", 3, false);
    put_dir(f, DIR_NSID, "a");
    start(f);
    (void)strcpy(name, f->router.names[1]);
    txn_import_cancel(&f->import);
}

static void test_a_shown_name_that_is_taken_ends_it(void **state)
{
    struct fixture *f = *state;
    char name[NAME_MAX_SIZE];

    shown_name(f, name);
    put(f, DIR_NSID, name, 3, false);
    start(f);
    expect_end(f, ERR_EXISTS);
    f->done = 0;
    put(f, DIR_NSID, name, 0, true);
    put_dir(f, DIR_NSID, name);
    start(f);
    expect_end(f, ERR_EXISTS);
}

/* ---- failures ---- */

static void test_a_file_that_cannot_be_read_ends_it(void **state)
{
    struct fixture *f = *state;

    put(f, DIR_NSID, "a", 3, false);
    put_record(f->node.env.state, key_user('v', DIR_NSID, slice_of("a")),
               slice_of("?"));
    start(f);
    expect_end(f, ERR_CORRUPT);
    assert_string_equal(f->node.searched, "a");
}

static void test_a_failure_ends_it(void **state)
{
    struct fixture *f = *state;

    put_files(f, 1, 10);
    start(f);
    answer(f, ERR_NO_SPACE, 0);
    expect_end(f, ERR_NO_SPACE);
}

static void test_an_answer_that_makes_no_sense_ends_it(void **state)
{
    struct fixture *f = *state;

    put_files(f, 2, 10);
    start(f);
    answer(f, 0, 0);
    expect_end(f, ERR_ABORTED);
    f->done = 0;
    start(f);
    answer(f, 0, f->router.size + 1);
    expect_end(f, ERR_ABORTED);
}

static void test_it_ends_without_a_word(void **state)
{
    struct fixture *f = *state;

    put_files(f, 2, 10);
    start(f);
    txn_import_cancel(&f->import);
    assert_null(f->router.call);
    txn_import_cancel(&f->import);
    assert_int_equal(f->done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_directory_takes_nothing),
        TEST(test_what_is_there_is_sent_in_order),
        TEST(test_many_files_go_in_several_commands),
        TEST(test_the_largest_file_goes_alone),
        TEST(test_what_a_region_has_not_goes_to_the_next),
        TEST(test_names_of_directories_come_before_files),
        TEST(test_each_directory_below_it_has_its_turn),
        TEST(test_many_directories_go_in_several_commands),
        TEST(test_a_file_beside_a_directory_gets_its_shown_name),
        TEST(test_a_shown_name_that_is_taken_ends_it),
        TEST(test_a_file_that_cannot_be_read_ends_it),
        TEST(test_a_failure_ends_it),
        TEST(test_an_answer_that_makes_no_sense_ends_it),
        TEST(test_it_ends_without_a_word),
    };

    return cmocka_run_group_tests_name("txn_import", tests, NULL, NULL);
}
