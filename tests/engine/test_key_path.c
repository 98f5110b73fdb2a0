/* SPDX-License-Identifier: Apache-2.0 */

/* User keys as paths, and back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/key_path.h"
#include "engine/record.h"
#include "tests/sim/kv_mem.h"

enum {
    APP = 5,
    USERS = 7,
    ODD = 9,
    ORPHAN = 11,
    LOOP_A = 13,
    LOOP_B = 14,
    DEEP = 20
};

struct fixture {
    struct kv *kv;
};

static void put(struct kv *kv, struct key key, struct buf *value)
{
    struct kv_batch *batch = kv_batch_new(kv);

    kv_batch_put(batch, key_slice(&key), buf_slice(value));
    assert_int_equal(kv_write(kv, batch, KV_SYNCED, NULL), 0);
    kv_batch_free(batch);
    buf_unref(value);
}

static void add_directory(struct kv *kv, uint64_t nsid, uint64_t parent,
                          const char *name)
{
    struct directory directory = {
        .nsid = nsid, .parent = parent, .name = slice_of(name)};
    uint8_t index[8];

    directory.attr.ino = ino_of_nsid(nsid);
    put(kv, key_directory(nsid), directory_encode(&directory));
    be64_put(index, nsid);
    put(kv, key_directory_name(parent, directory.name),
        buf_copy(index, sizeof index));
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->kv = kv_mem_new();
    add_directory(f->kv, NSID_ROOT, 0, "");
    add_directory(f->kv, APP, NSID_ROOT, "app");
    add_directory(f->kv, USERS, APP, "users");
    add_directory(f->kv, ODD, APP, "a b\\\xc3\xbc#");
    add_directory(f->kv, ORPHAN, 1000, "orphan");
    add_directory(f->kv, LOOP_A, LOOP_B, "a");
    add_directory(f->kv, LOOP_B, LOOP_A, "b");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    kv_close(f->kv);
    free(f);
    return 0;
}

/* Without the class that a key in state/ has. */
static struct slice bound(const struct key *key)
{
    return (struct slice){key->data + 1, key->size - 1};
}

static void assert_shown(struct fixture *f, struct slice user_key,
                         const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    key_path_print(out, f->kv, user_key);
    (void)fclose(out);
    assert_string_equal(text, path);
    free(text);
}

static void assert_read(struct fixture *f, const char *path, uint64_t nsid,
                        const char *name)
{
    struct key wanted = key_user('d', nsid, slice_of(name));
    struct key key;

    assert_int_equal(key_path_parse(f->kv, slice_of(path), &key), 0);
    assert_true(slice_equal(key_slice(&key), bound(&wanted)));
}

/* The same in both directions. */
static void assert_path(struct fixture *f, uint64_t nsid, const char *name,
                        const char *path)
{
    struct key key = key_user('d', nsid, slice_of(name));

    assert_shown(f, bound(&key), path);
    assert_read(f, path, nsid, name);
}

static void assert_refused(struct fixture *f, const char *path, int code)
{
    struct key key;

    assert_int_equal(key_path_parse(f->kv, slice_of(path), &key), code);
}

/* A bound is the path of the name, whether there is one or not. */
static void test_a_key_is_a_path(void **state)
{
    assert_path(*state, NSID_ROOT, "m", "/m");
    assert_path(*state, APP, "m", "/app/m");
    assert_path(*state, USERS, "m", "/app/users/m");
}

/* Before all names of a directory. */
static void test_the_beginning_of_a_directory_ends_with_a_slash(void **state)
{
    assert_path(*state, NSID_ROOT, "", "/");
    assert_path(*state, USERS, "", "/app/users/");
}

static void assert_directory(struct fixture *f, uint64_t nsid, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    key_path_print_directory(out, f->kv, nsid);
    (void)fclose(out);
    assert_string_equal(text, path);
    free(text);
}

/* ... and the directory itself does not. */
static void test_a_directory_is_shown_without_a_slash_at_its_end(void **state)
{
    assert_directory(*state, NSID_ROOT, "/");
    assert_directory(*state, USERS, "/app/users");
    assert_directory(*state, ODD, "/app/a\\040b\\134\\303\\274#");
    assert_directory(*state, ORPHAN, "#11");
}

static void assert_in_log(struct fixture *f, uint64_t nsid, const char *path)
{
    assert_string_equal(key_path_show(f->kv, nsid).text, path);
}

