/* SPDX-License-Identifier: Apache-2.0 */

/* What the entry of a split makes of state/, and how commands fare that were
 * meant for the region before it. */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/applier.h"
#include "engine/founding.h"
#include "engine/node.h"
#include "engine/range.h"
#include "engine/region_state.h"
#include "exec_fixture.h"
#include "fake_env.h"
#include "tests/sim/kv_mem.h"

enum { OLD = 1, NEW = 8, NODE = 3, INDEX = 20, TERM = 6, STAMP = 5000 };

struct fixture {
    struct exec_fixture *exec; /* its state/ is the one here */
    struct fake_env fake;
    struct applier *applier;
    uint64_t index;
    struct region region; /* as of `index` */
    uint64_t dir;         /* a directory with the files a, c, e and g */
};

/* ---- the fixture ---- */

static struct applier *open_applier(struct fixture *f, uint64_t region)
{
    struct applier *applier = NULL;

    assert_int_equal(applier_open(&applier, &f->fake.env, region), 0);
    return applier;
}

static void put(struct fixture *f, struct key key, struct slice value)
{
    struct kv_batch *batch = kv_batch_new(f->exec->state);

    kv_batch_put(batch, key_slice(&key), value);
    assert_int_equal(kv_write(f->exec->state, batch, KV_RELAXED, NULL), 0);
    kv_batch_free(batch);
}

static void put_region(struct fixture *f, const struct region *region,
                       const struct marker *marker)
{
    struct buf *bytes = region_encode(region);
    uint8_t small[MARKER_SIZE_MAX];

    put(f, key_region(region->id), (struct slice){bytes->data, bytes->size});
    put(f, key_marker(region->id),
        (struct slice){small, marker_encode(marker, small)});
    buf_unref(bytes);
}

static int setup(void **state)
{
    const struct region whole = {.id = OLD,
                                 .conf_ver = 2,
                                 .version = 4,
                                 .peers = {{3, 1, PEER_VOTER}},
                                 .peer_count = 1,
                                 .voters = {3},
                                 .voter_count = 1,
                                 .peer_max = 3};
    struct fixture *f = mem_zalloc(sizeof *f);
    void *exec = NULL;

    (void)setup_exec(&exec);
    f->exec = exec;
    f->dir = make_dir(f->exec, NSID_ROOT, "d");
    for (const char *name = "a\0c\0e\0g\0"; *name != '\0'; name += 2)
        assert_int_equal(create(f->exec, f->dir, name), 0);
    fake_env_init(&f->fake, NULL, f->exec->state);
    put_region(f, &whole, &(struct marker){INDEX, TERM, STAMP});
    f->region = region_copy(&whole);
    f->index = INDEX;
    f->applier = open_applier(f, OLD);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->fake.fatal_count, 0);
    applier_free(f->applier);
    region_release(&f->region);
    result_release(&f->exec->result);
    kv_close(f->exec->state);
    free(f->exec);
    free(f);
    return 0;
}

static int status_of(struct buf *bytes)
{
    struct result result = {0};
    int status;

    assert_int_equal(
        result_decode(&result, (struct slice){bytes->data, bytes->size}), 0);
    status = result.status;
    result_release(&result);
    buf_unref(bytes);
    return status;
}

static struct range_split plan(const struct region *region, uint64_t new_region,
                               uint64_t dir, const char *name)
{
    const struct command command = {.op = COMMAND_SPLIT,
                                    .region_version = region->version,
                                    .region_conf_ver = region->conf_ver,
                                    .dir = dir,
                                    .name = slice_of(name),
                                    .new_region = new_region};
    struct range_split split = {.dir = dir, .name = command.name};

    region_split(region, &command, &split.left, &split.right);
    return split;
}

/* Splits the region of `f`, and so it is the left one from here on. */
static void split_as(struct fixture *f, uint64_t new_region, uint64_t dir,
                     const char *name, enum split_side right_here)
{
    struct range_split split = plan(&f->region, new_region, dir, name);
    struct raft_entry entry = {.term = TERM, .index = ++f->index};
    struct buf *result = NULL;

    split.right_here = right_here;
    assert_int_equal(applier_split(f->applier, &entry, &split, 0, &result), 0);
    assert_int_equal(status_of(result), 0);
    region_release(&split.right);
    region_release(&f->region);
    f->region = split.left;
}

