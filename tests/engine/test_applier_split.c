/* SPDX-License-Identifier: Apache-2.0 */

/* What the entry of a split makes of state/, and how commands fare that were
 * meant for the region before it. */

#include "applier_fixture.h"
#include "engine/founding.h"
#include "engine/range.h"
#include "tests/engine/kv_helpers.h"

/* ---- looking ---- */

static bool has_file(struct applier_fixture *f, const char *name)
{
    return has_record(f->exec->state, key_user('d', f->dir, slice_of(name)));
}

static bool has_mark(struct applier_fixture *f, uint64_t dir, const char *name)
{
    struct key start = key_user('n', dir, slice_of(name));

    return has_record(f->exec->state,
                      key_namespace_mark(dir, key_user_part(&start)));
}

static void damage_part(struct applier_fixture *f, uint64_t dir)
{
    put_record(f->exec->state, key_user('n', dir, slice_of("")),
               slice_of("\xff\xff"));
}

/* ---- the entry ---- */

static void test_both_regions_begin_with_descriptor_and_marker(void **state)
{
    struct applier_fixture *f = *state;

    split(f, f->dir, "d");
    go_to(f, LEFT);
    assert_int_equal(f->region.version, 5);
    assert_int_equal(applier_marker(f->applier)->index, INDEX + 1);
    assert_int_equal(applier_marker(f->applier)->term, TERM);
    assert_int_equal(applier_marker(f->applier)->version, STAMP);
    go_to(f, RIGHT);
    assert_int_equal(f->region.version, 5);
    assert_int_equal(applier_marker(f->applier)->index, FOUNDING_INDEX);
    assert_int_equal(applier_marker(f->applier)->term, FOUNDING_TERM);
    assert_int_equal(applier_marker(f->applier)->version, STAMP);
}

static void test_no_data_is_moved(void **state)
{
    struct applier_fixture *f = *state;
    uint64_t before = count_class(f->exec->state, "d");

    split(f, f->dir, "d");
    assert_int_equal(count_class(f->exec->state, "d"), before);
}

static void test_a_split_without_effect_only_moves_the_marker(void **state)
{
    struct applier_fixture *f = *state;
    struct kv *before = copy_store(f->exec->state);
    struct raft_entry entry = {.term = TERM, .index = INDEX + 1};
    struct buf *result = NULL;

    assert_int_equal(
        applier_split(f->applier, &entry, NULL, ERR_EPOCH, &result), 0);
    assert_int_equal(status_of(result), ERR_EPOCH);
    assert_int_equal(applier_marker(f->applier)->index, INDEX + 1);
    go_to(f, LEFT);
    assert_int_equal(f->region.version, 4);
    put_region(f, &f->region, &(struct marker){INDEX, TERM, STAMP});
    assert_same_stores(before, f->exec->state);
    kv_close(before);
}

/* A crash has lost what was applied, and nothing of the log. */
static void test_a_split_that_is_applied_again_gives_the_same(void **state)
{
    struct applier_fixture *f = *state;
    struct kv *before = copy_store(f->exec->state);
    struct kv *once;

    split(f, f->dir, "d");
    once = f->exec->state;
    f->exec->state = f->fake.env.state = before;
    go_to(f, LEFT);
    split(f, f->dir, "d");
    assert_same_stores(once, f->exec->state);
    kv_close(once);
}

/* ---- namespaces ---- */

/* Only the sum of the counts means something. */
static void test_the_count_of_a_cut_namespace_stays_on_the_left(void **state)
{
    struct applier_fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    assert_int_equal(part_at(f, f->dir, "d").entry_count, 0);
}

static void test_both_parts_of_a_cut_namespace_have_its_times(void **state)
{
    struct applier_fixture *f = *state;
    struct namespace_record before = part_at(f, f->dir, "");
    struct namespace_record after;

    assert_true(before.mtime_ns > 0);
    split(f, f->dir, "d");
    after = part_at(f, f->dir, "d");
    assert_int_equal(after.nsid, f->dir);
    assert_int_equal(after.domain, before.domain);
    assert_int_equal(after.mtime_ns, before.mtime_ns);
    assert_int_equal(after.ctime_ns, before.ctime_ns);
    assert_int_equal(after.version, before.version);
}

/* The one that holds it may leave no other trace than this in either region:
 * see orphans.h. */