/* A line of the log is to have its end, too. */
static void test_of_a_long_path_the_log_has_the_end(void **state)
{
    struct fixture *f = *state;
    char name[SHOWN_PATH_SIZE + 1];
    char end[SHOWN_PATH_SIZE] = "...";

    memset(name, 'n', sizeof name);
    memset(end + 3, 'n', sizeof end - 4);
    name[sizeof name - 1] = '\0';
    add_directory(f->kv, DEEP, APP, name);
    add_directory(f->kv, DEEP + 1, NSID_ROOT, name + 2);
    add_directory(f->kv, DEEP + 2, NSID_ROOT, name + 1);
    assert_in_log(f, NSID_ROOT, "/");
    assert_in_log(f, USERS, "/app/users");
    assert_in_log(f, ORPHAN, "#11");
    assert_in_log(f, DEEP, end);
    assert_in_log(f, DEEP + 2, end);
    end[0] = '/';
    end[1] = end[2] = 'n';
    assert_in_log(f, DEEP + 1, end);
}

/* One column has no blanks; design 10. */
static void test_odd_bytes_are_escaped(void **state)
{
    assert_path(*state, ODD, "x\ty\x7f",
                "/app/a\\040b\\134\\303\\274#/x\\011y\\177");
    assert_path(*state, NSID_ROOT, "#5", "/#5");
}

/* People may write bytes as they are. */
static void test_bytes_need_not_be_escaped(void **state)
{
    assert_read(*state, "/app/a b\\134\xc3\xbc#/m", ODD, "m");
    assert_read(*state, "/\\141pp/\\155", APP, "m");
}

/* The region's descriptor may be ahead of the catalog here, or behind it. */
static void test_a_namespace_that_the_catalog_does_not_have(void **state)
{
    assert_path(*state, 99, "m", "#99/m");
    assert_path(*state, 99, "", "#99/");
    assert_path(*state, ORPHAN, "m", "#11/m");
}

/* Two records that were read at two moments may contradict each other. */
static void test_a_circle_in_the_catalog_ends(void **state)
{
    assert_path(*state, LOOP_A, "m", "#13/m");
}

static void test_no_bound_is_a_dash(void **state)
{
    assert_shown(*state, (struct slice){NULL, 0}, "-");
    assert_refused(*state, "-", ERR_INVALID);
}

static void test_what_is_not_a_path_is_refused(void **state)
{
    const char *const texts[] = {
        "",      "m",      "app/m",  "//m",      "/app//m",
        "#/m",   "#0/m",   "#x/m",   "#5",       "#5m",
        "/\\15", "/\\159", "/\\000", "/a\\057b", "/app/../",
        "/./m",  "/..",    "/\\777", "/app/.",   "/\\",
        "#-1/m", "#5 /m",  "#/",     "\\057m",   "#99999999999999999999999/m"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_refused(*state, texts[i], ERR_INVALID);
}

static void test_each_directory_of_a_path_must_be_there(void **state)
{
    assert_refused(*state, "/none/m", ERR_NOT_FOUND);
    assert_refused(*state, "/users/m", ERR_NOT_FOUND);
    assert_refused(*state, "/app/users/none/m", ERR_NOT_FOUND);
    assert_refused(*state, "/app/user/m", ERR_NOT_FOUND);
}

static void test_a_name_has_its_limit(void **state)
{
    char path[NAME_SIZE_MAX + 3] = "/";

    memset(path + 1, 'n', NAME_SIZE_MAX);
    assert_read(*state, path, NSID_ROOT, path + 1);
    path[NAME_SIZE_MAX + 1] = 'n';
    assert_refused(*state, path, ERR_NAME_TOO_LONG);
}

static void test_a_damaged_index_is_an_error(void **state)
{
    struct fixture *f = *state;

    put(f->kv, key_directory_name(APP, slice_of("users")), buf_copy("bad", 3));
    assert_refused(f, "/app/users/m", ERR_CORRUPT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_key_is_a_path),
        TEST(test_a_directory_is_shown_without_a_slash_at_its_end),
        TEST(test_of_a_long_path_the_log_has_the_end),
        TEST(test_the_beginning_of_a_directory_ends_with_a_slash),
        TEST(test_odd_bytes_are_escaped),
        TEST(test_bytes_need_not_be_escaped),
        TEST(test_a_namespace_that_the_catalog_does_not_have),
        TEST(test_a_circle_in_the_catalog_ends),
        TEST(test_no_bound_is_a_dash),
        TEST(test_what_is_not_a_path_is_refused),
        TEST(test_each_directory_of_a_path_must_be_there),
        TEST(test_a_name_has_its_limit),
        TEST(test_a_damaged_index_is_an_error),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
