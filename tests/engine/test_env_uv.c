/* SPDX-License-Identifier: Apache-2.0 */

/* Threads, order and life of the env of production. What runs on its
 * threads only notes what it sees; a test looks at the notes after
 * env_uv_stop(), which must have let everything run. */

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/engine/env_uv_fixture.h"
#include "tests/engine/kv_helpers.h"

enum { POSTS = 1000, POSTERS = 4, HOPS = 300, WORKERS = 3, REGIONS = 7 };

/* ---- tasks ---- */

static void expect_order_on(struct fixture *f, enum env_owner owner,
                            const char *thread)
{
    for (size_t i = 0; i < POSTS; i++)
        post_step(f, owner, i, run_note);
    fixture_stop(f);
    expect_ran_in_order(f, POSTS);
    assert_string_equal(f->steps[0].thread, thread);
    assert_string_equal(f->steps[POSTS - 1].thread, thread);
}

static void test_tasks_run_in_order_on_the_worker(void **state)
{
    expect_order_on(*state, ENV_WORKER, "grove-worker");
}

static void test_tasks_run_in_order_on_bulk(void **state)
{
    expect_order_on(*state, ENV_BULK, "grove-bulk");
}

static void start_workers(struct fixture *f, unsigned workers)
{
    fixture_new_env(f, &(struct env_uv_config){.workers = workers});
    env_uv_start(f->uv);
}

static void test_one_worker_applies_on_the_thread_of_the_loop(void **state)
{
    struct fixture *f = *state;

    start_workers(f, 1);
    expect_order_on(f, env_apply_owner(f->env, 5), "grove-worker");
}

/* What one of those who apply has run; touched by its thread alone. */
struct applied {
    size_t number[POSTS];
    size_t count;
    pthread_t thread;
};

static struct applied all_applied[WORKERS];

static uint64_t region_of(size_t number)
{
    return number % REGIONS;
}

static void run_apply(struct env_task *task)
{
    struct step *step = step_of(task);
    struct applied *applied = &all_applied[region_of(step->number) % WORKERS];

    applied->number[applied->count++] = step->number;
    applied->thread = pthread_self();
    (void)pthread_getname_np(applied->thread, step->thread, NAME_SIZE);
}

static void expect_applied_in_order(const struct applied *applied)
{
    assert_true(applied->count >= POSTS / REGIONS);
    for (size_t i = 1; i < applied->count; i++)
        assert_true(applied->number[i - 1] < applied->number[i]);
}

static void test_each_region_is_applied_by_one_of_several_threads(void **state)
{
    struct fixture *f = *state;

    start_workers(f, WORKERS);
    for (size_t i = 0; i < POSTS; i++)
        post_step(f, env_apply_owner(f->env, region_of(i)), i, run_apply);
    fixture_stop(f);
    for (size_t i = 0; i < WORKERS; i++) {
        expect_applied_in_order(&all_applied[i]);
        assert_string_equal(f->steps[i].thread, "grove-apply");
        assert_false(pthread_equal(all_applied[i].thread,
                                   all_applied[(i + 1) % WORKERS].thread));
    }
}

static void test_few_cores_have_one_worker_and_many_at_most_four(void **state)
{
    static const unsigned cores[] = {0, 1, 2, 3, 4, 7, 8, 9, 128};
    static const unsigned workers[] = {1, 1, 1, 1, 2, 3, 4, 4, 4};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cores); i++)
        assert_int_equal(env_uv_workers_for(cores[i]), workers[i]);
}

static void *post_many(void *context)
{
    struct step *first = context;

    for (size_t i = 0; i < POSTS; i++)
        post_step(first->f, ENV_WORKER, first->number + i, run_note);
    return NULL;
}

/* Each poster has POSTS numbers of its own. */
static void test_tasks_of_each_of_many_posters_run_in_order(void **state)
{
    struct fixture *f = *state;
    pthread_t posters[POSTERS];
    size_t next[POSTERS] = {0};

    for (size_t i = 0; i < POSTERS; i++)
        (void)pthread_create(&posters[i], NULL, post_many,
                             &f->steps[i * POSTS]);
    for (size_t i = 0; i < POSTERS; i++)
        (void)pthread_join(posters[i], NULL);
    fixture_stop(f);

    assert_int_equal(f->ran_count, POSTERS * POSTS);
    for (size_t i = 0; i < f->ran_count; i++)
        assert_int_equal(f->ran[i] % POSTS, next[f->ran[i] / POSTS]++);
}

static void run_post_and_note(struct env_task *task)
{
    struct fixture *f = step_of(task)->f;

    post_step(f, ENV_WORKER, 1, run_note);
    run_note(task);
}

