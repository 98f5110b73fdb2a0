/* SPDX-License-Identifier: Apache-2.0 */

#include "codec_helpers.h"

#include "engine/xattr.h"

static const struct slice none;

/* Sets, drops the old bytes and returns the new ones. */
static struct buf *set(struct buf *old, const char *name, const char *value)
{
    struct buf *b = NULL;

    assert_int_equal(xattr_set(old == NULL ? none : buf_slice(old),
                               slice_of(name), slice_of(value), 0, &b),
                     0);
    buf_unref(old);
    assert_true(xattr_check(buf_slice(b)));
    return b;
}

static void assert_value(const struct buf *b, const char *name,
                         const char *value)
{
    struct slice found;

    assert_int_equal(xattr_get(buf_slice(b), slice_of(name), &found), 0);
    assert_slice_equal(found, slice_of(value));
}

static void test_what_was_set_is_got(void **state)
{
    struct buf *b = set(NULL, "user.a", "1");

    (void)state;
    b = set(b, "user.b", "two");
    b = set(b, "user.empty", "");
    assert_value(b, "user.a", "1");
    assert_value(b, "user.b", "two");
    assert_value(b, "user.empty", "");
    buf_unref(b);
}

static void test_setting_again_replaces_in_place(void **state)
{
    struct buf *b = set(set(set(NULL, "a", "1"), "b", "2"), "c", "3");
    struct buf *names;

    (void)state;
    b = set(b, "b", "something longer");
    assert_value(b, "a", "1");
    assert_value(b, "b", "something longer");
    assert_value(b, "c", "3");
    names = xattr_list(buf_slice(b));
    assert_slice_equal(buf_slice(names), (struct slice){"a\0b\0c", 6});
    buf_unref(names);
    buf_unref(b);
}

static void test_a_name_that_is_not_there_has_no_data(void **state)
{
    struct buf *b = set(NULL, "user.a", "1");
    struct buf *removed;
    struct slice value;
    int rc;

    (void)state;
    rc = xattr_get(buf_slice(b), slice_of("user.aa"), &value);
    assert_int_equal(rc, ERR_NO_DATA);
    rc = xattr_get(none, slice_of("user.a"), &value);
    assert_int_equal(rc, ERR_NO_DATA);
    rc = xattr_remove(buf_slice(b), slice_of("user"), &removed);
    assert_int_equal(rc, ERR_NO_DATA);
    buf_unref(b);
}

static void test_create_refuses_one_that_exists(void **state)
{
    struct buf *b = set(NULL, "a", "1");
    struct buf *other = NULL;

    (void)state;
    assert_int_equal(xattr_set(buf_slice(b), slice_of("a"), none,
                               REQUEST_XATTR_CREATE, &other),
                     ERR_EXISTS);
    assert_int_equal(xattr_set(buf_slice(b), slice_of("b"), none,
                               REQUEST_XATTR_CREATE, &other),
                     0);
    buf_unref(other);
    buf_unref(b);
}

static void test_replace_refuses_one_that_does_not_exist(void **state)
{
    struct buf *b = set(NULL, "a", "1");
    struct buf *other = NULL;

    (void)state;
    assert_int_equal(xattr_set(buf_slice(b), slice_of("b"), none,
                               REQUEST_XATTR_REPLACE, &other),
                     ERR_NO_DATA);
    assert_int_equal(xattr_set(buf_slice(b), slice_of("a"), none,
                               REQUEST_XATTR_REPLACE, &other),
                     0);
    buf_unref(other);
    buf_unref(b);
}

static void test_removing_leaves_the_others(void **state)
{
    struct buf *b = set(set(set(NULL, "a", "1"), "b", "2"), "c", "3");
    struct buf *rest = NULL;
    struct slice value;

    (void)state;
    assert_int_equal(xattr_remove(buf_slice(b), slice_of("b"), &rest), 0);
    assert_value(rest, "a", "1");
    assert_value(rest, "c", "3");
    assert_int_equal(xattr_get(buf_slice(rest), slice_of("b"), &value),
                     ERR_NO_DATA);
    buf_unref(rest);
    buf_unref(b);
}

