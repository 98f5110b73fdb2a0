/* SPDX-License-Identifier: Apache-2.0 */

/* What another node gets of a node's eventual entries. */

#include "eventual_fixture.h"

enum { LATER = 20, FIRST = 10, SECOND = 11 };

/* All that is behind `cursor`. */
static struct eventual_scan scan_of(struct eventual_fixture *f, uint64_t cursor)
{
    return (struct eventual_scan){.cursor = cursor,
                                  .shown = eventual_shown(f->eventual),
                                  .bytes_max = 65536};
}

static void test_what_a_scan_finds_can_be_merged(void **state)
{
    struct eventual_fixture *f = *state;
    struct test_merge merge = {.over = false};
    struct eventual_scan scan;
    void *other;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(write_text(f, "a", "one"), 0);
    assert_int_equal(create(f, "b"), 0);
    assert_int_equal(unlink_name(f, "b"), 0);
    scan = scan_of(f, 0);
    assert_int_equal(eventual_scan_run(f->state, &scan), 0);
    assert_int_equal(scan.item_count, 2);
    assert_true(scan.complete);
    assert_int_equal(scan.last, scan.shown);
    assert_int_equal(setup_eventual(&other), 0);
    merge.merge.last = scan.last;
    assert_int_equal(merge_items(other, &merge, scan.items), 0);
    assert_int_equal(merge.merge.taken_last, scan.last);
    assert_string_equal(text_of(other, "a"), "one");
    assert_null(text_of(other, "b"));
    assert_true(is_known(other, "b"));
    assert_int_equal(teardown_eventual(&other), 0);
}

static void test_a_scan_leaves_out_what_was_received(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_record records[2] = {record_of(f, "a", 1, "other"),
                                         record_of(f, "b", 2, "other")};
    struct eventual_scan scan;

    assert_int_equal(merge_one(f, &records[0], FIRST), 0);
    assert_int_equal(merge_one(f, &records[1], SECOND), 0);
    assert_int_equal(create(f, "c"), 0);
    scan = scan_of(f, 0);
    scan.origins[0] = OTHER;
    scan.received[0] = 1;
    scan.origin_count = 1;
    assert_int_equal(eventual_scan_run(f->state, &scan), 0);
    assert_int_equal(scan.item_count, 2);
    assert_int_equal(be64_get(scan.items->data), local_of(f, "b"));
    buf_unref(scan.items);
}

static void test_a_scan_takes_one_item_at_least_and_goes_on(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_scan scan;
    uint64_t cursor = 0;

    assert_int_equal(create(f, "a"), 0);
    assert_int_equal(create(f, "b"), 0);
    for (size_t i = 0; i < 2; i++) {
        scan = scan_of(f, cursor);
        scan.bytes_max = 1;
        assert_int_equal(eventual_scan_run(f->state, &scan), 0);
        assert_int_equal(scan.item_count, 1);
        assert_int_equal(scan.complete, i == 1);
        cursor = scan.last;
        buf_unref(scan.items);
    }
    assert_int_equal(cursor, eventual_shown(f->eventual));
}

static void test_a_scan_ends_at_what_is_shown(void **state)
{
    struct eventual_fixture *f = *state;
    struct command command = command_on(COMMAND_CREATE, "b");
    struct eventual_scan scan;
    struct test_op op;

    assert_int_equal(create(f, "a"), 0);
    begin(f, &op, &command);
    scan = scan_of(f, 0);
    assert_int_equal(eventual_scan_run(f->state, &scan), 0);
    assert_int_equal(scan.item_count, 1);
    assert_true(scan.complete);
    assert_int_equal(scan.last, local_of(f, "a"));
    buf_unref(scan.items);
    scan = scan_of(f, scan.last);
    assert_int_equal(eventual_scan_run(f->state, &scan), 0);
    assert_null(scan.items);
    assert_true(scan.complete);
    sync_all(f);
}

static void test_a_scan_deletes_what_leads_nowhere(void **state)
{
    struct eventual_fixture *f = *state;
    struct eventual_scan scan;
    struct key change;

    assert_int_equal(create(f, "a"), 0);
    change = key_eventual_change(local_of(f, "a"));
    apply_mode(f, DIR, MODE_STRONG, 0, LATER);
    assert_true(has_record(f->state, change));
    scan = scan_of(f, 0);
    assert_int_equal(eventual_scan_run(f->state, &scan), 0);
    assert_null(scan.items);
    assert_true(scan.complete);
    assert_false(has_record(f->state, change));
}

static void test_a_scan_looks_at_so_many_names_at_once(void **state)
{
    struct eventual_fixture *f = *state;
    struct kv_batch *batch = kv_batch_new(f->state);
    struct key name = key_user('v', DIR, slice_of("none"));
    struct eventual_scan scan = {.shown = EVENTUAL_SCAN_KEYS_MAX + 1};

    for (uint64_t i = 1; i <= scan.shown; i++) {
        struct key key = key_eventual_change(i);

        kv_batch_put(batch, key_slice(&key),
                     (struct slice){name.data + 1, name.size - 1});
    }
    assert_int_equal(kv_write(f->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
    assert_int_equal(eventual_scan_run(f->state, &scan), 0);
    assert_false(scan.complete);
    assert_int_equal(scan.last, EVENTUAL_SCAN_KEYS_MAX);
    scan.cursor = scan.last;
    assert_int_equal(eventual_scan_run(f->state, &scan), 0);
    assert_true(scan.complete);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_eventual, teardown_eventual)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_a_scan_finds_can_be_merged),
        TEST(test_a_scan_leaves_out_what_was_received),
        TEST(test_a_scan_takes_one_item_at_least_and_goes_on),
        TEST(test_a_scan_ends_at_what_is_shown),
        TEST(test_a_scan_deletes_what_leads_nowhere),
        TEST(test_a_scan_looks_at_so_many_names_at_once),
    };

    return cmocka_run_group_tests_name("eventual scan", tests, NULL, NULL);
}
