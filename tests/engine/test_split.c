/* SPDX-License-Identifier: Apache-2.0 */

/* The steps of a split before its entry is in the log: what they end with, and
 * that they can be given up at any of them. */

#include "split_fixture.h"

static void test_a_split_is_done_when_it_is_applied(void **state)
{
    struct node *node = *state;

    start(node);
    assert_null(node->proposal);
    give_id(node, 0);
    assert_int_equal(node->done, 0);
    answer(node, 0, 0);
    assert_ended(node, 0);
}

static void test_it_is_proposed_for_the_epoch_that_counts_then(void **state)
{
    struct node *node = *state;

    start(node);
    node->own.region.version = 6;
    give_id(node, 0);
    assert_int_equal(node->command.op, COMMAND_SPLIT);
    assert_int_equal(node->command.region_version, 6);
    assert_int_equal(node->command.region_conf_ver, 5);
    assert_int_equal(node->command.new_region, NEW);
    assert_int_equal(node->command.dir, DIR_NSID);
    assert_true(slice_equal(node->command.name, slice_of("m")));
    assert_int_equal(node->command.node, 0);
    answer(node, 0, 0);
}

static void test_what_it_met_when_it_was_applied_is_told(void **state)
{
    struct node *node = *state;

    start(node);
    give_id(node, 0);
    answer(node, 0, ERR_EPOCH);
    assert_ended(node, ERR_EPOCH);
}

static void test_what_became_of_the_proposal_is_told(void **state)
{
    struct node *node = *state;

    start(node);
    give_id(node, 0);
    answer(node, ERR_DROPPED, 0);
    assert_ended(node, ERR_DROPPED);
}

static void test_without_an_id_nothing_is_begun(void **state)
{
    struct node *node = *state;

    start(node);
    give_id(node, ERR_UNKNOWN_OUTCOME);
    assert_ended(node, ERR_NO_QUORUM);
}

static void test_a_refusal_ends_it(void **state)
{
    struct node *node = *state;

    node->refusal = ERR_BUSY;
    start(node);
    give_id(node, 0);
    assert_ended(node, ERR_BUSY);
}

static void test_a_replica_that_has_gone_does_not_lead(void **state)
{
    struct node *node = *state;

    start(node);
    node->peer = NULL;
    give_id(node, 0);
    assert_ended(node, ERR_NOT_LEADER);
}

static void test_what_would_be_refused_uses_up_no_id(void **state)
{
    struct node *node = *state;
    struct key end = key_user('d', DIR_NSID, slice_of("c"));

    node->own.region.end = (struct slice){end.data + 1, end.size - 1};
    start(node);
    assert_null(node->call);
    assert_ended(node, ERR_INVALID);
    assert_true(node->has_reason);
}

static void test_only_who_leads_splits(void **state)
{
    struct node *node = *state;

    node->own.serving = false;
    start(node);
    assert_null(node->call);
    assert_ended(node, ERR_NOT_LEADER);
}

/* ---- in the middle ---- */

static void test_without_a_key_it_is_split_in_its_middle(void **state)
{
    struct node *node = *state;

    start_anywhere(node);
    assert_null(node->call);
    measured(node, 0, "k");
    give_id(node, 0);
    assert_true(slice_equal(node->command.name, slice_of("k")));
    answer(node, 0, 0);
    assert_ended(node, 0);
}

static void test_too_few_entries_have_no_middle(void **state)
{
    struct node *node = *state;

    start_anywhere(node);
    measured(node, 0, NULL);
    assert_ended(node, ERR_NOT_FOUND);
    assert_true(node->has_reason);
}

static void test_what_measuring_has_met_is_told(void **state)
{
    struct node *node = *state;

    start_anywhere(node);
    measured(node, ERR_CORRUPT, NULL);
    assert_ended(node, ERR_CORRUPT);
}

static void test_what_is_not_here_has_no_middle(void **state)
{
    struct node *node = *state;

    node->peer = NULL;
    start_anywhere(node);
    assert_ended(node, ERR_NOT_LEADER);
}

static void test_it_can_be_given_up_while_it_is_measured(void **state)
{
    struct node *node = *state;

    start_anywhere(node);
    split_cancel(&node->wait);
    measured(node, 0, "k");
    assert_null(node->call);
    assert_int_equal(node->done, 0);
}

/* ---- asked for twice ---- */

/* The region was VERSION when that was first asked for, and ends there now. */
static void end_at(struct node *node, struct key *end)
{
    node->own.region.version = VERSION + 1;
    node->own.region.end = key_user_part(end);
}

