/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/peer_change.h"
#include "raft/base/err.h"

/* Peers 4 and 5 vote on nodes 1 and 2, peer 6 learns on node 3; there was a
 * peer 9 once. */
static struct region three_peers(void)
{
    struct region region = {
        .id = 1,
        .conf_ver = 7,
        .version = 1,
        .peers = {{4, 1, PEER_VOTER}, {5, 2, PEER_VOTER}, {6, 3, PEER_LEARNER}},
        .peer_count = 3,
        .voters = {4, 5},
        .voter_count = 2,
        .learners = {6},
        .learner_count = 1,
        .peer_max = 9,
    };

    return region;
}

static struct region joint_region(void)
{
    struct region region = three_peers();

    region.voters_outgoing[0] = 4;
    region.voter_outgoing_count = 1;
    return region;
}

static struct peer_change one_step(enum raft_conf_change_type type,
                                   uint64_t peer, uint64_t node)
{
    return (struct peer_change){
        .conf_ver = 7, .steps = {{type, peer, node}}, .count = 1};
}

static int check_one(enum raft_conf_change_type type, uint64_t peer,
                     uint64_t node)
{
    struct region region = three_peers();
    struct peer_change change = one_step(type, peer, node);

    return peer_change_check(&region, &change);
}

static void test_a_change_for_another_epoch_is_refused(void **state)
{
    struct region region = three_peers();
    struct peer_change change = one_step(RAFT_ADD_LEARNER, 10, 4);

    (void)state;
    assert_int_equal(peer_change_check(&region, &change), 0);
    change.conf_ver = 6;
    assert_int_equal(peer_change_check(&region, &change), ERR_EPOCH);
    change.conf_ver = 8;
    assert_int_equal(peer_change_check(&region, &change), ERR_EPOCH);
}

static void test_a_peer_id_is_never_used_again(void **state)
{
    (void)state;
    assert_int_equal(check_one(RAFT_ADD_LEARNER, 10, 4), 0);
    assert_int_equal(check_one(RAFT_ADD_VOTER, 10, 4), 0);
    assert_int_equal(check_one(RAFT_ADD_LEARNER, 9, 4), ERR_INVALID);
    assert_int_equal(check_one(RAFT_ADD_LEARNER, 3, 4), ERR_INVALID);
}

static void test_new_peer_ids_of_one_change_ascend(void **state)
{
    struct region region = three_peers();
    struct peer_change change = {
        .conf_ver = 7,
        .steps = {{RAFT_ADD_LEARNER, 11, 4}, {RAFT_ADD_LEARNER, 10, 5}},
        .count = 2,
    };

    (void)state;
    assert_int_equal(peer_change_check(&region, &change), ERR_INVALID);
    change.steps[1].peer = 12;
    assert_int_equal(peer_change_check(&region, &change), 0);
}

static void test_a_node_has_one_peer_of_a_region(void **state)
{
    struct region region = three_peers();
    struct peer_change change = {
        .conf_ver = 7,
        .steps = {{RAFT_ADD_LEARNER, 10, 4}, {RAFT_ADD_LEARNER, 11, 4}},
        .count = 2,
    };

    (void)state;
    assert_int_equal(check_one(RAFT_ADD_LEARNER, 10, 3), ERR_INVALID);
    assert_int_equal(peer_change_check(&region, &change), ERR_INVALID);
}

static void test_a_new_peer_needs_a_node(void **state)
{
    (void)state;
    assert_int_equal(check_one(RAFT_ADD_LEARNER, 10, 0), ERR_INVALID);
}

static void test_a_peer_that_is_not_there_cannot_be_removed(void **state)
{
    (void)state;
    assert_int_equal(check_one(RAFT_REMOVE_PEER, 6, 0), 0);
    assert_int_equal(check_one(RAFT_REMOVE_PEER, 10, 0), ERR_INVALID);
}

static void test_a_joint_region_can_only_be_left(void **state)
{
    struct region joint = joint_region();
    struct region simple = three_peers();
    struct peer_change step = one_step(RAFT_ADD_VOTER, 6, 0);
    struct peer_change leave = {.conf_ver = 7};

    (void)state;
    assert_int_equal(peer_change_check(&joint, &step), ERR_INVALID);
    assert_int_equal(peer_change_check(&joint, &leave), 0);
    assert_int_equal(peer_change_check(&simple, &leave), ERR_INVALID);
}

static void test_there_are_not_more_peers_than_fit(void **state)
{
    struct region region = three_peers();
    struct peer_change change = {.conf_ver = 7};

    (void)state;
    while (region.peer_count + change.count < REGION_PEERS_MAX) {
        change.steps[change.count] = (struct peer_step){
            RAFT_ADD_LEARNER, 10 + change.count, 10 + change.count};
        change.count++;
    }
    assert_int_equal(peer_change_check(&region, &change), 0);
    region.peers[region.peer_count++] = (struct region_peer){7, 8, PEER_VOTER};
    assert_int_equal(peer_change_check(&region, &change), ERR_INVALID);
}

