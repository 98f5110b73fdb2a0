/* SPDX-License-Identifier: Apache-2.0 */

/* Which pages of a directory are asked for, and of those below it, what is
 * accepted of them, and what ends it. */

#include <stdlib.h>
#include <string.h>

#include "export_fixture.h"

/* ---- pages ---- */

/* There is nothing that they could lack. */
static void test_an_empty_directory_waits_for_nobody(void **state)
{
    struct fixture *f = *state;

    assert_string_equal(f->node.asked, "");
    answer(f, 0, true, "");
    expect_end(f, 0);
    assert_int_equal(f->node.looks, 0);
}

static void test_each_file_is_accepted_here(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    put(f, "b", 70000);
    answer(f, 0, true, "");
    assert_int_equal(f->node.started_count, 2);
    assert_string_equal(f->node.started[0].name, "a");
    assert_string_equal(f->node.started[1].name, "b");
    assert_int_equal(f->node.started[1].size, 70000);
    f->node.all_keep = true;
    bring(f, 1, 0);
    assert_int_equal(f->done, 0);
    bring(f, 0, 0);
    expect_end(f, 0);
    assert_int_equal(f->node.looked_for, FIRST_NUMBER + 2);
}

static void test_a_page_follows_the_last_name_of_the_one_before(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    put(f, "bb", 0);
    answer(f, 0, false, "");
    assert_null(f->node.read);
    bring_all(f);
    expect_asked(f, "bb", false);
    put(f, "c", 0);
    answer(f, 0, false, "");
    bring_all(f);
    expect_asked(f, "c", false);
    f->node.all_keep = true;
    answer(f, 0, true, "");
    expect_end(f, 0);
    assert_int_equal(f->node.looked_for, FIRST_NUMBER + 3);
}

/* Its first name belongs to the page. */
static void test_behind_a_region_it_goes_on_in_the_next(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    answer(f, 0, false, "m");
    bring_all(f);
    expect_asked(f, "m", true);
    answer(f, 0, false, "q");
    expect_asked(f, "q", true);
    put(f, "r", 0);
    answer(f, 0, false, "");
    bring_all(f);
    expect_asked(f, "r", false);
    f->node.all_keep = true;
    answer(f, 0, true, "");
    expect_end(f, 0);
}

static void test_many_files_are_under_way_but_not_all(void **state)
{
    struct fixture *f = *state;
    const size_t count = 3 * BRINGS_MAX + 5;

    put_files(f, count);
    answer(f, 0, true, "");
    assert_int_equal(f->node.started_count, BRINGS_MAX);
    bring(f, 10, 0);
    assert_int_equal(f->node.started_count, BRINGS_MAX + 1);
    f->node.all_keep = true;
    bring_all(f);
    expect_end(f, 0);
    assert_int_equal(f->node.started_count, count);
    assert_int_equal(f->node.running_max, BRINGS_MAX);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(strtoul(f->node.started[i].name, NULL, 10), i);
}

/* ---- with what is below it ---- */

static void expect_directory(const struct fixture *f, uint64_t nsid,
                             size_t further)
{
    assert_non_null(f->node.read);
    assert_int_equal(f->node.question.dir, nsid);
    assert_int_equal(domain_count(f->node.question.further), further);
}

/* By their numbers. */
static void test_each_directory_is_read_to_its_end(void **state)
{
    struct fixture *f = *state;

    expect_directory(f, DIR_NSID, 2);
    put(f, "a", 0);
    answer(f, 0, false, "m");
    bring_all(f);
    expect_directory(f, DIR_NSID, 2);
    expect_asked(f, "m", true);
    answer(f, 0, true, "");
    expect_directory(f, 70, 1);
    expect_asked(f, "", false);
    put(f, "b", 0);
    answer(f, 0, true, "");
    bring_all(f);
    expect_directory(f, 80, 0);
    put(f, "c", 0);
    answer(f, 0, true, "");
    assert_int_equal(f->done, 0);
    f->node.all_keep = true;
    bring_all(f);
    expect_end(f, 0);
    assert_int_equal(f->node.looked_for, FIRST_NUMBER + 3);
}

static void test_a_page_may_have_files_of_several(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    go_on_with(f, 70);
    put(f, "b", 0);
    go_on_with(f, 80);
    put(f, "c", 0);
    f->node.all_keep = true;
    answer(f, 0, true, "");
    assert_int_equal(f->node.started_count, 3);
    assert_int_equal(f->node.started[0].dir, DIR_NSID);
    assert_int_equal(f->node.started[1].dir, 70);
    assert_int_equal(f->node.started[2].dir, 80);
    bring_all(f);
    expect_end(f, 0);
}

