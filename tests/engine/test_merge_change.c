/* SPDX-License-Identifier: Apache-2.0 */

#include "codec_helpers.h"

#include "engine/merge_change.h"
#include "engine/node.h"
#include "engine/peer_change.h"
#include "engine/range_change.h"

enum { DIR_NSID = 7, TARGET = 3, SOURCE = 5, ATTEMPT = 40 };

static struct key keys[3];

static struct slice bound(size_t i, const char *name)
{
    keys[i] = key_user('d', DIR_NSID, slice_of(name));
    return (struct slice){keys[i].data + 1, keys[i].size - 1};
}

/* From "m" to the end. */
static struct region target_region(void)
{
    return (struct region){.id = TARGET,
                           .conf_ver = 2,
                           .version = 4,
                           .start = bound(0, "m"),
                           .peers = {{1, 1, PEER_VOTER}, {2, 2, PEER_LEARNER}},
                           .peer_count = 2,
                           .voters = {1},
                           .voter_count = 1,
                           .learners = {2},
                           .learner_count = 1};
}

/* From "f" to "m". */
static struct region source_region(void)
{
    return (struct region){.id = SOURCE,
                           .conf_ver = 6,
                           .version = 9,
                           .start = bound(1, "f"),
                           .end = bound(0, "m"),
                           .peers = {{8, 2, PEER_LEARNER}, {9, 1, PEER_VOTER}},
                           .peer_count = 2,
                           .voters = {9},
                           .voter_count = 1,
                           .learners = {8},
                           .learner_count = 1};
}

static struct command in_target(enum merge_step step)
{
    return (struct command){.op = COMMAND_MERGE,
                            .merge_step = step,
                            .merge = {.other = SOURCE,
                                      .attempt = ATTEMPT,
                                      .version = 9,
                                      .conf_ver = 6,
                                      .start = bound(1, "f"),
                                      .end = bound(0, "m")},
                            .region_version = 4,
                            .region_conf_ver = 2};
}

static struct command in_source(enum command_op op)
{
    return (struct command){
        .op = op,
        .merge = {
            .other = TARGET, .attempt = ATTEMPT, .version = 9, .conf_ver = 6}};
}

/* Does it, and takes the result for `region`, which is to be released. */
static void apply(struct region *region, struct command command, uint64_t index)
{
    struct region changed = region_merge(region, &command, index);

    region_release(region);
    *region = changed;
}

static struct region begun_target(void)
{
    struct region region = target_region();

    apply(&region, in_target(MERGE_STEP_BEGIN), ATTEMPT);
    return region;
}

static struct region frozen_source(void)
{
    struct region region = source_region();

    apply(&region, in_source(COMMAND_FREEZE), 77);
    return region;
}

static int check(const struct region *region, struct command command)
{
    return region_merge_check(region, &command);
}

/* ---- which ones ---- */

static void test_neighbours_on_the_same_nodes_can_be_merged(void **state)
{
    struct region target = target_region();
    struct region source = source_region();

    (void)state;
    assert_int_equal(regions_can_merge(&target, &source), 0);
    assert_int_equal(regions_can_merge(&source, &target), 0);
}

static void test_no_others_can(void **state)
{
    struct region target = target_region();
    struct region source = source_region();

    (void)state;
    source.end = bound(2, "l");
    assert_int_equal(regions_can_merge(&target, &source), ERR_INVALID);
    source = source_region();
    source.id = TARGET;
    assert_int_equal(regions_can_merge(&target, &source), ERR_INVALID);
    source.id = REGION_PLACEMENT;
    assert_int_equal(regions_can_merge(&target, &source), ERR_INVALID);
    assert_int_equal(regions_can_merge(&source, &target), ERR_INVALID);
    source = source_region();
    source.peers[0].node = 3;
    assert_int_equal(regions_can_merge(&target, &source), ERR_NOT_PERMITTED);
    source = source_region();
    source.peer_count = 1;
    assert_int_equal(regions_can_merge(&target, &source), ERR_NOT_PERMITTED);
    assert_int_equal(regions_can_merge(&source, &target), ERR_NOT_PERMITTED);
}

/* Others could rebuild its source, and it could not wait for that. */
static void test_an_only_voter_takes_over_what_has_its_only_one_there(void **s)
{
    struct region target = target_region();
    struct region source = source_region();

    (void)s;
    source.peers[0].role = PEER_VOTER;
    source.voters[1] = 8;
    source.voter_count = 2;
    source.learner_count = 0;
    assert_int_equal(regions_can_merge(&target, &source), ERR_NOT_PERMITTED);
    assert_int_equal(regions_can_merge(&source, &target), 0);
    source.peers[1].role = PEER_LEARNER;
    source.voters[0] = 8;
    source.voter_count = 1;
    assert_int_equal(regions_can_merge(&target, &source), ERR_NOT_PERMITTED);
    assert_int_equal(regions_can_merge(&source, &target), ERR_NOT_PERMITTED);
}