static void test_a_task_never_runs_inside_the_post(void **state)
{
    struct fixture *f = *state;

    post_step(f, ENV_WORKER, 0, run_post_and_note);
    fixture_stop(f);
    expect_ran_in_order(f, 2);
}

/* Every step posts the next one to another owner, or writes it. */
static void run_hop(struct env_task *task);

static void hop_fill(struct env_log_write *write, struct kv_batch *batch)
{
    (void)write;
    kv_batch_put(batch, text_slice("hop"), text_slice("1"));
}

static void hop_done(struct env_log_write *write)
{
    run_hop(&step_of_write(write)->task);
}

static void run_hop(struct env_task *task)
{
    static const enum env_owner owners[] = {ENV_APPLY, ENV_BULK, ENV_WORKER};
    struct step *step = step_of(task);
    struct fixture *f = step->f;
    size_t next = step->number + 1;

    f->ran[f->ran_count++] = step->number;
    if (next == HOPS)
        return;
    f->steps[next].write.fill = hop_fill;
    f->steps[next].write.done = hop_done;
    if (next % 4 == 3) /* We are on the worker then. */
        env_log_write(f->env, &f->steps[next].write);
    else
        post_step(f, owners[next % 4], next, run_hop);
}

static void test_stop_lets_a_chain_of_tasks_and_writes_end(void **state)
{
    struct fixture *f = *state;

    post_step(f, ENV_WORKER, 0, run_hop);
    fixture_stop(f);
    expect_ran_in_order(f, HOPS);
}

static void run_note_signals(struct env_task *task)
{
    sigset_t blocked;

    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    step_of(task)->f->sigterm_blocked = sigismember(&blocked, SIGTERM) == 1 &&
                                        sigismember(&blocked, SIGSEGV) == 0;
}

static void test_signals_are_not_for_these_threads(void **state)
{
    struct fixture *f = *state;
    sigset_t blocked;

    post_step(f, ENV_BULK, 0, run_note_signals);
    fixture_stop(f);
    assert_true(f->sigterm_blocked);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    assert_int_equal(sigismember(&blocked, SIGTERM), 0);
}

/* ---- life ---- */

static void note_started(struct env_uv *uv, void *context)
{
    struct fixture *f = context;

    (void)uv;
    run_note(&f->steps[0].task);
}

static void test_the_start_hook_runs_before_any_task(void **state)
{
    struct fixture *f = *state;

    fixture_new_env(f, &(struct env_uv_config){.on_started = note_started});
    post_step(f, ENV_WORKER, 1, run_note);
    env_uv_start(f->uv);
    fixture_stop(f);
    expect_ran_in_order(f, 2);
    assert_string_equal(f->steps[0].thread, "grove-worker");
}

static void tick(uv_timer_t *handle)
{
    (void)handle;
}

static void attach_handle(struct env_uv *uv, void *context)
{
    struct fixture *f = context;

    (void)uv_timer_init(env_uv_loop(uv), &f->handle);
    (void)uv_timer_start(&f->handle, tick, 1, 1);
}

/* Callbacks of closing handles may post, too. */
static void handle_closed(uv_handle_t *handle)
{
    struct fixture *f =
        container_of((uv_timer_t *)handle, struct fixture, handle);

    post_step(f, ENV_WORKER, 0, run_note);
}

static void close_handle(struct env_uv *uv, void *context)
{
    struct fixture *f = context;

    (void)uv;
    uv_close((uv_handle_t *)&f->handle, handle_closed);
}

static void test_stop_waits_for_the_handles_of_the_transport(void **state)
{
    struct fixture *f = *state;

    fixture_new_env(f, &(struct env_uv_config){.on_started = attach_handle,
                                               .on_stopping = close_handle});
    env_uv_start(f->uv);
    fixture_stop(f);
    expect_ran_in_order(f, 1);
}

static void test_an_env_that_never_started_can_be_freed(void **state)
{
    struct fixture *f = *state;

    fixture_new_env(f, &(struct env_uv_config){.log = NULL});
    f->stopped = true;
    post_step(f, ENV_WORKER, 0, run_note);
    post_step(f, ENV_APPLY, 1, run_note);
    env_uv_free(f->uv);
    f->uv = NULL;
    assert_int_equal(f->ran_count, 0);
}

/* ---- timers ---- */

struct note_timer {
    struct env_timer timer;
    struct fixture *f;
    size_t number;
    bool is_last;
};

