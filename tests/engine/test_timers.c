/* SPDX-License-Identifier: Apache-2.0 */

/* The order in which timers fire. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/timers.h"
#include "raft/base/mem.h"

enum { TIMERS = 4, RANDOM_TIMERS = 200, RANDOM_STEPS = 5000 };

struct fixture {
    struct timers timers;
    struct env_timer timer[TIMERS];
    char fired[16]; /* a letter for each, in order */
    size_t fired_count;
};

/* What the timer under test does to the others. */
static struct fixture *current;

static void fire(struct env_timer *timer)
{
    size_t i = (size_t)(timer - current->timer);

    current->fired[current->fired_count++] = (char)('a' + i);
}

static void fire_and_start_again(struct env_timer *timer)
{
    fire(timer);
    timers_start(&current->timers, timer, 0);
}

static void fire_and_stop_last(struct env_timer *timer)
{
    fire(timer);
    timers_stop(&current->timers, &current->timer[TIMERS - 1]);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    timers_init(&f->timers);
    for (size_t i = 0; i < TIMERS; i++)
        f->timer[i].fire = fire;
    current = f;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    timers_check(&f->timers);
    free(f);
    return 0;
}

static void test_timers_fire_in_the_order_in_which_they_are_due(void **state)
{
    struct fixture *f = *state;

    timers_start(&f->timers, &f->timer[0], 30);
    timers_start(&f->timers, &f->timer[1], 10);
    timers_start(&f->timers, &f->timer[2], 20);
    timers_start(&f->timers, &f->timer[3], 31);
    timers_fire(&f->timers, 30);
    assert_string_equal(f->fired, "bca");
}

static void test_timers_due_at_once_fire_as_they_were_started(void **state)
{
    struct fixture *f = *state;

    timers_start(&f->timers, &f->timer[2], 10);
    timers_start(&f->timers, &f->timer[0], 10);
    timers_start(&f->timers, &f->timer[1], 5);
    timers_start(&f->timers, &f->timer[3], 10);
    timers_fire(&f->timers, 10);
    assert_string_equal(f->fired, "bcad");
}

static void test_a_timer_fires_once(void **state)
{
    struct fixture *f = *state;
    uint64_t due_ns;

    timers_start(&f->timers, &f->timer[0], 10);
    timers_fire(&f->timers, 9);
    assert_string_equal(f->fired, "");
    timers_fire(&f->timers, 10);
    timers_fire(&f->timers, 20);
    assert_string_equal(f->fired, "a");
    assert_false(f->timer[0].active);
    assert_false(timers_next_due(&f->timers, &due_ns));
}

static void test_a_restarted_timer_has_only_its_new_time(void **state)
{
    struct fixture *f = *state;
    uint64_t due_ns = 0;

    timers_start(&f->timers, &f->timer[0], 10);
    timers_start(&f->timers, &f->timer[1], 15);
    timers_start(&f->timers, &f->timer[0], 20);
    assert_true(timers_next_due(&f->timers, &due_ns));
    assert_int_equal(due_ns, 15);
    timers_fire(&f->timers, 19);
    assert_string_equal(f->fired, "b");
    timers_fire(&f->timers, 20);
    assert_string_equal(f->fired, "ba");
}

static void test_a_stopped_timer_does_not_fire(void **state)
{
    struct fixture *f = *state;

    timers_stop(&f->timers, &f->timer[0]);
    timers_start(&f->timers, &f->timer[0], 10);
    timers_stop(&f->timers, &f->timer[0]);
    timers_stop(&f->timers, &f->timer[0]);
    timers_fire(&f->timers, 10);
    assert_string_equal(f->fired, "");
}

static void test_a_timer_may_stop_one_that_is_due_too(void **state)
{
    struct fixture *f = *state;

    f->timer[0].fire = fire_and_stop_last;
    timers_start(&f->timers, &f->timer[0], 10);
    timers_start(&f->timers, &f->timer[1], 10);
    timers_start(&f->timers, &f->timer[TIMERS - 1], 10);
    timers_fire(&f->timers, 10);
    assert_string_equal(f->fired, "ab");
}

/* Otherwise the loop would never get to anything else. */
static void
test_a_timer_that_restarts_itself_waits_for_the_next_turn(void **state)
{
    struct fixture *f = *state;

    f->timer[0].fire = fire_and_start_again;
    timers_start(&f->timers, &f->timer[0], 10);
    timers_start(&f->timers, &f->timer[1], 10);
    timers_fire(&f->timers, 10);
    assert_string_equal(f->fired, "ab");
    timers_fire(&f->timers, 10);
    assert_string_equal(f->fired, "aba");
}

static void do_nothing(struct env_timer *timer)
{
    (void)timer;
}

static void test_the_queue_is_in_order_after_each_random_step(void **state)
{
    struct fixture *f = *state;
    static struct env_timer timer[RANDOM_TIMERS];
    unsigned seed = 1;

    for (int i = 0; i < RANDOM_STEPS; i++) {
        struct env_timer *t = &timer[rand_r(&seed) % RANDOM_TIMERS];

        t->fire = do_nothing;
        if (rand_r(&seed) % 4 == 0)
            timers_stop(&f->timers, t);
        else
            timers_start(&f->timers, t, (uint64_t)(rand_r(&seed) % 100));
        if (rand_r(&seed) % 100 == 0)
            timers_fire(&f->timers, (uint64_t)(rand_r(&seed) % 50));
        timers_check(&f->timers);
    }
}

/* clang-format off */
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_timers_fire_in_the_order_in_which_they_are_due),
        T(test_timers_due_at_once_fire_as_they_were_started),
        T(test_a_timer_fires_once),
        T(test_a_restarted_timer_has_only_its_new_time),
        T(test_a_stopped_timer_does_not_fire),
        T(test_a_timer_may_stop_one_that_is_due_too),
        T(test_a_timer_that_restarts_itself_waits_for_the_next_turn),
        T(test_the_queue_is_in_order_after_each_random_step),
    };

    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
