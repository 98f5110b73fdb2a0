/* SPDX-License-Identifier: Apache-2.0 */

#include "codec_helpers.h"

#include <string.h>

static int compare(struct key a, struct key b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.data, b.data, size);

    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

static struct key entry(uint64_t nsid, const char *name)
{
    return key_user('d', nsid, slice_of(name));
}

static void test_entries_sort_by_namespace_and_then_by_name(void **state)
{
    (void)state;
    assert_true(compare(entry(1, "z"), entry(2, "a")) < 0);
    assert_true(compare(entry(255, "z"), entry(256, "a")) < 0);
    assert_true(compare(entry(UINT64_MAX - 1, "z"), entry(UINT64_MAX, "")) < 0);
    assert_true(compare(entry(1, "a"), entry(1, "b")) < 0);
    assert_true(compare(entry(1, "a"), entry(1, "ab")) < 0);
    assert_true(compare(entry(1, "z"), entry(1, "\xc3\xa4")) < 0);
}

/* Nothing lies between an entry and its chunks, not even a name that begins
 * with this one. */
static void test_chunks_sort_right_behind_their_entry(void **state)
{
    struct slice name = slice_of("file");
    struct key first = key_chunk(1, name, 0);
    struct key last = key_chunk(1, name, UINT32_MAX);

    (void)state;
    assert_true(compare(entry(1, "file"), first) < 0);
    assert_true(compare(first, key_chunk(1, name, 1)) < 0);
    assert_true(compare(key_chunk(1, name, 255), key_chunk(1, name, 256)) < 0);
    assert_true(compare(last, entry(1, "file\x01")) < 0);
    assert_true(compare(last, entry(1, "file2")) < 0);
    assert_true(compare(last, entry(1, "filf")) < 0);
    assert_true(compare(last, entry(2, "")) < 0);
}

static void test_the_key_behind_an_entry_excludes_all_its_chunks(void **state)
{
    struct slice name = slice_of("file");
    struct key behind = key_behind_entry(1, name);

    (void)state;
    assert_true(compare(entry(1, "file"), behind) < 0);
    assert_true(compare(key_chunk(1, name, UINT32_MAX), behind) < 0);
    assert_true(compare(behind, entry(1, "file\x01")) <= 0);
    assert_true(compare(behind, entry(1, "file2")) < 0);
}

static void test_the_key_behind_a_namespace_excludes_all_its_names(void **state)
{
    struct key behind = key_behind_namespace('d', 7);
    struct slice longest = letters(NAME_SIZE_MAX);

    (void)state;
    assert_true(compare(key_chunk(7, longest, UINT32_MAX), behind) < 0);
    assert_true(compare(entry(7, "\xff\xff"), behind) < 0);
    assert_int_equal(compare(behind, entry(8, "")), 0);
}

static void test_the_last_namespace_ends_with_its_class(void **state)
{
    struct key behind = key_behind_namespace('d', UINT64_MAX);

    (void)state;
    assert_true(compare(entry(UINT64_MAX, "\xff\xff"), behind) < 0);
    assert_int_equal(behind.size, 1);
    assert_int_equal(behind.data[0], 'e');
}

static void test_an_entry_key_is_taken_apart_again(void **state)
{
    struct key key = entry(UINT64_C(0x0102030405060708), "name");
    struct slice name;
    uint64_t nsid;

    (void)state;
    assert_true(key_parse_entry(key_slice(&key), &nsid, &name));
    assert_int_equal(nsid, UINT64_C(0x0102030405060708));
    assert_slice_equal(name, slice_of("name"));
}

static void test_a_chunk_key_is_no_entry(void **state)
{
    struct slice name;
    uint64_t nsid;

    (void)state;
    for (uint32_t number = 0; number < 1000; number++) {
        struct key key = key_chunk(1, slice_of("name"), number);

        assert_false(key_parse_entry(key_slice(&key), &nsid, &name));
    }
}

static void test_foreign_keys_are_no_entries(void **state)
{
    struct key intent = key_user('x', 1, slice_of("name"));
    struct key place = entry(1, "");
    struct slice name;
    uint64_t nsid;

    (void)state;
    assert_false(key_parse_entry(key_slice(&intent), &nsid, &name));
    assert_false(key_parse_entry(key_slice(&place), &nsid, &name));
    assert_false(key_parse_entry((struct slice){NULL, 0}, &nsid, &name));
    assert_false(key_parse_entry(slice_of("dshort"), &nsid, &name));
    assert_false(key_parse_entry(letters(300), &nsid, &name));
}

static void test_namespace_and_intent_keys_are_taken_apart_again(void **state)
{
    struct key whole = key_user('n', 5, slice_of(""));
    struct key intent = key_user('x', 6, slice_of("name"));
    struct slice name;
    uint64_t nsid;

    (void)state;
    assert_true(key_parse_user(key_slice(&whole), 'n', &nsid, &name));
    assert_int_equal(nsid, 5);
    assert_int_equal(name.size, 0);
    assert_true(key_parse_user(key_slice(&intent), 'x', &nsid, &name));
    assert_int_equal(nsid, 6);
    assert_slice_equal(name, slice_of("name"));
}

