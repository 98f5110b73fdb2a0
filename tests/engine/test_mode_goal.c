/* SPDX-License-Identifier: Apache-2.0 */

/* What each goal takes, whatever the directory and the one above it are. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/keys.h"
#include "engine/mode_goal.h"

enum { UP = 6, DIR = 7 };

static const struct mode strong;
static const struct mode own_strong = {MODE_STRONG, DIR, 0, 9};
static const struct mode filling = {MODE_STRONG, DIR, 5, 5};
static const struct mode own = {MODE_EVENTUAL, DIR, 5, 9};
static const struct mode inherited = {MODE_EVENTUAL, UP, 5, 9};
static const struct mode own_fenced = {MODE_FENCED, DIR, 5, 9};
static const struct mode inherited_fenced = {MODE_FENCED, UP, 5, 9};
static const struct mode up = {MODE_EVENTUAL, UP, 5, 9};
static const struct mode up_fenced = {MODE_FENCED, UP, 5, 9};

/* A step, or why there is none. */
static int step_of(enum mode_goal goal, uint64_t nsid, struct mode mode,
                   struct mode parent)
{
    enum mode_step step = MODE_STEP_NONE;
    int rc = mode_goal_step(goal, nsid, mode, parent, &step);

    return rc == 0 ? (int)step : rc;
}

static void test_each_goal_from_each_mode(void **state)
{
    enum {
        NONE = MODE_STEP_NONE,
        CLOSE = MODE_STEP_CLOSE,
        FENCE = MODE_STEP_FENCE,
        OWN = MODE_STEP_OWN,
        NO_DATA = ERR_NO_DATA,
        BUSY = ERR_BUSY
    };
    /* clang-format off */
    const struct {
        const struct mode *mode;
        const struct mode *parent;
        int steps[MODE_REMOVE + 1]; /* to eventual, strong, inherit, remove */
    } rows[] = {
        {&strong,           &strong,    {CLOSE, OWN,   NO_DATA, BUSY}},
        {&filling,          &strong,    {BUSY,  BUSY,  BUSY,    BUSY}},
        {&own,              &strong,    {NONE,  FENCE, FENCE,   BUSY}},
        {&own_fenced,       &strong,    {BUSY,  BUSY,  BUSY,    BUSY}},
        {&inherited,        &up,        {OWN,   FENCE, NO_DATA, FENCE}},
        {&own,              &up,        {NONE,  FENCE, OWN,     FENCE}},
        {&own_fenced,       &up,        {BUSY,  BUSY,  BUSY,    BUSY}},
        {&inherited_fenced, &up_fenced, {BUSY,  BUSY,  NO_DATA, BUSY}},
        {&own,              &up_fenced, {NONE,  BUSY,  OWN,     FENCE}},
        {&own_strong,       &strong,    {CLOSE, NONE,  OWN,     BUSY}},
        {&own_strong,       &up,        {CLOSE, NONE,  CLOSE,   BUSY}},
        {&own_strong,       &up_fenced, {BUSY,  NONE,  BUSY,    BUSY}},
        {&filling,          &up,        {BUSY,  BUSY,  BUSY,    BUSY}},
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (enum mode_goal goal = 0; goal <= MODE_REMOVE; goal++)
            assert_int_equal(step_of(goal, DIR, *rows[i].mode, *rows[i].parent),
                             rows[i].steps[goal]);
}

static void test_the_root_stays_strong(void **state)
{
    (void)state;
    assert_int_equal(step_of(MODE_TO_EVENTUAL, NSID_ROOT, strong, strong),
                     ERR_NOT_PERMITTED);
    assert_int_equal(step_of(MODE_TO_STRONG, NSID_ROOT, strong, strong),
                     MODE_STEP_NONE);
    assert_int_equal(step_of(MODE_INHERIT, NSID_ROOT, strong, strong),
                     ERR_NO_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_goal_from_each_mode),
        cmocka_unit_test(test_the_root_stays_strong),
    };

    return cmocka_run_group_tests_name("mode_goal", tests, NULL, NULL);
}
