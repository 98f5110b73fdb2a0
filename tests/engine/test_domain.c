/* SPDX-License-Identifier: Apache-2.0 */

/* Which directories change their mode together, and what lies in one. */

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/domain.h"
#include "exec_fixture.h"
#include "kv_helpers.h"

#define ROOT NSID_ROOT

enum { TOP = 50 };

/* ---- a catalog ---- */

static void put_dir(struct exec_fixture *f, uint64_t parent, const char *name,
                    uint64_t nsid, struct mode mode)
{
    const struct directory directory = {
        .nsid = nsid,
        .parent = parent,
        .name = slice_of(name),
        .attr = {.ino = ino_of_nsid(nsid), .mode = S_IFDIR | 0700},
        .mode = mode};
    struct buf *bytes = directory_encode(&directory);
    uint8_t number[8];

    be64_put(number, nsid);
    put_record(f->state, key_directory(nsid), buf_slice(bytes));
    put_record(f->state, key_directory_name(parent, directory.name),
               (struct slice){number, sizeof number});
    buf_unref(bytes);
}

static void put_strong(struct exec_fixture *f, uint64_t parent,
                       const char *name, uint64_t nsid)
{
    put_dir(f, parent, name, nsid, (struct mode){.epoch = 1});
}

static void put_eventual(struct exec_fixture *f, uint64_t parent,
                         const char *name, uint64_t nsid, uint64_t domain)
{
    put_dir(f, parent, name, nsid, (struct mode){MODE_EVENTUAL, domain, 5, 6});
}

static void put_filling(struct exec_fixture *f, uint64_t parent,
                        const char *name, uint64_t nsid, uint64_t domain)
{
    put_dir(f, parent, name, nsid, (struct mode){MODE_STRONG, domain, 5, 5});
}