/* Behind its last file, which need not have that name alone. */
static void test_what_a_page_has_not_of_the_last_one_comes_next(void **state)
{
    struct fixture *f = *state;

    put(f, "x", 0);
    go_on_with(f, 70);
    put(f, "b", 0);
    answer(f, 0, false, "");
    bring_all(f);
    expect_directory(f, 70, 1);
    expect_asked(f, "b", false);
    put(f, "c", 0);
    go_on_with(f, 80);
    answer(f, 0, true, "");
    f->node.all_keep = true;
    bring_all(f);
    expect_end(f, 0);
}

/* The first one may have come to its end behind a region's. */
static void test_it_goes_on_with_others_behind_a_region(void **state)
{
    struct fixture *f = *state;

    answer(f, 0, false, "m");
    expect_directory(f, DIR_NSID, 2);
    go_on_with(f, 70);
    answer(f, 0, true, "");
    expect_directory(f, 80, 0);
    answer(f, 0, true, "");
    expect_end(f, 0);
}

/* In the order in which they were listed. */
static void expect_times(const struct fixture *f)
{
    static const uint64_t nsids[] = {DIR_NSID, 80, 70};

    assert_int_equal(f->export.mtimes->size, 8 * ARRAY_SIZE(nsids));
    for (size_t i = 0; i < ARRAY_SIZE(nsids); i++)
        assert_int_equal(be64_get(f->export.mtimes->data + 8 * i),
                         10 * nsids[i]);
}

static void test_the_times_of_each_are_told(void **state)
{
    struct fixture *f = *state;

    answer(f, 0, true, "");
    answer(f, 0, true, "");
    answer(f, 0, true, "");
    expect_end(f, 0);
    expect_times(f);
}

static void test_the_times_of_several_come_with_one_page(void **state)
{
    struct fixture *f = *state;

    answer(f, 0, false, "m");
    go_on_with(f, 70);
    go_on_with(f, 80);
    answer(f, 0, true, "");
    expect_end(f, 0);
    assert_int_equal(f->node.looks, 0); /* There are no files. */
    expect_times(f);
}

/* A page of so many bytes, with times of so many more. */
static void answer_nonsense(struct fixture *f, size_t size, uint64_t further)
{
    struct read_op *read = f->node.read;
    struct result result = {.offset = further, .at_end = true};

    result.data_buf = buf_new(size);
    result.data = buf_slice(result.data_buf);
    f->node.read = NULL;
    read->active = false;
    read->done(read, 0, &result);
    result_release(&result);
    expect_end(f, ERR_CORRUPT);
}

static void test_a_page_of_too_many_is_damage(void **state)
{
    answer_nonsense(*state, 100, 3);
}

static void test_a_page_without_times_is_damage(void **state)
{
    answer_nonsense(*state, 8 * 3 - 1, 2);
}

static void test_a_file_below_it_may_be_too_large(void **state)
{
    struct fixture *f = *state;

    answer(f, 0, true, "");
    answer(f, ERR_TOO_LARGE, false, "");
    expect_end(f, ERR_TOO_LARGE);
    assert_int_equal(f->node.warnings, 1);
    assert_non_null(strstr(f->node.warning, "directory #5 stays strong"));
    assert_non_null(strstr(f->node.warning, "directory #70 "));
    assert_true(f->export.has_said);
}

/* ---- until all nodes have it ---- */

static void bring_one_file(struct fixture *f)
{
    put(f, "a", 0);
    answer(f, 0, true, "");
    bring(f, 0, 0);
}

static void test_it_waits_until_all_have_it_safely(void **state)
{
    struct fixture *f = *state;

    bring_one_file(f);
    for (unsigned i = 0; i < 10; i++)
        fake_env_pass(&f->node.fake, TIMEOUT_MS / 20);
    assert_int_equal(f->done, 0);
    assert_true(f->node.looks > 5);
    f->node.all_keep = true;
    fake_env_pass(&f->node.fake, TIMEOUT_MS / 20);
    expect_end(f, 0);
    assert_int_equal(f->node.warnings, 0);
}

static void test_it_does_not_wait_for_ever(void **state)
{
    struct fixture *f = *state;

    bring_one_file(f);
    fake_env_pass(&f->node.fake, TIMEOUT_MS / 2);
    assert_int_equal(f->done, 0);
    fake_env_pass(&f->node.fake, TIMEOUT_MS / 2);
    expect_end(f, ERR_NO_QUORUM);
    assert_int_equal(f->node.warnings, 1);
    assert_non_null(strstr(f->node.warning, "directory #5 "));
    assert_non_null(strstr(f->node.warning, "node 4 "));
    assert_true(f->export.has_said);
}

/* The last page need not have any. */
static void test_what_an_earlier_page_had_is_waited_for(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    answer(f, 0, false, "m");
    bring(f, 0, 0);
    answer(f, 0, true, "");
    assert_int_equal(f->done, 0);
    assert_int_equal(f->node.looked_for, FIRST_NUMBER + 1);
    f->node.all_keep = true;
    fake_env_pass(&f->node.fake, TIMEOUT_MS / 20);
    expect_end(f, 0);
}

