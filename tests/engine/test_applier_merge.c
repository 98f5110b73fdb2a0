/* SPDX-License-Identifier: Apache-2.0 */

/* What the entry by which a region takes another one over makes of state/, and
 * how commands fare while one is frozen and behind that. */

#include "applier_fixture.h"
#include "engine/erase.h"
#include "engine/founding.h"
#include "engine/merge_change.h"
#include "tests/engine/kv_helpers.h"

/* The region is cut in two; both applied nothing since. */
static int setup(void **state)
{
    int rc = setup_applier(state);
    struct applier_fixture *f = *state;

    split(f, f->dir, "d");
    go_to(f, LEFT);
    return rc;
}

/* `f` takes the other one over. Returns what applying it does. */
static int take_as(struct applier_fixture *f, uint64_t source,
                   bool only_replica)
{
    struct range_merge merge = {.source = source,
                                .source_is_left = source == LEFT,
                                .only_replica = only_replica};
    struct raft_entry entry = {.term = TERM, .index = ++f->index};
    struct region whole = f->region;
    struct buf *result = NULL;
    int rc;

    if (source == LEFT)
        whole.start = (struct slice){NULL, 0};
    else
        whole.end = (struct slice){NULL, 0};
    whole.version = 9;
    whole.absorbed = source;
    merge.region = region_copy(&whole);
    rc = applier_merge(f->applier, &entry, &merge, 0, &result);
    if (rc == 0) {
        assert_int_equal(status_of(result), 0);
        region_release(&f->region);
        f->region = merge.region;
    } else {
        region_release(&merge.region);
    }
    return rc;
}

static void take(struct applier_fixture *f, uint64_t source)
{
    assert_int_equal(take_as(f, source, false), 0);
}

static void freeze(struct applier_fixture *f)
{
    const struct command command = {
        .op = COMMAND_FREEZE,
        .merge = {.other = LEFT,
                  .attempt = 1,
                  .version = f->region.version,
                  .conf_ver = f->region.conf_ver},
    };
    struct raft_entry entry = {.term = TERM, .index = ++f->index};
    struct range_merge merge = {
        .region = region_merge(&f->region, &command, entry.index)};
    struct buf *result = NULL;

    assert_int_equal(applier_merge(f->applier, &entry, &merge, 0, &result), 0);
    assert_int_equal(status_of(result), 0);
    region_release(&f->region);
    f->region = merge.region;
}

static void put_part(struct applier_fixture *f, const char *name,
                     const struct namespace_record *record)
{
    struct buf *bytes = namespace_encode(record);

    put_record(f->exec->state, key_user('n', f->dir, slice_of(name)),
               buf_slice(bytes));
    buf_unref(bytes);
}

/* ---- the entry ---- */

static void test_the_source_leaves_only_its_tombstone(void **state)
{
    struct applier_fixture *f = *state;
    struct tombstone tombstone = {0};

    go_to(f, RIGHT);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), 0);
    go_to(f, LEFT);
    take(f, RIGHT);
    assert_false(has_record(f->exec->state, key_region(RIGHT)));
    assert_false(has_record(f->exec->state, key_marker(RIGHT)));
    assert_false(has_record(f->exec->state, key_sender(RIGHT, NODE)));
    assert_int_equal(tombstone_read(&f->fake.env, RIGHT, &tombstone), 0);
    assert_true(tombstone.peer == TOMBSTONE_OF_ALL);
    assert_int_equal(tombstone.index, FOUNDING_INDEX + 1);
    assert_int_equal(tombstone.term, TERM);
    go_to(f, LEFT);
    assert_int_equal(f->region.version, 9);
    assert_int_equal(f->region.end.size, 0);
}

static void test_no_data_is_moved(void **state)
{
    struct applier_fixture *f = *state;
    uint64_t before = count_class(f->exec->state, "d");

    take(f, RIGHT);
    assert_int_equal(count_class(f->exec->state, "d"), before);
    assert_int_equal(apply(f, create_at(9, 1, f->dir, "e")), ERR_EXISTS);
    assert_int_equal(apply(f, create_at(9, 2, f->dir, "f")), 0);
    assert_int_equal(apply(f, create_at(9, 3, f->dir, "b")), 0);
}

static void test_what_has_no_effect_only_moves_the_marker(void **state)
{
    struct applier_fixture *f = *state;
    struct kv *before = copy_store(f->exec->state);
    struct marker marker = *applier_marker(f->applier);
    struct raft_entry entry = {.term = TERM, .index = f->index + 1};
    struct buf *result = NULL;

    assert_int_equal(
        applier_merge(f->applier, &entry, NULL, ERR_EPOCH, &result), 0);
    assert_int_equal(status_of(result), ERR_EPOCH);
    assert_int_equal(applier_marker(f->applier)->index, f->index + 1);
    put_region(f, &f->region, &marker);
    assert_same_stores(before, f->exec->state);
    kv_close(before);
}

/* A crash has lost what was applied, and nothing of the log. */
static void test_what_is_applied_again_gives_the_same(void **state)
{
    struct applier_fixture *f = *state;
    struct kv *before = copy_store(f->exec->state);
    struct kv *once;

    take(f, RIGHT);
    once = f->exec->state;
    f->exec->state = f->fake.env.state = before;
    go_to(f, LEFT);
    take(f, RIGHT);
    assert_same_stores(once, f->exec->state);
    kv_close(once);
}