static void test_a_held_namespace_is_held_and_marked_on_the_right(void **state)
{
    struct applier_fixture *f = *state;
    uint64_t dir = make_dir(f->exec, NSID_ROOT, "e");
    struct test_txn rmdir = txn_rmdir(f->exec, NSID_ROOT, "e");
    struct test_txn mkdir = txn_mkdir(f->exec, NSID_ROOT, "n");

    assert_int_equal(prepare(f->exec, &rmdir), 0);
    assert_int_equal(prepare(f->exec, &mkdir), 0);
    split_as(f, RIGHT, mkdir.nsid, "m", SPLIT_KEEP);
    split_as(f, RIGHT + 1, dir, "m", SPLIT_KEEP);
    split_as(f, RIGHT + 2, f->dir, "d", SPLIT_KEEP);
    assert_true(
        txn_id_equal(part_at(f, dir, "m").closing.id, rmdir.command.txn.id));
    assert_true(txn_id_equal(part_at(f, mkdir.nsid, "m").opening.id,
                             mkdir.command.txn.id));
    assert_true(has_mark(f, dir, "m"));
    assert_true(has_mark(f, mkdir.nsid, "m"));
    assert_false(has_mark(f, f->dir, "d"));
}

static void
test_a_namespace_that_begins_at_the_split_goes_as_a_whole(void **state)
{
    struct applier_fixture *f = *state;
    struct key key = key_user('n', f->dir, slice_of(""));
    struct range right;

    split(f, f->dir, "");
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    assert_int_equal(count_class(f->exec->state, "n"), 2);
    go_to(f, RIGHT);
    right = (struct range){f->region.start, f->region.end};
    assert_true(range_has(right, key_user_part(&key)));
}

static void test_a_namespace_may_be_cut_twice(void **state)
{
    struct applier_fixture *f = *state;

    split_as(f, RIGHT, f->dir, "d", SPLIT_KEEP);
    split_as(f, RIGHT + 1, f->dir, "b", SPLIT_KEEP);
    go_to(f, RIGHT);
    split_as(f, RIGHT + 2, f->dir, "f", SPLIT_KEEP);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    assert_int_equal(part_at(f, f->dir, "b").entry_count, 0);
    assert_int_equal(part_at(f, f->dir, "d").entry_count, 0);
    assert_int_equal(part_at(f, f->dir, "f").entry_count, 0);
    assert_int_equal(count_class(f->exec->state, "n"), 5);
}

/* Nothing is known of directories but what the region has of them. */
static void test_a_split_where_no_namespace_is_cuts_none(void **state)
{
    struct applier_fixture *f = *state;
    uint64_t before = count_class(f->exec->state, "n");

    split(f, f->dir + 100, "m");
    assert_int_equal(count_class(f->exec->state, "n"), before);
    go_to(f, RIGHT);
    assert_int_equal(f->region.end.size, 0);
}

static void test_a_damaged_namespace_is_not_cut(void **state)
{
    struct applier_fixture *f = *state;
    struct range_split planned = plan_split(f, RIGHT, f->dir, "d");
    struct raft_entry entry = {.term = TERM, .index = INDEX + 1};
    struct buf *result = NULL;
    struct kv *before;

    planned.right_here = SPLIT_KEEP;
    damage_part(f, f->dir);
    before = copy_store(f->exec->state);
    assert_int_equal(applier_split(f->applier, &entry, &planned, 0, &result),
                     ERR_CORRUPT);
    assert_same_stores(before, f->exec->state);
    assert_int_equal(applier_marker(f->applier)->index, INDEX);
    assert_int_equal(applier_split(f->applier, &entry, NULL, 0, &result),
                     ERR_CORRUPT);
    assert_null(result);
    region_release(&planned.left);
    region_release(&planned.right);
    kv_close(before);
}

/* There is nobody to mend it, and the region is already the left part for
 * whoever asks: see peer_split.c. */
