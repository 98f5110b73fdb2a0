/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/inode.h"

enum { DIR = 7 };

static const uint64_t FILE_A = INO_FILE_MIN;
static const uint64_t FILE_B = INO_FILE_MIN + 1;

struct fixture {
    struct inode_table table;
};

static int setup(void **state)
{
    static struct fixture f;

    inode_table_init(&f.table);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    inode_table_check(&f->table);
    inode_table_close(&f->table);
    return 0;
}

static uint64_t look_up(struct fixture *f, uint64_t ino, const char *name)
{
    return inode_remember(&f->table, DIR, name,
                          &(struct attr){.ino = ino, .mode = 0100644});
}

/* The place of an inode as DIR's name; "" when it is gone or elsewhere. */
static const char *name_of(struct fixture *f, uint64_t id)
{
    static struct place place;
    struct inode *inode = inode_get(&f->table, id);
    const bool gone = inode->gone;

    assert_non_null(inode);
    inode_place(inode, &place);
    inode_unref(&f->table, inode);
    return gone || place.dir != DIR ? "" : place.name;
}

static struct place at(const char *name)
{
    struct place place = {.dir = DIR};

    memcpy(place.name, name, strlen(name) + 1);
    return place;
}

static void test_root_is_one_and_directories_keep_their_top_bit(void **state)
{
    (void)state;
    assert_int_equal(inode_id_of_ino(ino_of_nsid(NSID_ROOT)), INODE_ID_ROOT);
    assert_int_equal(inode_nsid(INODE_ID_ROOT), NSID_ROOT);
    assert_int_equal(inode_nsid(ino_of_nsid(9)), 9);
    assert_int_equal(inode_nsid(FILE_A), 0);
}

static void test_the_root_is_never_forgotten(void **state)
{
    struct fixture *f = *state;
    struct inode *root;

    inode_forget(&f->table, INODE_ID_ROOT, 5);
    root = inode_get(&f->table, INODE_ID_ROOT);
    assert_non_null(root);
    inode_unref(&f->table, root);
}

/* The kernel counts each reply, also those about what it knows already. */
static void test_lives_until_every_lookup_is_forgotten(void **state)
{
    struct fixture *f = *state;

    look_up(f, FILE_A, "a");
    look_up(f, FILE_A, "a");
    inode_forget(&f->table, FILE_A, 1);
    assert_string_equal(name_of(f, FILE_A), "a");
    inode_forget(&f->table, FILE_A, 1);
    assert_null(inode_get(&f->table, FILE_A));
    assert_null(inode_find(&f->table, DIR, "a"));
}

static void test_lives_while_somebody_holds_a_reference(void **state)
{
    struct fixture *f = *state;
    struct inode *a;

    look_up(f, FILE_A, "a");
    a = inode_get(&f->table, FILE_A);
    inode_forget(&f->table, FILE_A, 1);
    assert_string_equal(name_of(f, FILE_A), "a");
    inode_unref(&f->table, a);
    assert_null(inode_get(&f->table, FILE_A));
}

static void test_a_rename_moves_the_file_and_removes_the_target(void **state)
{
    struct fixture *f = *state;
    const struct place a = at("a");
    const struct place b = at("b");

    look_up(f, FILE_A, "a");
    look_up(f, FILE_B, "b");
    inode_renamed(&f->table, &a, &b);
    assert_string_equal(name_of(f, FILE_A), "b");
    assert_string_equal(name_of(f, FILE_B), "");
    inode_table_check(&f->table);
}

static void test_an_exchange_swaps(void **state)
{
    struct fixture *f = *state;
    const struct place a = at("a");
    const struct place b = at("b");

    look_up(f, FILE_A, "a");
    look_up(f, FILE_B, "b");
    inode_exchanged(&f->table, &a, &b);
    assert_string_equal(name_of(f, FILE_A), "b");
    assert_string_equal(name_of(f, FILE_B), "a");
    inode_exchanged(&f->table, &a, &b);
    assert_string_equal(name_of(f, FILE_A), "a");
}

static void test_an_exchange_with_an_unknown_file_moves_one(void **state)
{
    struct fixture *f = *state;
    const struct place a = at("a");
    const struct place b = at("b");

    look_up(f, FILE_A, "a");
    inode_exchanged(&f->table, &b, &a);
    assert_string_equal(name_of(f, FILE_A), "b");
}

/* Another node has replaced the file: the name is the newer one's. */
static void test_a_name_belongs_to_who_was_found_there_last(void **state)
{
    struct fixture *f = *state;
    struct inode *found;

    look_up(f, FILE_A, "a");
    look_up(f, FILE_B, "a");
    found = inode_find(&f->table, DIR, "a");
    assert_int_equal(found->id, FILE_B);
    inode_unref(&f->table, found);
    inode_removed(&f->table, DIR, "a");
    assert_string_equal(name_of(f, FILE_B), "");
    inode_forget(&f->table, FILE_A, 1);
    inode_table_check(&f->table);
}

/* Or the kernel would take both names for links of one file. */
static void test_a_file_found_at_a_second_name_has_a_second_number(void **state)
{
    struct fixture *f = *state;
    uint64_t second;

    assert_true(look_up(f, FILE_A, "a") == FILE_A);
    second = look_up(f, FILE_A, "b");
    assert_true(second != FILE_A && second < INO_FILE_MIN);
    assert_true(look_up(f, FILE_A, "b") == second);
    assert_string_equal(name_of(f, FILE_A), "a");
    assert_string_equal(name_of(f, second), "b");
    assert_true(look_up(f, FILE_A, "c") != second);
}

