/* SPDX-License-Identifier: Apache-2.0 */

/* What a namespace becomes of which both the region that takes another one over
 * and that one have a part. */

#include "applier_merge_fixture.h"
#include "tests/engine/kv_helpers.h"

static void put_part(struct applier_fixture *f, const char *name,
                     const struct namespace_record *record)
{
    struct buf *bytes = namespace_encode(record);

    put_record(f->exec->state, key_user('n', f->dir, slice_of(name)),
               buf_slice(bytes));
    buf_unref(bytes);
}

/* Modulo 2^64: one part alone may be negative. */
static void test_the_parts_of_a_namespace_become_one(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record left = part_at(f, f->dir, "");
    struct namespace_record right = left;
    struct namespace_record whole;
    uint64_t before = count_class(f->exec->state, "n");

    right.entry_count = UINT64_MAX; /* -1 */
    right.mtime_ns = left.mtime_ns + 7;
    right.ctime_ns = left.ctime_ns - 7;
    right.version = left.version + 1;
    put_part(f, "d", &right);
    take(f, RIGHT);
    whole = part_at(f, f->dir, "");
    assert_int_equal(whole.entry_count, 3);
    assert_int_equal(whole.mtime_ns, right.mtime_ns);
    assert_int_equal(whole.ctime_ns, left.ctime_ns);
    assert_int_equal(whole.version, right.version);
    assert_int_equal(count_class(f->exec->state, "n"), before - 1);
}

static void test_the_source_may_be_the_left_one(void **state)
{
    struct applier_fixture *f = *state;

    go_to(f, RIGHT);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), 0);
    take(f, LEFT);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 5);
    assert_false(
        has_record(f->exec->state, key_user('n', f->dir, slice_of("d"))));
    assert_false(has_record(f->exec->state, key_region(LEFT)));
    assert_int_equal(apply(f, create_at(9, 2, f->dir, "b")), 0);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 6);
    go_to(f, RIGHT);
    assert_int_equal(f->region.start.size, 0);
}

static struct txn_ref holder(void)
{
    return (struct txn_ref){.id = {1, 2, 3}};
}

static void put_right(struct applier_fixture *f,
                      const struct namespace_record *part)
{
    put_part(f, "d", part);
    put_record(f->exec->state, key_namespace_mark(f->dir, f->region.end),
               slice_of(""));
}