/* Two open ends are none that meet. */
static void test_all_keys_have_no_neighbour(void **state)
{
    struct region target = target_region();
    struct region source = source_region();

    (void)state;
    target.start = (struct slice){NULL, 0};
    source.start = source.end = (struct slice){NULL, 0};
    assert_int_equal(regions_can_merge(&target, &source), ERR_INVALID);
}

static void test_what_is_being_changed_is_not_merged(void **state)
{
    struct region target = target_region();
    struct region source = source_region();

    (void)state;
    source.voters_outgoing[0] = 8;
    source.voter_outgoing_count = 1;
    assert_int_equal(regions_can_merge(&target, &source), ERR_BUSY);
    assert_int_equal(regions_can_merge(&source, &target), ERR_BUSY);
    source = frozen_source();
    assert_int_equal(regions_can_merge(&target, &source), ERR_BUSY);
    region_release(&source);
}

/* ---- the target ---- */

static void test_a_merge_begins_for_one_epoch(void **state)
{
    struct region region = target_region();
    struct command command = in_target(MERGE_STEP_BEGIN);

    (void)state;
    assert_int_equal(check(&region, command), 0);
    command.region_version = 5;
    assert_int_equal(check(&region, command), ERR_EPOCH);
    command = in_target(MERGE_STEP_BEGIN);
    command.region_conf_ver = 1;
    assert_int_equal(check(&region, command), ERR_EPOCH);
    command = in_target(MERGE_STEP_BEGIN);
    command.merge.end = bound(2, "l");
    assert_int_equal(check(&region, command), ERR_INVALID);
    command = in_target(MERGE_STEP_BEGIN);
    command.merge.other = TARGET;
    assert_int_equal(check(&region, command), ERR_INVALID);
    region.voters_outgoing[0] = 1;
    region.voter_outgoing_count = 1;
    assert_int_equal(check(&region, in_target(MERGE_STEP_BEGIN)), ERR_BUSY);
}

static void test_the_entry_that_begins_it_names_the_attempt(void **state)
{
    struct region region = begun_target();

    (void)state;
    assert_int_equal(region.merge.state, MERGE_TAKING);
    assert_int_equal(region.merge.attempt, ATTEMPT);
    assert_int_equal(region.merge.other, SOURCE);
    assert_int_equal(region.version, 4);
    assert_int_equal(check(&region, in_target(MERGE_STEP_BEGIN)), ERR_BUSY);
    region_release(&region);
}

static void test_the_target_has_the_keys_of_both_then(void **state)
{
    struct region region = begun_target();
    struct region source = source_region();

    (void)state;
    apply(&region, in_target(MERGE_STEP_TAKE), 50);
    assert_slice_equal(region.start, source.start);
    assert_int_equal(region.end.size, 0);
    assert_int_equal(region.absorbed, SOURCE);
    assert_false(region_is_merging(&region));
    assert_int_equal(region.version, 11); /* Above 4, and 10 of the frozen. */
    assert_int_equal(region.conf_ver, 2);
    assert_int_equal(region.peer_count, 2);
    region_release(&region);
}

static void test_the_source_may_lie_on_either_side(void **state)
{
    struct region region = source_region();
    struct command command = in_target(MERGE_STEP_BEGIN);

    (void)state;
    region.version = 20;
    command.region_version = 20;
    command.region_conf_ver = 6;
    command.merge.other = TARGET;
    command.merge.start = bound(0, "m");
    command.merge.end = (struct slice){NULL, 0};
    apply(&region, command, ATTEMPT);
    command.merge_step = MERGE_STEP_TAKE;
    apply(&region, command, 50);
    assert_slice_equal(region.start, bound(1, "f"));
    assert_int_equal(region.end.size, 0);
    assert_int_equal(region.version, 21);
    assert_int_equal(region.absorbed, TARGET);
    region_release(&region);
}

