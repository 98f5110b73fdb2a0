/* SPDX-License-Identifier: Apache-2.0 */

/* Group commit: the log writes of an env. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/engine/env_uv_fixture.h"

enum { WRITES = 200, MIB = 1024 * 1024 };

static void fill_number(struct env_log_write *write, struct kv_batch *batch)
{
    struct step *step = step_of_write(write);
    char *value = mem_zalloc(step->value_size + 1);

    if (step->waits)
        (void)sem_wait(&step->f->gate);
    kv_batch_put(batch, (struct slice){&step->number, sizeof step->number},
                 (struct slice){value, step->value_size});
    free(value);
}

static void done_note(struct env_log_write *write)
{
    struct step *step = step_of_write(write);
    struct kv_value value = {.data = NULL};

    step->was_stored =
        kv_get_durable(step->f->env->log,
                       (struct slice){&step->number, sizeof step->number},
                       &value) == 0;
    kv_value_release(&value);
    run_note(&step->task);
}

static void fill_first(struct env_log_write *write, struct kv_batch *batch)
{
    (void)sem_post(&step_of_write(write)->f->reached);
    fill_number(write, batch);
}

/* The first one keeps the log writer until the others are queued. */
static void run_write_all(struct env_task *task)
{
    struct fixture *f = step_of(task)->f;

    for (size_t i = 0; i < step_of(task)->number; i++) {
        f->steps[i].write.fill = i == 0 ? fill_first : fill_number;
        f->steps[i].write.done = done_note;
        f->steps[i].waits = i == 0;
        env_log_write(f->env, &f->steps[i].write);
        if (i == 0)
            (void)sem_wait(&f->reached);
    }
    (void)sem_post(&f->gate);
}

static void write_all(struct fixture *f, size_t count, size_t value_size,
                      struct env_uv_stats *ret_stats)
{
    for (size_t i = 0; i < count; i++)
        f->steps[i].value_size = value_size;
    post_step(f, ENV_WORKER, count, run_write_all);
    fixture_stop(f);
    env_uv_stats(f->uv, ret_stats);
}

static void test_log_writes_are_done_in_order_when_durable(void **state)
{
    struct fixture *f = *state;
    struct env_uv_stats stats;

    write_all(f, WRITES, 10, &stats);
    expect_ran_in_order(f, WRITES);
    for (size_t i = 0; i < WRITES; i++)
        assert_true(f->steps[i].was_stored);
    assert_string_equal(f->steps[0].thread, "grove-worker");
}

static void test_log_writes_that_wait_share_one_sync(void **state)
{
    struct fixture *f = *state;
    struct env_uv_stats stats;

    write_all(f, WRITES, 10, &stats);
    assert_int_equal(stats.log_writes, WRITES);
    assert_int_equal(stats.log_groups, 2);
    assert_int_equal(stats.log_syncs, 2);
    assert_true(stats.log_bytes > (uint64_t)WRITES * 10);
}

/* 1 MiB alone, then 4, 4 and 1 of the 9 that wait. */
static void test_a_group_ends_at_its_size_limit(void **state)
{
    struct fixture *f = *state;
    struct env_uv_stats stats;

    write_all(f, 10, MIB, &stats);
    expect_ran_in_order(f, 10);
    assert_int_equal(stats.log_syncs, 4);
}

static void fill_nothing(struct env_log_write *write, struct kv_batch *batch)
{
    (void)write;
    (void)batch;
}

static void run_write_nothing(struct env_task *task)
{
    struct fixture *f = step_of(task)->f;

    f->steps[0].write.fill = fill_nothing;
    f->steps[0].write.done = done_note;
    env_log_write(f->env, &f->steps[0].write);
}

static void test_a_write_without_changes_is_done_without_a_sync(void **state)
{
    struct fixture *f = *state;
    struct env_uv_stats stats;

    post_step(f, ENV_WORKER, 1, run_write_nothing);
    fixture_stop(f);
    env_uv_stats(f->uv, &stats);
    expect_ran_in_order(f, 1);
    assert_int_equal(stats.log_syncs, 0);
}

static const struct kv_ops *real_ops;
static size_t unsynced_count;

static int note_unsynced(struct kv *kv, struct kv_batch *batch,
                         enum kv_durability durability, struct err *e)
{
    unsynced_count += durability != KV_SYNCED;
    return real_ops->write(kv, batch, durability, e);
}

/* Only a power cut would tell the difference. */
static void test_every_log_write_is_synced(void **state)
{
    struct fixture *f = *state;
    struct kv_ops noting = *f->kv->ops;
    struct env_uv_stats stats;

    real_ops = f->kv->ops;
    noting.write = note_unsynced;
    f->kv->ops = &noting;
    fixture_new_env(f, &(struct env_uv_config){.log = NULL});
    env_uv_start(f->uv);
    write_all(f, WRITES, 10, &stats);
    f->kv->ops = real_ops;

    assert_int_equal(f->ran_count, WRITES);
    assert_int_equal(unsynced_count, 0);
}

static int fail_write(struct kv *kv, struct kv_batch *batch,
                      enum kv_durability durability, struct err *e)
{
    (void)kv;
    (void)batch;
    (void)durability;
    return err_set(e, ERR_IO, "the disk is gone");
}

/* Whoever is told "done" would acknowledge what is not stored. */
static void test_a_failed_log_write_is_fatal_and_never_done(void **state)
{
    struct fixture *f = *state;
    const struct kv_ops *ops = f->kv->ops;
    struct kv_ops broken = *ops;
    struct env_uv_stats stats;

    broken.write = fail_write;
    f->kv->ops = &broken;
    fixture_new_env(f, &(struct env_uv_config){.log = NULL});
    env_uv_start(f->uv);
    write_all(f, WRITES, 10, &stats);
    f->kv->ops = ops;

    assert_int_equal(f->fatal_count, 1);
    assert_int_equal(f->ran_count, 0);
    assert_int_equal(stats.log_syncs, 1);
}

/* clang-format off */
#define T(test) cmocka_unit_test_setup_teardown(test, fixture_setup_started, fixture_teardown)
#define NOT_STARTED(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
/* clang-format on */

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_log_writes_are_done_in_order_when_durable),
        T(test_log_writes_that_wait_share_one_sync),
        T(test_a_group_ends_at_its_size_limit),
        T(test_a_write_without_changes_is_done_without_a_sync),
        NOT_STARTED(test_every_log_write_is_synced),
        NOT_STARTED(test_a_failed_log_write_is_fatal_and_never_done),
    };

    return cmocka_run_group_tests_name("log_writer", tests, NULL, NULL);
}