static void test_the_only_replica_cuts_a_damaged_namespace_too(void **state)
{
    struct applier_fixture *f = *state;
    struct range_split planned = plan_split(f, RIGHT, f->dir, "d");
    struct raft_entry entry = {.term = TERM, .index = INDEX + 1};
    struct command ask = {COMMAND_PART, .dir = f->dir, .name = planned.name};
    struct read_part part;
    struct buf *result = NULL;

    planned.right_here = SPLIT_KEEP;
    planned.only_replica = true;
    damage_part(f, f->dir);
    assert_int_equal(applier_split(f->applier, &entry, &planned, 0, &result),
                     0);
    assert_int_equal(status_of(result), 0);
    go_to(f, RIGHT);
    part =
        (struct read_part){RIGHT, {f->region.start, f->region.end}, false, {0}};
    assert_int_equal(read_execute(f->exec->state, &(struct read_view){&part, 1},
                                  &ask, &f->exec->unknown, &f->exec->result),
                     ERR_CORRUPT);
    region_release(&planned.left);
    region_release(&planned.right);
}

/* ---- what comes of the right part here ---- */

static void test_a_right_part_that_does_not_belong_here_is_dropped(void **state)
{
    struct applier_fixture *f = *state;

    split_as(f, RIGHT, f->dir, "d", SPLIT_DROP);
    assert_true(has_file(f, "a") && has_file(f, "c"));
    assert_false(has_file(f, "e") || has_file(f, "g"));
    assert_false(has_record(f->exec->state, key_region(RIGHT)));
    assert_false(has_record(f->exec->state, key_marker(RIGHT)));
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    go_to(f, LEFT);
    assert_int_equal(f->region.version, 5);
}

/* A snapshot was faster: it has a later state of the region. */
static void test_a_newer_right_part_is_left_alone(void **state)
{
    struct applier_fixture *f = *state;
    struct range_split planned = plan_split(f, RIGHT, f->dir, "d");

    planned.right.version = 9;
    put_region(f, &planned.right, &(struct marker){70, 8, 1});
    put_record(f->exec->state, key_user('n', f->dir, slice_of("d")),
               slice_of("newer"));
    split_as(f, RIGHT, f->dir, "d", SPLIT_LEAVE);
    go_to(f, RIGHT);
    assert_int_equal(f->region.version, 9);
    assert_int_equal(f->index, 70);
    assert_true(has_file(f, "e"));
    go_to(f, LEFT);
    assert_int_equal(f->region.version, 5);
    region_release(&planned.left);
    region_release(&planned.right);
}

/* ---- commands ---- */

static int remove_at(struct applier_fixture *f, uint64_t version,
                     uint64_t sequence, const char *name)
{
    struct command command = create_at(version, sequence, f->dir, name);

    command.op = COMMAND_UNLINK;
    return apply(f, command);
}

static void test_a_command_for_another_version_has_no_effect(void **state)
{
    struct applier_fixture *f = *state;

    assert_int_equal(apply(f, create_at(3, 1, f->dir, "b")), ERR_EPOCH);
    assert_int_equal(apply(f, create_at(5, 2, f->dir, "b")), ERR_EPOCH);
    assert_false(has_file(f, "b"));
    split(f, f->dir, "d");
    assert_int_equal(apply(f, create_at(4, 3, f->dir, "b")), ERR_EPOCH);
    assert_false(has_file(f, "b"));
}

/* Another attempt, with the same number, may fit. */
static void test_what_missed_its_region_is_not_remembered(void **state)
{
    struct applier_fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(apply(f, create_at(4, 1, f->dir, "b")), ERR_EPOCH);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "b")), 0);
    assert_true(has_file(f, "b"));
    assert_int_equal(apply(f, create_at(4, 1, f->dir, "b")), 0);
}

/* As at first, though the file is there now. */
static void test_both_regions_answer_what_was_applied_before(void **state)
{
    struct applier_fixture *f = *state;

    assert_int_equal(apply(f, create_at(4, 1, f->dir, "f")), 0);
    split(f, f->dir, "d");
    assert_int_equal(apply(f, create_at(4, 1, f->dir, "f")), 0);
    go_to(f, RIGHT);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), 0);
    assert_int_equal(apply(f, create_at(4, 1, f->dir, "f")), 0);
    assert_int_equal(apply(f, create_at(5, 2, f->dir, "f")), ERR_EXISTS);
}

static void
test_what_one_region_applies_later_the_other_does_not_know(void **state)
{
    struct applier_fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "b")), 0);
    go_to(f, RIGHT);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), 0);
    assert_true(has_file(f, "b") && has_file(f, "f"));
}

