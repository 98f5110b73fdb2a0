/* SPDX-License-Identifier: Apache-2.0 */

/* What the entry by which a region takes another one over makes of state/, and
 * how commands fare while one is frozen and behind that. What it makes of
 * namespaces is in test_applier_merge_parts.c. */

#include "applier_merge_fixture.h"
#include "engine/erase.h"
#include "engine/founding.h"
#include "tests/engine/kv_helpers.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_source_leaves_only_its_tombstone),
        TEST(test_no_data_is_moved),
        TEST(test_what_has_no_effect_only_moves_the_marker),
        TEST(test_what_is_applied_again_gives_the_same),
        TEST(test_versions_go_on_above_those_of_both),
        TEST(test_an_own_greater_version_stays),
        TEST(test_without_the_source_nothing_is_applied),
        TEST(test_what_either_has_answered_is_answered_again),
        TEST(test_a_frozen_region_stays_as_it_is),
        TEST(test_a_frozen_region_answers_what_it_has_answered),
    };

    return cmocka_run_group_tests_name("applier merge", tests, NULL, NULL);
}
