/* SPDX-License-Identifier: Apache-2.0 */

/* What the entry by which a region takes another one over makes of state/, and
 * how commands fare while one is frozen and behind that. */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/applier.h"
#include "engine/erase.h"
#include "engine/founding.h"
#include "engine/node.h"
#include "engine/range.h"
#include "engine/region_state.h"
#include "exec_fixture.h"
#include "fake_env.h"
#include "tests/sim/kv_mem.h"

enum { LEFT = 1, RIGHT = 8, NODE = 3, INDEX = 20, TERM = 6, STAMP = 5000 };

struct fixture {
    struct exec_fixture *exec; /* its state/ is the one here */
    struct fake_env fake;
    struct applier *applier;
    uint64_t index;
    struct region region; /* as of `index` */
    uint64_t dir; /* a directory with the files a and c, and e and g behind the
                   * boundary, which is at "d" */
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

/* The region is cut in two; both applied nothing since. */
static void cut(struct fixture *f, const char *name)
{
    const struct command command = {.op = COMMAND_SPLIT,
                                    .region_version = 4,
                                    .region_conf_ver = 2,
                                    .dir = f->dir,
                                    .name = slice_of(name),
                                    .new_region = RIGHT};
    struct range_split split = {.dir = f->dir, .name = command.name};
    struct raft_entry entry = {.term = TERM, .index = INDEX + 1};
    struct buf *result = NULL;

    region_split(&f->region, &command, &split.left, &split.right);
    assert_int_equal(applier_split(f->applier, &entry, &split, 0, &result), 0);
    buf_unref(result);
    region_release(&split.left);
    region_release(&split.right);
}

static int setup_whole(void **state)
{
    const struct region whole = {.id = LEFT,
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
    f->applier = open_applier(f, LEFT);
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

/* From here on `f` is about this region. */
static void go_to(struct fixture *f, uint64_t region)
{
    applier_free(f->applier);
    region_release(&f->region);
    f->applier = open_applier(f, region);
    f->index = applier_marker(f->applier)->index;
    assert_int_equal(
        region_state_descriptor(f->exec->state, NULL, region, &f->region), 0);
}

static int setup(void **state)
{
    int rc = setup_whole(state);

    cut(*state, "d");
    go_to(*state, LEFT);
    return rc;
}

/* `f` takes the other one over. Returns what applying it does. */
static int take_as(struct fixture *f, uint64_t source, bool only_replica)
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

static void take(struct fixture *f, uint64_t source)
{
    assert_int_equal(take_as(f, source, false), 0);
}

static void freeze(struct fixture *f)
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

/* ---- looking ---- */

static bool has_record(struct fixture *f, struct key key)
{
    struct kv_value value = {0};
    int rc = kv_get(f->exec->state, NULL, key_slice(&key), &value);

    kv_value_release(&value);
    return rc == 0;
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

static void put_part(struct fixture *f, const char *name,
                     const struct namespace_record *record)
{
    struct buf *bytes = namespace_encode(record);

    put(f, key_user('n', f->dir, slice_of(name)),
        (struct slice){bytes->data, bytes->size});
    buf_unref(bytes);
}

/* ---- the entry ---- */

static void test_the_source_leaves_only_its_tombstone(void **state)
{
    struct fixture *f = *state;
    struct tombstone tombstone = {0};

    go_to(f, RIGHT);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), 0);
    go_to(f, LEFT);
    take(f, RIGHT);
    assert_false(has_record(f, key_region(RIGHT)));
    assert_false(has_record(f, key_marker(RIGHT)));
    assert_false(has_record(f, key_sender(RIGHT, NODE)));
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
    struct fixture *f = *state;
    uint64_t before = count_class(f->exec->state, "d");

    take(f, RIGHT);
    assert_int_equal(count_class(f->exec->state, "d"), before);
    assert_int_equal(apply(f, create_at(9, 1, f->dir, "e")), ERR_EXISTS);
    assert_int_equal(apply(f, create_at(9, 2, f->dir, "f")), 0);
    assert_int_equal(apply(f, create_at(9, 3, f->dir, "b")), 0);
}

static void test_what_has_no_effect_only_moves_the_marker(void **state)
{
    struct fixture *f = *state;
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
    struct fixture *f = *state;
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
    struct fixture *f = *state;

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
    struct fixture *f = *state;

    assert_int_equal(apply(f, create_at(5, 1, f->dir, "b")), 0);
    take(f, RIGHT);
    assert_int_equal(applier_marker(f->applier)->version, STAMP + 1);
}

/* ---- namespaces ---- */

/* Modulo 2^64: one part alone may be negative. */
static void test_the_parts_of_a_namespace_become_one(void **state)
{
    struct fixture *f = *state;
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
    struct fixture *f = *state;

    go_to(f, RIGHT);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), 0);
    take(f, LEFT);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 5);
    assert_false(has_record(f, key_user('n', f->dir, slice_of("d"))));
    assert_false(has_record(f, key_region(LEFT)));
    assert_int_equal(apply(f, create_at(9, 2, f->dir, "b")), 0);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 6);
    go_to(f, RIGHT);
    assert_int_equal(f->region.start.size, 0);
}

static struct txn_ref holder(void)
{
    return (struct txn_ref){.id = {1, 2, 3}};
}

static void put_right(struct fixture *f, const struct namespace_record *part)
{
    put_part(f, "d", part);
    put(f, key_namespace_mark(f->dir, f->region.end), slice_of(""));
}