static void test_what_was_given_up_is_not_taken(void **state)
{
    struct region region = begun_target();

    (void)state;
    assert_int_equal(check(&region, in_target(MERGE_STEP_END)), ERR_EPOCH);
    apply(&region, in_target(MERGE_STEP_GIVE_UP), 50);
    assert_int_equal(region.merge.state, MERGE_GIVING_UP);
    assert_int_equal(check(&region, in_target(MERGE_STEP_TAKE)), ERR_EPOCH);
    assert_int_equal(check(&region, in_target(MERGE_STEP_GIVE_UP)), 0);
    apply(&region, in_target(MERGE_STEP_END), 51);
    assert_false(region_is_merging(&region));
    assert_int_equal(region.version, 4);
    assert_int_equal(region.absorbed, 0);
    assert_int_equal(check(&region, in_target(MERGE_STEP_TAKE)), ERR_EPOCH);
    region_release(&region);
}

static void test_another_attempt_is_not_meant(void **state)
{
    struct region region = begun_target();
    struct command command = in_target(MERGE_STEP_TAKE);

    (void)state;
    command.merge.attempt = ATTEMPT - 1;
    assert_int_equal(check(&region, command), ERR_EPOCH);
    command.merge_step = MERGE_STEP_GIVE_UP;
    assert_int_equal(check(&region, command), ERR_EPOCH);
    command = in_target(MERGE_STEP_TAKE);
    command.merge.other = SOURCE + 1;
    assert_int_equal(check(&region, command), ERR_EPOCH);
    command = in_target(MERGE_STEP_TAKE);
    command.region_version = 3;
    assert_int_equal(check(&region, command), ERR_EPOCH);
    apply(&region, in_target(MERGE_STEP_GIVE_UP), 50);
    command = in_target(MERGE_STEP_END);
    command.merge.attempt = ATTEMPT - 1;
    assert_int_equal(check(&region, command), ERR_EPOCH);
    region_release(&region);
}

/* ---- the source ---- */

static void test_a_source_is_frozen_for_one_epoch(void **state)
{
    struct region region = source_region();
    struct command command = in_source(COMMAND_FREEZE);

    (void)state;
    assert_int_equal(check(&region, command), 0);
    command.merge.version = 8;
    assert_int_equal(check(&region, command), ERR_EPOCH);
    command = in_source(COMMAND_FREEZE);
    command.merge.conf_ver = 7;
    assert_int_equal(check(&region, command), ERR_EPOCH);
    region.voters_outgoing[0] = 8;
    region.voter_outgoing_count = 1;
    assert_int_equal(check(&region, in_source(COMMAND_FREEZE)), ERR_BUSY);
    region = source_region();
    region.id = REGION_PLACEMENT;
    assert_int_equal(check(&region, in_source(COMMAND_FREEZE)), ERR_INVALID);
}

static void test_a_target_is_not_frozen(void **state)
{
    struct region region = begun_target();
    struct command command = in_source(COMMAND_FREEZE);

    (void)state;
    command.merge.version = 4;
    command.merge.conf_ver = 2;
    assert_int_equal(check(&region, command), ERR_BUSY);
    region_release(&region);
}

static void test_freezing_twice_changes_nothing_more(void **state)
{
    struct region region = frozen_source();

    (void)state;
    assert_true(region_is_frozen_for(&region, TARGET, ATTEMPT));
    assert_false(region_is_frozen_for(&region, TARGET, ATTEMPT + 1));
    assert_false(region_is_frozen_for(&region, TARGET + 1, ATTEMPT));
    assert_int_equal(region.version, 10);
    assert_int_equal(check(&region, in_source(COMMAND_FREEZE)), 0);
    apply(&region, in_source(COMMAND_FREEZE), 78);
    assert_int_equal(region.version, 10);
    assert_int_equal(region.merge.index, 77);
    region_release(&region);
}

static void test_a_frozen_region_is_frozen_for_nobody_else(void **state)
{
    struct region region = frozen_source();
    struct command command = in_source(COMMAND_FREEZE);

    (void)state;
    command.merge.version = 10;
    command.merge.attempt++;
    assert_int_equal(check(&region, command), ERR_BUSY);
    region_release(&region);
}

static void test_unfreezing_makes_a_late_freeze_void(void **state)
{
    struct region region = frozen_source();

    (void)state;
    apply(&region, in_source(COMMAND_UNFREEZE), 78);
    assert_false(region_is_merging(&region));
    assert_int_equal(region.version, 11);
    assert_int_equal(check(&region, in_source(COMMAND_FREEZE)), ERR_EPOCH);
    apply(&region, in_source(COMMAND_UNFREEZE), 79);
    assert_int_equal(region.version, 11);
    region_release(&region);

    region = source_region(); /* It was not frozen yet. */
    apply(&region, in_source(COMMAND_UNFREEZE), 76);
    assert_int_equal(region.version, 10);
    assert_int_equal(check(&region, in_source(COMMAND_FREEZE)), ERR_EPOCH);
    region_release(&region);
}