/* The version is right by chance, or nobody asked for one. */
static void test_what_lies_elsewhere_is_not_changed(void **state)
{
    struct applier_fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), ERR_EPOCH);
    assert_int_equal(apply(f, create_at(0, 2, f->dir, "f")), ERR_EPOCH);
    assert_int_equal(apply(f, create_at(0, 3, f->dir, "b")), 0);
    go_to(f, RIGHT);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "b2")), ERR_EPOCH);
}

static void test_a_rename_into_another_region_is_not_done(void **state)
{
    struct applier_fixture *f = *state;
    struct command command = create_at(5, 1, f->dir, "a");

    split(f, f->dir, "d");
    command.op = COMMAND_RENAME;
    command.flags = 0;
    command.to_dir = f->dir;
    command.to_name = slice_of("f");
    assert_int_equal(apply(f, command), ERR_EPOCH);
    command.to_name = slice_of("b");
    assert_int_equal(apply(f, command), 0);
    assert_true(has_file(f, "b") && has_file(f, "e"));
}

/* Without counting at the split: what was before it stays counted left. */
static void test_each_part_counts_its_own_changes(void **state)
{
    struct applier_fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(remove_at(f, 5, 1, "a"), 0);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 3);
    go_to(f, RIGHT);
    assert_int_equal(remove_at(f, 5, 2, "e"), 0);
    assert_true(part_at(f, f->dir, "d").entry_count == UINT64_MAX);
    assert_int_equal(apply(f, create_at(5, 3, f->dir, "h")), 0);
    assert_int_equal(apply(f, create_at(5, 4, f->dir, "i")), 0);
    assert_int_equal(part_at(f, f->dir, "d").entry_count, 1);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 3);
}

static void test_the_new_region_can_be_split_in_its_turn(void **state)
{
    struct applier_fixture *f = *state;

    split(f, f->dir, "d");
    go_to(f, RIGHT);
    split_as(f, RIGHT + 1, f->dir, "f", SPLIT_KEEP);
    assert_int_equal(apply(f, create_at(6, 1, f->dir, "e2")), 0);
    assert_int_equal(apply(f, create_at(6, 2, f->dir, "g2")), ERR_EPOCH);
    go_to(f, RIGHT + 1);
    assert_int_equal(f->region.version, 6);
    assert_int_equal(apply(f, create_at(6, 2, f->dir, "g2")), 0);
}

static void test_versions_go_on_ascending_in_both_regions(void **state)
{
    struct applier_fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "b")), 0);
    assert_int_equal(applier_marker(f->applier)->version, STAMP + 1);
    go_to(f, RIGHT);
    assert_int_equal(apply(f, create_at(5, 2, f->dir, "f")), 0);
    assert_int_equal(applier_marker(f->applier)->version, STAMP + 1);
}

#define TEST(test)                                                             \
    cmocka_unit_test_setup_teardown(test, setup_applier, teardown_applier)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_both_regions_begin_with_descriptor_and_marker),
        TEST(test_no_data_is_moved),
        TEST(test_a_split_without_effect_only_moves_the_marker),
        TEST(test_a_split_that_is_applied_again_gives_the_same),
        TEST(test_the_count_of_a_cut_namespace_stays_on_the_left),
        TEST(test_both_parts_of_a_cut_namespace_have_its_times),
        TEST(test_a_held_namespace_is_held_and_marked_on_the_right),
        TEST(test_a_namespace_that_begins_at_the_split_goes_as_a_whole),
        TEST(test_a_namespace_may_be_cut_twice),
        TEST(test_a_split_where_no_namespace_is_cuts_none),
        TEST(test_a_damaged_namespace_is_not_cut),
        TEST(test_the_only_replica_cuts_a_damaged_namespace_too),
        TEST(test_a_right_part_that_does_not_belong_here_is_dropped),
        TEST(test_a_newer_right_part_is_left_alone),
        TEST(test_a_command_for_another_version_has_no_effect),
        TEST(test_what_missed_its_region_is_not_remembered),
        TEST(test_both_regions_answer_what_was_applied_before),
        TEST(test_what_one_region_applies_later_the_other_does_not_know),
        TEST(test_what_lies_elsewhere_is_not_changed),
        TEST(test_a_rename_into_another_region_is_not_done),
        TEST(test_each_part_counts_its_own_changes),
        TEST(test_the_new_region_can_be_split_in_its_turn),
        TEST(test_versions_go_on_ascending_in_both_regions),
    };

    return cmocka_run_group_tests_name("applier split", tests, NULL, NULL);
}