static void delete_left(struct fixture *f)
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
    struct fixture *f = *state;
    struct namespace_record left = part_at(f, f->dir, "");

    left.closing = holder();
    put_part(f, "", &left);
    put(f, key_namespace_mark(f->dir, f->region.end), slice_of(""));
    take(f, RIGHT);
    assert_int_equal(part_at(f, f->dir, "").closing.id.sequence, 3);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    assert_int_equal(count_class(f->exec->state, "x"), 1);
}

/* Its RESOLVE has been at the left one, and does not come back. */
static void test_what_holds_only_the_right_part_holds_none(void **state)
{
    struct fixture *f = *state;
    struct namespace_record right = part_at(f, f->dir, "d");

    right.closing = right.opening = holder();
    put_right(f, &right);
    take(f, RIGHT);
    assert_int_equal(part_at(f, f->dir, "").closing.id.node, 0);
    assert_int_equal(part_at(f, f->dir, "").opening.id.node, 0);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
    assert_int_equal(count_class(f->exec->state, "x"), 0);
}

static void test_what_opens_both_parts_opens_the_whole(void **state)
{
    struct fixture *f = *state;
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
    struct fixture *f = *state;
    struct namespace_record left = part_at(f, f->dir, "");

    left.opening = holder();
    put_part(f, "", &left);
    put(f, key_namespace_mark(f->dir, f->region.end), slice_of(""));
    take(f, RIGHT);
    assert_int_equal(part_at(f, f->dir, "").opening.id.node, 0);
    assert_int_equal(count_class(f->exec->state, "x"), 0);
}

/* A transaction has deleted the left one, and was to delete the other. */
static void test_a_held_part_goes_the_way_of_the_left_one(void **state)
{
    struct fixture *f = *state;
    struct namespace_record right = part_at(f, f->dir, "d");

    right.closing = holder();
    put_right(f, &right);
    delete_left(f);
    take(f, RIGHT);
    assert_false(has_record(f, key_user('n', f->dir, slice_of(""))));
    assert_false(has_record(f, key_user('n', f->dir, slice_of("d"))));
    assert_int_equal(count_class(f->exec->state, "x"), 0);
}

static void test_a_left_part_may_be_missing(void **state)
{
    struct fixture *f = *state;
    struct namespace_record left = part_at(f, f->dir, "");

    left.entry_count = 2;
    put_part(f, "d", &left);
    delete_left(f);
    take(f, RIGHT);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 2);
    assert_false(has_record(f, key_user('n', f->dir, slice_of("d"))));
}

static void test_no_part_may_be_there(void **state)
{
    struct fixture *f = *state;
    uint64_t before;

    f->dir += 100; /* Nothing is known of that one. */
    cut(f, "m");
    go_to(f, LEFT);
    before = count_class(f->exec->state, "n");
    take(f, RIGHT);
    assert_int_equal(count_class(f->exec->state, "n"), before);
}

static void test_a_boundary_between_namespaces_cuts_none(void **state)
{
    struct fixture *f = *state;
    uint64_t before = count_class(f->exec->state, "n");

    cut(f, "");
    go_to(f, LEFT);
    take(f, RIGHT);
    assert_int_equal(count_class(f->exec->state, "n"), before);
    assert_int_equal(part_at(f, f->dir, "").entry_count, 4);
}

static void test_a_damaged_part_is_not_joined(void **state)
{
    struct fixture *f = *state;
    struct kv *before;
    uint64_t index = f->index;

    put(f, key_user('n', f->dir, slice_of("d")), slice_of("\xff\xff"));
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
    struct fixture *f = *state;
    struct command command;
    struct raft_entry entry;
    struct buf *result = NULL;

    put(f, key_user('n', f->dir, slice_of("d")), slice_of("\xff\xff"));
    assert_int_equal(take_as(f, RIGHT, true), 0);
    assert_false(has_record(f, key_region(RIGHT)));
    assert_false(has_record(f, key_user('n', f->dir, slice_of("d"))));
    assert_true(has_record(f, key_user('n', f->dir, slice_of(""))));
    command = create_at(9, 1, f->dir, "b");
    entry = (struct raft_entry){
        .term = TERM, .index = f->index + 1, .data = command_encode(&command)};
    assert_int_equal(applier_apply(f->applier, &entry, &result), ERR_CORRUPT);
    buf_unref(entry.data);
}

static void test_without_the_source_nothing_is_applied(void **state)
{
    struct fixture *f = *state;
    struct raft_entry entry = {.term = TERM, .index = f->index + 1};
    struct buf *result = NULL;

    assert_int_equal(applier_lacks_source(f->applier), ERR_CORRUPT);
    assert_int_equal(applier_apply(f->applier, &entry, &result), ERR_CORRUPT);
    assert_int_equal(applier_marker(f->applier)->index, f->index);
}

/* ---- senders ---- */

static void test_what_either_has_answered_is_answered_again(void **state)
{
    struct fixture *f = *state;

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
    struct fixture *f = *state;
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
    struct fixture *f = *state;

    go_to(f, RIGHT);
    assert_int_equal(apply(f, create_at(5, 1, f->dir, "f")), 0);
    freeze(f);
    assert_int_equal(apply(f, create_at(6, 1, f->dir, "f")), 0);
    go_to(f, RIGHT);
    assert_true(region_is_frozen(&f->region));
    assert_int_equal(apply(f, create_at(6, 2, f->dir, "f")), ERR_EPOCH);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define TEST_WHOLE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, setup_whole, teardown)

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