static void test_a_change_comes_back_from_raft(void **state)
{
    struct region region = three_peers();
    struct raft_conf_change conf_change;
    struct peer_change back;
    struct peer_change change = {
        .conf_ver = 7,
        .transition = RAFT_TRANSITION_EXPLICIT,
        .steps = {{RAFT_ADD_VOTER, 10, 4}, {RAFT_REMOVE_PEER, 5, 0}},
        .count = 2,
    };

    (void)state;
    peer_change_to_raft(&change, &conf_change);
    assert_int_equal(conf_change.count, 2);
    assert_int_equal(peer_change_from_raft(&conf_change, &region, &back), 0);
    buf_unref(conf_change.context);
    assert_int_equal(back.conf_ver, 7);
    assert_int_equal(back.transition, RAFT_TRANSITION_EXPLICIT);
    assert_int_equal(back.count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(back.steps[i].type, change.steps[i].type);
        assert_int_equal(back.steps[i].peer, change.steps[i].peer);
        assert_int_equal(back.steps[i].node, change.steps[i].node);
    }
}

static void test_raft_leaves_a_joint_region_at_any_epoch(void **state)
{
    struct region joint = joint_region();
    struct raft_conf_change leave = {.count = 0};
    struct peer_change change;

    (void)state;
    assert_int_equal(peer_change_from_raft(&leave, &joint, &change), 0);
    assert_int_equal(peer_change_check(&joint, &change), 0);
}

static void test_a_foreign_context_is_refused(void **state)
{
    struct region region = three_peers();
    struct raft_conf_change conf_change = {
        .count = 1,
        .change = {{RAFT_REMOVE_PEER, 4}},
        .context = buf_copy("\xff\xff\xff", 3),
    };
    struct peer_change change;

    (void)state;
    assert_int_equal(peer_change_from_raft(&conf_change, &region, &change),
                     ERR_VERSION);
    buf_unref(conf_change.context);
    conf_change.context = NULL;
    assert_int_equal(peer_change_from_raft(&conf_change, &region, &change),
                     ERR_CORRUPT);
}

static void test_the_descriptor_follows_raft(void **state)
{
    struct region region = three_peers();
    struct peer_change change = {
        .conf_ver = 7,
        .steps = {{RAFT_ADD_VOTER, 10, 4}, {RAFT_REMOVE_PEER, 6, 0}},
        .count = 2,
    };
    struct raft_conf_state conf_state = {
        .voters = {2, {5, 10}},
        .voters_outgoing = {2, {4, 5}},
        .auto_leave = true,
    };

    (void)state;
    peer_change_apply(&change, &conf_state, &region);
    assert_int_equal(region.conf_ver, 8);
    assert_int_equal(region.peer_max, 10);
    assert_true(region_is_joint(&region));
    assert_int_equal(region.peer_count, 3);
    assert_int_equal(region_find_node(&region, 4)->id, 10);
    assert_int_equal(region_find_peer(&region, 10)->role, PEER_VOTER);
    assert_int_equal(region_find_peer(&region, 4)->role, PEER_VOTER);
    assert_null(region_find_peer(&region, 6));
    assert_true(region.auto_leave);
}

static void test_who_is_in_no_part_of_the_configuration_is_gone(void **state)
{
    struct region region = joint_region();
    struct peer_change leave = {.conf_ver = 7};
    struct raft_conf_state conf_state = {.voters = {1, {5}},
                                         .learners = {1, {6}}};

    (void)state;
    peer_change_apply(&leave, &conf_state, &region);
    assert_int_equal(region.conf_ver, 8);
    assert_int_equal(region.peer_max, 9);
    assert_int_equal(region.peer_count, 2);
    assert_null(region_find_peer(&region, 4));
    assert_int_equal(region_find_peer(&region, 6)->role, PEER_LEARNER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change_for_another_epoch_is_refused),
        cmocka_unit_test(test_a_peer_id_is_never_used_again),
        cmocka_unit_test(test_new_peer_ids_of_one_change_ascend),
        cmocka_unit_test(test_a_node_has_one_peer_of_a_region),
        cmocka_unit_test(test_a_new_peer_needs_a_node),
        cmocka_unit_test(test_a_peer_that_is_not_there_cannot_be_removed),
        cmocka_unit_test(test_a_joint_region_can_only_be_left),
        cmocka_unit_test(test_there_are_not_more_peers_than_fit),
        cmocka_unit_test(test_a_change_comes_back_from_raft),
        cmocka_unit_test(test_raft_leaves_a_joint_region_at_any_epoch),
        cmocka_unit_test(test_a_foreign_context_is_refused),
        cmocka_unit_test(test_the_descriptor_follows_raft),
        cmocka_unit_test(test_who_is_in_no_part_of_the_configuration_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
