/* SPDX-License-Identifier: Apache-2.0 */

/* What sim_env.c and sim_env_log.c share. */

#ifndef GROVEFS_TESTS_SIM_SIM_ENV_IMPL_H
#define GROVEFS_TESTS_SIM_SIM_ENV_IMPL_H

#include "tests/sim/sim_env.h"

static inline struct sim_env *sim_env_of(struct env *env)
{
    return container_of(env, struct sim_env, env);
}

static inline struct sim_loop *sim_env_loop(const struct sim_env *e)
{
    return e->machine->loop;
}

static inline bool sim_env_is_paused(const struct sim_env *e)
{
    return e->machine->paused_until_ns > sim_env_loop(e)->now_ns;
}

/* ---- sim_env_log.c ---- */

/* env_log_write() of engine/env.h. */
void sim_env_log_write(struct env *env, struct env_log_write *write);

#endif