static void test_removing_the_only_one_leaves_nothing(void **state)
{
    struct buf *b = set(NULL, "a", "1");
    struct buf *rest = NULL;

    (void)state;
    assert_int_equal(xattr_remove(buf_slice(b), slice_of("a"), &rest), 0);
    assert_int_equal(rest->size, 0);
    assert_true(xattr_check(buf_slice(rest)));
    buf_unref(rest);
    buf_unref(b);
}

static void test_the_total_has_a_limit(void **state)
{
    struct slice name = slice_of("name");
    struct slice most = letters(XATTRS_SIZE_MAX - 4 - name.size);
    struct buf *b = NULL;
    struct buf *more = NULL;

    (void)state;
    assert_int_equal(xattr_set(none, name, most, 0, &b), 0);
    assert_true(xattr_check(buf_slice(b)));
    assert_int_equal(xattr_set(buf_slice(b), slice_of("b"), none, 0, &more),
                     ERR_NO_SPACE);
    most.size++;
    assert_int_equal(xattr_set(none, name, most, 0, &more), ERR_NO_SPACE);
    assert_int_equal(xattr_set(none, name, letters(70000), 0, &more),
                     ERR_NO_SPACE);
    buf_unref(b);
}

/* A value may grow as long as the total with the old one gone fits. */
static void test_a_large_value_can_be_replaced_by_another(void **state)
{
    struct buf *b = NULL;
    struct buf *other = NULL;

    (void)state;
    assert_int_equal(xattr_set(none, slice_of("a"), letters(10000), 0, &b), 0);
    assert_int_equal(
        xattr_set(buf_slice(b), slice_of("a"), letters(12000), 0, &other), 0);
    buf_unref(other);
    buf_unref(b);
}

static void test_check_refuses_malformed_bytes(void **state)
{
    (void)state;
    assert_true(xattr_check(none));
    assert_true(xattr_check((struct slice){"\0\1\0\1ab", 6}));
    assert_false(xattr_check((struct slice){"\0\1\0\1a", 5}));
    assert_false(xattr_check((struct slice){"\0\1\0", 3}));
    assert_false(xattr_check((struct slice){"\0\0\0\0", 4}));
    assert_false(xattr_check((struct slice){"\0\1\0\0\0", 5}));
    assert_false(xattr_check(letters(XATTRS_SIZE_MAX + 1)));
}

static int use_all(struct slice bytes)
{
    struct buf *names = xattr_list(bytes);
    struct buf *b = NULL;
    struct slice value;

    buf_unref(names);
    (void)xattr_get(bytes, slice_of("none"), &value); /* Only no crash. */
    if (xattr_set(bytes, slice_of("b"), slice_of("new"), 0, &b) == 0)
        buf_unref(b);
    b = NULL;
    if (xattr_remove(bytes, slice_of("b"), &b) == 0)
        buf_unref(b);
    return xattr_check(bytes) ? 0 : ERR_CORRUPT;
}

static void test_damaged_xattrs_are_survived(void **state)
{
    (void)state;
    assert_damage_is_survived(
        use_all, set(set(set(NULL, "a", "12"), "b", "3"), "cc", "4567"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_set_is_got),
        cmocka_unit_test(test_setting_again_replaces_in_place),
        cmocka_unit_test(test_a_name_that_is_not_there_has_no_data),
        cmocka_unit_test(test_create_refuses_one_that_exists),
        cmocka_unit_test(test_replace_refuses_one_that_does_not_exist),
        cmocka_unit_test(test_removing_leaves_the_others),
        cmocka_unit_test(test_removing_the_only_one_leaves_nothing),
        cmocka_unit_test(test_the_total_has_a_limit),
        cmocka_unit_test(test_a_large_value_can_be_replaced_by_another),
        cmocka_unit_test(test_check_refuses_malformed_bytes),
        cmocka_unit_test(test_damaged_xattrs_are_survived),
    };

    return cmocka_run_group_tests_name("xattr", tests, NULL, NULL);
}