static void split(struct fixture *f, uint64_t dir, const char *name)
{
    split_as(f, NEW, dir, name, SPLIT_KEEP);
}

/* From here on `f` is about the new region. */
static void go_to(struct fixture *f, uint64_t region)
{
    applier_free(f->applier);
    region_release(&f->region);
    f->applier = open_applier(f, region);
    f->index = applier_marker(f->applier)->index;
    assert_int_equal(
        region_state_descriptor(f->exec->state, NULL, region, &f->region), 0);
}

/* ---- looking ---- */

static bool has_record(struct fixture *f, struct key key)
{
    struct kv_value value = {0};
    int rc = kv_get(f->exec->state, NULL, key_slice(&key), &value);

    kv_value_release(&value);
    return rc == 0;
}

static bool has_file(struct fixture *f, const char *name)
{
    return has_record(f, key_user('d', f->dir, slice_of(name)));
}

/* The part of a namespace that begins at `name`; fails without one. */
static struct namespace_record part_at(struct fixture *f, uint64_t dir,
                                       const char *name)
{
    struct key key = key_user('n', dir, slice_of(name));
    struct namespace_record record = {0};
    struct namespace_record numbers;
    struct kv_value value = {0};

    assert_int_equal(kv_get(f->exec->state, NULL, key_slice(&key), &value), 0);
    assert_int_equal(
        namespace_decode(&record, (struct slice){value.data, value.size}), 0);
    kv_value_release(&value);
    numbers = record;
    namespace_release(&record);
    return numbers;
}

static bool has_mark(struct fixture *f, uint64_t dir, const char *name)
{
    struct key start = key_user('n', dir, slice_of(name));

    return has_record(f, key_namespace_mark(dir, key_user_part(&start)));
}

static void damage_part(struct fixture *f, uint64_t dir)
{
    put(f, key_user('n', dir, slice_of("")), slice_of("\xff\xff"));
}

/* ---- the entry ---- */

static void test_both_regions_begin_with_descriptor_and_marker(void **state)
{
    struct fixture *f = *state;

    split(f, f->dir, "d");
    go_to(f, OLD);
    assert_int_equal(f->region.version, 5);
    assert_int_equal(applier_marker(f->applier)->index, INDEX + 1);
    assert_int_equal(applier_marker(f->applier)->term, TERM);
    assert_int_equal(applier_marker(f->applier)->version, STAMP);
    go_to(f, NEW);
    assert_int_equal(f->region.version, 5);
    assert_int_equal(applier_marker(f->applier)->index, FOUNDING_INDEX);
    assert_int_equal(applier_marker(f->applier)->term, FOUNDING_TERM);
    assert_int_equal(applier_marker(f->applier)->version, STAMP);
}

static void test_no_data_is_moved(void **state)
{
    struct fixture *f = *state;
    uint64_t before = count_class(f->exec->state, "d");

    split(f, f->dir, "d");
    assert_int_equal(count_class(f->exec->state, "d"), before);
}

static void test_a_split_without_effect_only_moves_the_marker(void **state)
{
    struct fixture *f = *state;
    struct kv *before = copy_store(f->exec->state);
    struct raft_entry entry = {.term = TERM, .index = INDEX + 1};
    struct buf *result = NULL;

    assert_int_equal(
        applier_split(f->applier, &entry, NULL, ERR_EPOCH, &result), 0);
    assert_int_equal(status_of(result), ERR_EPOCH);
    assert_int_equal(applier_marker(f->applier)->index, INDEX + 1);
    go_to(f, OLD);
    assert_int_equal(f->region.version, 4);
    put_region(f, &f->region, &(struct marker){INDEX, TERM, STAMP});
    assert_same_stores(before, f->exec->state);
    kv_close(before);
}

/* A crash has lost what was applied, and nothing of the log. */
static void test_a_split_that_is_applied_again_gives_the_same(void **state)
{
    struct fixture *f = *state;
    struct kv *before = copy_store(f->exec->state);
    struct kv *once;

    split(f, f->dir, "d");
    once = f->exec->state;
    f->exec->state = f->fake.env.state = before;
    go_to(f, OLD);
    split(f, f->dir, "d");
    assert_same_stores(once, f->exec->state);
    kv_close(once);
}

/* ---- namespaces ---- */

/* Only the sum of the counts means something. */
static void test_the_count_of_a_cut_namespace_stays_on_the_left(void **state)
{
    struct fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    assert_int_equal(part_at(f, f->dir, "d").entry_count, 0);
}

