/* SPDX-License-Identifier: Apache-2.0 */

/* The log writer of a simulated node: sim_env.h. */

#include <stdlib.h>

#include "tests/sim/sim_env_impl.h"

struct log_event {
    struct sim_event event;
    struct sim_env *e;
};

static void log_begin(struct sim_event *event);

static void wake_log(struct sim_env *e, uint64_t delay_ns,
                     void (*run)(struct sim_event *event))
{
    struct log_event *l = mem_zalloc(sizeof *l);

    l->event.run = run;
    l->e = e;
    sim_post_in(sim_env_loop(e), &l->event, delay_ns);
}

static void write_done(struct env_task *task)
{
    struct env_log_write *write =
        container_of(task, struct env_log_write, task);

    write->done(write);
}

/* The env whose turn it is, and the event is gone; NULL: it is dead, or the
 * event comes again when the machine goes on. */
static struct sim_env *log_turn(struct sim_event *event)
{
    struct log_event *l = container_of(event, struct log_event, event);
    struct sim_env *e = l->e;

    if (!e->dead && sim_env_is_paused(e)) {
        sim_post_at(sim_env_loop(e), event, e->machine->paused_until_ns);
        return NULL;
    }
    free(l);
    return e->dead ? NULL : e;
}

static void log_synced(struct sim_event *event)
{
    struct sim_env *e = log_turn(event);
    struct env_log_write *write;
    struct kv_batch *batch;

    if (e == NULL)
        return;
    e->poster = SIM_FROM_LOG;
    batch = e->log_batch;
    e->log_batch = NULL; /* A crash from now on is one of the store. */
    (void)kv_write(e->env.log, batch, KV_SYNCED, NULL);
    kv_batch_free(batch);
    while ((write = STAILQ_FIRST(&e->log_group)) != NULL) {
        STAILQ_REMOVE_HEAD(&e->log_group, link);
        write->task.run = write_done;
        env_post(&e->env, ENV_WORKER, &write->task);
    }
    e->poster = SIM_FROM_USER;
    if (!STAILQ_EMPTY(&e->log_queue)) {
        e->log_waking = true;
        wake_log(e, 0, log_begin);
    }
}

static uint64_t sync_delay(struct sim_env *e)
{
    uint64_t mean_ns = e->machine->plan->sync_ns;

    if (e->machine->slow_disk_until_ns > sim_env_loop(e)->now_ns)
        mean_ns = mean_ns * 20 + 50 * sim_ms;
    return sim_spread(sim_env_loop(e), mean_ns) + 1;
}

static void log_begin(struct sim_event *event)
{
    struct sim_env *e = log_turn(event);
    struct env_log_write *write;

    if (e == NULL)
        return;
    e->log_waking = false;
    e->log_batch = kv_batch_new(e->env.log);
    STAILQ_CONCAT(&e->log_group, &e->log_queue);
    STAILQ_FOREACH (write, &e->log_group, link)
        write->fill(write, e->log_batch);
    wake_log(e, sync_delay(e), log_synced);
}

void sim_env_log_write(struct env *env, struct env_log_write *write)
{
    struct sim_env *e = sim_env_of(env);

    STAILQ_INSERT_TAIL(&e->log_queue, write, link);
    if (e->log_batch != NULL || e->log_waking)
        return;
    e->log_waking = true;
    wake_log(e, sim_spread(sim_env_loop(e), e->machine->plan->task_ns),
             log_begin);
}