static void note_fired(struct env_timer *timer)
{
    struct note_timer *t = container_of(timer, struct note_timer, timer);

    t->f->ran[t->f->ran_count++] = t->number;
    if (t->is_last)
        (void)sem_post(&t->f->reached);
}

/* Set up by a test, started on the worker. */
static struct note_timer note_timers[4];

static void run_start_timers(struct env_task *task)
{
    static const uint64_t delays_ms[] = {2, 8, 4, 6};
    struct fixture *f = step_of(task)->f;

    for (size_t i = 0; i < ARRAY_SIZE(note_timers); i++) {
        note_timers[i] = (struct note_timer){
            .timer.fire = note_fired, .f = f, .number = i, .is_last = i == 1};
        env_timer_start(f->env, &note_timers[i].timer,
                        delays_ms[i] * 1000 * 1000);
    }
    env_timer_stop(f->env, &note_timers[2].timer);
}

/* 0 after 2 ms, 3 after 6, 1 after 8; 2 is stopped. */
static void test_timers_fire_in_order_and_not_when_stopped(void **state)
{
    struct fixture *f = *state;

    post_step(f, ENV_WORKER, 0, run_start_timers);
    (void)sem_wait(&f->reached);
    fixture_stop(f);
    assert_int_equal(f->ran_count, 3);
    assert_int_equal(f->ran[0], 0);
    assert_int_equal(f->ran[1], 3);
    assert_int_equal(f->ran[2], 1);
}

/* ---- the rest ---- */

static void test_fatal_is_reported_once(void **state)
{
    struct fixture *f = *state;

    env_fatal(f->env, "one");
    env_fatal(f->env, "two");
    assert_int_equal(f->fatal_count, 1);
}

static void note_send(void *context, uint64_t node_id, enum env_channel channel,
                      const struct env_packet *packet)
{
    struct fixture *f = context;

    (void)channel;
    f->ran[f->ran_count++] = node_id + packet->type;
}

static size_t note_pending(void *context, uint64_t node_id,
                           enum env_channel channel)
{
    (void)context;
    return (size_t)node_id * 10 + (size_t)channel;
}

static void test_messages_go_to_the_transport(void **state)
{
    struct fixture *f = *state;
    const struct env_packet packet = {.type = 5};

    env_send(f->env, 1, ENV_CHANNEL_RAFT, &packet); /* Is lost. */
    assert_int_equal(env_send_pending_bytes(f->env, 1, ENV_CHANNEL_BULK), 0);
    env_uv_set_transport(f->uv, note_send, note_pending, f);
    env_send(f->env, 2, ENV_CHANNEL_RAFT, &packet);
    assert_int_equal(f->ran_count, 1);
    assert_int_equal(f->ran[0], 7);
    assert_int_equal(env_send_pending_bytes(f->env, 3, ENV_CHANNEL_BULK), 31);
}

static void test_random_numbers_differ(void **state)
{
    struct fixture *f = *state;
    uint64_t a = env_random(f->env);
    uint64_t b = env_random(f->env);

    assert_true(a != b);
    assert_true(env_random(f->env) != a);
}

static void test_the_clocks_go_on(void **state)
{
    struct fixture *f = *state;
    uint64_t before_ns = env_mono_ns(f->env);

    assert_true(env_mono_ns(f->env) >= before_ns);
    assert_true(env_wall_ns(f->env) > UINT64_C(1700000000) * 1000000000);
}

/* clang-format off */
#define T(test) cmocka_unit_test_setup_teardown(test, fixture_setup_started, fixture_teardown)
#define NOT_STARTED(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_tasks_run_in_order_on_the_worker),
        T(test_tasks_run_in_order_on_bulk),
        NOT_STARTED(test_one_worker_applies_on_the_thread_of_the_loop),
        NOT_STARTED(test_each_region_is_applied_by_one_of_several_threads),
        T(test_few_cores_have_one_worker_and_many_at_most_four),
        T(test_tasks_of_each_of_many_posters_run_in_order),
        T(test_a_task_never_runs_inside_the_post),
        T(test_stop_lets_a_chain_of_tasks_and_writes_end),
        T(test_signals_are_not_for_these_threads),
        NOT_STARTED(test_the_start_hook_runs_before_any_task),
        NOT_STARTED(test_stop_waits_for_the_handles_of_the_transport),
        NOT_STARTED(test_an_env_that_never_started_can_be_freed),
        T(test_timers_fire_in_order_and_not_when_stopped),
        T(test_fatal_is_reported_once),
        T(test_messages_go_to_the_transport),
        T(test_random_numbers_differ),
        T(test_the_clocks_go_on),
    };

    return cmocka_run_group_tests_name("env_uv", tests, NULL, NULL);
}