static void test_the_engine_knows_the_number_of_both(void **state)
{
    struct fixture *f = *state;
    struct inode *second;

    look_up(f, FILE_A, "a");
    second = inode_get(&f->table, look_up(f, FILE_A, "b"));
    assert_true(second->ino == FILE_A);
    inode_unref(&f->table, second);
}

static void test_a_file_that_was_forgotten_keeps_its_number(void **state)
{
    struct fixture *f = *state;

    look_up(f, FILE_A, "a");
    inode_forget(&f->table, FILE_A, 1);
    assert_true(look_up(f, FILE_A, "b") == FILE_A);
}

static void test_our_own_rename_keeps_the_number(void **state)
{
    struct fixture *f = *state;
    const struct place a = at("a");
    const struct place b = at("b");

    look_up(f, FILE_A, "a");
    inode_renamed(&f->table, &a, &b);
    assert_true(look_up(f, FILE_A, "b") == FILE_A);
}

static void test_a_directory_has_one_number(void **state)
{
    struct fixture *f = *state;
    const uint64_t id = ino_of_nsid(9);

    assert_true(look_up(f, id, "a") == id);
    assert_true(look_up(f, id, "b") == id);
    assert_string_equal(name_of(f, id), "b");
}

/* Answers can overtake each other. */
static void test_the_greatest_version_of_attributes_stays(void **state)
{
    struct fixture *f = *state;
    struct inode *a;

    look_up(f, FILE_A, "a");
    a = inode_get(&f->table, FILE_A);
    inode_saw(&f->table, a, &(struct attr){.size = 5, .version = 9});
    inode_saw(&f->table, a, &(struct attr){.size = 3, .version = 8});
    assert_int_equal(inode_attr(&f->table, FILE_A).size, 5);
    inode_unref(&f->table, a);
}

static bool is_fresh(struct fixture *f, pid_t pid, uint64_t now_ns)
{
    struct inode *a = inode_get(&f->table, FILE_A);
    struct attr attr;
    const bool fresh = inode_is_fresh(&f->table, a, pid, now_ns, &attr);

    inode_unref(&f->table, a);
    return fresh;
}

static void
test_what_was_told_is_fresh_for_a_while_for_that_thread(void **state)
{
    const struct attr attr = {.ino = FILE_A, .version = 9};
    struct fixture *f = *state;

    inode_remember(&f->table, DIR, "a", &attr);
    assert_false(is_fresh(f, 5, 0));
    inode_told(&f->table, FILE_A, &attr, 5, 100);
    assert_true(is_fresh(f, 5, 99));
    assert_false(is_fresh(f, 5, 100));
    assert_false(is_fresh(f, 6, 99));
    inode_told(&f->table, FILE_A, &attr, 0, 100);
    assert_false(is_fresh(f, 0, 99));
}

static void test_what_looks_older_than_seen_is_not_fresh(void **state)
{
    const struct attr before = {.ino = FILE_A, .version = 9};
    const struct attr now = {.ino = FILE_A, .version = 8};
    struct fixture *f = *state;

    inode_remember(&f->table, DIR, "a", &before);
    inode_remember(&f->table, DIR, "a", &now);
    inode_told(&f->table, FILE_A, &now, 5, 100);
    assert_false(is_fresh(f, 5, 99));
}

static void test_what_moved_or_is_gone_is_not_fresh(void **state)
{
    const struct attr attr = {.ino = FILE_A, .version = 9};
    const struct place from = at("a");
    const struct place to = at("b");
    struct fixture *f = *state;

    inode_remember(&f->table, DIR, "a", &attr);
    inode_told(&f->table, FILE_A, &attr, 5, 100);
    inode_renamed(&f->table, &from, &to);
    assert_false(is_fresh(f, 5, 99));
    inode_told(&f->table, FILE_A, &attr, 5, 100);
    inode_removed(&f->table, DIR, "b");
    assert_false(is_fresh(f, 5, 99));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_root_is_one_and_directories_keep_their_top_bit),
        TEST(test_the_root_is_never_forgotten),
        TEST(test_lives_until_every_lookup_is_forgotten),
        TEST(test_lives_while_somebody_holds_a_reference),
        TEST(test_a_rename_moves_the_file_and_removes_the_target),
        TEST(test_an_exchange_swaps),
        TEST(test_an_exchange_with_an_unknown_file_moves_one),
        TEST(test_a_name_belongs_to_who_was_found_there_last),
        TEST(test_a_file_found_at_a_second_name_has_a_second_number),
        TEST(test_the_engine_knows_the_number_of_both),
        TEST(test_a_file_that_was_forgotten_keeps_its_number),
        TEST(test_our_own_rename_keeps_the_number),
        TEST(test_a_directory_has_one_number),
        TEST(test_the_greatest_version_of_attributes_stays),
        TEST(test_what_was_told_is_fresh_for_a_while_for_that_thread),
        TEST(test_what_looks_older_than_seen_is_not_fresh),
        TEST(test_what_moved_or_is_gone_is_not_fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
