/* SPDX-License-Identifier: Apache-2.0 */

/* What of eventual.h drops a change that is in quarantine. */

#include <stdlib.h>

#include "engine/eventual_impl.h"
#include "engine/quarantine.h"

static struct eventual_drop *detach(struct eventual_drop_run *run)
{
    struct eventual_drop *drop = run->drop;

    if (drop == NULL)
        return NULL;
    run->drop = NULL;
    drop->run = NULL;
    TAILQ_REMOVE(&run->eventual->drops, run, link);
    return drop;
}

static void come_back(struct env_task *task)
{
    struct eventual_drop_run *run =
        container_of(task, struct eventual_drop_run, task);
    struct eventual_drop *drop = detach(run);

    if (run->status == 0)
        run->eventual->has_dropped = true;
    if (drop != NULL)
        drop->done(drop, run->status);
    free(run);
}

static void drop_run(struct env_task *task)
{
    struct eventual_drop_run *run =
        container_of(task, struct eventual_drop_run, task);
    struct env *env = run->eventual->config.env;

    run->status = quarantine_drop(env->state, run->number);
    task->run = come_back;
    env_post(env, ENV_WORKER, task);
}

void eventual_drop_start(struct eventual *eventual, struct eventual_drop *drop)
{
    struct eventual_drop_run *run = mem_zalloc(sizeof *run);

    run->eventual = eventual;
    run->drop = drop;
    run->number = drop->number;
    drop->run = run;
    TAILQ_INSERT_TAIL(&eventual->drops, run, link);
    if (eventual->stopped) {
        run->status = ERR_CANCELED;
        run->task.run = come_back;
        env_post(eventual->config.env, ENV_WORKER, &run->task);
        return;
    }
    run->task.run = drop_run;
    eventual_post_owner(eventual, &run->task);
}

void eventual_drop_cancel(struct eventual_drop *drop)
{
    if (drop->run != NULL)
        (void)detach(drop->run); /* It comes back, and frees itself. */
}

void eventual_drop_stop(struct eventual *eventual)
{
    struct eventual_drop_run *run;

    while ((run = TAILQ_FIRST(&eventual->drops)) != NULL) {
        struct eventual_drop *drop = detach(run);

        drop->done(drop, ERR_CANCELED);
    }
}
