/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/engine/env_uv_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/kv_rocks.h"

static void note_thread(char name[static NAME_SIZE])
{
    (void)pthread_getname_np(pthread_self(), name, NAME_SIZE);
}

static void on_fatal(void *context, const char *reason)
{
    struct fixture *f = context;

    (void)reason;
    f->fatal_count++;
}

void fixture_new_env(struct fixture *f, const struct env_uv_config *config)
{
    struct env_uv_config full = *config;

    full.log = f->kv;
    full.on_fatal = on_fatal;
    full.context = f;
    assert_int_equal(env_uv_new(&f->uv, &full, NULL), 0);
    f->env = env_uv_env(f->uv);
}

/* With the log on disk, not started. */
int fixture_setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    struct kv_rocks_config config = {.flavour = KV_ROCKS_LOG, .create = true};

    temp_dir_init(&f->dir);
    config.dir = temp_dir_path(&f->dir, "log");
    assert_int_equal(kv_rocks_open(&f->kv, &config, NULL), 0);
    for (size_t i = 0; i < STEPS_MAX; i++)
        f->steps[i] = (struct step){.f = f, .number = i};
    (void)sem_init(&f->gate, 0, 0);
    (void)sem_init(&f->reached, 0, 0);
    *state = f;
    return 0;
}

int fixture_setup_started(void **state)
{
    struct fixture *f;

    (void)fixture_setup(state);
    f = *state;
    fixture_new_env(f, &(struct env_uv_config){.log = NULL});
    env_uv_start(f->uv);
    return 0;
}

void fixture_stop(struct fixture *f)
{
    env_uv_stop(f->uv);
    f->stopped = true;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    if (f->uv != NULL && !f->stopped)
        env_uv_stop(f->uv);
    env_uv_free(f->uv);
    kv_close(f->kv);
    temp_dir_close(&f->dir);
    free(f);
    return 0;
}

/* Only for steps that run on one and the same thread. */
void run_note(struct env_task *task)
{
    struct step *step = step_of(task);

    step->f->ran[step->f->ran_count++] = step->number;
    note_thread(step->thread);
}

void post_step(struct fixture *f, enum env_owner owner, size_t number,
               void (*run)(struct env_task *task))
{
    f->steps[number].task.run = run;
    env_post(f->env, owner, &f->steps[number].task);
}

void expect_ran_in_order(const struct fixture *f, size_t count)
{
    assert_int_equal(f->ran_count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(f->ran[i], i);
}
