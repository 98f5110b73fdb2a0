/* SPDX-License-Identifier: Apache-2.0 */

/* Fences, and directories that are being filled, which nobody takes away any
 * more: when region 0's leader does so. */

#include "mode_change_fixture.h"

enum { BELOW = 4, TOP = 9 };

static void pass_seconds(struct fixture *f, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        fake_env_pass(&f->node.fake, 1000);
        mode_changes_each_second(f->node.changes);
    }
}

static void test_the_leader_takes_an_abandoned_fence_away(void **state)
{
    struct fixture *f = *state;

    apply(f, MODE_FENCED, DIR, FENCE);
    pass_seconds(f, 30);
    assert_null(f->node.call);
    f->peer.leads = true;
    pass_seconds(f, 9);
    assert_null(f->node.call);
    pass_seconds(f, 2);
    expect_asked(f, MODE_EVENTUAL, FENCE);
}

static void test_a_fence_behind_another_one_gets_its_own_time(void **state)
{
    struct fixture *f = *state;

    f->peer.leads = true;
    apply(f, MODE_FENCED, DIR, FENCE);
    pass_seconds(f, 9);
    apply(f, MODE_EVENTUAL, DIR, FENCE + 1);
    apply(f, MODE_FENCED, DIR, FENCE + 2);
    pass_seconds(f, 9);
    assert_null(f->node.call);
    pass_seconds(f, 2);
    expect_asked(f, MODE_EVENTUAL, FENCE + 2);
}

static void test_the_leader_ends_a_life_that_does_not_begin(void **state)
{
    struct fixture *f = *state;

    apply_filling(f, FENCE);
    f->peer.leads = true;
    pass_seconds(f, FENCE_LEFT_MS / 1000);
    assert_null(f->node.call);
    pass_seconds(f, 1);
    expect_asked(f, MODE_STRONG, FENCE);
    answer(f, 0);
    apply(f, MODE_STRONG, 0, FENCE + 1);
    pass_seconds(f, 30);
    assert_null(f->node.call);
}

/* What it was about to become has begun. */
static void test_the_leader_leaves_a_life_that_has_begun(void **state)
{
    struct fixture *f = *state;

    apply_filling(f, FENCE);
    f->peer.leads = true;
    pass_seconds(f, 9);
    apply(f, MODE_EVENTUAL, DIR, FENCE + 1);
    pass_seconds(f, 30);
    assert_null(f->node.call);
}

/* ---- with what is below it ---- */

/* Region 0 applies that TOP, and DIR below it, have these modes. */
static void apply_both(struct fixture *f, struct mode top, struct mode below)
{
    apply_mode_of(&f->node, DIR, TOP, below, below.epoch);
    apply_mode_of(&f->node, TOP, PARENT, top, top.epoch);
}

/* Region 0 is asked to take away what TOP has since FENCE. */
static void expect_top_asked(struct fixture *f, enum mode_state state)
{
    f->peer.leads = true;
    pass_seconds(f, FENCE_LEFT_MS / 1000 + 1);
    assert_non_null(f->node.call);
    assert_int_equal(f->node.asked.op, COMMAND_DIR_MODE);
    assert_int_equal(f->node.asked.ino, ino_of_nsid(TOP));
    assert_int_equal(f->node.asked.size, state);
    assert_int_equal(f->node.asked.offset, FENCE);
}

/* What is below it follows, and has its epoch. */
static void test_a_fence_is_taken_away_at_its_top(void **state)
{
    const struct mode fenced = {MODE_FENCED, TOP, SINCE, FENCE};
    const struct mode free = {MODE_EVENTUAL, TOP, SINCE, FENCE + 1};
    struct fixture *f = *state;

    apply_both(f, fenced, fenced);
    expect_top_asked(f, MODE_EVENTUAL);
    answer(f, 0);
    apply_both(f, free, free);
    pass_seconds(f, 30);
    assert_null(f->node.call);
}

static void test_what_is_filled_is_emptied_at_its_top(void **state)
{
    const struct mode filling = {MODE_STRONG, TOP, FENCE, FENCE};
    struct fixture *f = *state;

    apply_both(f, filling, filling);
    expect_top_asked(f, MODE_STRONG);
}

/* As somebody put up who was about to remove it. */
static void test_a_fence_below_what_is_free_is_taken_away(void **state)
{
    struct fixture *f = *state;

    apply_both(f, (struct mode){MODE_EVENTUAL, TOP, SINCE, EPOCH},
               (struct mode){MODE_FENCED, TOP, SINCE, FENCE});
    f->peer.leads = true;
    pass_seconds(f, FENCE_LEFT_MS / 1000 + 1);
    expect_asked(f, MODE_EVENTUAL, FENCE);
}

/* Something came to it before the fence did, and was fenced with it. */
static void test_what_was_fenced_with_it_is_no_top(void **state)
{
    const struct mode free = {MODE_EVENTUAL, TOP, SINCE, EPOCH};
    const struct mode fenced = {MODE_FENCED, TOP, SINCE, FENCE};
    struct fixture *f = *state;

    apply_both(f, free, fenced);
    apply_mode_of(&f->node, BELOW, DIR, fenced, FENCE);
    f->peer.leads = true;
    pass_seconds(f, FENCE_LEFT_MS / 1000 + 1);
    expect_asked(f, MODE_EVENTUAL, FENCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_leader_takes_an_abandoned_fence_away),
        TEST(test_a_fence_behind_another_one_gets_its_own_time),
        TEST(test_the_leader_ends_a_life_that_does_not_begin),
        TEST(test_the_leader_leaves_a_life_that_has_begun),
        TEST(test_a_fence_is_taken_away_at_its_top),
        TEST(test_what_is_filled_is_emptied_at_its_top),
        TEST(test_a_fence_below_what_is_free_is_taken_away),
        TEST(test_what_was_fenced_with_it_is_no_top),
    };

    return cmocka_run_group_tests_name("mode_fences", tests, NULL, NULL);
}