static void test_both_parts_of_a_cut_namespace_have_its_times(void **state)
{
    struct fixture *f = *state;
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
    struct fixture *f = *state;
    uint64_t dir = make_dir(f->exec, NSID_ROOT, "e");
    struct test_txn rmdir = txn_rmdir(f->exec, NSID_ROOT, "e");
    struct test_txn mkdir = txn_mkdir(f->exec, NSID_ROOT, "n");

    assert_int_equal(prepare(f->exec, &rmdir), 0);
    assert_int_equal(prepare(f->exec, &mkdir), 0);
    split_as(f, NEW, mkdir.nsid, "m", SPLIT_KEEP);
    split_as(f, NEW + 1, dir, "m", SPLIT_KEEP);
    split_as(f, NEW + 2, f->dir, "d", SPLIT_KEEP);
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
    struct fixture *f = *state;
    struct key key = key_user('n', f->dir, slice_of(""));
    struct range right;

    split(f, f->dir, "");
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    assert_int_equal(count_class(f->exec->state, "n"), 2);
    go_to(f, NEW);
    right = (struct range){f->region.start, f->region.end};
    assert_true(range_has(right, key_user_part(&key)));
}

static void test_a_namespace_may_be_cut_twice(void **state)
{
    struct fixture *f = *state;

    split_as(f, NEW, f->dir, "d", SPLIT_KEEP);
    split_as(f, NEW + 1, f->dir, "b", SPLIT_KEEP);
    go_to(f, NEW);
    split_as(f, NEW + 2, f->dir, "f", SPLIT_KEEP);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    assert_int_equal(part_at(f, f->dir, "b").entry_count, 0);
    assert_int_equal(part_at(f, f->dir, "d").entry_count, 0);
    assert_int_equal(part_at(f, f->dir, "f").entry_count, 0);
    assert_int_equal(count_class(f->exec->state, "n"), 5);
}

/* Nothing is known of directories but what the region has of them. */
static void test_a_split_where_no_namespace_is_cuts_none(void **state)
{
    struct fixture *f = *state;
    uint64_t before = count_class(f->exec->state, "n");

    split(f, f->dir + 100, "m");
    assert_int_equal(count_class(f->exec->state, "n"), before);
    go_to(f, NEW);
    assert_int_equal(f->region.end.size, 0);
}

static void test_a_damaged_namespace_is_not_cut(void **state)
{
    struct fixture *f = *state;
    struct range_split planned = plan(&f->region, NEW, f->dir, "d");
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
    struct fixture *f = *state;
    struct range_split planned = plan(&f->region, NEW, f->dir, "d");
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
    go_to(f, NEW);
    part =
        (struct read_part){NEW, {f->region.start, f->region.end}, false, {0}};
    assert_int_equal(read_execute(f->exec->state, &(struct read_view){&part, 1},
                                  &ask, &f->exec->unknown, &f->exec->result),
                     ERR_CORRUPT);
    region_release(&planned.left);
    region_release(&planned.right);
}

/* ---- what comes of the right part here ---- */

static void test_a_right_part_that_does_not_belong_here_is_dropped(void **state)
{
    struct fixture *f = *state;

    split_as(f, NEW, f->dir, "d", SPLIT_DROP);
    assert_true(has_file(f, "a") && has_file(f, "c"));
    assert_false(has_file(f, "e") || has_file(f, "g"));
    assert_false(has_record(f, key_region(NEW)));
    assert_false(has_record(f, key_marker(NEW)));
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    go_to(f, OLD);
    assert_int_equal(f->region.version, 5);
}

/* A snapshot was faster: it has a later state of the region. */
static void test_a_newer_right_part_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct range_split planned = plan(&f->region, NEW, f->dir, "d");

    planned.right.version = 9;
    put_region(f, &planned.right, &(struct marker){70, 8, 1});
    put(f, key_user('n', f->dir, slice_of("d")), slice_of("newer"));
    split_as(f, NEW, f->dir, "d", SPLIT_LEAVE);
    go_to(f, NEW);
    assert_int_equal(f->region.version, 9);
    assert_int_equal(f->index, 70);
    assert_true(has_file(f, "e"));
    go_to(f, OLD);
    assert_int_equal(f->region.version, 5);
    region_release(&planned.left);
    region_release(&planned.right);
}

/* ---- commands ---- */

