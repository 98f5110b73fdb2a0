/* SPDX-License-Identifier: Apache-2.0 */

/* Whom a directory was made strong without: the record, and its place in the
 * catalog. */

#include "codec_helpers.h"
#include "kv_helpers.h"

#include "engine/left_out.h"
#include "tests/sim/kv_mem.h"

static int setup(void **state)
{
    *state = kv_mem_new();
    return 0;
}

static int teardown(void **state)
{
    kv_close(*state);
    return 0;
}

/* Node 2 up to its change 20, node 5 with nothing. */
static struct left_out two(void)
{
    struct left_out left_out = {.count = 0};

    left_out_add(&left_out, 2, 20);
    left_out_add(&left_out, 5, 0);
    return left_out;
}

static struct left_out full(void)
{
    struct left_out left_out = {.count = 0};

    for (uint64_t i = 1; i <= NODES_MAX; i++)
        left_out_add(&left_out, i, UINT64_MAX);
    return left_out;
}

static void assert_same(const struct left_out *a, const struct left_out *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_true(a->of[i].node == b->of[i].node);
        assert_true(a->of[i].sequence == b->of[i].sequence);
    }
}

static void put(struct kv *kv, uint64_t nsid, uint64_t since,
                const struct left_out *left_out)
{
    struct kv_batch *batch = kv_batch_new(kv);

    left_out_put(batch, nsid, since, left_out);
    assert_int_equal(kv_write(kv, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static int try_left_out(struct slice bytes)
{
    struct left_out left_out;

    return left_out_decode(&left_out, bytes);
}

static void check_comes_back(struct left_out in)
{
    struct buf *b = left_out_encode(&in);
    struct left_out out;

    assert_int_equal(left_out_decode(&out, buf_slice(b)), 0);
    assert_same(&in, &out);
    buf_unref(b);
}

static void test_it_comes_back(void **state)
{
    (void)state;
    check_comes_back(two());
    check_comes_back(full());
}

/* The format, and what must be one node. */
static struct buf *of_nothing(void)
{
    return buf_copy("\x01", 1);
}

/* Field 1 of the record is a node; field 1 of that is which, 2 is how far. */
static struct buf *with_node(struct buf *b, uint64_t node)
{
    struct buf *one = with_number(buf_copy("", 0), 1, node);
    struct buf *ret = with_bytes(b, 1, buf_slice(one));

    buf_unref(one);
    return ret;
}

static void test_nodes_are_in_order(void **state)
{
    struct left_out left_out = {.count = 0};
    const struct left_out expected = two();

    (void)state;
    left_out_add(&left_out, 5, 0);
    left_out_add(&left_out, 2, 20);
    assert_same(&left_out, &expected);
}

static void test_what_is_none_is_refused(void **state)
{
    struct left_out left_out = full();

    (void)state;
    assert_decodes_to(0, try_left_out, with_node(of_nothing(), 1));
    assert_decodes_to(ERR_CORRUPT, try_left_out, buf_copy("", 0));
    assert_decodes_to(ERR_CORRUPT, try_left_out, of_nothing());
    assert_decodes_to(ERR_CORRUPT, try_left_out, with_node(of_nothing(), 0));
    assert_decodes_to(ERR_CORRUPT, try_left_out,
                      with_node(with_node(of_nothing(), 3), 3));
    assert_decodes_to(ERR_CORRUPT, try_left_out,
                      with_node(with_node(of_nothing(), 3), 2));
    assert_decodes_to(ERR_CORRUPT, try_left_out,
                      with_node(left_out_encode(&left_out), NODES_MAX + 1));
}

static void test_damage_is_survived(void **state)
{
    struct left_out left_out = two();

    (void)state;
    assert_damage_is_survived(try_left_out, left_out_encode(&left_out));
}

static void test_only_what_is_behind_was_not_taken_along(void **state)
{
    const struct left_out left_out = two();
    const struct left_out none = {.count = 0};

    (void)state;
    assert_false(left_out_has(&left_out, 2, 20));
    assert_true(left_out_has(&left_out, 2, 21));
    assert_true(left_out_has(&left_out, 5, 1));
    assert_false(left_out_has(&left_out, 3, 100));
    assert_false(left_out_has(&none, 2, 100));
    assert_true(left_out_is_of(&left_out, 2));
    assert_true(left_out_is_of(&left_out, 5));
    assert_false(left_out_is_of(&left_out, 3));
    assert_false(left_out_is_of(&none, 2));
}

static void test_each_life_has_a_record_of_its_own(void **state)
{
    const struct left_out a = two();
    const struct left_out b = full();
    struct left_out out;

    put(*state, 7, 100, &a);
    put(*state, 7, 200, &b);
    assert_int_equal(left_out_get(*state, 7, 100, &out), 0);
    assert_same(&out, &a);
    assert_int_equal(left_out_get(*state, 7, 200, &out), 0);
    assert_same(&out, &b);
    assert_int_equal(left_out_get(*state, 7, 150, &out), 0);
    assert_int_equal(out.count, 0);
    assert_int_equal(left_out_get(*state, 8, 100, &out), 0);
    assert_int_equal(out.count, 0);
}

static void test_what_is_damaged_is_told(void **state)
{
    struct left_out out = {.count = 0};

    put_record(*state, key_left_out(7, 100), slice_of("\x01"));
    put_record(*state, key_left_out(7, 101), slice_of("\x7f"));
    assert_int_equal(left_out_get(*state, 7, 100, &out), ERR_CORRUPT);
    assert_int_equal(left_out_get(*state, 7, 101, &out), ERR_VERSION);
}

static void expect_next(struct kv *kv, uint64_t nsid, uint64_t since,
                        uint64_t expected_nsid, uint64_t expected_since)
{
    uint64_t next_nsid;
    uint64_t next_since;

    assert_int_equal(left_out_next(kv, nsid, since, &next_nsid, &next_since),
                     0);
    assert_true(next_nsid == expected_nsid);
    assert_true(next_since == expected_since);
}

static void expect_no_next(struct kv *kv, uint64_t nsid, uint64_t since)
{
    assert_int_equal(left_out_next(kv, nsid, since, &nsid, &since),
                     ERR_NOT_FOUND);
}

static void test_records_are_found_one_after_the_other(void **state)
{
    const struct left_out left_out = two();

    expect_no_next(*state, 0, 0);
    put_record(*state, key_node(1), slice_of("before"));
    put_record(*state, key_directory_name(0, slice_of("x")), slice_of("after"));
    expect_no_next(*state, 0, 0);
    put(*state, 7, 100, &left_out);
    put(*state, 7, 200, &left_out);
    put(*state, 300, 5, &left_out);
    expect_next(*state, 0, 0, 7, 100);
    expect_next(*state, 7, 100, 7, 100);
    expect_next(*state, 7, 101, 7, 200);
    expect_next(*state, 7, 201, 300, 5);
    expect_next(*state, 300, 5, 300, 5);
    expect_no_next(*state, 300, 6);
}

static void test_a_record_goes_with_its_last_node(void **state)
{
    struct left_out left_out = two();
    struct left_out out;

    put(*state, 7, 100, &left_out);
    assert_false(left_out_remove(&left_out, 3));
    assert_int_equal(left_out.count, 2);
    assert_true(left_out_remove(&left_out, 2));
    put(*state, 7, 100, &left_out);
    assert_int_equal(left_out_get(*state, 7, 100, &out), 0);
    assert_int_equal(out.count, 1);
    assert_true(left_out_is_of(&out, 5));
    assert_true(left_out_remove(&left_out, 5));
    put(*state, 7, 100, &left_out);
    assert_false(has_record(*state, key_left_out(7, 100)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_comes_back),
        cmocka_unit_test(test_nodes_are_in_order),
        cmocka_unit_test(test_what_is_none_is_refused),
        cmocka_unit_test(test_damage_is_survived),
        cmocka_unit_test(test_only_what_is_behind_was_not_taken_along),
        cmocka_unit_test_setup_teardown(test_each_life_has_a_record_of_its_own,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_damaged_is_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_records_are_found_one_after_the_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_record_goes_with_its_last_node,
                                        setup, teardown),
    };

    return cmocka_run_group_tests_name("left_out", tests, NULL, NULL);
}