static void delete_left(struct applier_fixture *f)
{
    struct kv_batch *batch = kv_batch_new(f->exec->state);
    struct key key = key_user('n', f->dir, slice_of(""));

    kv_batch_delete(batch, key_slice(&key));
    assert_int_equal(kv_write(f->exec->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

/* rmdir goes on with what is right of the part that it has closed. */
static void test_what_closes_the_left_part_closes_both(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record left = part_at(f, f->dir, "");

    left.closing = holder();
    put_part(f, "", &left);
    put_record(f->exec->state, key_namespace_mark(f->dir, f->region.end),
               slice_of(""));
    take(f, RIGHT);
    assert_int_equal(part_at(f, f->dir, "").closing.id.sequence, 3);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    assert_int_equal(count_class(f->exec->state, "x"), 1);
}

/* Its RESOLVE has been at the left one, and does not come back. */
static void test_what_holds_only_the_right_part_holds_none(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record right = part_at(f, f->dir, "d");

    right.closing = right.opening = holder();
    put_right(f, &right);
    take(f, RIGHT);
    assert_int_equal(part_at(f, f->dir, "").closing.id.node, 0);
    assert_int_equal(part_at(f, f->dir, "").opening.id.node, 0);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    assert_true(
        has_record(f->exec->state, key_user('d', f->dir, slice_of("e"))));
    assert_int_equal(count_class(f->exec->state, "x"), 0);
}

static void test_what_opens_both_parts_opens_the_whole(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record left = part_at(f, f->dir, "");
    struct namespace_record right = part_at(f, f->dir, "d");

    left.opening = right.opening = holder();
    left.reopened = right.reopened = true;
    put_part(f, "", &left);
    put_right(f, &right);
    take(f, RIGHT);
    assert_int_equal(part_at(f, f->dir, "").opening.id.sequence, 3);
    assert_true(
        has_record(f->exec->state, key_user('d', f->dir, slice_of("e"))));
    assert_int_equal(count_class(f->exec->state, "x"), 1);
}

static void test_an_open_part_opens_the_left_one(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record left = part_at(f, f->dir, "");

    left.opening = holder();
    put_part(f, "", &left);
    put_record(f->exec->state, key_namespace_mark(f->dir, f->region.end),
               slice_of(""));
    take(f, RIGHT);
    assert_int_equal(part_at(f, f->dir, "").opening.id.node, 0);
    assert_int_equal(count_class(f->exec->state, "x"), 0);
}

/* A transaction has deleted the left one, and was to delete the other, with
 * what a directory had in it that has become eventual. */
static void test_a_held_part_goes_the_way_of_the_left_one(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record right = part_at(f, f->dir, "d");
    struct key file = key_user('d', f->dir, slice_of("e"));

    right.closing = holder();
    put_right(f, &right);
    delete_left(f);
    assert_true(has_record(f->exec->state, file));
    take(f, RIGHT);
    assert_false(has_record(f->exec->state, file));
    assert_true(
        has_record(f->exec->state, key_user('d', f->dir, slice_of("a"))));
    assert_false(
        has_record(f->exec->state, key_user('n', f->dir, slice_of(""))));
    assert_false(
        has_record(f->exec->state, key_user('n', f->dir, slice_of("d"))));
    assert_int_equal(count_class(f->exec->state, "x"), 0);
}

/* With what it had brought along for a decision that did not come. */
static void test_what_was_brought_into_it_goes_too(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record right = part_at(f, f->dir, "d");
    struct key file = key_user('d', f->dir, slice_of("e"));

    right.opening = holder();
    right.reopened = true;
    put_right(f, &right);
    delete_left(f);
    assert_true(has_record(f->exec->state, file));
    take(f, RIGHT);
    assert_false(has_record(f->exec->state, file));
    assert_false(
        has_record(f->exec->state, key_user('n', f->dir, slice_of("d"))));
}

/* The directory becomes strong again, and what is on the right is left of the
 * time before: of what has made it eventual, or of another attempt. */
static void expect_overtaken(struct applier_fixture *f,
                             const struct namespace_record *right)
{
    struct namespace_record left = part_at(f, f->dir, "");
    struct key file = key_user('d', f->dir, slice_of("e"));

    left.opening = (struct txn_ref){.id = {1, 2, 4}};
    left.reopened = true;
    left.entry_count = 1;
    put_part(f, "", &left);
    put_right(f, right);
    take(f, RIGHT);
    assert_false(has_record(f->exec->state, file));
    assert_true(
        has_record(f->exec->state, key_user('d', f->dir, slice_of("a"))));
    assert_int_equal(part_at(f, f->dir, "").opening.id.sequence, 4);
    assert_true(part_at(f, f->dir, "").reopened);
    assert_int_equal(part_at(f, f->dir, "").closing.id.node, 0);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 1);
    assert_false(
        has_record(f->exec->state, key_user('n', f->dir, slice_of("d"))));
    assert_int_equal(count_class(f->exec->state, "x"), 1);
}

static void
test_what_is_still_closed_goes_when_the_left_is_reopened(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record right = part_at(f, f->dir, "d");

    right.closing = holder();
    expect_overtaken(f, &right);
}

static void
test_what_was_opened_in_vain_goes_when_the_left_is_reopened(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record right = part_at(f, f->dir, "d");

    right.opening = holder();
    right.reopened = true;
    expect_overtaken(f, &right);
}

/* Nothing was there before it. */
static void test_what_makes_a_directory_overtakes_nothing(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record left = part_at(f, f->dir, "");
    struct namespace_record right = part_at(f, f->dir, "d");

    left.opening = (struct txn_ref){.id = {1, 2, 2}};
    put_part(f, "", &left);
    right.closing = holder();
    put_right(f, &right);
    take(f, RIGHT);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    assert_true(
        has_record(f->exec->state, key_user('d', f->dir, slice_of("e"))));
}

static void test_a_left_part_may_be_missing(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record left = part_at(f, f->dir, "");

    left.entry_count = 2;
    put_part(f, "d", &left);
    delete_left(f);
    take(f, RIGHT);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 2);
    assert_false(
        has_record(f->exec->state, key_user('n', f->dir, slice_of("d"))));
}

static void test_no_part_may_be_there(void **state)
{
    struct applier_fixture *f = *state;
    uint64_t before;

    f->dir += 100; /* Nothing is known of that one. */
    split(f, f->dir, "m");
    go_to(f, LEFT);
    before = count_class(f->exec->state, "n");
    take(f, RIGHT);
    assert_int_equal(count_class(f->exec->state, "n"), before);
}

static void test_a_boundary_between_namespaces_cuts_none(void **state)
{
    struct applier_fixture *f = *state;
    uint64_t before = count_class(f->exec->state, "n");

    split(f, f->dir, "");
    go_to(f, LEFT);
    take(f, RIGHT);
    assert_int_equal(count_class(f->exec->state, "n"), before);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
}

static void test_a_damaged_part_is_not_joined(void **state)
{
    struct applier_fixture *f = *state;
    struct kv *before;
    uint64_t index = f->index;

    put_record(f->exec->state, key_user('n', f->dir, slice_of("d")),
               slice_of("\xff\xff"));
    before = copy_store(f->exec->state);
    assert_int_equal(take_as(f, RIGHT, false), ERR_CORRUPT);
    assert_same_stores(before, f->exec->state);
    assert_int_equal(applier_marker(f->applier)->index, index);
    f->index = index;
    assert_int_equal(take_as(f, RIGHT, false), ERR_CORRUPT); /* Rule 4. */
    kv_close(before);
}

/* There is nobody to mend it, and the source is gone for whoever asks. */
static void test_the_only_replica_joins_a_damaged_part_too(void **state)
{
    struct applier_fixture *f = *state;
    struct command command;
    struct raft_entry entry;
    struct buf *result = NULL;

    put_record(f->exec->state, key_user('n', f->dir, slice_of("d")),
               slice_of("\xff\xff"));
    assert_int_equal(take_as(f, RIGHT, true), 0);
    assert_false(has_record(f->exec->state, key_region(RIGHT)));
    assert_false(
        has_record(f->exec->state, key_user('n', f->dir, slice_of("d"))));
    assert_true(
        has_record(f->exec->state, key_user('n', f->dir, slice_of(""))));
    command = create_at(9, 1, f->dir, "b");
    entry = (struct raft_entry){
        .term = TERM, .index = f->index + 1, .data = command_encode(&command)};
    assert_int_equal(applier_apply(f->applier, &entry, &result), ERR_CORRUPT);
    buf_unref(entry.data);
}

#define TEST_WHOLE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, setup_applier, teardown_applier)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_parts_of_a_namespace_become_one),
        TEST(test_the_source_may_be_the_left_one),
        TEST(test_what_closes_the_left_part_closes_both),
        TEST(test_what_holds_only_the_right_part_holds_none),
        TEST(test_what_opens_both_parts_opens_the_whole),
        TEST(test_an_open_part_opens_the_left_one),
        TEST(test_a_held_part_goes_the_way_of_the_left_one),
        TEST(test_what_was_brought_into_it_goes_too),
        TEST(test_what_is_still_closed_goes_when_the_left_is_reopened),
        TEST(test_what_was_opened_in_vain_goes_when_the_left_is_reopened),
        TEST(test_what_makes_a_directory_overtakes_nothing),
        TEST(test_a_left_part_may_be_missing),
        TEST_WHOLE(test_no_part_may_be_there),
        TEST_WHOLE(test_a_boundary_between_namespaces_cuts_none),
        TEST(test_a_damaged_part_is_not_joined),
        TEST(test_the_only_replica_joins_a_damaged_part_too),
    };

    return cmocka_run_group_tests_name("applier merge parts", tests, NULL,
                                       NULL);
}