static void test_a_sender_sorts_right_before_its_results(void **state)
{
    struct key sender = key_sender(1, 2);

    (void)state;
    assert_true(compare(sender, key_result(1, 2, 0)) < 0);
    assert_true(compare(key_result(1, 2, UINT64_MAX), key_sender(1, 3)) < 0);
    assert_true(compare(key_result(1, 3, 9), key_result(1, 3, 10)) < 0);
    assert_true(compare(key_sender(1, UINT64_MAX), key_sender(2, 0)) < 0);
}

static void test_log_entries_sort_by_region_and_then_by_index(void **state)
{
    (void)state;
    assert_true(compare(key_log_entry(1, 255), key_log_entry(1, 256)) < 0);
    assert_true(compare(key_log_entry(1, UINT64_MAX), key_log_entry(2, 0)) < 0);
    assert_true(compare(key_hard_state(UINT64_MAX), key_identity()) < 0);
    assert_true(compare(key_identity(), key_log_entry(0, 0)) < 0);
    assert_true(compare(key_log_entry(UINT64_MAX, 0), key_log_start(0)) < 0);
}

/* The bytes that keys.h promises. */
static void test_each_kind_of_key_has_its_own_prefix(void **state)
{
    const struct key keys[] = {
        key_directory(1),
        key_id_allocator(),
        key_node(1),
        key_decision(1, 2, 3),
        entry(1, "a"),
        key_sender(1, 2),
        key_user('n', 1, slice_of("")),
        key_region(1),
        key_marker(1),
        key_user('x', 1, slice_of("a")),
    };
    static const char *const prefixes[] = {"cd", "ci", "cn", "ct", "d",
                                           "m",  "n",  "r",  "s",  "x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        assert_memory_equal(keys[i].data, prefixes[i], strlen(prefixes[i]));
        if (i > 0)
            assert_true(compare(keys[i - 1], keys[i]) < 0);
    }
}

static void test_numbers_are_big_endian_and_come_back(void **state)
{
    uint8_t bytes[8];

    (void)state;
    be64_put(bytes, UINT64_C(0xf102030405060708));
    assert_int_equal(bytes[0], 0xf1);
    assert_int_equal(bytes[7], 8);
    assert_true(be64_get(bytes) == UINT64_C(0xf102030405060708));
    be32_put(bytes, 0xf1020304);
    assert_int_equal(bytes[0], 0xf1);
    assert_int_equal(be32_get(bytes), 0xf1020304);
}

/* ---- regions ---- */

static void assert_namespace_key(uint64_t nsid, struct key start,
                                 const char *name)
{
    struct slice bytes = {start.data + 1, start.size - 1};

    assert_int_equal(compare(key_namespace(nsid, bytes),
                             key_user('n', nsid, slice_of(name))),
                     0);
}

/* A region has one part of a namespace: it lies at the namespace's beginning,
 * or at the region's if that is inside. */
static void
test_a_part_of_a_namespace_lies_where_its_region_begins(void **state)
{
    (void)state;
    assert_namespace_key(7, entry(7, "m"), "m");
    assert_namespace_key(7, entry(7, ""), "");
    assert_namespace_key(7, entry(6, "m"), "");
    assert_int_equal(compare(key_namespace(7, (struct slice){NULL, 0}),
                             key_user('n', 7, slice_of(""))),
                     0);
}

static void test_a_region_key_is_taken_apart_again(void **state)
{
    const struct key keys[] = {key_region(7), key_damage(7), key_hard_state(7),
                               key_log_peer(7)};
    uint64_t region = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        assert_true(key_parse_region(key_slice(&keys[i]), &region));
        assert_int_equal(region, 7);
        region = 0;
    }
}

static void test_a_key_of_another_size_names_no_region(void **state)
{
    struct key key = key_log_entry(7, 1);
    uint64_t region = 9;

    (void)state;
    assert_false(key_parse_region(key_slice(&key), &region));
    key = key_identity();
    assert_false(key_parse_region(key_slice(&key), &region));
    assert_int_equal(region, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_sort_by_namespace_and_then_by_name),
        cmocka_unit_test(test_chunks_sort_right_behind_their_entry),
        cmocka_unit_test(test_the_key_behind_an_entry_excludes_all_its_chunks),
        cmocka_unit_test(
            test_the_key_behind_a_namespace_excludes_all_its_names),
        cmocka_unit_test(test_the_last_namespace_ends_with_its_class),
        cmocka_unit_test(test_an_entry_key_is_taken_apart_again),
        cmocka_unit_test(test_a_chunk_key_is_no_entry),
        cmocka_unit_test(test_foreign_keys_are_no_entries),
        cmocka_unit_test(test_namespace_and_intent_keys_are_taken_apart_again),
        cmocka_unit_test(test_a_sender_sorts_right_before_its_results),
        cmocka_unit_test(test_log_entries_sort_by_region_and_then_by_index),
        cmocka_unit_test(test_each_kind_of_key_has_its_own_prefix),
        cmocka_unit_test(test_numbers_are_big_endian_and_come_back),
        cmocka_unit_test(
            test_a_part_of_a_namespace_lies_where_its_region_begins),
        cmocka_unit_test(test_a_region_key_is_taken_apart_again),
        cmocka_unit_test(test_a_key_of_another_size_names_no_region),
    };

    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
