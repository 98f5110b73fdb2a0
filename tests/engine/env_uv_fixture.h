/* SPDX-License-Identifier: Apache-2.0 */

/* An env of production with its log on disk, and steps that note where and in
 * which order they ran. */

#ifndef GROVEFS_TESTS_ENGINE_ENV_UV_FIXTURE_H
#define GROVEFS_TESTS_ENGINE_ENV_UV_FIXTURE_H

#include <semaphore.h>

#include "engine/env_uv.h"
#include "raft/base/mem.h"
#include "tests/engine/temp_dir.h"

enum { STEPS_MAX = 4096, NAME_SIZE = 16 };

/* A task or log write of a test. */
struct step {
    struct env_task task;
    struct env_log_write write;
    struct fixture *f;
    size_t number;
    size_t value_size;
    bool waits; /* `fill` waits for f->gate */
    bool was_stored;
    char thread[NAME_SIZE]; /* where it ran */
};

struct fixture {
    struct temp_dir dir;
    struct kv *kv;
    struct env_uv *uv;
    struct env *env;
    bool stopped;
    struct step steps[STEPS_MAX];
    size_t ran[STEPS_MAX]; /* numbers, in the order of one thread */
    size_t ran_count;
    sem_t gate;
    sem_t reached;
    uv_timer_t handle; /* as a transport's */
    int fatal_count;
    bool sigterm_blocked;
};

/* Setup functions of cmocka: with the env still to be made, or started. */
int fixture_setup(void **state);
int fixture_setup_started(void **state);
int fixture_teardown(void **state);

/* Makes the env; the stores, `on_fatal` and the context are filled in. */
void fixture_new_env(struct fixture *f, const struct env_uv_config *config);

/* Stops the env: what was posted has run. */
void fixture_stop(struct fixture *f);

/* Posts a step that does `run`. */
void post_step(struct fixture *f, enum env_owner owner, size_t number,
               void (*run)(struct env_task *task));

/* Notes number and thread; for steps that run on one and the same thread. */
void run_note(struct env_task *task);

/* Expects the notes 0 .. count - 1. */
void expect_ran_in_order(const struct fixture *f, size_t count);

static inline struct step *step_of(struct env_task *task)
{
    return container_of(task, struct step, task);
}

static inline struct step *step_of_write(struct env_log_write *write)
{
    return container_of(write, struct step, write);
}

#endif