/* Its entry was in the log of a leader that lost its leadership. */
static void test_what_is_split_there_already_is_done(void **state)
{
    struct node *node = *state;
    struct key at = key_user('d', DIR_NSID, slice_of("m"));

    end_at(node, &at);
    start_for(node, VERSION, at);
    assert_null(node->call);
    assert_ended(node, 0);
}

static void test_a_half_is_not_halved_for_the_same_request(void **state)
{
    struct node *node = *state;
    struct key end = key_user('d', DIR_NSID, slice_of("m"));

    end_at(node, &end);
    start_for(node, VERSION, (struct key){.size = 0});
    assert_null(node->measured);
    assert_ended(node, ERR_BUSY);
    assert_true(node->has_reason);
}

static void test_what_went_to_a_new_region_is_not_split_by_the_old(void **state)
{
    struct node *node = *state;
    struct key end = key_user('d', DIR_NSID, slice_of("c"));

    end_at(node, &end);
    start_for(node, VERSION, key_user('d', DIR_NSID, slice_of("m")));
    assert_ended(node, ERR_BUSY);
    assert_true(node->has_reason);
}

/* Where a key lies that it still has does not change. */
static void test_what_is_still_inside_is_split_there(void **state)
{
    struct node *node = *state;
    struct key end = key_user('d', DIR_NSID, slice_of("q"));

    end_at(node, &end);
    start_for(node, VERSION, key_user('d', DIR_NSID, slice_of("m")));
    give_id(node, 0);
    answer(node, 0, 0);
    assert_ended(node, 0);
}

static void test_the_end_of_a_region_is_not_inside_it(void **state)
{
    struct node *node = *state;
    struct key end = key_user('d', DIR_NSID, slice_of("m"));

    end_at(node, &end);
    start_for(node, VERSION + 1, end);
    assert_ended(node, ERR_INVALID);
}

/* ---- giving up ---- */

static void test_it_can_be_given_up_while_it_waits_for_an_id(void **state)
{
    struct node *node = *state;

    start(node);
    split_cancel(&node->wait);
    assert_null(node->call);
    assert_int_equal(node->done, 0);
}

/* The peer answers nevertheless. */
static void test_it_can_be_given_up_when_it_is_proposed(void **state)
{
    struct node *node = *state;

    start(node);
    give_id(node, 0);
    split_cancel(&node->wait);
    answer(node, 0, 0);
    assert_int_equal(node->done, 0);
}

static void
test_the_answer_to_an_earlier_split_does_not_end_the_next(void **state)
{
    struct node *node = *state;
    struct proposal *earlier;

    start(node);
    give_id(node, 0);
    earlier = node->proposal;
    split_cancel(&node->wait);
    start(node);
    earlier->done(earlier, ERR_NOT_LEADER, true, NULL);
    assert_int_equal(node->done, 0);
    give_id(node, 0);
    answer(node, 0, 0);
    assert_ended(node, 0);
}

static void test_giving_up_what_is_done_changes_nothing(void **state)
{
    struct node *node = *state;

    start(node);
    give_id(node, 0);
    answer(node, 0, 0);
    split_cancel(&node->wait);
    assert_ended(node, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_split_is_done_when_it_is_applied),
        TEST(test_it_is_proposed_for_the_epoch_that_counts_then),
        TEST(test_what_it_met_when_it_was_applied_is_told),
        TEST(test_what_became_of_the_proposal_is_told),
        TEST(test_without_an_id_nothing_is_begun),
        TEST(test_a_refusal_ends_it),
        TEST(test_a_replica_that_has_gone_does_not_lead),
        TEST(test_what_would_be_refused_uses_up_no_id),
        TEST(test_only_who_leads_splits),
        TEST(test_without_a_key_it_is_split_in_its_middle),
        TEST(test_too_few_entries_have_no_middle),
        TEST(test_what_measuring_has_met_is_told),
        TEST(test_what_is_not_here_has_no_middle),
        TEST(test_it_can_be_given_up_while_it_is_measured),
        TEST(test_what_is_split_there_already_is_done),
        TEST(test_a_half_is_not_halved_for_the_same_request),
        TEST(test_what_went_to_a_new_region_is_not_split_by_the_old),
        TEST(test_what_is_still_inside_is_split_there),
        TEST(test_the_end_of_a_region_is_not_inside_it),
        TEST(test_it_can_be_given_up_while_it_waits_for_an_id),
        TEST(test_it_can_be_given_up_when_it_is_proposed),
        TEST(test_the_answer_to_an_earlier_split_does_not_end_the_next),
        TEST(test_giving_up_what_is_done_changes_nothing),
    };

    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
