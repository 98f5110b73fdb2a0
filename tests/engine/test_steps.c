/* SPDX-License-Identifier: Apache-2.0 */

/* Steps of the placement group, carried out on a real peer: region 1 has two
 * voters, and its leader is asked. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/merge.h"
#include "engine/reporter.h"
#include "engine/steps.h"
#include "tests/engine/two_nodes.h"

/* What the reporter thinks of all replicas, and what it was asked for. */
static unsigned flags;
static unsigned told_all;
static unsigned told_again;

struct reporter *node_reporter(const struct node *node)
{
    (void)node;
    return NULL;
}

void reporter_tell_all(struct reporter *reporter)
{
    (void)reporter;
    told_all++;
}

void reporter_tell_again(struct reporter *reporter, uint64_t region)
{
    (void)reporter;
    assert_int_equal(region, REGION_FIRST_DATA);
    told_again++;
}

unsigned reporter_peer_flags(const struct node *node, const struct peer *peer,
                             const struct region_peer *replica)
{
    (void)node;
    (void)peer;
    (void)replica;
    return flags;
}

/* The merge that was asked for. */
static struct merge_wait *merging;

void merge_start(struct merge_wait *wait, struct node *node, uint64_t target,
                 uint64_t source)
{
    (void)node;
    assert_null(merging);
    assert_int_equal(target, REGION_FIRST_DATA);
    assert_int_equal(source, REGION_FIRST_DATA);
    merging = wait;
}

static int setup(void **state)
{
    struct two_nodes *all = two_nodes_new();

    flags = PEER_FLAG_CAUGHT_UP;
    told_all = told_again = 0;
    assert_true(tick_until(all, follower_is_restored, 100));
    *state = all;
    return 0;
}

static int teardown(void **state)
{
    two_nodes_free(*state);
    return 0;
}

static const struct region *region_of(struct two_nodes *all)
{
    return peer_region(all->node[LEADER].peer);
}

/* For the epoch as it is; with one change. */
static struct step step_of(struct two_nodes *all, enum step_kind kind,
                           uint64_t node, enum peer_role role)
{
    return (struct step){
        .kind = kind,
        .region = REGION_FIRST_DATA,
        .conf_ver = region_of(all)->conf_ver,
        .version = region_of(all)->version,
        .changes = {{node, role}},
        .change_count = 1,
    };
}

static int carry_out(struct two_nodes *all, const struct step *step)
{
    int rc = step_carry_out(&all->node[LEADER], step);

    run(all);
    tick(all);
    return rc;
}

static enum peer_role role_of(struct two_nodes *all, uint64_t node)
{
    const struct region_peer *peer = region_find_node(region_of(all), node);

    return peer == NULL ? 0 : peer->role;
}

static void test_roles_change_and_peers_go(void **state)
{
    struct two_nodes *all = *state;
    struct step demote = step_of(all, STEP_VOTERS, 2, PEER_LEARNER);
    struct step remove;

    assert_int_equal(carry_out(all, &demote), 0);
    assert_int_equal(role_of(all, 2), PEER_LEARNER);
    remove = step_of(all, STEP_REMOVE, 2, PEER_LEARNER);
    assert_int_equal(carry_out(all, &remove), 0);
    assert_int_equal(role_of(all, 2), 0);
}

/* It came late, or twice, or its planner knew an older region. */
static void test_a_step_for_another_epoch_does_nothing(void **state)
{
    struct two_nodes *all = *state;
    struct step demote = step_of(all, STEP_VOTERS, 2, PEER_LEARNER);
    struct step promote = step_of(all, STEP_VOTERS, 2, PEER_VOTER);
    struct step split = promote;
    struct step transfer;

    assert_int_equal(carry_out(all, &demote), 0);
    assert_int_equal(carry_out(all, &demote), ERR_EPOCH);
    assert_int_equal(carry_out(all, &promote), ERR_EPOCH);
    assert_int_equal(role_of(all, 2), PEER_LEARNER);
    split.conf_ver = region_of(all)->conf_ver;
    split.version--;
    assert_int_equal(carry_out(all, &split), ERR_EPOCH);
    assert_int_equal(role_of(all, 2), PEER_LEARNER);
    transfer = step_of(all, STEP_TRANSFER, 2, PEER_VOTER);
    transfer.conf_ver--;
    assert_int_equal(carry_out(all, &transfer), ERR_EPOCH);
    assert_int_equal(told_again, 4);
}