static struct command create_at(uint64_t version, uint64_t sequence,
                                uint64_t dir, const char *name)
{
    return (struct command){.op = COMMAND_CREATE,
                            .node = NODE,
                            .boot = 1,
                            .sequence = sequence,
                            .lowest = 1,
                            .region_version = version,
                            .dir = dir,
                            .name = slice_of(name),
                            .ino = 900 + sequence,
                            .flags = REQUEST_EXCLUSIVE,
                            .set = {.mode = S_IFREG | 0644},
                            .value_size_max = 1024};
}

static int apply(struct fixture *f, struct command command)
{
    struct raft_entry entry = {
        .term = TERM, .index = ++f->index, .data = command_encode(&command)};
    struct buf *bytes = NULL;

    assert_int_equal(applier_apply(f->applier, &entry, &bytes), 0);
    buf_unref(entry.data);
    return status_of(bytes);
}

static int remove_at(struct fixture *f, uint64_t version, uint64_t sequence,
                     const char *name)
{
    struct command command = create_at(version, sequence, f->dir, name);

    command.op = COMMAND_UNLINK;
    return apply(f, command);
}

static void test_a_command_for_another_version_has_no_effect(void **state)
{
    struct fixture *f = *state;

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
    struct fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(apply(f, create_at(4, 1, f->dir, "b")), ERR_EPOCH);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "b")), 0);
    assert_true(has_file(f, "b"));
    assert_int_equal(apply(f, create_at(4, 1, f->dir, "b")), 0);
}

/* As at first, though the file is there now. */
static void test_both_regions_answer_what_was_applied_before(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(apply(f, create_at(4, 1, f->dir, "f")), 0);
    split(f, f->dir, "d");
    assert_int_equal(apply(f, create_at(4, 1, f->dir, "f")), 0);
    go_to(f, NEW);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), 0);
    assert_int_equal(apply(f, create_at(4, 1, f->dir, "f")), 0);
    assert_int_equal(apply(f, create_at(5, 2, f->dir, "f")), ERR_EXISTS);
}

static void
test_what_one_region_applies_later_the_other_does_not_know(void **state)
{
    struct fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "b")), 0);
    go_to(f, NEW);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), 0);
    assert_true(has_file(f, "b") && has_file(f, "f"));
}

/* The version is right by chance, or nobody asked for one. */
static void test_what_lies_elsewhere_is_not_changed(void **state)
{
    struct fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), ERR_EPOCH);
    assert_int_equal(apply(f, create_at(0, 2, f->dir, "f")), ERR_EPOCH);
    assert_int_equal(apply(f, create_at(0, 3, f->dir, "b")), 0);
    go_to(f, NEW);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "b2")), ERR_EPOCH);
}

static void test_a_rename_into_another_region_is_not_done(void **state)
{
    struct fixture *f = *state;
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
    struct fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(remove_at(f, 5, 1, "a"), 0);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 3);
    go_to(f, NEW);
    assert_int_equal(remove_at(f, 5, 2, "e"), 0);
    assert_true(part_at(f, f->dir, "d").entry_count == UINT64_MAX);
    assert_int_equal(apply(f, create_at(5, 3, f->dir, "h")), 0);
    assert_int_equal(apply(f, create_at(5, 4, f->dir, "i")), 0);
    assert_int_equal(part_at(f, f->dir, "d").entry_count, 1);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 3);
}

static void test_the_new_region_can_be_split_in_its_turn(void **state)
{
    struct fixture *f = *state;

    split(f, f->dir, "d");
    go_to(f, NEW);
    split_as(f, NEW + 1, f->dir, "f", SPLIT_KEEP);
    assert_int_equal(apply(f, create_at(6, 1, f->dir, "e2")), 0);
    assert_int_equal(apply(f, create_at(6, 2, f->dir, "g2")), ERR_EPOCH);
    go_to(f, NEW + 1);
    assert_int_equal(f->region.version, 6);
    assert_int_equal(apply(f, create_at(6, 2, f->dir, "g2")), 0);
}

static void test_versions_go_on_ascending_in_both_regions(void **state)
{
    struct fixture *f = *state;

    split(f, f->dir, "d");
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "b")), 0);
    assert_int_equal(applier_marker(f->applier)->version, STAMP + 1);
    go_to(f, NEW);
    assert_int_equal(apply(f, create_at(5, 2, f->dir, "f")), 0);
    assert_int_equal(applier_marker(f->applier)->version, STAMP + 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

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