static void test_unfreezing_is_for_one_attempt(void **state)
{
    struct region region = frozen_source();
    struct command command = in_source(COMMAND_UNFREEZE);

    (void)state;
    command.merge.attempt--;
    apply(&region, command, 78);
    assert_true(region_is_frozen_for(&region, TARGET, ATTEMPT));
    assert_int_equal(region.version, 10);
    region_release(&region);
}

/* ---- other changes ---- */

static int check_change(const struct region *region)
{
    const struct peer_change change = {
        .conf_ver = region->conf_ver,
        .steps = {{RAFT_ADD_LEARNER, 50, 50}},
        .count = 1,
    };

    return peer_change_check(region, &change);
}

static int check_split(const struct region *region, const char *name)
{
    const struct command split = {.op = COMMAND_SPLIT,
                                  .region_version = region->version,
                                  .region_conf_ver = region->conf_ver,
                                  .dir = DIR_NSID,
                                  .name = slice_of(name),
                                  .new_region = 100};

    return region_split_check(region, &split);
}

static void test_nothing_else_changes_a_region_meanwhile(void **state)
{
    struct region target = begun_target();
    struct region source = frozen_source();

    (void)state;
    assert_int_equal(check_change(&target), ERR_BUSY);
    assert_int_equal(check_change(&source), ERR_BUSY);
    assert_int_equal(check_split(&target, "p"), ERR_BUSY);
    assert_int_equal(check_split(&source, "g"), ERR_BUSY);
    apply(&target, in_target(MERGE_STEP_GIVE_UP), 50);
    assert_int_equal(check_change(&target), ERR_BUSY);
    assert_int_equal(check_split(&target, "p"), ERR_BUSY);
    apply(&target, in_target(MERGE_STEP_END), 51);
    apply(&source, in_source(COMMAND_UNFREEZE), 78);
    assert_int_equal(check_change(&target), 0);
    assert_int_equal(check_change(&source), 0);
    assert_int_equal(check_split(&target, "p"), 0);
    assert_int_equal(check_split(&source, "g"), 0);
    region_release(&target);
    region_release(&source);
}

/* It is the left part that has taken it over. */
static void test_a_split_leaves_it_with_the_old_region_alone(void **state)
{
    struct region region = begun_target();
    struct command split = {.op = COMMAND_SPLIT,
                            .region_version = 11,
                            .region_conf_ver = 2,
                            .dir = DIR_NSID,
                            .name = slice_of("h"),
                            .new_region = 100};
    struct region left;
    struct region right;

    (void)state;
    apply(&region, in_target(MERGE_STEP_TAKE), 50);
    region_split(&region, &split, &left, &right);
    assert_int_equal(left.absorbed, SOURCE);
    assert_int_equal(right.absorbed, 0);
    region_release(&left);
    region_release(&right);
    region_release(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours_on_the_same_nodes_can_be_merged),
        cmocka_unit_test(test_no_others_can),
        cmocka_unit_test(
            test_an_only_voter_takes_over_what_has_its_only_one_there),
        cmocka_unit_test(test_all_keys_have_no_neighbour),
        cmocka_unit_test(test_what_is_being_changed_is_not_merged),
        cmocka_unit_test(test_a_merge_begins_for_one_epoch),
        cmocka_unit_test(test_the_entry_that_begins_it_names_the_attempt),
        cmocka_unit_test(test_the_target_has_the_keys_of_both_then),
        cmocka_unit_test(test_the_source_may_lie_on_either_side),
        cmocka_unit_test(test_what_was_given_up_is_not_taken),
        cmocka_unit_test(test_another_attempt_is_not_meant),
        cmocka_unit_test(test_a_source_is_frozen_for_one_epoch),
        cmocka_unit_test(test_a_target_is_not_frozen),
        cmocka_unit_test(test_freezing_twice_changes_nothing_more),
        cmocka_unit_test(test_a_frozen_region_is_frozen_for_nobody_else),
        cmocka_unit_test(test_unfreezing_makes_a_late_freeze_void),
        cmocka_unit_test(test_unfreezing_is_for_one_attempt),
        cmocka_unit_test(test_nothing_else_changes_a_region_meanwhile),
        cmocka_unit_test(test_a_split_leaves_it_with_the_old_region_alone),
    };

    return cmocka_run_group_tests_name("merge change", tests, NULL, NULL);
}