static void drop(struct exec_fixture *f, struct key key)
{
    struct kv_batch *batch = kv_batch_new(f->state);

    kv_batch_delete(batch, key_slice(&key));
    assert_int_equal(kv_write(f->state, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
}

static void expect_list(struct exec_fixture *f, uint64_t top, size_t count,
                        const uint64_t *nsids)
{
    struct domain domain;

    assert_int_equal(domain_list(f->state, top, &domain), 0);
    assert_int_equal(domain.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(domain.nsids[i], nsids[i]);
    domain_release(&domain);
}

static void expect_error(struct exec_fixture *f, uint64_t top, int status)
{
    struct domain domain;

    assert_int_equal(domain_list(f->state, top, &domain), status);
    domain_release(&domain);
}

/* ---- listing ---- */

static void test_nothing_is_below_an_empty_one(void **state)
{
    struct exec_fixture *f = *state;

    put_strong(f, ROOT, "t", TOP);
    put_strong(f, ROOT, "u", TOP + 1);
    expect_list(f, TOP, 0, NULL);
    expect_error(f, 999, ERR_NOT_FOUND);
}

static void test_each_one_comes_behind_its_parent(void **state)
{
    struct exec_fixture *f = *state;
    const uint64_t expected[] = {70, 52, 51, 60, 53};

    put_strong(f, ROOT, "t", TOP);
    put_strong(f, TOP, "b", 52);
    put_strong(f, TOP, "a", 70);
    put_strong(f, 70, "z", 60);
    put_strong(f, 70, "c", 51);
    put_strong(f, 52, "a", 53);
    expect_list(f, TOP, ARRAY_SIZE(expected), expected);
}

static void test_what_has_its_own_mode_is_left_out_with_what_is_below(void **s)
{
    struct exec_fixture *f = *s;
    const uint64_t strong[] = {52};
    const uint64_t eventual[] = {62, 63};

    put_strong(f, ROOT, "t", TOP);
    put_eventual(f, TOP, "a", 51, 51);
    put_eventual(f, 51, "b", 54, 51);
    put_strong(f, TOP, "b", 52);
    expect_list(f, TOP, ARRAY_SIZE(strong), strong);
    put_eventual(f, ROOT, "u", 60, 60);
    put_eventual(f, 60, "a", 61, 61);
    put_eventual(f, 61, "b", 64, 61);
    put_eventual(f, 60, "b", 62, 60);
    put_eventual(f, 62, "c", 63, 60);
    expect_list(f, 60, ARRAY_SIZE(eventual), eventual);
}

static void put_own_strong(struct exec_fixture *f, uint64_t parent,
                           const char *name, uint64_t nsid)
{
    put_dir(f, parent, name, nsid, (struct mode){MODE_STRONG, nsid, 0, 9});
}

static void test_one_that_is_strong_by_itself_is_left_out(void **state)
{
    struct exec_fixture *f = *state;
    const uint64_t strong[] = {52};
    const uint64_t below[] = {54};
    const uint64_t eventual[] = {63};

    put_strong(f, ROOT, "t", TOP);
    put_own_strong(f, TOP, "a", 51);
    put_strong(f, 51, "b", 54);
    put_strong(f, TOP, "b", 52);
    expect_list(f, TOP, ARRAY_SIZE(strong), strong);
    expect_list(f, 51, ARRAY_SIZE(below), below);
    put_eventual(f, ROOT, "u", 60, 60);
    put_own_strong(f, 60, "a", 61);
    put_strong(f, 61, "b", 62);
    put_eventual(f, 60, "b", 63, 60);
    expect_list(f, 60, ARRAY_SIZE(eventual), eventual);
}

static void test_one_that_is_filled_by_itself_is_in_the_way(void **state)
{
    struct exec_fixture *f = *state;
    const uint64_t filled[] = {51};

    put_strong(f, ROOT, "t", TOP);
    put_filling(f, TOP, "a", 51, 51);
    expect_error(f, TOP, ERR_BUSY);
    put_filling(f, ROOT, "t", TOP, TOP);
    put_filling(f, TOP, "a", 51, TOP);
    expect_list(f, TOP, ARRAY_SIZE(filled), filled);
}

static void test_a_name_of_nothing_is_damage(void **state)
{
    struct exec_fixture *f = *state;
    struct key name = key_directory_name(TOP, slice_of("a"));

    put_strong(f, ROOT, "t", TOP);
    put_strong(f, TOP, "a", 51);
    drop(f, key_directory(51));
    expect_error(f, TOP, ERR_CORRUPT);
    put_record(f->state, name, slice_of("short"));
    expect_error(f, TOP, ERR_CORRUPT);
    drop(f, name);
}

static void test_there_may_be_only_so_many(void **state)
{
    struct exec_fixture *f = *state;
    struct domain domain;
    char name[16];

    put_strong(f, ROOT, "t", TOP);
    for (int i = 0; i < DOMAIN_DIRECTORIES_MAX; i++) {
        (void)snprintf(name, sizeof name, "%06d", i);
        put_strong(f, TOP, name, 1000 + (uint64_t)i);
    }
    assert_int_equal(domain_list(f->state, TOP, &domain), 0);
    assert_int_equal(domain.count, DOMAIN_DIRECTORIES_MAX);
    domain_release(&domain);
    put_strong(f, 1000, "more", 900);
    expect_error(f, TOP, ERR_TOO_LARGE);
}

/* ---- bytes ---- */

static void test_bytes_say_the_same(void **state)
{
    const uint64_t nsids[] = {7, UINT64_C(0x0102030405060708), 1};
    struct domain domain = {.count = 0};
    struct domain same;
    struct buf *bytes;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(nsids); i++)
        domain_add(&domain, nsids[i]);
    bytes = domain_encode(&domain);
    assert_int_equal(bytes->size, 8 * ARRAY_SIZE(nsids));
    assert_memory_equal(bytes->data + 8, "\1\2\3\4\5\6\7\10", 8);
    assert_int_equal(domain_decode(buf_slice(bytes), &same), 0);
    assert_int_equal(same.count, ARRAY_SIZE(nsids));
    assert_memory_equal(same.nsids, nsids, sizeof nsids);
    domain_release(&same);
    domain_release(&domain);
    buf_unref(bytes);
}

static void test_no_bytes_say_none(void **state)
{
    const struct domain none = {.count = 0};
    struct buf *bytes = domain_encode(&none);
    struct domain domain;

    (void)state;
    assert_int_equal(bytes->size, 0);
    assert_int_equal(domain_decode(buf_slice(bytes), &domain), 0);
    assert_int_equal(domain.count, 0);
    assert_int_equal(domain_decode((struct slice){NULL, 0}, &domain), 0);
    buf_unref(bytes);
}

static void test_bytes_that_make_no_sense_are_damage(void **state)
{
    static const uint8_t zeroes[8 * (DOMAIN_DIRECTORIES_MAX + 1)];
    struct domain domain;

    (void)state;
    assert_int_equal(domain_decode((struct slice){zeroes, 7}, &domain),
                     ERR_CORRUPT);
    assert_int_equal(
        domain_decode((struct slice){zeroes, sizeof zeroes}, &domain),
        ERR_CORRUPT);
    assert_int_equal(
        domain_decode((struct slice){zeroes, sizeof zeroes - 8}, &domain), 0);
    assert_int_equal(domain.count, DOMAIN_DIRECTORIES_MAX);
    domain_release(&domain);
}

static void test_they_are_sorted_by_their_numbers(void **state)
{
    static const uint64_t nsids[] = {UINT64_MAX, 7, 1, UINT64_MAX - 1, 9};
    static const uint64_t sorted[] = {1, 7, 9, UINT64_MAX - 1, UINT64_MAX};
    struct domain domain = {.count = 0};
    struct domain copy;

    (void)state;
    domain_sort(&domain);
    for (size_t i = 0; i < ARRAY_SIZE(nsids); i++)
        domain_add(&domain, nsids[i]);
    copy = domain_sorted(&domain);
    assert_int_equal(copy.count, ARRAY_SIZE(nsids));
    assert_memory_equal(copy.nsids, sorted, sizeof sorted);
    assert_memory_equal(domain.nsids, nsids, sizeof nsids);
    domain_release(&copy);
    domain_release(&domain);
}

static void test_a_command_takes_some_of_them(void **state)
{
    const size_t count = 3 * COMMAND_FURTHER_MAX / 2;
    struct domain domain = {.count = 0};
    struct buf *bytes;
    struct slice some;

    (void)state;
    for (uint64_t i = 0; i < count; i++)
        domain_add(&domain, 5 + i);
    bytes = domain_encode(&domain);
    some = domain_further(buf_slice(bytes), 0);
    assert_int_equal(domain_count(some), COMMAND_FURTHER_MAX);
    some = domain_further(buf_slice(bytes), COMMAND_FURTHER_MAX);
    assert_int_equal(domain_count(some), count - COMMAND_FURTHER_MAX);
    assert_int_equal(domain_nsid_at(some, 1), 5 + COMMAND_FURTHER_MAX + 1);
    some = domain_further(buf_slice(bytes), count);
    assert_int_equal(domain_count(some), 0);
    buf_unref(bytes);
    domain_release(&domain);
}

/* ---- what is in a directory ---- */

struct visits {
    char names[16];
    size_t max;
    uint64_t last;
};

static bool visit(void *context, struct slice name, uint64_t nsid)
{
    struct visits *visits = context;

    (void)strncat(visits->names, name.data, name.size);
    visits->last = nsid;
    return strlen(visits->names) < visits->max;
}

static void expect_visits(struct exec_fixture *f, const char *from, size_t max,
                          const char *names, uint64_t last)
{
    struct visits visits = {.max = max};

    assert_int_equal(
        catalog_visit(f->state, TOP, slice_of(from), visit, &visits), 0);
    assert_string_equal(visits.names, names);
    assert_int_equal(visits.last, last);
}

static void test_names_are_visited_in_order_from_one_on(void **state)
{
    struct exec_fixture *f = *state;

    put_strong(f, TOP, "c", 53);
    put_strong(f, TOP, "a", 55);
    put_strong(f, TOP, "d", 54);
    put_strong(f, TOP - 1, "b", 56);
    put_strong(f, TOP + 1, "e", 57);
    expect_visits(f, "", 9, "acd", 54);
    expect_visits(f, "b", 9, "cd", 54);
    expect_visits(f, "c", 9, "cd", 54);
    expect_visits(f, "x", 9, "", 0);
    expect_visits(f, "", 2, "ac", 53);
}

#define WITH_ROOT(test)                                                        \
    cmocka_unit_test_setup_teardown(test, setup_exec, teardown_exec)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_nothing_is_below_an_empty_one),
        WITH_ROOT(test_each_one_comes_behind_its_parent),
        WITH_ROOT(test_what_has_its_own_mode_is_left_out_with_what_is_below),
        WITH_ROOT(test_one_that_is_strong_by_itself_is_left_out),
        WITH_ROOT(test_one_that_is_filled_by_itself_is_in_the_way),
        WITH_ROOT(test_a_name_of_nothing_is_damage),
        WITH_ROOT(test_there_may_be_only_so_many),
        cmocka_unit_test(test_bytes_say_the_same),
        cmocka_unit_test(test_no_bytes_say_none),
        cmocka_unit_test(test_bytes_that_make_no_sense_are_damage),
        cmocka_unit_test(test_they_are_sorted_by_their_numbers),
        cmocka_unit_test(test_a_command_takes_some_of_them),
        WITH_ROOT(test_names_are_visited_in_order_from_one_on),
    };

    return cmocka_run_group_tests_name("domain", tests, NULL, NULL);
}