static void test_versions_go_on_above_those_of_both(void **state)
{
    struct applier_fixture *f = *state;

    go_to(f, RIGHT);
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(apply(f, create_at(5, i, f->dir, "f")),
                         i == 1 ? 0 : ERR_EXISTS);
    assert_int_equal(applier_marker(f->applier)->version, STAMP + 4);
    go_to(f, LEFT);
    take(f, RIGHT);
    assert_int_equal(applier_marker(f->applier)->version, STAMP + 4);
    go_to(f, LEFT);
    assert_int_equal(applier_marker(f->applier)->version, STAMP + 4);
}

static void test_an_own_greater_version_stays(void **state)
{
    struct applier_fixture *f = *state;

    assert_int_equal(apply(f, create_at(5, 1, f->dir, "b")), 0);
    take(f, RIGHT);
    assert_int_equal(applier_marker(f->applier)->version, STAMP + 1);
}

/* ---- namespaces ---- */

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
    put_part(f, "", &left);
    put_right(f, &right);
    take(f, RIGHT);
    assert_int_equal(part_at(f, f->dir, "").opening.id.sequence, 3);
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

static void test_without_the_source_nothing_is_applied(void **state)
{
    struct applier_fixture *f = *state;
    struct raft_entry entry = {.term = TERM, .index = f->index + 1};
    struct buf *result = NULL;

    assert_int_equal(applier_lacks_source(f->applier), ERR_CORRUPT);
    assert_int_equal(applier_apply(f->applier, &entry, &result), ERR_CORRUPT);
    assert_int_equal(applier_marker(f->applier)->index, f->index);
}

/* ---- senders ---- */

static void test_what_either_has_answered_is_answered_again(void **state)
{
    struct applier_fixture *f = *state;

    assert_int_equal(apply(f, create_at(5, 1, f->dir, "b")), 0);
    go_to(f, RIGHT);
    assert_int_equal(apply(f, create_at(5, 2, f->dir, "f")), 0);
    go_to(f, LEFT);
    take(f, RIGHT);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(apply(f, create_at(9, 1, f->dir, "b")), 0);
        assert_int_equal(apply(f, create_at(9, 2, f->dir, "f")), 0);
        assert_int_equal(apply(f, create_at(9, 3, f->dir, "f")), ERR_EXISTS);
        go_to(f, LEFT); /* Once more with what is stored. */
    }
}

/* ---- a frozen region ---- */

static void test_a_frozen_region_stays_as_it_is(void **state)
{
    struct applier_fixture *f = *state;
    uint64_t files;

    go_to(f, RIGHT);
    freeze(f);
    assert_int_equal(f->region.version, 6);
    files = count_class(f->exec->state, "d");
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), ERR_EPOCH);
    assert_int_equal(apply(f, create_at(6, 2, f->dir, "f")), ERR_EPOCH);
    assert_int_equal(apply(f, create_at(0, 3, f->dir, "f")), ERR_EPOCH);
    assert_int_equal(count_class(f->exec->state, "d"), files);
    assert_int_equal(count_class(f->exec->state, "m"), 0);
}

/* The first attempt was in its log before. */
static void test_a_frozen_region_answers_what_it_has_answered(void **state)
{
    struct applier_fixture *f = *state;

    go_to(f, RIGHT);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), 0);
    freeze(f);
    assert_int_equal(apply(f, create_at(6, 1, f->dir, "f")), 0);
    go_to(f, RIGHT);
    assert_true(region_is_frozen(&f->region));
    assert_int_equal(apply(f, create_at(6, 2, f->dir, "f")), ERR_EPOCH);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup, teardown_applier)
#define TEST_WHOLE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, setup_applier, teardown_applier)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_source_leaves_only_its_tombstone),
        TEST(test_no_data_is_moved),
        TEST(test_what_has_no_effect_only_moves_the_marker),
        TEST(test_what_is_applied_again_gives_the_same),
        TEST(test_versions_go_on_above_those_of_both),
        TEST(test_an_own_greater_version_stays),
        TEST(test_the_parts_of_a_namespace_become_one),
        TEST(test_the_source_may_be_the_left_one),
        TEST(test_what_closes_the_left_part_closes_both),
        TEST(test_what_holds_only_the_right_part_holds_none),
        TEST(test_what_opens_both_parts_opens_the_whole),
        TEST(test_an_open_part_opens_the_left_one),
        TEST(test_a_held_part_goes_the_way_of_the_left_one),
        TEST(test_what_was_brought_into_it_goes_too),
        TEST(test_a_left_part_may_be_missing),
        TEST_WHOLE(test_no_part_may_be_there),
        TEST_WHOLE(test_a_boundary_between_namespaces_cuts_none),
        TEST(test_a_damaged_part_is_not_joined),
        TEST(test_the_only_replica_joins_a_damaged_part_too),
        TEST(test_without_the_source_nothing_is_applied),
        TEST(test_what_either_has_answered_is_answered_again),
        TEST(test_a_frozen_region_stays_as_it_is),
        TEST(test_a_frozen_region_answers_what_it_has_answered),
    };

    return cmocka_run_group_tests_name("applier merge", tests, NULL, NULL);
}
