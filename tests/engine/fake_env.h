/* SPDX-License-Identifier: Apache-2.0 */

/* An env with nothing but two stores: tasks and writes to log/ wait until the
 * test lets them happen, messages are lost, time passes only when the test says
 * so, a fatal error is noted. */

#ifndef GROVEFS_TESTS_ENGINE_FAKE_ENV_H
#define GROVEFS_TESTS_ENGINE_FAKE_ENV_H

#include "engine/env.h"
#include "engine/timers.h"

STAILQ_HEAD(fake_tasks, env_task);
STAILQ_HEAD(fake_writes, env_log_write);

struct fake_env {
    struct env env; /* public; log and state are the test's */
    unsigned fatal_count;
    enum env_owner held; /* its tasks wait; ENV_WORKER: nobody's */
    struct fake_tasks tasks[ENV_OWNERS];
    struct fake_writes writes;
    size_t write_count;
    struct timers timers;
    uint64_t now_ns;
    uint64_t ahead_ns; /* of the wall clock */
};

void fake_env_init(struct fake_env *fake, struct kv *log, struct kv *state);

/* Makes the `count` oldest waiting writes durable, in one sync, and then
 * calls `done` of each. */
void fake_env_sync(struct fake_env *fake, size_t count);

/* Runs what was posted, and what comes of it, until nothing but writes to log/
 * is left. */
void fake_env_run(struct fake_env *fake);

/* Time passes, and those timers fire that are due then. */
void fake_env_pass(struct fake_env *fake, uint64_t ms);

/* The process dies: what waits is never written. `done` is called, so that
 * its memory is freed. */
void fake_env_forget(struct fake_env *fake);

#endif