/* ---- failures ---- */

static void test_a_page_that_cannot_be_read_ends_it(void **state)
{
    struct fixture *f = *state;

    answer(f, ERR_NOT_EMPTY, false, "");
    expect_end(f, ERR_NOT_EMPTY);
}

/* What is under way has an op of this export. */
static void test_the_first_failure_ends_it_when_the_rest_is_back(void **state)
{
    struct fixture *f = *state;

    put_files(f, BRINGS_MAX + 5);
    answer(f, 0, true, "");
    bring(f, 3, 0);
    bring(f, 5, ERR_NO_SPACE);
    assert_int_equal(f->node.started_count, BRINGS_MAX + 1);
    bring(f, 4, ERR_READ_ONLY);
    assert_int_equal(f->done, 0);
    bring_all(f);
    expect_end(f, ERR_NO_SPACE);
    assert_int_equal(f->node.started_count, BRINGS_MAX + 1);
    assert_int_equal(f->node.looks, 0);
}

static void test_a_life_that_is_over_aborts_it(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    answer(f, 0, false, "");
    bring(f, 0, ERR_EPOCH);
    expect_end(f, ERR_ABORTED);
}

static void test_what_makes_no_sense_is_not_brought(void **state)
{
    struct fixture *f = *state;

    put(f, "a", 0);
    f->page->data[f->page->size - 1] ^= 0xff;
    f->page->data[5] ^= 0xff;
    answer(f, 0, true, "");
    expect_end(f, ERR_CORRUPT);
    assert_int_equal(f->node.started_count, 0);
}

/* ---- the end from outside ---- */

static void cancel(struct fixture *f)
{
    txn_export_cancel(&f->export);
    txn_export_cancel(&f->export);
    assert_null(f->node.read);
    for (size_t i = 0; i < f->node.started_count; i++)
        assert_null(f->node.started[i].op);
    fake_env_pass(&f->node.fake, TIMEOUT_MS);
    assert_int_equal(f->done, 0);
}

static void test_it_ends_without_a_word_while_it_reads(void **state)
{
    cancel(*state);
}

static void test_it_ends_without_a_word_while_files_are_brought(void **state)
{
    struct fixture *f = *state;

    put_files(f, 5);
    answer(f, 0, true, "");
    bring(f, 2, 0);
    cancel(f);
}

static void test_it_ends_without_a_word_while_others_take_them(void **state)
{
    struct fixture *f = *state;
    unsigned looks;

    bring_one_file(f);
    looks = f->node.looks;
    cancel(f);
    assert_int_equal(f->node.looks, looks);
}

static void test_what_is_over_is_not_ended_again(void **state)
{
    struct fixture *f = *state;

    answer(f, ERR_ABORTED, false, "");
    txn_export_cancel(&f->export);
    expect_end(f, ERR_ABORTED);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_export, teardown_export)
#define TEST_TREE(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_export_tree, teardown_export)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_empty_directory_waits_for_nobody),
        TEST(test_each_file_is_accepted_here),
        TEST(test_a_page_follows_the_last_name_of_the_one_before),
        TEST(test_behind_a_region_it_goes_on_in_the_next),
        TEST(test_many_files_are_under_way_but_not_all),
        TEST_TREE(test_each_directory_is_read_to_its_end),
        TEST_TREE(test_a_page_may_have_files_of_several),
        TEST_TREE(test_what_a_page_has_not_of_the_last_one_comes_next),
        TEST_TREE(test_it_goes_on_with_others_behind_a_region),
        TEST_TREE(test_the_times_of_each_are_told),
        TEST_TREE(test_the_times_of_several_come_with_one_page),
        TEST_TREE(test_a_page_of_too_many_is_damage),
        TEST_TREE(test_a_page_without_times_is_damage),
        TEST_TREE(test_a_file_below_it_may_be_too_large),
        TEST(test_it_waits_until_all_have_it_safely),
        TEST(test_it_does_not_wait_for_ever),
        TEST(test_what_an_earlier_page_had_is_waited_for),
        TEST(test_a_page_that_cannot_be_read_ends_it),
        TEST(test_the_first_failure_ends_it_when_the_rest_is_back),
        TEST(test_a_life_that_is_over_aborts_it),
        TEST(test_what_makes_no_sense_is_not_brought),
        TEST(test_it_ends_without_a_word_while_it_reads),
        TEST(test_it_ends_without_a_word_while_files_are_brought),
        TEST(test_it_ends_without_a_word_while_others_take_them),
        TEST(test_what_is_over_is_not_ended_again),
    };

    return cmocka_run_group_tests_name("txn_export", tests, NULL, NULL);
}