/* A step that was proposed and is not applied yet does not come twice. */
static void test_a_step_under_way_is_not_done_again(void **state)
{
    struct two_nodes *all = *state;
    struct step demote = step_of(all, STEP_VOTERS, 2, PEER_LEARNER);
    uint64_t conf_ver = region_of(all)->conf_ver;

    (void)step_carry_out(&all->node[LEADER], &demote);
    (void)step_carry_out(&all->node[LEADER], &demote);
    run(all);
    tick(all);
    assert_int_equal(region_of(all)->conf_ver, conf_ver + 1);
}

static void test_who_lacks_much_does_not_become_a_voter(void **state)
{
    struct two_nodes *all = *state;
    struct step demote = step_of(all, STEP_VOTERS, 2, PEER_LEARNER);
    struct step promote;

    assert_int_equal(carry_out(all, &demote), 0);
    flags = 0;
    promote = step_of(all, STEP_VOTERS, 2, PEER_VOTER);
    assert_int_equal(carry_out(all, &promote), ERR_NOT_PERMITTED);
    assert_int_equal(role_of(all, 2), PEER_LEARNER);
    flags = PEER_FLAG_CAUGHT_UP;
    assert_int_equal(carry_out(all, &promote), 0);
    assert_int_equal(role_of(all, 2), PEER_VOTER);
}

static void test_leadership_goes_to_who_has_caught_up(void **state)
{
    struct two_nodes *all = *state;
    struct step transfer = step_of(all, STEP_TRANSFER, 2, PEER_VOTER);

    flags = 0;
    assert_int_equal(carry_out(all, &transfer), ERR_NOT_PERMITTED);
    assert_true(peer_is_leader(all->node[LEADER].peer));
    flags = PEER_FLAG_CAUGHT_UP;
    assert_int_equal(carry_out(all, &transfer), 0);
    assert_true(peer_is_leader(all->node[FOLLOWER].peer));
    assert_int_equal(carry_out(all, &transfer), ERR_NOT_LEADER);
}

static void test_who_has_no_replica_is_not_removed(void **state)
{
    struct two_nodes *all = *state;
    struct step remove = step_of(all, STEP_REMOVE, 3, PEER_LEARNER);
    uint64_t conf_ver = region_of(all)->conf_ver;

    assert_int_equal(carry_out(all, &remove), ERR_INVALID);
    assert_int_equal(region_of(all)->conf_ver, conf_ver);
}

/* There is one region only, which has to do for both. */
static void test_a_neighbour_is_taken_over_at_its_epoch(void **state)
{
    struct two_nodes *all = *state;
    struct step merge = step_of(all, STEP_MERGE, 2, PEER_VOTER);

    merge.source = REGION_FIRST_DATA + 1;
    merge.source_version = merge.version;
    assert_int_equal(carry_out(all, &merge), ERR_EPOCH); /* Not here. */
    merge.source = REGION_FIRST_DATA;
    merge.source_version--;
    assert_int_equal(carry_out(all, &merge), ERR_EPOCH);
    assert_null(merging);
    merge.source_version++;
    assert_int_equal(carry_out(all, &merge), 0);
    merging->done(merging, ERR_NOT_PERMITTED, "why");
    merging = NULL;
    merge.version--;
    assert_int_equal(carry_out(all, &merge), ERR_EPOCH);
    assert_null(merging);
}

static void test_a_node_is_asked_to_tell_all(void **state)
{
    struct two_nodes *all = *state;

    assert_int_equal(carry_out(all, &(struct step){.kind = STEP_REPORT}), 0);
    assert_int_equal(told_all, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_roles_change_and_peers_go),
        TEST(test_a_step_for_another_epoch_does_nothing),
        TEST(test_a_step_under_way_is_not_done_again),
        TEST(test_who_lacks_much_does_not_become_a_voter),
        TEST(test_leadership_goes_to_who_has_caught_up),
        TEST(test_who_has_no_replica_is_not_removed),
        TEST(test_a_neighbour_is_taken_over_at_its_epoch),
        TEST(test_a_node_is_asked_to_tell_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
